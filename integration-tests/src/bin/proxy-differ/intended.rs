//! Where the two are meant to differ: rules that name what, and why.

mod answers;
pub(crate) mod lines;
mod writing;

use crate::case::{Answer, Case, Ending, SENTINEL};
use crate::message::Message;
use crate::outcome::Outcome;
use crate::side::VARIANTS;
use writing::{WRITINGS, rewritten};

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
        applies: |case, ours, theirs| only_a_cut_differs(case, ours, theirs),
    },
    Rule {
        name: "NUL",
        reason: "a NUL in a field is refused, as by haproxy 3.5",
        applies: |case, ours, theirs| case.sent().contains(&0) && refused(case, ours, theirs, 400, |_| true),
    },
    Rule {
        name: "CR",
        reason: "a CR in the name of a field is refused also where violations pass: it ends a line for some",
        applies: |case, ours, theirs| {
            let lone = |head: &[u8]| head.windows(2).any(|pair| pair[0] == b'\r' && pair[1] != b'\n');
            case.is_lax() && refused(case, ours, theirs, 400, lone)
        },
    },
    Rule {
        name: "nearly too many",
        reason: "a `connection` that is a list or says nothing counts as a field, also where nothing is left of it",
        applies: |case, ours, theirs| {
            refused(case, ours, theirs, 400, |head| {
                let list = |line: &[u8]| {
                    let own = line.get(..11).is_some_and(|name| name.eq_ignore_ascii_case(b"connection:"));
                    own && (line.contains(&b',') || line[11..].trim_ascii().is_empty())
                };
                let lines = || head.split(|&byte| byte == b'\n');
                lines().count() > 95 && lines().any(list)
            })
        },
    },
    Rule {
        name: "list of hosts",
        reason: "the host of an absolute target is written where `host` stood; haproxy 2.6 writes it for each element of a list",
        applies: |case, _, theirs| {
            let doubled = |request: &&Message| {
                let target = request.target();
                target.contains(&b',') && target.windows(3).any(|end| end == b"://")
            };
            case.is_lax() && theirs.requests().iter().any(doubled)
        },
    },
    Rule {
        name: "host",
        reason: "a host with userinfo, a path, a blank or a comma in it is refused, as by haproxy 3.5",
        applies: |case, ours, theirs| refused(case, ours, theirs, 400, has_strange_host),
    },
    Rule {
        name: "target",
        reason: "a target in none of the four forms, or in one that the method does not have, or not in ASCII, is refused, as by haproxy 3.5",
        applies: |case, ours, theirs| refused(case, ours, theirs, 400, has_strange_target),
    },
    Rule {
        name: "chunk line",
        reason: "the line of a chunk's size must end with CR LF, as for haproxy 3.5",
        applies: |case, ours, theirs| {
            let refused = ours.last_status() == 400 || answered_by_then(ours, theirs);
            refused && has_lone_lf_in_chunk(&[&case.sent(), SENTINEL].concat()) && theirs != ours
        },
    },
    Rule {
        name: "overflow",
        reason: "a length of 2^63 and more is refused; haproxy 2.6 takes it modulo 2^64, haproxy 3.5 refuses it",
        applies: |case, ours, theirs| {
            [400, 408].iter().any(|&status| refused(case, ours, theirs, status, has_huge_length))
        },
    },
    Rule {
        name: "when",
        reason: "a head that cannot become a request is refused at once; haproxy may wait for the rest of it, and more often where it comes in pieces",
        applies: |case, ours, theirs| {
            let statuses = [ours.statuses(), theirs.statuses()];
            let [Some((one, before)), Some((other, earlier))] = statuses.each_ref().map(|all| all.split_last()) else {
                return false;
            };
            ours.server == theirs.server
                && before == earlier
                && ((*one, *other) == (400, 408)
                    || (in_pieces(case) && (*one, *other) == (422, 400))
                    // Hosts are compared at the end of a head, not while its lines come.
                    || ((*one, *other) == (408, 400) && has_hosts(&case.sent())))
        },
    },
    Rule {
        name: "trailers",
        reason: "trailers that are no fields are refused; haproxy 2.6 passes them",
        applies: |case, ours, theirs| {
            let sent = case.sent();
            let bad = chunked_bodies(&sent).any(|body| has_strange_trailers(trailers_of(body)));
            bad && (answered_by_then(ours, theirs) || refused(case, ours, theirs, 400, |_| true))
        },
    },
    Rule {
        name: "nearly too large",
        reason: "haproxy counts what its own form of a head takes, and where in its buffer a line begins, and refuses some that are just below 15360 bytes",
        applies: |case, ours, theirs| {
            let (at_ours, mut at_theirs) = (ours.requests(), theirs.requests());
            at_theirs.retain(|request| request.complete);
            let sent = case.sent();
            let joined = unfolded(&sent);
            let mut lines = joined.split(|&byte| byte == b'\n');
            let large = at_ours.get(at_theirs.len()).is_some_and(|next| next.head.len() > 14_800);
            let refused = sent.len() > 14_800 && (large || lines.any(|line| line.len() > 10_000));
            refused && at_ours.starts_with(&at_theirs) && theirs.last_status() == 400
        },
    },
    Rule {
        name: "no room for a body",
        reason: "haproxy has no room for the body beside a head that nearly fills its buffer, and waits for it until the time is over",
        applies: |_, ours, theirs| {
            let at_theirs = theirs.requests();
            let stuck = at_theirs.last().is_some_and(|request| request.head.len() > 14_800 && !request.complete);
            let before = at_theirs.len().saturating_sub(1);
            stuck && theirs.last_status() == 504 && ours.requests().starts_with(&at_theirs[..before])
        },
    },
    Rule {
        name: "full",
        reason: "haproxy ends the wait for a body when its own form of the request fills the buffer, which may be before its bytes do",
        applies: |case, ours, theirs| {
            let waits = matches!(VARIANTS[case.variant].name, "http-buffer-request" | "waits for bodies");
            let told = theirs.client.len().checked_sub(1).and_then(|at| theirs.client.get(..at));
            waits
                && case.sent().len() > 12_000
                && ours.last_status() == 408
                && told.is_some_and(|before| ours.client.starts_with(before))
                && theirs.requests().last().is_some_and(|request| !request.complete)
        },
    },
    Rule {
        name: "half close",
        reason: "what had come before the client closed its direction is answered; haproxy forgets what was not in its buffer by then",
        applies: |case, ours, theirs| {
            case.ending == Ending::HalfClose
                && case.sent().len() > 15_000
                && ours.client.len() > theirs.client.len()
                && ours.client.starts_with(&theirs.client)
                && ours.requests().starts_with(&theirs.requests())
        },
    },
    Rule {
        name: "long chunk line",
        reason: "a chunk's line as long as a buffer is read to its end also after the answer; haproxy ends the connection",
        applies: |case, ours, theirs| {
            let long = case.sent().split(|&byte| byte == b'\n').any(|line| line.len() > 15_000 && line.contains(&b';'));
            let (at_ours, mut at_theirs) = (ours.requests(), theirs.requests());
            at_theirs.retain(|request| request.complete);
            long && at_ours.starts_with(&at_theirs)
                && at_theirs.len() < theirs.requests().len()
                && ours.client.starts_with(&theirs.client)
        },
    },
    Rule {
        name: "101",
        reason: "a change of protocols that the request did not name is no answer to it; haproxy passes it, or answers 504 where it would try again",
        applies: |case, ours, theirs| {
            let unnamed = |request: &&Message| request.field("upgrade").is_none();
            let at = same_answers(ours, theirs);
            let (own, other) = (ours.client.get(at).map(Message::status), theirs.client.get(at).map(Message::status));
            let switched =
                (own, other) == (Some(502), Some(101)) || (case.retries() && other == Some(504) && own != other);
            let offered = case.answers.iter().any(|answer| answers::has_status(&answer.bytes, 101));
            switched && offered && theirs.requests().iter().any(unnamed)
        },
    },
    Rule {
        name: "PRI",
        reason: "what HTTP/2 begins with ends the connection, whatever an answer for errors says of it",
        applies: |case, ours, theirs| {
            let sent = case.sent();
            let begins = sent.split(|&byte| byte == b'\n').any(|line| line.starts_with(b"PRI "));
            begins && keeps_after(theirs, ours, |status| status == 400)
        },
    },
    Rule {
        name: "version",
        reason: "HTTP/0.x is 400 whatever follows; haproxy 2.6 looks at the method and the body first",
        applies: |case, ours, theirs| {
            case.sent().windows(7).any(|word| word == b"HTTP/0.") && refused(case, ours, theirs, 400, |_| true)
        },
    },
    Rule {
        name: "CONNECT",
        reason: "CONNECT has no body, whatever it says; haproxy 2.6 passes on that there would be one, and waits for it",
        applies: |_, ours, theirs| {
            let (at_ours, at_theirs) = (ours.requests(), theirs.requests());
            let same = at_ours.iter().zip(&at_theirs).take_while(|(one, other)| one == other).count();
            let says = |request: &&Message| {
                let body = ["transfer-encoding", "content-length"].iter().any(|name| request.field(name).is_some());
                request.method() == b"CONNECT" && (body || !request.complete)
            };
            // Behind one that was answered otherwise the server takes the next for bytes of a tunnel.
            let raw = |request: &&Message| {
                let has = |word: &[u8]| request.body.windows(word.len()).any(|at| at == word);
                request.head.is_empty() && has(b"CONNECT ") && has(b"transfer-encoding")
            };
            at_theirs.get(same).is_some_and(|request| says(request) || raw(request))
                && at_ours.get(same).is_some_and(|own| own.method() == b"CONNECT" || own.head.is_empty())
        },
    },
    Rule {
        name: "no room",
        reason: "a head that what rules add makes larger than a buffer is passed on; haproxy has no room for it, and answers 500",
        applies: |case, ours, theirs| {
            let at = same_answers(ours, theirs);
            let rules = matches!(VARIANTS[case.variant].name, "rules" | "changes");
            let large = ours.requests().iter().any(|request| request.head.len() > 15_000);
            rules && large && theirs.client.get(at).is_some_and(|answer| answer.status() == 500)
        },
    },
    Rule {
        name: "abortonclose",
        reason: "who closes its direction has left, as for haproxy 3.5; haproxy 2.6 does not look there while the server is to answer",
        applies: |case, ours, theirs| {
            let told = ours.client.len() - usize::from(ours.last_status() == 400);
            let fewer = theirs.requests().len() >= ours.requests().len();
            VARIANTS[case.variant].name == "abortonclose"
                && case.ending == Ending::HalfClose
                && fewer
                && theirs.client.len() > told
                && theirs.client.starts_with(&ours.client[..told])
        },
    },
    Rule {
        name: "lost trailers",
        reason: "trailers are passed on; haproxy 2.6 loses those for which there is no room beside a large body, and a length beside a coding",
        applies: |_, ours, theirs| lost_trailers(ours, theirs),
    },
    Rule {
        name: "websocket",
        reason: "a WebSocket handshake needs its key, also where another `upgrade` follows; haproxy looks at the last",
        applies: |case, ours, theirs| {
            let named = case.sent().to_ascii_lowercase().windows(9).any(|word| word == b"websocket");
            named
                && refused(case, ours, theirs, 400, |head| {
                    head.windows(7).any(|word| word.eq_ignore_ascii_case(b"upgrade"))
                })
        },
    },
    Rule {
        name: "garbled",
        reason: "haproxy 2.6 reads a head anew that comes in pieces, after it has written over the list in `connection`",
        applies: |case, ours, theirs| {
            let sent = case.sent().to_ascii_lowercase();
            let garbled = |request: &&Message| {
                let mut values = request.fields("connection").map(<[u8]>::to_ascii_lowercase);
                values.any(|value| value.len() > 6 && !sent.windows(value.len()).any(|word| word == value))
            };
            let answers: Vec<u8> = case.answers.iter().flat_map(|answer| answer.bytes.to_ascii_lowercase()).collect();
            let garbled_answer = |answer: &Message| {
                let mut values = answer.fields("connection").map(<[u8]>::to_ascii_lowercase);
                values.any(|value| value.len() > 6 && !answers.windows(value.len()).any(|word| word == value))
            };
            let late = |answer: &Answer| !answer.pauses.is_empty() || answer.bytes.len() > 14_000;
            let in_answer = case.answers.iter().any(late)
                && ours.client.iter().zip(&theirs.client).any(|(own, other)| own != other && garbled_answer(other));
            in_answer || (in_pieces(case) && theirs.requests().iter().any(garbled))
        },
    },
    Rule {
        name: "100 twice",
        reason: "who waits is told once to go on, however often it says so",
        applies: |_, ours, theirs| {
            let mut told = theirs.client.clone();
            told.dedup_by(|one, other| one == other && one.status() == 100);
            told.len() < theirs.client.len() && told == ours.client
        },
    },
    Rule {
        name: "tunnel's end",
        reason: "what a client sends into a tunnel that the server has closed may be passed on or not",
        applies: |case, ours, theirs| {
            let (at_ours, at_theirs) = (ours.requests(), theirs.requests());
            let fewer = if at_ours.len() < at_theirs.len() { &at_ours } else { &at_theirs };
            let same =
                at_ours.iter().zip(&at_theirs).take(fewer.len().saturating_sub(1)).all(|(one, other)| one == other);
            let ends = case.answers.iter().any(|answer| answer.closes);
            ends && same && ours.client == theirs.client && ours.statuses().contains(&101)
        },
    },
    Rule {
        name: "chunked for 1.0",
        reason: "an answer in chunks to HTTP/1.0 ends the connection: the client cannot tell where it ends otherwise",
        applies: |case, ours, theirs| {
            let coded = |answer: &Answer| answer.bytes.to_ascii_lowercase().windows(7).any(|word| word == b"chunked");
            let chunked = case.answers.iter().any(coded);
            // Another protocol, which may pass where violations do, counts as the older one.
            let old = theirs.requests().iter().any(|request| !request.head.windows(9).any(|word| word == b" HTTP/1.1"));
            chunked && old && keeps_after(theirs, ours, |_| true)
        },
    },
    Rule {
        name: "redirect",
        reason: "a redirect does not end the connection of a request whose body has come, no more than other answers do",
        applies: |case, ours, theirs| {
            let sent = case.sent().to_ascii_lowercase();
            let has = |words: &[u8]| sent.windows(words.len()).any(|at| at == words);
            has(b"/redirect")
                && (has(b"content-length") || has(b"transfer-encoding"))
                && keeps_after(ours, theirs, |status| status == 302)
        },
    },
    Rule {
        name: "quotes",
        reason: "a quotation mark in `connection` is a letter like others; haproxy looks for no word behind it",
        applies: |_, ours, theirs| {
            let (at_ours, at_theirs) = (ours.requests(), theirs.requests());
            let same = at_ours.iter().zip(&at_theirs).take_while(|(one, other)| one == other).count();
            let hides = |value: &[u8]| {
                let behind = value.iter().position(|&byte| byte == b'"').map(|at| value[at..].to_ascii_lowercase());
                let words: [&[u8]; 3] = [b"close", b"keep-alive", b"upgrade"];
                behind.is_some_and(|behind| words.iter().any(|word| behind.windows(word.len()).any(|at| at == *word)))
            };
            let quoted = |request: &&Message| request.fields("connection").any(hides);
            at_theirs.iter().take(same + 1).any(quoted)
        },
    },
    Rule {
        name: "not the first",
        reason: "a client is told of an answer that broke off, whichever of its requests it was; haproxy neither answers nor logs from the second on",
        applies: |case, ours, theirs| {
            let next = ours.client.get(theirs.client.len()).map(Message::status);
            next == Some(502) && leaves_unanswered(case, ours, theirs)
        },
    },
    Rule {
        name: "dead connection",
        reason: "a safe request on a connection that the server closes at that moment goes out again, and any other on a new one where the close is seen in time; haproxy leaves it without an answer",
        applies: |case, ours, theirs| {
            let mut later = theirs.server.iter().filter(|connection| connection.len() > 1).filter_map(|all| all.last());
            let begins = |request: &Message| ours.server.iter().any(|connection| connection.first() == Some(request));
            let again = |request: &Message| is_safe(request) && ours.requests().contains(&request);
            // Behind a CONNECT all that follows is raw.
            let raw = |request: &Message| request.head.is_empty() && ends_silently(case, ours, theirs);
            later.any(|request| {
                raw(request) || ((begins(request) || again(request)) && leaves_unanswered(case, ours, theirs))
            })
        },
    },
    Rule {
        name: "sent again",
        reason: "the same, where haproxy has seen in time that the server closes",
        applies: |case, ours, theirs| {
            let closes = case.answers.iter().any(|answer| answer.closes);
            let any = case.retries();
            let (own, other) = (sent_once(ours, any), sent_once(theirs, any));
            // Two requests that are alike are no repetition.
            let same = own == other || own == theirs.requests() || other == ours.requests();
            closes && ours.client == theirs.client && same
        },
    },
    Rule {
        name: "left early",
        reason: "a client that closes its direction within its body gets an answer that is there by then",
        applies: |case, ours, theirs| {
            let early = case.ending == Ending::HalfClose && case.answers.iter().any(|answer| answer.early);
            let (own, other) = (&ours.client, &theirs.client);
            early && ours.server == theirs.server && (own.starts_with(other) || other.starts_with(own))
        },
    },
    Rule {
        name: "pieces",
        reason: "whether a body had come when a rule answered its request depends on when its pieces came",
        applies: |case, ours, theirs| {
            let own = |status| matches!(status, 200 | 302 | 403);
            // One that is bad behind what came first may be answered by a rule before that is seen.
            let last = ours.client.len().checked_sub(1).and_then(|at| theirs.client.get(at));
            let ruled = ours.last_status() == 400
                && same_answers(ours, theirs) + 1 == theirs.client.len()
                && last.is_some_and(|answer| own(answer.status()))
                && ours.server == theirs.server;
            in_pieces(case) && (keeps_after(ours, theirs, own) || keeps_after(theirs, ours, own) || ruled)
        },
    },
    Rule {
        name: "too large",
        reason: "a head that is too large is told by 431 and 414, as by haproxy 3.5",
        applies: |_, ours, theirs| {
            let mut renamed = ours.statuses();
            renamed.iter_mut().filter(|status| matches!(**status, 414 | 431)).for_each(|status| *status = 400);
            let mut told = theirs.statuses();
            told.iter_mut().filter(|status| **status == 408).for_each(|status| *status = 400);
            matches!(ours.last_status(), 414 | 431) && renamed == told && ours.server == theirs.server
        },
    },
];

