//! Lines as datagrams: many with one system call, and neighbours of one length as one message, which the kernel cuts into
//! datagrams at the end of their way (`UDP_SEGMENT`, udp(7)); a shorter line may be the last of them. All that a datagram costs
//! before is then paid once for them.

use std::io::IoSlice;
use std::net::UdpSocket;
use std::os::fd::RawFd;

use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessage, MsgFlags, MultiHeaders, SockaddrLike, getsockopt, sendmmsg, sendmsg, sockopt::UdpGsoSegment,
};

/// Lines of one message at most: what every kernel that joins them takes.
const JOINED_MAX: usize = 64;
/// The longest line that is joined with others: all of them together fit a datagram.
const JOINED_LENGTH_MAX: usize = 960;

/// The longest line that the way from this socket takes together with others: 0 where the kernel does not know how, before Linux
/// 4.18, and to other hosts: what is cut by a device is not ours to try out.
pub(super) fn joined_length(socket: &UdpSocket) -> usize {
    let here = socket.peer_addr().is_ok_and(|peer| peer.ip().is_loopback());
    if here && getsockopt(socket, UdpGsoSegment).is_ok() { JOINED_LENGTH_MAX } else { 0 }
}

const FLAGS: MsgFlags = MsgFlags::MSG_DONTWAIT.union(MsgFlags::MSG_NOSIGNAL);

/// Lines that stand behind each other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lines<'b> {
    pub(super) bytes: &'b [u8],
    /// Where each line ends in `bytes`.
    pub(super) ends: &'b [usize],
}

