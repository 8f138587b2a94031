//! What the process and its rules know of an exchange: which rule had the last word, what variables there are, and what the two
//! connections look like from inside.

use super::socket::{Told, Which};
use crate::sample::context::{Context, Stream};
use crate::sample::transaction::{Rare, Written};
use crate::sample::value::{Value, hex};
use crate::sample::variable::Scope;
use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateFetch {
    /// `last_rule_file`: where the rule is written that ended a set of rules.
    LastRuleFile,
    /// `last_rule_line`
    LastRuleLine,
    /// `last_entity`: file and line of that rule.
    LastEntity,
    /// `waiting_entity`: the same of the rule that waits.
    WaitingEntity,
    /// `server_status`: the status as it came from the server.
    ServerStatus,
    /// `dump_all_vars`
    Variables(Box<Dump>),
    /// `fs.aborted`, `bs.aborted`: that side broke it off.
    Aborted(Which),
    /// `fs.id`, `bs.id`: the number of the exchange on the connection; 0 without HTTP.
    Number(Which),
    /// `fs.debug_str`, `bs.debug_str`: of these layers.
    Inside(Which, Layers),
    /// `fc_nb_streams`, `fc_settings_streams_limit` and so on: how many exchanges share the connection, and how many may.
    Streams(Which),
    /// `fc_glitches`, `bc_glitches`: how often a side broke the rules of HTTP. A client does so once, and gets no further.
    Glitches(Which),
    /// `bc_err` and so on: what went wrong with a connection to the server that rules can ask about, which is nothing.
    ServerError(Told),
}

/// `dump_all_vars`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dump {
    /// Variables of these scopes, in this order.
    pub scopes: Box<[Scope]>,
    /// Those whose names begin so.
    pub prefix: Box<str>,
    /// What stands between two of them.
    pub delimiter: Box<[u8]>,
}

/// Some of the layers of a connection, by haproxy's bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Layers(u8);

impl Layers {
    /// One exchange.
    const EXCHANGE: u8 = 1;
    /// What makes exchanges of the connection's bytes.
    const PROTOCOL: u8 = 2;
    /// What lies between those bytes and the wire.
    const TRANSPORT: u8 = 4;
    /// Its two ends.
    const CONNECTION: u8 = 8;
    /// What the system knows of it.
    const SOCKET: u8 = 16;

    /// From the sum of their bits; 0 means all.
    pub fn from_bits(bits: i64) -> Self {
        Self(if bits == 0 { u8::MAX } else { u8::try_from(bits & 31).unwrap_or(u8::MAX) })
    }
}

impl StateFetch {
    /// The sample.
    pub(super) fn value<'a>(&self, context: &Context<'a>) -> Option<Value<'a>> {
        let stream = context.stream;
        let rare = || stream.transaction?.known_rare();
        let text = |text: String| Value::Str(Cow::Owned(text.into_bytes()));
        let last = || rare()?.last_rule.borrow().clone();
        let entity = |rule: Arc<Written>| text(format!("{}:{}", rule.file, rule.line));
        match self {
            Self::LastRuleFile => last().map(|rule| text(rule.file.to_string())),
            Self::LastRuleLine => last().map(|rule| Value::Int(rule.line.into())),
            Self::LastEntity => last().map(entity),
            Self::WaitingEntity => rare()?.waiting_rule.borrow().clone().map(entity),
            Self::ServerStatus => server_status(context, rare()).map(|status| Value::Int(status.into())),
            Self::Variables(dump) => Some(Value::Str(Cow::Owned(dump.text(stream)))),
            Self::Aborted(which) => {
                let [cause, phase] = stream.course?.told().termination;
                Some(Value::Bool(match which {
                    Which::Client => cause == b'C',
                    // Before it was connected there was nothing to break off.
                    Which::Server => cause == b'S' && !matches!(phase, b'C' | b'Q' | b'R'),
                }))
            }
            Self::Number(which) => Some(Value::Int(number(stream, *which)?.into())),
            Self::Inside(which, layers) => inside(stream, *which, *layers).map(text),
            Self::Streams(which) => stream.socket(*which).map(|_| Value::Int(1)),
            Self::Glitches(Which::Server) => stream.server_socket.map(|_| Value::Int(0)),
            Self::Glitches(Which::Client) => {
                stream.client_socket?;
                let refused = stream.course.is_some_and(|course| course.told().termination == *b"PR");
                Some(Value::Int((stream.http && refused && context.request.is_none()).into()))
            }
            Self::ServerError(told) => stream.server_socket.map(|_| match told {
                Told::Number => Value::Int(0),
                Told::Words => Value::text(b"Success"),
                Told::Name => Value::text(b""),
            }),
        }
    }
}

