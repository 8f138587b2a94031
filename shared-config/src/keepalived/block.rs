//! From logical lines to the tree: words and their quotes, which words open a block, where it ends, and what keepalived
//! makes of braces that it does not expect.
//!
//! keepalived does not know blocks as such: a keyword that has a block reads lines until a closing brace. So a brace
//! after any other word is ignored, what follows is read as if it stood outside, and the closing brace then ends the
//! block around. That is followed here to the letter, since what keepalived runs must run.

use super::ast::{Block, File, Statement};
use super::keyword::{self, Context, Shape};
use super::preprocess::{Item, Line, Preprocessor, is_blank};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::source::{Sources, Span};
use crate::suggest;
use crate::words::{Piece, Word};
use pest::Parser as _;
use pest::iterators::Pair;
use std::ops::Range;

#[derive(pest_derive::Parser)]
#[grammar = "keepalived/block.pest"]
struct Grammar;

/// The words of a line. An unclosed quote was reported when the line ended.
fn plain_words(line: &Line) -> Vec<Word> {
    if !line.text.contains('"') {
        // Most lines. Without quotes the grammar says no more than this.
        return bare_words(line);
    }
    let Ok(mut pairs) = Grammar::parse(Rule::words, &line.text) else { return Vec::new() };
    let Some(words) = pairs.next() else { return Vec::new() };
    let mut found = Vec::new();
    for pair in words.into_inner() {
        let span = pair.as_span();
        match pair.as_rule() {
            Rule::quoted => {
                let inner = span.start() + 1..span.end() - 1;
                let pieces = spans(line, inner.clone()).into_iter();
                let pieces = pieces.map(|(at, span)| Piece { at: offset(at), span }).collect();
                let whole = cover(line, span.start()..span.end());
                found.push(Word::decoded(&line.text[inner], whole, pieces));
            }
            Rule::bare => found.push(word(line, span.start()..span.end())),
            // An unclosed quote was reported when the line ended; its text is not used.
            _ => {}
        }
    }
    found
}

fn bare_words(line: &Line) -> Vec<Word> {
    let mut found = Vec::new();
    let mut at = 0;
    for part in line.text.split(is_blank) {
        if !part.is_empty() {
            found.push(word(line, at..at + part.len()));
        }
        // Blanks are one byte each.
        at += part.len() + 1;
    }
    found
}

/// The words of a line that holds a command.
fn command_words(line: &Line, diagnostics: &mut Vec<Diagnostic>) -> Vec<Word> {
    let Ok(mut pairs) = Grammar::parse(Rule::command, &line.text) else { return Vec::new() };
    let Some(command) = pairs.next() else { return Vec::new() };
    let arguments = command.into_inner().filter(|pair| pair.as_rule() == Rule::argument);
    arguments.filter_map(|argument| command_word(line, argument, diagnostics)).collect()
}

fn command_word(line: &Line, argument: Pair<'_, Rule>, diagnostics: &mut Vec<Diagnostic>) -> Option<Word> {
    let whole = argument.as_span();
    let whole = whole.start()..whole.end();
    let mut decoded = Decoded { text: String::new(), pieces: Vec::new(), line };
    for piece in argument.into_inner() {
        match piece.as_rule() {
            Rule::plain => decoded.verbatim(&piece),
            Rule::escape => decoded.escape(piece),
            Rule::double | Rule::single => {
                for inner in piece.into_inner() {
                    if inner.as_rule() == Rule::escape { decoded.escape(inner) } else { decoded.verbatim(&inner) }
                }
            }
            // Only `open_quote` is left.
            _ => {
                let text = line.text.trim_matches(is_blank);
                let quote = &piece.as_str()[..1];
                let at = piece.as_span().start();
                diagnostics.push(
                    Diagnostic::warning(
                        "unclosed-quote",
                        cover(line, at..at + 1),
                        format!("String '{text}': missing terminating {quote}"),
                    )
                    .label("this quote is not closed"),
                );
                return None;
            }
        }
    }
    let Decoded { text, pieces, .. } = decoded;
    let plain = word(line, whole.clone());
    if *plain.text == *text {
        return Some(plain);
    }
    Some(Word::decoded(text, cover(line, whole), pieces))
}

