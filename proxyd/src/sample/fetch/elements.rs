//! The elements of comma-separated header values, from either end.

use super::HeaderFetch;
use crate::http::{Head, header};

impl HeaderFetch {
    pub(super) fn values<'a>(&'a self, head: &'a Head) -> impl DoubleEndedIterator<Item = &'a [u8]> {
        let whole = self.whole_lines;
        head.fields()
            .filter(|(name, _)| self.name.as_deref().is_none_or(|wanted| wanted == *name))
            .flat_map(move |(_, value)| Elements { rest: Some(value), whole })
    }
}

/// The elements of a comma-separated value from either end; commas between double quotes do not separate.
struct Elements<'a> {
    rest: Option<&'a [u8]>,
    whole: bool,
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest.take()?;
        if self.whole {
            return Some(rest);
        }
        match header::commas(rest).next() {
            Some(at) => {
                self.rest = Some(&rest[at + 1..]);
                Some(header::trim(&rest[..at]))
            }
            None => Some(header::trim(rest)),
        }
    }
}

impl<'a> DoubleEndedIterator for Elements<'a> {
    fn next_back(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest.take()?;
        if self.whole {
            return Some(rest);
        }
        match header::commas(rest).last() {
            Some(at) => {
                self.rest = Some(&rest[..at]);
                Some(header::trim(&rest[at + 1..]))
            }
            None => Some(header::trim(rest)),
        }
    }
}

/// The n-th from 1, or from the end with a negative number; 0 is the last.
pub(super) fn nth<'a>(mut values: impl DoubleEndedIterator<Item = &'a [u8]>, occurrence: i32) -> Option<&'a [u8]> {
    let place = occurrence.unsigned_abs() as usize;
    if occurrence > 0 { values.nth(place - 1) } else { values.nth_back(place.max(1) - 1) }
}
