//! The bytes a connection has brought so far, for rules that look at them before anything else does.

use super::fetch::Side;
use std::cell::Cell;

/// Bytes that were received and not yet used.
#[derive(Clone, Debug)]
pub struct Content<'a> {
    /// Who sent them: the client or the server.
    pub side: Side,
    /// The bytes.
    pub bytes: &'a [u8],
    /// No more will be waited for: a sample that cannot be taken from these will never be.
    pub complete: bool,
    /// They begin a request or response whose head is not complete.
    pub begins_http: bool,
    missing: Cell<bool>,
}

impl<'a> Content<'a> {
    /// What there is.
    pub fn new(side: Side, bytes: &'a [u8], complete: bool, begins_http: bool) -> Self {
        Self { side, bytes, complete, begins_http, missing: Cell::new(false) }
    }

    /// A sample could not be taken, or may become another, because of bytes that have not come.
    pub fn lacks(&self) {
        self.missing.set(!self.complete);
    }

    /// Whether anything was lacking since the last time, which is forgotten.
    pub fn take_missing(&self) -> bool {
        self.missing.take()
    }
}
