//! `$NAME=value` and its uses, the predefined names among them.

use super::text::{Bit, Link, Origin, Queue, Segment, is_blank};
use super::{DEFINITION_DEPTH_MAX, Frame, NAME_BYTES_MAX, Preprocessor};
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use std::collections::HashMap;
use std::rc::Rc;

/// The greatest number of `${_RANDOM}` where none is given.
const RANDOM_MAX: u32 = 32_767;

/// A value of one or more lines.
#[derive(Clone, Debug)]
pub(super) struct Definition {
    lines: Vec<Rc<str>>,
    /// Where it is defined.
    span: Span,
}

impl Definition {
    pub(super) fn line(value: &str, span: Span) -> Self {
        Self { lines: vec![value.into()], span }
    }
}

pub(super) type Definitions = HashMap<Rc<str>, Definition>;

/// A use as written.
struct Use {
    name: String,
    /// What stands between the name and the closing brace.
    arguments: String,
    bytes: usize,
}

impl Preprocessor<'_, '_> {
    /// Takes a line `$NAME=value` with the lines that continue it; false if the line is none.
    pub(super) fn definition(&mut self, queue: &mut Queue) -> bool {
        let head = queue.peek(NAME_BYTES_MAX + 2);
        let Some((name, _)) = head[1..].split_once('=') else { return false };
        if !is_name(name) {
            return false;
        }
        let Some(span) = queue.segment().map(|segment| segment.span(name.len() + 1)) else { return false };
        let name: Rc<str> = name.into();
        queue.skip(name.len() + 2);
        let mut lines: Vec<Rc<str>> = Vec::new();
        loop {
            let line = queue.take_line().text;
            let line = line.trim_end_matches(is_blank);
            let continued = line.strip_suffix('\\');
            let text = continued.unwrap_or(line);
            // Nothing stands after the name where the value has several lines; the first line that says something must
            // not begin with the blanks of its indentation.
            let empty_head = lines.is_empty() && continued.is_some() && text.trim_matches(is_blank).is_empty();
            if !empty_head {
                let text = if lines.is_empty() { text } else { text.trim_start_matches(is_blank) };
                lines.push(text.trim_end_matches(is_blank).into());
            }
            if continued.is_none() || !self.refill(queue) {
                break;
            }
            if lines.is_empty() {
                queue.skip_blanks();
            }
        }
        self.definitions.insert(name, Definition { lines, span });
        true
    }

    /// Moves the next line of the file below into an empty queue; false if there is none.
    fn refill(&mut self, queue: &mut Queue) -> bool {
        if !queue.is_empty() {
            return true;
        }
        // The queue's own, now empty, frame is on top; the file it was read from is right below.
        let Some(below) = self.frames.len().checked_sub(2) else { return false };
        let Some(Frame::File(file)) = self.frames.get_mut(below) else { return false };
        let source = file.source;
        let Some(range) = file.next_line(self.sources) else { return false };
        self.push_physical_line(source, range);
        if self.frames.len() < below + 3 {
            return false;
        }
        if let Some(Frame::Queue(line)) = self.frames.pop() {
            *queue = line;
        }
        true
    }

    /// Replaces the use of a definition at the front of the line by its value; false if there is none.
    pub(super) fn expand(&mut self, queue: &mut Queue) -> bool {
        if self.exhausted {
            return false;
        }
        let starts_name = |c: char| c == '{' || c == '_' || c.is_ascii_alphabetic();
        if !queue.peek(2).chars().nth(1).is_some_and(starts_name) {
            return false;
        }
        let Some(used) = find_use(&queue.peek(2 * NAME_BYTES_MAX)) else { return false };
        let Some(segment) = queue.segment() else { return false };
        let span = segment.span(used.bytes.min(segment.as_str().len()));
        let chain = segment.chain().cloned();
        let value = match self.predefined(&used) {
            Some(value) => Definition::line(&value, span),
            None => match self.definitions.get(used.name.as_str()) {
                Some(definition) if used.arguments.is_empty() => definition.clone(),
                Some(_) | None => return false,
            },
        };
        if let Some(problem) = recursion(&used.name, chain.as_ref()) {
            self.report(
                Diagnostic::error("definition-loop", span, problem)
                    .related(value.span, format!("`${}` is defined here", used.name))
                    .label("replaced by nothing"),
            );
            queue.skip(used.bytes);
            return true;
        }
        let bytes = value.lines.iter().map(|line| line.len() + 1).sum();
        if !self.may_expand(bytes, 0, span) {
            return false;
        }
        if value.span != span {
            self.origins.uses.entry(span).or_insert_with(|| (used.name.clone(), value.span));
        }
        let depth = 1 + chain.as_ref().map_or(0, |link| link.depth);
        let link = Rc::new(Link { name: used.name.as_str().into(), outer: chain, depth });
        queue.skip(used.bytes);
        let mut bits = Vec::new();
        for (i, line) in value.lines.iter().enumerate() {
            if i > 0 {
                bits.push(Bit::NewLine);
            }
            bits.push(Bit::Text(Segment::new(Rc::clone(line), Origin::Value(span, Some(Rc::clone(&link))))));
        }
        queue.push_front(bits.into_iter());
        true
    }

