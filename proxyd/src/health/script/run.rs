//! A check as a machine over bytes: it says what to do next and is told what came of it.
//!
//! [`Script::compile`] is done once per backend, a [`Run`] is made for each check. The driver connects, sends and
//! receives as told and keeps the time; every judgement is made here.

mod exchange;

use std::fmt::Write as _;

use regex::bytes::Regex;

use super::{CheckKind, ConnectStep, Dialect, Expect, ExpectPattern, HttpSend, HttpStep, TcpStep};
use crate::health::agent::AgentReply;
use crate::health::{CheckResult, CheckStatus};
use crate::http::Head;
use crate::http::h1::request::RequestWire;
use crate::http::h1::{Body, Limits, Progress, request, response};

/// Bytes of an answer that are kept; what comes behind them is not looked at.
pub const ANSWER_MAX: usize = 16_384;

/// Bytes of the header of a TLS record: with fewer nothing is judged.
const TLS_RECORD: usize = 5;

/// A hello of SSL 3.0 that offers the common suites: any TLS server answers it, if only with an alert.
const SSL_HELLO: &[u8] = &[
    0x16, 0x03, 0x00, 0x00, 0x37, // handshake record
    0x01, 0x00, 0x00, 0x33, 0x03, 0x00, // client hello of version 3.0
    0x70, 0x72, 0x6f, 0x78, 0x79, 0x64, 0x20, 0x73, 0x73, 0x6c, 0x2d, 0x68, 0x65, 0x6c, 0x6c, 0x6f, // random
    0x2d, 0x63, 0x68, 0x6b, 0x20, 0x70, 0x72, 0x6f, 0x78, 0x79, 0x64, 0x20, 0x73, 0x73, 0x6c, 0x00, //
    0x00, // no session
    0x00, 0x0c, 0x00, 0x2f, 0x00, 0x35, 0x00, 0x0a, 0x00, 0x05, 0x00, 0x04, 0x00, 0x09, // suites
    0x01, 0x00, // no compression
];

