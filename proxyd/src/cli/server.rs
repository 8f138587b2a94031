//! Commands about one server: its state, its health, its agent, its weight and its sessions. The answers are haproxy's.

use std::sync::Arc;

use super::{Settings, place};
use crate::balance::server_state::{AdminState, Running, ServerState, Shut, WEIGHT_MAX};
use crate::check::AgentChange;
use crate::generation::Generation;
use crate::health::change;
use crate::proxy::{Backend, Endpoint, Server};

const USAGE: &str = "usage: set server <backend>/<server> addr | agent | agent-addr | agent-port | agent-send | check-addr | \
                     check-port | fqdn | health | ssl | state | weight\n";
const NO_AGENT: &str = "agent checks are not enabled on this server";

/// A server that a command names, and where it is known.
pub(super) struct Named<'a> {
    settings: &'a Settings,
    pub(super) backend: &'a Arc<Backend>,
    pub(super) index: usize,
    pub(super) state: &'a Arc<ServerState>,
}

/// What is answered: nothing but an empty line where all went well.
pub(super) type Answer = Result<String, String>;

fn find<'a>(settings: &'a Settings, generation: &'a Generation, words: &[&str]) -> Result<Named<'a>, String> {
    let (backend, server) = words.first().and_then(|name| name.split_once('/')).ok_or("Require 'backend/server'.\n")?;
    let unknown = "No such server.\n";
    let backend = super::find_backend(generation, backend).ok_or(unknown)?;
    let is_it = |candidate: &Arc<ServerState>| match server.strip_prefix('#') {
        Some(id) => id.parse() == Ok(candidate.settings().id),
        None => candidate.name() == server,
    };
    let index = backend.farm.servers().iter().position(is_it).ok_or(unknown)?;
    let state = backend.farm.servers().get(index).ok_or(unknown)?;
    Ok(Named { settings, backend, index, state })
}