/// Whether a request may be sent again: it has no body, and a method that changes nothing.
fn is_safe(request: &Message) -> bool {
    let methods: [&[u8]; 4] = [b"GET", b"HEAD", b"OPTIONS", b"TRACE"];
    methods.contains(&request.method()) && request.body.is_empty()
}

/// All requests, without a safe one, or `any`, that begins a connection where the same ended the one before.
fn sent_once(outcome: &Outcome, any: bool) -> Vec<&Message> {
    let mut all: Vec<&Message> = Vec::new();
    for connection in &outcome.server {
        let again = connection.first().is_some_and(|first| (any || is_safe(first)) && all.last() == Some(&first));
        all.extend(connection.iter().skip(usize::from(again)));
    }
    all
}

/// How many answers both clients got alike, before the first that differs.
fn same_answers(ours: &Outcome, theirs: &Outcome) -> usize {
    ours.client.iter().zip(&theirs.client).take_while(|(own, other)| own == other).count()
}

/// Whether all that differs is that their messages lack trailers.
fn lost_trailers(ours: &Outcome, theirs: &Outcome) -> bool {
    let mut lost = false;
    let mut fill = |own: &Message, other: &mut Message| {
        let coded = own.trailers.windows(17).any(|name| name.eq_ignore_ascii_case(b"transfer-encoding"));
        let large = own.body.len() > 14_000 || coded;
        let lines = |trailers: &[u8]| trailers.split(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect::<Vec<_>>();
        let (all, some) = (lines(&own.trailers), lines(&other.trailers));
        if large && own.trailers != other.trailers && some.iter().all(|line| all.contains(line)) {
            other.trailers.clone_from(&own.trailers);
            lost = true;
        }
    };
    let mut filled = theirs.clone();
    for (own, other) in ours.server.iter().flatten().zip(filled.server.iter_mut().flatten()) {
        fill(own, other);
    }
    for (own, other) in ours.client.iter().zip(&mut filled.client) {
        fill(own, other);
    }
    lost && *ours == filled
}

/// Whether the server closed, and they ended there without a word, where we went on.
fn leaves_unanswered(case: &Case, ours: &Outcome, theirs: &Outcome) -> bool {
    // Of the first request on a connection that is told.
    let first = usize::from(theirs.client.is_empty());
    theirs.requests().len() > final_answers(theirs).max(first) && ends_silently(case, ours, theirs)
}

/// Whether the server closed, and their client got fewer answers.
fn ends_silently(case: &Case, ours: &Outcome, theirs: &Outcome) -> bool {
    case.answers.iter().any(|answer| answer.closes)
        && ours.client.len() > theirs.client.len()
        && ours.client.starts_with(&theirs.client)
}

/// How many answers a client got, without those that announce others.
fn final_answers(outcome: &Outcome) -> usize {
    // Those of rules are none of the server's.
    outcome.statuses().iter().filter(|status| !matches!(status, 100..200 | 302 | 403)).count()
}

/// Whether we refused a request with a status, where they went on with a head that has something.
fn refused(case: &Case, ours: &Outcome, theirs: &Outcome, status: u16, has: fn(&[u8]) -> bool) -> bool {
    let (mut at_ours, at_theirs) = (ours.requests(), theirs.requests());
    at_ours.retain(|request| request.complete);
    ours.last_status() == status
        && at_theirs.starts_with(&at_ours)
        // They may have answered it themselves, or waited for more of it.
        && (at_theirs.get(at_ours.len()).is_some_and(|next| has(&next.head)) || has(&case.sent()))
}

/// Whether a request that we refused had been answered by then, so that its client was told nothing, and they went on.
fn answered_by_then(ours: &Outcome, theirs: &Outcome) -> bool {
    let cut = |outcome: &Outcome| outcome.requests().last().is_some_and(|request| !request.complete);
    theirs.client.starts_with(&ours.client) && cut(ours) && !cut(theirs)
}

/// Whether the client's bytes do not come all at once: in several writes, or more than haproxy reads into one buffer.
fn in_pieces(case: &Case) -> bool {
    case.segments.len() > 1 || case.ending == Ending::LateSentinel || case.sent().len() + SENTINEL.len() > 15_000
}

/// Whether one closed after an answer of its own, and the other went on.
fn keeps_after(keeps: &Outcome, closes: &Outcome, of: fn(u16) -> bool) -> bool {
    let Some((last, before)) = closes.client.split_last() else { return false };
    let Some(same) = keeps.client.get(before.len()) else { return false };
    let [closing, keeping] = [last, same].map(|message| {
        let lines = message.head.split_inclusive(|&byte| byte == b'\n');
        lines.filter(|line| !line.starts_with(b"connection: ")).collect::<Vec<_>>()
    });
    let says_close = |message: &Message| message.fields("connection").any(|value| value == b"close");
    let closes_there = says_close(last) && !says_close(same);
    of(last.status())
        && closes_there
        && closing == keeping
        && keeps.client.starts_with(before)
        && keeps.requests().starts_with(&closes.requests())
}

fn has_huge_length(head: &[u8]) -> bool {
    let huge = |line: &[u8]| {
        let line = line.to_ascii_lowercase();
        let value = line.strip_prefix(b"content-length").unwrap_or_default();
        value.split(|byte| !byte.is_ascii_digit()).any(|digits| {
            let digits = std::str::from_utf8(digits).unwrap_or_default();
            !digits.is_empty() && !digits.parse::<i64>().is_ok_and(|number| number < i64::MAX)
        })
    };
    head.split(|&byte| byte == b'\n').any(huge)
}

/// Whether there is more than one `host`.
fn has_hosts(sent: &[u8]) -> bool {
    let host = |line: &&[u8]| line.get(..5).is_some_and(|name| name.eq_ignore_ascii_case(b"host:"));
    sent.split(|&byte| byte == b'\n').filter(host).count() > 1
}

fn has_strange_host(head: &[u8]) -> bool {
    let host = |line: &[u8]| {
        let name = line.get(..5).is_some_and(|name| name.eq_ignore_ascii_case(b"host:"));
        let mut value = line.get(5..).unwrap_or_default();
        while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t' | b'\r'] = value {
            value = rest;
        }
        name && value.iter().any(|byte| byte.is_ascii_control() || b"@/ ,".contains(byte))
    };
    unfolded(head).split(|&byte| byte == b'\n').any(host)
}

