//! Commands on files of patterns: maps and ACLs. A file has the number that `show map` and `show acl` give it, a line likewise.

use super::server::Answer;
use crate::generation::Generation;
use crate::sample::pattern::Method;
use crate::sample::pattern_file::{Entry, Found, Kind, PatternFile, Refused, Values, WrittenPatterns};
use crate::sample::prefix_map::Case;
use std::fmt::Write as _;
use std::sync::Arc;

/// The answer, if it is one of these commands.
pub(super) fn run(words: &[&str], payload: Option<&str>, generation: &Generation) -> Option<Answer> {
    let [verb, word @ ("map" | "acl"), rest @ ..] = words else { return None };
    let kind = if *word == "map" { Kind::Map } else { Kind::Acl };
    Some(match *verb {
        "show" => show(generation, kind, rest),
        "get" => get(generation, kind, rest),
        "add" => add(generation, kind, rest, payload),
        "set" if kind == Kind::Map => set(generation, rest),
        "del" => delete(generation, kind, rest),
        "clear" => clear(generation, kind, rest),
        "prepare" => prepare(generation, kind, rest),
        "commit" => commit(generation, kind, rest),
        _ => return None,
    })
}

/// As messages name it.
fn called(kind: Kind) -> &'static str {
    match kind {
        Kind::Map => "map",
        Kind::Acl => "ACL",
    }
}

/// The file of that name, or of that number after `#`.
fn find<'g>(generation: &'g Generation, kind: Kind, word: &str) -> Result<&'g Arc<PatternFile>, String> {
    let is_it = |file: &&Arc<PatternFile>| match word.strip_prefix('#') {
        Some(number) => number.parse() == Ok(file.number),
        None => &*file.name == word,
    };
    let mut files = generation.pattern_files.iter().filter(|file| file.is(kind));
    files.find(is_it).ok_or_else(|| match written(generation, kind, word) {
        Some(_) => "The patterns of this ACL stand in the configuration itself and can only be listed.\n".to_owned(),
        None => unknown(called(kind)),
    })
}

/// The patterns in the configuration that have that number after `#`.
fn written<'g>(generation: &'g Generation, kind: Kind, word: &str) -> Option<&'g WrittenPatterns> {
    let number = word.strip_prefix('#').filter(|_| kind == Kind::Acl)?.parse().ok()?;
    generation.written_patterns.iter().find(|written| written.number == number)
}

fn unknown(what: &str) -> String {
    format!("Unknown {what} identifier. Please use #<id> or <file>.\n")
}

fn show(generation: &Generation, kind: Kind, words: &[&str]) -> Answer {
    let mut out = String::new();
    let (version, words) = versioned(words);
    // Writing to a String cannot fail.
    let Some(word) = words.first().or(version.is_some().then_some(&"")) else { return Ok(list(generation, kind)) };
    if let Some(written) = written(generation, kind, word) {
        let shown = if version.unwrap_or(0) == 0 { &*written.patterns } else { &[] };
        for (index, pattern) in shown.iter().enumerate() {
            let _ = writeln!(out, "{:#x} {pattern}", index + 1);
        }
        return Ok(out);
    }
    let file = find(generation, kind, word)?;
    for Entry { id, key, value } in version.map_or_else(|| file.entries(), |version| file.version(version)) {
        let _ = write!(out, "{id:#x} {}", String::from_utf8_lossy(&key));
        if kind == Kind::Map {
            let _ = write!(out, " {}", String::from_utf8_lossy(&value));
        }
        out.push('\n');
    }
    Ok(out)
}

