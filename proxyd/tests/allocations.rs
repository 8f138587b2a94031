//! A request that is simply passed on allocates nothing once proxyd has been warmed up. The process runs within the test, with
//! an allocator that counts for all of its threads; clients and server are written so that they allocate nothing either.

#![expect(unsafe_code, reason = "an allocator that counts")]
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: everything is done by the system's allocator, as it was asked for.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const REQUEST: &[u8] = b"GET /index.html HTTP/1.1\r\nHost: www.example.com\r\nAccept: */*\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// Requests of a round.
const ROUND: u64 = 200;

/// Rounds: in some of them something else may happen, as once a second idle connections are looked at.
const ROUNDS: usize = 20;

/// An address that was free a moment ago.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Answers every request on every connection.
fn serve(listener: &TcpListener) {
    thread::scope(|scope| {
        for stream in listener.incoming() {
            scope.spawn(move || {
                let mut stream = stream.unwrap();
                let mut block = [0; 4096];
                let mut held = 0;
                while let Ok(count @ 1..) = stream.read(&mut block[held..]) {
                    held += count;
                    if block[..held].ends_with(b"\r\n\r\n") {
                        held = 0;
                        stream.write_all(RESPONSE).unwrap();
                    }
                }
            });
        }
    });
}

fn ask(client: &mut TcpStream, block: &mut [u8; 4096]) {
    client.write_all(REQUEST).unwrap();
    let mut held = 0;
    while !block[..held].ends_with(b"\r\n\r\nhello") {
        let count = client.read(&mut block[held..]).unwrap();
        assert!(count > 0, "the connection was closed after {:?}", String::from_utf8_lossy(&block[..held]));
        held += count;
    }
}

#[test]
fn a_plain_request_allocates_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (server, bind) = (listener.local_addr().unwrap(), free_address());
    thread::spawn(move || serve(&listener));
    let file = std::env::temp_dir().join(format!("proxyd-allocations-{}.cfg", std::process::id()));
    let text = format!(
        "defaults\n  mode http\n  option forwardfor\n  timeout client 1m\n  timeout server 1m\n  timeout connect 5s\nfrontend fe\n  \
         bind {bind}\n  default_backend be\nbackend be\n  server s1 {server}\n"
    );
    std::fs::write(&file, text).unwrap();
    let arguments = ["proxyd".into(), "-db".into(), "-f".into(), file.clone().into()];
    thread::spawn(move || proxyd::command::main(arguments));
    let mut clients: Vec<TcpStream> = (0..4).map(|_| connect(bind)).collect();
    let mut block = [0; 4096];
    let mut round = || {
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        for number in 0..ROUND {
            let client = &mut clients[usize::try_from(number % 4).unwrap()];
            ask(client, &mut block);
        }
        ALLOCATIONS.load(Ordering::Relaxed) - before
    };
    let rounds: [u64; ROUNDS] = std::array::from_fn(|_| round());
    std::fs::remove_file(&file).unwrap();
    assert_eq!(rounds.iter().min(), Some(&0), "allocations of {ROUND} requests: {rounds:?}");
}

/// Connects as soon as somebody listens.
#[expect(clippy::disallowed_methods, reason = "it waits for a fact: it looks again until somebody listens")]
fn connect(to: SocketAddr) -> TcpStream {
    for _ in 0..1_000 {
        if let Ok(stream) = TcpStream::connect(to) {
            return stream;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("nobody listens on {to}")
}