/// The lines of a head, folded ones in one.
fn unfolded(head: &[u8]) -> Vec<u8> {
    let mut lines: Vec<u8> = Vec::new();
    for line in head.split_inclusive(|&byte| byte == b'\n') {
        if matches!(line.first(), Some(b' ' | b'\t')) {
            let end = lines.trim_ascii_end().len();
            lines.truncate(end);
        }
        lines.extend_from_slice(line);
    }
    lines
}

fn has_strange_target(head: &[u8]) -> bool {
    let strange = |line: &[u8]| {
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let (Some(method), Some(target), Some(version)) = (words.next(), words.next(), words.next()) else {
            return false;
        };
        let authority = target.windows(3).position(|end| end == b"://").map(|at| (&target[..at], &target[at + 3..]));
        let absolute = authority.is_some_and(|(scheme, rest)| {
            let word = scheme.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte));
            word && scheme.first().is_some_and(u8::is_ascii_alphabetic) && !rest.is_empty() && !rest.starts_with(b"/")
        });
        let good = match target[0] {
            b'/' => true,
            b'*' => method == b"OPTIONS" && target == b"*",
            b':' => false,
            // What stands before it on its line may be the body of another.
            _ if method.ends_with(b"CONNECT") => {
                method == b"CONNECT" && !target.iter().any(|byte| b"/?#".contains(byte))
            }
            _ => absolute,
        };
        version.starts_with(b"HTTP/") && (!good || target.iter().any(|&byte| byte >= 0x7f))
    };
    head.split(|&byte| byte == b'\n').any(strange)
}

