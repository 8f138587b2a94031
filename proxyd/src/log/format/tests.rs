use super::*;
use crate::log::step::Step;
use crate::log::{Load, RequestLine, Responder, Timers};
use std::time::Duration;

/// Nothing in these tests evaluates an expression; those that do use a number.
type Plain = Program<u8>;

fn date(micros: u64) -> Date {
    Date { since_epoch: Duration::from_micros(micros), utc_offset: 0 }
}

fn record() -> Record<'static> {
    Record {
        step: Step::Close,
        frontend: "fe",
        listener: "sock-1",
        backend: Some("be"),
        server: Responder::Server("s2"),
        tls: false,
        client: Some(([127, 0, 0, 1], 58_522).into()),
        destination: Some(([127, 0, 0, 1], 25_080).into()),
        source: Some(([127, 0, 0, 1], 47_906).into()),
        target: Some(([127, 0, 0, 1], 25_081).into()),
        accepted: date(1_795_872_535_696_000),
        requested: date(1_795_872_535_696_000),
        timers: Timers {
            idle: 0,
            request: Some(0),
            queue: Some(0),
            connect: Some(0),
            response: Some(2),
            total: 2,
            handshake: 0,
        },
        status: Some(200),
        bytes_out: 131,
        bytes_in: 93,
        termination: *b"--",
        cookies: *b"NI",
        load: Load { process: 1, frontend: 1, ..Load::default() },
        request: Some(RequestLine::new(b"GET", b"/a", b"HTTP/1.1", 1_023)),
        captured_request: &[Some(b"Mozilla \"x\" {y}")],
        captured_response: &[Some(b"16")],
        request_cookie: None,
        response_cookie: None,
        unique_id: None,
        log_counter: 0,
        request_counter: 0,
        early: false,
    }
}

fn line(program: &Plain, record: &Record<'_>) -> String {
    let mut out = Vec::new();
    let process = Process { hostname: "vm", pid: 20_583, now: &Second::of(record.requested) };
    program.write(&mut out, record, process, |_| None);
    String::from_utf8(out).unwrap()
}

/// The text of one variable.
fn one(name: &str, flags: Flags, record: &Record<'_>) -> String {
    line(&Program::new(vec![Item::Alias(Alias::from_name(name).unwrap(), flags)]), record)
}

const NONE: Flags =
    Flags { quoted: false, hexadecimal: false, escaped: false, binary: false, encoding: Encoding::Line };
const Q: Flags = Flags { quoted: true, ..NONE };
const X: Flags = Flags { hexadecimal: true, ..NONE };
const E: Flags = Flags { escaped: true, ..NONE };

/// The expected lines of the following tests were logged by haproxy 2.6 for the same traffic.
#[test]
fn httplog() {
    let expected = "127.0.0.1:58522 [28/Nov/2026:13:28:55.696] fe be/s2 0/0/0/2/2 200 131 - - --NI 1/1/0/0/0 0/0 \
                    {Mozilla #22x#22 #7By#7D} {16} \"GET /a HTTP/1.1\"";
    assert_eq!(line(&Program::http(), &record()), expected);
}

#[test]
fn httplog_without_captures_leaves_one_blank() {
    let record = Record { captured_request: &[], captured_response: &[], ..record() };
    assert!(line(&Program::http(), &record).ends_with(" 0/0 \"GET /a HTTP/1.1\""));
}

#[test]
fn httplog_of_a_refused_connection() {
    let record = Record {
        backend: Some("bad"),
        server: Responder::Server("b1"),
        client: Some(([127, 0, 0, 1], 58_536).into()),
        timers: Timers { connect: None, response: None, total: 1000, ..record().timers },
        status: Some(503),
        bytes_out: 217,
        termination: *b"SC",
        cookies: *b"--",
        load: Load { retries: 1, ..record().load },
        captured_request: &[Some(b"curl/7.88.1")],
        captured_response: &[None],
        request: Some(RequestLine::new(b"GET", b"/bad/x", b"HTTP/1.1", 1_023)),
        ..record()
    };
    let expected = "127.0.0.1:58536 [28/Nov/2026:13:28:55.696] fe bad/b1 0/0/-1/-1/1000 503 217 - - SC-- 1/1/0/0/1 0/0 \
                    {curl/7.88.1} {} \"GET /bad/x HTTP/1.1\"";
    assert_eq!(line(&Program::http(), &record), expected);
}

