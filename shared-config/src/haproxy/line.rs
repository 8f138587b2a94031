//! One line becomes words: quotes, escapes and variables are resolved, and each word keeps a map back to its source.

use super::env::Env;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Place};
use crate::source::{SourceId, Span};
use crate::words::{Word, WordBuilder};
use pest::Parser as _;
use pest::iterators::Pair;

/// The longest line that is read, in bytes. haproxy 2.6 reads any, haproxy's documented limit is 2048.
pub const LINE_BYTES_MAX: usize = 1 << 20;
/// The most words on a line. haproxy stops at 64.
pub const WORDS_MAX: usize = 4096;

/// The grammar; its rules stay in here.
mod grammar {
    #[derive(pest_derive::Parser)]
    #[grammar = "haproxy/line.pest"]
    pub(super) struct Line;
}
use grammar::{Line, Rule};

/// What a line is read with.
pub(super) struct Context<'a> {
    pub(super) env: &'a Env,
    pub(super) source: SourceId,
    /// Where the line starts in its file.
    pub(super) offset: usize,
    /// `.FILE`
    pub(super) file: &'a str,
    /// `.LINE`
    pub(super) line: u32,
    /// `.SECTION`
    pub(super) section: &'a str,
}

/// The words of one line.
pub(super) struct Split {
    pub(super) words: Vec<Word>,
    /// Something on the line was wrong and has been reported; the words are what could be made of it.
    pub(super) broken: bool,
}

/// Splits a line that has neither LF nor CR nor NUL in it.
pub(super) fn split(text: &str, context: &Context<'_>, diagnostics: &mut Diagnostics) -> Split {
    let mut reader = Reader { context, diagnostics, words: Vec::new(), broken: false };
    // The grammar accepts every text; should that promise ever break, the line is reported and not lost.
    if let Ok(pairs) = Line::parse(Rule::line, text) {
        pairs.flat_map(Pair::into_inner).for_each(|pair| reader.word(&pair));
    } else {
        let span = Span::new(context.source, context.offset..context.offset + text.len());
        reader.error(Diagnostic::error("unreadable-line", span, "this line cannot be read"));
    }
    let Reader { mut words, mut broken, diagnostics, .. } = reader;
    if words.len() > WORDS_MAX {
        let word = &words[WORDS_MAX];
        let position = word.span.start as usize - context.offset + 1;
        let message =
            format!("too many words, truncating after word {WORDS_MAX}, position {position}: <{}>.", word.text);
        diagnostics.push(Diagnostic::error("too-many-words", word.span, message).place(Place::ParsingLine));
        words.truncate(WORDS_MAX);
        broken = true;
    }
    cut_at_empty_word(&mut words, broken, diagnostics);
    // A tree of many statements is kept for long.
    words.shrink_to_fit();
    Split { words, broken }
}

/// An empty argument marks the end of the arguments in haproxy, so what follows it has no effect: 2.6 ignores it
/// silently, 3.5 refuses the file. Ours is a warning, since 2.6 runs such files.
fn cut_at_empty_word(words: &mut Vec<Word>, broken: bool, diagnostics: &mut Diagnostics) {
    let Some(first) = words.iter().position(|word| word.text.is_empty()) else { return };
    if !broken && let Some(lost) = words[first..].iter().find(|word| !word.text.is_empty()) {
        let message = format!("argument number {first} is empty and marks the end of the argument list");
        let warning = Diagnostic::warning("empty-argument", words[first].span, message)
            .label("this is empty")
            .related(lost.span, "ignored from here on")
            .help("write \"${NAME[*]}\" for a variable that may be empty: it then makes no argument at all")
            .place(Place::ParsingLine);
        diagnostics.push(warning);
    }
    words.truncate(first);
}

/// Puts the pairs of one line together.
struct Reader<'a, 'd> {
    context: &'a Context<'a>,
    diagnostics: &'d mut Diagnostics,
    words: Vec<Word>,
    broken: bool,
}

/// A word under construction.
struct Draft {
    word: WordBuilder,
    /// A `${NAME[*]}` was in it: if nothing else was, no word comes of it.
    list: bool,
}

impl Reader<'_, '_> {
    fn span(&self, pair: &Pair<'_, Rule>) -> Span {
        let span = pair.as_span();
        Span::new(self.context.source, self.context.offset + span.start()..self.context.offset + span.end())
    }

    fn word(&mut self, pair: &Pair<'_, Rule>) {
        if pair.as_rule() != Rule::word {
            return;
        }
        let mut parts = pair.clone().into_inner();
        if let (Some(only), None) = (parts.next(), parts.next())
            && only.as_rule() == Rule::plain
        {
            self.words.push(Word::plain(pair.as_str(), self.span(pair)));
            return;
        }
        let mut draft = Draft { word: WordBuilder::new(self.span(pair)), list: false };
        for part in pair.clone().into_inner() {
            self.part(&part, &mut draft);
        }
        self.finish(draft);
    }

    fn finish(&mut self, draft: Draft) {
        if !(draft.word.as_str().is_empty() && draft.list) {
            self.words.push(draft.word.finish());
        }
    }

