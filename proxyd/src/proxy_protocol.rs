//! The PROXY protocol, versions 1 and 2: a header before the first byte of a connection that names its real ends.
//!
//! Standard: `proxy-protocol.txt` of the haproxy project, revision of 2020-03-05. Of version 2 also the additions
//! (TLVs) are kept, for rules to look at. [`netscaler`] is what another maker's load balancers send for the same purpose.

pub mod netscaler;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;

use crate::rules::tcp::Preface;
use crate::sample::convert::hash::crc32c;

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

const V1_START: &[u8] = b"PROXY ";

/// Bytes of the longest header of version 1, its line end included.
const V1_MAX: usize = 107;

/// Bytes after the fixed part of a version 2 header that are read: addresses and TLVs.
const V2_MAX: usize = 4_096;

/// The longest name of a host in an addition, as haproxy has it.
const AUTHORITY_MAX: usize = 255;

/// The longest id in an addition, as the specification has it.
const UNIQUE_ID_MAX: usize = 128;

/// Bytes of the additions that are written at most: the length of a header is a number of 16 bits.
const ADDITIONS_MAX: usize = u16::MAX as usize - 36;

/// The kinds of additions that mean something here.
pub mod kind {
    /// The name that the client asked for.
    pub const AUTHORITY: u8 = 0x02;
    /// A checksum of the header.
    pub const CRC32C: u8 = 0x03;
    /// An id of the connection or request.
    pub const UNIQUE_ID: u8 = 0x05;
    /// What is known of the client's TLS.
    pub const SSL: u8 = 0x20;
}

/// The value of [`kind::SSL`] that says: no TLS, and so no verified certificate.
pub const NO_TLS: [u8; 5] = [0; 5];

/// The two ends a header names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ends {
    /// The client.
    pub source: SocketAddr,
    /// Where it connected to.
    pub destination: SocketAddr,
}

/// How far reading a header got.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// More bytes are needed.
    Partial,
    /// It is complete.
    Complete {
        /// Bytes it took.
        consumed: usize,
        /// The ends it names; `None`: those of the connection itself (`UNKNOWN`, `LOCAL`).
        ends: Option<Ends>,
    },
}

/// Why there is no header that could be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HeaderError {
    /// The client closed before it sent anything.
    Closed,
    /// The connection broke before anything came.
    Broken,
    /// Nothing came in time.
    Late,
    /// Only its beginning came.
    Truncated,
    /// What came is something else.
    NoHeader,
    /// It breaks the rules.
    Invalid,
    /// It names a protocol that is not known.
    Unhandled,
}

impl HeaderError {
    /// Whether no byte came at all, as from a probe.
    pub fn without_data(self) -> bool {
        matches!(self, Self::Closed | Self::Broken | Self::Late)
    }
}

/// What did not come, and why.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PrefaceError {
    /// What had to come.
    pub expected: Preface,
    /// Why there is none.
    pub error: HeaderError,
}

impl PrefaceError {
    /// haproxy's number for it (`fc_err`), its name (`fc_err_name`) and its words (`fc_err_str`).
    fn told(self) -> (u8, &'static str, &'static str) {
        match (self.expected, self.error) {
            (Preface::Proxy, HeaderError::Closed) => {
                (11, "PRX_EMPTY", "Connection closed while waiting for PROXY protocol header")
            }
            (Preface::Proxy, HeaderError::Broken) => {
                (12, "PRX_ABORT", "Connection error while waiting for PROXY protocol header")
            }
            (Preface::Proxy, HeaderError::Late) => {
                (13, "PRX_TIMEOUT", "Timeout while waiting for PROXY protocol header")
            }
            (Preface::Proxy, HeaderError::Truncated) => {
                (14, "PRX_TRUNCATED", "Truncated PROXY protocol header received")
            }
            (Preface::Proxy, HeaderError::NoHeader) => {
                (15, "PRX_NOT_HDR", "Received something which does not look like a PROXY protocol header")
            }
            (Preface::Proxy, HeaderError::Invalid) => (16, "PRX_BAD_HDR", "Received an invalid PROXY protocol header"),
            (Preface::Proxy, HeaderError::Unhandled) => {
                (17, "PRX_BAD_PROTO", "Received an unhandled protocol in the PROXY protocol header")
            }
            (Preface::NetScaler, HeaderError::Closed) => {
                (18, "CIP_EMPTY", "Connection closed while waiting for NetScaler Client IP header")
            }
            (Preface::NetScaler, HeaderError::Broken) => {
                (19, "CIP_ABORT", "Connection error while waiting for NetScaler Client IP header")
            }
            (Preface::NetScaler, HeaderError::Late) => {
                (20, "CIP_TIMEOUT", "Timeout while waiting for a NetScaler Client IP header")
            }
            (Preface::NetScaler, HeaderError::Truncated) => {
                (21, "CIP_TRUNCATED", "Truncated NetScaler Client IP header received")
            }
            (Preface::NetScaler, HeaderError::NoHeader) => {
                (22, "CIP_BAD_MAGIC", "Received an invalid NetScaler Client IP magic number")
            }
            (Preface::NetScaler, HeaderError::Invalid | HeaderError::Unhandled) => {
                (23, "CIP_BAD_PROTO", "Received an unhandled protocol in the NetScaler Client IP header")
            }
        }
    }

