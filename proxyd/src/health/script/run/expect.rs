//! Judging what a server answered, and in which words.

use regex::bytes::{Regex, RegexBuilder};

use super::{ANSWER_MAX, Next, Run, empty_at};
use crate::health::script::{Expect, ExpectPattern, HeaderPattern, Report, Wanted};
use crate::health::{CheckResult, CheckStatus};
use crate::http::Head;
use crate::http::h1::{Body, Limits, Progress, response};
use crate::http::{chunk, header};
use crate::sample::fetch::socket::Socket;
use crate::sample::text::Text;
use crate::sample::value::hex;

/// `expect`, ready to judge.
#[derive(Debug)]
pub(super) struct Expectation {
    negate: bool,
    matcher: Matcher,
    pub(super) min_recv: Option<usize>,
    pub(super) comment: Option<String>,
    pub(super) report: Report,
}

#[derive(Debug)]
enum Matcher {
    Status(Vec<(u16, u16)>),
    StatusRegex(Regex),
    Bytes(Vec<u8>),
    Regex(Regex),
    /// Over hexadecimal digits.
    DigitsRegex(Regex),
    Text(Text),
    /// A text of hexadecimal digits.
    Digits(Text),
    Header {
        whole: bool,
        name: Part,
        value: Option<Part>,
    },
}

/// What is wanted of a header's name or of its value.
#[derive(Debug)]
enum Part {
    Equals(Text),
    Begins(Text),
    Ends(Text),
    Contains(Text),
    Matches(Regex),
}

/// The same once its text is known.
enum Sought<'p> {
    Equals(Vec<u8>),
    Begins(Vec<u8>),
    Ends(Vec<u8>),
    Contains(Vec<u8>),
    Matches(&'p Regex),
}

/// Why nothing could be looked for.
enum Unsought {
    Empty,
    NoDigits,
}

impl Unsought {
    fn words(&self) -> &'static str {
        match self {
            Self::Empty => "log-format string evaluated to an empty string",
            Self::NoDigits => "Failed to parse hexastring resulting of eval of a log-format string",
        }
    }
}

impl Part {
    /// `any_case` of a name, which is sought in small letters.
    fn compile(wanted: &Wanted, any_case: bool) -> Result<Self, String> {
        Ok(match wanted {
            Wanted::Equals(text) => Self::Equals(text.clone()),
            Wanted::Begins(text) => Self::Begins(text.clone()),
            Wanted::Ends(text) => Self::Ends(text.clone()),
            Wanted::Contains(text) => Self::Contains(text.clone()),
            Wanted::Matches(regex) => {
                let built = RegexBuilder::new(regex).case_insensitive(any_case).build();
                Self::Matches(built.map_err(|error| error.to_string())?)
            }
        })
    }

    fn sought(&self, evaluate: impl Fn(&Text) -> Vec<u8>) -> Result<Sought<'_>, Unsought> {
        let filled = |text| Some(evaluate(text)).filter(|text| !text.is_empty()).ok_or(Unsought::Empty);
        Ok(match self {
            Self::Equals(text) => Sought::Equals(filled(text)?),
            Self::Begins(text) => Sought::Begins(filled(text)?),
            Self::Ends(text) => Sought::Ends(filled(text)?),
            Self::Contains(text) => Sought::Contains(filled(text)?),
            Self::Matches(regex) => Sought::Matches(regex),
        })
    }
}

impl Sought<'_> {
    fn found(&self, text: &[u8]) -> bool {
        match self {
            Self::Equals(wanted) => text == wanted,
            Self::Begins(wanted) => text.starts_with(wanted),
            Self::Ends(wanted) => text.ends_with(wanted),
            Self::Contains(wanted) => contains(text, wanted),
            Self::Matches(regex) => regex.is_match(text),
        }
    }
}

fn contains(text: &[u8], wanted: &[u8]) -> bool {
    wanted.is_empty() || text.windows(wanted.len()).any(|window| window == wanted)
}

