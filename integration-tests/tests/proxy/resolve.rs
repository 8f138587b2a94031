//! Rules that ask name servers: `do-resolve`, and servers that are where a rule says.

use super::health::Proxy;
use super::rig::{BOUND, answering, read_all};
use integration_tests::name_server::{NameServer, Reply};
use integration_tests::subject::Subject;
use integration_tests::{clock, wait};
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const QUIET: Duration = Duration::from_millis(50);

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// What one try waits for.
const RETRY: Duration = Duration::from_millis(100);

fn front(names: &NameServer, rest: &str) -> String {
    format!(
        "
global
    log {{log}} local0
    nbthread 2
    stats socket {{socket}} level admin
defaults
    mode http
    log global
    timeout client 9s
    timeout server 9s
    timeout connect 1s
    retries 0
resolvers dns
    nameserver ns1 {}
    timeout retry 100ms
    timeout resolve 60s
    hold valid 60s
{rest}
",
        names.address()
    )
}

/// What a rule says of a name: `[ADDRESS]`, empty where there is none; and how long that took.
fn asked(proxy: &Proxy, host: &str) -> (String, Duration) {
    asked_at(proxy.rig.front, host)
}

fn asked_at(front: SocketAddr, host: &str) -> (String, Duration) {
    let mut client = TcpStream::connect(front).unwrap();
    let since = clock::now();
    client.write_all(format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").as_bytes()).unwrap();
    let (answer, _) = read_all(&mut client, BOUND);
    let body = answer.rsplit("\r\n\r\n").next().unwrap_or_default().to_owned();
    (body, since.elapsed())
}

const RETURNED: &str = "http-request return status 200 content-type text/plain lf-string [%[var(txn.ip)]]";

/// Each way in which a name may lead somewhere or nowhere; what is not answered takes its three tries and no longer.
#[test]
fn a_rule_waits_for_name_servers() {
    let names = NameServer::start().unwrap();
    let rest = format!(
        "frontend fe\n bind {{front}}\n timeout client 150ms\n timeout http-request 150ms\n http-request set-var(txn.ip) str(before) \
         if {{ path /set }}\n http-request do-resolve(txn.ip,dns,ipv4) hdr(host),host_only\n {RETURNED}\n"
    );
    let proxy = Proxy::start("resolve", &front(&names, &rest), answering(OK));
    names.set_addresses("four.test", &["192.0.2.1"]);
    names.set_addresses("six.test", &["2001:db8::6"]);
    names.set_addresses("both.test", &["2001:db8::6", "192.0.2.2"]);
    names.set_addresses("many.test", &["192.0.2.3", "192.0.2.4"]);
    names.set("none.test", Reply::Addresses(Vec::new()));
    names.set("cut.test", Reply::Cut);
    names.set("refused.test", Reply::Failure(5));
    names.set("broken.test", Reply::Failure(2));
    names.set("silent.test", Reply::Silence);
    names.set("slow.test", Reply::Late(RETRY * 3 / 2, vec!["192.0.2.5".parse().unwrap()]));
    for (name, expected, waits) in [
        ("four.test", "[192.0.2.1]", false),
        ("FOUR.test:8080", "[192.0.2.1]", false),
        ("six.test", "[2001:db8::6]", false),
        ("both.test", "[192.0.2.2]", false),
        ("many.test", "[192.0.2.3]", false),
        ("slow.test", "[192.0.2.5]", false),
        ("none.test", "[]", true),
        ("nowhere.test", "[]", true),
        ("refused.test", "[]", true),
        ("broken.test", "[]", true),
        ("cut.test", "[]", true),
        ("silent.test", "[]", true),
    ] {
        let (found, took) = asked(&proxy, name);
        assert_eq!(found, expected, "{name}");
        // Where all tries fail, the third one ends at once or in its time.
        assert!(!waits || took >= RETRY * 2, "{name}: {took:?}");
    }
    // What is no name has no address. haproxy asks for it all the same.
    for nothing in ["", "a..b", "[::1]"] {
        assert_eq!(asked(&proxy, nothing).0, "[]", "{nothing:?}");
    }
    assert_eq!(names.asked("silent.test"), 3);
    assert_eq!(names.asked("nowhere.test"), 0, "names that do not exist are not counted");
}

/// Nobody remembers what only rules have asked; those that ask at the same time ask once.
#[test]
fn rules_that_ask_at_once_ask_once() {
    let names = NameServer::start().unwrap();
    let rest = format!("frontend fe\n bind {{front}}\n http-request do-resolve(txn.ip,dns) hdr(host)\n {RETURNED}\n");
    let proxy = Proxy::start("resolve-once", &front(&names, &rest), answering(OK));
    names.set("slow.test", Reply::Late(RETRY / 2, vec!["2001:db8::5".parse().unwrap()]));
    let front = proxy.rig.front;
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..8).map(|_| scope.spawn(|| asked_at(front, "slow.test").0)).collect();
        for client in clients {
            assert_eq!(client.join().unwrap(), "[2001:db8::5]");
        }
    });
    let once = names.asked("slow.test");
    assert!(once < 8, "{once}");
    assert_eq!(asked(&proxy, "slow.test").0, "[2001:db8::5]");
    assert!(names.asked("slow.test") > once, "asked anew");
}

