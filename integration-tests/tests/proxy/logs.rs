//! What is logged, when, as what and in which words: each case sends bytes and names all the lines that come of it.

use super::halog;
use super::rig::{Rig, answering, talk};
use std::time::Duration;

const CONFIG: &str = "
global
    log {log} {target}
defaults
    mode {mode}
    log global
    timeout client 300ms
    timeout server 2s
    timeout connect 1s
    retries 0
frontend fe
    bind {front} name l1{bind}
    capture request header x-a len 30
    capture cookie ck len 30
{lines}
    default_backend be
backend be
    server s1 {server}
";

const QUIET: Duration = Duration::from_millis(600);

/// Lines of the frontend, what the client sends, and the lines that are logged: `FRONT` and `CLIENT` are the ports, `PID` the
/// process.
struct Case {
    mode: &'static str,
    bind: &'static str,
    target: &'static str,
    lines: &'static str,
    sent: &'static [&'static str],
    answer: &'static str,
    logged: &'static [&'static str],
}

const HTTP: Case = Case { mode: "http", bind: "", target: "local0", lines: "", sent: &[GET], answer: OK, logged: &[] };
const TCP: Case = Case { mode: "tcp", ..HTTP };
const HEADER: Case = Case { bind: " accept-proxy", ..TCP };
const SYSLOG: Case = Case { target: "format rfc5424 local0", ..HTTP };

const GET: &str = "GET /a?b HTTP/1.1\r\nHost: h\r\nX-A: \"v]\r\nCookie: ck=\"w\r\nConnection: close\r\n\r\n";
const TWO: &str = "GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
const CHUNKS: &str = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n3\r\nabc\r\n0\r\nx: y\r\n\r\n";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\nok\r\n0\r\n\r\n";
const COOKIES: &str = "GET / HTTP/1.1\r\nHost: h\r\nCookie: b=\"x; ck=3\", ckb = \"4;5\"\r\nConnection: close\r\n\r\n";
const COOKIE: &str =
    "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nSet-Cookie2: ck=2\r\nSet-Cookie: ck=1, x; p\r\nConnection: close\r\n\r\n";
const TARGETS: &[&str] = &[
    "GET http://h/a?b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
    "GET http://h HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
    "CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\nConnection: close\r\n\r\n",
];
const STRANGE: &str = "GET / HTTP/1.7\r\nHost: h\r\nConnection: close\r\n\r\n";
const OFFERS: &str = "GET / HTTP/1.1\r\nHost: h\r\nTE: gzip\r\nConnection: close\r\n\r\n";
const ANNOUNCED: &str = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade, close\r\nUpgrade: h2c\r\n\r\n";
const EMPTY: &str = "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\nConnection: close\r\n\r\n";
const BAD: &str = "GET / x\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
const FAILURE: &str = "HTTP/1.1 500 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

