//! Regular expressions: in linear time where that is possible, with backtracking where the expression needs it.

use std::ops::Range;

/// A compiled expression. Equal if written equal.
#[derive(Clone, Debug)]
pub enum Regex {
    /// Takes time in proportion to the text, whatever is in it.
    Linear(regex::bytes::Regex),
    /// Looks around or refers back. It gives up, as if nothing matched, after [`MATCH_LIMIT`] steps.
    Backtracking(Box<pcre2::bytes::Regex>),
}

impl PartialEq for Regex {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Linear(one), Self::Linear(other)) => one.as_str() == other.as_str(),
            (Self::Backtracking(one), Self::Backtracking(other)) => one.as_str() == other.as_str(),
            (Self::Linear(_), Self::Backtracking(_)) | (Self::Backtracking(_), Self::Linear(_)) => false,
        }
    }
}

/// Steps of backtracking in one match: a text that needs more was made to need them.
pub const MATCH_LIMIT: u32 = 100_000;

/// What one match took: the whole, then the groups.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Groups(Vec<Option<Range<usize>>>);

impl Groups {
    /// The range of a group; 0 is the whole match.
    pub fn get(&self, number: usize) -> Option<Range<usize>> {
        self.0.get(number).cloned().flatten()
    }
}

impl Regex {
    /// An expression that needs backtracking, as PCRE2 reads it.
    pub fn backtracking(source: &str, ignores_case: bool) -> Result<Self, pcre2::Error> {
        pcre2::bytes::RegexBuilder::new()
            .caseless(ignores_case)
            .jit_if_available(true)
            .build(&format!("(*LIMIT_MATCH={MATCH_LIMIT}){source}"))
            .map(|regex| Self::Backtracking(Box::new(regex)))
    }

    /// Whether it matches anywhere in the text.
    pub fn is_match(&self, text: &[u8]) -> bool {
        match self {
            Self::Linear(regex) => regex.is_match(text),
            Self::Backtracking(regex) => regex.is_match(text).unwrap_or(false),
        }
    }

    /// The first match that begins at `start` or behind it.
    pub fn groups(&self, text: &[u8], start: usize) -> Option<Groups> {
        if start > text.len() {
            return None;
        }
        match self {
            Self::Linear(regex) => {
                let captures = regex.captures_at(text, start)?;
                Some(Groups(captures.iter().map(|group| group.map(|group| group.range())).collect()))
            }
            Self::Backtracking(regex) => {
                let mut places = regex.capture_locations();
                regex.captures_read_at(&mut places, text, start).ok()??;
                Some(Groups(
                    (0..places.len()).map(|number| places.get(number).map(|(start, end)| start..end)).collect(),
                ))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looking_around_and_back() {
        for (source, text, expected) in [
            (r"(?<=a)b", "ab", Some(1..2)),
            (r"(?<=a)b", "cb", None),
            (r"^(?!.*\.php).*$", "/a.html", Some(0..7)),
            (r"^(?!.*\.php).*$", "/a.php", None),
            (r"(a+)-\1$", "aa-aa", Some(0..5)),
        ] {
            let regex = Regex::backtracking(source, false).unwrap();
            assert_eq!(regex.groups(text.as_bytes(), 0).and_then(|groups| groups.get(0)), expected, "{source} {text}");
        }
    }

    #[test]
    fn a_text_made_to_take_for_ever_does_not() {
        let regex = Regex::backtracking(r"^(a+)+(?=b)c", false).unwrap();
        assert!(!regex.is_match("a".repeat(2_000).as_bytes()));
    }

    #[test]
    fn bytes_of_any_kind() {
        let regex = Regex::backtracking(r"(?<=\xff).", false).unwrap();
        assert_eq!(regex.groups(b"\xff\x80", 0).unwrap().get(0), Some(1..2));
    }
}
