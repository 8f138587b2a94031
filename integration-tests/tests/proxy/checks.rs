//! Health checks of servers that accept and say nothing, close at once, answer garbage or half of what they should: the words for
//! them, and that others are not affected. `checks.txt` is what haproxy 2.6 says (`SUBJECT=theirs BLESS=1` writes it).

use super::rig::{BOUND, Rig, answering, read_all};
use integration_tests::subject::Subject;
use integration_tests::wait;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const QUIET: Duration = Duration::from_millis(100);

/// A kind of check: its lines, and the beginning of what a server of that kind says to it.
struct Kind {
    name: &'static str,
    lines: &'static str,
    right: &'static [u8],
}

/// A greeting of `MariaDB` 10: a packet's length in three bytes, its number, its content.
const MYSQL_GREETING: &[u8] =
    b"\x59\0\0\0\x0a5.5.5-10.11.6-MariaDB\0\x24\0\0\0abcdefgh\0\xfe\xf7\x08\x02\0\xff\x81\x15\0\0\0\0\
    \0\0\x1d\0\0\0abcdefghijkl\0mysql_native_password\0";
const MYSQL_OK: &[u8] = b"\x07\0\0\x02\0\0\0\x02\0\0\0";
const MYSQL_DENIED: &[u8] = b"\x16\0\0\x02\xff\x15\x04#28000Access denied";

const KINDS: &[Kind] = &[
    Kind { name: "http", lines: "option httpchk GET /", right: b"HTTP/1.0 200 OK\r\nX: y\r\n\r\n" },
    Kind {
        name: "http-expect",
        lines: "option httpchk GET /\n    http-check expect string well",
        right: b"HTTP/1.0 200 OK\r\n\r\nall is well",
    },
    Kind {
        name: "tcp-expect",
        lines: "option tcp-check\n    tcp-check send hello\\r\\n\n    tcp-check expect string world",
        right: b"the world",
    },
    Kind { name: "smtp", lines: "option smtpchk", right: b"220 h ESMTP\r\n" },
    Kind { name: "mysql", lines: "option mysql-check", right: MYSQL_GREETING },
    Kind { name: "mysql-user", lines: "option mysql-check user haproxy", right: MYSQL_GREETING },
    Kind { name: "pgsql", lines: "option pgsql-check user haproxy", right: b"R\0\0\0\x08\0\0\0\0" },
    Kind { name: "redis", lines: "option redis-check", right: b"+PONG\r\n" },
    Kind { name: "ldap", lines: "option ldap-check", right: b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\0\x04\0\x04\0" },
    Kind { name: "ssl-hello", lines: "option ssl-hello-chk", right: b"\x16\x03\0\0\x01\x02" },
];

/// What a server does with a connection.
#[derive(Clone)]
enum Manner {
    Silent,
    /// Closes, once it was spoken to where it is the proxy that speaks first.
    Close {
        after_question: bool,
    },
    /// Breaks the connection off when it is spoken to.
    Reset,
    /// Says this and closes when the client does.
    Say(Vec<u8>),
    /// Says this and closes.
    SayAndClose(Vec<u8>),
    /// Says this when it is spoken to, and breaks the connection off.
    SayAndReset(Vec<u8>),
}

fn serve(manner: Manner) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let manner = manner.clone();
            std::thread::spawn(move || behave(client, &manner));
        }
    });
    address
}

fn behave(mut client: TcpStream, manner: &Manner) {
    let linger = |client: &mut TcpStream| {
        let mut block = [0; 256];
        while matches!(client.read(&mut block), Ok(1..)) {}
    };
    match manner {
        Manner::Silent => linger(&mut client),
        Manner::Close { after_question: false } => {}
        Manner::Close { after_question: true } => {
            let _ = client.read(&mut [0; 256]);
        }
        Manner::Reset => {
            let _ = client.read(&mut [0; 1]);
        }
        Manner::Say(bytes) => {
            let _ = client.write_all(bytes);
            linger(&mut client);
        }
        Manner::SayAndReset(bytes) => {
            let _ = client.read(&mut [0; 256]);
            let _ = client.write_all(bytes);
            let _ = socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO));
        }
        Manner::SayAndClose(bytes) => {
            let _ = client.write_all(bytes);
            let _ = client.shutdown(std::net::Shutdown::Write);
            linger(&mut client);
        }
    }
}

