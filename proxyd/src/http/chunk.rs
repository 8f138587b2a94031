//! The chunked transfer coding (RFC 9112 section 7.1), checked and written anew.
//!
//! What leaves is canonical: sizes in hexadecimal without leading zeros or extensions, trailers with lower-case names or none at
//! all. Chunk boundaries stay, so data passes through without being held.

use super::h1::{Limits, Refused, fields, settle_trailers};
use super::{Head, header};
use crate::http::case::CaseAdjustment;
use crate::limits::CHUNK_MAX;
use std::sync::Arc;

/// Reads one chunked body piece by piece.
#[derive(Debug, Default)]
pub struct Decoder {
    state: State,
    /// Trailers end here.
    drops_trailers: bool,
    /// In a chunk's data: so many bytes are still to come.
    left: u64,
    /// How names of trailers are written, where they are not to be in lower case.
    names: Option<Arc<CaseAdjustment>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum State {
    /// At a chunk-size line.
    #[default]
    Size,
    /// In a chunk's data.
    Data,
    /// At the CRLF after a chunk's data.
    DataEnd,
    /// At the trailer section.
    Trailers,
    Done,
}

/// What one call of [`Decoder::read`] did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step {
    /// Bytes of the input that were used; the rest must be given again with more behind it.
    pub consumed: usize,
    /// Bytes of data and trailers among them, without what frames them and as haproxy counts them: one for the end, too.
    pub counted: u64,
    /// The body is complete.
    pub done: bool,
}

impl Decoder {
    /// From now on names of trailers are written as these say.
    pub fn adjust(&mut self, names: Arc<CaseAdjustment>) {
        self.names = Some(names);
    }

    /// Trailers are read, but not written.
    pub fn drop_trailers(&mut self) {
        self.drops_trailers = true;
    }

    /// Takes what it can of `input` and appends its canonical form to `out`. A line of its own, or the trailers, are shorter than
    /// `room`: what a buffer holds.
    pub fn read(&mut self, input: &[u8], room: usize, out: &mut Vec<u8>) -> Result<Step, Refused> {
        let (mut at, mut counted) = (0, 0);
        loop {
            let rest = &input[at..];
            match self.state {
                State::Size => {
                    let Some((size, length)) = size_line(rest, room)? else { break };
                    at += length;
                    write_size(size, out);
                    self.left = size;
                    self.state = if size == 0 { State::Trailers } else { State::Data };
                }
                State::Data => {
                    let taken = usize::try_from(self.left).unwrap_or(usize::MAX).min(rest.len());
                    out.extend_from_slice(&rest[..taken]);
                    at += taken;
                    counted += taken as u64;
                    self.left -= taken as u64;
                    if self.left > 0 {
                        break;
                    }
                    self.state = State::DataEnd;
                }
                State::DataEnd => match rest {
                    [b'\r', b'\n', ..] => {
                        out.extend_from_slice(b"\r\n");
                        at += 2;
                        self.state = State::Size;
                    }
                    [] | [b'\r'] => break,
                    _ => return Err(Refused::BAD),
                },
                State::Trailers => {
                    let start = out.len();
                    let Some((length, of_trailers)) = trailers(rest, room, out)? else { break };
                    if self.drops_trailers {
                        out.truncate(start);
                        out.extend_from_slice(b"\r\n");
                    } else if let (Some(names), Some(lines)) = (&self.names, out.get_mut(start..)) {
                        names.adjust_fields(lines);
                    }
                    at += length;
                    counted += of_trailers + 1;
                    self.state = State::Done;
                }
                State::Done => break,
            }
        }
        Ok(Step { consumed: at, counted, done: self.state == State::Done })
    }
}

/// Whether what has come of a body may be its beginning, with the same `room`. Nothing is consumed.
pub fn check(input: &[u8], room: usize) -> Result<(), Refused> {
    let mut rest = input;
    while let Some((size, length)) = size_line(rest, room)? {
        rest = rest.get(length..).unwrap_or_default();
        if size == 0 {
            return trailers(rest, room, &mut Vec::new()).map(drop);
        }
        let data = usize::try_from(size).unwrap_or(usize::MAX);
        let Some(after) = rest.get(data..) else { break };
        match after {
            [b'\r', b'\n', next @ ..] => rest = next,
            [] | [b'\r'] => break,
            _ => return Err(Refused::BAD),
        }
    }
    Ok(())
}

/// What has come of a body in chunks.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Data {
    /// The data.
    pub bytes: Vec<u8>,
    /// What the chunk that has begun still lacks.
    pub missing: u64,
    /// It is all of the body.
    pub complete: bool,
    /// What follows is no chunk.
    pub invalid: bool,
}

