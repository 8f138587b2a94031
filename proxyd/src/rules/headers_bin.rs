//! `add-headers-bin`, `set-headers-bin` and `del-headers-bin`: fields from a list in one sample, as `req.hdrs_bin` gives it.

use super::line_safe;
use crate::http::header::is_token;
use crate::http::{Head, varint};
use crate::sample::{Context, Expression};

/// One of these actions.
#[derive(Clone, Debug, PartialEq)]
pub struct BinaryFields {
    /// Gives the list.
    pub list: Expression,
    /// What is done with it.
    pub change: Change,
}

/// What is done with a list of fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// `add-headers-bin`: those whose names begin so are added.
    Add(Box<[u8]>),
    /// `set-headers-bin`: likewise, in place of what has their names.
    Set(Box<[u8]>),
    /// `del-headers-bin`: the list has names only.
    Delete(Match),
}

/// `-m`: how a name of the list is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Match {
    /// `str`
    Whole,
    /// `beg`
    Beginning,
    /// `end`
    End,
    /// `sub`
    Part,
}

impl Match {
    /// From its name.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "str" => Self::Whole,
            "beg" => Self::Beginning,
            "end" => Self::End,
            "sub" => Self::Part,
            _ => return None,
        })
    }

    fn takes(self, name: &[u8], wanted: &[u8]) -> bool {
        match self {
            Self::Whole => name == wanted,
            Self::Beginning => name.starts_with(wanted),
            Self::End => name.ends_with(wanted),
            Self::Part => crate::http::header::find(name, wanted).is_some(),
        }
    }
}

/// What changes in a head, worked out while it can still be looked at.
pub(super) struct Fields<'a> {
    change: &'a Change,
    /// Names in lower case, and their values.
    list: Vec<(Vec<u8>, Vec<u8>)>,
}

impl BinaryFields {
    /// What the list says; what follows something that is no list is left out.
    pub(super) fn fields(&self, context: &Context<'_>) -> Fields<'_> {
        let bytes = self.list.value(context).map(|value| value.into_bytes().into_owned()).unwrap_or_default();
        let mut rest = &*bytes;
        let mut list = Vec::new();
        while let Some(name) = varint::take_text(&mut rest).filter(|name| !name.is_empty()) {
            let value = match self.change {
                Change::Delete(_) => Some(&b""[..]),
                Change::Add(_) | Change::Set(_) => varint::take_text(&mut rest),
            };
            let Some(value) = value else { break };
            // What is no name would break the message.
            if name.iter().all(|&byte| is_token(byte)) {
                list.push((name.to_ascii_lowercase(), line_safe(value.to_vec())));
            }
        }
        Fields { change: &self.change, list }
    }
}

impl Fields<'_> {
    pub(super) fn apply(mut self, head: &mut Head) {
        match self.change {
            Change::Delete(how) => {
                head.retain(|name, _| !self.list.iter().any(|(wanted, _)| how.takes(name, wanted)));
            }
            Change::Add(prefix) | Change::Set(prefix) => {
                self.list.retain(|(name, _)| name.starts_with(prefix));
                if matches!(self.change, Change::Set(_)) {
                    head.retain(|name, _| !self.list.iter().any(|(wanted, _)| name == wanted));
                }
                self.list.iter().for_each(|(name, value)| head.append(name, value));
            }
        }
    }
}