#[test]
fn httplog_of_what_is_no_request() {
    let record = Record {
        backend: None,
        server: Responder::Nobody,
        timers: Timers::default(),
        status: Some(400),
        bytes_out: 0,
        termination: *b"CR",
        cookies: *b"--",
        request: None,
        captured_request: &[],
        captured_response: &[],
        ..record()
    };
    let expected = "127.0.0.1:58522 [28/Nov/2026:13:28:55.696] fe fe/<NOSRV> -1/-1/-1/-1/0 400 0 - - CR-- 1/1/0/0/0 0/0 \
                    \"<BADREQ>\"";
    assert_eq!(line(&Program::http(), &record), expected);
}

#[test]
fn clf() {
    let record = Record {
        frontend: "fclf",
        server: Responder::Server("s1"),
        client: Some(([127, 0, 0, 1], 41_178).into()),
        accepted: date(1_795_872_536_778_000),
        requested: date(1_795_872_536_778_000),
        timers: Timers { response: Some(1), total: 1, ..record().timers },
        cookies: *b"VN",
        captured_request: &[],
        captured_response: &[],
        request: Some(RequestLine::new(b"GET", b"/", b"HTTP/1.1", 1_023)),
        ..record()
    };
    let expected = "127.0.0.1 - - [28/Nov/2026:13:28:56 +0000] \"GET / HTTP/1.1\" 200 131 \"\" \"\" 41178 778 \"fclf\" \
                    \"be\" \"s1\" 0 0 0 1 1 --VN 1 1 0 0 0 0 0 \"\" \"\" ";
    assert_eq!(line(&Program::http_clf(), &record), expected);
}

#[test]
fn tcplog() {
    let record = Record {
        frontend: "tcp1",
        backend: Some("tcp1"),
        server: Responder::Server("s1"),
        client: Some(([127, 0, 0, 1], 42_624).into()),
        accepted: date(1_795_872_536_788_000),
        timers: Timers { queue: Some(1), connect: Some(0), total: 7, ..Timers::default() },
        bytes_out: 128,
        ..record()
    };
    let expected = "127.0.0.1:42624 [28/Nov/2026:13:28:56.788] tcp1 tcp1/s1 1/0/7 128 -- 1/1/0/0/0 0/0";
    assert_eq!(line(&Program::tcp(), &record), expected);
    let moved = Record {
        frontend: "t3",
        backend: Some("tbad"),
        server: Responder::Server("s2"),
        timers: Timers { queue: Some(1), connect: None, total: 0, ..Timers::default() },
        bytes_out: 0,
        termination: *b"SC",
        load: Load { retries: 1, redispatched: true, ..record.load },
        early: true,
        ..record
    };
    assert!(line(&Program::tcp(), &moved).ends_with(" t3 tbad/s2 1/-1/+0 +0 SC 1/1/0/0/+1 0/0"));
}

#[test]
fn the_line_of_an_accepted_connection() {
    let record = Record {
        frontend: "plain",
        client: Some(([127, 0, 0, 1], 55_732).into()),
        destination: Some(([127, 0, 0, 1], 25_085).into()),
        ..record()
    };
    let expected = "Connect from 127.0.0.1:55732 to 127.0.0.1:25085 (plain/TCP)";
    assert_eq!(line(&Program::connect(false), &record), expected);
    assert!(line(&Program::connect(true), &record).ends_with("(plain/HTTP)"));
}

#[test]
fn the_line_of_a_connection_that_failed_early() {
    let record = Record { frontend: "h2", ..record() };
    let program = Program::connection_error("bb", "Truncated PROXY protocol header received");
    let expected = "127.0.0.1:58522 [28/Nov/2026:13:28:55.696] h2/bb: Truncated PROXY protocol header received";
    assert_eq!(line(&program, &record), expected);
}

