//! What samples are compared with: the patterns of an ACL, compiled so that long lists cost a look-up and not a walk.

use super::pattern_file::PatternFile;
use super::prefix_map::{Case, PrefixMap};
use super::regex::Regex;
use super::value::{self, Value};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// How a sample is compared: the word after `-m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// It is there.
    Found,
    /// It is true, or a number other than zero.
    Bool,
    /// It is one of the numbers.
    Int,
    /// It lies in one of the networks.
    Ip,
    /// It is one of these bytes, written in hexadecimal.
    Bin,
    /// Its length is one of the numbers.
    Len,
    /// It is one of the texts.
    Str,
    /// It holds one of the texts.
    Sub,
    /// A regular expression matches in it.
    Reg,
    /// It begins with one of the texts.
    Beg,
    /// It ends with one of the texts.
    End,
    /// A part of it between slashes is one of the texts.
    Dir,
    /// A part of it between dots is one of the texts.
    Dom,
}

impl Method {
    /// From the word after `-m`.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "found" => Self::Found,
            "bool" => Self::Bool,
            "int" => Self::Int,
            "ip" => Self::Ip,
            "bin" => Self::Bin,
            "len" => Self::Len,
            "str" => Self::Str,
            "sub" => Self::Sub,
            "reg" => Self::Reg,
            "beg" => Self::Beg,
            "end" => Self::End,
            "dir" => Self::Dir,
            "dom" => Self::Dom,
            _ => return None,
        })
    }

    /// That word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Ip => "ip",
            Self::Bin => "bin",
            Self::Len => "len",
            Self::Str => "str",
            Self::Sub => "sub",
            Self::Reg => "reg",
            Self::Beg => "beg",
            Self::End => "end",
            Self::Dir => "dir",
            Self::Dom => "dom",
        }
    }

    /// The words `-m` takes, for a message.
    pub const NAMES: &[&str] =
        &["found", "bool", "int", "ip", "bin", "len", "str", "sub", "reg", "beg", "end", "dir", "dom"];
}

/// Bounds, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The least number that matches.
    pub min: i64,
    /// The greatest number that matches.
    pub max: i64,
}

/// Addresses from one to another, both included.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Networks {
    /// Ascending, not touching.
    v4: Box<[(u32, u32)]>,
    /// Likewise.
    v6: Box<[(u128, u128)]>,
}

impl Networks {
    /// From addresses with a number of leading bits each.
    pub fn new(networks: impl IntoIterator<Item = (IpAddr, u8)>) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for (ip, prefix) in networks {
            match ip {
                IpAddr::V4(ip) => {
                    let rest = u32::MAX.checked_shr(prefix.into()).unwrap_or(0);
                    v4.push((u32::from(ip) & !rest, u32::from(ip) | rest));
                }
                IpAddr::V6(ip) => {
                    let rest = u128::MAX.checked_shr(prefix.into()).unwrap_or(0);
                    v6.push((u128::from(ip) & !rest, u128::from(ip) | rest));
                }
            }
        }
        Self { v4: merged(v4), v6: merged(v6) }
    }

    /// Whether an address lies in one of them. An IPv4 address inside an IPv6 one counts as both.
    pub fn contains(&self, ip: IpAddr) -> bool {
        match ip {
            IpAddr::V4(v4) => within(&self.v4, u32::from(v4)) || within(&self.v6, u128::from(v4.to_ipv6_mapped())),
            IpAddr::V6(v6) => {
                within(&self.v6, u128::from(v6)) || embedded_ipv4(v6).is_some_and(|v4| within(&self.v4, u32::from(v4)))
            }
        }
    }
}

/// The IPv4 address inside `::ffff:a.b.c.d`, `::a.b.c.d` or `2002:aabb:ccdd::`.
pub(super) fn embedded_ipv4(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    match ip.octets() {
        [0x20, 0x02, a, b, c, d, ..] => Some(Ipv4Addr::new(a, b, c, d)),
        _ => ip.to_ipv4(),
    }
}

/// Sorted, with what overlaps joined.
fn merged<T: Copy + Ord>(mut ranges: Vec<(T, T)>) -> Box<[(T, T)]> {
    ranges.sort_unstable();
    let mut joined: Vec<(T, T)> = Vec::with_capacity(ranges.len());
    for (start, end) in ranges {
        match joined.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => joined.push((start, end)),
        }
    }
    joined.into()
}