/// The words and expectations of a check, ready to run.
#[derive(Debug)]
pub struct Script {
    steps: Vec<Step>,
    /// How it reports success.
    flavour: Flavour,
    /// `http-check disable-on-404`.
    disable_on_404: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flavour {
    Tcp,
    TcpScript,
    Http,
    SslHello,
    Agent,
    Exchange(Dialect),
}

#[derive(Debug)]
enum Step {
    Connect(ConnectStep),
    Send(Vec<u8>),
    SendHttp {
        head: Vec<u8>,
        rest: Vec<u8>,
        wire: RequestWire,
    },
    Expect(Expectation),
    /// A 2xx or 3xx status.
    ExpectGood,
    /// A handshake or an alert.
    ExpectTls,
    /// A line of an agent's words.
    ExpectLine,
}

#[derive(Debug)]
struct Expectation {
    negate: bool,
    matcher: Matcher,
    min_recv: Option<usize>,
    comment: Option<String>,
}

#[derive(Debug)]
enum Matcher {
    Status(Vec<(u16, u16)>),
    StatusRegex(Regex),
    Bytes(Vec<u8>),
    Regex(Regex),
}

impl Script {
    /// Prepares a check. The error says what is wrong with an expression or a request.
    pub fn compile(kind: &CheckKind, disable_on_404: bool) -> Result<Self, String> {
        let (steps, flavour) = match kind {
            CheckKind::Tcp => (vec![Step::Connect(ConnectStep::implied())], Flavour::Tcp),
            CheckKind::Http(steps) => (http_steps(steps)?, Flavour::Http),
            CheckKind::TcpScript(steps) => (tcp_steps(steps)?, Flavour::TcpScript),
            CheckKind::Exchange(dialect, steps) => (tcp_steps(steps)?, Flavour::Exchange(*dialect)),
            CheckKind::SslHello => (
                vec![Step::Connect(ConnectStep::implied()), Step::Send(SSL_HELLO.to_vec()), Step::ExpectTls],
                Flavour::SslHello,
            ),
            // A program says nothing on a wire.
            CheckKind::External(_) => (Vec::new(), Flavour::Tcp),
            CheckKind::Agent(bytes) => {
                let mut steps = vec![Step::Connect(ConnectStep::implied())];
                if !bytes.is_empty() {
                    steps.push(Step::Send(bytes.clone()));
                }
                steps.push(Step::ExpectLine);
                (steps, Flavour::Agent)
            }
        };
        Ok(Self { steps, flavour, disable_on_404 })
    }
}

fn http_steps(steps: &[HttpStep]) -> Result<Vec<Step>, String> {
    let mut out = Vec::new();
    if !matches!(steps.first(), Some(HttpStep::Connect(_))) {
        out.push(Step::Connect(ConnectStep::implied()));
    }
    if !steps.iter().any(|step| matches!(step, HttpStep::Send(_))) {
        let at = usize::from(matches!(steps.first(), Some(HttpStep::Connect(_))));
        let (before, after) = steps.split_at(at);
        let default = [HttpStep::Send(HttpSend::default())];
        return http_steps(&[before, &default, after].concat());
    }
    let mut unanswered = false;
    for step in steps {
        if unanswered && !matches!(step, HttpStep::Expect(_)) {
            out.push(Step::ExpectGood);
        }
        unanswered = matches!(step, HttpStep::Send(_));
        out.push(match step {
            HttpStep::Connect(connect) => Step::Connect(connect.clone()),
            HttpStep::Send(send) => send_http(send)?,
            HttpStep::Expect(expect) => Step::Expect(expectation(expect)?),
        });
    }
    if unanswered {
        out.push(Step::ExpectGood);
    }
    Ok(out)
}

fn tcp_steps(steps: &[TcpStep]) -> Result<Vec<Step>, String> {
    let mut out = Vec::new();
    if !matches!(steps.first(), Some(TcpStep::Connect(_))) {
        out.push(Step::Connect(ConnectStep::implied()));
    }
    for step in steps {
        out.push(match step {
            TcpStep::Connect(connect) => Step::Connect(connect.clone()),
            TcpStep::Send(bytes) => Step::Send(bytes.clone()),
            TcpStep::Expect(expect) => Step::Expect(expectation(expect)?),
        });
    }
    Ok(out)
}

fn send_http(send: &HttpSend) -> Result<Step, String> {
    let mut head = format!("{} {} {}\r\n", send.method, send.uri, send.version);
    for (name, value) in &send.headers {
        let _ = write!(head, "{}: {value}\r\n", name.to_ascii_lowercase());
    }
    let mut rest = String::new();
    if !send.body.is_empty() {
        let _ = write!(rest, "content-length: {}\r\n", send.body.len());
    }
    if send.version != "HTTP/1.0" {
        rest.push_str("connection: close\r\n");
    }
    rest.push_str("\r\n");
    let whole = [head.as_bytes(), rest.as_bytes()].concat();
    match request::read(&whole, &mut Head::default(), Limits::default()) {
        Ok(Progress::Complete { wire, .. }) => {
            Ok(Step::SendHttp { head: head.into(), rest: [rest.as_bytes(), &send.body].concat(), wire })
        }
        Ok(Progress::Partial) | Err(_) => Err(format!("'{} {}' is not a valid request", send.method, send.uri)),
    }
}

fn expectation(expect: &Expect) -> Result<Expectation, String> {
    let regex = |text: &str| Regex::new(text).map_err(|error| error.to_string());
    let matcher = match &expect.pattern {
        ExpectPattern::Status(ranges) => Matcher::Status(ranges.clone()),
        ExpectPattern::StatusRegex(text) => Matcher::StatusRegex(regex(text)?),
        ExpectPattern::Bytes(bytes) => Matcher::Bytes(bytes.clone()),
        ExpectPattern::Regex(text) => Matcher::Regex(regex(text)?),
    };
    let min_recv = expect.min_recv.map(|bytes| bytes as usize);
    Ok(Expectation { negate: expect.negate, matcher, min_recv, comment: expect.comment.clone() })
}

/// What the driver is to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<'a> {
    /// Open a connection; an open one is closed.
    Connect(&'a ConnectStep),
    /// Send these bytes.
    Send(Vec<u8>),
    /// Wait for bytes and give them to [`Run::received`].
    Receive,
    /// The check is over.
    End(CheckResult),
    /// The agent has spoken.
    Reply(AgentReply),
}

/// What became of waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble<'a> {
    /// The time is up.
    Timeout,
    /// The connection could not be opened.
    Connect(&'a str),
    /// The connection broke.
    Broken(&'a str),
}

/// One check under way.
#[derive(Debug)]
pub struct Run<'a> {
    script: &'a Script,
    at: usize,
    received: Vec<u8>,
    closed: bool,
    /// The request that the next response answers.
    wire: Option<RequestWire>,
    connected: bool,
    /// The last status seen.
    code: Option<i32>,
    /// A header line for requests, with its line end.
    extra_header: String,
}

impl<'a> Run<'a> {
    /// A check at its beginning. `extra_header` is a line that every request carries, or nothing.
    pub fn new(script: &'a Script, extra_header: String) -> Self {
        Self {
            script,
            at: 0,
            received: Vec::new(),
            closed: false,
            wire: None,
            connected: false,
            code: None,
            extra_header,
        }
    }

