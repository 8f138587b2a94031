//! Numbers and addresses of log lines and header fields, written without the machinery of `format!`: a line has two dozen of
//! them.

use std::io::Write as _;
use std::net::IpAddr;

fn digit(value: u64) -> u8 {
    b'0' + (value % 10).to_le_bytes()[0]
}

/// A number in its shortest form. Most of those in a log line have one digit.
#[inline]
pub(super) fn decimal(out: &mut Vec<u8>, value: u64) {
    if value < 10 {
        out.push(digit(value));
    } else {
        longer(out, value);
    }
}

#[inline(never)]
fn longer(out: &mut Vec<u8>, value: u64) {
    if value < 100 {
        return two(out, value);
    }
    if value < 1_000 {
        return three(out, value);
    }
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = value;
    while rest >= 10 {
        at -= 2;
        (digits[at], digits[at + 1]) = (digit(rest / 10), digit(rest));
        rest /= 100;
    }
    if rest > 0 {
        at -= 1;
        digits[at] = digit(rest);
    }
    out.extend_from_slice(&digits[at..]);
}

/// The last two digits of a number, with a zero in front.
pub(super) fn two(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&[digit(value / 10), digit(value)]);
}

/// The last three digits of a number, with zeros in front.
pub(super) fn three(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&[digit(value / 100), digit(value / 10), digit(value)]);
}

/// An address.
pub fn ip(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            for (rank, octet) in address.octets().into_iter().enumerate() {
                if rank > 0 {
                    out.push(b'.');
                }
                decimal(out, octet.into());
            }
        }
        // Its shortest form has rules of its own. Writing to a Vec cannot fail.
        IpAddr::V6(address) => _ = write!(out, "{address}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    proptest! {
        #[test]
        fn as_the_standard_library_writes_them(value: u64, v4: [u8; 4], v6: [u16; 8], shift in 0..64_u32) {
            let value = value >> shift;
            prop_assert_eq!(written(|out| decimal(out, value)), value.to_string());
            prop_assert_eq!(written(|out| two(out, value % 100)), format!("{:02}", value % 100));
            prop_assert_eq!(written(|out| three(out, value % 1_000)), format!("{:03}", value % 1_000));
            for address in [IpAddr::from(v4), IpAddr::from(v6)] {
                prop_assert_eq!(written(|out| ip(out, address)), address.to_string());
            }
        }
    }
}
