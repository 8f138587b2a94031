//! Any bytes as a request, as the answer to one, and as a chunked body. What is accepted is canonical: written and read again it is
//! the same. How it was cut on the way changes nothing.

#![no_main]

use libfuzzer_sys::fuzz_target;
use proxyd::http::Head;
use proxyd::http::chunk::Decoder;
use proxyd::limits::BUFFER_SIZE;
use proxyd::http::h1::request::{self, RequestWire, Tunnel};
use proxyd::http::h1::{Body, Limits, Progress, Refused, response, write_request, write_response};

fuzz_target!(|bytes: &[u8]| {
    let Some((&choice, rest)) = bytes.split_first() else { return };
    let Some((&cut, input)) = rest.split_first() else { return };
    let cut = usize::from(cut) * input.len() / 256;
    match choice % 3 {
        0 => message(input, cut, read_request, write_request),
        1 => {
            let wire = RequestWire {
                body: Body::None,
                keep_alive: true,
                tunnel: [Tunnel::No, Tunnel::Upgrade, Tunnel::Connect][usize::from(choice / 3) % 3],
                head: choice & 0x40 != 0,
                announces_upgrade: choice & 0x80 != 0,
                expects_continue: false,
            };
            let read = |bytes: &[u8], head: &mut Head| {
                response::read(bytes, head, &wire, Limits::default()).map(|progress| consumed(&progress))
            };
            message(input, cut, read, write_response);
        }
        _ => body(input, cut),
    }
});

fn read_request(bytes: &[u8], head: &mut Head) -> Result<Option<usize>, Refused> {
    request::read(bytes, head, Limits::default()).map(|progress| consumed(&progress))
}

fn consumed<T>(progress: &Progress<T>) -> Option<usize> {
    match progress {
        Progress::Partial => None,
        Progress::Complete { consumed, .. } => Some(*consumed),
    }
}

fn message(
    input: &[u8],
    cut: usize,
    read: impl Fn(&[u8], &mut Head) -> Result<Option<usize>, Refused>,
    write: impl Fn(&Head, &mut Vec<u8>),
) {
    let mut head = Head::default();
    let whole = read(input, &mut head);
    // A part is not complete yet, or the same; what is wrong with it is wrong with the whole.
    let part = read(&input[..cut], &mut Head::default());
    match (part, whole) {
        (Ok(Some(part)), whole) => assert_eq!(Ok(Some(part)), whole),
        (Err(_), whole) => assert!(whole.is_err()),
        (Ok(None), _) => {}
    }
    let Ok(Some(length)) = whole else { return };
    assert!(length <= input.len());
    let mut once = Vec::new();
    write(&head, &mut once);
    once.extend_from_slice(b"\r\n");
    let mut again = Head::default();
    assert_eq!(read(&once, &mut again), Ok(Some(once.len())));
    let mut twice = Vec::new();
    write(&again, &mut twice);
    twice.extend_from_slice(b"\r\n");
    assert_eq!(once, twice);
}

/// What a decoder makes of the pieces, one after the other: what it wrote, whether it was done, what was wrong.
fn decode(pieces: &[&[u8]]) -> (Vec<u8>, bool, Option<Refused>) {
    let (mut decoder, mut out, mut held) = (Decoder::default(), Vec::new(), Vec::new());
    for piece in pieces {
        held.extend_from_slice(piece);
        match decoder.read(&held, BUFFER_SIZE, &mut out) {
            Ok(step) if step.done => return (out, true, None),
            Ok(step) => drop(held.drain(..step.consumed)),
            Err(refused) => return (out, false, Some(refused)),
        }
    }
    (out, false, None)
}

fn body(input: &[u8], cut: usize) {
    let (whole, done, wrong) = decode(&[input]);
    let (pieces, pieces_done, pieces_wrong) = decode(&[&input[..cut], &input[cut..]]);
    assert_eq!(done, pieces_done);
    assert_eq!(wrong.is_some(), pieces_wrong.is_some());
    if done {
        // Chunks that were cut are written in pieces; what they carry is the same.
        assert_eq!(data(&whole), data(&pieces));
    }
}

/// The data in a body that is canonical.
fn data(chunks: &[u8]) -> Vec<u8> {
    let (mut decoder, mut out, mut rest) = (Decoder::default(), Vec::new(), Vec::new());
    let step = decoder.read(chunks, BUFFER_SIZE, &mut rest).expect("what was written can be read");
    assert!(step.done && step.consumed == chunks.len());
    let mut chunks = chunks;
    while let Some(end) = chunks.iter().position(|&byte| byte == b'\n') {
        let size = std::str::from_utf8(&chunks[..end - 1]).ok().and_then(|size| usize::from_str_radix(size, 16).ok());
        let Some(size) = size.filter(|&size| size > 0) else { break };
        out.extend_from_slice(&chunks[end + 1..end + 1 + size]);
        chunks = &chunks[end + 1 + size + 2..];
    }
    out
}
