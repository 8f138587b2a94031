//! The verdicts of haproxy 2.6 and 3.5 on small configurations, and ours.
//!
//! `verdicts/snippets.tsv` has one snippet per line: where it is put (see [`text_of`]), the snippet, then for 2.6 and for
//! 3.5 whether it is accepted (0 or 1; `-` where it was not asked) and what was said. Ours must be the same as one of
//! them: the verdict, and errors and warnings on the same lines. What 2.6 says is compared word for word.
//! `verdicts/differences.tsv` lists what is different on purpose, with our words and the reason. `BLESS=1` rewrites our
//! words there and keeps the reasons.

use proxyd::config::{self, Request};
use shared_config::diagnostic::{Diagnostics, Severity};
use shared_config::haproxy::env::Env;
use shared_config::haproxy::load::Input;
use shared_config::render;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

const DEFAULTS: &str = "defaults\n  mode http\n  timeout connect 5s\n  timeout client 5s\n  timeout server 5s\n";
const LISTEN: &str = "listen l\n  bind 127.0.0.1:18080\n";
const SERVER: &str = "  server s 127.0.0.1:1\n";

/// The whole configuration around a snippet.
fn text_of(place: &str, snippet: &str) -> String {
    let snippet = snippet.replace(" ⏎ ", "\n").replace('⏎', "\n").replace("<CR>", "\r");
    match place {
        "G" => format!("global\n  {snippet}\n{DEFAULTS}{LISTEN}{SERVER}"),
        "D" => format!("{DEFAULTS}  {snippet}\n{LISTEN}{SERVER}"),
        "L" => format!("{DEFAULTS}{LISTEN}  {snippet}\n{SERVER}"),
        "LT" => format!("{DEFAULTS}{LISTEN}  mode tcp\n  {snippet}\n{SERVER}"),
        "F" => format!(
            "{DEFAULTS}frontend f\n  bind 127.0.0.1:18080\n  {snippet}\n  default_backend b\nbackend b\n{SERVER}"
        ),
        "BE" => format!(
            "{DEFAULTS}frontend f\n  bind 127.0.0.1:18080\n  default_backend b\nbackend b\n  {snippet}\n{SERVER}"
        ),
        "S" => format!("{DEFAULTS}{LISTEN}  server s 127.0.0.1:1 {snippet}\n"),
        _ => snippet.replace("<DEF>", DEFAULTS),
    }
}

/// An answer: accepted or not, and what was said.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Verdict {
    accepted: bool,
    messages: Vec<String>,
}

impl Verdict {
    fn of_haproxy(status: &str, messages: &str) -> Option<Self> {
        let squeeze = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let starts = messages.replace(" / [", " ⏎ [");
        let messages = starts.split(" ⏎ ").filter(|text| !text.trim().is_empty()).map(squeeze).collect();
        (status != "-").then(|| Self { accepted: status == "0", messages })
    }

    fn of_proxyd(text: &str) -> Self {
        let input = Input { path: "kw.cfg".into(), bytes: text.as_bytes().to_vec() };
        let request = Request { env: Env::new([("PATH", "/bin")]), ..Request::default() };
        let loaded = config::lower(vec![input], request, Diagnostics::new());
        let shown = loaded.diagnostics.iter().filter(|d| {
            // What this version does not do yet is not a verdict about the language.
            d.severity != Severity::Unsupported && d.code != "no-effect" && d.severity >= Severity::Warning
        });
        let messages = shown.map(|diagnostic| {
            let line = render::haproxy_line(diagnostic, &loaded.sources, 1);
            let line = line.replacen("(1) : config : ", "", 1);
            line.lines().map(str::trim).collect::<Vec<_>>().join(" / ").split_whitespace().collect::<Vec<_>>().join(" ")
        });
        Self { messages: messages.collect(), accepted: !loaded.diagnostics.has_errors() }
    }

