//! Characters of header fields, and the comma-separated lists inside their values.

/// RFC 9110 `tchar`: what a method or field name is made of.
pub const fn is_token(byte: u8) -> bool {
    matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'0'..=b'9' | b'A'..=b'Z' | b'^'..=b'z' | b'|' | b'~')
}

/// Lower-case form of a token byte, 0 for a byte that cannot stand in a token.
pub static TOKEN_LOWER: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte: u8 = 0;
    while byte < 128 {
        if is_token(byte) {
            table[byte as usize] = byte.to_ascii_lowercase();
        }
        byte += 1;
    }
    table
};

/// What may stand in a request target: visible ASCII except the fragment's `#`.
pub const fn is_target(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7e) && byte != b'#'
}

/// Optional white space around values.
pub const fn is_ows(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// `value` without white space around it.
pub fn trim(value: &[u8]) -> &[u8] {
    let start = value.iter().position(|&byte| !is_ows(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|&byte| !is_ows(byte)).map_or(start, |last| last + 1);
    &value[start..end]
}

/// The trimmed, non-empty elements of a comma-separated list. Quoted strings are not treated specially: the lists read here
/// (`connection`, `transfer-encoding`, `content-length`) have none.
pub fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(trim).filter(|element| !element.is_empty())
}

/// Where a value is separated: commas between double quotes are none of those.
pub fn commas(value: &[u8]) -> impl Iterator<Item = usize> {
    let (mut quoted, mut escaped) = (false, false);
    value.iter().enumerate().filter_map(move |(at, &byte)| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => return Some(at),
            _ => {}
        }
        None
    })
}

/// The first element of a value, quotes and all; empty where a comma is its first byte.
pub fn first_element(value: &[u8]) -> &[u8] {
    trim(commas(value).next().map_or(value, |end| &value[..end]))
}

/// Where `needle` first occurs.
pub fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len().max(1)).position(|window| window == needle)
}

/// Writes one field line.
pub fn write(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.reserve(name.len() + value.len() + 4);
    write_with(out, name, |out| out.extend_from_slice(value));
}

/// The same with a value that is only now made.
pub fn write_with(out: &mut Vec<u8>, name: &[u8], value: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    value(out);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens() {
        for byte in 0..=255u8 {
            let expected = byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            assert_eq!(is_token(byte), expected, "{byte:#x}");
            assert_eq!(TOKEN_LOWER[byte as usize] != 0, expected, "{byte:#x}");
        }
    }

    #[test]
    fn lists_and_trimming() {
        assert_eq!(trim(b" \ta b\t "), b"a b");
        assert_eq!(trim(b"  "), b"");
        assert_eq!(list(b"close, ,x-foo ,").collect::<Vec<_>>(), [&b"close"[..], b"x-foo"]);
        assert_eq!(first_element(b" a , b"), b"a");
        assert_eq!(first_element(b"\"a,\\\"b\" ,c"), b"\"a,\\\"b\"");
        assert_eq!(first_element(b",b"), b"");
        assert_eq!(find(b"http://h", b"://"), Some(4));
        assert_eq!(find(b"h", b"://"), None);
    }
}
