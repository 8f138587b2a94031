//! Request heads.

use super::{Body, Limits, Progress, Refused, Seen, empty_lines, fields, is_protocol, other_protocol, partial};
use crate::http::header::{self, TOKEN_LOWER, is_ows, is_target};
use crate::http::{Head, Version, blocks, target};

/// What may stand in `host`.
static HOST: [bool; 256] = {
    let mut table = [true; 256];
    let mut byte: u8 = 0;
    while byte < 128 {
        table[byte as usize] = !(byte.is_ascii_control() || matches!(byte, b'@' | b'/' | b' ' | b','));
        byte += 1;
    }
    table
};

/// What a request head says about its body and its connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RequestWire {
    /// Where the request's body ends.
    pub body: Body,
    /// The client keeps the connection for another request.
    pub keep_alive: bool,
    /// The client asks for another protocol (`upgrade`), or for a tunnel (`CONNECT`).
    pub tunnel: Tunnel,
    /// The method is HEAD: the response will have no body whatever it says.
    pub head: bool,
    /// There is `upgrade` in `connection`, which then stays as it is.
    pub announces_upgrade: bool,
    /// The client waits for `100 (Continue)` before it sends the body.
    pub expects_continue: bool,
    /// How many bytes there were of fields that are not passed on, but counted.
    pub left_out: u16,
}

/// What a request asks its connection to become.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tunnel {
    /// Nothing else.
    No,
    /// `101 (Switching Protocols)` makes it a tunnel.
    Upgrade,
    /// A successful response makes it a tunnel.
    Connect,
}

/// Reads a request head at the start of `input` into `head`, in canonical form. See [`fields::read`] for what is let pass.
pub fn read(input: &[u8], head: &mut Head, limits: Limits) -> Result<Progress<RequestWire>, Refused> {
    let room = &input[..input.len().min(limits.head)];
    let start = empty_lines(room);
    if room.get(start..) == Some(b"\r") {
        return partial(input.len(), limits, true);
    }
    let Some(line) = start_line(room, start, head, limits.lax)? else { return partial(input.len(), limits, true) };
    let at = match line {
        Line::Whole(at) => at,
        Line::Simple(consumed) => {
            let wire = accept(head, &Seen::default(), limits)?;
            return Ok(Progress::Complete { consumed, wire });
        }
    };
    let mut seen = Seen::default();
    let Some(consumed) = fields::read(room, at, head, Some(&mut seen), limits)? else {
        return partial(input.len(), limits, false);
    };
    Ok(Progress::Complete { consumed, wire: accept(head, &seen, limits)? })
}

/// A request line; where what follows it begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Line {
    /// Fields follow.
    Whole(usize),
    /// HTTP/0.9: it is all of the request.
    Simple(usize),
}

/// `METHOD SP target SP HTTP/x.y`; `lax` lets pass `GET SP target`, other protocols, and targets with any byte above 0x7e and with `#`.
fn start_line(input: &[u8], start: usize, head: &mut Head, lax: bool) -> Result<Option<Line>, Refused> {
    let line = &input[start..];
    let method = skip(line, 0, |byte| TOKEN_LOWER[usize::from(byte)] != 0);
    let Some(&after) = line.get(method) else { return Ok(None) };
    if method == 0 || !is_ows(after) {
        return Err(Refused::BAD);
    }
    let target = skip(line, method, is_ows);
    let Some(rest) = line.get(target..).filter(|rest| !rest.is_empty()) else { return Ok(None) };
    let strange = |byte| !is_target(byte);
    let length = if lax {
        blocks::position(rest, |byte| strange(byte) && byte != b'#' && byte <= 0x7f)
    } else {
        blocks::position(rest, strange)
    };
    let Some(length) = length else { return Ok(None) };
    let target_end = target + length;
    if lax && length > 0 && line[..method] == *b"GET" {
        let after = skip(line, target_end, is_ows);
        let length = match line[after..] {
            [b'\n', ..] => Some(1),
            [b'\r', b'\n', ..] => Some(2),
            [] | [b'\r'] => return Ok(None),
            _ => None,
        };
        if let Some(length) = length {
            head.start_request(&line[..method], &line[target..target_end], Version::HTTP_10);
            return Ok(Some(Line::Simple(start + after + length)));
        }
    }
    if length == 0 || !is_ows(line[target_end]) {
        return Err(Refused::BAD);
    }
    let text = skip(line, target_end, is_ows);
    if text == line.len() {
        return Ok(None);
    }
    let length = match line[text..] {
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9', b'\r', b'\n', ..] => Some(9),
        ref rest => rest.iter().position(|&byte| byte == b'\n'),
    };
    let Some(end) = length.map(|length| text + length) else {
        // `HTTP/1.1` CR is the longest that may still become a good line.
        let so_far = line[text..].strip_suffix(b"\r").unwrap_or(&line[text..]);
        let version = so_far.len() <= 8 && so_far.iter().zip(b"HTTP/").all(|(have, want)| have == want);
        let possible = version || (lax && so_far.iter().all(|&byte| is_protocol(byte)));
        return if possible { Ok(None) } else { Err(Refused::BAD) };
    };
    let protocol = line[text..end].strip_suffix(b"\r").unwrap_or(&line[text..end]);
    let (method, target) = (&line[..method], &line[target..target_end]);
    let usual = super::version(protocol);
    let version = usual.or_else(|| other_protocol(protocol).filter(|_| lax)).ok_or(Refused::BAD)?;
    head.start_request(method, target, version);
    if usual.is_none() {
        head.set_protocol(protocol);
    }
    Ok(Some(Line::Whole(start + end + 1)))
}

