//! What haproxy 2.6 answers to these expressions and conditions.

use super::*;
use crate::source::Sources;
use proptest::prelude::*;

/// The words of a text that has no quotes at the first level.
fn words(text: &str) -> (Sources, Vec<Word>) {
    let mut sources = Sources::new();
    let source = sources.add("a.cfg", text.as_bytes());
    let mut words = Vec::new();
    let mut at = 0;
    for part in text.split(' ') {
        if !part.is_empty() {
            words.push(Word::plain(part, Span::new(source, at..at + part.len())));
        }
        at += part.len() + 1;
    }
    (sources, words)
}

fn statement(words: &[Word]) -> Words<'_> {
    Words::new(words, words.first().map_or(Span::new(Sources::new().add("", b""), 0..0), |w| w.span))
}

fn show_call(call: &Call) -> String {
    let arguments = call.arguments.as_ref().map(|list| list.iter().map(Word::as_str).collect::<Vec<_>>().join("|"));
    arguments.map_or(call.name.text.to_string(), |arguments| format!("{}<{arguments}>", call.name.text))
}

fn show(expression: &Expression) -> String {
    let calls = std::iter::once(&expression.fetch).chain(&expression.converters);
    calls.map(show_call).collect::<Vec<_>>().join(" ")
}

#[test]
fn expressions() {
    for (text, expected, left) in [
        ("src", "src", 0),
        ("src if a", "src", 2),
        ("src,lower", "src lower", 0),
        ("src, lower", "src lower", 0),
        ("src ipmask(24) upper x", "src ipmask<24> upper", 1),
        ("src,,lower,", "src lower", 0),
        ("src()", "src<>", 0),
        ("hdr(host,-1),lower()", "hdr<host|-1> lower<>", 0),
        ("f(,)", "f<|>", 0),
        ("hdr(\"a,b\")", "hdr<a,b>", 0),
        ("hdr('a)')x,", "", 0),
        ("hdr(a\\,b)", "hdr<a\\|b>", 0),
        ("word(1,\\,)", "word<1|\\|>", 0),
        ("path,regsub(\"(a|b)\",'x\\1',g)", "path regsub<(a|b)|x\\1|g>", 0),
        ("str(a\\nb\\\"c\\qd\\x41)", "str<a\nb\"c\\qd\\x41>", 0),
    ] {
        let (sources, words) = words(text);
        let mut cursor = statement(&words);
        let result = parse(&mut cursor);
        assert_eq!(result.as_ref().map_or(String::new(), show), expected, "{text}");
        if let Ok(expression) = result {
            assert_eq!(cursor.rest().len(), left, "{text}");
            assert_eq!(sources.text(expression.fetch.name.span), expression.fetch.name.as_str());
        }
    }
}

#[test]
fn wrong_expressions() {
    for (text, message, at) in [
        ("", "missing fetch method", ""),
        (",src", "missing fetch method", ",src"),
        ("(src)", "missing fetch method", "(src)"),
        ("hdr(a)b", "missing comma after fetch keyword 'hdr'", "b"),
        ("src)", "missing comma after fetch keyword 'src'", ")"),
        ("hdr(a),lower()x", "missing comma after converter 'lower'", "x"),
        ("src lower()b", "missing comma after converter 'lower'", "b"),
        ("hdr(a", "fetch method 'hdr' : expected ')'", "hdr(a"),
        ("hdr(\"a)", "fetch method 'hdr' : expected ')'", "\"a)"),
        ("src,field(1", "converter 'field' : expected ')'", "field(1"),
    ] {
        let (sources, words) = words(text);
        let error = parse(&mut statement(&words)).expect_err(text);
        assert_eq!((error.message.as_str(), sources.text(error.span)), (message, at), "{text}");
    }
}

#[test]
fn unknown_names_are_found() {
    let (_, words) = words("pth,lowr,upper");
    let expression = parse(&mut statement(&words)).expect("an expression");
    let found: Vec<_> = expression.unknown_names().into_iter().map(|e| (e.message, e.help)).collect();
    let expected = [("unknown fetch method 'pth'", "path"), ("unknown converter 'lowr'", "lower")];
    let expected = expected.map(|(message, known)| (message.to_owned(), Some(format!("did you mean `{known}`?"))));
    assert_eq!(found, expected);
}

#[test]
fn single_calls() {
    for (text, expected) in [
        ("set-var(txn.a)", Some("set-var<txn.a>")),
        ("roundrobin", Some("roundrobin")),
        ("a,b", None),
        ("a,", None),
        ("a(", None),
    ] {
        let (_, words) = words(text);
        assert_eq!(parse_call(&words[0]).ok().map(|call| show_call(&call)).as_deref(), expected, "{text}");
    }
}

fn show_condition(condition: &Condition) -> String {
    let term = |term: &Term| {
        let acl = match &term.acl {
            AclRef::Named(name) => name.text.to_string(),
            AclRef::Anonymous(words) => format!("<{}>", words.iter().map(Word::as_str).collect::<Vec<_>>().join(" ")),
        };
        format!("{}{acl}", if term.negated { "!" } else { "" })
    };
    let lists = condition.any.iter().map(|terms| terms.iter().map(term).collect::<Vec<_>>().join(" "));
    lists.collect::<Vec<_>>().join(" | ")
}

#[test]
fn conditions() {
    for (text, expected) in [
        ("a b", "a b"),
        ("a or b || c OR d", "a | b | c | d"),
        ("!a ! b !!c ! !d", "!a !b c d"),
        ("{ path /x }", "<path /x>"),
        ("a !{ src 1.2.3.4 } or ! { path { }", "a !<src 1.2.3.4> | !<path {>"),
        ("or a or or b or", "a | b"),
        ("", ""),
        ("{path /x }", "{path /x }"),
        ("!or", "!or"),
    ] {
        let (sources, words) = words(text);
        let result = condition(&mut statement(&words)).expect(text);
        assert_eq!(show_condition(&result), expected, "{text}");
        for term in result.any.iter().flatten() {
            assert!(!sources.text(term.span).is_empty());
        }
    }
    for (text, message, at) in [
        ("a { path /x", "missing closing '}' in condition", "{"),
        ("a { path /x}", "missing closing '}' in condition", "{"),
        ("a !", "missing ACL name after '!'", "!"),
    ] {
        let (sources, words) = words(text);
        let error = condition(&mut statement(&words)).expect_err(text);
        assert_eq!((error.message.as_str(), sources.text(error.span)), (message, at), "{text}");
    }
}

proptest! {
    #[test]
    fn any_text(text in "[a-c(),\"'\\\\ !{}]*") {
        let (sources, words) = words(&text);
        let inside = |span: Span| sources.get(span.source).text().get(span.range()).is_some();
        match parse(&mut statement(&words)) {
            Ok(expression) => prop_assert!(inside(expression.span) && inside(expression.fetch.span)),
            Err(error) => prop_assert!(words.is_empty() || inside(error.span)),
        }
        if let Err(error) = condition(&mut statement(&words)) {
            prop_assert!(inside(error.span));
        }
    }
}
