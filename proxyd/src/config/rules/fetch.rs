//! The fetches that work: from the row of the table and its arguments to what is evaluated.

use super::arguments::{Arguments, Inside, Problem, problem};
use super::names::Names;
use super::table;
use crate::sample::Fetch;
use crate::sample::Value;
use crate::sample::convert::time::Unit;
use crate::sample::fetch::content::{Begins, Part};
use crate::sample::fetch::{
    As, AuthPart, End, Figure, HeaderFetch, Limit, Line, ServerFact, Side, TargetPart, UuidVersion,
};
use crate::sample::variable::Name;
use shared_config::haproxy::keyword::FetchRow;
use shared_config::words::Word;
use std::borrow::Cow;

mod socket;
mod state;

/// Why there is no fetch.
pub(super) enum Failure {
    /// An argument is not what it should be.
    Arguments(Problem),
    /// An argument names what does not exist; the message is complete.
    Name(Problem),
}

/// The fetch of a row that works. `None` where it does not in this form.
pub(super) fn lower(
    row: &FetchRow,
    arguments: &Arguments<'_>,
    names: &Names,
    inside: &Inside<'_>,
) -> Result<Option<Fetch>, Failure> {
    let found = constant(row, arguments, names).map_err(Failure::Arguments)?;
    if found.is_some() {
        return Ok(found);
    }
    if let Some(found) = message(row.name, arguments).map_err(Failure::Arguments)? {
        return Ok(Some(found));
    }
    if row.name.starts_with("ssl_") {
        // There is no TLS yet, and a connection without it has nothing to say about it.
        return Ok(Some(Fetch::Never));
    }
    if let Some(found) = content(row.name, arguments).map_err(Failure::Arguments)? {
        return Ok(Some(found));
    }
    if let Some(found) = connection(row.name) {
        return Ok(Some(found));
    }
    if let Some(found) = socket::lower(row.name, arguments).map_err(Failure::Arguments)? {
        return Ok(Some(found));
    }
    if let Some(found) = state::lower(row.name, arguments).map_err(Failure::Arguments)? {
        return Ok(Some(found));
    }
    if let Some(found) = table::fetch(row.name, arguments, names, inside).map_err(Failure::Name)? {
        return Ok(Some(found));
    }
    process(row.name, arguments, names, inside).map_err(Failure::Name)
}

/// What is known now.
fn constant(row: &FetchRow, arguments: &Arguments<'_>, names: &Names) -> Result<Option<Fetch>, Problem> {
    let text = |bytes: Vec<u8>| Value::Str(Cow::Owned(bytes));
    Ok(Some(Fetch::Constant(match row.name {
        "always_true" => Value::Bool(true),
        // There is no TLS and no QUIC yet, so no connection has it.
        "always_false" | "ssl_fc" | "ssl_bc" | "quic_enabled" => Value::Bool(false),
        "int" => Value::Int(arguments.integer(0).unwrap_or(0)),
        "str" => text(arguments.bytes(0).unwrap_or_default().into()),
        "meth" => Value::Method(Cow::Owned(arguments.bytes(0).unwrap_or_default().into())),
        "bool" => match &*arguments.word(0).map_or("", |word| word.as_str()).to_ascii_lowercase() {
            "true" | "1" => Value::Bool(true),
            "false" | "0" => Value::Bool(false),
            _ => return Err(problem("Expects 'true', 'false', '0' or '1'", arguments.span())),
        },
        "bin" => match arguments.word(0).and_then(|word| unhex(&word.text)) {
            Some(bytes) => Value::Bin(Cow::Owned(bytes)),
            None => return Err(problem("expects an hexadecimal string", arguments.span())),
        },
        "ipv4" | "ipv6" => match arguments.word(0).and_then(|word| word.text.parse().ok()) {
            Some(ip) => Value::Ip(ip),
            None => return Err(problem("expects an address", arguments.span())),
        },
        "env" => {
            let Some(value) = arguments.word(0).and_then(|word| names.environment.get(&*word.text)) else {
                return Ok(Some(Fetch::Never));
            };
            text(value.clone().into_bytes())
        }
        "hostname" => text(names.hostname.clone().into_bytes()),
        "nbproc" | "proc" => Value::Int(1),
        // There is one group of threads. Times of the processor are those of haproxy without `profiling.tasks`.
        "tgroup" | "cpu_ns_avg" | "cpu_ns_tot" | "lat_ns_avg" | "lat_ns_tot" => Value::Int(0),
        // Of none of the seven layers anything is kept.
        "term_events" => text(b"{-,-,-,-,-,-,-}".to_vec()),
        _ => return Ok(None),
    })))
}