    /// haproxy's number for it (`fc_err`).
    pub fn number(self) -> u8 {
        self.told().0
    }

    /// haproxy's words for it (`fc_err_str`).
    pub fn message(self) -> &'static str {
        self.told().2
    }

    /// haproxy's name for it (`fc_err_name`).
    pub fn name(self) -> &'static str {
        self.told().1
    }
}

/// Bytes that begin no header: as long as they are few, haproxy takes them for a part of one.
fn no_header(input: &[u8]) -> HeaderError {
    if input.len() < V1_START.len() { HeaderError::Truncated } else { HeaderError::NoHeader }
}

/// Reads a header at the start of `input`.
pub fn read(input: &[u8]) -> Result<Progress, HeaderError> {
    if input.first() == Some(&b'P') {
        return read_v1(input);
    }
    let known = input.len().min(SIGNATURE.len());
    if input[..known] != SIGNATURE[..known] {
        return Err(no_header(input));
    }
    read_v2(input)
}

/// The additions (TLVs) of a complete header; empty where there are none, as in version 1.
pub fn tlvs(header: &[u8]) -> &[u8] {
    let addresses = match header.get(12..14) {
        Some([0x21, 0x11 | 0x12]) => 12,
        Some([0x21, 0x21 | 0x22]) => 36,
        _ => return &[],
    };
    if header.starts_with(&SIGNATURE) { header.get(16 + addresses..).unwrap_or_default() } else { &[] }
}

/// The value of the first addition of that kind.
pub fn tlv(tlvs: &[u8], wanted: u8) -> Option<&[u8]> {
    tlvs.get(place(tlvs, wanted)?)
}

/// Where that value stands.
fn place(tlvs: &[u8], wanted: u8) -> Option<Range<usize>> {
    let mut at = 0;
    while let [kind, high, low, rest @ ..] = tlvs.get(at..)? {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        if rest.len() < length {
            return None;
        }
        at += 3 + length;
        if *kind == wanted {
            return Some(at - length..at);
        }
    }
    None
}

fn read_v1(input: &[u8]) -> Result<Progress, HeaderError> {
    let room = &input[..input.len().min(V1_MAX)];
    let known = room.len().min(6);
    if room[..known] != V1_START[..known] {
        return Err(no_header(input));
    }
    let Some(end) = room.windows(2).position(|pair| pair == b"\r\n") else {
        return if room.len() < V1_MAX { Ok(Progress::Partial) } else { Err(HeaderError::Truncated) };
    };
    let line = std::str::from_utf8(&room[6.min(end)..end]).map_err(|_| HeaderError::Invalid)?;
    let consumed = end + 2;
    let mut words = line.split(' ');
    let family = words.next();
    if family == Some("UNKNOWN") {
        return Ok(Progress::Complete { consumed, ends: None });
    }
    if !matches!(family, Some("TCP4" | "TCP6")) {
        return Err(HeaderError::Unhandled);
    }
    let (Some(source), Some(destination), Some(from), Some(to), None) =
        (words.next(), words.next(), words.next(), words.next(), words.next())
    else {
        return Err(HeaderError::Invalid);
    };
    let address = |text: &str| match family {
        Some("TCP4") => text.parse::<Ipv4Addr>().map(IpAddr::V4).map_err(|_| HeaderError::Invalid),
        Some("TCP6") => text.parse::<Ipv6Addr>().map(IpAddr::V6).map_err(|_| HeaderError::Invalid),
        Some(_) | None => Err(HeaderError::Invalid),
    };
    let port = |text: &str| match text.parse::<u16>() {
        Ok(port) if !text.starts_with('+') => Ok(port),
        _ => Err(HeaderError::Invalid),
    };
    let ends = Ends {
        source: SocketAddr::new(address(source)?, port(from)?),
        destination: SocketAddr::new(address(destination)?, port(to)?),
    };
    Ok(Progress::Complete { consumed, ends: Some(ends) })
}

