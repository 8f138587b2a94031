//! Field lines: `name: value`, up to the empty line.

use super::{Limits, Refused, Seen, is_plain};
use crate::http::blocks::{self, BLOCK};
use crate::http::header::{TOKEN_LOWER, is_ows, list};
use crate::http::{Field, Head, Span};
use crate::limits::FIELD_NAME_MAX;

/// Bytes that are copied before they are looked at: most heads as a whole, and not much of a body behind a short one.
const AHEAD: usize = 1_024;

/// Reads field lines of `input` from `at` into `head`. `Ok(None)`: not all there yet. Otherwise where the bytes after the
/// empty line begin. `seen` notes what rules framing; trailers have none.
///
/// As haproxy does: names are lower-cased, white space around values is dropped, a folded line is joined (each byte of its
/// line break becomes a space), a lone LF ends a line, bytes above 0x7f and control characters inside a value pass.
/// Refused: empty names and those that are too long, lines without a colon, a lone CR; and NUL and names that are no tokens
/// (white space before the colon or the first name), unless `limits` is lax.
pub(crate) fn read(
    input: &[u8],
    mut at: usize,
    head: &mut Head,
    mut seen: Option<&mut Seen>,
    mut limits: Limits,
) -> Result<Option<usize>, Refused> {
    loop {
        let rest = input.get(at..).unwrap_or_default();
        match rest {
            [b'\r', b'\n', ..] => return Ok(Some(at + 2)),
            [b'\n', ..] => return Ok(Some(at + 1)),
            [b'\r'] | [] => return Ok(None),
            _ => {}
        }
        let taken = usual_lines(rest, head, seen.as_deref_mut(), limits)?;
        if taken > 0 {
            at += taken;
            continue;
        }
        let index = head.field_count();
        let Some(length) = other_line(rest, head, limits)? else { return Ok(None) };
        if let Some(seen) = seen.as_deref_mut() {
            note(index, head, seen, &mut limits)?;
        }
        if head.field_count() >= limits.fields {
            return Err(Refused::BAD);
        }
        at += length;
    }
}

/// Takes the lines at the front that have the form `name: value` CRLF and are taken as they are, which nearly all are: how many
/// bytes. They are copied together, and then looked at where they stand.
fn usual_lines(input: &[u8], head: &mut Head, mut seen: Option<&mut Seen>, limits: Limits) -> Result<usize, Refused> {
    let Head { text, fields, .. } = head;
    let start = text.len();
    text.extend_from_slice(input.get(..AHEAD).unwrap_or(input));
    // So every byte is in a whole block; a line that reaches it has not ended.
    text.extend_from_slice(&[0; BLOCK]);
    let (mut at, mut left_out) = (start, 0);
    while let Some(lines) = text.get_mut(at..)
        && let Some((name_length, length)) = usual_line(lines)
        && fields.len() + 1 < limits.fields
    {
        blocks::lower(lines, name_length);
        let (name, value) = (&lines[..name_length], &lines[name_length + 2..length - 2]);
        if is_noted(name) {
            let left_over = name == b"connection" && is_plain(value) && seen.is_some();
            if !left_over && is_changed(name) {
                break;
            }
            if let Some(seen) = seen.as_deref_mut() {
                seen.field(fields.len(), name, value)?;
            }
            if left_over {
                text.drain(at..at + length);
                left_out += length;
                continue;
            }
        }
        fields.push(Field { name: Span::new(at, name_length), value: Span::new(at + name_length + 2, value.len()) });
        at += length;
    }
    text.truncate(at);
    Ok(at - start + left_out)
}

/// The lengths of the name and of the whole of the first line, if it has the form `name: value` CRLF, with a name of letters,
/// digits and dashes and with something in its value, and is not folded.
fn usual_line(lines: &[u8]) -> Option<(usize, usize)> {
    if lines.first() == Some(&b'\r') {
        return None;
    }
    let name_length = blocks::find(lines, |byte| !(byte.is_ascii_alphanumeric() || byte == b'-'));
    let [b':', b' ', value @ ..] = lines.get(name_length..)? else { return None };
    let length = blocks::find(value, |byte| byte <= b'\r');
    let [last, b'\r', b'\n', next, ..] = value.get(length.checked_sub(1)?..)? else { return None };
    let bare = !is_ows(value[0]) && !is_ows(*last);
    ((1..=FIELD_NAME_MAX).contains(&name_length) && bare && !is_ows(*next) && *next != 0)
        .then_some((name_length, name_length + length + 4))
}

/// Reads a field of any form; its length.
#[inline(never)]
fn other_line(lines: &[u8], head: &mut Head, limits: Limits) -> Result<Option<usize>, Refused> {
    let Some((name_end, value_start)) = name(lines, 0, limits.lax)? else { return Ok(None) };
    let Some(value) = value(lines, value_start, limits.lax)? else { return Ok(None) };
    let text = &lines[value.start..value.end];
    head.append_lower(&lines[..name_end], |out| {
        if value.folded {
            out.extend(unfold(text));
        } else {
            out.extend_from_slice(text);
        }
    });
    Ok(Some(value.next))
}

