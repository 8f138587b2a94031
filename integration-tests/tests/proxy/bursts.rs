//! More requests at once than begin in a turn of the loop.

use super::rig::{BOUND, Rig};
use integration_tests::wait;
use nix::sys::signal::Signal;
use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

const CONFIG: &str = "
global
    log {log} local0
defaults
    mode http
    log global
    timeout client 30s
    timeout server 30s
    timeout connect 5s
frontend f
    bind {front}
    log-format %HP
    http-request return status 200 content-type text/plain string done
";

/// Reads up to the end of the body.
fn answer(client: &mut TcpStream) -> String {
    client.set_read_timeout(Some(BOUND)).unwrap();
    let (mut answer, mut block) = (String::new(), [0; 1_024]);
    while !answer.ends_with("\r\n\r\ndone") {
        let count = client.read(&mut block).unwrap();
        assert!(count > 0, "{answer}");
        answer.push_str(&String::from_utf8_lossy(&block[..count]));
    }
    answer
}

/// A process that stands still while they come finds them all when it goes on.
#[test]
fn all_of_a_burst_are_answered_and_logged() {
    /// No more than a log server's socket holds lines of.
    const CLIENTS: usize = 200;
    let rig = Rig::start("bursts", CONFIG, Vec::new());
    // Twice, so that most are on connections that are known by then.
    let mut clients: Vec<TcpStream> = (0..CLIENTS).map(|_| rig.connect()).collect();
    for turn in ["first", "second"] {
        rig.signal(Signal::SIGSTOP);
        let state =
            || std::fs::read_to_string(format!("/proc/{}/stat", rig.pid())).ok()?.contains(") T ").then_some(());
        wait::until("the process stands still", BOUND, state).unwrap();
        for (number, client) in clients.iter_mut().enumerate() {
            write!(client, "GET /{turn}/{number} HTTP/1.1\r\nhost: h\r\n\r\n").unwrap();
        }
        rig.signal(Signal::SIGCONT);
        for client in &mut clients {
            assert!(answer(client).starts_with("HTTP/1.1 200 OK\r\n"));
        }
        let mut missing: BTreeSet<String> = (0..CLIENTS).map(|number| format!("/{turn}/{number}")).collect();
        for _ in 0..CLIENTS {
            let line = rig.log_line();
            assert!(line.rsplit(' ').next().is_some_and(|path| missing.remove(path)), "{line}");
        }
    }
}