    /// Whether the connection that is being made is the end: it only has to come about.
    pub fn only_connects(&self) -> bool {
        self.script.steps.get(self.at).is_none()
    }

    /// Whether a connection in the middle of the check is closed rather than broken off.
    pub fn closes_between(&self) -> bool {
        self.script.flavour == Flavour::Http
    }

    /// What comes next. Connections and bytes are taken as made and sent unless [`Run::failed`] is told otherwise.
    pub fn step(&mut self) -> Next<'a> {
        let Some(step) = self.script.steps.get(self.at) else { return Next::End(self.passed()) };
        match step {
            Step::Connect(connect) => {
                self.at += 1;
                self.received.clear();
                self.closed = false;
                Next::Connect(connect)
            }
            Step::Send(bytes) => {
                self.at += 1;
                self.received.clear();
                Next::Send(bytes.clone())
            }
            Step::SendHttp { head, rest, wire } => {
                self.at += 1;
                self.received.clear();
                self.wire = Some(*wire);
                Next::Send([head, self.extra_header.as_bytes(), rest].concat())
            }
            Step::ExpectTls => match self.received.first() {
                _ if self.received.len() < TLS_RECORD && !self.closed => Next::Receive,
                Some(0x15 | 0x16) => self.accept(),
                Some(_) => self.reject(CheckStatus::L6Response, String::new()),
                None => self.reject(CheckStatus::L6Response, empty_at(self.at)),
            },
            Step::ExpectLine => self.expect_line(),
            Step::ExpectGood => self.expect_http(None),
            Step::Expect(expectation) if self.script.flavour == Flavour::Http => self.expect_http(Some(expectation)),
            Step::Expect(expectation) => match self.script.flavour {
                Flavour::Exchange(dialect) => self.expect_reply(dialect, expectation),
                Flavour::Tcp | Flavour::TcpScript | Flavour::Http | Flavour::SslHello | Flavour::Agent => {
                    self.expect_bytes(expectation)
                }
            },
        }
    }

    /// The connection stands.
    pub fn connected(&mut self) {
        self.connected = true;
    }

    /// Whether something came since it last spoke.
    pub fn has_received(&self) -> bool {
        !self.received.is_empty()
    }

