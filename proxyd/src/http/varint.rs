//! Numbers as haproxy's SPOE writes them, and texts after their length, as `req.hdrs_bin` lists fields: below 240 a number is one
//! byte, else it has four bits in the first and seven in each that follows.

/// Appends a number.
pub fn push_number(number: u64, out: &mut Vec<u8>) {
    let low = |number: u64, bits: u64| u8::try_from(number & 0xff | bits).unwrap_or(u8::MAX);
    if number < 240 {
        return out.push(low(number, 0));
    }
    out.push(low(number & 0x0f, 0xf0));
    let mut rest = (number - 240) >> 4;
    while rest >= 128 {
        out.push(low(rest & 0x7f, 0x80));
        rest = (rest - 128) >> 7;
    }
    out.push(low(rest, 0));
}

/// Appends a text after its length.
pub fn push_text(text: &[u8], out: &mut Vec<u8>) {
    push_number(text.len() as u64, out);
    out.extend_from_slice(text);
}

/// Takes a number from the front; `None`: it does not end, or is too large.
fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    let (&first, rest) = bytes.split_first()?;
    *bytes = rest;
    let mut number = u64::from(first);
    if first < 240 {
        return Some(number);
    }
    let mut shift = 4;
    loop {
        let (&next, rest) = bytes.split_first()?;
        *bytes = rest;
        number = number.checked_add(u64::from(next).checked_mul(1_u64.checked_shl(shift)?)?)?;
        shift += 7;
        if next < 128 {
            return Some(number);
        }
    }
}

/// Takes a text from the front; `None`: it is cut.
pub fn take_text<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(take_number(bytes)?).ok()?;
    let (text, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn numbers_are_read_as_they_were_written(number in 0_u64..1 << 60) {
            let mut out = Vec::new();
            push_number(number, &mut out);
            let mut rest = &*out;
            proptest::prop_assert_eq!(take_number(&mut rest), Some(number));
            proptest::prop_assert!(rest.is_empty());
        }

        #[test]
        fn anything_may_come(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..30)) {
            let mut rest = &*bytes;
            while take_text(&mut rest).is_some_and(|text| !text.is_empty()) {}
        }
    }
}
