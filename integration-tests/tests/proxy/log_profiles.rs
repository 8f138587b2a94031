//! `log-profile`, `log-steps` and `do-log` of haproxy 3.x: which line each target gets at each step. The source is
//! configuration.txt of 3.4, 8.3.5, `log-steps` and `do-log`.

use super::rig::{Rig, answering, talk};
use integration_tests::subject::Subject;
use std::time::Duration;

const CONFIG: &str = "
global
    log {log} PROFILE local0
defaults
    mode MODE
    log global
    timeout client 300ms
    timeout server 2s
    timeout connect 1s
    retries 0
log-profile p
    log-tag own
PROFILE_LINES
log-profile q
    on any format \"Q %OG\"
frontend fe
    bind {front} name l1BIND
LINES
    default_backend be
backend be
BACKEND
    server s1 {server}
";

const QUIET: Duration = Duration::from_millis(400);
const GET: &str = "GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

/// How the target is written, the profile's lines, those of the frontend and the backend, what is sent, and what is logged.
struct Case {
    mode: &'static str,
    bind: &'static str,
    target: &'static str,
    profile: &'static str,
    lines: &'static str,
    backend: &'static str,
    sent: &'static str,
    logged: &'static [&'static str],
}

const HTTP: Case = Case {
    mode: "http",
    bind: "",
    target: "profile p",
    profile: "",
    lines: "    log-format 'F %OG %B'",
    backend: "",
    sent: GET,
    logged: &[],
};
const TCP: Case = Case { mode: "tcp", ..HTTP };
const STEPS: &str = "    log-format 'F %OG %ST %r'\n    log-steps all";
const DO_LOG: &str = "    log-format 'F %OG'\n    log-steps accept\n    tcp-request connection do-log\n    \
                      tcp-request session do-log\n    tcp-request content do-log\n    http-request do-log\n    \
                      http-response do-log\n    http-after-response do-log";

const CASES: &[Case] = &[
    // What a step has for itself comes before `any`, and all of it.
    Case { profile: "    on close format 'P %ST %s'\n    on any format X", logged: &["<134>P 200 s1"], ..HTTP },
    Case { profile: "    on any format 'X %[src]'", logged: &["<134>X 127.0.0.1"], ..HTTP },
    Case { profile: "    on close drop format P\n    on any format X", ..HTTP },
    Case { profile: "    on error drop\n    on request format X", logged: &["<134>F txn_close 51"], ..HTTP },
    Case {
        profile: "    on error format 'E %OG %ST'",
        sent: "GET / x\r\n\r\n",
        logged: &["<134>E sess_error 400"],
        ..HTTP
    },
    Case { lines: "    log-format '%OG %ST'", sent: "GET / x\r\n\r\n", logged: &["<134>sess_error 400"], ..HTTP },
    Case {
        bind: " accept-proxy",
        profile: "    on error format 'E %OG %ts'",
        logged: &["<134>E sess_killed PR"],
        ..TCP
    },
    Case {
        target: "format rfc5424 profile p",
        profile: "    on any sd '[a@1 x=\"%ST\"]'\n    on error format E",
        logged: &["<134>1 DATE - TAG PID - [a@1 x=\"200\"] F txn_close 51"],
        ..HTTP
    },
    Case {
        target: "format rfc5424 profile p",
        profile: "    on any sd '[a@1 x=\"%ST\"]'\n    on error format E",
        sent: "GET / x\r\n\r\n",
        logged: &["<134>1 DATE - TAG PID - - E"],
        ..HTTP
    },
    // Without a format of the frontend, its short line comes first; profiles know it by the step at which it comes.
    Case { lines: "", profile: "    on request format 'P %HP'\n    on close format C", logged: &["<134>P /a"], ..HTTP },
    Case { lines: "", profile: "    on accept format 'P %ci'", logged: &["<134>P 127.0.0.1"], ..TCP },
    Case { lines: "    log-steps close", profile: "    on any format 'P %OG'", logged: &["<134>P txn_close"], ..HTTP },
    Case { lines: "    log-steps all", ..HTTP },
    // Steps.
    Case {
        lines: STEPS,
        logged: &[
            "<134>F txn_accept -1 <BADREQ>",
            "<134>F txn_request -1 GET /a HTTP/1.1",
            "<134>F txn_connect -1 GET /a HTTP/1.1",
            "<134>F txn_response 200 GET /a HTTP/1.1",
            "<134>F txn_close 200 GET /a HTTP/1.1",
        ],
        ..HTTP
    },
    Case {
        lines: "    log-format 'F %OG'\n    log-steps all\n    http-request return status 404",
        logged: &["<134>F txn_accept", "<134>F txn_request", "<134>F txn_close"],
        ..HTTP
    },
    Case {
        lines: "    log-format 'F %OG'\n    log-steps accept,connect,close",
        logged: &["<134>F txn_accept", "<134>F txn_connect", "<134>F txn_close"],
        ..TCP
    },
    Case {
        lines: "    option logasap\n    log-format 'F %OG %B'\n    log-steps response close",
        logged: &["<134>F txn_response 51", "<134>F txn_close 51"],
        ..HTTP
    },
    Case {
        profile: "    on accept drop\n    on close format 'P %OG'",
        lines: "    log-format 'F %OG'\n    log-steps accept,request,close",
        logged: &["<134>F txn_request", "<134>P txn_close"],
        ..HTTP
    },
    // Rules.
    Case {
        target: "",
        lines: DO_LOG,
        backend: "    http-request do-log if { path /a }\n    tcp-response content do-log unless { path /a }",
        logged: &[
            "<134>F tcp-req-conn",
            "<134>F tcp-req-sess",
            "<134>F txn_accept",
            "<134>F tcp-req-cont",
            "<134>F http-req",
            "<134>F http-req",
            "<134>F http-res",
            "<134>F http-after-res",
        ],
        ..HTTP
    },
    Case {
        profile: "    on tcp-req-conn format 'C %ci %ft %ts'\n    on http-req drop\n    on http-res format 'R %[res.hdr(content-length)]'",
        lines: DO_LOG,
        logged: &[
            "<134>C 127.0.0.1 fe --",
            "<134>F tcp-req-sess",
            "<134>F txn_accept",
            "<134>F tcp-req-cont",
            "<134>R 2",
            "<134>F http-after-res",
        ],
        ..HTTP
    },
    Case {
        lines: "    log-format 'F %B'\n    tcp-request content do-log profile q",
        backend: "    tcp-response content do-log",
        profile: "    on tcp-res-cont format 'P %OG %s'",
        logged: &["<134>Q tcp-req-cont", "<134>P tcp-res-cont s1", "<134>F 59"],
        ..TCP
    },
    Case {
        lines: "    log-format F\n    http-request set-log-level notice\n    http-request do-log\n    \
                http-request set-log-level silent\n    http-request do-log",
        logged: &["<133>F"],
        ..HTTP
    },
    Case {
        target: "",
        lines: "    http-request do-log\n    http-request do-log profile q",
        logged: &[CONNECT, "<134>Q http-req"],
        ..HTTP
    },
];