/// Where the bytes from `at` on end that `passed` holds for. A plain loop: there are few, and unrolling costs more than it saves.
fn skip(bytes: &[u8], mut at: usize, passed: impl Fn(u8) -> bool) -> usize {
    while bytes.get(at).copied().is_some_and(&passed) {
        at += 1;
    }
    at
}

/// The checks that need the whole head, and the canonical form of what decides framing.
fn accept(head: &mut Head, seen: &Seen, limits: Limits) -> Result<RequestWire, Refused> {
    let lax = limits.lax;
    let old = head.version() < Version::HTTP_11;
    let has_body = seen.chunked || seen.content_length.is_some_and(|length| length > 0);
    let connect = head.method() == b"CONNECT";
    if !lax {
        check_target(head, connect)?;
    }
    if seen.host.is_some() {
        single_host(head, seen, lax)?;
    }
    match_authority(head, connect, lax)?;
    seen.check_delimited()?;
    if old && has_body && !limits.any_payload && matches!(head.method(), b"GET" | b"HEAD" | b"DELETE") {
        return Err(Refused { status: 413 });
    }
    seen.check_coding()?;
    let mut left_out = seen.left_out + seen.canonical_framing(head);
    if connect && (seen.chunked || seen.content_length.is_some()) {
        // What follows is for whoever the tunnel leads to, or the next request if there will be none.
        left_out += head.leave_out_framing();
    }
    let asks = seen.has_upgrade && seen.upgrade_token;
    // A request with a body stays one: what comes after the body could not be told from another protocol.
    let upgrade = asks && (connect || !has_body);
    let h2c =
        upgrade && head.values(b"upgrade").any(|value| header::list(value).any(|it| it.eq_ignore_ascii_case(b"h2c")));
    if upgrade {
        check_websocket(head)?;
    }
    if h2c {
        let values: usize = head.values(b"upgrade").map(|value| b"upgrade".len() + value.len()).sum();
        left_out += values + b"connectionupgrade".len();
    }
    if h2c || (asks && !upgrade) {
        // HTTP/2 is not offered by upgrade, and the server must not be asked for it either.
        head.remove(b"upgrade");
    }
    seen.strip_connection(head, h2c);
    // Two framings at once, or a coding HTTP/1.0 does not know: served as haproxy does, but nothing after it is trusted.
    let ambiguous = seen.chunked && (old || seen.content_length.is_some() && !limits.keep_ambiguous);
    let keep_alive = !seen.close && !ambiguous && (!old || seen.keep_alive);
    Ok(RequestWire {
        body: match (seen.chunked, seen.content_length) {
            _ if connect => Body::None,
            (true, _) => Body::Chunked,
            (false, Some(length)) if length > 0 => Body::Length(length),
            (false, _) => Body::None,
        },
        keep_alive,
        tunnel: match (connect, upgrade && !h2c) {
            (true, _) => Tunnel::Connect,
            (false, true) => Tunnel::Upgrade,
            (false, false) => Tunnel::No,
        },
        head: head.method() == b"HEAD",
        expects_continue: seen.expects_continue && !old,
        left_out: u16::try_from(left_out).unwrap_or(u16::MAX),
        announces_upgrade: seen.upgrade_token && !h2c,
    })
}

/// Origin, absolute, authority (CONNECT only) or asterisk form (OPTIONS only).
fn check_target(head: &Head, connect: bool) -> Result<(), Refused> {
    let target = head.target();
    let good = if connect {
        let named = connect_authority(target);
        split_port(named).is_some_and(|(host, port)| !host.is_empty() && !host.contains(&b'/') && !port.is_empty())
    } else {
        match target.first() {
            Some(b'/') => true,
            Some(b'*') => target == b"*" && head.method() == b"OPTIONS",
            Some(_) | None => authority(target).is_some(),
        }
    };
    if good { Ok(()) } else { Err(Refused::BAD) }
}