#[test]
fn variables_with_and_without_flags() {
    let captures: &[Option<&[u8]>] = &[Some(b"x\"y] \\z|{}#\xc3\xa9"), None];
    let base = record();
    let r = Record {
        captured_request: captures,
        request: Some(RequestLine::new(b"GET", b"http://www.x.org/a/b?x=1", b"HTTP/1.1", 1_023)),
        request_cookie: Some(b"SRV=a"),
        unique_id: Some(b"id-\"7\n"),
        accepted: date(1_795_872_893_005_000),
        request_counter: 5,
        early: true,
        ..base
    };
    for (name, flags, expected) in [
        ("B", NONE, "+131"),
        ("B", X, "+131"),
        ("Ta", NONE, "+2"),
        ("CC", NONE, "SRV=a"),
        ("CC", Q, "\"SRV=a\""),
        ("ID", NONE, "id-\"7#0A"),
        ("ID", E, "id-\\\"7#0A"),
        ("CS", NONE, "-"),
        ("CS", Q, "\"\""),
        ("H", Q, "\"vm\""),
        ("HM", NONE, "GET"),
        ("HP", NONE, "http://www.x.org/a/b"),
        ("HPO", NONE, "/a/b"),
        ("HQ", NONE, "?x=1"),
        ("HU", Q, "\"http://www.x.org/a/b?x=1\""),
        ("HV", NONE, "HTTP/1.1"),
        ("ST", X, "200"),
        ("T", Q, "28/Nov/2026:13:34:53 +0000"),
        ("Td", NONE, "0"),
        ("Ts", NONE, "1795872893"),
        ("Ts", X, "6B0AD87D"),
        ("ms", NONE, "005"),
        ("bi", Q, "\"127.0.0.1\""),
        ("bi", X, "7F000001"),
        ("sp", NONE, "25081"),
        ("sp", X, "61F9"),
        ("pid", X, "5067"),
        ("rt", NONE, "5"),
        ("rt", X, "0005"),
        ("hr", NONE, "{x#22y] \\z#7C#7B#7D#23#C3#A9|}"),
        ("hr", Q, "\"{x#22y] \\z#7C#7B#7D#23#C3#A9|}\""),
        ("hr", E, "{x#22y\\] \\\\z#7C#7B#7D#23#C3#A9|}"),
        ("hrl", NONE, "x#22y] \\z#7C#7B#7D#23#C3#A9 -"),
        ("hrl", Q, "\"x#22y] \\z#7C#7B#7D#23#C3#A9\" \"\""),
        ("sslv", NONE, "-"),
        ("ts", Q, "--"),
        ("tsc", NONE, "--NI"),
        ("lc", NONE, "0"),
    ] {
        assert_eq!(one(name, flags, &r), expected, "%{name} with {flags:?}");
    }
}

#[test]
fn what_is_not_known_is_a_dash() {
    let r = Record {
        backend: None,
        server: Responder::Nobody,
        source: None,
        target: None,
        request: None,
        timers: Timers::default(),
        status: None,
        ..record()
    };
    for (name, flags, expected) in [
        ("si", NONE, "-"),
        ("si", Q, "\"\""),
        ("si", X, "-"),
        ("sp", X, "-"),
        ("sp", Q, "\"\""),
        ("bp", NONE, "-"),
        ("b", NONE, "fe"),
        ("s", NONE, "<NOSRV>"),
        ("r", NONE, "<BADREQ>"),
        ("HQ", Q, "\"<BADREQ>\""),
        ("Tq", NONE, "-1"),
        ("Td", NONE, "-1"),
        ("ST", NONE, "-1"),
        ("Ti", NONE, "0"),
        ("ID", NONE, "-"),
        ("ID", Q, "\"\""),
    ] {
        assert_eq!(one(name, flags, &r), expected, "%{name} with {flags:?}");
    }
    assert_eq!(one("HQ", NONE, &record()), "", "an empty query is nothing at all");
}

