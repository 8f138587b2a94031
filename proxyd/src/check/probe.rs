//! One check on the wire: connects, sends and receives as its script says, within its time.

use std::fmt::Write as _;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::{Duration, Instant};

use tokio::time::timeout_at;

use super::{Member, Probe};
use crate::balance::server_state::Running;
use crate::clock;
use crate::health::CheckResult;
use crate::health::agent::AgentReply;
use crate::health::script::ConnectStep;
use crate::health::script::run::{Next, Run, Scene, Script, Trouble};
use crate::net::Stream;
use crate::net::connect::{self, Options, Target};
use crate::proxy::address::{ProxyVersion, SendProxy};
use crate::proxy_protocol::{self, Additions, Ends, kind};
use crate::sample::fetch::socket::Socket;

/// Bytes received at a time.
const BLOCK: usize = 4096;

/// What came of a probe.
pub(super) enum Answer {
    /// A check has ended.
    Result(CheckResult),
    /// An agent has spoken.
    Reply(AgentReply),
}

/// Checks a server once; `state` is a header line for requests, `scene` what texts are made from. How long it took is for the
/// caller to note.
pub(super) async fn run(
    probe: &Probe,
    target: &Target,
    inter: Duration,
    state: String,
    scene: Option<Scene<'_>>,
) -> Answer {
    converse(probe, target, inter, &mut Run::new(&probe.script, state, scene)).await
}

/// Asks an agent once, where it is and with what is said to it now.
pub(super) async fn ask(probe: &Probe, target: &Target, script: &Script, inter: Duration) -> Answer {
    converse(probe, target, inter, &mut Run::new(script, String::new(), None)).await
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
    let mut connection = None;
    let answer = speak(probe, target, inter, run, &mut connection).await;
    // Nothing more is to be said: the port shall be free at once, on both sides.
    if let Some(connection) = connection {
        connection.break_off();
    }
    answer
}

/// A connection of a check.
struct Connection {
    stream: Stream,
    /// It is closed rather than broken off.
    linger: bool,
}

impl Connection {
    fn break_off(self) {
        if !self.linger {
            self.stream.reset_on_close();
        }
    }
}

async fn speak(
    probe: &Probe,
    target: &Target,
    inter: Duration,
    run: &mut Run<'_>,
    connection: &mut Option<Connection>,
) -> Answer {
    let (connect_by, answer_by) = deadlines(probe, inter, clock::now());
    let mut answer_deadline = connect_by;
    loop {
        let next = run.step(connection.as_ref().map(|connection| &connection.stream as &dyn Socket));
        if let Next::Connect(..) = &next
            && let Some(before) = connection.take()
            && !run.closes_between()
        {
            before.break_off();
        }
        let stream = connection.as_mut().map(|connection| &mut connection.stream);
        let outcome = match next {
            Next::End(result) => return Answer::Result(result),
            Next::Reply(reply) => return Answer::Reply(reply),
            Next::Connect(step, port) => {
                match limited(connect_by, open(probe, &elsewhere(target, step, port), step, run.only_connects())).await
                {
                    Ok(opened) => {
                        *connection = Some(Connection { stream: opened, linger: step.linger });
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
                }
            }
            Next::Send(bytes) => match stream {
                Some(stream) => limited(answer_deadline, stream.write_all(&bytes)).await,
                None => Err(Stopped::Failed(io::ErrorKind::NotConnected.into())),
            },
            Next::Receive => match stream {
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

/// Where a step connects to, at `port` if that is said.
fn elsewhere(target: &Target, step: &ConnectStep, port: Option<u16>) -> Target {
    match (target, step.address, port) {
        (Target::Tcp(address), ip, port) => {
            Target::Tcp(SocketAddr::new(ip.unwrap_or(address.ip()), port.unwrap_or(address.port())))
        }
        (Target::Unix(_) | Target::Abstract(_), Some(ip), Some(port)) => Target::Tcp(SocketAddr::new(ip, port)),
        (Target::Unix(_) | Target::Abstract(_), _, _) => target.clone(),
    }
}

/// Opens a connection. One that `only` has to come about, and not to end well, is broken off as soon as the server agrees to it: the
/// program behind the port learns nothing of it.
async fn open(probe: &Probe, target: &Target, step: &ConnectStep, only: bool) -> io::Result<Stream> {
    // A connection that a line makes says so itself if it wants a header.
    let header = match &probe.send_proxy {
        Some(send) if step.as_server || step.send_proxy => Some(send),
        None if step.send_proxy => Some(&SendProxy::V1),
        Some(_) | None => None,
    };
    let socks4 = probe.socks4.filter(|_| probe.via_socks4 || step.via_socks4);
    let handshake_only = only && header.is_none() && !step.linger && socks4.is_none();
    let options = Options { socks4, late_acknowledgement: handshake_only, ..probe.options.clone() };
    let mut connecting = connect::start(target, &options)?;
    poll_fn(|context| connecting.poll(context)).await?;
    let stream = connecting.into_stream();
    if handshake_only {
        stream.reset_on_close();
    }
    if let Some(send) = header {
        let header = proxy_header(probe, send, stream.local_address(), target);
        stream.write_all(&header).await?;
    }
    Ok(stream)
}

/// A check is nobody's connection: version 2 says so, unless it must not, and of its additions those that are no client's.
fn proxy_header(probe: &Probe, send: &SendProxy, local: Option<SocketAddr>, target: &Target) -> Vec<u8> {
    let mut header = Vec::new();
    match (send.version, local, target) {
        (ProxyVersion::V2, _, _) => {
            let mut additions = Additions::new(send.checksum);
            if send.tls {
                additions.push(kind::SSL, &proxy_protocol::NO_TLS);
            }
            let ends = match (local, target) {
                (Some(source), Target::Tcp(destination)) if probe.never_local => {
                    Some(Ends { source, destination: *destination })
                }
                _ => None,
            };
            proxy_protocol::write_v2(ends, &additions, &mut header);
        }
        (ProxyVersion::V1, Some(source), Target::Tcp(destination)) => {
            proxy_protocol::write_v1(Some(Ends { source, destination: *destination }), &mut header);
        }
        (ProxyVersion::V1, _, _) => proxy_protocol::write_v1(None, &mut header),
    }
    header
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
