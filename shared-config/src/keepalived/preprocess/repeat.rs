//! `~SEQ` and `~LST`: the rest of the line once for each value.

use super::definition::{Definition, is_name};
use super::text::{Bit, Queue};
use super::{Frame, LOOP_CHARS_MAX, Preprocessor};
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use std::rc::Rc;

/// A loop that is being run.
pub(super) struct Repeat {
    names: Vec<Rc<str>>,
    values: Values,
    /// What is read in each round.
    rest: Vec<Bit>,
    span: Span,
    /// What the names meant before.
    outer: Vec<Option<Definition>>,
}

/// What the names become, round after round.
enum Values {
    Sequence {
        next: Option<i64>,
        step: i64,
        end: i64,
        hex: bool,
    },
    /// In reverse order.
    List(Vec<Vec<String>>),
}

impl Iterator for Values {
    type Item = Vec<String>;

    fn next(&mut self) -> Option<Vec<String>> {
        match self {
            Values::List(rows) => rows.pop(),
            Values::Sequence { next, step, end, hex } => {
                let value = (*next)?;
                if if *step > 0 { value > *end } else { value < *end } {
                    return None;
                }
                *next = value.checked_add(*step);
                Some(vec![if *hex { format!("{value:x}") } else { value.to_string() }])
            }
        }
    }
}

impl Preprocessor<'_, '_> {
    /// Takes a line that begins with `~SEQ` or `~LST` and puts the loop on the stack; false if the line does not.
    pub(super) fn repeat(&mut self, queue: &mut Queue) -> bool {
        let head = queue.peek(5);
        let kind = if head.starts_with("~SEQx") {
            "~SEQx"
        } else if head.starts_with("~SEQ") {
            "~SEQ"
        } else if head.starts_with("~LST") {
            "~LST"
        } else {
            return false;
        };
        let Some(span) = queue.segment().map(|segment| segment.span(kind.len())) else { return false };
        let text = queue.peek(LOOP_CHARS_MAX);
        let parsed = text[kind.len()..]
            .trim_ascii_start()
            .strip_prefix('(')
            .and_then(|rest| rest.split_once(')'))
            .and_then(|(inside, after)| {
                let inside = self.expanded_text(inside);
                let (names, values) = if kind == "~LST" { list(&inside)? } else { sequence(&inside, kind == "~SEQx")? };
                Some((names, values, text.len() - after.len()))
            });
        let Some((names, values, bytes)) = parsed else {
            let line = queue.take_line().text;
            let shown: String = line.trim_ascii().chars().take(200).collect();
            let name = &kind[..4];
            let help = if name == "~SEQ" {
                "write `~SEQ(NAME, START, STEP, END) …`; START and STEP may be left out"
            } else {
                "write `~LST(NAME, VALUE, …) …` or `~LST({NAME, NAME}, {VALUE, VALUE}, …) …`"
            };
            let message = format!("Invalid {name} specification '{shown}'");
            self.report(Diagnostic::warning("invalid-loop", span, message).label("the line is not used").help(help));
            return true;
        };
        queue.skip(bytes);
        let rest = queue.take_bits();
        let outer = names.iter().map(|name| self.definitions.get(name).cloned()).collect();
        self.frames.push(Frame::Repeat(Repeat { names, values, rest, span, outer }));
        true
    }

    /// Sets the names of the loop on top of the stack and puts its line above it, or ends the loop.
    pub(super) fn next_round(&mut self) {
        let Some(Frame::Repeat(repeat)) = self.frames.last_mut() else { return };
        let bytes = repeat.rest.iter().map(|bit| match bit {
            Bit::Text(segment) => segment.as_str().len(),
            Bit::NewLine => 1,
        });
        let (bytes, span) = (bytes.sum(), repeat.span);
        let row = repeat.values.next();
        let Some(row) = row.filter(|_| self.may_expand(bytes, 1, span)) else {
            if let Some(Frame::Repeat(repeat)) = self.frames.pop() {
                for (name, outer) in repeat.names.into_iter().zip(repeat.outer) {
                    match outer {
                        Some(definition) => self.definitions.insert(name, definition),
                        None => self.definitions.remove(&name),
                    };
                }
            }
            return;
        };
        let Some(Frame::Repeat(repeat)) = self.frames.last() else { return };
        let values = row.iter().map(String::as_str).chain(std::iter::repeat(""));
        for (name, value) in repeat.names.iter().zip(values) {
            self.definitions.insert(Rc::clone(name), Definition::line(value, span));
        }
        let mut queue = Queue::default();
        repeat.rest.iter().cloned().for_each(|bit| queue.push_back(bit));
        self.frames.push(Frame::Queue(queue));
    }
}

/// `NAME, START, STEP, END`
fn sequence(inside: &str, hex: bool) -> Option<(Vec<Rc<str>>, Values)> {
    let parts: Vec<&str> = inside.split(',').map(str::trim_ascii).collect();
    let (name, numbers) = parts.split_first()?;
    let numbers: Vec<i64> = numbers.iter().map(|n| number(n)).collect::<Option<_>>()?;
    let (start, step, end) = match *numbers.as_slice() {
        [end] => (if end > 0 { 1 } else { -1 }, None, end),
        [start, end] => (start, None, end),
        [start, step, end] => (start, Some(step), end),
        _ => return None,
    };
    let step = step.unwrap_or(if end >= start { 1 } else { -1 });
    let values = Values::Sequence { next: Some(start), step, end, hex };
    (is_name(name) && step != 0).then(|| (vec![Rc::from(*name)], values))
}

/// `NAME, VALUE, …` or `{NAME, NAME}, {VALUE, VALUE}, …`
fn list(inside: &str) -> Option<(Vec<Rc<str>>, Values)> {
    let mut items = items(inside)?.into_iter();
    let names = items.next()?;
    let mut rows: Vec<Vec<String>> = items.collect();
    rows.reverse();
    (!rows.is_empty() && names.iter().all(|name| is_name(name)))
        .then(|| (names.iter().map(|name| Rc::from(name.as_str())).collect(), Values::List(rows)))
}

/// Splits at commas; `{…}` holds several values of one item.
fn items(text: &str) -> Option<Vec<Vec<String>>> {
    let mut items = Vec::new();
    let mut rest = text.trim_ascii();
    loop {
        let item;
        if let Some(inside) = rest.strip_prefix('{') {
            let (inside, after) = inside.split_once('}')?;
            item = inside.split(',').map(|value| unquoted(value).to_owned()).collect();
            rest = after.trim_ascii_start();
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            item = vec![unquoted(&rest[..end]).to_owned()];
            rest = &rest[end..];
        }
        items.push(item);
        if rest.is_empty() {
            return Some(items);
        }
        rest = rest.strip_prefix(',')?.trim_ascii_start();
    }
}

fn unquoted(value: &str) -> &str {
    let value = value.trim_ascii();
    value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(value)
}

/// Decimal, or hexadecimal after `0x`.
fn number(text: &str) -> Option<i64> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let value = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hex) => i64::from_str_radix(hex, 16).ok()?,
        None => digits.parse().ok()?,
    };
    (value >= 0).then_some(if negative { -value } else { value })
}
