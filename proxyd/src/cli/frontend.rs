//! Commands on frontends, and on the limits of the whole process.

use std::sync::Arc;

use super::Settings;
use super::server::Answer;
use crate::generation::Generation;
use crate::proxy::frontend::{AcceptState, Frontend};

/// What is told of `set rate-limit` that is not understood.
const RATE_LIMITS: &str = "'set rate-limit' only supports :\n   \
    - 'connections global' to set the per-process maximum connection rate\n   \
    - 'sessions global' to set the per-process maximum session rate\n   \
    - 'ssl-sessions global' to set the per-process maximum SSL session rate\n   \
    - 'http-compression global' to set the per-process maximum compression speed in kB/s\n";

/// The answer, if it is one of these commands. When it is given, what the command changed is in force.
pub(super) async fn run(words: &[&str], settings: &Settings, generation: &Generation) -> Option<Answer> {
    let answer = change(words, settings, generation)?;
    if answer.is_ok() {
        settings.workers.update().await;
    }
    Some(answer)
}

fn change(words: &[&str], settings: &Settings, generation: &Generation) -> Option<Answer> {
    Some(match words {
        ["disable", "frontend", rest @ ..] => accept(settings, generation, rest, AcceptState::Paused),
        ["enable", "frontend", rest @ ..] => accept(settings, generation, rest, AcceptState::Open),
        ["shutdown", "frontend", rest @ ..] => accept(settings, generation, rest, AcceptState::Stopped),
        ["set", "maxconn", "frontend", rest @ ..] => set_maxconn(generation, rest),
        ["set", "maxconn", "global", rest @ ..] => set_global_maxconn(generation, rest.first().copied()),
        ["set", "rate-limit", rest @ ..] => set_rate_limit(generation, rest),
        _ => return None,
    })
}

/// A frontend by its name, or by its number after `#`.
fn find<'g>(generation: &'g Generation, words: &[&str]) -> Result<&'g Arc<Frontend>, &'static str> {
    let name = words.first().ok_or("A frontend name is expected.\n")?;
    let is_it = |frontend: &&Arc<Frontend>| match name.strip_prefix('#') {
        Some(id) => id.parse() == Ok(frontend.section.id),
        None => frontend.name() == *name,
    };
    generation.frontends.iter().find(is_it).ok_or("No such frontend.\n")
}

fn accept(settings: &Settings, generation: &Generation, words: &[&str], wanted: AcceptState) -> Answer {
    let frontend = find(generation, words)?;
    let is = if frontend.section.disabled { AcceptState::Stopped } else { frontend.accepting.get() };
    let refused = match (is, wanted) {
        (AcceptState::Stopped, AcceptState::Stopped) => "Frontend was already shut down.\n",
        (AcceptState::Stopped, AcceptState::Open) => "Frontend was previously shut down, cannot enable.\n",
        (AcceptState::Stopped, AcceptState::Paused) => "Frontend was previously shut down, cannot disable.\n",
        (AcceptState::Open, AcceptState::Open) => "All sockets are already enabled.\n",
        (AcceptState::Paused, AcceptState::Paused) => "All sockets are already disabled.\n",
        (AcceptState::Open | AcceptState::Paused, _) => {
            settings.process.accept(frontend, wanted);
            return Ok(String::new());
        }
    };
    Err(refused.to_owned())
}

fn set_maxconn(generation: &Generation, words: &[&str]) -> Answer {
    let frontend = find(generation, words)?;
    let limit = number(words.get(1).ok_or("Integer value expected.\n")?);
    frontend.maxconn.set(u64::try_from(limit).map_err(|_| "Value out of range.\n")?);
    Ok(String::new())
}

/// None at all, or less, is what the process began with.
fn set_global_maxconn(generation: &Generation, word: Option<&str>) -> Answer {
    let (global, limit) = (&generation.global, number(word.ok_or("Expects an integer value.\n")?));
    let limit = u64::try_from(limit).ok().filter(|limit| *limit > 0).unwrap_or(global.hard_maxconn);
    if limit > global.hard_maxconn {
        return Err("Value out of range.\n".to_owned());
    }
    global.maxconn.set(limit);
    Ok(String::new())
}

fn set_rate_limit(generation: &Generation, words: &[&str]) -> Answer {
    let [what, "global", rest @ ..] = words else { return Err(RATE_LIMITS.to_owned()) };
    let limit = match *what {
        "connections" => &generation.global.connection_rate,
        "sessions" => &generation.global.session_rate,
        "ssl-sessions" => return Err("There are no SSL sessions to limit.\n".to_owned()),
        "http-compression" => return Err("There is no compression to limit.\n".to_owned()),
        _ => return Err(RATE_LIMITS.to_owned()),
    };
    let wanted = number(rest.first().ok_or("Expects an integer value.\n")?);
    limit.set(u64::try_from(wanted).map_err(|_| "Value out of range.\n")?);
    Ok(String::new())
}

/// As C reads it: the number that a word begins with, or 0.
fn number(word: &str) -> i64 {
    super::server::split_number(word).0.unwrap_or(0)
}
