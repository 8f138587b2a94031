//! The invariants of ARCHITECTURE.md, held by reading the source as text.

use std::fmt::Write;
use std::path::{Path, PathBuf};

/// The layers of a daemon, lowest first. See ARCHITECTURE.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Layer {
    /// Pure: std only, time is an argument.
    Decide,
    /// The model, and the lowering of a tree into it.
    Config,
    /// Sockets, netlink, processes, the clock.
    Drive,
    /// Command line, start, signals: may use everything.
    Process,
}

use Layer::{Config, Decide, Drive, Process};

/// The top-level modules of proxyd. A new module must be given its layer here.
const PROXYD: &[(&str, Layer)] = &[
    ("balance", Decide),
    ("generation", Decide),
    ("health", Decide),
    ("http", Decide),
    ("ids", Decide),
    ("limits", Decide),
    ("log", Decide),
    ("proxy", Decide),
    ("proxy_protocol", Decide),
    ("resolvers", Decide),
    ("rules", Decide),
    ("sample", Decide),
    ("stats", Decide),
    ("stick", Decide),
    ("termination", Decide),
    ("config", Config),
    ("check", Drive),
    ("cli", Drive),
    ("clock", Drive),
    ("log_forward", Drive),
    ("log_sink", Drive),
    ("name_service", Drive),
    ("net", Drive),
    ("session", Drive),
    ("sys", Drive),
    ("worker", Drive),
    ("args", Process),
    ("command", Process),
    ("dump_keywords", Process),
    ("process", Process),
    ("running", Process),
];

/// The top-level modules of vrrpd.
const VRRPD: &[(&str, Layer)] = &[
    ("command", Decide),
    ("limits", Decide),
    ("notify", Decide),
    ("route", Decide),
    ("packet", Decide),
    ("router", Decide),
    ("sync_group", Decide),
    ("track", Decide),
    ("vrrp", Decide),
    ("config", Config),
    ("clock", Drive),
    ("io", Drive),
    ("sys", Drive),
    ("log", Drive),
    ("systemd", Drive),
    ("args", Process),
    ("daemon", Process),
    ("dump", Process),
    ("run", Process),
    ("running", Process),
    ("start", Process),
    ("status", Process),
];

/// What a deciding module never mentions, and why.
const NOT_IN_DECIDE: &[(&str, &str)] = &[
    ("tokio", "a runtime"),
    ("clock::", "the clock; time is an argument"),
    ("Instant::now", "the clock; time is an argument"),
    ("SystemTime::now", "the clock; time is an argument"),
    ("std::fs", "files"),
    ("std::process", "processes"),
    ("TcpStream", "sockets"),
    ("TcpListener", "sockets"),
    ("UdpSocket", "sockets"),
    ("UnixStream", "sockets"),
    ("thread::spawn", "threads"),
];

/// The most lines of a source file without its tests. Longer files are two rooms; tables are
/// data, not rooms.
const FILE_LINES_MAX: usize = 720;
const TABLES: &[&str] = &["shared-config/src/haproxy/keyword/", "shared-config/src/keepalived/keyword"];

/// A source file: where it is, and its lines before the tests, without comments.
struct Source {
    path: String,
    /// Line numbers from 1, with the code of the line.
    code: Vec<(usize, String)>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() && name != "target" && name != ".git" {
            files(&path, found);
        } else if path.is_file() {
            found.push(path);
        }
    }
}

fn sources(folder: &str) -> Vec<Source> {
    let root = root();
    let mut found = Vec::new();
    files(&root.join(folder), &mut found);
    found.sort();
    let sources: Vec<Source> = found
        .iter()
        .filter(|path| path.extension().is_some_and(|e| e == "rs") && !path.to_string_lossy().ends_with("tests.rs"))
        .map(|path| {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            let code = text
                .lines()
                .take_while(|line| *line != "#[cfg(test)]")
                .enumerate()
                .map(|(i, line)| (i + 1, line.split("//").next().unwrap_or_default().to_owned()))
                .collect();
            Source { path: path.strip_prefix(&root).unwrap_or(path).display().to_string(), code }
        })
        .collect();
    assert!(!sources.is_empty(), "no source under {folder}: the test reads the wrong place");
    sources
}

/// The top-level module of a file below `CRATE/src/`.
fn module<'a>(krate: &str, path: &'a str) -> Option<&'a str> {
    let below = path.strip_prefix(krate)?.strip_prefix("/src/")?;
    let name = below.split(['/', '.']).next()?;
    (!matches!(name, "main" | "lib")).then_some(name)
}

