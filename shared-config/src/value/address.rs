//! Addresses as `bind`, `server`, `log` and others write them (haproxy configuration manual, sections 4.2 and 11).
//! Lists divided by commas are the caller's, and so is the lookup of host names.

use super::{Problem, ValueError};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

/// One address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// What the socket is bound or connected to.
    pub host: Host,
    /// A family that was asked for by name, for what a host name may resolve to.
    pub family: Option<Family>,
    /// What runs over it.
    pub transport: Transport,
    /// The port or ports.
    pub port: Port,
}

/// What stands before the port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// Nothing, or `*`: all addresses of the family, IPv4 if none is given.
    Any,
    /// An address in figures.
    Ip(IpAddr),
    /// A host name that is still to be looked up.
    Name(String),
    /// `unix@/path`, `/path`
    Unix(String),
    /// `abns@name`: a name in the abstract namespace, filled with NUL bytes to its full length.
    Abstract(String),
    /// `abnsz@name`: the same without filling.
    AbstractZero(String),
    /// `fd@3`: an inherited descriptor.
    Fd(i32),
    /// `sockpair@3`: one end of a pair, over which descriptors of connections come.
    SocketPair(i32),
    /// `rhttp@backend/server`: connections that the other side opened.
    ReverseHttp(String),
}

/// An address family of IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// `ipv4@`, `tcp4@`, …
    V4,
    /// `ipv6@`, `tcp6@`, …
    V6,
}

/// What runs over an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Whatever the place takes: TCP for most, UDP for `log`.
    Default,
    /// `tcp@`, `uxst@`, `stream+…`
    Stream,
    /// `udp@`, `uxdg@`, `dgram+…`
    Datagram,
    /// `mptcp@`
    Mptcp,
    /// `quic4@`, `quic6@`
    Quic,
}

/// What stands after the last colon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Port {
    /// Nothing.
    None,
    /// One port.
    One(u16),
    /// From, to (included).
    Range(u16, u16),
    /// `+N` or `-N`: the port of the client's connection plus this.
    Offset(i32),
}

/// What a place takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accept {
    /// An IP address must have a port, other than 0.
    pub port_required: bool,
    /// `80-90`
    pub range: bool,
    /// `+5`
    pub offset: bool,
    /// `udp@` and the like.
    pub datagram: bool,
    /// `tcp@` and the like.
    pub stream: bool,
    /// `fd@`
    pub fd: bool,
    /// `unix@`, `abns@` and the like.
    pub unix: bool,
}

impl Accept {
    /// `bind`
    pub const BIND: Self =
        Self { port_required: true, range: true, offset: false, datagram: false, stream: true, fd: true, unix: true };
    /// `server`
    pub const SERVER: Self =
        Self { port_required: false, range: false, offset: true, datagram: false, stream: true, fd: false, unix: true };
    /// `source`
    pub const SOURCE: Self = Self {
        port_required: false,
        range: true,
        offset: false,
        datagram: false,
        stream: true,
        fd: false,
        unix: false,
    };
    /// `log`, `nameserver`
    pub const LOG: Self =
        Self { port_required: false, range: false, offset: false, datagram: true, stream: true, fd: true, unix: true };
    /// Anything.
    pub const ALL: Self =
        Self { port_required: false, range: true, offset: true, datagram: true, stream: true, fd: true, unix: true };
}

/// Prefixes, what they say of the family and the transport.
const IP_PREFIXES: [(&str, Option<Family>, Transport); 14] = [
    ("ip@", None, Transport::Default),
    ("ipv4@", Some(Family::V4), Transport::Default),
    ("ipv6@", Some(Family::V6), Transport::Default),
    ("tcp@", None, Transport::Stream),
    ("tcp4@", Some(Family::V4), Transport::Stream),
    ("tcp6@", Some(Family::V6), Transport::Stream),
    ("udp@", None, Transport::Datagram),
    ("udp4@", Some(Family::V4), Transport::Datagram),
    ("udp6@", Some(Family::V6), Transport::Datagram),
    ("mptcp@", None, Transport::Mptcp),
    ("mptcp4@", Some(Family::V4), Transport::Mptcp),
    ("mptcp6@", Some(Family::V6), Transport::Mptcp),
    ("quic4@", Some(Family::V4), Transport::Quic),
    ("quic6@", Some(Family::V6), Transport::Quic),
];

