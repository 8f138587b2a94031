//! The numbers of sections, given and given out.

use super::super::draft::Section;
use super::super::line::code;
use super::super::number::number;
use super::place;
use crate::rules::Rules;
use shared_config::diagnostic::{Diagnostic, Diagnostics, Place};
use shared_config::source::Sources;
use std::collections::HashMap;

/// Numbers for all sections, from `first` on.
pub(super) fn of_proxies(
    sections: &[(Section, Rules)],
    first: u32,
    sources: &Sources,
    out: &mut Diagnostics,
) -> Vec<u32> {
    let mut taken: HashMap<u32, &Section> = HashMap::new();
    for (section, _) in sections {
        let Some(id) = &section.id else { continue };
        if let Some(other) = taken.get(&id.value) {
            let message = format!(
                "proxy {} reuses same custom id as proxy {} (declared at {}).",
                section.name,
                other.name,
                place(sources, other.head)
            );
            out.push(
                Diagnostic::error(code::DUPLICATE, id.span, message)
                    .place(Place::ParsingLine)
                    .related(other.head, "used by this one"),
            );
        } else {
            taken.insert(id.value, section);
        }
    }
    let given: Vec<_> = sections.iter().map(|(section, _)| section.id.as_ref().map(|id| id.value)).collect();
    number(&given, first)
}