/// From a message.
#[expect(clippy::too_many_lines, reason = "one line per name, as in the manual")]
fn message(name: &str, arguments: &Arguments<'_>) -> Result<Option<Fetch>, Problem> {
    let header = |side, whole_lines| HeaderFetch {
        side,
        name: arguments.header(0),
        whole_lines,
        occurrence: arguments.integer(1).and_then(|number| i32::try_from(number).ok()),
    };
    let cookie = |side, wanted| Fetch::Cookie { side, name: arguments.bytes(0), wanted };
    let (request, response) = (Side::Request, Side::Response);
    let fetch = match name {
        "path" => Fetch::Target(TargetPart::Path),
        "pathq" => Fetch::Target(TargetPart::PathQuery),
        "query" => Fetch::Target(TargetPart::Query),
        "url" => Fetch::Target(TargetPart::Url),
        "base" => Fetch::Target(TargetPart::Base),
        "baseq" => Fetch::Target(TargetPart::BaseQuery),
        "url_ip" => Fetch::UrlHost { port: false },
        "url_port" => Fetch::UrlHost { port: true },
        "req.body" => Fetch::Body(request),
        "req.body_len" => Fetch::BodyLength(request),
        "req.body_size" => Fetch::BodySize(request),
        "res.body" => Fetch::Body(response),
        "res.body_len" => Fetch::BodyLength(response),
        "res.body_size" => Fetch::BodySize(response),
        "req.body_param" => body_param(arguments)?,
        "url_param" | "urlp" => url_param(arguments, As::Text)?,
        "urlp_val" => url_param(arguments, As::Int)?,
        "method" => Fetch::Method,
        "req.ver" | "req_ver" => Fetch::Version(request),
        "res.ver" | "resp_ver" => Fetch::Version(response),
        "status" | "txn.status" => Fetch::Status,
        "hdr" | "req.hdr" => Fetch::Header(header(request, false), As::Text),
        "req.fhdr" => Fetch::Header(header(request, true), As::Text),
        "hdr_ip" | "req.hdr_ip" => Fetch::Header(header(request, false), As::Ip),
        "hdr_val" | "req.hdr_val" => Fetch::Header(header(request, false), As::Int),
        "hdr_cnt" | "req.hdr_cnt" => Fetch::HeaderCount(header(request, false)),
        "req.fhdr_cnt" => Fetch::HeaderCount(header(request, true)),
        "req.hdr_names" => header_names(request, arguments),
        "shdr" | "res.hdr" => Fetch::Header(header(response, false), As::Text),
        "res.fhdr" => Fetch::Header(header(response, true), As::Text),
        "shdr_ip" | "res.hdr_ip" => Fetch::Header(header(response, false), As::Ip),
        "shdr_val" | "res.hdr_val" => Fetch::Header(header(response, false), As::Int),
        "shdr_cnt" | "res.hdr_cnt" => Fetch::HeaderCount(header(response, false)),
        "res.fhdr_cnt" => Fetch::HeaderCount(header(response, true)),
        "res.hdr_names" => header_names(response, arguments),
        "cookie" => Fetch::AnyCookie(arguments.bytes(0)),
        "cook" | "req.cook" => cookie(request, As::Text),
        "cook_val" | "req.cook_val" => cookie(request, As::Int),
        "cook_cnt" | "req.cook_cnt" => Fetch::CookieCount { side: request, name: arguments.bytes(0) },
        "scook" | "res.cook" => cookie(response, As::Text),
        "scook_val" | "res.cook_val" => cookie(response, As::Int),
        "scook_cnt" | "res.cook_cnt" => Fetch::CookieCount { side: response, name: arguments.bytes(0) },
        "http_auth_type" => Fetch::Auth(AuthPart::Type),
        "http_auth_user" => Fetch::Auth(AuthPart::User),
        "http_auth_pass" => Fetch::Auth(AuthPart::Password),
        "http_first_req" => Fetch::FirstRequest,
        "req.proto_http" | "req_proto_http" => Fetch::ProtoHttp,
        "base32" => Fetch::TargetHash { whole: false, source: false },
        "base32+src" => Fetch::TargetHash { whole: false, source: true },
        "url32" => Fetch::TargetHash { whole: true, source: false },
        "url32+src" => Fetch::TargetHash { whole: true, source: true },
        "req.hdrs" => Fetch::Fields(request),
        "req.hdrs_bin" => Fetch::FieldsBinary(request),
        "res.hdrs" => Fetch::Fields(response),
        "res.hdrs_bin" => Fetch::FieldsBinary(response),
        "req.cook_names" => cookie_names(request, arguments),
        "res.cook_names" => cookie_names(response, arguments),
        "capture.req.method" => Fetch::Original(Line::Method),
        "capture.req.uri" => Fetch::Original(Line::Target),
        "capture.req.ver" => Fetch::Original(Line::Version),
        "capture.res.ver" => Fetch::CapturedVersion,
        "http_auth_bearer" => Fetch::Bearer(arguments.header(0)),
        "fc_http_major" => Fetch::HttpMajor(request),
        "bc_http_major" => Fetch::HttpMajor(response),
        "capture.req.hdr" => Fetch::Captured(request, index(arguments)?),
        "capture.res.hdr" => Fetch::Captured(response, index(arguments)?),
        "var" => variable(arguments)?,
        _ => return Ok(None),
    };
    Ok(Some(fetch))
}

