//! `log` lines of `global` and of the proxies.

use super::address::{Accept, Host, Port, Resolver, Transport};
use super::line::{Line, code};
use super::model::{LogAddress, LogSample, LogTarget, ServerAddress, SyslogFormat};
use super::proxy::Tools;
use super::ring;
use shared_config::words::Word;
use std::net::SocketAddr;

/// Bytes of a line where `len` is not given.
const LEN_DEFAULT: u16 = 1024;
/// The least `len`.
const LEN_MIN: u16 = 80;
/// Where syslog servers listen.
pub(super) const SYSLOG_PORT: u16 = 514;

/// The facilities by number.
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "auth2", "ftp", "ntp", "audit",
    "alert", "cron2", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];

/// The levels by number.
pub(super) const LEVELS: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];

/// The words after `log` where they name a target.
pub(super) fn target(line: &mut Line<'_, '_>, in_global: bool, tools: &mut Tools) -> Option<LogTarget> {
    let alternative = if in_global { " " } else { " or global" };
    let missing = format!("log : expects <address> and <facility>{alternative} as arguments");
    let word = line.expect(missing.clone())?;
    if line.words.is_empty() {
        line.expect(missing);
        return None;
    }
    let place = address(line, word, &mut tools.resolver);
    let max_len = length(line);
    let format = format(line);
    if line.take("profile").is_some() {
        let name = line.expect("log : expected profile name")?;
        tools.support.unsupported("log … profile", name.span, line.out);
    }
    let sample = if line.take("sample").is_some() { Some(sample(line)?) } else { None };
    let facility = line.expect(missing)?;
    let facility = name(line, facility, &FACILITIES, "log facility")?;
    let max_level = match line.words.next() {
        Some(word) => name(line, word, &LEVELS, "optional log level")?,
        None => 7,
    };
    let min_level = match line.words.next() {
        Some(word) => name(line, word, &LEVELS, "optional minimum log level")?,
        None => 0,
    };
    if let Some(word) = line.words.next() {
        line.error(code::EXTRA_ARGUMENT, word.span, format!("log : cannot handle unexpected argument '{}'", word.text));
    }
    let address = match place? {
        Destination::Here(address) => address,
        Destination::Stream(address, port) => {
            LogAddress::Ring(ring::implicit(&mut tools.rings, line.words.statement(), format, address, port))
        }
    };
    Some(LogTarget { address, max_len, format, sample, facility, max_level, min_level })
}

/// Where a `log` line leads.
enum Destination {
    Here(LogAddress),
    /// To a server over a connection, for which haproxy makes a ring.
    Stream(ServerAddress, u16),
}

fn address(line: &mut Line<'_, '_>, word: &Word, resolver: &mut Resolver) -> Option<Destination> {
    match &*word.text {
        "stdout" => return Some(Destination::Here(LogAddress::Fd(1))),
        "stderr" => return Some(Destination::Here(LogAddress::Fd(2))),
        text => {
            if let Some(name) = text.strip_prefix("ring@") {
                return Some(Destination::Here(LogAddress::Ring(name.to_owned())));
            }
        }
    }
    let parsed = resolver.parse(&word.text, Accept::LOG).and_then(|address| {
        let stream = matches!(address.transport, Transport::Stream | Transport::Mptcp);
        Ok(match &address.host {
            Host::Unix(path) if stream => Destination::Stream(ServerAddress::Unix(path.into()), 0),
            Host::Unix(path) => Destination::Here(LogAddress::Unix(path.into())),
            Host::Abstract(name) | Host::AbstractZero(name) => {
                let padded = matches!(address.host, Host::Abstract(_));
                Destination::Here(LogAddress::Abstract { name: name.clone(), padded })
            }
            Host::Fd(fd) | Host::SocketPair(fd) => Destination::Here(LogAddress::Fd(*fd)),
            Host::Any | Host::Ip(_) | Host::Name(_) | Host::ReverseHttp(_) => {
                let port = if let Port::One(port) = address.port { port } else { SYSLOG_PORT };
                let ip = resolver.ip(&address, &word.text)?;
                if stream {
                    Destination::Stream(ServerAddress::Ip(ip), port)
                } else {
                    Destination::Here(LogAddress::Udp(SocketAddr::new(ip, port)))
                }
            }
        })
    });
    parsed.map_err(|message| line.error(code::BAD_VALUE, word.span, format!("log : {message}"))).ok()
}

fn length(line: &mut Line<'_, '_>) -> u16 {
    if line.take("len").is_none() {
        return LEN_DEFAULT;
    }
    let Some(word) = line.expect("log : expects a length after 'len'") else { return LEN_DEFAULT };
    match word.text.parse() {
        Ok(len) if len >= LEN_MIN => len,
        _ => {
            let message = format!("log : invalid log length '{}', must be between 80 and 65535", word.text);
            line.error(code::BAD_VALUE, word.span, message);
            LEN_DEFAULT
        }
    }
}

fn format(line: &mut Line<'_, '_>) -> SyslogFormat {
    if line.take("format").is_none() {
        return SyslogFormat::Default;
    }
    let Some(word) = line.expect("log : expects a format after 'format'") else { return SyslogFormat::Default };
    format_of(&word.text).unwrap_or_else(|| {
        line.error(code::UNKNOWN_NAME, word.span, format!("log : unknown log format '{}'", word.text));
        SyslogFormat::Default
    })
}

/// The format of this name.
pub(super) fn format_of(name: &str) -> Option<SyslogFormat> {
    Some(match name {
        "rfc3164" => SyslogFormat::Rfc3164,
        "rfc5424" => SyslogFormat::Rfc5424,
        "short" => SyslogFormat::Short,
        "priority" => SyslogFormat::Priority,
        "timed" => SyslogFormat::Timed,
        "iso" => SyslogFormat::Iso,
        "local" => SyslogFormat::Local,
        "raw" => SyslogFormat::Raw,
        _ => return None,
    })
}

/// `1,3-5:8`
fn sample(line: &mut Line<'_, '_>) -> Option<LogSample> {
    let word = line.expect("log : expects <sample ranges>:<sample size> after 'sample'")?;
    let Some((ranges, size)) = word.text.split_once(':') else {
        line.error(code::BAD_VALUE, word.span, "log : Missing sample size");
        return None;
    };
    let ranges: Option<Vec<(u32, u32)>> = ranges
        .split(',')
        .map(|range| {
            let (low, high) = range.split_once('-').unwrap_or((range, range));
            Some((low.parse().ok()?, high.parse().ok()?)).filter(|(low, high)| *low >= 1 && low <= high)
        })
        .collect();
    let sample = ranges.and_then(|ranges| {
        let size = size.parse().ok()?;
        let fits = ranges.iter().all(|&(_, high)| high <= size);
        fits.then_some(LogSample { ranges, size })
    });
    if sample.is_none() {
        let message = format!("log : wrong sample range(s) or size '{}'", word.text);
        line.error(code::BAD_VALUE, word.span, message);
    }
    sample
}

fn name(line: &mut Line<'_, '_>, word: &Word, names: &[&str], what: &str) -> Option<u8> {
    if let Some(number) = names.iter().position(|name| *name == &*word.text) {
        u8::try_from(number).ok()
    } else {
        line.error(code::UNKNOWN_NAME, word.span, format!("log : unknown {what} '{}'", word.text));
        None
    }
}
