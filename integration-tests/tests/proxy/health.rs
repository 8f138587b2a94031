//! What agents, traffic and administrators make of a server, and what becomes of its sessions: log lines and statistics word for
//! word as haproxy 2.6 has them.

use super::rig::{BOUND, Rig, Step, answering, read_all};
use integration_tests::wait;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const QUIET: Duration = Duration::from_millis(100);

/// An agent that says what it is told to.
struct Agent {
    address: SocketAddr,
    says: Arc<Mutex<String>>,
}

impl Agent {
    fn start(says: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let agent = Self { address: listener.local_addr().unwrap(), says: Arc::new(Mutex::new(says.to_owned())) };
        let says = Arc::clone(&agent.says);
        std::thread::spawn(move || {
            for mut asked in listener.incoming().map_while(Result::ok) {
                let answer = says.lock().unwrap().clone();
                // Without its question there is no answer.
                asked.set_read_timeout(Some(BOUND)).unwrap();
                let mut question = [0; 6];
                if asked.read_exact(&mut question).is_ok() && question == *b"hello\n" {
                    let _ = asked.write_all(answer.as_bytes());
                }
            }
        });
        agent
    }

    fn say(&self, line: &str) {
        line.clone_into(&mut self.says.lock().unwrap());
    }
}

/// A proxy with a runtime socket.
pub(crate) struct Proxy {
    pub(crate) rig: Rig,
    socket: PathBuf,
}

impl Proxy {
    /// `{socket}` in the configuration is the runtime socket's path.
    pub(crate) fn start(name: &str, config: &str, script: Vec<Step>) -> Self {
        let socket = std::env::temp_dir().join(format!("{name}-{}.sock", std::process::id()));
        let rig = Rig::start(name, &config.replace("{socket}", &socket.display().to_string()), script);
        // It is opened after those of the frontends.
        wait::until("the runtime socket", BOUND, || UnixStream::connect(&socket).ok()).unwrap();
        Self { rig, socket }
    }

    pub(crate) fn command(&self, command: &str) -> String {
        let mut socket = UnixStream::connect(&self.socket).unwrap();
        socket.write_all(format!("{command}\n").as_bytes()).unwrap();
        socket.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer
    }

    /// The next line of the log, without what comes before the text and without durations.
    pub(crate) fn log(&self) -> String {
        let line = self.rig.log_line();
        let text = line.split_once("]: ").map_or(&*line, |(_, text)| text);
        match text.split_once("check duration: ") {
            Some((before, after)) => {
                format!("{before}check duration: T{}", after.trim_start_matches(|c: char| c.is_ascii_digit()))
            }
            None => text.to_owned(),
        }
    }

    /// Columns of a server's statistics, joined by `|`, whether or not a check is under way.
    pub(crate) fn columns(&self, server: &str, columns: &str) -> String {
        self.columns_now(server, columns).replace("* ", "")
    }

    /// The same with `*` in front of the status while a check is under way, when nothing is told of the last one.
    pub(crate) fn columns_now(&self, server: &str, columns: &str) -> String {
        let csv = self.command("show stat");
        let mut lines = csv.lines();
        let names: Vec<&str> = lines.next().unwrap().trim_start_matches("# ").split(',').collect();
        let row = lines.find(|line| line.split(',').nth(1) == Some(server)).unwrap();
        let row: Vec<&str> = row.split(',').collect();
        let column = |name| row[names.iter().position(|known| *known == name).unwrap()];
        columns.split(' ').map(column).collect::<Vec<_>>().join("|")
    }

    fn wait_for(&self, server: &str, columns: &str, expected: &str) {
        let mut last = String::new();
        let reached = || {
            last = self.columns(server, columns);
            (last == expected).then_some(())
        };
        assert!(wait::until("the statistics", BOUND, reached).is_ok(), "{server}: {last} instead of {expected}");
    }

    /// Each line must come next, but for those of requests and connections.
    pub(crate) fn expect_log(&self, lines: &[&str]) {
        for expected in lines {
            let mut line = self.log();
            while line.starts_with("Connect from") || line.starts_with("fe ") {
                line = self.log();
            }
            assert_eq!(line, *expected);
        }
    }
}

const FRONT: &str = "
global
    log {log} local0
    nbthread 2
    stats socket {socket} level admin
