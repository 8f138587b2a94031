//! One keepalived.conf as its tree, and its diagnostics for people and in keepalived's own form.

use shared_config::diagnostic::Diagnostics;
use shared_config::keepalived::ast::{File, Statement};
use shared_config::keepalived::preprocess::{Environment, Files, Limits};
use shared_config::keepalived::{parse, print};
use shared_config::render::{Colour, human, keepalived_line};
use shared_config::source::{Sources, encode};
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

/// The folder of the golden files, with names as short as a configuration has them.
struct Folder(PathBuf);

impl Files for Folder {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let path = self.0.join(path);
        if path.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        std::fs::read(path)
    }

    fn identity(&self, path: &Path) -> PathBuf {
        let mut plain = PathBuf::new();
        for part in path {
            if part == ".." {
                plain.pop();
            } else {
                plain.push(part);
            }
        }
        plain
    }

    fn names(&self, directory: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.join(directory)).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
    }

    fn exists(&self, path: &Path) -> bool {
        self.0.join(path).exists()
    }
}

fn read(path: &Path, bytes: &[u8]) -> (Sources, File, Diagnostics) {
    let files = Folder(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keepalived"));
    let mut sources = Sources::new();
    let root = sources.add(path, bytes);
    let mut diagnostics = Diagnostics::new();
    let mut environment = Environment {
        config_id: "main",
        files: &files,
        random: &mut |range| *range.end(),
        variable: &|name| (name == "HOME").then(|| "/root".to_owned()),
        limits: Limits { expanded_bytes: 10_000, rounds: 20 },
    };
    let parsed = parse(&mut sources, root, &mut environment, &mut diagnostics);
    (sources, parsed.file, diagnostics)
}

/// The tree, then what is wrong.
pub(crate) fn render(path: &Path, bytes: &[u8]) -> String {
    let (sources, file, diagnostics) = read(path, bytes);
    let mut out = String::new();
    statements(&mut out, &file.statements, 0, &sources);
    for diagnostic in diagnostics.iter() {
        let human = human(diagnostic, &sources, Colour::Never);
        let _ = writeln!(out, "\n{human}\n\n{}", keepalived_line(diagnostic, &sources));
    }
    let printed = print::print(&file);
    let (_, again, _) = read(path, &encode(&printed));
    assert_eq!(print::print(&again), printed, "{}", path.display());
    out
}

/// `7 priority@3 100@12`: the line, then each word with the column where it starts.
fn statements(out: &mut String, list: &[Statement], depth: usize, sources: &Sources) {
    for statement in list {
        let source = sources.get(statement.span.source).path().display();
        let line = sources.position(statement.span).line;
        let _ = write!(out, "{:indent$}{source}:{line}", "", indent = depth * 2);
        for word in &statement.words {
            let _ = write!(out, " {:?}@{}", word.text, sources.position(word.span).column);
        }
        out.push('\n');
        statements(out, statement.statements(), depth + 1, sources);
    }
}
