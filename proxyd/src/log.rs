//! Traffic logs: what happened, the formats it is told in, and the frame of a syslog line.
//!
//! The data path fills a [`Record`], which borrows what it names; a [`format::Program`] turns it into the message; the
//! sink of the worker frames it for each [`target`](target::LogTarget) and sends it with others. Nothing here knows the
//! clock or a socket.

pub mod backend;
pub mod date;
pub mod digits;
pub mod format;
pub mod forward;
pub mod frames;
pub mod message;
pub mod profile;
pub mod ring;
pub mod step;
pub mod syslog;
pub mod target;

use date::Date;
use std::net::SocketAddr;
use step::Step;

/// What happened to one connection or one request, as far as it got. Times are milliseconds; `None` is a phase that was
/// not reached and is printed as `-1` (configuration.txt, 8.4).
#[derive(Debug, Clone)]
pub struct Record<'a> {
    /// Why it is written.
    pub step: Step,
    /// The frontend.
    pub frontend: &'a str,
    /// The name of the listener it came in by.
    pub listener: &'a str,
    /// The backend, where one was chosen.
    pub backend: Option<&'a str>,
    /// Who answered.
    pub server: Responder<'a>,
    /// Whether the client's connection was TLS, which marks the frontend's name with `~`.
    pub tls: bool,
    /// The client's address. `None` where it has no address and port (a unix socket).
    pub client: Option<SocketAddr>,
    /// The address the client connected to.
    pub destination: Option<SocketAddr>,
    /// The address the connection to the server was made from.
    pub source: Option<SocketAddr>,
    /// The server's address.
    pub target: Option<SocketAddr>,
    /// When the connection was accepted.
    pub accepted: Date,
    /// When the request's first byte came; `accepted` where there was none.
    pub requested: Date,
    /// How long each phase took.
    pub timers: Timers,
    /// The status the client was sent. `None`: none was, printed as `-1`.
    pub status: Option<u16>,
    /// Bytes sent to the client (`%B`).
    pub bytes_out: u64,
    /// Bytes received from the client (`%U`).
    pub bytes_in: u64,
    /// The two letters of the termination state.
    pub termination: [u8; 2],
    /// The two letters of the cookies' state, `--` in TCP mode.
    pub cookies: [u8; 2],
    /// Connections at the moment of logging.
    pub load: Load,
    /// The request. `None`: there was none that could be read, printed as `<BADREQ>`.
    pub request: Option<RequestLine<'a>>,
    /// `capture request header`, in order; `None` where the header was absent.
    pub captured_request: &'a [Option<&'a [u8]>],
    /// `capture response header`, in order.
    pub captured_response: &'a [Option<&'a [u8]>],
    /// `capture cookie`, as `NAME=VALUE`, of the request.
    pub request_cookie: Option<&'a [u8]>,
    /// The same of the response.
    pub response_cookie: Option<&'a [u8]>,
    /// `unique-id-format`'s result.
    pub unique_id: Option<&'a [u8]>,
    /// Lines this frontend logged before (`%lc`).
    pub log_counter: u64,
    /// Requests and connections this process had before (`%rt`).
    pub request_counter: u64,
    /// `option logasap`: totals may still grow and are marked with `+`.
    pub early: bool,
}

impl<'a> Record<'a> {
    /// A connection or request of which nothing is known but where and when it came.
    pub fn begun(frontend: &'a str, accepted: Date) -> Self {
        Self {
            step: Step::Close,
            frontend,
            listener: "",
            backend: None,
            server: Responder::Nobody,
            tls: false,
            client: None,
            destination: None,
            source: None,
            target: None,
            accepted,
            requested: accepted,
            timers: Timers::default(),
            status: None,
            bytes_out: 0,
            bytes_in: 0,
            termination: *b"--",
            cookies: *b"--",
            load: Load::default(),
            request: None,
            captured_request: &[],
            captured_response: &[],
            request_cookie: None,
            response_cookie: None,
            unique_id: None,
            log_counter: 0,
            request_counter: 0,
            early: false,
        }
    }
}

/// Who answered a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Responder<'a> {
    /// A server.
    Server(&'a str),
    /// No server was chosen, or proxyd refused by itself: `<NOSRV>`.
    Nobody,
    /// A service of proxyd itself.
    Service(Service),
}

/// What answers in proxyd itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// The statistics page.
    Statistics,
    /// The exporter of metrics.
    Metrics,
}

impl Service {
    /// As the log names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Statistics => "<STATS>",
            Self::Metrics => "<PROMEX>",
        }
    }
}

/// How long the phases of a request took, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timers {
    /// `Th`: handshakes of the connection, 0 after its first request.
    pub handshake: u64,
    /// `Ti`: idle until the first byte of the request; 0 where none came.
    pub idle: u64,
    /// `TR`: from there to the end of the request's head.
    pub request: Option<u64>,
    /// `Tw`: in the queue.
    pub queue: Option<u64>,
    /// `Tc`: connecting to the server.
    pub connect: Option<u64>,
    /// `Tr`: from there to the end of the response's head.
    pub response: Option<u64>,
    /// `Tt`: everything, from accepting (or from the end of the request before) to the end.
    pub total: u64,
}

impl Timers {
    /// `Tq`: from accepting to the end of the request's head.
    pub fn until_request(&self) -> Option<u64> {
        Some(self.handshake + self.idle + self.request?)
    }

    /// `Ta`: from the request's first byte to the end.
    pub fn active(&self) -> u64 {
        self.total.saturating_sub(self.handshake + self.idle)
    }

    /// `Tu`: everything without the idle time.
    pub fn user(&self) -> u64 {
        self.total.saturating_sub(self.idle)
    }

    /// `Td`: what is left for the transfer of data.
    pub fn data(&self) -> Option<u64> {
        let before = self.until_request()? + self.queue? + self.connect? + self.response?;
        Some(self.total.saturating_sub(before))
    }
}

/// Counts of connections when a line is logged, and where the request had waited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// `actconn`: the process's.
    pub process: u64,
    /// `feconn`: the frontend's.
    pub frontend: u64,
    /// `beconn`: the backend's.
    pub backend: u64,
    /// `srv_conn`: the server's.
    pub server: u64,
    /// Attempts to connect after the first.
    pub retries: u32,
    /// The request went to another server at last: `+` before the retries.
    pub redispatched: bool,
    /// Requests ahead of this one in the server's queue.
    pub server_queue: u64,
    /// Requests ahead of this one in the backend's queue.
    pub backend_queue: u64,
}

/// The request line of an HTTP request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestLine<'a> {
    /// `GET`.
    pub method: &'a [u8],
    /// The target as it was sent; none where nothing of the line is left behind the method.
    pub target: Option<&'a [u8]>,
    /// `HTTP/1.1`; none where nothing of the line is left behind the target.
    pub version: Option<&'a [u8]>,
}

impl<'a> RequestLine<'a> {
    /// What is kept of a line: `limit` bytes.
    pub fn new(method: &'a [u8], target: &'a [u8], version: &'a [u8], limit: usize) -> Self {
        let cut = |text: &'a [u8], room: usize| text.get(..room).unwrap_or(text);
        let for_target = limit.checked_sub(method.len() + 1);
        let for_version = for_target.and_then(|room| room.checked_sub(target.len() + 1));
        Self {
            method: cut(method, limit),
            target: for_target.map(|room| cut(target, room)),
            version: for_version.map(|room| cut(version, room)),
        }
    }
}
