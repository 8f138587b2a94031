//! Taking samples: one variant per fetch, its arguments resolved.

use super::context::{Context, Stream};
use super::convert::time::Unit;
use super::value::{Value, leading_int};
use super::variable::Name;
use crate::http::Head;
use crate::ids::{BackendId, ServerIndex, UserlistId};
use crate::rules::acl::Test;
use auth::{auth, basic};
use elements::nth;
use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::ops::ControlFlow;
use std::time::Duration;

mod auth;
pub mod content;
mod cookie;
pub mod counter;
pub mod course;
mod elements;
mod figure;
pub mod socket;
pub mod state;
mod target;
mod whole;

pub use auth::AuthPart;
pub use figure::{Figure, Limit};

/// Which of the two messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// `req.…`
    Request,
    /// `res.…`
    Response,
}

/// What a text from the message is made into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum As {
    /// It stays text.
    Text,
    /// `…_val`: the number it begins with.
    Int,
    /// `…_ip`: the address it is.
    Ip,
}

/// A header's values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderFetch {
    /// Of which message.
    pub side: Side,
    /// In lower case. `None`: any header.
    pub name: Option<Box<[u8]>>,
    /// `fhdr`: lines are not split at commas.
    pub whole_lines: bool,
    /// From 1, or from the last with -1. `None`: all of them in ACLs, else the last.
    pub occurrence: Option<i32>,
}

/// An address of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// The client.
    Source,
    /// Where it connected to.
    Destination,
}

/// A part of the request target; see [`target`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TargetPart {
    /// `path`
    Path,
    /// `pathq`: with the query string.
    PathQuery,
    /// `query`
    Query,
    /// `url`: all of it.
    Url,
    /// `base`: the host and the path.
    Base,
    /// `baseq`: with the query string.
    BaseQuery,
    /// The host and all of the target, which `url32` hashes.
    Whole,
}

/// A part of the request line as the client sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Line {
    /// `capture.req.method`
    Method,
    /// `capture.req.uri`
    Target,
    /// `capture.req.ver`
    Version,
}

/// What was done about the server of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ServerFact {
    /// `srv_name`
    Name,
    /// `srv_id`
    Id,
}

/// What is noted about an exchange besides what the messages say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// `prio_class`
    PriorityClass,
    /// `prio_offset`
    PriorityOffset,
    /// `txn.id32`: half of its number.
    Number,
    /// `pid`
    Process,
    /// `accept_date`
    Accepted(Unit),
}

