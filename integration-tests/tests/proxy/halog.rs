//! `halog`, haproxy's own reader of its logs, on the lines of either: what it makes of the same traffic is the same. The
//! expectations are what it says of haproxy's lines; `*` stands for a number that depends on the machine's speed.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use crate::log_targets::{received_udp, udp};
use crate::rig::{Rig, Step};

const CONFIG: &str = "
defaults
  mode http
  log {collector} local0
  option httplog
  timeout client 10s
  timeout server 300ms
  timeout connect 1s
  retries 0
frontend f
  bind {front}
  http-request deny if { path /deny }
  use_backend dead if { path /dead }
  use_backend slow if { path /slow }
  default_backend b
frontend t
  mode tcp
  option tcplog
  bind {second}
  default_backend tb
backend b
  server one {server}
backend dead
  server gone {dead}
backend slow
  server two {silent}
backend tb
  mode tcp
  server one {server}
";

/// What halog says to each question, in any order.
const ANSWERS: &[(&str, &[&str])] = &[
    (
        "-srv -H",
        &[
            "#srv_name 1xx 2xx 3xx 4xx 5xx other tot_req req_ok pct_ok avg_ct avg_rt",
            "b/one 0 3 0 0 0 0 3 3 100.0 * *",
            "dead/gone 0 0 0 0 1 0 1 0 0.0 0 0",
            "f/<NOSRV> 0 0 0 2 0 0 2 0 0.0 0 0",
            "slow/two 0 0 0 0 1 0 1 0 0.0 * 0",
        ],
    ),
    ("-st -H", &["200 3", "400 1", "403 1", "503 1", "504 1"]),
    ("-tc -H", &["-- 3", "PR 2", "SC 1", "sH 1"]),
    ("-cc -H", &["-- 7"]),
    ("-c -H", &["7"]),
    ("-c -e -H", &["2"]),
    ("-c -E -H", &["5"]),
    ("-c -hs 400:499 -H", &["2"]),
    ("-c -HS 200 -H", &["4"]),
    ("-c -tcn SC -H", &["1"]),
    ("-c -Q -H", &["0"]),
    ("-u -H", URLS),
    ("-uc -H", URLS),
    ("-ue -H", URLS),
    ("-ua -H", URLS),
    ("-ut -H", URLS),
    ("-uao -H", URLS),
    ("-uto -H", URLS),
    ("-uba -H", URLS),
    ("-ubt -H", URLS),
    ("-ic -H", &["#req err ttot tavg oktot okavg bavg btot src", "7 1 * * * * 109 769 127.0.0.1"]),
    ("-c", &["8"]),
];

const URLS: &[&str] = &[
    "#req err ttot tavg oktot okavg bavg btot src",
    "1 1 * * * * 0 0 \"<BADREQ>\"",
    "1 1 * * * * 192 192 /deny",
    "1 1 * * * * 198 198 /slow",
    "1 1 * * * * 217 217 /dead",
    "3 0 * * * * 54 162 /a",
];

/// The log of some requests, in the form that syslog daemons write to files.
fn log(name: &str) -> String {
    let collector = udp("127.0.0.1:0");
    // It accepts nothing, and the system does for it.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let second = crate::rig::free_address();
    let config = CONFIG
        .replace("{collector}", &collector.local_addr().unwrap().to_string())
        .replace("{silent}", &silent.local_addr().unwrap().to_string())
        .replace("{second}", &second.to_string());
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello";
    let rig = Rig::start(name, &config, vec![Step::ReadMessage, Step::Write(answer.into()), Step::Close]);
    let talk = |to, text: &str| {
        let mut client = TcpStream::connect(to).unwrap();
        client.write_all(text.as_bytes()).unwrap();
        client.read_to_end(&mut Vec::new()).unwrap();
    };
    for path in ["a", "a?x=1", "a", "deny", "dead", "slow?y"] {
        talk(rig.front, &format!("GET /{path} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n"));
    }
    talk(rig.front, "BAD\r\n\r\n");
    talk(second, "GET / HTTP/1.0\r\n\r\n");
    let mut text = String::new();
    while text.lines().count() < 8 {
        let line = received_udp(&collector);
        let (_, line) = line.split_once('>').unwrap();
        // What is said of the start is no traffic.
        if line.contains("127.0.0.1:") {
            let (date, rest) = line.split_at("Nov 29 06:01:24".len());
            let _ = write!(text, "{date} localhost{rest}");
        }
    }
    text
}

