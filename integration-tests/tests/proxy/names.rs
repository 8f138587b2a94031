//! Where servers are: names that name servers are asked about, and what administrators say.

use super::health::Proxy;
use super::rig::{BOUND, answering, free_address, read_all};
use integration_tests::name_server::{NameServer, Reply};
use integration_tests::subject::Subject;
use integration_tests::wait;
use std::io::Write;
use std::time::Duration;

const QUIET: Duration = Duration::from_millis(50);

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

const LEFT: &str = "0 sessions active, 0 requeued, 0 remaining in queue.";

fn front(names: &NameServer) -> String {
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
    timeout resolve 100ms
    timeout retry 50ms
    hold valid 100ms
    hold nx 300ms
    hold refused 300ms
    hold timeout 600ms
    hold other 300ms
frontend fe
    bind {{front}}
    default_backend be
",
        names.address()
    )
}

/// Columns of the lines of `show servers state be`, by server: address, administrative state, weight, name, port, record.
fn state(proxy: &Proxy, server: &str) -> String {
    let shown = proxy.command("show servers state be");
    let line = shown.lines().find(|line| line.split(' ').nth(3) == Some(server)).unwrap();
    let words: Vec<&str> = line.split(' ').collect();
    [4, 6, 7, 17, 18, 19].map(|at| words[at]).join(" ")
}

fn wait_for(proxy: &Proxy, server: &str, expected: &str) {
    let mut last = String::new();
    let reached = || {
        last = state(proxy, server);
        (last == expected).then_some(())
    };
    assert!(wait::until("the state", BOUND, reached).is_ok(), "{server}: {last} instead of {expected}");
}

fn is_ours() -> bool {
    Subject::from_env() == Subject::Ours
}

/// One server: found, moved, lost and found again, each in haproxy's words.
#[test]
fn a_server_follows_its_name() {
    let names = NameServer::start().unwrap();
    names.set_addresses("one.test", &["127.0.0.2"]);
    let config = front(&names)
        + "backend be\n server s1 one.test:{port} resolvers dns init-addr none resolve-prefer ipv4\n server s2 127.0.0.1:1\n";
    let proxy = Proxy::start("names", &config.replace("{port}", "7"), answering(OK));
    let found = |from: &str, to: &str| format!("be/s1 changed its IP from {from} to {to} by dns/ns1.");
    let back = [
        "Server be/s1 ('one.test') is UP/READY (resolves again).",
        "Server be/s1 administratively READY thanks to valid DNS answer.",
    ];
    proxy.expect_log(&[&found("(none)", "127.0.0.2"), back[0], back[1]]);
    assert_eq!(proxy.columns("s1", "status addr"), "no check|127.0.0.2:7");
    names.set_addresses("one.test", &["127.0.0.3"]);
    proxy.expect_log(&[&found("127.0.0.2", "127.0.0.3")]);
    for (reply, why) in [
        (Reply::Failure(3), "DNS NX status"),
        (Reply::Failure(5), "DNS refused status"),
        (Reply::Failure(2), "unspecified DNS error"),
        (Reply::Addresses(Vec::new()), "unspecified DNS error"),
        (Reply::Cut, "unspecified DNS error"),
        (Reply::Silence, "DNS timeout status"),
    ] {
        names.set("one.test", reply);
        let down =
            format!("Server be/s1 is going DOWN for maintenance ({why}). 1 active and 0 backup servers left. {LEFT}");
        proxy.expect_log(&[&down]);
        assert_eq!(proxy.columns("s1", "status"), "MAINT (resolution)");
        wait_for(&proxy, "s1", "- 32 1 one.test 7 -");
        names.set_addresses("one.test", &["127.0.0.3"]);
        proxy.expect_log(&[&found("(none)", "127.0.0.3"), back[0], back[1]]);
    }
    wait_for(&proxy, "s1", "127.0.0.3 0 1 one.test 7 -");
}