/// Where a sample comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Fetch {
    /// `int`, `str`, `bool`, `always_true`, `env` and the like: known when the configuration was read.
    Constant(Value<'static>),
    /// Bytes of a connection that nothing has read yet.
    Content(Side, content::Part),
    /// `var`
    Variable(Name),
    /// `var` with a value for where there is none.
    VariableOr(Name, Value<'static>),
    /// `capture.req.hdr`, `capture.res.hdr`: a captured text, by its number.
    Captured(Side, usize),
    /// What never has a sample here, as the raw bytes of a connection that carries HTTP.
    Never,
    /// `src`, `dst`
    Address(End),
    /// `fc_src`, `fc_dst`: of the connection, whatever rules on what it carries say.
    OwnAddress(End),
    /// `src_port`, `dst_port`
    Port(End),
    /// `fc_src_port`, `fc_dst_port`
    OwnPort(End),
    /// `path`, `url` and the like.
    Target(TargetPart),
    /// `url_param`
    UrlParam {
        /// The parameter. `None`: any.
        name: Option<Box<[u8]>>,
        /// What begins the list of parameters.
        delimiter: u8,
        /// `i`: upper and lower case of the name do not differ.
        ignore_case: bool,
        /// What its value is made into.
        wanted: As,
    },
    /// `req.body`, `res.body`
    Body(Side),
    /// `req.body_len`, `res.body_len`
    BodyLength(Side),
    /// `req.body_size`, `res.body_size`
    BodySize(Side),
    /// `req.body_param`
    BodyParam {
        /// The parameter. `None`: any.
        name: Option<Box<[u8]>>,
        /// `i`: upper and lower case of the name do not differ.
        ignore_case: bool,
    },
    /// `url_ip`, `url_port`: of a target with an authority.
    UrlHost {
        /// The port, not the address.
        port: bool,
    },
    /// `method`
    Method,
    /// `req.ver`, `res.ver`
    Version(Side),
    /// `status`
    Status,
    /// `hdr` and its kin.
    Header(HeaderFetch, As),
    /// `hdr_cnt` and its kin.
    HeaderCount(HeaderFetch),
    /// `hdr_names`: the names of all headers.
    HeaderNames(Side, u8),
    /// `cook` and its kin.
    Cookie {
        /// From `cookie` or from `set-cookie`.
        side: Side,
        /// `None`: any.
        name: Option<Box<[u8]>>,
        /// What its value is made into.
        wanted: As,
    },
    /// `cookie`: of the response where there is one, else of the request.
    AnyCookie(Option<Box<[u8]>>),
    /// `cook_cnt`
    CookieCount {
        /// From `cookie` or from `set-cookie`.
        side: Side,
        /// `None`: any.
        name: Option<Box<[u8]>>,
    },
    /// `http_auth`: the request carries a user and password of that list.
    Admitted(UserlistId),
    /// `http_auth_group`: the groups of that user.
    AdmittedGroups(UserlistId),
    /// `http_auth_type`, `http_auth_user`, `http_auth_pass`
    Auth(AuthPart),
    /// A number of the running process.
    Figure(Figure),
    /// `srv_is_up`
    ServerUp(BackendId, ServerIndex),
    /// `fe_name`
    FrontendName,
    /// `be_name`
    BackendName,
    /// `http_first_req`
    FirstRequest,
    /// `req.proto_http`: the request is HTTP and its head is here.
    ProtoHttp,
    /// `date`: time since 1970, with so much added.
    Date(i64, Unit),
    /// `date_us`: microseconds since the second began.
    DateFraction,
    /// `base32`, `url32`: a hash of the host and the path or the whole target; with the client's address behind it.
    TargetHash {
        /// The query belongs to it.
        whole: bool,
        /// `+src`
        source: bool,
    },
    /// `req.hdrs`: all fields as they were sent.
    Fields(Side),
    /// `req.hdrs_bin`: all fields, each name and value after its length.
    FieldsBinary(Side),
    /// `req.cook_names`
    CookieNames(Side, u8),
    /// `capture.req.method` and so on.
    Original(Line),
    /// `capture.res.ver`
    CapturedVersion,
    /// `http_auth_bearer`: the token, in `authorization` or in a header of that name.
    Bearer(Option<Box<[u8]>>),
    /// `src_is_local`, `dst_is_local`
    IsLocal(End),
    /// `fc_src_is_local`, `fc_dst_is_local`
    OwnIsLocal(End),
    /// `fc_http_major`, `bc_http_major`
    HttpMajor(Side),
    /// `fc_rcvd_proxy`: the connection began with a PROXY header.
    ProxyHeader,
    /// `so_name`
    ListenerName,
    /// `fe_defbe`
    DefaultBackend,
    /// `stopping`
    Stopping,
    /// `thread`
    Worker,
    /// `unique-id`
    UniqueId,
    /// `uuid`
    Uuid(UuidVersion),
    /// `srv_name`, `srv_id`
    Server(ServerFact),
    /// `sc_…`, `src_…`, `table_cnt` and `table_avl`
    Counter(counter::CounterFetch),
    /// What the kernel and the PROXY header tell of a connection.
    Socket(socket::SocketFetch),
    /// `acl`: each of these holds, or does not where it is negated.
    Acls(Box<[(bool, Box<[Test]>)]>),
    /// What is noted about the exchange.
    Noted(Noted),
    /// `rand`, below the limit.
    Random(u32),
    /// How the exchange has gone so far.
    Course(course::CourseFetch),
    /// `internal.strm.is_htx`: the connection carries HTTP.
    IsHttp,
    /// `bc_reused`: the request went over a connection that had carried others.
    Reused,
    /// What the process and the rules know of the exchange.
    State(state::StateFetch),
}

impl Fetch {
    /// The sample; of several the one that counts outside ACLs.
    pub fn value<'a>(&'a self, context: &Context<'a>) -> Option<Value<'a>> {
        match self {
            Self::Header(fetch, wanted) => {
                let head = head(context, fetch.side)?;
                // A header without an occurrence means the last one here, and without a name either none.
                let occurrence = fetch.occurrence.or(fetch.name.as_ref().map(|_| -1))?;
                nth(fetch.values(head), occurrence).and_then(|text| made(text, *wanted))
            }
            Self::Cookie { side, name, wanted } => {
                let mut values = cookie::values(head(context, *side)?, *side, name.as_deref());
                // Of those of a name the last, else the first.
                let text = if name.is_some() { values.last() } else { values.next() };
                text.and_then(|text| made(text, *wanted))
            }
            Self::AdmittedGroups(_) => self.single(context),
            _ => {
                let mut found = None;
                let _ = self.each(context, &mut |value| {
                    found = Some(value);
                    ControlFlow::Break(())
                });
                found
            }
        }
    }

    /// All samples in order, until told to stop.
    pub fn each<'a>(
        &'a self,
        context: &Context<'a>,
        wants_more: &mut dyn FnMut(Value<'a>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        match self {
            Self::Header(fetch, wanted) => {
                let Some(head) = head(context, fetch.side) else { return ControlFlow::Continue(()) };
                let mut made = |text| made(text, *wanted);
                match fetch.occurrence {
                    Some(occurrence) => {
                        nth(fetch.values(head), occurrence).and_then(made).map_or(ControlFlow::Continue(()), wants_more)
                    }
                    None if fetch.name.is_none() => ControlFlow::Continue(()),
                    None => fetch.values(head).filter_map(&mut made).try_for_each(wants_more),
                }
            }
            Self::Cookie { side, name, wanted } => {
                let Some(head) = head(context, *side) else { return ControlFlow::Continue(()) };
                cookie::values(head, *side, name.as_deref())
                    .filter_map(|text| made(text, *wanted))
                    .try_for_each(wants_more)
            }
            Self::AdmittedGroups(list) => {
                let credentials = head(context, Side::Request).and_then(basic);
                let admitted = credentials
                    .and_then(|(user, password)| context.stream.live.admitted(*list, &user, &password))
                    .unwrap_or_default();
                admitted.0.into_iter().map(|group| Value::Str(Cow::Owned(group.into_bytes()))).try_for_each(wants_more)
            }
            _ => self.single(context).map_or(ControlFlow::Continue(()), wants_more),
        }
    }

    /// The sample of a fetch that has at most one.
    #[expect(clippy::too_many_lines, reason = "one arm per fetch")]
    fn single<'a>(&'a self, context: &Context<'a>) -> Option<Value<'a>> {
        let stream = context.stream;
        let request = || head(context, Side::Request);
        match self {
            Self::Constant(value) => Some(borrowed(value)),
            // The others may have several samples and are taken in `value` and `each`.
            Self::Never | Self::Header(..) | Self::Cookie { .. } => None,
            // Where nothing has to be waited for, the wait is over.
            Self::Content(_, content::Part::WaitEnd) => {
                stream.content.map_or(Some(Value::Bool(true)), content::wait_end)
            }
            Self::Content(side, part) => content::value(part, content::of(stream.content, *side)?),
            Self::Variable(name) => stream.variable(name),
            Self::VariableOr(name, value) => Some(stream.variable(name).unwrap_or_else(|| borrowed(value))),
            Self::Captured(side, number) => {
                let transaction = stream.transaction?;
                let list = match side {
                    Side::Request => transaction.captured_request.borrow(),
                    Side::Response => transaction.captured_response.borrow(),
                };
                list.get(*number)?.text.clone().map(|text| Value::Str(Cow::Owned(text)))
            }
            Self::Address(end) => stream.end(*end).map(|address| Value::Ip(address.ip().to_canonical())),
            Self::OwnAddress(end) => stream.own_end(*end).map(|address| Value::Ip(address.ip().to_canonical())),
            Self::Port(end) => port(stream.end(*end)),
            Self::OwnPort(end) => port(stream.own_end(*end)),
            Self::Target(part) => target::part(request()?, *part).map(Value::Str),
            Self::UrlParam { name, delimiter, ignore_case, wanted } => {
                target::parameter(request()?, name.as_deref(), *delimiter, *ignore_case)
                    .and_then(|text| made(text, *wanted))
            }
            Self::Body(side) => Some(Value::Bin(stream.body_of(*side)?.data())),
            Self::BodyLength(side) => Some(Value::count(stream.body_of(*side)?.data().len() as u64)),
            Self::BodySize(side) => Some(Value::count(stream.body_of(*side)?.announced())),
            Self::BodyParam { name, ignore_case } => {
                let body = stream.body?.data();
                let value = target::parameter_of(&body, name.as_deref(), *ignore_case)?;
                Some(Value::Str(Cow::Owned(value.to_vec())))
            }
            Self::UrlHost { port } => target::host(request()?, *port),
            Self::Method => Some(Value::Method(Cow::Borrowed(request()?.method()))),
            Self::Version(side) => {
                let version = head(context, *side)?.version();
                Some(Value::Str(Cow::Owned(vec![b'0' + version.major, b'.', b'0' + version.minor])))
            }
            Self::Status => Some(Value::Int(head(context, Side::Response)?.status().into())),
            Self::HeaderCount(fetch) => Some(Value::count(fetch.values(head(context, fetch.side)?).count() as u64)),
            Self::HeaderNames(side, delimiter) => {
                let names: Vec<&[u8]> = head(context, *side)?.fields().map(|(name, _)| name).collect();
                Some(Value::Str(Cow::Owned(names.join(delimiter))))
            }
            Self::AnyCookie(name) => {
                let side = if context.response.is_some() { Side::Response } else { Side::Request };
                let mut values = cookie::values(head(context, side)?, side, name.as_deref());
                // haproxy looks for the last one of a name, and without a name for none behind the first.
                let value = if name.is_some() { values.last() } else { values.next() };
                value.map(Value::text)
            }
            Self::CookieCount { side, name } => {
                Some(Value::count(cookie::values(head(context, *side)?, *side, name.as_deref()).count() as u64))
            }
            Self::Admitted(list) => {
                let admitted = basic(request()?)
                    .and_then(|(user, password)| stream.live.admitted(*list, &user, &password))
                    .is_some();
                Some(Value::Bool(admitted))
            }
            // Its groups are what ACLs look at; elsewhere it is the user.
            Self::AdmittedGroups(list) => {
                let (user, password) = basic(request()?)?;
                stream.live.admitted(*list, &user, &password)?;
                Some(Value::Str(Cow::Owned(user)))
            }
            Self::Auth(part) => auth(request()?, *part),
            Self::Figure(figure) => figure.value(context.stream),
            Self::ServerUp(backend, server) => Some(Value::Bool(stream.live.server_up(*backend, *server))),
            Self::FrontendName => Some(Value::text(stream.frontend.1.as_bytes())),
            // As long as none is chosen, the frontend takes its place.
            Self::BackendName => {
                Some(Value::text(stream.backend.map_or(stream.frontend.1, |(_, name)| name).as_bytes()))
            }
            Self::FirstRequest => request().map(|_| Value::Bool(stream.client_requests <= 1)),
            Self::ProtoHttp => Some(Value::Bool(request().is_some())),
            Self::Date(offset, unit) => Some(Value::Int(since_1970(stream.now, *unit).saturating_add(*offset))),
            Self::DateFraction => Some(Value::Int(stream.now.subsec_micros().into())),
            Self::IsLocal(end) => is_local(stream, stream.end(*end)),
            Self::OwnIsLocal(end) => is_local(stream, stream.own_end(*end)),
            Self::ProxyHeader => Some(Value::Bool(stream.proxy_header.is_some())),
            Self::Socket(fetch) => fetch.value(stream),
            Self::Acls(acls) => {
                let holds =
                    |(negated, tests): &(bool, Box<[Test]>)| tests.iter().any(|test| test.holds(context)) != *negated;
                Some(Value::Bool(acls.iter().all(holds)))
            }
            Self::Noted(noted) => noted.value(stream),
            Self::ListenerName => stream.listener_name.map(|name| Value::text(name.as_bytes())),
            Self::DefaultBackend => {
                stream.live.default_backend(stream.frontend.0).map(|name| Value::text(name.as_bytes()))
            }
            Self::Stopping => Some(Value::Bool(stream.live.is_stopping())),
            Self::Worker => Some(Value::Int(stream.worker.into())),
            Self::UniqueId => context.unique_id().map(Value::text),
            Self::Uuid(version) => Some(Value::Str(Cow::Owned(uuid(stream, *version)))),
            Self::Server(fact) => {
                let (id, name) = stream.server?;
                Some(match fact {
                    ServerFact::Name => Value::text(name.as_bytes()),
                    ServerFact::Id => Value::Int(id.into()),
                })
            }
            Self::TargetHash { .. }
            | Self::Fields(_)
            | Self::FieldsBinary(_)
            | Self::CookieNames(..)
            | Self::Original(_)
            | Self::CapturedVersion
            | Self::Bearer(_)
            | Self::HttpMajor(_) => whole::value(self, context),
            Self::Counter(fetch) => fetch.value(stream),
            Self::Course(fetch) => fetch.value(stream),
            Self::IsHttp => Some(Value::Bool(stream.http)),
            Self::Reused => stream.server_requests.map(|requests| Value::Bool(requests > 1)),
            Self::State(fetch) => fetch.value(context),
            Self::Random(limit) => {
                let random = u64::from(stream.live.random());
                Some(Value::count((random * u64::from(*limit)) >> 32))
            }
        }
    }
}

