//! Opens the sockets of `bind` lines.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::RawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::unistd::{Gid, Uid};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::namespace;
use crate::proxy::listen::{Bind, ListenAddress, SocketOwner};
use crate::sys::{SocketOption, set_option, sign_segments};

/// Connections the kernel holds that no worker has accepted yet, where neither `backlog` nor any `maxconn` says otherwise.
pub const DEFAULT_BACKLOG: i32 = 1024;

/// Seconds a connection may stay without its first bytes with `defer-accept`.
const DEFER_ACCEPT_SECONDS: i32 = 1;

/// Listening sockets for `workers` workers. TCP addresses are opened once per worker (`SO_REUSEPORT`), so the kernel spreads
/// the connections and no worker wakes for another's; unix and inherited sockets are shared, and all are with `noreuseport`.
pub fn open(bind: &Bind, workers: usize) -> io::Result<Vec<Socket>> {
    namespace::within(bind.namespace.as_deref(), || open_here(bind, workers))
}

fn open_here(bind: &Bind, workers: usize) -> io::Result<Vec<Socket>> {
    let workers = workers.max(1);
    let shared = match &bind.address {
        ListenAddress::Tcp(address) if bind.exclusive => tcp(bind, &SockAddr::from(*address))?,
        ListenAddress::Tcp(address) => {
            return (0..workers).map(|_| tcp(bind, &SockAddr::from(*address))).collect();
        }
        ListenAddress::Unix(path) => unix(path, &bind.owner, backlog(bind))?,
        ListenAddress::Abstract(name) => {
            let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
            socket.bind(&SockAddr::unix(format!("\0{name}"))?)?;
            socket.listen(backlog(bind))?;
            socket
        }
        ListenAddress::Fd(number) => inherited(*number)?,
    };
    let mut sockets = Vec::with_capacity(workers);
    for _ in 1..workers {
        sockets.push(shared.try_clone()?);
    }
    sockets.push(shared);
    Ok(sockets)
}

/// Has a socket take connections, or take them again.
pub fn listen(socket: &Socket, bind: &Bind) -> io::Result<()> {
    socket.listen(backlog(bind))?;
    // Accepted sockets inherit it. To listen undoes it.
    if bind.smart_accept && matches!(bind.address, ListenAddress::Tcp(_)) {
        socket.set_tcp_quickack(false)?;
    }
    Ok(())
}

/// Connections that the kernel holds for a listener.
fn backlog(bind: &Bind) -> i32 {
    let wanted = bind.backlog.and_then(|number| i32::try_from(number).ok());
    wanted.filter(|&number| number > 0).unwrap_or(DEFAULT_BACKLOG)
}

