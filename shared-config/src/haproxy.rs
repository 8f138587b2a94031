//! The language of haproxy.cfg (haproxy configuration manual, section 2).
//!
//! [`load`] reads files and directories, [`parse`] turns them into a tree, in this order: a file becomes lines; a line
//! becomes words ([`line`]), with the environment as it is at that line; `.if` and its kin ([`condition`]) decide whether
//! the words count; the first word opens a section or is a statement of the one that is open ([`ast`]). What the
//! statements mean is for the daemon to say. Arguments that are a language of their own have a parser each.

pub mod ast;
pub mod env;
pub mod expr;
pub mod keyword;
pub mod load;
pub mod log_format;
pub mod predicate;
pub mod print;

mod condition;
mod line;

pub use condition::BLOCKS_MAX;
pub use line::{LINE_BYTES_MAX, WORDS_MAX};

use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::source::{SourceId, Sources, Span};
use crate::suggest::nearest;
use crate::words::Word;
use ast::{File, Section, Statement};
use condition::Conditions;
use env::Env;
use load::Input;
use predicate::Facts;

/// The words that open a section wherever they are the first of a line: those of 3.5, and `program` of 2.x.
pub const SECTIONS: [&str; 20] = [
    "global",
    "defaults",
    "frontend",
    "backend",
    "listen",
    "userlist",
    "peers",
    "resolvers",
    "mailers",
    "cache",
    "http-errors",
    "fcgi-app",
    "ring",
    "log-forward",
    "log-profile",
    "crt-store",
    "traces",
    "acme",
    "healthcheck",
    "program",
];

/// After this many lines with NUL bytes a file is taken for a binary one, and no more of it is read.
pub const NUL_LINES_MAX: usize = 5;

/// What came of reading the files.
#[derive(Debug)]
pub struct Parsed {
    /// The texts, to say where something is.
    pub sources: Sources,
    /// All sections of all files.
    pub file: File,
    /// The environment after the last line, for what is run later.
    pub env: Env,
    /// What is wrong.
    pub diagnostics: Diagnostics,
}

/// Reads the files one after the other, each from a fresh section boundary, as haproxy reads several `-f`.
///
/// `setenv`, `presetenv`, `unsetenv` and `resetenv` take effect here, line by line, and are checked here; they also stay
/// in the tree, unless they are wrong. Arguments after an empty one are dropped, as haproxy ignores them: no word of the tree is empty.
pub fn parse(inputs: Vec<Input>, env: Env, facts: &Facts) -> Parsed {
    let mut sources = Sources::new();
    let mut reader = Reader { env, facts, file: File::default(), diagnostics: Diagnostics::new() };
    for input in inputs {
        let source = sources.add_owned(input.path, input.bytes);
        reader.file(&sources, source);
    }
    let Reader { env, file, diagnostics, .. } = reader;
    Parsed { sources, file, env, diagnostics }
}

/// Answers `-cc`: the text is split as a line of a file is, then evaluated. The error is what haproxy says after
/// `config : `.
pub fn evaluate_condition(text: &str, env: &Env, facts: &Facts) -> Result<bool, String> {
    let mut sources = Sources::new();
    let source = sources.add("-cc", text.as_bytes());
    let context = line::Context { env, source, offset: 0, file: "", line: 0, section: "" };
    let mut diagnostics = Diagnostics::new();
    let split = line::split(text, &context, &mut diagnostics);
    if let Some(error) = diagnostics.iter().find(|_| split.broken) {
        return Err(format!("Syntax Error in condition: {}.", error.message));
    }
    let Some(joined) = Word::join(&split.words) else { return Ok(false) };
    predicate::evaluate(&joined.text, env, facts)
        .map_err(|error| format!("Failed to evaluate condition: {}", error.message))
}

struct Reader<'a> {
    env: Env,
    facts: &'a Facts,
    file: File,
    diagnostics: Diagnostics,
}

