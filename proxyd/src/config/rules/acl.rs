//! ACLs: the criterion, its flags, its patterns.

use super::Lowering;
use super::arguments::{Problem, problem};
use super::expression::Voice;
use super::report::{self, code};
use crate::rules::acl::{Acl, AclIndex, Test};
use crate::sample::Patterns;
use crate::sample::pattern::Method;
use crate::sample::pattern_file::{Use, Values, WrittenPatterns};
use crate::sample::prefix_map::Case;
use shared_config::diagnostic::Diagnostic;
use shared_config::haproxy::expr;
use shared_config::haproxy::keyword::{FetchPlaces, SampleType, find_acl_derivative};
use shared_config::source::Span;
use shared_config::words::{Word, Words};

pub(super) mod pattern;

/// An ACL that conditions can name, or one written in braces.
#[derive(Clone)]
pub(super) struct Declared {
    /// Its place in the section's list. `None`: a part of it does not work yet.
    pub index: Option<AclIndex>,
    /// Where its samples can be taken, of all its tests.
    pub places: FetchPlaces,
    /// The keyword of its first test.
    pub keyword: String,
}

/// The line of an ACL that exists without being declared.
pub(super) fn predefined(name: &str) -> Option<&'static str> {
    Some(match name {
        "FALSE" => "always_false",
        "TRUE" => "always_true",
        "HTTP" => "req.proto_http",
        "HTTP_1.0" => "req.ver 1.0",
        "HTTP_1.1" => "req.ver 1.1",
        "HTTP_2.0" => "req.ver 2.0",
        "HTTP_3.0" => "req.ver 3.0",
        "HTTP_CONTENT" => "req.hdr_val(content-length) gt 0",
        "HTTP_URL_ABS" => "url_reg ^[^/:]*://",
        "HTTP_URL_SLASH" => "url_beg /",
        "HTTP_URL_STAR" => "url *",
        "LOCALHOST" => "src 127.0.0.1/8 ::1",
        "METH_CONNECT" => "method CONNECT",
        "METH_DELETE" => "method DELETE",
        "METH_GET" => "method GET HEAD",
        "METH_HEAD" => "method HEAD",
        "METH_OPTIONS" => "method OPTIONS",
        "METH_POST" => "method POST",
        "METH_PUT" => "method PUT",
        "METH_TRACE" => "method TRACE",
        "RDP_COOKIE" => "req.rdp_cookie_cnt gt 0",
        "REQ_CONTENT" => "req.len gt 0",
        "WAIT_END" => "wait_end",
        _ => return None,
    })
}

/// A test that was read.
struct Read {
    test: Option<Test>,
    places: FetchPlaces,
    keyword: String,
}

