//! Reading what a configuration names, and saying why that failed in the words of the C library.

use crate::http::h1::{Body, response};
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

/// What a file holds that is sent as the body of an answer, which has to fit into a buffer of `bufsize` bytes; the problem in
/// haproxy's words.
pub(super) fn body(path: &str, bufsize: u32) -> Result<Vec<u8>, Unusable> {
    read(path, bufsize.into()).map_err(|problem| match problem {
        Problem::Open(reason) => Unusable { message: format!("error opening file '{path}'"), reason: Some(reason) },
        Problem::TooLong(size) => {
            Unusable { message: format!("file '{path}' exceeds the buffer size ({size} > {bufsize})"), reason: None }
        }
    })
}

/// What a file holds that is sent as a whole answer. An empty one is none: the client gets nothing.
pub(super) fn answer(path: &str, bufsize: u32) -> Result<Vec<u8>, Unusable> {
    let bytes = body(path, bufsize)?;
    if bytes.is_empty() {
        return Ok(bytes);
    }
    let wrong = |message: String| Unusable { message: format!("'{path}': {message}"), reason: None };
    let Some((_, consumed, framing)) = response::stored(&bytes) else {
        return Err(wrong("unable to parse headers".to_owned()));
    };
    let there = bytes.len() - consumed;
    match framing {
        Body::Chunked => Err(wrong("chunk-encoded payload not supported".to_owned())),
        Body::Length(announced) if announced != there as u64 => {
            Err(wrong(format!("payload size does not match the announced content-length ({there} != {announced})")))
        }
        Body::None | Body::Length(_) | Body::UntilClose | Body::Tunnel => Ok(bytes),
    }
}

/// Why a file cannot be an answer or a part of one.
#[derive(Debug)]
pub(super) struct Unusable {
    /// In haproxy's words, without a period.
    pub message: String,
    /// What the system says.
    pub reason: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What haproxy 2.6 said of each; the name of the file stands before it.
    #[test]
    fn what_is_an_answer() {
        let path = std::env::temp_dir().join(format!("proxyd-answer-{}", std::process::id()));
        let name = path.to_str().unwrap();
        for (text, said) in [
            ("", None),
            ("HTTP/1.0 503 Service Unavailable\r\nCache-Control: no-cache\r\n\r\n<html>", None),
            ("HTTP/1.0 503 Service Unavailable\nCache-Control: no-cache\n\nbody", None),
            ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", None),
            ("not a response\n", Some("unable to parse headers")),
            ("HTTP/1.0 404 No\r\n", Some("unable to parse headers")),
            (
                "HTTP/1.0 200 OK\r\nContent-Length: 99\r\n\r\nshort",
                Some("payload size does not match the announced content-length (5 != 99)"),
            ),
            (
                "HTTP/1.1 503 X\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                Some("chunk-encoded payload not supported"),
            ),
        ] {
            std::fs::write(&path, text).unwrap();
            let wanted = said.map(|said| format!("'{name}': {said}"));
            assert_eq!(answer(name, 16_384).err().map(|unusable| unusable.message), wanted, "{text:?}");
        }
        std::fs::write(&path, vec![b'a'; 16_385]).unwrap();
        let wanted = format!("file '{name}' exceeds the buffer size (16385 > 16384)");
        assert_eq!(body(name, 16_384).unwrap_err().message, wanted);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(answer(name, 16_384).unwrap_err().message, format!("error opening file '{name}'"));
    }
}
