//! `cookie` of a backend: persistence.

use super::draft::{At, Section, Settings};
use super::line::{Line, code};
use super::model::{ServerAddress, ServerPort};
use super::value::Unit;
use crate::balance::persist::{self, CookieMode, CookieSettings};
use shared_config::diagnostic::{Diagnostic, Place};
use shared_config::suggest;
use shared_config::words::Word;
use std::net::SocketAddr;

/// The options, for suggestions.
const OPTIONS: [&str; 14] = [
    "rewrite", "insert", "prefix", "indirect", "nocache", "postonly", "preserve", "httponly", "secure", "domain",
    "maxidle", "maxlife", "dynamic", "attr",
];

/// The words after `cookie`.
pub(super) fn cookie(line: &mut Line<'_, '_>, settings: &mut Settings) {
    let Some(name) = line.expect("'cookie' expects <cookie_name> as argument.") else { return };
    let mut cookie = CookieSettings { name: name.text.to_string(), ..CookieSettings::default() };
    let mut modes = 0;
    while let Some(word) = line.words.next() {
        match &*word.text {
            "rewrite" => (cookie.mode, modes) = (CookieMode::Rewrite, modes + 1),
            "insert" => (cookie.mode, modes) = (CookieMode::Insert, modes + 1),
            "prefix" => (cookie.mode, modes) = (CookieMode::Prefix, modes + 1),
            "indirect" => cookie.indirect = true,
            "nocache" => cookie.nocache = true,
            "postonly" => cookie.postonly = true,
            "preserve" => cookie.preserve = true,
            "httponly" => cookie.httponly = true,
            "secure" => cookie.secure = true,
            "dynamic" => cookie.dynamic = true,
            "domain" => domain(line, &mut cookie),
            "maxidle" => cookie.max_idle = age(line, word),
            "maxlife" => cookie.max_life = age(line, word),
            "attr" => attribute(line, &mut cookie),
            _ => unknown(line, word),
        }
    }
    let at = line.words.statement();
    if modes > 1 {
        line.error(code::CONFLICT, at, "cookie 'rewrite', 'insert' and 'prefix' modes are incompatible.");
    }
    if cookie.preserve && cookie.mode != CookieMode::Insert && !cookie.indirect {
        line.error(code::CONFLICT, at, "cookie 'preserve' requires at least 'insert' or 'indirect'.");
    }
    settings.cookie = Some(At { value: cookie, span: at });
}

fn domain(line: &mut Line<'_, '_>, cookie: &mut CookieSettings) {
    let Some(word) = line.words.next() else {
        let missing =
            Diagnostic::error(code::MISSING_ARGUMENT, line.words.here(), "'domain' expects <domain> as argument.");
        return line.out.push(missing.place(Place::ParsingLine));
    };
    let dots = word.text.get(1..).unwrap_or_default().contains('.');
    if !dots {
        let message = format!(
            "domain '{}' contains no embedded dot, this configuration may not work properly (see RFC6265#5.2.3).",
            word.text
        );
        line.out.push(Diagnostic::warning(code::RISKY, word.span, message).place(Place::ParsingLine));
    }
    cookie.domains.push(word.text.to_string());
}

fn age(line: &mut Line<'_, '_>, option: &Word) -> Option<std::time::Duration> {
    let word = line.expect(format!("'{}' expects <idletime> in seconds as argument.", option.text))?;
    line.time_at(word, Unit::Seconds, &option.text, Place::ParsingLine).filter(|age| !age.is_zero())
}

fn attribute(line: &mut Line<'_, '_>, cookie: &mut CookieSettings) {
    let Some(word) = line.expect("'attr' expects <value> as argument.") else { return };
    if let Some((at, character)) = word.text.char_indices().find(|(_, c)| c.is_control() || *c == ';') {
        line.error(
            code::BAD_VALUE,
            word.span_of(at..at + character.len_utf8()),
            "Invalid character in 'attr' value, control characters and ';' are not allowed.",
        );
    }
    cookie.attributes.push(word.text.to_string());
}

fn unknown(line: &mut Line<'_, '_>, word: &Word) {
    let message = "'cookie' supports 'rewrite', 'insert', 'prefix', 'indirect', 'nocache', 'postonly', 'domain', \
                   'maxidle', 'dynamic', 'maxlife' and 'attr' options.";
    let mut diagnostic = Diagnostic::error(code::UNKNOWN_NAME, word.span, message).label("not an option of a cookie");
    if let Some(nearest) = suggest::nearest(&word.text, OPTIONS) {
        diagnostic = diagnostic.help(format!("did you mean `{nearest}`?"));
    }
    line.out.push(diagnostic);
}

/// The cookie value that `cookie … dynamic` gives a server without one of its own.
pub(super) fn dynamic(section: &Section, address: &ServerAddress, port: ServerPort) -> Option<String> {
    let key = section.settings.dynamic_cookie_key.as_ref()?;
    section.settings.cookie.as_ref().filter(|cookie| cookie.value.dynamic)?;
    let ServerAddress::Ip(ip) = address else { return None };
    let port = match port {
        ServerPort::Fixed(port) => port,
        ServerPort::Mapped(offset) => u16::try_from(offset).unwrap_or(0),
    };
    Some(persist::dynamic::value(key, SocketAddr::new(*ip, port)))
}
