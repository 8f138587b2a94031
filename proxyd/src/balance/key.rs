//! What a hashing algorithm hashes: the part of a request that `balance uri`, `url_param`, `hdr(…)` and others name.

use std::borrow::Cow;
use std::net::IpAddr;

use super::farm::FarmSettings;
use super::{Algorithm, KeySource};
use crate::http::target;

/// What a request must tell to be balanced by a key. Modes that know nothing of HTTP answer with nothing.
pub trait RequestKey {
    /// The client's address, none for clients of Unix sockets.
    fn source(&self) -> Option<IpAddr>;
    /// The request target as received.
    fn target(&self) -> Option<&[u8]> {
        None
    }
    /// The first element of the first header field of that name, surrounding blanks removed.
    fn header(&self, _name: &str) -> Option<&[u8]> {
        None
    }
    /// What was received of a POST's form, if the algorithm may look there.
    fn form(&self) -> Option<&[u8]> {
        None
    }
    /// The result of the backend's `hash` expression, or the cookie that `rdp-cookie` names.
    fn expression(&self) -> Option<Cow<'_, [u8]>> {
        None
    }
}

/// The hash of a request for this backend; none when the algorithm uses none or the request lacks the key.
pub fn hash(settings: &FarmSettings, request: &impl RequestKey) -> Option<u32> {
    let Algorithm::Hash(source) = &settings.algorithm else { return None };
    let hash_type = settings.hash_type;
    match source {
        KeySource::Source => request.source().map(|address| hash_type.hash_address(address)),
        KeySource::Uri { len, depth, whole, path_only } => {
            let target = request.target()?;
            let part = uri_key(target, *len, *depth, *whole, *path_only);
            Some(hash_type.hash(part))
        }
        KeySource::UrlParam { name, check_post } => {
            let from_query = request.target().and_then(|target| {
                let query = target.iter().position(|&byte| byte == b'?')?;
                parameter(&target[query + 1..], name.as_bytes())
            });
            let value = from_query.or_else(|| {
                let form = if *check_post { request.form() } else { None };
                form.and_then(|form| parameter(form, name.as_bytes()))
            });
            value.map(|value| hash_type.hash(value))
        }
        KeySource::Header { name, domain_only } => {
            let value = request.header(name).filter(|value| !value.is_empty())?;
            Some(hash_type.hash(if *domain_only { domain_label(value) } else { value }))
        }
        KeySource::RdpCookie { .. } | KeySource::Expression => request.expression().map(|value| hash_type.hash(&value)),
    }
}

fn uri_key(target: &[u8], len: Option<u32>, depth: Option<u32>, whole: bool, path_only: bool) -> &[u8] {
    let start = if path_only { target::path_start(target).unwrap_or(0) } else { 0 };
    let mut key = target.get(start..).unwrap_or_default();
    if let Some(len) = len.filter(|&len| len > 0) {
        key = key.get(..len as usize).unwrap_or(key);
    }
    let mut slashes = 0;
    let end = key.iter().position(|&byte| {
        if byte == b'/' {
            slashes += 1;
        }
        depth.is_some_and(|depth| depth > 0 && slashes == depth + 1) || (!whole && byte == b'?')
    });
    end.and_then(|end| key.get(..end)).unwrap_or(key)
}

/// The value of a parameter in a query or a form.
fn parameter<'a>(list: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    list.split(|&byte| byte == b'&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix(b"="))
}

/// `use_domain_only`: of `www.example.com`, the label `example`.
fn domain_label(value: &[u8]) -> &[u8] {
    let host = value.split(|&byte| byte == b':').next().unwrap_or(value);
    let mut labels = host.rsplit(|&byte| byte == b'.');
    let last = labels.next().unwrap_or(host);
    labels.next().unwrap_or(last)
}

#[cfg(test)]
mod tests {
    use super::{domain_label, parameter, uri_key};

    #[test]
    fn parts_of_a_target() {
        let key = |target: &'static str, len, depth, whole, path_only| {
            std::str::from_utf8(uri_key(target.as_bytes(), len, depth, whole, path_only)).unwrap()
        };
        assert_eq!(key("/a/b/c?x=1", None, None, false, false), "/a/b/c");
        assert_eq!(key("/a/b/c?x=1", None, None, true, false), "/a/b/c?x=1");
        assert_eq!(key("/a/b/c?x=1", Some(4), None, false, false), "/a/b");
        assert_eq!(key("/a/b/c?x=1", None, Some(1), false, false), "/a");
        assert_eq!(key("http://h/a/b", None, None, false, false), "http://h/a/b");
        assert_eq!(key("http://h/a/b", None, None, false, true), "/a/b");
        assert_eq!(key("http://h", None, None, false, true), "");
    }

    #[test]
    fn values_of_parameters_and_domains() {
        assert_eq!(parameter(b"a=1&u=x;b=2", b"u"), Some(&b"x;b=2"[..]));
        assert_eq!(parameter(b"uu=1", b"u"), None);
        assert_eq!(parameter(b"u=", b"u"), Some(&b""[..]));
        assert_eq!(domain_label(b"www.example.com:80"), b"example");
        assert_eq!(domain_label(b"localhost"), b"localhost");
    }
}
