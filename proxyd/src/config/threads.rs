//! Threads and processors by number: `nbthread`, `thread-groups`, `cpu-map`, and `thread`, `process` and `shards` of listeners.

use super::line::{Line, code};
use super::model::Global;
use crate::proxy::listen::{THREADS_MAX, Threads};
use shared_config::diagnostic::Diagnostic;
use shared_config::words::Word;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;

/// The highest number of a processor.
const PROCESSOR_MAX: u16 = 1_023;

/// `nbthread`
pub(super) fn count(line: &mut Line<'_, '_>, global: &mut Global) {
    let highest = i64::from(THREADS_MAX);
    if let Some(number) = number_within(line, 1..=highest) {
        global.nbthread = u16::try_from(number).ok();
        line.end();
    }
}

/// `thread-groups`
pub(super) fn groups(line: &mut Line<'_, '_>, global: &mut Global) {
    if let Some(number) = number_within(line, 1..=i64::from(THREADS_MAX)) {
        global.thread_groups = u16::try_from(number).ok();
        line.end();
    }
}

fn number_within(line: &mut Line<'_, '_>, range: RangeInclusive<i64>) -> Option<i64> {
    let word = line.words.next();
    let (text, at) = word.map_or(("", line.words.here()), |word| (&*word.text, word.span));
    let (name, least, most) = (line.name, range.start(), range.end());
    let message = match text.parse::<i64>() {
        Ok(number) if range.contains(&number) => return Some(number),
        Ok(number) => format!("'{name}' value must be between {least} and {most} (was {number})"),
        Err(_) => format!("'{name}' passed a missing or unparsable integer value in '{text}'"),
    };
    line.error(code::BAD_VALUE, at, message);
    None
}

/// The numbers that `all`, `odd`, `even`, `3`, `3-5` or `3-` names, from 1 to `most`; the error is in haproxy's words.
fn numbers(text: &str, most: u8) -> Result<BTreeSet<u8>, String> {
    let every = |first: u8, step: usize| (first..=most).step_by(step).collect();
    match text {
        "all" => return Ok(every(1, 1)),
        "odd" => return Ok(every(1, 2)),
        "even" => return Ok(every(2, 2)),
        _ => {}
    }
    let known = || format!("'{text}' is not a valid number/range. It supports numbers from 1 to {most}.");
    let digits = |text: &str| text.is_empty() || text.bytes().all(|byte| byte.is_ascii_digit());
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    if !digits(low) || !digits(high) {
        return Err(format!("'{text}' is not a valid number/range."));
    }
    let high = if high.is_empty() && !text.is_empty() { Ok(most) } else { high.parse::<u8>() };
    match (low.parse::<u8>(), high) {
        (Ok(low), Ok(high)) if (1..=most).contains(&low) && (1..=most).contains(&high) => {
            Ok((low.min(high)..=low.max(high)).collect())
        }
        _ => Err(known()),
    }
}

/// `cpu-map`: threads, with their group in front, and the processors they may run on.
pub(super) fn cpu_map(line: &mut Line<'_, '_>, global: &mut Global) {
    let (Some(first), false) = (line.words.next(), line.words.is_empty()) else {
        let missing = "cpu-map expects a process number  ('all', 'odd', 'even', a number from 1 to 64 or a range),  \
                       followed by a list of CPU ranges with numbers from 0 to 63.";
        let here = line.words.here();
        return line.out.push(
            Diagnostic::error(code::MISSING_ARGUMENT, here, missing)
                .label("something is missing here")
                .help("write `cpu-map 1/all 0-3`: all threads, the first four processors"),
        );
    };
    let (automatic, text) = match first.text.strip_prefix("auto:") {
        Some(rest) => (true, rest),
        None => (false, first.as_str()),
    };
    let (group, set) = text.split_once('/').map_or((text, None), |(group, set)| (group, Some(set)));
    let threads = numbers(group, THREADS_MAX).and_then(|groups| {
        let set = set.map(|set| numbers(set, THREADS_MAX)).transpose()?;
        Ok((groups, set))
    });
    let (groups, threads) = match threads {
        Ok(found) => found,
        Err(message) => return line.error(code::BAD_VALUE, first.span, format!("cpu-map : {message}")),
    };
    let Some(processors) = processors(line) else { return };
    let every: BTreeSet<u8> = (1..=THREADS_MAX).collect();
    let many = threads.as_ref().is_some_and(|threads| threads.len() > 1);
    if !automatic {
        let threads = threads.unwrap_or(every);
        for (group, thread) in groups.iter().flat_map(|group| threads.iter().map(move |thread| (*group, *thread))) {
            global.cpu_map.insert((group, thread), processors.iter().copied().collect());
        }
        return;
    }
    let numbered = if many { threads.as_ref().map_or(0, BTreeSet::len) } else { groups.len() };
    if numbered != processors.len() {
        let message = "cpu-map : PROC/THREAD range and CPU sets must have the same size to be automatically bound";
        return line.error(code::BAD_VALUE, first.span, message);
    }
    // The ranges that have several numbers are counted through; one of the two has one number.
    let threads = threads.unwrap_or(every);
    for (group_place, group) in groups.iter().enumerate() {
        for (thread_place, thread) in threads.iter().enumerate() {
            let place = if many { thread_place } else { group_place };
            let processor = processors.iter().nth(place).copied();
            global.cpu_map.insert((*group, *thread), processor.into_iter().collect());
        }
    }
}

