//! The two kinds of netlink sockets: one asks and waits for the answer, the other listens to what changes.
//!
//! The kernel answers a request before the call that sends it returns, so asking does not block the loop.

use super::frame::{Answer, Frame, HEADER, Refusal, frames};
use crate::sys;
use nix::sys::socket::{AddressFamily, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, getsockname, socket};
use socket2::Socket;
use std::collections::HashSet;
use std::io::{self, Read as _};
use std::os::fd::AsRawFd;
use std::time::Duration;
use tokio::io::unix::AsyncFd;

/// `NLM_F_REQUEST`
pub const REQUEST: u16 = 1;
/// `NLM_F_ACK`
pub const ACKNOWLEDGE: u16 = 4;
/// `NLM_F_REPLACE`, of requests that make something.
pub const REPLACE: u16 = 0x100;
/// `NLM_F_EXCL`
pub const EXCLUSIVE: u16 = 0x200;
/// `NLM_F_CREATE`
pub const CREATE: u16 = 0x400;
/// `NLM_F_APPEND`
pub const APPEND: u16 = 0x800;
/// `NLM_F_DUMP`
pub const DUMP: u16 = 0x300;
/// Largest datagram that is read; the kernel fills at most half of it.
const DATAGRAM_MAX: usize = 65_536;
/// Octets of reports that may wait while the loop is busy.
const MONITOR_BUFFER: usize = 4 << 20;
/// Octets of requests sent at once.
const BATCH_BUFFER: usize = 4 << 20;
/// After this the kernel has lost an answer.
const ANSWER_WAIT: Duration = Duration::from_secs(5);

/// Asks and waits for answers.
#[derive(Debug)]
pub struct Channel {
    socket: Socket,
    port: u32,
    sequence: u32,
    buffer: Vec<u8>,
}

/// Listens.
#[derive(Debug)]
pub struct Monitor {
    socket: AsyncFd<Socket>,
    buffer: Vec<u8>,
}

/// What a monitor heard.
#[derive(Debug)]
pub enum Heard<'a> {
    /// A datagram of reports.
    Datagram(&'a [u8]),
    /// The kernel had more to say than there was room for.
    Overrun,
}