    /// The value of a name that begins with an underscore and that keepalived defines.
    fn predefined(&mut self, used: &Use) -> Option<String> {
        let arguments: Vec<&str> = used.arguments.split_ascii_whitespace().collect();
        match (used.name.as_str(), arguments.as_slice()) {
            ("_PWD", []) => Some(self.directory().display().to_string()),
            ("_INSTANCE", []) => Some(self.environment.config_id.to_owned()),
            ("_HASH", []) => Some("#".to_owned()),
            ("_BANG", []) => Some("!".to_owned()),
            ("_ENV", [name]) => (self.environment.variable)(name),
            ("_RANDOM", bounds) => {
                let min = bounds.first().map_or(Some(0), |n| n.parse().ok())?;
                let max = bounds.get(1).map_or(Some(RANDOM_MAX.max(min)), |n| n.parse().ok())?;
                (bounds.len() <= 2 && min <= max).then(|| (self.environment.random)(min..=max).to_string())
            }
            _ => None,
        }
    }

    /// A text of one line with all definitions in it expanded; for the bounds of loops.
    pub(super) fn expanded_text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for _ in 0..DEFINITION_DEPTH_MAX {
            let mut changed = String::new();
            let mut rest = text.as_str();
            while let Some(at) = rest.find('$') {
                changed.push_str(&rest[..at]);
                rest = &rest[at..];
                let value = find_use(rest).and_then(|used| {
                    let definition = self.definitions.get(used.name.as_str())?;
                    Some((used.bytes, definition.lines.first()?))
                });
                let (bytes, value) = value.map_or((1, "$"), |(bytes, line)| (bytes, line.trim_ascii()));
                changed.push_str(value);
                rest = &rest[bytes..];
            }
            changed.push_str(rest);
            if changed == text || changed.len() > super::LOOP_CHARS_MAX {
                break;
            }
            text = changed;
        }
        text
    }
}

fn recursion(name: &str, chain: Option<&Rc<Link>>) -> Option<String> {
    let link = chain?;
    if link.contains(name) {
        Some(format!("the definition of `${name}` uses itself"))
    } else if link.depth >= DEFINITION_DEPTH_MAX {
        Some(format!("definitions use each other more than {DEFINITION_DEPTH_MAX} deep"))
    } else {
        None
    }
}

/// `$NAME` before a blank, a comma, a closing parenthesis or the end, or `${NAME arguments}`, at the front of a text.
fn find_use(text: &str) -> Option<Use> {
    let rest = text.strip_prefix('$')?;
    if let Some(inside) = rest.strip_prefix('{') {
        let (inside, _) = inside.split_once('}')?;
        let (name, arguments) = inside.split_once(' ').unwrap_or((inside, ""));
        return is_name(name).then(|| Use {
            name: name.to_owned(),
            arguments: arguments.to_owned(),
            bytes: inside.len() + 3,
        });
    }
    let bytes = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
    let (name, after) = rest.split_at(bytes);
    let ends = after.chars().next().is_none_or(|c| is_blank(c) || matches!(c, ',' | ')'));
    (ends && is_name(name)).then(|| Use { name: name.to_owned(), arguments: String::new(), bytes: bytes + 1 })
}

/// Letters, digits and underscores, not beginning with a digit.
pub(super) fn is_name(text: &str) -> bool {
    text.len() <= NAME_BYTES_MAX
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && text.bytes().next().is_some_and(|b| !b.is_ascii_digit())
}
