//! `show sess` and `shutdown session`: what is said of a session in every stage, and what becomes of one that is ended.

use super::rig::{BOUND, Rig, Step, command, read_all, wait_until_read};
use integration_tests::subject::Subject;
use integration_tests::wait;
use nix::sys::signal::Signal;
use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

const QUIET: Duration = Duration::from_millis(100);

const FRONT: &str = "
global
    stats socket {runtime} level admin
    log {log} local0
    nbthread 2
defaults
    log global
    timeout client 60s
    timeout server 70s
    timeout connect 80s
    timeout queue 90s
    timeout tarpit 100s
    retries 1000
";

const HTTP: &str = "
frontend fe
    mode http
    option httplog
    bind {front} name web
    RULES
    default_backend be
backend be
    mode http
    server s1 SERVER
";

const TCP: &str = "
listen li
    mode tcp
    option tcplog
    bind {front}
    RULES
    server s1 SERVER
";

/// A session that waits, and what is said of it.
struct Case {
    name: &'static str,
    section: &'static str,
    rules: &'static str,
    server: &'static str,
    script: &'static [&'static str],
    send: &'static str,
    /// What is essential of its line; `None`: it has none.
    line: Option<&'static str>,
    /// Termination state and status of one that was ended by `shutdown session`.
    killed: &'static str,
    /// Haproxy lets what has begun go on for a while, or logs no phase.
    only_ours: bool,
}

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc";

const fn case(name: &'static str, section: &'static str, send: &'static str) -> Case {
    Case { name, section, rules: "", server: "{server}", script: &[], send, line: None, killed: "", only_ours: false }
}

const CASES: &[Case] = &[
    Case { script: &["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"], ..case("between two requests", HTTP, GET) },
    case("before the end of a head", HTTP, "GET / HTTP/1.1\r\nHos"),
    Case {
        line: Some("be/s1 1 rq 49c40080h/8000h rp 80400000h/1400000h rx scf 8,80h scb 8,11h,fd"),
        killed: "KH 502",
        ..case("waits for the response", HTTP, GET)
    },
    Case {
        line: Some("be/s1 3 rq c40080h/8000h rp 80400000h/1400000h rx scf 8,0h scb 8,1h,fd"),
        killed: "KH -1",
        only_ours: true,
        ..case("waits for a body to pass on", HTTP, POST)
    },
    Case {
        script: &["HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nok"],
        line: Some("be/s1 1 rq 49c40080h/8000h rp 80040000h/4000000h rx scf 8,80h scb 8,11h,fd"),
        killed: "KD 200",
        ..case("waits for the rest of the response", HTTP, GET)
    },
    Case {
        server: "{dead}",
        line: Some("be/s1 1 rq 4dc00000h/8000h rp 80000000h/00h scf 8,280h scb 3,1h c_exp"),
        killed: "KC -1",
        only_ours: true,
        ..case("waits for the next attempt", HTTP, GET)
    },
    Case {
        rules: "http-request tarpit",
        line: Some("<NONE>/<none> 1 rq 40400000h/200h ax rp 80000000h/00h scf 8,0h scb 0,1h"),
        killed: "KT -1",
        only_ours: true,
        ..case("is held in the tarpit", HTTP, GET)
    },
    Case {
        rules: "http-request wait-for-body time 100s",
        line: Some("<NONE>/<none> 3 rq 400000h/30h ax rp 80000000h/00h scf 8,0h scb 0,1h"),
        killed: "KR -1",
        only_ours: true,
        ..case("waits for a body to look at", HTTP, POST)
    },
    Case {
        script: &["hello"],
        line: Some("li/s1 - rq 848000h/00h rx rp 80048202h/00h rx scf 8,0h scb 8,1h,fd"),
        killed: "K- 0/0",
        ..case("is a tunnel", TCP, "hello")
    },
    Case {
        rules: "tcp-request inspect-delay 100s\n tcp-request content accept if { req.len gt 100 }",
        line: Some("li/<none> - rq 000000h/22h ax rp 80000000h/00h scf 8,0h scb 0,1h"),
        killed: "K- 0/0",
        only_ours: true,
        ..case("waits for content", TCP, "hello")
    },
];