/// `hold valid`: where a server is found by the same name, rules take what it was told.
#[test]
fn a_rule_takes_what_a_server_was_told() {
    let names = NameServer::start().unwrap();
    names.set_addresses("one.test", &["127.0.0.2"]);
    let rest = format!(
        "frontend fe\n bind {{front}}\n http-request do-resolve(txn.ip,dns,ipv4) hdr(host)\n {RETURNED}\nbackend be\n server s1 \
         one.test:7 resolvers dns init-addr none resolve-prefer ipv4\n"
    );
    let proxy = Proxy::start("resolve-hold", &front(&names, &rest), answering(OK));
    let found = || (proxy.columns("s1", "addr") == "127.0.0.2:7").then_some(());
    wait::until("the server is found", BOUND, found).unwrap();
    let before = names.asked("one.test");
    for _ in 0..5 {
        assert_eq!(asked(&proxy, "one.test").0, "[127.0.0.2]");
    }
    assert_eq!(names.asked("one.test"), before);
}

/// An answer that is too old for `hold valid` is asked for at once. With haproxy the rule waits until it is the server's turn.
#[test]
fn what_is_too_old_is_asked_for_at_once() {
    if Subject::from_env() == Subject::Theirs {
        return;
    }
    let names = NameServer::start().unwrap();
    names.set_addresses("one.test", &["127.0.0.2"]);
    let rest = format!(
        "frontend fe\n bind {{front}}\n http-request do-resolve(txn.ip,dns,ipv4) hdr(host)\n {RETURNED}\nbackend be\n server s1 \
         one.test:7 resolvers dns init-addr none resolve-prefer ipv4\n"
    );
    let config = front(&names, &rest).replace("hold valid 60s", "hold valid 1ms");
    let proxy = Proxy::start("resolve-old", &config, answering(OK));
    let found = || (proxy.columns("s1", "addr") == "127.0.0.2:7").then_some(());
    wait::until("the server is found", BOUND, found).unwrap();
    names.set_addresses("one.test", &["127.0.0.3"]);
    let told = || (asked(&proxy, "one.test").0 == "[127.0.0.3]").then_some(());
    wait::until("the rule is told", BOUND, told).unwrap();
    let moved = || (proxy.columns("s1", "addr") == "127.0.0.3:7").then_some(());
    wait::until("and the server, too", BOUND, moved).unwrap();
}