/// What may be bodies in chunks: what follows an empty line, if there is one that says so.
fn chunked_bodies(sent: &[u8]) -> impl Iterator<Item = &[u8]> {
    let coded = sent.to_ascii_lowercase().windows(7).any(|word| word == b"chunked");
    let lines = sent.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| &sent[at + 1..]);
    let empty = lines.filter_map(|rest| rest.strip_prefix(b"\r\n").or_else(|| rest.strip_prefix(b"\n")));
    empty.filter(move |_| coded)
}

/// What follows the last chunk of a body, up to an empty line.
fn trailers_of(body: &[u8]) -> &[u8] {
    let mut at = body.len();
    let mut start = 0;
    for line in body.split_inclusive(|&byte| byte == b'\n') {
        start += line.len();
        let digits: Vec<u8> = line.iter().copied().take_while(u8::is_ascii_hexdigit).collect();
        if !digits.is_empty() && digits.iter().all(|&digit| digit == b'0') {
            at = start;
            break;
        }
    }
    let rest = &body[at..];
    let end = (0..rest.len()).find(|&at| rest[at..].starts_with(b"\n\r\n") || rest[at..].starts_with(b"\n\n"));
    if rest.starts_with(b"\r\n") || rest.starts_with(b"\n") { &[] } else { &rest[..end.unwrap_or(rest.len())] }
}

