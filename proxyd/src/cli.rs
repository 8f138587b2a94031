//! The runtime API (management.txt, 9.3): a socket that takes lines of commands and answers each in text.
//!
//! What works today stands in [`help`]. A line may hold several commands, separated by `;`; every answer ends with an empty
//! line, and the connection ends after the line unless `prompt` is on. Everything else is answered as unknown.

mod about;
mod cookie;
mod dialogue;
mod errors;
mod events;
mod frontend;
mod help;
mod patterns;
mod place;
mod server;
mod servers;
mod sessions;
mod severity;
mod show;
mod workers;

pub use dialogue::PAYLOAD_MAX;
pub use workers::Workers;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::Socket;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio::task::spawn_local;
use tokio::time::timeout;

use crate::check::Checks;
use crate::clock;
use crate::generation::{Generation, Handle};
use crate::name_service::NameService;
use crate::proxy::Backend;
use crate::proxy::settings::{RuntimeAccess, StatsLevel};
use crate::stats::Clear;
use crate::stick;
use crate::stick::show::Verb;
use crate::worker::{Process, milliseconds};
use dialogue::{Command, Dialogue};
use server::Answer;
use severity::Said;

/// What is told to those who may not do something.
const DENIED: &str = "Permission denied\n";

/// What commands look at, and how connections are treated.
#[derive(Debug)]
pub struct Settings {
    /// The generation in force.
    pub handle: Handle,
    /// The process's own figures.
    pub process: Arc<dyn Process>,
    /// When the process started.
    pub started: Instant,
    /// The health checks of that generation.
    pub checks: Rc<RefCell<Checks>>,
    /// Who is asked where servers are.
    pub names: RefCell<NameService>,
    /// Who is asked what sessions are doing, and told to forget counters.
    pub workers: Workers,
    /// `stats timeout`: how long a connection may idle.
    pub timeout: Duration,
    /// `tune.cli.max-payload-size`: bytes that may come with a command.
    pub payload_max: usize,
    /// Where it listens, and who may do what there.
    pub sockets: Vec<(String, StatsLevel)>,
    /// `stats maxconn`: connections at the same time over all sockets; more of them wait.
    pub connections: Semaphore,
}

/// Accepts on a listening socket for as long as its runtime lives.
pub async fn serve(socket: Socket, access: RuntimeAccess, settings: Rc<Settings>) -> std::io::Result<()> {
    socket.set_nonblocking(true)?;
    if socket.local_addr()?.is_unix() {
        let listener = UnixListener::from_std(socket.into())?;
        loop {
            let (stream, _) = listener.accept().await?;
            spawn_local(converse(stream, access, Rc::clone(&settings)));
        }
    }
    let listener = TcpListener::from_std(socket.into())?;
    loop {
        let (stream, _) = listener.accept().await?;
        spawn_local(converse(stream, access, Rc::clone(&settings)));
    }
}

/// Talks with one client. Whoever says nothing in time, says too much or leaves is let go without a word.
async fn converse(mut stream: impl AsyncRead + AsyncWrite + Unpin, access: RuntimeAccess, settings: Rc<Settings>) {
    // The semaphore is never closed.
    let Ok(_place) = settings.connections.acquire().await else { return };
    // A client that has left needs no answer.
    let _ = Dialogue::new(access, settings.timeout, settings.payload_max).lead(&mut stream, &settings).await;
}

/// Gives the answer to a command.
async fn answer(
    command: &Command,
    dialogue: &mut Dialogue,
    settings: &Settings,
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
) -> std::io::Result<()> {
    let generation = settings.handle.load();
    let words: Vec<&str> = command.words.iter().map(String::as_str).collect();
    let said = match &*words {
        ["show", "events", rest @ ..] => {
            let answer = events::show(&generation, rest);
            // Who waits for events keeps no configuration in force.
            drop(generation);
            match answer {
                events::Answer::Text(text) => Said::of(&words, text),
                events::Answer::Events(events) => {
                    events.write(stream, dialogue.patience()).await?;
                    Said::of(&words, Ok(String::new()))
                }
            }
        }
        ["wait", rest @ ..] => {
            drop(generation);
            Said::of(&words, dialogue::wait(rest).await)
        }
        _ => {
            let known = run(&words, command.payload.as_deref(), dialogue, settings, &generation).await;
            known.map_or_else(|| Said::unknown(command.text.trim()), |answer| Said::of(&words, answer))
        }
    };
    let out = said.written(dialogue.severity());
    timeout(dialogue.patience(), stream.write_all(out.as_bytes())).await?
}

