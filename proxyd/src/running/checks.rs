//! From the model of a configuration to the plans of its health checks.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::check::{Member, Plan};
use crate::config::model::{self, Check, Model};
use crate::generation::Generation;
use crate::health::script::run::Script;
use crate::ids::{BackendId, ServerIndex};
use crate::net::connect::{Options, Target};
use crate::proxy::Backend;
use crate::proxy::address::{SendProxy, ServerAddress, ServerPort, Source};

/// The plans for all servers of this generation that are checked; the error names a check that cannot be made.
pub fn plans(model: &Model, generation: &Generation) -> Result<Vec<Plan>, String> {
    let mut plans = Vec::new();
    for (index, (backend, live)) in model.backends.iter().zip(&generation.backends).enumerate() {
        if backend.proxy.disabled || backend.servers.iter().all(|server| server.check.is_none()) {
            continue;
        }
        let script = Script::compile(&backend.health_check, backend.disable_on_404)
            .map_err(|error| format!("health check of '{}': {error}", backend.proxy.name))?;
        let script = Arc::new(script);
        let id = BackendId(u32::try_from(index).unwrap_or(u32::MAX));
        for (rank, server) in backend.servers.iter().enumerate() {
            let Some(check) = &server.check else { continue };
            // It waits in maintenance until somebody gives it an address.
            if server.address == ServerAddress::Unresolved && check.address.is_none() {
                continue;
            }
            let target = target(server, check).ok_or_else(|| {
                format!("health check of '{}/{}': the server has no address to check.", backend.proxy.name, server.name)
            })?;
            let settings = Settings { backend, server, check };
            let mut plan = settings.plan(live, rank, target, &script);
            plan.trackers = trackers(model, generation, (id, rank));
            plan.spread_percent = model.global.spread_checks;
            plan.send_state = backend.send_state.then(|| generation.global.node.clone());
            plans.push(plan);
        }
    }
    Ok(plans)
}

struct Settings<'m> {
    backend: &'m model::Backend,
    server: &'m model::Server,
    check: &'m Check,
}

impl Settings<'_> {
    fn plan(&self, live: &Backend, index: usize, target: Target, script: &Arc<Script>) -> Plan {
        let Self { backend, server, check } = self;
        Plan {
            member: Member { farm: Arc::clone(&live.farm), index },
            trackers: Vec::new(),
            pace: check.pace,
            init_state: server.init_state,
            script: Arc::clone(script),
            options: Options {
                source: server.source.as_ref().and_then(source_address),
                interface: server.source.as_ref().and_then(|source| source.interface.clone()),
                ..Options::default()
            },
            target,
            // A check elsewhere uses the text form unless the server's own form is known.
            send_proxy: check.send_proxy.then(|| server.send_proxy.unwrap_or(SendProxy::V1)),
            send_state: None,
            connect_timeout: backend.proxy.timeouts.connect,
            check_timeout: backend.proxy.timeouts.check,
            log_every: backend.log_health_checks,
            slowstart: server.slowstart,
            spread_percent: 0,
        }
    }
}

/// The source of a check: its address; a range of ports is for traffic.
fn source_address(source: &Source) -> Option<SocketAddr> {
    source.address.map(|address| SocketAddr::new(address, 0))
}

fn target(server: &model::Server, check: &Check) -> Option<Target> {
    let port = check.port.or(match server.port {
        ServerPort::Fixed(port) => Some(port),
        ServerPort::Mapped(_) => None,
    });
    let tcp = |address: IpAddr| port.map(|port| Target::Tcp((address, port).into()));
    match (check.address, &server.address) {
        (Some(address), _) => tcp(address),
        (None, ServerAddress::Ip(address)) => tcp(*address),
        (None, ServerAddress::Unix(path)) => Some(Target::Unix(path.clone())),
        (None, ServerAddress::Abstract(name)) => Some(Target::Abstract(name.clone())),
        (None, ServerAddress::Destination | ServerAddress::Unresolved) => None,
    }
}

/// All servers that track this one, directly or through others.
fn trackers(model: &Model, generation: &Generation, root: (BackendId, usize)) -> Vec<Member> {
    let mut found = Vec::new();
    for (backend, live) in model.backends.iter().zip(&generation.backends) {
        for (index, server) in backend.servers.iter().enumerate() {
            if leads_to(model, server.track, root) {
                found.push(Member { farm: Arc::clone(&live.farm), index });
            }
        }
    }
    found
}

/// Whether a chain of `track` ends at `root`; a chain that bites its own tail ends nowhere.
fn leads_to(model: &Model, mut tracked: Option<(BackendId, ServerIndex)>, root: (BackendId, usize)) -> bool {
    let longest = model.backends.iter().map(|backend| backend.servers.len()).sum::<usize>();
    for _ in 0..longest {
        let Some((backend, server)) = tracked else { return false };
        if (backend, server.index()) == root {
            return true;
        }
        tracked = model.backend(backend).servers.get(server.index()).and_then(|server| server.track);
    }
    false
}