    /// Bytes came; none means that the server closed its side.
    pub fn received(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            self.closed = true;
        }
        let room = ANSWER_MAX.saturating_sub(self.received.len());
        self.received.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }

    /// The check cannot go on.
    pub fn failed(&self, trouble: Trouble<'_>) -> CheckResult {
        let (status, text) = match (trouble, self.script.flavour) {
            (Trouble::Timeout, _) if !self.connected => (CheckStatus::L4Timeout, ""),
            (Trouble::Timeout, Flavour::SslHello) => (CheckStatus::L6Timeout, ""),
            (Trouble::Timeout, Flavour::Tcp | Flavour::TcpScript | Flavour::Http | Flavour::Agent) => {
                (CheckStatus::L7Timeout, "")
            }
            (Trouble::Timeout, Flavour::Exchange(_)) => (CheckStatus::L7Timeout, ""),
            (Trouble::Connect(text), _) => (CheckStatus::L4Connection, text),
            (Trouble::Broken(text), _) => (CheckStatus::SocketError, text),
        };
        let mut info = text.to_owned();
        if self.script.flavour == Flavour::TcpScript {
            info.push_str(&self.where_it_stands());
        }
        CheckResult { status, info, ..CheckResult::default() }
    }

    /// ` at step 2 of tcp-check (expect string '+PONG') comment: 'redis'`, nothing while the implied connection is made.
    fn where_it_stands(&self) -> String {
        // A connection or a sending that failed was the step before.
        let waiting = matches!(self.script.steps.get(self.at), Some(Step::Expect(_)));
        let index = if waiting { self.at } else { self.at.saturating_sub(1) };
        let (what, comment) = match self.script.steps.get(index) {
            Some(Step::Connect(ConnectStep { port: None, comment, .. })) => ("connect".to_owned(), comment.as_deref()),
            Some(Step::Connect(ConnectStep { port: Some(port), comment, .. })) => {
                (format!("connect port {port}"), comment.as_deref())
            }
            Some(Step::Expect(expectation)) => (expectation.name(), expectation.comment.as_deref()),
            Some(Step::Send(_) | Step::SendHttp { .. } | Step::ExpectGood | Step::ExpectTls | Step::ExpectLine) => {
                ("send".into(), None)
            }
            None => return String::new(),
        };
        let step = self.step_number(index);
        if step == 0 {
            return String::new();
        }
        let comment = comment.map_or_else(String::new, |comment| format!(" comment: '{comment}'"));
        format!(" at step {step} of tcp-check ({what}){comment}")
    }

    /// Steps are counted as they are written: an implied connection does not count.
    fn step_number(&self, index: usize) -> usize {
        let implied = match self.script.steps.first() {
            Some(Step::Connect(connect)) => usize::from(connect.implied),
            _ => 0,
        };
        index + 1 - implied
    }

    fn accept(&mut self) -> Next<'a> {
        self.at += 1;
        self.step()
    }

    fn reject(&self, status: CheckStatus, info: String) -> Next<'a> {
        let code = self.code.filter(|_| status == CheckStatus::L7Status);
        Next::End(CheckResult { status, code, info, ..CheckResult::default() })
    }

    fn passed(&self) -> CheckResult {
        let only_connected = self.script.steps.iter().all(|step| matches!(step, Step::Connect(_)));
        let (status, code, info) = match self.script.flavour {
            Flavour::SslHello => (CheckStatus::L6Ok, None, ""),
            Flavour::Tcp | Flavour::TcpScript if only_connected => (CheckStatus::L4Ok, None, ""),
            Flavour::Tcp | Flavour::TcpScript => (CheckStatus::L7Ok, Some(0), "(tcp-check)"),
            Flavour::Agent => (CheckStatus::Checked, None, ""),
            Flavour::Exchange(dialect) => return self.praised(dialect),
            Flavour::Http => (CheckStatus::L7Ok, self.code, ""),
        };
        CheckResult { status, code, info: info.into(), ..CheckResult::default() }
    }

    /// An agent's line is over at its end, or where the agent ends.
    fn expect_line(&mut self) -> Next<'a> {
        let ended = self.received.iter().any(|byte| matches!(byte, b'\r' | b'\n'));
        if !ended && !self.closed && self.received.len() < ANSWER_MAX {
            return Next::Receive;
        }
        if self.received.is_empty() {
            return self.reject(CheckStatus::L7Response, empty_at(2));
        }
        match AgentReply::read(&self.received) {
            Ok(reply) => Next::Reply(reply),
            Err(result) => Next::End(result),
        }
    }

    fn expect_bytes(&mut self, expectation: &Expectation) -> Next<'a> {
        let enough = expectation.min_recv.unwrap_or(1).max(match &expectation.matcher {
            Matcher::Bytes(bytes) => bytes.len(),
            Matcher::Regex(_) | Matcher::Status(_) | Matcher::StatusRegex(_) => 1,
        });
        let last = self.closed || self.received.len() >= ANSWER_MAX;
        let step = self.step_number(self.at);
        if self.received.is_empty() && last {
            return self.reject(CheckStatus::L7Response, empty_at(step));
        }
        if self.received.len() < enough && !last {
            return Next::Receive;
        }
        let found = expectation.found_in(&self.received);
        // Without a number of bytes to wait for, what is missing may still come.
        if !found && !last && expectation.min_recv.is_none() {
            return Next::Receive;
        }
        if found != expectation.negate {
            return self.accept();
        }
        let verb = if found { "matched unwanted content" } else { "did not match content" };
        let mut info = format!("TCPCHK {verb} {} at step {step}", expectation.quoted());
        expectation.add_comment(&mut info);
        self.reject(CheckStatus::L7Response, info)
    }

    fn expect_http(&mut self, expectation: Option<&Expectation>) -> Next<'a> {
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
            return self.step();
        }
        self.code = Some(status.into());
        let reason = String::from_utf8_lossy(head.reason()).into_owned();
        if status == 404 && self.script.disable_on_404 {
            let code = self.code;
            return Next::End(CheckResult { status: CheckStatus::L7OkConditionally, code, ..CheckResult::default() });
        }
        let Some(expectation) = expectation else {
            return if (200..400).contains(&status) {
                self.accept()
            } else {
                self.reject(CheckStatus::L7Status, reason)
            };
        };
        let found = match &expectation.matcher {
            Matcher::Status(ranges) => ranges.iter().any(|&(low, high)| (low..=high).contains(&status)),
            Matcher::StatusRegex(regex) => regex.is_match(status.to_string().as_bytes()),
            Matcher::Bytes(_) | Matcher::Regex(_) => {
                let body = self.received.get(consumed..).unwrap_or_default();
                return self.expect_body(expectation, body_end, body.to_vec());
            }
        };
        if found == expectation.negate { self.reject(CheckStatus::L7Status, reason) } else { self.accept() }
    }

    fn expect_body(&mut self, expectation: &Expectation, body_end: Body, body: Vec<u8>) -> Next<'a> {
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
        let found = expectation.found_in(&body);
        // A body without an end is judged by what is there, as soon as that is decisive.
        if !complete && !full && !found {
            return Next::Receive;
        }
        if body.is_empty() {
            let mut info = "HTTP content check could not find a response body".to_owned();
            expectation.add_comment(&mut info);
            return self.reject(CheckStatus::L7Response, info);
        }
        if found != expectation.negate {
            return self.accept();
        }
        let mut info =
            if found { "HTTP check matched unwanted content" } else { "HTTP content check did not match" }.to_owned();
        expectation.add_comment(&mut info);
        self.reject(CheckStatus::L7Response, info)
    }
}

