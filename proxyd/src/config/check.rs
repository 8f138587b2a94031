//! Health checks: `option …-check`, `http-check` and `tcp-check`.

use super::draft::{CheckDraft, CheckOption, ExternalCheck, Settings};
use super::line::{Line, code};
use super::rules::regex;
use super::support::Support;
use crate::health::script::{
    CheckKind, ConnectStep, Dialect, Expect, ExpectPattern, External, HttpSend, HttpStep, TcpStep,
};
use crate::sample::prefix_map::Case;
use crate::sample::regex::Regex;
use shared_config::diagnostic::{Diagnostic, Place};
use shared_config::words::Word;
use std::net::SocketAddr;

/// `option httpchk [method] uri [version]`.
pub(super) fn httpchk(line: &mut Line<'_, '_>, check: &mut CheckDraft) {
    check.kind = CheckOption::Http;
    check.request = HttpSend::default();
    let words = line.words.rest();
    match words {
        [] => {}
        [uri] => check.request.uri = uri.text.to_string(),
        [method, uri, rest @ ..] => {
            check.request.method = method.text.to_string();
            check.request.uri = uri.text.to_string();
            if let Some(version) = rest.first() {
                version_and_headers(line, version, &mut check.request);
            }
            if let Some(extra) = rest.get(1) {
                let message = format!("'option httpchk' cannot handle unexpected argument '{}'.", extra.text);
                line.out.push(
                    Diagnostic::error(code::EXTRA_ARGUMENT, extra.span, message)
                        .help("escape the space in front of it, or use `http-check send`"),
                );
            }
        }
    }
}

/// 1.x had no other way to send headers than to hide them behind the version.
fn version_and_headers(line: &mut Line<'_, '_>, word: &Word, request: &mut HttpSend) {
    let (version, hidden) = match word.text.find(['\r', '\n']) {
        Some(end) => (&word.text[..end], &word.text[end..]),
        None => (&*word.text, ""),
    };
    version.clone_into(&mut request.version);
    if hidden.is_empty() {
        return;
    }
    let mut lines = hidden.trim_start_matches(['\r', '\n']).split('\n');
    for header in lines.by_ref() {
        let header = header.trim_end_matches('\r');
        if header.is_empty() {
            break;
        }
        let (name, value) = header.split_once(':').unwrap_or((header, ""));
        request.headers.push((name.trim().to_owned(), value.trim().to_owned()));
    }
    request.body = lines.collect::<Vec<_>>().join("\n").into_bytes();
    let message = "'option httpchk' : hiding headers or body at the end of the version string is deprecated. Please, \
                   consider to use 'http-check send' directive instead.";
    let help = request.headers.iter().fold("write `http-check send".to_owned(), |help, (name, value)| {
        format!("{help} hdr {name} {}", value.replace(' ', "\\ "))
    });
    let at = word.span_of(version.len()..word.text.len());
    let warning = Diagnostic::warning(code::LEGACY, at, message).place(Place::ParsingLine);
    line.out.push(warning.label("headers").help(help + "`"));
}

/// The words after `http-check WORD`.
pub(super) fn http_check(line: &mut Line<'_, '_>, check: &mut CheckDraft, support: &mut Support) {
    match line.name {
        "http-check disable-on-404" => {
            check.disable_on_404 = true;
            end(line, "http-check");
        }
        "http-check send-state" => {
            check.send_state = true;
            end(line, "http-check");
        }
        "http-check send" => {
            if let Some(send) = http_send(line, support) {
                check.http_rules.push(HttpStep::Send(send));
            }
        }
        "http-check expect" => {
            if let Some(expect) = expect(line, "http-check expect", support) {
                check.http_rules.push(HttpStep::Expect(expect));
            }
        }
        "http-check connect" => {
            let step = connect(line, "http-check connect", support);
            check.http_rules.push(HttpStep::Connect(step));
        }
        // The other words have no effect here; the table has said so.
        _ => {}
    }
}

