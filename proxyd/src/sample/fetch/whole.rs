//! Samples of a message as a whole: all its fields, hashes of its target, its line as it came.

use super::{Context, Fetch, Line, Side, address, authorization, cookie, head};
use super::{End, target};
use crate::balance::hash::{Function, mix};
use crate::http::Head;
use crate::sample::fetch::TargetPart;
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
            match address(context.stream, End::Source)?.ip().to_canonical() {
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
    if let Some(first) = context.stream.transaction.and_then(|transaction| transaction.first_line.get()) {
        return Some(Value::text(if line == Line::Method { &first.method } else { &first.target }));
    }
    Some(Value::text(if line == Line::Method { request.method() } else { request.target() }))
}

fn http_version(head: &Head) -> Value<'static> {
    Value::Str(Cow::Owned(head.protocol().to_vec()))
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
        for text in [name, value] {
            push_number(text.len() as u64, &mut out);
            out.extend_from_slice(text);
        }
    }
    out.extend_from_slice(&[0, 0]);
    out
}

/// A number in as few bytes as it needs: below 240 in one, else four bits in the first and seven in each that follows.
fn push_number(number: u64, out: &mut Vec<u8>) {
    let low = |number: u64, bits: u64| u8::try_from(number & 0xff | bits).unwrap_or(u8::MAX);
    if number < 240 {
        return out.push(low(number, 0));
    }
    out.push(low(number & 0x0f, 0xf0));
    let mut rest = (number - 240) >> 4;
    while rest >= 128 {
        out.push(low(rest & 0x7f, 0x80));
        rest = (rest - 128) >> 7;
    }
    out.push(low(rest, 0));
}
