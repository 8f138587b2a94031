//! How a connection in `mode tcp` ends for the client, and what is logged and counted of it. `tcp_ends.txt` has it as haproxy 2.6
//! makes it: `SUBJECT=theirs BLESS=1 cargo test -p integration-tests --test proxy ends_are_told`.

use super::rig::{Rig, Step, wait_until_read};
use integration_tests::subject::Subject;
use socket2::SockRef;
use std::io::{Read as _, Write as _};
use std::time::Duration;

const CONFIG: &str = "
global
    stats socket {runtime} level admin
    log {log} local0
defaults
    mode tcp
    log global
    log-format \"[-] %b %s %Tt %B %ts %rc %[src] %[fc_src] %[dst_port] %[sc0_conn_cur] %[var(sess.v)]\"
    timeout client 5s
    timeout server 5s
    timeout connect 50ms
    retries 0
frontend f
    bind {front} BIND
    FRONT
    default_backend b
backend b
    BACK
    server s SERVER
";

/// What the client does once it has sent what it sends.
#[derive(Clone, Copy)]
enum Then {
    /// It reads to the end.
    Reads,
    /// It ends its direction and reads to the end.
    Ends,
    /// It resets the connection.
    Resets,
}
use Then::{Ends, Reads, Resets};

struct Case {
    bind: &'static str,
    front: &'static str,
    back: &'static str,
    server: &'static str,
    script: fn() -> Vec<Step>,
    sent: &'static str,
    then: Then,
}

const CASE: Case = Case {
    bind: "",
    front: "",
    back: "",
    server: "{server}",
    script: || vec![Step::ReadUntil("hello"), Step::ReadToEnd],
    sent: "hello",
    then: Reads,
};

/// What the client says has come before anything else happens.
const WAITS: &str = "tcp-request inspect-delay 5s\n    tcp-request content accept if { req.len ge 5 }";
const REJECTS: &str = "tcp-request inspect-delay 5s\n    tcp-request content reject if { req.len ge 5 }";

/// By the words that matter.
const CASES: &[Case] = &[
    Case { server: "{dead}", front: WAITS, ..CASE },
    Case { server: "{dead}", back: "retries 2\n    option redispatch", ..CASE },
    Case { server: "{dead}", back: "timeout connect 5s\n    retries 1", then: Resets, ..CASE },
    Case { script: || vec![Step::ReadUntil("hello"), Step::Reset], ..CASE },
    Case { then: Resets, ..CASE },
    Case { front: "option nolinger", script: || vec![Step::ReadToEnd], then: Ends, ..CASE },
    Case { back: "option nolinger", then: Ends, ..CASE },
    Case { front: "option nolinger", script: || vec![Step::ReadUntil("hello"), Step::Reset], ..CASE },
    Case { front: REJECTS, ..CASE },
    Case { back: REJECTS, ..CASE },
    Case {
        front: "tcp-request inspect-delay 5s\n    tcp-request content accept if { req.len ge 9 }",
        then: Resets,
        ..CASE
    },
    Case {
        back: "tcp-response inspect-delay 5s\n    tcp-response content reject if { res.len ge 2 }",
        script: || vec![Step::ReadUntil("hello"), Step::Write(b"ok".to_vec()), Step::ReadToEnd],
        ..CASE
    },
    Case { front: "tcp-request session reject", sent: "", ..CASE },
    Case {
        front: "tcp-request connection set-src ipv4(9.8.7.6)\n    tcp-request connection set-dst-port int(78)",
        then: Ends,
        ..CASE
    },
    Case {
        front: "tcp-request session set-dst-port int(78)\n    tcp-request session set-var(sess.p) dst_port",
        then: Ends,
        ..CASE
    },
    Case {
        front: "tcp-request content set-src ipv4(9.8.7.6)\n    tcp-request content reject if !{ src 9.8.7.6 }",
        then: Ends,
        ..CASE
    },
    Case {
        front: "tcp-request content track-sc0 src table b",
        back: "stick-table type ip size 10 store conn_cur",
        then: Ends,
        ..CASE
    },
    Case {
        front: "tcp-request inspect-delay 5s\n    tcp-request content set-var(sess.v) req.len\n    \
                tcp-request content accept if { req.len ge 5 }",
        then: Ends,
        ..CASE
    },
    Case {
        back: "tcp-response inspect-delay 5s\n    tcp-response content set-var(sess.v) res.len\n    \
               tcp-response content accept if { res.len ge 2 }",
        script: || vec![Step::ReadUntil("hello"), Step::Write(b"ok".to_vec()), Step::ReadToEnd],
        then: Ends,
        ..CASE
    },
    // Of a request that has come whole nothing is waited for.
    Case {
        front: "mode http\n    tcp-request inspect-delay 30s\n    tcp-request content accept if WAIT_END",
        back: "mode http\n    http-request return status 200",
        sent: "GET / HTTP/1.0\r\n\r\n",
        ..CASE
    },
    Case { bind: "accept-proxy", sent: "PROXY TCP4 9.8.7.6 5.4.3.2 1000 78\r\nhello", then: Ends, ..CASE },
    Case { bind: "accept-proxy", sent: "PROXY TCP4 9.8.7.6 5.4.3.2 0 0\r\nhello", then: Ends, ..CASE },
];

