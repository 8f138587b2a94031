//! `namespace`: sockets in another network namespace than the proxy's.

use super::rig::{BOUND, Rig, answering};
use integration_tests::netns::Netns;
use integration_tests::origin::Origin;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};

const CONFIG: &str = "
defaults
    mode http
    timeout client 5s
    timeout server 5s
    timeout connect 5s
    retries 0
listen into
    bind {front}
    server inside 127.0.0.1:8001 namespace NAME check
listen from
    bind 127.0.0.1:8002 namespace NAME
    server outside {server}
";

/// A name for a namespace, where `ip netns` has its own.
struct Name(PathBuf);

impl Name {
    fn of(netns: &Netns, name: &str) -> Self {
        let directory = Path::new("/var/run/netns");
        std::fs::create_dir_all(directory).unwrap();
        let path = directory.join(name);
        std::os::unix::fs::symlink(netns.path(), &path).unwrap();
        Self(path)
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The answer to a request.
fn ask(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(BOUND)).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn sockets_belong_to_the_namespace_of_their_line() {
    let netns = Netns::new().unwrap();
    let name = format!("proxy-{}", std::process::id());
    let _name = Name::of(&netns, &name);
    let inside = Origin::start(&netns, "127.0.0.1:8001".parse().unwrap(), "inside").unwrap();
    let rig = Rig::start(
        "namespace",
        &CONFIG.replace("NAME", &name),
        answering(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\noutside"),
    );
    assert!(ask(rig.front).ends_with("\r\n\r\ninside\n"));
    assert_eq!(inside.requests(), 1);
    let answer = netns.within(|| ask("127.0.0.1:8002".parse().unwrap())).unwrap();
    assert!(answer.ends_with("\r\n\r\noutside"), "{answer}");
}