    /// Severities and lines; messages without a line count as line 0.
    fn places(&self) -> BTreeSet<(bool, u32)> {
        let line = |text: &str| {
            let after = text.split("[kw.cfg:").nth(1).filter(|_| {
                text.starts_with("[ALERT] parsing [")
                    || text.starts_with("[WARNING] parsing [")
                    || text.starts_with("[ALERT] [")
                    || text.starts_with("[WARNING] [")
                    || text.contains("] Parsing [")
            })?;
            after.split(']').next()?.parse().ok()
        };
        self.messages.iter().map(|text| (text.starts_with("[ALERT]"), line(text).unwrap_or(0))).collect()
    }
}

/// The same but for the suggestion at the end: ours may be another word, or none.
fn same_words(a: &str, b: &str) -> bool {
    let bare =
        |text: &str| text.split("; did you mean").next().unwrap_or_default().trim_end_matches(['.', ' ']).to_owned();
    bare(a) == bare(b)
}

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/verdicts").join(name);
    std::fs::read_to_string(path).unwrap_or_default()
}

/// What a snippet needs of the system, where that is not there.
fn lacks(snippet: &str) -> bool {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let has_user = users.lines().any(|line| line.starts_with("haproxy:"));
    (snippet.contains("haproxy") && (snippet.starts_with("user") || snippet.starts_with("group")) && !has_user)
        || (snippet.contains("/etc/haproxy/errors/") && !Path::new("/etc/haproxy/errors/503.http").exists())
}

#[test]
fn verdicts() {
    let table = read("snippets.tsv");
    let known: BTreeMap<(String, String), (String, String)> = read("differences.tsv")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let mut fields = line.split('\t').map(str::to_owned);
            Some(((fields.next()?, fields.next()?), (fields.next()?, fields.next()?)))
        })
        .collect();
    let (mut complaints, mut differences, mut same) = (String::new(), Vec::new(), 0);
    for line in table.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [place, snippet, status_26, said_26, status_35, said_35] = fields[..] else {
            panic!("six fields: {line}");
        };
        if lacks(snippet) {
            continue;
        }
        let ours = Verdict::of_proxyd(&text_of(place, snippet));
        let old = Verdict::of_haproxy(status_26, said_26);
        let new = Verdict::of_haproxy(status_35, said_35);
        let agrees = |theirs: &Verdict| {
            // haproxy stops at the end of a phase that had errors; we go on and may find more.
            let (theirs_at, ours_at) = (theirs.places(), ours.places());
            theirs.accepted == ours.accepted
                && if ours.accepted { theirs_at == ours_at } else { theirs_at.is_subset(&ours_at) }
        };
        let said = |theirs: &Verdict, text: &String| theirs.messages.iter().any(|other| same_words(other, text));
        let words = |theirs: &Verdict| {
            if ours.accepted {
                ours.messages.iter().all(|text| said(theirs, text))
            } else {
                theirs.messages.iter().all(|text| said(&ours, text))
            }
        };
        let is_same = old.as_ref().is_some_and(|old| agrees(old) && words(old)) || new.as_ref().is_some_and(agrees);
        let shown = format!("{} {}", u8::from(!ours.accepted), ours.messages.join(" ⏎ "));
        if is_same {
            same += 1;
            if known.contains_key(&(place.to_owned(), snippet.to_owned())) {
                let _ = writeln!(complaints, "no longer different, remove it: {place} {snippet}");
            }
            continue;
        }
        let reason = known.get(&(place.to_owned(), snippet.to_owned()));
        if reason.is_none_or(|(words, _)| *words != shown) {
            let _ = writeln!(
                complaints,
                "{place}\t{snippet}\n  2.6:  {status_26} {said_26}\n  3.5:  {status_35} {said_35}\n  ours: {shown}"
            );
        }
        let reason = reason.map_or("", |(_, reason)| reason);
        differences.push(format!("{place}\t{snippet}\t{shown}\t{reason}"));
    }
    if std::env::var_os("BLESS").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/verdicts/differences.tsv");
        let head = "# place, snippet, our verdict and words, why it is not haproxy's\n";
        std::fs::write(path, format!("{head}{}\n", differences.join("\n"))).expect("the table is writable");
        return;
    }
    assert!(complaints.is_empty(), "{same} are the same; these are not:\n{complaints}");
}
