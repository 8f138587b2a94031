//! Large bodies: through pipes, through buffers, and half-way.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use super::lab::{Lab, Origin, Plan, Step};
use super::{OK, read_until};
use crate::proxy::settings::Splice;

const SIZE: usize = 5_000_000;

/// Text in which no part is like another, so that bytes lost, doubled or out of order show.
fn text(size: usize, seed: u64) -> String {
    let mut state = seed | 1;
    let mut letter = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b'a' + u8::try_from(state % 26).unwrap())
    };
    (0..size).map(|_| letter()).collect()
}

/// Compared without printing megabytes.
fn assert_same(got: &[u8], expected: &str) {
    let expected = expected.as_bytes();
    let differs = got.iter().zip(expected).position(|(one, other)| one != other);
    assert_eq!((got.len(), differs), (expected.len(), None));
}

/// Reads to the end in pieces of odd sizes, so that the sender is held up again and again.
fn read_slowly(client: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    for size in (1..).map(|turn: usize| turn * 7_919 % 40_009 + 1) {
        let before = all.len();
        all.resize(before + size, 0);
        let count = client.read(&mut all[before..]).unwrap();
        all.truncate(before + count);
        if count == 0 {
            break;
        }
    }
    all
}

fn plans(mut plan: impl FnMut() -> Plan) -> [(Plan, bool); 3] {
    let mut plan = || {
        let mut plan = plan();
        // A busy machine takes its time over megabytes.
        plan.timeouts.client = Some(Duration::from_secs(30));
        plan.timeouts.server = plan.timeouts.client;
        plan
    };
    let off = Splice { request: Some(false), response: Some(false) };
    [(plan(), true), (Plan { pipes: 0, ..plan() }, false), (Plan { splice: off, ..plan() }, false)]
}

#[test]
fn a_known_length_in_both_directions() {
    let (up, down) = (text(SIZE, 1), text(SIZE, 2));
    let response = format!("HTTP/1.1 200 OK\r\ncontent-length: {SIZE}\r\n\r\n{down}");
    let origin = Origin::start(vec![
        Step::Read("END"),
        Step::Write(response),
        Step::Read("\r\n\r\n"),
        Step::Write(OK.to_owned()),
        Step::Wait,
    ]);
    for (plan, splices) in plans(|| Plan::http(&[origin.address])) {
        let lab = Lab::start(&plan);
        let mut client = lab.connect();
        let head = format!("POST / HTTP/1.1\r\ncontent-length: {}\r\n\r\n", SIZE + 3);
        client.write_all(format!("{head}{up}END").as_bytes()).unwrap();
        let mut answer = vec![0; format!("HTTP/1.1 200 OK\r\ncontent-length: {SIZE}\r\n\r\n").len() + SIZE];
        client.read_exact(&mut answer).unwrap();
        assert_same(&answer[answer.len() - SIZE..], &down);
        assert_eq!(lab.pipes.open() > 0, splices);
        // The connections are as clean as after a small body.
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        assert!(read_until(&mut client, "ok").ends_with("\r\n\r\nok"));
        drop(client);
        drop(lab);
        let forwarded = origin.received.recv_timeout(Duration::from_secs(5)).unwrap();
        let body = forwarded.find("\r\n\r\n").unwrap() + 4;
        assert_same(&forwarded.as_bytes()[body..body + SIZE], &up);
    }
}

#[test]
fn a_slow_reader_gets_every_byte() {
    let down = text(SIZE, 3);
    let response = format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{down}");
    let origin = Origin::start(vec![Step::Read("\r\n\r\n"), Step::Write(response), Step::Close]);
    for (plan, _) in plans(|| Plan::http(&[origin.address])) {
        let lab = Lab::start(&plan);
        let mut client = lab.connect();
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        let answer = read_slowly(&mut client);
        assert_same(&answer[answer.len() - SIZE..], &down);
    }
}

