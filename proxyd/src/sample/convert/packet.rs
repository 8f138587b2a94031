//! Packets as a listener keeps them (`tcp-ss`): the Ethernet header, the IP header and the TCP header, and what they say. A
//! packet that ends too early says nothing. haproxy 3.4's manual, section 7.3.1; RFC 791, RFC 8200, RFC 9293.

use super::text;
use crate::sample::value::Value;
use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

/// What is asked of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// `eth.data`: what follows the Ethernet header.
    EthernetData,
    /// `eth.dst`
    EthernetDestination,
    /// `eth.hdr`: the header, tags of VLANs included.
    EthernetHeader,
    /// `eth.proto`: what follows, after any tags.
    EthernetProtocol,
    /// `eth.src`
    EthernetSource,
    /// `eth.vlan`: the last one.
    Vlan,
    /// `ip.data`: what follows the IP header and its extensions.
    Data,
    /// `ip.df`: whether it may not be split.
    Unsplit,
    /// `ip.dst`
    Destination,
    /// `ip.fp`: what stays the same of a host, and what is appended to it.
    Fingerprint(Appended),
    /// `ip.hdr`
    Header,
    /// `ip.proto`
    Protocol,
    /// `ip.src`
    Source,
    /// `ip.tos`
    Tos,
    /// `ip.ttl`
    Ttl,
    /// `ip.ver`
    Version,
    /// One of `tcp.…`
    Tcp(TcpPart),
}

/// What is asked of a TCP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TcpPart {
    /// `tcp.dst`: a port.
    Destination,
    /// `tcp.flags`: all eight.
    Flags,
    /// `tcp.options.mss`, 0 without one.
    SegmentSize,
    /// `tcp.options.sack`
    SelectiveAcks,
    /// `tcp.options.tsopt`
    HasTimestamp,
    /// `tcp.options.tsval`
    Timestamp,
    /// `tcp.options.wscale`, 0 without one.
    WindowScale,
    /// `tcp.options.wsopt`
    HasWindowScale,
    /// `tcp.options_list`: the kinds, in their order.
    Options,
    /// `tcp.seq`
    Sequence,
    /// `tcp.src`: a port.
    Source,
    /// `tcp.win`, not scaled.
    Window,
}

/// What `ip.fp` puts behind its eight bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Appended {
    ttl: bool,
    options: bool,
    source: bool,
}

impl Appended {
    /// From the argument of `ip.fp`: the sum of 1, 2 and 4.
    pub fn from_mode(mode: i64) -> Self {
        Self { ttl: mode & 1 != 0, options: mode & 2 != 0, source: mode & 4 != 0 }
    }
}

impl Part {
    /// From the converter's name; `mode` is the argument of `ip.fp`.
    pub fn named(name: &str, mode: i64) -> Option<Self> {
        Some(match name {
            "eth.data" => Self::EthernetData,
            "eth.dst" => Self::EthernetDestination,
            "eth.hdr" => Self::EthernetHeader,
            "eth.proto" => Self::EthernetProtocol,
            "eth.src" => Self::EthernetSource,
            "eth.vlan" => Self::Vlan,
            "ip.data" => Self::Data,
            "ip.df" => Self::Unsplit,
            "ip.dst" => Self::Destination,
            "ip.fp" => Self::Fingerprint(Appended::from_mode(mode)),
            "ip.hdr" => Self::Header,
            "ip.proto" => Self::Protocol,
            "ip.src" => Self::Source,
            "ip.tos" => Self::Tos,
            "ip.ttl" => Self::Ttl,
            "ip.ver" => Self::Version,
            "tcp.dst" => Self::Tcp(TcpPart::Destination),
            "tcp.flags" => Self::Tcp(TcpPart::Flags),
            "tcp.options.mss" => Self::Tcp(TcpPart::SegmentSize),
            "tcp.options.sack" => Self::Tcp(TcpPart::SelectiveAcks),
            "tcp.options.tsopt" => Self::Tcp(TcpPart::HasTimestamp),
            "tcp.options.tsval" => Self::Tcp(TcpPart::Timestamp),
            "tcp.options.wscale" => Self::Tcp(TcpPart::WindowScale),
            "tcp.options.wsopt" => Self::Tcp(TcpPart::HasWindowScale),
            "tcp.options_list" => Self::Tcp(TcpPart::Options),
            "tcp.seq" => Self::Tcp(TcpPart::Sequence),
            "tcp.src" => Self::Tcp(TcpPart::Source),
            "tcp.win" => Self::Tcp(TcpPart::Window),
            _ => return None,
        })
    }

