//! Name servers that are asked over streams, and those that answer what nobody can use.

use super::health::Proxy;
use super::rig::{BOUND, answering};
use integration_tests::name_server::{NameServer, Reply};
use integration_tests::subject::Subject;
use integration_tests::wait;
use std::time::Duration;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn front(nameserver: &str, more: &str) -> String {
    format!(
        "
global
    log {{log}} local0
    stats socket {{socket}} level admin
defaults
    mode http
    log global
    timeout client 9s
    timeout server 9s
    timeout connect 1s
resolvers dns
    nameserver ns1 {nameserver}
    timeout resolve 50ms
    timeout retry 100ms
    {more}
frontend fe
    bind {{front}}
    default_backend be
backend be
    server s1 one.test:7 resolvers dns init-addr none resolve-prefer ipv4
    server s2 two.test:7 resolvers dns init-addr none resolve-prefer ipv4
"
    )
}

fn is_ours() -> bool {
    Subject::from_env() == Subject::Ours
}

fn wait_for(proxy: &Proxy, server: &str, expected: &str) {
    let mut last = String::new();
    let reached = || {
        last = proxy.columns(server, "addr");
        (last == expected).then_some(())
    };
    assert!(wait::until("the address", BOUND, reached).is_ok(), "{server}: {last} instead of {expected}");
}

/// What was counted of the name server.
fn counted(proxy: &Proxy, what: &str) -> u64 {
    let shown = proxy.command("show resolvers dns");
    let line = shown.lines().find_map(|line| line.trim().strip_prefix(&format!("{what}:")));
    line.and_then(|number| number.trim().parse().ok()).unwrap_or_else(|| panic!("no {what} in {shown}"))
}

fn wait_for_questions(names: &NameServer, name: &str, more: usize) {
    let before = names.asked(name);
    wait::until("more questions", BOUND, || (names.asked(name) >= before + more).then_some(())).unwrap();
}

/// Over one connection, which the name server may close at any time.
#[test]
fn name_servers_are_asked_over_streams() {
    let path = std::env::temp_dir().join(format!("dns-{}.sock", std::process::id()));
    let tcp = NameServer::start_tcp().unwrap();
    let unix = NameServer::start_unix(&path).unwrap();
    let addresses = [format!("tcp@{}", tcp.address()), format!("uxst@{}", path.display())];
    for (names, address) in [&tcp, &unix].into_iter().zip(addresses) {
        names.set_addresses("one.test", &["127.0.0.2"]);
        names.set_addresses("two.test", &["127.0.0.3"]);
        let proxy = Proxy::start("names-stream", &front(&address, ""), answering(OK));
        wait_for(&proxy, "s1", "127.0.0.2:7");
        wait_for(&proxy, "s2", "127.0.0.3:7");
        wait_for_questions(names, "one.test", 8);
        assert!(names.connections() <= 2, "{}", names.connections());
        // A late answer keeps none behind it.
        names.set("one.test", Reply::Late(Duration::from_millis(150), vec!["127.0.0.2".parse().unwrap()]));
        names.set_addresses("two.test", &["127.0.0.4"]);
        wait_for(&proxy, "s2", "127.0.0.4:7");
        names.set_addresses("one.test", &["127.0.0.5"]);
        wait_for(&proxy, "s1", "127.0.0.5:7");
        let before = names.connections();
        names.close_after(1);
        // The connection that is there is past its first answer; the next ones are not.
        names.set_addresses("one.test", &["127.0.0.6"]);
        wait_for(&proxy, "s1", "127.0.0.6:7");
        names.close_after(2);
        wait_for_questions(names, "one.test", 8);
        assert_eq!(proxy.columns("s1", "addr"), "127.0.0.6:7");
        names.set_addresses("two.test", &["127.0.0.7"]);
        wait_for(&proxy, "s2", "127.0.0.7:7");
        assert!(names.connections() >= before, "{}", names.connections());
        assert!(counted(&proxy, "sent") > 16 && counted(&proxy, "valid") > 16);
        names.close_after(0);
    }
    let _ = std::fs::remove_file(path);
}

/// A name server that lets us in and says nothing, and one that is not there: those who have an address keep it.
#[test]
fn streams_without_answers() {
    if !is_ours() {
        return;
    }
    let names = NameServer::start_tcp().unwrap();
    names.set_addresses("one.test", &["127.0.0.2"]);
    names.set_addresses("two.test", &["127.0.0.3"]);
    let address = format!("tcp@{}", names.address());
    let config = front(&address, "nameserver ns2 tcp@{dead}");
    let proxy = Proxy::start("names-silence", &config, answering(OK));
    wait_for(&proxy, "s1", "127.0.0.2:7");
    names.set("one.test", Reply::Silence);
    names.set("two.test", Reply::Silence);
    wait_for_questions(&names, "one.test", 9);
    assert_eq!(proxy.columns("s1", "addr status"), "127.0.0.2:7|no check");
    assert!(counted(&proxy, "timeout") >= 6);
    let second = proxy.command("show resolvers dns");
    let lost = second.split("nameserver ns2:").nth(1).and_then(|rest| rest.split("snd_error:").nth(1)).unwrap();
    assert!(lost.split_whitespace().next().unwrap().parse::<u64>().unwrap() > 0, "{second}");
    names.set_addresses("one.test", &["127.0.0.4"]);
    wait_for(&proxy, "s1", "127.0.0.4:7");
}

