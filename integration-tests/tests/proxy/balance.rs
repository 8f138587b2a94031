//! Keys: which server a request goes to by what it says. The expectations were asked of haproxy 2.6, which passes them.

use super::rig::{BOUND, Rig, Step, answering, read_all, wait_until_read};
use integration_tests::subject::Subject;
use integration_tests::wait;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const QUIET: Duration = Duration::from_millis(100);

fn config(mode: &str, backend: &str) -> String {
    let servers = (1..=5).map(|id| format!("    server s{id} {{server}}")).collect::<Vec<_>>().join("\n");
    format!(
        "
global
    log {{log}} local0
    nbthread 1
defaults
    mode {mode}
    log global
    option {mode}log
    timeout client 5s
    timeout server 5s
    timeout connect 1s
    timeout http-request 300ms
listen fe
    bind {{front}}
    {backend}
{servers}
"
    )
}

/// The server of the next line in the log.
fn server(rig: &Rig) -> String {
    let line = rig.log_line();
    line.split(' ').nth(1).and_then(|word| word.strip_prefix("fe/")).unwrap_or(&line).to_owned()
}

/// The servers of the same request, sent three times: where nothing is hashed, it is another one each time.
fn servers(rig: &Rig, request: &str) -> String {
    let one = |_| {
        let mut client = rig.connect();
        client.write_all(request.as_bytes()).unwrap();
        let answer = read_all(&mut client, QUIET).0;
        assert!(answer.contains("HTTP/1.1 200 "), "{request}: {answer}");
        server(rig)
    };
    (0..3).map(one).collect::<Vec<_>>().join(" ")
}

fn post(target: &str, body: &str) -> String {
    format!("POST {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn get(target: &str, fields: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{fields}\r\n")
}

#[test]
fn forms_are_looked_into() {
    let rig = Rig::start("check-post", &config("http", "balance url_param u check_post"), answering(OK));
    for (value, server) in [("1", "s5"), ("2", "s1"), ("abc", "s2"), ("user42", "s1"), ("", "s1"), ("ab%63", "s5")] {
        let always = [server; 3].join(" ");
        assert_eq!(servers(&rig, &get(&format!("/?u={value}"), "")), always, "{value}");
        assert_eq!(servers(&rig, &post(&format!("/?u={value}"), "u=x")), always, "{value}");
        assert_eq!(servers(&rig, &post("/", &format!("a=1&u={value}"))), always, "{value}");
    }
    for (body, server) in [("u=abc d&z=1", "s1"), ("u=abc;z", "s1"), ("u=abc?z", "s2"), ("a=1\r\n&u=abc", "s2")] {
        assert_eq!(servers(&rig, &post("/", body)), [server; 3].join(" "), "{body}");
    }
    let head = "POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunks = format!("{head}4\r\na=1&\r\n3\r\nu=a\r\n2\r\nbc\r\n0\r\n\r\n");
    assert_eq!(servers(&rig, &chunks), "s2 s2 s2");
    // As much as there is room for.
    let large = format!("a=x&u=abc&b={}", "x".repeat(40_000));
    assert_eq!(servers(&rig, &post("/", &large)), "s2 s2 s2");
    let mut seen: Vec<String> =
        servers(&rig, &post("/", "a=1;u=abc&U=abc&au=abc")).split(' ').map(str::to_owned).collect();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 3, "no such parameter: in turn");
}

/// Of a field that is there more than once, or has a list, the first element counts; where that is empty, nothing is hashed.
#[test]
fn the_first_element_of_a_field_is_hashed() {
    let rig = Rig::start("hash-field", &config("http", "balance hdr(x-h)"), answering(OK));
    let of = |values: &[&str]| {
        let fields: Vec<String> = values.iter().map(|value| format!("x-h: {value}\r\n")).collect();
        servers(&rig, &get("/", &fields.concat()))
    };
    let [a, b] = ["a", "c"].map(|value| of(&[value]));
    assert!(a != b && [&a, &b].iter().all(|servers| servers.split(' ').all(|one| servers.starts_with(one))), "{a} {b}");
    for values in [&["a,c"][..], &["a", "c"], &[" a , c", "c"], &["a,"]] {
        assert_eq!(of(values), a, "{values:?}");
    }
    let quoted = of(&["\"a,c\""]);
    assert_eq!(of(&["\"a,c\",c"]), quoted);
    for values in [&[",a"][..], &["", "a"], &[" , a"], &[","]] {
        let servers = of(values);
        let [first, second, third] = servers.split(' ').collect::<Vec<_>>()[..] else { panic!("{servers}") };
        assert!(first != second && second != third, "{values:?}: {servers}");
    }
}

