//! `balance`, `hash-type`, `hash-balance-factor`, `hash-preserve-affinity` and `persist rdp-cookie`.

use super::draft::{At, LogBalanceDraft, Section, Settings};
use super::line::{Line, code};
use super::rules::{self, Names};
use crate::balance::hash::{Affinity, Function, HashType, Method};
use crate::balance::{Algorithm, KeySource};
use crate::sample::fetch::Side;
use crate::sample::fetch::content::Part;
use crate::sample::{Expression, Fetch};
use shared_config::diagnostic::{Diagnostic, Diagnostics};
use shared_config::suggest;
use shared_config::words::Word;

/// How many servers `random` draws.
const DRAWS_DEFAULT: u32 = 2;

/// The cookie that `balance rdp-cookie` hashes if none is named: it names the user.
const HASHED_RDP_COOKIE: &str = "mstshash";
/// The cookie that `persist rdp-cookie` reads if none is named: it names the server.
const PERSISTENT_RDP_COOKIE: &str = "msts";

/// The algorithms, for suggestions.
const NAMES: [&str; 13] = [
    "roundrobin",
    "static-rr",
    "leastconn",
    "first",
    "source",
    "uri",
    "url_param",
    "hdr",
    "random",
    "rdp-cookie",
    "hash",
    "log-hash",
    "sticky",
];

/// The words after `balance`.
pub(super) fn balance(line: &mut Line<'_, '_>, settings: &mut Settings) {
    let Some(word) = line.words.next() else {
        settings.log_balance = None;
        settings.balance = Some(At { value: Algorithm::RoundRobin, span: line.keyword });
        return;
    };
    let (name, argument) = split(&word.text);
    let algorithm = match name {
        "roundrobin" => Some(Algorithm::RoundRobin),
        "static-rr" => Some(Algorithm::StaticRr),
        "leastconn" => Some(Algorithm::LeastConn),
        "first" => Some(Algorithm::First),
        "source" => Some(Algorithm::Hash(KeySource::Source)),
        "random" => random(line, word, argument),
        "uri" => uri(line),
        "url_param" => url_param(line),
        "hdr" if argument.is_some() => header(line, word, argument.unwrap_or_default()),
        "rdp-cookie" => rdp_cookie(line, word, argument),
        "hash" => hash(line, settings),
        "log-hash" | "sticky" => {
            let value = if name == "sticky" {
                LogBalanceDraft::Sticky
            } else {
                let Some(word) = line.expect("balance log-hash requires a list of converters.") else { return };
                LogBalanceDraft::Hash(word.clone())
            };
            settings.log_balance = Some(At { value, span: line.words.statement() });
            return;
        }
        _ => {
            unknown(line, word, name);
            None
        }
    };
    if let Some(value) = algorithm {
        settings.log_balance = None;
        settings.balance = Some(At { value, span: line.words.statement() });
    }
}

fn split(text: &str) -> (&str, Option<&str>) {
    match text.split_once('(') {
        Some((name, rest)) => (name, Some(rest.strip_suffix(')').unwrap_or(rest))),
        None => (text, None),
    }
}

fn unknown(line: &mut Line<'_, '_>, word: &Word, name: &str) {
    let message = "balance only supports 'roundrobin', 'static-rr', 'leastconn', 'source', 'uri', 'url_param', 'hash', \
                   'hdr(name)', 'rdp-cookie(name)', 'log-hash' and 'sticky' options.";
    let mut diagnostic = Diagnostic::error(code::UNKNOWN_NAME, word.span, message).label("not an algorithm");
    if name == "hdr" {
        diagnostic = diagnostic.help("name the header: `hdr(host)`");
    } else if let Some(nearest) = suggest::nearest(name, NAMES) {
        diagnostic = diagnostic.help(format!("did you mean `{nearest}`?"));
    }
    line.out.push(diagnostic);
}

fn random(line: &mut Line<'_, '_>, word: &Word, argument: Option<&str>) -> Option<Algorithm> {
    let draws = match argument.filter(|argument| !argument.is_empty()) {
        None => DRAWS_DEFAULT,
        Some(argument) => match argument.parse() {
            Ok(draws) if draws > 0 => draws,
            _ => {
                let message = match argument.chars().find(|c| !c.is_ascii_digit()) {
                    Some(character) => format!("balance random : unexpected character '{character}' after argument."),
                    None => "balance random : number of draws must be at least 1.".to_owned(),
                };
                line.error(code::BAD_VALUE, word.span, message);
                return None;
            }
        },
    };
    Some(Algorithm::Random { draws })
}

