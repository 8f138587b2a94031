//! A name server inside this process, on loopback: what each name is answered with can be changed at any time.

use anyhow::{Context, Result};
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long it waits for a question before it looks whether it is still wanted.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Bytes of a question.
const QUESTION_MAX: usize = 512;
const A: u16 = 1;
const CNAME: u16 = 5;
const AAAA: u16 = 28;
const SRV: u16 = 33;

/// What a name is answered with.
#[derive(Clone, Debug)]
pub enum Reply {
    /// These addresses, each to questions of its kind.
    Addresses(Vec<IpAddr>),
    /// The same after a while.
    Late(Duration, Vec<IpAddr>),
    /// The name leads to the first of these, each to the next, and the last to these addresses, whatever their kind.
    Aliases(Vec<String>, Vec<IpAddr>),
    /// Hosts of a service: share, port and name; and addresses that are told along.
    Service(Vec<(u16, u16, String)>, Vec<(String, IpAddr)>),
    /// A failure's code.
    Failure(u8),
    /// An answer that was cut.
    Cut,
    /// Nothing.
    Silence,
    /// Something that is no answer: these bytes where records should be, and how many records they are said to be.
    Forged(u16, Vec<u8>),
    /// Whatever this makes of an answer that leads to 127.0.0.9.
    Changed(fn(Vec<u8>) -> Vec<u8>),
}

type Zone = Arc<Mutex<HashMap<String, (Reply, usize)>>>;

/// It answers until it is dropped. Names that it does not know do not exist.
#[derive(Debug)]
pub struct NameServer {
    address: SocketAddr,
    zone: Zone,
    stop: Arc<AtomicBool>,
    streams: Arc<Streams>,
}

/// What is known of connections, and done to them.
#[derive(Debug, Default)]
struct Streams {
    accepted: AtomicUsize,
    /// Answers after which a connection is closed; 0: never.
    answers: AtomicUsize,
}

impl NameServer {
    /// Starts to answer datagrams, at a port of its own.
    pub fn start() -> Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0").context("a socket for the name server")?;
        socket.set_read_timeout(Some(LOOK_EVERY))?;
        let server = Self::at(socket.local_addr()?);
        let (answers, stopped, socket) = (Arc::clone(&server.zone), Arc::clone(&server.stop), Arc::new(socket));
        std::thread::spawn(move || {
            let mut question = [0; QUESTION_MAX];
            while !stopped.load(Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut question) else { continue };
                let socket = Arc::clone(&socket);
                respond(question.get(..length).unwrap_or_default(), &answers, move |answer| {
                    // Who has left needs no answer.
                    let _ = socket.send_to(&answer, from);
                });
            }
        });
        Ok(server)
    }

    /// Starts to answer over TCP, at a port of its own.
    pub fn start_tcp() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("a socket for the name server")?;
        let server = Self::at(listener.local_addr()?);
        server.accept(move || {
            let (stream, _) = listener.accept().ok()?;
            Some((stream.try_clone().ok()?, stream))
        });
        Ok(server)
    }

    /// Starts to answer over a unix socket of this path.
    pub fn start_unix(path: &Path) -> Result<Self> {
        let listener = UnixListener::bind(path).context("a socket for the name server")?;
        let server = Self::at((Ipv4Addr::UNSPECIFIED, 0).into());
        server.accept(move || {
            let (stream, _) = listener.accept().ok()?;
            Some((stream.try_clone().ok()?, stream))
        });
        Ok(server)
    }

    fn at(address: SocketAddr) -> Self {
        Self { address, zone: Zone::default(), stop: Arc::default(), streams: Arc::default() }
    }

    /// Answers on connections, of each of which `next` gives both ends.
    fn accept<S: Read + Write + Send + 'static>(&self, next: impl Fn() -> Option<(S, S)> + Send + 'static) {
        let (zone, stop, streams) = (Arc::clone(&self.zone), Arc::clone(&self.stop), Arc::clone(&self.streams));
        std::thread::spawn(move || {
            // Who connects after its end finds nobody.
            while let Some((reader, writer)) = next().filter(|_| !stop.load(Ordering::Relaxed)) {
                streams.accepted.fetch_add(1, Ordering::SeqCst);
                let (zone, streams) = (Arc::clone(&zone), Arc::clone(&streams));
                std::thread::spawn(move || converse(reader, writer, &zone, &streams));
            }
        });
    }

    /// Where it is asked.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections it has had.
    pub fn connections(&self) -> usize {
        self.streams.accepted.load(Ordering::SeqCst)
    }

    /// It closes connections after so many answers.
    pub fn close_after(&self, answers: usize) {
        self.streams.answers.store(answers, Ordering::SeqCst);
    }

    /// From now on a name is answered with this.
    pub fn set(&self, name: &str, reply: Reply) {
        let mut zone = self.zone.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = zone.get(name).map_or(0, |(_, asked)| *asked);
        zone.insert(name.to_owned(), (reply, asked));
    }

    /// A name that leads to these addresses.
    pub fn set_addresses(&self, name: &str, addresses: &[&str]) {
        self.set(name, Reply::Addresses(addresses.iter().filter_map(|text| text.parse().ok()).collect()));
    }

    /// How often a name was asked for.
    pub fn asked(&self, name: &str) -> usize {
        self.zone.lock().unwrap_or_else(PoisonError::into_inner).get(name).map_or(0, |(_, asked)| *asked)
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Answers what is asked over a connection, each question by itself: a late answer keeps none behind it.
fn converse<S: Read + Write + Send + 'static>(mut reader: S, writer: S, zone: &Zone, streams: &Streams) {
    let writer = Arc::new(Mutex::new(writer));
    let mut answered = 0;
    let mut length = [0; 2];
    while reader.read_exact(&mut length).is_ok() {
        let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
        if reader.read_exact(&mut question).is_err() {
            return;
        }
        let writer = Arc::clone(&writer);
        respond(&question, zone, move |answer| {
            let length = u16::try_from(answer.len()).unwrap_or(u16::MAX);
            let framed = [&length.to_be_bytes()[..], &answer].concat();
            // Who has left needs no answer.
            let _ = writer.lock().unwrap_or_else(PoisonError::into_inner).write_all(&framed);
        });
        answered += 1;
        if answered == streams.answers.load(Ordering::SeqCst) {
            return;
        }
    }
}

