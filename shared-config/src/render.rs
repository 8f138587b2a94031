//! A [`Diagnostic`] as text: for people, in the one-line forms of haproxy and keepalived for scripts, and as JSON for
//! tools. Every form ends without a line feed.
//!
//! Bytes that were not UTF-8 (see [`crate::source::decode`]) stay private characters in the one-line forms, so that
//! [`crate::source::encode`] gives the bytes back; the other two forms show U+FFFD.

mod human;
mod json;

pub use human::human;
pub use json::json;

use crate::diagnostic::{Diagnostic, Place, Severity};
use crate::source::{RAW_BYTES, Sources, Span};
use std::fmt::Write as _;

/// How many bytes of a long line are shown before the place in haproxy's excerpt.
const EXCERPT_BEFORE: usize = 100;
/// How many characters of a line are shown in haproxy's excerpt.
const EXCERPT_LENGTH: usize = 160;

/// Whether escape sequences for colours may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// Plain text.
    Never,
    /// For a terminal.
    Always,
}

/// haproxy's form: `[ALERT]    (1234) : config : parsing [a.cfg:7] : unknown keyword 'foo' in 'global' section`.
pub fn haproxy_line(diagnostic: &Diagnostic, sources: &Sources, pid: u32) -> String {
    let level = match diagnostic.severity {
        Severity::Diag => "[DIAG]",
        Severity::Notice => "[NOTICE]",
        Severity::Warning | Severity::Unsupported => "[WARNING]",
        Severity::Error => "[ALERT]",
    };
    let mut line = format!("{level:<11}({pid}) : config : ");
    if let Some(span) = diagnostic.span {
        let path = sources.get(span.source).path().display();
        let row = sources.position(span).line;
        // Writing to a String cannot fail.
        let _ = match diagnostic.place {
            Place::Parsing => write!(line, "parsing [{path}:{row}] : "),
            Place::ParsingLine | Place::Excerpt => write!(line, "parsing [{path}:{row}]: "),
            Place::ParsingFormat => write!(line, "Parsing [{path}:{row}]: "),
            Place::Bare => write!(line, "[{path}:{row}] : "),
            Place::WholeFile => Ok(()),
        };
    }
    line.push_str(&diagnostic.message);
    if let (Some(span), Place::Excerpt) = (diagnostic.span, diagnostic.place) {
        excerpt(&mut line, span, sources);
    }
    line
}

/// haproxy's own excerpt: the line without its indentation, and a caret below. A long line is cut on both sides.
fn excerpt(out: &mut String, span: Span, sources: &Sources) {
    let source = sources.get(span.source);
    let Some(line) = source.line_range(source.position(span.start).line) else { return };
    let (text, place) = (source.text(), (span.start as usize).min(line.end));
    let from = text.floor_char_boundary(line.start.max(place.saturating_sub(EXCERPT_BEFORE)));
    let indented = &text[from..line.end];
    let from = from + indented.len() - indented.trim_start().len();
    let shown: String = text[from..line.end].chars().take(EXCERPT_LENGTH).collect();
    let caret = text.get(from..place).map_or(0, |before| before.chars().count());
    // Writing to a String cannot fail.
    let _ = write!(out, ":\n  {}\n  {:caret$}^", shown.trim_end(), "");
}

/// keepalived's form: `(/etc/keepalived/keepalived.conf: Line 7) Unknown keyword 'foo'`.
pub fn keepalived_line(diagnostic: &Diagnostic, sources: &Sources) -> String {
    match (diagnostic.span, diagnostic.place) {
        (Some(span), Place::Parsing | Place::ParsingLine | Place::ParsingFormat | Place::Excerpt | Place::Bare) => {
            let path = sources.get(span.source).path().display();
            format!("({path}: Line {}) {}", sources.position(span).line, diagnostic.message)
        }
        (None, _) | (_, Place::WholeFile) => diagnostic.message.clone(),
    }
}