    /// One piece of a word, inside quotes or outside.
    fn part(&mut self, pair: &Pair<'_, Rule>, draft: &mut Draft) {
        let span = self.span(pair);
        match pair.as_rule() {
            Rule::plain | Rule::backslash | Rule::strong_text | Rule::weak_text => draft.word.add(pair.as_str(), span),
            Rule::strong | Rule::weak => self.quoted(pair, draft),
            Rule::escape | Rule::weak_escape => draft.word.add(unescaped(pair.as_str()), span),
            Rule::hex => match u8::from_str_radix(&pair.as_str()[2..], 16) {
                Ok(0) | Err(_) => {
                    self.error(
                        Diagnostic::error("nul", span, "a word cannot hold a NUL byte").place(Place::ParsingLine),
                    );
                }
                Ok(byte) => draft.word.add(&crate::source::decode(&[byte]), span),
            },
            Rule::bad_hex => {
                let message = "truncated or invalid hexadecimal sequence";
                self.excerpt("bad-escape", span, message, "`\\x` takes two hexadecimal digits");
            }
            Rule::variable => {
                for inner in pair.clone().into_inner() {
                    self.variable(&inner, span, draft);
                }
            }
            // These are taken where the rule that holds them is, or stand for nothing.
            _ => {}
        }
    }

    fn quoted(&mut self, pair: &Pair<'_, Rule>, draft: &mut Draft) {
        let broken_before = self.broken;
        for inner in pair.clone().into_inner() {
            if inner.as_rule() == Rule::unclosed {
                // A variable that is not closed may have taken the quote.
                if !broken_before && self.broken {
                    continue;
                }
                let opening = self.span(pair).head();
                let opening = Span { end: opening.start + 1, ..opening };
                self.excerpt("unclosed-quote", opening, "unmatched quote", "opened here and never closed");
            } else {
                self.part(&inner, draft);
            }
        }
    }

    /// What follows a `$`; `whole` is the variable from the `$` on.
    fn variable(&mut self, pair: &Pair<'_, Rule>, whole: Span, draft: &mut Draft) {
        match pair.as_rule() {
            Rule::name => self.expand(pair, None, false, whole, draft),
            Rule::braced => {
                let mut inner = pair.clone().into_inner();
                let name = inner.next();
                let (mut list, mut default) = (false, None);
                for part in inner {
                    match part.as_rule() {
                        Rule::list => list = true,
                        _ => default = Some(part.as_str()),
                    }
                }
                if let Some(name) = name {
                    self.expand(&name, default, list, whole, draft);
                }
            }
            Rule::bad_brace | Rule::bad_default => {
                let brace = Span { end: self.span(pair).start + 1, ..self.span(pair) };
                let message = "unmatched brace in environment variable name";
                self.excerpt(
                    "bad-variable",
                    brace,
                    message,
                    "opened here; a name is followed by `}`, `-default}` or `[*]}`",
                );
            }
            Rule::bad_list => {
                let bracket = pair.clone().into_inner().last().map_or(whole, |bracket| self.span(&bracket));
                let message = "truncated or invalid word expansion sequence";
                self.excerpt("bad-variable", bracket, message, "only `[*]` may stand here");
            }
            // `bad_name`
            _ => self.bad_name(Span { start: self.span(pair).end, end: self.span(pair).end, ..whole }),
        }
    }

    fn bad_name(&mut self, at: Span) {
        let message = "forbidden first char in environment variable name";
        self.excerpt("bad-variable", at, message, "a name begins with a letter or `_`; write `\\$` for a dollar");
    }

    fn expand(&mut self, name: &Pair<'_, Rule>, default: Option<&str>, list: bool, whole: Span, draft: &mut Draft) {
        let line;
        let value = match name.as_str() {
            ".FILE" => self.context.file,
            ".SECTION" => self.context.section,
            ".LINE" => {
                line = self.context.line.to_string();
                &line
            }
            dotted if dotted.starts_with('.') => return self.bad_name(self.span(name)),
            plain => self.context.env.get(plain).or(default).unwrap_or_default(),
        };
        if !list {
            return draft.word.add(value, whole);
        }
        draft.list = true;
        for (index, item) in value.split([' ', '\t']).filter(|item| !item.is_empty()).enumerate() {
            if index > 0 {
                // Each word of the list but the last ends here; all of them stand for the same place.
                let next = Draft { word: WordBuilder::new(draft.word.span), list: true };
                let done = std::mem::replace(draft, next);
                self.finish(done);
            }
            draft.word.add(item, whole);
        }
    }

    fn error(&mut self, diagnostic: Diagnostic) {
        self.broken = true;
        self.diagnostics.push(diagnostic);
    }

    /// An error that haproxy shows with the line and a caret.
    fn excerpt(&mut self, code: Code, span: Span, message: &str, label: &str) {
        let position = (span.start as usize).saturating_sub(self.context.offset) + 1;
        let message = format!("{message} at position {position}");
        self.error(Diagnostic::error(code, span, message).label(label).place(Place::Excerpt));
    }
}