fn read_v2(input: &[u8]) -> Result<Progress, HeaderError> {
    let Some(fixed) = input.get(12..16) else { return Ok(Progress::Partial) };
    let length = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
    if length > V2_MAX {
        return Err(HeaderError::Invalid);
    }
    let command = fixed[0];
    if command != 0x20 && command != 0x21 {
        return Err(if command >> 4 == 2 { HeaderError::Invalid } else { HeaderError::NoHeader });
    }
    let Some(header) = input.get(..16 + length) else { return Ok(Progress::Partial) };
    let body = header.get(16..).unwrap_or_default();
    let ends = match (command, fixed[1]) {
        (0x21, 0x11 | 0x12) => Some(v2_ends::<4>(body).ok_or(HeaderError::Invalid)?),
        (0x21, 0x21 | 0x22) => Some(v2_ends::<16>(body).ok_or(HeaderError::Invalid)?),
        // LOCAL, or a family without ports.
        _ => None,
    };
    if !checksum_holds(header) {
        return Err(HeaderError::Invalid);
    }
    Ok(Progress::Complete { consumed: header.len(), ends })
}

/// Whether the checksum among the additions, if there is one, is that of the header.
fn checksum_holds(header: &[u8]) -> bool {
    let tlvs = tlvs(header);
    let Some(stated) = place(tlvs, kind::CRC32C) else { return true };
    let start = header.len() - tlvs.len();
    let (before, rest) = header.split_at(start + stated.start);
    let (stated, after) = rest.split_at(stated.len());
    // It is computed as if it were zero.
    stated == checksum(before, after).to_be_bytes()
}

/// The checksum of a header, of which it takes four bytes.
fn checksum(before: &[u8], after: &[u8]) -> u32 {
    crc32c(before.iter().chain(&[0; 4]).chain(after).copied())
}

/// Whether each TLV ends within the header and is as long as it may be: one that leads out of it is an attempt.
fn tlvs_fit(mut tlvs: &[u8]) -> bool {
    while let [kind, high, low, rest @ ..] = tlvs {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let most = match *kind {
            kind::AUTHORITY => AUTHORITY_MAX,
            kind::UNIQUE_ID => UNIQUE_ID_MAX,
            _ => usize::MAX,
        };
        let Some(next) = rest.get(length..).filter(|_| length <= most) else { return false };
        tlvs = next;
    }
    tlvs.is_empty()
}

fn v2_ends<const N: usize>(body: &[u8]) -> Option<Ends>
where
    IpAddr: From<[u8; N]>,
{
    let address = |at: usize| Some(IpAddr::from(<[u8; N]>::try_from(body.get(at..at + N)?).ok()?));
    let port = |at: usize| Some(u16::from_be_bytes(body.get(at..at + 2)?.try_into().ok()?));
    if !tlvs_fit(body.get(2 * N + 4..)?) {
        return None;
    }
    Some(Ends {
        source: SocketAddr::new(address(0)?, port(2 * N)?),
        destination: SocketAddr::new(address(N)?, port(2 * N + 2)?),
    })
}

/// What a header of version 2 says besides the ends.
#[derive(Debug, Default)]
pub struct Additions {
    bytes: Vec<u8>,
    checksum: bool,
}

impl Additions {
    /// Without any, or with a checksum that [`write_v2`] will compute.
    pub fn new(checksum: bool) -> Self {
        let mut additions = Self::default();
        if checksum {
            additions.push(kind::CRC32C, &[0; 4]);
        }
        Self { checksum, ..additions }
    }

    /// Adds one. False: it has no room any more, and is left out.
    pub fn push(&mut self, kind: u8, value: &[u8]) -> bool {
        let fits = self.bytes.len() + 3 + value.len() <= ADDITIONS_MAX;
        if let (true, Ok(length)) = (fits, u16::try_from(value.len())) {
            self.bytes.push(kind);
            self.bytes.extend_from_slice(&length.to_be_bytes());
            self.bytes.extend_from_slice(value);
        }
        fits
    }
}

