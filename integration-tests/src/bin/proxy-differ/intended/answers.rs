//! Where the two are meant to differ about what a server answers.

use super::{
    Explanation, Rule, chunked_bodies, chunks_use_lone_lf, has_huge_length, has_strange_trailers, trailers_of, unfolded,
};
use crate::case::{Answer, Case};
use crate::message::{Framing, Message};
use crate::outcome::Outcome;

/// Rules for answers; each wants the answer that it is about to be there.
pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "protocol",
        reason: "an answer in another protocol than HTTP/1.0 and later is refused; haproxy 2.6 passes what looks like one",
        applies: |case, ours, theirs| refused(case, ours, theirs, has_other_protocol),
    },
    Rule {
        name: "status",
        reason: "a status of more than three digits is refused, as by haproxy 3.5",
        applies: |case, ours, theirs| refused(case, ours, theirs, has_long_status),
    },
    Rule {
        name: "status below 100",
        reason: "a status below 100 is the final one, as for haproxy 3.5, and written as a number; for 2.6 it has no body",
        applies: |_, ours, theirs| {
            first_difference(ours, theirs)
                .is_some_and(|(own, other)| (0..100).contains(&own.status()) && own.status() == other.status())
        },
    },
    Rule {
        name: "violation after an announcement",
        reason: "violations pass where they may; haproxy 2.6 refuses them where a 1xx came with them",
        applies: |case, ours, theirs| {
            case.is_lax()
                && first_difference(ours, theirs).is_some_and(|(own, other)| {
                    other.status() == 502 && (own.status() < 200 || announced(ours, theirs))
                })
        },
    },
    Rule {
        name: "101 after an announcement",
        reason: "a change of protocols may follow what told the client to go on (RFC 9110, 7.8); haproxy 2.6 refuses it there",
        applies: |_, ours, theirs| {
            let later = ours.statuses().windows(2).any(|pair| pair[1] == 101 && (100..200).contains(&pair[0]));
            later && first_difference(ours, theirs).is_some_and(|(_, other)| other.status() == 502)
        },
    },
    Rule {
        name: "tried after an announcement",
        reason: "a request whose answer broke off after a 1xx is tried again, or its client is told; haproxy 2.6 answers 500, or nothing",
        applies: |case, ours, theirs| {
            let last = theirs.client.last().map(Message::status);
            let unanswered = last.is_some_and(|status| (100..200).contains(&status))
                && ours.client.len() > theirs.client.len()
                && ours.client.starts_with(&theirs.client);
            let gave_up = theirs.statuses().windows(2).any(|pair| pair[1] == 500 && (100..200).contains(&pair[0]));
            case.retries() && (unanswered || (gave_up && first_difference(ours, theirs).is_some()))
        },
    },
    Rule {
        name: "which connection",
        reason: "a connection is used again once its answer has ended, wherever a 1xx came before it; one whose answer was given up is not",
        applies: |case, ours, theirs| {
            let later = case.retries() || case.answers.iter().any(|answer| heads(&answer.bytes).count() > 1);
            later && ours.client == theirs.client && ours.requests() == theirs.requests()
        },
    },
    Rule {
        name: "closed meanwhile",
        reason: "a request that may not be sent again is answered by 502 where the server closes its connection at that moment; whether that is seen in time is chance",
        applies: |case, ours, theirs| {
            let closes = case.answers.iter().any(|answer| answer.closes);
            let later = |request: &Message| {
                ours.server.iter().any(|connection| connection.iter().skip(1).any(|one| one == request))
            };
            let begins = theirs.server.iter().filter_map(|connection| connection.first()).any(later);
            closes && begins && first_difference(ours, theirs).is_some_and(|(own, _)| own.status() == 502)
        },
    },
    Rule {
        name: "coding of an older answer",
        reason: "nothing is trusted behind an answer of HTTP/1.0 that says it comes in chunks",
        applies: |case, ours, theirs| {
            let coded = |head: &[u8]| {
                head.starts_with(b"HTTP/1.0")
                    && head.to_ascii_lowercase().windows(17).any(|at| at == b"transfer-encoding")
            };
            let last =
                ours.client.len().checked_sub(1).and_then(|at| Some((ours.client.get(at)?, theirs.client.get(at)?)));
            case.answers.iter().any(|answer| heads(&answer.bytes).any(coded))
                && theirs.client.len() > ours.client.len()
                && last.is_some_and(|(own, other)| own.head.starts_with(b"HTTP/1.0") && own.status() == other.status())
        },
    },
    Rule {
        name: "long trailers",
        reason: "trailers are passed on as long as they fit a buffer by themselves; haproxy 2.6 cuts off those that fill its own with what else is there",
        applies: |_, ours, theirs| {
            let long = |(own, other): (&Message, &Message)| {
                own.head == other.head && own.trailers.len() > 14_000 && own.complete && !other.complete
            };
            let requests = ours.server.iter().flatten().zip(theirs.server.iter().flatten());
            first_difference(ours, theirs).is_some_and(long) || requests.into_iter().any(long)
        },
    },
    Rule {
        name: "CR in an answer",
        reason: "a CR in the name of a field is refused also where violations pass: it ends a line for some",
        applies: |case, ours, theirs| {
            let lone = |head: &[u8]| head.windows(2).any(|pair| pair[0] == b'\r' && pair[1] != b'\n');
            case.is_lax() && refused(case, ours, theirs, |answer| heads(answer).any(lone))
        },
    },
    Rule {
        name: "NUL in an answer",
        reason: "a NUL in an answer's head, chunk lines or trailers is refused, as in a request's",
        applies: |case, ours, theirs| refused(case, ours, theirs, |answer| answer.contains(&0)),
    },
    Rule {
        name: "nearly too large an answer",
        reason: "haproxy counts what its own form of a head takes, and refuses some that are just below 15360 bytes",
        applies: |case, ours, theirs| {
            let long = |answer: &Answer| answer.bytes.split(|&byte| byte == b'\n').any(|line| line.len() > 14_800);
            first_difference(ours, theirs).is_some_and(|(own, other)| {
                let large = own.head.len() > 14_800 || case.answers.iter().any(long);
                large && (other.status() == 502 || case.retries())
            })
        },
    },
    Rule {
        name: "coding of an answer",
        reason: "an answer in a coding that does not end with `chunked` is refused, as a request; haproxy 2.6 passes an empty one",
        applies: |case, ours, theirs| refused(case, ours, theirs, |answer| heads(answer).any(has_empty_coding)),
    },
    Rule {
        name: "announcements",
        reason: "an answer that is announced more than 100 times is refused",
        applies: |case, ours, theirs| refused(case, ours, theirs, |answer| heads(answer).count() > 100),
    },
    Rule {
        name: "cut after an announcement",
        reason: "an answer that breaks off stays so, and one that does not is passed on; haproxy 2.6 loses the rest where it comes later and a 1xx came with its beginning, takes it for whole, and puts the next one into its body",
        applies: |case, ours, theirs| {
            let announced = case.answers.iter().any(|answer| heads(&answer.bytes).count() > 1);
            let taken_for_whole =
                theirs.client.starts_with(&ours.client) && theirs.requests().len() > ours.requests().len();
            // What they lost may look like an answer by itself.
            let lost = ours.client.len() > theirs.client.len()
                && ours.client.starts_with(&theirs.client)
                && ours.server == theirs.server;
            let cut = first_difference(ours, theirs).is_some_and(|(own, other)| is_cut(case, own, other));
            announced && (taken_for_whole || lost || cut)
        },
    },
    Rule {
        name: "at once",
        reason: "a line that cannot become that of an answer is refused at once; haproxy waits for all of it",
        applies: |case, ours, theirs| {
            let late = |(own, other): (&Message, &Message)| {
                let refused = own.status() == 502 || (case.retries() && own.status() != 504);
                refused && other.status() == 504
            };
            first_difference(ours, theirs).is_some_and(late)
        },
    },
    Rule {
        name: "refused with its announcement",
        reason: "an announcement goes the way of what came with it; haproxy does not see all of a large head at once, and waits for the rest of a bad line",
        applies: |_, ours, theirs| {
            let same = ours.client.iter().zip(&theirs.client).take_while(|(own, other)| own == other).count();
            let rest =
                theirs.client[same..].iter().map(Message::status).skip_while(|status| (100..200).contains(status));
            ours.client.get(same).is_some_and(|own| own.status() == 502)
                && theirs.client.get(same).is_some_and(|other| (100..200).contains(&other.status()))
                && rest.take(1).all(|status| matches!(status, 502 | 504))
        },
    },
    Rule {
        name: "size of what is cut off",
        reason: "how much had been passed on of an answer that breaks off is chance; the size of a chunk goes before its data, for which haproxy waits",
        applies: |_, ours, theirs| {
            ours.client.len() == theirs.client.len()
                && first_difference(ours, theirs).is_some_and(|(own, other)| {
                    let less = own.body.starts_with(&other.body) || other.body.starts_with(&own.body);
                    let empty = own.body.is_empty() && other.body.is_empty();
                    let broken_off = !own.complete && (empty || (!other.complete && less));
                    own.head == other.head && own.framing == Framing::Chunked && broken_off
                })
        },
    },
    Rule {
        name: "length of an answer",
        reason: "a length of 2^63 and more is refused, as in a request",
        applies: |case, ours, theirs| refused(case, ours, theirs, |answer| heads(answer).any(has_huge_length)),
    },
    Rule {
        name: "chunk line of an answer",
        reason: "the line of a chunk's size must end with CR LF, as in a request",
        applies: |case, ours, theirs| {
            refused(case, ours, theirs, |answer| chunked_bodies(answer).any(chunks_use_lone_lf))
        },
    },
    Rule {
        name: "trailers of an answer",
        reason: "trailers that are no fields are refused, as in a request",
        applies: |case, ours, theirs| {
            refused(case, ours, theirs, |answer| {
                chunked_bodies(answer).any(|body| has_strange_trailers(trailers_of(body)))
            })
        },
    },
];

