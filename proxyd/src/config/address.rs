//! Addresses of the configuration, their names looked up.

use shared_config::haproxy::env::Env;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs};

pub(super) use shared_config::value::address::{Accept, Address, Family, Host, Port, Transport};

/// An address with one port.
pub(super) const TARGET: Accept = Accept { range: false, fd: false, unix: false, ..Accept::BIND };
/// An address alone; a port is taken and ignored.
pub(super) const HOST: Accept = Accept { range: false, ..Accept::SOURCE };

/// The longest name in the abstract name space: what an address has room for behind the zero in front.
const ABSTRACT_NAME_MAX: usize = 107;

/// A name in the abstract name space as the kernel has it, without the zero in front: `abns@` fills the whole address with zeros.
pub(super) fn abstract_name(host: &Host) -> Option<String> {
    match host {
        Host::Abstract(name) => {
            let zeros = ABSTRACT_NAME_MAX.saturating_sub(name.len());
            Some(format!("{name}{}", "\0".repeat(zeros)))
        }
        Host::AbstractZero(name) => Some(name.clone()),
        Host::Any
        | Host::Ip(_)
        | Host::Name(_)
        | Host::Unix(_)
        | Host::Fd(_)
        | Host::SocketPair(_)
        | Host::ReverseHttp(_) => None,
    }
}

/// Reads an address whose variables are expanded. The error is haproxy's text.
fn parse(text: &str, accept: Accept) -> Result<Address, String> {
    let address = shared_config::value::address::parse(text, accept).map_err(|error| error.message)?;
    match address.transport {
        Transport::Quic => Err(format!(
            "unsupported stream protocol for datagram family 2 address '{text}'; QUIC is not compiled in if this is what \
             you were looking for."
        )),
        Transport::Default | Transport::Stream | Transport::Datagram | Transport::Mptcp => Ok(address),
    }
}

/// Looks names up, each one once.
#[derive(Debug, Default)]
pub(super) struct Resolver {
    env: Env,
    known: HashMap<(String, Option<Family>), Option<IpAddr>>,
}

impl Resolver {
    /// With the environment that addresses may name.
    pub(super) fn new(env: Env) -> Self {
        Self { env, known: HashMap::new() }
    }

    /// Reads an address. Other than elsewhere, `$NAME` and `${NAME}` count here outside of quotes, too. The error is
    /// haproxy's text.
    pub(super) fn parse(&self, text: &str, accept: Accept) -> Result<Address, String> {
        if text.contains('$') { parse(&self.expand(text), accept) } else { parse(text, accept) }
    }

    /// The text with its variables replaced; one that is not set leaves nothing.
    fn expand(&self, text: &str) -> String {
        let mut parts = text.split('$');
        let mut expanded = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let braced = part.strip_prefix('{').and_then(|part| part.split_once('}'));
            let (name, rest) = braced.unwrap_or_else(|| {
                part.split_at(part.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(part.len()))
            });
            expanded.push_str(self.env.get(name).unwrap_or_default());
            expanded.push_str(rest);
        }
        expanded
    }

    /// The first address of a name in the family asked for.
    pub(super) fn resolve(&mut self, name: &str, family: Option<Family>) -> Option<IpAddr> {
        let key = (name.to_owned(), family);
        if let Some(&known) = self.known.get(&key) {
            return known;
        }
        let found = (name, 0).to_socket_addrs().ok().and_then(|mut found| {
            found.find_map(|address| match (family, address.ip()) {
                (None, ip) | (Some(Family::V4), ip @ IpAddr::V4(_)) | (Some(Family::V6), ip @ IpAddr::V6(_)) => {
                    Some(ip)
                }
                (Some(Family::V4), IpAddr::V6(_)) | (Some(Family::V6), IpAddr::V4(_)) => None,
            })
        });
        self.known.insert(key, found);
        found
    }

    /// The address to bind to, connect from or log to. The error is haproxy's text.
    pub(super) fn ip(&mut self, address: &Address, text: &str) -> Result<IpAddr, String> {
        match &address.host {
            Host::Ip(ip) => Ok(*ip),
            Host::Any => Ok(match address.family {
                None | Some(Family::V4) => Ipv4Addr::UNSPECIFIED.into(),
                Some(Family::V6) => Ipv6Addr::UNSPECIFIED.into(),
            }),
            Host::Name(name) => {
                self.resolve(name, address.family).ok_or_else(|| format!("invalid address: '{name}' in '{text}'"))
            }
            Host::Unix(_)
            | Host::Abstract(_)
            | Host::AbstractZero(_)
            | Host::Fd(_)
            | Host::SocketPair(_)
            | Host::ReverseHttp(_) => Err(format!("an IP address is expected in '{text}'")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_in_addresses() {
        let resolver = Resolver::new(Env::new([("IP", "::1"), ("APP", "app")]));
        for (text, expected) in
            [("[$IP]:80", "[::1]:80"), ("$APP.${APP}.x:1", "app.app.x:1"), ("a$NONE.b", "a.b"), ("$", "")]
        {
            assert_eq!(resolver.expand(text), expected, "{text}");
        }
        assert_eq!(resolver.parse("[$IP]:80", Accept::BIND).map(|a| a.port), Ok(Port::One(80)));
    }
}
