//! Looking at bytes sixteen at a time. The loops have a fixed length and no branch, which makes them a few vector
//! instructions wherever the compiler has such.

/// Bytes of a block.
pub(super) const BLOCK: usize = 16;

/// Where the first byte stands for which `wanted` holds, as far as whole blocks reach: if there is none in them, where the last
/// one ends. `wanted` is evaluated for every byte of a block, so it should neither branch nor index.
#[inline]
pub(super) fn find(bytes: &[u8], wanted: impl Fn(u8) -> bool) -> usize {
    let (blocks, _) = bytes.as_chunks::<BLOCK>();
    let mut at = 0;
    for block in blocks {
        let mut marks = [0_u8; BLOCK];
        for (mark, &byte) in marks.iter_mut().zip(block) {
            *mark = u8::from(wanted(byte));
        }
        // Through memory: what the compiler sees through, it takes apart into single bytes again.
        let marks = u128::from_le_bytes(std::hint::black_box(marks));
        if marks != 0 {
            return at + (marks.trailing_zeros() / 8) as usize;
        }
        at += BLOCK;
    }
    at
}

/// Where the first byte stands for which `wanted` holds.
#[inline]
pub(super) fn position(bytes: &[u8], wanted: impl Fn(u8) -> bool) -> Option<usize> {
    let mut at = find(bytes, &wanted);
    while let Some(&byte) = bytes.get(at) {
        if wanted(byte) {
            return Some(at);
        }
        at += 1;
    }
    None
}

/// Makes the first `length` bytes of `text` lower-case. Quickest where a block of text follows them.
#[inline]
pub(super) fn lower(text: &mut [u8], length: usize) {
    let (blocks, rest) = text.as_chunks_mut::<BLOCK>();
    let mut left = length;
    for block in blocks {
        let mut capitals = [0_u8; BLOCK];
        for (capital, &byte) in capitals.iter_mut().zip(&*block) {
            *capital = u8::from(byte.is_ascii_uppercase()) << 5;
        }
        let capitals = u128::from_le_bytes(std::hint::black_box(capitals));
        let within = if left < BLOCK { !(u128::MAX << (8 * left)) } else { u128::MAX };
        *block = (u128::from_le_bytes(*block) | (capitals & within)).to_le_bytes();
        if left <= BLOCK {
            return;
        }
        left -= BLOCK;
    }
    rest.iter_mut().take(left).for_each(u8::make_ascii_lowercase);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn found_as_byte_by_byte(bytes in prop::collection::vec(b'a'..b'e', 0..70)) {
            let at = find(&bytes, |byte| byte == b'a');
            prop_assert!(bytes[..at].iter().all(|&byte| byte != b'a'));
            prop_assert!(bytes.get(at) == Some(&b'a') || bytes.len() - at < BLOCK);
        }

        #[test]
        fn lower_up_to_the_length(bytes in prop::collection::vec(any::<u8>(), 0..70), part in 0..100_usize) {
            let length = bytes.len() * part / 100;
            let mut text = bytes.clone();
            lower(&mut text, length);
            prop_assert_eq!(&text[..length], bytes[..length].to_ascii_lowercase());
            prop_assert_eq!(&text[length..], &bytes[length..]);
        }
    }
}