/// Why the reasons of two answers may differ.
const REASON: Explanation =
    ("reason", "an answer without a reason gets the usual one, as by haproxy 3.5; haproxy 2.6 leaves it out");

/// Why they do not tell how a connection goes on.
const UPGRADE: Explanation = (
    "upgrade in an answer",
    "the client is told how its connection goes on also where the answer names `upgrade` in `connection`",
);

/// Takes a difference out of our answers, and says whether there was one.
type MakeAlike = fn(&mut Outcome, &Outcome) -> bool;

/// What is told in another way, and why.
pub(super) const TELLINGS: &[(MakeAlike, Explanation)] = &[(fill_reasons, REASON), (leave_untold, UPGRADE)];

/// Takes out of each of our answers what it tells of the client's connection, where the server's said `upgrade` there and theirs tells
/// nothing; whether there was something.
fn leave_untold(ours: &mut Outcome, theirs: &Outcome) -> bool {
    let mut told = false;
    for (own, other) in ours.client.iter_mut().zip(&theirs.client) {
        let said = other
            .fields("connection")
            .any(|value| value.to_ascii_lowercase().windows(7).any(|word| word == b"upgrade"));
        for line in [&b"\r\nconnection: close\r\n\r\n"[..], b"\r\nconnection: keep-alive\r\n\r\n"] {
            if said && own.head.ends_with(line) && !other.head.ends_with(line) {
                let end = own.head.len() - line.len();
                own.head.truncate(end);
                own.head.extend_from_slice(b"\r\n\r\n");
                told = true;
            }
        }
    }
    told
}