/// The bytes that hexadecimal digits stand for; `None` where they are none, or an odd number of them.
pub(super) fn from_digits(digits: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    digits.chunks(2).map(|pair| Some(digit(pair.first()?)? << 4 | digit(pair.get(1)?)?)).collect()
}

impl Expectation {
    /// `before`: the comment in front of the step.
    pub(super) fn compile(expect: &Expect, before: Option<&String>) -> Result<Self, String> {
        let regex = |text: &str| Regex::new(text).map_err(|error| error.to_string());
        let matcher = match &expect.pattern {
            ExpectPattern::Status(ranges) => Matcher::Status(ranges.clone()),
            ExpectPattern::StatusRegex(text) => Matcher::StatusRegex(regex(text)?),
            ExpectPattern::Bytes(bytes) => Matcher::Bytes(bytes.clone()),
            ExpectPattern::Regex(text) => Matcher::Regex(regex(text)?),
            ExpectPattern::DigitsRegex(text) => Matcher::DigitsRegex(regex(text)?),
            ExpectPattern::Text(text) => Matcher::Text(text.clone()),
            ExpectPattern::Digits(text) => Matcher::Digits(text.clone()),
            ExpectPattern::Header(HeaderPattern { whole, name, value }) => Matcher::Header {
                whole: *whole,
                name: Part::compile(name, true)?,
                value: value.as_ref().map(|value| Part::compile(value, false)).transpose()?,
            },
        };
        Ok(Self {
            negate: expect.negate,
            matcher,
            min_recv: expect.min_recv.map(|bytes| bytes as usize),
            comment: expect.comment.as_ref().or(before).cloned(),
            report: expect.report.clone(),
        })
    }

    /// Whether bytes have what does not depend on anything else.
    pub(super) fn found_in(&self, bytes: &[u8]) -> bool {
        match &self.matcher {
            Matcher::Bytes(wanted) => contains(bytes, wanted),
            Matcher::Regex(regex) => regex.is_match(bytes),
            Matcher::DigitsRegex(regex) => regex.is_match(&hex(bytes)),
            Matcher::Status(_)
            | Matcher::StatusRegex(_)
            | Matcher::Text(_)
            | Matcher::Digits(_)
            | Matcher::Header { .. } => false,
        }
    }

    /// Bytes without which there is nothing to find.
    fn shortest(&self) -> usize {
        match &self.matcher {
            Matcher::Bytes(bytes) => bytes.len(),
            _ => 1,
        }
    }

    fn is_text(bytes: &[u8]) -> Option<&str> {
        std::str::from_utf8(bytes).ok().filter(|text| !text.chars().any(char::is_control))
    }

    /// What it is, in the report of a step that took too long.
    pub(super) fn name(&self) -> String {
        match &self.matcher {
            Matcher::Bytes(bytes) => match Self::is_text(bytes) {
                Some(text) => format!("expect string '{text}'"),
                None => "expect binary".into(),
            },
            Matcher::Regex(_) => "expect regex".into(),
            Matcher::DigitsRegex(_) => "expect binary regex".into(),
            Matcher::Text(_) => "expect log-format string".into(),
            Matcher::Digits(_) => "expect log-format binary".into(),
            Matcher::Status(_) | Matcher::StatusRegex(_) | Matcher::Header { .. } => "expect status".into(),
        }
    }

    fn quoted(&self) -> String {
        match &self.matcher {
            Matcher::Bytes(bytes) => match Self::is_text(bytes) {
                Some(text) => format!("'{text}'"),
                None => "(binary)".into(),
            },
            Matcher::DigitsRegex(_) => "(binary regex)".into(),
            Matcher::Text(_) => "(log-format string)".into(),
            Matcher::Digits(_) => "(log-format binary)".into(),
            Matcher::Regex(_) | Matcher::Status(_) | Matcher::StatusRegex(_) | Matcher::Header { .. } => {
                "(regex)".into()
            }
        }
    }

    fn commented(&self, info: impl Into<String>) -> String {
        let info = info.into();
        match &self.comment {
            Some(comment) => format!("{info} comment: {comment}"),
            None => info,
        }
    }
}