/// Writes a header of version 1. Ends of different families are written as IPv6; without ends the header says so.
pub fn write_v1(ends: Option<Ends>, out: &mut Vec<u8>) {
    let line = match ends {
        None => "PROXY UNKNOWN\r\n".to_owned(),
        Some(Ends { source, destination }) => {
            let (family, from, to) = match (source.ip(), destination.ip()) {
                (IpAddr::V4(from), IpAddr::V4(to)) => ("TCP4", from.to_string(), to.to_string()),
                (from, to) => ("TCP6", as_v6(from).to_string(), as_v6(to).to_string()),
            };
            format!("PROXY {family} {from} {to} {} {}\r\n", source.port(), destination.port())
        }
    };
    out.extend_from_slice(line.as_bytes());
}

/// Writes a header of version 2, likewise.
pub fn write_v2(ends: Option<Ends>, additions: &Additions, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&SIGNATURE);
    let mut addresses = Vec::with_capacity(36);
    match ends.map(|ends| (ends.source.ip(), ends.destination.ip())) {
        None => out.extend_from_slice(&[0x20, 0]),
        Some((IpAddr::V4(from), IpAddr::V4(to))) => {
            out.extend_from_slice(&[0x21, 0x11]);
            addresses.extend_from_slice(&from.octets());
            addresses.extend_from_slice(&to.octets());
        }
        Some((from, to)) => {
            out.extend_from_slice(&[0x21, 0x21]);
            addresses.extend_from_slice(&as_v6(from).octets());
            addresses.extend_from_slice(&as_v6(to).octets());
        }
    }
    if let Some(Ends { source, destination }) = ends {
        addresses.extend_from_slice(&source.port().to_be_bytes());
        addresses.extend_from_slice(&destination.port().to_be_bytes());
    }
    let length = u16::try_from(addresses.len() + additions.bytes.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&addresses);
    out.extend_from_slice(&additions.bytes);
    if additions.checksum {
        // It stands first among the additions.
        let at = 16 + addresses.len() + 3;
        let (before, rest) = out.get_mut(start..).unwrap_or_default().split_at_mut(at);
        if let Some((place, after)) = rest.split_at_mut_checked(4) {
            place.copy_from_slice(&checksum(before, after).to_be_bytes());
        }
    }
}