/// What halog says of lines.
fn halog(options: &str, lines: &str) -> (String, String) {
    let mut halog = Command::new("halog");
    let halog = halog.args(options.split(' ')).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut halog = halog.spawn().unwrap();
    halog.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = halog.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// Whether a line is what is expected, where `*` stands for any number.
pub(crate) fn is(line: &str, expected: &str) -> bool {
    let (mut words, mut wanted) = (line.split(' '), expected.split(' '));
    let same = |(word, wanted): (&str, &str)| word == wanted || (wanted == "*" && word.parse::<u32>().is_ok());
    words.by_ref().zip(wanted.by_ref()).all(same) && words.next().is_none() && wanted.next().is_none()
}

#[test]
fn halog_reads_the_lines() {
    let lines = log("halog");
    for (options, expected) in ANSWERS {
        let (answer, errors) = halog(options, &lines);
        // What is as frequent stands in any order.
        let answer: Vec<_> = answer.lines().collect();
        let said = |wanted: &&str| answer.iter().any(|line| is(line, wanted));
        let same = answer.len() == expected.len() && expected.iter().all(said);
        assert!(same, "halog {options}: {answer:#?} is not {expected:#?}\n{errors}\n{lines}");
    }
    // Lines for percentiles, as many as there are percentiles.
    for options in ["-pct -H", "-gt -H"] {
        let (answer, errors) = halog(options, &lines);
        assert!(answer.lines().count() > 3, "halog {options}: {answer}\n{errors}");
    }
    // And one for each pause between two connections; those of the same millisecond have none between them.
    let http = lines.lines().filter(|line| line.ends_with('"'));
    let times: BTreeSet<_> = http.map(|line| line.split(['[', ']']).nth(3).unwrap()).collect();
    let (answer, errors) = halog("-ad 0 -H", &lines);
    assert!(times.len() > 1, "a request took 300 ms: {times:?}");
    assert_eq!(answer.lines().count(), times.len() - 1, "{answer}\n{errors}\n{lines}");
}

/// The analyzer from `PyPI` that dashboards are made with; `deploy/setup --peers` installs it.
#[test]
fn haproxy_log_analysis_reads_the_lines() {
    let program = "haproxy_log_analysis";
    if Command::new(program).arg("--list-commands").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "{program} is not installed, and in CI a skip is an error");
        return;
    }
    // It knows requests only.
    let mut lines = log("log-analysis");
    lines = lines.split_inclusive('\n').filter(|line| line.ends_with("\"\n")).collect();
    let file = std::env::temp_dir().join(format!("log-analysis-{}.log", std::process::id()));
    std::fs::write(&file, &lines).unwrap();
    for (command, expected) in [
        ("counter", r#"{"COUNTER": 7}"#),
        ("http_methods", r#"{"HTTP_METHODS": [{"GET": 6}, {"invalid": 1}]}"#),
        ("ip_counter", r#"{"IP_COUNTER": [{"127.0.0.1": 7}]}"#),
        ("connection_type", r#"{"CONNECTION_TYPE": [{"https": 0}, {"http": 7}]}"#),
        ("request_path_counter", r#"{"/a": 2}"#),
        ("request_path_counter", r#"{"/slow?y": 1}"#),
        ("status_codes_counter", r#"{"200": 3}"#),
        ("status_codes_counter", r#"{"504": 1}"#),
        ("server_load", r#"{"one": 3}"#),
        ("server_load", r#"{"<NOSRV>": 2}"#),
        ("server_load", r#"{"gone": 1}"#),
    ] {
        let output = Command::new(program).arg("-l").arg(&file).args(["--json", "-c", command]).output().unwrap();
        let answer = String::from_utf8_lossy(&output.stdout);
        assert!(answer.contains(expected), "{command}: {answer} has no {expected}\n{lines}");
    }
    std::fs::remove_file(file).unwrap();
}
