//! A proxy on loopback between a client of raw bytes and a scripted server, with its log collected.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use integration_tests::sockets;
use integration_tests::subject::Subject;
use integration_tests::wait;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use socket2::{Domain, Socket, Type};

/// Nothing here takes longer, unless it is broken.
pub(crate) const BOUND: Duration = Duration::from_secs(30);
/// After what nobody logs, nothing comes for so long.
const SILENCE: Duration = Duration::from_millis(50);

/// A running proxy. Its ports are chosen by the rig: `{front}` in the configuration is the one clients connect to, `{server}` the
/// scripted server's, `{port}` the port of that, `{log}` the log collector's, `{dead}` one where nobody listens, `{runtime}` the path of a runtime socket.
pub(crate) struct Rig {
    pub(crate) front: SocketAddr,
    pub(crate) origin: Origin,
    log: UdpSocket,
    child: Child,
    folder: PathBuf,
}

impl Rig {
    pub(crate) fn start(name: &str, config: &str, script: Vec<Step>) -> Self {
        Self::start_as("-db", name, config, script)
    }

    /// The same, run in another way than in the foreground (`-db`): `-W` as a master process.
    pub(crate) fn start_as(way: &str, name: &str, config: &str, script: Vec<Step>) -> Self {
        let origin = Origin::start(script);
        let log = UdpSocket::bind("127.0.0.1:0").unwrap();
        log.set_read_timeout(Some(BOUND)).unwrap();
        let (front, dead) = (free_address(), free_address());
        let folder = std::env::temp_dir().join(format!("proxy-{name}-{}", front.port()));
        std::fs::create_dir_all(&folder).unwrap();
        let text = config
            .replace("{runtime}", &folder.join("runtime").display().to_string())
            .replace("{front}", &front.to_string())
            .replace("{server}", &origin.address.to_string())
            .replace("{port}", &origin.address.port().to_string())
            .replace("{dead}", &dead.to_string())
            .replace("{log}", &log.local_addr().unwrap().to_string());
        let file = folder.join("haproxy.cfg");
        std::fs::write(&file, text).unwrap();
        let program = Subject::from_env().proxy().unwrap();
        let [written, errors] = ["written", "output"].map(|name| std::fs::File::create(folder.join(name)).unwrap());
        let child = Command::new(program).arg(way).arg("-f").arg(&file).stdout(written).stderr(errors).spawn().unwrap();
        let mut rig = Self { front, origin, log, child, folder };
        let listens = || {
            if let Some(status) = rig.child.try_wait().unwrap() {
                let output = std::fs::read_to_string(rig.folder.join("output")).unwrap_or_default();
                panic!("{name}: the proxy ended with {status}: {output}");
            }
            has_listener(front.port()).then_some(())
        };
        wait::until("the proxy listens", BOUND, listens).unwrap();
        rig
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let client = TcpStream::connect(self.front);
        let client =
            client.unwrap_or_else(|error| panic!("{}: {error}; the proxy wrote: {}", self.front, self.output(true)));
        client.set_read_timeout(Some(BOUND)).unwrap();
        client
    }

