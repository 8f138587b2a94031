//! Flags and patterns of an ACL.

use super::super::arguments::{Problem, problem};
use super::super::fetch::unhex;
use super::super::names::Names;
use super::super::regex;
use super::{CASES, Compiled};
use crate::sample::Patterns;
use crate::sample::pattern::{Method, Networks, Range, Regexes};
use crate::sample::pattern_file::{BadKey, Key};
use crate::sample::prefix_map::Case;
use crate::sample::regex::Regex;
use shared_config::source::{Span, encode};
use shared_config::suggest::nearest;
use shared_config::words::Word;
use std::fs::File;
use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr};

/// The longest file of patterns that is read, in bytes.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// A pattern as written.
struct Written {
    text: String,
    span: Span,
    case: Case,
}

/// The flags, and the patterns that follow or stand in files.
pub(super) struct Flags {
    /// `-m`
    pub method: Option<Method>,
    /// `--` was given: that there are no patterns is meant.
    ended: bool,
    patterns: Vec<Written>,
    /// There was a file, if only an empty one.
    from_file: bool,
    /// Files that can change, which are not compiled for good.
    pub changing: Vec<(String, Span, Case)>,
    /// `-M`: files have values beside the patterns.
    pub map: bool,
    /// What does not work yet.
    pub unsupported: Vec<(&'static str, Span)>,
}

impl Flags {
    /// The patterns as lists show them: numbers without operators.
    pub(super) fn written(&self, method: Method) -> Vec<Box<str>> {
        let mut operator = "eq";
        let mut shown = Vec::new();
        for Written { text, .. } in &self.patterns {
            if !matches!(method, Method::Int | Method::Len) {
                shown.push(text.as_str().into());
            } else if matches!(text.as_str(), "eq" | "ge" | "gt" | "le" | "lt") {
                operator = text;
            } else {
                shown.push(match (operator, text.parse::<i64>()) {
                    ("ge", Ok(number)) => format!("{number}:").into(),
                    ("gt", Ok(number)) => format!("{}:", number.saturating_add(1)).into(),
                    ("le", Ok(number)) => format!(":{number}").into(),
                    ("lt", Ok(number)) => format!(":{}", number.saturating_sub(1)).into(),
                    _ => text.as_str().into(),
                });
            }
        }
        shown
    }

    /// Whether there is nothing to compare with, and that was not said to be meant.
    pub(super) fn has_no_patterns(&self) -> bool {
        self.patterns.is_empty() && !self.from_file && !self.ended
    }
}

/// Reads the flags; what follows are the patterns.
pub(super) fn flags(words: &[Word], names: &Names) -> Result<Flags, Problem> {
    let mut flags = Flags {
        method: None,
        ended: false,
        patterns: Vec::new(),
        from_file: false,
        changing: Vec::new(),
        map: false,
        unsupported: Vec::new(),
    };
    let mut case = Case::Exact;
    let mut rest = words.iter();
    while let Some(word) = rest.as_slice().first().filter(|word| word.text.starts_with('-')) {
        rest.next();
        match word.as_str() {
            "--" => {
                flags.ended = true;
                break;
            }
            "-i" => case = Case::Ignored,
            // Names are never resolved in patterns here.
            "-n" => {}
            "-m" => {
                let name = rest.next().map_or("", |word| word.as_str());
                flags.method = Some(Method::from_name(name).ok_or_else(|| unknown_method(name, word))?);
            }
            "-f" => {
                let (path, span) = rest.next().map_or(("", word.span), |word| (word.as_str(), word.span));
                flags.from_file = true;
                let plain = path.trim_start_matches("opt@").trim_start_matches("file@");
                if flags.map || path.starts_with("virt@") || names.files_change || names.changed_files.contains(plain) {
                    flags.changing.push((path.to_owned(), span, case));
                } else {
                    flags.patterns.extend(file(path, span, case)?);
                }
            }
            "-u" => {
                rest.next();
                flags.unsupported.push(("acl -u", word.span));
            }
            "-M" => flags.map = true,
            other => {
                let message = format!(
                    "'{other}' is not a valid ACL option. Please use '--' before any pattern beginning with a '-'"
                );
                return Err(problem(message, word.span));
            }
        }
    }
    flags.patterns.extend(rest.map(|word| Written { text: word.text.to_string(), span: word.span, case }));
    Ok(flags)
}

fn unknown_method(name: &str, at: &Word) -> Problem {
    let mut unknown = problem(format!("unknown matching method '{name}' when parsing ACL expression"), at.span);
    unknown.help = nearest(name, Method::NAMES.iter().copied()).map(|known| format!("did you mean `{known}`?"));
    unknown
}

/// The patterns of a file, one a line.
fn file(path: &str, span: Span, case: Case) -> Result<Vec<Written>, Problem> {
    Ok(lines(path, span)?.into_iter().map(|text| Written { text, span, case }).collect())
}

/// The lines of a file that say something.
pub(in crate::config::rules) fn lines(path: &str, span: Span) -> Result<Vec<String>, Problem> {
    let optional = path.strip_prefix("opt@");
    if path.starts_with("virt@") {
        return Ok(Vec::new());
    }
    let name = optional.or_else(|| path.strip_prefix("file@")).unwrap_or(path);
    let mut bytes = Vec::new();
    let read = File::open(name).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes));
    match read {
        Err(error) if optional.is_some() && error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            let mut failed = problem(format!("failed to open pattern file <{name}>"), span);
            failed.help = Some(error.to_string());
            return Err(failed);
        }
        Ok(length) if length as u64 > FILE_BYTES_MAX => {
            return Err(problem(format!("pattern file <{name}> is longer than {FILE_BYTES_MAX} bytes"), span));
        }
        Ok(_) => {}
    }
    let text = shared_config::source::decode(&bytes);
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let texts = lines.map(|line| line.trim_start_matches([' ', '\t']).trim_end_matches('\r'));
    Ok(texts.filter(|text| !text.is_empty()).map(str::to_owned).collect())
}

