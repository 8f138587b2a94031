//! Commands that tell of the process itself: its variables, its environment, its runtime sockets.

use super::Settings;
use super::server::Answer;
use crate::clock;
use crate::generation::Generation;
use crate::proxy::settings::StatsLevel;
use std::fmt::Write as _;

/// The answer, if it is one of these commands.
pub(super) fn run(words: &[&str], level: StatsLevel, settings: &Settings, generation: &Generation) -> Option<Answer> {
    Some(match words {
        ["get", "var", rest @ ..] => variable(generation, rest),
        ["set", "var", rest @ ..] => set_variable(settings, generation, rest),
        ["show", "version", ..] => Ok(format!("{}\n", settings.process.stats(generation).version)),
        ["show", "backend", ..] => Ok(backends(generation)),
        ["show", "env", rest @ ..] => environment(rest),
        ["show", "cli", "level", ..] => Ok(format!("{}\n", called(level))),
        ["show", "cli", "sockets", ..] => Ok(sockets(settings)),
        _ => return None,
    })
}

fn called(level: StatsLevel) -> &'static str {
    match level {
        StatsLevel::User => "user",
        StatsLevel::Operator => "operator",
        StatsLevel::Admin => "admin",
    }
}

fn variable(generation: &Generation, words: &[&str]) -> Answer {
    let name = words.first().ok_or("Missing process-wide variable identifier.\n")?;
    let value = name.strip_prefix("proc.").and_then(|name| generation.global.variables.get(name));
    let value = value.ok_or("Variable not found.\n")?;
    let (kind, text) = (value.type_name(), value.into_text());
    // No line end of its own, as with haproxy.
    Ok(format!("{name}: type={kind} value=<{}>", String::from_utf8_lossy(&text)))
}

/// `set var NAME [expr] EXPRESSION`, `set var NAME fmt TEXT`
fn set_variable(settings: &Settings, generation: &Generation, words: &[&str]) -> Answer {
    if words.is_empty() {
        return Err("Missing process-wide variable identifier.\n".to_owned());
    }
    if words.len() < 2 {
        return Err("Missing either 'expr', 'fmt' or expression.\n".to_owned());
    }
    generation.perform(&settings.process.variable(generation, words)?, clock::date());
    Ok(String::new())
}

fn backends(generation: &Generation) -> String {
    let names = generation.backends.iter().map(|backend| format!("{}\n", backend.name()));
    format!("# name\n{}", names.collect::<String>())
}

fn environment(words: &[&str]) -> Answer {
    let mut out = String::new();
    let wanted = |name: &str| words.first().is_none_or(|word| *word == name);
    for (name, value) in std::env::vars_os() {
        let (name, value) = (name.to_string_lossy(), value.to_string_lossy());
        if wanted(&name) {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "{name}={value}");
        }
    }
    if out.is_empty() { Err("Variable not found\n".to_owned()) } else { Ok(out) }
}

fn sockets(settings: &Settings) -> String {
    let line = |(address, level): &(String, StatsLevel)| format!("{address} {} all\n", called(*level));
    let lines: String = settings.sockets.iter().map(line).collect();
    format!("# socket lvl processes\n{lines}")
}
