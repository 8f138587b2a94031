//! Cookie values that are computed of a server's address (`cookie … dynamic`), the same on every load balancer that has the key.

use std::net::{IpAddr, SocketAddr};

use xxhash_rust::xxh64::xxh64;

/// The value for a server: 16 hexadecimal digits of XXH64 over key, address and port.
pub fn value(key: &str, address: SocketAddr) -> String {
    let mut bytes = key.as_bytes().to_vec();
    match address.ip() {
        IpAddr::V4(ip) => bytes.extend(ip.octets()),
        IpAddr::V6(ip) => bytes.extend(ip.octets()),
    }
    bytes.extend(u32::from(address.port()).to_be_bytes());
    format!("{:016x}", xxh64(&bytes, 0))
}

#[cfg(test)]
mod tests {
    use super::value;

    /// What haproxy 2.6 showed.
    #[test]
    fn values_are_haproxys() {
        for (key, address, expected) in [
            ("secretkey", "127.0.0.1:28101", "68bb07876554bda0"),
            ("foo", "127.0.0.1:28101", "e2afca821da25885"),
            ("secretkey", "[::1]:8080", "452123a9ec2bfb29"),
            ("secretkey", "192.168.0.1:0", "16a9cae3eae3b1d3"),
        ] {
            assert_eq!(value(key, address.parse().unwrap()), expected, "{key} {address}");
        }
    }
}
