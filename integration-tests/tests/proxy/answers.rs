//! What becomes of answers that rules refuse. All is as with haproxy 2.6.

use super::rig::{Rig, answering, read_all};
use std::io::Write as _;
use std::time::Duration;

const CONFIG: &str = "
defaults
    mode http
    log {log} local0
    log-format \"[x] - - - %ST %B %ts\"
    timeout client 3s
    timeout server 3s
    timeout connect 2s
frontend fe
    bind {front}
RULES
    default_backend be
backend be
    server s1 {server}
";

const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: h\r\n\r\n";
const QUIET: Duration = Duration::from_millis(100);

fn logged(rig: &Rig) -> String {
    let line = rig.log_line();
    line.strip_prefix("- - - ").unwrap_or(&line).to_owned()
}

/// The server's connection carries the next request if the whole answer, and nothing else, had come.
#[test]
fn a_refused_answer_may_leave_its_connection() {
    let length = |length: usize| format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{}", "o".repeat(length));
    let table = [
        (length(0), true),
        (length(2), true),
        (length(10_000), true),
        (length(40_000), false),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n".to_owned(), true),
        ("HTTP/1.1 204 No Content\r\n\r\n".to_owned(), true),
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok".to_owned(), false),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok?".to_owned(), false),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok".to_owned(), false),
        ("HTTP/1.1 200 OK\r\n\r\nok".to_owned(), false),
    ];
    for rule in ["http-response deny", "http-response return status 200"] {
        for (answer, keeps) in &table {
            let config = CONFIG.replace("RULES", &format!("    {rule}"));
            let rig = Rig::start("refused", &config, answering(answer.as_bytes()));
            let mut client = rig.connect();
            for _ in 0..2 {
                client.write_all(GET).unwrap();
                assert!(!read_all(&mut client, QUIET).1, "{answer:.80}");
                let _ = logged(&rig);
            }
            let connections = if *keeps { 1 } else { 2 };
            assert_eq!(rig.origin.connections(), connections, "{rule}: {answer:.80}");
        }
    }
}
