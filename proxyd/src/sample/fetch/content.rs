//! Samples from bytes that nothing has read yet: lengths, payloads, and what a TLS client says first.

use super::super::content::Content;
use super::super::value::Value;
use super::Side;
use std::borrow::Cow;

/// What is taken from the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// `req.len`
    Length,
    /// `wait_end`: true once nothing more is waited for.
    WaitEnd,
    /// `req.payload`
    Payload {
        /// Bytes skipped.
        offset: usize,
        /// Bytes taken; 0: all there are in the end.
        length: usize,
    },
    /// `req.payload_lv`: a length, and as many bytes.
    Counted {
        /// Where the length stands.
        at: usize,
        /// In how many bytes.
        size: usize,
        /// Where the payload begins: after the length, or so many bytes after that or from the start.
        begins: Begins,
    },
    /// `req.ssl_hello_type`
    HelloType,
    /// `req.ssl_sni`
    ServerName,
    /// `req.ssl_ver`
    Version,
    /// `req.ssl_alpn`
    Protocols,
    /// `req.ssl_ec_ext`
    Curves,
    /// `req.ssl_st_ext`
    Ticket,
    /// `req.ssl_cipherlist`
    Ciphers,
    /// `req.ssl_sigalgs`
    SignatureAlgorithms,
    /// `req.ssl_supported_groups`
    Groups,
    /// `req.ssl_keyshare_groups`
    KeyShareGroups,
    /// `req.rdp_cookie`: its value, of the cookie of that name.
    RdpCookie(Option<Box<[u8]>>),
    /// `req.rdp_cookie_cnt`
    RdpCookieCount(Option<Box<[u8]>>),
    /// `distcc_param`, `distcc_body`
    Distcc {
        /// Four letters.
        token: [u8; 4],
        /// From 1: which of those that are alike.
        occurrence: i64,
        /// What follows it is asked for, not its number.
        body: bool,
    },
}

/// Where a counted payload begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begins {
    /// So many bytes from the start.
    At(usize),
    /// So many bytes after the length.
    After(i64),
}

/// The sample, of the bytes one side has sent.
pub(super) fn value<'a>(part: &'a Part, content: &'a Content<'a>) -> Option<Value<'a>> {
    let bytes = content.bytes;
    match part {
        Part::Length => {
            content.lacks();
            Some(Value::count(content.length))
        }
        Part::WaitEnd => wait_end(content),
        Part::Payload { offset, length } => payload(content, *offset, *length),
        Part::Counted { at, size, begins } => {
            let Some(field) = bytes.get(*at..at.checked_add(*size)?) else { return lacking(content) };
            let length = field.iter().fold(0_usize, |length, byte| length.saturating_mul(256) | usize::from(*byte));
            let offset = match begins {
                Begins::At(offset) => *offset,
                Begins::After(more) => usize::try_from(i64::try_from(at + size).ok()?.checked_add(*more)?).ok()?,
            };
            if length == 0 { None } else { payload(content, offset, length) }
        }
        Part::HelloType => match record(bytes) {
            // The hello of a client is waited for as a whole, so that what is asked for next finds its name in it.
            Found::Here(message) if message.first() == Some(&CLIENT_HELLO) => {
                hello(content).map(|_| Value::Int(CLIENT_HELLO.into()))
            }
            Found::Here(message) => Some(Value::Int((*message.first()?).into())),
            Found::Lacking => lacking(content),
            Found::Other => None,
        },
        Part::Version => {
            let hello = hello(content)?;
            let version = hello.get(4..6)?;
            Some(Value::Int(i64::from(version[0]) << 16 | i64::from(version[1])))
        }
        Part::ServerName => {
            let name = map(hello(content)?, |hello| server_name(extension(hello, 0)?))?;
            Some(Value::Str(name))
        }
        Part::Protocols => {
            let list = map(hello(content)?, |hello| {
                let list = extension(hello, 16)?.get(2..)?;
                Some(list)
            })?;
            Some(Value::Str(Cow::Owned(protocols(&list))))
        }
        Part::Curves => Some(Value::Bool(extension(&hello(content)?, 10).is_some())),
        Part::Ticket => {
            let hello = hello(content)?;
            Some(Value::Int(match extension(&hello, 35) {
                None => 0,
                Some([]) => 1,
                Some(_) => 2,
            }))
        }
        Part::Ciphers => map(hello(content)?, ciphers).map(Value::Bin),
        Part::SignatureAlgorithms => map(hello(content)?, |hello| block(&mut extension(hello, 13)?, 2)).map(Value::Bin),
        Part::Groups => map(hello(content)?, |hello| block(&mut extension(hello, 10)?, 2)).map(Value::Bin),
        Part::KeyShareGroups => Some(Value::Bin(Cow::Owned(key_share_groups(extension(&hello(content)?, 51)?)?))),
        Part::RdpCookie(name) => rdp_cookie(content, name.as_deref()).map(Value::text),
        Part::Distcc { token, occurrence, body } => distcc(content, *token, *occurrence, *body),
        Part::RdpCookieCount(name) => Some(Value::Int(rdp_cookie(content, name.as_deref()).is_some().into())),
    }
}