fn open(protocol: SockProtocol, groups: u32) -> io::Result<Socket> {
    let fd = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
    bind(fd.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
    Ok(Socket::from(fd))
}

impl Channel {
    /// To rtnetlink, netfilter and so on.
    pub fn open(protocol: SockProtocol) -> io::Result<Self> {
        let socket = open(protocol, 0)?;
        socket.set_read_timeout(Some(ANSWER_WAIT))?;
        socket.set_send_buffer_size(BATCH_BUFFER)?;
        sys::enable_netlink(&socket, sys::NetlinkOption::ExtendedAck)?;
        sys::enable_netlink(&socket, sys::NetlinkOption::CapAck)?;
        let port = getsockname::<NetlinkAddr>(socket.as_raw_fd())?.pid();
        Ok(Self { socket, port, sequence: 0, buffer: vec![0; DATAGRAM_MAX] })
    }

    /// The port by which reports of what was asked here can be told from others.
    pub fn port(&self) -> u32 {
        self.port
    }

    /// Asks for something to be done.
    pub fn request(&mut self, message: &mut [u8]) -> Result<(), Refusal> {
        self.ask(message, &mut |_| {})
    }

    /// Asks for a list; each part of the answer is handed to `take`.
    pub fn ask(&mut self, message: &mut [u8], take: &mut dyn FnMut(&Frame<'_>)) -> Result<(), Refusal> {
        let number = self.number(message);
        self.socket.send(message).map_err(|error| Refusal::of(&error))?;
        self.answer(number, take)
    }

    /// Sends several messages in one datagram, of which those that ask for it are acknowledged.
    pub fn batch(&mut self, messages: &mut [Vec<u8>]) -> Result<(), Refusal> {
        let first = self.sequence.wrapping_add(1);
        let mut datagram = Vec::new();
        let mut awaited = Vec::new();
        for message in messages {
            let number = self.number(message);
            if flags_of(message) & ACKNOWLEDGE != 0 {
                awaited.push(number);
            }
            datagram.extend_from_slice(message);
        }
        self.socket.send(&datagram).map_err(|error| Refusal::of(&error))?;
        self.answers(&awaited, first)
    }

    /// Waits until all are acknowledged, or one of the datagram is refused: then none of it was done.
    fn answers(&mut self, awaited: &[u32], first: u32) -> Result<(), Refusal> {
        let mut open: HashSet<u32> = awaited.iter().copied().collect();
        while !open.is_empty() {
            let length = (&self.socket).read(&mut self.buffer).map_err(|error| Refusal::of(&error))?;
            for frame in frames(self.buffer.get(..length).unwrap_or_default()) {
                // Left over from a batch that was refused.
                if frame.sequence < first {
                    continue;
                }
                match frame.answer() {
                    Answer::Refused(refusal) => return Err(refusal),
                    Answer::Done => {
                        open.remove(&frame.sequence);
                    }
                    Answer::Part => {}
                }
            }
        }
        Ok(())
    }

    fn number(&mut self, message: &mut [u8]) -> u32 {
        self.sequence = self.sequence.wrapping_add(1);
        if let Some(field) = message.get_mut(8..12) {
            field.copy_from_slice(&self.sequence.to_ne_bytes());
        }
        self.sequence
    }

    fn answer(&mut self, number: u32, take: &mut dyn FnMut(&Frame<'_>)) -> Result<(), Refusal> {
        loop {
            let length = (&self.socket).read(&mut self.buffer).map_err(|error| Refusal::of(&error))?;
            for frame in frames(self.buffer.get(..length).unwrap_or_default()) {
                // Left over from a request that was given up.
                if frame.sequence != number {
                    continue;
                }
                match frame.answer() {
                    Answer::Part => take(&frame),
                    Answer::Done => return Ok(()),
                    Answer::Refused(refusal) => return Err(refusal),
                }
            }
        }
    }
}

impl Monitor {
    /// Listens to groups of rtnetlink, given as `RTMGRP_…` bits. Needs a tokio runtime.
    pub fn open(groups: u32) -> io::Result<Self> {
        let socket = open(SockProtocol::NetlinkRoute, groups)?;
        socket.set_nonblocking(true)?;
        socket.set_recv_buffer_size(MONITOR_BUFFER)?;
        Ok(Self { socket: sys::watch(socket)?, buffer: vec![0; DATAGRAM_MAX] })
    }

    /// Throws away what waits to be read.
    pub fn drain(&mut self) {
        loop {
            match self.socket.get_ref().read(&mut self.buffer) {
                Ok(_) => {}
                // It says so once, and goes on.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {}
                Err(_) => return,
            }
        }
    }

    /// The next datagram. Cancel safe: it is either still in the socket or returned.
    pub async fn next(&mut self) -> io::Result<Heard<'_>> {
        loop {
            let mut ready = self.socket.readable().await?;
            let buffer = &mut self.buffer;
            let Ok(read) = ready.try_io(|fd| fd.get_ref().read(buffer)) else { continue };
            match read {
                Ok(length) => return Ok(Heard::Datagram(self.buffer.get(..length).unwrap_or_default())),
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => return Ok(Heard::Overrun),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

fn flags_of(message: &[u8]) -> u16 {
    message.get(6..8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u16::from_ne_bytes)
}

/// A message with its header; the number is filled in when it is sent.
pub fn message(kind: u16, flags: u16, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEADER + payload.len()).unwrap_or(u32::MAX);
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend((flags | REQUEST).to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend(payload);
    bytes.resize(super::frame::align(bytes.len()), 0);
    bytes
}