/// Reads one address and checks it against what the place takes. Errors are worded as haproxy words them.
pub fn parse(text: &str, accept: Accept) -> Result<Address, ValueError> {
    let all = 0..text.len();
    if text.is_empty() {
        let message = "'' resolves to an empty address (environment variable missing?)";
        return Err(ValueError::kind(Problem::Missing, message, all));
    }
    let address = read(text)?;
    let refuse = |what: &str| Err(ValueError::new(format!("{what} in '{text}'"), all.clone()));
    match address.transport {
        Transport::Datagram if !accept.datagram => return refuse("dgram-type address not acceptable"),
        Transport::Stream | Transport::Mptcp if !accept.stream => return refuse("stream-type address not acceptable"),
        Transport::Default | Transport::Stream | Transport::Datagram | Transport::Mptcp | Transport::Quic => {}
    }
    let takes_port = match address.host {
        Host::Any | Host::Ip(_) | Host::Name(_) => true,
        Host::Fd(_) | Host::SocketPair(_) if !accept.fd => return refuse("a file descriptor is not acceptable here"),
        Host::Unix(_) | Host::Abstract(_) | Host::AbstractZero(_) if !accept.unix => {
            return refuse("a UNIX socket is not acceptable here");
        }
        Host::Unix(_)
        | Host::Abstract(_)
        | Host::AbstractZero(_)
        | Host::Fd(_)
        | Host::SocketPair(_)
        | Host::ReverseHttp(_) => false,
    };
    match address.port {
        Port::None if accept.port_required && takes_port => refuse("missing port specification"),
        Port::One(0) if accept.port_required => Err(ValueError::new("invalid port '0'", all)),
        Port::Range(..) if !accept.range => refuse("port range not permitted here"),
        Port::Offset(_) if !accept.offset => refuse("port offset not permitted here"),
        Port::None | Port::One(_) | Port::Range(..) | Port::Offset(_) => Ok(address),
    }
}

fn read(text: &str) -> Result<Address, ValueError> {
    let (forced, rest) = match (text.strip_prefix("stream+"), text.strip_prefix("dgram+")) {
        (Some(rest), _) => (Some(Transport::Stream), rest),
        (_, Some(rest)) => (Some(Transport::Datagram), rest),
        (None, None) => (None, text),
    };
    let local = |host, transport: Transport| {
        Ok(Address { host, family: None, transport: forced.unwrap_or(transport), port: Port::None })
    };
    let offset = text.len() - rest.len();
    match rest.split_once('@') {
        Some(("unix", path)) => return local(Host::Unix(path.into()), Transport::Default),
        Some(("uxst", path)) => return local(Host::Unix(path.into()), Transport::Stream),
        Some(("uxdg", path)) => return local(Host::Unix(path.into()), Transport::Datagram),
        Some(("abns", name)) => return local(Host::Abstract(name.into()), Transport::Default),
        Some(("abnsz", name)) => return local(Host::AbstractZero(name.into()), Transport::Default),
        Some(("rhttp" | "rev", name)) => return local(Host::ReverseHttp(name.into()), Transport::Default),
        Some(("fd", number)) => return local(Host::Fd(descriptor(number, text)?), Transport::Default),
        Some(("sockpair", number)) => return local(Host::SocketPair(descriptor(number, text)?), Transport::Default),
        Some(_) | None => {}
    }
    if rest.starts_with('/') {
        return local(Host::Unix(rest.into()), Transport::Default);
    }
    let known = IP_PREFIXES.iter().find(|(prefix, ..)| rest.starts_with(prefix));
    let (prefix, family, transport) = known.copied().unwrap_or(("", None, Transport::Default));
    let at = offset + prefix.len();
    let (host, port) = match text[at..].rfind(':') {
        // The colons of `[::1]` are its own.
        Some(colon) if !text.ends_with(']') => (at..at + colon, Some(at + colon + 1)),
        _ => (at..text.len(), None),
    };
    let host = read_host(text, host, family)?;
    let port = port.map_or(Ok(Port::None), |from| read_port(text, from))?;
    Ok(Address { host, family, transport: forced.unwrap_or(transport), port })
}