#[test]
fn expressions_are_quoted_and_cannot_break_the_line() {
    let program = Program::new(vec![
        Item::Expression(0_u8, Q),
        Item::Separator,
        Item::Expression(1, NONE),
        Item::Separator,
        Item::Expression(2, E),
    ]);
    let mut out = Vec::new();
    let process = Process { hostname: "vm", pid: 1, now: &Second::of(record().requested) };
    program.write(&mut out, &record(), process, |expression| match expression {
        0 => Some(Sample::text(b"x\"|{\n")),
        1 => None,
        _ => Some(Sample::text(b"x\"y] \\z")),
    });
    assert_eq!(String::from_utf8(out).unwrap(), r#""x"|{#0A" - x\"y\] \\z"#);
}

#[test]
fn blanks_beside_values_that_are_not_there_are_one() {
    let alias = |name| Item::Alias(Alias::from_name(name).unwrap(), Flags::default());
    let text = |text: &str| Item::Text(text.to_owned());
    let bare = Record { captured_request: &[], captured_response: &[], ..record() };
    for (items, expected) in [
        (vec![Item::Separator, text("a"), Item::Separator, Item::Separator, text("b")], "a b"),
        (vec![alias("hr"), Item::Separator, alias("hs"), Item::Separator, text("x")], "x"),
        (vec![text("a"), Item::Separator, alias("hr"), Item::Separator, alias("hs"), Item::Separator], "a "),
        (vec![text("a "), alias("hr"), Item::Separator, text("b")], "a  b"),
        (vec![alias("f"), alias("hr"), Item::Separator, text("b"), text("c")], "fe bc"),
        (vec![], ""),
    ] {
        assert_eq!(line(&Program::new(items), &bare), expected);
    }
}

/// The items of an object, as a JSON line and as CBOR in hexadecimal digits; not from haproxy, but from its manual (3.0, 8.2.6).
#[test]
fn objects() {
    let field = |name: &str, alias: &str, kind| {
        Field::alias(name.to_owned(), Alias::from_name(alias).unwrap(), Flags::default(), kind)
    };
    let expression = |name: &str, number| Field::expression(name.to_owned(), number, Flags::default(), None);
    let fields = vec![
        field("request", "r", None),
        field("bytes", "B", None),
        field("status", "ST", Some(Kind::Text)),
        field("retried", "rc", Some(Kind::Bool)),
        field("cookie", "CC", None),
        field("tr", "TR", None),
        field("ci", "ci", None),
        expression("bool", 0),
        expression("text", 1),
        expression("none", 2),
    ];
    let request = RequestLine::new(b"GET", b"/\"\xff\x01", b"HTTP/1.1", 1_023);
    let record = Record { request: Some(request), early: true, ..record() };
    let written = |encoding| {
        let program = Program::object(Flags { encoding, ..NONE }, fields.clone());
        let mut out = Vec::new();
        let process = Process { hostname: "vm", pid: 1, now: &Second::of(record.requested) };
        program.write(&mut out, &record, process, |expression| match expression {
            0 => Some(Sample::Bool(true)),
            1 => Some(Sample::text(b"a\nb")),
            _ => None,
        });
        String::from_utf8(out).unwrap()
    };
    assert_eq!(
        written(Encoding::Json),
        r#"{"request": "GET /\"\u00FF\u0001 HTTP/1.1", "bytes": 131, "status": "200", "retried": false, "cookie": null, "tr": 0, "ci": "127.0.0.1", "bool": true, "text": "a\nb", "none": null}"#
    );
    let cbor = written(Encoding::Cbor);
    assert!(cbor.starts_with("BF67726571756573745") && cbor.ends_with("646E6F6E65F6FF"), "{cbor}");
    assert!(cbor.contains("6562797465731883") && cbor.contains("64626F6F6CF5"), "{cbor}");
}

#[test]
fn one_item_may_be_encoded_by_itself() {
    let field = Field::alias(String::new(), Alias::Uri, Flags { encoding: Encoding::Json, ..NONE }, None);
    let program: Plain = Program::new(vec![
        Item::Text("uri=".to_owned()),
        Item::Encoded(Box::new(field)),
        Item::Separator,
        Item::Alias(Alias::Status, NONE),
    ]);
    assert_eq!(line(&program, &record()), "uri=\"/a\" 200");
}

#[test]
fn every_name_is_known_once() {
    let names: std::collections::BTreeSet<_> = Alias::names().collect();
    assert_eq!(names.len(), Alias::names().count());
    assert!(Alias::from_name("nope").is_none());
    assert!(Alias::RequestHeaders.needs_http() && !Alias::ClientIp.needs_http());
}

/// What haproxy's announcements of the two encodings say of `%(named_field)[str(ok)]` and `%{+cbor}[bool(true)]`.
#[test]
fn encodings_are_those_that_were_announced() {
    let record = record();
    let written = |program: &Program<bool>| {
        let mut out = Vec::new();
        let process = Process { hostname: "vm", pid: 1, now: &Second::of(record.requested) };
        let value = |is_text: &bool| Some(if *is_text { Sample::text(b"ok") } else { Sample::Bool(true) });
        program.write(&mut out, &record, process, value);
        String::from_utf8(out).unwrap()
    };
    let named = || vec![Field::expression("named_field".to_owned(), true, Flags::default(), None)];
    let object = |encoding| Program::object(Flags { encoding, ..NONE }, named());
    assert_eq!(written(&object(Encoding::Json)), r#"{"named_field": "ok"}"#);
    assert_eq!(written(&object(Encoding::Cbor)), "BF6B6E616D65645F6669656C64626F6BFF");
    let flags = Flags { encoding: Encoding::Cbor, ..NONE };
    let alone = Item::Encoded(Box::new(Field::expression(String::new(), false, flags, None)));
    assert_eq!(written(&Program::new(vec![alone])), "F5");
}
