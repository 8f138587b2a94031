//! Where what is logged is meant to differ, though the messages do not.

use super::{Explanation, answers, in_pieces};
use crate::Seen;
use crate::case::{Answer, Case, Ending};
use crate::engine::Finished;
use crate::lines::{self, Field, Line};
use crate::message::Message;
use crate::side::VARIANTS;

/// Something that two lines may differ in.
struct Likeness {
    name: &'static str,
    reason: &'static str,
    /// The fields that it may be.
    fields: &'static [Field],
    /// Whether it is what these lines, ours and theirs, differ in.
    applies: fn(&Finished<Seen>, &Line, &Line) -> bool,
}

const LIKENESSES: &[Likeness] = &[
    Likeness {
        name: "versions",
        reason: "the version of a message that broke off is known nevertheless; haproxy's `capture.req.ver` and `capture.res.ver` have none",
        fields: &[Field::VERSIONS],
        applies: |_, own, other| {
            let (own, theirs) = (own.get(Field::VERSIONS), other.get(Field::VERSIONS));
            let lacks = own.split(' ').zip(theirs.split(' ')).all(|(own, other)| own == other || other == "-");
            lacks && !other.get(Field::STATE).starts_with('-')
        },
    },
    Likeness {
        name: "refused change of protocols",
        reason: "a change of protocols that nobody asked for is no answer: it is not counted, and has no version",
        fields: &[Field::BYTES, Field::VERSIONS],
        applies: |done, own, _| own.get(Field::STATUS) == "502" && answered(&done.case, 101),
    },
    Likeness {
        name: "captured NUL",
        reason: "what is captured is written to its end; haproxy's ends with a NUL",
        fields: &[Field::CAPTURES],
        applies: |done, _, _| done.case.sent().contains(&0),
    },
    Likeness {
        name: "control characters of a cookie",
        reason: "they are written as in other fields, so that nobody breaks a line; haproxy writes them as they are",
        fields: &[Field::COOKIES],
        applies: |_, own, _| own.get(Field::COOKIES).contains('#'),
    },
    Likeness {
        name: "left out",
        reason: "what says where a body ends that there may not be (of a 1xx, 204, CONNECT) is left out before fields are captured, and counted as it would be passed on",
        fields: &[Field::CAPTURES, Field::BYTES, Field::UPLOADED],
        applies: |done, own, other| {
            let length = |line: &Line| line.get(Field::CAPTURES).rsplit(' ').next() != Some("-");
            let counted = own.get(Field::CAPTURES) == other.get(Field::CAPTURES);
            matches!(own.get(Field::STATUS), "101" | "204") && (counted || (!length(own) && length(other)))
                || (connects(done) && counted && own.get(Field::BYTES) == other.get(Field::BYTES))
        },
    },
    Likeness {
        name: "h2c",
        reason: "of the fields that offer HTTP/2 by upgrade what haproxy would pass on is counted, as far as the words are the usual ones",
        fields: &[Field::UPLOADED],
        applies: |done, _, _| done.case.sent().to_ascii_lowercase().windows(3).any(|word| word == b"h2c"),
    },
    Likeness {
        name: "counted with its announcement",
        reason: "what announced an answer that is refused is counted if it was passed on; haproxy has not seen all of a large head by then",
        fields: &[Field::BYTES],
        applies: |done, own, _| {
            let large = |answer: &Answer| answer.bytes.len() > 14_000 && answers::heads(&answer.bytes).count() > 1;
            own.get(Field::STATUS) == "502" && done.case.answers.iter().any(large)
        },
    },
    Likeness {
        name: "end of a tunnel",
        reason: "whether a tunnel that the server has closed ends before the client's time is over depends on what it still sends",
        fields: &[Field::STATE],
        applies: |done, own, other| {
            let ends = |line: &Line| matches!(line.get(Field::STATE).get(..2), Some("cD" | "sD" | "--" | "CD" | "SD"));
            let closes =
                done.case.ending == Ending::LateSentinel || done.case.answers.iter().any(|answer| answer.closes);
            closes && (own.get(Field::STATUS) == "101" || connects(done)) && ends(own) && ends(other)
        },
    },
    Likeness {
        name: "read by then",
        reason: "how much of a body had been read when its request was answered is chance",
        fields: &[Field::UPLOADED],
        applies: |done, own, _| {
            let large = done.case.sent().len() > 12_000;
            let alone = own.get(Field::SERVER).ends_with("<NOSRV>");
            let early = done.case.answers.iter().any(|answer| answer.early);
            (large && (alone || early))
                || (matches!(own.get(Field::STATUS), "400" | "408") && (alone || in_pieces(&done.case)))
        },
    },
    Likeness {
        name: "reached by then",
        reason: "whether the server had been reached when a body turned out to be bad is chance",
        fields: &[Field::TIMERS],
        applies: |_, own, _| own.get(Field::STATUS) == "400" && own.get(Field::STATE).starts_with("PH"),
    },
    Likeness {
        name: "left while waited for",
        reason: "a client that is gone while its body is waited for gets no backend; haproxy goes on with what has come",
        fields: &[Field::SERVER, Field::UPLOADED, Field::TIMERS, Field::COOKIES, Field::VERSIONS],
        applies: |done, own, _| {
            matches!(VARIANTS[done.case.variant].name, "waits for bodies" | "http-buffer-request")
                && done.case.ending == Ending::HalfClose
                && own.get(Field::STATE).starts_with("CR")
        },
    },
    Likeness {
        name: "silence",
        reason: "where both sides may be silent equally long it is chance whose time is over first, and haproxy blames the client where it asked for another protocol",
        fields: &[Field::STATE],
        applies: |done, own, other| {
            let blames = |line: &Line| matches!(line.get(Field::STATE).get(..2), Some("cD" | "sD"));
            let tunnel = |request: &&Message| request.method() == b"CONNECT" || request.field("upgrade").is_some();
            blames(own) && blames(other) && done.ours.requests().iter().any(tunnel)
        },
    },
    Likeness {
        name: "whose fault",
        reason: "an answer that is bad before it breaks off is refused, and one that breaks off is the server's fault; haproxy may see the end first",
        fields: &[Field::STATE],
        applies: |_, own, other| {
            let letters = |line: &Line| line.get(Field::STATE).get(..2).map(str::to_owned);
            let pair = (letters(own), letters(other));
            let (own, other) = (pair.0.unwrap_or_default(), pair.1.unwrap_or_default());
            matches!((own.as_str(), other.as_str()), ("PH", "SH") | ("PD", "SD"))
        },
    },
    Likeness {
        name: "refused or left",
        reason: "a head that cannot become a request is refused at once; haproxy waits for its end, which is the client's",
        fields: &[Field::STATE],
        applies: |done, own, other| {
            let left = own.get(Field::STATE).starts_with("PR") && other.get(Field::STATE).starts_with("CR");
            left && done.case.ending == Ending::HalfClose
        },
    },
    Likeness {
        name: "refused before its end",
        reason: "a head that breaks off is the client's leaving; haproxy may find by then that two hosts do not agree, or a version is none",
        fields: &[Field::STATE],
        applies: |done, own, other| {
            let sent = done.case.sent().to_ascii_lowercase();
            let lines = || sent.split(|&byte| byte == b'\n');
            let hosts = lines().filter(|line| line.starts_with(b"host:")).count();
            let version = lines().next_back().is_some_and(|line| line.windows(6).any(|word| word == b" http/"));
            let refused = own.get(Field::STATE).starts_with("CR") && other.get(Field::STATE).starts_with("PR");
            refused && (hosts > 1 || version) && done.case.ending == Ending::HalfClose
        },
    },
    Likeness {
        name: "holes",
        reason: "what is left of a list in `connection` is counted as it is passed on, with one comma and one space",
        fields: &[Field::UPLOADED],
        applies: |done, _, _| {
            let sent = done.case.sent().to_ascii_lowercase();
            sent.split(|&byte| byte == b'\n').any(|line| line.starts_with(b"connection:") && line.contains(&b','))
        },
    },
    Likeness {
        name: "length",
        reason: "a length is captured and counted as it is passed on, without leading zeros",
        fields: &[Field::UPLOADED, Field::BYTES, Field::CAPTURES],
        applies: |done, _, _| {
            let length = |line: &[u8]| {
                line.to_ascii_lowercase().strip_prefix(b"content-length:").is_some_and(|value| value.contains(&b'0'))
            };
            let has = |bytes: &[u8]| bytes.split(|&byte| byte == b'\n').any(length);
            has(&done.case.sent()) || done.case.answers.iter().any(|answer| has(&answer.bytes))
        },
    },
    Likeness {
        name: "status below 100",
        reason: "an answer with a status below 100 is one like others, also for what is captured of it",
        fields: &[Field::COOKIES],
        applies: |_, own, _| own.get(Field::STATUS).parse::<u16>().is_ok_and(|status| status < 100),
    },
    Likeness {
        name: "cookie of old",
        reason: "a cookie of `set-cookie2` is captured also where it is not the first of its line",
        fields: &[Field::COOKIES],
        applies: |done, _, _| {
            let old =
                |answer: &Answer| answer.bytes.to_ascii_lowercase().windows(11).any(|word| word == b"set-cookie2");
            done.case.answers.iter().any(old)
        },
    },
    Likeness {
        name: "refused by its body",
        reason: "an answer whose body cannot be read is refused before rules see it; haproxy lets a rule refuse it, and counts it",
        fields: &[Field::BYTES, Field::CAPTURES, Field::COOKIES, Field::VERSIONS],
        applies: |_, own, other| {
            let unread = |line: &Line| line.get(Field::VERSIONS).ends_with(" -");
            own.get(Field::STATUS) == "502" && unread(own) && !unread(other)
        },
    },
    Likeness {
        name: "denied behind CONNECT",
        reason: "what had come behind the head of an answer that a rule refuses is not counted; haproxy counts it where the answer begins a tunnel",
        fields: &[Field::BYTES],
        applies: |done, own, _| own.get(Field::STATUS) == "502" && connects(done),
    },
    Likeness {
        name: "announced only",
        reason: "a request without a final answer has no status; haproxy writes 0 where one was announced",
        fields: &[Field::STATUS],
        applies: |_, own, other| (own.get(Field::STATUS), other.get(Field::STATUS)) == ("-1", "0"),
    },
    Likeness {
        name: "end of chunks",
        reason: "haproxy counts one byte for the end of chunks, and loses it where it came behind a 1xx",
        fields: &[Field::BYTES],
        applies: |done, own, other| {
            let count = |line: &Line| line.get(Field::BYTES).parse::<u64>().unwrap_or(0);
            let announced = done.case.answers.iter().any(|answer| answers::heads(&answer.bytes).count() > 1);
            announced && count(own) == count(other) + 1
        },
    },
    Likeness {
        name: "cut after an announcement",
        reason: "an answer that breaks off is logged so; haproxy takes it for whole where a 1xx came with its beginning",
        fields: &[Field::STATE],
        applies: |done, own, other| {
            let announced = done.case.answers.iter().any(|answer| answers::heads(&answer.bytes).count() > 1);
            let cut = matches!(own.get(Field::STATE).get(..2), Some("sD" | "SD"));
            announced && cut && other.get(Field::STATE).starts_with("--")
        },
    },
    Likeness {
        name: "PRI",
        reason: "what HTTP/2 begins with is no request, and its line has nothing of one",
        fields: &[Field::CAPTURES, Field::VERSIONS],
        applies: |done, own, _| {
            own.get(Field::STATUS) == "400" && done.case.sent().windows(4).any(|word| word == b"PRI ")
        },
    },
];

fn connects(done: &Finished<Seen>) -> bool {
    done.ours.requests().iter().any(|request| request.method() == b"CONNECT")
}

/// Whether an answer of the server has a status.
fn answered(case: &Case, status: u16) -> bool {
    case.answers.iter().any(|answer| answers::has_status(&answer.bytes, status))
}

/// What explains that lines differ, where all else is alike: the first of what it takes.
pub(crate) fn explanation(done: &Finished<Seen>) -> Option<Explanation> {
    let [ours, theirs] = &done.lines;
    let mut ours = ours.clone();
    let mut found = None;
    for likeness in LIKENESSES {
        for (own, other) in ours.iter_mut().zip(theirs) {
            let differs = likeness.fields.iter().any(|&field| own.get(field) != other.get(field));
            if differs && (likeness.applies)(done, own, other) {
                likeness.fields.iter().for_each(|&field| own.set(field, other.get(field)));
                found = found.or(Some((likeness.name, likeness.reason)));
            }
        }
    }
    found.filter(|_| lines::alike(&ours, theirs))
}