/// Two equal `host` fields become one; different ones, or one that is no host, are refused.
fn single_host(head: &mut Head, seen: &Seen, lax: bool) -> Result<(), Refused> {
    let Some(host) = head.value(b"host") else { return Ok(()) };
    if !lax && skip(host, 0, |byte| HOST[usize::from(byte)]) < host.len() {
        return Err(Refused::BAD);
    }
    if !seen.duplicates || head.values(b"host").nth(1).is_none() {
        return Ok(());
    }
    if head.values(b"host").any(|other| !other.eq_ignore_ascii_case(host)) {
        return Err(Refused::BAD);
    }
    head.keep_first(b"host");
    Ok(())
}

/// An authority in the target must agree with `host`, unless violations pass; a port that the scheme implies is dropped from both.
fn match_authority(head: &mut Head, connect: bool, lax: bool) -> Result<(), Refused> {
    let target = head.target();
    if connect {
        return match_connect(head).or_else(|refused| if lax { Ok(()) } else { Err(refused) });
    }
    if matches!(target.first(), Some(b'/' | b'*')) {
        return Ok(());
    }
    let Some((start, end)) = authority(target) else { return if lax { Ok(()) } else { Err(Refused::BAD) } };
    let default: &[&[u8]] = match target[..start].to_ascii_lowercase().as_slice() {
        b"http://" => &[b"80"],
        b"https://" => &[b"443"],
        _ => &[],
    };
    let named = &target[start..end];
    let bare = without_port(named, default);
    if let Some(host) = head.value(b"host") {
        let bare_named = without_user(bare);
        // A target that names nobody agrees with anybody.
        let agrees = named.ends_with(b"@") || without_port(host, default).eq_ignore_ascii_case(bare_named);
        if !lax && !agrees {
            return Err(Refused::BAD);
        }
    }
    if bare.len() == named.len() {
        return Ok(());
    }
    let bare = bare.to_vec();
    let target = [&target[..start], &bare, &target[end..]].concat();
    head.set_target(&target);
    let index = head.fields().position(|(name, _)| name == b"host");
    if let Some(index) = index {
        head.set_value(index, &bare);
    }
    Ok(())
}

/// CONNECT names host and port; `host` may leave the port out where it is one of the usual ones, and then does.
fn match_connect(head: &mut Head) -> Result<(), Refused> {
    const USUAL: &[&[u8]] = &[b"443", b"80"];
    let Some(index) = head.fields().position(|(name, _)| name == b"host") else { return Ok(()) };
    let (target, host) = (connect_authority(head.target()), head.value(b"host").unwrap_or_default());
    let port = |authority| split_port(authority).map(|(_, port)| port).filter(|port| !port.is_empty());
    let agree = without_port(host, USUAL).eq_ignore_ascii_case(without_port(target, USUAL));
    if !agree || port(host).is_some_and(|own| port(target) != Some(own)) {
        return Err(Refused::BAD);
    }
    if port(host).is_some() {
        let bare = without_port(host, USUAL).to_vec();
        head.set_value(index, &bare);
    }
    Ok(())
}

/// Host and port that CONNECT names: without what else an absolute target has, and without a user name.
fn connect_authority(target: &[u8]) -> &[u8] {
    without_user(authority(target).map_or(target, |(start, end)| &target[start..end]))
}

/// An authority without the user name before the host, which is no part of what `host` repeats.
fn without_user(authority: &[u8]) -> &[u8] {
    authority.iter().rposition(|&byte| byte == b'@').map_or(authority, |at| &authority[at + 1..])
}

/// An authority without a port that is empty or one of those that need not be said.
fn without_port<'a>(authority: &'a [u8], implied: &[&[u8]]) -> &'a [u8] {
    match split_port(authority) {
        Some((host, port)) if port.is_empty() || implied.contains(&port) => host,
        Some(_) | None => authority,
    }
}

/// Where the authority of an absolute target stands. It reaches to the path, so that a query without a path is part of it, and
/// agrees with no `host`.
fn authority(target: &[u8]) -> Option<(usize, usize)> {
    let (start, end) = (target::authority_start(target)?, target::path_start(target)?);
    (end > start).then_some((start, end))
}

/// `host:port`; the port may be empty, the host may be a bracketed address.
fn split_port(authority: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = authority.iter().rposition(|&byte| byte == b':')?;
    let (host, port) = (&authority[..colon], &authority[colon + 1..]);
    port.iter().all(u8::is_ascii_digit).then_some((host, port))
}

/// A WebSocket handshake needs a key of 16 bytes in base64: 24 characters.
fn check_websocket(head: &Head) -> Result<(), Refused> {
    let mut protocols = head.values(b"upgrade").flat_map(header::list);
    let websocket = protocols.any(|protocol| protocol.eq_ignore_ascii_case(b"websocket"));
    let key = head.value(b"sec-websocket-key").map_or(0, <[u8]>::len);
    if websocket && key != 24 { Err(Refused::BAD) } else { Ok(()) }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