/// The words after `tcp-check WORD`.
pub(super) fn tcp_check(line: &mut Line<'_, '_>, check: &mut CheckDraft, support: &mut Support) {
    match line.name {
        "tcp-check connect" => {
            let step = connect(line, "tcp-check connect", support);
            check.tcp_rules.push(TcpStep::Connect(step));
        }
        "tcp-check send" => {
            if let Some(word) = line.expect("'tcp-check send' : 'string' expects a send as argument.") {
                check.tcp_rules.push(TcpStep::Send(shared_config::source::encode(&word.text)));
            }
        }
        "tcp-check send-binary" => {
            if let Some(word) = line.expect("'tcp-check send-binary' : 'binary' expects a send as argument.")
                && let Some(bytes) = hexadecimal(line, word, "tcp-check send-binary")
            {
                check.tcp_rules.push(TcpStep::Send(bytes));
            }
        }
        "tcp-check expect" => {
            if let Some(expect) = expect(line, "tcp-check expect", support) {
                check.tcp_rules.push(TcpStep::Expect(expect));
            }
        }
        _ => {}
    }
}

/// `http-check` or `tcp-check` with a second word that is none of theirs.
pub(super) fn unknown(line: &mut Line<'_, '_>, ruleset: &str) {
    let list = match ruleset {
        "http-check" => "'disable-on-404', 'send-state', 'comment', 'connect', 'send', 'expect'",
        _ => "'comment', 'connect', 'send', 'send-binary', 'expect'",
    };
    let word = line.words.next();
    let (text, at) = word.map_or(("", line.words.here()), |word| (&*word.text, word.span));
    let message =
        format!("'{ruleset}' only supports {list}, 'set-var-fmt(*)', 'set-var(*)', 'unset-var(*)'. but got '{text}'");
    line.error(code::UNKNOWN_KEYWORD, at, message);
}

fn end(line: &mut Line<'_, '_>, name: &str) {
    if let Some(word) = line.words.next() {
        let message = format!("'{name}' cannot handle unexpected argument '{}'.", word.text);
        line.error(code::EXTRA_ARGUMENT, word.span, message);
    }
}

fn http_send(line: &mut Line<'_, '_>, support: &mut Support) -> Option<HttpSend> {
    // What is not said here is taken from `option httpchk` once the section is complete.
    let mut send =
        HttpSend { method: String::new(), uri: String::new(), version: String::new(), ..HttpSend::default() };
    while let Some(word) = line.words.next() {
        let name = &*word.text;
        let missing = || format!("'http-check send' : '{name}' expects a string as argument.");
        match name {
            "meth" => send.method = line.expect(missing())?.text.to_string(),
            "uri" => send.uri = line.expect(missing())?.text.to_string(),
            "ver" => send.version = line.expect(missing())?.text.to_string(),
            "body" => send.body = line.expect(missing())?.text.as_bytes().to_vec(),
            "hdr" => {
                let field = line.expect("'http-check send' : 'hdr' expects a name and a value as parameter.")?;
                let value = line.expect("'http-check send' : 'hdr' expects a name and a value as parameter.")?;
                if value.text.contains("%[") {
                    support.unsupported("http-check send hdr with %[…]", value.span, line.out);
                }
                send.headers.push((field.text.to_string(), value.text.to_string()));
            }
            "uri-lf" | "body-lf" => {
                support.unsupported(&format!("http-check send {name}"), word.span, line.out);
                line.expect(missing())?;
            }
            "comment" => drop(line.expect(missing())?),
            _ => {
                let message = format!(
                    "'http-check send' : expects 'comment', 'meth', 'uri', 'uri-lf', 'ver', 'hdr', 'body' or 'body-lf' \
                     but got '{name}' as argument."
                );
                line.error(code::UNKNOWN_NAME, word.span, message);
                return None;
            }
        }
    }
    Some(send)
}

