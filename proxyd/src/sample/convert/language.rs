//! `language`: the best of the wanted languages in an `accept-language` header (RFC 9110, 12.5.4).

/// The wanted language with the highest weight; of equal ones the one that comes first in the header.
pub(super) fn best<'w>(header: &[u8], wanted: &'w [Box<[u8]>]) -> Option<&'w [u8]> {
    let mut best: Option<(u32, &[u8])> = None;
    for element in header.split(|&byte| byte == b',') {
        let mut parts = element.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
        let tag = parts.next().unwrap_or_default();
        let weight = parts.next().and_then(|part| part.strip_prefix(b"q=")).map_or(1_000, thousandths);
        let Some(known) = wanted.iter().find(|known| known.eq_ignore_ascii_case(tag)) else { continue };
        if best.is_none_or(|(heaviest, _)| weight > heaviest) {
            best = Some((weight, known));
        }
    }
    best.map(|(_, language)| language)
}

/// `0.8` as 800.
fn thousandths(text: &[u8]) -> u32 {
    let mut digits = text.iter().filter(|byte| byte.is_ascii_digit()).map(|byte| u32::from(byte - b'0'));
    (0..4).fold(0, |sum, _| sum * 10 + digits.next().unwrap_or(0)).min(1_000)
}
