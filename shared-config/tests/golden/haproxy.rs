//! One haproxy.cfg as its tree, and its diagnostics in all renderings.

use shared_config::diagnostic::Diagnostics;
use shared_config::haproxy::ast::{File, Statement};
use shared_config::haproxy::env::Env;
use shared_config::haproxy::load::Input;
use shared_config::haproxy::predicate::Facts;
use shared_config::haproxy::{Parsed, parse, print};
use shared_config::render::{Colour, haproxy_line, human, json};
use shared_config::source::{Sources, encode};
use std::fmt::Write as _;
use std::path::Path;

/// The process id in the one-line form.
const PID: u32 = 1;

fn read(path: &Path, bytes: &[u8]) -> Parsed {
    let env = Env::new([("HOME", "/root"), ("LIST", "one two  three"), ("EMPTY", "")]);
    let facts = Facts { version: "3.5.0".into(), features: vec!["LUA".into()], ..Facts::default() };
    parse(vec![Input { path: path.to_owned(), bytes: bytes.to_owned() }], env, &facts)
}

/// The tree, then what is wrong.
pub(crate) fn render(path: &Path, bytes: &[u8]) -> String {
    let parsed = read(path, bytes);
    let mut out = String::new();
    for section in &parsed.file.sections {
        statement(&mut out, "", &section.head, &parsed.sources);
        for line in &section.statements {
            statement(&mut out, "  ", line, &parsed.sources);
        }
    }
    diagnostics(&mut out, &parsed.diagnostics, &parsed.sources);
    assert_same_when_printed(path, &parsed.file);
    out
}

/// `7 bind@3 :80@8`: the line, then each word with the column where it starts.
fn statement(out: &mut String, indent: &str, statement: &Statement, sources: &Sources) {
    let _ = write!(out, "{indent}{}", sources.position(statement.span).line);
    for word in &statement.words {
        let _ = write!(out, " {:?}@{}", word.text, sources.position(word.span).column);
    }
    out.push('\n');
}

fn diagnostics(out: &mut String, diagnostics: &Diagnostics, sources: &Sources) {
    for diagnostic in diagnostics.iter() {
        let human = human(diagnostic, sources, Colour::Never);
        let line = haproxy_line(diagnostic, sources, PID);
        let _ = writeln!(out, "\n{human}\n\n{line}\n{}", json(diagnostic, sources));
    }
}

fn assert_same_when_printed(path: &Path, file: &File) {
    let printed = print::file(file);
    let again = read(path, &encode(&printed));
    assert_eq!(print::file(&again.file), printed, "{}", path.display());
    let words = |file: &File| -> Vec<Vec<Box<str>>> {
        let lines = file.sections.iter().flat_map(|section| std::iter::once(&section.head).chain(&section.statements));
        lines.map(|line| line.words.iter().map(|word| word.text.clone()).collect()).collect()
    };
    assert_eq!(words(&again.file), words(file), "{}", path.display());
    assert!(again.diagnostics.is_empty(), "{}", path.display());
}