/// The names after `crate::` in a line, those in braces too.
fn crate_uses(line: &str) -> Vec<&str> {
    let name = |text: &str| -> usize { text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len()) };
    let mut names = Vec::new();
    for (at, _) in line.match_indices("crate::") {
        let rest = &line[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(list) => names.extend(list.split(',').map(|part| {
                let part = part.trim();
                &part[..name(part)]
            })),
            None => names.push(&rest[..name(rest)]),
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

fn complaints_about_layers(krate: &str, layers: &[(&str, Layer)]) -> String {
    let layer_of = |module: &str| layers.iter().find(|(name, _)| *name == module).map(|&(_, layer)| layer);
    let mut complaints = String::new();
    for source in sources(&format!("{krate}/src")) {
        let Some(module) = module(krate, &source.path) else { continue };
        let Some(layer) = layer_of(module) else {
            let _ = writeln!(complaints, "{}: module `{module}` has no layer in tidy.rs", source.path);
            continue;
        };
        for (number, line) in &source.code {
            let mut complain = |what: &str| {
                let _ = writeln!(complaints, "{}:{number}: {layer:?} must not use {what}", source.path);
            };
            for used in crate_uses(line) {
                let allowed = match (layer, layer_of(used)) {
                    (_, None) | (Process, _) => true,
                    (Decide, Some(used)) => used == Decide,
                    (Config, Some(used)) => used <= Config,
                    (Drive, Some(used)) => used == Decide || used == Drive,
                };
                if !allowed {
                    complain(&format!("crate::{used}"));
                }
            }
            if line.contains("shared_config") && matches!(layer, Decide | Drive) {
                complain("shared_config: only the lowering knows the language");
            }
            if layer == Decide {
                for (word, why) in NOT_IN_DECIDE.iter().filter(|(word, _)| line.contains(word)) {
                    complain(&format!("{word} ({why})"));
                }
            }
        }
    }
    complaints
}

#[test]
fn layers_of_proxyd() {
    let complaints = complaints_about_layers("proxyd", PROXYD);
    assert!(complaints.is_empty(), "\n{complaints}");
}

#[test]
fn layers_of_vrrpd() {
    let complaints = complaints_about_layers("vrrpd", VRRPD);
    assert!(complaints.is_empty(), "\n{complaints}");
}

#[test]
fn language_knows_neither_daemon() {
    for source in sources("shared-config/src") {
        for (number, line) in &source.code {
            for daemon in ["proxyd::", "vrrpd::", "tokio"] {
                assert!(!line.contains(daemon), "{}:{number}: {daemon}", source.path);
            }
        }
    }
}

#[test]
fn unsafe_only_in_sys() {
    for folder in ["shared-config/src", "proxyd/src", "vrrpd/src", "integration-tests/src", "integration-tests/bench"] {
        for source in sources(folder) {
            if source.path.ends_with("/src/sys.rs") {
                continue;
            }
            for (number, line) in &source.code {
                let tells = line.contains("unsafe {") || line.contains("unsafe fn") || line.contains("unsafe impl");
                assert!(!tells, "{}:{number}: unsafe outside sys.rs", source.path);
            }
        }
    }
}

#[test]
fn clock_is_read_in_one_place() {
    for folder in ["shared-config/src", "proxyd/src", "vrrpd/src"] {
        for source in sources(folder).iter().filter(|source| !source.path.ends_with("/src/clock.rs")) {
            for (number, line) in &source.code {
                let reads = line.contains("Instant::now(") || line.contains("SystemTime::now(");
                assert!(!reads, "{}:{number}: the clock is read outside clock.rs", source.path);
            }
        }
    }
}

#[test]
fn files_are_rooms_not_halls() {
    let mut long = String::new();
    for source in
        ["shared-config/src", "proxyd/src", "vrrpd/src", "integration-tests/src"].map(sources).iter().flatten()
    {
        if source.code.len() > FILE_LINES_MAX && !TABLES.iter().any(|table| source.path.starts_with(table)) {
            let _ = writeln!(long, "{}: {} lines, at most {FILE_LINES_MAX}", source.path, source.code.len());
        }
    }
    assert!(long.is_empty(), "\n{long}");
}

#[test]
fn every_folder_stands_in_architecture() {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let mut folders: Vec<String> = Vec::new();
    let mut all = Vec::new();
    files(&root(), &mut all);
    for path in all {
        let path = path.strip_prefix(root()).unwrap().to_path_buf();
        let mut folder = path.parent();
        while let Some(name) = folder.filter(|f| !f.as_os_str().is_empty()) {
            folders.push(format!("{}/", name.display()));
            folder = name.parent();
        }
    }
    folders.sort();
    folders.dedup();
    assert!(folders.len() > 10, "the test reads the wrong place");
    // Folders below a crate's `src/` stand there under their own name: `balance/`.
    let shown = |folder: &str| folder.split_once("/src/").map_or(folder, |(_, below)| below).to_owned();
    let missing: Vec<_> = folders
        .iter()
        .filter(|folder| !folder.ends_with("/src/") && !text.contains(&format!("`{}`", shown(folder))))
        .collect();
    assert!(missing.is_empty(), "folders that ARCHITECTURE.md does not name: {missing:?}");
}

#[test]
fn invariants_are_told_apart() {
    assert_eq!(crate_uses("use crate::{balance, config::model};"), ["balance", "config"]);
    assert_eq!(crate_uses("let x = crate::net::accept(crate::limits::MAX);"), ["net", "limits"]);
    assert_eq!(module("proxyd", "proxyd/src/http/h1.rs"), Some("http"));
    assert_eq!(module("proxyd", "proxyd/src/main.rs"), None);
}
