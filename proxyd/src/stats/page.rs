//! The service behind `stats uri`: who may see it, what was asked for, what the answer is. Pure: a request and the
//! figures go in, an answer comes out; acting on servers is the caller's part.
//!
//! The caller asks [`is_for_page`] first, reads the body of a POST, and then calls [`reply`].

use super::admin::{Form, Outcome};
use super::collect::Snapshot;
use super::{csv, html};
use crate::proxy::settings::{Credential, Stats};
use crate::proxy::userlist::same;
use std::net::SocketAddr;

/// A request to the page.
#[derive(Debug, Clone, Copy)]
pub struct PageRequest<'a> {
    /// `GET`, `HEAD` or `POST`.
    pub method: &'a [u8],
    /// The path and query.
    pub target: &'a [u8],
    /// `host`.
    pub host: Option<&'a [u8]>,
    /// `authorization`.
    pub authorization: Option<&'a [u8]>,
    /// `origin`.
    pub origin: Option<&'a [u8]>,
    /// `referer`.
    pub referer: Option<&'a [u8]>,
    /// The body of a POST; `None` where it was longer than a buffer.
    pub body: Option<&'a [u8]>,
    /// Who asks; for completeness of logs only.
    pub client: Option<SocketAddr>,
    /// The name of the section that serves the page: `.` in `stats scope`.
    pub section: &'a str,
    /// Whether a `stats admin` condition holds.
    pub admin: bool,
}

/// What to do with a request.
#[derive(Debug)]
pub enum Reply {
    /// Ask for a name and a password (401 with the page's realm).
    Unauthorized,
    /// Send this.
    Answer(Answer),
    /// Act on the servers of the form, then send [`administered`].
    Administer(Form),
}

/// An answer without its `content-length`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Header fields, names in lower case.
    pub fields: Vec<(&'static str, String)>,
    /// The body, also for HEAD, which is the caller's to leave out.
    pub body: Vec<u8>,
}

/// The forms the figures come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Html,
    Csv,
}

/// What is in the target after the page's own URI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct View<'a> {
    format: Format,
    /// `up`: servers that are not up are left out.
    pub(super) only_up: bool,
    /// `no-maint`: servers in maintenance are left out.
    pub(super) no_maintenance: bool,
    /// `norefresh`: the page does not reload itself.
    pub(super) no_refresh: bool,
    /// `scope=`: only sections whose name contains this.
    pub(super) scope: Option<&'a str>,
    /// `st=`: what became of the last action.
    pub(super) outcome: Option<&'a str>,
}

/// Whether a request is for the page: its target begins with the page's URI.
pub fn is_for_page(settings: &Stats, method: &[u8], target: &[u8]) -> bool {
    matches!(method, b"GET" | b"HEAD" | b"POST") && target.starts_with(settings.uri.as_bytes())
}

/// Answers a request. `snapshot` reads the figures, with addresses and cookies where its argument says so.
pub fn reply(settings: &Stats, request: &PageRequest<'_>, snapshot: impl FnOnce(bool) -> Snapshot) -> Reply {
    if !settings.auth.is_empty() && !authorized(settings, request.authorization) {
        return Reply::Unauthorized;
    }
    if request.method == b"POST" {
        if !request.admin || !same_origin(request) {
            return Reply::Answer(administered(settings, Outcome::Denied));
        }
        let form = request.body.ok_or(Outcome::TooLong).and_then(Form::parse);
        return form.map_or_else(|outcome| Reply::Answer(administered(settings, outcome)), Reply::Administer);
    }
    let view = View::parse(request.target.get(settings.uri.len()..).unwrap_or_default());
    let mut snapshot = snapshot(settings.show_legends);
    restrict(&mut snapshot, settings, request.section, &view);
    let (content_type, body) = match view.format {
        Format::Csv => ("text/plain", csv::render(snapshot.rows())),
        Format::Html => ("text/html; charset=utf-8", html::render(settings, &view, &snapshot, request.admin)),
    };
    let mut fields = vec![("cache-control", "no-cache".to_owned()), ("content-type", content_type.to_owned())];
    if let Some(refresh) = settings.refresh.filter(|_| !view.no_refresh) {
        fields.push(("refresh", refresh.as_secs().to_string()));
    }
    Reply::Answer(Answer { status: 200, fields, body: body.into_bytes() })
}