impl Noted {
    fn value(self, stream: &Stream<'_>) -> Option<Value<'static>> {
        Some(Value::Int(match self {
            Self::PriorityClass => stream.transaction?.priority_class.get().into(),
            Self::PriorityOffset => stream.transaction?.priority_offset.get().into(),
            Self::Number => (stream.number & u64::from(u32::MAX)).cast_signed(),
            Self::Process => stream.live.host().1.into(),
            Self::Accepted(unit) => since_1970(stream.accepted, unit),
        }))
    }
}

fn since_1970(time: Duration, unit: Unit) -> i64 {
    let number = match unit {
        Unit::Seconds => u128::from(time.as_secs()),
        Unit::Milliseconds => time.as_millis(),
        Unit::Microseconds => time.as_micros(),
    };
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn head<'a>(context: &Context<'a>, side: Side) -> Option<&'a Head> {
    let head = match side {
        Side::Request => context.request,
        Side::Response => context.response,
    };
    if let (None, Some(content)) = (head, context.stream.content)
        && content.side == side
        && content.begins_http
    {
        content.lacks();
    }
    head
}

/// Where there is none, 0 is written.
fn port(address: Option<SocketAddr>) -> Option<Value<'static>> {
    address.map(|address| address.port()).filter(|port| *port != 0).map(|port| Value::Int(port.into()))
}