    /// What the packet says.
    pub(super) fn of(self, packet: Cow<'_, [u8]>) -> Option<Value<'_>> {
        let number = |number: Option<u64>| number.map(Value::count);
        match self {
            Self::EthernetData
            | Self::EthernetDestination
            | Self::EthernetHeader
            | Self::EthernetSource
            | Self::Data
            | Self::Header => {
                let range = self.range(&packet)?;
                Some(Value::Bin(text::part(packet, |_| Some(range))?))
            }
            Self::EthernetProtocol => number(Ethernet::read(&packet)?.protocol.map(u64::from)),
            Self::Vlan => number(Ethernet::read(&packet)?.vlan.map(u64::from)),
            Self::Fingerprint(appended) => Some(Value::Bin(Cow::Owned(fingerprint(&packet, appended)?))),
            Self::Tcp(part) => Tcp::read(&packet)?.value(part),
            _ => {
                let ip = Ip::read(&packet)?;
                Some(match self {
                    Self::Destination => Value::Ip(ip.destination),
                    Self::Source => Value::Ip(ip.source),
                    Self::Unsplit => Value::Int(ip.unsplit.into()),
                    Self::Protocol => Value::Int(ip.protocol.into()),
                    Self::Tos => Value::Int(ip.tos.into()),
                    Self::Ttl => Value::Int(ip.ttl.into()),
                    _ => Value::Int(ip.version().into()),
                })
            }
        }
    }

    /// Where it stands, of what is a piece of the packet.
    fn range(self, packet: &[u8]) -> Option<Range<usize>> {
        let range = match self {
            Self::EthernetDestination => 0..ADDRESS,
            Self::EthernetSource => ADDRESS..2 * ADDRESS,
            Self::EthernetHeader => 0..Ethernet::read(packet)?.length,
            Self::EthernetData => Ethernet::read(packet)?.length..packet.len(),
            Self::Header => 0..Ip::read(packet)?.length,
            Self::Data => Ip::read(packet)?.length..packet.len(),
            _ => return None,
        };
        (range.end <= packet.len()).then_some(range)
    }
}

fn byte(bytes: &[u8], at: usize) -> Option<u8> {
    bytes.get(at).copied()
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

/// Bytes of an Ethernet address.
const ADDRESS: usize = 6;
/// The types of frames that have a tag before their own type (IEEE 802.1Q, 802.1ad).
const TAGS: [u16; 2] = [0x8100, 0x88a8];

/// An Ethernet header.
struct Ethernet {
    length: usize,
    protocol: Option<u16>,
    vlan: Option<u16>,
}

impl Ethernet {
    fn read(frame: &[u8]) -> Option<Self> {
        let mut at = 2 * ADDRESS;
        let mut vlan = None;
        loop {
            let kind = word(frame, at)?;
            if !TAGS.contains(&kind) {
                return Some(Self { length: at + 2, protocol: Some(kind), vlan });
            }
            // The lower twelve bits of the tag.
            vlan = Some(word(frame, at + 2)? & 0x0fff);
            at += 4;
        }
    }
}

/// An IP header with its options or extensions.
struct Ip {
    length: usize,
    /// There are some.
    options: bool,
    /// Bytes that follow the header, as it says.
    carried: usize,
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    tos: u8,
    ttl: u8,
    unsplit: bool,
}

impl Ip {
    fn read(packet: &[u8]) -> Option<Self> {
        match byte(packet, 0)? >> 4 {
            4 => Self::read_v4(packet),
            6 => Self::read_v6(packet),
            _ => None,
        }
    }

    fn version(&self) -> u8 {
        if self.source.is_ipv4() { 4 } else { 6 }
    }

    fn read_v4(packet: &[u8]) -> Option<Self> {
        let address = |at: usize| Some(IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(packet.get(at..at + 4)?).ok()?)));
        let length = usize::from(byte(packet, 0)? & 15) * 4;
        if length < 20 || packet.len() < length {
            return None;
        }
        Some(Self {
            length,
            options: length > 20,
            carried: usize::from(word(packet, 2)?).saturating_sub(length),
            source: address(12)?,
            destination: address(16)?,
            protocol: byte(packet, 9)?,
            tos: byte(packet, 1)?,
            ttl: byte(packet, 8)?,
            unsplit: byte(packet, 6)? & 0x40 != 0,
        })
    }

