//! From a seed and a number to a case: requests after one another, bytes changed here and there, cut into pieces.

use crate::answers;
use crate::case::{Answer, Case, Ending};
use crate::grammar;
use crate::random::Random;
use crate::shapes;
use crate::side::VARIANTS;

/// What is put in at random places.
const TOKENS: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b":",
    b",",
    b";",
    b"0",
    b"\r\n\r\n",
    b"chunked",
    b"\x0b",
    b"\x80",
    b"\xff",
    b"\r\n ",
    b"/",
    b"#",
    b"?",
    b"@",
    b"transfer-encoding: chunked\r\n",
    b"content-length: 3\r\n",
    b"content-length: 0\r\n",
    b"connection: close\r\n",
    b"0\r\n\r\n",
    b"GET /x HTTP/1.1\r\n",
    b"\"",
    b"=",
    b"-",
    b"1",
];

/// Good answers, for cases that are about requests.
const ANSWERS: &[&[u8]] = &[
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\nconnection: keep-alive\r\n\r\nno",
    b"HTTP/1.1 304 Not Modified\r\netag: x\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
    b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
];

/// What cases are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Requests,
    Answers,
}

/// The case of a number.
pub(crate) fn case(what: What, seed: u64, number: u64) -> Case {
    let mut random = Random::of_case(seed, number);
    if what == What::Answers {
        return about_answers(random, number);
    }
    let variant = if random.one_in(2) { 0 } else { random.below(VARIANTS.len()) };
    let mut bytes = Vec::new();
    for _ in 0..=random.below(2) * random.below(3) {
        let shaped = random.one_in(3);
        bytes.extend(if shaped { shapes::request(&mut random) } else { grammar::request(&mut random) });
    }
    if random.one_in(3) {
        for _ in 0..=random.below(3) {
            change(&mut random, &mut bytes);
        }
    }
    let ending = match random.below(20) {
        0..=1 => Ending::HalfClose,
        2 => Ending::Hold,
        3 => Ending::LateSentinel,
        _ => Ending::Sentinel,
    };
    let answers = (0..random.below(3)).map(|_| answer(&mut random)).collect();
    Case { number, variant, segments: cut(&mut random, &bytes), ending, answers }
}

/// A case of good requests with answers of which at least one may be bad.
fn about_answers(mut random: Random, number: u64) -> Case {
    let variant = if random.one_in(2) { 0 } else { random.below(VARIANTS.len()) };
    let count = 1 + random.below(2) * random.below(2);
    let bytes: Vec<u8> = (0..count).flat_map(|_| answers::request(&mut random)).collect();
    let answers = (0..count).map(|_| answers::answer(&mut random)).collect();
    let ending = match random.below(20) {
        0 => Ending::Hold,
        1 => Ending::LateSentinel,
        _ => Ending::Sentinel,
    };
    Case { number, variant, segments: vec![bytes], ending, answers }
}

fn answer(random: &mut Random) -> Answer {
    let switches: &[&[u8]] = &[
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: foo\r\n\r\nraw",
        b"HTTP/1.1 200 OK\r\n\r\nto the end",
    ];
    let mut answer = match random.below(20) {
        0 => Answer::of(switches[0], random.one_in(2)),
        1 => Answer::of(switches[1], true),
        2 => Answer::of(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok", true),
        _ => Answer::of(random.pick(ANSWERS), false),
    };
    answer.early = random.one_in(30);
    answer
}

/// Changes bytes somewhere.
pub(crate) fn change(random: &mut Random, bytes: &mut Vec<u8>) {
    let at = random.below(bytes.len() + 1);
    let end = (at + 1 + random.below(6)).min(bytes.len());
    match random.below(6) {
        0 => drop(bytes.drain(at..end)),
        1 => {
            let token: &[u8] = TOKENS[random.below(TOKENS.len())];
            bytes.splice(at..at, token.iter().copied());
        }
        2 => {
            let token: &[u8] = TOKENS[random.below(TOKENS.len())];
            bytes.splice(at..end, token.iter().copied());
        }
        3 => {
            let copy = bytes[at..end].to_vec();
            bytes.splice(at..at, copy);
        }
        4 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = u8::try_from(random.below(256)).unwrap_or(0);
            }
        }
        _ => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
    }
}

/// Cuts bytes into writes: mostly one.
fn cut(random: &mut Random, bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut places: Vec<usize> =
        (0..random.below(2) * random.below(4)).map(|_| random.below(bytes.len().max(1))).collect();
    places.push(bytes.len());
    places.sort_unstable();
    let mut from = 0;
    let pieces = places.into_iter().map(|to| bytes[std::mem::replace(&mut from, to)..to].to_vec());
    pieces.filter(|piece| !piece.is_empty()).collect()
}