/// A word that is being put together.
struct Decoded<'a> {
    text: String,
    pieces: Vec<Piece>,
    line: &'a Line,
}

impl Decoded<'_> {
    fn verbatim(&mut self, pair: &Pair<'_, Rule>) {
        let range = pair.as_span().start()..pair.as_span().end();
        let base = offset(self.text.len());
        for (at, span) in spans(self.line, range) {
            self.pieces.push(Piece { at: base + offset(at), span });
        }
        self.text.push_str(pair.as_str());
    }

    fn escape(&mut self, escape: Pair<'_, Rule>) {
        let range = escape.as_span().start()..escape.as_span().end();
        self.pieces.push(Piece { at: offset(self.text.len()), span: cover(self.line, range) });
        if let Some(inner) = escape.into_inner().next() {
            let text = inner.as_str();
            match inner.as_rule() {
                Rule::octal => self.byte(u32::from_str_radix(text, 8).unwrap_or_default()),
                Rule::hex => {
                    let digits = &text[text.len().saturating_sub(2).max(1)..];
                    self.byte(u32::from_str_radix(digits, 16).unwrap_or_default());
                }
                Rule::control => {
                    let c = text.chars().nth(1).unwrap_or_default();
                    if c.is_ascii() { self.byte(u32::from(c) & 0x1f) } else { self.text.push(c) }
                }
                Rule::at_end => self.text.push('\\'),
                _ => self.text.extend(text.chars().map(simple_escape)),
            }
        }
    }

    /// Adds a byte. A NUL would end the string where it is used, so it is left out.
    fn byte(&mut self, byte: u32) {
        let byte = (byte & 0xff).to_le_bytes()[0];
        if byte != 0 {
            self.text.push_str(&crate::source::decode(&[byte]));
        }
    }
}

fn simple_escape(c: char) -> char {
    match c {
        'a' => '\u{07}',
        'b' => '\u{08}',
        'E' => '\u{1B}',
        'f' => '\u{0C}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{0B}',
        other => other,
    }
}

