//! Which adverts count. The checks come in keepalived's order, the messages are in its words: people search for them.

use super::settings::{Auth, GROUP_INET, OldChecksum, Settings, Transport};
use crate::packet::auth::AuthType;
use crate::packet::ip::TTL_VRRP;
use crate::packet::{self, Datagram, Message, TYPE_ADVERTISEMENT, Version, vrrp2, vrrp3};
use std::collections::HashSet;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// An advert that passed every check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advert {
    /// Its sender.
    pub source: IpAddr,
    /// The sender's priority; 0 when it gives up.
    pub priority: u8,
    /// The sender's interval; never zero.
    pub interval: Duration,
    /// Its checksum was made as keepalived before 1.3.7 made it (`old_unicast_checksum`).
    pub old_checksum: bool,
}

/// Why an advert does not count. `Display` is the line of the log without the name of the instance.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "every variant is the message that Display gives it")]
pub enum Rejected {
    Tiny { family: &'static str, received: usize },
    Ttl { received: u8 },
    PeerTtl { received: u8, min: u8, max: u8 },
    WrongVersion { received: u8, expected: u8 },
    AuthUnknown { received: u8 },
    AuthMismatch { received: u8, expected: u8 },
    Password,
    Interval { mine: Duration, received: Duration },
    IntervalZero,
    PacketType { received: u8 },
    Short { received: usize, expected: usize },
    Long { received: usize, expected: usize },
    Checksum { version: u8 },
    NotUnicast,
    NotMulticast,
    NotAPeer { source: IpAddr },
}

/// How an address list differs from ours; the advert counts all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "every variant is the message that Display gives it")]
pub enum AddressMismatch {
    Count { expected: usize, received: u8 },
    Missing { vrid: u8, source: IpAddr, address: IpAddr },
}

/// What a received message is worth.
pub type Verdict = Result<(Advert, Option<AddressMismatch>), Rejected>;

/// Judges a message for this virtual router id. `known_master` is the master whose list was checked before
/// (`skip_check_adv_addr`).
pub fn check(settings: &Settings, datagram: &Datagram<'_>, known_master: Option<IpAddr>) -> Verdict {
    let message = Message::new(datagram.message).map_err(|_| Rejected::Tiny {
        family: settings.family.name(),
        received: datagram.message.len() + datagram.header_len,
    })?;
    if matches!(settings.transport, Transport::Multicast { .. }) && datagram.ttl != TTL_VRRP {
        return Err(Rejected::Ttl { received: datagram.ttl });
    }
    if message.version() != settings.version.number() {
        return Err(Rejected::WrongVersion { received: message.version(), expected: settings.version.number() });
    }
    let (interval, old_checksum) = match settings.version {
        Version::V2 => (check_version2(settings, vrrp2::Packet(message), datagram)?, false),
        Version::V3 => check_version3(settings, vrrp3::Packet(message), datagram)?,
    };
    // Before the address list, where keepalived does it after: a stranger's list is nobody's concern.
    check_transport(settings, datagram)?;
    let mismatch = if settings.skip_check_adv_addr && known_master == Some(datagram.source) {
        None
    } else {
        compare_addresses(settings, datagram, message.count())
    };
    Ok((Advert { source: datagram.source, priority: message.priority(), interval, old_checksum }, mismatch))
}

fn check_version2(
    settings: &Settings,
    packet: vrrp2::Packet<'_>,
    datagram: &Datagram<'_>,
) -> Result<Duration, Rejected> {
    let (expected, password) = match settings.auth {
        Auth::None | Auth::Unsupported(_) => (AuthType::None, None),
        Auth::Pass(password) => (AuthType::Pass, Some(password)),
    };
    let received = packet.auth_type();
    match AuthType::from_wire(received) {
        None => return Err(Rejected::AuthUnknown { received }),
        Some(kind) if kind != expected => {
            return Err(Rejected::AuthMismatch { received, expected: expected.to_wire() });
        }
        Some(_) => {}
    }
    if let (Some(password), Some(data)) = (password, packet.auth_data(settings.family))
        && password.octets() != data
    {
        return Err(Rejected::Password);
    }
    if packet.interval() != settings.advert_interval {
        return Err(Rejected::Interval { mine: settings.advert_interval, received: packet.interval() });
    }
    check_type_and_length(packet.0, packet.expected_len(settings.family), datagram)?;
    if !packet.checksum_is_valid() {
        return Err(Rejected::Checksum { version: 2 });
    }
    Ok(packet.interval())
}

fn check_version3(
    settings: &Settings,
    packet: vrrp3::Packet<'_>,
    datagram: &Datagram<'_>,
) -> Result<(Duration, bool), Rejected> {
    check_type_and_length(packet.0, packet.expected_len(settings.family), datagram)?;
    let usual = checksum3_is_valid(packet, datagram);
    let old = !usual && old_checksum3_is_valid(settings, packet, datagram);
    if !usual && !old {
        return Err(Rejected::Checksum { version: 3 });
    }
    if packet.interval().is_zero() {
        return Err(Rejected::IntervalZero);
    }
    Ok((packet.interval(), old))
}

/// With the pseudo header (keepalived's) or, over IPv4, without one (RFC 9568): both are honest senders.
fn checksum3_is_valid(packet: vrrp3::Packet<'_>, datagram: &Datagram<'_>) -> bool {
    packet.checksum_is_valid(Some((datagram.source, datagram.destination)))
        || (datagram.destination.is_ipv4() && packet.checksum_is_valid(None))
}

/// With the group in place of the unicast destination (keepalived before 1.3.7).
fn old_checksum3_is_valid(settings: &Settings, packet: vrrp3::Packet<'_>, datagram: &Datagram<'_>) -> bool {
    settings.old_unicast_checksum != OldChecksum::Never
        && datagram.destination.is_ipv4()
        && !datagram.destination.is_multicast()
        && packet.checksum_is_valid(Some((datagram.source, IpAddr::V4(GROUP_INET))))
}

fn check_type_and_length(message: Message<'_>, expected: usize, datagram: &Datagram<'_>) -> Result<(), Rejected> {
    if message.packet_type() != TYPE_ADVERTISEMENT {
        return Err(Rejected::PacketType { received: message.packet_type() });
    }
    let (received, expected) = (datagram.message.len() + datagram.header_len, expected + datagram.header_len);
    match received.cmp(&expected) {
        std::cmp::Ordering::Less => Err(Rejected::Short { received, expected }),
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => Err(Rejected::Long { received, expected }),
    }
}

fn check_transport(settings: &Settings, datagram: &Datagram<'_>) -> Result<(), Rejected> {
    let multicast = datagram.destination.is_multicast();
    let Transport::Unicast { peers, check_source, .. } = &settings.transport else {
        return if multicast { Ok(()) } else { Err(Rejected::NotMulticast) };
    };
    if multicast {
        return Err(Rejected::NotUnicast);
    }
    let peer = peers.iter().find(|peer| peer.address == datagram.source);
    let limited = peers.iter().any(|peer| peer.min_ttl.is_some() || peer.max_ttl.is_some());
    let Some(peer) = peer else {
        return if *check_source || limited { Err(Rejected::NotAPeer { source: datagram.source }) } else { Ok(()) };
    };
    let (min, max) = (peer.min_ttl.unwrap_or(0), peer.max_ttl.unwrap_or(u8::MAX));
    if (min..=max).contains(&datagram.ttl) {
        Ok(())
    } else {
        Err(Rejected::PeerTtl { received: datagram.ttl, min, max })
    }
}

fn compare_addresses(settings: &Settings, datagram: &Datagram<'_>, count: u8) -> Option<AddressMismatch> {
    let expected = settings.addresses.len();
    if usize::from(count) != expected {
        return Some(AddressMismatch::Count { expected, received: count });
    }
    let received = || packet::addresses(datagram.message, settings.family, count);
    let ours = || settings.addresses.iter().map(|vip| vip.address);
    if received().eq(ours()) {
        return None;
    }
    let received: HashSet<IpAddr> = received().collect();
    let address = ours().find(|address| !received.contains(address))?;
    Some(AddressMismatch::Missing { vrid: settings.vrid, source: datagram.source, address })
}

impl Rejected {
    /// A small number that tells the kinds apart, so that each is logged once until something changes.
    pub fn kind(&self) -> u32 {
        match self {
            Rejected::Tiny { .. } => 0,
            Rejected::Ttl { .. } => 1,
            Rejected::PeerTtl { .. } => 2,
            Rejected::WrongVersion { .. } => 3,
            Rejected::AuthUnknown { .. } => 4,
            Rejected::AuthMismatch { .. } => 5,
            Rejected::Password => 6,
            Rejected::Interval { .. } => 7,
            Rejected::IntervalZero => 8,
            Rejected::PacketType { .. } => 9,
            Rejected::Short { .. } => 10,
            Rejected::Long { .. } => 11,
            Rejected::Checksum { .. } => 12,
            Rejected::NotUnicast => 13,
            Rejected::NotMulticast => 14,
            Rejected::NotAPeer { .. } => 15,
        }
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rejected::Tiny { family, received } => write!(f, "{family} VRRP packet too short - {received} bytes"),
            Rejected::Ttl { received } => {
                write!(f, "invalid TTL/HL. Received {received} and expect {TTL_VRRP}")
            }
            Rejected::PeerTtl { received, min, max } => write!(f, "TTL/HL {received} not in range {min} - {max}"),
            Rejected::WrongVersion { received, expected } => {
                write!(f, "wrong version. Received {received} and expect {expected}")
            }
            Rejected::AuthUnknown { received } => write!(f, "Invalid auth type: {received}"),
            Rejected::AuthMismatch { received, expected } => {
                write!(f, "received a {received} auth, expecting {expected}!")
            }
            Rejected::Password => f.write_str("received an invalid passwd!"),
            Rejected::Interval { mine, received } => write!(
                f,
                "advertisement interval mismatch mine={} sec rcv'd={} sec",
                mine.as_secs(),
                received.as_secs()
            ),
            Rejected::IntervalZero => f.write_str("advertisement interval 0 received, which no master may use"),
            Rejected::PacketType { received } => {
                write!(f, "Invalid packet type. {received} and expect {TYPE_ADVERTISEMENT}")
            }
            Rejected::Short { received, expected } => {
                write!(f, "vrrp packet too short, length {received} and expect {expected}")
            }
            Rejected::Long { received, expected } => {
                write!(f, "vrrp packet too long, length {received} and expect {expected}")
            }
            Rejected::Checksum { version } => write!(f, "Invalid VRRPv{version} checksum"),
            Rejected::NotUnicast => f.write_str("Expected unicast packet but received multicast packet"),
            Rejected::NotMulticast => f.write_str("Expected multicast packet but received unicast packet"),
            Rejected::NotAPeer { source } => write!(f, "unicast source address {source} not a unicast peer"),
        }
    }
}

impl fmt::Display for AddressMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AddressMismatch::Count { expected, received } => {
                write!(f, "expected {expected} VIPs but received {received}")
            }
            AddressMismatch::Missing { vrid, source, address } => {
                write!(f, "ip address associated with VRID {vrid} not present in advert from {source}: {address}")
            }
        }
    }
}

#[cfg(test)]
mod tests;