fn manners(kind: &Kind) -> Vec<(&'static str, Manner)> {
    let half = kind.right[..kind.right.len() / 2].to_vec();
    let mut manners = vec![
        ("silent", Manner::Silent),
        ("closes", Manner::Close { after_question: !matches!(kind.name, "smtp" | "mysql") }),
        ("right", Manner::Say(kind.right.to_vec())),
        ("right, closes", Manner::SayAndClose(kind.right.to_vec())),
        ("half", Manner::Say(half.clone())),
        ("half, closes", Manner::SayAndClose(half)),
        ("one byte", Manner::Say(kind.right[..1].to_vec())),
        ("one byte, closes", Manner::SayAndClose(kind.right[..1].to_vec())),
        ("garbage", Manner::Say(b"\xff\xfe garbage\0\r\n\r\n".to_vec())),
        ("garbage, closes", Manner::SayAndClose(b"\xff\xfe garbage\0\r\n\r\n".to_vec())),
        ("much", Manner::SayAndClose(vec![b'x'; 100_000])),
    ];
    let with = |more: &[u8]| [kind.right, more].concat();
    match kind.name {
        "smtp" | "mysql" => {}
        _ => manners.push(("breaks off", Manner::Reset)),
    }
    match kind.name {
        "mysql-user" => {
            manners.push(("accepts", Manner::Say(with(MYSQL_OK))));
            manners.push(("denies", Manner::Say(with(MYSQL_DENIED))));
        }
        "pgsql" => manners.push(("denies", Manner::Say(b"E\0\0\0\x14SFATAL\0Mno way\0\0".to_vec()))),
        "redis" => manners.push(("denies", Manner::Say(b"-NOAUTH Authentication required.\r\n".to_vec()))),
        "smtp" => manners.push(("denies", Manner::Say(b"554 go away\r\n".to_vec()))),
        "http" => manners.push(("denies", Manner::Say(b"HTTP/1.0 503 No\r\n\r\n".to_vec()))),
        _ => {}
    }
    manners
}

const FRONT: &str = "
global
    log {log} local0
    stats socket {runtime} level admin
defaults
    mode tcp
    timeout client 5s
    timeout server 5s
    timeout connect 1s
    timeout check 400ms
listen fe
    bind {front}
    server s {server}
";

/// Notes status, kind of result, code and text of every server whose check has ended.
fn note(rig: &Rig, found: &mut BTreeMap<usize, String>) {
    let csv = rig.command("show stat");
    let mut lines = csv.lines();
    let names: Vec<&str> = lines.next().unwrap_or_default().trim_start_matches("# ").split(',').collect();
    for row in lines.map(fields).filter(|row| row.len() >= names.len() && row[1] == "s") {
        let column = |name| names.iter().position(|known| *known == name).map_or("", |at| row[at].as_str());
        let Some(number) = row[0].strip_prefix("c-").and_then(|number| number.parse().ok()) else { continue };
        let status = column("check_status");
        if !status.starts_with('*') && !status.is_empty() && status != "INI" {
            let words = [column("status"), status, column("check_code"), column("last_chk")];
            found.insert(number, words.join("|"));
        }
    }
}

/// The fields of a line of CSV, of which some are quoted.
fn fields(line: &str) -> Vec<String> {
    let (mut fields, mut quoted) = (vec![String::new()], false);
    for character in line.chars() {
        match character {
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            other => fields.last_mut().unwrap().push(other),
        }
    }
    fields
}

/// What becomes of the first check of each server.
fn results(name: &str, config: &str, servers: usize) -> BTreeMap<usize, String> {
    let rig = Rig::start(name, config, answering(OK));
    let mut found = BTreeMap::new();
    let all = || {
        note(&rig, &mut found);
        (found.len() == servers).then_some(())
    };
    wait::until("all are checked", BOUND, all).unwrap();
    found
}

/// Who breaks off in the middle of an answer is judged as one who closes there. haproxy's word depends on whether it sees the reset
/// together with the answer.
#[test]
fn who_breaks_off_is_judged_by_the_answer() {
    if Subject::from_env() == Subject::Theirs {
        return;
    }
    let kinds = KINDS.iter().filter(|kind| !matches!(kind.name, "smtp" | "mysql" | "mysql-user"));
    let (mut config, mut expected) = (FRONT.to_owned(), Vec::new());
    let told = include_str!("checks.txt");
    for (number, kind) in kinds.enumerate() {
        let address = serve(Manner::SayAndReset(kind.right[..kind.right.len() / 2].to_vec()));
        let _ = writeln!(config, "backend c-{number}\n    {}", kind.lines);
        let _ = writeln!(config, "    server s {address} check inter 1s fall 1 rise 1");
        let line = told.lines().find_map(|line| line.strip_prefix(&format!("{}: half, closes: ", kind.name)));
        expected.push(line.unwrap());
    }
    let found = results("checks-broken-off", &config, expected.len());
    assert_eq!(found.values().collect::<Vec<_>>(), expected);
}