const CASES: &[Case] = &[
    // Variables and flags.
    Case {
        lines: "    unique-id-format id\\\"%ci\n    log-format \"%CC %{+Q}CC %{+E}CC %ID %{+Q,+E}ID %{+Q}[capture.req.hdr(0)]\"",
        logged: &["<134>ck=\"w \"ck=\"w\" ck=\\\"w id\"127.0.0.1 \"id\\\"127.0.0.1\" \"\"v]\""],
        ..HTTP
    },
    Case {
        lines: "    log-format '%{+Q}o %ci %{+X}o %ci %ft %{-X,-Q}o %HM %HP %HQ %HV'",
        logged: &["<134>\"127.0.0.1\" 7F000001 \"fe\" GET /a ?b HTTP/1.1"],
        ..HTTP
    },
    Case {
        lines: "    log-format '  a %hs  %[var(txn.z)] %{+Q}si:%{+Q}sp  '\n    http-request deny",
        logged: &["<134>a - \"\":\"\" "],
        ..HTTP
    },
    Case {
        lines: "    unique-id-format id\n    log-format '%ID %Ti %TR %Tq %ST %sp %{+Q}sp %r'",
        sent: &[BAD],
        logged: &["<134>- * -1 -1 400 - \"\" <BADREQ>"],
        ..HTTP
    },
    Case { lines: "    log-format '%U %B'", logged: &["<134>58 51"], ..HTTP },
    Case { lines: "    log-format '%U'", sent: &[CHUNKS], logged: &["<134>74"], ..HTTP },
    Case { lines: "    option logasap\n    log-format '%B'", logged: &["<134>+51"], ..HTTP },
    Case { lines: "    option logasap\n    log-format '%B'", logged: &["<134>+61"], answer: CHUNKED, ..HTTP },
    // When: the line of a frontend without a format comes first, whatever happens then.
    Case { lines: "    http-request set-log-level silent", sent: &[TWO], logged: &[CONNECT, CONNECT], ..HTTP },
    Case { lines: "    option dontlog-normal\n    option log-separate-errors", logged: &[CONNECT], ..FAILING },
    Case { lines: "    http-request deny", logged: &[CONNECT], ..HTTP },
    Case { sent: &[BAD], ..HTTP },
    Case { sent: &[""], ..HTTP },
    Case { lines: "    option dontlognull", sent: &[""], logged: &[CONNECT_TCP], ..TCP },
    Case { lines: "    tcp-request content reject", logged: &[CONNECT_TCP], ..TCP },
    // Whether, and as what.
    Case { lines: "    option dontlognull\n    log-format %ts", sent: &[""], ..TCP },
    Case { lines: "    log-format '%ST %ts'", sent: &[""], logged: &["<134>0 cD"], ..TCP },
    Case { lines: "    option dontlognull\n    log-format %ts", sent: &["", "G"], logged: &["<134>cR"], ..HTTP },
    Case { lines: "    option log-separate-errors\n    log-format %ST", logged: &["<131>500"], ..FAILING },
    Case { lines: "    option log-separate-errors\n    log-format %ST", logged: &["<134>200"], ..HTTP },
    Case {
        lines: "    option dontlog-normal\n    log-format %ST\n    http-request return status 500",
        logged: &["<134>500"],
        ..HTTP
    },
    Case { lines: "    option dontlog-normal\n    log-format %ST", ..HTTP },
    Case {
        lines: "    option log-separate-errors\n    log-format %ST\n    http-response set-log-level notice",
        logged: &["<133>500"],
        ..FAILING
    },
    Case { lines: "    log-format %ST\n    http-request set-log-level silent", ..HTTP },
    Case {
        lines: "    option logasap\n    log-format '%ST %B %ts'",
        sent: &[BAD],
        logged: &["<134>400 +0 PR"],
        ..HTTP
    },
    Case {
        target: "sample 2:2 local0",
        lines: "    log-format '%HU %ts'",
        sent: &[TWO],
        logged: &["<134>/b --"],
        ..HTTP
    },
    // What a request or response says, and how much it is.
    Case {
        lines: "    capture response header y len 9\n    http-request deny\n    log-format '%hr %hs %hsl %CC'",
        logged: &["<134>{#22v]} {} - ck=\"w"],
        ..HTTP
    },
    Case {
        lines: "    capture response header y len 9\n    http-request return status 200\n    log-format '%hr %hs %hrl %CC'",
        logged: &["<134>{#22v]} {} #22v] -"],
        ..HTTP
    },
    Case {
        lines: "    http-request replace-header cookie ck=(.*) ck=new\n    log-format '%CC %[http_first_req]'",
        logged: &["<134>ck=new 1"],
        ..HTTP
    },
    Case {
        lines: "    log-format '%CC|%CS'",
        sent: &[COOKIES],
        answer: COOKIE,
        logged: &["<134>ckb=\"4;5\"|ck=1"],
        ..HTTP
    },
    Case {
        lines: "    log-format '%HP|%HPO|%HQ|%[capture.req.uri]'",
        sent: TARGETS,
        logged: &["<134>http://h/a|/a|?b|/a?b", "<134>http://h|||-", "<134>*|||-", "<134>h:1|||-"],
        ..HTTP
    },
    Case {
        lines: "    log-format '%HM|%HU|%HV|%[capture.req.ver]'",
        sent: &[STRANGE],
        logged: &["<134>GET|/|HTTP/1.7|HTTP/1.1"],
        ..HTTP
    },
    Case { lines: "    log-format '%[http_first_req] %HM'", sent: &[BAD], logged: &["<134>- <BADREQ>"], ..HTTP },
    Case { lines: "    log-format '%U %B'", sent: &[OFFERS], answer: ANNOUNCED, logged: &["<134>44 139"], ..HTTP },
    Case { lines: "    log-format '%U %B'", sent: &[UPGRADE], logged: &["<134>65 51"], ..HTTP },
    Case { lines: "    log-format '%B'", answer: EMPTY, logged: &["<134>57"], ..HTTP },
    Case {
        lines: "    http-response deny\n    log-format '%ST %B %Tr %Td %ts'",
        answer: CHUNKED,
        logged: &["<134>502 270 -1 -1 PH"],
        ..HTTP
    },
    Case {
        lines: "    http-request redirect location /x\n    log-format '%ST %B'",
        sent: &[CHUNKS],
        logged: &["<134>302 98"],
        ..HTTP
    },
    // Structured data.
    Case {
        lines: "    log-format '%ci x'\n    log-format-sd '%{+Q,+E}o [a@1 h=%[capture.req.hdr(0)] c=%CC ts=%ts n=%ci]'",
        logged: &["<134>1 DATE - TAG PID - [a@1 h=\"\\\"v\\]\" c=\"ck=\\\"w\" ts=-- n=\"127.0.0.1\"] 127.0.0.1 x"],
        ..SYSLOG
    },
    Case {
        lines: "    log-format '%ci x'\n    log-format-sd '[a@1 status=\"%ST\"]'",
        logged: &["<134>127.0.0.1 x"],
        ..HTTP
    },
    Case {
        bind: " accept-proxy",
        lines: "    log-format x\n    log-format-sd '[a@1 status=\"%ST\"]'\n    error-log-format 'E %ci'",
        sent: &[BAD],
        logged: &["<134>1 DATE - TAG PID - [a@1 status=\"0\"] E 127.0.0.1"],
        ..SYSLOG
    },
    // Connections that fail before they are any.
    Case {
        sent: &[GET],
        logged: &[
            "<134>127.0.0.1:CLIENT [DATE] fe/l1: Received something which does not look like a PROXY protocol header",
        ],
        ..HEADER
    },
    Case {
        sent: &["PROXY TCP4 1.2.3.4\r\n"],
        logged: &["<134>127.0.0.1:CLIENT [DATE] fe/l1: Received an invalid PROXY protocol header"],
        ..HEADER
    },
    Case {
        lines: "    option log-separate-errors",
        sent: &["PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n"],
        logged: &["<131>127.0.0.1:CLIENT [DATE] fe/l1: Received an unhandled protocol in the PROXY protocol header"],
        ..HEADER
    },
    Case {
        sent: &["PROXY "],
        logged: &["<134>127.0.0.1:CLIENT [DATE] fe/l1: Truncated PROXY protocol header received"],
        ..HEADER
    },
    Case {
        sent: &[""],
        logged: &["<134>127.0.0.1:CLIENT [DATE] fe/l1: Timeout while waiting for PROXY protocol header"],
        ..HEADER
    },
    Case { lines: "    option dontlognull", sent: &[""], ..HEADER },
    Case {
        lines: "    error-log-format '%ci:%cp %ft %ts %[fc_err] %[fc_err_str] %ID %b/%s %B %U %ST %[src] %fp'",
        sent: &[GET],
        logged: &[
            "<134>127.0.0.1:CLIENT fe PR 15 Received something which does not look like a PROXY protocol header - fe/<NOSRV> 0 0 0 127.0.0.1 FRONT",
        ],
        ..HEADER
    },
    Case {
        bind: " accept-proxy",
        lines: "    option dontlog-normal\n    error-log-format '%r %tsc %TR/%Tw/%Tc/%Tr %hr %CC'",
        sent: &[BAD],
        logged: &["<134><BADREQ> PR-- -1/-1/-1/-1 -"],
        ..HTTP
    },
];

const CONNECT: &str = "<134>Connect from 127.0.0.1:CLIENT to 127.0.0.1:FRONT (fe/HTTP)";
const CONNECT_TCP: &str = "<134>Connect from 127.0.0.1:CLIENT to 127.0.0.1:FRONT (fe/TCP)";
const FAILING: Case = Case { answer: FAILURE, ..HTTP };

#[test]
fn lines_are_haproxys() {
    let mut wrong = Vec::new();
    for case in CASES {
        let config = CONFIG.replace("{mode}", case.mode).replace("{bind}", case.bind).replace("{lines}", case.lines);
        let config = config.replace("{target}", case.target);
        let rig = Rig::start("logs", &config, answering(case.answer.as_bytes()));
        for sent in case.sent {
            talk(&rig, sent.as_bytes(), false, QUIET);
        }
        let mut logged: Vec<String> = Vec::new();
        while let Some(line) = rig.log_text(logged.len() < case.logged.len()) {
            logged.push(line);
        }
        let same = logged.iter().zip(case.logged).all(|(line, expected)| halog::is(line, expected));
        if !same || logged.len() != case.logged.len() {
            wrong.push(format!("{}\n  {:?}: {logged:#?}", case.lines, case.sent));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
