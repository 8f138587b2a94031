//! Any bytes as an haproxy.cfg: reading, rendering what is wrong, printing what was understood and reading that again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use shared_config::diagnostic::DIAGNOSTICS_MAX;
use shared_config::haproxy::ast::File;
use shared_config::haproxy::env::Env;
use shared_config::haproxy::load::Input;
use shared_config::haproxy::predicate::Facts;
use shared_config::haproxy::{Parsed, parse, print};
use shared_config::render::{Colour, haproxy_line, human, json};
use shared_config::source::encode;

/// How many diagnostics of every fourth input are drawn for people, which costs more than the rest.
const DRAWN: usize = 1;

fn read(bytes: &[u8]) -> Parsed {
    let env = Env::new([("HOME", "/root"), ("LIST", "a  b"), ("E", "")]);
    let facts = Facts { version: "3.5.0".into(), features: vec!["LUA".into()], ..Facts::default() };
    parse(vec![Input { path: "a.cfg".into(), bytes: bytes.to_owned() }], env, &facts)
}

fn texts(file: &File) -> impl Iterator<Item = &str> {
    let lines = file.sections.iter().flat_map(|section| std::iter::once(&section.head).chain(&section.statements));
    lines.flat_map(|line| line.words.iter().map(|word| word.as_str()).chain(["\n"]))
}

fuzz_target!(|bytes: &[u8]| {
    let parsed = read(bytes);
    assert!(parsed.diagnostics.iter().count() <= DIAGNOSTICS_MAX);
    for (index, diagnostic) in parsed.diagnostics.iter().enumerate() {
        haproxy_line(diagnostic, &parsed.sources, 1);
        json(diagnostic, &parsed.sources);
        if index < DRAWN && bytes.len() % 4 == 0 {
            human(diagnostic, &parsed.sources, Colour::Always);
        }
    }
    let again = read(&encode(&print::file(&parsed.file)));
    assert!(again.diagnostics.is_empty());
    assert!(texts(&again.file).eq(texts(&parsed.file)));
});
