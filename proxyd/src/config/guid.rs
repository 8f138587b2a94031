//! `guid`, `guid-prefix`: names that sections, servers and listeners keep over every change of the file, each given once.

use super::draft::Section;
use super::line::code;
use super::resolve::place;
use crate::rules::Rules;
use shared_config::diagnostic::{Diagnostic, Diagnostics};
use shared_config::source::{Sources, Span};
use shared_config::words::Word;
use std::collections::HashMap;

/// The longest such name.
const LENGTH_MAX: usize = 127;

/// A name and where it is written.
#[derive(Clone, Debug)]
pub(super) struct Guid {
    pub text: String,
    pub span: Span,
}

impl Guid {
    /// The name of one of several things that are written in one line.
    pub(super) fn numbered(&self, number: impl std::fmt::Display) -> Self {
        Self { text: format!("{}-{number}", self.text), span: self.span }
    }
}

/// The name that a word is; the error says what is wrong with it.
pub(super) fn read(word: &Word) -> Result<Guid, String> {
    let text = word.as_str();
    let wrong = text.chars().find(|c| !(c.is_ascii_alphanumeric() || ".:_-".contains(*c)));
    match wrong {
        Some(c) => Err(format!("character '{c}' is not permitted in the guid '{text}'")),
        None if text.is_empty() => Err("a guid is not empty".to_owned()),
        None if text.len() > LENGTH_MAX => Err(format!("the guid '{text}' has more than {LENGTH_MAX} characters")),
        None => Ok(Guid { text: text.to_owned(), span: word.span }),
    }
}

/// Refuses names that were given before, whatever to.
pub(super) fn unique(sections: &[(Section, Rules)], sources: &Sources, out: &mut Diagnostics) {
    let mut known: HashMap<&str, Span> = HashMap::new();
    for (section, _) in sections {
        let binds = section.binds.iter().filter_map(|draft| draft.guid.as_ref());
        let servers = section.servers.iter().filter_map(|draft| draft.guid.as_ref());
        for guid in section.guid.iter().chain(binds).chain(servers) {
            let Some(&other) = known.get(guid.text.as_str()) else {
                known.insert(&guid.text, guid.span);
                continue;
            };
            let message = format!("guid '{}' : already used at {}.", guid.text, place(sources, other));
            out.push(Diagnostic::error(code::DUPLICATE, guid.span, message).related(other, "used here first"));
        }
    }
}
