//! What operators do to frontends and to the limits of the process while it runs.

use super::rig::{BOUND, Rig, answering, read_all};
use integration_tests::subject::Subject;
use integration_tests::wait;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

const CONFIG: &str = "
global
    stats socket {runtime} level admin
    stats socket {runtime}-operator level operator
    maxconn 200
defaults
    mode http
    timeout client 5s
    timeout server 5s
    timeout connect 1s
frontend fe
    bind {front}
    http-request return status 200
listen li
    bind {dead}
    server s {server}
";

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const QUIET: Duration = Duration::from_millis(150);
const RATE_LIMITS: &str = "'set rate-limit' only supports :\n   \
    - 'connections global' to set the per-process maximum connection rate\n   \
    - 'sessions global' to set the per-process maximum session rate\n   \
    - 'ssl-sessions global' to set the per-process maximum SSL session rate\n   \
    - 'http-compression global' to set the per-process maximum compression speed in kB/s\n";

/// Commands in their order, and what haproxy 2.6 answers.
const ANSWERS: &[(&str, &str)] = &[
    ("disable frontend", "A frontend name is expected.\n"),
    ("disable frontend none", "No such frontend.\n"),
    ("enable frontend", "A frontend name is expected.\n"),
    ("enable frontend none", "No such frontend.\n"),
    ("enable frontend fe", "All sockets are already enabled.\n"),
    ("shutdown frontend", "A frontend name is expected.\n"),
    ("shutdown frontend none", "No such frontend.\n"),
    ("set maxconn frontend", "A frontend name is expected.\n"),
    ("set maxconn frontend none 5", "No such frontend.\n"),
    ("set maxconn frontend fe", "Integer value expected.\n"),
    ("set maxconn frontend fe -1", "Value out of range.\n"),
    ("set maxconn frontend fe 150", ""),
    ("set maxconn global", "Expects an integer value.\n"),
    ("set maxconn global 100000", "Value out of range.\n"),
    ("set maxconn global 100", ""),
    ("set rate-limit", RATE_LIMITS),
    ("set rate-limit connections", RATE_LIMITS),
    ("set rate-limit connections all 5", RATE_LIMITS),
    ("set rate-limit nothing global 5", RATE_LIMITS),
    ("set rate-limit connections global", "Expects an integer value.\n"),
    ("set rate-limit connections global -5", "Value out of range.\n"),
    ("set rate-limit connections global 7000", ""),
    ("set rate-limit sessions global 8000", ""),
    ("disable frontend fe", ""),
    ("disable frontend fe", "All sockets are already disabled.\n"),
    ("enable frontend fe", ""),
    ("shutdown frontend li", ""),
    ("shutdown frontend li", "Frontend was already shut down.\n"),
    ("enable frontend li", "Frontend was previously shut down, cannot enable.\n"),
    ("disable frontend li", "Frontend was previously shut down, cannot disable.\n"),
];

/// A column of a frontend's row in the statistics.
fn column(rig: &Rig, frontend: &str, column: &str) -> String {
    let text = rig.command("show stat");
    let mut lines = text.lines();
    let index = lines.next().unwrap().trim_start_matches("# ").split(',').position(|name| name == column).unwrap();
    let row = lines.find(|line| line.starts_with(&format!("{frontend},FRONTEND,"))).unwrap();
    row.split(',').nth(index).unwrap().to_owned()
}

fn figure(rig: &Rig, name: &str) -> String {
    let text = rig.command("show info");
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap().to_owned()
}

#[test]
fn commands_answer_as_haproxys_do() {
    let rig = Rig::start("frontends", CONFIG, answering(OK));
    let operator = rig.runtime().with_file_name("runtime-operator");
    for (command, _) in ANSWERS {
        assert_eq!(super::rig::command(&operator, command), "Permission denied\n\n", "{command}");
    }
    for (command, expected) in ANSWERS {
        assert_eq!(rig.command(command), format!("{expected}\n"), "{command}");
    }
    let shown = ["Maxconn", "Hard_maxconn", "ConnRateLimit", "SessRateLimit"].map(|name| figure(&rig, name));
    assert_eq!(shown, ["100", "200", "7000", "8000"]);
    assert_eq!(column(&rig, "fe", "slim"), "150");
    assert_eq!([column(&rig, "fe", "status"), column(&rig, "li", "status")], ["OPEN", "STOP"]);
    assert_eq!(rig.command("set maxconn global 0"), "\n");
    assert_eq!(figure(&rig, "Maxconn"), "200");
}

/// A request, and what comes in time.
fn ask(client: &mut TcpStream) -> String {
    client.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    read_all(client, QUIET).0
}

