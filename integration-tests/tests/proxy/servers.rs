//! Where requests go: queues, retries, redispatch, cookies, backup servers, servers that are down, and what the log says.

use super::rig::{Rig, answering, read_all, wait_until_read};
use std::io::Write;
use std::time::Duration;

const FRONT: &str = "
global
    log {log} local0
    nbthread 1
defaults
    mode http
    log global
    option httplog
    timeout client 5s
    timeout server 5s
    timeout connect 1s
    timeout queue 400ms
    balance roundrobin
frontend fe
    bind {front}
    default_backend be
backend be
";

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

const QUIET: Duration = Duration::from_millis(100);

/// One request to a backend, and how it went.
struct Case {
    name: &'static str,
    backend: &'static str,
    /// The server that must be down before the request is sent.
    down: Option<&'static str>,
    cookie: Option<&'static str>,
    /// Server, timers (`T`: reached), status, termination state, retries, queues.
    outcome: &'static str,
    set_cookie: Option<&'static str>,
}

const fn case(name: &'static str, backend: &'static str, outcome: &'static str) -> Case {
    Case { name, backend, down: None, cookie: None, outcome, set_cookie: None }
}

const DOWN_A: &str = "
    cookie SRV insert indirect
    server s1 {dead} cookie A check inter 100
    server s2 {server} cookie B
";

const CASES: &[Case] = &[
    case("no server", "", "be/<NOSRV> T/-1/-1/-1/T 503 SC-- 0 0/0"),
    case("only one in maintenance", "server s1 {server} disabled", "be/<NOSRV> T/-1/-1/-1/T 503 SC-- 0 0/0"),
    case("refused", "retries 1\n server s1 {dead}", "be/s1 T/T/-1/-1/T 503 SC-- 1 0/0"),
    case(
        "refused, another server tried at once",
        "option redispatch\n server s1 {dead}\n server s2 {server}",
        "be/s2 T/T/T/T/T 200 ---- +1 0/0",
    ),
    case(
        "refused, no other server without redispatch",
        "retries 1\n server s1 {dead}\n server s2 {server}",
        "be/s1 T/T/-1/-1/T 503 SC-- 1 0/0",
    ),
    Case {
        cookie: Some("SRV=B"),
        ..case(
            "the cookie's server",
            "cookie SRV insert indirect\n server s1 {dead} cookie A\n server s2 {server} cookie B",
            "be/s2 T/T/T/T/T 200 --VN 0 0/0",
        )
    },
    Case {
        cookie: Some("SRV=A"),
        ..case(
            "the cookie's server though its weight is 0",
            "cookie SRV insert\n server s1 {server} cookie A weight 0\n server s2 {dead} cookie B",
            "be/s1 T/T/T/T/T 200 --VN 0 0/0",
        )
    },
    Case {
        down: Some("s1"),
        set_cookie: Some("SRV=B; path=/"),
        ..case("no cookie", DOWN_A, "be/s2 T/T/T/T/T 200 --NI 0 0/0")
    },
    Case {
        down: Some("s1"),
        cookie: Some("SRV=A"),
        set_cookie: Some("SRV=B; path=/"),
        ..case("the cookie's server is down", DOWN_A, "be/s2 T/T/T/T/T 200 --DI 0 0/0")
    },
    Case {
        down: Some("s1"),
        cookie: Some("SRV=A"),
        ..case(
            "the cookie's server is down, and persistence insists",
            "option persist\n retries 1\n cookie SRV insert indirect\n server s1 {dead} cookie A check inter 100\n \
             server s2 {server} cookie B",
            "be/s1 T/T/-1/-1/T 503 SCDN 1 0/0",
        )
    },
    Case {
        down: Some("s1"),
        cookie: Some("SRV=A"),
        set_cookie: Some("SRV=B; path=/"),
        ..case(
            "the cookie's server is down, persistence insists until it is redispatched",
            "option persist\n option redispatch\n cookie SRV insert indirect\n server s1 {dead} cookie A check inter 100\n \
             server s2 {server} cookie B",
            "be/s2 T/T/T/T/T 200 --DI +1 0/0",
        )
    },
    Case {
        down: Some("s1"),
        cookie: Some("SRV=A"),
        ..case(
            "the cookie's server is down, and a condition forces persistence",
            "option redispatch\n retries 1\n force-persist if { path / }\n cookie SRV insert indirect\n \
             server s1 {dead} cookie A check inter 100\n server s2 {server} cookie B",
            "be/s1 T/T/-1/-1/T 503 SCDN 1 0/0",
        )
    },
    Case {
        cookie: Some("SRV=A"),
        ..case(
            "the cookie's server is in maintenance, and a condition forces persistence",
            "force-persist if { path / }\n cookie SRV insert indirect\n server s1 {server} cookie A disabled\n \
             server s2 {dead} cookie B",
            "be/s1 T/T/T/T/T 200 --DN 0 0/0",
        )
    },
    Case {
        down: Some("s1"),
        cookie: Some("SRV=A"),
        set_cookie: Some("SRV=B; path=/"),
        ..case(
            "a condition that does not hold forces nothing",
            "force-persist if { path /x }\n cookie SRV insert indirect\n server s1 {dead} cookie A check inter 100\n \
             server s2 {server} cookie B",
            "be/s2 T/T/T/T/T 200 --DI 0 0/0",
        )
    },
    Case {
        cookie: Some("SRV=B"),
        ..case(
            "the cookie's server, but a condition ignores persistence",
            "ignore-persist if { path / }\n cookie SRV insert indirect\n server s1 {server} cookie A\n \
             server s2 {dead} cookie B",
            "be/s1 T/T/T/T/T 200 --UN 0 0/0",
        )
    },
    Case {
        cookie: Some("SRV=452123a9ec2bfb29"),
        set_cookie: Some("SRV=A; path=/"),
        ..case(
            "a cookie that is computed of a server's address",
            "cookie SRV insert indirect dynamic\n dynamic-cookie-key secretkey\n server s1 {server} cookie A\n \
             server s2 [::1]:8080 disabled",
            "be/s1 T/T/T/T/T 200 --DI 0 0/0",
        )
    },
    Case {
        down: Some("s1"),
        ..case(
            "a backup server, the first one",
            "server s1 {dead} check inter 100\n server b1 {server} backup\n server b2 {dead} backup",
            "be/b1 T/T/T/T/T 200 ---- 0 0/0",
        )
    },
    Case {
        down: Some("s1"),
        ..case("all down", "server s1 {dead} check inter 100", "be/<NOSRV> T/-1/-1/-1/T 503 SC-- 0 0/0")
    },
];

