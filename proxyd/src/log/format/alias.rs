//! The variables of a format and what each writes (configuration.txt, 8.2.6).

use super::{Encode, Process, Writer};
use crate::http::target::from_path;
use crate::log::date::Date;
use crate::log::{Record, RequestLine, Responder};

/// A variable of a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "configuration.txt 8.2.6 describes each under the name in `NAMES`")]
pub enum Alias {
    ActConn,
    AcceptDate,
    AcceptMillis,
    BackendConn,
    BackendName,
    BackendQueue,
    BackendSourceIp,
    BackendSourcePort,
    BytesIn,
    BytesOut,
    ClientIp,
    ClientPort,
    FrontendConn,
    FrontendIp,
    FrontendName,
    FrontendNameTransport,
    FrontendPort,
    GmtDate,
    GmtRequestDate,
    Hostname,
    LocalDate,
    LocalRequestDate,
    LogCounter,
    LogOrigin,
    Method,
    Path,
    PathOnly,
    Pid,
    Query,
    Request,
    RequestCookie,
    RequestCounter,
    RequestDate,
    RequestHeaderList,
    RequestHeaders,
    ResponseCookie,
    ResponseHeaderList,
    ResponseHeaders,
    Retries,
    ServerConn,
    ServerIp,
    ServerName,
    ServerPort,
    ServerQueue,
    Status,
    Termination,
    TerminationCookies,
    TimeActive,
    TimeConnect,
    TimeData,
    TimeHandshake,
    TimeIdle,
    TimeQueue,
    TimeRequest,
    TimeResponse,
    TimeTotal,
    TimeUntilRequest,
    TimeUser,
    Timestamp,
    TlsCiphers,
    TlsVersion,
    UniqueId,
    Uri,
    Version,
}

/// The names in a format, and whether they need `mode http`.
const NAMES: [(&str, Alias, bool); 64] = [
    ("B", Alias::BytesOut, false),
    ("CC", Alias::RequestCookie, true),
    ("CS", Alias::ResponseCookie, true),
    ("H", Alias::Hostname, false),
    ("HM", Alias::Method, true),
    ("HP", Alias::Path, true),
    ("HPO", Alias::PathOnly, true),
    ("HQ", Alias::Query, true),
    ("HU", Alias::Uri, true),
    ("HV", Alias::Version, true),
    ("ID", Alias::UniqueId, false),
    ("OG", Alias::LogOrigin, false),
    ("ST", Alias::Status, false),
    ("T", Alias::GmtDate, false),
    ("Ta", Alias::TimeActive, true),
    ("Tc", Alias::TimeConnect, false),
    ("Td", Alias::TimeData, false),
    ("Th", Alias::TimeHandshake, false),
    ("Ti", Alias::TimeIdle, true),
    ("Tl", Alias::LocalDate, false),
    ("Tq", Alias::TimeUntilRequest, true),
    ("TR", Alias::TimeRequest, true),
    ("Tr", Alias::TimeResponse, true),
    ("Ts", Alias::Timestamp, false),
    ("Tt", Alias::TimeTotal, false),
    ("Tu", Alias::TimeUser, false),
    ("Tw", Alias::TimeQueue, false),
    ("U", Alias::BytesIn, false),
    ("ac", Alias::ActConn, false),
    ("b", Alias::BackendName, false),
    ("bc", Alias::BackendConn, false),
    ("bi", Alias::BackendSourceIp, false),
    ("bp", Alias::BackendSourcePort, false),
    ("bq", Alias::BackendQueue, false),
    ("ci", Alias::ClientIp, false),
    ("cp", Alias::ClientPort, false),
    ("f", Alias::FrontendName, false),
    ("fc", Alias::FrontendConn, false),
    ("fi", Alias::FrontendIp, false),
    ("fp", Alias::FrontendPort, false),
    ("ft", Alias::FrontendNameTransport, false),
    ("hr", Alias::RequestHeaders, true),
    ("hrl", Alias::RequestHeaderList, true),
    ("hs", Alias::ResponseHeaders, true),
    ("hsl", Alias::ResponseHeaderList, true),
    ("lc", Alias::LogCounter, false),
    ("ms", Alias::AcceptMillis, false),
    ("pid", Alias::Pid, false),
    ("r", Alias::Request, true),
    ("rc", Alias::Retries, false),
    ("rt", Alias::RequestCounter, false),
    ("s", Alias::ServerName, false),
    ("sc", Alias::ServerConn, false),
    ("si", Alias::ServerIp, false),
    ("sp", Alias::ServerPort, false),
    ("sq", Alias::ServerQueue, false),
    ("sslc", Alias::TlsCiphers, false),
    ("sslv", Alias::TlsVersion, false),
    ("t", Alias::AcceptDate, false),
    ("tr", Alias::RequestDate, true),
    ("trg", Alias::GmtRequestDate, true),
    ("trl", Alias::LocalRequestDate, true),
    ("ts", Alias::Termination, false),
    ("tsc", Alias::TerminationCookies, true),
];