/// A token of distcc's protocol: four letters, a number of eight hexadecimal digits, and as many bytes as that says unless the
/// token is one without. Anything else ends the search.
fn distcc<'a>(content: &'a Content<'a>, token: [u8; 4], occurrence: i64, body: bool) -> Option<Value<'a>> {
    const WITHOUT_BODY: [&[u8; 4]; 4] = [b"ARGC", b"DIST", b"DONE", b"STAT"];
    let (mut at, mut seen) = (0, 0);
    loop {
        let Some(head) = content.bytes.get(at..at + 12) else { return lacking(content) };
        let (name, digits) = head.split_at(4);
        let digits =
            std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let number = u32::from_str_radix(digits?, 16).ok()?;
        at += 12;
        let has_body = !WITHOUT_BODY.iter().any(|without| *without == name);
        let length = if has_body { usize::try_from(number).ok()? } else { 0 };
        if name == token {
            seen += 1;
            if occurrence <= seen {
                if !body {
                    return Some(Value::Int(number.into()));
                }
                if !has_body {
                    return None;
                }
                return match content.bytes.get(at..at.checked_add(length)?) {
                    Some(bytes) => Some(Value::Bin(Cow::Borrowed(bytes))),
                    None => lacking(content),
                };
            }
        }
        at = at.checked_add(length)?;
    }
}

/// The end of the wait, whoever is waited for.
pub(super) fn wait_end(content: &Content<'_>) -> Option<Value<'static>> {
    content.lacks();
    content.complete.then_some(Value::Bool(true))
}

fn lacking<T>(content: &Content<'_>) -> Option<T> {
    content.lacks();
    None
}

fn payload<'a>(content: &'a Content<'a>, offset: usize, length: usize) -> Option<Value<'a>> {
    let bytes = content.bytes;
    if length == 0 {
        content.lacks();
        return bytes.get(offset..).filter(|rest| !rest.is_empty()).map(|rest| Value::Bin(Cow::Borrowed(rest)));
    }
    match bytes.get(offset..offset.checked_add(length)?) {
        Some(part) => Some(Value::Bin(Cow::Borrowed(part))),
        None => lacking(content),
    }
}

/// What was looked for in bytes that may not all be there.
enum Found<T> {
    Here(T),
    Lacking,
    /// It is something else.
    Other,
}

/// The type of the record that carries handshakes (RFC 8446, 5.1).
const HANDSHAKE: u8 = 22;
/// The handshake message a client begins with.
const CLIENT_HELLO: u8 = 1;
/// The longest hello that is put together from several records, in bytes.
const HELLO_BYTES_MAX: usize = 65_536;

/// What there is of the first TLS record's payload.
fn record(bytes: &[u8]) -> Found<&[u8]> {
    match bytes {
        [kind, ..] if *kind != HANDSHAKE => Found::Other,
        [_, major, ..] if *major < 3 => Found::Other,
        [_, _, _, _, _, payload @ ..] if !payload.is_empty() => Found::Here(payload),
        _ => Found::Lacking,
    }
}

/// The client's hello, its handshake header included: borrowed where one record holds it.
fn hello<'a>(content: &'a Content<'a>) -> Option<Cow<'a, [u8]>> {
    match whole_hello(content.bytes) {
        Found::Here(hello) => Some(hello),
        Found::Lacking => lacking(content),
        Found::Other => None,
    }
}

fn whole_hello(bytes: &[u8]) -> Found<Cow<'_, [u8]>> {
    let mut message: Cow<'_, [u8]> = Cow::Borrowed(&[]);
    let mut rest = bytes;
    loop {
        let [HANDSHAKE, 3..=u8::MAX, _, high, low, payload @ ..] = rest else {
            return if matches!(record(rest), Found::Other) { Found::Other } else { Found::Lacking };
        };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let Some(part) = payload.get(..length).filter(|part| !part.is_empty()) else {
            return if length == 0 { Found::Other } else { Found::Lacking };
        };
        rest = &payload[length..];
        if message.is_empty() {
            message = Cow::Borrowed(part);
        } else {
            message.to_mut().extend_from_slice(part);
        }
        match *message {
            [CLIENT_HELLO, a, b, c, ..] => {
                let end = 4 + (usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c));
                if end > HELLO_BYTES_MAX {
                    return Found::Other;
                }
                if message.len() >= end {
                    return Found::Here(map(message, |message| message.get(..end)).unwrap_or_default());
                }
            }
            [CLIENT_HELLO, ..] => {}
            _ => return Found::Other,
        }
    }
}