    /// Changes the configuration and has it read again; waits until `done`.
    pub(crate) fn reload(&self, change: impl Fn(&str) -> String, done: impl Fn(&Self) -> bool) {
        let file = self.folder.join("haproxy.cfg");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, change(&text)).unwrap();
        self.signal(Signal::SIGUSR2);
        wait::until("the new configuration is in force", BOUND, || done(self).then_some(())).unwrap();
    }

    /// The proxy's process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends the proxy a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        nix::sys::signal::kill(pid, signal).unwrap();
    }

    /// Whether the proxy has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// The answer to a line of runtime commands.
    pub(crate) fn command(&self, line: &str) -> String {
        command(&self.runtime(), line)
    }

    /// What the proxy has written to its standard output, or to its error output.
    pub(crate) fn output(&self, errors: bool) -> String {
        std::fs::read_to_string(self.folder.join(if errors { "output" } else { "written" })).unwrap()
    }

    /// The configuration's file, as messages name it.
    pub(crate) fn file(&self) -> String {
        self.folder.join("haproxy.cfg").display().to_string()
    }

    /// The runtime socket.
    pub(crate) fn runtime(&self) -> PathBuf {
        self.folder.join("runtime")
    }

    /// The next line of the log, without the frame of syslog and the client's address and date. Durations that were reached are
    /// written `T`: how long a busy machine takes is nobody's promise.
    pub(crate) fn log_line(&self) -> String {
        self.next_log_line(BOUND).expect("a line of the log")
    }

    /// The same, if one comes in time.
    pub(crate) fn next_log_line(&self, time: Duration) -> Option<String> {
        self.log.set_read_timeout(Some(time)).unwrap();
        let mut line = [0; 9_000];
        let length = self.log.recv(&mut line).ok()?;
        let line = String::from_utf8_lossy(&line[..length]).into_owned();
        let (_, rest) = line.split_once("] ").unwrap_or(("", &line));
        let blur = |word: &str| {
            let times = word
                .split('/')
                .map(|time| if time.starts_with(|first: char| first.is_ascii_digit()) { "T" } else { time });
            times.collect::<Vec<_>>().join("/")
        };
        let words = rest.trim_end().split(' ').enumerate();
        Some(
            words
                .map(|(index, word)| if index == 2 { blur(word) } else { word.to_owned() })
                .collect::<Vec<_>>()
                .join(" "),
        )
    }
}

impl Rig {
    /// The next line of the log with its priority, without date, tag and process: dates are `DATE`, the ports `FRONT` and
    /// `CLIENT`. One that is `expected` is waited for.
    pub(crate) fn log_text(&self, expected: bool) -> Option<String> {
        self.log.set_read_timeout(Some(if expected { BOUND } else { SILENCE })).unwrap();
        let mut line = [0; 9_000];
        let length = self.log.recv(&mut line).ok()?;
        Some(self.blurred(&String::from_utf8_lossy(&line[..length])))
    }

    fn blurred(&self, line: &str) -> String {
        let line = line.trim_end_matches('\n').replace(&format!(":{}", self.front.port()), ":FRONT");
        let line = match (line.split_once('>'), line.split_once("]: ")) {
            (Some((priority, rest)), _) if rest.starts_with("1 2") => {
                let mut words: Vec<&str> = rest.splitn(6, ' ').collect();
                words[1] = "DATE";
                words[3] = "TAG";
                words[4] = "PID";
                format!("{priority}>{}", words.join(" "))
            }
            (Some((priority, _)), Some((_, text))) => format!("{priority}>{text}"),
            _ => line,
        };
        let words = line.split(' ').map(|word| match word.split_once("127.0.0.1:") {
            Some((before, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
                format!("{before}127.0.0.1:CLIENT")
            }
            _ if word.starts_with('[') && word.contains("/20") => "[DATE]".to_owned(),
            _ if word == self.front.port().to_string() => "FRONT".to_owned(),
            _ => word.to_owned(),
        });
        words.collect::<Vec<_>>().join(" ")
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The answer to a line of commands on a runtime socket.
pub(crate) fn command(socket: &Path, line: &str) -> String {
    let connected = || UnixStream::connect(socket).ok();
    let mut socket = wait::until("the runtime socket answers", BOUND, connected).unwrap();
    socket.set_read_timeout(Some(BOUND)).unwrap();
    socket.write_all(format!("{line}\n").as_bytes()).unwrap();
    // What servers say is told as it came.
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// Whether somebody listens on a TCP port, found without a connection that the proxy would count.
fn has_listener(port: u16) -> bool {
    sockets::tcp().take_while(|socket| socket.state == sockets::LISTEN).any(|socket| socket.local == port)
}

/// Waits until the proxy has read everything that a client sent: it has arrived, and nothing of it is left in the kernel.
pub(crate) fn wait_until_read(client: &TcpStream) {
    let (proxy, client) = (client.peer_addr().unwrap(), client.local_addr().unwrap());
    let read = || {
        let (here, there) = (sockets::queues(client, proxy).unwrap()?, sockets::queues(proxy, client).unwrap()?);
        (here.unacknowledged == 0 && there.unread == 0).then_some(())
    };
    wait::until("the proxy reads", BOUND, read).unwrap();
}

/// A port of ours below those that the system gives out by itself, where another test's socket could come to be.
pub(crate) fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + u16::try_from(std::process::id() % 100).unwrap() * 100;
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed) % 10_000;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if is_free(address) {
            return address;
        }
    }
}

/// Whether a socket can be bound there. It does not listen: a program that another test starts at this moment holds it for a
/// while longer, and would be taken for the proxy that listens.
fn is_free(address: SocketAddr) -> bool {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.bind(&address.into()).is_ok()
}

/// What a client gets for bytes: all of it, and whether the connection was closed at once rather than kept.
pub(crate) fn talk(rig: &Rig, input: &[u8], half_close: bool, quiet: Duration) -> (String, bool) {
    let mut client = rig.connect();
    client.write_all(input).unwrap();
    if half_close {
        client.shutdown(std::net::Shutdown::Write).unwrap();
    }
    read_all(&mut client, quiet)
}

/// Reads until the connection closes, or nothing has come for a while after something did.
pub(crate) fn read_all(client: &mut TcpStream, quiet: Duration) -> (String, bool) {
    let mut answer = Vec::new();
    let mut block = [0; 4_096];
    loop {
        client.set_read_timeout(Some(if answer.is_empty() { BOUND } else { quiet })).unwrap();
        match client.read(&mut block) {
            Ok(0) => return (text(&answer), true),
            Ok(count) => answer.extend_from_slice(&block[..count]),
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                return (text(&answer), false);
            }
            Err(_) => return (text(&answer), true),
        }
    }
}

fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

/// A server that plays the same script on every connection, or another on the first.
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    received: mpsc::Receiver<String>,
    accepted: Arc<AtomicUsize>,
    closed: Arc<AtomicUsize>,
    goes_on: Arc<AtomicBool>,
}

/// One step of the server's script.
#[derive(Clone)]
pub(crate) enum Step {
    /// Wait until a whole message has come, as its framing says.
    ReadMessage,
    /// Wait for these bytes at the end of what came.
    ReadUntil(&'static str),
    Write(Vec<u8>),
    /// Say nothing for so long, unless the proxy does something.
    Pause(Duration),
    /// Wait until the proxy closes.
    ReadToEnd,
    Close,
    /// Take the connection back without ending it.
    Reset,
    /// Wait until the test says so (`Origin::go_on`).
    Wait,
    /// On the first connection: these, and nothing else.
    First(Vec<Step>),
}

impl Origin {
    fn start(script: Vec<Step>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, received) = mpsc::sync_channel(256);
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        let (closed, goes_on) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let (ended, gate) = (Arc::clone(&closed), Arc::clone(&goes_on));
        std::thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let first = count.fetch_add(1, Ordering::SeqCst) == 0;
                let script = match script.first() {
                    Some(Step::First(steps)) if first => steps.clone(),
                    _ => script.clone(),
                };
                let sender = sender.clone();
                let (ended, gate) = (Arc::clone(&ended), Arc::clone(&gate));
                std::thread::spawn(move || {
                    play(connection, &script, &sender, &gate);
                    ended.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, received, accepted, closed, goes_on }
    }

    /// The next message that any connection received.
    pub(crate) fn message(&self) -> String {
        self.received.recv_timeout(BOUND).expect("a message at the server")
    }

    /// The next message that has come by now.
    pub(crate) fn next_message(&self) -> Option<String> {
        self.received.try_recv().ok()
    }

    /// Waits until the proxy has connected.
    pub(crate) fn wait_for_connection(&self) {
        let connected = || (self.accepted.load(Ordering::SeqCst) > 0).then_some(());
        wait::until("a connection to the server", BOUND, connected).unwrap();
    }

    /// Lets those go on that wait for it.
    pub(crate) fn go_on(&self) {
        self.goes_on.store(true, Ordering::SeqCst);
    }