fn as_v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ends(source: &str, destination: &str) -> Ends {
        Ends { source: source.parse().unwrap(), destination: destination.parse().unwrap() }
    }

    #[test]
    fn additions_are_found() {
        let additions = b"\x02\0\x01a\x05\0\0\x02\0\x01b\x30\0\x09cut";
        assert_eq!(tlv(additions, 0x02), Some(&b"a"[..]));
        assert_eq!(tlv(additions, 0x05), Some(&b""[..]));
        assert_eq!(tlv(additions, 0x30), None);
        assert_eq!(tlv(additions, 0x03), None);
        let header = [&SIGNATURE[..], &[0x21, 0x11, 0, 16], &[0; 12], b"\x05\0\x01x"].concat();
        assert_eq!(tlvs(&header), b"\x05\0\x01x");
        assert_eq!(tlvs(b"PROXY UNKNOWN\r\n"), b"");
        assert_eq!(tlvs(&header[..20]), b"");
    }

    #[test]
    fn headers_of_version_1() {
        let read = |text: &str| read(text.as_bytes());
        let given = ends("1.2.3.4:1111", "5.6.7.8:80");
        let line = "PROXY TCP4 1.2.3.4 5.6.7.8 1111 80\r\n";
        assert_eq!(read(&format!("{line}GET")), Ok(Progress::Complete { consumed: line.len(), ends: Some(given) }));
        assert_eq!(read("PROXY UNKNOWN a b\r\n"), Ok(Progress::Complete { consumed: 19, ends: None }));
        for partial in ["", "P", "PROXY", "PROXY TCP4 1.2.3.4", "PROXY TCP4 1.2.3.4 5.6.7.8 1111 80\r"] {
            assert_eq!(read(partial), Ok(Progress::Partial), "{partial:?}");
        }
        for (bad, error) in [
            ("GET / HTTP/1.1\r\n", HeaderError::NoHeader),
            ("POST / HTTP/1.1\r\n", HeaderError::NoHeader),
            ("GET", HeaderError::Truncated),
            ("PROXX", HeaderError::Truncated),
            ("PROXY TCP4 ::1 ::1 1 2\r\n", HeaderError::Invalid),
            ("PROXY TCP4 1.2.3.4 5.6.7.8 1 99999\r\n", HeaderError::Invalid),
            ("PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n", HeaderError::Invalid),
            ("PROXY \r\n", HeaderError::Unhandled),
            ("PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n", HeaderError::Unhandled),
            ("PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n", HeaderError::Invalid),
        ] {
            assert_eq!(read(bad), Err(error), "{bad:?}");
        }
        assert_eq!(read(&format!("PROXY {}", "x".repeat(200))), Err(HeaderError::Truncated));
    }

    #[test]
    fn version_2_without_ends_and_with_tlvs() {
        let mut out = Vec::new();
        write_v2(None, &Additions::default(), &mut out);
        assert_eq!(read(&out), Ok(Progress::Complete { consumed: 16, ends: None }));
        let mut out = Vec::new();
        let given = ends("1.2.3.4:1111", "5.6.7.8:80");
        write_v2(Some(given), &Additions::default(), &mut out);
        out[15] += 4;
        out.extend_from_slice(&[4, 0, 1, 0]);
        assert_eq!(read(&out), Ok(Progress::Complete { consumed: 32, ends: Some(given) }));
        out[30] = 2;
        assert_eq!(read(&out), Err(HeaderError::Invalid), "a TLV that is longer than the header");
        out[30] = 1;
        out[12] = 0x31;
        assert_eq!(read(&out), Err(HeaderError::NoHeader));
    }

    /// The headers are haproxy's, byte for byte.
    #[test]
    fn checksums() {
        let header = |ends, additions: &Additions| {
            let mut out = Vec::new();
            write_v2(ends, additions, &mut out);
            out
        };
        assert!(header(None, &Additions::new(true)).ends_with(b"\x20\0\0\x07\x03\0\x04\xa9\xb8\x7e\x8f"));
        let mut additions = Additions::new(true);
        assert!(additions.push(kind::UNIQUE_ID, b""));
        let mut out = header(Some(ends("1.2.3.4:1000", "5.6.7.8:80")), &additions);
        assert!(out.ends_with(b"\x03\0\x04\x4d\xa5\xd6\x65\x05\0\0"), "{out:x?}");
        assert!(matches!(read(&out), Ok(Progress::Complete { ends: Some(_), .. })));
        out[20] ^= 1;
        assert_eq!(read(&out), Err(HeaderError::Invalid), "an address that the checksum does not cover");
        let short = [&SIGNATURE[..], &[0x21, 0x11, 0, 18], &[0; 12], b"\x03\0\x03abc"].concat();
        assert_eq!(read(&short), Err(HeaderError::Invalid));
        assert!(!additions.push(9, &vec![0; 65_535]));
        assert_eq!(header(None, &additions).len(), 16 + 10);
    }

    proptest! {
        #[test]
        fn written_and_read(
            v6: bool,
            v2: bool,
            checksum: bool,
            source: [u8; 16],
            from: u16,
            to: u16,
            id in prop::collection::vec(any::<u8>(), 0..30),
        ) {
            let ip = if v6 { IpAddr::from(source) } else { IpAddr::from([source[0], source[1], source[2], source[3]]) };
            let given = Ends { source: SocketAddr::new(ip, from), destination: SocketAddr::new(ip, to) };
            let mut out = Vec::new();
            if v2 {
                let mut additions = Additions::new(checksum);
                prop_assert!(additions.push(kind::UNIQUE_ID, &id));
                write_v2(Some(given), &additions, &mut out);
                prop_assert_eq!(tlv(tlvs(&out), kind::UNIQUE_ID), Some(&*id));
            } else {
                write_v1(Some(given), &mut out);
            }
            for cut in 0..out.len() {
                prop_assert_eq!(read(&out[..cut]), Ok(Progress::Partial));
            }
            prop_assert_eq!(read(&out), Ok(Progress::Complete { consumed: out.len(), ends: Some(given) }));
        }

        #[test]
        fn any_bytes(input in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&input);
        }
    }
}
