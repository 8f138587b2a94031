//! `option forwarded`: what a request is told of the way it came, as one element of the `Forwarded` header (RFC 7239).

use crate::sample::convert::forwarded::{self, Parameter};
use crate::sample::fetch::End;
use crate::sample::{Context, Expression, Value};
use std::borrow::Cow;
use std::net::SocketAddr;

/// The parameters of the element. `E` is an expression, as it is written or compiled.
#[derive(Clone, Debug, PartialEq)]
pub struct Forwarded<E> {
    /// `proto`
    pub proto: bool,
    /// `host`, `host-expr`
    pub host: Option<Said<E>>,
    /// `by…`: where the client connected to.
    pub by: Node<E>,
    /// `for…`: the client.
    pub client: Node<E>,
}

/// Who, and at which port. Without a name there is no parameter, whatever the port.
#[derive(Clone, Debug, PartialEq)]
pub struct Node<E> {
    /// `by`, `by-expr`, `for`, `for-expr`
    pub name: Option<Said<E>>,
    /// `by_port`, `by_port-expr`, `for_port`, `for_port-expr`
    pub port: Option<Said<E>>,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Said<E> {
    /// The connection, or the request.
    Itself,
    /// An expression.
    Expression(E),
}

impl<E> Default for Forwarded<E> {
    fn default() -> Self {
        let node = || Node { name: None, port: None };
        Self { proto: false, host: None, by: node(), client: node() }
    }
}

impl<E> Forwarded<E> {
    /// The same with other expressions; nothing where one of them cannot be had.
    pub fn compile<F>(&self, mut compile: impl FnMut(&E) -> Option<F>) -> Option<Forwarded<F>> {
        let mut part = |said: &Option<Said<E>>| {
            Some(match said {
                None => None,
                Some(Said::Itself) => Some(Said::Itself),
                Some(Said::Expression(written)) => Some(Said::Expression(compile(written)?)),
            })
        };
        Some(Forwarded {
            proto: self.proto,
            host: part(&self.host)?,
            by: Node { name: part(&self.by.name)?, port: part(&self.by.port)? },
            client: Node { name: part(&self.client.name)?, port: part(&self.client.port)? },
        })
    }
}

impl Forwarded<Expression> {
    /// The element, empty where there is nothing to say.
    pub fn element(&self, context: &Context<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        if self.proto {
            // Clients come without encryption: `bind … ssl` does not start.
            parameter(&mut out, b"proto", b"http", false);
        }
        if let Some(host) = self.host.as_ref().and_then(|host| host_of(host, context)) {
            parameter(&mut out, b"host", &host, true);
        }
        for (name, node, end) in [(b"by".as_slice(), &self.by, End::Destination), (b"for", &self.client, End::Source)] {
            if let Some(text) = node.text(context.stream.end(end), context) {
                parameter(&mut out, name, &text, false);
            }
        }
        out
    }
}

/// What is no authority would make the element void, so that it is left out.
fn host_of<'a>(said: &'a Said<Expression>, context: &Context<'a>) -> Option<Cow<'a, [u8]>> {
    let host = match said {
        Said::Itself => Cow::Borrowed(context.request?.value(b"host")?),
        Said::Expression(expression) => expression.value(context)?.into_text(),
    };
    Some(host).filter(|host| Parameter::Host.accepts(host))
}

impl Node<Expression> {
    /// The node, unless it is not asked for. A name that cannot be told is `unknown`, a port that cannot be is left out.
    fn text(&self, address: Option<SocketAddr>, context: &Context<'_>) -> Option<Vec<u8>> {
        let ip = |address: SocketAddr| Value::Ip(address.ip().to_canonical());
        let name = value(self.name.as_ref()?, address.map(ip), context);
        let mut text = name.and_then(|name| forwarded::write_name(&shown(name))).unwrap_or_else(|| b"unknown".to_vec());
        let port = address.map(|address| Value::Int(address.port().into()));
        let port = self.port.as_ref().and_then(|said| value(said, port, context));
        if let Some(port) = port.and_then(|port| forwarded::write_port(&shown(port))) {
            text.push(b':');
            text.extend_from_slice(&port);
        }
        Some(text)
    }
}

fn value<'a>(said: &'a Said<Expression>, own: Option<Value<'a>>, context: &Context<'a>) -> Option<Value<'a>> {
    match said {
        Said::Itself => own,
        Said::Expression(expression) => expression.value(context),
    }
}

