//! `stats …` of a proxy: the page it serves.

use super::draft::{At, Settings, Shown, StatsDraft};
use super::line::{Line, code};
use super::model::{Credential, Stats};
use super::value::{self, TimeProblem, Unit};
use shared_config::diagnostic::{Diagnostic, Place};
use shared_config::words::Word;

/// The page where no `stats uri` is given.
const URI_DEFAULT: &str = "/haproxy?stats";
/// The realm where no `stats realm` is given.
const REALM_DEFAULT: &str = "HAProxy Statistics";

/// The words after `stats WORD`, for all words that are no rules. Any of them turns the page on.
pub(super) fn stats(line: &mut Line<'_, '_>, settings: &mut Settings) {
    let span = line.words.statement();
    let mut at = settings.stats.take().unwrap_or_else(|| At { value: StatsDraft::default(), span });
    at.span = span;
    let stats = &mut at.value;
    match line.name {
        "stats hide-version" => stats.show_version = false,
        "stats show-version" => stats.show_version = true,
        "stats show-legends" => stats.show_legends = true,
        "stats show-modules" => stats.show_modules = true,
        "stats uri" => {
            if let Some(word) = line.expect("'uri' needs an URI prefix.") {
                stats.uri = Some(word.text.to_string());
            }
        }
        "stats realm" => {
            if let Some(word) = line.expect("'realm' needs an realm name.") {
                stats.realm = Some(word.text.to_string());
                ignored_rest(line, word);
            }
        }
        "stats auth" => {
            if let Some(word) = line.expect("'auth' needs a user:password account.") {
                let (user, password) = word.text.split_once(':').unwrap_or((&word.text, ""));
                stats.auth.push(Credential { user: user.to_owned(), password: password.to_owned() });
            }
        }
        "stats scope" => {
            if let Some(word) = line.expect("'scope' needs a proxy name.") {
                stats.scope.push(word.text.to_string());
            }
        }
        "stats refresh" => refresh(line, stats),
        "stats show-node" => stats.show_node = Shown::new(line.words.next().map(|word| word.text.to_string())),
        "stats show-desc" => stats.show_desc = Shown::new(Some(line.joined()).filter(|text| !text.is_empty())),
        // `stats enable` says no more than that there is a page.
        _ => {}
    }
    settings.stats = Some(at);
}

/// haproxy takes one word as the realm and drops the rest, which is never meant.
fn ignored_rest(line: &mut Line<'_, '_>, word: &Word) {
    let Some(extra) = line.words.peek() else { return };
    let message = format!("'stats realm' takes one word, '{}' and what follows is ignored.", extra.text);
    let whole = format!("{}\\ {}", word.text, line.joined().replace(' ', "\\ "));
    line.out.push(
        Diagnostic::warning(code::IGNORED, extra.span, message)
            .label("not part of the realm")
            .help(format!("escape the spaces: `stats realm {whole}`")),
    );
}

fn refresh(line: &mut Line<'_, '_>, stats: &mut StatsDraft) {
    let Some(word) = line.expect("'refresh' needs an interval.") else { return };
    match value::time(&word.text, Unit::Seconds) {
        Ok(time) => stats.refresh = Some(time).filter(|time| !time.is_zero()),
        Err(problem) => {
            let message = match problem {
                TimeProblem::Unexpected { character, .. } => {
                    format!("unexpected character '{character}' in argument to stats refresh interval.")
                }
                TimeProblem::Overflow => format!(
                    "timer overflow in argument <{}> to stats refresh interval, maximum value is 2147483647 ms (~24.8 \
                     days).",
                    word.text
                ),
                TimeProblem::Underflow => format!(
                    "timer underflow in argument <{}> to stats refresh interval, minimum non-null value is 1 ms.",
                    word.text
                ),
            };
            line.bad_time(word, &problem, message, Place::ParsingLine);
        }
    }
}

/// `stats` and `stats bogus`.
pub(super) fn unknown(line: &mut Line<'_, '_>) {
    let list = "expects 'admin', 'uri', 'realm', 'auth', 'scope', 'enable', 'hide-version', 'show-node', 'show-desc' or \
                'show-legends'.";
    let diagnostic = match line.words.next() {
        None => {
            Diagnostic::error(code::MISSING_ARGUMENT, line.words.here(), format!("missing keyword in 'stats', {list}"))
        }
        Some(word) => Diagnostic::error(
            code::UNKNOWN_KEYWORD,
            word.span,
            format!("unknown stats parameter '{}', {list}", word.text),
        ),
    };
    line.out.push(diagnostic.place(Place::ParsingLine));
}

/// The page with everything filled in.
pub(super) fn complete(draft: &StatsDraft, node: Option<&str>, description: Option<&str>) -> Stats {
    Stats {
        uri: draft.uri.clone().unwrap_or_else(|| URI_DEFAULT.to_owned()),
        realm: draft.realm.clone().unwrap_or_else(|| REALM_DEFAULT.to_owned()),
        auth: draft.auth.clone(),
        refresh: draft.refresh,
        show_version: draft.show_version,
        show_legends: draft.show_legends,
        show_modules: draft.show_modules,
        show_node: draft.show_node.text(node),
        show_desc: draft.show_desc.text(description),
        scope: draft.scope.clone(),
    }
}