/// Requests go where a name leads now; connections to where it led before are not used again.
#[test]
fn requests_go_where_a_name_leads_now() {
    let names = NameServer::start().unwrap();
    names.set_addresses("one.test", &["127.0.0.1"]);
    let config = front(&names)
        + "backend be\n http-reuse always\n server s1 one.test:{port} resolvers dns init-addr none resolve-prefer ipv4\n";
    let proxy = Proxy::start("names-requests", &config, answering(OK));
    let ask = || {
        let mut client = proxy.rig.connect();
        client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        read_all(&mut client, QUIET).0
    };
    wait_for(&proxy, "s1", &format!("127.0.0.1 0 1 one.test {} -", proxy.rig.origin.address.port()));
    assert!(ask().starts_with("HTTP/1.1 200"), "reached");
    // Nobody listens there: an idle connection to the former address must not be used.
    names.set_addresses("one.test", &["127.0.0.9"]);
    wait_for(&proxy, "s1", &format!("127.0.0.9 0 1 one.test {} -", proxy.rig.origin.address.port()));
    // haproxy goes on with a connection that it has.
    assert!(ask().starts_with(if is_ours() { "HTTP/1.1 503" } else { "HTTP/1.1 200" }), "moved");
    names.set_addresses("one.test", &["127.0.0.1"]);
    wait_for(&proxy, "s1", &format!("127.0.0.1 0 1 one.test {} -", proxy.rig.origin.address.port()));
    assert!(ask().starts_with("HTTP/1.1 200"), "moved back");
}

/// Without a word on how long, name servers that fall silent or fail take nobody out of service. haproxy waits for 30 s.
#[test]
fn a_hiccup_takes_no_server_down() {
    let names = NameServer::start().unwrap();
    names.set_addresses("one.test", &["127.0.0.2"]);
    let config: String = front(&names).split_inclusive('\n').filter(|line| !line.contains("hold ")).collect();
    let config = config + "backend be\n server s1 one.test:7 resolvers dns init-addr none resolve-prefer ipv4\n";
    let proxy = Proxy::start("names-hiccup", &config, answering(OK));
    wait_for(&proxy, "s1", "127.0.0.2 0 1 one.test 7 -");
    for reply in [Reply::Silence, Reply::Failure(2), Reply::Failure(5), Reply::Failure(3), Reply::Cut] {
        names.set("one.test", reply);
        // Two whole rounds of tries.
        let before = names.asked("one.test");
        wait::until("many questions", BOUND, || (names.asked("one.test") > before + 8).then_some(())).unwrap();
        assert_eq!(state(&proxy, "s1"), "127.0.0.2 0 1 one.test 7 -");
    }
    names.set_addresses("one.test", &["127.0.0.4"]);
    wait_for(&proxy, "s1", "127.0.0.4 0 1 one.test 7 -");
}