/// Whether there is a chunked body, read as haproxy 2.6 does, in which a lone LF ends a line.
fn has_lone_lf_in_chunk(sent: &[u8]) -> bool {
    chunked_bodies(sent).any(chunks_use_lone_lf)
}

fn chunks_use_lone_lf(body: &[u8]) -> bool {
    let mut rest = body;
    while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
        let line = &rest[..end];
        let digits = line.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(line.len());
        let size = std::str::from_utf8(&line[..digits]).ok().and_then(|digits| usize::from_str_radix(digits, 16).ok());
        let Some(size) = size else { return false };
        if !line.ends_with(b"\r") {
            return true;
        }
        match rest.get(size.saturating_add(end + 1)..) {
            Some([b'\n', ..]) if size > 0 => return true,
            Some([b'\r', b'\n', next @ ..]) if size > 0 => rest = next,
            Some(_) | None => return false,
        }
    }
    false
}

/// Whether the two differ only in how much of a message that never came to its end was passed on: neither of them knows that it is
/// bad before it has passed the rest. Where it came in pieces, the page that tells so has another form before that.
fn only_a_cut_differs(case: &Case, ours: &Outcome, theirs: &Outcome) -> bool {
    let pieces = in_pieces(case);
    let [ours, theirs] = [ours, theirs].map(|outcome| {
        let mut outcome = outcome.clone();
        outcome.server.iter_mut().for_each(|connection| connection.retain(|message| message.complete));
        outcome.server.retain(|connection| !connection.is_empty());
        if let Some(last) = outcome.client.last_mut().filter(|last| pieces && last.status() == 400) {
            *last = Message::default();
        }
        outcome
    });
    ours == theirs
}

