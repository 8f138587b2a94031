//! The runtime API (management.txt, 9.3): a socket that takes lines of commands and answers each in text.
//!
//! What works today stands in `HELP`. A line may hold several commands, separated by `;`; every answer
//! ends with an empty line, and the connection ends after the line, as it does without `prompt`. Everything else is
//! answered as unknown.

mod about;
mod cookie;
mod events;
mod patterns;
mod place;
mod server;
mod servers;
mod sessions;
mod show;
mod workers;

pub use workers::Workers;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::Socket;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio::task::spawn_local;
use tokio::time::timeout;

use crate::check::Checks;
use crate::clock;
use crate::generation::{Generation, Handle};
use crate::name_service::NameService;
use crate::proxy::Backend;
use crate::proxy::settings::StatsLevel;
use crate::stats::Clear;
use crate::stick::show::{Command, Verb};
use crate::worker::{Process, milliseconds};

/// Bytes of one line of commands; haproxy's limit is its buffer.
const LINE_MAX: usize = 16_384;

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
    /// Where it listens, and who may do what there.
    pub sockets: Vec<(String, StatsLevel)>,
    /// `stats maxconn`: connections at the same time over all sockets; more of them wait.
    pub connections: Semaphore,
}

/// Accepts on a listening socket for as long as its runtime lives.
pub async fn serve(socket: Socket, level: StatsLevel, settings: Rc<Settings>) -> std::io::Result<()> {
    socket.set_nonblocking(true)?;
    if socket.local_addr()?.is_unix() {
        let listener = UnixListener::from_std(socket.into())?;
        loop {
            let (stream, _) = listener.accept().await?;
            spawn_local(converse(stream, level, Rc::clone(&settings)));
        }
    }
    let listener = TcpListener::from_std(socket.into())?;
    loop {
        let (stream, _) = listener.accept().await?;
        spawn_local(converse(stream, level, Rc::clone(&settings)));
    }
}

/// Answers one line. Whoever says nothing in time, says too much or leaves is let go without a word.
async fn converse(mut stream: impl AsyncRead + AsyncWrite + Unpin, level: StatsLevel, settings: Rc<Settings>) {
    // The semaphore is never closed.
    let Ok(_place) = settings.connections.acquire().await else { return };
    let Ok(Some(line)) = timeout(settings.timeout, read_line(&mut stream)).await else { return };
    // A client that has left needs no answer.
    let _ = answer(&line, level, &settings, &mut stream).await;
}

/// Bytes up to a line feed or the client's end.
async fn read_line(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut line = Vec::new();
    while !line.contains(&b'\n') {
        if line.len() >= LINE_MAX {
            return None;
        }
        if stream.read_buf(&mut line).await.ok()? == 0 {
            break;
        }
    }
    let end = line.iter().position(|&byte| byte == b'\n').unwrap_or(line.len());
    Some(String::from_utf8_lossy(&line[..end]).into_owned())
}

/// Gives the answers to all commands of a line.
async fn answer(
    line: &str,
    level: StatsLevel,
    settings: &Settings,
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
) -> std::io::Result<()> {
    let mut out = String::new();
    for command in split(line, ';') {
        let generation = settings.handle.load();
        let words = words(&command);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        if words.is_empty() {
            continue;
        }
        if let ["show", "events", rest @ ..] = &*words {
            let answer = events::show(&generation, rest);
            // Who waits for events keeps no configuration in force.
            drop(generation);
            match answer {
                events::Answer::Text(text) => out.push_str(&text),
                events::Answer::Events(events) => {
                    timeout(settings.timeout, stream.write_all(out.as_bytes())).await??;
                    out.clear();
                    events.write(stream, settings.timeout).await?;
                }
            }
        } else if let Some(answer) = run(&words, level, settings, &generation).await {
            out.push_str(&answer);
        } else {
            out.push_str("Unknown command: '");
            out.push_str(command.trim());
            out.push_str("'. The following commands are valid at this level:\n");
            out.push_str(HELP);
        }
        out.push('\n');
    }
    timeout(settings.timeout, stream.write_all(out.as_bytes())).await?
}

/// The answer to one command; `None` if it is not known.
async fn run(words: &[&str], level: StatsLevel, settings: &Settings, generation: &Generation) -> Option<String> {
    if level < needed(words) {
        return Some("Permission denied\n".to_owned());
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
        [verb @ ("show" | "clear" | "set"), "table", words @ ..] => {
            let verb = match *verb {
                "show" => Verb::Show,
                "clear" => Verb::Clear,
                _ => Verb::Set,
            };
            Command { verb, words, operator: level >= StatsLevel::Operator, now_ms }.run(&generation.tables, &mut out);
            Ok(out)
        }
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
        ["help"] => Ok(HELP.to_owned()),
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
        _ => patterns::run(words, generation).or_else(|| about::run(words, level, settings, generation))?,
    };
    Some(answer.unwrap_or_else(|message| message))
}

