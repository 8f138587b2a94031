//! `log` lines of `global` and of the proxies.

use super::address::{Accept, Host, Port, Resolver, Transport, abstract_name};
use super::line::{Line, code};
use super::model::{LogAddress, LogSample, LogTarget, ServerAddress, SyslogFormat};
use super::proxy::Tools;
use super::ring;
use crate::log::backend::SYSLOG_PORT;
use shared_config::words::Word;
use std::net::SocketAddr;

/// Bytes of a line where `len` is not given.
const LEN_DEFAULT: u16 = 1024;
/// The least `len`.
const LEN_MIN: u16 = 80;
/// What stands before the name of a log backend.
pub(super) const BACKEND: &str = "backend@";

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
    if word.text.starts_with(BACKEND) {
        tools.log_backends.push(word.clone());
    }
    let max_len = length(line);
    let format = format(line);
    let mut profile = profile(line, tools)?;
    let sample = if line.take("sample").is_some() { Some(sample(line)?) } else { None };
    if profile.is_none() {
        profile = self::profile(line, tools)?;
    }
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
    Some(LogTarget { address, max_len, format, sample, facility, max_level, min_level, profile })
}

/// `profile NAME`, where it is there. `None`: it is wrong, which has been reported.
#[expect(clippy::option_option, reason = "what is wrong ends the line, what is not there does not")]
fn profile(line: &mut Line<'_, '_>, tools: &mut Tools) -> Option<Option<String>> {
    if line.take("profile").is_none() {
        return Some(None);
    }
    let name = line.expect("log : expected profile name")?;
    tools.profiles.push(name.clone());
    Some(Some(name.text.to_string()))
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
            if let Some(name) = text.strip_prefix(BACKEND) {
                return Some(Destination::Here(LogAddress::Backend(name.to_owned())));
            }
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
            Host::Abstract(_) | Host::AbstractZero(_) => {
                Destination::Here(LogAddress::Abstract(abstract_name(&address.host).unwrap_or_default()))
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
    let read = read_sample(&word.text);
    read.map_err(|message| line.error(code::BAD_VALUE, word.span, format!("log : {message}"))).ok()
}

/// Ranges without overlap and a size that none goes beyond, or what haproxy says is wrong.
fn read_sample(text: &str) -> Result<LogSample, String> {
    let (written, size) = text.split_once(':').ok_or("Missing sample size")?;
    let wrong_size = || format!("wrong sample size '{size}' for sample range '{written}'");
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for part in written.split(',').filter(|part| !part.is_empty()) {
        let (low, high) = part.split_once('-').unwrap_or((part, part));
        let range = low.parse().ok().zip(high.parse().ok()).filter(|(low, high)| *low >= 1 && low <= high);
        let range: (u32, u32) = range.ok_or_else(|| format!("wrong sample range '{part}'"))?;
        if ranges.iter().any(|&(low, high)| low <= range.1 && range.0 <= high) {
            return Err("ranges are overlapping".to_owned());
        }
        ranges.push(range);
    }
    let most = ranges.iter().map(|&(_, high)| high).max().ok_or("no sampling ranges given")?;
    let size: u32 = size.parse().ok().filter(|&size| size > 0).ok_or_else(wrong_size)?;
    if size < most {
        return Err(format!(
            "sample size {size} should be greater or equal to {most} the maximum of the high ranges limits"
        ));
    }
    Ok(LogSample { ranges, size })
}

fn name(line: &mut Line<'_, '_>, word: &Word, names: &[&str], what: &str) -> Option<u8> {
    if let Some(number) = names.iter().position(|name| *name == &*word.text) {
        u8::try_from(number).ok()
    } else {
        line.error(code::UNKNOWN_NAME, word.span, format!("log : unknown {what} '{}'", word.text));
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// haproxy 2.6's own words.
    #[test]
    fn sampling_ranges() {
        for (text, expected) in [
            ("1,3-4:5", Ok((vec![(1, 1), (3, 4)], 5))),
            ("3,1:4", Ok((vec![(3, 3), (1, 1)], 4))),
            ("1,:3", Ok((vec![(1, 1)], 3))),
            ("1", Err("Missing sample size")),
            ("0:3", Err("wrong sample range '0'")),
            ("2-1:3", Err("wrong sample range '2-1'")),
            ("1-:3", Err("wrong sample range '1-'")),
            ("1-3,2:5", Err("ranges are overlapping")),
            (":3", Err("no sampling ranges given")),
            ("1:0", Err("wrong sample size '0' for sample range '1'")),
            ("1:x", Err("wrong sample size 'x' for sample range '1'")),
            ("1-5:4", Err("sample size 4 should be greater or equal to 5 the maximum of the high ranges limits")),
        ] {
            let expected = expected.map(|(ranges, size)| LogSample { ranges, size }).map_err(str::to_owned);
            assert_eq!(read_sample(text), expected, "{text}");
        }
    }
}