/// What is no answer has no effect on anybody, and is told of once.
#[test]
fn forged_answers_do_nothing() {
    let names = NameServer::start().unwrap();
    names.set_addresses("one.test", &["127.0.0.2"]);
    names.set_addresses("two.test", &["127.0.0.3"]);
    let config = front(&names).replace("hold timeout 600ms", "hold timeout 60s")
        + "backend be\n server s1 one.test:7 resolvers dns init-addr none resolve-prefer ipv4\n server s2 two.test:7 resolvers \
           dns init-addr none resolve-prefer ipv4\n";
    let proxy = Proxy::start("names-forged", &config, answering(OK));
    wait_for(&proxy, "s1", "127.0.0.2 0 1 one.test 7 -");
    wait_for(&proxy, "s2", "127.0.0.3 0 1 two.test 7 -");
    for (count, bytes) in [
        // A pointer to itself, one forward, a record that ends too late, one that is not there.
        (1, vec![0xc0, 26, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 127, 0, 0, 9]),
        (1, vec![0xc0, 200, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 127, 0, 0, 9]),
        (1, vec![0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 127, 0, 0, 9]),
        (9, vec![]),
    ] {
        names.set("one.test", Reply::Forged(count, bytes));
        let (one, two) = (names.asked("one.test"), names.asked("two.test"));
        let both = || (names.asked("one.test") > one + 4 && names.asked("two.test") > two + 2).then_some(());
        wait::until("more questions", BOUND, both).unwrap();
        // With haproxy, what is no answer is a failure of another kind, which takes the server out of service.
        if is_ours() {
            assert_eq!(state(&proxy, "s1"), "127.0.0.2 0 1 one.test 7 -");
        }
        assert_eq!(state(&proxy, "s2"), "127.0.0.3 0 1 two.test 7 -");
    }
    names.set_addresses("two.test", &["127.0.0.4"]);
    wait_for(&proxy, "s2", "127.0.0.4 0 1 two.test 7 -");
    let shown = proxy.command("show resolvers dns");
    assert!(shown.starts_with("Resolvers section dns\n nameserver ns1:\n  sent:        "), "{shown}");
    let invalid = shown.lines().find_map(|line| line.strip_prefix("  invalid:     ")).unwrap();
    assert!(!is_ours() || invalid.parse::<u64>().unwrap() > 4, "{shown}");
    assert_eq!(proxy.command("show resolvers nope"), "Can't find that resolvers section\n\n");
}

/// Servers of one name have addresses of their own, those of a template as many as there are.
#[test]
fn a_template_is_filled_from_the_addresses() {
    let names = NameServer::start().unwrap();
    names.set_addresses("one.test", &["127.0.0.2", "127.0.0.3"]);
    let config = front(&names)
        + "backend be\n server-template t 1-3 one.test:7 resolvers dns init-addr none resolve-prefer ipv4\n server-template d 2 \
           one.test:7 resolvers dns init-addr none resolve-prefer ipv4 resolve-opts allow-dup-ip\n server n one.test:7 \
           resolvers dns init-addr none resolve-prefer ipv4 resolve-net 127.0.0.3/32 resolve-opts allow-dup-ip\n";
    let proxy = Proxy::start("names-template", &config, answering(OK));
    let addresses = |prefix: &str, count: usize| {
        let shown = proxy.command("show servers state be");
        let mut found: Vec<String> = (1..=count)
            .map(|rank| {
                let name = format!("{prefix}{rank}");
                let line = shown.lines().find(|line| line.split(' ').nth(3) == Some(&name)).unwrap();
                line.split(' ').nth(4).unwrap().to_owned()
            })
            .collect();
        found.sort();
        found.join(" ")
    };
    let wait_for_addresses = |prefix, count, expected: &str| {
        let reached = || (addresses(prefix, count) == expected).then_some(());
        assert!(wait::until("addresses", BOUND, reached).is_ok(), "{} not {expected}", addresses(prefix, count));
    };
    wait_for_addresses("t", 3, "- 127.0.0.2 127.0.0.3");
    wait_for(&proxy, "n", "127.0.0.3 0 1 one.test 7 -");
    names.set_addresses("one.test", &["127.0.0.2", "127.0.0.3", "127.0.0.4"]);
    wait_for_addresses("t", 3, "127.0.0.2 127.0.0.3 127.0.0.4");
    names.set_addresses("one.test", &["127.0.0.4"]);
    wait_for_addresses("t", 3, "- - 127.0.0.4");
    wait_for_addresses("d", 2, "127.0.0.4 127.0.0.4");
}

