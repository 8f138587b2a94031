//! Converters between encodings.

use std::borrow::Cow;

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// RFC 4648 base64, padded.
pub(super) fn base64(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0_u32, |group, &byte| (group << 8) | u32::from(byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let index = (group >> (18 - 6 * place)) & 63;
            out.push(if place <= chunk.len() { BASE64[index as usize] } else { b'=' });
        }
    }
    out
}

/// RFC 4648 base64; nothing if it is not that. The padding must be there.
pub fn base64_decode(text: &[u8]) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let padding = text.iter().rev().take_while(|&&byte| byte == b'=').count();
    if padding > 2 {
        return None;
    }
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let digits = &text[..text.len() - padding];
    for chunk in digits.chunks(4) {
        let mut group = 0_u32;
        for byte in chunk {
            let digit = BASE64.iter().position(|symbol| symbol == byte)?;
            group = (group << 6) | u32::try_from(digit).ok()?;
        }
        group <<= 6 * (4 - chunk.len());
        let [_, bytes @ ..] = group.to_be_bytes();
        out.extend_from_slice(&bytes[..(chunk.len() * 3) / 4]);
    }
    Some(out)
}

/// RFC 4648 base64url, not padded.
pub(super) fn url_base64(bytes: &[u8]) -> Vec<u8> {
    let mut text = base64(bytes);
    text.truncate(text.iter().position(|&byte| byte == b'=').unwrap_or(text.len()));
    for byte in &mut text {
        *byte = match *byte {
            b'+' => b'-',
            b'/' => b'_',
            other => other,
        };
    }
    text
}

/// RFC 4648 base64url, padded or not.
pub(super) fn url_base64_decode(text: &[u8]) -> Option<Vec<u8>> {
    if text.iter().any(|byte| matches!(byte, b'+' | b'/')) {
        return None;
    }
    let mut plain: Vec<u8> = text
        .iter()
        .map(|byte| match byte {
            b'-' => b'+',
            b'_' => b'/',
            other => *other,
        })
        .collect();
    while !plain.len().is_multiple_of(4) {
        plain.push(b'=');
    }
    base64_decode(&plain)
}

/// Percent-encoding of all that RFC 3986 reserves.
pub(super) fn url_encode(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 16);
    for &byte in text {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(byte);
        } else {
            out.push(b'%');
            out.extend_from_slice(&crate::sample::value::hex(&[byte]));
        }
    }
    out
}

/// Percent-decoding; `+` is a space after the first `?`, or everywhere in a form. Nothing if an escape is broken.
pub(super) fn url_decode(text: Cow<'_, [u8]>, form: bool) -> Option<Cow<'_, [u8]>> {
    if !text.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return Some(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut plus_is_space = form;
    let mut bytes = text.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b'%' => {
                let digit = |byte: Option<&u8>| char::from(*byte?).to_digit(16);
                let (high, low) = (digit(bytes.next())?, digit(bytes.next())?);
                out.push(u8::try_from(high * 16 + low).ok()?);
            }
            b'+' if plus_is_space => out.push(b' '),
            _ => {
                plus_is_space |= byte == b'?';
                out.push(byte);
            }
        }
    }
    Some(Cow::Owned(out))
}

/// A number in hexadecimal; nothing if a digit is none. Of more than 16 digits the last 16 count.
pub(super) fn hex_to_int(text: &[u8]) -> Option<i64> {
    let mut value = 0_u64;
    for &byte in text {
        value = (value << 4) | u64::from(char::from(byte).to_digit(16)?);
    }
    Some(value.cast_signed())
}
