//! Conversations and their verdicts as haproxy 2.6 gave them.

use super::{ANSWER_MAX, Next, Run, SSL_HELLO, Script, Trouble};
use crate::health::script::{CheckKind, ConnectStep, Expect, ExpectPattern, HttpSend, HttpStep, TcpStep};
use crate::health::{CheckResult, CheckStatus};
use crate::sample::text::Text;

/// Plays a server that sends `answer` and closes or does not; returns the verdict and what was sent to it.
fn play(kind: &CheckKind, answer: &[u8], closes: bool) -> (CheckResult, Vec<u8>) {
    let script = Script::compile(kind, false).unwrap();
    play_script(&script, answer, closes)
}

fn play_script(script: &Script, answer: &[u8], closes: bool) -> (CheckResult, Vec<u8>) {
    let mut run = Run::new(script, String::new(), None);
    let mut sent = Vec::new();
    let mut pieces = answer.chunks(3);
    loop {
        match run.step(None) {
            Next::Connect(..) => run.connected(),
            Next::Send(bytes) => {
                sent.extend_from_slice(&bytes);
                pieces = answer.chunks(3);
            }
            Next::Receive => match pieces.next() {
                Some(piece) => run.received(piece),
                None if closes => run.received(b""),
                None => return (run.failed(Trouble::Timeout), sent),
            },
            Next::Reply(reply) => return (reply.result(), sent),
            Next::End(result) => return (result, sent),
        }
    }
}

fn expect(negate: bool, pattern: ExpectPattern) -> Expect {
    Expect { negate, ..Expect::new(pattern) }
}

fn string(negate: bool, text: &str) -> Expect {
    expect(negate, ExpectPattern::Bytes(text.as_bytes().to_vec()))
}

fn regex(negate: bool, text: &str) -> Expect {
    expect(negate, ExpectPattern::Regex(text.into()))
}

type Verdict<'a> = (CheckStatus, Option<i32>, &'a str);

fn verdict(result: &CheckResult) -> Verdict<'_> {
    (result.status, result.code, &result.info)
}