/// A service: its hosts with ports and shares go to the servers of a template.
#[test]
fn a_template_is_filled_from_a_service() {
    let names = NameServer::start().unwrap();
    let service = |hosts: &[(u16, u16, &str)], told: &[(&str, &str)]| {
        let hosts = hosts.iter().map(|(share, port, host)| (*share, *port, (*host).to_owned())).collect();
        let told = told.iter().map(|(host, ip)| ((*host).to_owned(), ip.parse().unwrap())).collect();
        names.set("_http._tcp.test", Reply::Service(hosts, told));
    };
    service(&[(300, 81, "a.test")], &[]);
    names.set_addresses("a.test", &["127.0.0.2"]);
    names.set_addresses("b.test", &["127.0.0.3"]);
    let config = front(&names)
        + "backend be\n server s0 127.0.0.1:1\n server-template t 2 _http._tcp.test resolvers dns init-addr none resolve-prefer \
           ipv4\n";
    let proxy = Proxy::start("names-service", &config, answering(OK));
    proxy.expect_log(&[
        "be/t1 changed its FQDN from (null) to a.test by 'SRV record'",
        "be/t1 changed its IP from (none) to 127.0.0.2 by dns/ns1.",
        "Server be/t1 ('a.test') is UP/READY (resolves again).",
        "Server be/t1 administratively READY thanks to valid DNS answer.",
    ]);
    assert_eq!(state(&proxy, "t1"), "127.0.0.2 64 2 a.test 81 _http._tcp.test");
    assert_eq!(state(&proxy, "t2"), "- 32 1 - 0 _http._tcp.test");
    service(&[(0, 81, "a.test"), (65_535, 82, "b.test")], &[]);
    proxy.expect_log(&[
        "be/t2 changed its FQDN from (null) to b.test by 'SRV record'",
        "be/t2 changed its IP from (none) to 127.0.0.3 by dns/ns1.",
        "Server be/t2 ('b.test') is UP/READY (resolves again).",
        "Server be/t2 administratively READY thanks to valid DNS answer.",
    ]);
    wait_for(&proxy, "t1", "127.0.0.2 64 0 a.test 81 _http._tcp.test");
    wait_for(&proxy, "t2", "127.0.0.3 64 256 b.test 82 _http._tcp.test");
    service(&[(0, 81, "a.test")], &[]);
    proxy.expect_log(&[&format!(
        "Server be/t2 is going DOWN for maintenance (entry removed from SRV record). 1 active and 0 backup servers left. {LEFT}"
    )]);
    service(&[(1, 81, "a.test"), (1, 83, "c.test")], &[("a.test", "127.0.0.2"), ("c.test", "127.0.0.4")]);
    proxy.expect_log(&[
        "be/t2 changed its IP from (none) to 127.0.0.4 by DNS additional record.",
        "be/t2 changed its FQDN from (null) to c.test by 'SRV record'",
        "Server be/t2 ('c.test') is UP/READY (resolves again).",
    ]);
    wait_for(&proxy, "t2", "127.0.0.4 64 1 c.test 83 _http._tcp.test");
}

/// An administrator's word and that of the name servers do not get into each other's way.
#[test]
fn maintenance_for_two_reasons() {
    let names = NameServer::start().unwrap();
    names.set_addresses("one.test", &["127.0.0.2"]);
    let config = front(&names)
        + "backend be\n server s0 127.0.0.1:1\n server s1 one.test:7 resolvers dns init-addr none resolve-prefer ipv4\n";
    let proxy = Proxy::start("names-maintenance", &config, answering(OK));
    wait_for(&proxy, "s1", "127.0.0.2 0 1 one.test 7 -");
    proxy.expect_log(&[
        "be/s1 changed its IP from (none) to 127.0.0.2 by dns/ns1.",
        "Server be/s1 ('one.test') is UP/READY (resolves again).",
        "Server be/s1 administratively READY thanks to valid DNS answer.",
    ]);
    names.set("one.test", Reply::Failure(3));
    wait_for(&proxy, "s1", "- 32 1 one.test 7 -");
    proxy.command("set server be/s1 state maint");
    proxy.command("set server be/s1 state ready");
    let down = "Server be/s1 is going DOWN for maintenance (DNS NX status). 1 active and 0 backup servers left.";
    proxy.expect_log(&[
        &format!("{down} {LEFT}"),
        "Server be/s1 is leaving forced maintenance but remains in maintenance.",
    ]);
    proxy.command("set server be/s1 state maint");
    names.set_addresses("one.test", &["127.0.0.3"]);
    proxy.expect_log(&[
        "be/s1 changed its IP from (none) to 127.0.0.3 by dns/ns1.",
        "Server be/s1 ('one.test') resolves again but remains in maintenance.",
        "Server be/s1 administratively READY thanks to valid DNS answer.",
    ]);
    wait_for(&proxy, "s1", "127.0.0.3 1 1 one.test 7 -");
    proxy.command("set server be/s1 state ready");
    proxy.expect_log(&["Server be/s1 is UP/READY (leaving forced maintenance)."]);
}

