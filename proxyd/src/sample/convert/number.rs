//! Numbers out of bytes: `be2dec` and its kin.

use std::fmt::Write as _;

/// How bytes are written as numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grouping {
    /// Between the numbers.
    pub separator: Box<[u8]>,
    /// Bytes in one number, 1 to 8 for decimal ones.
    pub size: usize,
    /// A last number of fewer bytes is left out.
    pub truncate: bool,
    /// In which form.
    pub form: Form,
}

/// The form of the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `be2dec`: decimal, the first byte is the greatest.
    BigDecimal,
    /// `le2dec`: decimal, the first byte is the smallest.
    LittleDecimal,
    /// `be2hex`: hexadecimal.
    Hexadecimal,
}

impl Grouping {
    pub(super) fn write(&self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len() * 3);
        for (index, chunk) in bytes.chunks(self.size.max(1)).enumerate() {
            if self.truncate && chunk.len() < self.size {
                break;
            }
            if index > 0 {
                out.extend_from_slice(&self.separator);
            }
            let number =
                |bytes: &mut dyn Iterator<Item = &u8>| bytes.fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
            let text = match self.form {
                Form::BigDecimal => number(&mut chunk.iter()).to_string(),
                Form::LittleDecimal => number(&mut chunk.iter().rev()).to_string(),
                Form::Hexadecimal => chunk.iter().fold(String::new(), |mut text, byte| {
                    // Writing to a String cannot fail.
                    let _ = write!(text, "{byte:02X}");
                    text
                }),
            };
            out.extend_from_slice(text.as_bytes());
        }
        out
    }
}
