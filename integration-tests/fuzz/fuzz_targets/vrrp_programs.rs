//! Any bytes where vrrpd reads what other programs write: messages of the kernel's process connector, command lines of
//! processes, tracked files, replies of a mail server. What check and notify scripts write is not read at all, and nothing
//! is read from FIFOs.
//!
//! The first octet chooses the reader.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use std::time::Duration;
use vrrpd::notify::mail::{Login, Mail, Security, Settings, Trust};
use vrrpd::notify::smtp::{Dialogue, Reader, Step};
use vrrpd::track::file;
use vrrpd::track::process::{self, ParamMatch, event};

static MAIL: LazyLock<Settings> = LazyLock::new(|| Settings {
    host: "mail.example".to_owned(),
    port: 25,
    helo_name: "helo.example".to_owned(),
    timeout: Duration::from_secs(1),
    from: "from@example.com".to_owned(),
    to: vec!["admin@example.com".to_owned()],
    router_id: "r1".to_owned(),
    faults: true,
    security: Security::StartTls(Trust::System),
    login: Some(Login { user: "user".to_owned(), password: "secret".to_owned() }),
});

fuzz_target!(|data: &[u8]| {
    let Some((choice, rest)) = data.split_first() else { return };
    match choice % 4 {
        0 => drop(event::parse(rest)),
        1 => drop(file::parse(rest)),
        2 => command_line(rest),
        _ => mail_server(rest),
    }
});

fn command_line(line: &[u8]) {
    for param_match in [ParamMatch::None, ParamMatch::Exact, ParamMatch::Partial, ParamMatch::Initial] {
        let settings = process::Settings {
            name: "tp".to_owned(),
            process: vec!["a".to_owned(), "b".to_owned()],
            param_match,
            full_command: true,
            quorum: 1,
            quorum_max: None,
            fork_delay: Duration::ZERO,
            terminate_delay: Duration::ZERO,
        };
        let _counts = settings.matches(line, line);
    }
}

/// Each line of the input is a packet; a zero octet begins TLS.
fn mail_server(text: &[u8]) {
    let mail = Mail { subject: "S".to_owned(), body: "B" };
    let (mut reader, mut dialogue) = (Reader::default(), Dialogue::new(&MAIL, &mail, "D"));
    let mut sent = 0;
    for piece in text.split_inclusive(|octet| *octet == b'\n') {
        reader.push(piece);
        loop {
            let step = match reader.reply() {
                Ok(Some(reply)) => dialogue.reply(&reply),
                Ok(None) => break,
                Err(_) => return,
            };
            match step {
                Step::Send(line) => {
                    assert!(line.ends_with("\r\n"));
                    sent += 1;
                }
                Step::StartTls => drop(dialogue.secured()),
                Step::Done | Step::Failed(_) => return,
            }
        }
    }
    assert!(sent <= text.len(), "no reply is answered twice");
}
