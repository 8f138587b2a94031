use super::*;
use crate::log::target::{LogTarget, SyslogFormat};

fn settings() -> LogSettings {
    LogSettings {
        hostname: "vm".into(),
        sent_hostname: None,
        pid: 7,
        dropped: Arc::default(),
        kernel_buffers: crate::proxy::settings::SocketBuffers::default(),
    }
}

fn logger(address: LogAddress, max_level: u8) -> Logger {
    let format = SyslogFormat::Short;
    let target = LogTarget {
        address,
        max_len: 1024,
        format,
        sample: None,
        facility: 16,
        max_level,
        min_level: 0,
        profile: None,
    };
    Logger::new(target, None, 1024)
}

fn destination(loggers: &[Logger], level: Level) -> Destination<'_> {
    Destination { loggers, tag: "haproxy", level, now: Duration::from_secs(1_795_872_535) }
}

fn received(socket: &UdpSocket) -> String {
    let mut buffer = [0; 2048];
    let count = socket.recv(&mut buffer).unwrap();
    String::from_utf8_lossy(&buffer[..count]).into_owned()
}

fn listener() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket
}

#[test]
fn lines_leave_together_when_flushed() {
    let server = listener();
    let loggers = [logger(LogAddress::Udp(server.local_addr().unwrap()), 7)];
    let sink = LogSink::new(settings());
    for text in ["one", "two", "three"] {
        sink.event(destination(&loggers, Level::Notice), text);
    }
    server.set_nonblocking(true).unwrap();
    assert!(server.recv(&mut [0; 10]).is_err(), "nothing leaves before the flush");
    server.set_nonblocking(false).unwrap();
    sink.flush();
    assert_eq!([received(&server), received(&server), received(&server)], ["<5>one\n", "<5>two\n", "<5>three\n"]);
    assert_eq!(sink.settings.dropped.load(Ordering::Relaxed), 0);
}

#[test]
fn lines_arrive_again_when_their_server_is_back() {
    let server = listener();
    let address = server.local_addr().unwrap();
    let loggers = [logger(LogAddress::Udp(address), 7)];
    let sink = LogSink::new(settings());
    let send = |text: &str| {
        sink.event(destination(&loggers, Level::Notice), text);
        sink.flush();
    };
    send("one");
    assert_eq!(received(&server), "<5>one\n");
    drop(server);
    for _ in 0..3 {
        send("nobody listens");
    }
    let server = UdpSocket::bind(address).unwrap();
    server.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    send("two");
    assert_eq!(received(&server), "<5>two\n");
    assert_eq!(sink.settings.dropped.load(Ordering::Relaxed), 0);
}

#[test]
fn a_target_gets_only_what_is_severe_enough() {
    let (all, errors) = (listener(), listener());
    let loggers = [
        logger(LogAddress::Udp(all.local_addr().unwrap()), 7),
        logger(LogAddress::Udp(errors.local_addr().unwrap()), 3),
    ];
    let sink = LogSink::new(settings());
    sink.event(destination(&loggers, Level::Info), "fine");
    sink.event(destination(&loggers, Level::Alert), "down");
    drop(sink);
    assert_eq!([received(&all), received(&all)], ["<6>fine\n", "<1>down\n"]);
    assert_eq!(received(&errors), "<1>down\n");
}

#[test]
fn more_than_a_batch_arrives_complete_and_in_order() {
    let directory = std::env::temp_dir().join(format!("proxyd-log-{}", std::process::id()));
    let server = UnixDatagram::bind(&directory).unwrap();
    let loggers = [logger(LogAddress::Unix(directory.clone()), 7)];
    let sink = LogSink::new(settings());
    let lines = MAX_BATCH_LINES + 50;
    let reader = std::thread::spawn(move || {
        let mut buffer = [0; 64];
        let mut line = || {
            let count = server.recv(&mut buffer).unwrap();
            String::from_utf8_lossy(&buffer[..count]).into_owned()
        };
        // The queue of a unix socket is short: what it did not take was dropped, but what came kept its order.
        let mut seen: Vec<usize> = Vec::new();
        loop {
            let text = line();
            match text.trim_start_matches("<6>").trim().parse() {
                Ok(number) => seen.push(number),
                Err(_) => return seen,
            }
        }
    });
    for number in 0..lines {
        sink.event(destination(&loggers, Level::Info), &number.to_string());
    }
    sink.flush();
    let mut dropped = sink.settings.dropped.load(Ordering::Relaxed);
    loop {
        sink.event(destination(&loggers, Level::Info), "end");
        sink.flush();
        let now = sink.settings.dropped.load(Ordering::Relaxed);
        if now == dropped {
            break;
        }
        dropped = now;
        std::thread::yield_now();
    }
    let seen = reader.join().unwrap();
    let _ = std::fs::remove_file(&directory);
    assert!(seen.is_sorted() && !seen.is_empty() && seen.len() <= lines);
}

#[test]
fn what_nobody_takes_is_dropped_and_counted() {
    let loggers = [logger(LogAddress::Unix("/nonexistent/log".into()), 7)];
    let sink = LogSink::new(settings());
    sink.event(destination(&loggers, Level::Info), "a");
    sink.event(destination(&loggers, Level::Info), "b");
    sink.flush();
    assert_eq!(sink.settings.dropped.load(Ordering::Relaxed), 2);
}

#[test]
fn a_pipe_gets_whole_lines_and_is_never_waited_for() {
    let (read, write) = nix::unistd::pipe().unwrap();
    let loggers = [logger(LogAddress::Fd(write.as_raw_fd()), 7)];
    let sink = LogSink::new(settings());
    for _ in 0..2_000 {
        sink.event(destination(&loggers, Level::Info), &"x".repeat(96));
    }
    sink.flush();
    let dropped = sink.settings.dropped.load(Ordering::Relaxed);
    assert!(dropped > 0, "a pipe holds less than 200,000 bytes");
    drop(write);
    let mut taken = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match nix::unistd::read(&read, &mut buffer).unwrap() {
            0 => break,
            count => taken.extend_from_slice(&buffer[..count]),
        }
    }
    assert_eq!(taken.len() as u64, (2_000 - dropped) * 100);
}

/// `tune.sndbuf.backend`
#[test]
fn sockets_have_the_buffers_that_are_said() {
    let buffers = crate::proxy::settings::SocketBuffers { receive: None, send: Some(20_000), unsent: None };
    let to = LogAddress::Udp(listener().local_addr().unwrap());
    let Ok(Socket::Udp(socket)) = Socket::open(&to, buffers) else { panic!("no socket") };
    // Linux doubles what is asked for.
    assert_eq!(socket2::SockRef::from(&socket).send_buffer_size().unwrap(), 40_000);
}
