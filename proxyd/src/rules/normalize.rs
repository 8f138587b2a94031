//! `http-request normalize-uri`: one target for all that mean the same (RFC 3986, section 6.2.2).
//!
//! A normalizer changes the path, the query or both, never the scheme and authority before them. What is checked with `strict`
//! is told by [`Normalizer::accepts`] before anything is changed.

use crate::http::target::authority_start;

/// Which normalization.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Normalizer {
    /// `fragment-encode`: `#` becomes `%23`.
    FragmentEncode,
    /// `fragment-strip`: what begins with `#` goes.
    FragmentStrip,
    /// `path-merge-slashes`
    PathMergeSlashes,
    /// `path-strip-dot`: segments `.` go.
    PathStripDot,
    /// `path-strip-dotdot`: segments `..` go together with the one before them.
    PathStripDotdot {
        /// Those at the beginning go, too.
        full: bool,
    },
    /// `percent-decode-unreserved`: what needs no encoding is written as it is.
    PercentDecodeUnreserved {
        /// A percent sign that encodes nothing is refused.
        strict: bool,
    },
    /// `percent-to-uppercase`
    PercentToUppercase {
        /// A percent sign that encodes nothing is refused.
        strict: bool,
    },
    /// `query-sort-by-name`: parameters of one name stay in their order.
    QuerySortByName,
}

impl Normalizer {
    /// Whether a target is as `strict` wants it.
    pub fn accepts(self, target: &[u8]) -> bool {
        let (Self::PercentDecodeUnreserved { strict: true } | Self::PercentToUppercase { strict: true }) = self else {
            return true;
        };
        let local = target.get(path_start(target)..).unwrap_or_default();
        let signs = local.iter().enumerate().filter(|(_, byte)| **byte == b'%');
        signs.into_iter().all(|(at, _)| escaped(&local[at..]).is_some())
    }

    /// The target that stands for it; `None` where it is that one already.
    pub fn normalized(self, target: &[u8]) -> Option<Vec<u8>> {
        let (authority, local) = target.split_at(path_start(target));
        let path_end = local.iter().position(|byte| matches!(byte, b'?' | b'#')).unwrap_or(local.len());
        let (path, rest) = local.split_at(path_end);
        if local.is_empty() || local == b"*" {
            return None;
        }
        let changed = match self {
            Self::FragmentEncode => local.split(|byte| *byte == b'#').collect::<Vec<_>>().join(&b"%23"[..]),
            Self::FragmentStrip => local.split(|byte| *byte == b'#').next().unwrap_or_default().to_vec(),
            Self::PathMergeSlashes => [&merged(path), rest].concat(),
            Self::PathStripDot => [&without_dots(path), rest].concat(),
            Self::PathStripDotdot { full } => [&without_parents(path, full), rest].concat(),
            Self::PercentDecodeUnreserved { .. } => decoded(local),
            Self::PercentToUppercase { .. } => uppercase(local),
            Self::QuerySortByName => [path, &sorted(rest)].concat(),
        };
        (changed != local).then(|| [authority, &changed].concat())
    }
}

/// Where the path begins: a target may begin with a scheme and an authority.
fn path_start(target: &[u8]) -> usize {
    if target.starts_with(b"/") {
        return 0;
    }
    let Some(start) = authority_start(target) else { return 0 };
    let rest = &target[start..];
    start + rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len())
}

fn merged(path: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::with_capacity(path.len());
    for &byte in path {
        if byte != b'/' || out.last() != Some(&b'/') {
            out.push(byte);
        }
    }
    out
}

fn without_dots(path: &[u8]) -> Vec<u8> {
    rebuilt(path, |kept, segment| {
        if segment == b"." {
            return true;
        }
        kept.push(segment);
        false
    })
}

fn without_parents(path: &[u8], full: bool) -> Vec<u8> {
    rebuilt(path, |kept, segment| {
        if segment != b".." {
            kept.push(segment);
            return false;
        }
        match kept.last() {
            Some(&last) if last != b".." => drop(kept.pop()),
            Some(_) | None if full => {}
            Some(_) | None => kept.push(segment),
        }
        true
    })
}

