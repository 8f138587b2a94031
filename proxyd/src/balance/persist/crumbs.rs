//! Cutting `Cookie` and `Set-Cookie` lines into cookies and putting them together again.
//!
//! Clients send strange things and servers rely on them: what is not ours stays byte for byte, except that blanks
//! around an equals sign go.

/// One cookie of a line, or what stands between two separators and is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Crumb<'a> {
    /// Where it begins in its line, leading blanks skipped.
    start: usize,
    /// Just behind its separator, or the line's end.
    end: usize,
    /// The name, without blanks around it.
    pub(super) name: &'a [u8],
    /// The value, without blanks around it; none if there is no equals sign.
    pub(super) value: Option<&'a [u8]>,
    /// What follows the value: blanks and the separator, or the attributes of a `Set-Cookie`.
    tail: &'a [u8],
    /// Whether a separator follows.
    separated: bool,
    /// Put in front of the value.
    pub(super) prefix: Option<Vec<u8>>,
    /// The cookie goes, and its `$` attributes with it.
    pub(super) removed: bool,
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

fn without_blanks_before(text: &[u8]) -> &[u8] {
    &text[text.iter().take_while(|&&byte| is_blank(byte)).count()..]
}

fn without_blanks_behind(text: &[u8]) -> &[u8] {
    &text[..text.len() - text.iter().rev().take_while(|&&byte| is_blank(byte)).count()]
}

/// Where the cookie that begins at `start` ends: at the next separator outside of quotes, or at the line's end.
fn end_of_cookie(line: &[u8], start: usize, is_separator: impl Fn(u8) -> bool) -> usize {
    // A name is not quoted, whatever stands in it.
    let (mut in_value, mut quoted, mut escaped) = (false, false, false);
    for (at, &byte) in line.iter().enumerate().skip(start) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' if in_value => quoted = !quoted,
            _ if !quoted && is_separator(byte) => return at,
            b'=' => in_value = true,
            _ => {}
        }
    }
    line.len()
}

fn crumb(line: &[u8], start: usize, is_separator: impl Fn(u8) -> bool) -> Crumb<'_> {
    let start = start + line.iter().skip(start).take_while(|&&byte| is_blank(byte)).count();
    let stop = end_of_cookie(line, start, is_separator);
    let written = line.get(start..stop).unwrap_or_default();
    let written = without_blanks_behind(written);
    let (name, value) = match written.iter().position(|&byte| byte == b'=') {
        Some(at) => (without_blanks_behind(&written[..at]), Some(without_blanks_before(&written[at + 1..]))),
        None => (written, None),
    };
    let separated = stop < line.len();
    let end = if separated { stop + 1 } else { stop };
    let tail = line.get(start + written.len()..end).unwrap_or_default();
    Crumb { start, end, name, value, tail, separated, prefix: None, removed: false }
}

/// The cookies of a `Cookie` line.
pub(super) fn split(line: &[u8]) -> Vec<Crumb<'_>> {
    let mut crumbs: Vec<Crumb<'_>> = Vec::new();
    let mut at = 0;
    while at < line.len() {
        let crumb = crumb(line, at, |byte| byte == b';' || byte == b',');
        at = crumb.end;
        crumbs.push(crumb);
    }
    crumbs
}

/// The cookie of a `Set-Cookie` line; its attributes belong to the tail.
pub(super) fn set_cookie(line: &[u8]) -> Crumb<'_> {
    let mut crumb = crumb(line, 0, |byte| byte == b';');
    let tail_start = crumb.end - crumb.tail.len();
    crumb.tail = line.get(tail_start..).unwrap_or_default();
    crumb
}

impl Crumb<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.name);
        if let Some(value) = self.value {
            out.push(b'=');
            out.extend_from_slice(self.prefix.as_deref().unwrap_or_default());
            out.extend_from_slice(value);
        }
    }

    /// The `Set-Cookie` line as it is to be sent; none if the cookie goes.
    pub(super) fn mend(&self, line: &[u8]) -> Option<Vec<u8>> {
        if self.removed {
            return None;
        }
        let mut out = line.get(..self.start).unwrap_or_default().to_vec();
        self.write(&mut out);
        out.extend_from_slice(self.tail);
        Some(out)
    }
}

/// A `Cookie` line put together again; none if nothing is left of it.
pub(super) fn join(line: &[u8], crumbs: &[Crumb<'_>]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(line.len());
    let mut previous_end = 0;
    let mut removing = false;
    let mut after_removed = false;
    for crumb in crumbs {
        removing = crumb.removed || (removing && crumb.name.first() == Some(&b'$'));
        if !removing {
            if after_removed && !out.is_empty() {
                out.push(b' ');
            } else if !after_removed {
                out.extend_from_slice(line.get(previous_end..crumb.start).unwrap_or_default());
            }
            crumb.write(&mut out);
            out.extend_from_slice(crumb.tail);
        }
        after_removed = removing;
        previous_end = crumb.end;
    }
    // A removed last cookie leaves the blank before it, or takes the separator before it along.
    if after_removed && !out.is_empty() {
        if crumbs.last().is_some_and(|last| last.separated) {
            out.push(b' ');
        } else {
            out.pop();
        }
    }
    (!out.is_empty()).then_some(out)
}
