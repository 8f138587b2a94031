use super::*;
use proptest::prelude::*;
use std::time::Duration;

const NOW: Missing<'static> = Missing {
    facility: 19,
    now: Date { since_epoch: Duration::from_micros(1_795_872_964_635_971), utc_offset: 0 },
    host: None,
};

fn written(message: &str, format: SyslogFormat) -> String {
    let mut out = Vec::new();
    Message::parse(message.as_bytes()).write(&mut out, format, NOW);
    String::from_utf8(out).unwrap()
}

/// Messages, and what haproxy 2.6 makes of them without a format, as `rfc5424` and as `raw`.
const RELAYED: &[[&str; 4]] = &[
    [
        "<13>Nov 28 13:36:04 myhost tag[123]: hello",
        "<13>Nov 28 13:36:04 myhost tag[123]: hello",
        "<13>1 2026-11-28T13:36:04-00:00 myhost tag 123 - - hello",
        "hello",
    ],
    [
        "<13>Nov  8 13:36:04 myhost tag: hello\n",
        "<13>Nov  8 13:36:04 myhost tag: hello",
        "<13>1 2026-11-08T13:36:04-00:00 myhost tag - - - hello",
        "hello",
    ],
    [
        "<13>Nov 28 13:36:04 tag[123]: no host",
        "<13>Nov 28 13:36:04 tag[123]: no host",
        "<13>1 2026-11-28T13:36:04-00:00 tag[123]: - - - - no host",
        "no host",
    ],
    [
        "<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - 'su root' failed",
        "<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - 'su root' failed",
        "<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - 'su root' failed",
        "'su root' failed",
    ],
    ["<165>1 - - - - - - msg", "<165>msg", "<165>1 - - - - - - msg", "msg"],
    ["<13>1 - - app - - - app", "<13>Nov 28 13:36:04 app: app", "<13>1 - - app - - - app", "app"],
    ["<13>1 - host - - - - host", "<13>1 - host - - - - host", "<13>1 - host - - - - host", "host"],
    [
        "<13>1 2003-10-11T22:14:15.003Z - - - - - only time",
        "<13>only time",
        "<13>1 2003-10-11T22:14:15.003Z - - - - - only time",
        "only time",
    ],
    [
        r#"<13>1 2003-10-11T22:14:15.003Z h a p m [a@1 b="c\]\"\\" d="e"][f g="h"] sd msg"#,
        r#"<13>1 2003-10-11T22:14:15.003Z h a p m [a@1 b="c\]\"\\" d="e"][f g="h"] sd msg"#,
        r#"<13>1 2003-10-11T22:14:15.003Z h a p m [a@1 b="c\]\"\\" d="e"][f g="h"] sd msg"#,
        "sd msg",
    ],
    ["<6>short msg", "<6>short msg", "<6>1 2026-11-28T13:36:04.635971+00:00 - - - - - short msg", "short msg"],
    [
        "plain text here",
        "plain text here",
        "<152>1 2026-11-28T13:36:04.635971+00:00 - - - - - plain text here",
        "plain text here",
    ],
    ["", "", "<152>1 2026-11-28T13:36:04.635971+00:00 - - - - - ", ""],
    [
        "<13>Nov 28 13:36:04 myhost",
        "<13>Nov 28 13:36:04 myhost",
        "<13>1 2026-11-28T13:36:04.635971+00:00 - - - - - Nov 28 13:36:04 myhost",
        "Nov 28 13:36:04 myhost",
    ],
    [
        "<13>Nov 28 13:36:04 myhost tag hello there",
        "<13>Nov 28 13:36:04 myhost tag hello there",
        "<13>1 2026-11-28T13:36:04-00:00 myhost - - - - tag hello there",
        "tag hello there",
    ],
    [
        "<13>Nov 28 13:36:04 myhost a-b[1]:hello",
        "<13>Nov 28 13:36:04 myhost a-b[1]:hello",
        "<13>1 2026-11-28T13:36:04-00:00 myhost - - - - a-b[1]:hello",
        "a-b[1]:hello",
    ],
    [
        "<13>Nov 28 13:36:04 myhost a:b: x",
        "<13>Nov 28 13:36:04 myhost a:b: x",
        "<13>1 2026-11-28T13:36:04-00:00 myhost - - - - a:b: x",
        "a:b: x",
    ],
    [
        "<13>Nov 28 13:36:04 myhost : hello",
        "<13>Nov 28 13:36:04 myhost hello",
        "<13>1 2026-11-28T13:36:04-00:00 myhost - - - - hello",
        "hello",
    ],
    [
        "<013>Nov 28 13:36:04 myhost tag[]: x\n\0",
        "<13>Nov 28 13:36:04 myhost tag: x",
        "<13>1 2026-11-28T13:36:04-00:00 myhost tag - - - x",
        "x",
    ],
    [
        "<13>nov 28 13:36:04 myhost tag: x",
        "<13>nov 28 13:36:04 myhost tag: x",
        "<13>1 2026-11-28T13:36:04.635971+00:00 - - - - - nov 28 13:36:04 myhost tag: x",
        "nov 28 13:36:04 myhost tag: x",
    ],
];

