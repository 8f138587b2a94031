//! Stick tables: what is counted and when, what rules ask, what operators see, and who sticks to which server.
//!
//! `stick.txt` has scenarios: `# NAME`, the lines of the sections, and after each step (`> …`) what haproxy 2.6 shows. A new one is
//! written without that, and haproxy adds it: `SUBJECT=theirs BLESS=1 cargo test -p integration-tests --test proxy stick`.

use super::rig::{BOUND, Rig};
use integration_tests::subject::Subject;
use integration_tests::wait;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

const CONFIG: &str = "
global
    stats socket {runtime} level admin
    nbthread 1
GLOBAL
defaults
    mode MODE
    timeout client 2s
    timeout server 300ms
    timeout connect 1s
    timeout tarpit 50ms
    balance roundrobin
frontend fe
    bind {front}
    stick-table type ip size 100 expire 1m store ALL
FRONTEND
    default_backend be
backend be
BACKEND
    server s1 ONE
    server s2 TWO
backend other
    stick-table type ip size 100 expire 1m store ALL
OTHERS
";

/// Everything that is counted by itself.
const ALL: &str = "conn_cnt,conn_cur,sess_cnt,http_req_cnt,http_err_cnt,http_fail_cnt,bytes_in_cnt,bytes_out_cnt,\
                   conn_rate(1m),sess_rate(1m),http_req_rate(1m),http_err_rate(1m),http_fail_rate(1m),bytes_in_rate(1m),\
                   bytes_out_rate(1m)";

/// Nothing is counted later than this after the answer. It is less than the time after which an idle client is let go.
const LATE: Duration = Duration::from_secs(1);

/// When nothing has changed for so many looks, nothing will.
const SETTLED: u32 = 15;

struct Scenario<'a> {
    name: &'a str,
    /// Lines of configuration, by the section they belong to.
    lines: HashMap<&'a str, String>,
    /// What is done, and what was seen then.
    steps: Vec<(&'a str, String)>,
}

fn scenarios(text: &str) -> Vec<Scenario<'_>> {
    let mut list: Vec<Scenario<'_>> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(name) = line.strip_prefix("# ") {
            list.push(Scenario { name, lines: HashMap::new(), steps: Vec::new() });
            continue;
        }
        let scenario = list.last_mut().expect("a scenario has a name");
        if let Some(step) = line.strip_prefix("> ") {
            scenario.steps.push((step, String::new()));
        } else if let Some(seen) = line.strip_prefix("  ") {
            let _ = writeln!(scenario.steps.last_mut().expect("something was done").1, "{seen}");
        } else {
            let (section, line) = line.split_once(": ").expect("SECTION: LINE");
            let _ = writeln!(scenario.lines.entry(section).or_default(), "    {line}");
        }
    }
    list
}

/// A server that answers with the status that the path names, and with its own name.
fn origin(name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for connection in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || answer(connection, name));
        }
    });
    address
}

fn answer(mut connection: TcpStream, name: &str) {
    let mut bytes = Vec::new();
    let mut block = [0; 4_096];
    loop {
        match connection.read(&mut block) {
            Ok(count @ 1..) => bytes.extend_from_slice(&block[..count]),
            Ok(0) | Err(_) => return,
        }
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        bytes.drain(..end + 4);
        let path = head.split(' ').nth(1).unwrap_or("/").trim_start_matches('/').split('?').next().unwrap_or_default();
        let response = match path {
            "close" => return,
            "silence" => continue,
            "junk" => "junk\r\n\r\n".to_owned(),
            path => {
                let status = path.parse().unwrap_or(200_u16);
                let token = head.split("token=").nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or("none");
                format!("HTTP/1.1 {status} X\r\nX-Token: {token}\r\nContent-Length: {}\r\n\r\n{name}", name.len())
            }
        };
        if connection.write_all(response.as_bytes()).is_err() {
            return;
        }
    }
}

/// A client with at most one connection.
struct Client<'r> {
    rig: &'r Rig,
    connection: Option<TcpStream>,
}

impl Client<'_> {
    /// Does a step; what is to be seen of it at once.
    fn step(&mut self, step: &str) -> Option<String> {
        let (verb, rest) = step.split_once(' ').unwrap_or((step, ""));
        match verb {
            "open" => {
                self.connection = Some(self.rig.connect());
                Some(String::new())
            }
            "close" => {
                self.connection = None;
                Some(String::new())
            }
            "send" => {
                let text = rest.replace("\\r", "\r").replace("\\n", "\n");
                self.open().write_all(text.as_bytes()).unwrap();
                Some(String::new())
            }
            "read" => Some(read(self.open())),
            "get" => {
                self.open().write_all(format!("GET {rest} HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes()).unwrap();
                Some(read(self.open()))
            }
            _ => None,
        }
    }

    fn open(&mut self) -> &mut TcpStream {
        self.connection.get_or_insert_with(|| self.rig.connect())
    }
}

/// The status and the body of one response, or that there is none.
fn read(connection: &mut TcpStream) -> String {
    let (mut bytes, mut block) = (Vec::new(), [0; 4_096]);
    connection.set_read_timeout(Some(BOUND)).unwrap();
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
            let length: usize = length.parse().unwrap();
            if bytes.len() >= end + 4 + length {
                let status = head.split(' ').nth(1).unwrap_or("?");
                let body = String::from_utf8_lossy(&bytes[end + 4..]);
                let body =
                    if body.starts_with("<html>") || body.is_empty() { "" } else { body.lines().next().unwrap() };
                return format!("{status} {body}").trim_end().to_owned() + "\n";
            }
        }
        match connection.read(&mut block) {
            Ok(count @ 1..) => bytes.extend_from_slice(&block[..count]),
            Ok(0) | Err(_) => return "closed\n".to_owned(),
        }
    }
}

