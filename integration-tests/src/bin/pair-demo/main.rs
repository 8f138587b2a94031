//! The main job, live: two hosts share one address; the master's proxy is killed, then the whole host; requests go on.
//!
//! `pair-demo [--once] [--theirs]`: `--once` runs the story unattended and fails when a promise is broken; `--theirs`
//! runs haproxy and keepalived instead of proxyd and vrrpd, for comparison.

mod story;
mod view;

use anyhow::{Context, Result, bail};
use integration_tests::subject::Subject;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            view::problem(&error);
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let (mut once, mut subject) = (false, Subject::Ours);
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--once" => once = true,
            "--theirs" => subject = Subject::Theirs,
            other => bail!("unknown argument {other}; usage: pair-demo [--once] [--theirs]"),
        }
    }
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).context("signal handler")?;
    }
    story::tell(subject, once, &stop)
}
