//! Unix sockets without a file: names in the abstract name space, as the kernel has them.

use super::rig::{BOUND, Rig, free_address};
use integration_tests::subject::Subject;
use std::io::{Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};

const CONFIG: &str = "
global
    log {log} local0
defaults
    mode http
    log global
    timeout client 5s
    timeout server 5s
    timeout connect 1s
listen l
    bind {front}
    bind FRONT
    server s SERVER
";

/// haproxy's `abns@` is as long as an address can be, with zeros at the end; `abnsz@` is what is written.
fn name(text: &str, padded: bool) -> SocketAddr {
    let mut name = text.as_bytes().to_vec();
    if padded {
        name.resize(107, 0);
    }
    SocketAddr::from_abstract_name(&name).unwrap()
}

fn passes(padded: bool) {
    let tag = free_address().port();
    let [front, server] = ["front", "server"].map(|place| format!("proxy-{place}-{tag}"));
    let listener = UnixListener::bind_addr(&name(&server, padded)).unwrap();
    std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let _ = client.read(&mut [0; 1_024]);
        client.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap();
    });
    let kind = if padded { "abns" } else { "abnsz" };
    let config = CONFIG.replace("FRONT", &format!("{kind}@{front}")).replace("SERVER", &format!("{kind}@{server}"));
    let _rig = Rig::start(kind, &config, Vec::new());
    let mut client = UnixStream::connect_addr(&name(&front, padded)).unwrap();
    client.set_read_timeout(Some(BOUND)).unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("ok"), "{answer}");
}

#[test]
fn names_are_as_long_as_haproxy_makes_them() {
    passes(true);
    // 3.x has the other kind, too.
    if Subject::from_env() == Subject::Ours {
        passes(false);
    }
}
