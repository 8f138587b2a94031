//! Health checks: `option …-check`, `http-check` and `tcp-check`.

use super::draft::{CheckDraft, CheckOption, ExternalCheck};
use super::line::{Line, code};
use super::model::HealthCheck;
use crate::health::script::{
    CheckKind, ConnectStep, Dialect, Expect, ExpectPattern, External, HttpSend, HttpStep, TcpStep,
};
use crate::sample::text::Text;
use shared_config::diagnostic::{Diagnostic, Place};
use shared_config::words::Word;

/// `option httpchk [method] uri [version]`.
pub(super) fn httpchk(line: &mut Line<'_, '_>, check: &mut CheckDraft) {
    check.kind = CheckOption::Http;
    check.request = HttpSend::default();
    let words = line.words.rest();
    match words {
        [] => {}
        [uri] => check.request.uri = literal(&uri.text),
        [method, uri, rest @ ..] => {
            check.request.method = method.text.to_string();
            check.request.uri = literal(&uri.text);
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
        request.headers.push((name.trim().to_owned(), literal(value.trim())));
    }
    let body = lines.collect::<Vec<_>>().join("\n");
    request.body = (!body.is_empty()).then(|| literal(&body));
    let message = "'option httpchk' : hiding headers or body at the end of the version string is deprecated. Please, \
                   consider to use 'http-check send' directive instead.";
    let help = request.headers.iter().fold("write `http-check send".to_owned(), |help, (name, value)| {
        format!(
            "{help} hdr {name} {}",
            String::from_utf8_lossy(value.as_literal().unwrap_or_default()).replace(' ', "\\ ")
        )
    });
    let at = word.span_of(version.len()..word.text.len());
    let warning = Diagnostic::warning(code::LEGACY, at, message).place(Place::ParsingLine);
    line.out.push(warning.label("headers").help(help + "`"));
}

/// The words after `http-check WORD` that are no rule.
pub(super) fn http_check(line: &mut Line<'_, '_>, check: &mut CheckDraft) -> bool {
    match line.name {
        "http-check disable-on-404" => check.disable_on_404 = true,
        "http-check send-state" => check.send_state = true,
        _ => return false,
    }
    end(line, "http-check");
    true
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

/// The options that choose a fixed exchange, or say that a command is run.
pub(super) fn protocol(line: &mut Line<'_, '_>, name: &str, check: &mut CheckDraft) {
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
    check.kind = kind;
}

fn literal(text: &str) -> Text {
    Text::literal(shared_config::source::encode(text))
}

fn bytes(pattern: &[u8]) -> TcpStep {
    TcpStep::Expect(Expect::new(ExpectPattern::Bytes(pattern.to_vec())))
}

fn regular(pattern: &str, min_recv: u32) -> TcpStep {
    TcpStep::Expect(Expect { min_recv: Some(min_recv), ..Expect::new(ExpectPattern::Regex(pattern.to_owned())) })
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
pub(super) fn complete(check: &CheckDraft, external: &ExternalCheck) -> HealthCheck {
    let kind = match &check.kind {
        CheckOption::None => CheckKind::Tcp,
        // Without a command the configuration is refused.
        CheckOption::External => CheckKind::External(External {
            command: external.command.clone().unwrap_or_default(),
            path: external.path.as_ref().map(|(path, _)| path.clone()),
        }),
        CheckOption::SslHello => CheckKind::SslHello,
        CheckOption::Tcp if check.tcp_steps.is_empty() => CheckKind::Tcp,
        CheckOption::Tcp => CheckKind::TcpScript(check.tcp_steps.clone()),
        CheckOption::Exchange(dialect, steps) => CheckKind::Exchange(*dialect, steps.clone()),
        CheckOption::Http => CheckKind::Http(http_steps(check)),
    };
    HealthCheck { kind, disable_on_404: check.disable_on_404, send_state: check.send_state }
}

/// The first `http-check send` builds on `option httpchk`; without any, its request is sent as it is. Without an
/// `expect`, any 2xx or 3xx is good.
fn http_steps(check: &CheckDraft) -> Vec<HttpStep> {
    let mut steps = Vec::with_capacity(check.http_steps.len() + 2);
    let mut sent = false;
    for rule in &check.http_steps {
        match rule {
            HttpStep::Send(send) => {
                let base = if sent { HttpSend::default() } else { check.request.clone() };
                sent = true;
                steps.push(HttpStep::Send(merged(send, base)));
            }
            HttpStep::Connect(_) | HttpStep::Variable(_) | HttpStep::Comment(_) => steps.push(rule.clone()),
            HttpStep::Expect(expect) => {
                if !sent {
                    sent = true;
                    // A comment in front is the expectation's.
                    let comments = steps.iter().rev().take_while(|step| matches!(step, HttpStep::Comment(_))).count();
                    steps.insert(steps.len() - comments, HttpStep::Send(check.request.clone()));
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
        steps.push(HttpStep::Expect(Expect::new(pattern)));
    }
    steps
}

fn merged(send: &HttpSend, base: HttpSend) -> HttpSend {
    let or = |given: &str, other: String| if given.is_empty() { other } else { given.to_owned() };
    let mut headers = base.headers;
    headers.extend(send.headers.iter().cloned());
    HttpSend {
        method: or(&send.method, base.method),
        uri: if send.uri.pieces.is_empty() { base.uri } else { send.uri.clone() },
        version: or(&send.version, base.version),
        headers,
        body: send.body.clone().or(base.body),
    }
}

/// Whether a rule says where the check connects, so that the server needs no port.
pub(super) fn names_port(check: &CheckDraft) -> bool {
    let says = |step: &ConnectStep| step.port.is_some() || step.port_from.is_some();
    let http = || check.http_steps.iter().any(|step| matches!(step, HttpStep::Connect(step) if says(step)));
    let tcp = || check.tcp_steps.iter().any(|step| matches!(step, TcpStep::Connect(step) if says(step)));
    match check.kind {
        CheckOption::Http => http(),
        CheckOption::Tcp => tcp(),
        CheckOption::None | CheckOption::SslHello | CheckOption::Exchange(..) | CheckOption::External => false,
    }
}