/// Sends the browser back to the page, which says what became of the action.
pub fn administered(settings: &Stats, outcome: Outcome) -> Answer {
    let fields = vec![
        ("cache-control", "no-cache".to_owned()),
        ("content-type", "text/plain".to_owned()),
        ("location", format!("{};st={}", settings.uri, outcome.code())),
    ];
    Answer { status: 303, fields, body: Vec::new() }
}

impl<'a> View<'a> {
    /// Reads what follows the URI: words separated by `;`, `?` or `&`. Words that are not known mean nothing, as ever.
    fn parse(rest: &'a [u8]) -> Self {
        let mut view = Self {
            format: Format::Html,
            only_up: false,
            no_maintenance: false,
            no_refresh: false,
            scope: None,
            outcome: None,
        };
        for word in std::str::from_utf8(rest).unwrap_or_default().split([';', '?', '&']) {
            match word.split_once('=') {
                Some(("scope", name)) if !name.is_empty() => view.scope = Some(name),
                Some(("st", code)) => view.outcome = Some(code),
                None if word == "csv" => view.format = Format::Csv,
                None if word == "up" => view.only_up = true,
                None if word == "no-maint" => view.no_maintenance = true,
                None if word == "norefresh" => view.no_refresh = true,
                _ => {}
            }
        }
        view
    }
}

/// Leaves the sections and servers that the configuration and the view ask for.
fn restrict(snapshot: &mut Snapshot, settings: &Stats, own: &str, view: &View<'_>) {
    use super::row::{Column, Kind};
    snapshot.sections.retain(|section| {
        let in_scope = |name: &String| *name == section.name || (name == "." && section.name == own);
        (settings.scope.is_empty() || settings.scope.iter().any(in_scope))
            && view.scope.is_none_or(|part| section.name.contains(part))
    });
    for section in &mut snapshot.sections {
        section.rows.retain(|row| {
            let status = row.text(Column::Status);
            let hidden = (view.only_up && !(status.starts_with("UP") || status == "no check"))
                || (view.no_maintenance && status.starts_with("MAINT"));
            row.kind != Kind::Server || !hidden
        });
    }
}

/// Whether the request names one of the page's users. Every candidate is compared whole, so that the time it takes does
/// not tell how much of a password was right.
fn authorized(settings: &Stats, authorization: Option<&[u8]>) -> bool {
    let Some(encoded) = authorization.and_then(basic) else { return false };
    let Some(given) = base64(encoded) else { return false };
    let matches = |credential: &&Credential| {
        let expected = format!("{}:{}", credential.user, credential.password);
        same(expected.as_bytes(), &given)
    };
    settings.auth.iter().filter(matches).count() > 0
}

/// The credentials of `Basic …`.
fn basic(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(6)?;
    scheme.eq_ignore_ascii_case(b"basic ").then(|| rest.trim_ascii())
}

/// Decodes base64 (RFC 4648, 4), with or without its padding.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let text = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(text);
    let mut out = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut count) = (0_u32, 0);
    for &byte in text {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count & 0xff) as u8);
        }
    }
    Some(out)
}

/// Whether a form was sent by a page of this host: a page of another one may not act through a browser that is logged in
/// here. A program sends neither field and is believed.
fn same_origin(request: &PageRequest<'_>) -> bool {
    let Some(from) = request.origin.or(request.referer) else { return true };
    let authority = from.windows(3).position(|window| window == b"://").map(|at| &from[at + 3..]);
    let Some(authority) = authority.and_then(|rest| rest.split(|&byte| byte == b'/').next()) else { return false };
    request.host.is_some_and(|host| host.eq_ignore_ascii_case(authority))
}

#[cfg(test)]
mod tests;
