//! The process as scripts and service managers see it: statuses, messages, pidfiles, signals.

#![expect(clippy::disallowed_methods, reason = "a test has a clock to give up by")]
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long a fact may take to come true.
const PATIENCE: Duration = Duration::from_secs(10);

/// A directory of its own for each test.
struct Room(PathBuf);

impl Room {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("proxyd-process-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, text: &str) -> PathBuf {
        let path = self.0.join("haproxy.cfg");
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// An address that was free a moment ago.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn configuration(global: &str, bind: SocketAddr) -> String {
    format!(
        "global\n{global}\ndefaults\n  mode http\n  timeout client 5s\n  timeout server 5s\n  timeout connect 5s\nfrontend fe\n  bind \
         {bind}\n  http-request return status 200 if {{ path /yes }}\n"
    )
}

fn proxyd(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_proxyd"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(arguments: &[&str]) -> Output {
    proxyd(arguments).output().unwrap()
}

fn wait_for<T>(what: &str, mut fact: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = fact() {
            return value;
        }
        assert!(begun.elapsed() < PATIENCE, "{what} did not happen in {PATIENCE:?}");
        std::thread::yield_now();
    }
}

/// The status of an answer, as soon as there is one.
fn ask(address: SocketAddr, path: &str) -> Option<u16> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split(' ').nth(1)?.parse().ok()
}

/// Whether nobody listens. An address where a process listens but is busy does not count.
fn refused(address: SocketAddr) -> Option<()> {
    let connected = TcpStream::connect_timeout(&address, Duration::from_secs(1));
    connected.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused).then_some(())
}

fn start(path: &std::path::Path, address: SocketAddr) -> Child {
    let child = proxyd(&["-f", path.to_str().unwrap(), "-db"]).spawn().unwrap();
    wait_for("the first answer", || ask(address, "/yes").filter(|&status| status == 200));
    child
}

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
}