/// A number from 0 on.
fn index(arguments: &Arguments<'_>) -> Result<usize, Problem> {
    let index = arguments.integer(0).and_then(|index| usize::try_from(index).ok());
    index.ok_or_else(|| problem("expects a number from 0 on", arguments.span()))
}

fn variable(arguments: &Arguments<'_>) -> Result<Fetch, Problem> {
    let Some(word) = arguments.word(0) else { return Err(problem("missing variable name", arguments.span())) };
    let name: Name = super::effect::variable_name(&word.text, word)?;
    Ok(match arguments.bytes(1) {
        None => Fetch::Variable(name),
        Some(default) => Fetch::VariableOr(name, Value::Str(Cow::Owned(default.into()))),
    })
}

/// From bytes that nothing has read yet.
fn content(name: &str, arguments: &Arguments<'_>) -> Result<Option<Fetch>, Problem> {
    let side = if name.starts_with("res") || name.starts_with("rep") { Side::Response } else { Side::Request };
    let number = |position: usize| arguments.integer(position).and_then(|number| usize::try_from(number).ok());
    let name = name.trim_start_matches("req.").trim_start_matches("req_").trim_start_matches("res.");
    let cookie = || arguments.word(0).and_then(|_| arguments.bytes(0));
    let part = match name.trim_start_matches("rep_") {
        "len" => Part::Length,
        "wait_end" => Part::WaitEnd,
        "payload" => match (number(0), number(1)) {
            (Some(offset), Some(length)) => Part::Payload { offset, length },
            _ => return Err(problem("expects two numbers from 0 on", arguments.span())),
        },
        "payload_lv" => counted(arguments)?,
        "ssl_hello_type" => Part::HelloType,
        "ssl_sni" => Part::ServerName,
        "ssl_ver" => Part::Version,
        "ssl_alpn" => Part::Protocols,
        "ssl_ec_ext" => Part::Curves,
        "ssl_st_ext" => Part::Ticket,
        "ssl_cipherlist" => Part::Ciphers,
        "ssl_sigalgs" => Part::SignatureAlgorithms,
        "ssl_supported_groups" => Part::Groups,
        "ssl_keyshare_groups" => Part::KeyShareGroups,
        "rdp_cookie" => Part::RdpCookie(cookie()),
        "rdp_cookie_cnt" => Part::RdpCookieCount(cookie()),
        "distcc_param" | "distcc_body" => {
            let token = arguments.bytes(0).and_then(|token| <[u8; 4]>::try_from(&*token).ok());
            let Some(token) = token else { return Err(problem("a token has four letters", arguments.span())) };
            Part::Distcc { token, occurrence: arguments.integer(1).unwrap_or(0), body: name == "distcc_body" }
        }
        _ => return Ok(None),
    };
    Ok(Some(Fetch::Content(side, part)))
}

/// Where the length stands, in how many bytes, and where the payload begins: a sign makes that relative to the length's end.
fn counted(arguments: &Arguments<'_>) -> Result<Part, Problem> {
    let number = |position: usize| arguments.integer(position).and_then(|number| usize::try_from(number).ok());
    let (Some(at), Some(size @ 1..=8)) = (number(0), number(1)) else {
        return Err(problem("payload length must be > 0", arguments.span()));
    };
    let begins = match arguments.word(2) {
        None => Begins::After(0),
        Some(word) => match (word.text.starts_with(['+', '-']), word.text.parse::<i64>()) {
            (true, Ok(more)) => Begins::After(more),
            (false, Ok(offset)) => Begins::At(usize::try_from(offset).unwrap_or(0)),
            (_, Err(_)) => return Err(problem("payload offset2 is not a number", word.span)),
        },
    };
    Ok(Part::Counted { at, size, begins })
}