/// A part of a text, borrowed where the text is.
fn map(text: Cow<'_, [u8]>, part: impl FnOnce(&[u8]) -> Option<&[u8]>) -> Option<Cow<'_, [u8]>> {
    match text {
        Cow::Borrowed(text) => part(text).map(Cow::Borrowed),
        Cow::Owned(text) => part(&text).map(|part| Cow::Owned(part.to_vec())),
    }
}

/// Takes a block whose length stands in front of it in `size` bytes.
fn block<'a>(bytes: &mut &'a [u8], size: usize) -> Option<&'a [u8]> {
    let (length, rest) = bytes.split_at_checked(size)?;
    let length = length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
    let (block, rest) = rest.split_at_checked(length)?;
    *bytes = rest;
    Some(block)
}

/// The cipher suites of a client's hello, and what follows them (RFC 8446, 4.1.2).
fn from_ciphers(hello: &[u8]) -> Option<(&[u8], &[u8])> {
    // Header, version and random.
    let mut rest = hello.get(4 + 2 + 32..)?;
    let _session = block(&mut rest, 1)?;
    let ciphers = block(&mut rest, 2)?;
    Some((ciphers, rest))
}

fn ciphers(hello: &[u8]) -> Option<&[u8]> {
    from_ciphers(hello).map(|(ciphers, _)| ciphers)
}

/// The data of an extension of a client's hello.
fn extension(hello: &[u8], wanted: u16) -> Option<&[u8]> {
    let (_, mut rest) = from_ciphers(hello)?;
    let _compression = block(&mut rest, 1)?;
    let mut extensions = block(&mut rest, 2)?;
    while let [high, low, tail @ ..] = extensions {
        extensions = tail;
        let data = block(&mut extensions, 2)?;
        if u16::from_be_bytes([*high, *low]) == wanted {
            return Some(data);
        }
    }
    None
}

/// The groups of the keys in the extension `key_share`, without the keys (RFC 8446, 4.2.8).
fn key_share_groups(mut data: &[u8]) -> Option<Vec<u8>> {
    let (mut list, mut groups) = (block(&mut data, 2)?, Vec::new());
    while !list.is_empty() {
        let (group, tail) = list.split_at_checked(2)?;
        list = tail;
        block(&mut list, 2)?;
        groups.extend_from_slice(group);
    }
    Some(groups)
}

/// The first name of the extension `server_name` (RFC 6066, 3).
fn server_name(mut data: &[u8]) -> Option<&[u8]> {
    let mut list = block(&mut data, 2)?;
    while let [kind, tail @ ..] = list {
        list = tail;
        let name = block(&mut list, 2)?;
        if *kind == 0 {
            return Some(name);
        }
    }
    None
}

/// The names of a protocol list (RFC 7301, 3.1), separated by commas.
fn protocols(mut list: &[u8]) -> Vec<u8> {
    let mut names = Vec::new();
    while let Some(name) = block(&mut list, 1) {
        names.push(name);
    }
    names.join(&b","[..])
}

/// The value of the cookie in an RDP connection request: `Cookie: NAME=VALUE`, after the headers of TPKT and X.224.
pub fn rdp_cookie<'a>(content: &'a Content<'a>, name: Option<&[u8]>) -> Option<&'a [u8]> {
    const START: &[u8] = b"Cookie:";
    let bytes = content.bytes;
    if bytes.len() < 11 {
        return lacking(content);
    }
    if bytes[0] != 3 || bytes[5] != 0xe0 {
        return None;
    }
    let Some(start) = bytes.get(11..11 + START.len()) else { return lacking(content) };
    if !start.eq_ignore_ascii_case(START) {
        return None;
    }
    let rest = bytes.get(11 + START.len()..).unwrap_or_default().trim_ascii_start();
    let Some(end) = rest.windows(2).position(|pair| pair == b"\r\n") else { return lacking(content) };
    let cookie = &rest[..end];
    let equals = cookie.iter().position(|&byte| byte == b'=')?;
    let right = name.is_none_or(|name| name.is_empty() || cookie[..equals].eq_ignore_ascii_case(name));
    right.then(|| &cookie[equals + 1..])
}

