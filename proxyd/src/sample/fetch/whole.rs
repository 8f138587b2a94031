//! Samples of a message as a whole: all its fields, hashes of its target, its line as it came.

use super::auth::authorization;
use super::{Context, Fetch, Line, Side, cookie, head};
use super::{End, target};
use crate::balance::hash::{Function, mix};
use crate::http::{self, Head, Version, varint};
use crate::log::RequestLine;
use crate::sample::fetch::TargetPart;
use crate::sample::transaction::Transaction;
use crate::sample::value::Value;
use std::borrow::Cow;
use std::net::IpAddr;

pub(super) fn value<'a>(fetch: &'a Fetch, context: &Context<'a>) -> Option<Value<'a>> {
    let request = || head(context, Side::Request);
    match fetch {
        Fetch::TargetHash { whole, source } => {
            let part = if *whole { TargetPart::Whole } else { TargetPart::Base };
            let hash = mix(Function::Sdbm.apply(&target::part(request()?, part)?));
            if !source {
                return Some(Value::Int(hash.into()));
            }
            let mut bytes = hash.to_be_bytes().to_vec();
            match context.stream.end(End::Source)?.ip().to_canonical() {
                IpAddr::V4(ip) => bytes.extend_from_slice(&ip.octets()),
                IpAddr::V6(ip) => bytes.extend_from_slice(&ip.octets()),
            }
            Some(Value::Bin(Cow::Owned(bytes)))
        }
        Fetch::Fields(side) => Some(Value::Str(Cow::Owned(fields(head(context, *side)?)))),
        Fetch::FieldsBinary(side) => Some(Value::Bin(Cow::Owned(fields_binary(head(context, *side)?)))),
        Fetch::CookieNames(side, delimiter) => {
            let names: Vec<&[u8]> = cookie::names(head(context, *side)?, *side).collect();
            Some(Value::Str(Cow::Owned(names.join(delimiter))))
        }
        Fetch::Original(line) => original(*line, context),
        Fetch::CapturedVersion => Some(http_version(context.response?)),
        Fetch::Bearer(header) => {
            let (scheme, token) = match header {
                None => authorization(request()?)?,
                Some(name) => {
                    let value = request()?.value(name)?;
                    let at = value.iter().position(|&byte| byte == b' ')?;
                    (&value[..at], value[at..].trim_ascii())
                }
            };
            scheme.eq_ignore_ascii_case(b"bearer").then(|| Value::text(token))
        }
        Fetch::HttpMajor(side) => Some(Value::Int(head(context, *side)?.version().major.into())),
        _ => None,
    }
}

fn original<'a>(line: Line, context: &Context<'a>) -> Option<Value<'a>> {
    let request = context.request?;
    if line == Line::Version {
        return Some(http_version(request));
    }
    let first = context.stream.transaction.and_then(Transaction::first_line);
    let method = first.map_or_else(|| request.method(), |first| &first.method);
    let target = first.map_or_else(|| request.target(), |first| &first.target);
    let kept = RequestLine::new(method, target, b"", context.stream.live.kept_of_request_line());
    match line {
        Line::Target => Some(http::target::from_path(kept.target?)).filter(|path| !path.is_empty()).map(Value::text),
        Line::Method | Line::Version => Some(Value::text(kept.method)),
    }
}

/// One of the two that there are.
fn http_version(head: &Head) -> Value<'static> {
    Value::text(if head.version() < Version::HTTP_11 { b"HTTP/1.0" } else { b"HTTP/1.1" })
}

/// All fields, a line each, and the empty line.
fn fields(head: &Head) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in head.fields() {
        for part in [name, b": ", value, b"\r\n"] {
            out.extend_from_slice(part);
        }
    }
    out.extend_from_slice(b"\r\n");
    out
}

/// Each name and value after its length, in the form SPOE sends numbers in; two empty ones at the end.
fn fields_binary(head: &Head) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in head.fields() {
        varint::push_text(name, &mut out);
        varint::push_text(value, &mut out);
    }
    out.extend_from_slice(&[0, 0]);
    out
}
