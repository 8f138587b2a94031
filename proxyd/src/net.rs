//! Sockets: one stream type over TCP and unix sockets, and how they come to be.
//!
//! - [`listen`] opens the sockets of a `bind` line, one per worker where the system can spread connections
//! - [`accept`] takes connections while there is room for them
//! - [`connect`] reaches a server, through [`socks4`] where it is told to
//! - [`namespace`] makes sockets in another network namespace
//! - [`splice`] moves bulk from one socket to another inside the kernel
//!
//! Reads and writes go through the runtime's readiness: after a read that did not fill the buffer nothing is tried until the
//! kernel reports more, so a message costs one read and one write and no call that only says "not yet".

pub mod accept;
pub mod connect;
pub mod listen;
pub mod namespace;
pub mod socks4;
pub mod splice;

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::limits::DRAINED_MAX;
use crate::proxy::settings::KeepAlive;
use crate::proxy::settings::SocketBuffers;
use crate::sample::fetch::socket::{Measured, Socket};
use crate::sys;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::Interest;
use tokio::net::{TcpStream, UnixStream};

/// A connected socket.
#[derive(Debug)]
pub enum Stream {
    /// TCP.
    Tcp(TcpStream),
    /// A unix socket.
    Unix(UnixStream),
}

impl Stream {
    /// Takes over a connected, non-blocking socket.
    pub fn from_socket(socket: socket2::Socket, unix: bool) -> io::Result<Self> {
        if unix {
            UnixStream::from_std(socket.into()).map(Self::Unix)
        } else {
            TcpStream::from_std(socket.into()).map(Self::Tcp)
        }
    }

