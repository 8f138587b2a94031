//! Values of cookies, from the client's `cookie` and the server's `set-cookie` lines.

use super::Side;
use crate::http::{Head, header};

/// The values of the cookies of that name in order; without a name, of all.
pub(super) fn values<'a>(
    head: &'a Head,
    side: Side,
    name: Option<&'a [u8]>,
) -> impl DoubleEndedIterator<Item = &'a [u8]> {
    let line: &[u8] = match side {
        Side::Request => b"cookie",
        Side::Response => b"set-cookie",
    };
    // A client's line holds several cookies; a server's holds one, and attributes of it.
    let pairs = match side {
        Side::Request => usize::MAX,
        Side::Response => 1,
    };
    head.values(line).flat_map(move |value| Pairs { rest: Some(value), left: pairs }).filter_map(move |pair| {
        let equals = pair.iter().position(|&byte| byte == b'=')?;
        let (key, value) = (header::trim(&pair[..equals]), header::trim(&pair[equals + 1..]));
        name.is_none_or(|name| name == key).then_some(value)
    })
}

/// The names of all cookies in order.
pub(super) fn names(head: &Head, side: Side) -> impl Iterator<Item = &[u8]> {
    let (line, pairs): (&[u8], _) = match side {
        Side::Request => (b"cookie", usize::MAX),
        Side::Response => (b"set-cookie", 1),
    };
    let pairs = head.values(line).flat_map(move |value| Pairs { rest: Some(value), left: pairs });
    pairs.filter_map(|pair| Some(header::trim(&pair[..pair.iter().position(|&byte| byte == b'=')?])))
}

/// The parts of a line between semicolons, from either end, at most so many from the front.
struct Pairs<'a> {
    rest: Option<&'a [u8]>,
    left: usize,
}

impl<'a> Iterator for Pairs<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        let rest = self.rest.take()?;
        let Some(at) = rest.iter().position(|&byte| byte == b';') else { return Some(rest) };
        self.rest = Some(&rest[at + 1..]);
        Some(&rest[..at])
    }
}

impl DoubleEndedIterator for Pairs<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        if self.left == 1 {
            return self.next();
        }
        let rest = self.rest.take()?;
        let Some(at) = rest.iter().rposition(|&byte| byte == b';') else { return Some(rest) };
        self.rest = Some(&rest[..at]);
        Some(&rest[at + 1..])
    }
}