defaults
    mode http
    log global
    timeout client 9s
    timeout server 9s
    timeout connect 1s
    timeout check 5s
    retries 0
frontend fe
    bind {front}
    default_backend be
";

const REQUEUED: &str = "0 sessions requeued, 0 total in queue.";

enum Act {
    Say(&'static str),
    Command(&'static str),
}
use Act::{Command, Say};

/// What the agent says or an administrator does, the lines that follow, and then: status, weight, limit, `agent_status`,
/// `agent_health`, `last_agt`.
const AGENT: &[(Act, &[&str], &str)] = &[
    (Say("50%\n"), &[], "no check|5||CHECKED|1|"),
    (
        Say("75%,up\n"),
        &["Agent check for server be/s1 succeeded, reason: Layer7 check passed, code: 0, info: \"via agent : up\", \
           check duration: Tms, status: 1/1 UP."],
        "no check|7||L7OK|1|via agent : up",
    ),
    (
        Say("fail # why\n"),
        &[
            "Agent check for server be/s1 failed, reason: Layer7 wrong status, code: 0, info: \"via agent : fail (why)\", \
             check duration: Tms, status: 0/1 DOWN.",
            "Server be/s1 is DOWN. 1 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.",
        ],
        "DOWN (agent)|7||L7STS|0|via agent : fail (why)",
    ),
    (Say("failed\n"), &[], "DOWN (agent)|7||CHECKED|0|agent reports an error : failed"),
    (
        Say("UP maxconn:30\n"),
        &[
            "Agent check for server be/s1 succeeded, reason: Layer7 check passed, code: 0, info: \"via agent : UP\", check \
             duration: Tms, status: 1/1 UP.",
            "Server be/s1 is UP. 2 active and 0 backup servers online. 0 sessions requeued, 0 total in queue.",
        ],
        "no check|7|30|L7OK|1|via agent : UP",
    ),
    (
        Say("drain maxconn:0\n"),
        &[
            "Server be/s1 enters drain state. 1 active and 0 backup servers online. 0 sessions requeued, 0 total in queue.",
        ],
        "DRAIN (agent)|7||CHECKED|1|",
    ),
    (Say("ready\n"), &["Server be/s1 is UP (leaving forced drain)."], "no check|7||CHECKED|1|"),
    (
        Say("maint\n"),
        &[
            "Server be/s1 is going DOWN for maintenance. 1 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 \
           remaining in queue.",
        ],
        "MAINT|7||CHECKED|1|",
    ),
    (Say("ready 100%\n"), &["Server be/s1 is UP/READY (leaving forced maintenance)."], "no check|10||CHECKED|1|"),
    (Say("up"), &[], "no check|10||CHECKED|1|Ignoring incomplete line from agent"),
    (
        Say(""),
        &[
            "Agent check for server be/s1 failed, reason: Layer7 invalid response, info: \"TCPCHK got an empty response at \
           step 2\", check duration: Tms, status: 1/1 UP.",
        ],
        "no check|10||L7RSP|1|TCPCHK got an empty response at step 2",
    ),
    (
        Command("set server be/s1 agent down"),
        &[
            "Server be/s1 is DOWN, changed from CLI. 1 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 \
           remaining in queue.",
        ],
        "DOWN (agent)|10||L7RSP|0|TCPCHK got an empty response at step 2",
    ),
    (
        Command("set server be/s1 agent up"),
        &[
            "Server be/s1 is UP, changed from CLI. 2 active and 0 backup servers online. 0 sessions requeued, 0 total in \
           queue.",
        ],
        "no check|10||L7RSP|1|TCPCHK got an empty response at step 2",
    ),
    (Command("disable agent be/s1"), &[], "no check|10||||"),
    (Command("set server be/s1 weight 50%"), &[], "no check|5||||"),
    (Command("enable agent be/s1"), &[], "no check|5||L7RSP|1|TCPCHK got an empty response at step 2"),
];

#[test]
fn an_agent_is_obeyed_in_haproxys_words() {
    let agent = Agent::start("5% 100%\n");
    let port = agent.address.port();
    let config = format!(
        "{FRONT}backend be\n option log-health-checks\n \
         server s1 {{server}} weight 10 agent-check agent-port {port} agent-inter 100 agent-send hello\\n\n \
         server s2 {{server}}\n"
    );
    let proxy = Proxy::start("agent", &config, answering(OK));
    let columns = "status weight slim agent_status agent_health last_agt";
    proxy.wait_for("s1", columns, "no check|10||CHECKED|1|");
    for (act, lines, state) in AGENT {
        match act {
            Say(line) => agent.say(line),
            Command(command) => assert_eq!(proxy.command(command), "\n", "{command}"),
        }
        proxy.expect_log(lines);
        proxy.wait_for("s1", columns, state);
    }
}

#[test]
fn an_agent_is_asked_elsewhere_when_an_administrator_says_so() {
    let (here, there) = (Agent::start("10%\n"), Agent::start("20%\n"));
    let config = format!(
        "{FRONT}backend be\n server s1 {{server}} weight 100 agent-check agent-port {} agent-inter 100 agent-send hello\\n\n",
        here.address.port()
    );
    let proxy = Proxy::start("agent-place", &config, answering(OK));
    proxy.wait_for("s1", "weight", "10");
    let port = there.address.port();
    assert_eq!(proxy.command(&format!("set server be/s1 agent-addr 127.0.0.1 port {port}")), "\n");
    proxy.wait_for("s1", "weight", "20");
    assert_eq!(proxy.command("set server be/s1 agent-send bye"), "\n");
    // The agent waits for more of the question.
    proxy.wait_for("s1", "agent_status", "L7TOUT");
    assert_eq!(proxy.command("set server be/s1 agent-addr nowhere"), "invalid addr 'nowhere'\n");
    assert_eq!(proxy.command("set server be/s1 agent-port 99999"), "provided port is invalid\n");
    assert_eq!(proxy.command("disable agent be/s9"), "No such server.\n\n");
    assert_eq!(proxy.command("disable agent"), "Require 'backend/server'.\n\n");
}

#[test]
fn those_that_track_a_server_follow_agent_and_administrator() {
    let agent = Agent::start("up\n");
    let config = format!(
        "{FRONT}backend be\n server s1 {{server}} agent-check agent-port {} agent-inter 100 agent-send hello\\n\n \
         server s2 {{server}} track be/s1\n",
        agent.address.port()
    );
    let proxy = Proxy::start("agent-track", &config, answering(OK));
    proxy.wait_for("s1", "agent_status", "L7OK");
    let left = "0 sessions active, 0 requeued, 0 remaining in queue.";
    let none = "backend be has no server available!";
    agent.say("down\n");
    proxy.expect_log(&[
        &format!(
            "Server be/s1 is DOWN, reason: Layer7 wrong status, code: 0, info: \"via agent : down\", check duration: Tms. 1 \
             active and 0 backup servers left. {left}"
        ),
        &format!("Server be/s2 is DOWN via be/s1. 0 active and 0 backup servers left. {left}"),
        none,
    ]);
    assert_eq!(proxy.columns("s2", "status tracked check_status"), "DOWN (agent)|be/s1|");
    agent.say("up\n");
    proxy.expect_log(&[
        &format!(
            "Server be/s1 is UP, reason: Layer7 check passed, code: 0, info: \"via agent : up\", check duration: Tms. 1 active \
             and 0 backup servers online. {REQUEUED}"
        ),
        &format!("Server be/s2 is UP via be/s1. 2 active and 0 backup servers online. {REQUEUED}"),
    ]);
    assert_eq!(proxy.command("set server be/s1 state drain"), "\n");
    proxy.expect_log(&[
        &format!("Server be/s1 enters drain state. 1 active and 0 backup servers online. {REQUEUED}"),
        &format!("Server be/s2 enters drain state via be/s1. 0 active and 0 backup servers online. {REQUEUED}"),
        none,
    ]);
    assert_eq!(proxy.command("set server be/s1 state maint"), "\n");
    proxy.expect_log(&[
        &format!("Server be/s1 is going DOWN for maintenance. 0 active and 0 backup servers left. {left}"),
        &format!("Server be/s2 is going DOWN for maintenance via be/s1. 0 active and 0 backup servers left. {left}"),
    ]);
    assert_eq!(proxy.columns("s2", "status"), "MAINT (via be/s1)");
    assert_eq!(proxy.command("set server be/s1 state ready"), "\n");
    proxy.expect_log(&[
        "Server be/s1 is UP/READY (leaving forced maintenance).",
        "Server be/s2 is UP/READY (leaving maintenance).",
    ]);
}

/// What a server answers, and what is said of it.
const OBSERVED: &[(&[u8], &str)] = &[
    (b"HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n", "Wrong http response"),
    (b"garbage\r\n\r\n", "Invalid http response (headers)"),
    (b"", "Close from server (http)"),
    (b"HTTP/1.1 200 OK\r\ncont", "Close from server (http)"),
];

#[test]
fn traffic_counts_as_evidence() {
    for (answer, last) in OBSERVED {
        let checked = TcpListener::bind("127.0.0.1:0").unwrap();
        let config = format!(
            "{FRONT}backend be\n option log-health-checks\n server s1 {{server}} check inter 20s rise 1 fall 3 port {} observe \
             layer7 error-limit 2\n",
            checked.local_addr().unwrap().port()
        );
        let script = vec![Step::ReadMessage, Step::Write(answer.to_vec()), Step::Close];
        let proxy = Proxy::start("observe", &config, script);
        proxy.expect_log(&[
            "Health check for server be/s1 succeeded, reason: Layer4 check passed, check duration: Tms, status: 3/3 UP.",
        ]);
        for _ in 0..2 {
            let mut client = proxy.rig.connect();
            client.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
            read_all(&mut client, QUIET);
        }
        let line = format!(
            "Health check for server be/s1 failed, reason: Health analyze, info: \"Detected 2 consecutive errors, last one was: \
             {last}\", status: 2/3 UP."
        );
        proxy.expect_log(&[&line]);
        proxy.wait_for("s1", "status hanafail check_status", "UP 2/3|1|HANA");
    }
}

#[test]
fn what_follows_from_errors_is_configured() {
    for (on_error, lines, status) in
        [("mark-down", "0/1 DOWN", "DOWN"), ("sudden-death", "1/3 UP", "UP 1/3"), ("fail-check", "2/3 UP", "UP 2/3")]
    {
        let checked = TcpListener::bind("127.0.0.1:0").unwrap();
        let config = format!(
            "{FRONT}backend be\n option log-health-checks\n server s1 {{dead}} check inter 20s rise 1 fall 3 port {} observe \
             layer4 error-limit 1 on-error {on_error}\n",
            checked.local_addr().unwrap().port()
        );
        let proxy = Proxy::start("on-error", &config, answering(OK));
        proxy.expect_log(&[
            "Health check for server be/s1 succeeded, reason: Layer4 check passed, check duration: Tms, status: 3/3 UP.",
        ]);
        let mut client = proxy.rig.connect();
        client.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
        assert!(read_all(&mut client, QUIET).0.starts_with("HTTP/1.1 503 "));
        let line = format!(
            "Health check for server be/s1 failed, reason: Health analyze, info: \"Detected 1 consecutive errors, last one was: \
             L4 unsuccessful connection\", status: {lines}."
        );
        proxy.expect_log(&[&line]);
        proxy.wait_for("s1", "status", status);
    }
}

#[test]
fn an_error_is_followed_by_a_check_at_the_fast_pace() {
    let checked = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = format!(
        "{FRONT}backend be\n server s1 {{dead}} check inter 20s fastinter 50ms rise 1 fall 3 port {} observe layer4 error-limit 1 \
         on-error mark-down\n",
        checked.local_addr().unwrap().port()
    );
    let proxy = Proxy::start("fastinter", &config, answering(OK));
    proxy.wait_for("s1", "check_status", "L4OK");
    let mut client = proxy.rig.connect();
    client.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    read_all(&mut client, QUIET);
    // Whether the session that made the error is still there is a matter of microseconds.
    let mut down = proxy.log();
    while down.starts_with("Connect from") {
        down = proxy.log();
    }
    assert_eq!(
        down.replace(" 1 sessions active", " 0 sessions active"),
        "Server be/s1 is DOWN, reason: Health analyze, info: \"Detected 1 consecutive errors, last one was: L4 unsuccessful \
         connection\". 0 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue."
    );
    proxy.expect_log(&[
        "backend be has no server available!",
        &format!(
            "Server be/s1 is UP, reason: Layer4 check passed, check duration: Tms. 1 active and 0 backup servers online. {REQUEUED}"
        ),
    ]);
}

/// The server's answer before it falls silent, the command that ends the session, and what the log and the client see.
const SHUT: &[(&[u8], &str, &str, &str)] = &[
    (b"", "set server be/s1 health down", "DH--", "HTTP/1.1 502 "),
    (b"", "set server be/s1 state maint", "DH--", "HTTP/1.1 502 "),
    (b"", "shutdown sessions server be/s1", "KH--", "HTTP/1.1 502 "),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", "set server be/s1 health down", "DD--", "HTTP/1.1 200 "),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", "shutdown sessions server be/s1", "KD--", "HTTP/1.1 200 "),
];

#[test]
fn sessions_end_with_their_server() {
    for (answer, command, state, status) in SHUT {
        let checked = TcpListener::bind("127.0.0.1:0").unwrap();
        let config = format!(
            "{FRONT}backend be\n server s1 {{server}} check inter 20s port {} on-marked-down shutdown-sessions\n",
            checked.local_addr().unwrap().port()
        )
        .replace("log global", "log global\n option httplog");
        let script = vec![Step::ReadMessage, Step::Write(answer.to_vec()), Step::ReadToEnd];
        let proxy = Proxy::start("shut", &config, script);
        proxy.wait_for("s1", "check_status", "L4OK");
        let mut client = proxy.rig.connect();
        client.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
        proxy.rig.origin.message();
        proxy.wait_for("s1", "scur", "1");
        if !answer.is_empty() {
            let mut first = [0; 9];
            client.read_exact(&mut first).unwrap();
            assert_eq!(first, *b"HTTP/1.1 ");
        }
        assert_eq!(proxy.command(command), "\n");
        let (rest, _) = read_all(&mut client, QUIET);
        let whole = if answer.is_empty() { rest } else { format!("HTTP/1.1 {rest}") };
        assert!(whole.starts_with(status), "{command}: {whole}");
        let mut line = proxy.rig.log_line();
        while !line.starts_with("fe be/s1 ") {
            line = proxy.rig.log_line();
        }
        assert!(line.contains(&format!(" {state} ")), "{command}: {line}");
    }
}

#[test]
fn sessions_of_backup_servers_end_when_another_server_comes_up() {
    let checked = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = format!(
        "{FRONT}backend be\n server s1 {{dead}} check inter 20s port {} on-marked-up shutdown-backup-sessions\n server s2 \
         {{server}} backup\n",
        checked.local_addr().unwrap().port()
    )
    .replace("log global", "log global\n option httplog");
    let proxy = Proxy::start("shut-backup", &config, vec![Step::ReadMessage, Step::ReadToEnd]);
    proxy.wait_for("s1", "check_status", "L4OK");
    assert_eq!(proxy.command("set server be/s1 health down"), "\n");
    let mut client = proxy.rig.connect();
    client.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    proxy.rig.origin.message();
    assert_eq!(proxy.command("set server be/s1 health up"), "\n");
    assert!(read_all(&mut client, QUIET).0.starts_with("HTTP/1.1 502 "));
    let mut line = proxy.rig.log_line();
    while !line.starts_with("fe be/s2 ") {
        line = proxy.rig.log_line();
    }
    assert!(line.contains(" UH-- "), "{line}");
}

#[test]
fn commands_that_change_servers_are_for_administrators() {
    let config =
        format!("{FRONT}backend be\n server s1 {{server}} weight 10\n").replace("level admin", "level operator");
    let proxy = Proxy::start("level", &config, answering(OK));
    for command in [
        "set server be/s1 state drain",
        "set weight be/s1 3",
        "set maxconn server be/s1 3",
        "disable agent be/s1",
        "disable server be/s1",
        "shutdown sessions server be/s1",
    ] {
        assert_eq!(proxy.command(command), "Permission denied\n\n", "{command}");
    }
    assert_eq!(proxy.command("get weight be/s1"), "10 (initial 10)\n\n");
}

#[test]
fn states_of_servers_are_shown_in_haproxys_format() {
    let config = format!(
        "{FRONT}backend be\n id 77\n server s1 127.0.0.1:1 id 9 weight 10 agent-check agent-port 2 agent-addr 127.0.0.3 \
         agent-inter 300\n server s2 127.0.0.1:1 disabled check inter 200\n server s3 [::1]:80 maxconn 7\n server s4 127.0.0.1:1 \
         check inter 200 port 3 addr 127.0.0.2\n"
    );
    let proxy = Proxy::start("states", &config, answering(OK));
    proxy.wait_for("s4", "check_status", "L4CON");
    let shown = proxy.command("show servers state be");
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines[0], "1");
    assert!(lines[1].starts_with("# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state "), "{shown}");
    // The time since the last change is whatever it is.
    let line = |index: usize| {
        let words: Vec<&str> = lines[index].split(' ').collect();
        words.iter().enumerate().map(|(at, word)| if at == 9 { "T" } else { word }).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line(2), "77 be 9 s1 127.0.0.1 2 0 10 10 T 1 0 2 0 22 1 1 - 1 - 0 0 - 127.0.0.3 2");
    assert_eq!(line(3), "77 be 2 s2 127.0.0.1 0 5 1 1 T 1 0 0 14 0 1 0 - 1 - 0 0 - - 0");
    assert_eq!(line(4), "77 be 3 s3 ::1 2 0 1 1 T 1 0 2 0 0 1 0 - 80 - 0 0 - - 0");
    assert_eq!(line(5), "77 be 4 s4 127.0.0.1 0 0 1 1 T 8 2 0 6 0 1 0 - 1 - 0 3 127.0.0.2 127.0.0.2 3");
    assert_eq!(proxy.command("show servers state nope"), "Can't find backend.\n\n");
    let connections = proxy.command("show servers conn be");
    assert!(connections.starts_with("# bkname/svname bkid/svid addr port - purge_delay used_cur used_max need_est "));
    assert!(connections.contains("\nbe/s3 77/3 ::1 80 - 5000 0 0 0 0 0 -1 0 0 0\n"), "{connections}");
}