const NO_CHECK: &str = "health checks are not enabled on this server";

/// What follows `set server be/`, and the answer.
const MOVES: &[(&str, &str)] = &[
    ("p addr", "set server <b>/<s> addr requires an address and optionally a port.\n"),
    ("p addr 127.0.0.2", "IP changed from '127.0.0.1' to '127.0.0.2' by 'stats socket command'\n"),
    ("p addr 127.0.0.2", "no need to change the addr by 'stats socket command'\n"),
    (
        "p addr 127.0.0.3 port 90",
        "IP changed from '127.0.0.2' to '127.0.0.3', port changed from '81' to '90' by 'stats socket command'\n",
    ),
    ("p addr 127.0.0.3 port 90", "no need to change the addr, no need to change the port by 'stats socket command'\n"),
    (
        "p addr 127.0.0.3 port x",
        "no need to change the addr, problem converting port 'x' to an int by 'stats socket command'\n",
    ),
    (
        "p addr 127.0.0.3 port",
        "no need to change the addr, problem converting port '' to an int by 'stats socket command'\n",
    ),
    (
        "p addr 127.0.0.3 port +5",
        "no need to change the addr, can't change <port> to port map because it is incompatible with current health check port \
             configuration (use 'port' statement from the 'server' directive. by 'stats socket command'\n",
    ),
    ("p addr foo", "Invalid addr 'foo' by 'stats socket command'\n"),
    ("p addr ::1", "IP changed from '127.0.0.3' to '::1' by 'stats socket command'\n"),
    (
        "m addr 127.0.0.1 port 80",
        "no need to change the addr, port changed from '+0' to '80' by 'stats socket command'\n",
    ),
    (
        "c addr 127.0.0.5 port +1",
        "IP changed from '127.0.0.1' to '127.0.0.5', port changed from '81' to '+1' by 'stats socket command'\n",
    ),
    (
        "u addr 127.0.0.1 port 80",
        "Update for the current server address family is only supported through configuration file by 'stats socket \
             command'\n",
    ),
    ("p check-addr 1.2.3.4", NO_CHECK),
    ("p check-port 5", NO_CHECK),
    ("q check-addr", "set server <b>/<s> check-addr requires an address and optionally a port.\n"),
    ("q check-addr foo", "invalid addr 'foo'"),
    ("q check-addr 127.0.0.8 port x", "provided port is not an integer"),
    ("q check-addr 127.0.0.8", ""),
    ("q check-port", "set server <b>/<s> check-port requires a port.\n"),
    ("q check-port 99999", "provided port is invalid"),
    ("n fqdn", "set server <b>/<s> fqdn requires a FQDN.\n"),
    ("n fqdn two..test", "could not update be/n FQDN by 'stats socket command'\n"),
    ("p fqdn two.test", "set server <b>/<s> fqdn failed because no resolution is configured.\n"),
    ("t1 fqdn two.test", "set server <b>/<s> fqdn failed because SRV resolution is configured.\n"),
    ("p ssl on", "'set server <srv> ssl' cannot be set.  default-server should define ssl settings\n"),
];

