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

fuzz_target!(|bytes: &[u8]| {
    let text = decode(bytes);
    let source = Sources::new().add("a", bytes);
    let span = |from: usize, to: usize| Span::new(source, from..to);
    let whole = Word::plain(text.as_str(), span(0, text.len()));

    let (format, errors) = log_format::parse(&whole);
    assert!(format.pieces.len() <= text.len());
    errors.iter().for_each(|error| check(&text, error));
    if let Err(error) = expr::parse_call(&whole) {
        check(&text, &error);
    }

    let mut words = Vec::new();
    let mut at = 0;
    for part in text.split(' ') {
        if !part.is_empty() {
            words.push(Word::plain(part, span(at, at + part.len())));
        }
        at += part.len() + 1;
    }
    let statement = span(0, text.len());
    match expr::parse(&mut Words::new(&words, statement)) {
        Ok(expression) => drop(expression.unknown_names()),
        Err(error) => check(&text, &error),
    }
    if let Err(error) = expr::condition(&mut Words::new(&words, statement)) {
        check(&text, &error);
    }

    let (env, facts) = (Env::new([("HOME", "/root")]), Facts::default());
    if let Err(error) = predicate::evaluate(&text, &env, &facts) {
        assert!(text.get(error.range.clone()).is_some(), "{error:?}");
    }

    check_value(&text, address::parse(&text, address::Accept::BIND));
    check_value(&text, duration::parse(&text, Unit::Milliseconds));
    check_value(&text, size::parse(&text));
    check_value(&text, number::integer(&text, -10..=1000));
});
