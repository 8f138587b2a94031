//! `NetScaler`'s client IP insertion: a number that both sides agree on, a length, and the headers of the client's packet.
//!
//! Described in `netscaler-client-ip-insertion-protocol.txt` of the haproxy project, with both forms there are.

use super::{Ends, HeaderError, Progress};
use std::net::{IpAddr, SocketAddr};

/// Bytes of the packet's headers that are read.
const HEADERS_MAX: usize = 4_096;

/// The protocol number of TCP.
const TCP: u8 = 6;

/// Reads what stands at the start of `input`.
pub fn read(magic: u32, input: &[u8]) -> Result<Progress, HeaderError> {
    let magic = magic.to_be_bytes();
    let known = input.len().min(magic.len());
    if input[..known] != magic[..known] {
        return Err(HeaderError::NoHeader);
    }
    // The older form has the IP header there, whose first half byte is its version; the newer one has a type and a length before it.
    let Some(&[first, _, third, fourth]) = input.get(8..12) else { return Ok(Progress::Partial) };
    let (start, length) = if matches!(first >> 4, 4 | 6) {
        let length = input.get(4..8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes);
        (8, usize::try_from(length).unwrap_or(usize::MAX))
    } else {
        (12, usize::from(u16::from_be_bytes([third, fourth])))
    };
    if length > HEADERS_MAX {
        return Err(HeaderError::NoHeader);
    }
    let Some(headers) = input.get(start..start + length) else { return Ok(Progress::Partial) };
    let ends = ends(headers).ok_or(HeaderError::Unhandled)?;
    Ok(Progress::Complete { consumed: start + length, ends: Some(ends) })
}

fn ends(headers: &[u8]) -> Option<Ends> {
    let first = headers.first()?;
    let (size, protocol, addresses) = match first >> 4 {
        4 => (usize::from(first & 0xf) * 4, 9, (address::<4>(headers, 12)?, address::<4>(headers, 16)?)),
        6 => (40, 6, (address::<16>(headers, 8)?, address::<16>(headers, 24)?)),
        _ => return None,
    };
    if headers.get(protocol) != Some(&TCP) || (first >> 4 == 4 && size < 20) {
        return None;
    }
    let port = |at: usize| Some(u16::from_be_bytes(headers.get(at..at + 2)?.try_into().ok()?));
    Some(Ends {
        source: SocketAddr::new(addresses.0, port(size)?),
        destination: SocketAddr::new(addresses.1, port(size + 2)?),
    })
}

fn address<const N: usize>(headers: &[u8], at: usize) -> Option<IpAddr>
where
    IpAddr: From<[u8; N]>,
{
    Some(IpAddr::from(<[u8; N]>::try_from(headers.get(at..at + N)?).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAGIC: u32 = 0x1020_3040;

    fn v4(options: usize) -> Vec<u8> {
        let mut header = vec![0x45 + u8::try_from(options).unwrap(), 0, 0, 40, 0, 0, 0, 0, 64, TCP, 0, 0];
        header.extend([1, 2, 3, 4, 5, 6, 7, 8]);
        header.extend(vec![0; options * 4]);
        header
    }

    fn tcp() -> Vec<u8> {
        [&1000_u16.to_be_bytes()[..], &80_u16.to_be_bytes(), &[0; 16]].concat()
    }

    fn older(headers: &[u8]) -> Vec<u8> {
        [&MAGIC.to_be_bytes()[..], &u32::try_from(headers.len()).unwrap().to_be_bytes(), headers].concat()
    }

    fn newer(headers: &[u8]) -> Vec<u8> {
        let length = u16::try_from(headers.len()).unwrap();
        let total = u32::from(length) + 12;
        [&MAGIC.to_be_bytes()[..], &total.to_be_bytes(), &[0, 1], &length.to_be_bytes(), headers].concat()
    }

    #[test]
    fn both_forms() {
        let v6 = [&[0x60, 0, 0, 0, 0, 20, TCP, 64][..], &[0; 15], &[1], &[0; 15], &[2]].concat();
        let ends = |source: &str, destination: &str| Ends {
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
        };
        let four = ends("1.2.3.4:1000", "5.6.7.8:80");
        for (headers, expected) in [
            ([v4(0), tcp()].concat(), four),
            ([v4(1), tcp()].concat(), four),
            ([v6, tcp()].concat(), ends("[::1]:1000", "[::2]:80")),
        ] {
            for message in [older(&headers), newer(&headers)] {
                let whole = [&message[..], b"GET"].concat();
                let complete = Progress::Complete { consumed: message.len(), ends: Some(expected) };
                assert_eq!(read(MAGIC, &whole), Ok(complete));
                for cut in 0..message.len() {
                    assert_eq!(read(MAGIC, &message[..cut]), Ok(Progress::Partial), "{cut}");
                }
            }
        }
    }

    #[test]
    fn what_is_none() {
        let mut datagram = v4(0);
        datagram[9] = 17;
        for headers in [[datagram, tcp()].concat(), v4(0), [vec![0x44; 20], tcp()].concat()] {
            assert_eq!(read(MAGIC, &older(&headers)), Err(HeaderError::Unhandled), "{headers:x?}");
            assert_eq!(read(MAGIC, &newer(&headers)), Err(HeaderError::Unhandled), "{headers:x?}");
        }
        assert_eq!(read(1, &older(&[v4(0), tcp()].concat())), Err(HeaderError::NoHeader));
        assert_eq!(read(MAGIC, b"GET / HTTP/1.1"), Err(HeaderError::NoHeader));
    }

    proptest! {
        #[test]
        fn any_bytes(rest in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = read(MAGIC, &[&MAGIC.to_be_bytes()[..], &rest].concat());
        }
    }
}