/// All maps or ACLs, by their numbers.
fn list(generation: &Generation, kind: Kind) -> String {
    let users = if kind == Kind::Map { "map" } else { "acl" };
    let files = generation.pattern_files.iter().filter(|file| file.is(kind)).map(|file| {
        let (number, name, versions) = (file.number, &file.name, file.versions());
        let line = format!(
            "{number} ({name}) pattern loaded from file '{name}' used by {users}. curr_ver={} next_ver={} entry_cnt={}\n",
            versions.current, versions.next, versions.lines
        );
        (number, line)
    });
    let written = generation.written_patterns.iter().filter(|_| kind == Kind::Acl).map(|written| {
        let WrittenPatterns { number, keyword, place: (file, line), patterns } = written;
        let count = patterns.len();
        let text =
            format!("{number} () acl '{keyword}' file '{file}' line {line}. curr_ver=0 next_ver=0 entry_cnt={count}\n");
        (*number, text)
    });
    let mut lines: Vec<(usize, String)> = files.chain(written).collect();
    lines.sort();
    let texts = lines.into_iter().map(|(_, line)| line);
    std::iter::once("# id (file) description\n".to_owned()).chain(texts).collect()
}

/// The version that a word such as `@2` names, and the words after it. What is no number is 0.
fn versioned<'w>(words: &'w [&'w str]) -> (Option<u32>, &'w [&'w str]) {
    match words.split_first().and_then(|(first, rest)| Some((first.strip_prefix('@')?, rest))) {
        Some((number, rest)) => (Some(number.parse().unwrap_or(0)), rest),
        None => (None, words),
    }
}

fn get(generation: &Generation, kind: Kind, words: &[&str]) -> Answer {
    let [file, key, ..] = words else { return Err(format!("Missing {} identifier and/or key.\n", called(kind))) };
    let found = find(generation, kind, file)?.look_up(key.as_bytes());
    Ok(found.iter().map(|found| told(kind, found)).collect())
}

/// A line about what one use finds.
fn told(kind: Kind, found: &Found) -> String {
    let method = if found.how.values == Values::Groups { "regm" } else { found.how.method.name() };
    let case = if found.how.case == Case::Exact { "sensitive" } else { "insensitive" };
    let word = if kind == Kind::Map { "found" } else { "match" };
    let Some(entry) = &found.entry else { return format!("type={method}, case={case}, {word}=no\n") };
    let (key, value) = (String::from_utf8_lossy(&entry.key), String::from_utf8_lossy(&entry.value));
    let index = if found.table { "tree" } else { "list" };
    let start = format!("type={method}, case={case}, {word}=yes, idx={index}");
    match kind {
        Kind::Acl => format!("{start}, pattern=\"{key}\"\n"),
        Kind::Map => format!("{start}, key=\"{key}\", value=\"{value}\", type=\"{}\"\n", value_type(found, &value)),
    }
}

fn value_type(found: &Found, value: &str) -> &'static str {
    match found.how.values {
        Values::Text | Values::Groups => "str",
        Values::Integer => "sint",
        Values::Address if value.contains(':') => "ipv6",
        Values::Address => "ipv4",
    }
}

fn add(generation: &Generation, kind: Kind, words: &[&str], payload: Option<&str>) -> Answer {
    let (version, words) = versioned(words);
    let (file, lines) = match (kind, words, payload) {
        (Kind::Map, [file, ..], Some(payload)) => (file, parted(payload)),
        (Kind::Map, [file, key, value, ..], None) => (file, vec![(*key, Some(*value))]),
        (Kind::Acl, [file, key, ..], _) => (file, vec![(*key, Some(""))]),
        (Kind::Map, ..) => {
            return Err("'add map' expects three parameters (map identifier, key and value) or one parameter (map \
                        identifier) and a payload\n"
                .to_owned());
        }
        (Kind::Acl, ..) => return Err("'add acl' expects two parameters: ACL identifier and pattern.\n".to_owned()),
    };
    let file = find(generation, kind, file)?;
    for (key, value) in lines {
        let value = value.ok_or_else(|| format!("Missing value for key '{key}'.\n"))?;
        file.append(version, key.as_bytes(), value.as_bytes()).map_err(|why| match why {
            Refused::Version => {
                let word = if kind == Kind::Map { "map" } else { "acl" };
                format!("Version number in the future, please use 'prepare {word}' before.\n")
            }
            why => refused(why, key, value),
        })?;
    }
    Ok(String::new())
}

