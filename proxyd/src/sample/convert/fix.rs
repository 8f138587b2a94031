//! FIX, the Financial Information eXchange: messages of `tag=value` fields that end with SOH each.

use crate::http::h1::decimal;
use std::ops::Range;

const SOH: u8 = 1;

/// The shortest message: a version, a length, a type, a check sum.
const LEAST: usize = "8=FIX.4.4|9=5|35=0|10=163|".len();

/// What `BeginString` may be.
const VERSIONS: [&[u8]; 6] = [b"FIX.4.0", b"FIX.4.1", b"FIX.4.2", b"FIX.4.3", b"FIX.4.4", b"FIXT.1.1"];

/// The fields that FIX 4.4 defines, and those that two parties agree on between themselves.
const TAGS: [Range<u32>; 2] = [1..957, 10_000..20_000];

/// The tag of a name, in any case, or of a number.
pub fn tag(name: &str) -> Option<u32> {
    Some(match name.to_ascii_lowercase().as_str() {
        "beginstring" => BEGIN_STRING,
        "bodylength" => BODY_LENGTH,
        "msgtype" => MSG_TYPE,
        "sendercompid" => 49,
        "targetcompid" => 56,
        "checksum" => CHECK_SUM,
        name => return name.parse().ok().filter(|&tag| is_tag(tag)),
    })
}

const BEGIN_STRING: u32 = 8;
const BODY_LENGTH: u32 = 9;
const MSG_TYPE: u32 = 35;
const CHECK_SUM: u32 = 10;

/// `10=163` and what ends it.
const CHECK_SUM_LENGTH: usize = 7;

fn is_tag(tag: u32) -> bool {
    TAGS.iter().any(|tags| tags.contains(&tag))
}

/// Why there is no field.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flaw {
    Incomplete,
    Invalid,
}

/// The field that begins the text, and what follows it.
fn field(text: &[u8]) -> Result<(u32, &[u8], &[u8]), Flaw> {
    let equals = text.iter().position(|&byte| byte == b'=').ok_or(Flaw::Incomplete)?;
    let (name, value) = (&text[..equals], &text[equals + 1..]);
    let tag = decimal(name).and_then(|tag| u32::try_from(tag).ok()).filter(|&tag| is_tag(tag));
    let tag = tag.ok_or(Flaw::Invalid)?;
    let end = value.iter().position(|&byte| byte == SOH).ok_or(Flaw::Incomplete)?;
    Ok((tag, &value[..end], &value[end + 1..]))
}

/// `fix_is_valid` of the first message; nothing where it is not complete.
pub(super) fn is_valid(text: &[u8]) -> Option<bool> {
    match check(text) {
        Ok(valid) => Some(valid),
        Err(Flaw::Invalid) => Some(false),
        Err(Flaw::Incomplete) => None,
    }
}

fn check(text: &[u8]) -> Result<bool, Flaw> {
    if text.len() < LEAST {
        return Err(Flaw::Incomplete);
    }
    let (tag, version, rest) = field(text)?;
    if tag != BEGIN_STRING || !VERSIONS.contains(&version) {
        return Ok(false);
    }
    let (tag, length, body) = field(rest)?;
    if tag != BODY_LENGTH {
        return Ok(false);
    }
    let length = decimal(length).ok_or(Flaw::Invalid)?;
    let (mut tag, _, mut rest) = field(body)?;
    if tag != MSG_TYPE {
        return Ok(false);
    }
    let mut last = body;
    let mut sum = &[][..];
    while tag != CHECK_SUM {
        last = rest;
        (tag, sum, rest) = field(last)?;
    }
    let summed = text.len() - last.len();
    let found: u8 = text[..summed].iter().fold(0, |sum, &byte| sum.wrapping_add(byte));
    Ok(last.len() - rest.len() == CHECK_SUM_LENGTH
        && (body.len() - last.len()) as u64 == length
        && decimal(sum) == Some(found.into()))
}

/// `fix_tag_value`: where the value of the first field with that tag stands.
pub(super) fn value(text: &[u8], wanted: u32) -> Option<Range<usize>> {
    let mut rest = text;
    loop {
        let (tag, value, after) = field(rest).ok()?;
        if tag == wanted {
            let end = text.len() - after.len() - 1;
            return Some(end - value.len()..end).filter(|range| !range.is_empty());
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MESSAGE: &[u8] = b"8=FIX.4.4\x019=27\x0135=A\x0149=S\x0156=T\x0198=0\x01108=30\x0110=252\x01";

    #[test]
    fn a_message_that_is_cut_is_not_complete() {
        assert_eq!(is_valid(MESSAGE), Some(true));
        for length in 0..MESSAGE.len() {
            assert_eq!(is_valid(&MESSAGE[..length]), None, "{length}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_odd(at in 0..MESSAGE.len(), bytes: Vec<u8>) {
            let text = [&MESSAGE[..at], &bytes, &MESSAGE[at..]].concat();
            let found = value(&text, MSG_TYPE);
            prop_assert!(found.is_none_or(|range| range.end < text.len() && !text[range].contains(&SOH)));
            is_valid(&text);
        }
    }
}
