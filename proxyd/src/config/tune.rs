//! `tune.…` of the `global` section.

use super::global::{Extra, others};
use super::line::{Line, code};
use super::model::{Global, Tune};
use super::value::{self, Unit};
use crate::stick::tracked::StatusSet;
use shared_config::haproxy::keyword::Keyword;
use std::time::Duration;

/// Words that are about how haproxy's threads share what they have and pass bytes on, with what may follow them.
const CHOICES: [(&str, &[&str]); 10] = [
    ("tune.applet.zero-copy-forwarding", ON_OFF),
    ("tune.fd.edge-triggered", ON_OFF),
    ("tune.h1.zero-copy-fwd-recv", ON_OFF),
    ("tune.h1.zero-copy-fwd-send", ON_OFF),
    ("tune.idle-pool.shared", &["auto", "on", "off"]),
    ("tune.listener.default-shards", &["by-process", "by-thread", "by-group"]),
    ("tune.listener.multi-queue", &["on", "fair", "off"]),
    ("tune.pt.zero-copy-forwarding", ON_OFF),
    ("tune.sched.low-latency", ON_OFF),
    ("tune.takeover-other-tg-connections", &["none", "restricted", "full"]),
];
const ON_OFF: &[&str] = &["on", "off"];

/// `tune.stick-counters` at most.
const STICK_COUNTERS_MAX: u8 = 100;
/// Bytes of a buffer: far more than anybody needs, and what can be counted.
const BUFSIZE_MAX: u32 = 1 << 30;

/// `tune.stick-counters`
pub(super) fn stick_counters(line: &mut Line<'_, '_>, extra: &mut Extra) {
    let word = line.words.next();
    let number = word.and_then(|word| word.text.parse::<u8>().ok()).filter(|number| *number <= STICK_COUNTERS_MAX);
    if number.is_none() {
        let at = word.map_or(line.words.here(), |word| word.span);
        let message = format!("'tune.stick-counters' expects a value between 0 and {STICK_COUNTERS_MAX}.");
        line.error(code::BAD_VALUE, at, message);
    }
    extra.stick_counters = number;
}

/// Sizes and limits.
pub(super) fn tune(line: &mut Line<'_, '_>, row: &'static Keyword, global: &mut Global) {
    let name = row.name;
    let tune = &mut global.tune;
    match name {
        "tune.bufsize" => match line.words.next().map(|word| value::leading_integer(&word.text).0) {
            // As haproxy does, whose buffers end where two pointers would.
            Some(number) if number > 0 => {
                tune.bufsize = u32::try_from(number).unwrap_or(BUFSIZE_MAX).min(BUFSIZE_MAX).next_multiple_of(16);
            }
            _ => {
                let at = line.words.statement();
                line.error(code::BAD_VALUE, at, "'tune.bufsize' expects a positive integer argument.");
            }
        },
        "tune.maxrewrite" => {
            let number = line.integer("'tune.maxrewrite' expects an integer argument.").unwrap_or(0);
            let at = line.words.statement();
            match u32::try_from(number) {
                Ok(number) => tune.maxrewrite = number,
                Err(_) => line.error(code::BAD_VALUE, at, "'tune.maxrewrite' expects a positive integer argument."),
            }
        }
        "tune.http.maxhdr" => {
            if let Some(number @ 1..=32_767) = line.words.next().map(|word| value::leading_integer(&word.text).0) {
                tune.http_maxhdr = u16::try_from(number).unwrap_or(u16::MAX);
            } else {
                let at = line.words.statement();
                line.error(code::BAD_VALUE, at, "'tune.http.maxhdr' expects a numeric value between 1 and 32767");
            }
        }
        "tune.http.cookielen" | "tune.http.logurilen" => {
            let number = line.integer(format!("'{name}' expects a positive integer.")).unwrap_or(0);
            let len = u16::try_from(number.clamp(0, i64::from(u16::MAX))).unwrap_or(0);
            if name == "tune.http.cookielen" { tune.http_cookielen = len } else { tune.http_logurilen = len }
        }
        "tune.maxaccept" => {
            let number = line.integer("'tune.maxaccept' expects an integer argument.").unwrap_or(-1);
            tune.maxaccept = u32::try_from(number).ok().filter(|&n| n > 0);
        }
        _ if kernel_buffer(tune, name).is_some() => {
            let number = line.integer(format!("'{name}' expects an integer argument.")).unwrap_or(0);
            if let Some(size) = kernel_buffer(tune, name) {
                *size = u32::try_from(number).ok().filter(|&size| size > 0);
            }
        }
        _ if name.starts_with("tune.vars.") => {
            let number = line.integer(format!("'{name}' expects an integer argument.")).unwrap_or(0);
            if let Some(most) = tune.variables.get_or_insert_default().named(name) {
                // 0: no limit.
                *most = u64::try_from(number).ok().filter(|&most| most > 0);
            }
        }
        "tune.pipesize" => {
            let number = line.integer("'tune.pipesize' expects an integer argument.").unwrap_or(0);
            tune.pipesize = u32::try_from(number).ok().filter(|&n| n > 0);
        }
        "tune.maxpollevents" | "tune.runqueue-depth" => {
            let number = line.positive(format!("'{name}' expects an integer argument."));
            if name == "tune.maxpollevents" { tune.maxpollevents = number } else { tune.runqueue_depth = number }
        }
        "tune.idletimer" => {
            if let Some(word) = line.words.next()
                && !value::time(&word.text, Unit::Milliseconds).is_ok_and(|time| time <= Duration::from_millis(65_535))
            {
                let message = "'tune.idletimer' expects a timer value between 0 and 65535 ms.";
                line.error(code::BAD_VALUE, word.span, message);
            }
        }
        _ => match CHOICES.iter().find(|(known, _)| *known == name) {
            Some((_, choices)) => choice(line, choices),
            None => others(line, row),
        },
    }
}

