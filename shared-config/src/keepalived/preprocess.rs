//! From files to logical lines: comments, `include*`, `@id` conditions, `$NAME=` definitions and their uses, `~SEQ` and
//! `~LST` loops. What comes out is words and braces, every character with its place in a real source.
//!
//! Everything waits on one explicit stack of [`Frame`]s, so that neither nested files nor nested expansions use the
//! program's stack, and text is only ever moved forward, so that the work grows with the bytes read. Expansion can
//! multiply text; [`Limits`] bound it.

mod definition;
mod files;
mod include;
mod repeat;
mod text;

pub use files::{Disk, Files, NoFiles, Remembered};
pub use text::Line;
pub(super) use text::is_blank;

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::source::{SourceId, Sources, Span};
use definition::Definitions;
use include::{Check, OpenFile};
use repeat::Repeat;
use std::collections::{HashMap, VecDeque};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use text::{Bit, Origin, Queue, Segment};

/// The longest physical line, in bytes. A longer one is an error and is not read.
pub const LINE_BYTES_MAX: usize = 1 << 20;
/// How deeply files may include each other.
pub const INCLUDE_DEPTH_MAX: usize = 1024;
/// How many files one configuration may include.
pub const INCLUDES_MAX: usize = 10_000;
/// How deeply the values of definitions may use other definitions.
pub const DEFINITION_DEPTH_MAX: usize = 64;
/// The longest name of a definition, in bytes.
pub const NAME_BYTES_MAX: usize = 255;
/// The longest `~SEQ(…)` or `~LST(…)`, in characters.
pub const LOOP_CHARS_MAX: usize = 65_536;

/// How far expansion may multiply text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes that definitions and loops put in place of their uses, in all.
    pub expanded_bytes: usize,
    /// Rounds of `~SEQ` and `~LST`, in all.
    pub rounds: usize,
}

impl Default for Limits {
    fn default() -> Self {
        // The manual's largest example makes 65,024 instances of 350 bytes.
        Self { expanded_bytes: 32 << 20, rounds: 200_000 }
    }
}

/// What the text may depend on besides itself.
pub struct Environment<'a> {
    /// What `@id` is compared with and `${_INSTANCE}` says: `--config-id`, else the short host name.
    pub config_id: &'a str,
    /// Included files.
    pub files: &'a dyn Files,
    /// A random number in a range, for `${_RANDOM}`.
    pub random: &'a mut dyn FnMut(RangeInclusive<u32>) -> u32,
    /// A variable of the environment, for `${_ENV NAME}`.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// Bounds of expansion.
    pub limits: Limits,
}

/// What a logical line is made of.
#[derive(Clone, Debug)]
pub enum Item {
    /// `{` outside quotes.
    Open(Span),
    /// `}` outside quotes.
    Close(Span),
    /// What stands before the next brace or the end of the line; never empty.
    Words(Line),
}

/// One level of what waits to be read.
enum Frame {
    /// An open file.
    File(OpenFile),
    /// Files that an include names and that are still to be opened.
    Include(VecDeque<PathBuf>, Span, Check),
    /// Lines.
    Queue(Queue),
    /// A loop that has rounds left.
    Repeat(Repeat),
}

/// Why text is where it is: for notes under diagnostics.
#[derive(Debug, Default)]
pub struct Origins {
    included_from: HashMap<SourceId, Span>,
    /// Where a definition was used, and the definition.
    uses: HashMap<Span, (String, Span)>,
}

impl Origins {
    /// Adds to a diagnostic where its text was defined or included, if it is not plainly in the first file.
    #[must_use]
    pub fn explain(&self, mut diagnostic: Diagnostic) -> Diagnostic {
        let Some(span) = diagnostic.span else { return diagnostic };
        let known = |place: &Span| diagnostic.related.iter().any(|label| label.span == *place);
        if let Some((name, defined)) = self.uses.get(&span).filter(|(_, defined)| !known(defined)) {
            diagnostic = diagnostic.related(*defined, format!("`${name}` is defined here"));
        }
        if let Some(from) = self.included_from.get(&span.source) {
            diagnostic = diagnostic.related(*from, "included here");
        }
        diagnostic
    }
}

