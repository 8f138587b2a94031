//! Rings: what their servers get and operators see, while servers come and go.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use integration_tests::sockets::{self, Entry};
use integration_tests::subject::Subject;
use integration_tests::wait;
use nix::sys::signal::Signal;

use crate::rig::{BOUND, Rig, free_address};

/// Sends requests for these paths over one connection.
pub(crate) fn request(rig: &Rig, paths: impl Iterator<Item = String>) {
    let mut client = rig.connect();
    for path in paths {
        client.write_all(format!("GET /{path} HTTP/1.1\r\nhost: h\r\n\r\n").as_bytes()).unwrap();
        let mut answer = Vec::new();
        let mut block = [0; 1_024];
        while !answer.ends_with(b"\r\n\r\n") {
            let count = client.read(&mut block).unwrap();
            assert!(count > 0, "the proxy closes");
            answer.extend_from_slice(&block[..count]);
        }
    }
}

/// The next connection of a log server.
fn accept(listener: &TcpListener) -> TcpStream {
    listener.set_nonblocking(true).unwrap();
    let stream = wait::until("the ring's connection", BOUND, || listener.accept().ok()).unwrap().0;
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(BOUND)).unwrap();
    stream
}

/// Reads until what came ends with `last`.
fn read_until(stream: &mut impl Read, last: &str) -> String {
    let (mut bytes, mut block) = (Vec::new(), [0; 4_096]);
    while !bytes.ends_with(last.as_bytes()) {
        let count = stream.read(&mut block).unwrap_or(0);
        assert!(count > 0, "{last:?} does not come after {:?}", String::from_utf8_lossy(&bytes));
        bytes.extend_from_slice(&block[..count]);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn config(rings: &str, logs: &str) -> String {
    format!(
        "global\n  stats socket {{runtime}} level admin\n  stats timeout 10s\n{rings}\ndefaults\n  mode http\n  \
         timeout client 10s\n  timeout server 10s\n  timeout connect 1s\nfrontend f\n  bind {{front}}\n{logs}\n  \
         log-tag tag\n  log-format \"%HP\"\n  http-request return status 200\n"
    )
}

#[test]
fn each_server_gets_all_messages_in_its_framing() {
    let servers = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [one, two, three] = [0, 1, 2].map(|index| servers[index].local_addr().unwrap());
    let rings = format!(
        "ring r\n  format short\n  maxlen 20\n  timeout connect 1s\n  timeout server 5s\n  \
         server one {one} log-proto octet-count\n  server two {two}\n"
    );
    let logs = format!(
        "  log ring@r len 80 format rfc5424 local0 info notice\n  log tcp@{three} len 80 format priority local3\n"
    );
    let rig = Rig::start("ring-servers", &config(&rings, &logs), Vec::new());
    let [mut one, mut two, mut three] = [0, 1, 2].map(|index: usize| accept(&servers[index]));
    let long = "x".repeat(100);
    request(&rig, ["a".to_owned(), long.clone(), "end".to_owned()].into_iter());
    // The ring's format, and its length with the header; the line's length before it.
    let cut = &long[..16];
    assert_eq!(read_until(&mut one, "/end"), format!("5 <6>/a20 <6>/{cut}7 <6>/end"));
    assert_eq!(read_until(&mut two, "/end\n"), format!("<6>/a\n<6>/{cut}\n<6>/end\n"));
    // A line of its own has its own format; its length is that of the message. No message is as long as the longest `len` of all.
    assert_eq!(read_until(&mut three, "/end\n"), format!("<158>/a\n<158>/{}\n<158>/end\n", &long[..78]));
}

#[test]
fn operators_see_rings_and_their_messages() {
    let rings = "ring r\n  description \"some ring\"\n  format raw\n  size 20000\nring other\n";
    let logs = "  log ring@r local0\n  log ring@buf0 local0\n  log tcp@{dead} local0\n";
    let rig = Rig::start("ring-events", &config(rings, logs), Vec::new());
    request(&rig, ["a".to_owned(), "b".to_owned()].into_iter());
    let both = || (rig.command("show events r") == "/a\n/b\n\n").then_some(());
    wait::until("both messages", BOUND, both).unwrap();
    assert_eq!(rig.command("show events other"), "\n");
    assert_eq!(rig.command("show events nosuch"), "No such event sink\n");
    assert_eq!(rig.command("show events r -x"), "unknown option\n");
    assert_eq!(rig.command("show events r -n"), "\n");
    let built_in = rig.command("show events buf0");
    let (date, rest) = built_in.lines().next().unwrap().split_once(' ').unwrap();
    assert!(date.starts_with("<6>20") && rest == "/a", "{built_in}");
    let list = rig.command("show events");
    let rings: Vec<_> = list.lines().skip(1).map(str::trim).collect();
    let file = rings[5].split_once("into '").unwrap().1.split_once('\'').unwrap().0;
    let text = std::fs::read_to_string(file).unwrap();
    let line = text.lines().position(|line| line.contains("log tcp@")).unwrap() + 1;
    let implicit =
        format!("ring#1     : type=buffer, 0 dropped, created from logserver declared into '{file}' at line {line}");
    let expected = [
        "stdout     : type=fd, 0 dropped, standard output (fd#1)",
        "stderr     : type=fd, 0 dropped, standard output (fd#2)",
        "buf0       : type=buffer, 0 dropped, in-memory ring buffer",
        "r          : type=buffer, 0 dropped, some ring",
        "other      : type=buffer, 0 dropped, other",
        &implicit,
        "",
    ];
    assert_eq!(rings, expected, "{list}");

    let mut waiting = UnixStream::connect(rig.runtime()).unwrap();
    waiting.set_read_timeout(Some(BOUND)).unwrap();
    waiting.write_all(b"show events r -w\n").unwrap();
    assert_eq!(read_until(&mut waiting, "/b\n"), "/a\n/b\n");
    request(&rig, std::iter::once("c".to_owned()));
    assert_eq!(read_until(&mut waiting, "/c\n"), "/c\n");
    waiting.shutdown(std::net::Shutdown::Write).unwrap();
    let mut end = String::new();
    waiting.read_to_string(&mut end).unwrap();
    assert_eq!(end, "\n", "the client's end is the end");
}

/// haproxy 3.x: `-0` ends messages with a zero, whatever line feeds are in them.
#[test]
fn messages_may_end_with_a_zero() {
    if Subject::from_env() == Subject::Theirs {
        return;
    }
    let rig = Rig::start("ring-zero", &config("ring r\n", "  log ring@r local0\n"), Vec::new());
    request(&rig, ["a".to_owned(), "b".to_owned()].into_iter());
    let both = || (rig.command("show events r -0") == "/a\0/b\0\n").then_some(());
    wait::until("both messages", BOUND, both).unwrap();
}

/// While a server is away, the ring keeps what fits, and the newest of it. haproxy does not count what was lost.
#[test]
fn messages_wait_for_a_server_that_is_away() {
    let address = free_address();
    let rings = format!(
        "ring r\n  size 20000\n  timeout connect 1s\n  timeout server 5s\n  server s {address} log-proto octet-count\n"
    );
    let rig = Rig::start("ring-away", &config(&rings, "  log ring@r local0\n"), Vec::new());
    let filler = "x".repeat(90);
    let total = 400;
    request(&rig, (0..total).map(|number| format!("{number:03}-{filler}")));
    let last = format!("{:03}-{filler}", total - 1);
    let server = listen(address);
    let mut stream = accept(&server);
    let got = read_until(&mut stream, &last);
    let count = got.matches(&filler).count();
    // Each costs its bytes and two more.
    let fits = 20_000 / (1 + 4 + 90 + 2);
    assert!((fits - 1..=fits).contains(&count), "{count} of {fits}");
    assert!(got.starts_with(&format!("95 /{:03}-", total - count)), "the newest, in order");
    if Subject::from_env() == Subject::Ours {
        let list = rig.command("show events");
        assert!(list.contains(&format!("r          : type=buffer, {} dropped", total - count)), "{list}");
    }

    // It goes away and comes back; nothing else has stopped.
    drop((stream, server));
    wait_until_closed(address);
    request(&rig, ["gone".to_owned(), "still".to_owned()].into_iter());
    let server = listen(address);
    let mut stream = accept(&server);
    assert_eq!(read_until(&mut stream, "/still"), "5 /gone6 /still");
}

/// Waits until no connection to this address is left.
fn wait_until_closed(address: SocketAddr) {
    let owned = |socket: Entry| socket.remote == address.port() && socket.state != sockets::TIME_WAIT;
    let gone = || (!sockets::tcp().any(owned)).then_some(());
    wait::until("the ring's connection ends", BOUND, gone).unwrap();
}

fn listen(address: SocketAddr) -> TcpListener {
    wait::until("the address is free", BOUND, || TcpListener::bind(address).ok()).unwrap()
}

/// haproxy's file is its memory; ours is text, complete once the process has ended.
#[test]
fn a_backing_file_has_the_messages_at_the_end() {
    if Subject::from_env() == Subject::Theirs {
        return;
    }
    let folder = std::env::temp_dir().join(format!("ring-backing-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("ring");
    std::fs::write(&file, "of the last run").unwrap();
    let rings = format!("ring r\n  size 20000\n  backing-file {}\n", file.display());
    let mut rig = Rig::start("ring-backing", &config(&rings, "  log ring@r local0\n"), Vec::new());
    request(&rig, ["a".to_owned(), "b".to_owned()].into_iter());
    let both = || (rig.command("show events r") == "/a\n/b\n\n").then_some(());
    wait::until("both messages", BOUND, both).unwrap();
    rig.signal(Signal::SIGUSR1);
    wait::until("the proxy ends", BOUND, || rig.has_ended().then_some(())).unwrap();
    let end = "Proxy f stopped (cumulated conns: FE: 1, BE: 0).";
    assert_eq!(std::fs::read_to_string(&file).unwrap(), format!("/a\n/b\n{end}\n"));
    assert_eq!(std::fs::read_to_string(folder.join("ring.bak")).unwrap(), "of the last run");
    std::fs::remove_dir_all(folder).unwrap();
}

/// Only ours reloads in the process: a ring whose definition stays keeps its messages and its connections.
#[test]
fn a_ring_lives_on_over_a_reload() {
    if Subject::from_env() == Subject::Theirs {
        return;
    }
    let servers = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [kept, changed] = [0, 1].map(|index| servers[index].local_addr().unwrap());
    let timeouts = "  timeout connect 1s\n  timeout server 5s\n";
    let rings =
        format!("ring kept\n{timeouts}  server s {kept}\nring changed\n  format raw\n{timeouts}  server s {changed}\n");
    let rig =
        Rig::start("ring-reload", &config(&rings, "  log ring@kept local0\n  log ring@changed local0\n"), Vec::new());
    let mut streams = [0, 1].map(|index: usize| accept(&servers[index]));
    request(&rig, std::iter::once("before".to_owned()));
    for stream in &mut streams {
        assert_eq!(read_until(stream, "before\n"), "/before\n");
    }
    let change = |text: &str| text.replace("format raw", "format short");
    rig.reload(change, |rig| rig.command("show events changed") == "\n");
    request(&rig, std::iter::once("after".to_owned()));
    assert_eq!(read_until(&mut streams[0], "after\n"), "/after\n");
    wait::until("both are seen", BOUND, || (rig.command("show events kept") == "/before\n/after\n\n").then_some(()))
        .unwrap();
    assert_eq!(read_until(&mut accept(&servers[1]), "after\n"), "<6>/after\n");
    let mut end = [0; 1];
    streams[1].set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    assert_eq!(streams[1].read(&mut end).unwrap(), 0, "the ring that was changed has ended");
}

/// What a ring's server gets of one message, and from which address.
fn first_bytes(parameters: &str, length: usize) -> (Vec<u8>, String) {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let ring = format!(
        "ring r\n  format raw\n  timeout connect 1s\n  timeout server 5s\n  server s {} {parameters}\n",
        server.local_addr().unwrap()
    );
    let rig = Rig::start("ring-preface", &config(&ring, "  log ring@r local0\n"), Vec::new());
    let mut stream = accept(&server);
    request(&rig, std::iter::once("a".to_owned()));
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).unwrap();
    (bytes, stream.peer_addr().unwrap().ip().to_string())
}

#[test]
fn connections_to_servers_are_made_as_their_lines_say() {
    const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
    for (parameters, from, expected) in [
        ("send-proxy", "127.0.0.1", b"PROXY UNKNOWN\r\n/a\n".to_vec()),
        ("send-proxy log-proto octet-count", "127.0.0.1", b"PROXY UNKNOWN\r\n2 /a".to_vec()),
        ("send-proxy-v2", "127.0.0.1", [V2, b" \0\0\0/a\n"].concat()),
        ("send-proxy-v2-ssl", "127.0.0.1", [V2, b" \0\0\x08 \0\x05\0\0\0\0\0/a\n"].concat()),
        (
            "send-proxy-v2 proxy-v2-options crc32c,unique-id",
            "127.0.0.1",
            [V2, b" \0\0\n\x03\0\x04\x82ct\xb8\x05\0\0/a\n"].concat(),
        ),
        ("source 127.0.0.2", "127.0.0.2", b"/a\n".to_vec()),
    ] {
        let (bytes, peer) = first_bytes(parameters, expected.len());
        assert_eq!(String::from_utf8_lossy(&bytes), String::from_utf8_lossy(&expected), "{parameters}");
        assert_eq!(peer, from, "{parameters}");
    }
}

#[test]
fn a_server_may_be_reached_through_a_proxy() {
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let ring = format!(
        "ring r\n  format raw\n  timeout connect 1s\n  timeout server 5s\n  server s 127.0.0.3:259 send-proxy socks4 {}\n",
        proxy.local_addr().unwrap()
    );
    let rig = Rig::start("ring-socks", &config(&ring, "  log ring@r local0\n"), Vec::new());
    let mut stream = accept(&proxy);
    let mut asked = [0; 16];
    stream.read_exact(&mut asked).unwrap();
    assert_eq!(&asked, b"\x04\x01\x01\x03\x7f\0\0\x03HAProxy\0");
    stream.write_all(b"\0\x5a\0\0\0\0\0\0").unwrap();
    request(&rig, std::iter::once("a".to_owned()));
    assert_eq!(read_until(&mut stream, "/a\n"), "PROXY UNKNOWN\r\n/a\n");
}