#[test]
fn what_is_said_of_odd_servers() {
    let (mut config, mut names) = (FRONT.to_owned(), Vec::new());
    for kind in KINDS {
        for (name, manner) in manners(kind) {
            let address = serve(manner);
            let _ = writeln!(config, "backend c-{}\n    {}", names.len(), kind.lines);
            let _ = writeln!(config, "    server s {address} check inter 1s fall 1 rise 1");
            names.push(format!("{}: {name}", kind.name));
        }
    }
    let found = results("odd-checks", &config, names.len());
    let lines = names.iter().zip(found.values()).map(|(name, result)| format!("{name}: {result}\n"));
    let told = lines.collect::<Vec<_>>().concat();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/proxy/checks.txt");
    if Subject::from_env() == Subject::Theirs && std::env::var_os("BLESS").is_some() {
        std::fs::write(path, &told).unwrap();
    }
    let expected = std::fs::read_to_string(path).unwrap();
    let wrong: Vec<_> = told.lines().zip(expected.lines()).filter(|(told, expected)| told != expected).collect();
    assert!(wrong.is_empty() && told.lines().count() == expected.lines().count(), "{wrong:#?}");
}

/// A server that fails and comes back all the time is told of once a change, and the traffic of others goes on.
#[test]
fn a_server_that_flaps_troubles_nobody() {
    let well = Arc::new(AtomicBool::new(true));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let flapping = listener.local_addr().unwrap();
    let is_well = Arc::clone(&well);
    std::thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            let mut block = [0; 256];
            if client.read(&mut block).is_ok() && is_well.load(Ordering::SeqCst) {
                let _ = client.write_all(OK);
            }
        }
    });
    let config = format!(
        "{FRONT}backend flaps\n    log global\n    option httpchk\n    server s {flapping} check inter 20 fall 1 rise 1\n"
    );
    let rig = Rig::start("flap", &config, answering(OK));
    // The first good check of a server that starts is no change.
    for round in 0..5 {
        well.store(false, Ordering::SeqCst);
        let down = [rig.log_line(), rig.log_line()];
        assert!(down[0].contains("Server flaps/s is DOWN, reason: "), "{round}: {down:?}");
        assert!(down[1].contains("backend flaps has no server available!"), "{round}: {down:?}");
        let mut client = rig.connect();
        client.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
        assert!(read_all(&mut client, QUIET).0.ends_with("ok"));
        well.store(true, Ordering::SeqCst);
        let up = rig.log_line();
        assert!(up.contains("Server flaps/s is UP, reason: Layer7 check passed"), "{round}: {up}");
    }
}

const NAMED: &str = "
global
    stats socket {runtime} level admin
defaults
    mode http
    timeout client 5s
    timeout server 5s
    timeout connect 1s
    timeout check 300ms
healthcheck web
    type httpchk GET /health HTTP/1.1
    http-check send hdr Host %[srv_name]
    http-check expect status 418
healthcheck greeting
    type tcp-check
    tcp-check expect string +HELLO
frontend fe
    bind {front}
    default_backend be
backend be
    option httpchk OPTIONS /own
    http-check expect status 200
    server a {server} check inter 100 healthcheck web
    server b {server} check inter 100 healthcheck greeting
    server c {server} check inter 100
";

/// `healthcheck` sections (haproxy 3.4): each server is asked what its section says, and the backend's own check is for the others.
#[test]
fn servers_may_have_checks_of_their_own() {
    if Subject::from_env() == Subject::Theirs {
        return;
    }
    let rig = Rig::start("named-checks", NAMED, answering(b"HTTP/1.1 418 No\r\nContent-Length: 0\r\n\r\n"));
    let row = |server: &str| {
        let all = rig.command("show stat be -1 -1");
        all.lines().find(|line| line.starts_with(&format!("be,{server},"))).unwrap_or_default().to_owned()
    };
    let shows = |server: &str, words: &str| {
        let waited = wait::until(words, BOUND, || row(server).contains(words).then_some(()));
        assert!(waited.is_ok(), "{server}: {}", row(server));
    };
    shows("a", "L7OK,418");
    shows("b", "L7TOUT");
    shows("c", "L7STS,418");
    let mut seen = Vec::new();
    wait::until("both requests", BOUND, || {
        seen.extend(rig.origin.next_message());
        let has = |start: &str| seen.iter().any(|message: &String| message.starts_with(start));
        (has("GET /health HTTP/1.1\r\nhost: a\r\n") && has("OPTIONS /own HTTP/1.0\r\n")).then_some(())
    })
    .unwrap_or_else(|_| panic!("{seen:?}"));
}