/// What an administrator says of places, answered in haproxy's words.
#[test]
fn an_administrator_moves_servers() {
    let names = NameServer::start().unwrap();
    names.set_addresses("one.test", &["127.0.0.2"]);
    let config = front(&names)
        + "backend be\n server p 127.0.0.1:81\n server q 127.0.0.1:81 check inter 60s\n server c 127.0.0.1:81 check inter 60s port 82\n \
           server m 127.0.0.1\n server u /tmp/none.sock\n server n one.test:81 resolvers dns init-addr none resolve-prefer \
           ipv4\n server-template t 1 _none._tcp.test resolvers dns init-addr none\n";
    let proxy = Proxy::start("names-admin", &config, answering(OK));
    wait_for(&proxy, "n", "127.0.0.2 0 1 one.test 81 -");
    for (command, expected) in MOVES {
        assert_eq!(proxy.command(&format!("set server be/{command}")), format!("{expected}\n"), "{command}");
    }
    assert_eq!(state(&proxy, "p"), "::1 0 1 - 90 -");
    let shown = proxy.command("show servers state be");
    assert!(shown.lines().any(|line| line.contains(" q ") && line.ends_with(" - 81 - 0 0 127.0.0.8 - 0")), "{shown}");
    proxy.command("set server be/q check-port 99");
    let shown = proxy.command("show servers state be");
    let line = shown.lines().find(|line| line.contains(" q ")).unwrap();
    assert!(line.contains(" - 81 - 0 99 127.0.0.8 "), "{line}");
    names.set_addresses("two.test", &["127.0.0.6"]);
    assert_eq!(
        proxy.command("set server be/n fqdn two.test"),
        "be/n changed its FQDN from one.test to two.test by 'stats socket command'\n\n"
    );
    assert_eq!(
        proxy.command("set server be/n fqdn two.test"),
        "no need to change the FDQN by 'stats socket command'\n\n"
    );
    // The bit that says so is in haproxy's manual, but not in what 2.6 shows.
    wait_for(&proxy, "n", if is_ours() { "127.0.0.6 64 1 two.test 81 -" } else { "127.0.0.6 0 1 two.test 81 -" });
}

/// Cookie values that are computed of addresses follow them, and an administrator's key.
#[test]
fn computed_cookies_follow_addresses_and_keys() {
    let names = NameServer::start().unwrap();
    let config = front(&names)
        + "backend be\n dynamic-cookie-key secretkey\n cookie SRV insert dynamic\n server s1 127.0.0.1:28101\n server s2 127.0.0.1:5 \
           cookie own\nbackend other\n server x 127.0.0.1:1\n";
    let proxy = Proxy::start("names-cookies", &config, answering(OK));
    let cookie = || proxy.columns("s1", "cookie");
    assert_eq!(cookie(), "68bb07876554bda0");
    for (command, expected) in [
        ("set dynamic-cookie-key backend", "A backend name is expected.\n"),
        ("set dynamic-cookie-key backend be", "String value expected.\n"),
        ("set dynamic-cookie-key backend nope x", "No such backend.\n"),
        ("enable dynamic-cookie backend", "A backend name is expected.\n"),
        ("disable dynamic-cookie backend nope", "No such backend.\n"),
        ("enable dynamic-cookie backend other", ""),
        ("set dynamic-cookie-key backend be foo", ""),
    ] {
        assert_eq!(proxy.command(command), format!("{expected}\n"), "{command}");
    }
    assert_eq!(cookie(), "e2afca821da25885");
    proxy.command("set dynamic-cookie-key backend be secretkey");
    proxy.command("set server be/s1 addr 192.168.0.1 port 0");
    assert_eq!(cookie(), "16a9cae3eae3b1d3");
    assert_eq!(proxy.columns("s2", "cookie"), "own");
}