/// The data of the chunks that have come, which have been checked. Nothing is consumed.
pub fn data(input: &[u8]) -> Data {
    let (mut data, mut rest) = (Data::default(), input);
    loop {
        let (size, length) = match size_line(rest, usize::MAX) {
            Ok(Some(line)) => line,
            Ok(None) => break,
            Err(_) => {
                data.invalid = true;
                break;
            }
        };
        rest = rest.get(length..).unwrap_or_default();
        if size == 0 {
            match trailers(rest, usize::MAX, &mut Vec::new()) {
                Ok(end) => data.complete = end.is_some(),
                Err(_) => data.invalid = true,
            }
            break;
        }
        let there = usize::try_from(size).unwrap_or(usize::MAX).min(rest.len());
        data.missing = size - there as u64;
        let (chunk, after) = rest.split_at(there);
        data.bytes.extend_from_slice(chunk);
        let Some(next) = after.strip_prefix(b"\r\n") else {
            data.invalid = !b"\r\n".starts_with(after);
            break;
        };
        rest = next;
    }
    data
}

/// `size [white space] [; extension] CRLF`. The extension is dropped; a lone LF or CR in the line is refused, because
/// programs disagree about where such a line ends.
fn size_line(input: &[u8], room: usize) -> Result<Option<(u64, usize)>, Refused> {
    let digits = input.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(input.len());
    let size = input[..digits]
        .iter()
        .try_fold(0_u64, |sum, &digit| {
            let value = char::from(digit).to_digit(16)?;
            sum.checked_mul(16)?.checked_add(u64::from(value)).filter(|&sum| sum <= CHUNK_MAX)
        })
        .ok_or(Refused::BAD)?;
    let Some(end) = input.iter().position(|byte| matches!(byte, b'\r' | b'\n')) else {
        let possible = input.len() < room && (digits > 0 || input.is_empty());
        return if possible && tail_is_good(&input[digits..]) { Ok(None) } else { Err(Refused::BAD) };
    };
    if digits == 0 || end >= room || !tail_is_good(&input[digits..end]) {
        return Err(Refused::BAD);
    }
    match input[end..] {
        [b'\r', b'\n', ..] => Ok(Some((size, end + 2))),
        [b'\r'] => Ok(None),
        _ => Err(Refused::BAD),
    }
}

/// What may follow the size in its line.
fn tail_is_good(tail: &[u8]) -> bool {
    match header::trim(tail) {
        [] => true,
        extension => extension[0] == b';' && !extension.contains(&0),
    }
}

fn write_size(size: u64, out: &mut Vec<u8>) {
    let digits = if size == 0 { 1 } else { (64 - size.leading_zeros()).div_ceil(4) };
    for digit in (0..digits).rev() {
        let value = (size >> (digit * 4)) & 0xf;
        out.push(b"0123456789abcdef"[usize::try_from(value).unwrap_or(0)]);
    }
    out.extend_from_slice(b"\r\n");
}