fn descriptor(number: &str, text: &str) -> Result<i32, ValueError> {
    let valid = number.parse().ok().filter(|&fd: &i32| fd >= 0);
    valid.ok_or_else(|| {
        let message = format!("file descriptor '{number}' is not a valid integer in '{text}'");
        ValueError::new(message, text.len() - number.len()..text.len())
    })
}

fn read_host(text: &str, range: Range<usize>, family: Option<Family>) -> Result<Host, ValueError> {
    let host = &text[range.clone()];
    let invalid = || ValueError::new(format!("invalid address: '{host}' in '{text}'"), range.clone());
    if host.is_empty() || host == "*" {
        return Ok(Host::Any);
    }
    if let Some(inner) = host.strip_prefix('[') {
        let ip = inner.strip_suffix(']').and_then(|inner| inner.parse::<Ipv6Addr>().ok());
        return match (ip, family) {
            (Some(ip), None | Some(Family::V6)) => Ok(Host::Ip(ip.into())),
            // A variable that was not expanded, for want of quotes, is a name that will not be found.
            (None, _) if inner.contains('$') => Ok(Host::Name(host.into())),
            (None, _) | (_, Some(Family::V4)) => Err(invalid()),
        };
    }
    match (host.parse::<Ipv4Addr>(), host.parse::<Ipv6Addr>()) {
        (Ok(ip), _) if family != Some(Family::V6) => Ok(Host::Ip(ip.into())),
        (_, Ok(ip)) if family != Some(Family::V4) => Ok(Host::Ip(ip.into())),
        (Err(_), Err(_)) if is_name(host) => Ok(Host::Name(host.into())),
        (Err(_), Err(_)) if host.contains(':') => Err(invalid().help("write an IPv6 address in brackets: [::1]:80")),
        _ => Err(invalid()),
    }
}

/// Whether a text may be a host name. Four numbers are an address that is wrong. A `$` is that of a variable outside of
/// quotes: haproxy looks such names up like all others, which is no error where a server may start without an address.
fn is_name(host: &str) -> bool {
    let figures = host.split('.').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
    let letters = host.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '$' | '{' | '}'));
    letters && !(figures && host.split('.').count() == 4)
}

fn read_port(text: &str, from: usize) -> Result<Port, ValueError> {
    let port = &text[from..];
    let all = from..text.len();
    if port.is_empty() {
        return Ok(Port::None);
    }
    if port.starts_with(['+', '-']) {
        let offset = port.parse().ok().filter(|offset: &i32| u16::try_from(offset.unsigned_abs()).is_ok());
        return offset.map(Port::Offset).ok_or_else(|| wrong_port(text, port, all));
    }
    let one = |part: &str, range: Range<usize>| part.parse::<u16>().map_err(|_| wrong_port(text, part, range));
    let Some((low, high)) = port.split_once('-') else { return one(port, all).map(Port::One) };
    let (first, last) = (one(low, from..from + low.len())?, one(high, from + low.len() + 1..text.len())?);
    if first > last {
        return Err(ValueError::new(format!("invalid port range '{port}'"), all));
    }
    Ok(Port::Range(first, last))
}