fn start(case: &Case) -> (Rig, TcpStream) {
    let section = case.section.replace("RULES", case.rules).replace("SERVER", case.server);
    let read = if case.section == TCP { Step::ReadUntil("hello") } else { Step::ReadMessage };
    let mut script = if case.script.is_empty() { Vec::new() } else { vec![read] };
    script.extend(case.script.iter().map(|text| Step::Write(text.as_bytes().to_vec())));
    script.push(Step::ReadToEnd);
    let rig = Rig::start("sessions", &format!("{FRONT}{section}"), script);
    let mut client = rig.connect();
    client.write_all(case.send.as_bytes()).unwrap();
    wait_until_read(&client);
    if !case.script.is_empty() {
        read_all(&mut client, QUIET);
    }
    (rig, client)
}

/// The line of a client's session.
fn line_of(rig: &Rig, client: &TcpStream) -> Option<String> {
    find(&rig.command("show sess"), client)
}

fn find(list: &str, client: &TcpStream) -> Option<String> {
    let source = format!(" src={} ", client.local_addr().unwrap());
    list.lines().find(|line| line.contains(&source)).map(ToOwned::to_owned)
}

fn id_of(line: &str) -> &str {
    line.split(':').next().unwrap_or_default()
}

/// The part of a text between two others.
fn between<'t>(text: &'t str, before: &str, after: &str) -> &'t str {
    text.split_once(before).and_then(|(_, rest)| rest.split_once(after)).map_or("", |(found, _)| found)
}

/// Backend, server and method, and of a line what two programs say alike: not how often it was called, nor what of its bytes is in
/// buffers. Of a time, whether it runs.
fn essence(line: &str, full: &str) -> String {
    let method = if full.contains(" meth=") { between(full, " meth=", " ") } else { "-" };
    let mut out = format!("{}/{} {method}", between(line, " be=", " "), between(line, " srv=", " "));
    for way in ["rq", "rp"] {
        let inside = format!(",{},", between(line, &format!(" {way}["), "]"));
        let value = |name: &str| between(&inside, &format!(",{name}="), ",");
        // In haproxy the flags of a tunnel tell whether something has come a moment ago.
        let flags = if way == "rq" { value("f").replace("848202h", "848000h") } else { value("f").to_owned() };
        out.extend([" ", way, " ", &flags, "/", value("an")]);
        // Whether a client that rules wait for must be silent for a time besides is nobody's concern.
        let times = if value("an") == "00h" || way == "rp" { ["rx", "wx"] } else { ["ax", "wx"] };
        times.iter().filter(|time| !value(time).is_empty()).for_each(|time| out.extend([" ", time]));
    }
    for end in ["scf", "scb"] {
        let inside = between(line, &format!(" {end}=["), "]");
        let (state, descriptor) = inside.rsplit_once(",fd=").unwrap_or_default();
        out.extend([" ", end, " ", state, if end == "scb" && descriptor != "-1" { ",fd" } else { "" }]);
    }
    if !line.ends_with(" c_exp=") {
        out += " c_exp";
    }
    out
}

#[test]
fn a_session_tells_what_it_waits_for() {
    for case in CASES {
        let (rig, client) = start(case);
        let Some(expected) = case.line else {
            // Haproxy ends the stream of a request a moment after its response.
            let gone = || line_of(&rig, &client).is_none().then_some(());
            wait::until(case.name, BOUND, gone).unwrap();
            continue;
        };
        let mut seen = String::new();
        let found = wait::until(case.name, BOUND, || {
            let line = line_of(&rig, &client)?;
            let full = rig.command(&format!("show sess {}", id_of(&line)));
            seen = essence(&line, &full);
            (seen == expected).then_some((line, full))
        });
        let (line, full) = found.unwrap_or_else(|_| panic!("{}: {seen} instead of {expected}", case.name));
        let source = client.local_addr().unwrap();
        let (front, mode) = if case.section == TCP { ("li", "tcp") } else { ("fe", "http") };
        let listener = if case.section == TCP { "?" } else { "web" };
        assert!(line.contains(&format!(" proto=tcpv4 src={source} fe={front} ")), "{line}");
        assert!(line.contains(" ts=00 epoch=0 age="), "{line}");
        assert!(full.starts_with(&format!("{}: [", id_of(&line))) && full.ends_with("\n\n"), "{full}");
        let names = format!("  frontend={front} (id=2 mode={mode}), listener={listener} (id=1) addr={}\n", rig.front);
        assert!(full.contains(&names), "{full}");
        let server = match between(expected, "/", " ") {
            "s1" => "  server=s1 (id=1)",
            _ if case.section == TCP => "  server=<none> (id=0)",
            _ => "  backend=<NONE> (id=-1 mode=-)\n  server=<NONE> (id=-1)\n",
        };
        assert!(full.contains(server), "{full}");
        let all = rig.command("show sess all");
        assert!(all.contains(&format!("proto=tcpv4 source={source}\n")) && all.ends_with("\n\n"), "{all}");
    }
}