#[test]
fn chunks_of_all_sizes() {
    let mut response = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_owned();
    let mut down = String::new();
    for (seed, size) in [(1, 1_000_000), (2, 1), (3, 16_384), (4, 333), (5, 700_000)] {
        let chunk = text(size, seed);
        down.extend([&format!("{size:x}"), "\r\n", &chunk, "\r\n"]);
    }
    response += &down;
    response.push_str("0\r\n\r\n");
    let origin = Origin::start(vec![Step::Read("\r\n\r\n"), Step::Write(response), Step::Close]);
    let lab = Lab::start(&Plan::http(&[origin.address]));
    let mut client = lab.connect();
    client.write_all(b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    let got = decoded(answer.split_once("\r\n\r\n").unwrap().1);
    assert_same(got.as_bytes(), &decoded(&format!("{down}0\r\n\r\n")));
}

fn decoded(mut chunks: &str) -> String {
    let mut all = String::new();
    while let Some((size, rest)) = chunks.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            break;
        }
        all.push_str(&rest[..size]);
        chunks = &rest[size + 2..];
    }
    all
}

#[test]
fn both_directions_of_a_tunnel_with_half_closes() {
    let (up, down) = (text(SIZE, 4), text(SIZE, 5));
    let origin = Origin::start(vec![Step::Write(down.clone()), Step::Wait, Step::Write("bye".to_owned())]);
    for (plan, splices) in plans(|| Plan::tcp(&[origin.address])) {
        let lab = Lab::start(&plan);
        let mut client = lab.connect();
        let (mut sender, up) = (client.try_clone().unwrap(), up.clone());
        let sending = std::thread::spawn({
            let up = up.clone();
            move || {
                sender.write_all(up.as_bytes()).unwrap();
                sender.shutdown(Shutdown::Write).unwrap();
            }
        });
        let answer = read_slowly(&mut client);
        sending.join().unwrap();
        assert_same(&answer, &format!("{down}bye"));
        assert_same(origin.received.recv_timeout(Duration::from_secs(5)).unwrap().as_bytes(), &up);
        assert_eq!(lab.pipes.open() > 0, splices);
        let backend = &lab.generation.backends[0].section.traffic;
        while backend.sessions.current() > 0 {
            std::thread::yield_now();
        }
        let counted = |what| backend.total(what);
        assert_eq!(counted(crate::stats::Count::BytesIn), SIZE as u64);
        assert_eq!(counted(crate::stats::Count::BytesOut), SIZE as u64 + 3);
    }
}

#[test]
fn a_client_that_leaves_takes_its_pipe_along() {
    let down = text(SIZE, 6);
    let response = format!("HTTP/1.1 200 OK\r\ncontent-length: {SIZE}\r\n\r\n{down}");
    let origin = Origin::start(vec![Step::Read("\r\n\r\n"), Step::Write(response), Step::Close]);
    let lab = Lab::start(&Plan::http(&[origin.address]));
    let mut client = lab.connect();
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    while lab.pipes.open() == 0 {
        std::thread::yield_now();
    }
    drop(client);
    // It holds bytes that nobody will take.
    while lab.pipes.open() > 0 {
        std::thread::yield_now();
    }
    let mut client = lab.connect();
    client.write_all(b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n").unwrap();
    let answer = read_slowly(&mut client);
    assert_same(&answer[answer.len() - SIZE..], &down);
}

#[test]
fn a_client_that_takes_nothing_is_timed_out() {
    let down = text(SIZE, 7);
    let response = format!("HTTP/1.1 200 OK\r\ncontent-length: {SIZE}\r\n\r\n{down}");
    let origin = Origin::start(vec![Step::Read("\r\n\r\n"), Step::Write(response), Step::Close]);
    let mut plan = Plan::http(&[origin.address]);
    plan.timeouts.client = Some(Duration::from_millis(100));
    plan.timeouts.server = Some(Duration::from_secs(30));
    let lab = Lab::start(&plan);
    let mut client = lab.connect();
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    while lab.generation.backends[0].section.traffic.total(crate::stats::Count::ClientAborts) == 0 {
        std::thread::yield_now();
    }
    let _ = client.read_to_end(&mut Vec::new());
}