/// The reader of all files of one run.
pub struct Preprocessor<'a, 'e> {
    sources: &'a mut Sources,
    environment: &'a mut Environment<'e>,
    diagnostics: &'a mut Diagnostics,
    frames: Vec<Frame>,
    definitions: Definitions,
    origins: Origins,
    check: Check,
    included: usize,
    expanded_bytes: usize,
    rounds: usize,
    exhausted: bool,
}

impl<'a, 'e> Preprocessor<'a, 'e> {
    /// Reads `root` first; what it includes is added to `sources`.
    pub fn new(
        sources: &'a mut Sources,
        root: SourceId,
        environment: &'a mut Environment<'e>,
        diagnostics: &'a mut Diagnostics,
    ) -> Self {
        let mut this = Self {
            sources,
            environment,
            diagnostics,
            frames: Vec::new(),
            definitions: Definitions::default(),
            origins: Origins::default(),
            check: Check::default(),
            included: 0,
            expanded_bytes: 0,
            rounds: 0,
            exhausted: false,
        };
        let path = this.sources.get(root).path().to_owned();
        this.push_file(root, &path);
        this
    }

    /// Reports a problem of the text that is being read.
    pub fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(self.origins.explain(diagnostic));
    }

    /// Whether there are so many diagnostics that more are only counted, and help would be wasted.
    pub fn is_full(&self) -> bool {
        self.diagnostics.dropped() > 0
    }

    /// What is needed to explain later diagnostics.
    pub fn into_origins(self) -> Origins {
        self.origins
    }

    /// The next words or brace; `None` at the end of all files.
    pub fn next_item(&mut self) -> Option<Item> {
        loop {
            match self.frames.last_mut()? {
                Frame::File(file) => {
                    let source = file.source;
                    if let Some(range) = file.next_line(self.sources) {
                        self.push_physical_line(source, range);
                    } else {
                        self.check = file.check_before;
                        self.frames.pop();
                    }
                }
                Frame::Include(..) => self.open_next_include(),
                Frame::Repeat(_) => self.next_round(),
                Frame::Queue(queue) => {
                    let mut queue = std::mem::take(queue);
                    let place = self.frames.len() - 1;
                    let item = self.step(&mut queue);
                    // A step may have pushed frames above; the rest of the line stays below them.
                    if queue.is_empty() {
                        self.frames.remove(place);
                    } else if let Some(Frame::Queue(place)) = self.frames.get_mut(place) {
                        *place = queue;
                    }
                    if item.is_some() {
                        return item;
                    }
                }
            }
        }
    }

    /// Reads from the front of a line that is not empty until there is an item, or something else happened.
    fn step(&mut self, queue: &mut Queue) -> Option<Item> {
        queue.skip_blanks();
        let Some(segment) = queue.segment() else {
            queue.end_line();
            return None;
        };
        let first = segment.as_str().chars().next()?;
        match first {
            '{' | '}' => {
                let span = segment.span(1);
                queue.skip(1);
                return Some(if first == '{' { Item::Open(span) } else { Item::Close(span) });
            }
            '@' => {
                self.condition(queue);
                return None;
            }
            '~' if self.repeat(queue) => return None,
            '$' if self.definition(queue) => return None,
            'i' if self.include(queue) => return None,
            _ => {}
        }
        self.words(queue).map(Item::Words)
    }

    /// `@id rest` keeps the rest for this id, `@^id rest` for every other one.
    fn condition(&mut self, queue: &mut Queue) {
        let limit = self.environment.config_id.chars().count() + 3;
        let text = queue.peek(limit);
        let word = text.split(text::is_blank).next().unwrap_or_default();
        let (negated, id) = match word.strip_prefix("@^") {
            Some(id) => (true, id),
            None => (false, word.strip_prefix('@').unwrap_or_default()),
        };
        if (id == self.environment.config_id) == negated {
            queue.take_line();
            return;
        }
        // An id that is longer than ours was cut by the peek: drop the word up to its end.
        queue.skip(word.len());
        while let Some(segment) = queue.segment() {
            let rest = segment.as_str();
            let bytes = rest.find(text::is_blank).unwrap_or(rest.len());
            if bytes == 0 {
                break;
            }
            segment.advance(bytes);
        }
    }

    /// Words up to a brace outside quotes or the end of the line, definitions expanded. `None` if there are none, or if
    /// an expansion stands first and may turn the line into something else.
    fn words(&mut self, queue: &mut Queue) -> Option<Line> {
        let mut line = Line::default();
        let mut quote: Option<Span> = None;
        while let Some(segment) = queue.segment() {
            let text = segment.as_str();
            let bytes = text.find(['$', '"', '{', '}']).unwrap_or(text.len());
            line.push(segment, bytes);
            segment.advance(bytes);
            let Some(special) = segment.as_str().chars().next() else { continue };
            let span = segment.span(1);
            match special {
                '{' | '}' if quote.is_none() => break,
                '$' if self.expand(queue) => {
                    if line.text.is_empty() {
                        return None;
                    }
                    continue;
                }
                '"' => quote = if quote.is_some() { None } else { Some(span) },
                _ => {}
            }
            let Some(segment) = queue.segment() else { continue };
            line.push(segment, 1);
            segment.advance(1);
        }
        if queue.segment().is_none() {
            queue.end_line();
        }
        if let Some(open) = quote {
            self.report(
                Diagnostic::warning(
                    "unclosed-quote",
                    open,
                    format!("Unterminated quote '{}'", line.text.trim_matches(is_blank)),
                )
                .label("this quote is not closed on its line")
                .help("close it with another `\"`; without it the word is not used"),
            );
        }
        Some(line).filter(|line| !line.text.trim_matches(is_blank).is_empty())
    }

    /// Puts one line of a file on the stack, without its comment.
    fn push_physical_line(&mut self, source: SourceId, range: std::ops::Range<usize>) {
        let span = |range: std::ops::Range<usize>| Span::new(source, range);
        if range.len() > LINE_BYTES_MAX {
            let message = format!("line of {} bytes is longer than {LINE_BYTES_MAX} and is not read", range.len());
            let head = span(range.start..range.start + 1);
            self.report(Diagnostic::error("line-too-long", head, message).label("this line"));
            return;
        }
        let text = self.sources.text(span(range.clone())).to_owned();
        let (kept, nul) = strip_comment(&text);
        if let Some(at) = nul {
            let at = span(range.start + at..range.start + at + 1);
            self.report(
                Diagnostic::warning("nul-byte", at, "NUL byte in the configuration: the rest of the line is not read")
                    .help("this is probably not a text file"),
            );
        }
        let mut queue = Queue::default();
        for part in kept {
            let origin = Origin::Source(span(range.start + part.start..range.start + part.end));
            queue.push_back(Bit::Text(Segment::new(&text[part], origin)));
        }
        queue.push_back(Bit::NewLine);
        self.frames.push(Frame::Queue(queue));
    }

    /// Counts text that is put in place of other text; false, with one error, when it is too much.
    fn may_expand(&mut self, bytes: usize, rounds: usize, at: Span) -> bool {
        self.expanded_bytes = self.expanded_bytes.saturating_add(bytes);
        self.rounds += rounds;
        let Limits { expanded_bytes, rounds } = self.environment.limits;
        if self.expanded_bytes <= expanded_bytes && self.rounds <= rounds {
            return true;
        }
        if !self.exhausted {
            self.exhausted = true;
            let message =
                format!("definitions and loops expand to more than {expanded_bytes} bytes or {rounds} rounds");
            self.report(Diagnostic::error("expansion-limit", at, message).label("nothing is expanded from here on"));
        }
        false
    }
}

/// The parts of a line that stay when its comment and the backslashes of `\#` and `\!` are removed, and the place of a
/// NUL byte, which ends the line like a comment.
fn strip_comment(text: &str) -> (Vec<std::ops::Range<usize>>, Option<usize>) {
    let bytes = text.as_bytes();
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    let mut parts = Vec::new();
    let mut start = 0;
    let mut quoted = false;
    let mut i = 0;
    while i < end {
        match bytes[i] {
            b'"' => quoted = !quoted,
            b'\\' if quoted => i += 1,
            b'\\' if matches!(bytes.get(i + 1), Some(b'#' | b'!')) => {
                parts.push(start..i);
                start = i + 1;
                i += 1;
            }
            b'#' | b'!' if !quoted => break,
            _ => {}
        }
        i += 1;
    }
    parts.push(start..i.min(end));
    (parts, (i >= end && end < bytes.len()).then_some(end))
}