    fn read_v6(packet: &[u8]) -> Option<Self> {
        let address =
            |at: usize| Some(IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(packet.get(at..at + 16)?).ok()?)));
        let (mut length, mut protocol) = (40, byte(packet, 6)?);
        // Hop-by-hop options, routing, fragment, destination options, mobility, HIP and shim6; then what they precede.
        while let 0 | 43 | 44 | 51 | 60 | 135 | 139 | 140 = protocol {
            let units = usize::from(byte(packet, length + 1)?);
            let size = match protocol {
                44 => 8,
                // Authentication counts in words.
                51 => (units + 2) * 4,
                _ => (units + 1) * 8,
            };
            protocol = byte(packet, length)?;
            length += size;
        }
        if packet.len() < length {
            return None;
        }
        Some(Self {
            length,
            options: length > 40,
            carried: (usize::from(word(packet, 4)?) + 40).saturating_sub(length),
            source: address(8)?,
            destination: address(24)?,
            protocol,
            tos: u8::try_from(word(packet, 0)? >> 4 & 0xff).ok()?,
            ttl: byte(packet, 7)?,
            unsplit: true,
        })
    }
}

/// The kinds of options that are asked for (RFC 9293, section 3.2; RFC 7323; RFC 2018).
const SEGMENT_SIZE: u8 = 2;
const WINDOW_SCALE: u8 = 3;
const SELECTIVE_ACKS: u8 = 4;
const TIMESTAMP: u8 = 8;

/// A TCP header.
struct Tcp<'a> {
    bytes: &'a [u8],
    /// With its options.
    length: usize,
}

impl<'a> Tcp<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let length = usize::from(byte(bytes, 12)? >> 4) * 4;
        (length >= 20 && bytes.len() >= length).then_some(Self { bytes, length })
    }

    fn value(&self, part: TcpPart) -> Option<Value<'static>> {
        let found = |kind| self.options().any(|(known, _)| known == kind);
        Some(match part {
            TcpPart::Source => Value::Int(word(self.bytes, 0)?.into()),
            TcpPart::Destination => Value::Int(word(self.bytes, 2)?.into()),
            TcpPart::Sequence => Value::Int(u32::from_be_bytes(self.bytes.get(4..8)?.try_into().ok()?).into()),
            TcpPart::Flags => Value::Int(byte(self.bytes, 13)?.into()),
            TcpPart::Window => Value::Int(word(self.bytes, 14)?.into()),
            TcpPart::SegmentSize => Value::Int(self.segment_size().into()),
            TcpPart::WindowScale => Value::Int(self.window_scale().unwrap_or(0).into()),
            TcpPart::HasWindowScale => Value::Int(found(WINDOW_SCALE).into()),
            TcpPart::SelectiveAcks => Value::Int(found(SELECTIVE_ACKS).into()),
            TcpPart::HasTimestamp => Value::Int(found(TIMESTAMP).into()),
            TcpPart::Timestamp => {
                let bytes = self.option(TIMESTAMP)?.get(..4)?;
                Value::Int(u32::from_be_bytes(bytes.try_into().ok()?).into())
            }
            TcpPart::Options => Value::Bin(Cow::Owned(self.kinds().collect())),
        })
    }

    fn kinds(&self) -> impl Iterator<Item = u8> + '_ {
        self.options().map(|(kind, _)| kind)
    }

    /// What an option carries.
    fn option(&self, kind: u8) -> Option<&'a [u8]> {
        self.options().find(|(known, _)| *known == kind).map(|(_, value)| value)
    }

    fn segment_size(&self) -> u16 {
        self.option(SEGMENT_SIZE).and_then(|value| word(value, 0)).unwrap_or(0)
    }

    fn window_scale(&self) -> Option<u8> {
        self.option(WINDOW_SCALE).and_then(|value| byte(value, 0))
    }

    /// Kind and value of each, up to the end of options or to one that is cut.
    fn options(&self) -> impl Iterator<Item = (u8, &'a [u8])> + use<'a> {
        let mut rest = self.bytes.get(20..self.length).unwrap_or_default();
        std::iter::from_fn(move || {
            let (&kind, after) = rest.split_first()?;
            let size = match kind {
                0 => return None,
                // No operation, which has no length.
                1 => {
                    rest = after;
                    return Some((kind, &after[..0]));
                }
                _ => usize::from(*after.first()?),
            };
            let value = rest.get(2..size)?;
            rest = rest.get(size..)?;
            Some((kind, value))
        })
    }
}

