//! A name server inside this process, on loopback: what each name is answered with can be changed at any time.

use anyhow::{Context, Result};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long it waits for a question before it looks whether it is still wanted.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Bytes of a question.
const QUESTION_MAX: usize = 512;
const A: u16 = 1;
const AAAA: u16 = 28;
const SRV: u16 = 33;

/// What a name is answered with.
#[derive(Clone, Debug)]
pub enum Reply {
    /// These addresses, each to questions of its kind.
    Addresses(Vec<IpAddr>),
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
}

type Zone = Arc<Mutex<HashMap<String, (Reply, usize)>>>;

/// It answers until it is dropped. Names that it does not know do not exist.
#[derive(Debug)]
pub struct NameServer {
    address: SocketAddr,
    zone: Zone,
    stop: Arc<AtomicBool>,
}

impl NameServer {
    /// Starts to answer, at a port of its own.
    pub fn start() -> Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0").context("a socket for the name server")?;
        socket.set_read_timeout(Some(LOOK_EVERY))?;
        let (address, zone, stop) = (socket.local_addr()?, Zone::default(), Arc::new(AtomicBool::new(false)));
        let (answers, stopped) = (Arc::clone(&zone), Arc::clone(&stop));
        std::thread::spawn(move || {
            let mut question = [0; QUESTION_MAX];
            while !stopped.load(Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut question) else { continue };
                if let Some(answer) = question.get(..length).and_then(|question| answer(question, &answers)) {
                    // Who has left needs no answer.
                    let _ = socket.send_to(&answer, from);
                }
            }
        });
        Ok(Self { address, zone, stop })
    }

    /// Where it is asked.
    pub fn address(&self) -> SocketAddr {
        self.address
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

fn answer(question: &[u8], zone: &Zone) -> Option<Vec<u8>> {
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
    match reply {
        Reply::Silence => return None,
        Reply::Failure(code) => flags |= u16::from(code),
        Reply::Cut => flags |= 0x200,
        Reply::Forged(said, bytes) => {
            count = Some(said);
            records.push(bytes);
        }
        Reply::Addresses(addresses) => {
            records.extend(
                addresses
                    .into_iter()
                    .map(address)
                    .filter(|(is, _)| *is == kind)
                    .map(|(is, data)| record(&[0xc0, 12], is, &data)),
            );
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
    Some(bytes)
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