/// A file of this process that others do not see.
fn file(name: &str, text: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("health-{name}-{}", std::process::id()));
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn a_program_tells_how_a_server_is() {
    let told = file("told", "");
    let program = file(
        "program",
        &format!(
            "#!/bin/sh\nif [ \"$HAPROXY_SERVER_NAME\" = s1 ]; then\n  env | grep -E '^(HAPROXY|PATH)' | sort > {0}.new\n  echo \
             \"$#|$1|$2|$3|$4\" >> {0}.new\n  mv {0}.new {0}\nfi\ncase $HAPROXY_SERVER_NAME in s2) exit 3;; s3) sleep 60;; \
             esac\n",
            told.display()
        ),
    );
    let mut mode = std::fs::metadata(&program).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut mode, 0o755);
    std::fs::set_permissions(&program, mode).unwrap();
    let config = format!(
        "{FRONT}backend be\n id 77\n option external-check\n external-check command {}\n external-check path /usr/bin:/bin\n \
         timeout check 1s\n server s1 127.0.0.1:8001 check inter 200 maxconn 9\n server s2 127.0.0.1:8002 check inter 200\n \
         server s3 127.0.0.1:8003 check inter 200\n",
        program.display()
    )
    .replace("\nglobal\n", "\nglobal\n external-check\n insecure-fork-wanted\n");
    let proxy = Proxy::start("external", &config, answering(OK));
    proxy.wait_for("s1", "status check_status check_code check_desc", "UP|PROCOK|0|External check passed");
    proxy.wait_for("s2", "status check_status check_code check_desc", "DOWN|PROCERR|3|External check error");
    proxy.wait_for("s3", "status check_status check_code check_desc", "DOWN|PROCTOUT|0|External check timeout");
    let seen = wait::until("what the program was told", BOUND, || {
        Some(std::fs::read_to_string(&told).ok()?).filter(|told| !told.is_empty())
    });
    assert_eq!(
        seen.unwrap(),
        "HAPROXY_PROXY_ADDR=\nHAPROXY_PROXY_ID=77\nHAPROXY_PROXY_NAME=be\nHAPROXY_PROXY_PORT=\n\
         HAPROXY_SERVER_ADDR=127.0.0.1\nHAPROXY_SERVER_CURCONN=0\nHAPROXY_SERVER_ID=1\nHAPROXY_SERVER_MAXCONN=9\n\
         HAPROXY_SERVER_NAME=s1\nHAPROXY_SERVER_PORT=8001\nHAPROXY_SERVER_PROTO=h1\nHAPROXY_SERVER_SSL=0\n\
         PATH=/usr/bin:/bin\n4|NOT_USED|NOT_USED|127.0.0.1|8001\n"
    );
    for path in [told, program] {
        let _ = std::fs::remove_file(path);
    }
}