    /// Waits until the server has let go of a connection.
    pub(crate) fn wait_for_close(&self) {
        let closed = || (self.closed.load(Ordering::SeqCst) > 0).then_some(());
        wait::until("the server closes", BOUND, closed).unwrap();
    }

    /// How many connections the server has taken.
    pub(crate) fn connections(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// Whether the server has seen nothing more.
    pub(crate) fn is_idle(&self) -> bool {
        self.received.try_recv().is_err()
    }
}

fn play(mut connection: TcpStream, script: &[Step], sender: &mpsc::SyncSender<String>, goes_on: &AtomicBool) {
    connection.set_read_timeout(Some(BOUND)).unwrap();
    for step in script {
        let done = match step {
            Step::ReadMessage => read_until(&mut connection, is_complete, sender),
            Step::ReadUntil(end) => read_until(&mut connection, |bytes| bytes.ends_with(end.as_bytes()), sender),
            Step::Write(bytes) => connection.write_all(bytes).is_ok(),
            Step::Pause(time) => {
                connection.set_read_timeout(Some(*time)).unwrap();
                let silent = connection.read(&mut [0]).is_err();
                connection.set_read_timeout(Some(BOUND)).unwrap();
                silent
            }
            Step::ReadToEnd => read_until(&mut connection, |_| false, sender),
            Step::Close => false,
            Step::Reset => {
                socket2::SockRef::from(&connection).set_linger(Some(Duration::ZERO)).unwrap();
                false
            }
            Step::Wait => {
                wait::until("the test goes on", BOUND, || goes_on.load(Ordering::SeqCst).then_some(())).is_ok()
            }
            Step::First(_) => true,
        };
        if !done {
            break;
        }
    }
}

/// Reads until `complete`, or to the end, and tells what came.
fn read_until(connection: &mut TcpStream, complete: impl Fn(&[u8]) -> bool, sender: &mpsc::SyncSender<String>) -> bool {
    let (mut bytes, mut block) = (Vec::new(), [0; 4_096]);
    let mut open = true;
    while open && (bytes.is_empty() || !complete(&bytes)) {
        match connection.read(&mut block) {
            Ok(count @ 1..) => bytes.extend_from_slice(&block[..count]),
            Ok(0) | Err(_) => open = false,
        }
    }
    if !bytes.is_empty() {
        let _ = sender.try_send(text(&bytes));
    }
    open
}

/// Whether a message is all there: its head, and the body that the head announces.
fn is_complete(bytes: &[u8]) -> bool {
    let message = text(bytes);
    let Some((head, body)) = message.split_once("\r\n\r\n") else { return false };
    let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name));
    if field("expect: 100-continue").is_some() {
        return true;
    }
    match (field("content-length: "), field("transfer-encoding: ")) {
        (_, Some(_)) => body.starts_with("0\r\n") || body.contains("\r\n0\r\n"),
        (Some(length), None) => length.parse().is_ok_and(|length: usize| body.len() >= length),
        (None, None) => true,
    }
}

/// Compares what was seen with what haproxy has written (`SUBJECT=theirs BLESS=1`): a line for each case, and below it, indented by
/// two blanks, what became of it.
pub(crate) fn recorded(golden: &str, all: &str) {
    if std::env::var_os("BLESS").is_some() && Subject::from_env() == Subject::Theirs {
        std::fs::write(golden, all).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(golden).unwrap();
    for (line, (got, wanted)) in all.lines().zip(expected.lines()).enumerate() {
        let case = all.lines().take(line + 1).filter(|line| !line.starts_with("  ")).last().unwrap_or_default();
        assert_eq!(got, wanted, "after `{case}`");
    }
    assert_eq!(all.lines().count(), expected.lines().count());
}

/// A server that answers every request alike.
pub(crate) fn answering(response: &[u8]) -> Vec<Step> {
    [Step::ReadMessage, Step::Write(response.to_vec())].into_iter().cycle().take(32).chain([Step::ReadToEnd]).collect()
}
