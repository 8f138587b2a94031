//! The predicates of `.if`, `.elif` and `-cc`: a pure function of the text, the environment and what the daemon is.

use super::env::Env;
use crate::suggest::nearest;
use pest::Parser as _;
use pest::iterators::{Pair, Pairs};
use std::cmp::Ordering;
use std::ops::Range;

/// How deep parentheses may be nested.
pub const NESTING_MAX: usize = 64;

/// The grammar; its rules stay in here.
mod grammar {
    #[derive(pest_derive::Parser)]
    #[grammar = "haproxy/predicate.pest"]
    pub(super) struct Condition;
}
use grammar::{Condition, Rule};

/// What the predicates ask about the program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// As `-v` prints it, without what follows a space: `3.5.0`, `2.4-dev19`.
    pub version: String,
    /// What `-vv` lists with a `+`: `OPENSSL`, `LUA`, …
    pub features: Vec<String>,
    /// The name of the TLS library, for `ssllib_name_startswith`.
    pub tls_library: String,
    /// The version that `openssl_version_atleast` compares with; none where the library is not OpenSSL.
    pub openssl_version: Option<String>,
    /// The API level of AWS-LC, where that is the library.
    pub awslc_api: Option<u32>,
    /// Whether the TLS library runs in FIPS mode.
    pub fips: bool,
    /// What `enabled` finds: `EPOLL`, `SPLICE`, `REUSEPORT`, …
    pub enabled: Vec<String>,
}

/// What is wrong with a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConditionError {
    /// In haproxy's words, without the place.
    pub message: String,
    /// The wrong part, in bytes of the text.
    pub range: Range<usize>,
    /// What to write instead.
    pub help: Option<String>,
}

/// Every predicate and how many arguments it takes.
const PREDICATES: [(&str, Predicate, usize); 14] = [
    ("defined", Predicate::Defined, 1),
    ("feature", Predicate::Feature, 1),
    ("streq", Predicate::Streq, 2),
    ("strneq", Predicate::Strneq, 2),
    ("strstr", Predicate::Strstr, 2),
    ("version_atleast", Predicate::VersionAtLeast, 1),
    ("version_before", Predicate::VersionBefore, 1),
    ("openssl_version_atleast", Predicate::OpensslVersionAtLeast, 1),
    ("openssl_version_before", Predicate::OpensslVersionBefore, 1),
    ("ssllib_name_startswith", Predicate::SsllibNameStartsWith, 1),
    ("awslc_api_atleast", Predicate::AwslcApiAtLeast, 1),
    ("awslc_api_before", Predicate::AwslcApiBefore, 1),
    ("fips_mode", Predicate::FipsMode, 0),
    ("enabled", Predicate::Enabled, 1),
];

#[derive(Clone, Copy)]
enum Predicate {
    Defined,
    Feature,
    Streq,
    Strneq,
    Strstr,
    VersionAtLeast,
    VersionBefore,
    OpensslVersionAtLeast,
    OpensslVersionBefore,
    SsllibNameStartsWith,
    AwslcApiAtLeast,
    AwslcApiBefore,
    FipsMode,
    Enabled,
}

/// Whether the condition holds. An empty one does not. All of it must be right, also what the outcome does not need.
pub fn evaluate(text: &str, env: &Env, facts: &Facts) -> Result<bool, ConditionError> {
    let fail = |message: String, range| Err(ConditionError { message, range, help: None });
    if let Some(at) = too_deep(text) {
        return fail(format!("parentheses are nested deeper than {NESTING_MAX}"), at..at + 1);
    }
    let Ok(mut pairs) = Condition::parse(Rule::condition, text) else {
        // The grammar accepts every text.
        return fail(format!("unparsable conditional expression '{text}'"), 0..text.len());
    };
    let evaluator = Evaluator { text, env, facts };
    let mut outcome = false;
    for pair in pairs.next().map(Pair::into_inner).into_iter().flatten() {
        match pair.as_rule() {
            Rule::any_of => outcome = evaluator.any_of(pair)?,
            Rule::trailing => {
                let first = pair.as_str().chars().next().unwrap_or_default();
                let at = pair.as_span().start();
                let message = format!("unexpected character '{first}' at the end of conditional expression '{text}'");
                return fail(message, at..at + first.len_utf8());
            }
            _ => {}
        }
    }
    Ok(outcome)
}

/// The parenthesis that is one too many.
fn too_deep(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > NESTING_MAX {
            return Some(at);
        }
    }
    None
}

struct Evaluator<'a> {
    text: &'a str,
    env: &'a Env,
    facts: &'a Facts,
}