fn connect(line: &mut Line<'_, '_>, what: &str, support: &mut Support) -> ConnectStep {
    let mut step = ConnectStep::default();
    while let Some(word) = line.words.next() {
        match &*word.text {
            "default" => step.as_server = true,
            "linger" => step.linger = true,
            "send-proxy" => step.send_proxy = true,
            "via-socks4" => step.via_socks4 = true,
            "port" => {
                let port = line
                    .expect(format!("'{what}' : expects a port number as argument."))
                    .and_then(|word| word.text.parse().ok());
                if port.is_none() {
                    support.unsupported(&format!("{what} port with an expression"), word.span, line.out);
                }
                step.port = port;
            }
            "comment" => {
                step.comment = line
                    .expect(format!("'{what}' : 'comment' expects a string as argument."))
                    .map(|word| word.text.to_string());
            }
            "addr" => connect_address(line, what, &mut step),
            "ssl" | "sni" | "alpn" | "proto" => {
                support.unsupported(&format!("{what} {}", word.text), word.span, line.out);
                if &*word.text != "ssl" {
                    let _argument = line.words.next();
                }
            }
            other => {
                let message = format!(
                    "'{what}' : expects 'comment', 'port', 'addr', 'send-proxy'{} but got '{other}' as argument.",
                    ", 'ssl', 'sni', 'alpn', 'via-socks4', 'linger', 'default'"
                );
                line.error(code::UNKNOWN_NAME, word.span, message);
                return step;
            }
        }
    }
    step
}

/// `addr IP[:PORT]`.
fn connect_address(line: &mut Line<'_, '_>, what: &str, step: &mut ConnectStep) {
    let Some(word) = line.expect(format!("'{what}' : expects an address as argument.")) else { return };
    if let Ok(address) = word.text.parse::<SocketAddr>() {
        step.address = Some(address.ip());
        step.port = step.port.or(Some(address.port()));
    } else if let Ok(ip) = word.text.parse() {
        step.address = Some(ip);
    } else {
        let message = format!("'{what}' : could not resolve address '{}'.", word.text);
        line.error(code::BAD_VALUE, word.span, message);
    }
}

fn expect(line: &mut Line<'_, '_>, what: &str, support: &mut Support) -> Option<Expect> {
    let is_http = what.starts_with("http");
    let (mut min_recv, mut comment) = (None, None);
    loop {
        let word = line.expect(format!("'{what}' : expects at least a matching pattern as arguments."))?;
        let (negate, kind) = match word.text.strip_prefix('!') {
            // `! string` with a space is the same.
            Some("") => {
                (true, line.expect(format!("'{what}' : expects at least a matching pattern as arguments."))?.as_str())
            }
            Some(kind) => (true, kind),
            None => (false, &*word.text),
        };
        match kind {
            "min-recv" => {
                min_recv = line
                    .integer(format!("'{what}' : 'min-recv' expects a integer as argument."))
                    .and_then(|n| u32::try_from(n).ok());
            }
            "comment" => {
                comment =
                    Some(line.expect(format!("'{what}' : 'comment' expects a string as argument."))?.text.to_string());
            }
            "ok-status" | "error-status" | "tout-status" | "on-success" | "on-error" | "status-code" => {
                line.expect(format!("'{what}' : '{kind}' expects a string as argument."))?;
            }
            _ => {
                let pattern = pattern(line, what, word, kind, is_http, support)?;
                return Some(Expect { negate, pattern, min_recv, comment });
            }
        }
    }
}

fn pattern(
    line: &mut Line<'_, '_>,
    what: &str,
    word: &Word,
    kind: &str,
    is_http: bool,
    support: &mut Support,
) -> Option<ExpectPattern> {
    let missing = format!("'{what}' : '{kind}' expects a <pattern> as argument.");
    Some(match kind {
        "string" => ExpectPattern::Bytes(shared_config::source::encode(&line.expect(missing)?.text)),
        "rstring" => ExpectPattern::Regex(expression(line, what, kind, missing, support)?),
        "status" if is_http => {
            let list = line.expect(missing)?;
            ExpectPattern::Status(statuses(line, what, list)?)
        }
        "rstatus" if is_http => ExpectPattern::StatusRegex(expression(line, what, kind, missing, support)?),
        "binary" if !is_http => {
            let bytes = line.expect(missing)?;
            ExpectPattern::Bytes(hexadecimal(line, bytes, what)?)
        }
        "hdr" | "fhdr" | "string-lf" if is_http => {
            support.unsupported(&format!("{what} {kind}"), word.span, line.out);
            let _rest = line.words.rest();
            return None;
        }
        "rbinary" | "binary-lf" | "string-lf" if !is_http => {
            support.unsupported(&format!("{what} {kind}"), word.span, line.out);
            let _rest = line.words.rest();
            return None;
        }
        _ => {
            let list = if is_http {
                "'only supports min-recv, [!]string', '[!]rstring', '[!]string-lf', '[!]status', '[!]rstatus', [!]hdr, \
                 [!]fhdr or comment"
            } else {
                "'only supports min-recv, '[!]binary', '[!]string', '[!]rstring', '[!]rbinary' or comment"
            };
            line.error(code::UNKNOWN_NAME, word.span, format!("'{what}' : {list} but got '{kind}' as argument.."));
            return None;
        }
    })
}

