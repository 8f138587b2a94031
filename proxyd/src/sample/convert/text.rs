//! Converters of text.

use super::super::regex::{Groups, Regex};
use super::super::value::Value;
use std::borrow::Cow;
use std::ops::Range;

/// The replacement of `regsub` and of the `replace-…` actions: text with references `\0` to `\9`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replacement(Box<[Piece]>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(Box<[u8]>),
    Group(usize),
}

impl Replacement {
    /// From how it is written. `\` before anything but a digit or `x` and two hexadecimal digits stands for what follows.
    pub fn new(text: &[u8]) -> Self {
        let (mut pieces, mut run) = (Vec::new(), Vec::new());
        let mut at = 0;
        while let Some(&byte) = text.get(at) {
            at += 1;
            if byte != b'\\' {
                run.push(byte);
                continue;
            }
            match (text.get(at), hex_pair(text.get(at + 1..at + 3))) {
                (Some(digit @ b'0'..=b'9'), _) => {
                    pieces.push(Piece::Text(std::mem::take(&mut run).into()));
                    pieces.push(Piece::Group(usize::from(digit - b'0')));
                    at += 1;
                }
                (Some(b'x'), Some(byte)) => {
                    run.push(byte);
                    at += 3;
                }
                (Some(&other), _) => {
                    run.push(other);
                    at += 1;
                }
                (None, _) => run.push(b'\\'),
            }
        }
        pieces.push(Piece::Text(run.into()));
        Self(pieces.into())
    }

    /// Writes the replacement of one match.
    pub fn write(&self, text: &[u8], groups: &Groups, out: &mut Vec<u8>) {
        for piece in &self.0 {
            match piece {
                Piece::Text(piece) => out.extend_from_slice(piece),
                Piece::Group(number) => {
                    out.extend_from_slice(groups.get(*number).and_then(|range| text.get(range)).unwrap_or_default());
                }
            }
        }
    }
}

fn hex_pair(digits: Option<&[u8]>) -> Option<u8> {
    let digits = std::str::from_utf8(digits?).ok()?;
    u8::from_str_radix(digits, 16).ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Changes every byte of a text, or none if nothing changes.
pub(super) fn change(value: Value<'_>, to: impl Fn(&u8) -> u8) -> Value<'_> {
    let text = value.into_text();
    if text.iter().all(|byte| to(byte) == *byte) {
        return Value::Str(text);
    }
    Value::Str(Cow::Owned(text.iter().map(to).collect()))
}

/// A part of a text, borrowed where the text is.
pub(super) fn part(text: Cow<'_, [u8]>, range: impl FnOnce(&[u8]) -> Option<Range<usize>>) -> Option<Cow<'_, [u8]>> {
    let range = range(&text)?;
    match text {
        Cow::Borrowed(text) => text.get(range).map(Cow::Borrowed),
        Cow::Owned(mut text) => {
            text.truncate(range.end);
            text.drain(..range.start.min(text.len()));
            Some(Cow::Owned(text))
        }
    }
}

/// `field`: the fields from `index`, so many of them.
pub(super) fn field(text: &[u8], index: i64, delimiters: &[u8], count: i64) -> Option<Range<usize>> {
    pick(ranges(text, delimiters), index, count)
}

/// `word`: as [`field`], but empty ones are not counted.
pub(super) fn word(text: &[u8], index: i64, delimiters: &[u8], count: i64) -> Option<Range<usize>> {
    pick(ranges(text, delimiters).filter(|range| !range.is_empty()), index, count)
}

fn ranges<'a>(text: &'a [u8], delimiters: &'a [u8]) -> impl DoubleEndedIterator<Item = Range<usize>> + 'a {
    let base = text.as_ptr() as usize;
    text.split(|byte| delimiters.contains(byte)).map(move |field| {
        let start = field.as_ptr() as usize - base;
        start..start + field.len()
    })
}

/// From the field `index` on, in the direction it is counted from, `count` fields; all with 0 or less.
fn pick(mut fields: impl DoubleEndedIterator<Item = Range<usize>>, index: i64, count: i64) -> Option<Range<usize>> {
    let skip = usize::try_from(index.unsigned_abs()).ok()?.checked_sub(1)?;
    let more = usize::try_from(count).unwrap_or(0).checked_sub(1);
    if index > 0 {
        let first = fields.nth(skip)?;
        let last = match more {
            Some(more) => fields.take(more).last(),
            None => fields.last(),
        };
        Some(first.start..last.map_or(first.end, |last| last.end))
    } else {
        let last = fields.nth_back(skip)?;
        let first = match more {
            Some(more) => fields.rev().take(more).last(),
            None => fields.next(),
        };
        Some(first.map_or(last.start, |first| first.start)..last.end)
    }
}

/// What `strcmp` says: by how much the first bytes that differ do, else -1, 0 or 1 for the lengths.
pub(super) fn order(one: &[u8], other: &[u8]) -> i64 {
    match one.iter().zip(other).find(|(one, other)| one != other) {
        Some((one, other)) => i64::from(*one) - i64::from(*other),
        None => i64::from(one.len() > other.len()) - i64::from(one.len() < other.len()),
    }
}

/// `a.b.c` as `c.b.a`.
pub(super) fn reversed_domain(text: &[u8]) -> Vec<u8> {
    let labels: Vec<&[u8]> = text.split(|&byte| byte == b'.').rev().collect();
    labels.join(&b"."[..])
}

/// The value of a parameter in `a=b&c=d`; empty where it has none.
pub(super) fn parameter(text: &[u8], name: &[u8], delimiters: &[u8]) -> Option<Range<usize>> {
    ranges(text, delimiters).find_map(|range| {
        let rest = text.get(range.clone())?.strip_prefix(name)?;
        match rest {
            [] => Some(range.end..range.end),
            [b'=', ..] => Some(range.start + name.len() + 1..range.end),
            _ => None,
        }
    })
}

/// Replaces the first match, or all. As with haproxy, what is behind the last match is looked at once more, also where it is empty.
pub(super) fn replace<'t>(regex: &Regex, replacement: &Replacement, all: bool, text: Cow<'t, [u8]>) -> Cow<'t, [u8]> {
    let mut out = Vec::new();
    let (mut copied, mut at) = (0, 0);
    while let Some(groups) = regex.groups(&text, at) {
        let Some(whole) = groups.get(0) else { break };
        out.extend_from_slice(text.get(copied..whole.start).unwrap_or_default());
        replacement.write(&text, &groups, &mut out);
        copied = whole.end;
        // Where a match took nothing the search goes on behind the next byte.
        let stays = whole.end == at;
        at = if stays { at + 1 } else { whole.end };
        if !all || at == text.len() && !stays && !regex.is_match(b"") {
            break;
        }
    }
    if copied == 0 && out.is_empty() && at == 0 {
        return text;
    }
    out.extend_from_slice(text.get(copied..).unwrap_or_default());
    Cow::Owned(out)
}

/// Where the host of `host[:port]` ends: at the last colon that is not inside the brackets of an IPv6 address.
pub(super) fn host_end(text: &[u8]) -> usize {
    let bracket = text.iter().rposition(|&byte| byte == b']').map_or(0, |at| at + 1);
    text[bracket..].iter().rposition(|&byte| byte == b':').map_or(text.len(), |at| bracket + at)
}