/// The answer to one command, or a complaint; `None` if it is not known.
async fn run(
    words: &[&str],
    payload: Option<&str>,
    dialogue: &mut Dialogue,
    settings: &Settings,
    generation: &Generation,
) -> Option<Answer> {
    let level = dialogue.level();
    if level < needed(words) {
        return Some(Err(DENIED.to_owned()));
    }
    if let Some(answer) = dialogue.own(words) {
        return Some(answer);
    }
    let now_ms = milliseconds(clock::now().saturating_duration_since(settings.started));
    let mut out = String::new();
    let answer = match words {
        ["show", "info"] => {
            show::info(&mut out, &settings.process.stats(generation), generation, (settings.workers.cleared(), now_ms));
            Ok(out)
        }
        ["show", "stat", filter @ ..] => {
            show::stat(&mut out, filter, generation, now_ms);
            Ok(out)
        }
        ["show", "servers", "state", rest @ ..] => {
            servers::state(generation, &settings.checks.borrow(), rest.first().copied(), now_ms)
        }
        ["show", "servers", "conn", rest @ ..] => servers::connections(generation, rest.first().copied()),
        ["get", "weight", rest @ ..] => server::get_weight(settings, generation, rest),
        ["show", "table", words @ ..] => table(Verb::Show, words, level, generation, now_ms),
        ["clear", "table", words @ ..] => table(Verb::Clear, words, level, generation, now_ms),
        ["set", "table", words @ ..] => table(Verb::Set, words, level, generation, now_ms),
        ["show", "errors", rest @ ..] => errors::show(generation, rest),
        ["show", "resolvers", rest @ ..] => place::resolvers(settings, rest.first().copied()),
        ["clear", "counters", rest @ ..] => {
            let what = if rest.first() == Some(&"all") { Clear::All } else { Clear::Highest };
            settings.workers.clear(generation, what).await;
            if what == Clear::All {
                settings.names.borrow().clear_counters();
            }
            Ok(out)
        }
        ["show", "startup-logs", ..] if generation.startup_logs.is_empty() => Ok("\n".to_owned()),
        ["show", "startup-logs", ..] => Ok(generation.startup_logs.clone()),
        ["show", "sess", rest @ ..] => sessions::show(settings, rest.first().copied()).await,
        ["help", rest @ ..] => Ok(help::list(rest)),
        [word @ ("publish" | "unpublish"), "backend", rest @ ..] => publish(generation, *word == "publish", rest),
        ["set", "server", rest @ ..] => server::set(settings, generation, rest),
        ["set", "weight", rest @ ..] => server::set_weight(settings, generation, rest),
        ["set", "maxconn", "server", rest @ ..] => server::set_maxconn(settings, generation, rest),
        [word @ ("enable" | "disable"), what @ ("agent" | "health" | "server"), rest @ ..] => {
            server::enable(settings, generation, what, *word == "enable", rest)
        }
        ["set", "dynamic-cookie-key", "backend", rest @ ..] => {
            cookie::change(settings, generation, rest, &cookie::Order::SetKey)
        }
        [word @ ("enable" | "disable"), "dynamic-cookie", "backend", rest @ ..] => {
            cookie::change(settings, generation, rest, &cookie::Order::Enable(*word == "enable"))
        }
        ["shutdown", "sessions", "server", rest @ ..] => server::shutdown_sessions(settings, generation, rest),
        ["shutdown", "session", rest @ ..] => sessions::shutdown(settings, rest.first().copied()).await,
        _ => match frontend::run(words, settings, generation).await {
            Some(answer) => answer,
            None => {
                patterns::run(words, payload, generation).or_else(|| about::run(words, level, settings, generation))?
            }
        },
    };
    Some(answer)
}

/// A command on stick-tables.
fn table(verb: Verb, words: &[&str], level: StatsLevel, generation: &Generation, now_ms: u64) -> Answer {
    let command = stick::show::Command { verb, words, operator: level >= StatsLevel::Operator, now_ms };
    let mut out = String::new();
    if command.run(&generation.tables, &mut out) { Ok(out) } else { Err(out) }
}

/// Whom a command is for. Those on tables look at that themselves.
fn needed(words: &[&str]) -> StatsLevel {
    match words {
        ["clear", "counters", "all", ..]
        | ["set", "server" | "weight" | "maxconn" | "rate-limit", ..]
        | ["enable" | "disable", "agent" | "health" | "server" | "frontend", ..]
        | ["set", "dynamic-cookie-key", "backend", ..]
        | ["enable" | "disable", "dynamic-cookie", "backend", ..]
        | ["shutdown", "sessions", "server", ..]
        | ["shutdown", "session" | "frontend", ..]
        | ["experimental-mode" | "expert-mode", ..] => StatsLevel::Admin,
        ["clear", "counters", ..]
        | ["show", "sess" | "startup-logs" | "env" | "errors", ..]
        | ["get", "var", ..]
        | ["publish" | "unpublish", "backend", ..] => StatsLevel::Operator,
        _ => StatsLevel::User,
    }
}

/// A backend by its name, or by its number after `#`.
fn find_backend<'a>(generation: &'a Generation, name: &str) -> Option<&'a Arc<Backend>> {
    let is_it = |backend: &&Arc<Backend>| match name.strip_prefix('#') {
        Some(id) => id.parse() == Ok(backend.section.id),
        None => backend.name() == name,
    };
    generation.backends.iter().find(is_it)
}

/// `publish backend` and `unpublish backend`: whether rules may choose it.
fn publish(generation: &Generation, published: bool, words: &[&str]) -> server::Answer {
    let name = words.first().ok_or("A backend name is expected.\n")?;
    let backend = find_backend(generation, name).ok_or("No such backend.\n")?;
    backend.published.set(published);
    Ok(format!("Backend {}.\n", if published { "published" } else { "unpublished" }))
}

fn or_none(text: Option<&str>) -> &str {
    text.unwrap_or("(null)")
}

/// The words of a command; a backslash makes the next character an ordinary one.
fn words(command: &str) -> Vec<String> {
    let (mut words, mut word, mut escaped) = (Vec::new(), None::<String>, false);
    for character in command.chars() {
        if escaped || !(character.is_whitespace() || character == '\\') {
            word.get_or_insert_default().push(character);
            escaped = false;
        } else if character == '\\' {
            escaped = true;
        } else {
            words.extend(word.take());
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backslash_keeps_words_and_commands_together() {
        assert_eq!(words(" set  a\\ b\\\\ \\;\tc "), ["set", "a b\\", ";", "c"]);
        assert!(words("  ").is_empty());
    }
}