/// `ip.fp`
fn fingerprint(packet: &[u8], appended: Appended) -> Option<Vec<u8>> {
    let ip = Ip::read(packet)?;
    let tcp = Tcp::read(packet.get(ip.length..)?)?;
    let distance = match ip.ttl {
        0..=32 => 0,
        33..=64 => 1,
        65..=128 => 2,
        _ => 3,
    };
    let flags = byte(tcp.bytes, 13)?;
    let traits = u8::from(ip.version() == 6) << 7
        | u8::from(ip.unsplit) << 6
        | distance << 4
        | u8::from(ip.options) << 3
        | u8::from(ip.carried > tcp.length) << 2
        | flags >> 6;
    let scale = tcp.window_scale().map_or(0, |scale| scale.min(14) + 1);
    let words = u8::try_from(tcp.length / 4).ok()?;
    let present = tcp.kinds().fold(0, |bits, kind| match kind {
        0 | 1 => bits,
        2..=8 => bits | 1 << (kind - 2),
        _ => bits | 1 << 7,
    });
    let mut out = vec![ip.tos, traits, words << 4 | scale];
    out.extend_from_slice(&word(tcp.bytes, 14)?.to_be_bytes());
    out.extend_from_slice(&tcp.segment_size().to_be_bytes());
    out.push(present);
    if appended.ttl {
        out.push(ip.ttl);
    }
    if appended.options {
        out.extend(tcp.kinds());
    }
    if appended.source {
        match ip.source {
            IpAddr::V4(ip) => out.extend(ip.octets()),
            IpAddr::V6(ip) => out.extend(ip.octets()),
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A SYN of Linux over the loopback interface: MSS 65495, SACK, timestamp 0x01020304, a no-operation, scale 7.
    const SYN: &[u8] = &[
        0x45, 0x10, 0, 60, 0, 1, 0x40, 0, 64, 6, 0, 0, 127, 0, 0, 1, 127, 0, 0, 2, //
        0x9c, 0x40, 0, 80, 0xff, 0, 0, 1, 0, 0, 0, 0, 0xa0, 0xc2, 0xff, 0xd7, 0, 0, 0, 0, //
        2, 4, 0xff, 0xd7, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7,
    ];

    fn asked(name: &str, packet: &[u8]) -> Option<String> {
        let value = Part::named(name, 7).unwrap().of(Cow::Borrowed(packet))?;
        Some(match value {
            Value::Bin(bytes) => String::from_utf8(crate::sample::value::hex(&bytes).to_ascii_lowercase()).unwrap(),
            other => String::from_utf8(other.into_text().into_owned()).unwrap(),
        })
    }

    #[test]
    fn headers_say_what_stands_in_them() {
        for (name, expected) in [
            ("ip.ver", "4"),
            ("ip.df", "1"),
            ("ip.src", "127.0.0.1"),
            ("ip.dst", "127.0.0.2"),
            ("ip.proto", "6"),
            ("ip.tos", "16"),
            ("ip.ttl", "64"),
            ("ip.hdr", "4510003c00014000400600007f0000017f000002"),
            ("ip.fp", "1053a8ffd7ffd7474002040801037f000001"),
        ] {
            assert_eq!(asked(name, SYN).as_deref(), Some(expected), "{name}");
        }
        for (name, expected) in [
            ("tcp.src", "40000"),
            ("tcp.dst", "80"),
            ("tcp.seq", "4278190081"),
            ("tcp.flags", "194"),
            ("tcp.win", "65495"),
            ("tcp.options.mss", "65495"),
            ("tcp.options.sack", "1"),
            ("tcp.options.tsopt", "1"),
            ("tcp.options.tsval", "16909060"),
            ("tcp.options.wsopt", "1"),
            ("tcp.options.wscale", "7"),
            ("tcp.options_list", "0204080103"),
        ] {
            assert_eq!(asked(name, &SYN[20..]).as_deref(), Some(expected), "{name}");
        }
        assert_eq!(asked("ip.data", SYN).map(|data| data.len()), Some(80));
    }

    #[test]
    fn frames_may_have_tags() {
        let frame = |tags: &[u8]| [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2], tags, &[8, 0], SYN].concat();
        let plain = frame(&[]);
        assert_eq!(asked("eth.dst", &plain).as_deref(), Some("020000000001"));
        assert_eq!(asked("eth.src", &plain).as_deref(), Some("020000000002"));
        assert_eq!(asked("eth.proto", &plain).as_deref(), Some("2048"));
        assert_eq!(asked("eth.vlan", &plain), None);
        let tagged = frame(&[0x88, 0xa8, 0, 7, 0x81, 0, 0xf0, 9]);
        assert_eq!(asked("eth.proto", &tagged).as_deref(), Some("2048"));
        assert_eq!(asked("eth.vlan", &tagged).as_deref(), Some("9"));
        assert_eq!(asked("eth.hdr", &tagged).map(|header| header.len()), Some(44));
        assert_eq!(asked("eth.data", &tagged), asked("eth.data", &plain));
    }

    #[test]
    fn extensions_belong_to_the_header() {
        let mut packet = vec![0x6a, 0xb0, 0, 0, 0, 28, 0, 255];
        packet.extend([0x20; 16]);
        packet.extend([0x30; 16]);
        packet.extend([6, 0, 1, 4, 0, 0, 0, 0]);
        packet.extend([0, 1, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0, 0x50, 2, 0, 9, 0, 0, 0, 0]);
        assert_eq!(asked("ip.ver", &packet).as_deref(), Some("6"));
        assert_eq!(asked("ip.proto", &packet).as_deref(), Some("6"));
        assert_eq!(asked("ip.tos", &packet).as_deref(), Some("171"));
        assert_eq!(asked("ip.hdr", &packet).map(|header| header.len()), Some(96));
        let fingerprint = asked("ip.fp", &packet).unwrap();
        assert_eq!(fingerprint, format!("abf8500009000000ff{}", "20".repeat(16)));
    }

    proptest::proptest! {
        /// Whatever comes, and wherever it ends.
        #[test]
        fn anything_may_come(
            start in 0_usize..60,
            bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..80),
        ) {
            let packet = [&SYN[..start], &bytes].concat();
            for name in ["eth.hdr", "eth.vlan", "eth.data", "ip.hdr", "ip.fp", "tcp.options_list", "tcp.options.tsval"] {
                let _ = asked(name, &packet);
                let _ = asked(name, SYN.get(..start).unwrap_or_default());
            }
        }
    }
}
