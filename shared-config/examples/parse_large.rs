//! Reads a generated haproxy.cfg of 100,000 lines once, for `/usr/bin/time -v`: the memory goal is 60 MB.

#[path = "../benches/generated.rs"]
mod generated;

use shared_config::haproxy::env::Env;
use shared_config::haproxy::load::Input;
use shared_config::haproxy::parse;
use shared_config::haproxy::predicate::Facts;
use std::io::Write as _;

fn main() -> std::io::Result<()> {
    let lines = std::env::args().nth(1).and_then(|lines| lines.parse().ok()).unwrap_or(100_000);
    let bytes = generated::haproxy_cfg(lines).into_bytes();
    let length = bytes.len();
    let parsed = parse(vec![Input { path: "haproxy.cfg".into(), bytes }], Env::default(), &Facts::default());
    let statements: usize = parsed.file.sections.iter().map(|section| 1 + section.statements.len()).sum();
    let diagnostics = parsed.diagnostics.iter().count();
    writeln!(std::io::stdout(), "{length} bytes, {statements} statements, {diagnostics} diagnostics")
}
