//! A small web server inside this process, for a host's network.

use crate::netns::Netns;
use anyhow::{Context, Result};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// How long a connection may be silent.
const IDLE_BOUND: Duration = Duration::from_mins(1);

/// Answers every request with 200 and its own name; serves HTTP/1.1 keep-alive.
#[derive(Debug)]
pub struct Origin {
    address: SocketAddr,
    netns: Netns,
    stop: Arc<AtomicBool>,
    requests: Arc<AtomicU64>,
}

impl Origin {
    /// Starts to listen in a namespace.
    pub fn start(netns: &Netns, address: SocketAddr, name: &str) -> Result<Self> {
        let listener =
            netns.within(move || TcpListener::bind(address))?.with_context(|| format!("cannot listen on {address}"))?;
        let stop = Arc::new(AtomicBool::new(false));
        let requests = Arc::new(AtomicU64::new(0));
        let (stopped, counter, body) = (Arc::clone(&stop), Arc::clone(&requests), format!("{name}\n"));
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let (counter, body) = (Arc::clone(&counter), body.clone());
                if let Ok(connection) = connection {
                    std::thread::spawn(move || serve(&connection, &counter, &body));
                }
            }
        });
        Ok(Self { address, netns: netns.clone(), stop, requests })
    }

    /// How many requests it has answered.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let address = self.address;
        // Wakes the accepting thread, which then sees the flag.
        let _ = self.netns.within(move || TcpStream::connect_timeout(&address, Duration::from_secs(1)).map(drop));
    }
}

fn serve(connection: &TcpStream, requests: &AtomicU64, body: &str) -> Option<()> {
    connection.set_read_timeout(Some(IDLE_BOUND)).ok()?;
    connection.set_nodelay(true).ok()?;
    let mut reader = BufReader::new(connection);
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nContent-Type: text/plain\r\n\r\n{body}", body.len());
    loop {
        let mut close = false;
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        close |= line.trim_end().ends_with("HTTP/1.0");
        while line.trim_end() != "" {
            line.clear();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            close |= line.trim_end().eq_ignore_ascii_case("connection: close");
        }
        requests.fetch_add(1, Ordering::Relaxed);
        (&*connection).write_all(answer.as_bytes()).ok()?;
        if close {
            return None;
        }
    }
}