/// What the parts of a request that could not be read are logged as.
const BAD_REQUEST: &[u8] = b"<BADREQ>";

impl Alias {
    /// The variable of a name, without its `%`.
    pub fn from_name(name: &str) -> Option<Self> {
        NAMES.iter().find(|(known, ..)| *known == name).map(|&(_, alias, _)| alias)
    }

    /// All names, for suggestions.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(name, ..)| *name)
    }

    /// Whether its value is a number.
    pub(super) fn is_number(self) -> bool {
        matches!(
            self,
            Self::ActConn
                | Self::AcceptMillis
                | Self::BackendConn
                | Self::BackendQueue
                | Self::BackendSourcePort
                | Self::BytesIn
                | Self::BytesOut
                | Self::ClientPort
                | Self::FrontendConn
                | Self::FrontendPort
                | Self::LogCounter
                | Self::Pid
                | Self::RequestCounter
                | Self::Retries
                | Self::ServerConn
                | Self::ServerPort
                | Self::ServerQueue
                | Self::Status
                | Self::TimeActive
                | Self::TimeConnect
                | Self::TimeData
                | Self::TimeHandshake
                | Self::TimeIdle
                | Self::TimeQueue
                | Self::TimeRequest
                | Self::TimeResponse
                | Self::TimeTotal
                | Self::TimeUntilRequest
                | Self::TimeUser
                | Self::Timestamp
        )
    }

    /// Whether its value is known at the end only.
    pub(super) fn is_of_the_end(self) -> bool {
        matches!(
            self,
            Self::ActConn
                | Self::BackendConn
                | Self::BackendQueue
                | Self::BytesIn
                | Self::BytesOut
                | Self::FrontendConn
                | Self::Retries
                | Self::ServerConn
                | Self::ServerQueue
                | Self::Termination
                | Self::TerminationCookies
                | Self::TimeActive
                | Self::TimeConnect
                | Self::TimeData
                | Self::TimeHandshake
                | Self::TimeIdle
                | Self::TimeQueue
                | Self::TimeRequest
                | Self::TimeResponse
                | Self::TimeTotal
                | Self::TimeUntilRequest
                | Self::TimeUser
                | Self::UniqueId
        )
    }

    /// Whether it says something in `mode http` only.
    pub fn needs_http(self) -> bool {
        NAMES.iter().any(|&(_, alias, http)| alias == self && http)
    }

    #[expect(clippy::too_many_lines, reason = "one line per variable, as in the table of the manual")]
    #[inline]
    pub(super) fn write(self, w: &mut Writer<'_>, record: &Record<'_>, process: Process<'_>) {
        let (timers, load) = (&record.timers, &record.load);
        match self {
            Self::ClientIp => w.ip(record.client),
            Self::ClientPort => w.port(record.client),
            Self::FrontendIp => w.ip(record.destination),
            Self::FrontendPort => w.port(record.destination),
            Self::BackendSourceIp => w.ip(record.source),
            Self::BackendSourcePort => w.port(record.source),
            Self::ServerIp => w.ip(record.target),
            Self::ServerPort => w.port(record.target),
            Self::AcceptDate => w.date(record.accepted, |date, out| date.write_millis(process.now, out)),
            Self::GmtDate => w.date(record.accepted, Date::write_gmt),
            Self::LocalDate => w.date(record.accepted, Date::write_local),
            Self::RequestDate => w.date(record.requested, |date, out| date.write_millis(process.now, out)),
            Self::GmtRequestDate => w.date(record.requested, Date::write_gmt),
            Self::LocalRequestDate => w.date(record.requested, Date::write_local),
            Self::Timestamp => w.hexadecimal(record.accepted.since_epoch.as_secs(), 4),
            Self::AcceptMillis => {
                let millis = record.accepted.since_epoch.subsec_millis();
                let _ = std::io::Write::write_fmt(w.out, format_args!("{millis:03}"));
            }
            Self::TimeActive => w.total(timers.active(), record.early),
            Self::TimeTotal => w.total(timers.total, record.early),
            Self::TimeUser => w.total(timers.user(), record.early),
            Self::TimeConnect => w.time(timers.connect),
            Self::TimeData => w.time(timers.data()),
            Self::TimeHandshake => w.number(timers.handshake),
            Self::TimeIdle => w.number(timers.idle),
            Self::TimeUntilRequest => w.time(timers.until_request()),
            Self::TimeRequest => w.time(timers.request),
            Self::TimeResponse => w.time(timers.response),
            Self::TimeQueue => w.time(timers.queue),
            Self::BytesOut => w.total(record.bytes_out, record.early),
            Self::BytesIn => w.number(record.bytes_in),
            Self::Status => w.time(record.status.map(u64::from)),
            Self::Pid => w.hexadecimal(process.pid.into(), 4),
            Self::LogCounter => w.hexadecimal(record.log_counter, 4),
            Self::RequestCounter => w.hexadecimal(record.request_counter, 4),
            Self::LogOrigin => w.string(record.step.origin().as_bytes()),
            Self::ActConn => w.number(load.process),
            Self::FrontendConn => w.number(load.frontend),
            Self::BackendConn => w.number(load.backend),
            Self::ServerConn => w.number(load.server),
            Self::ServerQueue => w.number(load.server_queue),
            Self::BackendQueue => w.number(load.backend_queue),
            Self::Retries => w.total(load.retries.into(), load.redispatched),
            Self::Hostname => w.string(process.hostname.as_bytes()),
            Self::Termination => w.out.extend_from_slice(&record.termination),
            Self::TerminationCookies => {
                w.out.extend_from_slice(&record.termination);
                w.out.extend_from_slice(&record.cookies);
            }
            Self::UniqueId => w.optional(record.unique_id, Encode::Control),
            Self::RequestCookie => w.optional(record.request_cookie, Encode::Control),
            Self::ResponseCookie => w.optional(record.response_cookie, Encode::Control),
            Self::RequestHeaders => w.captures(record.captured_request),
            Self::ResponseHeaders => w.captures(record.captured_response),
            Self::RequestHeaderList => w.capture_list(record.captured_request),
            Self::ResponseHeaderList => w.capture_list(record.captured_response),
            // Nothing terminates TLS yet, so there is never a cipher or a version to name.
            Self::TlsCiphers | Self::TlsVersion => w.optional(None, Encode::Url),
            Self::FrontendName => w.name(record.frontend),
            Self::FrontendNameTransport => {
                w.quote();
                w.out.extend_from_slice(record.frontend.as_bytes());
                if record.tls {
                    w.out.push(b'~');
                }
                w.quote();
            }
            Self::BackendName => w.name(record.backend.unwrap_or(record.frontend)),
            Self::ServerName => w.name(match record.server {
                Responder::Server(name) => name,
                Responder::Nobody => "<NOSRV>",
                Responder::Service(service) => service.name(),
            }),
            Self::Request => w.request(record.request),
            Self::Method => w.part(record.request.and_then(|request| request.target.map(|_| request.method))),
            Self::Uri => w.part(record.request.and_then(|request| request.target)),
            Self::Path => w.part(record.request.and_then(|request| request.path())),
            Self::PathOnly => w.part(record.request.and_then(|request| request.path_only())),
            Self::Query => w.part(record.request.map(|request| request.query())),
            Self::Version => w.part(record.request.and_then(|request| request.version_word())),
        }
    }
}