impl<'a> Run<'a> {
    /// What is told of a check that ended well with this step.
    pub(super) fn told_well(
        &self,
        step: &Expectation,
        mut result: CheckResult,
        socket: Option<&dyn Socket>,
    ) -> CheckResult {
        let report = &step.report;
        if let Some(text) = &report.on_success {
            result.info = String::from_utf8_lossy(&self.text(text, socket)).into_owned();
        }
        if let Some(code) = report.code.as_ref().and_then(|code| self.number(code, socket)) {
            result.code = i32::try_from(code).ok();
        }
        result.status = report.ok.unwrap_or(result.status);
        if !matches!(result.status, CheckStatus::L7Ok | CheckStatus::L7OkConditionally) {
            result.code = None;
        }
        result
    }

    /// The end at a step that was not fulfilled: `status` and `info` where the step says nothing else.
    fn blame(&self, step: &Expectation, status: CheckStatus, info: String, socket: Option<&dyn Socket>) -> Next<'a> {
        let report = &step.report;
        let status = report.error.unwrap_or(status);
        let info = match &report.on_error {
            Some(text) => String::from_utf8_lossy(&self.text(text, socket)).into_owned(),
            None => info,
        };
        let code = report.code.as_ref().and_then(|code| self.number(code, socket));
        let code = code.and_then(|code| i32::try_from(code).ok()).or(self.code).unwrap_or(0);
        let shown = matches!(status, CheckStatus::L7Status | CheckStatus::L7OkConditionally);
        let info = step.commented(info);
        Next::End(CheckResult { status, code: shown.then_some(code), info, ..CheckResult::default() })
    }

    /// Whether bytes have what is expected of them.
    fn found(&self, step: &Expectation, bytes: &[u8], socket: Option<&dyn Socket>) -> Result<bool, Unsought> {
        let (Matcher::Text(text) | Matcher::Digits(text)) = &step.matcher else { return Ok(step.found_in(bytes)) };
        let mut wanted = self.text(text, socket);
        if wanted.is_empty() {
            return Err(Unsought::Empty);
        }
        if matches!(step.matcher, Matcher::Digits(_)) {
            wanted = from_digits(&wanted).ok_or(Unsought::NoDigits)?;
        }
        Ok(contains(bytes, &wanted))
    }

    /// The end where there was nothing to look for.
    fn unsought(&self, step: &Expectation, why: &Unsought) -> Next<'a> {
        self.reject(CheckStatus::L7Response, step.commented(why.words()))
    }

    pub(super) fn expect_bytes(&mut self, expectation: &Expectation, socket: Option<&dyn Socket>) -> Next<'a> {
        let enough = expectation.min_recv.unwrap_or(1).max(expectation.shortest());
        let last = self.closed || self.received.len() >= ANSWER_MAX;
        let step = self.step_number(self.at);
        if self.received.is_empty() && last {
            return self.reject(CheckStatus::L7Response, empty_at(step));
        }
        if self.received.len() < enough && !last {
            return Next::Receive;
        }
        let found = match self.found(expectation, &self.received, socket) {
            Ok(found) => found,
            Err(why) => return self.unsought(expectation, &why),
        };
        // Without a number of bytes to wait for, what is missing may still come.
        if !found && !last && expectation.min_recv.is_none() {
            return Next::Receive;
        }
        if found != expectation.negate {
            return self.accept(socket);
        }
        let verb = if found { "matched unwanted content" } else { "did not match content" };
        let info = format!("TCPCHK {verb} {} at step {step}", expectation.quoted());
        self.blame(expectation, CheckStatus::L7Response, info, socket)
    }

    pub(super) fn expect_http(&mut self, expectation: Option<&Expectation>, socket: Option<&dyn Socket>) -> Next<'a> {
        let Some(wire) = self.wire else { return self.reject(CheckStatus::L7Response, String::new()) };
        let mut head = Head::default();
        let (consumed, body_end) = match response::read(&self.received, &mut head, &wire, Limits::default()) {
            Ok(Progress::Complete { consumed, wire }) => (consumed, wire.body),
            Ok(Progress::Partial) if !self.closed => return Next::Receive,
            Ok(Progress::Partial) | Err(_) => return self.reject(CheckStatus::L7Response, String::new()),
        };
        let status = head.status();
        if (100..200).contains(&status) && status != 101 {
            // Something else follows.
            self.received.drain(..consumed);
            return self.step(socket);
        }
        self.code = Some(status.into());
        let reason = String::from_utf8_lossy(head.reason()).into_owned();
        if status == 404 && self.script.disable_on_404 {
            let code = self.code;
            return Next::End(CheckResult { status: CheckStatus::L7OkConditionally, code, ..CheckResult::default() });
        }
        let Some(expectation) = expectation else {
            return if (200..400).contains(&status) {
                self.accept(socket)
            } else {
                self.reject(CheckStatus::L7Status, reason)
            };
        };
        let found = match &expectation.matcher {
            Matcher::Status(ranges) => ranges.iter().any(|&(low, high)| (low..=high).contains(&status)),
            Matcher::StatusRegex(regex) => regex.is_match(status.to_string().as_bytes()),
            Matcher::Header { whole, name, value } => {
                match self.has_header(&head, *whole, name, value.as_ref(), socket) {
                    Ok(found) => found,
                    Err(why) => return self.unsought(expectation, &why),
                }
            }
            Matcher::Bytes(_) | Matcher::Regex(_) | Matcher::DigitsRegex(_) | Matcher::Text(_) | Matcher::Digits(_) => {
                let body = self.received.get(consumed..).unwrap_or_default();
                return self.expect_body(expectation, body_end, body.to_vec(), socket);
            }
        };
        if found == expectation.negate {
            self.blame(expectation, CheckStatus::L7Status, reason, socket)
        } else {
            self.accept(socket)
        }
    }

    /// Whether a response has such a field.
    fn has_header(
        &self,
        head: &Head,
        whole: bool,
        name: &Part,
        value: Option<&Part>,
        socket: Option<&dyn Socket>,
    ) -> Result<bool, Unsought> {
        let name = name.sought(|text| self.text(text, socket).to_ascii_lowercase())?;
        let value = value.map(|value| value.sought(|text| self.text(text, socket))).transpose()?;
        let has = |text: &[u8]| {
            let Some(value) = &value else { return true };
            if whole { value.found(text) } else { header::list(text).any(|element| value.found(element)) }
        };
        Ok(head.fields().any(|(known, text)| name.found(&known.to_ascii_lowercase()) && has(text)))
    }

    fn expect_body(
        &mut self,
        expectation: &Expectation,
        body_end: Body,
        body: Vec<u8>,
        socket: Option<&dyn Socket>,
    ) -> Next<'a> {
        let full = self.closed || self.received.len() >= ANSWER_MAX;
        let (body, complete) = match body_end {
            Body::None => (Vec::new(), true),
            Body::Length(length) => {
                let complete = body.len() as u64 >= length;
                (body, complete)
            }
            Body::Chunked => dechunk(&body),
            Body::UntilClose | Body::Tunnel => (body, false),
        };
        let found = match self.found(expectation, &body, socket) {
            Ok(found) => found,
            Err(why) => return self.unsought(expectation, &why),
        };
        // A body without an end is judged by what is there, as soon as that is decisive.
        if !complete && !full && !found {
            return Next::Receive;
        }
        if body.is_empty() {
            let info = "HTTP content check could not find a response body".to_owned();
            return self.blame(expectation, CheckStatus::L7Response, info, socket);
        }
        if found != expectation.negate {
            return self.accept(socket);
        }
        let info = if found { "HTTP check matched unwanted content" } else { "HTTP content check did not match" };
        self.blame(expectation, CheckStatus::L7Response, info.to_owned(), socket)
    }
}

/// The data of a chunked body as far as it goes, and whether no more of it is to come.
fn dechunk(body: &[u8]) -> (Vec<u8>, bool) {
    let data = chunk::data(body);
    (data.bytes, data.complete || data.invalid)
}