/// A regular expression, in the syntax of the engine that runs it.
fn expression(
    line: &mut Line<'_, '_>,
    what: &str,
    kind: &str,
    missing: String,
    support: &mut Support,
) -> Option<String> {
    let word = line.expect(missing)?;
    match regex::compile(&word.text, Case::Exact) {
        Ok(Regex::Linear(_)) => Some(regex::rewritten(&word.text)),
        Ok(Regex::Backtracking(_)) => {
            support.unsupported(&format!("{what} {kind} with look-around or back-references"), word.span, line.out);
            None
        }
        Err(message) => {
            line.error(code::BAD_VALUE, word.span, format!("'{what}' : {message}."));
            None
        }
    }
}

/// `200,300-399`
fn statuses(line: &mut Line<'_, '_>, what: &str, word: &Word) -> Option<Vec<(u16, u16)>> {
    let wrong = word.text.char_indices().find(|(_, c)| !(c.is_ascii_digit() || matches!(c, ',' | '-')));
    if let Some((at, character)) = wrong {
        let message = format!("'{what}' : invalid character '{character}' in the list of status codes.");
        line.error(code::BAD_VALUE, word.span_of(at..at + character.len_utf8()), message);
        return None;
    }
    let ranges: Option<Vec<_>> = word
        .text
        .split(',')
        .map(|range| {
            let (low, high) = range.split_once('-').unwrap_or((range, range));
            Some((low.parse().ok()?, high.parse().ok()?)).filter(|(low, high): &(u16, u16)| low <= high)
        })
        .collect();
    if ranges.is_none() {
        line.error(code::BAD_VALUE, word.span, format!("'{what}' : invalid range of status codes '{}'.", word.text));
    }
    ranges
}