/// `init-addr` goes its ways in order; the address in a state file is that of the same name.
#[test]
fn first_addresses() {
    let names = NameServer::start().unwrap();
    let file = std::env::temp_dir().join(format!("names-state-{}", std::process::id()));
    let line = |id: u32, name: &str, address: &str, host: &str| {
        format!("9 be {id} {name} {address} 2 0 1 1 9 1 0 0 0 0 0 0 {host} 7 - 0 0 - - 0\n")
    };
    let saved = [
        line(1, "s1", "127.0.0.21", "s1.invalid"),
        line(2, "s2", "127.0.0.22", "s2.invalid"),
        line(3, "s3", "127.0.0.23", "was.invalid"),
    ];
    std::fs::write(&file, format!("1\n# be_id\n{}", saved.concat())).unwrap();
    let config = front(&names)
        .replace("\nglobal\n", &format!("\nglobal\n server-state-base {}\n", std::env::temp_dir().display()))
        + &format!(
            "backend be\n load-server-state-from-file local\n server-state-file-name {}\n server s1 s1.invalid:7 init-addr \
             last,none\n server s2 s2.invalid:7 init-addr 127.0.0.9,last\n server s3 s3.invalid:7 init-addr last,none\n server s4 \
             s4.invalid:7 init-addr libc,127.0.0.8\n server s5 localhost:7\n",
            file.file_name().unwrap().to_string_lossy()
        );
    let proxy = Proxy::start("names-first", &config, answering(OK));
    // haproxy takes the address of another name for a server's own.
    let third = if is_ours() { "-" } else { "127.0.0.23" };
    for (server, address) in [("s1", "127.0.0.21"), ("s2", "127.0.0.9"), ("s3", third), ("s4", "127.0.0.8")] {
        assert_eq!(state(&proxy, server).split(' ').next(), Some(address), "{server}");
    }
    let _ = std::fs::remove_file(file);
}

/// Connections leave from the ports of a range, one each; where a header says so, from the address in it.
#[test]
fn connections_leave_from_where_the_file_says() {
    let names = NameServer::start().unwrap();
    let low = free_address().port();
    let config = front(&names).replace("frontend fe\n", "frontend fe\n    log-format %bi:%bp|%si:%sp|%ST\n")
        + &format!(
            "    use_backend named if {{ path /named }}\nbackend be\n http-reuse never\n server s1 {{server}} source \
             127.0.0.3:{low}-{}\nbackend named\n server s1 {{server}} source 0.0.0.0 usesrc hdr_ip(x-from,-1)\n",
            low + 1
        );
    let proxy = Proxy::start("names-source", &config, answering(OK));
    let mut ports = Vec::new();
    for path in ["/", "/", "/named"] {
        let mut client = proxy.rig.connect();
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: x\r\nx-from: 127.0.0.8, 127.0.0.9\r\nconnection: close\r\n\r\n");
        client.write_all(request.as_bytes()).unwrap();
        assert!(read_all(&mut client, QUIET).0.starts_with("HTTP/1.1 200"), "{path}");
        let line = proxy.log();
        let (source, status) = line.split_once('|').unwrap();
        assert_eq!(status, format!("{}|200", proxy.rig.origin.address), "{path}");
        ports.push(source.to_owned());
    }
    ports[..2].sort();
    assert_eq!(ports[..2], [format!("127.0.0.3:{low}"), format!("127.0.0.3:{}", low + 1)]);
    assert!(ports[2].starts_with("127.0.0.9:"), "{ports:?}");
}