/// Compiles a pattern that comes while the process runs, or stands in a file that can change.
pub(in crate::config::rules) fn compile_key(method: Method, case: Case, key: &[u8]) -> Result<Key, BadKey> {
    let text = shared_config::source::decode(key);
    let written = Written { text, span: Span::default(), case };
    match method {
        Method::Found | Method::Bool | Method::Str | Method::Sub | Method::Beg | Method::End => {
            Ok(Key::Text(key.into()))
        }
        Method::Dir | Method::Dom => Ok(Key::Text(key.trim_ascii().into())),
        Method::Bin => unhex(&written.text).map(|bytes| Key::Text(bytes.into())).ok_or(BadKey),
        Method::Int | Method::Len => {
            ranges(&[written]).ok().and_then(|ranges| ranges.first().copied()).map(Key::Number).ok_or(BadKey)
        }
        Method::Ip => match network(&written) {
            Ok((IpAddr::V4(ip), prefix)) => Ok(Key::Network(ip.to_ipv6_mapped().into(), prefix + 96)),
            Ok((IpAddr::V6(ip), prefix)) => Ok(Key::Network(ip.into(), prefix)),
            Err(_) => Err(BadKey),
        },
        Method::Reg => regex::compile(&written.text, case).map(Key::Regex).map_err(|_| BadKey),
    }
}

/// Compiles the patterns of one method; nothing where one of them is beyond what works.
pub(super) fn compile(method: Method, flags: &mut Flags) -> Result<Compiled, Problem> {
    let written = std::mem::take(&mut flags.patterns);
    let single = |patterns: Patterns| Ok(Some([patterns].into()));
    match method {
        Method::Found => single(Patterns::Found),
        Method::Bool => single(Patterns::Bool),
        Method::Int => single(Patterns::Int(ranges(&written)?)),
        Method::Len => single(Patterns::Len(ranges(&written)?)),
        Method::Ip => {
            let networks: Result<Vec<_>, _> = written.iter().map(network).collect();
            single(Patterns::Ip(Networks::new(networks?)))
        }
        Method::Reg => regexes(&written),
        Method::Bin | Method::Str | Method::Sub | Method::Beg | Method::End | Method::Dir | Method::Dom => {
            let mut groups = Vec::new();
            for case in CASES {
                let texts: Result<Vec<Vec<u8>>, Problem> =
                    written.iter().filter(|pattern| pattern.case == case).map(|text| bytes_of(method, text)).collect();
                let texts = texts?;
                if !texts.is_empty() {
                    groups.extend(Patterns::texts(method, case, texts));
                }
            }
            Ok(Some(groups.into()))
        }
    }
}

fn bytes_of(method: Method, pattern: &Written) -> Result<Vec<u8>, Problem> {
    if method != Method::Bin {
        return Ok(encode(&pattern.text));
    }
    unhex(&pattern.text)
        .ok_or_else(|| problem(format!("an hex string is expected, but '{}' is not one", pattern.text), pattern.span))
}

fn regexes(written: &[Written]) -> Result<Compiled, Problem> {
    let mut groups = Vec::new();
    for case in CASES {
        let group: Vec<&Written> = written.iter().filter(|pattern| pattern.case == case).collect();
        let (mut sources, mut others) = (Vec::new(), Vec::new());
        for pattern in &group {
            let compiled = regex::compile(&pattern.text, case).map_err(|message| problem(message, pattern.span))?;
            match compiled {
                Regex::Linear(_) => sources.push(regex::rewritten(&pattern.text)),
                backtracking @ Regex::Backtracking(_) => others.push(backtracking),
            }
        }
        if let Some(first) = group.first() {
            match Regexes::new(case, &sources, others) {
                Ok(set) => groups.push(Patterns::Reg(set)),
                // Each of them is fine, so together they are too big.
                Err(error) => return Err(problem(error.to_string(), first.span)),
            }
        }
    }
    Ok(Some(groups.into()))
}

