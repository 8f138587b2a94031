//! Where the two are meant to differ: rules that name what, and why.

mod answers;
mod writing;

use crate::case::{Answer, Case, Ending, SENTINEL};
use crate::message::Message;
use crate::outcome::Outcome;
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
        reason: "lists in `connection` count as a field, also where nothing is left of them",
        applies: |case, ours, theirs| {
            refused(case, ours, theirs, 400, |head| head.split(|&byte| byte == b'\n').count() > 95)
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
            ours.last_status() == 400 && has_lone_lf_in_chunk(&[&case.sent(), SENTINEL].concat()) && theirs != ours
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
        reason: "whether a head that cannot become a request is refused at once or when it is complete (408 where it never is)",
        applies: |case, ours, theirs| {
            let statuses = [ours.statuses(), theirs.statuses()];
            let [Some((one, before)), Some((other, earlier))] = statuses.each_ref().map(|all| all.split_last()) else {
                return false;
            };
            ours.server == theirs.server
                && before == earlier
                && (matches!((one, other), (400, 408) | (408, 400))
                    || (in_pieces(case) && (*one, *other) == (422, 400)))
        },
    },
    Rule {
        name: "trailers",
        reason: "trailers that are no fields are refused; haproxy 2.6 passes them",
        applies: |case, ours, theirs| {
            let sent = case.sent();
            let bad = chunked_bodies(&sent).any(|body| has_strange_trailers(trailers_of(body)));
            bad && refused(case, ours, theirs, 400, |_| true)
        },
    },
    Rule {
        name: "nearly too large",
        reason: "haproxy counts what its own form of a head takes, and refuses some that are just below 15360 bytes",
        applies: |case, ours, theirs| {
            let (at_ours, at_theirs) = (ours.requests(), theirs.requests());
            let large = at_ours.get(at_theirs.len()).is_some_and(|next| next.head.len() > 14_800);
            let refused = case.sent().len() > 14_800;
            (large || refused) && at_ours.starts_with(&at_theirs) && theirs.last_status() == 400
        },
    },
    Rule {
        name: "101",
        reason: "a change of protocols that the request did not name is no answer to it",
        applies: |_, ours, theirs| {
            let unnamed =
                |request: &&Message| request.field("connection").is_some() && request.field("upgrade").is_none();
            let switched = ours.statuses().contains(&502) && theirs.statuses().contains(&101);
            switched && theirs.requests().iter().any(unnamed)
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
        name: "leaving",
        reason: "a client that breaks off a request after others is told so in the log only, also with http-buffer-request",
        applies: |_, ours, theirs| {
            let last = theirs.client.split_last().filter(|(last, _)| matches!(last.status(), 400 | 408));
            ours.server == theirs.server && last.is_some_and(|(_, before)| !before.is_empty() && before == ours.client)
        },
    },
    Rule {
        name: "CONNECT",
        reason: "CONNECT has no body, whatever it says; haproxy 2.6 passes on that there would be one, but none; its target is no URL",
        applies: |_, _, theirs| {
            let coded = |request: &&Message| {
                let says = |name| request.field(name).is_some();
                let absolute = request.target().windows(3).any(|end| end == b"://");
                request.method() == b"CONNECT" && (says("transfer-encoding") || says("content-length") || absolute)
            };
            theirs.requests().iter().any(coded)
        },
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
        applies: |case, _, theirs| {
            let sent = case.sent().to_ascii_lowercase();
            let garbled = |request: &&Message| {
                let mut values = request.fields("connection").map(<[u8]>::to_ascii_lowercase);
                values.any(|value| value.len() > 6 && !sent.windows(value.len()).any(|word| word == value))
            };
            in_pieces(case) && theirs.requests().iter().any(garbled)
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
            let old = theirs.requests().iter().any(|request| request.head.windows(9).any(|word| word == b" HTTP/1.0"));
            chunked && old && keeps_after(theirs, ours, |_| true)
        },
    },
    Rule {
        name: "redirect",
        reason: "a redirect does not end the connection of a request whose body has come, no more than other answers do",
        applies: |_, ours, theirs| keeps_after(ours, theirs, |status| status == 302),
    },
    Rule {
        name: "quotes",
        reason: "a quotation mark in `connection` is a letter like others; haproxy looks for no word behind it",
        applies: |case, _, theirs| {
            let quoted = |request: &&Message| request.field("connection").is_some_and(|value| value.contains(&b'"'));
            case.sent().contains(&b'"') && theirs.requests().iter().any(quoted)
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
        reason: "a safe request on a connection that the server closes at that moment goes out again; haproxy leaves it without an answer",
        applies: |case, ours, theirs| {
            theirs.server.iter().any(|connection| connection.len() > 1) && leaves_unanswered(case, ours, theirs)
        },
    },
    Rule {
        name: "sent again",
        reason: "the same, where haproxy has seen in time that the server closes",
        applies: |case, ours, theirs| {
            let closes = case.answers.iter().any(|answer| answer.closes);
            let mut once = ours.requests();
            once.dedup();
            let mut other = theirs.requests();
            other.dedup();
            closes && ours.client == theirs.client && once == other
        },
    },
    Rule {
        name: "pieces",
        reason: "whether a body had come when a rule answered its request depends on when its pieces came",
        applies: |case, ours, theirs| {
            let own = |status| matches!(status, 200 | 302 | 403);
            in_pieces(case) && (keeps_after(ours, theirs, own) || keeps_after(theirs, ours, own))
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

/// Whether the server closed, and they ended there without a word, where we went on.
fn leaves_unanswered(case: &Case, ours: &Outcome, theirs: &Outcome) -> bool {
    case.answers.iter().any(|answer| answer.closes)
        && theirs.requests().len() > final_answers(theirs).max(1)
        && ours.client.len() > theirs.client.len()
        && ours.client.starts_with(&theirs.client)
}

/// How many answers a client got, without those that announce others.
fn final_answers(outcome: &Outcome) -> usize {
    outcome.statuses().iter().filter(|status| !(100..200).contains(*status)).count()
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

/// Whether the client's bytes do not come all at once.
fn in_pieces(case: &Case) -> bool {
    case.segments.len() > 1 || case.ending == Ending::LateSentinel
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
            _ if method == b"CONNECT" => !absolute,
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
    let lines = trailers.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii_end);
    lines.filter(|line| !line.is_empty()).any(strange)
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
