//! What must hold for every text: no panic, spans within their file, a bounded number of diagnostics, and reading what
//! was printed gives the same words.

use proptest::prelude::*;
use shared_config::diagnostic::DIAGNOSTICS_MAX;
use shared_config::haproxy::ast::{File, Section, Statement};
use shared_config::haproxy::env::Env;
use shared_config::haproxy::load::Input;
use shared_config::haproxy::predicate::Facts;
use shared_config::haproxy::{Parsed, expr, log_format, parse, print};
use shared_config::render::{Colour, haproxy_line, human, json};
use shared_config::source::{Sources, Span, encode};
use shared_config::words::{Word, Words};

fn read(bytes: &[u8]) -> Parsed {
    let env = Env::new([("HOME", "/root"), ("LIST", "a  b"), ("EMPTY", "")]);
    parse(vec![Input { path: "a.cfg".into(), bytes: bytes.to_owned() }], env, &Facts::default())
}

fn statements(file: &File) -> impl Iterator<Item = &Statement> {
    file.sections.iter().flat_map(|section| std::iter::once(&section.head).chain(&section.statements))
}

fn texts(file: &File) -> Vec<Vec<String>> {
    statements(file).map(|line| line.words.iter().map(|word| word.text.to_string()).collect()).collect()
}

fn inside(sources: &Sources, span: Span) -> bool {
    sources.get(span.source).text().get(span.range()).is_some()
}

fn check(bytes: &[u8]) -> Result<(), TestCaseError> {
    let parsed = read(bytes);
    prop_assert!(parsed.diagnostics.iter().count() <= DIAGNOSTICS_MAX);
    for line in statements(&parsed.file) {
        prop_assert!(!line.words.is_empty() && inside(&parsed.sources, line.span));
        for word in &line.words {
            prop_assert!(!word.text.is_empty() && inside(&parsed.sources, word.span));
            for (at, c) in word.text.char_indices() {
                prop_assert!(inside(&parsed.sources, word.span_of(at..at + c.len_utf8())), "{word:?} {at}");
            }
        }
    }
    for diagnostic in parsed.diagnostics.iter() {
        prop_assert!(diagnostic.span.is_none_or(|span| inside(&parsed.sources, span)), "{diagnostic:?}");
        prop_assert!(diagnostic.related.iter().all(|label| inside(&parsed.sources, label.span)), "{diagnostic:?}");
        human(diagnostic, &parsed.sources, Colour::Always);
        haproxy_line(diagnostic, &parsed.sources, 1);
        prop_assert!(!json(diagnostic, &parsed.sources).contains('\n'));
    }
    let again = read(&encode(&print::file(&parsed.file)));
    prop_assert_eq!(texts(&again.file), texts(&parsed.file));
    prop_assert!(again.diagnostics.is_empty());
    Ok(())
}

/// Pieces that the language gives a meaning, in any order.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "global",
        "listen",
        "setenv A b",
        "unsetenv A",
        ".if ",
        ".elif ",
        ".else",
        ".endif",
        ".notice ",
        "streq(a,b)",
        "1",
        "!",
        "&&",
        "||",
        "(",
        ")",
        "\n",
        "\r\n",
        "\0",
        " ",
        "\t",
        "#",
        "\\",
        "\"",
        "'",
        "$",
        "${",
        "}",
        "[*]",
        "HOME",
        "LIST",
        "EMPTY",
        ".LINE",
        "-",
        "x",
        "é",
        "\\x41",
        "\\n",
        "\u{FEFF}",
        "\u{10FFFF}",
        "word ",
        " a b\n",
    ]);
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

#[test]
fn what_fuzzing_found() {
    for text in [&b"global\n a \xd3\\x84\n"[..], b"global\n a \xe2\"\x82\"\xac b\n", b"global\n setenv A\n"] {
        check(text).expect("a property that holds");
    }
}

/// Texts in which a parser that looks ahead would search the same bytes again and again: minutes instead of a moment.
#[test]
fn long_lines_of_unclosed_things() {
    for piece in [
        "\"${A-",
        "\"${A[*]-",
        "${A",
        "\"$",
        "\"",
        "\\x",
        "%(",
        "%{",
        "%[a(",
        "a(\"",
        "a(",
        ",",
        "(",
        "!",
        "a&&",
        "a||",
        "{ ",
    ] {
        let text = piece.repeat(50_000 / piece.len());
        let parsed = read(format!("global\n a {text}\n.if {text}\n").as_bytes());
        assert!(parsed.file.sections.len() == 1);
        let decoded = parsed.file.sections[0].statements.iter().find_map(|line| line.words.get(1).cloned());
        let plain = Word::plain(text.as_str(), Span::new(Sources::new().add("", b""), 0..text.len()));
        let word = decoded.unwrap_or(plain);
        let (format, errors) = log_format::parse(&word);
        assert!(format.pieces.len() + errors.len() <= text.len());
        let words = [word];
        let _ = expr::parse(&mut Words::new(&words, words[0].span));
        let _ = expr::condition(&mut Words::new(&words, words[0].span));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes(bytes: Vec<u8>) {
        check(&bytes)?;
    }

    #[test]
    fn any_pieces(text in pieces()) {
        check(text.as_bytes())?;
        check(format!("global\n{text}").as_bytes())?;
    }

    /// Any tree that can be written down comes back.
    #[test]
    fn print_then_parse(lines in prop::collection::vec(prop::collection::vec("[^\0]{1,9}", 1..6), 0..8)) {
        let span = Span::new(Sources::new().add("", b""), 0..0);
        let words = |words: Vec<String>| words.into_iter().map(|text| Word::plain(text, span)).collect();
        let head = Statement { words: words(vec!["defaults".into()]), span };
        let statements = lines.into_iter().map(|mut line| {
            // A first word that begins with a dot, or names a section, would be a directive or a section.
            line[0].insert(0, 'k');
            Statement { words: words(line), span }
        });
        let file = File { sections: vec![Section { head, statements: statements.collect() }] };
        let again = read(&encode(&print::file(&file)));
        prop_assert_eq!(texts(&again.file), texts(&file));
        prop_assert!(again.diagnostics.is_empty());
    }
}
