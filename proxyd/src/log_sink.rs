//! Ships log lines. Each worker, and the control thread, has its own [`LogSink`]: lines are collected while a turn of the
//! loop runs and leave together in [`LogSink::flush`], one system call for many. Nothing here ever waits: what a full
//! socket does not take is dropped and counted. What goes to a ring is handed over with one lock a batch; [`ship`] brings it to
//! the ring's servers.

pub mod backing;
mod datagrams;
pub mod ship;

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::socket::{SockaddrStorage, UnixAddr};

use crate::log::Record;
use crate::log::backend::Way;
use crate::log::date::{Date, Second};
use crate::log::format::{Process, Program};
use crate::log::forward::Forwarder;
use crate::log::message::{self, Missing};
use crate::log::profile::{Instead, Profile};
use crate::log::ring::Ring;
use crate::log::step::Step;
use crate::log::syslog::{Level, Message, Sender};
use crate::log::target::{LogAddress, Logger};
use crate::proxy::settings::SocketBuffers;
use crate::sample::{Expression, Value};
use crate::sys;

/// Lines that are sent before the turn ends when so many are waiting for one target.
const MAX_BATCH_LINES: usize = 256;
/// The same for their bytes.
const MAX_BATCH_BYTES: usize = 256 * 1024;
/// A time zone changes its offset on quarters of an hour only.
const OFFSET_VALID_SECONDS: u64 = 900;

/// What all sinks of the process share.
#[derive(Debug, Clone)]
pub struct LogSettings {
    /// The host's name (`%H`).
    pub hostname: Arc<str>,
    /// `log-send-hostname`: the name in the frame.
    pub sent_hostname: Option<Arc<str>>,
    /// The process, after the last fork.
    pub pid: u32,
    /// Lines that could not be sent (`DroppedLogs` of `show info`).
    pub dropped: Arc<AtomicU64>,
    /// `tune.rcvbuf.backend`, `tune.sndbuf.backend`
    pub kernel_buffers: SocketBuffers,
}

/// The log of one thread.
#[derive(Debug)]
pub struct LogSink {
    settings: LogSettings,
    inner: RefCell<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    batches: Vec<Batch>,
    /// The last line of all loggers.
    common: Text,
    /// The last line of one.
    own: Text,
    /// The local time's distance from UTC and the quarter of an hour it is known for.
    offset: Option<(u64, i32)>,
    /// The second of the last line.
    now: Option<Second>,
}

/// What a line says, before it is framed.
#[derive(Debug, Default)]
struct Text {
    message: Vec<u8>,
    /// RFC 5424's structured data.
    structured: Vec<u8>,
}

impl Text {
    fn clear(&mut self) -> &mut Self {
        self.message.clear();
        self.structured.clear();
        self
    }
}

impl LogSink {
    /// A sink that has sent nothing yet. Its sockets are opened when they are first needed.
    pub fn new(settings: LogSettings) -> Self {
        Self { settings, inner: RefCell::default() }
    }

    /// A date with the local time's distance from UTC.
    pub fn date(&self, since_epoch: Duration) -> Date {
        let quarter = since_epoch.as_secs() / OFFSET_VALID_SECONDS;
        let known = &mut self.inner.borrow_mut().offset;
        let utc_offset = match *known {
            Some((valid, offset)) if valid == quarter => offset,
            _ => sys::utc_offset(i64::try_from(since_epoch.as_secs()).unwrap_or(0)),
        };
        *known = Some((quarter, utc_offset));
        Date { since_epoch, utc_offset }
    }

    /// Logs what happened, for each of the targets. `evaluate` gives the value of an expression in a format.
    pub fn record(
        &self,
        log: Destination<'_>,
        lines: Lines<'_>,
        record: &Record<'_>,
        mut evaluate: impl FnMut(&Expression) -> Option<Value<'static>>,
    ) {
        if !log.loggers.iter().any(|logger| logger.target.takes(log.level)) {
            return;
        }
        let at = Some((record.step, lines.profile));
        self.message(log, at, |now, instead, text| {
            let process = Process { hostname: &self.settings.hostname, pid: self.settings.pid, now };
            let (own, own_structured) = match instead {
                Some(Instead::Line { line, structured }) => (line.as_ref(), structured.as_ref()),
                Some(Instead::Nothing) | None => (None, None),
            };
            let Some(line) = own.or(lines.line) else { return false };
            line.write(&mut text.message, record, process, &mut evaluate);
            if let Some(program) = own_structured.or(lines.structured) {
                program.write(&mut text.structured, record, process, &mut evaluate);
            }
            true
        });
    }

