//! From the model of a configuration to the plans of its health checks.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::check::{Member, Method, Plan, Probe, Program};
use crate::config::model::{self, Agent, Check, ListenAddress, Mode, Model};
use crate::generation::Generation;
use crate::health::script::run::Script;
use crate::health::script::{CheckKind, External};
use crate::ids::{BackendId, ServerIndex};
use crate::net::connect::{Options, Target};
use crate::proxy::Backend;
use crate::proxy::address::{SendProxy, ServerAddress, ServerPort, Source};

/// The plans for all servers of this generation whose health is watched; the error names a check that cannot be made.
pub fn plans(model: &Model, generation: &Generation) -> Result<Vec<Plan>, String> {
    let mut plans = Vec::new();
    for (index, (backend, live)) in model.backends.iter().zip(&generation.backends).enumerate() {
        let watched = |server: &model::Server| server.check.is_some() || server.agent.is_some();
        if backend.proxy.disabled || !backend.servers.iter().any(watched) {
            continue;
        }
        let script = Script::compile(&backend.health_check, backend.disable_on_404)
            .map_err(|error| format!("health check of '{}': {error}", backend.proxy.name))?;
        let script = Arc::new(script);
        let id = BackendId(u32::try_from(index).unwrap_or(u32::MAX));
        for (rank, server) in backend.servers.iter().enumerate().filter(|(_, server)| watched(server)) {
            let settings = Settings { model, backend, server };
            let mut plan = settings.plan(live, rank, &script)?;
            plan.trackers = trackers(model, generation, (id, rank));
            plan.spread_percent = model.global.spread_checks;
            if let (Some(Method::Probe(probe)), true) = (&mut plan.check, backend.send_state) {
                probe.send_state = Some(generation.global.node.clone());
            }
            plans.push(plan);
        }
    }
    Ok(plans)
}

struct Settings<'m> {
    model: &'m Model,
    backend: &'m model::Backend,
    server: &'m model::Server,
}

impl Settings<'_> {
    fn plan(&self, live: &Backend, index: usize, script: &Arc<Script>) -> Result<Plan, String> {
        let Self { backend, server, .. } = self;
        let agent = server.agent.as_ref().map(|agent| self.agent(agent)).transpose()?.flatten();
        Ok(Plan {
            member: Member { farm: Arc::clone(&live.farm), index },
            trackers: Vec::new(),
            pace: server.check.as_ref().map(|check| check.pace).unwrap_or_default(),
            init_state: server.init_state,
            check: server.check.as_ref().map(|check| self.check(check, script)).transpose()?.flatten(),
            agent,
            log_every: backend.log_health_checks,
            slowstart: server.slowstart,
            spread_percent: 0,
        })
    }

    /// The health check. A server without an address waits in maintenance until somebody gives it one.
    fn check(&self, check: &Check, script: &Arc<Script>) -> Result<Option<Method>, String> {
        let server = self.server;
        if let CheckKind::External(external) = &self.backend.health_check {
            return Ok(Some(Method::Program(self.program(external))));
        }
        if server.address == ServerAddress::Unresolved && check.address.is_none() {
            return Ok(None);
        }
        let target = target(server, check).ok_or_else(|| {
            let backend = &self.backend.proxy.name;
            format!("health check of '{backend}/{}': the server has no address to check.", server.name)
        })?;
        let mut probe = self.probe(Arc::clone(script), target);
        // A check elsewhere uses the text form unless the server's own form is known.
        probe.send_proxy = check.send_proxy.then(|| server.send_proxy.unwrap_or(SendProxy::V1));
        Ok(Some(Method::Probe(probe)))
    }

    fn program(&self, external: &External) -> Program {
        let Self { model, backend, server } = self;
        let bind = backend.listen.and_then(|frontend| model.frontend(frontend).binds.first());
        let listener = match bind.map(|bind| &bind.address) {
            Some(ListenAddress::Tcp(address)) => (Some(address.ip().to_string()), Some(address.port())),
            Some(ListenAddress::Unix(path)) => (Some(path.display().to_string()), None),
            Some(ListenAddress::Abstract(_) | ListenAddress::Fd(_)) | None => (None, None),
        };
        let port = match server.port {
            ServerPort::Fixed(port) => Some(port),
            ServerPort::Mapped(_) => None,
        };
        let address = match &server.address {
            ServerAddress::Ip(ip) => (ip.to_string(), port),
            ServerAddress::Unix(path) => (path.display().to_string(), None),
            ServerAddress::Abstract(name) => (name.clone(), None),
            ServerAddress::Destination | ServerAddress::Unresolved => (String::new(), port),
        };
        let protocol = if backend.proxy.mode == Mode::Http { "h1" } else { "tcp" };
        Program {
            command: external.command.clone(),
            path: external.path.clone(),
            listener,
            server: address,
            environment: vec![
                ("HAPROXY_PROXY_ID", backend.proxy.id.to_string()),
                ("HAPROXY_PROXY_NAME", backend.proxy.name.clone()),
                ("HAPROXY_SERVER_ID", server.puid.to_string()),
                ("HAPROXY_SERVER_NAME", server.name.clone()),
                ("HAPROXY_SERVER_MAXCONN", server.maxconn.unwrap_or(0).to_string()),
                ("HAPROXY_SERVER_SSL", u8::from(server.ssl).to_string()),
                ("HAPROXY_SERVER_PROTO", protocol.to_owned()),
            ],
            check_timeout: backend.proxy.timeouts.check,
        }
    }

    /// The agent. Without an address of its own, a server without one has none either.
    fn agent(&self, agent: &Agent) -> Result<Option<(Probe, Duration)>, String> {
        let address = match (agent.address, &self.server.address) {
            (Some(address), _) => address,
            (None, ServerAddress::Ip(address)) => *address,
            (None, _) => return Ok(None),
        };
        let script = Script::compile(&CheckKind::Agent(agent.send.clone()), false)?;
        let target = Target::Tcp(SocketAddr::new(address, agent.port));
        Ok(Some((self.probe(Arc::new(script), target), agent.inter)))
    }

    fn probe(&self, script: Arc<Script>, target: Target) -> Probe {
        let source = self.server.source.as_ref();
        Probe {
            script,
            target,
            options: Options {
                source: source.and_then(source_address),
                interface: source.and_then(|source| source.interface.clone()),
                ..Options::default()
            },
            send_proxy: None,
            send_state: None,
            connect_timeout: self.backend.proxy.timeouts.connect,
            check_timeout: self.backend.proxy.timeouts.check,
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