#[test]
fn a_form_is_waited_for() {
    // What comes in time is no matter of how busy the machine is.
    let patient = config("http", "balance url_param u check_post").replace("http-request 300ms", "http-request 5s");
    let rig = Rig::start("check-post-slow", &patient, answering(OK));
    let mut client = rig.connect();
    client.write_all(post("/", "u=abc").strip_suffix("abc").unwrap().as_bytes()).unwrap();
    super::rig::wait_until_read(&client);
    assert!(rig.origin.is_idle());
    client.write_all(b"abc").unwrap();
    assert!(read_all(&mut client, QUIET).0.starts_with("HTTP/1.1 200 "));
    assert_eq!(server(&rig), "s2");
    let mut client = rig.connect();
    let head = post("/", "u=abc").replace("Content-Length", "Expect: 100-continue\r\nContent-Length");
    client.write_all(head.strip_suffix("u=abc").unwrap().as_bytes()).unwrap();
    assert!(read_all(&mut client, QUIET).0.starts_with("HTTP/1.1 100 "));
    client.write_all(b"u=abc").unwrap();
    assert!(read_all(&mut client, QUIET).0.starts_with("HTTP/1.1 200 "));
    assert_eq!(server(&rig), "s2");
}

#[test]
fn a_form_is_waited_for_as_long_as_a_request() {
    let rig = Rig::start("check-post-late", &config("http", "balance url_param u check_post"), answering(OK));
    let mut late = rig.connect();
    late.write_all(post("/", "u=abc").strip_suffix("c").unwrap().as_bytes()).unwrap();
    assert!(read_all(&mut late, QUIET).0.starts_with("HTTP/1.1 408 "));
    let line = rig.log_line();
    assert!(line.starts_with("fe fe/<NOSRV> T/-1/-1/-1/T 408 ") && line.contains(" cR-- "), "{line}");
    let mut gone = rig.connect();
    gone.write_all(post("/", "u=abc").strip_suffix("c").unwrap().as_bytes()).unwrap();
    gone.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(read_all(&mut gone, QUIET), (String::new(), true));
    let line = rig.log_line();
    assert!(line.starts_with("fe fe/<NOSRV> T/-1/-1/-1/T -1 0 ") && line.contains(" CR-- "), "{line}");
}