#[test]
fn a_session_that_is_shut_down_ends_at_once() {
    let theirs = Subject::from_env() == Subject::Theirs;
    for case in CASES.iter().filter(|case| case.line.is_some() && !(theirs && case.only_ours)) {
        let (rig, mut client) = start(case);
        let line = wait::until(case.name, BOUND, || {
            // In the stage that is meant.
            let waits = case.line.and_then(|line| line.find(" rq").map(|at| &line[at..])).unwrap_or_default();
            line_of(&rig, &client).filter(|line| essence(line, "").ends_with(waits))
        });
        let id = id_of(&line.unwrap()).to_owned();
        assert_eq!(rig.command(&format!("shutdown session {id}")), "\n", "{}", case.name);
        let (answer, closed) = read_all(&mut client, QUIET);
        // Haproxy lets a client that it could answer go on.
        assert!(closed || theirs, "{}", case.name);
        assert_eq!(answer.starts_with("HTTP/1.1 502 "), case.killed.ends_with("502"), "{}: {answer}", case.name);
        let log = rig.log_line();
        let (state, status) = case.killed.split_once(' ').unwrap_or_default();
        let log = format!("{log} ");
        assert!(log.contains(&format!(" {state}")) && log.contains(&format!(" {status} ")), "{}: {log}", case.name);
        assert!(line_of(&rig, &client).is_none(), "{}", case.name);
        let again = rig.command(&format!("shutdown session {id}"));
        assert_eq!(again, "No such session (use 'show sess').\n\n", "{}", case.name);
    }
}

#[test]
fn a_session_waits_in_a_queue() {
    let config = format!("{FRONT}{}", HTTP.replace("RULES", "").replace("SERVER", "{server} maxconn 1"));
    let rig = Rig::start("sessions-queue", &config, vec![Step::ReadToEnd]);
    let mut first = rig.connect();
    first.write_all(GET.as_bytes()).unwrap();
    rig.origin.wait_for_connection();
    let mut second = rig.connect();
    second.write_all(GET.as_bytes()).unwrap();
    let line = wait::until("a session in the queue", BOUND, || line_of(&rig, &second)).unwrap();
    let full = rig.command(&format!("show sess {}", id_of(&line)));
    let expected = "be/<none> 1 rq 4dc00000h/8000h rp 80000000h/00h scf 8,280h scb 2,11h c_exp";
    assert_eq!(essence(&line, &full), expected);
    assert!(!full.contains("pend_pos=(nil)") && full.contains("conn_exp=1m") && full.contains(" state=QUE "), "{full}");
    // The place of one that is shut down goes to the next.
    let line = line_of(&rig, &first).unwrap();
    assert_eq!(rig.command(&format!("shutdown session {}", id_of(&line))), "\n");
    let reached = || line_of(&rig, &second)?.contains(" srv=s1 ").then_some(());
    wait::until("the place is given on", BOUND, reached).unwrap();
}

#[test]
fn sessions_of_all_workers_are_listed() {
    let config = format!("{FRONT}{}", HTTP.replace("RULES", "").replace("SERVER", "{server}"));
    let rig = Rig::start("sessions-workers", &config, vec![Step::ReadToEnd]);
    let mut clients: Vec<TcpStream> = Vec::new();
    let both = || {
        let mut client = rig.connect();
        client.write_all(GET.as_bytes()).unwrap();
        clients.push(client);
        let all = rig.command("show sess all");
        let is_client = |part: &&str| part.contains("frontend=fe ");
        let masks: std::collections::HashSet<&str> =
            all.split("\n0x").filter(is_client).map(|part| between(part, " tmask=", " ")).collect();
        (masks.len() == 2).then_some(())
    };
    wait::until("sessions on both threads", BOUND, both).unwrap();
    let runtime = rig.runtime();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..20 {
                    for client in &clients {
                        let all = command(&runtime, "show sess");
                        assert!(find(&all, client).is_some(), "everybody who asks is told of all");
                    }
                }
            });
        }
    });
    for client in &clients {
        let line = line_of(&rig, client).unwrap();
        assert_eq!(rig.command(&format!("shutdown session {}", id_of(&line))), "\n");
    }
    let none = || (!rig.command("show sess").contains(" fe=fe ")).then_some(());
    wait::until("all are gone", BOUND, none).unwrap();
}