/// The example of the manual: the request goes where its name leads; one that leads nowhere, or home, does not.
#[test]
fn requests_go_where_their_names_lead() {
    let names = NameServer::start().unwrap();
    let rest = "frontend fe
    bind {front}
    option httplog
    http-request do-resolve(txn.myip,dns,ipv4) hdr(Host),host_only
    http-request capture var(txn.myip) len 40
    use_backend b_503 unless { var(txn.myip) -m found }
    default_backend be
backend b_503
backend be
    http-request deny if { var(txn.myip) -m ip 127.0.0.128/25 10.0.0.0/8 }
    http-request set-dst var(txn.myip)
    http-request set-dst-port int({port})
    server clear 0.0.0.0:0
";
    let proxy = Proxy::start("resolve-manual", &front(&names, rest), answering(OK));
    names.set_addresses("here.test", &["127.0.0.1"]);
    names.set_addresses("home.test", &["127.0.0.200"]);
    names.set_addresses("away.test", &["127.0.0.9"]);
    let line = |name: &str| {
        let mut client = proxy.rig.connect();
        client.write_all(format!("GET / HTTP/1.1\r\nhost: {name}\r\nconnection: close\r\n\r\n").as_bytes()).unwrap();
        let status = read_all(&mut client, BOUND).0.lines().next().unwrap_or_default().to_owned();
        (status, proxy.rig.log_line())
    };
    for (name, status, log) in [
        ("here.test", "200", r#"fe be/clear T/T/T/T/T 200 T - - ---- 1/1/0/0/0 0/0 {127.0.0.1} "GET / HTTP/1.1""#),
        ("nowhere.test", "503", r#"fe b_503/<NOSRV> T/-1/-1/-1/T 503 T - - SC-- 1/1/0/0/0 0/0 {} "GET / HTTP/1.1""#),
        (
            "home.test",
            "403",
            r#"fe be/<NOSRV> T/-1/-1/-1/T 403 T - - PR-- 1/1/0/0/0 0/0 {127.0.0.200} "GET / HTTP/1.1""#,
        ),
        ("away.test", "503", r#"fe be/clear T/T/-1/-1/T 503 T - - SC-- 1/1/0/0/0 0/0 {127.0.0.9} "GET / HTTP/1.1""#),
    ] {
        let (got, logged) = line(name);
        assert!(got.contains(status), "{name}: {got}");
        let blurred: Vec<&str> = logged.split(' ').collect();
        let expected: Vec<&str> = log.split(' ').collect();
        for (at, (got, expected)) in blurred.iter().zip(&expected).enumerate() {
            // The fourth of the rest is the number of bytes.
            assert!(at == 4 || got == expected, "{name}: {logged}");
        }
    }
}

/// In `mode tcp` the answer is waited for within `inspect-delay` only, and so is not at all where there is none.
#[test]
fn connections_wait_for_as_long_as_they_are_inspected() {
    let names = NameServer::start().unwrap();
    let rules = "tcp-request content do-resolve(txn.ip,dns,ipv4) req.payload(0,9)
    tcp-request content set-dst var(txn.ip) if { var(txn.ip) -m found }
    tcp-request content set-dst-port int({port}) if { var(txn.ip) -m found }
    tcp-request content reject unless { var(txn.ip) -m found }";
    let rest = format!(
        "frontend fe
    mode tcp
    bind {{front}}
    tcp-request inspect-delay 500ms
    tcp-request content set-var(txn.seen) int(1) if {{ req.len ge 9 }}
    {rules}
    default_backend be
backend be
    mode tcp
    server clear 0.0.0.0:0
"
    );
    let origin = answering(b"yes");
    let proxy = Proxy::start("resolve-tcp", &front(&names, &rest), origin);
    names.set_addresses("here.test", &["127.0.0.1"]);
    names.set("slow.test", Reply::Late(RETRY * 5 / 2, vec!["127.0.0.1".parse().unwrap()]));
    names.set("late.test", Reply::Late(Duration::from_secs(2), vec!["127.0.0.1".parse().unwrap()]));
    let talk = |config: &Proxy, text: &str| {
        let mut client = config.rig.connect();
        client.write_all(format!("{text}\r\n\r\n").as_bytes()).unwrap();
        read_all(&mut client, QUIET).0
    };
    assert_eq!(talk(&proxy, "here.test"), "yes");
    assert_eq!(talk(&proxy, "slow.test"), "yes");
    assert_eq!(talk(&proxy, "late.test"), "");
    assert_eq!(talk(&proxy, "none.test"), "");
    drop(proxy);
    let uninspected = front(&names, &rest)
        .replace("tcp-request inspect-delay 500ms", "")
        .replace("req.payload(0,9)", "str(slow.test)");
    let proxy = Proxy::start("resolve-tcp-at-once", &uninspected, answering(b"yes"));
    assert_eq!(talk(&proxy, "slow.test"), "");
}

/// A reload while a rule waits: the new configuration's name servers answer it.
#[test]
fn a_reload_forgets_no_question() {
    if Subject::from_env() == Subject::Theirs {
        return;
    }
    let names = NameServer::start().unwrap();
    let rest =
        format!("frontend fe\n bind {{front}}\n http-request do-resolve(txn.ip,dns,ipv4) hdr(host)\n {RETURNED}\n");
    let config = front(&names, &rest).replace("timeout retry 100ms", "timeout retry 5s\n    resolve_retries 1");
    let proxy = Proxy::start("resolve-reload", &config, answering(OK));
    names.set("silent.test", Reply::Silence);
    let front = proxy.rig.front;
    std::thread::scope(|scope| {
        let client = scope.spawn(|| asked_at(front, "silent.test").0);
        wait::until("the question", BOUND, || (names.asked("silent.test") == 1).then_some(())).unwrap();
        names.set_addresses("silent.test", &["192.0.2.7"]);
        proxy.rig.reload(str::to_owned, |_| names.asked("silent.test") == 2);
        assert_eq!(client.join().unwrap(), "[192.0.2.7]");
    });
}