/// Makes an answer of 4,000 addresses, the largest that fits.
#[expect(clippy::needless_pass_by_value, reason = "what an answer becomes is its own")]
fn flood(answer: Vec<u8>) -> Vec<u8> {
    let (head, record) = answer.split_at(answer.len() - 16);
    let mut flood = head.to_vec();
    flood[6..8].copy_from_slice(&4_000_u16.to_be_bytes());
    flood.extend(record.repeat(4_000));
    flood
}

/// Answers that are none, or lead nowhere: a server that has an address keeps it, whatever comes; others go on; and what is not even
/// a message is told of once.
#[test]
fn answers_that_nobody_can_use_change_nothing() {
    let names = NameServer::start().unwrap();
    names.set_addresses("one.test", &["127.0.0.2"]);
    names.set_addresses("two.test", &["127.0.0.3"]);
    let proxy = Proxy::start("names-odd", &front(&names.address().to_string(), ""), answering(OK));
    wait_for(&proxy, "s1", "127.0.0.2:7");
    wait_for(&proxy, "s2", "127.0.0.3:7");
    let aliases = |names: &[&str], ips: &[&str]| {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Reply::Aliases(names, ips.iter().map(|ip| ip.parse().unwrap()).collect())
    };
    let odd: [(&str, Reply); 15] = [
        ("outdated", Reply::Changed(|answer| [&[answer[0] ^ 1], &answer[1..]].concat())),
        // The question is another name's, or another kind's.
        ("outdated", Reply::Changed(|answer| [&answer[..13], b"x", &answer[14..]].concat())),
        ("outdated", Reply::Changed(|answer| [&answer[..23], &[28], &answer[24..]].concat())),
        // It is a question itself.
        ("invalid", Reply::Changed(|answer| [&answer[..2], &[1, 0], &answer[4..]].concat())),
        ("invalid", Reply::Changed(|answer| answer[..answer.len() - 1].to_vec())),
        (
            "invalid",
            Reply::Changed(|answer| [&answer[..answer.len() - 16], &[0xc0, 26], &answer[answer.len() - 14..]].concat()),
        ),
        ("truncated", Reply::Cut),
        ("any_err", Reply::Addresses(Vec::new())),
        ("nx", Reply::Failure(3)),
        ("other", Reply::Failure(2)),
        ("refused", Reply::Failure(5)),
        // A text, in place of an address; names that lead to each other, and one that leads nowhere.
        (
            "any_err",
            Reply::Changed(|answer| [&answer[..answer.len() - 13], &[16], &answer[answer.len() - 12..]].concat()),
        ),
        ("cname_error", aliases(&["two.test", "one.test"], &[])),
        ("cname_error", aliases(&["a.test"], &[])),
        ("too_big", Reply::Changed(|answer| [&answer[..], &[0; 600]].concat())),
    ];
    for (what, reply) in odd {
        let (told, shown) = (counted(&proxy, what), format!("{what} {reply:?}"));
        names.set("one.test", reply);
        let enough = || (counted(&proxy, what) >= told + 2).then_some(());
        // haproxy calls some of these otherwise, and takes the server out of service for a few.
        if is_ours() {
            assert!(wait::until("it is counted", BOUND, enough).is_ok(), "{shown}");
            assert_eq!(proxy.columns("s1", "addr status"), "127.0.0.2:7|no check", "{shown}");
        }
        assert_eq!(proxy.columns("s2", "addr status"), "127.0.0.3:7|no check", "{shown}");
    }
    names.set("one.test", aliases(&["a.test", "b.test", "c.test"], &["127.0.0.4"]));
    wait_for(&proxy, "s1", "127.0.0.4:7");
    names.set_addresses("two.test", &["127.0.0.5"]);
    wait_for(&proxy, "s2", "127.0.0.5:7");
    if is_ours() {
        let troubles = ["it is no answer", "it ends too early", "a compression pointer does not lead back"];
        // Both servers' ways to their first addresses, in any order.
        for _ in 0..6 {
            proxy.log();
        }
        for trouble in troubles {
            proxy.expect_log(&[&format!("resolvers dns: nameserver ns1 sent what is no answer: {trouble}.")]);
        }
        proxy.expect_log(&["be/s1 changed its IP from 127.0.0.2 to 127.0.0.4 by dns/ns1."]);
    }
}

/// Answers of 64 KB over TCP, longer than is taken and then with more records than are looked at.
#[test]
fn floods_of_addresses() {
    if !is_ours() {
        return;
    }
    let names = NameServer::start_tcp().unwrap();
    let address = format!("tcp@{}", names.address());
    for (size, what) in [("512", "too_big"), ("65535", "invalid")] {
        names.set_addresses("one.test", &["127.0.0.2"]);
        names.set_addresses("two.test", &["127.0.0.3"]);
        let config = front(&address, &format!("accepted_payload_size {size}"));
        let proxy = Proxy::start("names-flood", &config, answering(OK));
        wait_for(&proxy, "s1", "127.0.0.2:7");
        wait_for(&proxy, "s2", "127.0.0.3:7");
        names.set("one.test", Reply::Changed(flood));
        wait::until("it is counted", BOUND, || (counted(&proxy, what) > 8).then_some(())).unwrap();
        assert_eq!(proxy.columns("s1", "addr"), "127.0.0.2:7");
        names.set_addresses("two.test", &["127.0.0.4"]);
        wait_for(&proxy, "s2", "127.0.0.4:7");
        names.set_addresses("one.test", &["127.0.0.5"]);
        wait_for(&proxy, "s1", "127.0.0.5:7");
    }
}
