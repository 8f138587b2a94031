//! What the program says about itself.

use crate::limits;
use shared_config::diagnostic::DIAGNOSTICS_MAX;
use shared_config::haproxy::predicate::Facts;
use shared_config::haproxy::{LINE_BYTES_MAX, WORDS_MAX};
use shared_config::source::FILE_BYTES_MAX;
use std::fmt::Write as _;

/// The version of haproxy whose language and defaults are followed: what `version_atleast` compares with.
const HAPROXY_VERSION: &str = "3.5.0";

/// What `feature(…)` finds, by haproxy's names.
const FEATURES: [&str; 4] = ["ACCEPT4", "EPOLL", "GETADDRINFO", "THREAD"];

/// Features of haproxy that are not here, for the same list.
const MISSING: [&str; 14] = [
    "LINUX_SPLICE",
    "LINUX_TPROXY",
    "LUA",
    "NS",
    "OPENSSL",
    "OT",
    "PCRE",
    "PCRE2",
    "PROMEX",
    "QUIC",
    "SLZ",
    "TFO",
    "TPROXY",
    "ZLIB",
];

/// What `.if` and `-cc` may ask.
pub fn facts() -> Facts {
    Facts {
        version: HAPROXY_VERSION.to_owned(),
        features: FEATURES.iter().map(|&name| name.to_owned()).collect(),
        enabled: ["EPOLL", "GETADDRINFO", "REUSEPORT"].iter().map(|&name| name.to_owned()).collect(),
        ..Facts::default()
    }
}

/// `-v`. Under haproxy's name the first line is one that scripts for haproxy understand.
pub fn short(program: &str) -> String {
    let own = env!("CARGO_PKG_VERSION");
    if program == "haproxy" {
        format!("HAProxy version {HAPROXY_VERSION}-proxyd-{own} (proxyd {own} under the name of haproxy)\n")
    } else {
        format!("proxyd version {own}, compatible with HAProxy version {HAPROXY_VERSION}\n")
    }
}

/// `-vv`
pub fn long(program: &str) -> String {
    let mut text = short(program);
    let features = FEATURES
        .iter()
        .map(|name| format!("+{name}"))
        .chain(MISSING.iter().map(|name| format!("-{name}")))
        .collect::<Vec<_>>()
        .join(" ");
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "Build options :\n  TARGET  = linux-glibc\n  CPU     = {}\n\nFeature list : {features}\n\nLimits :\n",
        std::env::consts::ARCH
    );
    let own: [(&str, usize, &str); 4] = [
        ("configuration file", FILE_BYTES_MAX, "bytes"),
        ("configuration line", LINE_BYTES_MAX, "bytes"),
        ("words of a line", WORDS_MAX, ""),
        ("reported problems", DIAGNOSTICS_MAX, ""),
    ];
    for (name, limit, unit) in own {
        let _ = writeln!(text, "  {name} = {limit} {unit}");
    }
    let path: [(&str, usize, &str); 4] = [
        ("tune.bufsize", limits::BUFFER_SIZE, "bytes"),
        ("tune.maxrewrite", limits::REWRITE_RESERVE, "bytes"),
        ("message head", limits::HEAD_MAX, "bytes"),
        ("tune.http.maxhdr", limits::FIELDS_MAX, ""),
    ];
    for (name, limit, unit) in path {
        let _ = writeln!(text, "  {name} = {limit} {unit}");
    }
    text
}

/// What is said where the command line cannot be understood.
pub fn usage(program: &str) -> String {
    format!(
        "{}Usage : {program} -f <file|directory> [-f …] [options] [-- <file> …]

 What to do
  -c            check the configuration; with -V also say that it is valid
  -cc <cond>    evaluate a condition as after '.if': 0 true, 1 false, 2 wrong
  -v, -vv       print the version, with its features and limits
  -dK<class>    print all known keywords (all, acl, cfg, cli, cnv, flt, smp, svc)

 How to run
  -D            in the background           -db   never in the background
  -d            in the foreground, talking  -q    only errors      -V   all messages
  -W, -Ws       as a master process would, -Ws telling systemd
  -S <address>[,<parameter>…]               the master's runtime socket
  -p <file>     write the process number    -C <dir>  enter this directory first
  -n <number>   maxconn of the process      -N <number>  maxconn of frontends that have none
  -m <megabytes>  limit of memory           -L <name>  name among peers
  -dW           a warning is as bad as an error
  -dr           a server whose name cannot be resolved is no error
  -dD, -dV, -dC, -dM, -dI and the others of haproxy are accepted

 Taking over
  -sf <pid> …   tell them to finish once everything is bound; -st to stop at once
  -x <socket>   take the listening sockets from this runtime socket

 Problems of the configuration
  --diagnostics=human|haproxy|json   with source lines, in haproxy's words, for programs
",
        short(program)
    )
}