#[test]
fn messages_are_relayed_as_haproxy_relays_them() {
    for [message, own, rfc5424, raw] in RELAYED {
        assert_eq!(written(message, SyslogFormat::Default), *own, "{message}");
        assert_eq!(written(message, SyslogFormat::Rfc5424), *rfc5424, "{message}");
        assert_eq!(written(message, SyslogFormat::Raw), *raw, "{message}");
    }
}

#[test]
fn every_format_can_be_written() {
    let old = "<13>Nov  8 13:36:04 myhost tag[123]: hello";
    let new = "<34>1 2003-10-01T22:14:15.003Z host su - ID47 - failed";
    for (format, of_old, of_new) in [
        (SyslogFormat::Rfc3164, old, "<34>Oct  1 22:14:15 host su: failed"),
        (SyslogFormat::Local, "<13>Nov  8 13:36:04 tag[123]: hello", "<34>Oct  1 22:14:15 su: failed"),
        (SyslogFormat::Short, "<5>hello", "<2>failed"),
        (SyslogFormat::Priority, "<13>hello", "<34>failed"),
        (SyslogFormat::Timed, "<5>2026-11-08T13:36:04-00:00 hello", "<2>2003-10-01T22:14:15.003Z failed"),
        (SyslogFormat::Iso, "2026-11-08T13:36:04-00:00 hello", "2003-10-01T22:14:15.003Z failed"),
    ] {
        assert_eq!(written(old, format), of_old);
        assert_eq!(written(new, format), of_new);
    }
    assert_eq!(written("text", SyslogFormat::Rfc3164), "<152>Nov 28 13:36:04 localhost text");
}

/// haproxy writes these differently: with other numbers, or without their last two bytes.
#[test]
fn what_is_no_header_is_text_to_its_end() {
    for text in ["<192>x", "<999>x", "<1000>x", "<>x", "<", "<1", "<a>x"] {
        assert_eq!(Message::parse(text.as_bytes()), Message { text: text.as_bytes(), ..Message::default() });
    }
    let broken = "<13>1 2003-10-11T22:14:15.003Z host app pid msgid [bad sd msg";
    assert_eq!(written(broken, SyslogFormat::Raw), broken.strip_prefix("<13>").unwrap());
    let short = "<13>1 2003-10-11T22:14:15.003Z host app pid msgid -";
    assert_eq!(written(short, SyslogFormat::Default), format!("{short} "));
}

#[test]
fn levels_are_capped() {
    let message = Message::parse(b"<8>x");
    assert_eq!((message.level(), message.capped(5).priority), (Some(0), Some(13)));
    assert_eq!(Message::parse(b"x").capped(5).level(), None);
}

proptest! {
    /// No bytes are a panic, and what a message is made of stands in it.
    #[test]
    fn every_sequence_of_bytes_is_a_message(
        head in prop_oneof![Just(""), Just("<13>"), Just("<13>1 "), Just("<13>Nov 28 13:36:04 "), Just("<13>1 - h a p m [")],
        rest in proptest::collection::vec(prop_oneof![Just(b' '), Just(b'-'), Just(b':'), Just(b'['), Just(b']'), Just(b'"'), any::<u8>()], 0..60),
    ) {
        let bytes = [head.as_bytes(), &rest].concat();
        let message = Message::parse(&bytes);
        prop_assert!(trimmed(&bytes).ends_with(message.text));
        for format in [SyslogFormat::Default, SyslogFormat::Rfc3164, SyslogFormat::Rfc5424, SyslogFormat::Timed] {
            let mut out = Vec::new();
            message.write(&mut out, format, NOW);
            prop_assert!(out.ends_with(message.text));
        }
    }

    /// What was written in a format with a header says the same when it is read again.
    #[test]
    fn reading_what_was_written(host in "[a-z]{1,8}", tag in "[a-z]{1,8}", process in "[0-9]{0,5}", text in "[a-z][a-z ]{0,20}") {
        let message = Message { priority: Some(13), host: host.as_bytes(), tag: tag.as_bytes(), process: process.as_bytes(), text: text.as_bytes(), ..Message::default() };
        for format in [SyslogFormat::Rfc3164, SyslogFormat::Rfc5424] {
            let mut out = Vec::new();
            message.write(&mut out, format, NOW);
            prop_assert_eq!(Message { sent: None, ..Message::parse(&out) }, message);
        }
    }
}
