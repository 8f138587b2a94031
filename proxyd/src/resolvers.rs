//! Name servers are asked where servers are, while the process runs (configuration.txt, `resolvers`).
//!
//! [`message`] is the wire: questions out, answers in; [`frames`] where it is a stream. [`lookup`] is one question over its tries, families and holds.
//! [`assign`] says which server gets which address of an answer. Nothing here opens a socket or reads a clock: `lookup` of the
//! driving side does.

pub mod assign;
pub mod frames;
pub mod lookup;
pub mod message;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use message::{Kind, Name};

/// A `resolvers` section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The section's name.
    pub name: Arc<str>,
    /// Who is asked: all of them at once, and the first good answer counts.
    pub nameservers: Vec<Nameserver>,
    /// `resolve_retries`: how often a question is sent at most.
    pub tries: u32,
    /// `timeout resolve`: how long after an answer the question is asked again.
    pub resolve: Duration,
    /// `timeout retry`: how long an answer is waited for.
    pub retry: Duration,
    /// `hold`.
    pub hold: Hold,
    /// `accepted_payload_size`: the longest answer, in bytes.
    pub payload_size: u16,
}

impl Settings {
    /// What haproxy begins with.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            nameservers: Vec::new(),
            tries: 3,
            resolve: Duration::from_secs(1),
            retry: Duration::from_secs(1),
            hold: Hold::default(),
            payload_size: 512,
        }
    }
}

/// `nameserver`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nameserver {
    /// What it is called in logs.
    pub name: String,
    /// Where it is asked.
    pub address: NameserverAddress,
}

/// Where a name server is asked, and by what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameserverAddress {
    /// Datagrams.
    Udp(SocketAddr),
    /// A stream, with the length before each message (RFC 7766).
    Tcp(SocketAddr),
    /// The same over a unix socket.
    Unix(PathBuf),
    /// The same over a unix socket in the abstract name space.
    Abstract(String),
}

/// `hold`: for how long after the last good answer a server keeps its address although the name servers say otherwise.
///
/// With haproxy, name servers that cannot be reached for 30 s take servers out of service. Here a server keeps its last address
/// until one of them says that there is another or none, unless the configuration says how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// A rule takes a good answer of this age, where servers have asked the same, before it has the name servers asked again.
    pub valid: Duration,
    /// An address that is in no answer any more.
    pub obsolete: Duration,
    /// The name does not exist.
    pub nx: Duration,
    /// Questions are refused. `None`: for ever.
    pub refused: Option<Duration>,
    /// Questions are not answered. `None`: for ever.
    pub timeout: Option<Duration>,
    /// Answers are of no use. `None`: for ever.
    pub other: Option<Duration>,
}

impl Default for Hold {
    fn default() -> Self {
        Self {
            valid: Duration::from_secs(10),
            obsolete: Duration::ZERO,
            nx: Duration::from_secs(30),
            refused: None,
            timeout: None,
            other: None,
        }
    }
}

/// What a server wants of name servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The section that is asked, by its rank.
    pub section: usize,
    /// Its name, or that of the service it serves.
    pub name: Name,
    /// It is the name of a service: its SRV records say which hosts, ports and weights there are.
    pub service: bool,
    /// How addresses are chosen.
    pub choice: Choice,
    /// `resolve-opts ignore-weight`.
    pub ignore_weight: bool,
}

/// How a server chooses among the addresses of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// `resolve-prefer`.
    pub prefer: Kind,
    /// `resolve-net`: addresses in these networks first.
    pub networks: Vec<Network>,
    /// `resolve-opts allow-dup-ip`: servers of the same name may have the same address.
    pub shares: bool,
}

impl Default for Choice {
    fn default() -> Self {
        Self { prefer: Kind::Aaaa, networks: Vec::new(), shares: false }
    }
}

/// A network of `resolve-net`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// An address in it.
    pub address: IpAddr,
    /// Bits that count.
    pub bits: u8,
}

impl Network {
    /// Whether an address is in it.
    pub fn contains(self, ip: IpAddr) -> bool {
        let same = |one: u128, other: u128, width: u32| {
            let free = width.saturating_sub(u32::from(self.bits));
            free >= 128 || (one ^ other).checked_shr(free).is_none_or(|rest| rest == 0)
        };
        match (self.address, ip) {
            (IpAddr::V4(one), IpAddr::V4(other)) => same(u32::from(one).into(), u32::from(other).into(), 32),
            (IpAddr::V6(one), IpAddr::V6(other)) => same(one.into(), other.into(), 128),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

/// What is counted of a name server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tally {
    /// A question was sent.
    Sent,
    /// A question could not be sent.
    SendError,
    /// A good answer.
    Valid,
    /// An answer that changed a server.
    Update,
    /// An answer that only names another name.
    Cname,
    /// An answer whose names lead nowhere.
    CnameError,
    /// An answer without a record of the kind that was asked for.
    AnyError,
    /// The name does not exist.
    Nx,
    /// A question without an answer.
    Timeout,
    /// A refused question.
    Refused,
    /// Another failure.
    Other,
    /// An answer that is no message.
    Invalid,
    /// An answer that is too long.
    TooBig,
    /// An answer that was cut.
    Truncated,
    /// An answer that came when nobody waited for it.
    Outdated,
}

/// The names of what is counted, in the order of [`Tally`], as `show resolvers` shows them.
pub const TALLIES: [&str; 15] = [
    "sent",
    "snd_error",
    "valid",
    "update",
    "cname",
    "cname_error",
    "any_err",
    "nx",
    "timeout",
    "refused",
    "other",
    "invalid",
    "too_big",
    "truncated",
    "outdated",
];

/// What was counted of a name server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters([u64; TALLIES.len()]);

impl Counters {
    /// One more.
    pub fn add(&mut self, what: Tally) {
        if let Some(count) = self.0.get_mut(what as usize) {
            *count += 1;
        }
    }

    /// Names and counts.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        TALLIES.into_iter().zip(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_contain_their_addresses() {
        let network = |text: &str, bits| Network { address: text.parse().unwrap(), bits };
        for (net, ip, expected) in [
            (network("10.0.0.0", 8), "10.255.0.1", true),
            (network("10.0.0.0", 8), "11.0.0.1", false),
            (network("0.0.0.0", 0), "192.0.2.1", true),
            (network("192.0.2.1", 32), "192.0.2.1", true),
            (network("192.0.2.1", 32), "192.0.2.0", false),
            (network("2001:db8::", 32), "2001:db8:1::1", true),
            (network("2001:db8::", 32), "2001:db9::1", false),
            (network("::", 0), "::1", true),
            (network("::", 0), "127.0.0.1", false),
        ] {
            assert_eq!(net.contains(ip.parse().unwrap()), expected, "{net:?} {ip}");
        }
    }

    #[test]
    fn what_is_counted_has_the_name_it_is_counted_under() {
        let mut counters = Counters::default();
        counters.add(Tally::Outdated);
        counters.add(Tally::AnyError);
        let counted: Vec<_> = counters.iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counted, [("any_err", 1), ("outdated", 1)]);
    }
}
