//! Lowering golden files: `config/NAME.cfg` becomes `config/NAME.out`, the model and everything that is said about the
//! file. Of the model, what is off, empty or `None` is left out. `BLESS=1` writes the files anew.

use proxyd::config::model::Model;
use proxyd::config::{self, Loaded, Request};
use shared_config::diagnostic::Diagnostics;
use shared_config::haproxy::env::Env;
use shared_config::haproxy::load::Input;
use shared_config::render::{self, Colour};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

fn load(path: &Path) -> Loaded {
    let bytes = std::fs::read(path).expect("a golden file");
    let name = PathBuf::from(path.file_name().expect("a file's name"));
    let request = Request { env: Env::new([("HOME", "/")]), ..Request::default() };
    config::lower(vec![Input { path: name, bytes }], request, Diagnostics::new())
}

/// The model without what says nothing.
fn dump(model: &Model) -> String {
    let mut model = model.clone();
    model.global.environment.clear();
    let text = format!("{model:#?}");
    let is_empty = |line: &&str| {
        [": None,", ": false,", ": [],", ": {},", ": 0ns,", ": Default,", ": \"\","]
            .iter()
            .any(|end| line.ends_with(end))
    };
    let mut lines: Vec<&str> = text.lines().filter(|line| !is_empty(line)).collect();
    // What held only such lines is now a pair of brackets.
    loop {
        let before = lines.len();
        let mut index = 0;
        while index + 1 < lines.len() {
            let opens = lines[index].ends_with('{') || lines[index].ends_with('(') || lines[index].ends_with('[');
            let closes = matches!(lines[index + 1].trim().trim_end_matches(','), "}" | ")" | "]");
            if opens && closes {
                lines.drain(index..=index + 1);
            } else {
                index += 1;
            }
        }
        if lines.len() == before {
            break;
        }
    }
    lines.join("\n")
}

fn shown(path: &Path) -> String {
    let loaded = load(path);
    let mut text = String::new();
    for diagnostic in loaded.diagnostics.iter() {
        let _ = writeln!(text, "{}\n", render::human(diagnostic, &loaded.sources, Colour::Never));
    }
    if !loaded.diagnostics.has_errors() {
        text.push_str(&dump(&loaded.model));
        text.push('\n');
    }
    text
}

#[test]
fn golden_files() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config");
    let mut wrong = String::new();
    let mut files = 0;
    for entry in std::fs::read_dir(&folder).expect("the folder is there") {
        let path = entry.expect("a readable entry").path();
        if path.extension().is_none_or(|extension| extension != "cfg") {
            continue;
        }
        files += 1;
        let expected_path = path.with_extension("out");
        let found = shown(&path);
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&expected_path, &found).expect("the folder is writable");
            continue;
        }
        let expected = std::fs::read_to_string(&expected_path).unwrap_or_default();
        if let Some(number) = expected.lines().zip(found.lines()).position(|(a, b)| a != b) {
            let _ = writeln!(
                wrong,
                "{}:{}: expected `{}`, found `{}`",
                expected_path.display(),
                number + 1,
                expected.lines().nth(number).unwrap_or_default(),
                found.lines().nth(number).unwrap_or_default()
            );
        } else if expected != found {
            let _ = writeln!(wrong, "{}: lengths differ", expected_path.display());
        }
    }
    assert!(files > 0, "there are golden files");
    assert!(wrong.is_empty(), "{wrong}");
}

/// What people run today can be started: nothing in it is refused.
#[test]
fn known_configurations_start() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config");
    for name in ["http-cluster", "tcp-send-proxy", "paths-and-cookies", "source-ranges", "database"] {
        let loaded = load(&folder.join(name).with_extension("cfg"));
        let said: Vec<_> = loaded.diagnostics.iter().map(|diagnostic| &diagnostic.message).collect();
        assert!(!loaded.is_refused(), "{name}: {said:#?}");
    }
}

/// A large configuration is lowered whole.
#[test]
fn ten_thousand_servers() {
    let text = |servers: usize| {
        let mut text =
            String::from("listen l\n bind 127.0.0.1:1\n timeout client 1s\n timeout server 1s\n timeout connect 1s\n");
        for i in 0..servers {
            let _ = writeln!(
                text,
                " server s{i} 10.{}.{}.{}:80 check cookie c{i} maxconn 9",
                i / 65_536,
                i / 256 % 256,
                i % 256
            );
        }
        text
    };
    let input = Input { path: "big.cfg".into(), bytes: text(10_000).into_bytes() };
    let loaded = config::lower(vec![input], Request::default(), Diagnostics::new());
    assert!(loaded.diagnostics.is_empty(), "nothing to say");
    assert_eq!(loaded.model.backends[0].servers.len(), 10_000);
}
