//! `show servers state` and `show servers conn`.

use std::fmt::Write as _;
use std::net::IpAddr;

use crate::balance::server_state::{AdminState, Running, ServerState};
use crate::check::Checks;
use crate::generation::Generation;
use crate::health::saved;
use crate::proxy::address::{ServerAddress, ServerPort};
use crate::proxy::{Backend, Endpoint, Place, Server};

/// The backends that are asked for: all, or the one of this name or `#number`.
fn chosen<'a>(
    generation: &'a Generation,
    name: Option<&str>,
) -> Result<impl Iterator<Item = &'a Backend> + use<'a>, String> {
    let only = name.map(|name| super::find_backend(generation, name).ok_or("Can't find backend.\n")).transpose()?;
    let all = generation.backends.iter().filter(|backend| !backend.section.disabled).map(|backend| &**backend);
    Ok(all.filter(move |backend| only.is_none_or(|only| std::ptr::eq(&raw const **only, *backend))))
}

/// What a new process can read back (`server-state-file`).
pub(super) fn state(
    generation: &Generation,
    checks: &Checks,
    backend: Option<&str>,
    now_ms: u64,
) -> Result<String, String> {
    let mut out = format!("{}\n{}\n", saved::VERSION, saved::HEADER);
    for backend in chosen(generation, backend)? {
        for (index, (server, state)) in backend.servers.iter().zip(backend.farm.servers()).enumerate() {
            let (check, agent) = checks.endpoints(&backend.farm, index);
            let endpoints = (check.unwrap_or(server.check_place), agent.unwrap_or(server.agent_place));
            state_line(&mut out, (backend, server, state), endpoints, now_ms);
        }
    }
    Ok(out)
}

fn state_line(
    out: &mut String,
    (backend, server, state): (&Backend, &Server, &ServerState),
    (check, agent): (Endpoint, Endpoint),
    now_ms: u64,
) {
    let (settings, report) = (state.settings(), state.report());
    let place = state.location().get();
    // A String takes everything.
    let _ = writeln!(
        out,
        "{} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {} 0 {} {} {} {}",
        backend.section.id,
        backend.name(),
        server.id,
        server.name,
        address(&place),
        operational(state),
        administrative(state),
        state.weight(),
        settings.weight,
        now_ms.saturating_sub(report.since_ms) / 1000 + report.before.as_secs(),
        saved::status_number(report.last.status),
        saved::result_number(report.last.status),
        state.health_counter(),
        check_bits(state, report.checking),
        agent_bits(state, report.asking),
        u8::from(backend.section.forced_id),
        u8::from(server.forced_id),
        place.host.as_deref().unwrap_or("-"),
        port(&place),
        server.srv_record.as_deref().unwrap_or("-"),
        check.port.unwrap_or(0),
        or_dash(check.address),
        or_dash(agent.address),
        agent.port.unwrap_or(0),
    );
}

fn or_dash(address: Option<IpAddr>) -> String {
    address.map_or_else(|| "-".to_owned(), |address| address.to_string())
}

fn address(place: &Place) -> String {
    or_dash(match &place.address {
        ServerAddress::Ip(ip) => Some(*ip),
        ServerAddress::Destination => Some(std::net::Ipv4Addr::UNSPECIFIED.into()),
        ServerAddress::Unix(_) | ServerAddress::Abstract(_) | ServerAddress::Unresolved => None,
    })
}

fn port(place: &Place) -> i32 {
    match place.port {
        ServerPort::Fixed(port) => port.into(),
        ServerPort::Mapped(offset) => offset,
    }
}

fn operational(state: &ServerState) -> u8 {
    match (state.admin(), state.running()) {
        (AdminState::Maint, _) | (_, Running::Down) => saved::STOPPED,
        (_, Running::Stopping) => saved::STOPPING,
        (_, Running::Up) if state.ramp() < 100 => saved::STARTING,
        (_, Running::Up) => saved::RUNNING,
    }
}

fn administrative(state: &ServerState) -> u8 {
    let settings = state.settings();
    let configured = settings.admin == AdminState::Maint;
    let own = match state.admin_by(false) {
        AdminState::Ready => 0,
        AdminState::Drain => saved::DRAIN,
        AdminState::Maint => saved::MAINT,
    };
    let inherited = match state.admin_by(true) {
        AdminState::Ready => 0,
        AdminState::Drain => saved::INHERITED_DRAIN,
        AdminState::Maint => saved::INHERITED_MAINT,
    };
    let unresolved = if state.is_unresolved() { saved::UNRESOLVED } else { 0 };
    // Its name is not the one of its line: that of a service's host, or an administrator's word.
    let host = state.location().get().host.clone();
    let renamed = settings.watched.is_some() && host.is_some() && host != settings.place.host;
    let unresolved = unresolved | if renamed { saved::OTHER_NAME } else { 0 };
    own | inherited | unresolved | if configured { saved::CONFIGURED_MAINT } else { 0 }
}

fn check_bits(state: &ServerState, checking: bool) -> u8 {
    if !state.settings().checked || state.settings().tracks {
        return 0;
    }
    let paused = if state.admin() == AdminState::Maint { saved::PAUSED } else { 0 };
    let enabled = if state.is_checked() { saved::ENABLED } else { 0 };
    saved::CONFIGURED | enabled | paused | u8::from(checking)
}

fn agent_bits(state: &ServerState, asking: bool) -> u8 {
    if !state.settings().agent {
        return 0;
    }
    let enabled = if state.asks_agent() { saved::ENABLED } else { 0 };
    saved::AGENT | saved::CONFIGURED | enabled | u8::from(asking)
}

/// Connections to servers. What other threads of haproxy need to know of idle ones is summed up in the first of them.
pub(super) fn connections(generation: &Generation, backend: Option<&str>) -> Result<String, String> {
    let workers = generation.global.workers;
    let mut out = format!(
        "# bkname/svname bkid/svid addr port - purge_delay used_cur used_max need_est unsafe_nb safe_nb idle_lim idle_cur \
         idle_per_thr[{workers}]\n"
    );
    for backend in chosen(generation, backend)? {
        for (server, state) in backend.servers.iter().zip(backend.farm.servers()) {
            let limit = server.pool_max_conn.map_or(-1, i64::from);
            let (idle, place) = (server.idle.current(), state.location().get());
            let _ = write!(
                out,
                "{}/{} {}/{} {} {} - {} {} {} {} {idle} 0 {limit} {idle}",
                backend.name(),
                server.name,
                backend.section.id,
                server.id,
                address(&place),
                port(&place),
                server.pool_purge_delay.as_millis(),
                state.served(),
                state.served_max(),
                state.served_max(),
            );
            for _ in 0..workers {
                out.push_str(" 0");
            }
            out.push('\n');
        }
    }
    Ok(out)
}
