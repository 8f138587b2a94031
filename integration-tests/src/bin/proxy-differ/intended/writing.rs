//! What the two write in another way, with the same meaning.

use crate::outcome::Outcome;

/// Something that we write in another way than they do.
pub(super) struct Writing {
    pub(super) name: &'static str,
    pub(super) reason: &'static str,
    /// What takes the difference out of a line; `None` leaves the line out.
    change: fn(&[u8]) -> Option<Vec<u8>>,
    /// In answers, too, or only in requests.
    answers: bool,
}

pub(super) const WRITINGS: &[Writing] = &[
    Writing {
        name: "coding",
        reason: "`chunked` is passed on alone, so that no server can take the list for another coding",
        change: without_coding,
        answers: true,
    },
    Writing {
        name: "length",
        reason: "a length is passed on without leading zeros, as by haproxy 3.5",
        change: |line| Some(field(line, b"content-length", plain_number)),
        answers: true,
    },
    Writing {
        name: "list",
        reason: "what is left of a list in `connection` is written with one comma and one space; haproxy leaves the holes",
        change: |line| Some(field(line, b"connection", plain_list)),
        answers: true,
    },
    Writing {
        name: "te",
        reason: "only `trailers` is passed on of `te`; haproxy 2.6 takes every word that ends so for it",
        change: |line| (!line.starts_with(b"te: ")).then(|| line.to_vec()),
        answers: true,
    },
    Writing {
        name: "cookie",
        reason: "cookies are passed on as they came where they are only captured; haproxy takes the blanks around equals signs out",
        change: |line| Some(field(&field(line, b"cookie", without_blanks), b"set-cookie", without_blanks)),
        answers: true,
    },
    Writing {
        name: "h2c",
        reason: "the server is not asked for HTTP/2 by upgrade, as by haproxy 3.5",
        change: without_h2c,
        answers: false,
    },
];

/// All messages with what is written in another way taken out of their heads.
pub(super) fn rewritten(outcome: &Outcome, writing: &Writing) -> Outcome {
    let mut outcome = outcome.clone();
    let answers = outcome.client.iter_mut().filter(|_| writing.answers);
    for message in outcome.server.iter_mut().flatten().chain(answers) {
        message.head =
            message.head.split_inclusive(|&byte| byte == b'\n').filter_map(writing.change).flatten().collect();
    }
    outcome
}

/// A line with the value of its field changed, if it is this field's.
fn field(line: &[u8], name: &[u8], change: fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let (own, rest) = line.split_at_checked(name.len()).unwrap_or_default();
    let value = rest.strip_prefix(b": ").filter(|_| own.eq_ignore_ascii_case(name));
    match value {
        Some(value) => [own, b": ", &change(value.trim_ascii()), b"\r\n"].concat(),
        None => line.to_vec(),
    }
}

fn plain_list(value: &[u8]) -> Vec<u8> {
    let elements = value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
    elements.filter(|element| !element.is_empty()).collect::<Vec<_>>().join(&b", "[..])
}

/// Without the blanks around equals signs.
fn without_blanks(value: &[u8]) -> Vec<u8> {
    value.split(|&byte| byte == b'=').map(<[u8]>::trim_ascii).collect::<Vec<_>>().join(&b'=')
}

fn plain_number(value: &[u8]) -> Vec<u8> {
    let zeros = value.iter().take_while(|&&byte| byte == b'0').count().min(value.len().saturating_sub(1));
    value[zeros..].to_vec()
}

fn without_coding(line: &[u8]) -> Option<Vec<u8>> {
    let name = line.split(|&byte| byte == b':').next().unwrap_or_default();
    (!name.eq_ignore_ascii_case(b"transfer-encoding")).then(|| line.to_vec())
}

/// Without the upgrade, and without the token that announces it.
fn without_h2c(line: &[u8]) -> Option<Vec<u8>> {
    if line.starts_with(b"upgrade:") {
        return None;
    }
    let Some(tokens) = line.strip_prefix(b"connection: ") else { return Some(line.to_vec()) };
    let tokens = tokens.trim_ascii().split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
    let own: [&[u8]; 3] = [b"upgrade", b"close", b"keep-alive"];
    let rest: Vec<&[u8]> = tokens.filter(|token| !own.iter().any(|own| token.eq_ignore_ascii_case(own))).collect();
    (!rest.is_empty()).then(|| [b"connection: ", rest.join(&b", "[..]).as_slice(), b"\r\n"].concat())
}