#[test]
fn a_disabled_frontend_takes_nobody() {
    let rig = Rig::start("disabled", CONFIG, answering(OK));
    let mut kept = rig.connect();
    assert!(ask(&mut kept).starts_with("HTTP/1.1 200 "));
    assert_eq!(rig.command("disable frontend fe"), "\n");
    let refused = || TcpStream::connect(rig.front).is_err().then_some(());
    wait::until("nobody listens", BOUND, refused).unwrap();
    // Workers that are told something else in the meantime leave it closed, and whole.
    assert_eq!(rig.command("set maxconn global 100"), "\n");
    assert_eq!(column(&rig, "fe", "status"), "PAUSED");
    assert!(ask(&mut kept).starts_with("HTTP/1.1 200 "), "who is there stays");
    assert_eq!(rig.command("enable frontend #2"), "\n");
    let taken = || TcpStream::connect(rig.front).ok();
    let mut client = wait::until("somebody listens", BOUND, taken).unwrap();
    client.set_read_timeout(Some(BOUND)).unwrap();
    assert!(ask(&mut client).starts_with("HTTP/1.1 200 "));
    assert_eq!(rig.command("shutdown frontend fe"), "\n");
    wait::until("nobody listens", BOUND, refused).unwrap();
}

/// What has a place in the file system cannot be closed and opened again: it goes on in both programs.
#[test]
fn a_unix_socket_is_not_disabled() {
    let config = CONFIG.replace("bind {front}", "bind {front}\n    bind unix@{second}");
    let socket = std::env::temp_dir().join(format!("proxy-lab-disabled-{}.sock", std::process::id()));
    let rig = Rig::start("disabled-unix", &config.replace("{second}", socket.to_str().unwrap()), answering(OK));
    let ask = || {
        let mut client = wait::until("somebody listens", BOUND, || UnixStream::connect(&socket).ok()).unwrap();
        client.set_read_timeout(Some(BOUND)).unwrap();
        client.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        answer
    };
    for (command, status) in [("disable frontend fe", "PAUSED"), ("enable frontend fe", "OPEN")] {
        assert_eq!(rig.command(command), "\n");
        assert_eq!(column(&rig, "fe", "status"), status);
        assert!(ask().starts_with("HTTP/1.1 200 "), "{command}");
    }
    drop(rig);
    let _ = std::fs::remove_file(socket);
}

/// All workers share a unix socket: whoever closes it first leaves the others able to work.
#[test]
fn unix_sockets_are_closed_by_all_workers() {
    const FRONTENDS: usize = 24;
    let folder = std::env::temp_dir().join(format!("proxy-lab-unix-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let socket = |number| folder.join(format!("{number}.sock"));
    let mut config = CONFIG.replace("maxconn 200", "maxconn 200\n    nbthread 4");
    for number in 0..FRONTENDS {
        let _ = writeln!(config, "frontend u{number}\n    bind unix@{}", socket(number).display());
        config.push_str("    http-request return status 200\n");
    }
    let rig = Rig::start("unix-sockets", &config, answering(OK));
    for number in 0..FRONTENDS {
        wait::until("somebody listens", BOUND, || UnixStream::connect(socket(number)).ok()).unwrap();
        assert_eq!(rig.command(&format!("shutdown frontend u{number}")), "\n");
        let refused = || UnixStream::connect(socket(number)).is_err().then_some(());
        wait::until("nobody listens", BOUND, refused).unwrap();
        // Each worker is asked.
        assert!(rig.command("show sess").ends_with('\n'));
    }
    drop(rig);
    std::fs::remove_dir_all(folder).unwrap();
}

/// Who came too many is served as soon as an operator makes room, where haproxy 2.6 then stands still.
#[test]
fn limits_hold_from_now_on() {
    if Subject::from_env() == Subject::Theirs {
        return;
    }
    let rig = Rig::start("room", CONFIG, answering(OK));
    for (lower, raise) in [
        ("set maxconn frontend fe 1", "set maxconn frontend fe 10"),
        ("set maxconn global 1", "set maxconn global 0"),
        ("set maxconn frontend fe 0", "set maxconn frontend fe 10"),
    ] {
        assert_eq!(rig.command(lower), "\n");
        let none = lower.ends_with(" 0");
        let mut first = rig.connect();
        if !none {
            assert!(ask(&mut first).starts_with("HTTP/1.1 200 "), "{lower}");
        }
        let mut second = rig.connect();
        second.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
        second.set_read_timeout(Some(QUIET)).unwrap();
        assert!(second.read(&mut [0; 1]).is_err(), "{lower}");
        assert_eq!(rig.command(raise), "\n");
        assert!(read_all(&mut second, QUIET).0.starts_with("HTTP/1.1 200 "), "{raise}");
        drop((first, second));
        let left = || (figure(&rig, "CurrConns") == "0").then_some(());
        wait::until("nobody is there", BOUND, left).unwrap();
    }
}
