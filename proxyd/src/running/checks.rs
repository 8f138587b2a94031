//! From the model of a configuration to the plans of its health checks.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::check::{self, Member, Method, Plan, Probe, Program};
use crate::config::model::{self, Agent, Check, HealthCheck, ListenAddress, Mode, Model};
use crate::generation::Generation;
use crate::health::script::run::Script;
use crate::health::script::{CheckKind, External};
use crate::ids::{BackendId, ServerIndex};
use crate::net::connect::Options;
use crate::proxy::address::{SendProxy, ServerAddress, Source};
use crate::proxy::{Backend, Endpoint, Place};

/// The plans for all servers of this generation whose health is watched; the error names a check that cannot be made.
pub fn plans(model: &Model, generation: &Generation) -> Result<Vec<Plan>, String> {
    let mut plans = Vec::new();
    for (index, (backend, live)) in model.backends.iter().zip(&generation.backends).enumerate() {
        let watched = |server: &model::Server| server.check.is_some() || server.agent.is_some();
        if backend.proxy.disabled || !backend.servers.iter().any(watched) {
            continue;
        }
        let compile = |check: &HealthCheck| {
            Script::compile(&check.kind, check.disable_on_404)
                .map(Arc::new)
                .map_err(|error| format!("health check of '{}': {error}", backend.proxy.name))
        };
        let shared = compile(&backend.health_check)?;
        let id = BackendId(u32::try_from(index).unwrap_or(u32::MAX));
        for (rank, server) in backend.servers.iter().enumerate().filter(|(_, server)| watched(server)) {
            let own = server.health_check.as_deref();
            let script = own.map_or_else(|| Ok(Arc::clone(&shared)), compile)?;
            let check = own.unwrap_or(&backend.health_check);
            let settings = Settings { model, backend, server };
            let mut plan = settings.plan(live, rank, &script)?;
            plan.trackers = trackers(model, generation, (id, rank));
            plan.spread_percent = model.global.spread_checks;
            if let (Some(Method::Probe(probe)), true) = (&mut plan.check, check.send_state) {
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
        let agent = server.agent.as_ref().map(|agent| self.agent(agent)).transpose()?;
        Ok(Plan {
            member: Member { farm: Arc::clone(&live.farm), index },
            trackers: Vec::new(),
            pace: server.check.as_ref().map(|check| check.pace).unwrap_or_default(),
            init_state: server.init_state,
            check: server.check.as_ref().map(|check| self.check(check, script)).transpose()?,
            agent,
            log_every: backend.log_health_checks,
            slowstart: server.slowstart,
            spread_percent: 0,
        })
    }

    /// The health check. A server without an address waits in maintenance until it has one.
    fn check(&self, check: &Check, script: &Arc<Script>) -> Result<Method, String> {
        let server = self.server;
        let what = server.health_check.as_deref().unwrap_or(&self.backend.health_check);
        if let CheckKind::External(external) = &what.kind {
            return Ok(Method::Program(self.program(external)));
        }
        let endpoint = Endpoint { address: check.address, port: check.port };
        let place = Place { address: server.address.clone(), port: server.port, host: None };
        if server.address != ServerAddress::Unresolved && check::target(endpoint, &place).is_none() {
            let backend = &self.backend.proxy.name;
            return Err(format!("health check of '{backend}/{}': the server has no address to check.", server.name));
        }
        let mut probe = self.probe(Arc::clone(script), endpoint);
        // A check elsewhere uses the text form unless the server's own form is known.
        probe.via_socks4 = check.via_socks4;
        probe.send_proxy = check.send_proxy.then(|| server.send_proxy.clone().unwrap_or(SendProxy::V1));
        Ok(Method::Probe(Box::new(probe)))
    }

    fn program(&self, external: &External) -> Program {
        let Self { model, backend, server } = self;
        let bind = backend.listen.and_then(|frontend| model.frontend(frontend).binds.first());
        let listener = match bind.map(|bind| &bind.address) {
            Some(ListenAddress::Tcp(address)) => (Some(address.ip().to_string()), Some(address.port())),
            Some(ListenAddress::Unix(path)) => (Some(path.display().to_string()), None),
            Some(ListenAddress::Abstract(_) | ListenAddress::Fd(_)) | None => (None, None),
        };
        let protocol = if backend.proxy.mode == Mode::Http { "h1" } else { "tcp" };
        Program {
            command: external.command.clone(),
            path: external.path.clone(),
            listener,
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

    /// The agent. Where neither it nor the server has an address, it is not asked.
    fn agent(&self, agent: &Agent) -> Result<(Probe, Duration), String> {
        let script = Script::compile(&CheckKind::Agent(agent.send.clone()), false)?;
        let endpoint = Endpoint { address: agent.address, port: Some(agent.port) };
        Ok((self.probe(Arc::new(script), endpoint), agent.inter))
    }

    fn probe(&self, script: Arc<Script>, endpoint: Endpoint) -> Probe {
        let source = self.server.source.as_ref();
        Probe {
            script,
            endpoint,
            options: Options {
                source: source.and_then(source_address),
                interface: source.and_then(|source| source.interface.clone()),
                namespace: self.server.namespace.clone(),
                tcp: self.server.tcp.clone(),
                ..Options::default()
            },
            socks4: self.server.socks4,
            via_socks4: false,
            send_proxy: None,
            never_local: self.model.global.never_send_local,
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
