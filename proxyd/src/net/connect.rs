//! Reaches a server.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};

use super::Stream;
use super::namespace;
use super::socks4::Handshake;
use crate::proxy::place::Ports;
use crate::proxy::settings::{KeepAlive, SocketBuffers, TcpOptions};
use crate::sys::{SocketOption, set_option, sign_segments};

/// Where to connect to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// TCP.
    Tcp(SocketAddr),
    /// A unix socket in the file system.
    Unix(PathBuf),
    /// A unix socket in the abstract name space.
    Abstract(String),
}

/// Where a connection is made from and how its socket is set up.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Address to connect from; port 0 leaves the port to the system.
    pub source: Option<SocketAddr>,
    /// The source is not an address of this host (`usesrc`).
    pub transparent: bool,
    /// Device to connect through.
    pub interface: Option<String>,
    /// The network namespace that the socket belongs to. `None`: the process's.
    pub namespace: Option<String>,
    /// `SO_KEEPALIVE`.
    pub tcp_keep_alive: Option<KeepAlive>,
    /// `TCP_USER_TIMEOUT`.
    pub tcp_user_timeout: Option<Duration>,
    /// How congestion is controlled, and what segments are signed with.
    pub tcp: Option<Arc<TcpOptions>>,
    /// `TCP_FASTOPEN_CONNECT`.
    pub fast_open: bool,
    /// What the kernel holds of it.
    pub kernel_buffers: SocketBuffers,
    /// The mark of its packets, from the first on.
    pub mark: Option<u32>,
    /// Their type of service.
    pub tos: Option<u8>,
    /// The proxy that is asked for the connection (`socks4`).
    pub socks4: Option<SocketAddr>,
    /// The kernel may wait with the last word of the handshake: it goes with the first bytes (`option tcp-smart-connect`), or a
    /// reset takes its place where nothing will be said.
    pub late_acknowledgement: bool,
}

/// A connection on its way.
#[derive(Debug)]
pub struct Connecting {
    stream: Stream,
    handshake: Option<Handshake>,
}

impl Connecting {
    /// Ready once the connection to the target stands or has failed.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.stream.poll_connected(context))?;
        match &mut self.handshake {
            Some(handshake) => handshake.poll(context, &self.stream),
            None => Poll::Ready(Ok(())),
        }
    }

    /// The socket.
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// The socket of a connection that stands.
    pub fn into_stream(self) -> Stream {
        self.stream
    }
}

/// Begins to connect.
pub fn start(target: &Target, options: &Options) -> io::Result<Connecting> {
    let Some(proxy) = options.socks4 else { return Ok(Connecting { stream: open(target, options)?, handshake: None }) };
    let Target::Tcp(SocketAddr::V4(destination)) = target else {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "SOCKS4 reaches IPv4 addresses only"));
    };
    let stream = open(&Target::Tcp(proxy), options)?;
    Ok(Connecting { stream, handshake: Some(Handshake::new(*destination)) })
}

fn open(target: &Target, options: &Options) -> io::Result<Stream> {
    namespace::within(options.namespace.as_deref(), || match target {
        Target::Tcp(address) => {
            let socket = tcp_socket(*address, options)?;
            begin(&socket, &SockAddr::from(*address))?;
            Stream::from_socket(socket, false)
        }
        Target::Unix(path) => unix(&SockAddr::unix(path)?),
        Target::Abstract(name) => unix(&SockAddr::unix(format!("\0{name}"))?),
    })
}

/// Begins to connect from a port that is not taken by another connection to the same place.
pub fn start_from(target: &Target, options: &Options, ports: &Ports) -> io::Result<Connecting> {
    let mut result = Err(io::ErrorKind::AddrNotAvailable.into());
    for port in ports.round() {
        let mut options = options.clone();
        if let Some(source) = &mut options.source {
            source.set_port(port);
        }
        result = start(target, &options);
        match &result {
            Err(error) if matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::AddrNotAvailable) => {}
            Ok(_) | Err(_) => break,
        }
    }
    result
}

fn unix(address: &SockAddr) -> io::Result<Stream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
    begin(&socket, address)?;
    Stream::from_socket(socket, true)
}

fn tcp_socket(address: SocketAddr, options: &Options) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    socket.set_tcp_nodelay(true)?;
    if let Some(settings) = options.tcp_keep_alive {
        super::keep_alive(&SockRef::from(&socket), settings)?;
    }
    if options.tcp_user_timeout.is_some() {
        socket.set_tcp_user_timeout(options.tcp_user_timeout)?;
    }
    if let Some(tcp) = &options.tcp {
        // Who has no right to choose it goes on with what the system has.
        let _ = tcp.congestion_control.as_ref().map(|name| socket.set_tcp_congestion(name.as_bytes()));
        if let Some(key) = &tcp.signature_key {
            sign_segments(&socket, address.ip(), key.as_bytes(), true)?;
        }
    }
    super::set_kernel_buffers(&socket, options.kernel_buffers)?;
    // The mark needs a privilege that the process may not have; traffic goes on without it.
    let _ = options.mark.map(|mark| socket.set_mark(mark));
    let _ = options.tos.map(|tos| match address {
        SocketAddr::V4(_) => socket.set_tos_v4(tos.into()),
        SocketAddr::V6(_) => socket.set_tclass_v6(tos.into()),
    });
    if options.late_acknowledgement {
        socket.set_tcp_quickack(false)?;
    }
    if options.fast_open {
        set_option(&socket, SocketOption::FastOpenConnect, 1)?;
    }
    if let Some(interface) = &options.interface {
        socket.bind_device(Some(interface.as_bytes()))?;
    }
    if let Some(source) = options.source {
        if options.transparent {
            match source.ip() {
                IpAddr::V4(_) => socket.set_ip_transparent_v4(true)?,
                IpAddr::V6(_) => socket.set_freebind_v6(true)?,
            }
        }
        if source.port() == 0 && source.ip() != IpAddr::V4(Ipv4Addr::UNSPECIFIED) {
            // The port is chosen with the destination, so that two servers can use the same one.
            set_option(&socket, SocketOption::BindWithoutPort, 1)?;
        } else if source.port() != 0 {
            socket.set_reuse_address(true)?;
        }
        socket.bind(&SockAddr::from(source))?;
    }
    Ok(socket)
}

fn begin(socket: &Socket, address: &SockAddr) -> io::Result<()> {
    match socket.connect(address) {
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_of_a_handshake_may_wait() {
        for late in [true, false] {
            let options = Options { late_acknowledgement: late, ..Options::default() };
            let socket = tcp_socket(([127, 0, 0, 1], 0).into(), &options).unwrap();
            assert_eq!(socket.tcp_quickack().unwrap(), !late);
        }
    }
}
