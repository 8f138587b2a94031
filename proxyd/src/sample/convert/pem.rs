//! Texts of PEM (RFC 7468): keys and certificates in base64 between lines that name them.

use super::encode::base64_decode;

/// The label and the bytes of each part. The first one that is broken ends them.
pub(super) fn blocks(text: &str) -> impl Iterator<Item = (&str, Vec<u8>)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (label, after) = rest.split_once("-----BEGIN ")?.1.split_once("-----")?;
        let (body, after) = after.split_once("-----END ")?;
        rest = after;
        let digits: Vec<u8> = body.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        Some((label, base64_decode(&digits)?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_text() {
        let text =
            "words\n-----BEGIN A B-----\nAAEC\nAw==\n-----END A B-----\n\n-----BEGIN C-----\nBA==\n-----END C-----\n";
        let found: Vec<_> = blocks(text).collect();
        assert_eq!(found, [("A B", vec![0, 1, 2, 3]), ("C", vec![4])]);
        for end in 0..text.len() {
            assert!(blocks(&text[..end]).count() <= 2, "{end}");
        }
        assert_eq!(blocks("-----BEGIN A-----\n~\n-----END A-----\n").next(), None);
    }
}