fn header_names(side: Side, arguments: &Arguments<'_>) -> Fetch {
    let delimiter = arguments.bytes(0).and_then(|bytes| bytes.first().copied());
    Fetch::HeaderNames(side, delimiter.unwrap_or(b','))
}

fn cookie_names(side: Side, arguments: &Arguments<'_>) -> Fetch {
    let delimiter = arguments.bytes(0).and_then(|bytes| bytes.first().copied());
    Fetch::CookieNames(side, delimiter.unwrap_or(b','))
}

fn url_param(arguments: &Arguments<'_>, wanted: As) -> Result<Fetch, Problem> {
    let delimiter = match arguments.bytes(1).as_deref() {
        None | Some([]) => b'?',
        Some([delimiter]) => *delimiter,
        Some(_) => return Err(problem("delimiter must be a single character", arguments.span())),
    };
    let ignore_case = ignores_case(arguments, 2)?;
    let name = arguments.word(0).and_then(|_| arguments.bytes(0));
    Ok(Fetch::UrlParam { name, delimiter, ignore_case, wanted })
}

fn body_param(arguments: &Arguments<'_>) -> Result<Fetch, Problem> {
    let ignore_case = ignores_case(arguments, 1)?;
    let name = arguments.bytes(0).filter(|name| !name.is_empty());
    Ok(Fetch::BodyParam { name, ignore_case })
}

fn ignores_case(arguments: &Arguments<'_>, index: usize) -> Result<bool, Problem> {
    match arguments.word(index).map(Word::as_str) {
        None => Ok(false),
        Some("i") => Ok(true),
        Some(_) => Err(problem("the only option is 'i'", arguments.span())),
    }
}

/// From the connection.
fn connection(name: &str) -> Option<Fetch> {
    Some(match name {
        "src" => Fetch::Address(End::Source),
        "dst" => Fetch::Address(End::Destination),
        "fc_src" => Fetch::OwnAddress(End::Source),
        "fc_dst" => Fetch::OwnAddress(End::Destination),
        "src_port" => Fetch::Port(End::Source),
        "dst_port" => Fetch::Port(End::Destination),
        "fc_src_port" => Fetch::OwnPort(End::Source),
        "fc_dst_port" => Fetch::OwnPort(End::Destination),
        "src_is_local" => Fetch::IsLocal(End::Source),
        "dst_is_local" => Fetch::IsLocal(End::Destination),
        "fc_src_is_local" => Fetch::OwnIsLocal(End::Source),
        "fc_dst_is_local" => Fetch::OwnIsLocal(End::Destination),
        "fc_rcvd_proxy" => Fetch::ProxyHeader,
        "so_name" => Fetch::ListenerName,
        "fe_defbe" => Fetch::DefaultBackend,
        "stopping" => Fetch::Stopping,
        "thread" => Fetch::Worker,
        "unique-id" => Fetch::UniqueId,
        "srv_name" => Fetch::Server(ServerFact::Name),
        "srv_id" => Fetch::Server(ServerFact::Id),
        "dst_conn" => Fetch::Figure(Figure::ListenerSessions),
        "act_conn" => Fetch::Figure(Figure::ProcessSessions),
        "cpu_usage_thr" => Fetch::Figure(Figure::ThreadUsage),
        // There is one group of threads.
        "cpu_usage_proc" | "cpu_usage_grp" => Fetch::Figure(Figure::ProcessUsage),
        "uptime" => Fetch::Figure(Figure::Uptime),
        "fe_client_timeout" => Fetch::Figure(Figure::Timeout(Limit::Client)),
        "be_server_timeout" => Fetch::Figure(Figure::Timeout(Limit::Server)),
        "be_tunnel_timeout" => Fetch::Figure(Figure::Timeout(Limit::Tunnel)),
        "be_connect_timeout" => Fetch::Figure(Figure::Timeout(Limit::Connect)),
        "be_queue_timeout" => Fetch::Figure(Figure::Timeout(Limit::Queue)),
        "cur_connect_timeout" => Fetch::Figure(Figure::Timeout(Limit::CurrentConnect)),
        "cur_queue_timeout" => Fetch::Figure(Figure::Timeout(Limit::CurrentQueue)),
        "fe_tarpit_timeout" => Fetch::Figure(Figure::Timeout(Limit::FrontendTarpit)),
        "cur_tarpit_timeout" => Fetch::Figure(Figure::Timeout(Limit::CurrentTarpit)),
        "be_max_retries" => Fetch::Figure(Figure::Retries),
        "cur_max_retries" => Fetch::Figure(Figure::CurrentRetries),
        "internal.strm.is_htx" => Fetch::IsHttp,
        "bc_reused" => Fetch::Reused,
        "be_tarpit_timeout" => Fetch::Figure(Figure::Timeout(Limit::Tarpit)),
        "cur_client_timeout" => Fetch::Figure(Figure::Timeout(Limit::CurrentClient)),
        "cur_server_timeout" => Fetch::Figure(Figure::Timeout(Limit::CurrentServer)),
        "cur_tunnel_timeout" => Fetch::Figure(Figure::Timeout(Limit::CurrentTunnel)),
        "fe_name" => Fetch::FrontendName,
        "be_name" => Fetch::BackendName,
        "fe_id" => Fetch::Figure(Figure::FrontendId),
        "be_id" => Fetch::Figure(Figure::BackendId),
        "so_id" => Fetch::Figure(Figure::Listener),
        _ => return None,
    })
}