/// Where the reader is within one file.
struct Progress {
    conditions: Conditions,
    /// Whether a section is open; the first file's last section does not continue in the second file.
    in_section: bool,
    /// A line outside of any section has been reported; the ones after it belong to that mistake.
    lost: bool,
    /// How many lines with a NUL byte there were; the first is reported.
    nul_lines: usize,
    /// `.SECTION`
    section: String,
}

impl Reader<'_> {
    fn file(&mut self, sources: &Sources, source: SourceId) {
        let text = sources.get(source).text();
        let path = sources.get(source).path().to_string_lossy();
        let mut progress = Progress {
            conditions: Conditions::default(),
            in_section: false,
            lost: false,
            nul_lines: 0,
            section: String::new(),
        };
        let mut offset = 0;
        if text.starts_with('\u{FEFF}') {
            offset = '\u{FEFF}'.len_utf8();
            let span = Span::new(source, 0..offset);
            let warning =
                Diagnostic::warning("byte-order-mark", span, "byte order mark ignored at the start of the file");
            self.diagnostics
                .push(warning.help("haproxy refuses it: save the file as UTF-8 without one").place(Place::ParsingLine));
        }
        let mut last = Span::new(source, offset..offset);
        for (line, number) in text[offset..].split_inclusive('\n').zip(1..) {
            let content = line.strip_suffix('\n').unwrap_or(line);
            last = Span::new(source, offset..offset + content.len());
            if let Some(content) = self.readable(content, last, &mut progress) {
                let context = line::Context {
                    env: &self.env,
                    source,
                    offset,
                    file: &path,
                    line: number,
                    section: &progress.section,
                };
                let split = line::split(content, &context, &mut self.diagnostics);
                self.line(split, &mut progress);
            }
            if progress.nul_lines == NUL_LINES_MAX {
                let message = "NUL bytes on several lines: the rest of the file is not read";
                self.diagnostics.push(Diagnostic::error("nul", last.head(), message).place(Place::ParsingLine));
                return;
            }
            if content.len() == line.len() {
                self.missing_line_feed(last);
            }
            offset += line.len();
        }
        progress.conditions.end_of_file(last, &mut self.diagnostics);
    }

    /// The part of a line that counts, or nothing where it cannot be read at all.
    fn readable<'t>(&mut self, line: &'t str, span: Span, progress: &mut Progress) -> Option<&'t str> {
        if line.len() > LINE_BYTES_MAX {
            let message = format!("line too long: {} bytes, at most {LINE_BYTES_MAX} are read", line.len());
            self.diagnostics.push(Diagnostic::error("line-too-long", span.head(), message).place(Place::ParsingLine));
            return None;
        }
        if let Some(at) = line.find('\0') {
            if progress.nul_lines == 0 {
                let start = span.start as usize + at;
                let message = "NUL byte in the line: is this a text file?";
                let error = Diagnostic::error("nul", Span::new(span.source, start..start + 1), message)
                    .label("lines with NUL bytes are not read; this is the first of this file")
                    .place(Place::ParsingLine);
                self.diagnostics.push(error);
            }
            progress.nul_lines += 1;
            return None;
        }
        let Some((content, rest)) = line.split_once('\r') else { return Some(line) };
        if !rest.is_empty() {
            let start = span.start as usize + content.len();
            let warning = Diagnostic::warning(
                "carriage-return",
                Span::new(span.source, start..start + 1),
                "carriage return within a line: the rest of the line is ignored",
            );
            self.diagnostics.push(warning.help("end lines with LF or CR LF").place(Place::ParsingLine));
        }
        Some(content)
    }

    fn missing_line_feed(&mut self, line: Span) {
        let position = line.end - line.start + 1;
        let message = format!("Missing LF on last line, file might have been truncated at position {position}.");
        let end = Span { start: line.end, ..line };
        self.diagnostics.push(Diagnostic::warning("missing-line-feed", end, message).place(Place::ParsingLine));
    }

    fn line(&mut self, split: line::Split, progress: &mut Progress) {
        let (Some(first), Some(last)) = (split.words.first(), split.words.last()) else { return };
        let span = first.span.to(last.span);
        if first.text.starts_with('.') {
            let statement = Statement { words: split.words, span };
            progress.conditions.directive(&statement, split.broken, &self.env, self.facts, &mut self.diagnostics);
        } else if progress.conditions.active() {
            self.statement(Statement { words: split.words, span }, split.broken, progress);
        }
    }

    fn statement(&mut self, statement: Statement, broken: bool, progress: &mut Progress) {
        let keyword = statement.keyword().map_or("", |word| word.as_str());
        if SECTIONS.contains(&keyword) {
            // Also when the line is broken: what follows does not belong to the section before.
            let name = statement.words.get(1).map_or(keyword, |name| name.as_str());
            progress.section.replace_range(.., name);
            progress.in_section = true;
            progress.lost = false;
            self.file.sections.push(Section { head: statement, statements: Vec::new() });
            return;
        }
        if broken {
            return;
        }
        if !progress.in_section {
            self.out_of_section(&statement, progress);
            return;
        }
        let Some(section) = self.file.sections.last_mut() else { return };
        if section.kind() != "global" || set_environment(&statement, &mut self.env, &mut self.diagnostics) {
            section.statements.push(statement);
        }
    }

    /// Says it once for lines that follow each other, and again for what looks like a section's misspelt name.
    fn out_of_section(&mut self, statement: &Statement, progress: &mut Progress) {
        let Some(keyword) = statement.keyword() else { return };
        let meant = nearest(&keyword.text, SECTIONS);
        if std::mem::replace(&mut progress.lost, true) && meant.is_none() {
            return;
        }
        let message = format!("unknown keyword '{}' out of section.", keyword.text);
        let mut error = Diagnostic::error("out-of-section", keyword.span, message)
            .label("no section is open here, nor on the lines up to the next one")
            .place(Place::ParsingLine);
        error.help = meant.map(|section| format!("did you mean `{section}`?"));
        self.diagnostics.push(error);
    }
}