impl Writer<'_> {
    /// A part of the request line.
    fn part(&mut self, part: Option<&[u8]>) {
        self.string(part.unwrap_or(BAD_REQUEST));
    }

    /// The whole request line.
    fn request(&mut self, request: Option<RequestLine<'_>>) {
        let Some(request) = request else { return self.part(None) };
        self.quote();
        self.encoded(request.method, Encode::Url);
        for part in [request.target, request.version].into_iter().flatten() {
            self.out.push(b' ');
            self.encoded(part, Encode::Url);
        }
        self.quote();
    }
}

impl<'a> RequestLine<'a> {
    /// The target without its query.
    fn path(&self) -> Option<&'a [u8]> {
        self.target.map(|target| until_query(target).0)
    }

    /// The query with its question mark, or nothing.
    fn query(&self) -> &'a [u8] {
        self.target.map_or(b"", |target| until_query(target).1)
    }

    /// The target without scheme, authority and query; nothing of one that has no path.
    fn path_only(&self) -> Option<&'a [u8]> {
        self.target.map(|target| until_query(from_path(target)).0)
    }

    /// A line that ends before its version looks like one of HTTP/0.9, which had none.
    fn version_word(&self) -> Option<&'a [u8]> {
        self.target.map(|_| self.version.filter(|version| !version.is_empty()).unwrap_or(b"HTTP/0.9"))
    }
}

/// What is before the query, and the query with its question mark.
fn until_query(target: &[u8]) -> (&[u8], &[u8]) {
    target.split_at(target.iter().position(|&byte| byte == b'?').unwrap_or(target.len()))
}