impl Evaluator<'_> {
    fn any_of(&self, pair: Pair<'_, Rule>) -> Result<bool, ConditionError> {
        pair.into_inner().try_fold(false, |before, pair| Ok(self.all_of(pair)? || before))
    }

    fn all_of(&self, pair: Pair<'_, Rule>) -> Result<bool, ConditionError> {
        pair.into_inner().try_fold(true, |before, pair| Ok(self.term(pair)? && before))
    }

    fn term(&self, pair: Pair<'_, Rule>) -> Result<bool, ConditionError> {
        let mut negated = false;
        for pair in pair.into_inner() {
            let outcome = match pair.as_rule() {
                Rule::not => {
                    negated = !negated;
                    continue;
                }
                Rule::group => self.group(pair)?,
                Rule::number => pair.as_str().bytes().any(|b| !matches!(b, b'0' | b'x' | b'X' | b'+' | b'-')),
                Rule::predicate => self.predicate(pair)?,
                // `unparsable`
                _ => return Err(self.unparsable(pair.as_span().start())),
            };
            return Ok(outcome != negated);
        }
        Ok(negated)
    }

    fn group(&self, pair: Pair<'_, Rule>) -> Result<bool, ConditionError> {
        let start = pair.as_span().start();
        let mut outcome = false;
        for pair in pair.into_inner() {
            if pair.as_rule() == Rule::unclosed {
                let message = format!("expected ')' after conditional expression '{}'", &self.text[start..]);
                return Err(ConditionError { message, range: start..start + 1, help: None });
            }
            outcome = self.any_of(pair)?;
        }
        Ok(outcome)
    }

    fn unparsable(&self, at: usize) -> ConditionError {
        let message = format!("unparsable conditional expression '{}'", &self.text[at..]);
        ConditionError { message, range: at..self.text.len(), help: None }
    }

    fn predicate(&self, pair: Pair<'_, Rule>) -> Result<bool, ConditionError> {
        let whole = pair.as_span();
        let mut inner = pair.into_inner();
        let name = inner.next().map_or("", |name| name.as_str());
        let Some(&(_, predicate, arity)) = PREDICATES.iter().find(|(known, ..)| *known == name) else {
            let mut error = self.unparsable(whole.start());
            error.range = whole.start()..whole.start() + name.len();
            error.help =
                nearest(name, PREDICATES.map(|(known, ..)| known)).map(|known| format!("did you mean `{known}`?"));
            return Err(error);
        };
        let arguments = self.arguments(inner, name, arity, whole.end())?;
        Ok(self.holds(predicate, &arguments))
    }

    /// Exactly as many arguments as the predicate takes; a single missing one is empty, as in haproxy.
    fn arguments(
        &self,
        inner: Pairs<'_, Rule>,
        name: &str,
        arity: usize,
        end: usize,
    ) -> Result<Vec<String>, ConditionError> {
        let fail = |what: &str, range: Range<usize>| {
            let message = format!("{what} in argument 1 of predicate '{name}' used in conditional expression");
            Err(ConditionError { message, range, help: Some(format!("`{name}` takes {arity}")) })
        };
        let mut found = Vec::new();
        let mut places = Vec::new();
        for pair in inner {
            match pair.as_rule() {
                Rule::arguments => {
                    for argument in pair.into_inner() {
                        places.push(argument.as_span().start());
                        found.push(argument_text(argument).map_err(|at| ConditionError {
                            message: format!(
                                "unmatched quote in argument 1 of predicate '{name}' used in conditional expression"
                            ),
                            range: at..at + 1,
                            help: None,
                        })?);
                    }
                }
                _ => return fail("expected ')'", end..end),
            }
        }
        if found.len() > arity.max(1) {
            let at = places[arity.max(1)] - 1;
            return fail(&format!("expected ')' before '{}'", &self.text[at..]), at..at + 1);
        }
        if arity > 1 && found.len() < arity {
            let got = found.iter().filter(|argument| !argument.is_empty()).count();
            let at = end.saturating_sub(1);
            return fail(&format!("missing arguments (got {got}/{arity}), type 'string' expected"), at..end);
        }
        found.resize(arity, String::new());
        Ok(found)
    }

    fn holds(&self, predicate: Predicate, arguments: &[String]) -> bool {
        let argument = |index: usize| arguments.get(index).map_or("", String::as_str);
        let (first, second) = (argument(0), argument(1));
        let facts = self.facts;
        let openssl = |wanted: &[Ordering]| {
            facts
                .openssl_version
                .as_deref()
                .is_some_and(|version| wanted.contains(&openssl_version_cmp(version, first)))
        };
        let awslc = || facts.awslc_api.zip(first.parse::<u32>().ok());
        match predicate {
            Predicate::Defined => self.env.get(first).is_some(),
            Predicate::Feature => facts.features.iter().any(|feature| feature == first),
            Predicate::Streq => first == second,
            Predicate::Strneq => first != second,
            Predicate::Strstr => first.contains(second),
            Predicate::VersionAtLeast => version_cmp(&facts.version, first).is_ge(),
            Predicate::VersionBefore => version_cmp(&facts.version, first).is_lt(),
            Predicate::OpensslVersionAtLeast => openssl(&[Ordering::Greater, Ordering::Equal]),
            Predicate::OpensslVersionBefore => openssl(&[Ordering::Less]),
            Predicate::SsllibNameStartsWith => facts.tls_library.starts_with(first),
            Predicate::AwslcApiAtLeast => awslc().is_some_and(|(api, wanted)| api >= wanted),
            Predicate::AwslcApiBefore => awslc().is_some_and(|(api, wanted)| api < wanted),
            Predicate::FipsMode => facts.fips,
            Predicate::Enabled => facts.enabled.iter().any(|option| option == first),
        }
    }
}

