//! Taking samples: one variant per fetch, its arguments resolved.

use super::context::{Context, Stream};
use super::value::{Value, leading_int};
use super::variable::Name;
use crate::http::{Head, header};
use crate::ids::{BackendId, FrontendId, ServerIndex, UserlistId};
use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::ops::ControlFlow;

pub mod content;
mod cookie;
mod target;

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
}

/// A part of the `authorization` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AuthPart {
    /// The scheme.
    Type,
    /// The user of `Basic`.
    User,
    /// The password of `Basic`.
    Password,
}

/// A figure of the running process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Figure {
    /// `nbsrv`; `None`: the backend in use.
    ServersUp(Option<BackendId>),
    /// `be_conn`
    BackendSessions(Option<BackendId>),
    /// `queue`
    Queued(Option<BackendId>),
    /// `fe_conn`
    FrontendSessions(Option<FrontendId>),
    /// `srv_conn`
    ServerSessions(BackendId, ServerIndex),
    /// `fe_id`
    FrontendId,
    /// `be_id`
    BackendId,
    /// `so_id`
    Listener,
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
    /// `src_port`, `dst_port`
    Port(End),
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
    /// `date`: seconds since 1970, with seconds added.
    Date(i64),
    /// `rand`, below the limit.
    Random(u32),
}

impl Fetch {
    /// The sample; of several the one that counts outside ACLs.
    pub fn value<'a>(&'a self, context: &Context<'a>) -> Option<Value<'a>> {
        match self {
            Self::Header(fetch, wanted) => {
                let head = head(context, fetch.side)?;
                // A header without an occurrence means the last one here.
                let occurrence = fetch.occurrence.unwrap_or(-1);
                nth(fetch.values(head), occurrence).and_then(|text| made(text, *wanted))
            }
            Self::Cookie { side, name, wanted } => cookie::values(head(context, *side)?, *side, name.as_deref())
                .last()
                .and_then(|text| made(text, *wanted)),
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
                    None => fetch.values(head).filter_map(&mut made).try_for_each(wants_more),
                }
            }
            Self::Cookie { side, name, wanted } => {
                let Some(head) = head(context, *side) else { return ControlFlow::Continue(()) };
                cookie::values(head, *side, name.as_deref())
                    .filter_map(|text| made(text, *wanted))
                    .try_for_each(wants_more)
            }
            _ => self.single(context).map_or(ControlFlow::Continue(()), wants_more),
        }
    }

    /// The sample of a fetch that has at most one.
    fn single<'a>(&'a self, context: &Context<'a>) -> Option<Value<'a>> {
        let stream = context.stream;
        let request = || head(context, Side::Request);
        match self {
            Self::Constant(value) => Some(borrowed(value)),
            // The others may have several samples and are taken in `value` and `each`.
            Self::Never | Self::Header(..) | Self::Cookie { .. } => None,
            // Where nothing has to be waited for, the wait is over.
            Self::Content(_, content::Part::WaitEnd) if stream.content.is_none() => Some(Value::Bool(true)),
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
            Self::Address(end) => address(stream, *end).map(|address| Value::Ip(address.ip().to_canonical())),
            Self::Port(end) => address(stream, *end).map(|address| Value::Int(address.port().into())),
            Self::Target(part) => target::part(request()?, *part).map(Value::Str),
            Self::UrlParam { name, delimiter, ignore_case, wanted } => {
                target::parameter(request()?, name.as_deref(), *delimiter, *ignore_case)
                    .and_then(|text| made(text, *wanted))
            }
            Self::UrlHost { port } => target::host(request()?, *port),
            Self::Method => Some(Value::Method(Cow::Borrowed(request()?.method()))),
            Self::Version(side) => {
                let version = head(context, *side)?.version();
                Some(Value::Str(Cow::Owned(vec![b'0' + version.major, b'.', b'0' + version.minor])))
            }
            Self::Status => Some(Value::Int(context.response?.status().into())),
            Self::HeaderCount(fetch) => Some(Value::count(fetch.values(head(context, fetch.side)?).count() as u64)),
            Self::HeaderNames(side, delimiter) => {
                let names: Vec<&[u8]> = head(context, *side)?.fields().map(|(name, _)| name).collect();
                Some(Value::Str(Cow::Owned(names.join(delimiter))))
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
            Self::AdmittedGroups(list) => {
                let (user, password) = basic(request()?)?;
                let groups = stream.live.admitted(*list, &user, &password)?;
                Some(Value::Str(Cow::Owned(groups.0.join(",").into_bytes())))
            }
            Self::Auth(part) => auth(request()?, *part),
            Self::Figure(figure) => figure.value(context.stream),
            Self::ServerUp(backend, server) => Some(Value::Bool(stream.live.server_up(*backend, *server))),
            Self::FrontendName => Some(Value::text(stream.frontend.1.as_bytes())),
            Self::BackendName => stream.backend.map(|(_, name)| Value::text(name.as_bytes())),
            Self::FirstRequest => Some(Value::Bool(stream.first_request)),
            Self::ProtoHttp => Some(Value::Bool(request().is_some())),
            Self::Date(offset) => {
                let seconds = i64::try_from(stream.now.as_secs()).unwrap_or(i64::MAX);
                Some(Value::Int(seconds.saturating_add(*offset)))
            }
            Self::Random(limit) => {
                let random = u64::from(stream.live.random());
                Some(Value::count((random * u64::from(*limit)) >> 32))
            }
        }
    }
}