fn within<T: Copy + Ord>(ranges: &[(T, T)], value: T) -> bool {
    let after = ranges.partition_point(|(start, _)| *start <= value);
    after.checked_sub(1).and_then(|last| ranges.get(last)).is_some_and(|(_, end)| value <= *end)
}

/// Regular expressions, of which one must match. Equal if written equal.
#[derive(Clone, Debug)]
pub struct Regexes {
    set: regex::bytes::RegexSet,
    /// Those that need backtracking.
    others: Box<[Regex]>,
    case: Case,
}

/// The memory one list of regular expressions may take once compiled.
const REGEX_BYTES_MAX: usize = 64 << 20;

impl Regexes {
    /// Compiles them; the error says what is wrong with the first that does not compile.
    pub fn new(case: Case, sources: &[String], others: Vec<Regex>) -> Result<Self, regex::Error> {
        let set = regex::bytes::RegexSetBuilder::new(sources)
            .unicode(false)
            .case_insensitive(case == Case::Ignored)
            .size_limit(REGEX_BYTES_MAX)
            .build()?;
        Ok(Self { set, others: others.into(), case })
    }

    fn is_match(&self, text: &[u8]) -> bool {
        self.set.is_match(text) || self.others.iter().any(|regex| regex.is_match(text))
    }
}

impl PartialEq for Regexes {
    fn eq(&self, other: &Self) -> bool {
        self.case == other.case && self.set.patterns() == other.set.patterns() && self.others == other.others
    }
}

/// The compiled patterns of one method and one case.
#[derive(Clone, Debug, PartialEq)]
pub enum Patterns {
    /// Presence is enough.
    Found,
    /// True is wanted.
    Bool,
    /// Any of the ranges.
    Int(Box<[Range]>),
    /// Any of the networks.
    Ip(Networks),
    /// Any of the ranges, for the length.
    Len(Box<[Range]>),
    /// Any of the texts.
    Equal(PrefixMap),
    /// Any of them, for the bytes.
    Bytes(PrefixMap),
    /// Any of the texts within.
    Sub(Regexes),
    /// Any of the expressions.
    Reg(Regexes),
    /// Any of the texts at the start.
    Beg(PrefixMap),
    /// Any of the texts at the end; kept and looked up backwards.
    End(PrefixMap),
    /// Any of the texts between delimiters.
    Part(PrefixMap, &'static [u8]),
    /// Any of the patterns of a file that can be changed; the number of the use.
    File(Arc<PatternFile>, usize),
}

/// What may stand around the parts that `dir` looks at.
pub(super) const DIR_DELIMITERS: &[u8] = b"/?";
/// What may stand around the parts that `dom` looks at.
pub(super) const DOM_DELIMITERS: &[u8] = b"/?.:";

impl Patterns {
    /// Texts of one of the methods that compare texts; `None` for the other methods.
    pub fn texts(method: Method, case: Case, texts: Vec<Vec<u8>>) -> Option<Self> {
        let map = |texts: Vec<Vec<u8>>| PrefixMap::new(case, texts.into_iter().map(|text| (text, 0)));
        Some(match method {
            Method::Str => Self::Equal(map(texts)),
            Method::Bin => Self::Bytes(map(texts)),
            Method::Beg => Self::Beg(map(texts)),
            Method::End => Self::End(map(texts.into_iter().map(|text| text.into_iter().rev().collect()).collect())),
            Method::Dir => Self::Part(map(stripped(texts, DIR_DELIMITERS)), DIR_DELIMITERS),
            Method::Dom => Self::Part(map(stripped(texts, DOM_DELIMITERS)), DOM_DELIMITERS),
            Method::Sub => {
                let sources: Vec<String> = texts.iter().map(|text| literal(text)).collect();
                Self::Sub(Regexes::new(case, &sources, Vec::new()).ok()?)
            }
            Method::Found | Method::Bool | Method::Int | Method::Ip | Method::Len | Method::Reg => return None,
        })
    }

