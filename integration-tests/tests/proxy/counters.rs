//! What is counted of each way that a request may go, and its answer and line in the log: all columns of counters, of all sections.
//!
//! `counters.txt` was written by haproxy: `SUBJECT=theirs BLESS=1 cargo test -p integration-tests --test proxy counters`.

use super::rig::{BOUND, Rig, Step, read_all, recorded};
use integration_tests::wait;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

const CONFIG: &str = "
global
    nbthread 1
    log {log} local0
    stats socket {runtime} level admin
defaults
    mode http
    log global
    option httplog
    timeout client 5s
    timeout server 5s
    timeout connect 20ms
    retries 1
frontend f
    bind {front}
    option dontlognull
    monitor-uri /monitor
    http-request redirect prefix / code 301 if { method OPTIONS }
    http-request deny if { path /f-deny }
    http-request tarpit if { path /f-tarpit }
    use_backend %[path,field(2,/)]
backend plain
    server s {server}
backend deny
    http-request deny
backend redirect
    http-request redirect location /x
backend return
    http-request return status 200 content-type a/b string x
backend tarpit
    http-request tarpit
backend refused
    http-response deny
    server s {server}
backend redir
    server s {server} redir http://r.ex
backend down
    server s {server} disabled
backend dead
    server s {dead}
backend cookie
    cookie C insert
    option redispatch 1
    server a {server} cookie a
    server d {dead} cookie d
backend used
    use-server s if TRUE
    server r {dead}
    server s {server}
backend named
    http-send-name-header X-Name
    server s {server}
backend closing
    http-request set-header Connection close
    server s {server}
";

/// What is sent, each over a connection of its own, and whether the server gets it.
const SENT: &[(&str, bool)] = &[
    ("GET /plain HTTP/1.1\r\nHost: h.ex\r\nConnection: close\r\n\r\n", true),
    ("GET /monitor HTTP/1.1\r\nHost: h.ex\r\nConnection: close\r\n\r\n", false),
    ("", false),
    ("OPTIONS * HTTP/1.1\r\nHost: h.ex\r\nConnection: close\r\n\r\n", false),
    ("GET /f-deny HTTP/1.1\r\nHost: h.ex\r\nConnection: close\r\n\r\n", false),
    ("GET /f-tarpit HTTP/1.1\r\nHost: h.ex\r\nConnection: close\r\n\r\n", false),
    ("GET /nowhere HTTP/1.1\r\nHost: h.ex\r\nConnection: close\r\n\r\n", false),
    ("GET /deny HTTP/1.1\r\nHost: h.ex\r\nConnection: close\r\n\r\n", false),
    ("GET /redirect HTTP/1.1\r\nHost: h.ex\r\nConnection: close\r\n\r\n", false),
    ("GET /return HTTP/1.1\r\nHost: h.ex\r\nConnection: close\r\n\r\n", false),
    ("GET /tarpit HTTP/1.1\r\nHost: h.ex\r\nConnection: close\r\n\r\n", false),
    ("GET /refused HTTP/1.1\r\nHost: h.ex\r\nConnection: close\r\n\r\n", true),
    ("GET http://h.ex/redir/a?b HTTP/1.1\r\nHost: h.ex\r\n\r\n", false),
    ("GET /down HTTP/1.1\r\nHost: h.ex\r\nConnection: close\r\n\r\n", false),
    ("GET /dead HTTP/1.1\r\nHost: h.ex\r\nConnection: close\r\n\r\n", false),
    ("GET /cookie HTTP/1.1\r\nHost: h.ex\r\nConnection: close\r\nCookie: C=a\r\n\r\n", true),
    ("GET /cookie HTTP/1.1\r\nHost: h.ex\r\nConnection: close\r\nCookie: C=d\r\n\r\n", true),
    ("GET /used HTTP/1.1\r\nHost: h.ex\r\nConnection: close\r\n\r\n", true),
    ("GET /named HTTP/1.1\r\nHost: h.ex\r\nConnection: close\r\nx-name: mine\r\nX-NAME: too\r\n\r\n", true),
    ("GET /closing HTTP/1.0\r\nHost: h.ex\r\n\r\n", true),
];

/// The counters: those of bytes received are of another form, and times are times.
const COUNTED: &[&str] = &[
    "stot",
    "bout",
    "dreq",
    "dresp",
    "ereq",
    "econ",
    "eresp",
    "wretr",
    "wredis",
    "hrsp_1xx",
    "hrsp_2xx",
    "hrsp_3xx",
    "hrsp_4xx",
    "hrsp_5xx",
    "hrsp_other",
    "req_tot",
    "cli_abrt",
    "srv_abrt",
    "lbtot",
    "intercepted",
    "connect",
];

/// The counters of each row that are not zero.
fn counters(rig: &Rig) -> String {
    let table = rig.command("show stat");
    let mut lines = table.lines();
    let titles: Vec<_> = lines.next().unwrap().trim_start_matches("# ").split(',').collect();
    let mut all = String::new();
    for values in lines.map(|line| line.split(',').collect::<Vec<_>>()).filter(|values| values.len() > 2) {
        let _ = write!(all, "{}/{}", values[0], values[1]);
        for title in COUNTED {
            let value = values[titles.iter().position(|other| other == title).unwrap()];
            if !matches!(value, "" | "0") {
                let _ = write!(all, " {title}={value}");
            }
        }
        all.push('\n');
    }
    all
}

/// The same once the last connection is done with.
fn settled(rig: &Rig) -> String {
    wait::until("all connections to end", BOUND, || {
        rig.command("show stat").lines().find_map(|line| line.strip_prefix("f,FRONTEND,,,0,")).map(drop)
    })
    .unwrap();
    counters(rig)
}

#[test]
fn counters_are_haproxys() {
    let answer = b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let rig = Rig::start("counters", CONFIG, vec![Step::ReadMessage, Step::Write(answer.to_vec())]);
    let mut all = String::new();
    for (sent, reaches) in SENT {
        let _ = writeln!(all, "{sent:?}");
        let mut client = rig.connect();
        client.write_all(sent.as_bytes()).unwrap();
        if sent.is_empty() {
            client.shutdown(std::net::Shutdown::Write).unwrap();
        }
        let (answer, _) = read_all(&mut client, BOUND);
        let _ = writeln!(all, "  {answer:?}");
        if *reaches {
            let _ = writeln!(all, "  {:?}", rig.origin.message());
        }
        if !sent.is_empty() && !sent.contains("/monitor") {
            let _ = writeln!(all, "  {}", rig.log_line());
        }
    }
    all += &settled(&rig);

    // A server that breaks off, and a client that does.
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok".to_vec();
    let rig = Rig::start("counters-broken", CONFIG, vec![Step::ReadMessage, Step::Write(half), Step::Close]);
    for sent in [SENT[0].0, "POST /plain HTTP/1.1\r\nHost: h.ex\r\nContent-Length: 5\r\n\r\nab"] {
        let _ = writeln!(all, "{sent:?}");
        let mut client = rig.connect();
        client.write_all(sent.as_bytes()).unwrap();
        if sent.starts_with('G') {
            let _ = writeln!(all, "  {:?}", read_all(&mut client, Duration::from_secs(1)).0);
        }
        drop(client);
        let _ = writeln!(all, "  {}", rig.log_line());
    }
    all += &settled(&rig);
    recorded(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/proxy/counters.txt"), &all);
}
