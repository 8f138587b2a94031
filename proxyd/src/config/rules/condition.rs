//! `if` and `unless`.

use super::Lowering;
use super::acl::{Declared, predefined};
use super::report::{self, Reported, code};
use crate::rules::acl::{AclIndex, Condition, Term};
use shared_config::diagnostic::{Diagnostic, Place};
use shared_config::haproxy::expr::{self, AclRef};
use shared_config::haproxy::keyword::{FetchPlace, FetchPlaces};
use shared_config::source::Span;
use shared_config::words::{Word, Words};

impl Lowering<'_> {
    /// The condition that starts at the next word, to the end of the statement. `None`: there is none. Problems are
    /// reported with `before` in front. `ruleset`: the rules' name, where haproxy
    /// says it in warnings.
    pub(super) fn condition(
        &mut self,
        words: &mut Words<'_>,
        before: &str,
        places: FetchPlaces,
        ruleset: Option<&str>,
    ) -> Result<Option<Condition>, Reported> {
        let Some(word) = words.next() else { return Ok(None) };
        let unless = word.as_str() == "unless";
        let written = match expr::condition(words) {
            Ok(written) => written,
            Err(error) => {
                self.out.push(report::sentence(error).into_diagnostic(code::BAD_CONDITION, before));
                return Err(Reported);
            }
        };
        let mut any = Some(Vec::new());
        for group in &written.any {
            let mut terms = Some(Vec::new());
            for term in group {
                let acl = self.acl_of(&term.acl, term.span, before, places, ruleset);
                terms = terms.zip(acl).map(|(mut terms, acl)| {
                    terms.push(Term { acl, negated: term.negated });
                    terms
                });
            }
            any = any.zip(terms).map(|(mut any, terms)| {
                any.push(terms.into_boxed_slice());
                any
            });
        }
        Ok(Some(Condition { unless, any: any.ok_or(Reported)?.into() }))
    }

    fn acl_of(
        &mut self,
        written: &AclRef,
        span: Span,
        before: &str,
        places: FetchPlaces,
        ruleset: Option<&str>,
    ) -> Option<AclIndex> {
        let declared = match written {
            AclRef::Named(name) => {
                let declared = self.named_acl(name, before)?;
                self.warn_never(&declared, Some(name), span, places, ruleset);
                declared
            }
            AclRef::Anonymous(words) => {
                let declared = self.anonymous_acl(words, span, before)?;
                self.warn_never(&declared, None, span, places, ruleset);
                declared
            }
        };
        declared.index
    }

    /// An ACL that was declared before, or one that needs no declaration.
    pub(super) fn named_acl(&mut self, name: &Word, before: &str) -> Option<Declared> {
        if let Some(declared) = self.declared.get(&*name.text) {
            return Some(declared.clone());
        }
        if let Some(line) = predefined(&name.text) {
            let words: Vec<Word> = line.split(' ').map(|text| Word::plain(text, name.span)).collect();
            let declared = self.anonymous_acl(&words, name.span, before)?;
            self.declared.insert(name.text.to_string(), declared.clone());
            return Some(declared);
        }
        let message = format!("{before}no such ACL : '{}'.", name.text);
        let nearest = report::nearest(&name.text, self.declared.keys());
        let error = Diagnostic::error(code::UNKNOWN_NAME, name.span, message).label("not declared in this section");
        self.out.push(report::with_help(error, nearest));
        None
    }

    /// Says that an ACL cannot hold here, since what it looks at is not there.
    fn warn_never(
        &mut self,
        declared: &Declared,
        name: Option<&Word>,
        span: Span,
        places: FetchPlaces,
        ruleset: Option<&str>,
    ) {
        if declared.places.intersects(places) {
            return;
        }
        let place = FetchPlace::ALL.into_iter().find(|place| places.contains(*place));
        let place = place.map_or("", FetchPlace::name);
        let within = ruleset.map(|name| format!(" in '{name}'")).unwrap_or_default();
        let message = match name {
            Some(name) => format!(
                "acl '{}' will never match{within} because it only involves keywords that are incompatible with '{place}'",
                name.text
            ),
            None => format!(
                "anonymous acl will never match{within} because it uses keyword '{}' which is incompatible with '{place}'",
                declared.keyword
            ),
        };
        self.out.push(Diagnostic::warning(code::NEVER_MATCHES, span, message).place(Place::Parsing));
    }
}