impl Figure {
    fn value(self, stream: &Stream<'_>) -> Option<Value<'static>> {
        let backend = |given: Option<BackendId>| given.or(stream.backend.map(|(id, _)| id));
        let live = stream.live;
        let number = match self {
            Self::ServersUp(given) => live.servers_up(backend(given)?),
            Self::BackendSessions(given) => live.backend_sessions(backend(given)?),
            Self::Queued(given) => live.queued(backend(given)?),
            Self::FrontendSessions(given) => live.frontend_sessions(given.unwrap_or(stream.frontend.0)),
            Self::ServerSessions(backend, server) => live.server_sessions(backend, server),
            Self::FrontendId => stream.frontend.0.0.into(),
            Self::BackendId => stream.backend?.0.0.into(),
            Self::Listener => stream.listener.into(),
        };
        Some(Value::count(number))
    }
}

impl HeaderFetch {
    fn values<'a>(&'a self, head: &'a Head) -> impl DoubleEndedIterator<Item = &'a [u8]> {
        let whole = self.whole_lines;
        head.fields()
            .filter(|(name, _)| self.name.as_deref().is_none_or(|wanted| wanted == *name))
            .flat_map(move |(_, value)| Elements { rest: Some(value), whole })
    }
}

/// The elements of a comma-separated value from either end; commas between double quotes do not separate.
struct Elements<'a> {
    rest: Option<&'a [u8]>,
    whole: bool,
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest.take()?;
        if self.whole {
            return Some(rest);
        }
        match commas(rest).next() {
            Some(at) => {
                self.rest = Some(&rest[at + 1..]);
                Some(header::trim(&rest[..at]))
            }
            None => Some(header::trim(rest)),
        }
    }
}

impl<'a> DoubleEndedIterator for Elements<'a> {
    fn next_back(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest.take()?;
        if self.whole {
            return Some(rest);
        }
        match commas(rest).last() {
            Some(at) => {
                self.rest = Some(&rest[..at]);
                Some(header::trim(&rest[at + 1..]))
            }
            None => Some(header::trim(rest)),
        }
    }
}

/// Where a value is separated.
fn commas(value: &[u8]) -> impl Iterator<Item = usize> {
    let (mut quoted, mut escaped) = (false, false);
    value.iter().enumerate().filter_map(move |(at, &byte)| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => return Some(at),
            _ => {}
        }
        None
    })
}

/// The n-th from 1, or from the end with a negative number; 0 is the last.
fn nth<'a>(mut values: impl DoubleEndedIterator<Item = &'a [u8]>, occurrence: i32) -> Option<&'a [u8]> {
    let place = occurrence.unsigned_abs() as usize;
    if occurrence > 0 { values.nth(place - 1) } else { values.nth_back(place.max(1) - 1) }
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

fn address(stream: &Stream<'_>, end: End) -> Option<SocketAddr> {
    match end {
        End::Source => stream.source,
        End::Destination => stream.destination,
    }
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

/// User and password of a `Basic` authorization.
fn basic(request: &Head) -> Option<(Vec<u8>, Vec<u8>)> {
    let (scheme, credentials) = authorization(request)?;
    if !scheme.eq_ignore_ascii_case(b"basic") {
        return None;
    }
    let mut user = super::convert::base64_decode(credentials)?;
    let colon = user.iter().position(|&byte| byte == b':')?;
    let password = user.split_off(colon + 1);
    user.pop();
    Some((user, password))
}

/// Scheme and credentials. A request with an absolute target is one to a proxy and carries them in a header of its own.
fn authorization(request: &Head) -> Option<(&[u8], &[u8])> {
    let absolute = !request.target().starts_with(b"/");
    let value = if absolute { request.value(b"proxy-authorization") } else { request.value(b"authorization") }?;
    let space = value.iter().position(|&byte| byte == b' ')?;
    Some((&value[..space], header::trim(&value[space..])))
}

fn auth(request: &Head, part: AuthPart) -> Option<Value<'_>> {
    Some(match part {
        AuthPart::Type => Value::text(authorization(request)?.0),
        AuthPart::User => Value::Str(Cow::Owned(basic(request)?.0)),
        AuthPart::Password => Value::Str(Cow::Owned(basic(request)?.1)),
    })
}