#[test]
fn a_process_takes_over_what_the_one_before_it_knew() {
    let state = file(
        "state",
        "1\n# be_id be_name srv_id srv_name and so on\n\
         9 be 1 s1 127.0.0.1 0 0 10 10 100 8 2 0 6 0 0 0 - 1 - 0 0 - - 0\n\
         9 be 2 s2 127.0.0.1 2 1 10 10 100 6 3 4 14 0 0 0 - 1 - 0 0 - - 0\n\
         9 be 3 s3 127.0.0.1 2 8 5 10 100 6 3 4 6 0 0 0 - 1 - 0 0 - - 0\n\
         9 be 4 s4 127.0.0.1 2 0 5 10 100 6 3 4 6 0 0 0 - 1 - 0 0 - - 0\n\
         9 be 5 s5 127.0.0.1 3 0 5 10 100 16 4 4 6 0 0 0 - 1 - 0 0 - - 0\n\
         9 be 6 s6 127.0.0.1 0 0 5 10 100 1 0 0 0 0 0 0 - 1 - 0 0 - - 0\n",
    );
    let checked = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = checked.local_addr().unwrap().port();
    // The checks come too late to change anything.
    let check = format!("check inter 90s port {port}");
    let config = format!(
        "{FRONT}backend be\n load-server-state-from-file global\n server s0 127.0.0.1:1 {check}\n server s1 127.0.0.1:1 weight 10 \
         {check}\n server s2 127.0.0.1:1 weight 10 {check}\n server s3 127.0.0.1:1 weight 10 {check}\n server s4 127.0.0.1:1 \
         weight 12 {check}\n server s5 127.0.0.1:1 weight 10 {check}\n server s6 127.0.0.1:1 weight 10\n"
    )
    .replace("\nglobal\n", &format!("\nglobal\n server-state-file {}\n", state.display()));
    let proxy = Proxy::start("state-file", &config, answering(OK));
    for (server, expected) in [
        ("s1", "DOWN|10"),
        ("s2", "MAINT|10"),
        ("s3", "DRAIN|5"),
        ("s4", "UP|12"),
        ("s5", "NOLB 1/3|5"),
        ("s6", "DOWN|5"),
    ] {
        assert_eq!(proxy.columns(server, "status weight"), expected, "{server}");
        let since: u64 = proxy.columns(server, "lastchg").parse().unwrap();
        assert!((100..130).contains(&since), "{server}: {since}");
    }
    let _ = std::fs::remove_file(state);
}

