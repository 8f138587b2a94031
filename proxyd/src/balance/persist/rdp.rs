//! The cookie by which a Windows session broker sends a returning client to its server: `msts=ADDRESS.PORT.0000`.
//!
//! Address and port are decimal numbers of the bytes in the order they have on the wire, read as little-endian (Microsoft's
//! "routing token", [MS-RDPBCGR] 3.2.5.3.1).

use std::net::{Ipv4Addr, SocketAddrV4};

/// The server that the cookie's value means.
pub fn server(value: &[u8]) -> Option<SocketAddrV4> {
    let mut parts = value.split(|&byte| byte == b'.');
    let address: u32 = number(parts.next()?)?;
    let port: u16 = number(parts.next()?)?.try_into().ok()?;
    // What comes last is reserved, but it comes.
    parts.next()?;
    Some(SocketAddrV4::new(Ipv4Addr::from(address.swap_bytes()), port.swap_bytes()))
}

fn number(digits: &[u8]) -> Option<u32> {
    let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    plain.then(|| std::str::from_utf8(digits).ok()?.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::server;

    #[test]
    fn the_manuals_example_and_what_is_no_token() {
        assert_eq!(server(b"3640205228.15629.0000"), Some("172.31.249.216:3389".parse().unwrap()));
        assert_eq!(server(b"16777343.15629.0000"), Some("127.0.0.1:3389".parse().unwrap()));
        let wrong: [&[u8]; 9] = [
            b"",
            b".",
            b"..",
            b"1.2",
            b"x.2.0",
            b"1.65536.0000",
            b"4294967296.1.0000",
            b"-1.1.0000",
            b"99999999999999999999.1.0",
        ];
        for value in wrong {
            assert_eq!(server(value), None, "{value:?}");
        }
    }
}