/// A session goes on in the process that was reloaded, so it is listed there. Haproxy leaves it to the process before.
#[test]
fn sessions_that_began_before_a_reload_are_listed() {
    if Subject::from_env() == Subject::Theirs {
        return;
    }
    let config = format!("{FRONT}{}", HTTP.replace("RULES", "").replace("SERVER", "{server}"));
    let rig = Rig::start("sessions-reload", &config, vec![Step::ReadToEnd]);
    let mut clients = [rig.connect(), rig.connect()];
    for client in &mut clients {
        client.write_all(GET.as_bytes()).unwrap();
        wait::until("a session", BOUND, || line_of(&rig, client)).unwrap();
    }
    // Its backend and its server are no more.
    let gone = |text: &str| {
        text.replace("backend be\n", "backend other\n").replace("default_backend be", "default_backend other")
    };
    rig.reload(gone, |rig| rig.command("show stat").contains("\nother,BACKEND,"));
    for client in &mut clients {
        let line = line_of(&rig, client).unwrap();
        assert!(line.contains(" fe=fe be=be srv=s1 "), "{line}");
        assert_eq!(rig.command(&format!("shutdown session {}", id_of(&line))), "\n");
        assert!(read_all(client, BOUND).0.starts_with("HTTP/1.1 502 "));
    }
}

/// Whoever waits for a process to finish sees what it waits for, and can end that.
#[test]
fn sessions_hold_a_process_that_finishes() {
    if Subject::from_env() == Subject::Theirs {
        return;
    }
    let config = format!("{FRONT}{}", HTTP.replace("RULES", "").replace("SERVER", "{server}"));
    let mut rig = Rig::start("sessions-drain", &config, vec![Step::ReadToEnd]);
    let mut client = rig.connect();
    client.write_all(GET.as_bytes()).unwrap();
    wait::until("a session", BOUND, || line_of(&rig, &client)).unwrap();
    rig.signal(Signal::SIGUSR1);
    let stops = || TcpStream::connect(rig.front).is_err().then_some(());
    wait::until("nobody is taken any more", BOUND, stops).unwrap();
    let line = line_of(&rig, &client).unwrap();
    assert_eq!(rig.command(&format!("shutdown session {}", id_of(&line))), "\n");
    assert!(read_all(&mut client, BOUND).0.starts_with("HTTP/1.1 502 "));
    wait::until("the process ends", BOUND, || rig.has_ended().then_some(())).unwrap();
}

#[test]
fn what_is_no_session_is_not_found() {
    let config = format!("{FRONT}{}", HTTP.replace("RULES", "").replace("SERVER", "{server}"));
    let rig = Rig::start("sessions-input", &config, vec![Step::ReadToEnd]);
    let mut client = rig.connect();
    client.write_all(GET.as_bytes()).unwrap();
    wait::until("a session", BOUND, || line_of(&rig, &client)).unwrap();
    let long = "9".repeat(4_000);
    let unknown = "No such session (use 'show sess').\n\n";
    let expected = "Session pointer expected (use 'show sess').\n\n";
    for (id, shown, shut) in [
        ("0x7fffffffffffff00", "", unknown),
        ("0x7fffffffffffff00 0x1", "", unknown),
        ("9223372036854775552", "", unknown),
        ("0", "line", expected),
        ("", "line", expected),
        ("xyz", "line", expected),
        ("0x", "line", expected),
        ("\u{1}\u{ff}", "line", expected),
        ("-1", "all", unknown),
        (&long, "all", unknown),
        ("0xfffffffffffffffffffffff", "all", unknown),
    ] {
        let answer = rig.command(&format!("show sess {id}"));
        let is_as_it_should = match shown {
            "line" => answer.contains(" fe=fe be=be srv=s1 ts=00 "),
            "all" => answer.contains("  frontend=fe (id=2 mode=http)"),
            _ => answer == "Session not found.\n\n",
        };
        assert!(is_as_it_should, "show sess {id}: {answer}");
        assert_eq!(rig.command(&format!("shutdown session {id}")), shut, "shutdown session {id}");
    }
    assert!(line_of(&rig, &client).is_some(), "nothing has happened to the session");
}
