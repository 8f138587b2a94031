//! The TCP sockets of this network namespace: as the kernel lists them in `/proc/net/tcp` (proc(5)), and what it answers when it
//! is asked for one (`sock_diag(7)`).

use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd as _;

use nix::libc;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};

/// States, by the kernel's numbers.
pub const ESTABLISHED: u8 = 1;
/// The state of those that nobody owns any more.
pub const TIME_WAIT: u8 = 6;
/// The state of those that take connections.
pub const LISTEN: u8 = 10;

/// A socket of IPv4.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its own port.
    pub local: u16,
    /// The other end's; 0 where there is none.
    pub remote: u16,
    /// [`ESTABLISHED`] and so on.
    pub state: u8,
    /// Which timer runs, and how long it does: 2 is that of keep-alive probes, in hundredths of a second.
    pub timer: (u8, u32),
}

/// All sockets, as far as they are asked for: thousands may be in `TIME_WAIT`, and the kernel writes a line for each. Those that
/// listen come first.
pub fn tcp() -> impl Iterator<Item = Entry> {
    let file = File::open("/proc/net/tcp").map(BufReader::new).into_iter();
    file.flat_map(|file| file.lines().map_while(Result::ok)).filter_map(|line| entry(&line))
}

/// The columns stand where they stand: `   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 …`.
fn entry(line: &str) -> Option<Entry> {
    let (_, columns) = line.split_once(": ")?;
    let number = |at: usize, digits: usize| u32::from_str_radix(columns.get(at..at + digits)?, 16).ok();
    let (port, byte) = (|at| number(at, 4)?.try_into().ok(), |at| number(at, 2)?.try_into().ok());
    Some(Entry { local: port(9)?, remote: port(23)?, state: byte(28)?, timer: (byte(49)?, number(52, 8)?) })
}

/// What lies in a socket.
#[derive(Debug, PartialEq, Eq)]
pub struct Queues {
    /// Bytes that nobody has read.
    pub unread: u32,
    /// Bytes that the other end has not acknowledged.
    pub unacknowledged: u32,
}

/// `SOCK_DIAG_BY_FAMILY`, the kind of message that asks and answers.
const BY_FAMILY: u16 = 20;
/// Bytes in front of each message: its length, kind, flags, number and sender.
const HEADER: usize = 16;
/// Where the answer has its queues, behind family, state, timer, both ends and the time until the timer.
const QUEUES: usize = HEADER + 4 + 48 + 4;

/// What lies in the socket with these two ends; `None` if there is none.
pub fn queues(local: SocketAddr, remote: SocketAddr) -> io::Result<Option<Queues>> {
    let answer = ask(&question(local, remote))?;
    let number = |at: usize| answer.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_ne_bytes);
    if answer.get(4..6) != Some(&BY_FAMILY.to_ne_bytes()) {
        return Ok(None);
    }
    Ok(number(QUEUES).zip(number(QUEUES + 4)).map(|(unread, unacknowledged)| Queues { unread, unacknowledged }))
}

/// `struct inet_diag_req_v2` behind a header.
fn question(local: SocketAddr, remote: SocketAddr) -> Vec<u8> {
    const ANY_STATE: u32 = !0;
    const ANY_COOKIE: u64 = !0;
    let family = if local.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    let address = |ip| match ip {
        IpAddr::V4(ip) => [&ip.octets()[..], &[0; 12]].concat(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let request = u16::try_from(libc::NLM_F_REQUEST).unwrap_or_default();
    let body = [
        &[family.to_ne_bytes()[0], libc::IPPROTO_TCP.to_ne_bytes()[0], 0, 0][..],
        &ANY_STATE.to_ne_bytes(),
        &local.port().to_be_bytes(),
        &remote.port().to_be_bytes(),
        &address(local.ip()),
        &address(remote.ip()),
        &[0; 4],
        &ANY_COOKIE.to_ne_bytes(),
    ]
    .concat();
    let length = u32::try_from(HEADER + body.len()).unwrap_or_default();
    let header = [&length.to_ne_bytes()[..], &BY_FAMILY.to_ne_bytes(), &request.to_ne_bytes(), &[0; 8]].concat();
    [header, body].concat()
}

fn ask(question: &[u8]) -> io::Result<Vec<u8>> {
    let kernel =
        socket(AddressFamily::Netlink, SockType::Datagram, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkSockDiag)?;
    send(kernel.as_raw_fd(), question, MsgFlags::empty())?;
    let mut answer = vec![0; 1_024];
    let length = recv(kernel.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    answer.truncate(length);
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn queues_are_told() {
        for any in ["127.0.0.1:0", "[::1]:0"] {
            let listener = std::net::TcpListener::bind(any).unwrap();
            let mut client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (own, other) = (client.local_addr().unwrap(), client.peer_addr().unwrap());
            let accepted = listener.accept().unwrap();
            client.write_all(b"abc").unwrap();
            assert_eq!(queues(other, own).unwrap(), Some(Queues { unread: 3, unacknowledged: 0 }));
            assert_eq!(queues(own, other).unwrap(), Some(Queues { unread: 0, unacknowledged: 0 }));
            drop((accepted, listener));
            assert_eq!(queues(other, own).unwrap(), None, "it is reset, as nobody has read");
        }
    }

    #[test]
    fn lines_are_read() {
        let line = "13680: 0100007F:1F90 0200007F:C001 01 00000010:00000002 02:0000EA60 00000000     0        0 1234 1";
        let expected = Entry { local: 8080, remote: 0xc001, state: ESTABLISHED, timer: (2, 60_000) };
        assert_eq!(entry(line), Some(expected));
        assert_eq!(entry("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid"), None);
        assert_eq!(entry("  1: 0100007F:1F90 02"), None);
    }

    #[test]
    fn listeners_come_first() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(tcp().take_while(|entry| entry.state == LISTEN).any(|entry| entry.local == port));
    }
}