/// Lets the field just read have its say, and takes it back where it was meant for us alone. haproxy takes `te` back later: where
/// nothing is left of it there is room for one field less.
fn note(index: usize, head: &mut Head, seen: &mut Seen, limits: &mut Limits) -> Result<(), Refused> {
    let (name, value) = head.last_field();
    seen.field(index, name, value)?;
    match name {
        b"connection" if is_plain(value) => head.pop_field(),
        // Codings that a sender offers to take are not ours to promise; trailers pass.
        b"te" if value != b"trailers" => {
            let trailers = list(value).any(|coding| coding == b"trailers");
            seen.left_out += value.len();
            head.pop_field();
            if trailers {
                head.append(b"te", b"trailers");
                seen.left_out -= b"trailers".len();
            } else {
                seen.left_out += b"te".len();
                limits.fields = limits.fields.saturating_sub(1);
            }
        }
        _ => {}
    }
    Ok(())
}

/// Whether a field has a say in framing or the connection, found by its first letter and length before it is compared.
fn is_noted(name: &[u8]) -> bool {
    matches!(
        (name.first(), name.len()),
        (Some(b'c'), 10 | 14) | (Some(b't'), 17 | 2) | (Some(b'u'), 7) | (Some(b'e'), 6) | (Some(b'h'), 4)
    )
}

/// Whether a field with a say may be taken back or changed.
fn is_changed(name: &[u8]) -> bool {
    matches!(name, b"connection" | b"te")
}

/// The end of the name at `at`, and where its value may begin.
fn name(input: &[u8], at: usize, lax: bool) -> Result<Option<(usize, usize)>, Refused> {
    let rest = &input[at..];
    let mut length = 0;
    // A plain loop: names are short, and unrolling costs more than it saves.
    while let Some(&byte) = rest.get(length)
        && (TOKEN_LOWER[usize::from(byte)] != 0 || (lax && !matches!(byte, b':' | b'\r' | b'\n')))
    {
        length += 1;
    }
    if length == rest.len() {
        return Ok(None);
    }
    if length == 0 || length > FIELD_NAME_MAX || rest[length] != b':' {
        return Err(Refused::BAD);
    }
    Ok(Some((at + length, at + length + 1)))
}

struct Value {
    start: usize,
    end: usize,
    /// Where the next line begins.
    next: usize,
    folded: bool,
}

/// The value that begins at `start`, with the lines folded into it. Whether a line is folded shows only in the byte after it.
fn value(input: &[u8], start: usize, lax: bool) -> Result<Option<Value>, Refused> {
    let mut start = start;
    while input.get(start).copied().is_some_and(is_ows) {
        start += 1;
    }
    let (mut at, mut folded) = (start, false);
    loop {
        let Some(length) = line_length(&input[at..]) else { return Ok(None) };
        let line_end = at + length;
        let next = match input[line_end..] {
            [b'\n', ..] => line_end + 1,
            [b'\r', b'\n', ..] => line_end + 2,
            [b'\r'] => return Ok(None),
            [0, ..] if lax => {
                at = line_end + 1;
                continue;
            }
            _ => return Err(Refused::BAD),
        };
        match input.get(next).copied() {
            None => return Ok(None),
            Some(byte) if is_ows(byte) => {
                folded = true;
                at = next;
            }
            Some(_) => {
                let mut end = line_end;
                while end > start && matches!(input[end - 1], b' ' | b'\t' | b'\r' | b'\n') {
                    end -= 1;
                }
                while folded && start < end && matches!(input[start], b' ' | b'\t' | b'\r' | b'\n') {
                    start += 1;
                }
                return Ok(Some(Value { start, end, next, folded }));
            }
        }
    }
}

/// Bytes before the next CR, LF or NUL, eight at a time: this loop sees every byte of every value.
fn line_length(bytes: &[u8]) -> Option<usize> {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let ends = |byte: &u8| matches!(byte, b'\r' | b'\n' | 0);
    let mut at = 0;
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        // A byte below 0x0e sets its high bit in the difference, unless it was set before: LF, CR, NUL and few others. The
        // first one found is right; those after it may owe their bit to a borrow.
        let below = word.wrapping_sub(LOW * 0x0e) & !word & HIGH;
        if below == 0 {
            at += 8;
            continue;
        }
        let found = at + (below.trailing_zeros() / 8) as usize;
        if bytes.get(found).is_some_and(ends) {
            return Some(found);
        }
        at = found + 1;
    }
    bytes.get(at..)?.iter().position(ends).map(|length| at + length)
}

/// A folded value with each byte of a line break as a space.
fn unfold(value: &[u8]) -> impl Iterator<Item = u8> {
    value.iter().map(|&byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte })
}