#[test]
fn a_lower_class_leaves_the_queue_first() {
    let config = format!(
        "{FRONT}backend be\n timeout queue 9s\n http-request set-priority-class int(5) if {{ path_beg /later }}\n \
         http-request set-priority-class int(-5) if {{ path_beg /sooner }}\n http-request set-priority-offset int(-60000) if {{ \
         path_end /early }}\n server s1 {{server}} maxconn 1\n"
    );
    let proxy = Proxy::start("priority", &config, answering(OK));
    let mut busy = proxy.rig.connect();
    busy.write_all(b"POST /slow HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbo").unwrap();
    proxy.rig.origin.wait_for_connection();
    let paths = ["/later/a", "/b", "/sooner/c", "/d", "/later/early"];
    let mut waiting: Vec<_> = paths
        .iter()
        .zip(1..)
        .map(|(path, queued)| {
            let mut client = proxy.rig.connect();
            write!(client, "GET {path} HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
            // Workers do not wait for each other: one that was read is in the queue only when it is counted there.
            proxy.wait_for("BACKEND", "qcur", &format!("{queued}"));
            client
        })
        .collect();
    busy.write_all(b"dy").unwrap();
    for client in &mut waiting {
        assert!(read_all(client, QUIET).0.starts_with("HTTP/1.1 200 "));
    }
    // In the server's order: lines of the log are sent by the worker that served, when it finds the time.
    let served: Vec<String> =
        (0..=paths.len()).filter_map(|_| proxy.rig.origin.message().split(' ').nth(1).map(str::to_owned)).collect();
    assert_eq!(served, ["/slow", "/sooner/c", "/b", "/d", "/later/early", "/later/a"]);
}
