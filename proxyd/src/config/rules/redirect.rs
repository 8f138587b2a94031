//! `redirect`, by itself and as an action.

use super::arguments::{Problem, problem};
use super::report::{self, code};
use super::{Lowering, is_condition};
use crate::rules::Rule;
use crate::rules::redirect::{Redirect, Target};
use crate::sample::text::Text;
use shared_config::diagnostic::Place;
use shared_config::haproxy::keyword::{FetchPlace, FetchPlaces};
use shared_config::source::encode;
use shared_config::words::{Word, Words};

impl Lowering<'_> {
    /// `redirect …` as a statement of its own.
    pub(super) fn redirect_rule(&mut self, words: &mut Words<'_>) {
        let places = self.section.places(FetchPlace::FrontendHttpRequestHeader, FetchPlace::BackendHttpRequestHeader);
        let before =
            format!("error detected in {} '{}' while parsing redirect rule : ", self.section.word(), self.section.name);
        let redirect = match parse(self, words, &before, places) {
            Ok(redirect) => redirect,
            Err(problem) => {
                return self.out.push(report::sentence(problem).into_diagnostic(code::BAD_VALUE, &before));
            }
        };
        if let Some(extra) = words.peek().filter(|word| !is_condition(word)) {
            let message = format!("{before}{}.", unexpected(extra));
            return self.error(code::EXTRA_ARGUMENT, extra.span, message);
        }
        let before = format!("{before}error in condition: ");
        let Ok(condition) = self.condition(words, &before, places, None) else { return };
        if let Some(action) = redirect {
            self.rules.redirects.push(Rule { written: None, condition, action });
        }
    }
}

/// What is read so far.
#[derive(Default)]
struct Draft {
    target: Option<(Kind, Option<Text>)>,
    status: Option<u16>,
    cookie: Option<Box<[u8]>>,
    drop_query: bool,
    append_slash: bool,
    ignore_empty: bool,
}

#[derive(Clone, Copy)]
enum Kind {
    Location,
    Prefix,
    Scheme,
}

/// A redirect up to its condition. `None` where it does not work yet, which has been reported.
pub(super) fn parse(
    lowering: &mut Lowering<'_>,
    words: &mut Words<'_>,
    before: &str,
    places: FetchPlaces,
) -> Result<Option<Redirect>, Problem> {
    let mut draft = Draft::default();
    while let Some(word) = words.peek().filter(|word| !is_condition(word)) {
        words.next();
        match word.as_str() {
            name @ ("location" | "prefix" | "scheme") => {
                let kind = match name {
                    "location" => Kind::Location,
                    "prefix" => Kind::Prefix,
                    _ => Kind::Scheme,
                };
                let target = argument(words, name)?;
                draft.target = Some((kind, lowering.text(target, before, Place::Parsing, places)));
            }
            "code" => {
                let status = argument(words, "code")?;
                draft.status = Some(code_of(status)?);
            }
            "set-cookie" => {
                let cookie = argument(words, "set-cookie")?;
                draft.cookie = Some(encode(&format!("{}; path=/;", cookie.text)).into());
            }
            "clear-cookie" => {
                let cookie = argument(words, "clear-cookie")?;
                draft.cookie = Some(encode(&format!("{}; path=/; Max-Age=0;", cookie.text)).into());
            }
            "drop-query" => draft.drop_query = true,
            "append-slash" => draft.append_slash = true,
            "ignore-empty" => draft.ignore_empty = true,
            "keep-query" => report::unsupported(lowering.out, "redirect … keep-query", word.span),
            _ => return Err(problem(unexpected(word), word.span)),
        }
    }
    let Some((kind, text)) = draft.target else {
        return Err(problem("redirection type expected ('prefix', 'location', or 'scheme')", words.here()));
    };
    Ok(text.map(|text| Redirect {
        status: draft.status.unwrap_or(302),
        target: match kind {
            Kind::Location => Target::Location(text),
            Kind::Prefix => Target::Prefix(text),
            Kind::Scheme => Target::Scheme(text),
        },
        drop_query: draft.drop_query,
        append_slash: draft.append_slash,
        ignore_empty: draft.ignore_empty,
        cookie: draft.cookie,
    }))
}

fn argument<'a>(words: &mut Words<'a>, name: &str) -> Result<&'a Word, Problem> {
    words.next().ok_or_else(|| problem(format!("missing argument for '{name}'"), words.here()))
}

fn code_of(word: &Word) -> Result<u16, Problem> {
    match word.text.parse() {
        Ok(status @ (301 | 302 | 303 | 307 | 308)) => Ok(status),
        _ => Err(problem(
            format!("'code': unsupported HTTP code '{}' (must be one of 301, 302, 303, 307 or 308)", word.text),
            word.span,
        )),
    }
}

fn unexpected(word: &Word) -> String {
    format!(
        "expects 'code', 'prefix', 'location', 'scheme', 'set-cookie', 'clear-cookie', 'drop-query', 'ignore-empty' or \
         'append-slash' (was '{}')",
        word.text
    )
}