/// A target, header lines, and the servers of three of them.
type Request = (&'static str, &'static str, &'static str);

#[test]
fn expressions_are_hashed() {
    let cases: &[(&str, &[Request])] = &[
        ("balance hash int(5)", &[("/", "", "s1 s1 s1")]),
        (
            "balance hash url_param(n),add(0)",
            &[
                ("/?n=0", "", "s1 s1 s1"),
                ("/?n=1", "", "s2 s2 s2"),
                ("/?n=77", "", "s3 s3 s3"),
                ("/?n=-3", "", "s2 s2 s2"),
                ("/?n=4000000000", "", "s5 s5 s5"),
                ("/", "", "s1 s2 s3"),
            ],
        ),
        ("balance hash url_param(b),bool", &[("/?b=1", "", "s2 s2 s2"), ("/?b=true", "", "s1 s1 s1")]),
        (
            "balance hash url_param(n),add(0)\n hash-type map-based djb2",
            &[("/?n=0", "", "s2 s2 s2"), ("/?n=4000000000", "", "s1 s1 s1"), ("/?n=-3", "", "s1 s1 s1")],
        ),
        (
            "balance hash url_param(n)\n hash-type consistent crc32",
            &[("/?n=0", "", "s5 s5 s5"), ("/?n=77", "", "s4 s4 s4"), ("/?n=abc", "", "s3 s3 s3")],
        ),
        (
            "balance hash hdr(x)",
            &[
                ("/", "x: a\r\n", "s3 s3 s3"),
                ("/", "x: a,b\r\n", "s4 s4 s4"),
                ("/", "x: b\r\n", "s4 s4 s4"),
                ("/", "x: a\r\nx: b\r\n", "s4 s4 s4"),
                ("/", "x:\r\n", "s1 s1 s1"),
                ("/", "", "s1 s2 s3"),
            ],
        ),
    ];
    for (backend, requests) in cases {
        let rig = Rig::start("hash", &config("http", backend), answering(OK));
        for (target, fields, expected) in *requests {
            assert_eq!(servers(&rig, &get(target, fields)), *expected, "{backend} {target} {fields}");
        }
    }
}

/// The first message of a Remote Desktop client, with a cookie.
fn remote_desktop(cookie: &str) -> Vec<u8> {
    let rest = format!("Cookie: {cookie}\r\n\x01\0\x08\0\x03\0\0\0");
    let length = u8::try_from(11 + rest.len()).unwrap();
    let mut message = vec![3, 0, 0, length, length - 5, 0xe0, 0, 0, 0, 0, 0];
    message.extend_from_slice(rest.as_bytes());
    message
}

const INSPECT: &str = "tcp-request inspect-delay 5s\n    tcp-request content accept if RDP_COOKIE";

fn desktop_server(rig: &Rig, cookie: &str) -> String {
    let mut client = rig.connect();
    client.write_all(&remote_desktop(cookie)).unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(read_all(&mut client, QUIET).0, "hello");
    server(rig)
}

#[test]
fn desktop_users_have_their_servers() {
    let script = vec![Step::Write(b"hello".to_vec()), Step::ReadToEnd];
    let rig = Rig::start("rdp", &config("tcp", &format!("{INSPECT}\n    balance rdp-cookie")), script);
    // The same function as for parameters: sdbm over what stands behind the equals sign.
    for (user, expected) in [("abc", "s2"), ("user42", "s1"), ("1", "s5")] {
        for name in ["mstshash", "MSTSHASH"] {
            assert_eq!(desktop_server(&rig, &format!("{name}={user}")), expected, "{user}");
        }
    }
    assert_ne!(desktop_server(&rig, "msts=abc"), desktop_server(&rig, "msts=abc"), "no such cookie: in turn");
}

#[test]
fn desktop_sessions_are_found_again() {
    let script = vec![Step::Write(b"hello".to_vec()), Step::ReadToEnd];
    let backend = format!("{INSPECT}\n    persist rdp-cookie\n    balance roundrobin\n    retries 0");
    // Nobody would go to the server by itself: the token alone leads there.
    let text = config("tcp", &backend).replace("server s5 {server}", "server s5 {server} weight 0");
    let text = ["s1", "s2", "s3", "s4"].iter().fold(text, |text, name| {
        text.replace(&format!("server {name} {{server}}"), &format!("server {name} {{dead}}"))
    });
    let rig = Rig::start("rdp-persist", &text, script);
    let SocketAddr::V4(address) = rig.origin.address else { unreachable!() };
    let (ip, port) = (u32::from(*address.ip()).swap_bytes(), address.port().swap_bytes());
    for _ in 0..3 {
        assert_eq!(desktop_server(&rig, &format!("msts={ip}.{port}.0000")), "s5");
    }
    let forged = [
        format!("msts={ip}.{}.0000", port ^ 1),
        format!("msts={ip}.{port}"),
        format!("msts={ip}"),
        "msts=".to_owned(),
        "msts=99999999999999999999.1.0000".to_owned(),
        format!("mstshash={ip}.{port}.0000"),
    ];
    for cookie in forged {
        let mut client = rig.connect();
        client.write_all(&remote_desktop(&cookie)).unwrap();
        assert_eq!(read_all(&mut client, QUIET).0, "", "{cookie}");
        assert_ne!(server(&rig), "s5", "{cookie}");
    }
}

/// A server that answers at once, and requests that say `x-hold` when the gate is open.
fn gated(open: &Arc<AtomicBool>, held: &Arc<AtomicUsize>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (open, held) = (Arc::clone(open), Arc::clone(held));
    std::thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            let (open, held) = (Arc::clone(&open), Arc::clone(&held));
            std::thread::spawn(move || {
                let (mut text, mut block) = (String::new(), [0; 512]);
                while let Ok(count @ 1..) = client.read(&mut block) {
                    text.push_str(&String::from_utf8_lossy(&block[..count]));
                    if !text.ends_with("\r\n\r\n") {
                        continue;
                    }
                    if text.contains("x-hold") {
                        held.fetch_add(1, Ordering::SeqCst);
                        let _ = wait::until("the gate", BOUND, || open.load(Ordering::SeqCst).then_some(()));
                    }
                    let _ = client.write_all(OK);
                    text.clear();
                }
            });
        }
    });
    address
}