/// Whether a part is taken from what this side sends.
pub(super) fn of<'a>(content: Option<&'a Content<'a>>, side: Side) -> Option<&'a Content<'a>> {
    content.filter(|content| content.side == side)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn with(size: usize, block: &[u8]) -> Vec<u8> {
        [&block.len().to_be_bytes()[8 - size..], block].concat()
    }

    /// A hello with a name, two protocols, and what it can do.
    fn sample() -> Vec<u8> {
        let name = with(2, &[&[0], &with(2, b"a.example")[..]].concat());
        let protocols = with(2, &[with(1, b"h2"), with(1, b"http/1.1")].concat());
        let extensions =
            [&[0, 0][..], &with(2, &name), &[0, 16], &with(2, &protocols), &[0, 35, 0, 0], &able()].concat();
        hello_of(&extensions)
    }

    /// Signature algorithms, groups, and keys of two of them.
    fn able() -> Vec<u8> {
        let keys = [&[0, 29][..], &with(2, &[7; 32]), &[0, 23], &with(2, &[8; 65])].concat();
        let list = |number: u8, list: &[u8]| [&[0, number][..], &with(2, &with(2, list))].concat();
        [list(13, &[4, 3, 8, 4]), list(10, &[0, 29, 0, 23, 0, 24]), list(51, &keys)].concat()
    }

    fn hello_of(extensions: &[u8]) -> Vec<u8> {
        let body =
            [&[3, 3][..], &[7; 32], &[0], &with(2, &[0x13, 1, 0x13, 2]), &with(1, &[0]), &with(2, extensions)].concat();
        let message = [&[1][..], &with(3, &body)].concat();
        [&[22, 3, 1][..], &with(2, &message)].concat()
    }

    const PARTS: [Part; 10] = [
        Part::ServerName,
        Part::Protocols,
        Part::HelloType,
        Part::Version,
        Part::Ticket,
        Part::Curves,
        Part::Ciphers,
        Part::SignatureAlgorithms,
        Part::Groups,
        Part::KeyShareGroups,
    ];

    fn taken(part: &Part, bytes: &[u8], complete: bool) -> (Option<Value<'static>>, bool) {
        let content = Content::new(Side::Request, bytes, complete, false);
        let value = value(part, &content).map(Value::into_owned);
        (value, content.take_missing())
    }

    #[test]
    fn what_a_client_says() {
        let hello = sample();
        for (part, expected) in [
            (Part::ServerName, Value::text(b"a.example")),
            (Part::Protocols, Value::text(b"h2,http/1.1")),
            (Part::HelloType, Value::Int(1)),
            (Part::Version, Value::Int(0x3_0003)),
            (Part::Ticket, Value::Int(1)),
            (Part::Curves, Value::Bool(true)),
            (Part::Ciphers, Value::Bin(Cow::Borrowed(&[0x13, 1, 0x13, 2]))),
            (Part::SignatureAlgorithms, Value::Bin(Cow::Borrowed(&[4, 3, 8, 4]))),
            (Part::Groups, Value::Bin(Cow::Borrowed(&[0, 29, 0, 23, 0, 24]))),
            (Part::KeyShareGroups, Value::Bin(Cow::Borrowed(&[0, 29, 0, 23]))),
        ] {
            assert_eq!(taken(&part, &hello, false), (Some(expected), false), "{part:?}");
            for end in 0..hello.len() {
                let (value, missing) = taken(&part, &hello[..end], false);
                assert_eq!((value, missing), (None, true), "{part:?} of {end} bytes");
                assert!(!taken(&part, &hello[..end], true).1);
            }
        }
    }

    #[test]
    fn what_a_client_does_not_say() {
        let bare = hello_of(&[0, 35, 0, 0]);
        for part in [Part::ServerName, Part::Protocols, Part::SignatureAlgorithms, Part::Groups, Part::KeyShareGroups] {
            assert_eq!(taken(&part, &bare, false), (None, false), "{part:?}");
        }
    }

    #[test]
    fn lists_that_do_not_fit() {
        for (part, extension) in [
            (Part::SignatureAlgorithms, &[0, 13, 0, 3, 0, 2, 4][..]),
            (Part::SignatureAlgorithms, &[0, 13, 0, 1, 0]),
            (Part::SignatureAlgorithms, &[0, 13, 0, 9, 0, 2, 4, 3]),
            (Part::Groups, &[0, 10, 0, 4, 255, 255, 0, 29]),
            (Part::Groups, &[0, 10, 0, 0]),
            (Part::KeyShareGroups, &[0, 51, 0, 3, 0, 1, 0]),
            (Part::KeyShareGroups, &[0, 51, 0, 6, 0, 4, 0, 29, 0, 1]),
            (Part::KeyShareGroups, &[0, 51, 0, 6, 0, 4, 0, 29, 255, 255]),
        ] {
            assert_eq!(taken(&part, &hello_of(extension), false), (None, false), "{part:?} {extension:?}");
        }
        // A client that waits to be told which keys are wanted.
        let none = taken(&Part::KeyShareGroups, &hello_of(&[0, 51, 0, 2, 0, 0]), false);
        assert_eq!(none, (Some(Value::Bin(Cow::Borrowed(&[]))), false));
    }

    proptest! {
        /// Whatever a hello says of lengths, and wherever it ends, does no harm.
        #[test]
        fn spoilt_hellos(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), end in any::<prop::sample::Index>()) {
            let mut hello = sample();
            for (at, byte) in changes {
                let at = at.index(hello.len());
                hello[at] = byte;
            }
            hello.truncate(end.index(hello.len()) + 1);
            for part in &PARTS {
                taken(part, &hello, false);
                taken(part, &hello, true);
            }
        }

        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            for part in &PARTS {
                taken(part, &[&[HANDSHAKE, 3, 1][..], &with(2, &[&[CLIENT_HELLO][..], &with(3, &bytes)].concat())].concat(), false);
            }
        }
    }

    #[test]
    fn a_hello_in_two_records() {
        let hello = sample();
        let (head, payload) = hello.split_at(5);
        let (one, two) = payload.split_at(20);
        let length = |part: &[u8]| u16::try_from(part.len()).unwrap().to_be_bytes();
        let split = [&head[..3], &length(one), one, &head[..3], &length(two), two].concat();
        assert_eq!(taken(&Part::ServerName, &split, false).0, Some(Value::text(b"a.example")));
    }

    #[test]
    fn what_is_no_hello() {
        for bytes in
            [&b"GET / HTTP/1.1\r\n"[..], b"\x16\x02\x00", b"\x16\x03\x01\x00\x05\x02\x00\x00\x01\x00", b"SSH-2.0"]
        {
            assert_eq!(taken(&Part::ServerName, bytes, false), (None, false), "{bytes:?}");
        }
    }

    #[test]
    fn payloads() {
        let bin = |bytes: &'static [u8]| Some(Value::Bin(Cow::Borrowed(bytes)));
        let counted = |at, size, begins| Part::Counted { at, size, begins };
        for (part, bytes, expected) in [
            (Part::Payload { offset: 1, length: 2 }, &b"abcd"[..], (bin(b"bc"), false)),
            (Part::Payload { offset: 1, length: 9 }, b"abcd", (None, true)),
            (Part::Payload { offset: 1, length: 0 }, b"abcd", (bin(b"bcd"), true)),
            (counted(0, 1, Begins::After(0)), b"\x02abcd", (bin(b"ab"), false)),
            (counted(0, 1, Begins::After(1)), b"\x02abcd", (bin(b"bc"), false)),
            (counted(0, 1, Begins::At(3)), b"\x02abcd", (bin(b"cd"), false)),
            (counted(0, 1, Begins::After(-9)), b"\x02abcd", (None, false)),
            (counted(3, 4, Begins::After(0)), b"\x02abcd", (None, true)),
            (Part::Length, b"abc", (Some(Value::Int(3)), true)),
        ] {
            assert_eq!(taken(&part, bytes, false), expected, "{part:?}");
        }
        assert_eq!(taken(&Part::WaitEnd, b"", false), (None, true));
        assert_eq!(taken(&Part::WaitEnd, b"", true), (Some(Value::Bool(true)), false));
    }

    #[test]
    fn rdp() {
        let request = b"\x03\x00\x00\x2a\x25\xe0\x00\x00\x00\x00\x00Cookie: mstshash=joe\r\n\x01";
        let part = |name: &[u8]| Part::RdpCookie(Some(name.into()));
        assert_eq!(taken(&part(b"mstshash"), request, false).0, Some(Value::text(b"joe")));
        assert_eq!(taken(&part(b"other"), request, false), (None, false));
        assert_eq!(taken(&part(b"mstshash"), &request[..25], false), (None, true));
    }
}