const CONNECT: &str = "<134>Connect from 127.0.0.1:CLIENT to 127.0.0.1:FRONT (fe/HTTP)";

#[test]
fn each_target_gets_the_line_its_profile_wants() {
    if Subject::from_env() == Subject::Theirs {
        return;
    }
    let mut wrong = Vec::new();
    for case in CASES {
        let config = CONFIG
            .replace("PROFILE_LINES", case.profile)
            .replace("PROFILE", case.target)
            .replace("MODE", case.mode)
            .replace("BIND", case.bind)
            .replace("LINES", case.lines)
            .replace("BACKEND", case.backend);
        let rig = Rig::start("log-profiles", &config, answering(OK.as_bytes()));
        talk(&rig, case.sent.as_bytes(), false, QUIET);
        let mut logged: Vec<String> = Vec::new();
        while let Some(line) = rig.log_text(logged.len() < case.logged.len()) {
            logged.push(line);
        }
        if logged != case.logged {
            wrong.push(format!("{}\n{}\n  {:?}: {logged:#?}", case.profile, case.lines, case.sent));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Formats in the arguments of rules, and what they give for a request (configuration.txt of 3.4, 8.2.6).
const TEXTS: &[(&str, &str)] = &[
    ("%{+json}o x %(m)HM %(n:sint)[str(12)] %(b)[bool(true)] %[str(x)]", "{\"m\": \"GET\", \"n\": 12, \"b\": true}"),
    ("%{+cbor}o %[int(4)] test %(named_field)[str(ok)]", "BF6B6E616D65645F6669656C64626F6BFF"),
    ("a %{+json}[path] %{+cbor}[bool(true)] %(x)HM", "a \"/a\" F5 GET"),
    ("%{+json}o %(none)[req.hdr(none)]", "{\"none\": null}"),
];

#[test]
fn texts_of_rules_may_be_encoded() {
    if Subject::from_env() == Subject::Theirs {
        return;
    }
    for (format, expected) in TEXTS {
        let config = format!(
            "global\n  stats socket {{runtime}}\ndefaults\n  mode http\n  timeout client 5s\nfrontend f\n  bind {{front}}\n  \
             http-request set-var-fmt(txn.a) '{format}'\n  http-request set-header x '{format}'\n  \
             http-request return status 200 content-type text/plain lf-string '%[var(txn.a)]|%[req.fhdr(x)]|{}'\n",
            if format.contains("}o") { "" } else { format }
        );
        let rig = Rig::start("texts", &config, Vec::new());
        let (answer, _) = talk(&rig, GET.as_bytes(), false, QUIET);
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let last = if format.contains("}o") { "" } else { expected };
        assert_eq!(body, format!("{expected}|{expected}|{last}"), "{format}");
    }
}
