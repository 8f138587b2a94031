//! `do-resolve(VARIABLE,RESOLVERS[,FAMILY]) EXPRESSION`

use super::Lowering;
use super::arguments::{Problem, problem};
use super::expression::Voice;
use super::http_action::RuleAt;
use super::report::{self, code};
use super::text::needs;
use crate::resolvers::message::Kind;
use crate::rules::resolve::Resolve;
use crate::sample::variable::Name;
use shared_config::diagnostic::Diagnostic;
use shared_config::haproxy::expr;
use shared_config::source::Span;
use shared_config::words::{Word, Words};

/// What haproxy says of whatever is wrong.
fn not_understood(text: &str, at: Span) -> Problem {
    let message = format!(
        "Can't parse '{text}'. Expects 'do-resolve(<varname>,<resolvers>[,<options>]) <expr>'. Available options are 'ipv4' \
         and 'ipv6'"
    );
    problem(message, at)
}

impl Lowering<'_> {
    /// `Ok(None)`: what is wrong has been reported.
    pub(super) fn resolve(&mut self, at: &RuleAt<'_>, words: &mut Words<'_>) -> Result<Option<Resolve>, Problem> {
        let (variable, section, prefer) =
            arguments(at.word).ok_or_else(|| not_understood(&at.word.text, at.word.span))?;
        let first = words.peek();
        let written = expr::parse(words).map_err(|_| not_understood("", words.here()))?;
        let name = &written.fetch.name;
        let lowered =
            self.expression(&written, &name.text, Voice::Sample).map_err(|_| not_understood(&name.text, name.span))?;
        if !lowered.places.intersects(at.places) {
            let message = format!(
                "fetch method '{}' extracts information from '{}', none of which is available here",
                first.map_or("", |word| word.as_str()),
                needs(lowered.places)
            );
            return Err(problem(message, written.span));
        }
        if !self.names.resolvers.contains(section) {
            let message = format!(
                "Proxy '{}': Can't find resolvers section '{section}' for do-resolve action.",
                self.section.name
            );
            let error = Diagnostic::error(code::UNKNOWN_NAME, at.word.span, message).whole_file();
            self.out.push(report::with_help(
                error.label("no such section"),
                report::nearest(section, &self.names.resolvers),
            ));
            return Ok(None);
        }
        let named = Name::parse(variable);
        if named.is_none() {
            let message = format!("the answer is not kept: a variable cannot be called '{variable}'.");
            self.out.push(
                Diagnostic::warning(code::IGNORED, at.word.span, message)
                    .label("a name begins with its scope: 'proc', 'sess', 'txn', 'req' or 'res', and a dot"),
            );
        }
        let resolve = |expression| Resolve { variable: named, section: section.into(), prefer, expression };
        Ok(lowered.expression.map(resolve))
    }
}

/// What stands in the parentheses: variable, section and family. What follows them is not looked at.
fn arguments(word: &Word) -> Option<(&str, &str, Kind)> {
    let (_, rest) = word.text.split_once('(')?;
    let mut arguments = rest.split_once(')')?.0.split(',');
    let (variable, section) = (arguments.next()?, arguments.next()?);
    let mut prefer = Kind::Aaaa;
    for family in arguments.filter(|family| !family.is_empty()) {
        prefer = match family {
            "ipv4" => Kind::A,
            "ipv6" => Kind::Aaaa,
            _ => return None,
        };
    }
    Some((variable, section, prefer))
}