impl<'b> Lines<'b> {
    fn start(self, line: usize) -> usize {
        line.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0)
    }

    /// These lines' bytes.
    fn span(self, first: usize, count: usize) -> &'b [u8] {
        self.bytes.get(self.start(first)..self.start(first + count)).unwrap_or_default()
    }

    /// How many lines from this one on can be one message, where those of up to `longest` bytes are joined; 1 if it stands alone.
    fn together(self, first: usize, longest: usize) -> usize {
        let length = |line| self.span(line, 1).len();
        let all = first..self.ends.len().min(first + JOINED_MAX);
        if length(first) > longest {
            return 1;
        }
        let alike = all.clone().take_while(|&line| length(line) == length(first)).count();
        let shorter = all.skip(alike).take(1).filter(|&line| (1..length(first)).contains(&length(line)));
        alike + shorter.count()
    }

    /// Sends each line as a datagram, to where the socket is connected if `to` is nothing; returns how many were taken. `longest` is
    /// the [`joined_length`] of a socket of UDP, and 0 of others; it becomes 0 where the way refuses what was joined.
    pub(super) fn send<A: SockaddrLike + Copy>(self, fd: RawFd, to: Option<A>, longest: &mut usize) -> usize {
        let (mut next, mut taken, mut is_refused) = (0, 0, false);
        while next < self.ends.len() {
            let together = self.together(next, *longest);
            let sent = if together > 1 {
                self.joined(fd, to.as_ref(), next, together)
            } else {
                self.apart(fd, to, next, *longest)
            };
            match sent {
                Ok(count) => {
                    next += count;
                    taken += count;
                }
                Err(Errno::EINTR) => {}
                // Nobody listened when something was sent before: the kernel says so once, and has sent nothing now.
                Err(Errno::ECONNREFUSED) if !is_refused => is_refused = true,
                // Nobody listens: to an unconnected socket, they would have been sent all the same.
                Err(Errno::ECONNREFUSED) => return self.ends.len(),
                // A full socket; it may have room for less, but what comes later should not arrive in place of what came first.
                Err(Errno::EAGAIN | Errno::ENOBUFS) => break,
                // It is too much at once, or more than the way can do.
                Err(_) if together > 1 => *longest = 0,
                // One that is too long for a datagram keeps the others from nothing.
                Err(Errno::EMSGSIZE) => next += 1,
                Err(_) => break,
            }
        }
        taken
    }

    fn joined<A: SockaddrLike>(self, fd: RawFd, to: Option<&A>, first: usize, count: usize) -> nix::Result<usize> {
        let length = u16::try_from(self.span(first, 1).len()).unwrap_or(u16::MAX);
        let all = [IoSlice::new(self.span(first, count))];
        sendmsg(fd, &all, &[ControlMessage::UdpGsoSegments(&length)], FLAGS, to)?;
        Ok(count)
    }

    /// Sends lines one by one, up to those that can be joined.
    fn apart<A: SockaddrLike + Copy>(
        self,
        fd: RawFd,
        to: Option<A>,
        first: usize,
        longest: usize,
    ) -> nix::Result<usize> {
        let until = (first + 1..self.ends.len()).find(|&line| self.together(line, longest) > 1);
        let slices: Vec<_> =
            (first..until.unwrap_or(self.ends.len())).map(|line| [IoSlice::new(self.span(line, 1))]).collect();
        let mut headers = MultiHeaders::preallocate(slices.len(), None);
        let addresses = vec![to; slices.len()];
        let results = sendmmsg(fd, &mut headers, &slices, &addresses, [], FLAGS)?;
        Ok(results.count().max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::socket::SockaddrStorage;
    use std::os::fd::AsRawFd;
    use std::time::Duration;

    fn send(texts: &[String], longest: &mut usize) -> Vec<String> {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        server.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(server.local_addr().unwrap()).unwrap();
        let ends = (1..=texts.len()).map(|count| texts[..count].concat().len()).collect::<Vec<_>>();
        let bytes = texts.concat();
        let lines = Lines { bytes: bytes.as_bytes(), ends: &ends };
        let taken = lines.send::<SockaddrStorage>(client.as_raw_fd(), None, longest);
        let mut buffer = vec![0; 65_536];
        let mut line = || {
            let count = server.recv(&mut buffer).unwrap();
            String::from_utf8_lossy(&buffer[..count]).into_owned()
        };
        (0..taken).map(|_| line()).collect()
    }

    /// Texts of these lengths, neighbours of different letters.
    fn texts(lengths: impl IntoIterator<Item = usize>) -> Vec<String> {
        let letters = (b'a'..=b'z').cycle().map(char::from);
        letters.zip(lengths).map(|(letter, length)| letter.to_string().repeat(length)).collect()
    }

    #[test]
    fn each_line_is_a_datagram_however_many_are_alike() {
        let texts = texts([3, 5, 5, 5, 4, 3, 1, 1, 2, 1500, 1500, 7, 6].into_iter().chain([9; 130]));
        for first in [JOINED_LENGTH_MAX, 0] {
            let mut longest = first;
            assert_eq!(send(&texts, &mut longest), texts);
            assert_eq!(longest, first, "the way to this host takes them");
        }
    }

    #[test]
    fn what_the_way_refuses_as_one_goes_one_by_one() {
        let texts = texts([40_000, 40_000, 7, 7]);
        let mut longest = 40_000;
        assert_eq!(send(&texts, &mut longest), texts);
        assert_eq!(longest, 0);
    }

    #[test]
    fn lines_that_are_joined_are_neighbours_of_one_length_and_a_shorter_one() {
        let ends = [2, 4, 6, 7, 8, 1008, 2008, 2009];
        let lines = Lines { bytes: &[b'x'; 2009], ends: &ends };
        let together = |longest| (0..8).map(|line| lines.together(line, longest)).collect::<Vec<_>>();
        assert_eq!(together(JOINED_LENGTH_MAX), [4, 3, 2, 2, 1, 1, 1, 1]);
        assert_eq!(together(1000), [4, 3, 2, 2, 1, 3, 2, 1]);
        assert_eq!(together(0), [1; 8]);
        let ends: Vec<usize> = (1..=200).collect();
        assert_eq!(Lines { bytes: &[b'x'; 200], ends: &ends }.together(0, 1), JOINED_MAX);
    }
}