/// One of a few words; which of them it is changes nothing here.
fn choice(line: &mut Line<'_, '_>, choices: &[&str]) {
    let word = line.words.next();
    let (text, at) = word.map_or(("", line.words.here()), |word| (word.as_str(), word.span));
    if !choices.contains(&text) {
        let [others @ .., last] = choices else { return };
        let others = others.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(", ");
        let message = format!("'{}' expects either {others} or '{last}' but got '{text}'.", line.name);
        line.error(code::UNKNOWN_NAME, at, message);
    }
}

/// Where the size of a buffer of the kernel's is kept.
fn kernel_buffer<'t>(tune: &'t mut Tune, name: &str) -> Option<&'t mut Option<u32>> {
    let (what, side) = name.strip_prefix("tune.")?.split_once('.')?;
    let buffers = &mut tune.kernel_buffers;
    let side = match side {
        "client" => &mut buffers.client,
        "server" => &mut buffers.server,
        "frontend" if what != "notsent-lowat" => &mut buffers.datagrams,
        "backend" if what != "notsent-lowat" => &mut buffers.sent_datagrams,
        _ => return None,
    };
    Some(match what {
        "rcvbuf" => &mut side.receive,
        "sndbuf" => &mut side.send,
        "notsent-lowat" => &mut side.unsent,
        _ => return None,
    })
}

/// `http-err-codes`, `http-fail-codes`: each word names ranges, and says whether they come in addition (`+`), are left out (`-`), or
/// are all there is.
pub(super) fn statuses(line: &mut Line<'_, '_>, global: &mut Global) {
    let message = format!("'{}' expects ranges of status codes between 100 and 599.", line.name);
    let all = global.tune.statuses.get_or_insert_default();
    let set = if line.name == "http-err-codes" { &mut all.errors } else { &mut all.failures };
    if line.words.is_empty() {
        line.expect(message);
        return;
    }
    while let Some(word) = line.words.next() {
        let text = word.text.trim_start_matches(['+', '-']);
        match word.text.len() - text.len() {
            0 => *set = StatusSet::default(),
            1 => {}
            _ => return line.error(code::BAD_VALUE, word.span, message),
        }
        for range in text.split(',') {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            match (first.parse::<u16>(), last.parse::<u16>()) {
                (Ok(first @ 100..=599), Ok(last @ 100..=599)) if first <= last => {
                    set.put(first..=last, !word.text.starts_with('-'));
                }
                _ => return line.error(code::BAD_VALUE, word.span, message),
            }
        }
    }
}
