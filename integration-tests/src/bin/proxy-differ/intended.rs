//! Where the two are meant to differ: rules that name what, and why.

use crate::case::Case;
use crate::outcome::Outcome;

/// A difference that is meant.
pub(crate) struct Rule {
    pub(crate) name: &'static str,
    pub(crate) reason: &'static str,
    /// Whether this is the difference between ours and theirs.
    applies: fn(&Case, &Outcome, &Outcome) -> bool,
}

/// All of them; the first that applies counts.
pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "cut",
        reason: "how much of a message that turned out to be bad had been passed on depends on when its pieces came",
        applies: |_, ours, theirs| crate::outcome::only_a_cut_differs(ours, theirs),
    },
    Rule {
        name: "NUL",
        reason: "a NUL in a field is refused, as by haproxy 3.5",
        applies: |case, ours, theirs| refused(case, ours, theirs, 400, |head| head.contains(&0)),
    },
    Rule {
        name: "host",
        reason: "a host with userinfo, a path, a blank or a comma in it is refused, as by haproxy 3.5",
        applies: |case, ours, theirs| refused(case, ours, theirs, 400, has_strange_host),
    },
    Rule {
        name: "too large",
        reason: "a head that is too large is told by 431 and 414, as by haproxy 3.5",
        applies: |_, ours, theirs| {
            let mut renamed = ours.statuses();
            renamed.iter_mut().filter(|status| matches!(**status, 414 | 431)).for_each(|status| *status = 400);
            matches!(ours.last_status(), 414 | 431) && renamed == theirs.statuses() && ours.server == theirs.server
        },
    },
];

/// Whether we refused a request with a status, where they went on with a head that has something.
fn refused(case: &Case, ours: &Outcome, theirs: &Outcome, status: u16, has: fn(&[u8]) -> bool) -> bool {
    let (at_ours, at_theirs) = (ours.requests(), theirs.requests());
    ours.last_status() == status
        && at_theirs.starts_with(&at_ours)
        && match at_theirs.get(at_ours.len()) {
            Some(next) => has(&next.head),
            // They answered it themselves, or waited for more of it.
            None => has(&case.sent()),
        }
}

fn has_strange_host(head: &[u8]) -> bool {
    let host = |line: &[u8]| {
        let name = line.get(..5).is_some_and(|name| name.eq_ignore_ascii_case(b"host:"));
        let value = line.get(5..).unwrap_or_default().trim_ascii();
        name && value.iter().any(|byte| byte.is_ascii_control() || b"@/ ,".contains(byte))
    };
    head.split(|&byte| byte == b'\n').any(host)
}

/// The rule that explains a difference.
pub(crate) fn explanation(case: &Case, ours: &Outcome, theirs: &Outcome) -> Option<usize> {
    RULES.iter().position(|rule| (rule.applies)(case, ours, theirs))
}