/// The text of an argument after its own quotes and escapes; the offset of a quote that is not closed.
fn argument_text(pair: Pair<'_, Rule>) -> Result<String, usize> {
    let mut text = String::new();
    for part in pair.into_inner() {
        match part.as_rule() {
            Rule::escape => text.push_str(match part.as_str() {
                "\\n" => "\n",
                "\\r" => "\r",
                "\\t" => "\t",
                other => &other[1..],
            }),
            Rule::strong | Rule::weak => {
                let start = part.as_span().start();
                if part.clone().into_inner().any(|inner| inner.as_rule() == Rule::unclosed) {
                    return Err(start);
                }
                text.push_str(&argument_text(part)?);
            }
            _ => text.push_str(part.as_str()),
        }
    }
    Ok(text)
}

/// Compares versions of haproxy: `2.4-dev19` < `2.4-rc1` < `2.4` = `2.4.0` < `2.4.1`; a number after the next dash
/// counts commits. What is missing or unreadable is zero.
pub fn version_cmp(a: &str, b: &str) -> Ordering {
    version(a).cmp(&version(b))
}

/// Major, minor, stage (development, candidate, release), number within the stage, commits.
fn version(text: &str) -> [u32; 5] {
    let (numbers, suffix) = text.split_once('-').unwrap_or((text, ""));
    let mut numbers = numbers.split('.').map(leading_number);
    let mut next = || numbers.next().unwrap_or(0);
    let (major, minor, patch) = (next(), next(), next());
    let (stage, suffix) = match (suffix.strip_prefix("dev"), suffix.strip_prefix("rc")) {
        (Some(rest), _) => (0, rest),
        (_, Some(rest)) => (1, rest),
        (None, None) => return [major, minor, 2, patch, leading_number(suffix)],
    };
    let (number, commits) = suffix.split_once('-').unwrap_or((suffix, ""));
    [major, minor, stage, leading_number(number), leading_number(commits)]
}

fn leading_number(text: &str) -> u32 {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().unwrap_or(0)
}

