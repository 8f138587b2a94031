//! Any bytes as what other hosts send to a `log-forward` section: cut into messages, as a stream would be, each read and written
//! again in every format.

#![no_main]

use libfuzzer_sys::fuzz_target;
use proxyd::log::date::Date;
use proxyd::log::frames::Frames;
use proxyd::log::message::{Message, Missing};
use proxyd::log::target::SyslogFormat;

const FORMATS: [SyslogFormat; 9] = [
    SyslogFormat::Default,
    SyslogFormat::Rfc3164,
    SyslogFormat::Rfc5424,
    SyslogFormat::Short,
    SyslogFormat::Priority,
    SyslogFormat::Timed,
    SyslogFormat::Iso,
    SyslogFormat::Local,
    SyslogFormat::Raw,
];

fuzz_target!(|bytes: &[u8]| {
    for lines_only in [false, true] {
        let mut frames = Frames::new(lines_only);
        let mut total = 0;
        for piece in bytes.chunks(7) {
            frames.add(piece);
            while let Ok(Some(message)) = frames.next_message() {
                total += message.len();
                look_at(message);
            }
        }
        assert!(total <= bytes.len());
    }
    look_at(bytes);
});

/// What is written ends with the text, which the message ends with.
fn look_at(bytes: &[u8]) {
    let message = Message::parse(bytes);
    let missing = Missing { facility: 16, now: Date { since_epoch: std::time::Duration::ZERO, utc_offset: 0 }, host: None };
    for format in FORMATS {
        let mut out = Vec::new();
        message.capped(5).write(&mut out, format, missing);
        assert!(out.ends_with(message.text) && out.len() <= bytes.len() + 100);
    }
}