/// The underscore of an obfuscated name may be written already.
fn shown(value: Value<'_>) -> Value<'_> {
    match value {
        Value::Str(Cow::Borrowed(text)) => Value::text(text.strip_prefix(b"_").unwrap_or(text)),
        Value::Str(Cow::Owned(mut text)) if text.first() == Some(&b'_') => {
            text.remove(0);
            Value::Str(Cow::Owned(text))
        }
        other => other,
    }
}

fn parameter(out: &mut Vec<u8>, name: &[u8], value: &[u8], quoted: bool) {
    if !out.is_empty() {
        out.push(b';');
    }
    let quote: &[u8] = if quoted || !value.iter().all(|&byte| forwarded::is_token(byte)) { b"\"" } else { b"" };
    for part in [name, b"=", quote, value, quote] {
        out.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Head;
    use crate::rules::tests::stream;
    use crate::sample::fetch::Fetch;
    use proptest::prelude::*;

    type Whole = Forwarded<Expression>;

    fn constant(value: Value<'static>) -> Said<Expression> {
        Said::Expression(Expression { fetch: Fetch::Constant(value), converters: Box::default() })
    }

    fn element(setting: &Whole, host: &[u8], source: Option<SocketAddr>, destination: Option<SocketAddr>) -> String {
        let mut request = Head::default();
        request.append(b"host", host);
        let stream = crate::sample::Stream { source, destination, ..stream() };
        let made = setting.element(&Context { request: Some(&request), response: None, stream: &stream });
        String::from_utf8(made).unwrap()
    }

    #[test]
    fn elements_are_those_of_the_manual() {
        let (v4, v6) = ("127.0.0.1:60138".parse().ok(), "[::1]:80".parse().ok());
        let itself = || Some(Said::Itself);
        let node = |name, port| Node { name, port };
        let text = |text: &'static str| Some(constant(Value::text(text.as_bytes())));
        let none = || node(None, None);
        let cases: [(Whole, _, &str); 9] = [
            (Whole { proto: true, client: node(itself(), None), ..Whole::default() }, v4, "proto=http;for=127.0.0.1"),
            (
                Whole { host: itself(), client: node(text("000000007F2F367E"), itself()), ..Whole::default() },
                v4,
                "host=\"haproxy.org\";for=\"_000000007F2F367E:60138\"",
            ),
            (
                Whole {
                    proto: false,
                    host: text("host.com"),
                    by: node(text("_haproxy"), None),
                    client: node(itself(), Some(constant(Value::Int(10)))),
                },
                v6,
                "host=\"host.com\";by=_haproxy;for=\"[::1]:10\"",
            ),
            (Whole { client: node(itself(), None), ..Whole::default() }, v6, "for=\"[::1]\""),
            (Whole { client: node(itself(), itself()), ..Whole::default() }, None, "for=unknown"),
            (Whole { by: node(text("a b"), text("a b")), client: none(), ..Whole::default() }, v4, "by=unknown"),
            (Whole { by: node(None, itself()), client: none(), ..Whole::default() }, v4, ""),
            (Whole { by: node(text("x"), text("_y")), client: none(), ..Whole::default() }, v4, "by=\"_x:_y\""),
            (Whole { host: text("no host"), client: none(), ..Whole::default() }, v4, ""),
        ];
        for (setting, source, expected) in cases {
            assert_eq!(element(&setting, b"haproxy.org", source, None), expected);
        }
    }

    fn any_value() -> impl Strategy<Value = Option<Said<Expression>>> {
        prop_oneof![
            Just(None),
            Just(Some(Said::Itself)),
            any::<i64>().prop_map(|number| Some(constant(Value::Int(number)))),
            "[a-z_:;\"\\\\ =,.-]{0,6}".prop_map(|text| Some(constant(Value::Str(Cow::Owned(text.into_bytes()))))),
            any::<std::net::IpAddr>().prop_map(|ip| Some(constant(Value::Ip(ip)))),
        ]
    }

    proptest! {
        /// Whatever is said, the converters on the other side read it.
        #[test]
        fn elements_are_valid(
            proto: bool,
            host in any_value(),
            by in (any_value(), any_value()),
            client in (any_value(), any_value()),
            field in "[a-z:\\[\\]\" ;.]{0,6}",
            source: Option<SocketAddr>,
            destination: Option<SocketAddr>,
        ) {
            let node = |(name, port)| Node { name, port };
            let setting = Whole { proto, host, by: node(by), client: node(client) };
            let made = element(&setting, field.as_bytes(), source, destination);
            prop_assert!(made.is_empty() || forwarded::is_valid(made.as_bytes()), "{made}");
        }
    }
}