fn tcp(bind: &Bind, address: &SockAddr) -> io::Result<Socket> {
    let domain = if address.is_ipv6() { Domain::IPV6 } else { Domain::IPV4 };
    let socket = Socket::new(domain, Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(!bind.exclusive)?;
    // Accepted sockets inherit it, which saves a call per connection.
    socket.set_tcp_nodelay(true)?;
    if let (Some(only), true) = (bind.v6only, address.is_ipv6()) {
        socket.set_only_v6(only)?;
    }
    if let Some(interface) = &bind.interface {
        socket.bind_device(Some(interface.as_bytes()))?;
    }
    if bind.transparent {
        if address.is_ipv6() {
            socket.set_freebind_v6(true)?;
        } else {
            socket.set_ip_transparent_v4(true).or_else(|_| socket.set_freebind_v4(true))?;
        }
    }
    if let Some(size) = bind.mss {
        set_option(&socket, SocketOption::MaximumSegment, size.abs())?;
    }
    if let Some(headers) = bind.saved_syn {
        set_option(&socket, SocketOption::SaveSyn, headers.into())?;
    }
    socket.set_tcp_user_timeout(bind.tcp_user_timeout)?;
    if let Some(tcp) = &bind.tcp {
        if let Some(name) = &tcp.congestion_control {
            socket.set_tcp_congestion(name.as_bytes())?;
        }
        if let Some(key) = &tcp.signature_key {
            let anybody = if address.is_ipv6() { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
            sign_segments(&socket, anybody, key.as_bytes(), false)?;
        }
    }
    // Accepted sockets inherit them, too.
    super::set_kernel_buffers(&socket, bind.kernel_buffers)?;
    socket.bind(address)?;
    listen(&socket, bind)?;
    if bind.defer_accept {
        set_option(&socket, SocketOption::DeferAccept, DEFER_ACCEPT_SECONDS)?;
    }
    if bind.tfo {
        set_option(&socket, SocketOption::FastOpen, backlog(bind))?;
    }
    Ok(socket)
}

/// A listening socket for the runtime API.
pub fn open_control(address: &ListenAddress, owner: &SocketOwner) -> io::Result<Socket> {
    match address {
        ListenAddress::Tcp(address) => {
            let domain = if address.is_ipv6() { Domain::IPV6 } else { Domain::IPV4 };
            let socket = Socket::new(domain, Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
            socket.set_reuse_address(true)?;
            socket.bind(&SockAddr::from(*address))?;
            socket.listen(DEFAULT_BACKLOG)?;
            Ok(socket)
        }
        ListenAddress::Unix(path) => replace(path, owner),
        ListenAddress::Abstract(name) => {
            let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
            socket.bind(&SockAddr::unix(format!("\0{name}"))?)?;
            socket.listen(DEFAULT_BACKLOG)?;
            Ok(socket)
        }
        ListenAddress::Fd(number) => inherited(*number),
    }
}

/// A socket that takes the place of whatever is at the path, at one blow: the process that serves the old one goes on with
/// whom it has, and nobody finds the path empty.
fn replace(path: &Path, owner: &SocketOwner) -> io::Result<Socket> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.tmp", std::process::id()));
    let beside = Path::new(&beside);
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
    // What a process of the same number left there when it was killed.
    let _ = std::fs::remove_file(beside);
    socket.bind(&SockAddr::unix(beside)?)?;
    let ready = own(beside, owner).and_then(|()| socket.listen(DEFAULT_BACKLOG));
    let placed = ready.and_then(|()| std::fs::rename(beside, path));
    if placed.is_err() {
        let _ = std::fs::remove_file(beside);
    }
    placed.map(|()| socket)
}

/// A socket in the file system. What an earlier process left at the path is replaced only if nobody listens there.
fn unix(path: &Path, owner: &SocketOwner, backlog: i32) -> io::Result<Socket> {
    let address = SockAddr::unix(path)?;
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    match probe.connect(&address) {
        Ok(()) => return Err(io::ErrorKind::AddrInUse.into()),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path)?,
        Err(_) => {}
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
    socket.bind(&address)?;
    own(path, owner)?;
    socket.listen(backlog)?;
    Ok(socket)
}

fn own(path: &Path, owner: &SocketOwner) -> io::Result<()> {
    if owner.uid.is_some() || owner.gid.is_some() {
        nix::unistd::chown(path, owner.uid.map(Uid::from_raw), owner.gid.map(Gid::from_raw))?;
    }
    if let Some(mode) = owner.mode {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    }
    Ok(())
}

/// A descriptor that the parent left open for us. It is duplicated, so that it stays open for the next program.
fn inherited(number: RawFd) -> io::Result<Socket> {
    let descriptor = crate::sys::inherited(number)?;
    let socket = Socket::from(descriptor);
    if !socket.is_listener()? {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the inherited descriptor is not a listening socket"));
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::settings::TcpOptions;
    use std::sync::Arc;

    #[test]
    fn congestion_is_controlled_as_the_line_says() {
        let tcp = |name: &str| TcpOptions { congestion_control: Some(name.to_owned()), signature_key: None };
        let address = ListenAddress::Tcp((Ipv4Addr::LOCALHOST, 0).into());
        let bind = |name| Bind { tcp: tcp(name).shared(), ..Bind::plain(address.clone(), "") };
        let opened = open(&bind("reno"), 1).unwrap();
        let used = opened.iter().map(|socket| socket.tcp_congestion().unwrap()).next().unwrap();
        assert!(used.starts_with(b"reno"), "{used:?}");
        assert!(open(&bind("none-such"), 1).is_err());
        assert!(!bind("reno").same_socket(&Bind { tcp: Some(Arc::new(tcp("cubic"))), ..bind("reno") }));
    }
}
