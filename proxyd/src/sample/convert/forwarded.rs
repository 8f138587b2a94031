//! The `Forwarded` header (RFC 7239): one element of it, and the nodes in its `for` and `by`.

use super::super::value::Value;
use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A parameter of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameter {
    /// `proto`
    Proto,
    /// `host`
    Host,
    /// `for`
    For,
    /// `by`
    By,
}

impl Parameter {
    /// From its name, in any case.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_slice() {
            b"proto" => Self::Proto,
            b"host" => Self::Host,
            b"for" => Self::For,
            b"by" => Self::By,
            _ => return None,
        })
    }

    /// Whether it may have that value.
    pub fn accepts(self, value: &[u8]) -> bool {
        match self {
            Self::Proto => value.eq_ignore_ascii_case(b"http") || value.eq_ignore_ascii_case(b"https"),
            Self::Host => !value.is_empty() && value.iter().all(|byte| is_host(*byte)),
            Self::For | Self::By => Node::read(value).is_some(),
        }
    }
}

/// Whether a byte needs no quotes (RFC 7230, section 3.2.6).
pub fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// What an authority is made of (RFC 3986, section 3.2.2), with a port.
fn is_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=%:[]".contains(&byte)
}

/// The parameters of an element; nothing where it is none. Each may be there once.
fn parameters(element: &[u8]) -> Option<Vec<(Parameter, Cow<'_, [u8]>)>> {
    let mut found: Vec<(Parameter, Cow<'_, [u8]>)> = Vec::new();
    let mut rest = element;
    loop {
        let equals = rest.iter().position(|&byte| byte == b'=')?;
        let parameter = Parameter::from_name(rest.get(..equals)?)?;
        let (value, after) = value(rest.get(equals + 1..)?)?;
        if !parameter.accepts(&value) || found.iter().any(|(known, _)| *known == parameter) {
            return None;
        }
        found.push((parameter, value));
        match after.split_first() {
            None => return Some(found),
            Some((b';', after)) => rest = after,
            Some(_) => return None,
        }
    }
}

/// A token or a quoted string, and what follows it.
fn value(text: &[u8]) -> Option<(Cow<'_, [u8]>, &[u8])> {
    let Some(quoted) = text.strip_prefix(b"\"") else {
        let end = text.iter().position(|&byte| !is_token(byte)).unwrap_or(text.len());
        let (token, after) = text.split_at(end);
        return Some((Cow::Borrowed(token), after)).filter(|_| end > 0);
    };
    let mut value = Vec::new();
    let mut at = 0;
    loop {
        match quoted.get(at)? {
            b'"' => return Some((Cow::Owned(value), quoted.get(at + 1..)?)),
            b'\\' => {
                value.push(*quoted.get(at + 1)?);
                at += 2;
            }
            &byte => {
                value.push(byte);
                at += 1;
            }
        }
    }
}

/// A node: who, and at which port (RFC 7239, section 6).
struct Node<'a> {
    name: Name<'a>,
    port: Option<&'a [u8]>,
}

enum Name<'a> {
    Ip(IpAddr),
    /// `unknown`, or a name that begins with `_`.
    Text(&'a [u8]),
}

impl<'a> Node<'a> {
    fn read(text: &'a [u8]) -> Option<Self> {
        let (name, after) = if let Some(inside) = text.strip_prefix(b"[") {
            let end = inside.iter().position(|&byte| byte == b']')?;
            let ip: Ipv6Addr = std::str::from_utf8(inside.get(..end)?).ok()?.parse().ok()?;
            (Name::Ip(ip.into()), inside.get(end + 1..)?)
        } else {
            let (name, after) = text.split_at(text.iter().position(|&byte| byte == b':').unwrap_or(text.len()));
            let ip = std::str::from_utf8(name).ok().and_then(|name| name.parse::<Ipv4Addr>().ok());
            let name = match ip {
                Some(ip) => Name::Ip(ip.into()),
                None if name.eq_ignore_ascii_case(b"unknown") || is_hidden(name) => Name::Text(name),
                None => return None,
            };
            (name, after)
        };
        let port = match after.split_first() {
            None => None,
            Some((b':', port)) if is_hidden(port) || is_port(port) => Some(port),
            Some(_) => return None,
        };
        Some(Self { name, port })
    }
}

/// A name that says nothing: an underscore and more.
fn is_hidden(text: &[u8]) -> bool {
    let more = text.strip_prefix(b"_").unwrap_or_default();
    !more.is_empty() && more.iter().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte))
}

fn is_port(text: &[u8]) -> bool {
    std::str::from_utf8(text)
        .is_ok_and(|text| text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok())
}

/// `rfc7239_is_valid`
pub fn is_valid(element: &[u8]) -> bool {
    parameters(element).is_some()
}

/// `rfc7239_field`
pub(super) fn field(element: &[u8], wanted: Parameter) -> Option<Value<'static>> {
    let found = parameters(element)?.into_iter().find(|(parameter, _)| *parameter == wanted)?;
    Some(Value::Str(Cow::Owned(found.1.into_owned())))
}

/// A node as it is, or as it stands in a header, in quotes.
fn unquoted(text: &[u8]) -> Option<Cow<'_, [u8]>> {
    if text.first() != Some(&b'"') {
        return Some(Cow::Borrowed(text));
    }
    value(text).and_then(|(node, after)| after.is_empty().then_some(node))
}

/// `rfc7239_n2nn`: the node's name, as an address where it is one.
pub(super) fn node_name(text: &[u8]) -> Option<Value<'static>> {
    let text = unquoted(text)?;
    Some(match Node::read(&text)?.name {
        Name::Ip(ip) => Value::Ip(ip),
        Name::Text(name) => Value::Str(Cow::Owned(name.to_vec())),
    })
}