/// The rest of the line: numbers and ranges, from 0 on.
fn processors(line: &mut Line<'_, '_>) -> Option<BTreeSet<u16>> {
    let mut found = BTreeSet::new();
    while let Some(word) = line.words.next() {
        let parts: Vec<_> = word.text.split(',').collect();
        for (place, part) in parts.iter().enumerate() {
            // A comma at the end is none too many.
            if part.is_empty() && place > 0 && place + 1 == parts.len() && !parts.first().is_some_and(|p| p.is_empty())
            {
                continue;
            }
            match processor_range(part) {
                Ok(range) => found.extend(range),
                Err(message) => {
                    let message = message.replace("{}", &word.text);
                    line.error(code::BAD_VALUE, word.span, message);
                    return None;
                }
            }
        }
    }
    Some(found)
}

fn processor_range(text: &str) -> Result<RangeInclusive<u16>, &'static str> {
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if low.is_empty() || !digits(low) || !digits(high) {
        return Err("cpu-map : '{}' is not a CPU range.");
    }
    let high = if high.is_empty() { Ok(PROCESSOR_MAX) } else { high.parse::<u16>() };
    match (low.parse::<u16>(), high) {
        (Ok(low), Ok(high)) if low <= PROCESSOR_MAX && high <= PROCESSOR_MAX => Ok(low.min(high)..=low.max(high)),
        _ => Err("cpu-map : supports CPU numbers from 0 to 1023."),
    }
}

/// `thread` of a listener, added to what was said before it.
pub(super) fn of_listener(word: &Word, before: Option<&Threads>) -> Result<Threads, String> {
    let text = word.as_str();
    let (group, set) = match text.split_once('/') {
        Some((group, set)) => match group.parse::<u8>() {
            Ok(number) if (1..=THREADS_MAX).contains(&number) => (Some(number), set),
            Ok(number) => {
                let message = "thread-group number must be between 1 and";
                return Err(format!("'{text}' {message} {THREADS_MAX} (was {number})"));
            }
            Err(_) => return Err(format!("'{text}' : '{text}' is not a valid number/range.")),
        },
        None => (None, text),
    };
    let set = numbers(set, THREADS_MAX).map_err(|message| format!("'{set}' : {message}"))?;
    let mut threads = Threads { group, set: bits(&set) };
    if let Some(before) = before {
        if before.group != group {
            return Err(format!("'{text}' multiple thread-groups are not supported"));
        }
        threads.set |= before.set;
    }
    Ok(threads)
}

/// `process` of a listener: processes, of which there is one that listens for all, and their threads. What is to be written instead
/// comes with them.
pub(super) fn of_process(word: &Word, before: Option<&Threads>) -> Result<(Option<Threads>, Option<String>), String> {
    let (process, set) = word.text.split_once('/').map_or((word.as_str(), None), |(p, set)| (p, Some(set)));
    numbers(process, THREADS_MAX)?;
    let Some(set) = set else { return Ok((before.copied(), None)) };
    let before = before.map_or(0, |before| before.set);
    let threads = Threads { group: None, set: bits(&numbers(set, THREADS_MAX)?) | before };
    Ok((Some(threads), Some(format!("thread {set}"))))
}

fn bits(numbers: &BTreeSet<u8>) -> u64 {
    numbers.iter().fold(0, |bits, number| bits | 1_u64 << (number - 1))
}

/// `shards` of a listener: how many sockets it would have. Here each thread has one of its own.
pub(super) fn is_shards(text: &str) -> Result<(), String> {
    let number = super::value::leading_integer(text).0;
    if matches!(text, "by-thread" | "by-group") || (1..=i64::from(THREADS_MAX)).contains(&number) {
        return Ok(());
    }
    Err(format!("invalid value {number}, allowed range is 1..{THREADS_MAX} or 'by-thread'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_read_as_haproxy_reads_them() {
        let set = |text| numbers(text, 8).map(|set| set.into_iter().collect::<Vec<_>>());
        assert_eq!(set("all"), Ok((1..=8).collect()));
        assert_eq!(set("odd"), Ok(vec![1, 3, 5, 7]));
        assert_eq!(set("even"), Ok(vec![2, 4, 6, 8]));
        assert_eq!(set("3"), Ok(vec![3]));
        assert_eq!(set("5-3"), Ok(vec![3, 4, 5]));
        assert_eq!(set("7-"), Ok(vec![7, 8]));
        for text in ["", "0", "9", "1-9", "0-", "-1", "-"] {
            let message = format!("'{text}' is not a valid number/range. It supports numbers from 1 to 8.");
            assert_eq!(set(text), Err(message), "{text}");
        }
        for text in ["x", "1,2", "1-x", "all/1"] {
            assert_eq!(set(text), Err(format!("'{text}' is not a valid number/range.")), "{text}");
        }
    }

    #[test]
    fn processors_are_numbered_from_0() {
        assert_eq!(processor_range("0"), Ok(0..=0));
        assert_eq!(processor_range("3-1"), Ok(1..=3));
        assert_eq!(processor_range("1020-"), Ok(1020..=1023));
        for (text, message) in [("1024", "1023."), ("0-1024", "1023."), ("x", "CPU range."), ("-1", "CPU range.")] {
            assert!(processor_range(text).unwrap_err().ends_with(message), "{text}");
        }
    }
}