/// Takes the reason out of each of our answers where theirs has none; whether there was one.
fn fill_reasons(ours: &mut Outcome, theirs: &Outcome) -> bool {
    let mut filled = false;
    for (own, other) in ours.client.iter_mut().zip(&theirs.client) {
        let line = |head: &[u8]| head.iter().position(|&byte| byte == b'\r').unwrap_or(head.len());
        let empty = &other.head[..line(&other.head)];
        let end = line(&own.head);
        if empty.ends_with(b" ") && own.head[..end].starts_with(empty) && end > empty.len() {
            own.head.drain(empty.len()..end);
            filled = true;
        }
    }
    filled
}

/// As much of an answer as tells it from a body.
const BEGINNING: usize = 8;

/// Whether they lost a part of an answer's end: what follows in its place is the next answer, or nothing.
fn is_cut(case: &Case, own: &Message, other: &Message) -> bool {
    let common = own.body.iter().zip(&other.body).take_while(|(one, other)| one == other).count();
    let rest = &other.body[common..];
    let follows = |next: &[u8]| rest.starts_with(next) || next.starts_with(rest);
    let begins = |answer: &Answer| answer.bytes.get(..BEGINNING).is_some_and(follows);
    let replaced = follows(b"HTTP/1.") || case.answers.iter().any(begins);
    let lost =
        own.body.len() > common || !rest.is_empty() || own.trailers != other.trailers || own.complete != other.complete;
    // What ends with the connection may look like an answer by itself.
    let raw = other.head.is_empty() && !other.complete && own.head.starts_with(&other.body);
    raw || own.head == other.head && replaced && (lost || own.framing != other.framing)
}

