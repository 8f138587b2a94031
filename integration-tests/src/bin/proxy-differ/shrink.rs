//! Makes a case smaller as long as the two differ in the same way.

use crate::case::{Case, Ending};
use crate::mutate::What;

/// Into how many pieces something is cut at most.
const MOST_PIECES: usize = 200;

/// Smaller forms of a case, the boldest first.
pub(crate) fn candidates(what: What, case: &Case) -> Vec<Case> {
    let mut found = Vec::new();
    let mut push = |change: &dyn Fn(&mut Case)| {
        let mut smaller = case.clone();
        change(&mut smaller);
        if smaller != *case {
            found.push(smaller);
        }
    };
    push(&|case| case.variant = 0);
    push(&|case| case.answers.clear());
    push(&|case| case.segments = vec![case.segments.concat()]);
    if case.ending != Ending::Sentinel {
        push(&|case| case.ending = Ending::Sentinel);
    }
    for number in 0..case.answers.len() {
        push(&|case| case.answers[number] = crate::case::Answer::plain());
        push(&|case| case.answers[number].pauses.clear());
        push(&|case| case.answers[number].early = false);
        push(&|case| case.answers[number].to_any = false);
    }
    if what == What::Answers {
        for number in 0..case.answers.len() {
            each_cut(case.answers[number].bytes.len(), |from, to| {
                push(&|case| drop(case.answers[number].bytes.drain(from..to)));
            });
        }
    }
    for number in 0..case.segments.len() {
        each_cut(case.segments[number].len(), |from, to| {
            push(&|case| {
                case.segments[number].drain(from..to);
                case.segments.retain(|segment| !segment.is_empty());
            });
        });
    }
    found
}

/// Calls with the ranges to leave out: halves, quarters, down to single bytes.
fn each_cut(length: usize, mut call: impl FnMut(usize, usize)) {
    let mut size = length / 2;
    // The halves of something large first; its bytes one by one when it has become small.
    while size > length / MOST_PIECES {
        for from in (0..length).step_by(size) {
            call(from, (from + size).min(length));
        }
        size /= 2;
    }
}