fn server_status(context: &Context<'_>, rare: Option<&Rare>) -> Option<u16> {
    if let Some(status) = rare.and_then(|rare| rare.server_status.get()) {
        return Some(*status);
    }
    // A head that no server sent is one of our own.
    context.stream.course?.told().timers.response?;
    Some(context.response?.status())
}

fn number(stream: &Stream<'_>, which: Which) -> Option<u32> {
    let requests = match which {
        Which::Client => stream.client_requests,
        Which::Server => stream.server_requests?,
    };
    Some(if stream.http { requests } else { 0 })
}

fn inside(stream: &Stream<'_>, which: Which, Layers(layers): Layers) -> Option<String> {
    let socket = stream.socket(which)?;
    let mut text = String::new();
    // Writing to a String cannot fail.
    if layers & Layers::EXCHANGE != 0 {
        let _ = write!(text, " id={}", number(stream, which).unwrap_or(0));
    }
    if layers & Layers::PROTOCOL != 0 {
        let _ = write!(text, " proto={}", if stream.http { "h1" } else { "none" });
    }
    if layers & Layers::TRANSPORT != 0 {
        text.push_str(" xprt=raw");
    }
    if layers & Layers::CONNECTION != 0 {
        for (name, address) in [("local", socket.local()), ("peer", socket.peer())] {
            let address = address.map_or_else(|| "unix".to_owned(), |address| address.to_string());
            let _ = write!(text, " {name}={address}");
        }
    }
    if layers & Layers::SOCKET != 0 {
        let _ = write!(text, " fd={}", socket.descriptor());
        if let Some(measured) = socket.measured() {
            let (rtt, unacked, retransmitted) = (measured.rtt, measured.unacked, measured.retransmitted);
            let _ = write!(text, " rtt={rtt}us unacked={unacked} retrans={retransmitted}");
        }
    }
    Some(text.split_off(1.min(text.len())))
}

impl Dump {
    fn text(&self, stream: &Stream<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        for &scope in &self.scopes {
            stream.each_variable(scope, &mut |name, value| {
                if !name.starts_with(&*self.prefix) {
                    return;
                }
                if !out.is_empty() {
                    out.extend_from_slice(&self.delimiter);
                }
                out.extend_from_slice(scope.word().as_bytes());
                out.push(b'.');
                out.extend_from_slice(name.as_bytes());
                out.push(b'=');
                write_value(value, &mut out);
            });
        }
        out
    }
}

fn write_value(value: &Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
        Value::Int(_) | Value::Ip(_) => out.extend_from_slice(&value.clone().into_text()),
        Value::Bin(bytes) => {
            out.push(b'x');
            out.extend_from_slice(&hex(bytes).to_ascii_lowercase());
        }
        Value::Str(text) | Value::Method(text) => {
            out.push(b'"');
            for &byte in &**text {
                match byte {
                    b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
                    b'\r' => out.extend_from_slice(b"\\r"),
                    b'\n' => out.extend_from_slice(b"\\n"),
                    8 => out.extend_from_slice(b"\\b"),
                    0 => out.extend_from_slice(b"\\0"),
                    _ => out.push(byte),
                }
            }
            out.push(b'"');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of haproxy 3.4's manual.
    #[test]
    fn values_are_written_by_their_type() {
        for (value, expected) in [
            (Value::text(b"John \"Doe\""), r#""John \"Doe\"""#),
            (Value::Bin(Cow::Borrowed(b"Hello")), "x48656c6c6f"),
            (Value::Int(42), "42"),
            (Value::Bool(true), "true"),
            (Value::Ip("192.168.1.1".parse().unwrap()), "192.168.1.1"),
            (Value::Method(Cow::Borrowed(b"GET")), r#""GET""#),
            (Value::text(b"a\r\n\x08\0\\"), r#""a\r\n\b\0\\""#),
        ] {
            let mut out = Vec::new();
            write_value(&value, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