/// What is said of a server that closed without a word.
fn empty_at(step: usize) -> String {
    format!("TCPCHK got an empty response at step {step}")
}

/// The data of a chunked body as far as it goes, and whether its end was seen.
fn dechunk(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut data = Vec::new();
    while let Some(end) = rest.windows(2).position(|pair| pair == b"\r\n") {
        let digits = rest[..end].split(|&byte| byte == b';').next().unwrap_or_default();
        let size = std::str::from_utf8(digits).ok().and_then(|digits| usize::from_str_radix(digits.trim(), 16).ok());
        match size {
            Some(0) | None => return (data, true),
            Some(size) => {
                let chunk = &rest[end + 2..];
                data.extend_from_slice(chunk.get(..size).unwrap_or(chunk));
                rest = size.checked_add(2).and_then(|next| chunk.get(next..)).unwrap_or_default();
            }
        }
    }
    (data, false)
}

impl Expectation {
    fn found_in(&self, bytes: &[u8]) -> bool {
        match &self.matcher {
            Matcher::Bytes(wanted) => wanted.is_empty() || bytes.windows(wanted.len()).any(|window| window == wanted),
            Matcher::Regex(regex) => regex.is_match(bytes),
            Matcher::Status(_) | Matcher::StatusRegex(_) => false,
        }
    }

    fn is_text(bytes: &[u8]) -> Option<&str> {
        std::str::from_utf8(bytes).ok().filter(|text| !text.chars().any(char::is_control))
    }

    fn name(&self) -> String {
        match &self.matcher {
            Matcher::Bytes(bytes) => match Self::is_text(bytes) {
                Some(text) => format!("expect string '{text}'"),
                None => "expect binary".into(),
            },
            Matcher::Regex(_) => "expect regex".into(),
            Matcher::Status(_) | Matcher::StatusRegex(_) => "expect status".into(),
        }
    }

    fn quoted(&self) -> String {
        match &self.matcher {
            Matcher::Bytes(bytes) => match Self::is_text(bytes) {
                Some(text) => format!("'{text}'"),
                None => "(binary)".into(),
            },
            Matcher::Regex(_) | Matcher::Status(_) | Matcher::StatusRegex(_) => "(regex)".into(),
        }
    }

    fn add_comment(&self, info: &mut String) {
        if let Some(comment) = &self.comment {
            let _ = write!(info, " comment: {comment}");
        }
    }
}

#[cfg(test)]
mod tests;