fn wrong_port(text: &str, port: &str, range: Range<usize>) -> ValueError {
    let digits = port.trim_start_matches(['+', '-']);
    match digits.chars().find(|c| !c.is_ascii_digit()) {
        Some(wrong) => {
            ValueError::new(format!("invalid character '{wrong}' in port number '{port}' in '{text}'"), range)
        }
        None => ValueError::new(format!("invalid port '{port}'"), range),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ip(host: &str, port: Port) -> Address {
        let host = Host::Ip(host.parse().expect("an address"));
        Address { host, family: None, transport: Transport::Default, port }
    }

    #[test]
    fn addresses() {
        let any = Address { host: Host::Any, family: None, transport: Transport::Default, port: Port::One(80) };
        let local = |host| Address { host, family: None, transport: Transport::Default, port: Port::None };
        for (text, expected) in [
            ("*:80", any.clone()),
            (":80", any.clone()),
            (":80-90", Address { port: Port::Range(80, 90), ..any.clone() }),
            ("1.2.3.4:80", ip("1.2.3.4", Port::One(80))),
            ("1.2.3.4", ip("1.2.3.4", Port::None)),
            ("1.2.3.4:", ip("1.2.3.4", Port::None)),
            ("1.2.3.4:+5", ip("1.2.3.4", Port::Offset(5))),
            ("1.2.3.4:-5", ip("1.2.3.4", Port::Offset(-5))),
            (":::80", ip("::", Port::One(80))),
            ("[::]:80", ip("::", Port::One(80))),
            ("[::1]", ip("::1", Port::None)),
            ("::1:80", ip("::1", Port::One(80))),
            ("localhost:80", Address { host: Host::Name("localhost".into()), ..any.clone() }),
            ("ipv6@a.b:80", Address { host: Host::Name("a.b".into()), family: Some(Family::V6), ..any.clone() }),
            ("tcp@:80", Address { transport: Transport::Stream, ..any.clone() }),
            ("udp4@:80", Address { transport: Transport::Datagram, family: Some(Family::V4), ..any.clone() }),
            ("mptcp@:80", Address { transport: Transport::Mptcp, ..any.clone() }),
            ("quic6@:80", Address { transport: Transport::Quic, family: Some(Family::V6), ..any.clone() }),
            ("stream+ipv4@:80", Address { transport: Transport::Stream, family: Some(Family::V4), ..any.clone() }),
            ("/run/a:b", local(Host::Unix("/run/a:b".into()))),
            ("unix@a", local(Host::Unix("a".into()))),
            ("uxdg@/a", Address { transport: Transport::Datagram, ..local(Host::Unix("/a".into())) }),
            ("abns@a", local(Host::Abstract("a".into()))),
            ("abnsz@a", local(Host::AbstractZero("a".into()))),
            ("fd@3", local(Host::Fd(3))),
            ("sockpair@4", local(Host::SocketPair(4))),
            ("rhttp@b/s", local(Host::ReverseHttp("b/s".into()))),
        ] {
            assert_eq!(parse(text, Accept::ALL), Ok(expected), "{text}");
        }
    }

    /// The words of haproxy 2.6.
    #[test]
    fn mistakes() {
        for (text, accept, message, range) in [
            ("", Accept::BIND, "'' resolves to an empty address (environment variable missing?)", 0..0),
            (":80-", Accept::BIND, "invalid port ''", 4..4),
            (":90-80", Accept::BIND, "invalid port range '90-80'", 1..6),
            (":x", Accept::BIND, "invalid character 'x' in port number 'x' in ':x'", 1..2),
            (":70000", Accept::BIND, "invalid port '70000'", 1..6),
            (":0", Accept::BIND, "invalid port '0'", 0..2),
            ("1.2.3.4", Accept::BIND, "missing port specification in '1.2.3.4'", 0..7),
            ("*", Accept::BIND, "missing port specification in '*'", 0..1),
            ("[::1]", Accept::BIND, "missing port specification in '[::1]'", 0..5),
            ("1.2.3.400:80", Accept::BIND, "invalid address: '1.2.3.400' in '1.2.3.400:80'", 0..9),
            ("ipv4@::1:80", Accept::BIND, "invalid address: '::1' in 'ipv4@::1:80'", 5..8),
            ("ipv6@1.2.3.4:80", Accept::BIND, "invalid address: '1.2.3.4' in 'ipv6@1.2.3.4:80'", 5..12),
            ("foo@:80", Accept::BIND, "invalid address: 'foo@' in 'foo@:80'", 0..4),
            ("udp@:80", Accept::BIND, "dgram-type address not acceptable in 'udp@:80'", 0..7),
            (":+5", Accept::BIND, "port offset not permitted here in ':+5'", 0..3),
            ("fd@x", Accept::BIND, "file descriptor 'x' is not a valid integer in 'fd@x'", 3..4),
            ("fd@3", Accept::SERVER, "a file descriptor is not acceptable here in 'fd@3'", 0..4),
            ("1.2.3.4:80-90", Accept::SERVER, "port range not permitted here in '1.2.3.4:80-90'", 0..13),
            ("::1", Accept::SERVER, "invalid address: ':' in '::1'", 0..1),
            ("[::1", Accept::SERVER, "invalid address: '[:' in '[::1'", 0..2),
        ] {
            let error = parse(text, accept).expect_err(text);
            assert_eq!((error.message.as_str(), error.range), (message, range), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text(text in "(stream\\+|unix@|ipv4@|fd@)?[\\[\\]:.0-9a-f+*/@é-]*") {
            if let Err(error) = parse(&text, Accept::BIND) {
                prop_assert!(text.get(error.range).is_some());
            }
        }
    }
}
