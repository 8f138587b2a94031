//! Properties of the language of keepalived.conf: any bytes are read, places are real, printing and reading agree.

use proptest::prelude::*;
use shared_config::diagnostic::Diagnostics;
use shared_config::keepalived::ast::{File, Statement};
use shared_config::keepalived::preprocess::{Environment, Limits, NoFiles};
use shared_config::keepalived::{parse, print};
use shared_config::source::{Sources, Span};
use std::fmt::Write as _;

fn read(text: &[u8]) -> (Sources, File, Diagnostics) {
    let mut sources = Sources::new();
    let root = sources.add("/etc/keepalived/keepalived.conf", text);
    let mut diagnostics = Diagnostics::new();
    let mut random = |range: std::ops::RangeInclusive<u32>| *range.start();
    let mut environment = Environment {
        config_id: "node",
        files: &NoFiles,
        random: &mut random,
        variable: &|_| None,
        limits: Limits { expanded_bytes: 1 << 16, rounds: 1000 },
    };
    let parsed = parse(&mut sources, root, &mut environment, &mut diagnostics);
    (sources, parsed.file, diagnostics)
}

/// The tree without places.
fn shape(statements: &[Statement]) -> String {
    let mut text = String::new();
    for statement in statements {
        for word in &statement.words {
            write!(text, "{:?} ", word.as_str()).expect("a String");
        }
        if let Some(block) = &statement.block {
            write!(text, "{{\n{}}}", shape(&block.statements)).expect("a String");
        }
        text.push('\n');
    }
    text
}

fn in_bounds(sources: &Sources, span: Span) -> bool {
    let text = sources.get(span.source).text();
    text.get(span.range()).is_some()
}

fn check_places(sources: &Sources, statements: &[Statement]) {
    for statement in statements {
        assert!(in_bounds(sources, statement.span), "{statement:?}");
        assert!(!statement.words.is_empty());
        for word in &statement.words {
            assert!(in_bounds(sources, word.span), "{word:?}");
            for (start, _) in word.as_str().char_indices() {
                let part = word.span_of(start..word.as_str().len());
                assert!(in_bounds(sources, part), "{word:?} {start} {part:?}");
            }
        }
        check_places(sources, statement.statements());
    }
}

/// Everything that must hold for every text.
fn check(text: &[u8]) {
    let (sources, file, diagnostics) = read(text);
    check_places(&sources, &file.statements);
    for diagnostic in diagnostics.iter() {
        let spans = diagnostic.span.into_iter().chain(diagnostic.related.iter().map(|label| label.span));
        for span in spans {
            assert!(in_bounds(&sources, span), "{diagnostic:?}");
        }
    }
    let printed = print::print(&file);
    let (_, again, _) = read(printed.as_bytes());
    assert_eq!(shape(&file.statements), shape(&again.statements), "printed:\n{printed}");
}

#[test]
fn awkward_texts() {
    for text in [
        "",
        "\"",
        "{",
        "}",
        "vrrp_instance",
        "vrrp_instance a { virtual_ipaddress",
        "vrrp_instance \"a\\\" \"b#c\" {\n",
        "vrrp_instance a { virtual_ipaddress { { 10.0.0.1 } 10.0.0.2",
        "vrrp_instance a { virtual_ipaddress {\n \"@a\" \"$b\" \"include c\" \"\" \"{\" \"}\"\n }\n}",
        "vrrp_script a { script \"x \\\"{\\\" \\x41\\101\\cA\\\n }",
        "vrrp_script a { script 'a b'\"c\"d\\ e \\",
        "$A=$A\n$A\n",
        "$A=$B\n$B=$A x\n$A\n${B}\n",
        "$A= \\\n global_defs { \\\n router_id ${N} \\\n}\n$N=3\n$A\n$A $A",
        "~SEQ(a,1,3) global_defs { router_id ${a}\n}\n~LST({b,c},{1,2},{3,4}) vrrp_script ${b}${c} { }",
        "~SEQ(a,1,9999999999) x",
        "~SEQ(a,9223372036854775807,9223372036854775807) x",
        "~SEQ(a,1,10) ~SEQ(b,1,10) ~SEQ(c,1,10) ~SEQ(d,1,10) x${a}",
        "@node global_defs { router_id a\n}\n@^node x\n@other y\n@",
        "global_defs { router_id ${_HASH}${_BANG}x \\#y }",
        "\u{feff}global_defs {\n router_id x\n}",
        "global_defs {\n include_check -match +foo\n include\n include x\n}",
        // Found by fuzzing: a no-break space is no blank, so a line of it is a line.
        "virtual_server_group x {\n\u{a0}\n}\n\u{a0}\n",
        // Found by fuzzing: a NUL behind a backslash in quotes ends the line, too.
        "SSL x\\\"\" \"b\"\"&\\\0\"\0\"x",
        // Found by fuzzing: the keyword of a command with a quoted text glued to it.
        "vrrp_script a {\n script\"\u{10ffff}x y\"* z\n script\"x\"\n}",
    ] {
        check(text.as_bytes());
    }
    // Found by fuzzing: bytes of a line and of a definition that are text only together.
    for bytes in [&b"$x=\xb4\n\xc8$x y\n"[..], b"\xef\xbb\xbf\xef\xbb\xbfx y\n", b"$x=\xbb\xbf\n\xef$x y\n"] {
        check(bytes);
    }
}