/// Whom a command is for. Those on tables look at that themselves.
fn needed(words: &[&str]) -> StatsLevel {
    match words {
        ["clear", "counters", "all", ..]
        | ["set", "server" | "weight" | "maxconn", ..]
        | ["enable" | "disable", "agent" | "health" | "server", ..]
        | ["set", "dynamic-cookie-key", "backend", ..]
        | ["enable" | "disable", "dynamic-cookie", "backend", ..]
        | ["shutdown", "sessions", "server", ..]
        | ["shutdown", "session", ..] => StatsLevel::Admin,
        ["clear", "counters", ..]
        | ["show", "sess" | "startup-logs" | "env", ..]
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

/// The parts between separators; one behind a backslash separates nothing.
fn split(line: &str, separator: char) -> Vec<String> {
    let (mut parts, mut escaped) = (vec![String::new()], false);
    for character in line.chars() {
        if character == separator && !escaped {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(character);
        }
        escaped = character == '\\' && !escaped;
    }
    parts
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

const HELP: &str = "  add acl <acl> <pattern>                 : add a pattern to a file of an ACL\n  \
                      add map <map> <key> <value>             : add a line to a map\n  \
                      clear acl <acl>                         : remove all patterns of a file\n  \
                      clear counters [all]                    : forget the highest values of the statistics, or all\n  \
                      clear map <map>                         : remove all lines of a map\n  \
                      clear table <table> [<filter>]*         : remove entries of a stick table\n  \
                      del acl <acl> [<pattern>|#<ref>]        : remove a pattern\n  \
                      del map <map> [<key>|#<ref>]            : remove a line of a map\n  \
                      disable agent <srv>                     : disable agent checks\n  \
                      disable dynamic-cookie backend <bk>     : disable dynamic cookies on a specific backend\n  \
                      disable health <srv>                    : disable health checks\n  \
                      disable server <srv>                    : put a server into maintenance\n  \
                      enable agent <srv>                      : enable agent checks\n  \
                      enable dynamic-cookie backend <bk>      : enable dynamic cookies on a specific backend\n  \
                      enable health <srv>                     : enable health checks\n  \
                      enable server <srv>                     : take a server out of maintenance\n  \
                      get acl <acl> <value>                   : tell which pattern a value matches\n  \
                      get map <map> <value>                   : look a value up in a map\n  \
                      get var <name>                          : tell the value of a variable of the process\n  \
                      get weight <srv>                        : report a server's weight\n  \
                      help                                    : this list\n  \
                      publish backend <bk>                    : make a backend one that rules choose\n  \
                      set dynamic-cookie-key backend <bk> <k> : change a backend secret key for dynamic cookies\n  \
                      set map <map> [<key>|#<ref>] <value>    : change a value of a map\n  \
                      set maxconn server <srv> <limit>        : change a server's limit\n  \
                      set server <srv> <what> [args]          : change a server's state, weight, address or ssl\n  \
                      set table <table> key <k> [data.* <v>]* : update or create an entry of a stick table\n  \
                      set weight <srv> <weight>[%]            : change a server's weight\n  \
                      show acl [<acl>]                        : list the files of ACLs, or the patterns of one\n  \
                      show cli level                          : tell what may be done on this socket\n  \
                      show cli sockets                        : list the runtime sockets\n  \
                      show env [<var>]                        : show the process's environment\n  \
                      show events [<sink> [-w] [-n] [-0]]     : list the rings, or the messages of one\n  \
                      show info                               : report information about the running process\n  \
                      show map [<map>]                        : list the maps, or the lines of one\n  \
                      show resolvers [id]                     : dumps counters from all resolvers section and associated name servers\n  \
                      show servers conn [<backend>]           : dump connections of servers\n  \
                      show servers state [<backend>]          : dump states of servers\n  \
                      show sess [<id>|all]                    : list the sessions, or everything about one or all of them\n  \
                      show startup-logs                       : what was said about the configuration when it was read\n  \
                      show stat [<iid|proxy> <type> <sid>]    : report counters for each proxy and server\n  \
                      show table [<table> [<filter>]*]        : list stick tables, or the entries of one\n  \
                      shutdown session <id>                   : end a session\n  \
                      shutdown sessions server <srv>          : end all sessions of a server\n  \
                      unpublish backend <bk>                  : make a backend one that rules pass over\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backslash_keeps_words_and_commands_together() {
        assert_eq!(split("a; b\\;c ;", ';'), ["a", " b\\;c ", ""]);
        assert_eq!(words(" set  a\\ b\\\\ \\;\tc "), ["set", "a b\\", ";", "c"]);
        assert!(words("  ").is_empty());
    }
}
