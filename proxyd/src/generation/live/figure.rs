//! Figures of frontends, backends and servers, as rules ask for them.

use super::super::Generation;
use crate::ids::{BackendId, FrontendId, ServerIndex};
use crate::proxy::{Backend, Frontend};
use crate::sample::Stream;
use crate::sample::fetch::{Figure, Limit};
use crate::sample::transaction::Rare;
use crate::stats::Event;
use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

/// The figure; its section is named in it.
pub(super) fn of(generation: &Generation, figure: Figure, stream: &Stream<'_>) -> Option<i64> {
    let now_ms = stream.now_ms;
    let backend = |id: Option<BackendId>| generation.backend(id?);
    let frontend = |id: Option<FrontendId>| generation.frontend(id?);
    let rate = |frontend: &Arc<Frontend>, event| number(frontend.section.traffic.rate(event, now_ms));
    match figure {
        Figure::AverageQueue(id) => backend(id).map(|backend| average_queue(backend)),
        Figure::BackendFree(id) => backend(id).map(|backend| free_places(backend, false)),
        Figure::Slots(id) => backend(id).map(|backend| free_places(backend, true)),
        Figure::BackendRate(id) => {
            backend(id).map(|backend| number(backend.section.traffic.rate(Event::Session, now_ms)))
        }
        Figure::FrontendRate(id) => frontend(id).map(|frontend| rate(frontend, Event::Session)),
        Figure::RequestRate(id) => frontend(id).map(|frontend| rate(frontend, Event::Request)),
        Figure::ServerFree(id, server) => {
            let state = generation.backend(id)?.farm.servers().get(server.index())?;
            Some(match i64::from(state.maxconn()) {
                0 => -1,
                maxconn => (maxconn - i64::from(state.served())).max(0),
            })
        }
        Figure::ServerQueue(id, server) => {
            Some(generation.backend(id)?.farm.servers().get(server.index())?.queued().into())
        }
        Figure::ServerWeight(id, server) => {
            // The farm counts in sixteenths, so that servers can start slowly.
            let weight = generation.backend(id)?.farm.servers().get(server.index())?.effective_weight();
            Some(weight.div_ceil(16).into())
        }
        Figure::ServerFirstWeight(id, server) => {
            Some(generation.backend(id)?.farm.servers().get(server.index())?.settings().weight.into())
        }
        Figure::ServerUserWeight(id, server) => {
            Some(generation.backend(id)?.farm.servers().get(server.index())?.weight().into())
        }
        Figure::ServerRate(id, server) => server_rate(generation, id, server, now_ms),
        Figure::ListenerSessions => {
            let listeners = &generation.frontend(stream.frontend.0)?.listeners;
            let listener = listeners.iter().find(|listener| listener.bind.id == stream.listener)?;
            // Sessions are counted for the frontend as a whole; one listener alone has them all.
            let all = generation.frontend(stream.frontend.0)?.section.traffic.sessions.current();
            Some(number(if listeners.len() == 1 { all } else { listener.traffic.sessions.current() }))
        }
        Figure::ProcessSessions => Some(number(generation.global.connections.current())),
        Figure::ThreadUsage => Some((generation.global.system.usage)(None).into()),
        Figure::ProcessUsage => Some((generation.global.system.usage)(Some(generation.global.workers)).into()),
        Figure::Uptime => Some(number(now_ms / 1_000)),
        Figure::Timeout(limit) => Some(timeout(generation, limit, stream).map_or(0, milliseconds)),
        Figure::CurrentRetries => {
            let ruled = stream.transaction.and_then(|noted| noted.retries.get());
            let configured = || Some(generation.backend(stream.backend?.0)?.retries.into());
            ruled.map(i64::from).or_else(configured)
        }
        Figure::Retries => Some(generation.backend(stream.backend?.0)?.retries.into()),
        Figure::FrontendId => Some(generation.frontend(stream.frontend.0)?.section.id.into()),
        // As long as none is chosen, the frontend takes its place.
        Figure::BackendId => match stream.backend {
            Some((id, _)) => Some(generation.backend(id)?.section.id.into()),
            None => Some(generation.frontend(stream.frontend.0)?.section.id.into()),
        },
        // The others have questions of their own.
        Figure::ServersUp(_)
        | Figure::BackendSessions(_)
        | Figure::Queued(_)
        | Figure::FrontendSessions(_)
        | Figure::ServerSessions(..)
        | Figure::Listener => None,
    }
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// Requests waiting, per server that can take traffic, rounded up.
fn average_queue(backend: &Backend) -> i64 {
    let usable = backend.farm.usable();
    let servers = if usable.active > 0 { usable.active } else { usable.backup };
    let queued = i64::from(backend.farm.queued_in_total());
    if servers == 0 { queued } else { (queued + i64::from(servers) - 1) / i64::from(servers) }
}

/// Places that are free on the servers that can take traffic, and in their queues where wanted; -1 where a server sets no limit.
fn free_places(backend: &Backend, queues: bool) -> i64 {
    let mut free = 0;
    for state in backend.farm.servers().iter().filter(|state| state.eligible()) {
        let (maxconn, maxqueue) = (i64::from(state.maxconn()), i64::from(state.settings().maxqueue));
        if maxconn == 0 || (queues && maxqueue == 0) {
            return -1;
        }
        free += (maxconn - i64::from(state.served())).max(0);
        free += if queues { (maxqueue - i64::from(state.queued())).max(0) } else { 0 };
    }
    free
}

fn server_rate(generation: &Generation, backend: BackendId, server: ServerIndex, now_ms: u64) -> Option<i64> {
    let server = generation.backend(backend)?.servers.get(server.index())?;
    Some(number(server.traffic.rate(Event::Session, now_ms)))
}

fn timeout(generation: &Generation, limit: Limit, stream: &Stream<'_>) -> Option<Duration> {
    let front = generation.frontend(stream.frontend.0).map(|frontend| &frontend.section.timeouts);
    let back = stream.backend.and_then(|(id, _)| generation.backend(id)).map(|backend| &backend.section.timeouts);
    let noted = stream.transaction;
    let ruled = |of: fn(&Rare) -> &Cell<Option<Duration>>| noted?.known_rare().and_then(|rare| of(rare).get());
    match limit {
        Limit::Client => front?.client,
        Limit::Server => back?.server,
        Limit::Tunnel => back?.tunnel,
        Limit::Connect => back?.connect,
        Limit::Queue => back?.queue.or(back?.connect),
        Limit::Tarpit => back?.tarpit.or(back?.connect),
        Limit::FrontendTarpit => front?.tarpit.or(front?.connect),
        Limit::CurrentTarpit => ruled(|rare| &rare.tarpit_timeout).or_else(|| match back {
            Some(back) => back.tarpit.or(back.connect),
            None => front?.tarpit.or(front?.connect),
        }),
        Limit::CurrentConnect => ruled(|rare| &rare.connect_timeout).or_else(|| back?.connect),
        Limit::CurrentQueue => ruled(|rare| &rare.queue_timeout).or_else(|| back?.queue.or(back?.connect)),
        Limit::CurrentClient => noted.and_then(|noted| noted.client_timeout.get()).or(front?.client),
        Limit::CurrentServer => noted.and_then(|noted| noted.server_timeout.get()).or_else(|| back?.server),
        Limit::CurrentTunnel => noted.and_then(|noted| noted.tunnel_timeout.get()).or_else(|| back?.tunnel),
    }
}
