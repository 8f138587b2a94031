//! A load of HTTP requests from a host's network that knows exactly what became of each.

use crate::clock;
use crate::netns::Netns;
use crate::wait;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a connection may take; short, so that the end of an outage is seen at once.
const CONNECT_BOUND: Duration = Duration::from_millis(100);
/// How long an answer may take.
const ANSWER_BOUND: Duration = Duration::from_secs(1);
/// The pause of one client between an answer and its next request, or after a failed connection.
const THINK: Duration = Duration::from_millis(4);
/// The largest answer that is read, in bytes.
const BODY_MAX: usize = 64 << 10;

/// What became of the requests since the last [`Load::take`].
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Answered with 200, by the body's first line: the server that answered.
    pub answered: BTreeMap<String, u64>,
    /// Sent, but the answer did not come or not wholly: these were in flight on a process that died.
    pub cut: u64,
    /// Sent on a connection that had been used before and turned out dead, or silent for [`ANSWER_BOUND`], without a whole
    /// answer; sent again on a new one, as every HTTP client does with a GET (RFC 9110, 9.2.2). Not a failure.
    pub sent_again: u64,
    /// Nobody took the connection; the request was not sent.
    pub not_connected: u64,
    /// Answered, but not with what the server says.
    pub wrong: Vec<String>,
    /// The longest time without any good answer.
    pub longest_gap: Duration,
}

impl Tally {
    /// All good answers.
    pub fn total(&self) -> u64 {
        self.answered.values().sum()
    }
}

#[derive(Debug)]
struct Shared {
    stop: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    tally: Tally,
    last_good: Instant,
}

/// Clients that ask in a loop until dropped.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<anyhow::Result<()>>>,
}

impl Load {
    /// `clients` keep-alive clients in a network; each asks for the `paths` in turn.
    pub fn start(netns: &Netns, target: SocketAddr, clients: usize, paths: &'static [&'static str]) -> Self {
        let state = State { tally: Tally::default(), last_good: clock::now() };
        let shared = Arc::new(Shared { stop: AtomicBool::new(false), state: Mutex::new(state) });
        let clients = (0..clients)
            .map(|number| {
                let shared = Arc::clone(&shared);
                netns.spawn(move || ask(&shared, target, paths.iter().copied().cycle().skip(number)))
            })
            .collect();
        Self { shared, clients }
    }

    /// What happened until now, without ending the count.
    pub fn look(&self) -> Tally {
        self.with(|state| {
            let mut tally = state.tally.clone();
            tally.longest_gap = tally.longest_gap.max(state.last_good.elapsed());
            tally
        })
    }

    /// What happened since the last call, and begins to count anew.
    pub fn take(&self) -> Tally {
        self.with(|state| std::mem::take(&mut state.tally))
    }

    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.shared.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        for client in self.clients.drain(..) {
            let _ = client.join();
        }
    }
}

/// What became of one request.
enum Outcome {
    Good(String),
    Wrong(String),
    Cut,
}

fn ask(shared: &Shared, target: SocketAddr, mut paths: impl Iterator<Item = &'static str>) {
    let mut kept: Option<BufReader<TcpStream>> = None;
    while let (false, Some(path)) = (shared.stop.load(Ordering::Relaxed), paths.next()) {
        request(shared, target, path, &mut kept);
        wait::pause(THINK);
    }
}

/// One request from first try to its end; `kept` is the connection from the request before, and for the next.
fn request(shared: &Shared, target: SocketAddr, path: &str, kept: &mut Option<BufReader<TcpStream>>) {
    let mut sent_again = 0;
    let outcome = loop {
        let reused = kept.is_some();
        let Some(connection) = kept.take().or_else(|| connect(target)) else { break None };
        match exchange(connection, path) {
            (Outcome::Good(name), connection) => {
                *kept = connection;
                break Some(Outcome::Good(name));
            }
            (Outcome::Cut, _) if reused => sent_again += 1,
            (outcome, _) => break Some(outcome),
        }
    };
    let mut state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
    let now = clock::now();
    state.tally.sent_again += sent_again;
    match outcome {
        None => state.tally.not_connected += 1,
        Some(Outcome::Cut) => state.tally.cut += 1,
        Some(Outcome::Wrong(what)) => state.tally.wrong.push(what),
        Some(Outcome::Good(name)) => {
            *state.tally.answered.entry(name).or_default() += 1;
            let gap = now.saturating_duration_since(state.last_good);
            state.tally.longest_gap = state.tally.longest_gap.max(gap);
            state.last_good = now;
        }
    }
}

fn connect(target: SocketAddr) -> Option<BufReader<TcpStream>> {
    let connection = TcpStream::connect_timeout(&target, CONNECT_BOUND).ok()?;
    connection.set_nodelay(true).ok()?;
    connection.set_read_timeout(Some(ANSWER_BOUND)).ok()?;
    connection.set_write_timeout(Some(ANSWER_BOUND)).ok()?;
    Some(BufReader::new(connection))
}

/// Sends a request and reads its answer; gives the connection back when it can be used again.
fn exchange(mut connection: BufReader<TcpStream>, path: &str) -> (Outcome, Option<BufReader<TcpStream>>) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: service.example\r\n\r\n");
    if connection.get_mut().write_all(request.as_bytes()).is_err() {
        return (Outcome::Cut, None);
    }
    match answer(&mut connection) {
        Ok((status, close, body)) if status.starts_with("HTTP/1.1 200") => {
            (Outcome::Good(body.trim_end().to_owned()), (!close).then_some(connection))
        }
        Ok((status, ..)) => (Outcome::Wrong(status), None),
        Err(error) if error.kind() == ErrorKind::InvalidData => (Outcome::Wrong(error.to_string()), None),
        Err(_) => (Outcome::Cut, None),
    }
}

/// The status line, whether the connection ends, and the body.
fn answer(reader: &mut impl BufRead) -> std::io::Result<(String, bool, String)> {
    let invalid = |text: &str| std::io::Error::new(ErrorKind::InvalidData, text.to_owned());
    let read_line = |reader: &mut dyn BufRead| -> std::io::Result<String> {
        let mut line = String::new();
        match reader.read_line(&mut line)? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            _ => Ok(line.trim_end().to_owned()),
        }
    };
    let status = read_line(reader)?;
    let (mut length, mut close) = (None, false);
    loop {
        let line = read_line(reader)?.to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse::<usize>().ok();
        }
        close |= line == "connection: close";
    }
    let length = length.filter(|&n| n <= BODY_MAX).ok_or_else(|| invalid("an answer without a usable length"))?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok((status, close, String::from_utf8_lossy(&body).into_owned()))
}
