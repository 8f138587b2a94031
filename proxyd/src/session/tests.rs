//! Requests and connections through a whole worker.

mod bulk;
mod lab;

use std::io::{Read, Write};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::pool::{Pools, ServerConn};
use crate::clock;
use crate::proxy::Server;
use crate::worker::buffers::Buffers;
use lab::{Lab, Origin, Plan, Step};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn read_until(client: &mut impl Read, end: &str) -> String {
    let mut text = Vec::new();
    let mut block = [0; 4096];
    while !text.ends_with(end.as_bytes()) {
        match client.read(&mut block) {
            Ok(count @ 1..) => text.extend_from_slice(&block[..count]),
            Ok(0) | Err(_) => break,
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// What an idle connection, a tunnel and a request that waits cost besides their sockets; more would be paid by every one of
/// ten thousand of them.
/// The runtime adds 104 bytes to a task, and makes a multiple of 128 of it; the allocator has blocks of 256, 320, … 1,024, 1,280 and so on.
#[test]
fn connections_tunnels_and_requests_are_small() {
    fn task<A, B, C, D, F: Future>(_: impl Fn(A, B, C, D) -> F) -> usize {
        size_of::<F>()
    }
    fn tunnel<'a, F: Future>(_: impl Fn(&'a super::Session, &'a mut super::Conn) -> F) -> usize {
        size_of::<F>()
    }
    fn exchange<F: Future>(_: impl Fn(Box<super::Link>, super::h1::Begun) -> F) -> usize {
        size_of::<F>()
    }
    let sizes = (task(super::run), size_of::<super::Link>(), tunnel(super::tcp::serve), exchange(super::stream::run));
    assert!(sizes.0 <= 256 - 104 && sizes.1 <= 256 && sizes.2 <= 1_280 && sizes.3 <= 1_792, "{sizes:?} bytes");
}

/// A server that is reached as before keeps its connections; those of one that is gone are closed, as are those that were idle
/// for too long, but never so many that a request would have to wait for it.
#[test]
fn idle_connections_are_closed_a_few_at_a_time() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _guard = runtime.enter();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (pools, buffers, now) = (Pools::default(), Buffers::new(16), clock::moment());
    let one = lab::server(1, address);
    let same = Server { reach: Arc::clone(&one.reach), ..lab::server(1, address) };
    assert!(Rc::ptr_eq(&pools.of(&one), &pools.of(&same)));
    assert!(!Rc::ptr_eq(&pools.of(&one), &pools.of(&lab::server(2, address))));
    let connect = || {
        let client = std::net::TcpStream::connect(address).unwrap();
        client.set_nonblocking(true).unwrap();
        let conn = super::Conn::new(crate::net::Stream::from_socket(client.into(), false).unwrap());
        pools.of(&one).give(&buffers, ServerConn { conn, requests: 1, moves: 0 }, now);
        listener.accept().unwrap().0
    };
    let mut servers: Vec<_> = std::iter::repeat_with(connect).take(40).collect();
    for end in &servers {
        end.set_nonblocking(true).unwrap();
    }
    // Of both, as often as there is something to go on with; how many were closed each time.
    let mut sweep = |now| {
        let mut closed = Vec::new();
        let mut from = Some(0);
        while let Some(place) = from {
            from = pools.purge(&buffers, now, place);
            let before = servers.len();
            servers.retain_mut(|end| end.read(&mut [0]).is_err());
            closed.push(before - servers.len());
        }
        closed.retain(|count| *count > 0);
        closed
    };
    assert!(sweep(now).is_empty());
    drop(one);
    assert!(sweep(now).is_empty(), "the next generation has the server, too");
    drop(same);
    assert_eq!(sweep(now), [16, 16, 8]);
}

#[test]
fn a_request_is_forwarded_and_answered() {
    let origin = Origin::answering(OK);
    let lab = Lab::start(&Plan::http(&[origin.address]));
    let answer = lab.whole(b"GET /a HTTP/1.1\r\nHost: Ex.COM\r\nConnection: close\r\n\r\n");
    assert_eq!(answer, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
    drop(lab);
    let forwarded = origin.received.recv_timeout(Duration::from_secs(5)).unwrap();
    assert_eq!(forwarded, "GET /a HTTP/1.1\r\nhost: Ex.COM\r\nx-forwarded-for: 127.0.0.1\r\n\r\n");
}

#[test]
fn requests_share_connections_on_both_sides() {
    let origin = Origin::answering(OK);
    let lab = Lab::start(&Plan::http(&[origin.address]));
    let mut client = lab.connect();
    for _ in 0..5 {
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        assert_eq!(read_until(&mut client, "ok"), "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    }
    client.write_all(b"GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\nconnection: close\r\n\r\n").unwrap();
    let mut both = String::new();
    client.read_to_string(&mut both).unwrap();
    assert_eq!(both.matches("200 OK").count(), 2, "{both}");
    drop(lab);
    let forwarded = origin.received.recv_timeout(Duration::from_secs(5)).unwrap();
    assert_eq!(forwarded.matches("GET /").count(), 7, "one connection to the server: {forwarded}");
    assert!(origin.received.recv_timeout(Duration::from_millis(50)).is_err());
}

#[test]
fn old_clients_are_closed_unless_they_ask() {
    let origin = Origin::answering(OK);
    let lab = Lab::start(&Plan::http(&[origin.address]));
    let answer = lab.whole(b"GET /a HTTP/1.0\r\n\r\n");
    assert_eq!(answer, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
    let mut client = lab.connect();
    client.write_all(b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").unwrap();
    assert_eq!(
        read_until(&mut client, "ok"),
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: keep-alive\r\n\r\nok"
    );
}

#[test]
fn bodies_of_every_kind() {
    for (response, expected) in [
        ("HTTP/1.1 200 OK\r\n\r\nuntil close", "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nuntil close"),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nX-T: v\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n3\r\nabc\r\n0\r\nx-t: v\r\n\r\n",
        ),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 204 No\r\ncontent-length: 3\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 204 No\r\nconnection: close\r\n\r\n",
        ),
    ] {
        let origin = Origin::start(vec![Step::Read("\r\n\r\n"), Step::Write(response.to_owned()), Step::Close]);
        let lab = Lab::start(&Plan::http(&[origin.address]));
        assert_eq!(lab.whole(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n"), expected);
    }
}

#[test]
fn large_bodies_in_both_directions() {
    const SIZE: usize = 3_000_000;
    let body = "x".repeat(SIZE);
    let response = format!("HTTP/1.1 200 OK\r\ncontent-length: {SIZE}\r\n\r\n{body}");
    let origin = Origin::start(vec![Step::Read("xEND"), Step::Write(response), Step::Close]);
    let lab = Lab::start(&Plan::http(&[origin.address]));
    let request = format!("POST / HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}END", SIZE + 3);
    let answer = lab.whole(request.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{}", &answer[..answer.len().min(200)]);
    assert!(answer.ends_with(&body));
    drop(lab);
    let forwarded = origin.received.recv_timeout(Duration::from_secs(5)).unwrap();
    assert!(forwarded.ends_with(&format!("{body}END")));
}

#[test]
fn errors_have_haproxys_pages_and_keep_the_connection() {
    let lab = Lab::start(&Plan::http(&[]));
    let mut client = lab.connect();
    for _ in 0..2 {
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        let page = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 107\r\ncache-control: no-cache\r\ncontent-type: text/html\r\n\r\n\
             <html><body><h1>503 Service Unavailable</h1>\nNo server is available to handle this request.\n</body></html>\n";
        assert_eq!(read_until(&mut client, "</html>\n"), page);
    }
    client.write_all(b"GET /alive HTTP/1.1\r\n\r\n").unwrap();
    assert!(read_until(&mut client, "</html>\n").starts_with("HTTP/1.1 200 OK\r\ncontent-length: 58\r\n"));
    client.write_all(b"\x16\x03\x01").unwrap();
    let answer = read_until(&mut client, "never");
    assert!(answer.starts_with("HTTP/1.1 400 Bad request\r\nContent-length: 90\r\n"), "{answer}");
}

#[test]
fn bad_responses_are_502_and_silence_is_504() {
    for (script, status) in [
        (vec![Step::Read("\r\n\r\n"), Step::Write("junk\r\n\r\n".to_owned()), Step::Close], "502"),
        (vec![Step::Read("\r\n\r\n"), Step::Close], "502"),
        (vec![Step::Read("\r\n\r\n"), Step::Write("HTTP/1.1 200 OK\r\nx: y".to_owned()), Step::Close], "502"),
        (vec![Step::Read("\r\n\r\n"), Step::Wait], "504"),
    ] {
        let origin = Origin::start(script);
        let mut plan = Plan::http(&[origin.address]);
        plan.timeouts.server = Some(Duration::from_millis(100));
        let lab = Lab::start(&plan);
        let answer = lab.whole(b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n");
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
}

#[test]
fn a_refused_connection_is_tried_again_elsewhere() {
    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let origin = Origin::answering(OK);
    let mut plan = Plan::http(&[dead, origin.address]);
    plan.redispatch = Some(-1);
    let lab = Lab::start(&plan);
    for _ in 0..4 {
        assert!(lab.whole(b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n").contains("200 OK"));
    }
    let mut plan = Plan::http(&[dead]);
    plan.timeouts.connect = Some(Duration::from_millis(50));
    let lab = Lab::start(&plan);
    assert!(lab.whole(b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n").contains("503 Service"));
}

#[test]
fn late_requests_are_408() {
    let mut plan = Plan::http(&[]);
    plan.timeouts.http_request = Some(Duration::from_millis(100));
    let lab = Lab::start(&plan);
    let start = clock::now();
    assert!(lab.whole(b"GET / HTTP/1.1\r\nfoo").starts_with("HTTP/1.1 408 Request Time-out\r\n"));
    assert!(lab.whole(b"").starts_with("HTTP/1.1 408 Request Time-out\r\n"));
    assert!(clock::now() - start >= Duration::from_millis(200));
}

#[test]
fn an_idle_connection_closes_silently() {
    let origin = Origin::answering(OK);
    let mut plan = Plan::http(&[origin.address]);
    plan.timeouts.http_keep_alive = Some(Duration::from_millis(50));
    let lab = Lab::start(&plan);
    assert_eq!(lab.whole(b"GET / HTTP/1.1\r\n\r\n"), "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
}

#[test]
fn requests_queue_for_a_full_server() {
    let script = vec![Step::Read("\r\n\r\n"), Step::Read("go"), Step::Write(OK.to_owned()), Step::Wait];
    let origin = Origin::start(script);
    let mut plan = Plan::http(&[origin.address]);
    plan.maxconn = 1;
    let lab = Lab::start(&plan);
    let mut first = lab.connect();
    first.write_all(b"POST /1 HTTP/1.1\r\ncontent-length: 2\r\n\r\n").unwrap();
    while lab.generation.backends[0].servers[0].traffic.sessions.current() == 0 {
        std::thread::yield_now();
    }
    assert!(lab.whole(b"GET /2 HTTP/1.1\r\nconnection: close\r\n\r\n").contains("503 Service"), "the queue's timeout");
    first.write_all(b"go").unwrap();
    assert!(read_until(&mut first, "ok").contains("200 OK"));
}

#[test]
fn bytes_in_mode_tcp_with_half_closes() {
    let script = vec![Step::Read("ping"), Step::Write("pong".to_owned()), Step::Wait, Step::Write("bye".to_owned())];
    let origin = Origin::start(script);
    let lab = Lab::start(&Plan::tcp(&[origin.address]));
    let mut client = lab.connect();
    client.write_all(b"ping").unwrap();
    assert_eq!(read_until(&mut client, "pong"), "pong");
    client.write_all(b"last").unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(read_until(&mut client, "never"), "bye");
    assert_eq!(origin.received.recv_timeout(Duration::from_secs(5)).unwrap(), "pinglast");
}

#[test]
fn an_upgrade_becomes_a_tunnel() {
    let switch = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\nhello";
    let script = vec![
        Step::Read("\r\n\r\n"),
        Step::Write(switch.to_owned()),
        Step::Read("ping"),
        Step::Write("pong".to_owned()),
        Step::Close,
    ];
    let origin = Origin::start(script);
    let lab = Lab::start(&Plan::http(&[origin.address]));
    let mut client = lab.connect();
    client.write_all(b"GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n").unwrap();
    assert_eq!(
        read_until(&mut client, "hello"),
        "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: foo\r\n\r\nhello"
    );
    client.write_all(b"ping").unwrap();
    assert_eq!(read_until(&mut client, "pong"), "pong");
}

#[test]
fn draining_ends_idle_connections_and_lets_requests_finish() {
    // Head and body may arrive together, so one step reads both.
    let script = vec![Step::Read("\r\n\r\ngo"), Step::Write(OK.to_owned()), Step::Wait];
    let origin = Origin::start(script);
    let mut plan = Plan::http(&[origin.address]);
    plan.timeouts.server = Some(Duration::from_secs(30));
    plan.timeouts.client = plan.timeouts.server;
    let lab = Lab::start(&plan);
    let mut busy = lab.connect();
    busy.write_all(b"POST / HTTP/1.1\r\ncontent-length: 2\r\n\r\n").unwrap();
    while lab.generation.backends[0].servers[0].traffic.sessions.current() == 0 {
        std::thread::yield_now();
    }
    lab.worker.commands.blocking_send(crate::worker::Command::Drain).unwrap();
    while std::net::TcpStream::connect(lab.address).is_ok() {
        std::thread::yield_now();
    }
    busy.write_all(b"go").unwrap();
    let mut answer = String::new();
    busy.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
    while !lab.worker.thread.is_finished() {
        std::thread::yield_now();
    }
}
