//! One check on the wire: connects, sends and receives as its script says, within its time.

use std::fmt::Write as _;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::time::{Duration, Instant};

use tokio::time::timeout_at;

use super::{Member, Probe};
use crate::balance::server_state::Running;
use crate::clock;
use crate::health::CheckResult;
use crate::health::agent::AgentReply;
use crate::health::script::ConnectStep;
use crate::health::script::run::{Next, Run, Script, Trouble};
use crate::net::Stream;
use crate::net::connect::{self, Options, Target};
use crate::proxy::address::SendProxy;

/// Bytes received at a time.
const BLOCK: usize = 4096;

/// The header that says "these are my own bytes": signature, version 2, command LOCAL, nothing else.
const PROXY_V2_LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

/// What came of a probe.
pub(super) enum Answer {
    /// A check has ended.
    Result(CheckResult),
    /// An agent has spoken.
    Reply(AgentReply),
}

/// Checks a server once; `state` is a header line for requests. How long it took is for the caller to note.
pub(super) async fn run(probe: &Probe, target: &Target, inter: Duration, state: String) -> Answer {
    converse(probe, target, inter, &mut Run::new(&probe.script, state)).await
}

/// Asks an agent once, where it is and with what is said to it now.
pub(super) async fn ask(probe: &Probe, target: &Target, script: &Script, inter: Duration) -> Answer {
    converse(probe, target, inter, &mut Run::new(script, String::new())).await
}

/// Until when the connection must stand, and until when an answer must come.
///
/// Without a `timeout check`, the interval is the time for everything.
fn deadlines(probe: &Probe, inter: Duration, started: Instant) -> (Instant, impl Fn() -> Instant) {
    let connect = match (probe.check_timeout, probe.connect_timeout) {
        (Some(_), Some(connect)) => connect.min(inter),
        (Some(_) | None, None) | (None, Some(_)) => inter,
    };
    let check_timeout = probe.check_timeout;
    (started + connect, move || check_timeout.map_or(started + inter, |timeout| clock::now() + timeout))
}

async fn converse(probe: &Probe, target: &Target, inter: Duration, run: &mut Run<'_>) -> Answer {
    let (connect_by, answer_by) = deadlines(probe, inter, clock::now());
    let mut stream: Option<Stream> = None;
    let mut answer_deadline = connect_by;
    loop {
        let next = run.step();
        // Nothing more is to be said: the port shall be free at once, on both sides.
        if let (Next::End(_) | Next::Reply(_), Some(stream)) = (&next, &stream) {
            stream.reset_on_close();
        }
        let outcome = match next {
            Next::End(result) => return Answer::Result(result),
            Next::Reply(reply) => return Answer::Reply(reply),
            Next::Connect(step) => match limited(connect_by, open(probe, target, step)).await {
                Ok(opened) => {
                    stream = Some(opened);
                    run.connected();
                    answer_deadline = answer_by();
                    Ok(())
                }
                Err(Stopped::Failed(error)) => {
                    let text = plain_text(&error);
                    return Answer::Result(match error.kind() {
                        io::ErrorKind::ConnectionRefused
                        | io::ErrorKind::ConnectionReset
                        | io::ErrorKind::HostUnreachable => run.failed(Trouble::Connect(&text)),
                        // In the words of a proxy in between.
                        io::ErrorKind::Other => run.failed(Trouble::Broken(&text)),
                        _ => run.failed(Trouble::Broken(&format!("General socket error ({text})"))),
                    });
                }
                Err(Stopped::Late) => Err(Stopped::Late),
            },
            Next::Send(bytes) => match &mut stream {
                Some(stream) => limited(answer_deadline, send(stream, &bytes)).await,
                None => Err(Stopped::Failed(io::ErrorKind::NotConnected.into())),
            },
            Next::Receive => match &mut stream {
                Some(stream) => match limited(answer_deadline, receive(stream)).await {
                    // Who breaks off after an answer is judged by that.
                    Err(Stopped::Failed(_)) if run.has_received() => Ok(Vec::new()),
                    read => read,
                }
                .map(|block| run.received(&block)),
                None => Err(Stopped::Failed(io::ErrorKind::NotConnected.into())),
            },
        };
        match outcome {
            Ok(()) => {}
            Err(Stopped::Late) => return Answer::Result(run.failed(Trouble::Timeout)),
            Err(Stopped::Failed(error)) => return Answer::Result(run.failed(Trouble::Broken(&plain_text(&error)))),
        }
    }
}