    /// Ready when a read is worth trying.
    pub fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_read_ready(context),
            Self::Unix(stream) => stream.poll_read_ready(context),
        }
    }

    /// Reads into the free capacity of `block`, which must have some, while the socket is ready ([`Self::poll_read_ready`]). Zero
    /// bytes: the peer will send no more. `WouldBlock`: it is no longer ready.
    pub fn read(&self, block: &mut Vec<u8>) -> io::Result<usize> {
        let room = block.capacity() - block.len();
        let read = match self {
            Self::Tcp(stream) => stream.try_read_buf(block),
            Self::Unix(stream) => stream.try_read_buf(block),
        };
        if matches!(read, Ok(count) if 0 < count && count < room) {
            self.not_ready(Interest::READABLE);
        }
        read
    }

    /// The same, waiting until it is ready.
    pub fn poll_read(&self, context: &mut Context<'_>, block: &mut Vec<u8>) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.poll_read_ready(context))?;
            match self.read(block) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return Poll::Ready(read),
            }
        }
    }

    /// Writes what the socket takes of `bytes`.
    pub fn poll_write(&self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_writing(context, bytes.len(), || match self {
            Self::Tcp(stream) => stream.try_write(bytes),
            Self::Unix(stream) => stream.try_write(bytes),
        })
    }

    /// Writes all of `bytes`.
    pub async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = std::future::poll_fn(|context| self.poll_write(context, bytes)).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            bytes = bytes.get(written..).unwrap_or_default();
        }
        Ok(())
    }

    /// The same as [`Self::poll_write`] with two pieces in one call.
    pub fn poll_write_both(&self, context: &mut Context<'_>, pieces: [&[u8]; 2]) -> Poll<io::Result<usize>> {
        let length = pieces[0].len() + pieces[1].len();
        let pieces = pieces.map(IoSlice::new);
        self.poll_writing(context, length, || match self {
            Self::Tcp(stream) => stream.try_write_vectored(&pieces),
            Self::Unix(stream) => stream.try_write_vectored(&pieces),
        })
    }

    /// Writes, and waits only if that did not go: a socket nearly always takes an answer.
    fn poll_writing(
        &self,
        context: &mut Context<'_>,
        length: usize,
        write: impl Fn() -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            match write() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready!(self.poll_write_ready(context))?,
                written => {
                    if matches!(written, Ok(count) if 0 < count && count < length) {
                        self.not_ready(Interest::WRITABLE);
                    }
                    return Poll::Ready(written);
                }
            }
        }
    }

    /// What was moved is less than was asked for, so the kernel has no more, or no more room: without this, the next call would
    /// only say so.
    fn not_ready(&self, interest: Interest) {
        let _: io::Result<()> = self.try_io(interest, |_| Err(io::ErrorKind::WouldBlock.into()));
    }

    /// Ready when a write is worth trying.
    pub fn poll_write_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_write_ready(context),
            Self::Unix(stream) => stream.poll_write_ready(context),
        }
    }

    /// A call of ours on the socket while the kernel has reported it ready; `WouldBlock` makes it not ready.
    pub fn try_io<T>(&self, interest: Interest, call: impl FnOnce(BorrowedFd<'_>) -> io::Result<T>) -> io::Result<T> {
        match self {
            Self::Tcp(stream) => stream.try_io(interest, || call(stream.as_fd())),
            Self::Unix(stream) => stream.try_io(interest, || call(stream.as_fd())),
        }
    }

    /// Ready once the connection stands or has failed.
    pub fn poll_connected(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_write_ready(context))?;
        Poll::Ready(self.socket().take_error()?.map_or(Ok(()), Err))
    }

    /// Tells the peer that no more bytes follow.
    pub fn shutdown_write(&self) -> io::Result<()> {
        self.socket().shutdown(std::net::Shutdown::Write)
    }

    /// Tells the peer that no more bytes follow, and takes those that it has sent: a close that leaves some unread resets the
    /// connection, and what was sent to the peer before may be lost. Never waits.
    pub fn part(&self) {
        let _ = self.shutdown_write();
        let socket = self.socket();
        let mut block = [MaybeUninit::uninit(); 4_096];
        for _ in 0..DRAINED_MAX / block.len() {
            match socket.recv(&mut block) {
                Ok(1..) => {}
                Ok(0) | Err(_) => return,
            }
        }
    }

    /// Makes the close that follows a reset, which leaves nothing behind in the kernel (`option nolinger`).
    pub fn reset_on_close(&self) {
        // Only a hint to the kernel: the connection is closed in any case.
        let _ = self.socket().set_linger(Some(Duration::ZERO));
    }

    /// Lets the system find out whether a silent peer still exists (`option clitcpka`).
    pub fn keep_alive(&self, settings: KeepAlive) {
        // Without it the timeouts still hold.
        let _ = keep_alive(&self.socket(), settings);
    }

    /// Makes the close that follows one that the peer does not see (`silent-drop`). That needs a privilege; without it, or where
    /// `ttl` says so, a reset is sent that passes `ttl` routers, or none.
    pub fn forget(&self, ttl: Option<u8>) {
        let Self::Tcp(stream) = self else { return };
        // What has come is acknowledged before: it would be sent again, and answered with a reset.
        let _ = self.socket().set_tcp_quickack(true);
        if ttl.is_none() && sys::set_option(stream, sys::SocketOption::Repair, 1).is_ok() {
            return;
        }
        let (socket, ttl) = (self.socket(), u32::from(ttl.unwrap_or(1)));
        // Should the system refuse, the peer learns more than it should.
        let _ = match self.local_address() {
            Some(SocketAddr::V6(_)) => socket.set_unicast_hops_v6(ttl),
            Some(SocketAddr::V4(_)) | None => socket.set_ttl_v4(ttl),
        };
        self.reset_on_close();
    }

    /// Marks the packets that are sent (`set-mark`).
    pub fn set_mark(&self, mark: u32) {
        // It needs a privilege that the process may not have; traffic goes on without the mark.
        let _ = self.socket().set_mark(mark);
    }

    /// Sets the type of service of the packets that are sent (`set-tos`).
    pub fn set_tos(&self, tos: u8) {
        let _ = match self.local_address() {
            Some(SocketAddr::V4(_)) => self.socket().set_tos_v4(tos.into()),
            Some(SocketAddr::V6(_)) => self.socket().set_tclass_v6(tos.into()),
            None => Ok(()),
        };
    }

    /// Its number in the process.
    pub fn descriptor(&self) -> i32 {
        match self {
            Self::Tcp(stream) => stream.as_raw_fd(),
            Self::Unix(stream) => stream.as_raw_fd(),
        }
    }

    /// This side's address; `None` for unix sockets.
    pub fn local_address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(stream) => stream.local_addr().ok().map(canonical),
            Self::Unix(_) => None,
        }
    }

    /// Whether an idle connection can still be used: nothing has arrived on it and it is not closed. Costs no system call while
    /// the kernel has reported nothing.
    pub fn is_quiet(&self) -> bool {
        let mut byte = [0];
        let read = match self {
            Self::Tcp(stream) => stream.try_read(&mut byte),
            Self::Unix(stream) => stream.try_read(&mut byte),
        };
        read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    fn socket(&self) -> SockRef<'_> {
        match self {
            Self::Tcp(stream) => SockRef::from(stream),
            Self::Unix(stream) => SockRef::from(stream),
        }
    }
}