/// Compares versions of OpenSSL: `1.1.1f` < `1.1.1g`, `3.0.0-beta1` < `3.0.0`.
fn openssl_version_cmp(a: &str, b: &str) -> Ordering {
    let parts = |text: &str| {
        let (numbers, pre) = text.split_once('-').map_or((text, None), |(numbers, pre)| (numbers, Some(pre)));
        let mut parts: Vec<u32> = numbers.split('.').map(leading_number).collect();
        parts.resize(3, 0);
        let letter = numbers.bytes().last().filter(u8::is_ascii_lowercase).unwrap_or(0);
        (parts, letter, pre.is_none(), pre.unwrap_or_default().to_owned())
    };
    parts(a).cmp(&parts(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ask(text: &str) -> Result<bool, ConditionError> {
        let env = Env::new([("HOME", "/root")]);
        let facts = Facts {
            version: "2.6.12".into(),
            features: vec!["OPENSSL".into()],
            tls_library: "AWS-LC".into(),
            awslc_api: Some(30),
            openssl_version: Some("1.1.1g".into()),
            enabled: vec!["EPOLL".into()],
            ..Facts::default()
        };
        evaluate(text, &env, &facts)
    }

    /// Answers of `haproxy -cc` 2.6.12, and of the newer predicates after the manual.
    #[test]
    fn answers() {
        for (text, expected) in [
            ("", false),
            ("0", false),
            ("00", false),
            ("1", true),
            ("-1", true),
            ("+1", true),
            ("0x1", true),
            ("0x0", false),
            (" 1 ", true),
            ("streq(a,a)", true),
            ("streq(a , a)", false),
            ("streq( a,a)", false),
            ("streq(a,a)&&streq(b,b)", true),
            ("streq(,)", true),
            ("streq(a\\,b,\"a,b\")", true),
            ("streq('a)',\"a)\")", true),
            ("strneq(a,b)", true),
            ("strstr(abc,b)", true),
            ("strstr(abc,)", true),
            ("strstr(abc,d)", false),
            ("version_atleast(2.6)&&version_before(2.7)", true),
            ("version_atleast(2.6.12-1)", false),
            ("version_before(2.6.13)", true),
            ("version_before(2.6.12)", false),
            ("version_atleast(2.6-dev3)", true),
            ("version_atleast(foo)", true),
            ("version_atleast()", true),
            ("version_before(foo)", false),
            ("version_before(3)", true),
            ("feature(openssl)", false),
            ("feature(OPENSSL)", true),
            ("feature", false),
            ("feature()", false),
            ("defined()", false),
            ("defined(HOME)", true),
            ("defined( HOME)", false),
            ("!!1", true),
            ("! 1", false),
            ("((0))", false),
            ("( 1 || 0 ) && 1", true),
            ("1 || 0 && 0", true),
            ("0 && 0 || 1", true),
            ("openssl_version_atleast(1.1.1f)", true),
            ("openssl_version_before(1.1.1g)", false),
            ("openssl_version_before(3.0.0-alpha1)", true),
            ("ssllib_name_startswith(AWS)", true),
            ("awslc_api_atleast(30)", true),
            ("awslc_api_before(30)", false),
            ("fips_mode", false),
            ("fips_mode()", false),
            ("enabled(EPOLL)", true),
            ("enabled(POLL)", false),
        ] {
            assert_eq!(ask(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn mistakes() {
        for (text, message, at) in [
            ("abc", "unparsable conditional expression 'abc'", 0),
            ("1 || zz", "unparsable conditional expression 'zz'", 5),
            ("0&&zz", "unparsable conditional expression 'zz'", 3),
            ("!", "unparsable conditional expression ''", 1),
            ("()", "unparsable conditional expression ')'", 1),
            ("STREQ(a,a)", "unparsable conditional expression 'STREQ(a,a)'", 0),
            ("1 x", "unexpected character 'x' at the end of conditional expression '1 x'", 2),
            ("12abc", "unexpected character 'a' at the end of conditional expression '12abc'", 2),
            ("1 & 1", "unexpected character '&' at the end of conditional expression '1 & 1'", 2),
            ("1)", "unexpected character ')' at the end of conditional expression '1)'", 1),
            ("(1", "expected ')' after conditional expression '(1'", 0),
            ("streq(a,b", "expected ')' in argument 1 of predicate 'streq' used in conditional expression", 9),
            (
                "feature(a,b)",
                "expected ')' before ',b)' in argument 1 of predicate 'feature' used in conditional expression",
                9,
            ),
            (
                "streq(a,b,c)",
                "expected ')' before ',c)' in argument 1 of predicate 'streq' used in conditional expression",
                9,
            ),
            (
                "streq(a)",
                "missing arguments (got 1/2), type 'string' expected in argument 1 of predicate 'streq' used in conditional expression",
                7,
            ),
            ("streq(\"a,b)", "unmatched quote in argument 1 of predicate 'streq' used in conditional expression", 6),
        ] {
            let error = ask(text).expect_err(text);
            assert_eq!((error.message.as_str(), error.range.start), (message, at), "{text}");
        }
        assert_eq!(ask("verson_atleast(1)").map_err(|e| e.help), Err(Some("did you mean `version_atleast`?".into())));
        assert!(ask(&"(".repeat(1_000_000)).is_err());
        assert!(ask(&"!".repeat(1_000_000)).is_err());
    }

    #[test]
    fn versions_in_order() {
        let order = ["2.4-dev3", "2.4-dev19", "2.4-rc1", "2.4", "2.4.0-5", "2.4.1", "2.10", "3"];
        assert!(order.windows(2).all(|pair| version_cmp(pair[0], pair[1]).is_lt()));
    }

    proptest! {
        #[test]
        fn any_text(text in "[a-z(),!&|\"'\\\\ 0-9]*") {
            if let Err(error) = ask(&text) {
                prop_assert!(text.get(error.range).is_some());
            }
        }
    }
}