    /// Whether the sample is what one of the patterns wants.
    pub fn matches(&self, value: &Value<'_>) -> bool {
        match self {
            Self::Found => true,
            Self::Bool => value.to_bool() == Some(true),
            Self::Int(ranges) => value.to_int().is_some_and(|number| in_ranges(ranges, number)),
            Self::Ip(networks) => value.to_ip().is_some_and(|ip| networks.contains(ip)),
            Self::Len(ranges) => i64::try_from(value.matched().len()).is_ok_and(|length| in_ranges(ranges, length)),
            Self::Equal(map) => map.get(&value.matched()).is_some(),
            Self::Bytes(map) => map.get(&value.matched_bytes()).is_some(),
            Self::Sub(set) | Self::Reg(set) => set.is_match(&value.matched()),
            Self::File(file, number) => file.matches(*number, value),
            Self::Beg(map) => map.least_prefix(&value.matched()).is_some(),
            Self::End(map) => {
                let mut backwards = value.matched().into_owned();
                backwards.reverse();
                map.least_prefix(&backwards).is_some()
            }
            Self::Part(map, delimiters) => part(map, delimiters, &value.matched()),
        }
    }
}

/// The texts of many rules in one look-up: which of them comes first.
#[derive(Clone, Debug, PartialEq)]
pub struct Index {
    kind: IndexKind,
    map: PrefixMap,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum IndexKind {
    Equal,
    Beg,
    End,
}

impl Patterns {
    /// Whether these patterns can be part of an [`Index`].
    pub(crate) fn is_text_map(&self) -> bool {
        self.map_texts().is_some()
    }

    /// Whether both compare in the same way, so that one [`Index`] can hold both.
    pub(crate) fn same_kind(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Equal(a), Self::Equal(b)) | (Self::Beg(a), Self::Beg(b)) | (Self::End(a), Self::End(b)) => {
                a.case() == b.case()
            }
            _ => false,
        }
    }

    /// The texts as the look-up keeps them: `end` backwards.
    pub(crate) fn map_texts(&self) -> Option<impl Iterator<Item = &[u8]>> {
        match self {
            Self::Equal(map) | Self::Beg(map) | Self::End(map) => Some(map.texts()),
            Self::Found
            | Self::Bool
            | Self::Int(_)
            | Self::Ip(_)
            | Self::Len(_)
            | Self::Bytes(_)
            | Self::Sub(_)
            | Self::Reg(_)
            | Self::File(..)
            | Self::Part(..) => None,
        }
    }
}

impl Index {
    /// From texts as [`Patterns::map_texts`] gives them, each with its rule's number; `like` says how to compare.
    pub(crate) fn new(like: &Patterns, texts: Vec<(Vec<u8>, u32)>) -> Option<Self> {
        let (kind, map) = match like {
            Patterns::Equal(map) => (IndexKind::Equal, map),
            Patterns::Beg(map) => (IndexKind::Beg, map),
            Patterns::End(map) => (IndexKind::End, map),
            _ => return None,
        };
        Some(Self { kind, map: PrefixMap::new(map.case(), texts) })
    }

    /// The least number whose text the sample satisfies.
    pub(crate) fn least(&self, value: &Value<'_>) -> Option<u32> {
        let text = value.matched();
        match self.kind {
            IndexKind::Equal => self.map.get(&text),
            IndexKind::Beg => self.map.least_prefix(&text),
            IndexKind::End => {
                let mut backwards = text.into_owned();
                backwards.reverse();
                self.map.least_prefix(&backwards)
            }
        }
    }
}

fn in_ranges(ranges: &[Range], number: i64) -> bool {
    ranges.iter().any(|range| range.min <= number && number <= range.max)
}

/// Delimiters around a pattern of `dir` or `dom` do not count.
fn stripped(texts: Vec<Vec<u8>>, delimiters: &[u8]) -> Vec<Vec<u8>> {
    let strip = |text: Vec<u8>| {
        let start = text.iter().position(|byte| !delimiters.contains(byte)).unwrap_or(text.len());
        let end = text.iter().rposition(|byte| !delimiters.contains(byte)).map_or(start, |last| last + 1);
        text[start..end].to_vec()
    };
    texts.into_iter().map(strip).collect()
}