/// The first of our answers that is not theirs, and theirs.
fn first_difference<'o>(ours: &'o Outcome, theirs: &'o Outcome) -> Option<(&'o Message, &'o Message)> {
    ours.client.iter().zip(&theirs.client).find(|(own, other)| own != other)
}

/// Whether the answer that differs came after a 1xx that does not.
fn announced(ours: &Outcome, theirs: &Outcome) -> bool {
    let before = super::same_answers(ours, theirs).checked_sub(1).and_then(|at| ours.client.get(at));
    before.is_some_and(|answer| (100..200).contains(&answer.status()))
}

/// Whether we answered with a 502, or broke off, where they passed on an answer that has something.
fn refused(case: &Case, ours: &Outcome, theirs: &Outcome, has: impl Fn(&[u8]) -> bool) -> bool {
    // Where requests are sent again, it is what the next one was answered with.
    let refused = |(own, other): (&Message, &Message)| {
        let broken_off = own.head == other.head && (!own.complete || own.body.len() < other.body.len());
        own.status() == 502 || case.retries() || (broken_off && other.complete)
    };
    first_difference(ours, theirs).is_some_and(refused) && case.answers.iter().any(|answer| has(&answer.bytes))
}

/// The heads of an answer: those that announce the final one, and that.
pub(super) fn heads(answer: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(answer);
    std::iter::from_fn(move || {
        let bytes = rest.take()?;
        let start = bytes.iter().position(|byte| !b"\r\n".contains(byte)).unwrap_or(bytes.len());
        let bytes = &bytes[start..];
        let end = (0..bytes.len()).find(|&at| bytes[at..].starts_with(b"\n\r\n") || bytes[at..].starts_with(b"\n\n"));
        let (head, after) = bytes.split_at(end.map_or(bytes.len(), |at| at + 1));
        rest = Some(after).filter(|_| status(head).starts_with(b"1") && !after.is_empty());
        Some(head)
    })
}

/// The second word of a head.
fn status(head: &[u8]) -> &[u8] {
    let line = head.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    words.nth(1).unwrap_or_default()
}

/// Whether an answer, or what announces it, has a status.
pub(super) fn has_status(answer: &[u8], code: u16) -> bool {
    heads(answer).any(|head| status(head) == code.to_string().as_bytes())
}

fn has_long_status(answer: &[u8]) -> bool {
    heads(answer).map(status).any(|code| code.len() > 3 && code.iter().all(u8::is_ascii_digit))
}

fn has_other_protocol(answer: &[u8]) -> bool {
    heads(answer).any(|head| !matches!(head, [b'H', b'T', b'T', b'P', b'/', b'1'..=b'9', b'.', ..]))
}

fn has_empty_coding(head: &[u8]) -> bool {
    let lines = unfolded(head).to_ascii_lowercase();
    lines.split(|&byte| byte == b'\n').any(|line| line.trim_ascii_end() == b"transfer-encoding:")
}