/// Numbers: an operator holds for all that follow until the next one.
fn ranges(written: &[Written]) -> Result<Box<[Range]>, Problem> {
    let mut operator: Option<&str> = None;
    let mut ranges = Vec::new();
    for pattern in written {
        if matches!(pattern.text.as_str(), "eq" | "ge" | "gt" | "le" | "lt") {
            operator = Some(&pattern.text);
            continue;
        }
        let bad = || {
            let kind = if operator.is_some() { "neither a number nor a supported operator" } else { "not a number" };
            let mut bad = problem(format!("'{}' is {kind}", pattern.text), pattern.span);
            bad.help = Some("the operators are eq, ge, gt, le, lt; a range is written `1:5`".into());
            bad
        };
        // Versions are written with a dash, as in `3.0-3.1`.
        let versions = pattern.text.split_once('-').filter(|(low, high)| low.contains('.') && high.contains('.'));
        let (low, high) = match pattern.text.split_once(':').or(versions) {
            Some((low, high)) => (
                if low.is_empty() { Some(i64::MIN) } else { number(low) },
                if high.is_empty() { Some(i64::MAX) } else { number(high) },
            ),
            None => (number(&pattern.text), number(&pattern.text)),
        };
        let (Some(low), Some(high)) = (low, high) else { return Err(bad()) };
        if low > high {
            return Err(problem(format!("'{}' is not a valid number range", pattern.text), pattern.span));
        }
        let is_range = low != high || pattern.text.contains(':');
        ranges.push(match operator {
            Some("ge") if !is_range => Range { min: low, max: i64::MAX },
            Some("gt") if !is_range => Range { min: low.saturating_add(1), max: i64::MAX },
            Some("le") if !is_range => Range { min: i64::MIN, max: low },
            Some("lt") if !is_range => Range { min: i64::MIN, max: low.saturating_sub(1) },
            _ => Range { min: low, max: high },
        });
    }
    Ok(ranges.into())
}

/// A number; a version as `3.1` is compared as 65536 times the first part plus the second.
fn number(text: &str) -> Option<i64> {
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let (major, minor) = text.split_once('.')?;
    let part = |text: &str| text.parse::<i64>().ok().filter(|part| (0..=0xffff).contains(part));
    Some(part(major)? * 0x1_0000 + part(minor)?)
}

/// An address with or without a mask. IPv4 may leave out zero bytes: `127.1` is 127.0.0.1.
fn network(pattern: &Written) -> Result<(IpAddr, u8), Problem> {
    let bad = || problem(format!("'{}' is not a valid IPv4 or IPv6 address", pattern.text), pattern.span);
    let (address, mask) = match pattern.text.split_once('/') {
        Some((address, mask)) => (address, Some(mask)),
        None => (pattern.text.as_str(), None),
    };
    if let Some(ip) = short_ipv4(address) {
        let prefix = match mask {
            None => 32,
            Some(mask) => ipv4_mask(mask).ok_or_else(bad)?,
        };
        return Ok((IpAddr::V4(ip), prefix));
    }
    let ip: std::net::Ipv6Addr = address.parse().map_err(|_| bad())?;
    let prefix = match mask {
        None => 128,
        Some(mask) => mask.parse().ok().filter(|prefix| *prefix <= 128).ok_or_else(bad)?,
    };
    Ok((IpAddr::V6(ip), prefix))
}

fn short_ipv4(text: &str) -> Option<Ipv4Addr> {
    let parts: Option<Vec<u8>> = text.split('.').map(|part| part.parse::<u8>().ok()).collect();
    match parts?.as_slice() {
        [a, b, c, d] => Some(Ipv4Addr::new(*a, *b, *c, *d)),
        [a, b, d] => Some(Ipv4Addr::new(*a, *b, 0, *d)),
        [a, d] => Some(Ipv4Addr::new(*a, 0, 0, *d)),
        [d] => Some(Ipv4Addr::new(0, 0, 0, *d)),
        _ => None,
    }
}

/// A number of bits, or an address whose set bits all come first.
fn ipv4_mask(text: &str) -> Option<u8> {
    if let Ok(prefix) = text.parse::<u8>() {
        return Some(prefix).filter(|prefix| *prefix <= 32);
    }
    let mask = u32::from(text.parse::<Ipv4Addr>().ok()?);
    (mask.leading_ones() + mask.trailing_zeros() == 32).then(|| u8::try_from(mask.leading_ones()).unwrap_or(32))
}