/// The part of a log line that tells where a request went.
fn outcome(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let retries = words[8].rsplit('/').next().unwrap();
    format!("{} {} {} {} {retries} {}", words[1], words[2], words[3], words[7], words[9])
}

fn wait_for_event(rig: &Rig, event: &str) {
    let mut seen = Vec::new();
    while !seen.last().is_some_and(|line: &String| line.contains(event)) {
        assert!(seen.len() < 50, "no '{event}' in {seen:?}");
        seen.push(rig.log_line());
    }
}

/// The next line about a request; others tell of servers.
fn request_line(rig: &Rig) -> String {
    loop {
        let line = rig.log_line();
        if line.starts_with("fe ") {
            return line;
        }
    }
}

#[test]
fn requests_go_where_they_should() {
    for case in CASES {
        let rig = Rig::start("servers", &format!("{FRONT}{}\n", case.backend), answering(OK));
        if let Some(server) = case.down {
            wait_for_event(
                &rig,
                &format!("Server be/{server} is DOWN, reason: Layer4 connection problem, info: \"Connection refused\""),
            );
        }
        let cookie = case.cookie.map_or_else(String::new, |cookie| format!("Cookie: {cookie}\r\n"));
        let mut client = rig.connect();
        write!(client, "GET / HTTP/1.1\r\nHost: h\r\n{cookie}\r\n").unwrap();
        let (answer, _) = read_all(&mut client, QUIET);
        assert_eq!(outcome(&request_line(&rig)), case.outcome, "{}: {answer}", case.name);
        let set_cookie = answer.lines().find_map(|line| line.strip_prefix("set-cookie: "));
        assert_eq!(set_cookie, case.set_cookie, "{}: {answer}", case.name);
    }
}

/// A request whose body is not complete keeps its server busy until the client sends the rest.
fn occupy(rig: &Rig) -> std::net::TcpStream {
    let mut client = rig.connect();
    client.write_all(b"POST /slow HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbo").unwrap();
    client
}

fn release(mut client: std::net::TcpStream) -> String {
    client.write_all(b"dy").unwrap();
    read_all(&mut client, QUIET).0
}

#[test]
fn a_full_server_is_waited_for_up_to_the_limit() {
    let config = format!("{FRONT}server s1 {{server}} maxconn 1\n");
    let rig = Rig::start("queue-timeout", &config, answering(OK));
    let busy = occupy(&rig);
    // The second connection is only made once the first request has its slot.
    rig.origin.wait_for_connection();
    let mut second = rig.connect();
    second.write_all(b"GET /second HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    let (answer, _) = read_all(&mut second, QUIET);
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert_eq!(outcome(&request_line(&rig)), "be/<NOSRV> T/T/-1/-1/T 503 sQ-- 0 0/1");
    assert!(release(busy).starts_with("HTTP/1.1 200 "));
    assert_eq!(outcome(&request_line(&rig)), "be/s1 T/T/T/T/T 200 ---- 0 0/0");
}

#[test]
fn a_slot_that_becomes_free_goes_to_the_one_who_waits() {
    let config = format!("{FRONT}server s1 {{server}} maxconn 1\n").replace("timeout queue 400ms", "timeout queue 9s");
    let rig = Rig::start("queue", &config, answering(OK));
    let busy = occupy(&rig);
    rig.origin.wait_for_connection();
    let mut waiting: Vec<_> = (0..3)
        .map(|nth| {
            let mut client = rig.connect();
            write!(client, "GET /{nth} HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
            wait_until_read(&client);
            client
        })
        .collect();
    assert!(release(busy).starts_with("HTTP/1.1 200 "));
    for client in &mut waiting {
        assert!(read_all(client, QUIET).0.starts_with("HTTP/1.1 200 "));
    }
    let lines: Vec<String> = (0..4).map(|_| request_line(&rig)).collect();
    let paths: Vec<&str> = lines.iter().filter_map(|line| line.split('"').nth(1)).collect();
    assert_eq!(paths, ["POST /slow HTTP/1.1", "GET /0 HTTP/1.1", "GET /1 HTTP/1.1", "GET /2 HTTP/1.1"]);
    let queues: Vec<String> = lines.iter().map(|line| outcome(line).rsplit(' ').next().unwrap().to_owned()).collect();
    assert_eq!(queues, ["0/0", "0/1", "0/2", "0/3"]);
}