enum Stopped {
    Late,
    Failed(io::Error),
}

async fn limited<T>(deadline: Instant, work: impl Future<Output = io::Result<T>>) -> Result<T, Stopped> {
    match timeout_at(deadline.into(), pin!(work)).await {
        Ok(done) => done.map_err(Stopped::Failed),
        Err(_) => Err(Stopped::Late),
    }
}

async fn open(probe: &Probe, target: &Target, step: &ConnectStep) -> io::Result<Stream> {
    let target = match (target, step.address, step.port) {
        (Target::Tcp(address), ip, port) => {
            Target::Tcp(SocketAddr::new(ip.unwrap_or(address.ip()), port.unwrap_or(address.port())))
        }
        (Target::Unix(_) | Target::Abstract(_), Some(ip), Some(port)) => Target::Tcp(SocketAddr::new(ip, port)),
        (Target::Unix(_) | Target::Abstract(_), _, _) => target.clone(),
    };
    let socks4 = probe.socks4.filter(|_| probe.via_socks4 || step.via_socks4);
    let mut connecting = connect::start(&target, &Options { socks4, ..probe.options.clone() })?;
    poll_fn(|context| connecting.poll(context)).await?;
    let mut stream = connecting.into_stream();
    match probe.send_proxy {
        // A connection to another port says so itself if it wants a header.
        Some(version) if (step.port.is_none() && step.address.is_none()) || step.send_proxy => {
            let header = proxy_header(version, stream.local_address(), &target);
            send(&mut stream, &header).await?;
        }
        None if step.send_proxy => {
            let header = proxy_header(SendProxy::V1, stream.local_address(), &target);
            send(&mut stream, &header).await?;
        }
        Some(_) | None => {}
    }
    Ok(stream)
}

fn proxy_header(version: SendProxy, local: Option<SocketAddr>, target: &Target) -> Vec<u8> {
    match (version, local, target) {
        (SendProxy::V2, _, _) => PROXY_V2_LOCAL.to_vec(),
        (SendProxy::V1, Some(from), Target::Tcp(to)) => {
            let family = if matches!(from.ip(), IpAddr::V4(_)) { "TCP4" } else { "TCP6" };
            format!("PROXY {family} {} {} {} {}\r\n", from.ip(), to.ip(), from.port(), to.port()).into_bytes()
        }
        (SendProxy::V1, _, _) => b"PROXY UNKNOWN\r\n".to_vec(),
    }
}

async fn send(stream: &mut Stream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let sent = poll_fn(|context| stream.poll_write(context, bytes)).await?;
        if sent == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = bytes.get(sent..).unwrap_or_default();
    }
    Ok(())
}

async fn receive(stream: &mut Stream) -> io::Result<Vec<u8>> {
    let mut block = Vec::with_capacity(BLOCK);
    poll_fn(|context| stream.poll_read(context, &mut block)).await?;
    Ok(block)
}

/// An error in the system's words, without its number.
fn plain_text(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// `http-check send-state`: the header that tells a server how it is seen.
pub(super) fn state_header(probe: &Probe, target: &Target, member: &Member) -> String {
    let (Some(node), Some(server)) = (&probe.send_state, member.server()) else { return String::new() };
    let mut line = format!("x-haproxy-server-state: {}; ", server.status_text());
    if let Target::Tcp(address) = target {
        let _ = write!(line, "address={}; port={}; ", address.ip(), address.port());
    }
    let farm = &member.farm;
    let usable = farm.servers().iter().filter(|other| other.eligible());
    let (weights, served) =
        usable.fold((0, 0), |(weights, served), other| (weights + other.weight(), served + other.served()));
    let _ = write!(
        line,
        "name={}; node={node}; weight={}/{weights}; scur={}/{served}; qcur={}\r\n",
        member.name(),
        if server.running() == Running::Up { server.weight() } else { 0 },
        server.served(),
        server.queued(),
    );
    line
}