const COUNTED: [&str; 11] =
    ["stot", "bin", "bout", "dreq", "dresp", "ereq", "econ", "eresp", "wretr", "wredis", "cli_abrt"];

/// What `show stat` has that is not 0, of the frontend, the server and the backend. Of requests haproxy counts its own form.
fn counted(rig: &Rig, requests: bool) -> String {
    let table = rig.command("show stat");
    let mut lines = table.lines();
    let titles: Vec<_> = lines.next().unwrap().trim_start_matches("# ").split(',').collect();
    let of = |start: &str| {
        let line = table.lines().find(|line| line.starts_with(start)).unwrap();
        let pairs = titles.iter().zip(line.split(','));
        let told = pairs.filter(|(title, value)| {
            COUNTED.contains(title) && !matches!(*value, "" | "0") && !(requests && **title == "bin")
        });
        told.map(|(title, value)| format!("{title}={value}")).collect::<Vec<_>>().join(" ")
    };
    ["f,FRONTEND,", "b,s,", "b,BACKEND,"].map(of).join("; ")
}

/// The line of the log, how the client saw the connection end, and what was counted.
fn run(case: &Case) -> String {
    let words = [("BIND", case.bind), ("FRONT", case.front), ("BACK", case.back), ("SERVER", case.server)];
    let config = words.iter().fold(CONFIG.to_owned(), |config, (place, words)| config.replacen(place, words, 1));
    let rig = Rig::start("tcp-ends", &config, (case.script)());
    let mut client = rig.connect();
    // It may have been closed by now.
    let _ = client.write_all(case.sent.as_bytes());
    let end = match case.then {
        Resets => {
            wait_until_read(&client);
            SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
            "-"
        }
        Reads | Ends => {
            if matches!(case.then, Ends) {
                let _ = client.shutdown(std::net::Shutdown::Write);
            }
            if client.read_to_end(&mut Vec::new()).is_ok() { "FIN" } else { "RST" }
        }
    };
    drop(client);
    let line = if case.sent.is_empty() { None } else { Some(rig.log_line()) };
    let line = line.unwrap_or_default().replace(&rig.front.port().to_string(), "FRONT");
    format!("{line} {end}\n  {}", counted(&rig, case.sent.starts_with("GET")))
}

#[test]
fn ends_are_told_and_counted() {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/proxy/tcp_ends.txt");
    let all: Vec<String> = CASES
        .iter()
        .map(|case| {
            let words = [case.bind, case.front, case.back, case.server, case.sent].join(" ").replace("\n    ", "; ");
            format!("{}\n  {}\n", words.trim().escape_default(), run(case))
        })
        .collect();
    if std::env::var_os("BLESS").is_some() && Subject::from_env() == Subject::Theirs {
        std::fs::write(golden, all.concat()).unwrap();
        return;
    }
    assert_eq!(all.concat(), std::fs::read_to_string(golden).unwrap());
}
