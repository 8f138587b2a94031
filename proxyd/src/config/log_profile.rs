//! `log-profile` sections.

use super::line::{Line, code};
use super::model::Mode;
use super::option::Negation;
use super::proxy::{self, Tools};
use super::rules::{self, Names};
use super::sections::{self, Others};
use crate::log::profile::{Instead, Profile};
use crate::log::step::Step;
use shared_config::diagnostic::{Diagnostic, Diagnostics};
use shared_config::haproxy::ast;
use shared_config::haproxy::keyword::{self, SectionKind};
use shared_config::suggest::nearest;
use shared_config::words::Word;
use std::sync::Arc;

/// The step of QUIC's first packets, which never come here.
const QUIC: &str = "quic-init";
/// All steps that are not named by themselves.
const ANY: &str = "any";

/// A section, its formats not compiled yet.
#[derive(Debug)]
pub(super) struct Draft {
    name: String,
    tag: Option<String>,
    steps: Vec<On>,
}

/// `on STEP …`
#[derive(Debug)]
struct On {
    /// `None`: any.
    step: Option<Step>,
    drop: bool,
    format: Option<Word>,
    structured: Option<Word>,
}

/// Lowers a section.
pub(super) fn lower(ast: &ast::Section, others: &mut Others, tools: &mut Tools, out: &mut Diagnostics) {
    let Some(name) = ast.name() else {
        let error = Diagnostic::error(code::MISSING_ARGUMENT, ast.head.span, "missing name for log-profile section.");
        return out.push(error.label("the name is missing"));
    };
    sections::duplicate(name, SectionKind::LogProfile, others, out);
    if others.profiles.iter().any(|known| known.name == *name.text) {
        return;
    }
    let mut draft = Draft { name: name.text.to_string(), tag: None, steps: Vec::new() };
    for statement in &ast.statements {
        let mut words = statement.words();
        let Some(first) = words.peek() else { continue };
        let Some(row) = keyword::find_statement(SectionKind::LogProfile, words.clone().rest()) else {
            sections::unknown(first, SectionKind::LogProfile, out);
            continue;
        };
        let _keyword = words.next();
        let mut line = proxy::line(words, row.name, first.span, SectionKind::LogProfile, Negation::None, out);
        if row.name == "log-tag" {
            draft.tag = line.expect("'log-tag' expects a tag for use in syslog.").map(|word| word.text.to_string());
            line.end();
        } else {
            draft.steps.extend(on(&mut line, tools));
        }
    }
    others.profiles.push(draft);
}

/// `on STEP [drop] [format FORMAT] [sd FORMAT]`
fn on(line: &mut Line<'_, '_>, tools: &mut Tools) -> Option<On> {
    let name = line.expect("'on' expects a logging step.")?;
    let step = Step::from_name(&name.text);
    if step.is_none() && !matches!(&*name.text, ANY | QUIC) {
        let known: Vec<_> = Step::names().chain([ANY, QUIC]).collect();
        let message = format!("'on' : unknown logging step '{}'. Known ones are: {}.", name.text, known.join(", "));
        let error = Diagnostic::error(code::UNKNOWN_NAME, name.span, message);
        let near = nearest(&name.text, known.iter().copied()).map(|near| format!("did you mean `{near}`?"));
        line.out.push(near.into_iter().fold(error, Diagnostic::help));
        let _rest = line.words.rest();
        return None;
    }
    let mut on = On { step, drop: false, format: None, structured: None };
    if line.words.is_empty() {
        line.expect("'on' expects 'drop', 'format' or 'sd' after the step.");
        return None;
    }
    while let Some(word) = line.words.next() {
        match &*word.text {
            "drop" => on.drop = true,
            "format" => on.format = Some(line.expect("'on' : 'format' expects a log format.")?.clone()),
            "sd" => on.structured = Some(line.expect("'on' : 'sd' expects a log format.")?.clone()),
            other => {
                let message = format!("'on' : expects 'drop', 'format' or 'sd', but got '{other}'.");
                line.error(code::EXTRA_ARGUMENT, word.span, message);
                let _rest = line.words.rest();
                return None;
            }
        }
    }
    if &*name.text == QUIC {
        tools.support.no_effect(&format!("on {QUIC}"), name.span, line.out);
        return None;
    }
    Some(on)
}

/// All sections, with their formats compiled.
pub(super) fn complete(drafts: &[Draft], names: &Names, out: &mut Diagnostics) -> Vec<Arc<Profile>> {
    let mut compile = |draft: &Draft, step: Option<Step>, keyword: &str, word: &Word| {
        // Any frontend may write by it: what only some of them have is looked for when a line is written.
        let place = rules::Section {
            kind: SectionKind::LogProfile,
            name: &draft.name,
            mode: Mode::Http,
            frontend: None,
            backend: None,
            request_captures: usize::MAX,
            response_captures: usize::MAX,
        };
        rules::profile_format(&place, (keyword, step), word, names, out)
    };
    let profile = |draft: &Draft| {
        let steps = draft.steps.iter().map(|on| {
            let instead = if on.drop {
                Instead::Nothing
            } else {
                let line = on.format.as_ref().and_then(|word| compile(draft, on.step, "log-format", word));
                let structured = on.structured.as_ref().and_then(|word| compile(draft, on.step, "log-format-sd", word));
                Instead::Line { line, structured }
            };
            (on.step, instead)
        });
        Arc::new(Profile { name: draft.name.clone(), tag: draft.tag.clone(), steps: steps.collect() })
    };
    drafts.iter().map(profile).collect()
}

/// Refuses names of profiles that there are not.
pub(super) fn unknown(wanted: &[Word], names: &Names, out: &mut Diagnostics) {
    for name in wanted.iter().filter(|name| !names.profiles.contains_key(&*name.text)) {
        out.push(no_such_profile(name, names, "log"));
    }
}

/// What is said of the name of a profile that is not there.
pub(super) fn no_such_profile(name: &Word, names: &Names, of: &str) -> Diagnostic {
    let message = format!("{of} : there is no log-profile '{}'.", name.text);
    let error = Diagnostic::error(code::UNKNOWN_NAME, name.span, message).label("no such section");
    let near = nearest(&name.text, names.profiles.keys().map(String::as_str));
    near.into_iter().fold(error, |error, near| error.help(format!("did you mean `{near}`?")))
}