/// Whether an entry of the map stands in `text` between delimiters or its ends.
fn part(map: &PrefixMap, delimiters: &[u8], text: &[u8]) -> bool {
    let starts = (0..text.len()).filter(|&at| at == 0 || delimiters.contains(&text[at - 1]));
    let ends_well = |at: usize| text.get(at).is_none_or(|byte| delimiters.contains(byte));
    starts.into_iter().any(|start| map.any_prefix(&text[start..], |length| length > 0 && ends_well(start + length)))
}

/// Bytes as a regular expression that matches just them.
fn literal(text: &[u8]) -> String {
    let mut source = String::with_capacity(text.len() * 4);
    for byte in text {
        source.push_str(r"\x");
        source.extend(value::hex(&[*byte]).into_iter().map(char::from));
    }
    source
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(method: Method, case: Case, list: &[&str]) -> Patterns {
        Patterns::texts(method, case, list.iter().map(|text| text.as_bytes().to_vec()).collect()).unwrap()
    }

    #[test]
    fn texts_by_method() {
        use Case::{Exact, Ignored};
        for (method, case, patterns, sample, expected) in [
            (Method::Str, Exact, &["a", "bc"][..], "bc", true),
            (Method::Str, Exact, &["a", "bc"], "BC", false),
            (Method::Str, Ignored, &["a", "Bc"], "bC", true),
            (Method::Beg, Exact, &["/a", "/b"], "/bx", true),
            (Method::Beg, Ignored, &["/MS1/"], "/ms1/x", true),
            (Method::Beg, Exact, &[""], "", true),
            (Method::End, Exact, &[".jpg", ".png"], "/a.png", true),
            (Method::End, Exact, &[".jpg", ".png"], "/a.png2", false),
            (Method::Sub, Ignored, &["B.C"], "ab.cd", true),
            (Method::Sub, Exact, &["b.c"], "abxcd", false),
            (Method::Dir, Exact, &["img"], "/a/img/b", true),
            (Method::Dir, Exact, &["/img/"], "/img", true),
            (Method::Dir, Exact, &["img"], "/a/img2/b", false),
            (Method::Dir, Exact, &["a/img"], "/x/a/img/b", true),
            (Method::Dom, Ignored, &["Example.com"], "www.example.COM", true),
            (Method::Dom, Exact, &["example"], "www.example.com:80", true),
            (Method::Dom, Exact, &["ample"], "www.example.com", false),
        ] {
            let got = texts(method, case, patterns).matches(&Value::text(sample.as_bytes()));
            assert_eq!(got, expected, "{method:?} {patterns:?} in {sample}");
        }
    }

    #[test]
    fn addresses() {
        let networks = [("10.0.0.0", 8), ("192.168.1.0", 24), ("10.1.0.0", 16), ("2001:db8::", 32), ("1.2.3.4", 32)];
        let set = Networks::new(networks.map(|(ip, prefix)| (ip.parse().unwrap(), prefix)));
        for (ip, expected) in [
            ("10.255.0.1", true),
            ("11.0.0.0", false),
            ("192.168.1.255", true),
            ("192.168.2.0", false),
            ("2001:db8:1::", true),
            ("2001:db9::", false),
            ("::ffff:1.2.3.4", true),
            ("9.255.255.255", false),
        ] {
            assert_eq!(set.contains(ip.parse().unwrap()), expected, "{ip}");
        }
        assert!(Networks::new([("0.0.0.0".parse().unwrap(), 0)]).contains("8.8.8.8".parse().unwrap()));
        assert!(!Networks::default().contains("8.8.8.8".parse().unwrap()));
    }

    #[test]
    fn numbers_and_lengths() {
        let ranges: Box<[Range]> = Box::new([Range { min: 400, max: 499 }, Range { min: 5, max: 5 }]);
        assert!(Patterns::Int(ranges.clone()).matches(&Value::Int(404)));
        assert!(Patterns::Int(ranges.clone()).matches(&Value::text(b"5")));
        assert!(!Patterns::Int(ranges.clone()).matches(&Value::Int(6)));
        assert!(Patterns::Len(ranges).matches(&Value::text(b"abcde")));
        assert!(Patterns::Bool.matches(&Value::Int(2)));
        assert!(!Patterns::Bool.matches(&Value::Bool(false)));
    }
}
