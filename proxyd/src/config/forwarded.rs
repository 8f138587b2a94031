//! `option forwarded`.

use super::draft::{At, Section};
use super::line::{Line, code};
use super::model::Mode;
use super::rules::{self, Names};
use crate::rules::forwarded::{Forwarded, Node, Said};
use crate::sample;
use shared_config::diagnostic::{Diagnostic, Diagnostics};
use shared_config::haproxy::expr::{self, Expression};

/// The words after it.
pub(super) fn option(line: &mut Line<'_, '_>, section: &mut Section) {
    let mut draft = Forwarded::<Expression>::default();
    if line.words.peek().is_none() {
        draft.proto = true;
        draft.client.name = Some(Said::Itself);
    }
    while let Some(word) = line.words.next() {
        let place = match word.text.trim_end_matches("-expr") {
            "proto" if &*word.text == "proto" => {
                draft.proto = true;
                continue;
            }
            "host" => &mut draft.host,
            "by" => &mut draft.by.name,
            "by_port" => &mut draft.by.port,
            "for" => &mut draft.client.name,
            "for_port" => &mut draft.client.port,
            _ => {
                let message = format!(
                    "'option forwarded' : '{}' is not known; what may be told is 'proto', 'host', 'by', 'for', 'by_port' and \
                     'for_port', and of all but 'proto' as 'host-expr' and so on what an expression finds.",
                    word.text
                );
                return line.error(code::UNKNOWN_NAME, word.span, message);
            }
        };
        *place = Some(Said::Itself);
        if word.text.ends_with("-expr") {
            match expr::parse(&mut line.words) {
                Ok(expression) => *place = Some(Said::Expression(expression)),
                Err(problem) => {
                    let message = format!("'option forwarded' : '{}' : {}.", word.text, problem.message);
                    return line.error(code::BAD_VALUE, problem.span, message);
                }
            }
        }
    }
    for (name, Node { name: who, port }) in [("by", &draft.by), ("for", &draft.client)] {
        if who.is_none() && port.is_some() {
            let message = format!("'option forwarded' : '{name}_port' will be ignored because '{name}' is not set.");
            line.warn(code::IGNORED, line.words.statement(), message);
        }
    }
    section.settings.forwarded = Some(At { value: draft, span: line.words.statement() });
}

/// What a backend writes, its expressions compiled. `None`: nothing, or what is wrong, which has been reported.
pub(super) fn complete(
    section: &Section,
    names: &Names,
    out: &mut Diagnostics,
) -> Option<Box<Forwarded<sample::Expression>>> {
    let at = section.settings.forwarded.as_ref()?;
    if section.mode() != Mode::Http {
        let message =
            format!("'option forwarded' ignored for {} '{}' as it requires HTTP mode.", section.word(), section.name);
        out.push(Diagnostic::warning(code::IGNORED, at.span, message));
        return None;
    }
    let place = rules::Section::unnumbered(section);
    at.value.compile(|written| rules::forwarded_expression(&place, written, names, out)).map(Box::new)
}