fn is_local(stream: &Stream<'_>, address: Option<SocketAddr>) -> Option<Value<'static>> {
    address.map(|address| Value::Bool(stream.live.is_local(address.ip())))
}

fn made(text: &[u8], wanted: As) -> Option<Value<'_>> {
    match wanted {
        As::Text => Some(Value::text(text)),
        As::Int => Some(Value::Int(leading_int(text))),
        As::Ip => parse_ip(text).map(Value::Ip),
    }
}

/// An address as headers carry it: alone, or IPv4 with a port.
pub(super) fn parse_ip(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    text.parse().ok().or_else(|| text.split_once(':')?.0.parse().ok())
}

/// How a UUID is made (RFC 9562).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UuidVersion {
    /// 4: by chance.
    Random,
    /// 7: it begins with the time, so that later ones come after earlier ones.
    Dated,
}

fn uuid(stream: &Stream<'_>, version: UuidVersion) -> Vec<u8> {
    let word = || u128::from(stream.live.random());
    let random = (word() << 96) | (word() << 64) | (word() << 32) | word();
    let (bits, number) = match version {
        UuidVersion::Random => (random, 4),
        UuidVersion::Dated => (random >> 48 | (stream.now.as_millis() << 80), 7),
    };
    let bits = bits & !(0xf << 76) & !(0x3 << 62) | (number << 76) | (0x2 << 62);
    let text = format!("{bits:032x}");
    [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]].join("-").into_bytes()
}

fn borrowed<'a>(value: &'a Value<'static>) -> Value<'a> {
    match value {
        Value::Bool(value) => Value::Bool(*value),
        Value::Int(value) => Value::Int(*value),
        Value::Ip(ip) => Value::Ip(*ip),
        Value::Str(text) => Value::Str(Cow::Borrowed(text)),
        Value::Bin(bytes) => Value::Bin(Cow::Borrowed(bytes)),
        Value::Method(method) => Value::Method(Cow::Borrowed(method)),
    }
}