#[test]
fn http_answers() {
    use CheckStatus::{L7Ok, L7Response, L7Status, L7Timeout};
    let status = |negate, low, high| Some(expect(negate, ExpectPattern::Status(vec![(low, high), (404, 404)])));
    let with = |code: u16, reason: &str, body: &str| {
        format!("HTTP/1.0 {code} {reason}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    };
    let no_match = "HTTP content check did not match";
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n";
    let table: Vec<(Option<Expect>, String, bool, Verdict<'_>)> = vec![
        (None, with(200, "OK", ""), true, (L7Ok, Some(200), "")),
        (None, with(302, "Found", ""), true, (L7Ok, Some(302), "")),
        (None, with(503, "My Reason", ""), true, (L7Status, Some(503), "My Reason")),
        (None, "HTTP/1.0 200 OK\r\nfoo".into(), true, (L7Response, None, "")),
        (None, "garbage\r\n\r\n".into(), true, (L7Response, None, "")),
        (None, String::new(), true, (L7Response, None, "")),
        (None, String::new(), false, (L7Timeout, None, "")),
        (None, "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhello".into(), false, (L7Ok, Some(200), "")),
        (None, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\n".into(), false, (L7Ok, Some(204), "")),
        (status(false, 200, 299), with(500, "Oops", ""), true, (L7Status, Some(500), "Oops")),
        (status(false, 200, 299), with(404, "NF", ""), true, (L7Ok, Some(404), "")),
        (status(true, 500, 599), with(500, "Oops", ""), true, (L7Status, Some(500), "Oops")),
        (
            Some(expect(false, ExpectPattern::StatusRegex("^2".into()))),
            with(302, "F", ""),
            true,
            (L7Status, Some(302), "F"),
        ),
        (
            Some(expect(true, ExpectPattern::StatusRegex("^5".into()))),
            with(500, "X", ""),
            true,
            (L7Status, Some(500), "X"),
        ),
        (Some(string(false, "hello")), with(200, "OK", "well hello"), true, (L7Ok, Some(200), "")),
        (Some(string(false, "hello")), with(200, "OK", "bye"), true, (L7Response, None, no_match)),
        (
            Some(string(false, "hello")),
            with(200, "OK", ""),
            true,
            (L7Response, None, "HTTP content check could not find a response body"),
        ),
        (
            Some(string(true, "bye")),
            with(200, "OK", "bye"),
            true,
            (L7Response, None, "HTTP check matched unwanted content"),
        ),
        (Some(regex(false, "h.llo")), with(200, "OK", "bye"), true, (L7Response, None, no_match)),
        (Some(string(false, "hel")), "HTTP/1.1 200 OK\r\n\r\nhello".into(), false, (L7Ok, Some(200), "")),
        (Some(string(false, "hello")), chunked.into(), false, (L7Ok, Some(200), "")),
    ];
    for (expect, answer, closes, expected) in table {
        let kind = CheckKind::Http(expect.into_iter().map(HttpStep::Expect).collect());
        let (result, sent) = play(&kind, answer.as_bytes(), closes);
        assert_eq!(verdict(&result), expected, "{answer}");
        assert_eq!(sent, b"OPTIONS / HTTP/1.0\r\n\r\n");
    }
}

#[test]
fn http_requests() {
    let send = HttpSend {
        method: "POST".into(),
        uri: Text::literal(*b"/x"),
        version: "HTTP/1.1".into(),
        headers: vec![("Host".into(), Text::literal(*b"h")), ("X-A".into(), Text::literal(*b"b"))],
        body: Some(Text::literal(*b"abc")),
    };
    let (_, sent) = play(&CheckKind::Http(vec![HttpStep::Send(send.clone())]), b"HTTP/1.0 200 OK\r\n\r\n", true);
    assert_eq!(
        String::from_utf8(sent).unwrap(),
        "POST /x HTTP/1.1\r\nhost: h\r\nx-a: b\r\ncontent-length: 3\r\nconnection: close\r\n\r\nabc"
    );
    // Two requests over two connections, each with its own verdict.
    let two = CheckKind::Http(vec![
        HttpStep::Connect(ConnectStep::default()),
        HttpStep::Send(HttpSend { uri: Text::literal(*b"/1"), ..HttpSend::default() }),
        HttpStep::Connect(ConnectStep::default()),
        HttpStep::Send(HttpSend { uri: Text::literal(*b"/2"), ..HttpSend::default() }),
    ]);
    let (result, sent) = play(&two, b"HTTP/1.0 200 OK\r\n\r\n", true);
    assert_eq!(result.status, CheckStatus::L7Ok);
    assert_eq!(sent, b"OPTIONS /1 HTTP/1.0\r\n\r\nOPTIONS /2 HTTP/1.0\r\n\r\n");
    let bad = HttpSend { uri: Text::literal(*b"/a b"), ..HttpSend::default() };
    assert!(Script::compile(&CheckKind::Http(vec![HttpStep::Send(bad)]), false).is_err());
    assert!(Script::compile(&CheckKind::Http(vec![HttpStep::Expect(regex(false, "("))]), false).is_err());
}

#[test]
fn a_404_may_mean_no_new_clients() {
    let script = Script::compile(&CheckKind::Http(Vec::new()), true).unwrap();
    let (result, _) = play_script(&script, b"HTTP/1.0 404 Not Found\r\n\r\n", true);
    assert_eq!(verdict(&result), (CheckStatus::L7OkConditionally, Some(404), ""));
}

#[test]
fn tcp_answers() {
    use CheckStatus::{L4Ok, L7Ok, L7Response, L7Timeout};
    let ping = || TcpStep::Send(b"PING\r\n".to_vec());
    let pong = || TcpStep::Expect(string(false, "+PONG"));
    let commented = TcpStep::Expect(Expect { comment: Some("world".into()), ..string(false, "OK") });
    let impatient = TcpStep::Expect(Expect { min_recv: Some(2), ..string(false, "OK") });
    let table: Vec<(Vec<TcpStep>, &str, bool, Verdict<'_>)> = vec![
        (vec![], "", true, (L4Ok, None, "")),
        (vec![ping(), pong()], "+PONG\r\n", false, (L7Ok, Some(0), "(tcp-check)")),
        (vec![ping()], "", false, (L7Ok, Some(0), "(tcp-check)")),
        (vec![ping(), pong()], "-ERR\r\n", true, (L7Response, None, "TCPCHK did not match content '+PONG' at step 2")),
        (vec![ping(), pong()], "+", true, (L7Response, None, "TCPCHK did not match content '+PONG' at step 2")),
        (vec![ping(), pong()], "", true, (L7Response, None, "TCPCHK got an empty response at step 2")),
        (vec![ping(), pong()], "", false, (L7Timeout, None, " at step 2 of tcp-check (expect string '+PONG')")),
        (
            vec![TcpStep::Expect(regex(false, "^OK"))],
            "NO\n",
            false,
            (L7Timeout, None, " at step 1 of tcp-check (expect regex)"),
        ),
        (
            vec![TcpStep::Expect(regex(true, "^NO"))],
            "NO\n",
            false,
            (L7Response, None, "TCPCHK matched unwanted content (regex) at step 1"),
        ),
        (
            vec![TcpStep::Expect(string(true, "NO"))],
            "NO\n",
            false,
            (L7Response, None, "TCPCHK matched unwanted content 'NO' at step 1"),
        ),
        (vec![TcpStep::Expect(string(true, "BAD"))], "GOOD", true, (L7Ok, Some(0), "(tcp-check)")),
        (
            vec![ping(), commented],
            "NO",
            true,
            (L7Response, None, "TCPCHK did not match content 'OK' at step 2 comment: world"),
        ),
        (vec![ping(), impatient], "NOPE", false, (L7Response, None, "TCPCHK did not match content 'OK' at step 2")),
    ];
    for (steps, answer, closes, expected) in table {
        let (result, _) = play(&CheckKind::TcpScript(steps), answer.as_bytes(), closes);
        assert_eq!(verdict(&result), expected, "{answer}");
    }
}

#[test]
fn troubles_tell_where_they_came() {
    let explicit =
        CheckKind::TcpScript(vec![TcpStep::Connect(ConnectStep { port: Some(1), ..ConnectStep::default() })]);
    let script = Script::compile(&explicit, false).unwrap();
    let mut run = Run::new(&script, String::new(), None);
    assert!(matches!(run.step(None), Next::Connect(..)));
    let refused = run.failed(Trouble::Connect("Connection refused"));
    assert_eq!(
        verdict(&refused),
        (CheckStatus::L4Connection, None, "Connection refused at step 1 of tcp-check (connect port 1)")
    );
    let step = TcpStep::Expect(Expect { comment: Some("redis".into()), ..string(false, "+PONG") });
    let script = Script::compile(&CheckKind::TcpScript(vec![TcpStep::Send(b"x".to_vec()), step]), false).unwrap();
    let mut run = Run::new(&script, String::new(), None);
    assert!(matches!(run.step(None), Next::Connect(..)));
    assert_eq!(verdict(&run.failed(Trouble::Timeout)), (CheckStatus::L4Timeout, None, ""));
    run.connected();
    run.step(None);
    assert_eq!(run.step(None), Next::Receive);
    let reset = run.failed(Trouble::Broken("Connection reset by peer"));
    let expected = "Connection reset by peer at step 2 of tcp-check (expect string '+PONG') comment: 'redis'";
    assert_eq!(verdict(&reset), (CheckStatus::SocketError, None, expected));
}

#[test]
fn tls_answers() {
    assert_eq!(usize::from(SSL_HELLO[4]) + 5, SSL_HELLO.len());
    let answer = |bytes: &[u8]| play(&CheckKind::SslHello, bytes, true).0.status;
    assert_eq!(answer(b"\x15\x03\x00\x00\x02\x02\x28"), CheckStatus::L6Ok);
    assert_eq!(answer(b"HTTP/1.0 400 Bad"), CheckStatus::L6Response);
    assert_eq!(play(&CheckKind::SslHello, b"", false).0.status, CheckStatus::L6Timeout);
}

#[test]
fn an_endless_answer_comes_to_an_end() {
    let endless = vec![b'x'; ANSWER_MAX * 2];
    let (result, _) = play(&CheckKind::TcpScript(vec![TcpStep::Expect(string(false, "y"))]), &endless, false);
    assert_eq!(result.status, CheckStatus::L7Response);
    let (result, _) = play(&CheckKind::Http(Vec::new()), &endless, false);
    assert_eq!(result.status, CheckStatus::L7Response);
}

proptest::proptest! {
    #[test]
    fn any_answer_is_survived(answer: Vec<u8>, closes: bool, http: bool) {
        let step = string(false, "ok");
        let kind = if http {
            CheckKind::Http(vec![HttpStep::Expect(step)])
        } else {
            CheckKind::TcpScript(vec![TcpStep::Expect(step)])
        };
        let answer = if http { [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", &answer[..]].concat() } else { answer };
        let _ = play(&kind, &answer, closes);
    }
}