/// What is in the tables: only what is not zero, without times and places in memory.
fn shown(rig: &Rig, tables: &str) -> String {
    let mut out = String::new();
    for table in tables.split(' ') {
        for line in rig.command(&format!("show table {table}")).lines().filter(|line| line.starts_with("0x")) {
            let words = line.split(' ').skip(1).filter(|word| !word.starts_with("exp=") && !word.ends_with("=0"));
            let _ = writeln!(out, "{table} {}", words.collect::<Vec<_>>().join(" "));
        }
    }
    out
}

/// The answer to a command, without places in memory; of a time that is left, only whether there is one.
fn said(rig: &Rig, command: &str) -> String {
    let blur = |word: &str| match word {
        word if word.starts_with("0x") => "0x:".to_owned(),
        "exp=0" => "exp=0".to_owned(),
        word if word.starts_with("exp=") => "exp=T".to_owned(),
        word => word.to_owned(),
    };
    let lines = rig.command(command);
    lines.lines().map(|line| line.split(' ').map(blur).collect::<Vec<_>>().join(" ") + "\n").collect()
}

/// haproxy hands its tables to the next process by the peers protocol; here the process stays, and the tables do.
#[test]
fn clients_stick_over_a_reload() {
    if Subject::from_env() == Subject::Theirs {
        return;
    }
    let config = CONFIG
        .replace("MODE", "http")
        .replace("GLOBAL\n", "")
        .replace("FRONTEND\n", "    http-request track-sc0 src\n")
        .replace("BACKEND\n", "    stick-table type ip size 10 expire 1m\n    stick on src\n")
        .replace("OTHERS\n", "")
        .replace("ALL", ALL)
        .replace("ONE", &origin("one").to_string())
        .replace("TWO", &origin("two").to_string());
    let rig = Rig::start("stick-reload", &config, Vec::new());
    let ask = || Client { rig: &rig, connection: None }.step("get /200").unwrap_or_default();
    let first = ask();
    let more = |text: &str| text.to_owned() + "backend more\n    stick-table type ip size 7\n";
    rig.reload(more, |rig| rig.command("show table").contains("size:7"));
    for _ in 0..3 {
        assert_eq!(ask(), first, "the entry is still there");
    }
    let requests = |rig: &Rig| shown(rig, "fe").contains(" http_req_cnt=4 ");
    wait::until("the counter goes on", BOUND, || requests(&rig).then_some(())).unwrap();
    // Entries of a table that is another one now are not kept.
    let other = |text: &str| text.replace("size 10 expire 1m", "size 11 expire 1m");
    rig.reload(other, |rig| rig.command("show table be").starts_with("# table: be, type: ip, size:11, used:0"));
    assert!(requests(&rig), "the other tables are untouched");
}

fn run(scenario: &Scenario<'_>, blessing: bool) -> String {
    let (one, two) = (origin("one"), origin("two"));
    let lines = |section: &str| scenario.lines.get(section).cloned().unwrap_or_default();
    let mode = scenario.lines.get("mode").map_or("http", |mode| mode.trim());
    let config = CONFIG
        .replace("MODE", mode)
        .replace("GLOBAL\n", &lines("global"))
        .replace("FRONTEND\n", &lines("frontend"))
        .replace("BACKEND\n", &lines("backend"))
        .replace("OTHERS\n", &lines("others"))
        .replace("ALL", ALL)
        .replace("ONE", &one.to_string())
        .replace("TWO", &two.to_string());
    let rig = Rig::start("stick", &config, Vec::new());
    let mut client = Client { rig: &rig, connection: None };
    let mut out = format!("# {}\n", scenario.name);
    for section in ["mode", "global", "frontend", "backend", "others"] {
        for line in lines(section).lines() {
            let _ = writeln!(out, "{section}: {}", line.trim_start());
        }
    }
    for (step, wanted) in &scenario.steps {
        let seen = client.step(step).unwrap_or_else(|| {
            let look = || match step.split_once(' ') {
                Some(("show", tables)) => shown(&rig, tables),
                Some(("run", command)) => said(&rig, command),
                _ => panic!("{}: no such step: {step}", scenario.name),
            };
            // What is not told to the client is known a little later. Who writes the golden file waits until nothing changes.
            let (mut last, mut same) = (String::new(), 0);
            let _ = wait::until("the tables are as haproxy's", LATE, || {
                let now = look();
                same = if now == last { same + 1 } else { 0 };
                last = now;
                if blessing { same > SETTLED } else { last == *wanted }.then_some(())
            });
            last
        });
        let _ = writeln!(out, "> {step}");
        for line in seen.lines() {
            let _ = writeln!(out, "  {line}");
        }
    }
    out + "\n"
}

#[test]
fn tables_are_haproxys() {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/proxy/stick.txt");
    let text = std::fs::read_to_string(golden).unwrap();
    let blessing = std::env::var_os("BLESS").is_some() && Subject::from_env() == Subject::Theirs;
    let list = scenarios(&text);
    let all: Vec<String> = list.iter().map(|scenario| run(scenario, blessing)).collect();
    if blessing {
        std::fs::write(golden, all.concat()).unwrap();
        return;
    }
    let wanted = text.split_inclusive("\n\n");
    let different = all.iter().zip(wanted).filter(|(got, wanted)| got != wanted);
    let differences: Vec<String> = different.map(|(got, wanted)| format!("{got}haproxy:\n{wanted}")).collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert_eq!(all.concat(), text);
}