/// The keys and values of a payload's lines. Where there is no line, haproxy takes its end for a key.
fn parted(payload: &str) -> Vec<(&str, Option<&str>)> {
    let lines = payload.lines().map(|line| match line.trim_start().split_once([' ', '\t']) {
        Some((key, value)) => (key, Some(value.trim_start())),
        None => (line.trim_start(), None),
    });
    if payload.is_empty() { vec![("\n", None)] } else { lines.collect() }
}

/// `prepare map`, `prepare acl`
fn prepare(generation: &Generation, kind: Kind, words: &[&str]) -> Answer {
    let file = find(generation, kind, words.first().unwrap_or(&""))?;
    Ok(format!("New version created: {}\n", file.prepare()))
}

/// `commit map @VERSION MAP`, `commit acl @VERSION ACL`
fn commit(generation: &Generation, kind: Kind, words: &[&str]) -> Answer {
    let (version, words) = versioned(words);
    let version = version.ok_or("Missing version number.\n")?;
    let file = words.first().ok_or_else(|| format!("Missing {} identifier.\n", called(kind)))?;
    if find(generation, kind, file)?.commit(version) {
        Ok(String::new())
    } else {
        Err("Version number out of range.\n".to_owned())
    }
}

fn refused(why: Refused, key: &str, value: &str) -> String {
    match why {
        Refused::Value => format!("unable to parse '{value}'.\n"),
        Refused::Key(Method::Ip) => format!("'{key}' is not a valid IPv4 or IPv6 address.\n"),
        Refused::Key(Method::Int | Method::Len) => format!("'{key}' is not a number.\n"),
        Refused::Key(Method::Reg) => format!("regex '{key}' is invalid.\n"),
        Refused::Key(Method::Bin) => "an hex digit is expected.\n".to_owned(),
        Refused::Key(_) => format!("'{key}' is not a valid pattern.\n"),
        Refused::Version => "Version number out of range.\n".to_owned(),
    }
}

/// Which lines are meant: those of a key, or one by its number after `#`.
fn meant(word: &str) -> impl Fn(&Entry) -> bool {
    let number = word.strip_prefix('#').map(|number| {
        number
            .strip_prefix("0x")
            .and_then(|digits| u64::from_str_radix(digits, 16).ok())
            .or_else(|| number.parse().ok())
    });
    move |entry| match number {
        Some(number) => number == Some(entry.id),
        None => *entry.key == *word.as_bytes(),
    }
}

fn set(generation: &Generation, words: &[&str]) -> Answer {
    let [file, key, value, ..] = words else {
        return Err("'set map' expects three parameters: map identifier, key and value.\n".to_owned());
    };
    match find(generation, Kind::Map, file)?.change(meant(key), value.as_bytes()) {
        Ok(true) => Ok(String::new()),
        Ok(false) => Err("entry not found.\n".to_owned()),
        Err(why) => Err(refused(why, key, value)),
    }
}

fn delete(generation: &Generation, kind: Kind, words: &[&str]) -> Answer {
    let [file, key, ..] = words else {
        return Err(format!("This command expects two parameters: {} identifier and key.\n", called(kind)));
    };
    let file = find(generation, kind, file)?;
    if file.remove_all(meant(key)) { Ok(String::new()) } else { Err("Key not found.\n".to_owned()) }
}

fn clear(generation: &Generation, kind: Kind, words: &[&str]) -> Answer {
    let (version, words) = versioned(words);
    let file = words.first().ok_or_else(|| format!("Missing {} identifier.\n", called(kind)))?;
    find(generation, kind, file)?.clear(version);
    Ok(String::new())
}