/// From the running process.
fn process(
    name: &str,
    arguments: &Arguments<'_>,
    names: &Names,
    inside: &Inside<'_>,
) -> Result<Option<Fetch>, Problem> {
    let backend = || arguments.backend(0, names, inside);
    Ok(Some(match name {
        "nbsrv" => Fetch::Figure(Figure::ServersUp(backend()?)),
        "be_conn" => Fetch::Figure(Figure::BackendSessions(backend()?)),
        "queue" => Fetch::Figure(Figure::Queued(backend()?)),
        "avg_queue" => Fetch::Figure(Figure::AverageQueue(backend()?)),
        "be_conn_free" => Fetch::Figure(Figure::BackendFree(backend()?)),
        "connslots" => Fetch::Figure(Figure::Slots(backend()?)),
        "be_sess_rate" => Fetch::Figure(Figure::BackendRate(backend()?)),
        "fe_sess_rate" => Fetch::Figure(Figure::FrontendRate(arguments.frontend(0, names, inside)?)),
        "fe_req_rate" => Fetch::Figure(Figure::RequestRate(arguments.frontend(0, names, inside)?)),
        "srv_conn_free" | "srv_queue" | "srv_weight" | "srv_iweight" | "srv_uweight" | "srv_sess_rate" => {
            let (backend, server) = arguments.server(0, names, inside)?;
            Fetch::Figure(match name {
                "srv_conn_free" => Figure::ServerFree(backend, server),
                "srv_queue" => Figure::ServerQueue(backend, server),
                "srv_weight" => Figure::ServerWeight(backend, server),
                "srv_iweight" => Figure::ServerFirstWeight(backend, server),
                "srv_uweight" => Figure::ServerUserWeight(backend, server),
                _ => Figure::ServerRate(backend, server),
            })
        }
        "fe_conn" => Fetch::Figure(Figure::FrontendSessions(arguments.frontend(0, names, inside)?)),
        "srv_conn" => {
            let (backend, server) = arguments.server(0, names, inside)?;
            Fetch::Figure(Figure::ServerSessions(backend, server))
        }
        "srv_is_up" => {
            let (backend, server) = arguments.server(0, names, inside)?;
            Fetch::ServerUp(backend, server)
        }
        "http_auth" => Fetch::Admitted(arguments.userlist(0, names, inside)?),
        "http_auth_group" => Fetch::AdmittedGroups(arguments.userlist(0, names, inside)?),
        "date" => {
            let unit = match arguments.word(1) {
                None => Some(Unit::Seconds),
                Some(word) => Unit::from_name(&word.text),
            };
            let Some(unit) = unit else { return Err(problem("expects 's', 'ms' or 'us' as unit", arguments.span())) };
            // The offset is counted in the same unit.
            Fetch::Date(arguments.integer(0).unwrap_or(0), unit)
        }
        "date_us" => Fetch::DateFraction,
        "uuid" => match arguments.integer(0) {
            None | Some(0 | 4) => Fetch::Uuid(UuidVersion::Random),
            Some(7) => Fetch::Uuid(UuidVersion::Dated),
            Some(_) => return Err(problem("expects 4 or 7 as version of the UUID", arguments.span())),
        },
        "rand" => match arguments.integer(0) {
            None => Fetch::Random(u32::MAX),
            Some(limit) => match u32::try_from(limit) {
                Ok(limit) => Fetch::Random(limit),
                Err(_) => return Ok(None),
            },
        },
        _ => return Ok(None),
    }))
}

/// Bytes from pairs of hexadecimal digits.
pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let digits = digits?;
    digits.len().is_multiple_of(2).then(|| digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}
