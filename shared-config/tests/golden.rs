//! Golden files: what becomes of the files in `tests/haproxy` and `tests/keepalived` is written beside them, in a file
//! whose name ends in `.out`. `BLESS=1 cargo test -p shared-config --test golden` writes them anew; review the difference.

mod golden {
    pub(crate) mod haproxy;
    pub(crate) mod keepalived;
}

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// Renders every file of a folder with this extension, and compares with the text beside it.
fn check(folder: &str, extension: &str, render: impl Fn(&Path, &[u8]) -> String) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut inputs: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    inputs.retain(|path| path.extension().is_some_and(|found| found == extension));
    inputs.sort();
    assert!(!inputs.is_empty(), "no .{extension} files in {}", folder.display());
    let bless = env::var_os("BLESS").is_some();
    let mut differences = String::new();
    for input in inputs {
        let name = Path::new(input.file_name().expect("a file name"));
        let rendered = render(name, &fs::read(&input).expect("a readable file"));
        let output = input.with_extension("out");
        if bless {
            fs::write(&output, rendered).expect("a writable file");
            continue;
        }
        let expected = fs::read_to_string(&output).unwrap_or_default();
        if let Some(difference) = first_difference(&expected, &rendered) {
            let _ = writeln!(differences, "{}: {difference}", name.display());
        }
    }
    assert!(differences.is_empty(), "not as expected (BLESS=1 accepts it):\n{differences}");
}

fn first_difference(expected: &str, rendered: &str) -> Option<String> {
    if expected == rendered {
        return None;
    }
    let line = expected.lines().zip(rendered.lines()).take_while(|(a, b)| a == b).count();
    let show = |text: &str| text.lines().nth(line).unwrap_or("(end)").to_owned();
    Some(format!("line {}:\n  expected {}\n  found    {}", line + 1, show(expected), show(rendered)))
}

#[test]
fn haproxy() {
    check("haproxy", "cfg", golden::haproxy::render);
}

#[test]
fn keepalived() {
    check("keepalived", "conf", golden::keepalived::render);
}
