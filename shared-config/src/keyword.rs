//! The tables of keywords: one row per word. Parser, suggestions, `-dKall`, the compatibility page and the manual read them.

/// What this version does with a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Support {
    /// It does what the manual says.
    Works,
    /// Accepted and checked, without effect yet; leaving it out is harmless. Reported as a warning.
    NoEffect,
    /// Accepted and checked, but ignoring it would change who may reach what or where traffic goes: a start refuses it.
    Unsupported,
}

/// How many arguments follow a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Arity {
    /// At least so many.
    pub min: u8,
    /// `None`: as many as the line holds.
    pub max: Option<u8>,
}

impl Arity {
    /// So many, no more and no fewer.
    pub const fn exactly(n: u8) -> Self {
        Self { min: n, max: Some(n) }
    }

    /// Between so many and so many.
    pub const fn range(min: u8, max: u8) -> Self {
        Self { min, max: Some(max) }
    }

    /// So many or more.
    pub const fn at_least(min: u8) -> Self {
        Self { min, max: None }
    }

    /// Whether so many are allowed.
    pub const fn accepts(self, n: usize) -> bool {
        n >= self.min as usize
            && match self.max {
                Some(max) => n <= max as usize,
                None => true,
            }
    }
}