/// The trailer section and its empty line; read only when it is all there. Its length, and that of names and values alone.
fn trailers(input: &[u8], room: usize, out: &mut Vec<u8>) -> Result<Option<(usize, u64)>, Refused> {
    let mut head = Head::default();
    // Trailers do not frame anything: a content-length among them is only forwarded, so what it "says" is not kept.
    let within = &input[..input.len().min(room)];
    let Some(length) = fields::read(within, 0, &mut head, None, Limits::default())? else {
        return if input.len() >= room { Err(Refused::BAD) } else { Ok(None) };
    };
    settle_trailers(&mut head)?;
    head.write_fields(out);
    out.extend_from_slice(b"\r\n");
    let counted: usize = head.fields().map(|(name, value)| name.len() + value.len()).sum();
    Ok(Some((length, counted as u64)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::BUFFER_SIZE;
    use proptest::prelude::*;

    fn whole(input: &[u8]) -> Result<(Vec<u8>, Step), Refused> {
        let mut out = Vec::new();
        let step = Decoder::default().read(input, BUFFER_SIZE, &mut out)?;
        Ok((out, step))
    }

    #[test]
    fn names_of_trailers_are_written_as_wanted() {
        let mut names = CaseAdjustment::default();
        names.add(b"x-t", b"X-T").unwrap();
        let mut decoder = Decoder::default();
        decoder.adjust(Arc::new(names));
        let mut out = b"x-t: before".to_vec();
        decoder.read(b"5\r\nx-t:v\r\n0\r\nx-t: v\r\nX-U: w\r\n\r\n", BUFFER_SIZE, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "x-t: before5\r\nx-t:v\r\n0\r\nX-T: v\r\nx-u: w\r\n\r\n");
    }

    #[test]
    fn trailers_are_dropped_where_they_are_not_wanted() {
        let mut decoder = Decoder::default();
        decoder.drop_trailers();
        let (input, mut out) = (b"1\r\na\r\n0\r\nX-T: v\r\nX-U: w\r\n\r\n", b"before".to_vec());
        let step = decoder.read(input, BUFFER_SIZE, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "before1\r\na\r\n0\r\n\r\n");
        assert_eq!((step.consumed, step.done), (input.len(), true));
        // What is none is refused all the same.
        let mut decoder = Decoder::default();
        decoder.drop_trailers();
        assert!(decoder.read(b"0\r\nbad name: v\r\n\r\n", BUFFER_SIZE, &mut Vec::new()).is_err());
    }

    #[test]
    fn accepted_and_canonical() {
        for (input, output) in [
            ("3\r\nabc\r\n0\r\n\r\n", "3\r\nabc\r\n0\r\n\r\n"),
            ("003;ext=\"a b\"\r\nabc\r\n0\r\n\r\n", "3\r\nabc\r\n0\r\n\r\n"),
            ("3 \t\r\nabc\r\n00\r\n\r\n", "3\r\nabc\r\n0\r\n\r\n"),
            ("B\r\n01234567890\r\n0\r\nX-T: v\r\n\r\n", "b\r\n01234567890\r\n0\r\nx-t: v\r\n\r\n"),
            (
                "1\r\na\r\n0\r\nContent-Length: 5\r\nHost: z\r\n\r\n",
                "1\r\na\r\n0\r\ncontent-length: 5\r\nhost: z\r\n\r\n",
            ),
            (
                "0\r\ncontent-length: 3, 3\r\nHost: Z\r\nx: y\r\nContent-Length: 03\r\nhost: z\r\nx: y\r\n\r\n",
                "0\r\ncontent-length: 3\r\nhost: Z\r\nx: y\r\nx: y\r\n\r\n",
            ),
        ] {
            let (out, step) = whole(input.as_bytes()).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), output);
            assert_eq!((step.consumed, step.done), (input.len(), true));
        }
    }

    #[test]
    fn what_follows_is_left() {
        let (_, step) = whole(b"0\r\n\r\nGET / HTTP/1.1\r\n").unwrap();
        assert_eq!(step, Step { consumed: 5, counted: 1, done: true });
    }

    #[test]
    fn refused() {
        for input in [
            "0x3\r\nabc\r\n",
            "3\nabc\r\n",
            "3;a\nabc\r\n",
            "\r\n",
            "g\r\n",
            "-1\r\n",
            "3\r\nabcd\r\n",
            "3\r\nabc\n",
            " 3\r\n",
            "3 3\r\n",
            "3\rabc",
            "fffffffffffffffff\r\n",
            "10000000000000\r\n",
            "0\r\nbad name: v\r\n\r\n",
            "0\r\ncontent-length: a\r\n\r\n",
            "0\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
            "0\r\ntransfer-encoding: x\r\n\r\n",
            "0\r\nhost: a\r\nhost: b\r\n\r\n",
            "x",
            "3 x",
        ] {
            assert!(whole(input.as_bytes()).is_err(), "{input:?}");
        }
        assert!(whole(&[b'1'; 20]).is_err());
        let long = [b"1;".as_slice(), &vec![b'a'; BUFFER_SIZE]].concat();
        assert!(whole(&long).is_err());
    }

    #[test]
    fn what_has_come_is_checked() {
        for input in
            ["", "3", "3\r\n", "3\r\nab", "3\r\nabc", "3\r\nabc\r", "3\r\nabc\r\n0\r\n", "0\r\nx: y\r\n\r\nGET"]
        {
            assert!(check(input.as_bytes(), BUFFER_SIZE).is_ok(), "{input:?}");
        }
        for input in ["G", "3\r\nabcd", "3\r\nabc\r\nG", "0\r\nbad name: v\r\n\r\n", "3\nabc"] {
            assert!(check(input.as_bytes(), BUFFER_SIZE).is_err(), "{input:?}");
        }
    }

    proptest! {
        /// However the bytes are cut, the same comes out; any bytes at all do no harm.
        #[test]
        fn cuts_do_not_matter(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..6), cut in 1..9_usize) {
            let mut wire = Vec::new();
            for chunk in &chunks {
                write_size(chunk.len() as u64, &mut wire);
                wire.extend_from_slice(chunk);
                wire.extend_from_slice(b"\r\n");
            }
            wire.extend_from_slice(b"0\r\nx: y\r\n\r\n");
            let (mut decoder, mut out, mut held, mut done) = (Decoder::default(), Vec::new(), Vec::new(), false);
            for piece in wire.chunks(cut) {
                held.extend_from_slice(piece);
                let step = decoder.read(&held, BUFFER_SIZE, &mut out).unwrap();
                held.drain(..step.consumed);
                done = step.done;
            }
            prop_assert!(done && held.is_empty());
            prop_assert_eq!(out, wire);
        }

        #[test]
        fn any_bytes(input in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = whole(&input);
        }
    }
}
