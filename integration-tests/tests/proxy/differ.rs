//! A short run of `proxy-differ`: the same strange bytes through the proxy and through haproxy, without a difference that is not
//! meant. With `SUBJECT=theirs` haproxy stands on both sides, which shows that the harness is true.

use integration_tests::subject::Subject;
use std::process::Command;

/// Cases of each kind; a few seconds of them.
const CASES: &str = "4000";

fn differs(what: &str) {
    let program = Subject::from_env().proxy().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_proxy-differ"));
    let output = command.arg(program).env("WHAT", what).env("SEED", "1").env("N", CASES).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&[output.stdout, output.stderr].concat()));
}

#[test]
fn requests() {
    differs("requests");
}

#[test]
fn answers() {
    differs("answers");
}