fn unescaped(escape: &str) -> &str {
    match escape.strip_prefix('\\').unwrap_or(escape) {
        "n" => "\n",
        "r" => "\r",
        "t" => "\t",
        itself => itself,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Sources;

    fn words(text: &str) -> (Vec<String>, Vec<String>) {
        let mut sources = Sources::new();
        let source = sources.add("a.cfg", text.as_bytes());
        let env = Env::new([("HOME", "/root"), ("LIST", " x y  z "), ("EMPTY", "")]);
        let context = Context { env: &env, source, offset: 0, file: "a.cfg", line: 7, section: "web" };
        let mut diagnostics = Diagnostics::new();
        let split = split(text, &context, &mut diagnostics);
        assert_eq!(split.broken, diagnostics.has_errors(), "{text}");
        for word in &split.words {
            assert!(word.span.start < word.span.end && word.span.end as usize <= text.len(), "{text}");
        }
        let words = split.words.iter().map(|word| word.text.to_string()).collect();
        (words, diagnostics.iter().map(|d| d.message.clone()).collect())
    }

    /// What haproxy 2.6 makes of these lines, found with `.notice`; `|` separates words.
    #[test]
    fn as_haproxy_splits() {
        for (text, expected) in [
            ("", ""),
            ("  # comment", ""),
            ("global#comment", "global"),
            (" a\tb\u{0B}c\u{0C}d ", "a|b|c|d"),
            (r#"a\.b\ c\#e\$f\"g\'h\\i\nj"#, "a\\.b c#e\\$f\"g'h\\i\nj"),
            (r#""a\.b\ c\#e\$f\"g\'h\\i\tj\x41k\x4Bl""#, "a\\.b c#e$f\"g'h\\i\tjAkKl"),
            (r#"'a\.b\ c\#e\$f\"g'"#, r#"a\.b\ c\#e\$f\"g"#),
            (r"\x41\x7ab", "Azb"),
            (r#"\xd3\x84 \xc3"\xa9""#, "\u{4c4}|\u{e9}"),
            ("a\\", "a\\"),
            (r#""a"'b'c"d""#, "abcd"),
            ("$HOME ${HOME}", "$HOME|${HOME}"),
            (r#""x${HOME}y$HOME-z${HOME-q}w${NONE}v${NONE-a b}u${NONE-}t""#, "x/rooty/root-z/rootwva but"),
            (r#""${HOME-a}b}c""#, "/rootb}c"),
            (r#""${NONE-"a"}c""#, "\"a\"c"),
            (r#""${NONE-$HOME}c""#, "$HOMEc"),
            (r#""$HOME_X.$HOME.x""#, "./root.x"),
            (r#""${HOME[*]-x}" "${NONE[*]-d e}" "$HOME[*]""#, "/root|d|e|/root[*]"),
            (r#"k "${NONE[*]}" l a"${LIST[*]}"b "-${LIST[*]}-" "#, "k|l|ax|y|zb|-x|y|z-"),
            (r#""$.LINE ${.FILE} <${.SECTION}>""#, "7 a.cfg <web>"),
            (r#"a "$EMPTY""#, "a"),
            (r#""" a"#, ""),
        ] {
            let (words, messages) = words(text);
            assert_eq!(words.join("|"), expected, "{text}");
            assert!(messages.iter().all(|m| m.contains("is empty")), "{text}: {messages:?}");
        }
    }

    #[test]
    fn broken_lines() {
        for (text, expected) in [
            (" foo \"uncl", "unmatched quote at position 6"),
            (" foo 'uncl", "unmatched quote at position 6"),
            (r" foo \xzz", "truncated or invalid hexadecimal sequence at position 6"),
            (r" foo \x4", "truncated or invalid hexadecimal sequence at position 6"),
            (r#" foo "$""#, "forbidden first char in environment variable name at position 8"),
            (r#" foo "${1}""#, "forbidden first char in environment variable name at position 9"),
            (r#" server "${.SECTION}" "$.XX""#, "forbidden first char in environment variable name at position 25"),
            (r#" foo "${A""#, "unmatched brace in environment variable name at position 8"),
            (r#" foo "${A[*}""#, "truncated or invalid word expansion sequence at position 10"),
            (r#".notice "${HOME[*]x}""#, "unmatched brace in environment variable name at position 11"),
            (r"a \x00", "a word cannot hold a NUL byte"),
            (r#"a "" b"#, "argument number 1 is empty and marks the end of the argument list"),
        ] {
            assert_eq!(words(text).1, [expected], "{text}");
        }
        assert_eq!(words(r#"a \xz "$1" "b"#).1.len(), 3, "all errors of a line are found");
    }

    #[test]
    fn too_many_words() {
        let (words, messages) = words(&"a ".repeat(WORDS_MAX + 5));
        assert_eq!(words.len(), WORDS_MAX);
        assert_eq!(
            messages,
            [format!("too many words, truncating after word {WORDS_MAX}, position {}: <a>.", 2 * WORDS_MAX + 1)]
        );
    }
}
