//! The PROXY protocol, versions 1 and 2: a header before the first byte of a connection that names its real ends.
//!
//! Standard: `proxy-protocol.txt` of the haproxy project, revision of 2020-03-05. Of version 2 also the additions
//! (TLVs) are kept, for rules to look at.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::proxy::address::SendProxy;

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// Bytes of the longest header of version 1, its line end included.
const V1_MAX: usize = 107;

/// Bytes after the fixed part of a version 2 header that are read: addresses and TLVs.
const V2_MAX: usize = 4_096;

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

/// The connection does not begin with a header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoHeader;

/// Reads a header at the start of `input`.
pub fn read(input: &[u8]) -> Result<Progress, NoHeader> {
    if input.first() == Some(&b'P') {
        return read_v1(input);
    }
    let known = input.len().min(SIGNATURE.len());
    if input[..known] != SIGNATURE[..known] {
        return Err(NoHeader);
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
pub fn tlv(mut tlvs: &[u8], wanted: u8) -> Option<&[u8]> {
    while let [kind, high, low, rest @ ..] = tlvs {
        let (value, after) = rest.split_at_checked(usize::from(u16::from_be_bytes([*high, *low])))?;
        if *kind == wanted {
            return Some(value);
        }
        tlvs = after;
    }
    None
}

fn read_v1(input: &[u8]) -> Result<Progress, NoHeader> {
    let room = &input[..input.len().min(V1_MAX)];
    let known = room.len().min(6);
    if room[..known] != b"PROXY "[..known] {
        return Err(NoHeader);
    }
    let Some(end) = room.windows(2).position(|pair| pair == b"\r\n") else {
        return if room.len() < V1_MAX { Ok(Progress::Partial) } else { Err(NoHeader) };
    };
    let line = std::str::from_utf8(&room[6.min(end)..end]).map_err(|_| NoHeader)?;
    let consumed = end + 2;
    let mut words = line.split(' ');
    let family = words.next();
    if family == Some("UNKNOWN") {
        return Ok(Progress::Complete { consumed, ends: None });
    }
    let (Some(source), Some(destination), Some(from), Some(to), None) =
        (words.next(), words.next(), words.next(), words.next(), words.next())
    else {
        return Err(NoHeader);
    };
    let address = |text: &str| match family {
        Some("TCP4") => text.parse::<Ipv4Addr>().map(IpAddr::V4).map_err(|_| NoHeader),
        Some("TCP6") => text.parse::<Ipv6Addr>().map(IpAddr::V6).map_err(|_| NoHeader),
        Some(_) | None => Err(NoHeader),
    };
    let port = |text: &str| text.parse::<u16>().map_err(|_| NoHeader);
    let ends = Ends {
        source: SocketAddr::new(address(source)?, port(from)?),
        destination: SocketAddr::new(address(destination)?, port(to)?),
    };
    Ok(Progress::Complete { consumed, ends: Some(ends) })
}

fn read_v2(input: &[u8]) -> Result<Progress, NoHeader> {
    let Some(fixed) = input.get(12..16) else { return Ok(Progress::Partial) };
    let length = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
    if length > V2_MAX {
        return Err(NoHeader);
    }
    let command = fixed[0];
    if command != 0x20 && command != 0x21 {
        return Err(NoHeader);
    }
    let Some(body) = input.get(16..16 + length) else { return Ok(Progress::Partial) };
    let ends = match (command, fixed[1]) {
        (0x21, 0x11 | 0x12) => Some(v2_ends::<4>(body).ok_or(NoHeader)?),
        (0x21, 0x21 | 0x22) => Some(v2_ends::<16>(body).ok_or(NoHeader)?),
        // LOCAL, or a family without ports.
        _ => None,
    };
    Ok(Progress::Complete { consumed: 16 + length, ends })
}

/// Whether each TLV ends within the header. They say nothing that is used, but one that leads out of it is an attempt.
fn tlvs_fit(mut tlvs: &[u8]) -> bool {
    while let [_, high, low, rest @ ..] = tlvs {
        let Some(next) = rest.get(usize::from(u16::from_be_bytes([*high, *low]))..) else { return false };
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

/// Writes a header. Ends of different families are written as IPv6; without ends the header says so.
pub fn write(version: SendProxy, ends: Option<Ends>, out: &mut Vec<u8>) {
    match version {
        SendProxy::V1 => write_v1(ends, out),
        SendProxy::V2 => write_v2(ends, out),
    }
}

fn write_v1(ends: Option<Ends>, out: &mut Vec<u8>) {
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

fn write_v2(ends: Option<Ends>, out: &mut Vec<u8>) {
    out.extend_from_slice(&SIGNATURE);
    let Some(Ends { source, destination }) = ends else {
        out.extend_from_slice(&[0x20, 0, 0, 0]);
        return;
    };
    match (source.ip(), destination.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            out.extend_from_slice(&[0x21, 0x11, 0, 12]);
            out.extend_from_slice(&from.octets());
            out.extend_from_slice(&to.octets());
        }
        (from, to) => {
            out.extend_from_slice(&[0x21, 0x21, 0, 36]);
            out.extend_from_slice(&as_v6(from).octets());
            out.extend_from_slice(&as_v6(to).octets());
        }
    }
    out.extend_from_slice(&source.port().to_be_bytes());
    out.extend_from_slice(&destination.port().to_be_bytes());
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
        for bad in [
            "GET / HTTP/1.1\r\n",
            "POST / HTTP/1.1\r\n",
            "PROXY TCP4 ::1 ::1 1 2\r\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 1 99999\r\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n",
            "PROXY \r\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n",
        ] {
            assert_eq!(read(bad), Err(NoHeader), "{bad:?}");
        }
        assert_eq!(read(&format!("PROXY {}", "x".repeat(200))), Err(NoHeader));
    }

    #[test]
    fn version_2_without_ends_and_with_tlvs() {
        let mut out = Vec::new();
        write(SendProxy::V2, None, &mut out);
        assert_eq!(read(&out), Ok(Progress::Complete { consumed: 16, ends: None }));
        let mut out = Vec::new();
        let given = ends("1.2.3.4:1111", "5.6.7.8:80");
        write(SendProxy::V2, Some(given), &mut out);
        out[15] += 4;
        out.extend_from_slice(&[4, 0, 1, 0]);
        assert_eq!(read(&out), Ok(Progress::Complete { consumed: 32, ends: Some(given) }));
        out[30] = 2;
        assert_eq!(read(&out), Err(NoHeader), "a TLV that is longer than the header");
        out[30] = 1;
        out[12] = 0x31;
        assert_eq!(read(&out), Err(NoHeader));
    }

    proptest! {
        #[test]
        fn written_and_read(v6: bool, v2: bool, source: [u8; 16], from: u16, to: u16) {
            let ip = if v6 { IpAddr::from(source) } else { IpAddr::from([source[0], source[1], source[2], source[3]]) };
            let given = Ends { source: SocketAddr::new(ip, from), destination: SocketAddr::new(ip, to) };
            let mut out = Vec::new();
            write(if v2 { SendProxy::V2 } else { SendProxy::V1 }, Some(given), &mut out);
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