    /// Logs an event that is not a request: a server's change of state, a start or a stop.
    pub fn event(&self, log: Destination<'_>, text: &str) {
        self.message(log, None, |_, _, written| {
            written.message.extend_from_slice(text.as_bytes());
            true
        });
    }

    /// `write` writes a line and says whether there is one: that of all loggers, once, or what a profile has in its place.
    fn message(
        &self,
        log: Destination<'_>,
        at: Option<(Step, Option<&Profile>)>,
        mut write: impl FnMut(&Second, Option<&Instead>, &mut Text) -> bool,
    ) {
        let date = self.date(log.now);
        let Inner { batches, common, own, now, .. } = &mut *self.inner.borrow_mut();
        let now = match now {
            Some(second) if second.has(date) => second,
            _ => now.insert(Second::of(date)),
        };
        let settings = &self.settings;
        let mut common_is_there = None;
        for logger in log.loggers {
            let instead = at.and_then(|(step, by)| logger.instead(step, by));
            let dropped = matches!(instead, Some(Instead::Nothing));
            if dropped || !logger.target.takes(log.level) || !logger.chooses_this_line() {
                continue;
            }
            let (is_there, text) = match instead {
                Some(_) => (write(now, instead, own.clear()), &*own),
                None => (*common_is_there.get_or_insert_with(|| write(now, None, common.clear())), &*common),
            };
            if !is_there {
                continue;
            }
            let Some((batch, is_stream)) = Batch::of(batches, logger, &text.message, log.now) else {
                settings.dropped.fetch_add(1, Ordering::Relaxed);
                continue;
            };
            if batch.is_full() {
                batch.send(settings);
            }
            let profile = at.and_then(|(_, by)| by).or(logger.profile());
            let tag = profile.and_then(|profile| profile.tag.as_deref()).unwrap_or(log.tag);
            let sender = Sender { hostname: settings.sent_hostname.as_deref(), tag, pid: settings.pid, now };
            let message = Message { structured: &text.structured, text: logger.cut(&text.message) };
            let sent = batch.push(|out| {
                if let Some(ring) = logger.ring() {
                    // The ring's own limit is for all of it, the line's is for the message.
                    let text = &message.text[..message.text.len().min(logger.target.max_len.into())];
                    ring.frame(out, logger.target.priority(log.level), date, sender, Message { text, ..message });
                    return true;
                }
                let sent = logger.target.frame(out, log.level, date, sender, message);
                without_line_feed(out, is_stream && sent);
                sent
            });
            if !sent {
                settings.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Relays a message of another host, for each of the targets. `sender` is who sent it, where that has an address.
    pub fn relay(&self, forwarder: &Forwarder, bytes: &[u8], sender: Option<IpAddr>, now: Duration) {
        let message = if forwarder.settings.unparsed {
            message::Message::unparsed(bytes)
        } else {
            message::Message::parse(bytes)
        };
        let now = self.date(now);
        let host = forwarder.settings.host.host(message.host, sender);
        let batches = &mut self.inner.borrow_mut().batches;
        for logger in &forwarder.loggers {
            let target = &logger.target;
            if message.level().is_some_and(|level| level > target.max_level) || !logger.chooses_this_line() {
                continue;
            }
            let message = message.capped(target.min_level);
            let missing = Missing { facility: target.facility, now, host: host.as_deref() };
            let Some((batch, is_stream)) = Batch::of(batches, logger, message.text, now.since_epoch) else {
                self.settings.dropped.fetch_add(1, Ordering::Relaxed);
                continue;
            };
            if batch.is_full() {
                batch.send(&self.settings);
            }
            batch.push(|out| {
                if let Some(ring) = logger.ring() {
                    let start = out.len();
                    let text = &message.text[..message.text.len().min(target.max_len.into())];
                    message::Message { text, ..message }.write(out, ring.settings().format, missing);
                    out.truncate(start + ring.settings().max_len);
                } else {
                    target.line(out, |out| message.write(out, target.format, missing));
                    without_line_feed(out, is_stream);
                }
                true
            });
        }
    }

    /// Sends everything that was logged since the last call.
    pub fn flush(&self) {
        for batch in &mut self.inner.borrow_mut().batches {
            batch.send(&self.settings);
        }
    }
}

impl Drop for LogSink {
    fn drop(&mut self) {
        self.flush();
    }
}

/// The words of a line.
#[derive(Debug, Clone, Copy)]
pub struct Lines<'a> {
    /// The line itself. `None`: only a profile has one.
    pub line: Option<&'a Program<Expression>>,
    /// The structured data of an RFC 5424 line.
    pub structured: Option<&'a Program<Expression>>,
    /// The profile that counts instead of those of the loggers.
    pub profile: Option<&'a Profile>,
}

/// Where one line goes, and as what.
#[derive(Debug, Clone, Copy)]
pub struct Destination<'a> {
    /// The section's `log` lines.
    pub loggers: &'a [Logger],
    /// The section's `log-tag`.
    pub tag: &'a str,
    /// How severe it is.
    pub level: Level,
    /// The date now, since 1970.
    pub now: Duration,
}

/// Lines that wait for one address.
#[derive(Debug)]
struct Batch {
    address: LogAddress,
    socket: Socket,
    bytes: Vec<u8>,
    /// Where each line ends in `bytes`.
    ends: Vec<usize>,
    /// The longest line that may be joined with others on their way, as far as is known.
    joined_length: usize,
}

#[derive(Debug)]
enum Socket {
    /// Not needed yet, or it could not be opened, which the next batch tries again.
    Closed,
    Udp(UdpSocket),
    Unix(UnixDatagram),
    /// A descriptor that was open when the process started; whoever started it owns it.
    Inherited(RawFd),
    /// Memory of this process.
    Ring(Arc<Ring>),
}

impl Batch {
    /// The lines that go where this one goes, and whether that is over a connection of a log backend, which ends each line in its
    /// own way. `None`: no server of the backend is there.
    fn of<'b>(
        batches: &'b mut Vec<Self>,
        logger: &Logger,
        message: &[u8],
        now: Duration,
    ) -> Option<(&'b mut Self, bool)> {
        let address = &logger.target.address;
        Some(match logger.backend().map(|backend| backend.way(message, now)) {
            None => (Self::to(batches, address, logger.ring()), false),
            Some(way) => match way? {
                Way::Ring(ring) => (Self::to(batches, address, Some(&ring)), true),
                Way::Datagram(address) => (Self::to(batches, &address, None), false),
            },
        })
    }