fn offset(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// The sources of a part of a line, with offsets from the start of the part.
fn spans(line: &Line, range: Range<usize>) -> Vec<(usize, Span)> {
    let mut found = Vec::new();
    let first = line.pieces.partition_point(|piece| piece.at as usize <= range.start).saturating_sub(1);
    for (i, piece) in line.pieces.iter().enumerate().skip(first) {
        let start = piece.at as usize;
        if start >= range.end && !(found.is_empty() && start == range.start) {
            break;
        }
        let end = line.pieces.get(i + 1).map_or(line.text.len(), |next| next.at as usize);
        let from = range.start.max(start);
        let to = range.end.min(end).max(from);
        let verbatim = piece.span.range().len() == end - start;
        let span = if verbatim {
            let base = piece.span.start as usize;
            Span::new(piece.span.source, base + from - start..base + to - start)
        } else {
            piece.span
        };
        found.push((from - range.start, span));
    }
    found
}

/// One span over a part of a line.
fn cover(line: &Line, range: Range<usize>) -> Span {
    let mut spans = spans(line, range).into_iter().map(|(_, span)| span);
    let first = spans.next().or_else(|| line.pieces.first().map(|piece| piece.span));
    // A line without pieces came from nowhere.
    first.map_or(Span::default(), |first| spans.fold(first, Span::to))
}

/// A word that reads as this part of the line does.
fn word(line: &Line, range: Range<usize>) -> Word {
    let text = &line.text[range.clone()];
    let spans = spans(line, range.clone());
    match spans.as_slice() {
        [(0, span)] if span.range().len() == text.len() => Word::plain(text, *span),
        _ => {
            let pieces = spans.iter().map(|&(at, span)| Piece { at: offset(at), span }).collect();
            Word::decoded(text, cover(line, range), pieces)
        }
    }
}

/// A block that is being read.
struct OpenBlock {
    /// `None` for lists, whose lines have no keywords.
    context: Option<Context>,
    /// The statement that opened it.
    head: Statement,
    statements: Vec<Statement>,
    open: Span,
}

/// Reads all items into a tree.
pub(super) struct Builder {
    file: File,
    open: Vec<OpenBlock>,
    /// A statement whose block has still to begin, and what is in it.
    expecting: Option<(Statement, Option<Context>)>,
    /// Opening minus closing braces of the text, whatever they were taken for.
    depth: usize,
    /// Opening braces that were ignored and not yet closed in the text.
    ignored: Vec<Span>,
    /// The last word that was not known.
    unknown: Option<Word>,
    /// The end of a `$` that ended the last line: with the brace after it the use of a definition that there is not.
    dollar: Option<Span>,
}

impl Builder {
    pub(super) fn new() -> Self {
        Self {
            file: File::default(),
            open: Vec::new(),
            expecting: None,
            depth: 0,
            ignored: Vec::new(),
            unknown: None,
            dollar: None,
        }
    }

    pub(super) fn read(mut self, input: &mut Preprocessor<'_, '_>) -> Unclosed {
        while let Some(item) = input.next_item() {
            match item {
                Item::Open(span) => self.open_brace(span, input),
                Item::Close(span) => self.close_brace(span, input),
                Item::Words(line) => self.line(&line, input),
            }
        }
        self.finish()
    }

    /// The context whose keywords are legal here; `None` in a list.
    fn context(&self) -> Option<Context> {
        match self.open.last() {
            Some(block) => block.context,
            None => Some(Context::Root),
        }
    }

    fn push(&mut self, statement: Statement) {
        match self.open.last_mut() {
            Some(block) => block.statements.push(statement),
            None => self.file.statements.push(statement),
        }
    }

    fn begin_block(&mut self, head: Statement, context: Option<Context>, open: Span) {
        self.unknown = None;
        self.open.push(OpenBlock { context, head, statements: Vec::new(), open });
    }

    fn open_brace(&mut self, span: Span, input: &mut Preprocessor<'_, '_>) {
        self.depth += 1;
        if let Some((head, context)) = self.expecting.take() {
            self.begin_block(head, context, span);
            return;
        }
        self.ignored.push(span);
        if self.context().is_none() {
            // In a list a brace is a line like any other.
            self.push(Statement { words: vec![Word::plain("{", span)], block: None, span });
            return;
        }
        let mut diagnostic =
            Diagnostic::warning("unexpected-brace", span, "Unexpected '{' - ignoring").label("no block can begin here");
        if self.dollar.is_some_and(|dollar| dollar.source == span.source && dollar.end == span.start) {
            diagnostic = diagnostic.help(UNDEFINED);
        } else if let Some(unknown) = &self.unknown {
            diagnostic = diagnostic
                .related(unknown.span, "this word is not known here, so it has no block")
                .help("what stands between the braces is read as if it stood outside, and `}` ends the block around");
        }
        input.report(diagnostic);
    }

    fn close_brace(&mut self, span: Span, input: &mut Preprocessor<'_, '_>) {
        let extra = self.depth == 0;
        self.depth = self.depth.saturating_sub(1);
        if let Some((head, context)) = self.expecting.take() {
            self.begin_unbraced(head, context, span, input);
        }
        if let Some(block) = self.open.pop() {
            let Statement { words, span: head, .. } = block.head;
            let statements = Block { statements: block.statements, open: block.open, close: Some(span) };
            self.push(Statement { words, block: Some(statements), span: head });
            if extra {
                input.report(
                    Diagnostic::warning("extra-brace", span, "Extra '}' found").label("there was no `{` for this one"),
                );
            }
            return;
        }
        let mut diagnostic = if extra {
            Diagnostic::warning("extra-brace", span, "Extra '}' found").label("there is no block to end")
        } else {
            Diagnostic::warning("unknown-keyword", span, "Unknown keyword '}'").label("there is no block to end")
        };
        if let Some(open) = self.ignored.pop() {
            diagnostic = diagnostic.related(open, "this brace was ignored");
        }
        input.report(diagnostic);
    }

    /// A block whose opening brace is missing: keepalived reads it all the same.
    fn begin_unbraced(
        &mut self,
        head: Statement,
        context: Option<Context>,
        at: Span,
        input: &mut Preprocessor<'_, '_>,
    ) {
        if context.is_some() {
            input.report(
                Diagnostic::warning("missing-brace", at, "Missing '{' at beginning of configuration block")
                    .label("`{` should stand before this")
                    .related(head.span, "to open this block"),
            );
        }
        let open = Span { start: head.span.end, ..head.span };
        self.begin_block(head, context, open);
    }

    fn line(&mut self, line: &Line, input: &mut Preprocessor<'_, '_>) {
        let words = plain_words(line);
        let Some(first) = words.first().cloned() else { return };
        self.dollar = words.last().filter(|word| word.as_str().ends_with('$')).map(|word| word.span);
        if let Some((head, context)) = self.expecting.take() {
            self.begin_unbraced(head, context, first.span, input);
        }
        let Some(context) = self.context() else {
            self.push(statement(words));
            return;
        };
        let Some(row) = context.find(first.as_str()) else {
            let diagnostic = unknown_keyword(&first, context);
            input.report(if input.is_full() { diagnostic } else { suggest_keyword(diagnostic, &first, context) });
            self.unknown = Some(first);
            return;
        };
        self.unknown = None;
        let mut words = match row.shape {
            Shape::Command => {
                let mut problems = Vec::new();
                let words = command_words(line, &mut problems);
                for problem in problems {
                    input.report(problem);
                }
                words
            }
            Shape::Line | Shape::Block(_) | Shape::List | Shape::NamedList => words,
        };
        if words.len() <= row.needs as usize {
            input.report(missing_parameter(words.first().unwrap_or(&first), &words));
            return;
        }
        // A quoted text without a blank before it is part of the first word of a command, which nobody reads.
        words.splice(..1, [first]);
        if context == Context::Global && row.name == "include_check" {
            input.include_check(&words[1..]);
        }
        let statement = statement(words);
        match row.shape {
            Shape::Line | Shape::Command => self.push(statement),
            Shape::Block(inner) => self.expecting = Some((statement, Some(inner))),
            Shape::NamedList => self.expecting = Some((statement, None)),
            Shape::List => {
                if let Some(extra) = statement.argument(1) {
                    let message = format!("Block {} has extra parameters {extra} ...", row.name, extra = extra.text);
                    input.report(
                        Diagnostic::warning("extra-parameters", extra.span, message)
                            .label("not used")
                            .help("the list begins after `{`"),
                    );
                }
                self.expecting = Some((statement, None));
            }
        }
    }

    fn finish(mut self) -> Unclosed {
        let depth = self.depth;
        let mut places: Vec<Span> = self.open.iter().map(|block| block.open).collect();
        places.append(&mut self.ignored);
        if let Some((head, context)) = self.expecting.take() {
            let open = Span { start: head.span.end, ..head.span };
            self.begin_block(head, context, open);
        }
        while let Some(block) = self.open.pop() {
            let Statement { words, span, .. } = block.head;
            let block = Block { statements: block.statements, open: block.open, close: None };
            self.push(Statement { words, block: Some(block), span });
        }
        places.sort();
        Unclosed { file: self.file, depth, places }
    }
}

/// The tree, and how many opening braces of the text have no closing one.
pub(super) struct Unclosed {
    pub(super) file: File,
    depth: usize,
    /// Braces that may be meant, the outermost first.
    places: Vec<Span>,
}

impl Unclosed {
    pub(super) fn report(&self, sources: &Sources, diagnostics: &mut Diagnostics) {
        if self.depth == 0 {
            return;
        }
        let message = format!("There are {} missing '}}'s or extra '{{'s", self.depth);
        let mut diagnostic = Diagnostic::warning("unclosed-brace", self.places.last().copied(), message).whole_file();
        if let Some((last, others)) = self.places.split_last() {
            diagnostic = diagnostic.label("this brace is not closed");
            for &open in others.iter().rev().take(8) {
                diagnostic = diagnostic.related(open, "nor is this one");
            }
            let source = sources.get(last.source);
            let lines = source.line_count();
            diagnostic = diagnostic.help(format!("the file {} ends at line {lines}", source.path().display()));
        }
        diagnostics.push(diagnostic);
    }
}

fn statement(words: Vec<Word>) -> Statement {
    let first = words[0].span;
    let span = words.last().map_or(first, |last| first.to(last.span));
    Statement { words, block: None, span }
}

fn missing_parameter(keyword: &Word, words: &[Word]) -> Diagnostic {
    let last = words.last().unwrap_or(keyword);
    let message = format!(
        "*** Configuration line starting `{}` is missing a parameter after keyword `{}` at word position {}",
        keyword.text,
        last.text,
        words.len() + 1
    );
    let here = Span { start: last.span.end, ..last.span };
    Diagnostic::error("missing-parameter", last.span.to(here), message)
        .label("a parameter must follow")
        .help("keepalived reads nothing after this line and does not start")
}

fn unknown_keyword(word: &Word, context: Context) -> Diagnostic {
    let message = format!("Unknown keyword '{}'", word.text);
    Diagnostic::warning("unknown-keyword", word.span, message).label(match context {
        Context::Root => "not known outside all braces".to_owned(),
        inside => format!("not known in {}", inside.name()),
    })
}

/// Help for braces that belong to a use.
const UNDEFINED: &str = "`${NAME}` is left as it stands where NAME is not defined; define it before with `$NAME=value`";

/// The longest word that may be a misspelt keyword, in bytes.
const MISSPELT_BYTES_MAX: usize = 64;

/// The shortest, in bytes.
const MISSPELT_BYTES_MIN: usize = 3;

/// Adds what was probably meant.
fn suggest_keyword(diagnostic: Diagnostic, word: &Word, context: Context) -> Diagnostic {
    let text = word.as_str();
    if let Some(help) = strange_characters(text) {
        return diagnostic.help(help);
    }
    if text.ends_with('$') {
        return diagnostic.help(UNDEFINED);
    }
    // Keywords are ASCII, so lengths in bytes tell most of them apart.
    let similar = |name: &&str| name.len().abs_diff(text.len()) <= 1 + text.len() / 3;
    // A very short word is near to many others.
    if !(MISSPELT_BYTES_MIN..=MISSPELT_BYTES_MAX).contains(&text.len()) {
        return diagnostic;
    }
    if let Some(near) = suggest::nearest(text, context.keywords().map(|keyword| keyword.name).filter(similar)) {
        return diagnostic.help(format!("did you mean `{near}`?"));
    }
    let homes = |name| keyword::homes(name).map(Context::name).take(3).collect::<Vec<_>>().join(" or ");
    if keyword::homes(text).next().is_some() {
        let help = format!("`{text}` belongs in {}; is a brace missing or too many before it?", homes(text));
        return diagnostic.help(help);
    }
    let everywhere = Context::ALL.into_iter().flat_map(Context::keywords).map(|keyword| keyword.name).filter(similar);
    match suggest::nearest(text, everywhere) {
        Some(near) => diagnostic.help(format!("did you mean `{near}`? It belongs in {}", homes(near))),
        None => diagnostic,
    }
}

/// What copied text may hold and a keyword cannot.
fn strange_characters(text: &str) -> Option<String> {
    let (c, name) = text.chars().find_map(|c| {
        Some((
            c,
            match c {
                '\u{FEFF}' => "a byte order mark",
                '\u{A0}' => "a no-break space",
                '\u{3000}' => "an ideographic space",
                '\u{2000}'..='\u{200D}' | '\u{202F}' | '\u{205F}' => "a typographic space",
                '\u{2018}' | '\u{2019}' | '\u{201C}' | '\u{201D}' => "a typographic quote",
                '\u{2010}'..='\u{2015}' => "a typographic dash",
                _ => return None,
            },
        ))
    })?;
    Some(format!(
        "the word holds {name} (U+{:04X}), as text copied from web pages or editors may; write plain blanks, quotes and dashes",
        u32::from(c)
    ))
}