/// Has the system probe a silent peer.
fn keep_alive(socket: &SockRef<'_>, settings: KeepAlive) -> io::Result<()> {
    socket.set_keepalive(true)?;
    let mut wanted = TcpKeepalive::new();
    if let Some(idle) = settings.idle {
        wanted = wanted.with_time(idle);
    }
    if let Some(interval) = settings.interval {
        wanted = wanted.with_interval(interval);
    }
    if let Some(count) = settings.count {
        wanted = wanted.with_retries(count);
    }
    if settings == KeepAlive::default() { Ok(()) } else { socket.set_tcp_keepalive(&wanted) }
}

impl Socket for Stream {
    fn saved_syn(&self) -> Option<Vec<u8>> {
        match self {
            Self::Tcp(stream) => sys::saved_syn(stream).ok().filter(|packet| !packet.is_empty()),
            Self::Unix(_) => None,
        }
    }

    fn descriptor(&self) -> i32 {
        Self::descriptor(self)
    }

    fn local(&self) -> Option<SocketAddr> {
        self.local_address()
    }

    fn peer(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(stream) => stream.peer_addr().ok().map(canonical),
            Self::Unix(_) => None,
        }
    }

    fn measured(&self) -> Option<Measured> {
        match self {
            Self::Tcp(stream) => sys::measured(stream).ok(),
            Self::Unix(_) => None,
        }
    }
}

/// Sets what the kernel holds of a connection, where it is given. What a listener is given holds for what it accepts.
pub fn set_kernel_buffers(socket: &socket2::Socket, buffers: SocketBuffers) -> io::Result<()> {
    if let Some(size) = buffers.receive {
        socket.set_recv_buffer_size(size as usize)?;
    }
    if let Some(size) = buffers.send {
        socket.set_send_buffer_size(size as usize)?;
    }
    if let Some(size) = buffers.unsent {
        socket.set_tcp_notsent_lowat(size)?;
    }
    Ok(())
}

/// An IPv4 address that arrived mapped into IPv6 is shown and compared as IPv4.
pub fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::listen::ListenAddress;

    #[test]
    fn buffers_of_the_kernel() {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        let before = socket.send_buffer_size().unwrap();
        let buffers = SocketBuffers { receive: Some(20_000), send: None, unsent: Some(30_000) };
        set_kernel_buffers(&socket, buffers).unwrap();
        // Linux doubles what is asked for.
        assert_eq!(socket.recv_buffer_size().unwrap(), 40_000);
        assert_eq!(socket.send_buffer_size().unwrap(), before);
        assert_eq!(socket.tcp_notsent_lowat().unwrap(), 30_000);
    }

    /// What a listener is given holds for what it accepts.
    #[test]
    fn accepted_sockets_are_like_their_listener() {
        let mut bind = crate::proxy::listen::Bind::plain(ListenAddress::Tcp(([127, 0, 0, 1], 0).into()), "");
        bind.kernel_buffers = SocketBuffers { receive: Some(20_000), send: Some(15_000), unsent: Some(30_000) };
        bind.smart_accept = true;
        let listener = listen::open(&bind, 1).unwrap().remove(0);
        assert!(!listener.tcp_quickack().unwrap());
        listener.set_nonblocking(false).unwrap();
        let _client = std::net::TcpStream::connect(listener.local_addr().unwrap().as_socket().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        assert_eq!(accepted.recv_buffer_size().unwrap(), 40_000);
        assert_eq!(accepted.send_buffer_size().unwrap(), 30_000);
        assert_eq!(accepted.tcp_notsent_lowat().unwrap(), 30_000);
        assert!(!accepted.tcp_quickack().unwrap());
    }
}