/// What name servers said outlives a reload, also where the line of a server has changed.
#[test]
fn a_reload_keeps_what_name_servers_said() {
    if !is_ours() {
        return;
    }
    let names = NameServer::start().unwrap();
    names.set_addresses("one.test", &["127.0.0.2"]);
    names.set("_http._tcp.test", Reply::Service(vec![(300, 81, "a.test".into())], Vec::new()));
    names.set_addresses("a.test", &["127.0.0.3"]);
    let config = front(&names)
        + "backend be\n server s1 one.test:7 resolvers dns init-addr none resolve-prefer ipv4 weight 1\n server-template t 1 \
           _http._tcp.test resolvers dns init-addr none resolve-prefer ipv4 weight 1\n";
    // Long enough for the reload.
    let config = config.replace("hold timeout 600ms", "hold timeout 1m");
    let proxy = Proxy::start("names-reload", &config, answering(OK));
    wait_for(&proxy, "s1", "127.0.0.2 0 1 one.test 7 -");
    wait_for(&proxy, "t1", "127.0.0.3 64 2 a.test 81 _http._tcp.test");
    for name in ["one.test", "_http._tcp.test", "a.test"] {
        names.set(name, Reply::Silence);
    }
    proxy.rig.reload(
        |text| text.replace("hold timeout 1m", "hold timeout 1h").replace("weight 1", "weight 9"),
        |_| state(&proxy, "s1").starts_with("127.0.0.2 0 9 "),
    );
    assert_eq!(state(&proxy, "s1"), "127.0.0.2 0 9 one.test 7 -");
    assert!(state(&proxy, "t1").starts_with("127.0.0.3 64 "), "{}", state(&proxy, "t1"));
    names.set_addresses("one.test", &["127.0.0.5"]);
    names.set("_http._tcp.test", Reply::Service(vec![(300, 82, "a.test".into())], Vec::new()));
    names.set_addresses("a.test", &["127.0.0.6"]);
    wait_for(&proxy, "s1", "127.0.0.5 0 9 one.test 7 -");
    wait_for(&proxy, "t1", "127.0.0.6 64 2 a.test 82 _http._tcp.test");
}

/// What a file says of places: ports, names of services' hosts, and where checks and agents were.
#[test]
fn a_state_file_gives_places_back() {
    let names = NameServer::start().unwrap();
    names.set("_http._tcp.test", Reply::Silence);
    names.set("b.test", Reply::Silence);
    let path = std::env::temp_dir().join(format!("names-places-{}", std::process::id()));
    let text = "1\n# be_id\n9 be 1 p 127.0.0.9 2 0 1 1 2 1 0 2 0 0 0 0 - 81 - 0 0 - - 0\n9 be 2 t1 127.0.0.3 2 64 5 1 4 1 0 2 6 0 0 \
                0 b.test 25082 _http._tcp.test 0 0 - - 0\n9 be 3 t2 127.0.0.4 2 64 5 1 4 1 0 2 6 0 0 0 b.test 25083 \
                _other._tcp.test 0 0 - - 0\n9 be 4 ck 127.0.0.1 2 0 1 1 1 1 0 2 6 22 0 0 - 7 - 0 99 127.0.0.8 127.0.0.12 9\n";
    std::fs::write(&path, text).unwrap();
    let config = front(&names)
        .replace("\nglobal\n", &format!("\nglobal\n server-state-file {}\n", path.display()))
        .replace("hold timeout 600ms", "hold timeout 1h")
        + "backend be\n load-server-state-from-file global\n server p 127.0.0.1:7\n server-template t 2 _http._tcp.test resolvers \
           dns init-addr last,none resolve-prefer ipv4\n server ck 127.0.0.1:7 check inter 60s agent-check agent-port 5\n";
    let proxy = Proxy::start("names-places", &config, answering(OK));
    assert_eq!(state(&proxy, "p"), "127.0.0.1 0 1 - 81 -");
    let served = state(&proxy, "t1");
    assert!(served.starts_with("127.0.0.3 ") && served.ends_with(" 5 b.test 25082 _http._tcp.test"), "{served}");
    // haproxy takes the address, but neither name nor port of another service's host.
    let other = state(&proxy, "t2");
    assert!(other.ends_with(" - 0 _http._tcp.test") && other.starts_with("- ") == is_ours(), "{other}");
    let shown = proxy.command("show servers state be");
    let line = shown.lines().find(|line| line.contains(" ck ")).unwrap();
    assert!(line.ends_with(" - 7 - 0 99 127.0.0.8 127.0.0.12 9"), "{line}");
    let _ = std::fs::remove_file(path);
}
