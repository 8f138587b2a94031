//! Parts of the request target.

use super::{TargetPart, Value, parse_ip};
use crate::http::target::authority_start;
use crate::http::{Head, header};
use std::borrow::Cow;

/// A part of the target; nothing where the target has none, as `*` has no path.
pub(super) fn part(request: &Head, part: TargetPart) -> Option<Cow<'_, [u8]>> {
    let path = || Some(request.path()).filter(|path| !path.is_empty());
    Some(match part {
        TargetPart::Path => Cow::Borrowed(path()?),
        TargetPart::PathQuery => Cow::Borrowed(path_and_query(request).filter(|path| !path.is_empty())?),
        TargetPart::Query => Cow::Borrowed(request.query()?),
        TargetPart::Url => Cow::Borrowed(request.target()),
        TargetPart::Base => with_host(request, path().unwrap_or_default()),
        TargetPart::Whole => with_host(request, request.target()),
        TargetPart::BaseQuery => with_host(request, path_and_query(request).unwrap_or_default()),
    })
}

/// From the path to the end of the target.
fn path_and_query(request: &Head) -> Option<&[u8]> {
    let target = request.target();
    if target.starts_with(b"/") {
        return Some(target);
    }
    let authority = &target[authority_start(target)?..];
    let start = authority.iter().position(|byte| matches!(byte, b'/' | b'?'))?;
    Some(&authority[start..])
}

fn with_host<'a>(request: &'a Head, path: &'a [u8]) -> Cow<'a, [u8]> {
    match request.value(b"host") {
        Some(host) => Cow::Owned([host, path].concat()),
        None => Cow::Borrowed(path),
    }
}

/// The first value of a parameter; without a name, of any.
pub(super) fn parameter<'a>(
    request: &'a Head,
    name: Option<&[u8]>,
    delimiter: u8,
    ignore_case: bool,
) -> Option<&'a [u8]> {
    let target = request.target();
    let start = target.iter().position(|&byte| byte == delimiter)?;
    parameter_of(&target[start + 1..], name, ignore_case)
}

/// A parameter of a list as a query string or a form has it.
pub(super) fn parameter_of<'a>(list: &'a [u8], name: Option<&[u8]>, ignore_case: bool) -> Option<&'a [u8]> {
    let is_separator = |byte: &u8| matches!(byte, b'&' | b';');
    list.split(is_separator).find_map(|parameter| {
        let equals = parameter.iter().position(|&byte| byte == b'=').unwrap_or(parameter.len());
        let (key, value) = parameter.split_at(equals);
        let same = name.is_none_or(|name| if ignore_case { key.eq_ignore_ascii_case(name) } else { key == name });
        same.then(|| value.strip_prefix(b"=").unwrap_or(value))
    })
}

/// Address or port of a target in absolute form.
pub(super) fn host(request: &Head, port: bool) -> Option<Value<'static>> {
    let target = request.target();
    let authority = &target[header::find(target, b"://")? + 3..];
    let end = authority.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(authority.len());
    let authority = &authority[..end];
    if !port {
        return parse_ip(authority).map(Value::Ip);
    }
    let after_host = authority.iter().rposition(|&byte| byte == b']').map_or(authority, |at| &authority[at + 1..]);
    let number = match after_host.iter().position(|&byte| byte == b':') {
        Some(colon) => super::leading_int(&after_host[colon + 1..]),
        None if target.starts_with(b"https") => 443,
        None => 80,
    };
    Some(Value::Int(number))
}
