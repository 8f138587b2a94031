//! A tree as text again: variables are resolved, conditions decided, comments gone. Reading the bytes of that text
//! ([`crate::source::encode`]) gives the same words.

use super::ast::{File, Statement};
use std::fmt::Write as _;

/// All sections, their statements indented, an empty line between two sections.
pub fn file(file: &File) -> String {
    let mut out = String::new();
    for (index, section) in file.sections.iter().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        statement(&mut out, &section.head);
        for line in &section.statements {
            out.push_str("    ");
            statement(&mut out, line);
        }
    }
    out
}

fn statement(out: &mut String, statement: &Statement) {
    for (index, word) in statement.words.iter().enumerate() {
        if index > 0 {
            out.push(' ');
        }
        self::word(out, &word.text);
    }
    out.push('\n');
}

/// One word, in quotes where it needs them: single ones where those can hold it, else double ones.
pub fn word(out: &mut String, text: &str) {
    let bare = |c: char| !c.is_ascii_whitespace() && !c.is_ascii_control() && !matches!(c, '\\' | '"' | '\'' | '#');
    if !text.is_empty() && text.chars().all(bare) {
        out.push_str(text);
    } else if text.chars().all(|c| c != '\'' && (c == '\t' || !c.is_ascii_control())) {
        out.push('\'');
        out.push_str(text);
        out.push('\'');
    } else {
        out.push('"');
        text.chars().for_each(|c| escaped(out, c));
        out.push('"');
    }
}

/// A character within double quotes.
fn escaped(out: &mut String, c: char) {
    match c {
        '\\' | '"' | '$' => out.extend(['\\', c]),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        c if c.is_ascii_control() => {
            // Writing to a String cannot fail.
            let _ = write!(out, "\\x{:02x}", u32::from(c));
        }
        c => out.push(c),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn words_in_quotes() {
        for (text, expected) in [
            ("a$b{}", "a$b{}"),
            ("", "''"),
            ("a b", "'a b'"),
            ("\\.php$", "'\\.php$'"),
            ("it's $5", "\"it's \\$5\""),
            ("a\nb\u{7}", "\"a\\nb\\x07\""),
            ("a\u{B}b", "\"a\\x0bb\""),
        ] {
            let mut out = String::new();
            super::word(&mut out, text);
            assert_eq!(out, expected);
        }
    }
}
