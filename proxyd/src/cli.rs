//! The runtime API (management.txt, 9.3): a socket that takes lines of commands and answers each in text.
//!
//! What works today: `show info`, `show stat` and `help`. A line may hold several commands, separated by `;`; every answer
//! ends with an empty line, and the connection ends after the line, as it does without `prompt`. Everything else is
//! answered as unknown.

mod show;

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::Socket;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio::task::spawn_local;
use tokio::time::timeout;

use crate::clock;
use crate::generation::Handle;
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
    /// `stats timeout`: how long a connection may idle.
    pub timeout: Duration,
    /// `stats maxconn`: connections at the same time over all sockets; more of them wait.
    pub connections: Semaphore,
}

/// Accepts on a listening socket for as long as its runtime lives.
pub async fn serve(socket: Socket, settings: Rc<Settings>) -> std::io::Result<()> {
    socket.set_nonblocking(true)?;
    if socket.local_addr()?.is_unix() {
        let listener = UnixListener::from_std(socket.into())?;
        loop {
            let (stream, _) = listener.accept().await?;
            spawn_local(converse(stream, Rc::clone(&settings)));
        }
    }
    let listener = TcpListener::from_std(socket.into())?;
    loop {
        let (stream, _) = listener.accept().await?;
        spawn_local(converse(stream, Rc::clone(&settings)));
    }
}

/// Answers one line. Whoever says nothing in time, says too much or leaves is let go without a word.
async fn converse(mut stream: impl AsyncRead + AsyncWrite + Unpin, settings: Rc<Settings>) {
    // The semaphore is never closed.
    let Ok(_place) = settings.connections.acquire().await else { return };
    let Ok(Some(line)) = timeout(settings.timeout, read_line(&mut stream)).await else { return };
    let answer = answer(&line, &settings);
    // A client that has left needs no answer.
    let _ = timeout(settings.timeout, stream.write_all(answer.as_bytes())).await;
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

/// The answers to all commands of a line.
fn answer(line: &str, settings: &Settings) -> String {
    let generation = settings.handle.load();
    let now_ms = milliseconds(clock::now().saturating_duration_since(settings.started));
    let mut out = String::new();
    for command in line.split(';') {
        let words: Vec<&str> = command.split_whitespace().collect();
        match words.as_slice() {
            [] => continue,
            ["show", "info"] => show::info(&mut out, &settings.process.stats(&generation), &generation, now_ms),
            ["show", "stat", filter @ ..] => show::stat(&mut out, filter, &generation, now_ms),
            ["help"] => out.push_str(HELP),
            _ => {
                out.push_str("Unknown command: '");
                out.push_str(command.trim());
                out.push_str("'. The following commands are valid at this level:\n");
                out.push_str(HELP);
            }
        }
        out.push('\n');
    }
    out
}

const HELP: &str = "  help                                    : this list\n  \
                      show info                               : report information about the running process\n  \
                      show stat [<iid|proxy> <type> <sid>]    : report counters for each proxy and server\n";
