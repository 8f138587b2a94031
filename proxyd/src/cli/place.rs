//! Commands about where servers are: `set server … addr`, `fqdn`, `check-addr`, `check-port`, and what name servers were asked.

use std::fmt::Write as _;
use std::net::IpAddr;

use super::server::{Answer, Named, parse_port};
use super::{Settings, or_none};
use crate::health::change;
use crate::proxy::Place;
use crate::proxy::address::{ServerAddress, ServerPort};
use crate::resolvers::message::Name;

/// Who changes something here.
const BY: &str = "by 'stats socket command'";
const NO_CHECK: &str = "health checks are not enabled on this server";

/// `set server B/S addr A [port P]`.
pub(super) fn set_address(server: &Named<'_>, words: &[&str]) -> Answer {
    let address = words.first().ok_or("set server <b>/<s> addr requires an address and optionally a port.\n")?;
    let ip: IpAddr = address.parse().map_err(|_| format!("Invalid addr '{address}' {BY}\n"))?;
    let before = Place::clone(&server.state.location().get());
    if matches!(before.address, ServerAddress::Unix(_) | ServerAddress::Abstract(_)) {
        return Err(format!(
            "Update for the current server address family is only supported through configuration file {BY}\n"
        ));
    }
    let shown = match &before.address {
        ServerAddress::Destination => "0.0.0.0".to_owned(),
        ServerAddress::Ip(ip) => ip.to_string(),
        ServerAddress::Unix(_) | ServerAddress::Abstract(_) | ServerAddress::Unresolved => "(none)".to_owned(),
    };
    let after = if ip.is_unspecified() { ServerAddress::Destination } else { ServerAddress::Ip(ip) };
    let mut text = if before.address == after {
        "no need to change the addr".to_owned()
    } else {
        format!("IP changed from '{shown}' to '{ip}'")
    };
    let mut place = Place { address: after, ..before.clone() };
    if let ["port", rest @ ..] = words.get(1..).unwrap_or_default() {
        let (said, port) = new_port(server, before.port, rest.first().copied().unwrap_or_default());
        let _ = write!(text, ", {said}");
        place.port = port;
    }
    if place != before || server.state.is_unresolved() {
        server.apply(|subject, now_ms| change::relocated(subject, place, now_ms));
    }
    Ok(format!("{text} {BY}\n"))
}

/// What is said of another port, and the port.
fn new_port(server: &Named<'_>, before: ServerPort, word: &str) -> (String, ServerPort) {
    let not_understood = || (format!("problem converting port '{word}' to an int"), before);
    let mapped = word.starts_with(['+', '-']);
    let port = if mapped {
        let Ok(offset) = word.parse() else { return not_understood() };
        ServerPort::Mapped(offset)
    } else {
        let Ok(port) = word.parse() else { return not_understood() };
        ServerPort::Fixed(port)
    };
    let checks_elsewhere = server.check_endpoint().port.is_some();
    if mapped && !checks_elsewhere {
        let text = "can't change <port> to port map because it is incompatible with current health check port \
                    configuration (use 'port' statement from the 'server' directive.";
        return (text.to_owned(), before);
    }
    if port == before {
        return ("no need to change the port".to_owned(), before);
    }
    let shown = |port| match port {
        ServerPort::Fixed(port) => port.to_string(),
        ServerPort::Mapped(offset) => format!("{offset:+}"),
    };
    (format!("port changed from '{}' to '{}'", shown(before), shown(port)), port)
}

/// `set server B/S check-addr A [port P]`.
pub(super) fn set_check_address(server: &Named<'_>, words: &[&str]) -> Answer {
    if !server.state.is_checked() {
        return Err(NO_CHECK.into());
    }
    let address = words.first().ok_or("set server <b>/<s> check-addr requires an address and optionally a port.\n")?;
    let ip: IpAddr = address.parse().map_err(|_| format!("invalid addr '{address}'"))?;
    let port = match words.get(1..).unwrap_or_default() {
        ["port", rest @ ..] => Some(parse_port(rest.first().copied().unwrap_or_default())?),
        [..] => None,
    };
    server.redirect_check(|endpoint| {
        endpoint.address = Some(ip);
        endpoint.port = port.or(endpoint.port);
    });
    Ok(String::new())
}

/// `set server B/S check-port P`.
pub(super) fn set_check_port(server: &Named<'_>, words: &[&str]) -> Answer {
    if !server.state.is_checked() {
        return Err(NO_CHECK.into());
    }
    let port = parse_port(words.first().ok_or("set server <b>/<s> check-port requires a port.\n")?)?;
    // No port means the server's own.
    server.redirect_check(|endpoint| endpoint.port = (port != 0).then_some(port));
    Ok(String::new())
}

/// `set server B/S fqdn NAME`.
pub(super) fn set_name(settings: &Settings, server: &Named<'_>, words: &[&str]) -> Answer {
    let word = words.first().ok_or("set server <b>/<s> fqdn requires a FQDN.\n")?;
    let (known, live) = (server.state.settings(), server.live());
    if live.is_some_and(|live| live.srv_record.is_some()) {
        return Err("set server <b>/<s> fqdn failed because SRV resolution is configured.\n".into());
    }
    if known.watched.is_none() {
        return Err("set server <b>/<s> fqdn failed because no resolution is configured.\n".into());
    }
    let before = Place::clone(&server.state.location().get());
    let full = server.full_name();
    let refused = || format!("could not update {full} FQDN {BY}\n");
    let name = Name::new(word).ok_or_else(refused)?;
    if before.host.as_deref() == Some(name.as_str()) {
        return Ok(format!("no need to change the FDQN {BY}\n"));
    }
    if !settings.names.borrow().rename(&server.backend.farm, server.index, &name) {
        return Err(refused());
    }
    let text = format!("{full} changed its FQDN from {} to {name} {BY}\n", or_none(before.host.as_deref()));
    server.apply(|subject, _| {
        subject.farm.set_place(subject.index, Place { host: Some(name.shared()), ..before });
        Vec::new()
    });
    Ok(text)
}

/// `show resolvers [NAME]`.
pub(super) fn resolvers(settings: &Settings, only: Option<&str>) -> Answer {
    let names = settings.names.borrow();
    let mut out = String::new();
    for (section, counters) in names.counters().filter(|(section, _)| only.is_none_or(|only| *section.name == *only)) {
        // A String takes everything.
        let _ = writeln!(out, "Resolvers section {}", section.name);
        for (nameserver, counters) in section.nameservers.iter().zip(counters) {
            let _ = writeln!(out, " nameserver {}:", nameserver.name);
            for (name, count) in counters.iter() {
                let _ = writeln!(out, "  {:<13}{count}", format!("{name}:"));
            }
        }
    }
    if out.is_empty() && only.is_some() {
        return Err("Can't find that resolvers section\n".into());
    }
    Ok(out)
}