    fn to<'b>(batches: &'b mut Vec<Self>, address: &LogAddress, ring: Option<&Arc<Ring>>) -> &'b mut Self {
        let at = batches.iter().position(|batch| batch.is_for(address, ring)).unwrap_or_else(|| {
            // A ring that a reload has closed gets nothing more.
            batches.retain(
                |batch| !matches!(&batch.socket, Socket::Ring(ring) if ring.is_closed() && batch.ends.is_empty()),
            );
            let socket = ring.map_or(Socket::Closed, |ring| Socket::Ring(Arc::clone(ring)));
            batches.push(Self {
                address: address.clone(),
                socket,
                bytes: Vec::new(),
                ends: Vec::new(),
                joined_length: 0,
            });
            batches.len() - 1
        });
        &mut batches[at]
    }

    /// Whether lines for this address belong in it. After a reload, another ring may have the name of an old one.
    fn is_for(&self, address: &LogAddress, ring: Option<&Arc<Ring>>) -> bool {
        match (&self.socket, ring) {
            (Socket::Ring(own), Some(ring)) => Arc::ptr_eq(own, ring),
            (Socket::Ring(_), None) | (_, Some(_)) => false,
            (_, None) => self.address == *address,
        }
    }

    fn is_full(&self) -> bool {
        self.ends.len() >= MAX_BATCH_LINES || self.bytes.len() >= MAX_BATCH_BYTES
    }

    /// `write` says whether it has written a line.
    fn push(&mut self, write: impl FnOnce(&mut Vec<u8>) -> bool) -> bool {
        let is_there = write(&mut self.bytes);
        if is_there {
            self.ends.push(self.bytes.len());
        }
        is_there
    }

    /// The lines, in order.
    fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.bytes[start..end])
    }

    /// Sends what waits and counts what was not taken.
    fn send(&mut self, settings: &LogSettings) {
        if self.ends.is_empty() {
            return;
        }
        if matches!(self.socket, Socket::Closed) {
            self.socket = Socket::open(&self.address, settings.kernel_buffers).unwrap_or(Socket::Closed);
            self.joined_length =
                if let Socket::Udp(socket) = &self.socket { datagrams::joined_length(socket) } else { 0 };
        }
        let waiting = datagrams::Lines { bytes: &self.bytes, ends: &self.ends };
        let longest = &mut self.joined_length;
        let sent = match (&self.socket, &self.address) {
            (Socket::Udp(socket), LogAddress::Udp(to)) => {
                let to = (!is_connected(to)).then(|| SockaddrStorage::from(*to));
                waiting.send(socket.as_raw_fd(), to, longest)
            }
            (Socket::Unix(socket), LogAddress::Unix(path)) => {
                UnixAddr::new(path).map_or(0, |to| waiting.send(socket.as_raw_fd(), Some(to), longest))
            }
            (Socket::Unix(socket), LogAddress::Abstract(name)) => UnixAddr::new_abstract(name.as_bytes())
                .map_or(0, |to| waiting.send(socket.as_raw_fd(), Some(to), longest)),
            (Socket::Inherited(fd), _) => self.write_lines(*fd),
            (Socket::Ring(ring), _) => self.ends.len() - ring.append(self.lines()),
            (Socket::Closed | Socket::Udp(_) | Socket::Unix(_), _) => 0,
        };
        let lost = self.ends.len() - sent;
        if lost > 0 {
            settings.dropped.fetch_add(lost as u64, Ordering::Relaxed);
        }
        self.bytes.clear();
        self.ends.clear();
    }

    /// Writes line by line, so that lines of several processes mix only where they are longer than a pipe's atomic write.
    /// A descriptor that would block is left alone: it belongs to others too and keeps its mode.
    fn write_lines(&self, fd: RawFd) -> usize {
        let Some(fd) = sys::borrow_inherited(fd) else { return 0 };
        self.lines().take_while(|line| writable(fd) && nix::unistd::write(fd, line).is_ok()).count()
    }
}

