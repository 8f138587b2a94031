//! `stick on`, `stick match`, `stick store-request`, `stick store-response`.

use super::expression::Voice;
use super::report::code;
use super::{Lowering, is_condition, text};
use crate::rules::Rule;
use crate::rules::stick::Stick;
use shared_config::diagnostic::Diagnostic;
use shared_config::haproxy::expr;
use shared_config::haproxy::keyword::{FetchPlace, FetchPlaces};
use shared_config::words::{Word, Words};

impl Lowering<'_> {
    /// The statement behind its first word.
    pub(super) fn stick(&mut self, words: &mut Words<'_>) {
        let kind = words.next();
        let (matches, stores, response) = match kind.map_or("", Word::as_str) {
            "on" => (true, true, false),
            "match" => (true, false, false),
            "store-request" => (false, true, false),
            "store-response" => (false, true, true),
            _ => {
                let at = kind.map_or(words.here(), |word| word.span);
                return self.error(code::UNKNOWN_KEYWORD, at, "'stick' expects 'on', 'match', or 'store'.");
            }
        };
        if words.peek().is_none() {
            return self.error(code::MISSING_ARGUMENT, words.here(), "'stick' expects a fetch method.");
        }
        let written = match expr::parse(words) {
            Ok(written) => written,
            Err(problem) => return self.out.push(problem.into_diagnostic(code::BAD_EXPRESSION, "'stick': ")),
        };
        let lowered = match self.expression(&written, &written.fetch.name.text, Voice::Sample) {
            Ok(lowered) => lowered,
            Err(problem) => return self.out.push(problem.into_diagnostic(code::BAD_EXPRESSION, "'stick': ")),
        };
        let (place, when) = if response {
            (FetchPlace::BackendStickStore, "for 'store-response'")
        } else {
            (FetchPlace::BackendUseServer, "during request")
        };
        let places = FetchPlaces::of(place);
        if !lowered.places.intersects(places) {
            let (name, needs) = (text::word_of(&written), text::needs(lowered.places));
            let name = name.split('(').next().unwrap_or_default();
            let message = format!(
                "'stick': fetch method '{name}' extracts information from '{needs}', none of which is available {when}."
            );
            return self.error(code::BAD_EXPRESSION, written.span, message);
        }
        let named = match words.take("table") {
            None => None,
            Some(_) => words.next().map(|word| (word.as_str(), word.span)).or(Some(("", words.here()))),
        };
        if let Some(extra) = words.peek().filter(|word| !is_condition(word)) {
            return self.error(code::EXTRA_ARGUMENT, extra.span, format!("'stick': unknown keyword '{}'.", extra.text));
        }
        let before = "'stick': error detected while parsing sticking condition : ";
        let Ok(condition) = self.condition(words, before, places, None) else { return };
        let (name, at) = named.unwrap_or((self.section.name, written.span));
        let section = self.section.name;
        let Some(table) = self.names.tables.get(name).copied() else {
            let message = format!("Proxy '{section}': unable to find stick-table '{name}'.");
            return self.out.push(Diagnostic::error(code::UNKNOWN_NAME, at, message).whole_file());
        };
        if !table.takes(lowered.output) {
            let message = format!("Proxy '{section}': type of fetch not usable with type of stick-table '{name}'.");
            return self.out.push(Diagnostic::error(code::BAD_EXPRESSION, written.span, message).whole_file());
        }
        let Some(key) = lowered.expression else { return };
        let rule = Rule { written: None, condition, action: Stick { table: table.id, key, matches, stores } };
        if response {
            self.rules.stick_response.push(rule);
        } else {
            self.rules.stick_request.push(rule);
        }
    }
}
