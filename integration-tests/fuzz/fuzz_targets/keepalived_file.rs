//! Any bytes as a keepalived.conf: reading, rendering what is wrong, printing what was understood and reading that again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use shared_config::diagnostic::{DIAGNOSTICS_MAX, Diagnostics};
use shared_config::keepalived::ast::{File, Statement};
use shared_config::keepalived::preprocess::{Environment, Files, Limits};
use shared_config::keepalived::{parse, print};
use shared_config::render::{Colour, human, keepalived_line};
use shared_config::source::{Sources, encode};
use std::io;
use std::path::{Path, PathBuf};

/// How many diagnostics are drawn for people, which costs far more than all the rest: one of every eighth input.
fn drawn(bytes: &[u8]) -> usize {
    usize::from(bytes.len() % 8 == 0)
}

/// Two files that include each other, and the input itself.
struct TwoFiles;

impl Files for TwoFiles {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        match path.to_str() {
            Some("/a") => Ok(b"$A=x\ninclude b\n".to_vec()),
            Some("/b") => Ok(b"include a\n~SEQ(B,1,2) $A${B}\n".to_vec()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn identity(&self, path: &Path) -> PathBuf {
        path.to_owned()
    }

    fn names(&self, _: &Path) -> Vec<String> {
        vec!["a".to_owned(), "b".to_owned()]
    }

    fn exists(&self, path: &Path) -> bool {
        matches!(path.to_str(), Some("/" | "/a" | "/b"))
    }
}

fn read(bytes: &[u8]) -> (Sources, File, Diagnostics) {
    let mut sources = Sources::new();
    let root = sources.add("/keepalived.conf", bytes);
    let mut diagnostics = Diagnostics::new();
    let mut environment = Environment {
        config_id: "a",
        files: &TwoFiles,
        random: &mut |range| *range.start(),
        variable: &|_| None,
        limits: Limits { expanded_bytes: 1 << 13, rounds: 100 },
    };
    let parsed = parse(&mut sources, root, &mut environment, &mut diagnostics);
    (sources, parsed.file, diagnostics)
}

/// The texts of all words, with the braces of blocks.
fn texts(statements: &[Statement], found: &mut Vec<String>) {
    for statement in statements {
        found.extend(statement.words.iter().map(|word| word.as_str().to_owned()));
        found.push("\n".to_owned());
        if let Some(block) = &statement.block {
            texts(&block.statements, found);
            found.push("}".to_owned());
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let (sources, file, diagnostics) = read(bytes);
    assert!(diagnostics.iter().count() <= DIAGNOSTICS_MAX);
    for (index, diagnostic) in diagnostics.iter().enumerate() {
        keepalived_line(diagnostic, &sources);
        if index < drawn(bytes) {
            human(diagnostic, &sources, Colour::Always);
        }
    }
    let (_, again, _) = read(&encode(&print::print(&file)));
    let (mut first, mut second) = (Vec::new(), Vec::new());
    texts(&file.statements, &mut first);
    texts(&again.statements, &mut second);
    assert_eq!(first, second);
});