impl Named<'_> {
    pub(super) fn apply(&self, change: impl FnOnce(change::Subject<'_>, u64) -> Vec<change::Event>) {
        self.settings.checks.borrow().apply(&self.backend.farm, self.index, change);
    }

    /// How it is reached.
    pub(super) fn live(&self) -> Option<&Arc<Server>> {
        self.backend.servers.get(self.index)
    }

    /// `backend/server`.
    pub(super) fn full_name(&self) -> String {
        format!("{}/{}", self.backend.name(), self.state.name())
    }

    /// Where its check is, as far as that is not where it is itself.
    pub(super) fn check_endpoint(&self) -> Endpoint {
        let (check, _) = self.settings.checks.borrow().endpoints(&self.backend.farm, self.index);
        check.or_else(|| self.live().map(|live| live.check_place)).unwrap_or_default()
    }

    pub(super) fn redirect_check(&self, change: impl FnOnce(&mut Endpoint)) {
        self.settings.checks.borrow().redirect_check(&self.backend.farm, self.index, change);
    }

    fn administer(&self, wanted: AdminState) {
        self.apply(|subject, now_ms| change::administered(subject, wanted, now_ms));
    }

    fn set_state(&self, word: Option<&str>) -> Answer {
        self.administer(match word {
            Some("ready") => AdminState::Ready,
            Some("drain") => AdminState::Drain,
            Some("maint") => AdminState::Maint,
            Some(_) | None => return Err("'set server <srv> state' expects 'ready', 'drain' and 'maint'.\n".into()),
        });
        Ok(String::new())
    }

    fn set_weight(&self, word: Option<&str>) -> Answer {
        let word = word.ok_or("Require <weight> or <weight%>.\n")?;
        let (number, rest) = split_number(word);
        let number = number.ok_or("Empty weight string empty or preceded by garbage")?;
        let weight = match rest {
            "" if (0..=i64::from(WEIGHT_MAX)).contains(&number) => number,
            "" => return Err("Absolute weight can only be between 0 and 256 inclusive.\n".into()),
            "%" if number < 0 => return Err("Relative weight must be positive.\n".into()),
            "%" => (number.saturating_mul(self.state.settings().weight.into()) / 100).min(WEIGHT_MAX.into()),
            _ => return Err("Trailing garbage in weight string".into()),
        };
        let weight = u32::try_from(weight).unwrap_or(WEIGHT_MAX);
        self.apply(|subject, now_ms| change::weighted(subject, weight, now_ms));
        Ok(String::new())
    }

    fn agent(&self, word: Option<&str>) -> Answer {
        if !self.state.asks_agent() {
            return Err(format!("{NO_AGENT}.\n"));
        }
        let down = match word {
            Some("up") => false,
            Some("down") => true,
            Some(_) | None => return Err("'set server <srv> agent' expects 'up' or 'down'.\n".into()),
        };
        self.apply(|subject, now_ms| change::agent_forced(subject, down, now_ms));
        Ok(String::new())
    }

    fn health(&self, word: Option<&str>) -> Answer {
        let running = match word {
            Some("up") => Running::Up,
            Some("stopping") => Running::Stopping,
            Some("down") => Running::Down,
            Some(_) | None => return Err("'set server <srv> health' expects 'up', 'stopping', or 'down'.\n".into()),
        };
        self.apply(|subject, now_ms| change::health_forced(subject, running, now_ms));
        Ok(String::new())
    }

    fn redirect_agent(&self, change: AgentChange) -> Answer {
        if self.settings.checks.borrow().redirect_agent(&self.backend.farm, self.index, change) {
            Ok(String::new())
        } else {
            Err(NO_AGENT.into())
        }
    }

    fn agent_address(&self, words: &[&str]) -> Answer {
        if !self.state.asks_agent() {
            return Err(NO_AGENT.into());
        }
        let address =
            words.first().ok_or("set server <b>/<s> agent-addr requires an address and optionally a port.\n")?;
        let ip = address.parse().map_err(|_| format!("invalid addr '{address}'"))?;
        let port = match words.get(1) {
            Some(&"port") => Some(parse_port(words.get(2).copied().unwrap_or_default())?),
            Some(_) | None => None,
        };
        self.redirect_agent(AgentChange::Address(ip))?;
        port.map_or(Ok(String::new()), |port| self.redirect_agent(AgentChange::Port(port)))
    }
}

pub(super) fn parse_port(word: &str) -> Result<u16, String> {
    let number: i64 = word.parse().map_err(|_| "provided port is not an integer")?;
    u16::try_from(number).map_err(|_| "provided port is invalid".into())
}

/// A leading integer, and what follows it.
pub(super) fn split_number(word: &str) -> (Option<i64>, &str) {
    let digits = word.strip_prefix('-').unwrap_or(word);
    let length = digits.find(|character: char| !character.is_ascii_digit()).unwrap_or(digits.len());
    let end = word.len() - digits.len() + length;
    if length == 0 { (None, word) } else { (Some(word[..end].parse().unwrap_or(i64::MAX)), &word[end..]) }
}

/// `set server BACKEND/SERVER …`.
pub(super) fn set(settings: &Settings, generation: &Generation, words: &[&str]) -> Answer {
    let server = find(settings, generation, words)?;
    match words.get(1..).unwrap_or_default() {
        ["state", rest @ ..] => server.set_state(rest.first().copied()),
        ["health", rest @ ..] => server.health(rest.first().copied()),
        ["agent", rest @ ..] => server.agent(rest.first().copied()),
        ["agent-addr", rest @ ..] => server.agent_address(rest),
        ["agent-port", ..] if !server.state.asks_agent() => Err(NO_AGENT.into()),
        ["agent-port"] => Err("set server <b>/<s> agent-port requires a port.\n".into()),
        ["agent-port", port, ..] => server.redirect_agent(AgentChange::Port(parse_port(port)?)),
        ["agent-send", ..] if !server.state.asks_agent() => Err(format!("{NO_AGENT}.\n")),
        ["agent-send", rest @ ..] => {
            server.redirect_agent(AgentChange::Send(rest.first().map_or_else(String::new, ToString::to_string)))
        }
        ["weight", rest @ ..] => server.set_weight(rest.first().copied()),
        ["addr", rest @ ..] => place::set_address(&server, rest),
        ["check-addr", rest @ ..] => place::set_check_address(&server, rest),
        ["check-port", rest @ ..] => place::set_check_port(&server, rest),
        ["fqdn", rest @ ..] => place::set_name(settings, &server, rest),
        // No server of this version has TLS.
        ["ssl", ..] => Err("'set server <srv> ssl' cannot be set.  default-server should define ssl settings\n".into()),
        [..] => Err(USAGE.into()),
    }
}

