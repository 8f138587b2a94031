//! `show events`: what rings hold.

use std::fmt::Write as _;
use std::future::poll_fn;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

use crate::generation::Generation;
use crate::log::ring::{Reader, Start};

/// How many bytes of messages are written at once.
const CHUNK: usize = 16_384;

/// An answer that is written while it is made.
#[derive(Debug)]
pub(super) struct Events {
    reader: Reader,
    /// `-w`: go on until the client says something or leaves.
    wait: bool,
    /// What ends each message: a line feed, or with `-0` a zero.
    end: u8,
}

/// The list of rings, or what is wrong with the command.
pub(super) enum Answer {
    Text(Result<String, String>),
    Events(Events),
}

/// `show events [NAME [-w] [-n] [-0]]`
pub(super) fn show(generation: &Generation, words: &[&str]) -> Answer {
    let Some((name, options)) = words.split_first() else { return Answer::Text(Ok(list(generation))) };
    let Some(ring) = generation.rings.iter().find(|ring| ring.settings().name == *name) else {
        return Answer::Text(Err("No such event sink".to_owned()));
    };
    let (mut wait, mut start, mut end) = (false, Start::Oldest, b'\n');
    for option in options {
        match *option {
            "-w" => wait = true,
            "-n" => start = Start::Next,
            "-0" => end = 0,
            // Several letters at once.
            letters
                if letters.len() > 2
                    && letters.strip_prefix('-').is_some_and(|all| all.chars().all(|c| "wn0".contains(c))) =>
            {
                wait |= letters.contains('w');
                start = if letters.contains('n') { Start::Next } else { start };
                end = if letters.contains('0') { 0 } else { end };
            }
            _ => return Answer::Text(Err("unknown option".to_owned())),
        }
    }
    Answer::Events(Events { reader: ring.reader(start, false), wait, end })
}

fn list(generation: &Generation) -> String {
    let mut out =
        "Supported events sinks are listed below. Add -0(zero), -w(wait), -n(new). Any key to stop\n".to_owned();
    for (name, description) in [("stdout", "standard output (fd#1)"), ("stderr", "standard output (fd#2)")] {
        let _ = writeln!(out, "    {name:<10} : type=fd, 0 dropped, {description}");
    }
    for ring in &generation.rings {
        let settings = ring.settings();
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "    {:<10} : type=buffer, {} dropped, {}",
            settings.name,
            ring.dropped(),
            settings.description
        );
    }
    out
}

impl Events {
    /// Writes the messages, and with `-w` those that come, for as long as the client says nothing. It has `limit` to take some.
    pub(super) async fn write(
        mut self,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
        limit: Duration,
    ) -> io::Result<()> {
        let (mut message, mut chunk) = (Vec::new(), Vec::new());
        loop {
            while chunk.len() < CHUNK && self.reader.next(&mut message) {
                chunk.append(&mut message);
                chunk.push(self.end);
            }
            if !chunk.is_empty() {
                timeout(limit, stream.write_all(&chunk)).await??;
                chunk.clear();
                continue;
            }
            if !self.wait {
                return Ok(());
            }
            let reader = &mut self.reader;
            tokio::select! {
                more = poll_fn(|context| reader.poll_next(context, &mut message)) => {
                    if more.is_none() {
                        return Ok(());
                    }
                    chunk.append(&mut message);
                    chunk.push(self.end);
                }
                // Any key, or the client's end.
                _ = stream.read_u8() => return Ok(()),
            }
        }
    }
}