fn hexadecimal(line: &mut Line<'_, '_>, word: &Word, what: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        word.text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    if let Some(digits) = digits.filter(|digits| digits.len() % 2 == 0) {
        Some(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
    } else {
        let message =
            format!("'{what}' : invalid binary string '{}', an even number of hex digits is expected.", word.text);
        line.error(code::BAD_VALUE, word.span, message);
        None
    }
}

/// The options that choose a fixed exchange, or say that a command is run.
pub(super) fn protocol(line: &mut Line<'_, '_>, name: &str, settings: &mut Settings) {
    let kind = match name {
        "tcp-check" => CheckOption::Tcp,
        "ssl-hello-chk" => CheckOption::SslHello,
        "external-check" => CheckOption::External,
        "redis-check" => CheckOption::Exchange(Dialect::Redis, redis()),
        "smtpchk" => CheckOption::Exchange(Dialect::Smtp, smtp(line)),
        "mysql-check" => CheckOption::Exchange(Dialect::Mysql, mysql(line)),
        "pgsql-check" => match pgsql(line) {
            Some(steps) => CheckOption::Exchange(Dialect::Pgsql, steps),
            None => return,
        },
        "ldap-check" => CheckOption::Exchange(Dialect::Ldap, ldap()),
        // `spop-check` is a protocol of its own; the table has said that it does not work.
        _ => CheckOption::None,
    };
    line.end();
    settings.check.kind = kind;
}

fn bytes(pattern: &[u8]) -> TcpStep {
    TcpStep::Expect(Expect {
        negate: false,
        pattern: ExpectPattern::Bytes(pattern.to_vec()),
        min_recv: None,
        comment: None,
    })
}

fn regular(pattern: &str, min_recv: u32) -> TcpStep {
    TcpStep::Expect(Expect {
        negate: false,
        pattern: ExpectPattern::Regex(pattern.to_owned()),
        min_recv: Some(min_recv),
        comment: None,
    })
}

/// RESP: PING is answered by +PONG.
fn redis() -> Vec<TcpStep> {
    vec![TcpStep::Send(b"*1\r\n$4\r\nPING\r\n".to_vec()), bytes(b"+PONG\r\n")]
}

/// RFC 5321: a greeting, a hello that is accepted, and a polite end.
fn smtp(line: &mut Line<'_, '_>) -> Vec<TcpStep> {
    let words = (line.words.next(), line.words.next());
    let hello = match words {
        (Some(command), Some(domain)) if matches!(&*command.text, "EHLO" | "HELO") => {
            format!("{} {}\r\n", command.text, domain.text)
        }
        _ => "HELO localhost\r\n".to_owned(),
    };
    let reply = "^2[0-9]{2}[- \r]";
    vec![
        regular("^220[ \r]", 4),
        TcpStep::Send(hello.into_bytes()),
        regular(reply, 4),
        TcpStep::Send(b"QUIT\r\n".to_vec()),
        regular(reply, 4),
    ]
}

/// The server greets with protocol version 10; with a user, a login without password must not be refused.
fn mysql(line: &mut Line<'_, '_>) -> Vec<TcpStep> {
    let mut steps = vec![regular("(?s-u)^...\\x00\\x0a", 5)];
    let Some(word) = line.words.next() else { return steps };
    if &*word.text != "user" {
        let message = format!("'option mysql-check' only supports optional values: 'user' (got '{}').", word.text);
        line.error(code::UNKNOWN_NAME, word.span, message);
        return steps;
    }
    let Some(user) = line.expect("'option mysql-check user' expects <username> as argument.") else { return steps };
    let pre_41 = line.take("pre-41").is_some();
    if !pre_41 {
        let _version = line.take("post-41");
    }
    // The login does not wait for the greeting.
    steps.insert(0, TcpStep::Send(mysql_login(user.text.as_bytes(), pre_41)));
    // A packet that is not an error packet (0xff).
    steps.push(regular("(?s-u)^....[^\\xff]", 5));
    steps
}

/// A client authentication packet with the sequence number 1.
fn mysql_login(user: &[u8], pre_41: bool) -> Vec<u8> {
    let mut body = if pre_41 {
        // Capabilities CLIENT_LONG_FLAG | CLIENT_LONG_PASSWORD, the largest packet.
        vec![0x80, 0x00, 0x01, 0x00, 0x00]
    } else {
        // Capabilities CLIENT_PROTOCOL_41 | CLIENT_SECURE_CONNECTION | CLIENT_PLUGIN_AUTH, then packet size, charset
        // and 23 reserved bytes.
        let mut fields = vec![0x00, 0x82, 0x08, 0x00, 0x01, 0x00, 0x00, 0x00, 0x21];
        fields.extend([0; 23]);
        fields
    };
    body.extend_from_slice(user);
    body.push(0);
    if !pre_41 {
        // No password, and the name of the method.
        body.push(0);
        body.extend_from_slice(b"mysql_native_password\0");
    }
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes();
    let mut packet = vec![length[0], length[1], length[2], 1];
    packet.extend(body);
    packet
}

/// A start-up message; an authentication request or an error with a code is an answer of a live server.
fn pgsql(line: &mut Line<'_, '_>) -> Option<Vec<TcpStep>> {
    let missing = "'option pgsql-check' expects 'user <username>' as argument.";
    let word = line.expect(missing)?;
    if &*word.text != "user" {
        line.error(code::UNKNOWN_NAME, word.span, missing);
        return None;
    }
    let user = line.expect(missing)?;
    let mut body = 196_608_u32.to_be_bytes().to_vec();
    body.extend_from_slice(b"user\0");
    body.extend_from_slice(user.text.as_bytes());
    body.extend_from_slice(b"\0\0");
    let mut message = u32::try_from(body.len() + 4).unwrap_or(u32::MAX).to_be_bytes().to_vec();
    message.extend(body);
    Some(vec![TcpStep::Send(message), regular("(?s-u)^R\\x00\\x00\\x00[\\x08\\x0a\\x0c\\x17]", 9)])
}

/// An anonymous `LDAPv3` bind must end with the result "success".
fn ldap() -> Vec<TcpStep> {
    vec![
        TcpStep::Send(vec![0x30, 0x0c, 0x02, 0x01, 0x01, 0x60, 0x07, 0x02, 0x01, 0x03, 0x04, 0x00, 0x80, 0x00]),
        regular("(?s-u)^\\x30.*\\x02\\x01\\x01\\x61.\\x0a\\x01\\x00", 14),
    ]
}

/// The check with everything filled in.
pub(super) fn complete(check: &CheckDraft, external: &ExternalCheck) -> CheckKind {
    match &check.kind {
        CheckOption::None => CheckKind::Tcp,
        // Without a command the configuration is refused.
        CheckOption::External => CheckKind::External(External {
            command: external.command.clone().unwrap_or_default(),
            path: external.path.as_ref().map(|(path, _)| path.clone()),
        }),
        CheckOption::SslHello => CheckKind::SslHello,
        CheckOption::Tcp if check.tcp_rules.is_empty() => CheckKind::Tcp,
        CheckOption::Tcp => CheckKind::TcpScript(check.tcp_rules.clone()),
        CheckOption::Exchange(dialect, steps) => CheckKind::Exchange(*dialect, steps.clone()),
        CheckOption::Http => CheckKind::Http(http_steps(check)),
    }
}

/// The first `http-check send` builds on `option httpchk`; without any, its request is sent as it is. Without an
/// `expect`, any 2xx or 3xx is good.
fn http_steps(check: &CheckDraft) -> Vec<HttpStep> {
    let mut steps = Vec::with_capacity(check.http_rules.len() + 2);
    let mut sent = false;
    for rule in &check.http_rules {
        match rule {
            HttpStep::Send(send) => {
                let base = if sent { HttpSend::default() } else { check.request.clone() };
                sent = true;
                steps.push(HttpStep::Send(merged(send, base)));
            }
            HttpStep::Connect(step) => steps.push(HttpStep::Connect(step.clone())),
            HttpStep::Expect(expect) => {
                if !sent {
                    sent = true;
                    steps.push(HttpStep::Send(check.request.clone()));
                }
                steps.push(HttpStep::Expect(expect.clone()));
            }
        }
    }
    if !sent {
        steps.push(HttpStep::Send(check.request.clone()));
    }
    if !steps.iter().any(|step| matches!(step, HttpStep::Expect(_))) {
        let pattern = ExpectPattern::Status(vec![(200, 399)]);
        steps.push(HttpStep::Expect(Expect { negate: false, pattern, min_recv: None, comment: None }));
    }
    steps
}

fn merged(send: &HttpSend, base: HttpSend) -> HttpSend {
    let or = |given: &str, other: String| if given.is_empty() { other } else { given.to_owned() };
    let mut headers = base.headers;
    headers.extend(send.headers.iter().cloned());
    HttpSend {
        method: or(&send.method, base.method),
        uri: or(&send.uri, base.uri),
        version: or(&send.version, base.version),
        headers,
        body: if send.body.is_empty() { base.body } else { send.body.clone() },
    }
}

/// Whether a rule says where the check connects, so that the server needs no port.
pub(super) fn names_port(check: &CheckDraft) -> bool {
    let http = || check.http_rules.iter().any(|step| matches!(step, HttpStep::Connect(step) if step.port.is_some()));
    let tcp = || check.tcp_rules.iter().any(|step| matches!(step, TcpStep::Connect(step) if step.port.is_some()));
    match check.kind {
        CheckOption::Http => http(),
        CheckOption::Tcp => tcp(),
        CheckOption::None | CheckOption::SslHello | CheckOption::Exchange(..) | CheckOption::External => false,
    }
}