fn ring(lines: &str, servers: &str) -> String {
    format!(
        "
global
    log {{log}} local0
    nbthread 1
defaults
    mode http
    timeout client 9s
    timeout server 9s
    timeout connect 1s
    timeout queue 9s
listen fe
    bind {{front}}
    balance uri
    hash-type consistent
    http-response set-header x-server %s
    {lines}
{servers}
"
    )
}

fn server_of(answer: &str) -> String {
    answer.lines().find_map(|line| line.strip_prefix("x-server: ")).unwrap_or(answer).to_owned()
}

/// `hash-key` is newer than haproxy 2.6. Its manual: keyed by addresses, a ring is the same whatever the order and the names of the
/// servers, as another proxy may have them.
#[test]
fn rings_of_two_proxies_agree_by_address() {
    if Subject::from_env() == Subject::Theirs {
        return;
    }
    let (open, held) = (Arc::default(), Arc::default());
    let addresses: Vec<SocketAddr> = (0..3).map(|_| gated(&open, &held)).collect();
    let owners = |name: &str, key: &str, order: [usize; 3]| -> Vec<String> {
        let line = |at: usize| format!("    server p{} {} hash-key {key}", addresses[at].port(), addresses[at]);
        let servers = order.map(line).join("\n");
        let rig = Rig::start(name, &ring("", &servers), answering(OK));
        let ask = |uri| {
            let mut client = rig.connect();
            client.write_all(get(&format!("/{uri}"), "").as_bytes()).unwrap();
            server_of(&read_all(&mut client, BOUND).0)
        };
        (0..24).map(ask).collect()
    };
    assert_eq!(owners("ring-a", "addr-port", [0, 1, 2]), owners("ring-b", "addr-port", [2, 0, 1]));
    assert_ne!(owners("ring-c", "id", [0, 1, 2]), owners("ring-d", "id", [2, 0, 1]));
}

/// `hash-preserve-affinity` likewise: a server that is busy is waited for, or passed over once it has `maxconn` requests, or once its
/// queue is full, too.
#[test]
fn a_busy_server_of_a_ring_is_waited_for_or_passed_over() {
    if Subject::from_env() == Subject::Theirs {
        return;
    }
    for (affinity, queued) in [("always", 2), ("maxconn", 0), ("maxqueue", 1)] {
        let (open, held) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let servers = (1..=3).map(|id| format!("    server s{id} {} maxconn 1 maxqueue 1", gated(&open, &held)));
        let servers = servers.collect::<Vec<_>>().join("\n");
        // Always: the queue has room for all.
        let servers = if affinity == "always" { servers.replace("maxqueue 1", "") } else { servers };
        let rig = Rig::start("affinity", &ring(&format!("hash-preserve-affinity {affinity}"), &servers), answering(OK));
        let send = |fields: &str| {
            let mut client = rig.connect();
            client.write_all(get("/key", fields).as_bytes()).unwrap();
            client
        };
        let mut first = send("x-hold: 1\r\n");
        wait::until("the first is held", BOUND, || (held.load(Ordering::SeqCst) == 1).then_some(())).unwrap();
        let mut waiting: Vec<_> = (0..queued).map(|_| send("")).collect();
        waiting.iter().for_each(wait_until_read);
        let elsewhere = (affinity != "always").then(|| server_of(&read_all(&mut send(""), BOUND).0));
        for client in &mut waiting {
            client.set_read_timeout(Some(QUIET)).unwrap();
            let mut early = [0; 512];
            let answer = client.read(&mut early).map(|count| String::from_utf8_lossy(&early[..count]).into_owned());
            assert!(answer.is_err(), "{affinity}: it waits: {answer:?}");
        }
        open.store(true, Ordering::SeqCst);
        let home = server_of(&read_all(&mut first, BOUND).0);
        assert!(elsewhere.is_none_or(|other| other != home && other.starts_with('s')), "{affinity}: {home}");
        for client in &mut waiting {
            assert_eq!(server_of(&read_all(client, BOUND).0), home, "{affinity}");
        }
    }
}