/// `enable` and `disable` of `agent`, `health` and `server`.
pub(super) fn enable(settings: &Settings, generation: &Generation, what: &str, on: bool, words: &[&str]) -> Answer {
    let server = find(settings, generation, words)?;
    match (what, on) {
        ("agent", true) if !server.state.settings().agent => {
            Err("Agent was not configured on this server, cannot enable.\n".into())
        }
        ("health", true) if !server.state.settings().checked => {
            Err("Health check was not configured on this server, cannot enable.\n".into())
        }
        ("agent", _) => {
            server.state.pause_agent(!on);
            Ok(String::new())
        }
        ("health", _) => {
            server.state.pause_checks(!on);
            Ok(String::new())
        }
        (_, _) => {
            if !on {
                server.administer(AdminState::Maint);
            } else if server.state.admin_by(false) == AdminState::Maint {
                server.administer(AdminState::Ready);
            }
            Ok(String::new())
        }
    }
}

/// `get weight BACKEND/SERVER`.
pub(super) fn get_weight(settings: &Settings, generation: &Generation, words: &[&str]) -> Answer {
    let server = find(settings, generation, words)?;
    Ok(format!("{} (initial {})\n", server.state.weight(), server.state.settings().weight))
}

/// `set weight BACKEND/SERVER WEIGHT[%]`.
pub(super) fn set_weight(settings: &Settings, generation: &Generation, words: &[&str]) -> Answer {
    find(settings, generation, words)?.set_weight(words.get(1).copied())
}

/// `set maxconn server BACKEND/SERVER LIMIT`.
pub(super) fn set_maxconn(settings: &Settings, generation: &Generation, words: &[&str]) -> Answer {
    let server = find(settings, generation, words)?;
    let limit = words.get(1).ok_or("Require <maxconn>.\n")?;
    let limit = match split_number(limit) {
        (None, _) => return Err("maxconn string empty or preceded by garbage".into()),
        (Some(number), "") => u32::try_from(number.max(0)).unwrap_or(u32::MAX),
        (Some(_), _) => return Err("Trailing garbage in maxconn string".into()),
    };
    server.backend.farm.set_maxconn(server.index, limit);
    Ok(String::new())
}

/// `shutdown sessions server BACKEND/SERVER`.
pub(super) fn shutdown_sessions(settings: &Settings, generation: &Generation, words: &[&str]) -> Answer {
    let server = find(settings, generation, words)?;
    server.apply(|subject, _| {
        subject.farm.shut_sessions(subject.index, Shut::Killed);
        Vec::new()
    });
    Ok(String::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_something_behind() {
        assert_eq!(split_number("50%"), (Some(50), "%"));
        assert_eq!(split_number("-1"), (Some(-1), ""));
        assert_eq!(split_number("5x"), (Some(5), "x"));
        assert_eq!(split_number("x"), (None, "x"));
        assert_eq!(split_number("-"), (None, "-"));
        assert_eq!(split_number("99999999999999999999"), (Some(i64::MAX), ""));
    }

    #[test]
    fn ports() {
        assert_eq!(parse_port("80"), Ok(80));
        assert_eq!(parse_port("99999"), Err("provided port is invalid".into()));
        assert_eq!(parse_port("x"), Err("provided port is not an integer".into()));
    }
}
