//! Regular expressions as haproxy writes them (PCRE), for an engine that runs in linear time.
//!
//! What only a backtracking engine can do (looking around, back-references, atomic groups) is left to one; what is merely written
//! differently is rewritten.

use crate::sample::prefix_map::Case;
use crate::sample::regex::Regex;

/// The memory one expression may take once compiled.
const BYTES_MAX: usize = 16 << 20;

/// Compiles one expression; the error is what haproxy says.
pub(in crate::config) fn compile(source: &str, case: Case) -> Result<Regex, String> {
    if needs_backtracking(source) {
        return backtracking(source, case);
    }
    let built = regex::bytes::RegexBuilder::new(&rewritten(source))
        .unicode(false)
        .case_insensitive(case == Case::Ignored)
        .size_limit(BYTES_MAX)
        .build();
    match built {
        Ok(regex) => Ok(Regex::Linear(regex)),
        // Too big to be unfolded into a machine.
        Err(regex::Error::CompiledTooBig(_)) => backtracking(source, case),
        Err(error) => {
            let text = error.to_string();
            let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
            Err(format!("regex '{source}' is invalid (error={reason})"))
        }
    }
}

fn backtracking(source: &str, case: Case) -> Result<Regex, String> {
    Regex::backtracking(source, case == Case::Ignored)
        .map_err(|error| format!("regex '{source}' is invalid (error={error})"))
}

/// Whether it uses what needs backtracking: references to groups, looking around, atomic groups, possessive repetition.
pub(in crate::config) fn needs_backtracking(source: &str) -> bool {
    const GROUPS: [&[u8]; 9] = [b"(?=", b"(?!", b"(?<=", b"(?<!", b"(?>", b"(?|", b"(?(", b"(?R", b"(*"];
    let mut rest = source.as_bytes();
    let (mut in_class, mut after_repetition) = (false, false);
    while let [byte, tail @ ..] = rest {
        rest = tail;
        let repetition = match byte {
            b'\\' => {
                if !in_class && matches!(tail.first(), Some(b'1'..=b'9' | b'K' | b'G' | b'R')) {
                    return true;
                }
                rest = tail.get(1..).unwrap_or_default();
                false
            }
            b'[' => {
                in_class = true;
                false
            }
            b']' => {
                in_class = false;
                false
            }
            b'(' if !in_class && GROUPS.iter().any(|group| tail.starts_with(&group[1..])) => return true,
            b'+' if !in_class && after_repetition => return true,
            b'*' | b'+' | b'?' | b'}' => !in_class,
            _ => false,
        };
        after_repetition = repetition;
    }
    false
}

/// The same expression in this engine's syntax: braces that are no repetition and brackets inside classes stand for themselves.
pub(in crate::config) fn rewritten(source: &str) -> String {
    let mut out = String::with_capacity(source.len() + 8);
    let mut chars = source.char_indices().peekable();
    let mut in_class = false;
    while let Some((at, c)) = chars.next() {
        let rest = &source[at..];
        match c {
            '\\' => {
                let Some((_, next)) = chars.next() else {
                    out.push('\\');
                    break;
                };
                match next {
                    '<' | '>' => out.push(next),
                    _ if next.is_ascii() => out.extend(['\\', next]),
                    _ => out.push(next),
                }
            }
            '[' if !in_class => {
                in_class = true;
                out.push('[');
                if chars.next_if(|(_, c)| *c == '^').is_some() {
                    out.push('^');
                }
                // A bracket that comes first belongs to the class.
                if chars.next_if(|(_, c)| *c == ']').is_some() {
                    out.push_str(r"\]");
                }
            }
            '[' if !rest.starts_with("[:") => out.push_str(r"\["),
            '[' => {
                let end = rest.find(":]").map_or(1, |end| end + 2);
                out.push_str(&rest[..end]);
                while chars.next_if(|(next, _)| *next < at + end).is_some() {}
            }
            ']' => {
                in_class = false;
                out.push(']');
            }
            '&' | '~' if in_class => out.extend(['\\', c]),
            '{' if !in_class && !is_repetition(rest) => out.push_str(r"\{"),
            _ => out.push(c),
        }
    }
    out
}

/// `{2}`, `{2,}`, `{2,3}`
fn is_repetition(text: &str) -> bool {
    let Some((inside, _)) = text.strip_prefix('{').and_then(|text| text.split_once('}')) else { return false };
    let (min, max) = inside.split_once(',').unwrap_or((inside, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    !min.is_empty() && digits(min) && digits(max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_for_pcre() {
        for (source, text, expected) in [
            (r"^/a{b}$", "/a{b}", true),
            (r"a{2,3}$", "aaa", true),
            (r"[[]x", "[x", true),
            (r"[]x]+$", "]x", true),
            (r"[^]]$", "a", true),
            (r"[[:alpha:]]+$", "abc", true),
            (r"^\/api\/v\d+\-x\_y", "/api/v12-x_y", true),
            (r"\<b\>", "<b>", true),
            (r"[a&&b]+$", "a&b", true),
            (r"(?i)ABC", "abc", true),
            (r"a\++$", "a++", true),
            (r"[*+]+$", "*+", true),
        ] {
            let regex = compile(source, Case::Exact).unwrap_or_else(|_| panic!("{source}"));
            assert_eq!(regex.is_match(text.as_bytes()), expected, "{source}");
        }
    }

    #[test]
    fn refusals() {
        for source in [r"(?<=a)b", r"(a)\1", r"a++", r"(?!x)"] {
            assert!(matches!(compile(source, Case::Exact), Ok(Regex::Backtracking(_))), "{source}");
        }
        for source in ["(", "[a", "*", "(?<=a", "(?!("] {
            assert!(compile(source, Case::Exact).is_err(), "{source}");
        }
    }
}