/// `setenv`, `presetenv`, `unsetenv` and `resetenv`, and the variable that `localpeer` sets; false for one of them that is wrong and
/// has been reported.
fn set_environment(statement: &Statement, env: &mut Env, diagnostics: &mut Diagnostics) -> bool {
    let mut words = statement.words();
    let Some(keyword) = words.next() else { return true };
    let mut wrong = false;
    let mut complain = |what: &str| {
        let message = format!("'{}' expects {what}.", keyword.text);
        diagnostics.push(Diagnostic::error("arguments", statement.span, message).place(Place::ParsingLine));
        wrong = true;
    };
    match keyword.as_str() {
        "setenv" | "presetenv" => match (words.next(), words.next()) {
            (Some(name), Some(value)) if keyword.as_str() == "setenv" => env.set(&*name.text, &*value.text),
            (Some(name), Some(value)) => env.preset(&*name.text, &*value.text),
            (None, _) | (_, None) => complain("a name and a value"),
        },
        "unsetenv" if words.is_empty() => complain("at least one variable name"),
        "unsetenv" => words.for_each(|name| env.unset(&name.text)),
        "resetenv" => env.retain(&words.map(Word::as_str).collect::<Vec<_>>()),
        "localpeer" => {
            if let Some(name) = words.next() {
                env.name_peer(&*name.text);
            }
        }
        _ => {}
    }
    !wrong
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::haproxy_line;

    /// The statements as text, and the diagnostics as haproxy says them.
    fn read(texts: &[&[u8]]) -> (Vec<String>, Vec<String>, Env) {
        let inputs =
            texts.iter().zip(1..).map(|(text, n)| Input { path: format!("{n}.cfg").into(), bytes: text.to_vec() });
        let env = Env::new([("HOME", "/root"), ("PATH", "/bin")]);
        let facts = Facts { version: "3.5.0".into(), ..Facts::default() };
        let parsed = parse(inputs.collect(), env, &facts);
        let lines =
            parsed.file.sections.iter().flat_map(|section| std::iter::once(&section.head).chain(&section.statements));
        let lines = lines.map(|line| line.words.iter().map(Word::as_str).collect::<Vec<_>>().join(" "));
        let said = parsed.diagnostics.iter().map(|d| haproxy_line(d, &parsed.sources, 1));
        let said = said
            .map(|line| line.split_once("config : ").map_or(line.clone(), |(_, text)| text.replace("parsing ", "")));
        (lines.collect(), said.collect(), parsed.env)
    }

    #[test]
    fn sections_and_files() {
        let (lines, said, _) =
            read(&[b"global#x\n daemon#y\n  frontend a\nmode http\n", b"fronted b\n bind :1\nlisten c\n", b"a"]);
        assert_eq!(lines, ["global", "daemon", "frontend a", "mode http", "listen c"]);
        assert_eq!(
            said,
            [
                "[2.cfg:1]: unknown keyword 'fronted' out of section.",
                "[3.cfg:1]: unknown keyword 'a' out of section.",
                "[3.cfg:1]: Missing LF on last line, file might have been truncated at position 2."
            ]
        );
    }

    #[test]
    fn environment_follows_the_lines() {
        let text = br#"global
 setenv A 1
 presetenv A 2
 presetenv B 3
 description "$A$B$HOME"
 unsetenv A
 setenv C
 unsetenv
 resetenv HOME C
 description "${A-a}${B-b}${HOME-h}${PATH-p}"
defaults
 setenv HOME x
 description "$HOME ${.SECTION} $.LINE"
listen web
 description "${.SECTION}"
"#;
        let (lines, said, env) = read(&[text]);
        let descriptions: Vec<_> = lines.iter().filter_map(|line| line.strip_prefix("description ")).collect();
        assert_eq!(descriptions, ["13/root", "ab/rootp", "/root defaults 13", "web"]);
        let expected = [
            "[1.cfg:7]: 'setenv' expects a name and a value.",
            "[1.cfg:8]: 'unsetenv' expects at least one variable name.",
        ];
        assert_eq!(said, expected);
        assert_eq!(env.iter().collect::<Vec<_>>(), [("HOME", "/root")]);
    }

    /// The same messages and lines as haproxy 2.6; it stops at some of them, we go on.
    #[test]
    fn conditional_blocks() {
        for (text, lines, said) in [
            ("global\n.if 1\na\n.else\nb\n.endif\nc\n", "global|a|c", &[][..]),
            ("global\n.if 0\na\n.elif 1\nb\n.elif 1\nc\n.else\nd\n.endif\n", "global|b", &[]),
            ("global\n.if 0\n.if zz\na\n.else\nb\n.endif\n.foo\n.alert x\n.else\nc\n.endif\n", "global|c", &["8"]),
            ("global\n.if defined(X)\na\n.endif\nsetenv X 1\n.if defined(X)\nb\n.endif\n", "global|setenv X 1|b", &[]),
            (
                ".if streq(a,b\n.endif\n",
                "",
                &[
                    "1]: expected ')' in argument 1 of predicate 'streq' used in conditional expression in '.if' at position 10:\n  .if streq(a,b\n               ^",
                ],
            ),
            (".if\n.else x\n.endif\n", "", &["2]: Unexpected argument 'x' for '.else'."]),
            (".else\n", "", &["1]: lone '.else' with no matching '.if'."]),
            (".elif 1\n", "", &["1]: lone '.elif' with no matching '.if'."]),
            (".endif\n", "", &["1]: lone '.endif' with no matching '.if'."]),
            (
                ".if foo(1)\n.endif\n",
                "",
                &["1]: unparsable conditional expression 'foo(1)' in '.if' at position 1:\n  .if foo(1)\n      ^"],
            ),
            (".if 1\n#\n", "", &["2]: non-terminated '.if' block."]),
            (".if 1\n.else\n.else\n.endif\n", "", &["3]: '.else' after '.else' is not permitted."]),
            (".if 1\n.else\n.elif 1\n.endif\n", "", &["3]: '.elif' after '.else' is not permitted."]),
            (
                ".if 1 2\n.endif\n",
                "",
                &[
                    "1]: unexpected character '2' at the end of conditional expression '1 2' in '.if' at position 3:\n  .if 1 2\n        ^",
                ],
            ),
            (".foo\n", "", &["1]: unknown directive '.foo'."]),
            (
                ".notice a\n.alert \"b c\"\n.warning d e\n",
                "",
                &[
                    "1]: 'a'.",
                    "2]: 'b c'.",
                    "3]: Unexpected argument 'e' for '.warning'. Use quotes if the message should contain spaces.",
                ],
            ),
            (".if \"x\n.endif\n", "", &["1]: unmatched quote at position 5:\n  .if \"x\n      ^"]),
        ] {
            let (found, messages, _) = read(&[text.as_bytes()]);
            assert_eq!(found.join("|"), lines, "{text}");
            assert_eq!(messages.len(), said.len(), "{text}: {messages:?}");
            for (message, expected) in messages.iter().zip(said) {
                assert!(message.starts_with(&format!("[1.cfg:{expected}")), "{text}: {message}");
            }
        }
        let deep = [".if 1\n".repeat(1000), "listen a\n".into(), ".endif\n".repeat(1000), "listen b\n".into()].concat();
        let (lines, said, _) = read(&[deep.as_bytes()]);
        assert_eq!((lines, said.len()), (vec!["listen b".into()], 1));
    }

    #[test]
    fn conditions_of_the_command_line() {
        let env = Env::new([("HOME", "/root")]);
        for (text, expected) in [
            ("", Ok(false)),
            ("streq(\"$HOME\",/root)", Ok(true)),
            ("1 || 0 # comment", Ok(true)),
            (
                "1 x",
                Err(
                    "Failed to evaluate condition: unexpected character 'x' at the end of conditional expression '1 x'",
                ),
            ),
            ("streq(\"a,a)", Err("Syntax Error in condition: unmatched quote at position 7.")),
        ] {
            let answer = evaluate_condition(text, &env, &Facts::default());
            assert_eq!(answer, expected.map_err(str::to_owned), "{text}");
        }
    }

    #[test]
    fn bad_bytes() {
        for (text, lines, said) in [
            (&b"\xef\xbb\xbfglobal\n"[..], "global", "byte order mark"),
            (b"global\r\n daemon\r\n", "global|daemon", ""),
            (b"global\rx\n", "global", "carriage return"),
            (b"global\n max\0conn 1\n\0\n daemon\n", "global|daemon", "NUL byte"),
            (b"global\n daemon\xff\n", "global|daemon\u{10FFFF}", ""),
            (b"global\n daemon", "global|daemon", "Missing LF"),
        ] {
            let (found, messages, _) = read(&[text]);
            assert_eq!(found.join("|"), lines, "{text:?}");
            assert_eq!(messages.len(), usize::from(!said.is_empty()), "{messages:?}");
            assert!(messages.iter().all(|message| message.contains(said)), "{messages:?}");
        }
        let binary = [&b"global\n"[..], &b"\0\n".repeat(1000), b"\"\n"].concat();
        let (_, said, _) = read(&[&binary]);
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[1].starts_with("[1.cfg:6]: NUL bytes on several lines"), "{said:?}");
        let long = [&b"global\n "[..], &vec![b'x'; 10 << 20], b"\n daemon\n"].concat();
        let (lines, said, _) = read(&[&long]);
        assert_eq!((lines.join("|").as_str(), said.len()), ("global|daemon", 1));
        assert!(said[0].len() < 200 && said[0].starts_with("[1.cfg:2]: line too long"), "{}", said[0]);
    }
}
