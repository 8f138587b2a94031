//! What `global` says of the process and its sockets, and `option contstats`.

use super::rig::{BOUND, Rig, Step, read_all};
use integration_tests::clock;
use integration_tests::subject::Subject;
use integration_tests::wait;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

const CONFIG: &str = "
global
    stats socket {runtime} level admin
    GLOBAL
defaults
    mode http
    timeout client 20s
    timeout server 20s
    timeout connect 2s
listen l
    bind {front}
    LISTEN
";

const QUIET: Duration = Duration::from_millis(100);
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// A folder of a test's own, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("proxy-global-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn start(name: &str, global: &str, listen: &str, script: Vec<Step>) -> Rig {
    Rig::start(name, &CONFIG.replace("GLOBAL", global).replace("LISTEN", listen), script)
}

#[test]
fn unix_sockets_have_a_common_prefix_and_mode() {
    let folder = Folder::new("unix");
    let shown = folder.0.display();
    let global = format!("unix-bind prefix {shown} mode 600");
    let rig = start(
        "unix-bind",
        &global,
        "bind /a.sock\n    bind /b.sock mode 666\n    http-request return status 200",
        Vec::new(),
    );
    for (name, mode) in [("a.sock", 0o600), ("b.sock", 0o666)] {
        let path = folder.0.join(name);
        // Its mode is set before it listens.
        let listens = || UnixStream::connect(&path).ok();
        let mut client = wait::until("the socket listens", BOUND, listens).unwrap();
        let metadata = std::fs::metadata(&path).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, mode, "{name}");
        assert_eq!(metadata.uid(), nix::unistd::getuid().as_raw(), "{name}");
        client.write_all(REQUEST).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    drop(rig);
}

/// Four connections at a rate of two in a second take more than one, over whatever frontend they come.
#[test]
fn connections_wait_for_the_rate_of_the_process() {
    for word in ["maxconnrate", "maxsessrate"] {
        let rig = start(word, &format!("{word} 2"), "http-request return status 200", Vec::new());
        let begun = clock::now();
        for _ in 0..4 {
            let mut client = rig.connect();
            client.write_all(REQUEST).unwrap();
            assert!(read_all(&mut client, QUIET).0.starts_with("HTTP/1.1 200"));
        }
        let took = clock::now() - begun;
        assert!(took >= Duration::from_millis(500), "{word}: {took:?}");
    }
}

/// A word of 3.x.
#[test]
fn clients_from_privileged_ports_are_refused_where_asked_for() {
    if Subject::from_env() == Subject::Theirs || !nix::unistd::geteuid().is_root() {
        return;
    }
    for (choice, passes) in [("on", false), ("off", true)] {
        let global = format!("harden.reject-privileged-ports.tcp {choice}");
        let rig = start("privileged", &global, "http-request return status 200", Vec::new());
        let mut client = from_privileged_port(rig.front);
        // It may be closed by now.
        let _ = client.write_all(REQUEST);
        assert_eq!(read_all(&mut client, QUIET).0.starts_with("HTTP/1.1 200"), passes, "{choice}");
        let mut other = rig.connect();
        other.write_all(REQUEST).unwrap();
        assert!(read_all(&mut other, QUIET).0.starts_with("HTTP/1.1 200"));
    }
}

fn from_privileged_port(to: SocketAddr) -> TcpStream {
    for port in (600..1_024).rev() {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.set_reuse_address(true).unwrap();
        let from = SocketAddr::from(([127, 0, 0, 1], port));
        if socket.bind(&from.into()).is_ok() && socket.connect(&to.into()).is_ok() {
            return socket.into();
        }
    }
    panic!("no privileged port is free");
}

/// Names of files without a folder are looked up from where `default-path` says.
#[test]
fn files_are_looked_up_from_the_default_path() {
    let folder = Folder::new("path");
    std::fs::create_dir_all(folder.0.join("below")).unwrap();
    for (name, text) in [("list", "/x\n"), ("page", "HTTP/1.1 403 No\r\nContent-Length: 4\r\n\r\nhere")] {
        std::fs::write(folder.0.join(name), text).unwrap();
    }
    let config = folder.0.join("below").join("a.cfg");
    let program = Subject::from_env().proxy().unwrap();
    let origin = format!("origin {}", folder.0.display());
    for (path, passes) in
        [("parent", true), (&*origin, true), ("config", false), ("current", false), ("origin /nowhere", false)]
    {
        let text = format!(
            "global\n default-path {path}\ndefaults\n mode http\n timeout client 1s\nfrontend f\n bind 127.0.0.1:1\n \
             errorfile 403 page\n http-request deny if {{ path -f list }}\n"
        );
        std::fs::write(&config, text).unwrap();
        let output = std::process::Command::new(&program).args(["-c", "-f"]).arg(&config).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.success(), passes, "{path}: {said}");
    }
}

/// `option contstats`: a response that takes long is counted while it comes.
#[test]
fn bytes_are_counted_while_they_pass() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc".to_vec();
    let script = vec![
        Step::ReadMessage,
        Step::Write(head),
        Step::Pause(Duration::from_millis(5_300)),
        Step::Write(b"def".to_vec()),
        Step::ReadToEnd,
    ];
    let rig = start("contstats", "", "option contstats\n    server s {server}", script);
    let mut client = rig.connect();
    client.write_all(REQUEST).unwrap();
    let counted = || {
        let table = rig.command("show stat");
        let line = table.lines().find(|line| line.starts_with("l,FRONTEND,"))?;
        (line.split(',').nth(9)?.parse::<u64>().ok()? > 40).then_some(())
    };
    wait::until("bytes are counted", BOUND, counted).unwrap();
    // The response is still on its way.
    let (answer, closed) = read_all(&mut client, QUIET);
    assert!(answer.contains("abc") && !closed, "{answer}");
}
