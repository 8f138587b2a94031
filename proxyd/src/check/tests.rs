//! Checks against servers of this process, on loopback.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::spawn_local;

use super::{Checks, Member, Method, Outlets, Plan, Probe, start};
use crate::balance::farm::{Farm, FarmSettings};
use crate::balance::server_state::{Running, ServerSettings, ServerState};
use crate::clock;
use crate::health::change::Event;
use crate::health::script::run::Script;
use crate::health::script::{CheckKind, Expect, ExpectPattern, TcpStep};
use crate::health::{InitState, Pace};
use crate::net::connect::Options;
use crate::proxy::Endpoint;

fn farm(count: u32) -> Arc<Farm> {
    let servers = (1..=count).map(|id| {
        let settings = ServerSettings { id, name: format!("s{id}"), checked: true, ..ServerSettings::default() };
        Arc::new(ServerState::new(settings))
    });
    Farm::new(FarmSettings { name: "b".into(), ..FarmSettings::default() }, servers.collect())
}

fn plan(farm: &Arc<Farm>, kind: &CheckKind, address: std::net::SocketAddr) -> Plan {
    Plan {
        member: Member { farm: Arc::clone(farm), index: 0 },
        trackers: Vec::new(),
        pace: Pace { inter: Duration::from_millis(20), rise: 2, fall: 3, ..Pace::default() },
        init_state: InitState::Up,
        check: Some(Method::Probe(Box::new(probe(kind, address)))),
        agent: None,
        log_every: false,
        slowstart: None,
        spread_percent: 0,
    }
}

fn probe(kind: &CheckKind, address: std::net::SocketAddr) -> Probe {
    Probe {
        script: Arc::new(Script::compile(kind, false).unwrap()),
        endpoint: Endpoint { address: Some(address.ip()), port: Some(address.port()) },
        options: Options::default(),
        socks4: None,
        via_socks4: false,
        send_proxy: None,
        never_local: false,
        send_state: None,
        connect_timeout: None,
        check_timeout: None,
    }
}

/// Runs a scenario on a local runtime; it must end within a few seconds.
fn local<F: Future<Output = ()>>(scenario: F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let set = tokio::task::LocalSet::new();
    let limit = Duration::from_secs(20);
    set.block_on(&runtime, async { tokio::time::timeout(limit, scenario).await.expect("the scenario hangs") });
}

/// Collects events and hands out the next one when it comes.
fn collector() -> (Outlets, tokio::sync::mpsc::Receiver<String>) {
    let (sender, receiver) = tokio::sync::mpsc::channel(100);
    let events = move |_: &Arc<Farm>, event: &Event| sender.try_send(event.text.clone()).unwrap();
    (Outlets { events: Rc::new(events), wake: Rc::new(|| ()), process: None }, receiver)
}

#[test]
fn a_server_that_dies_and_comes_back_is_noticed() {
    local(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let farm = farm(2);
        let mut checked = plan(&farm, &CheckKind::Tcp, address);
        checked.trackers = vec![Member { farm: Arc::clone(&farm), index: 1 }];
        let (sink, mut events) = collector();
        drop(listener);
        let checks: Checks = start(vec![checked], clock::now(), None, sink);
        let down = events.recv().await.unwrap();
        assert!(
            down.starts_with(
                "Server b/s1 is DOWN, reason: Layer4 connection problem, info: \"Connection refused\", check"
            ),
            "{down}"
        );
        let tracking = events.recv().await.unwrap();
        assert!(tracking.starts_with("Server b/s2 is DOWN via b/s1. 0 active"), "{tracking}");
        assert_eq!(events.recv().await.unwrap(), "backend b has no server available!");
        let _listener = TcpListener::bind(address).await.unwrap();
        let up = events.recv().await.unwrap();
        assert!(up.starts_with("Server b/s1 is UP, reason: Layer4 check passed, check duration: "), "{up}");
        assert!(events.recv().await.unwrap().starts_with("Server b/s2 is UP via b/s1. 2 active"));
        drop(checks);
    });
}

#[test]
fn a_server_that_says_nothing_is_given_up_in_time() {
    local(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let farm = farm(1);
        let step = TcpStep::Expect(Expect::new(ExpectPattern::Bytes(b"+PONG".to_vec())));
        let plan = plan(&farm, &CheckKind::TcpScript(vec![step]), listener.local_addr().unwrap());
        let (sink, mut events) = collector();
        let _checks = start(vec![plan], clock::now(), None, sink);
        let down = events.recv().await.unwrap();
        let expected =
            "Server b/s1 is DOWN, reason: Layer7 timeout, info: \" at step 1 of tcp-check (expect string '+PONG')\"";
        assert!(down.starts_with(expected), "{down}");
    });
}

#[test]
fn an_http_check_with_a_proxy_header_is_answered() {
    local(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Rc::new(RefCell::new(Vec::new()));
        let log = Rc::clone(&seen);
        spawn_local(async move {
            loop {
                let (mut stream, from) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    assert!(stream.read_buf(&mut request).await.unwrap() > 0);
                }
                log.borrow_mut().push((from, String::from_utf8(request).unwrap()));
                let status = if log.borrow().len() == 1 { "503 Too Busy" } else { "200 OK" };
                let _ = stream.write_all(format!("HTTP/1.0 {status}\r\n\r\n").as_bytes()).await;
            }
        });
        let farm = farm(1);
        let mut checked = plan(&farm, &CheckKind::Http(Vec::new()), address);
        if let Some(Method::Probe(probe)) = &mut checked.check {
            probe.send_proxy = Some(crate::proxy::address::SendProxy::V1);
        }
        checked.pace.inter = Duration::from_millis(100);
        let (sink, mut events) = collector();
        let _checks = start(vec![checked], clock::now(), None, sink);
        let down = events.recv().await.unwrap();
        let expected =
            "Server b/s1 is DOWN, reason: Layer7 wrong status, code: 503, info: \"Too Busy\", check duration: ";
        assert!(down.starts_with(expected), "{down}");
        assert_eq!(events.recv().await.unwrap(), "backend b has no server available!");
        assert!(events.recv().await.unwrap().starts_with("Server b/s1 is UP, reason: Layer7 check passed, code: 200"));
        let (from, request) = seen.borrow()[0].clone();
        let expected =
            format!("PROXY TCP4 127.0.0.1 127.0.0.1 {} {}\r\nOPTIONS / HTTP/1.0\r\n\r\n", from.port(), address.port());
        assert_eq!(request, expected);
    });
}

#[test]
fn a_slow_start_climbs_to_full_weight() {
    local(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let farm = farm(1);
        let mut checked = plan(&farm, &CheckKind::Tcp, listener.local_addr().unwrap());
        checked.init_state = InitState::Down;
        checked.slowstart = Some(Duration::from_millis(300));
        let server = Arc::clone(&farm.servers()[0]);
        let (sink, mut events) = collector();
        let _checks = start(vec![checked], clock::now(), None, sink);
        assert!(events.recv().await.unwrap().starts_with("Server b/s1 is UP"));
        assert_eq!(server.running(), Running::Up);
        let mut weights = vec![server.effective_weight()];
        while server.ramp() < 100 {
            tokio::time::sleep(Duration::from_millis(5)).await;
            let weight = server.effective_weight();
            assert!(weight >= weights[weights.len() - 1]);
            weights.push(weight);
        }
        weights.dedup();
        assert!(weights.len() > 3 && weights[0] <= 2 && weights[weights.len() - 1] == 16, "{weights:?}");
    });
}