/// `rfc7239_n2np`: the node's port, as a number where it is one.
pub(super) fn node_port(text: &[u8]) -> Option<Value<'static>> {
    let text = unquoted(text)?;
    let port = Node::read(&text)?.port?;
    Some(match std::str::from_utf8(port).ok().and_then(|port| port.parse::<u16>().ok()) {
        Some(number) => Value::Int(number.into()),
        None => Value::Str(Cow::Owned(port.to_vec())),
    })
}

/// A name that stands for somebody, with the underscore that marks it.
fn hidden(name: &[u8]) -> Option<Vec<u8>> {
    let hidden = [b"_", name].concat();
    is_hidden(&hidden).then_some(hidden)
}

/// `rfc7239_nn`: how a node's name is written. No name at all is an unknown one.
pub fn write_name(value: &Value<'_>) -> Option<Vec<u8>> {
    match value {
        Value::Ip(IpAddr::V4(ip)) => Some(ip.to_string().into_bytes()),
        Value::Ip(IpAddr::V6(ip)) => Some(format!("[{ip}]").into_bytes()),
        Value::Str(name) if name.is_empty() => Some(b"unknown".to_vec()),
        Value::Str(name) | Value::Method(name) => hidden(name),
        Value::Bool(_) | Value::Int(_) | Value::Bin(_) => None,
    }
}

/// `rfc7239_np`: how a node's port is written.
pub fn write_port(value: &Value<'_>) -> Option<Vec<u8>> {
    match value {
        Value::Int(port) => Some(u16::try_from(*port).ok()?.to_string().into_bytes()),
        Value::Str(name) | Value::Method(name) => hidden(name),
        Value::Bool(_) | Value::Ip(_) | Value::Bin(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of haproxy 3.4's manual.
    #[test]
    fn nodes_are_written() {
        let ip = |text: &str| Value::Ip(text.parse().unwrap());
        let name = |value: Value<'_>| write_name(&value).map(|name| String::from_utf8(name).unwrap());
        let port = |value: Value<'_>| write_port(&value).map(|port| String::from_utf8(port).unwrap());
        assert_eq!(name(ip("ab:cd:ff:ff:ff:ff:ff:ff")).as_deref(), Some("[ab:cd:ff:ff:ff:ff:ff:ff]"));
        assert_eq!(name(ip("127.0.0.1")).as_deref(), Some("127.0.0.1"));
        assert_eq!(name(Value::text(b"test")).as_deref(), Some("_test"));
        assert_eq!(name(Value::text(b"")).as_deref(), Some("unknown"));
        assert_eq!(name(Value::text(b"a b")), None);
        assert_eq!(port(Value::Int(12)).as_deref(), Some("12"));
        assert_eq!(port(Value::text(b"8888")).as_deref(), Some("_8888"));
        assert_eq!(port(Value::text(b"")), None);
        assert_eq!(port(Value::Int(65_536)), None);
    }

    fn text(value: Option<Value<'static>>) -> String {
        value.map_or_else(|| "none".into(), |value| String::from_utf8_lossy(&value.into_text()).into_owned())
    }

    #[test]
    fn elements_are_read_as_the_rfc_writes_them() {
        for (element, valid) in [
            ("for=192.0.2.43", true),
            ("for=192.0.2.43:47011", false),
            ("for=\"192.0.2.43:47011\"", true),
            ("For=\"[2001:db8:cafe::17]:4711\"", true),
            ("for=[2001:db8::17]", false),
            ("for=\"2001:db8::17\"", false),
            ("for=unknown;by=_secret;proto=https;host=h.ex", true),
            ("for=_hidden;for=_hidden", false),
            ("for=192.0.2.43, for=198.51.100.17", false),
            ("for=192.0.2.43;", false),
            ("for=192.0.2.43; by=_a", false),
            ("proto=ftp", false),
            ("host=\"h.ex:80\"", true),
            ("host=\"h ex\"", false),
            ("secret=1", false),
            ("for=\"_a", false),
            ("for=\"_\\a\"", true),
            ("for=_", false),
            ("for=", false),
            ("", false),
        ] {
            assert_eq!(is_valid(element.as_bytes()), valid, "{element}");
        }
    }

    #[test]
    fn a_parameter_is_taken_out_of_its_quotes() {
        let element = b"proto=https;host=\"haproxy.org:80\";for=\"[2001:db8::1]:_p\"";
        assert_eq!(text(field(element, Parameter::Host)), "haproxy.org:80");
        assert_eq!(text(field(element, Parameter::For)), "[2001:db8::1]:_p");
        assert_eq!(text(field(element, Parameter::By)), "none");
        assert_eq!(text(field(b"proto=x", Parameter::Proto)), "none");
    }

    #[test]
    fn nodes_have_a_name_and_perhaps_a_port() {
        for (node, name, port) in [
            ("127.0.0.1", "127.0.0.1", "none"),
            ("127.0.0.1:9999", "127.0.0.1", "9999"),
            ("[2001:db8::1]:_hidden", "2001:db8::1", "_hidden"),
            ("\"_name:_port\"", "_name", "_port"),
            ("unknown", "unknown", "none"),
            ("unknown:65536", "none", "none"),
            ("h.ex", "none", "none"),
            ("127.0.0.1:", "none", "none"),
            ("\"_name", "none", "none"),
        ] {
            assert_eq!(text(node_name(node.as_bytes())), name, "{node}");
            assert_eq!(text(node_port(node.as_bytes())), port, "{node}");
        }
        assert!(matches!(node_name(b"127.0.0.1"), Some(Value::Ip(_))));
        assert!(matches!(node_port(b"127.0.0.1:80"), Some(Value::Int(80))));
    }
}