/// Sends the answer to a question, now or later.
fn respond(question: &[u8], zone: &Zone, send: impl FnOnce(Vec<u8>) + Send + 'static) {
    let Some((delay, answer)) = answer(question, zone) else { return };
    match delay {
        Duration::ZERO => send(answer),
        delay => {
            std::thread::spawn(move || {
                #[expect(clippy::disallowed_methods, reason = "that it takes its time is what the answer is for")]
                std::thread::sleep(delay);
                send(answer);
            });
        }
    }
}

/// The name of a question, and where it ends.
fn name_of(question: &[u8]) -> Option<(String, usize)> {
    let (mut labels, mut at) = (Vec::new(), 12);
    loop {
        let length = usize::from(*question.get(at)?);
        at += 1;
        if length == 0 {
            return Some((labels.join("."), at));
        }
        labels.push(String::from_utf8_lossy(question.get(at..at + length)?).to_lowercase());
        at += length;
    }
}

/// The answer to a question, and how long it takes.
fn answer(question: &[u8], zone: &Zone) -> Option<(Duration, Vec<u8>)> {
    let (name, end) = name_of(question)?;
    let kind = u16::from_be_bytes([*question.get(end)?, *question.get(end + 1)?]);
    let reply = {
        let mut zone = zone.lock().unwrap_or_else(PoisonError::into_inner);
        match zone.get_mut(&name) {
            Some((reply, asked)) => {
                *asked += 1;
                reply.clone()
            }
            None => Reply::Failure(3),
        }
    };
    let (mut records, mut told, mut flags) = (Vec::new(), Vec::new(), 0x8180_u16);
    let mut count = None;
    let mut delay = Duration::ZERO;
    let mut change: fn(Vec<u8>) -> Vec<u8> = |answer| answer;
    match reply {
        Reply::Silence => return None,
        Reply::Failure(code) => flags |= u16::from(code),
        Reply::Cut => flags |= 0x200,
        Reply::Forged(said, bytes) => {
            count = Some(said);
            records.push(bytes);
        }
        Reply::Addresses(addresses) => records.extend(of_kind(addresses, kind)),
        Reply::Late(after, addresses) => {
            delay = after;
            records.extend(of_kind(addresses, kind));
        }
        Reply::Aliases(names, addresses) => {
            let mut owner = wire(&name);
            for next in names {
                records.push(record(&owner, CNAME, &wire(&next)));
                owner = wire(&next);
            }
            records.extend(addresses.into_iter().map(address).map(|(is, data)| record(&owner, is, &data)));
        }
        Reply::Changed(by) => {
            change = by;
            records.push(record(&[0xc0, 12], A, &[127, 0, 0, 9]));
        }
        Reply::Service(hosts, addresses) if kind == SRV => {
            records.extend(hosts.iter().map(|(share, port, host)| {
                let data = [&[0, 1][..], &share.to_be_bytes(), &port.to_be_bytes(), &wire(host)].concat();
                record(&[0xc0, 12], SRV, &data)
            }));
            told.extend(addresses.into_iter().map(|(host, ip)| {
                let (is, data) = address(ip);
                record(&wire(&host), is, &data)
            }));
        }
        Reply::Service(..) => {}
    }
    let number = |list: &[Vec<u8>]| u16::try_from(list.len()).unwrap_or(u16::MAX);
    let mut bytes = question.get(..2)?.to_vec();
    for number in [flags, 1, count.unwrap_or_else(|| number(&records)), 0, number(&told)] {
        bytes.extend(number.to_be_bytes());
    }
    bytes.extend(question.get(12..end + 4)?);
    bytes.extend(records.concat());
    bytes.extend(told.concat());
    Some((delay, change(bytes)))
}

fn of_kind(addresses: Vec<IpAddr>, kind: u16) -> impl Iterator<Item = Vec<u8>> {
    let records = addresses.into_iter().map(address).filter(move |(is, _)| *is == kind);
    records.map(|(is, data)| record(&[0xc0, 12], is, &data))
}

fn address(ip: IpAddr) -> (u16, Vec<u8>) {
    match ip {
        IpAddr::V4(ip) => (A, ip.octets().to_vec()),
        IpAddr::V6(ip) => (AAAA, ip.octets().to_vec()),
    }
}

/// A name as labels.
fn wire(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).unwrap_or(0));
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

fn record(owner: &[u8], kind: u16, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap_or(0);
    [owner, &kind.to_be_bytes(), &[0, 1, 0, 0, 0, 1], &length.to_be_bytes(), data].concat()
}