fn uri(line: &mut Line<'_, '_>) -> Option<Algorithm> {
    let (mut len, mut depth, mut whole, mut path_only) = (None, None, false, false);
    while let Some(word) = line.words.next() {
        match &*word.text {
            "whole" => whole = true,
            "path-only" => path_only = true,
            "len" => len = Some(uri_number(line, "len")?),
            "depth" => depth = Some(uri_number(line, "depth")?),
            other => {
                let message = format!(
                    "balance uri only accepts parameters 'len', 'depth', 'path-only', and 'whole' (got '{other}')."
                );
                line.error(code::UNKNOWN_NAME, word.span, message);
                return None;
            }
        }
    }
    Some(Algorithm::Hash(KeySource::Uri { len, depth, whole, path_only }))
}

fn uri_number(line: &mut Line<'_, '_>, what: &str) -> Option<u32> {
    let word = line.words.next();
    let (text, at) = word.map_or(("", line.words.here()), |word| (&*word.text, word.span));
    let number = text.parse().ok().filter(|&n: &u32| n > 0);
    if number.is_none() {
        line.error(code::BAD_VALUE, at, format!("balance uri : '{what}' expects a positive integer (got '{text}')."));
    }
    number
}

fn url_param(line: &mut Line<'_, '_>) -> Option<Algorithm> {
    let name = line.expect("balance url_param requires an URL parameter name.")?.text.to_string();
    let check_post = line.take("check_post").is_some();
    if check_post {
        // An obsolete limit may follow.
        let _limit = line.words.rest();
    } else if let Some(word) = line.words.next() {
        let message = format!("balance url_param only accepts 'check_post' modifier (got '{}').", word.text);
        line.error(code::UNKNOWN_NAME, word.span, message);
        return None;
    }
    Some(Algorithm::Hash(KeySource::UrlParam { name, check_post }))
}

fn header(line: &mut Line<'_, '_>, word: &Word, name: &str) -> Option<Algorithm> {
    if name.is_empty() {
        line.error(code::MISSING_ARGUMENT, word.span, "balance hdr requires an http header field name.");
        return None;
    }
    let domain_only = line.take("use_domain_only").is_some();
    Some(Algorithm::Hash(KeySource::Header { name: name.to_owned(), domain_only }))
}

fn rdp_cookie(line: &mut Line<'_, '_>, word: &Word, name: Option<&str>) -> Option<Algorithm> {
    if name == Some("") {
        line.error(code::MISSING_ARGUMENT, word.span, "balance rdp-cookie : missing cookie name.");
        return None;
    }
    Some(Algorithm::Hash(KeySource::RdpCookie { name: name.unwrap_or(HASHED_RDP_COOKIE).to_owned() }))
}

fn hash(line: &mut Line<'_, '_>, settings: &mut Settings) -> Option<Algorithm> {
    let word = line.expect("balance hash requires a sample expression.")?;
    if let Some(extra) = line.words.next() {
        let message = format!("balance hash takes no other argument (got '{}').", extra.text);
        line.error(code::EXTRA_ARGUMENT, extra.span, message);
        let _rest = line.words.rest();
        return None;
    }
    settings.balance_expression = Some(word.clone());
    Some(Algorithm::Hash(KeySource::Expression))
}

/// Algorithms that look into requests fall back to round robin where there are none.
pub(super) fn usable(algorithm: Algorithm, is_http: bool) -> Algorithm {
    match &algorithm {
        Algorithm::Hash(KeySource::Uri { .. } | KeySource::UrlParam { .. } | KeySource::Header { .. }) if !is_http => {
            Algorithm::RoundRobin
        }
        Algorithm::RoundRobin
        | Algorithm::StaticRr
        | Algorithm::LeastConn
        | Algorithm::First
        | Algorithm::Random { .. }
        | Algorithm::Hash(_) => algorithm,
    }
}