/// Takes the line feed at the end away where a stream ends its lines by itself.
fn without_line_feed(out: &mut Vec<u8>, is_stream: bool) {
    if is_stream {
        out.pop();
    }
}

/// Whether a write would go through now.
fn writable(fd: BorrowedFd<'_>) -> bool {
    let mut polled = [PollFd::new(fd, PollFlags::POLLOUT)];
    let ready = nix::poll::poll(&mut polled, PollTimeout::ZERO);
    ready.is_ok_and(|count| count > 0) && polled[0].revents().is_some_and(|events| events.contains(PollFlags::POLLOUT))
}

/// Whether the socket to this address is connected, so that the kernel looks for the way once and not for each line. Only on
/// this host: elsewhere the way, and the address that lines come from, may change while the socket is open.
fn is_connected(to: &SocketAddr) -> bool {
    to.ip().is_loopback()
}

impl Socket {
    fn open(address: &LogAddress, buffers: SocketBuffers) -> std::io::Result<Self> {
        match address {
            LogAddress::Udp(to) => {
                let any: SocketAddr =
                    if to.is_ipv4() { ([0; 4], 0).into() } else { (std::net::Ipv6Addr::UNSPECIFIED, 0).into() };
                let socket = UdpSocket::bind(any)?;
                crate::net::set_kernel_buffers(&socket2::SockRef::from(&socket), buffers)?;
                if is_connected(to) {
                    socket.connect(to)?;
                }
                Ok(Self::Udp(socket))
            }
            LogAddress::Unix(_) | LogAddress::Abstract(_) => UnixDatagram::unbound().map(Self::Unix),
            LogAddress::Fd(fd) => Ok(Self::Inherited(*fd)),
            // Only of a ring that does not exist, which the configuration has warned about: its lines count as dropped.
            LogAddress::Ring(_) | LogAddress::Backend(_) => Ok(Self::Closed),
        }
    }
}

#[cfg(test)]
mod tests;