fn has_strange_trailers(trailers: &[u8]) -> bool {
    let strange = |line: &[u8]| {
        let name = line.split(|&byte| byte == b':').next().unwrap_or_default();
        name.is_empty()
            || name.len() == line.len()
            || !name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
    };
    let folded = |line: &[u8]| line.first().is_some_and(|byte| b" \t".contains(byte));
    let mut lines = trailers.split(|&byte| byte == b'\n');
    lines.any(|line| folded(line) || !line.trim_ascii_end().is_empty() && strange(line.trim_ascii_end()))
}

/// A difference that is meant: its name, and why.
pub(crate) type Explanation = (&'static str, &'static str);

/// What explains a difference.
pub(crate) fn explanation(case: &Case, ours: &Outcome, theirs: &Outcome) -> Option<Explanation> {
    let rule = |ours: &Outcome, theirs: &Outcome| {
        let found = RULES.iter().chain(answers::RULES).find(|rule| (rule.applies)(case, ours, theirs))?;
        Some((found.name, found.reason))
    };
    if let Some(found) = rule(ours, theirs) {
        return Some(found);
    }
    if let Some(one) = WRITINGS.iter().find(|one| rewritten(ours, one) == rewritten(theirs, one)) {
        return Some((one.name, one.reason));
    }
    // What is written in another way may stand beside another difference.
    for some in 1..1_usize << WRITINGS.len() {
        let chosen = WRITINGS.iter().enumerate().filter(|(at, _)| some >> at & 1 == 1);
        let write =
            |outcome: &Outcome| chosen.clone().fold(outcome.clone(), |one, (_, writing)| rewritten(&one, writing));
        if let Some(found) = rule(&write(ours), &write(theirs)) {
            return Some(found);
        }
    }
    let all = |outcome: &Outcome| WRITINGS.iter().fold(outcome.clone(), |one, writing| rewritten(&one, writing));
    let (mut ours, theirs) = (all(ours), all(theirs));
    if ours == theirs {
        return Some(("several", "several of those that are written in another way"));
    }
    if let Some(found) = rule(&ours, &theirs) {
        return Some(found);
    }
    for (make_alike, why) in answers::TELLINGS {
        if make_alike(&mut ours, &theirs) && ours == theirs {
            return Some(*why);
        }
        if let Some(found) = rule(&ours, &theirs) {
            return Some(found);
        }
    }
    None
}