/// What is hashed, where that is a sample; `head` is where the section begins, as haproxy says it.
pub(super) fn key(
    section: &Section,
    algorithm: &Algorithm,
    head: &str,
    names: &Names,
    out: &mut Diagnostics,
) -> Option<Expression> {
    let Algorithm::Hash(source) = algorithm else { return None };
    match source {
        KeySource::RdpCookie { name } => {
            let fetch = Fetch::Content(Side::Request, Part::RdpCookie(Some(name.as_bytes().into())));
            Some(Expression { fetch, converters: Box::default() })
        }
        KeySource::Expression => {
            let word = section.settings.balance_expression.as_ref()?;
            let place = rules::Section::unnumbered(section);
            rules::balance_hash(&place, word, head, names, out)
        }
        KeySource::Source | KeySource::Uri { .. } | KeySource::UrlParam { .. } | KeySource::Header { .. } => None,
    }
}

/// `persist rdp-cookie`, with the name in parentheses if there is one.
pub(super) fn persist_rdp_cookie(line: &mut Line<'_, '_>, method: &str, settings: &mut Settings) {
    if let Some(extra) = line.words.next() {
        let message = format!("'persist' cannot handle unexpected argument '{}'.", extra.text);
        line.error(code::EXTRA_ARGUMENT, extra.span, message);
        let _rest = line.words.rest();
        return;
    }
    let name = match split(method).1 {
        None => PERSISTENT_RDP_COOKIE,
        Some("") => {
            let message = "persist rdp-cookie(name)' requires an rdp cookie name.";
            return line.error(code::MISSING_ARGUMENT, line.keyword, message);
        }
        Some(name) => name,
    };
    settings.rdp_cookie = Some(name.to_owned());
}

/// The word after `hash-preserve-affinity`.
pub(super) fn hash_preserve_affinity(line: &mut Line<'_, '_>, settings: &mut Settings) {
    let wrong = "'hash-preserve-affinity' expects one of 'always', 'maxconn' or 'maxqueue'.";
    let Some(word) = line.expect(wrong) else { return };
    settings.hash_affinity = match word.as_str() {
        "always" => Affinity::Always,
        "maxconn" => Affinity::MaxConn,
        "maxqueue" => Affinity::MaxQueue,
        _ => return line.error(code::UNKNOWN_NAME, word.span, wrong),
    };
}

/// The words after `hash-type`.
pub(super) fn hash_type(line: &mut Line<'_, '_>, settings: &mut Settings) {
    let wrong_method = "'hash-type' only supports 'consistent' and 'map-based'.";
    let Some(word) = line.expect(wrong_method) else { return };
    let method = match &*word.text {
        "consistent" => Method::Consistent,
        "map-based" => Method::MapBased,
        // The old name of `consistent` with mixing.
        "avalanche" => {
            settings.hash_type = Some(HashType { method: Method::MapBased, function: Function::Sdbm, avalanche: true });
            return;
        }
        _ => return line.error(code::UNKNOWN_NAME, word.span, wrong_method),
    };
    let function = match line.words.next() {
        // A ring needs well mixed keys, so it is mixed unless a function is named.
        None => {
            let avalanche = method == Method::Consistent;
            settings.hash_type = Some(HashType { method, function: Function::Sdbm, avalanche });
            return;
        }
        Some(word) => match &*word.text {
            "sdbm" => Function::Sdbm,
            "djb2" => Function::Djb2,
            "wt6" => Function::Wt6,
            "crc32" => Function::Crc32,
            "none" => Function::None,
            _ => {
                let message = "'hash-type' only supports 'sdbm', 'djb2', 'crc32', or 'wt6' hash functions.";
                return line.error(code::UNKNOWN_NAME, word.span, message);
            }
        },
    };
    let avalanche = match line.words.next() {
        None => false,
        Some(word) if &*word.text == "avalanche" => true,
        Some(word) => {
            let message = "'hash-type' only supports 'avalanche' as a modifier for hash functions.";
            return line.error(code::UNKNOWN_NAME, word.span, message);
        }
    };
    settings.hash_type = Some(HashType { method, function, avalanche });
}

/// The number after `hash-balance-factor`.
pub(super) fn hash_balance_factor(line: &mut Line<'_, '_>, settings: &mut Settings) {
    let Some(number) = line.integer("'hash-balance-factor' expects an integer argument.") else { return };
    if number != 0 && number <= 100 {
        line.error(code::BAD_VALUE, line.words.statement(), "'hash-balance-factor' must be 0 or greater than 100.");
    }
    settings.hash_balance_factor = u32::try_from(number).ok().filter(|&factor| factor > 100);
}
