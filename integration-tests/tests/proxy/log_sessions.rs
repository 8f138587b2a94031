//! What the usual formats say of sessions that end well or badly: the same lines from both programs, with every time that there
//! is as `T`.

use super::rig::{Rig, Step, answering, talk};
use std::time::Duration;

const CONFIG: &str = "
global
    log {log} local0
defaults
    mode {mode}
    log global
    timeout client 300ms
    timeout server 300ms
    timeout connect 1s
    retries 0
frontend fe
    bind {front}
    {format}
    {front-lines}
    default_backend be
backend be
    {back-lines}
    server s1 {to}
";

const QUIET: Duration = Duration::from_millis(600);
const LONG: Duration = Duration::from_secs(2);

/// What the server does.
#[derive(Clone, Copy)]
enum Server {
    Answers(&'static str),
    /// Says this, and closes.
    Ends(&'static str),
    /// Says this, and nothing more.
    Stops(&'static str),
    Dead,
}

use Server::{Answers, Dead, Ends, Stops};

const GET: &str = "GET /a?b HTTP/1.1\r\nHost: h\r\nX-A: v\r\nConnection: close\r\n\r\n";
const BODY: &str = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-B: w\r\nConnection: close\r\n\r\nok";
const CUT: &str = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab";

/// Lines of the frontend, of the backend, what the client sends, what the server does, and what `option httplog` says.
const HTTP: &[(&str, &str, &str, Server, &str)] = &[
    ("", "", GET, Answers(OK), "fe be/s1 T/T/T/T/T 200 55 - - ---- 1/1/0/0/0 0/0 {v} {w} \"GET /a?b HTTP/1.1\""),
    ("", "", "GET / x\r\n\r\n", Dead, "fe fe/<NOSRV> -1/-1/-1/-1/T 400 0 - - PR-- 1/1/0/0/0 0/0 \"<BADREQ>\""),
    ("", "", "GET / HT", Dead, "fe fe/<NOSRV> -1/-1/-1/-1/T 408 0 - - cR-- 1/1/0/0/0 0/0 \"<BADREQ>\""),
    ("", "", GET, Dead, "fe be/s1 T/T/-1/-1/T 503 217 - - SC-- 1/1/0/0/0 0/0 {v} {} \"GET /a?b HTTP/1.1\""),
    ("", "", GET, Ends(""), "fe be/s1 T/T/T/-1/T 502 209 - - SH-- 1/1/0/0/0 0/0 {v} {} \"GET /a?b HTTP/1.1\""),
    (
        "",
        "",
        GET,
        Ends("junk\r\n\r\n"),
        "fe be/s1 T/T/T/-1/T 502 209 - - PH-- 1/1/0/0/0 0/0 {v} {} \"GET /a?b HTTP/1.1\"",
    ),
    ("", "", GET, Stops(""), "fe be/s1 T/T/T/-1/T 504 198 - - sH-- 1/1/0/0/0 0/0 {v} {} \"GET /a?b HTTP/1.1\""),
    ("", "", GET, Ends(CUT), "fe be/s1 T/T/T/T/T 200 51 - - SD-- 1/1/0/0/0 0/0 {v} {} \"GET /a?b HTTP/1.1\""),
    ("", "", GET, Stops(CUT), "fe be/s1 T/T/T/T/T 200 51 - - sD-- 1/1/0/0/0 0/0 {v} {} \"GET /a?b HTTP/1.1\""),
    ("", "", BODY, Stops(""), "fe be/s1 T/T/T/-1/T 504 198 - - sH-- 1/1/0/0/0 0/0 {} {} \"POST / HTTP/1.1\""),
    (
        "http-request deny",
        "",
        GET,
        Dead,
        "fe fe/<NOSRV> T/-1/-1/-1/T 403 192 - - PR-- 1/1/0/0/0 0/0 {v} {} \"GET /a?b HTTP/1.1\"",
    ),
    (
        "http-request reject",
        "",
        GET,
        Dead,
        "fe fe/<NOSRV> -1/-1/-1/-1/T -1 0 - - PR-- 1/1/0/0/0 0/0 {v} {} \"GET /a?b HTTP/1.1\"",
    ),
    (
        "http-request silent-drop",
        "",
        GET,
        Dead,
        "fe fe/<NOSRV> -1/-1/-1/-1/T -1 0 - - PR-- 1/1/0/0/0 0/0 {v} {} \"GET /a?b HTTP/1.1\"",
    ),
    (
        "http-request redirect location /x",
        "",
        GET,
        Dead,
        "fe fe/<NOSRV> T/-1/-1/-1/T 302 83 - - LR-- 1/1/0/0/0 0/0 {v} {} \"GET /a?b HTTP/1.1\"",
    ),
    (
        "http-request return status 200",
        "",
        GET,
        Dead,
        "fe fe/<NOSRV> T/-1/-1/-1/T 200 49 - - LR-- 1/1/0/0/0 0/0 {v} {} \"GET /a?b HTTP/1.1\"",
    ),
    (
        "",
        "http-request deny",
        GET,
        Dead,
        "fe be/<NOSRV> T/-1/-1/-1/T 403 192 - - PR-- 1/1/0/0/0 0/0 {v} {} \"GET /a?b HTTP/1.1\"",
    ),
    (
        "",
        "http-response deny",
        GET,
        Answers(OK),
        "fe be/s1 T/T/T/-1/T 502 264 - - PH-- 1/1/0/0/0 0/0 {v} {w} \"GET /a?b HTTP/1.1\"",
    ),
    (
        "",
        "http-response return status 201",
        GET,
        Answers(OK),
        "fe be/s1 T/T/T/-1/T 201 109 - - LH-- 1/1/0/0/0 0/0 {v} {w} \"GET /a?b HTTP/1.1\"",
    ),
];

fn line(mode: &str, format: &str, lines: (&str, &str), sent: &str, server: Server) -> String {
    let to = if matches!(server, Dead) { "{dead}" } else { "{server}" };
    let config = CONFIG.replace("{mode}", mode).replace("{format}", format).replace("{to}", to);
    let config = config.replace("{front-lines}", lines.0).replace("{back-lines}", lines.1);
    let script = match server {
        Answers(answer) => answering(answer.as_bytes()),
        Ends(text) => vec![Step::ReadUntil(""), Step::Write(text.into()), Step::Close],
        Stops(text) => vec![Step::ReadUntil(""), Step::Write(text.into()), Step::Pause(LONG)],
        Dead => Vec::new(),
    };
    let rig = Rig::start("log-sessions", &config, script);
    talk(&rig, sent.as_bytes(), false, QUIET);
    rig.log_line()
}

#[test]
fn http_sessions() {
    const CAPTURES: &str =
        "option httplog\n    capture request header x-a len 9\n    capture response header x-b len 9";
    let mut wrong = Vec::new();
    for &(front, back, sent, server, expected) in HTTP {
        let line = line("http", CAPTURES, (front, back), sent, server);
        if line != expected {
            wrong.push(format!("{front} {back} {sent:?}\n  {line}\n  {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_format() {
    let formats = [
        ("http", "option httplog", GET, OK, "fe be/s1 T/T/T/T/T 200 55 - - ---- 1/1/0/0/0 0/0 \"GET /a?b HTTP/1.1\""),
        (
            "http",
            "option httpslog",
            GET,
            OK,
            "fe be/s1 T/T/T/T/T 200 55 - - ---- 1/1/0/0/0 0/0 \"GET /a?b HTTP/1.1\" 0/-/-/-/0 -/-/-",
        ),
        ("http", "option tcplog", GET, OK, "fe be/s1 T/T/T 55 -- 1/1/0/0/0 0/0"),
        ("tcp", "option tcplog", "hello", "world", "fe be/s1 T/T/T 5 -- 1/1/0/0/0 0/0"),
    ];
    for (mode, format, sent, answer, expected) in formats {
        assert_eq!(line(mode, format, ("", ""), sent, Ends(answer)), expected, "{format}");
    }
}
