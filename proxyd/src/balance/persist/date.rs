//! Dates inside cookies: units of four seconds since 1970, in five digits of base 64.

/// A date so many seconds in the future is not believed.
pub(super) const FUTURE_MAX: u64 = 24 * 3600;

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const LENGTH: usize = 5;

/// Seconds since 1970 as five digits, rounded up to the next four seconds.
pub(super) fn encode(seconds: u64) -> String {
    let units = (seconds + 3) >> 2;
    let digit = |place: usize| char::from(DIGITS[(units >> (6 * (LENGTH - 1 - place)) & 63) as usize]);
    (0..LENGTH).map(digit).collect()
}

/// Seconds since 1970 of the first five digits, 0 when there is no date.
pub(super) fn decode(digits: &[u8]) -> u64 {
    let Some(digits) = digits.get(..LENGTH) else { return 0 };
    let value = digits.iter().try_fold(0, |value, byte| {
        let digit = DIGITS.iter().position(|digit| digit == byte)?;
        Some(value << 6 | digit as u64)
    });
    value.unwrap_or(0) << 2
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};

    #[test]
    fn dates_come_back_rounded_up() {
        for seconds in [4, 5, 1_795_873_560, 1_795_873_561, 1_795_873_563] {
            assert_eq!(decode(encode(seconds).as_bytes()), seconds.div_ceil(4) * 4);
        }
        assert_eq!(decode(b"awra"), 0);
        assert_eq!(decode(b"aw an"), 0);
        assert_eq!(decode(b"awrazZZZ"), decode(b"awraz"));
    }
}
