//! `severity-output` and `set severity-output`: what answers of the runtime socket begin with; `operator` and `user`.

use super::rig::{Rig, command};
use std::path::PathBuf;

const CONFIG: &str = "
global
    stats socket {runtime} level admin severity-output number
    stats socket {runtime}-text level user severity-output string
    stats socket {runtime}-plain level admin severity-output none
defaults
    mode http
    timeout client 5s
    timeout server 5s
    timeout connect 1s
listen l
    bind {front} severity-output number
    stick-table type ip size 10
    server s {server} check inter 1h
";

/// A socket, a line of commands, and the whole answer.
const CASES: &[(&str, &str, &str)] = &[
    ("", "disable server l/s; enable server l/s", "\n\n"),
    ("", "disable server l/x", "[3]: No such server.\n\n"),
    ("", "set weight l/s 10; get weight l/s", "\n10 (initial 1)\n\n"),
    ("", "show table x", "[3]: No such table\n\n"),
    ("", "show events x", "[3]: No such event sink\n"),
    ("", "show sess 0x1fffffffff", "Session not found.\n\n"),
    ("", "get map none /a", "[3]: Unknown map identifier. Please use #<id> or <file>.\n\n"),
    ("", "show cli level", "[6]: admin\n\n"),
    ("", "set server l/s addr 127.0.0.1", "[4]: no need to change the addr by 'stats socket command'\n\n"),
    ("", "set severity-output", "[3]: one of 'none', 'number', 'string' is a required argument\n\n"),
    ("", "set severity-output x", "[3]: one of 'none', 'number', 'string' is a required argument\n\n"),
    ("", "set severity-output none; get weight l/x", "\nNo such server.\n\n"),
    ("", "set severity-output string; get weight l/x; show cli level", "\n[err]: No such server.\n\n[info]: admin\n\n"),
    ("", "operator; show cli level; disable server l/s; user", "\n[6]: operator\n\n[3]: Permission denied\n\n\n"),
    ("", "user; operator; show cli level", "\n[3]: Permission denied\n\n[6]: user\n\n"),
    ("-text", "clear counters", "[err]: Permission denied\n\n"),
    ("-text", "set severity-output number; clear counters", "\n[3]: Permission denied\n\n"),
    ("-plain", "disable server l/x; show cli level", "No such server.\n\nadmin\n\n"),
];

#[test]
fn answers_say_what_kind_they_are() {
    let rig = Rig::start("severity", CONFIG, Vec::new());
    for (socket, line, expected) in CASES {
        let path = PathBuf::from(format!("{}{socket}", rig.runtime().display()));
        assert_eq!(command(&path, line), *expected, "{socket} {line}");
    }
    // The start of a long one is enough.
    assert!(rig.command("no such command").starts_with("[6]: Unknown command"));
    assert!(rig.command("help").starts_with("[6]: "));
}