/// How a terminal or a JSON reader gets bytes that are not text.
fn readable(text: &str) -> String {
    text.replace(|c| RAW_BYTES.contains(&c), "\u{FFFD}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "global\n  maxcon 7\nlisten a\n  bind :x\n";

    fn example() -> (Sources, Diagnostic) {
        let mut sources = Sources::new();
        let id = sources.add("a.cfg", TEXT.as_bytes());
        let diagnostic = Diagnostic::error("unknown-keyword", Span::new(id, 9..15), "unknown keyword 'maxcon'")
            .label("not known \"here\"")
            .related(Span::new(id, 0..6), "in this section")
            .help("write `maxconn`");
        (sources, diagnostic)
    }

    #[test]
    fn one_line_forms() {
        let (sources, error) = example();
        assert_eq!(
            haproxy_line(&error, &sources, 12),
            "[ALERT]    (12) : config : parsing [a.cfg:2] : unknown keyword 'maxcon'"
        );
        assert_eq!(keepalived_line(&error, &sources), "(a.cfg: Line 2) unknown keyword 'maxcon'");
        for (place, expected) in [
            (Place::ParsingLine, "[WARNING]  (12) : config : parsing [a.cfg:2]: m"),
            (Place::Bare, "[WARNING]  (12) : config : [a.cfg:2] : m"),
            (Place::WholeFile, "[WARNING]  (12) : config : m"),
        ] {
            let warning = Diagnostic::warning("x", error.span, "m").place(place);
            assert_eq!(haproxy_line(&warning, &sources, 12), expected);
        }
        let excerpt = Diagnostic::error("x", error.span, "m at position 3").place(Place::Excerpt);
        let expected = "[ALERT]    (12) : config : parsing [a.cfg:2]: m at position 3:\n  maxcon 7\n  ^";
        assert_eq!(haproxy_line(&excerpt, &sources, 12), expected);
        let nowhere = Diagnostic::error("x", None, "m");
        assert_eq!(haproxy_line(&nowhere, &sources, 12), "[ALERT]    (12) : config : m");
        assert_eq!(keepalived_line(&nowhere, &sources), "m");
    }

    #[test]
    fn human_form() {
        let (sources, error) = example();
        let expected = "\
error[unknown-keyword]: unknown keyword 'maxcon'
 --> a.cfg:2:3
  |
1 | global
  | ------ in this section
2 |   maxcon 7
  |   ^^^^^^ not known \"here\"
  |
  = help: write `maxconn`";
        assert_eq!(human(&error, &sources, Colour::Never), expected);
        assert!(human(&error, &sources, Colour::Always).contains("\u{1b}["));
    }

    #[test]
    fn json_form() {
        let (sources, error) = example();
        let expected = r#"{"severity":"error","code":"unknown-keyword","message":"unknown keyword 'maxcon'","file":"a.cfg","line":2,"column":3,"end_line":2,"end_column":9,"label":"not known \"here\"","related":[{"file":"a.cfg","line":1,"column":1,"end_line":1,"end_column":7,"label":"in this section"}],"help":"write `maxconn`"}"#;
        assert_eq!(json(&error, &sources), expected);
        let nowhere = Diagnostic::error("x", None, "a\u{1}\\\t\u{10FFFF}");
        assert_eq!(
            json(&nowhere, &sources),
            "{\"severity\":\"error\",\"code\":\"x\",\"message\":\"a\\u0001\\\\\\t\u{FFFD}\",\"related\":[]}"
        );
    }

    #[test]
    fn long_line_is_cut_around_the_place() {
        let mut sources = Sources::new();
        let text = format!("first\n{}\u{e9}bad\u{e9}{}\nlast\n", "x ".repeat(50_000), " y".repeat(50_000));
        let id = sources.add("a.cfg", text.as_bytes());
        let error = Diagnostic::error("x", Span::new(id, 100_008..100_011), "m").related(Span::new(id, 0..5), "there");
        let shown = human(&error, &sources, Colour::Never);
        assert!(shown.len() < 1000, "{} bytes", shown.len());
        assert!(shown.contains("a.cfg:2:100002"), "{shown}");
        assert!(shown.contains("^^^") && shown.contains("there") && shown.contains("a.cfg:1:1"), "{shown}");
    }

    #[test]
    fn other_file_and_bytes() {
        let mut sources = Sources::new();
        let one = sources.add("one.cfg", b"a \xff\xfe b\n");
        let two = sources.add("two.cfg", b"{\n\n}");
        let error =
            Diagnostic::error("x", Span::new(one, 11..12), "m \u{10FFFF}").related(Span::new(two, 0..4), "opened here");
        let shown = human(&error, &sources, Colour::Never);
        assert!(shown.contains("a \u{FFFD}\u{FFFD} b"), "{shown}");
        assert!(shown.contains("two.cfg:1:1"), "{shown}");
    }
}