#[test]
fn an_address_that_is_taken_is_named_and_ends_the_start() {
    let room = Room::new("taken");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let path = room.write(&configuration("", address));
    let output = run(&["-f", path.to_str().unwrap(), "-db"]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    let line = format!(
        "Binding [{}:9] for frontend fe: cannot bind socket (Address already in use) for [{address}]",
        path.display()
    );
    assert!(text.contains(&line), "{text}");
    assert!(text.contains("[proxyd.main()] Some protocols failed to start their listeners! Exiting."), "{text}");
    let quiet = run(&["-f", path.to_str().unwrap(), "-db", "-q"]);
    assert_eq!((quiet.status.code(), quiet.stderr.as_slice()), (Some(1), b"".as_slice()));
}

#[test]
fn sigterm_ends_the_process_by_that_signal() {
    use std::os::unix::process::ExitStatusExt as _;
    let (room, address) = (Room::new("term"), free_address());
    let path = room.write(&configuration("", address));
    for wanted in [Signal::SIGTERM, Signal::SIGINT] {
        let mut child = start(&path, address);
        signal(&child, wanted);
        assert_eq!(child.wait().unwrap().signal(), Some(wanted as i32));
    }
}

#[test]
fn sigusr1_finishes_what_has_begun_and_ends_with_zero() {
    let (room, address) = (Room::new("usr1"), free_address());
    let path = room.write(&configuration("", address));
    let mut child = start(&path, address);
    let mut begun = TcpStream::connect(address).unwrap();
    begun.set_read_timeout(Some(PATIENCE)).unwrap();
    begun.write_all(b"GET /yes HTTP/1.1\r\n").unwrap();
    // A later connection has been answered, so the worker has the first one's bytes as well.
    assert_eq!(ask(address, "/yes"), Some(200));
    signal(&child, Signal::SIGUSR1);
    wait_for("closing of the listener", || refused(address));
    assert!(child.try_wait().unwrap().is_none(), "it waits for the request that has begun");
    begun.write_all(b"host: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    begun.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.to_ascii_lowercase().contains("connection: close"), "{answer}");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    assert!(text.contains("Proxy fe stopped (cumulated conns: FE: "), "{text}");
}

#[test]
fn hard_stop_after_cuts_a_soft_stop_short() {
    let (room, address) = (Room::new("hard"), free_address());
    let path = room.write(&configuration("  hard-stop-after 100ms", address));
    let mut child = start(&path, address);
    let mut begun = TcpStream::connect(address).unwrap();
    begun.write_all(b"GET /yes HTTP/1.1\r\n").unwrap();
    assert_eq!(ask(address, "/yes"), Some(200));
    signal(&child, Signal::SIGUSR1);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn sigttou_frees_the_address_and_sigttin_takes_it_again() {
    let (room, address) = (Room::new("ttou"), free_address());
    let path = room.write(&configuration("", address));
    let mut child = start(&path, address);
    signal(&child, Signal::SIGTTOU);
    wait_for("a refused connection", || refused(address));
    signal(&child, Signal::SIGTTIN);
    wait_for("an answer", || ask(address, "/yes").filter(|&status| status == 200));
    signal(&child, Signal::SIGTERM);
    child.wait().unwrap();
}

#[test]
fn in_the_background_the_pidfile_is_complete_when_the_starter_returns() {
    let (room, address) = (Room::new("daemon"), free_address());
    let pidfile = room.0.join("pid");
    let path = room.write(&configuration("  daemon", address));
    let output = run(&["-f", path.to_str().unwrap(), "-p", pidfile.to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
    let pid: i32 = std::fs::read_to_string(&pidfile).unwrap().trim().parse().unwrap();
    assert_eq!(ask(address, "/yes"), Some(200), "it listens before the starter returns");
    // A second one takes over: the first is told to leave, and the address is never refused.
    let output = run(&["-f", path.to_str().unwrap(), "-p", pidfile.to_str().unwrap(), "-sf", &pid.to_string()]);
    assert!(output.status.success(), "{output:?}");
    let second: i32 = std::fs::read_to_string(&pidfile).unwrap().trim().parse().unwrap();
    assert_ne!(pid, second);
    let state = |pid: i32| std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    wait_for("the end of the first", || {
        assert_eq!(ask(address, "/yes"), Some(200));
        let state = state(pid);
        (state.is_empty() || state.contains(") Z ")).then_some(())
    });
    kill(Pid::from_raw(second), Signal::SIGTERM).unwrap();
}

#[test]
fn a_pidfile_that_cannot_be_made_ends_the_start() {
    let (room, address) = (Room::new("pidfile"), free_address());
    let path = room.write(&configuration("  daemon", address));
    let output = run(&["-f", path.to_str().unwrap(), "-p", "/nonexistent/x.pid"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("[proxyd.main()] Cannot create pidfile /nonexistent/x.pid")
    );
}

/// One line to the runtime API, and its answer.
fn command(socket: &std::path::Path, line: &str) -> Option<String> {
    let mut stream = std::os::unix::net::UnixStream::connect(socket).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    writeln!(stream, "{line}").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

#[test]
fn the_runtime_socket_answers_and_a_new_process_takes_its_place() {
    use std::os::unix::fs::PermissionsExt as _;
    let (room, address) = (Room::new("runtime"), free_address());
    let socket = room.0.join("admin.sock");
    let global = format!("  stats socket {} mode 600\n  stats timeout 200ms", socket.display());
    let path = room.write(&configuration(&global, address));
    let mut first = start(&path, address);
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);

    let info = command(&socket, "show info").unwrap();
    assert!(info.starts_with("Name: proxyd\n"), "{info}");
    assert!(info.contains(&format!("\nPid: {}\n", first.id())), "{info}");
    assert!(info.ends_with("\n\n"), "an answer ends with an empty line: {info:?}");
    let both = command(&socket, "show stat; nonsense").unwrap();
    assert!(both.starts_with("# pxname,svname,"), "{both}");
    assert!(both.contains("\nfe,FRONTEND,"), "{both}");
    assert!(both.contains("Unknown command: 'nonsense'"), "{both}");
    assert!(!command(&socket, "show stat fe 2 -1").unwrap().contains("FRONTEND"), "2 asks for backends only");
    assert_eq!(command(&socket, &"x".repeat(100_000)), None, "a line without end is no command");

    let mut idle = std::os::unix::net::UnixStream::connect(&socket).unwrap();
    idle.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(idle.read(&mut [0; 1]).unwrap(), 0, "an idle connection is closed after `stats timeout`");

    let mut second = proxyd(&["-f", path.to_str().unwrap(), "-db", "-sf", &first.id().to_string()]).spawn().unwrap();
    let pid = format!("\nPid: {}\n", second.id());
    wait_for("the answer of the new process", || command(&socket, "show info").filter(|info| info.contains(&pid)));
    assert_eq!(first.wait().unwrap().code(), Some(0));
    signal(&second, Signal::SIGTERM);
    second.wait().unwrap();
}

/// Reads what a process says until a line has this in it.
fn said(stderr: &mut impl std::io::BufRead, wanted: &str) -> String {
    let mut all = String::new();
    loop {
        let from = all.len();
        assert!(stderr.read_line(&mut all).unwrap() > 0, "it ended without '{wanted}': {all}");
        if all[from..].contains(wanted) {
            return all;
        }
    }
}

/// Requests on one connection, and on new ones, until told to end; how many were answered with the status wanted.
fn keep_asking(
    address: SocketAddr,
    end: std::sync::Arc<std::sync::atomic::AtomicBool>,
) -> std::thread::JoinHandle<u32> {
    std::thread::spawn(move || {
        let mut kept = TcpStream::connect(address).unwrap();
        kept.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut answered = 0;
        while !end.load(std::sync::atomic::Ordering::Relaxed) {
            assert_eq!(ask(address, "/yes"), Some(200), "a new connection");
            kept.write_all(b"GET /yes HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
            let mut answer = Vec::new();
            let mut block = [0; 1024];
            while !answer.ends_with(b"\r\n\r\n") {
                let count = kept.read(&mut block).unwrap();
                assert!(count > 0, "a connection that was kept has ended: {}", String::from_utf8_lossy(&answer));
                answer.extend_from_slice(&block[..count]);
            }
            assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer));
            answered += 2;
        }
        answered
    })
}

#[test]
fn a_reload_adds_and_takes_away_and_loses_no_request() {
    let (room, address, other) = (Room::new("reload"), free_address(), free_address());
    let socket = room.0.join("api.sock");
    let global = format!("  nbthread 2\n  stats socket {}", socket.display());
    let plain = configuration(&global, address);
    let path = room.write(&plain);
    let mut child = start(&path, address);
    let mut stderr = std::io::BufReader::new(child.stderr.take().unwrap());
    let end = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let asking = [(); 2].map(|()| keep_asking(address, std::sync::Arc::clone(&end)));
    for turn in 0..6 {
        // A second frontend, a second address of the first, and another rule.
        let more = format!("frontend new\n  bind {other}\n  http-request return status 2{turn}0 if {{ path /turn }}\n");
        room.write(&format!("{plain}{more}"));
        signal(&child, Signal::SIGUSR2);
        said(&mut stderr, "The new configuration is in force.");
        wait_for("the new frontend", || ask(other, "/turn").filter(|status| *status == 200 + turn * 10));
        room.write(&plain);
        signal(&child, Signal::SIGUSR2);
        assert!(said(&mut stderr, "The new configuration is in force.").contains("Proxy new stopped"));
        wait_for("the end of the new frontend", || refused(other));
    }
    end.store(true, std::sync::atomic::Ordering::Relaxed);
    let answered: u32 = asking.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert!(answered > 0);
    // Counters have lived through all of it.
    let csv = command(&socket, "show stat").unwrap();
    let row = csv.lines().find(|line| line.starts_with("fe,FRONTEND,")).unwrap();
    let sessions: u32 = row.split(',').nth(7).unwrap().parse().unwrap();
    assert!(sessions > answered / 2, "{sessions} sessions, {answered} answers");
    signal(&child, Signal::SIGTERM);
    child.wait().unwrap();
}

#[test]
fn a_bad_file_or_a_taken_address_changes_nothing_and_says_why() {
    let (room, address) = (Room::new("reload-bad"), free_address());
    let plain = configuration("", address);
    let path = room.write(&plain);
    let mut child = start(&path, address);
    let mut stderr = std::io::BufReader::new(child.stderr.take().unwrap());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    for (text, reason) in [
        ("nonsense here\n".to_owned(), "unknown keyword 'nonsense'"),
        (
            format!("frontend new\n  bind {}\n", taken.local_addr().unwrap()),
            "cannot bind socket (Address already in use)",
        ),
    ] {
        room.write(&format!("{plain}{text}"));
        signal(&child, Signal::SIGUSR2);
        let text = said(&mut stderr, "Reload failed, the running configuration stays in force");
        assert!(text.contains(reason), "{text}");
        assert_eq!(ask(address, "/yes"), Some(200));
    }
    signal(&child, Signal::SIGTERM);
    child.wait().unwrap();
}