impl Lowering<'_> {
    /// `acl NAME CRITERION …`
    pub(super) fn declare(&mut self, words: &mut Words<'_>) {
        let Some(name) = words.next() else {
            let message = "error detected while parsing ACL '' : missing ACL name.";
            return self.error(code::MISSING_ARGUMENT, words.here(), message);
        };
        let permitted = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
        if let Some((at, bad)) = name.text.char_indices().find(|(_, c)| !permitted(*c)) {
            let message = format!("character '{bad}' is not permitted in acl name '{}'.", name.text);
            return self.error(code::BAD_VALUE, name.span_of(at..at + bad.len_utf8()), message);
        }
        if name.text.eq_ignore_ascii_case("or") {
            let message = format!(
                "acl name '{0}' will never match. 'or' is used to express a logical disjunction within a condition.",
                name.text
            );
            return self.error(code::BAD_VALUE, name.span, message);
        }
        let before = format!("error detected while parsing ACL '{}' : ", name.text);
        let rest = words.rest();
        let Some(read) = self.test(rest, words.here(), &before) else { return self.poison(name) };
        self.add_test(&name.text, read);
    }

    /// An ACL with an error is known by name, so that each use of it is not another error.
    fn poison(&mut self, name: &Word) {
        self.declared.entry(name.text.to_string()).or_insert(Declared {
            index: None,
            places: FetchPlaces::all(),
            keyword: String::new(),
        });
    }

    /// Adds a test to the ACL of that name.
    fn add_test(&mut self, name: &str, read: Read) {
        let acls = &mut self.rules.acls;
        let declared = self.declared.entry(name.to_owned()).or_insert_with(|| {
            acls.push(Acl { name: name.to_owned(), tests: Vec::new() });
            Declared { index: Some(AclIndex(acls.len() - 1)), places: read.places, keyword: read.keyword }
        });
        declared.places = declared.places.union(read.places);
        match (read.test, declared.index.and_then(|index| acls.get_mut(index.0))) {
            (Some(test), Some(acl)) => acl.tests.push(test),
            (None, _) => declared.index = None,
            (Some(_), None) => {}
        }
    }

    /// An ACL in braces.
    pub(super) fn anonymous_acl(&mut self, words: &[Word], span: Span, before: &str) -> Option<Declared> {
        let read = self.test(words, span, before)?;
        let index = read.test.map(|test| {
            self.rules.acls.push(Acl { name: String::new(), tests: vec![test] });
            AclIndex(self.rules.acls.len() - 1)
        });
        Some(Declared { index, places: read.places, keyword: read.keyword })
    }

    /// A criterion with flags and patterns. Errors are reported with `before` in front.
    fn test(&mut self, words: &[Word], at: Span, before: &str) -> Option<Read> {
        match self.read_test(words, at) {
            Ok(read) => Some(read),
            Err(problem) => {
                self.out.push(report::sentence(problem).into_diagnostic(code::BAD_CONDITION, before));
                None
            }
        }
    }

    fn read_test(&mut self, words: &[Word], at: Span) -> Result<Read, Problem> {
        let Some((criterion, rest)) = words.split_first() else {
            return Err(problem("missing fetch method in ACL expression ''", at));
        };
        let written =
            expr::parse(&mut Words::new(std::slice::from_ref(criterion), criterion.span)).map_err(|inner| {
                let message = inner.message.replacen("fetch method '", "ACL keyword '", 1);
                Problem { message, ..inner }
            })?;
        let keyword = written.fetch.name.text.to_string();
        let derivative = find_acl_derivative(&keyword);
        let fetch_name = derivative.map_or(keyword.as_str(), |row| row.fetch);
        let lowered = self.expression(&written, fetch_name, Voice::Acl).map_err(|inner| {
            let text = &inner.message;
            let message = if text.starts_with("unknown converter")
                || text.starts_with("invalid arg") && text.contains("in converter")
            {
                format!("ACL keyword '{keyword}' : {text}")
            } else if derivative.is_some() && text.starts_with("fetch method") {
                text.replacen("fetch method", "ACL keyword", 1)
            } else {
                format!("{text} in ACL expression '{}'", criterion.text)
            };
            Problem { message, ..inner }
        })?;
        // A converter after a derivative makes its method void.
        let implied =
            derivative.filter(|_| written.converters.is_empty()).and_then(|row| Method::from_name(row.method));
        let mut flags = pattern::flags(rest, self.names)?;
        let Some(method) = flags.method.or(implied).or(default_method(lowered.output)) else {
            let message = format!(
                "matching method must be specified first (using '-m') when using a sample fetch of this type ('{}')",
                lowered.output.name()
            );
            return Err(problem(message, criterion.span));
        };
        if !lowered.output.casts_to(looked_at(method)) {
            let message = format!("matching method '{}' cannot be used with fetch keyword '{keyword}'", method.name());
            return Err(problem(message, criterion.span));
        }
        if flags.has_no_patterns() && !matches!(method, Method::Found | Method::Bool) {
            self.warn_no_pattern(criterion, &keyword);
        }
        let written_patterns = self.names.files_change.then(|| flags.written(method));
        let mut patterns = pattern::compile(method, &mut flags)?;
        for (path, span, case) in std::mem::take(&mut flags.changing) {
            let word = Word::plain(path.as_str(), span);
            let file = self.pattern_file(&word, &path, flags.map)?;
            let number = Self::use_of(&file, Use { method, case, values: Values::Text }, &word)?;
            patterns = patterns.map(|patterns| {
                let mut patterns = patterns.into_vec();
                patterns.push(Patterns::File(file, number));
                patterns.into()
            });
        }
        if let Some(patterns) = written_patterns {
            // A converter after a derivative makes it what it is derived from.
            let name = if written.converters.is_empty() { &keyword } else { fetch_name };
            self.note_patterns(criterion.span, name, patterns);
        }
        for unsupported in flags.unsupported {
            report::unsupported(self.out, unsupported.0, unsupported.1);
        }
        let test = lowered.expression.zip(patterns).map(|(expression, patterns)| Test { expression, patterns });
        Ok(Read { test, places: lowered.places, keyword })
    }

    /// For those who list ACLs. A line of `defaults` is read for each section.
    fn note_patterns(&self, span: Span, keyword: &str, patterns: Vec<Box<str>>) {
        let number = self.names.next_patterns();
        let (keyword, place) = (keyword.into(), (Box::default(), 0));
        let noted = || WrittenPatterns { number, keyword, place, patterns };
        self.names.written_patterns.borrow_mut().entry(span).or_insert_with(noted);
    }

    fn warn_no_pattern(&mut self, criterion: &Word, keyword: &str) {
        let message = format!(
            "parsing acl keyword '{keyword}' :\n  no pattern to match against were provided, so this ACL will never \
             match.\n  If this is what you intended, please add '--' to get rid of this warning.\n  If you intended to \
             match only for existence, please use '-m found'.\n  If you wanted to force an int to match as a bool, \
             please use '-m bool'.\n"
        );
        self.out.push(
            Diagnostic::warning(code::NEVER_MATCHES, criterion.span, message)
                .whole_file()
                .help("`-m found` asks whether it is there, `-m bool` whether it is not 0"),
        );
    }
}

/// The method a type implies.
fn default_method(output: SampleType) -> Option<Method> {
    match output {
        SampleType::Bool => Some(Method::Bool),
        SampleType::Sint => Some(Method::Int),
        SampleType::Addr | SampleType::Ipv4 | SampleType::Ipv6 => Some(Method::Ip),
        SampleType::Str | SampleType::Meth => Some(Method::Str),
        SampleType::Any | SampleType::Same | SampleType::Bin => None,
    }
}

/// The type that a method looks at.
fn looked_at(method: Method) -> SampleType {
    match method {
        Method::Found => SampleType::Any,
        Method::Bool | Method::Int => SampleType::Sint,
        Method::Ip => SampleType::Addr,
        Method::Bin => SampleType::Bin,
        Method::Str
        | Method::Len
        | Method::Sub
        | Method::Reg
        | Method::Beg
        | Method::End
        | Method::Dir
        | Method::Dom => SampleType::Str,
    }
}

/// Patterns of the different cases.
type Compiled = Option<Box<[Patterns]>>;

/// The cases in which patterns were given.
const CASES: [Case; 2] = [Case::Exact, Case::Ignored];
