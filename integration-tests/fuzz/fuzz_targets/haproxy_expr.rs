//! Any text where an argument of an haproxy.cfg is a language of its own: sample expressions, conditions of ACLs,
//! log-formats, the conditions of `.if`, and the values.

#![no_main]

use libfuzzer_sys::fuzz_target;
use shared_config::haproxy::env::Env;
use shared_config::haproxy::expr::{self, SyntaxError};
use shared_config::haproxy::log_format;
use shared_config::haproxy::predicate::{self, Facts};
use shared_config::source::{Sources, Span, decode};
use shared_config::value::duration::Unit;
use shared_config::value::{ValueError, address, duration, number, size};
use shared_config::words::{Word, Words};

fn check(text: &str, error: &SyntaxError) {
    assert!(text.get(error.span.range()).is_some(), "{error:?}");
}

fn check_value<T>(text: &str, value: Result<T, ValueError>) {
    if let Err(error) = value {
        assert!(text.get(error.range.clone()).is_some(), "{error:?}");
    }
}

/// The words of a line without quotes.
fn split(text: &str, span: impl Fn(usize, usize) -> Span) -> Vec<Word> {
    let mut words = Vec::new();
    let mut at = 0;
    for part in text.split(' ') {
        if !part.is_empty() {
            words.push(Word::plain(part, span(at, at + part.len())));
        }
        at += part.len() + 1;
    }
    words
}

// The first byte chooses the language, so that an input costs one parse.
fuzz_target!(|bytes: &[u8]| {
    let Some((choice, bytes)) = bytes.split_first() else { return };
    let text = decode(bytes);
    let source = Sources::new().add("a", b"");
    let span = |from: usize, to: usize| Span::new(source, from..to);
    let whole = Word::plain(text.as_str(), span(0, text.len()));
    let words = split(&text, span);
    let mut words = Words::new(&words, whole.span);
    match choice % 8 {
        0 | 1 => {
            let (format, errors) = log_format::parse(&whole);
            assert!(format.pieces.len() <= text.len());
            errors.iter().for_each(|error| check(&text, error));
        }
        2 | 3 => match expr::parse(&mut words) {
            Ok(expression) => drop(expression.unknown_names()),
            Err(error) => check(&text, &error),
        },
        4 => {
            if let Err(error) = expr::condition(&mut words) {
                check(&text, &error);
            }
        }
        5 => {
            if let Err(error) = expr::parse_call(&whole) {
                check(&text, &error);
            }
        }
        6 => {
            let env = Env::new([("HOME", "/root")]);
            if let Err(error) = predicate::evaluate(&text, &env, &Facts::default()) {
                assert!(text.get(error.range.clone()).is_some(), "{error:?}");
            }
        }
        _ => {
            check_value(&text, address::parse(&text, address::Accept::BIND));
            check_value(&text, duration::parse(&text, Unit::Milliseconds));
            check_value(&text, size::parse(&text));
            check_value(&text, number::integer(&text, -10..=1000));
        }
    }
});
