//! Reading what a configuration names, and saying why that failed in the words of the C library.

use std::fs::File;
use std::io::{self, Read as _};

/// Why a file cannot be used.
#[derive(Debug)]
pub(super) enum Problem {
    /// It cannot be opened or read; the reason.
    Open(String),
    /// It is longer than what is kept; its size, or what was read of it.
    TooLong(u64),
}

/// `No such file or directory`, without Rust's `(os error 2)`.
pub(super) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// A whole file of at most `max` bytes.
pub(super) fn read(path: &str, max: u64) -> Result<Vec<u8>, Problem> {
    let open = |error: io::Error| Problem::Open(reason(&error));
    let file = File::open(path).map_err(open)?;
    let mut bytes = Vec::new();
    file.take(max + 1).read_to_end(&mut bytes).map_err(open)?;
    let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    if size > max { Err(Problem::TooLong(size)) } else { Ok(bytes) }
}