/// The path of the segments that `take` keeps. It says whether a segment named a folder: should that be the last one, the path
/// ends with a slash.
fn rebuilt<'p>(path: &'p [u8], mut take: impl FnMut(&mut Vec<&'p [u8]>, &'p [u8]) -> bool) -> Vec<u8> {
    let Some(inside) = path.strip_prefix(b"/") else { return path.to_vec() };
    let (mut kept, mut folder) = (Vec::new(), false);
    for segment in inside.split(|byte| *byte == b'/') {
        folder = take(&mut kept, segment);
    }
    if folder {
        kept.push(b"");
    }
    [b"/", &*kept.join(&b"/"[..])].concat()
}

/// The byte that `%XX` at the beginning stands for.
fn escaped(text: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = text else { return None };
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

/// Calls `write` with each `%XX` and its byte; the rest stays.
fn each_escape(text: &[u8], write: impl Fn(&mut Vec<u8>, &[u8], u8)) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::with_capacity(text.len()), text);
    while let Some((&first, tail)) = rest.split_first() {
        if let Some((byte, (written, after))) = escaped(rest).zip(rest.split_at_checked(3)) {
            write(&mut out, written, byte);
            rest = after;
        } else {
            out.push(first);
            rest = tail;
        }
    }
    out
}

fn decoded(text: &[u8]) -> Vec<u8> {
    each_escape(text, |out, written, byte| {
        // RFC 3986, section 2.3.
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(byte);
        } else {
            out.extend_from_slice(written);
        }
    })
}

fn uppercase(text: &[u8]) -> Vec<u8> {
    each_escape(text, |out, written, _| out.extend(written.to_ascii_uppercase()))
}

/// A query, its question mark included; haproxy takes a fragment behind it for a part of it.
fn sorted(rest: &[u8]) -> Vec<u8> {
    let Some(query) = rest.strip_prefix(b"?") else { return rest.to_vec() };
    let mut parameters: Vec<&[u8]> = query.split(|byte| *byte == b'&').collect();
    parameters.sort_by_key(|parameter| parameter.split(|byte| *byte == b'=').next());
    [b"?", &*parameters.join(&b"&"[..])].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The normalizer, a target, and what haproxy 2.6 made of it (`400`: refused it); all others of the list it left alone.
    const ANSWERS: &str = include_str!("normalize.tsv");

    fn named(name: &str) -> Normalizer {
        match name {
            "fragment-encode" => Normalizer::FragmentEncode,
            "fragment-strip" => Normalizer::FragmentStrip,
            "path-merge-slashes" => Normalizer::PathMergeSlashes,
            "path-strip-dot" => Normalizer::PathStripDot,
            "path-strip-dotdot" => Normalizer::PathStripDotdot { full: false },
            "path-strip-dotdot full" => Normalizer::PathStripDotdot { full: true },
            "percent-decode-unreserved" => Normalizer::PercentDecodeUnreserved { strict: false },
            "percent-decode-unreserved strict" => Normalizer::PercentDecodeUnreserved { strict: true },
            "percent-to-uppercase" => Normalizer::PercentToUppercase { strict: false },
            "percent-to-uppercase strict" => Normalizer::PercentToUppercase { strict: true },
            "query-sort-by-name" => Normalizer::QuerySortByName,
            other => unreachable!("{other}"),
        }
    }

    fn done(normalizer: Normalizer, target: &str) -> String {
        if !normalizer.accepts(target.as_bytes()) {
            return "400".to_owned();
        }
        let changed = normalizer.normalized(target.as_bytes());
        changed.map_or(target.to_owned(), |changed| String::from_utf8(changed).unwrap())
    }

    #[test]
    fn as_haproxy_does_it() {
        for line in ANSWERS.lines() {
            let row: Vec<&str> = line.split('\t').collect();
            let [name, target, expected] = row[..] else { unreachable!("{line}") };
            assert_eq!(done(named(name), target), expected, "{line}");
        }
    }

    proptest! {
        /// Whatever comes: twice is once, and what stands before the path stays.
        #[test]
        fn normal_is_normal(target in "(http://h)?[/.a%2e?&#=]{0,24}", kind in 0..8_usize) {
            let normalizer = [
                Normalizer::FragmentEncode, Normalizer::FragmentStrip, Normalizer::PathMergeSlashes, Normalizer::PathStripDot,
                Normalizer::PathStripDotdot { full: false }, Normalizer::PathStripDotdot { full: true },
                Normalizer::PercentToUppercase { strict: false }, Normalizer::QuerySortByName,
            ][kind];
            let once = done(normalizer, &target);
            prop_assert_eq!(done(normalizer, &once), once.clone());
            prop_assert_eq!(once.starts_with("http://h"), target.starts_with("http://h"));
        }
    }
}