/// Blanks of other scripts come from web pages; keepalived takes them for words and says so.
#[test]
fn foreign_blanks_are_words() {
    for blank in ["\u{a0}", "\u{3000}", "\u{2003}"] {
        let (_, file, diagnostics) = read(format!("{blank}\n").as_bytes());
        assert!(!file.statements.is_empty() || !diagnostics.is_empty(), "{blank:?} is passed over in silence");
    }
}

#[test]
fn bombs_end() {
    let mut doubling = String::from("$A0=xxxxxxxxxx\n");
    for i in 1..60 {
        writeln!(doubling, "$A{i}=${{A{0}}}${{A{0}}}", i - 1).unwrap();
    }
    doubling.push_str("$A59\n");
    let (_, _, diagnostics) = read(doubling.as_bytes());
    assert!(diagnostics.iter().any(|d| d.code == "expansion-limit"));
    let mut deep = String::new();
    for i in 0..100 {
        writeln!(deep, "$A{i}=$A{}", i + 1).unwrap();
    }
    deep.push_str("$A0\n");
    let (_, _, diagnostics) = read(deep.as_bytes());
    assert!(diagnostics.iter().any(|d| d.code == "definition-loop"), "{diagnostics:?}");
    let (_, _, diagnostics) = read(&b"a ".repeat(1 << 20));
    assert!(diagnostics.iter().any(|d| d.code == "line-too-long"), "{diagnostics:?}");
    for unit in ["{", "}", "{$A", "$", "${", "\"", "~SEQ", "@", "{~SEQ(", "$A=", "\\#", "'"] {
        check(unit.repeat(5_000).as_bytes());
    }
}

/// Text that is mostly of this language.
fn configuration() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        "[a-z_]{1,8}",
        "\"[ -~]{0,6}\"",
        "'[ -~]{0,6}'",
        "\\$[A-C]{1}[ ,)]?",
        "\\$\\{[A-C]\\}",
        "[!-~]{1,4}",
        Just("{".to_owned()),
        Just("}".to_owned()),
        Just("\n".to_owned()),
        Just("\\\n".to_owned()),
        prop::sample::select(vec![
            "\n$A=",
            "\n$B=",
            "\n$C=",
            "\n~SEQ(A,1,3) ",
            "\n~LST(B,x,y) ",
            "\n@node ",
            "\n@^node ",
            "global_defs {",
            "vrrp_instance VI_1 {",
            "virtual_ipaddress {",
            "authentication {",
            "notify",
            "script",
            "vrrp_script a {",
            "notify_master",
            "state",
            "priority",
            "include x",
            "\n!",
            "\n#",
            "track_script {",
            "\u{feff}",
            "\u{3000}",
        ])
        .prop_map(str::to_owned),
    ];
    prop::collection::vec(word, 0..40).prop_map(|words| words.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes: Vec<u8>) {
        check(&bytes);
    }

    #[test]
    fn nearly_configurations(text in configuration()) {
        check(text.as_bytes());
    }
}
