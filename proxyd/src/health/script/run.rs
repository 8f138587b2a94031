//! A check as a machine over bytes: it says what to do next and is told what came of it.
//!
//! [`Script::compile`] is done once per backend, a [`Run`] is made for each check. The driver connects, sends and
//! receives as told and keeps the time; every judgement is made here.

mod exchange;
mod expect;
mod request;
mod scene;

use super::{CheckKind, ConnectStep, Dialect, HttpSend, HttpStep, TcpStep};
use crate::health::agent::AgentReply;
use crate::health::{CheckResult, CheckStatus};
use crate::http::h1::request::RequestWire;
use crate::rules::effect::Effect;
use crate::sample::fetch::socket::Socket;
use crate::sample::text::Text;
use crate::sample::variable::Variables;
use expect::Expectation;
use request::Request;
pub use scene::Scene;

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
    /// A text, or the bytes that it gives as hexadecimal digits.
    SendText {
        text: Text,
        digits: bool,
    },
    SendHttp(Box<Request>),
    Expect(Box<Expectation>),
    Variable(Effect),
    /// It counts, and is told of the step behind it.
    Comment,
    /// A 2xx or 3xx status.
    ExpectGood,
    /// A handshake or an alert.
    ExpectTls,
    /// A line of an agent's words.
    ExpectLine,
}

impl Step {
    /// Whether a connection may come behind it and still be the first.
    fn may_precede(&self) -> bool {
        matches!(self, Self::Variable(_) | Self::Comment)
    }
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

/// Puts the connection in front that is made where none is written, behind variables and comments.
fn connected_first(mut steps: Vec<Step>) -> Vec<Step> {
    let first = steps.iter().find(|step| !step.may_precede());
    if !matches!(first, Some(Step::Connect(_))) {
        steps.insert(0, Step::Connect(ConnectStep::implied()));
    }
    steps
}

fn http_steps(steps: &[HttpStep]) -> Result<Vec<Step>, String> {
    if !steps.iter().any(|step| matches!(step, HttpStep::Send(_))) {
        let before =
            |step: &&HttpStep| matches!(step, HttpStep::Connect(_) | HttpStep::Variable(_) | HttpStep::Comment(_));
        let at = steps.iter().take_while(before).count();
        let (before, after) = steps.split_at(at);
        let default = [HttpStep::Send(HttpSend::default())];
        return http_steps(&[before, &default, after].concat());
    }
    let mut out = Vec::new();
    let mut unanswered = false;
    let mut comment = None;
    for step in steps {
        if unanswered && matches!(step, HttpStep::Send(_) | HttpStep::Connect(_)) {
            out.push(Step::ExpectGood);
            unanswered = false;
        }
        let told = comment.take();
        out.push(match step {
            HttpStep::Connect(connect) => Step::Connect(with_comment(connect, told)),
            HttpStep::Send(send) => {
                unanswered = true;
                Step::SendHttp(Box::new(Request::compile(send)?))
            }
            HttpStep::Expect(expect) => {
                unanswered = false;
                Step::Expect(Box::new(Expectation::compile(expect, told)?))
            }
            HttpStep::Variable(effect) => Step::Variable(effect.clone()),
            HttpStep::Comment(text) => {
                comment = Some(text);
                Step::Comment
            }
        });
    }
    if unanswered {
        out.push(Step::ExpectGood);
    }
    Ok(connected_first(out))
}

fn tcp_steps(steps: &[TcpStep]) -> Result<Vec<Step>, String> {
    let mut out = Vec::new();
    let mut comment = None;
    for step in steps {
        let told = comment.take();
        out.push(match step {
            TcpStep::Connect(connect) => Step::Connect(with_comment(connect, told)),
            TcpStep::Send(bytes) => Step::Send(bytes.clone()),
            TcpStep::SendText(text) => Step::SendText { text: text.clone(), digits: false },
            TcpStep::SendDigits(text) => Step::SendText { text: text.clone(), digits: true },
            TcpStep::Expect(expect) => Step::Expect(Box::new(Expectation::compile(expect, told)?)),
            TcpStep::Variable(effect) => Step::Variable(effect.clone()),
            TcpStep::Comment(text) => {
                comment = Some(text);
                Step::Comment
            }
        });
    }
    Ok(connected_first(out))
}

/// A connection that is told of with the comment in front of it, unless it has its own.
fn with_comment(connect: &ConnectStep, before: Option<&String>) -> ConnectStep {
    let comment = connect.comment.as_ref().or(before).cloned();
    ConnectStep { comment, ..connect.clone() }
}

/// What the driver is to do.
#[derive(Debug, PartialEq)]
pub enum Next<'a> {
    /// Open a connection, to this port where one is said; an open one is closed.
    Connect(&'a ConnectStep, Option<u16>),
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
    /// The last status seen, for as long as nothing else is done.
    code: Option<i32>,
    /// A header line for requests, with its line end.
    extra_header: String,
    /// What texts are made from. `None`: they are empty.
    scene: Option<Scene<'a>>,
    /// Those of `check` and `sess`.
    variables: Variables,
}

impl<'a> Run<'a> {
    /// A check at its beginning. `extra_header` is a line that every request carries, or nothing.
    pub fn new(script: &'a Script, extra_header: String, scene: Option<Scene<'a>>) -> Self {
        Self {
            script,
            at: 0,
            received: Vec::new(),
            closed: false,
            wire: None,
            connected: false,
            code: None,
            extra_header,
            scene,
            variables: Variables::of_check(),
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

    /// What comes next. Connections and bytes are taken as made and sent unless [`Run::failed`] is told otherwise. `socket` is the
    /// connection, once there is one.
    pub fn step(&mut self, socket: Option<&dyn Socket>) -> Next<'a> {
        let Some(step) = self.script.steps.get(self.at) else { return Next::End(self.passed(socket)) };
        match step {
            Step::Connect(connect) => {
                let number = connect.port_from.as_ref().and_then(|port| self.number(port, socket));
                let given = number.and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
                self.go_on();
                self.received.clear();
                self.closed = false;
                Next::Connect(connect, given.or(connect.port))
            }
            Step::Send(bytes) => {
                self.go_on();
                self.received.clear();
                Next::Send(bytes.clone())
            }
            Step::SendText { text, digits } => self.send_text(text, *digits, socket),
            Step::SendHttp(request) => {
                let next = self.send_request(request, socket);
                self.go_on();
                next
            }
            Step::Variable(effect) => {
                self.look(socket, |context| {
                    effect.perform(context);
                });
                self.go_on();
                self.step(socket)
            }
            Step::Comment => {
                self.go_on();
                self.step(socket)
            }
            Step::ExpectTls => match self.received.first() {
                _ if self.received.len() < TLS_RECORD && !self.closed => Next::Receive,
                Some(0x15 | 0x16) => self.accept(socket),
                Some(_) => self.reject(CheckStatus::L6Response, String::new()),
                None => self.reject(CheckStatus::L6Response, empty_at(self.at)),
            },
            Step::ExpectLine => self.expect_line(),
            Step::ExpectGood => self.expect_http(None, socket),
            Step::Expect(expectation) => match self.script.flavour {
                Flavour::Http => self.expect_http(Some(expectation), socket),
                Flavour::Exchange(dialect) => self.expect_reply(dialect, expectation, socket),
                Flavour::Tcp | Flavour::TcpScript | Flavour::SslHello | Flavour::Agent => {
                    self.expect_bytes(expectation, socket)
                }
            },
        }
    }

    /// The step is done. A status is told with the one that saw it.
    fn go_on(&mut self) {
        self.at += 1;
        self.code = (self.script.flavour == Flavour::Http).then_some(0);
    }

    /// A text that is empty is not sent.
    fn send_text(&mut self, text: &Text, digits: bool, socket: Option<&dyn Socket>) -> Next<'a> {
        let bytes = self.text(text, socket);
        let bytes = if digits { expect::from_digits(&bytes) } else { Some(bytes) };
        let Some(bytes) = bytes else {
            let step = self.step_number(self.at);
            let info = format!("tcp-check send : failed to build log-format string at step {step}");
            return self.reject(CheckStatus::L7Response, info);
        };
        self.go_on();
        self.received.clear();
        if bytes.is_empty() { self.step(socket) } else { Next::Send(bytes) }
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
        let wanted = match self.script.steps.get(self.at) {
            Some(Step::Expect(expectation)) => expectation.report.timeout,
            _ => None,
        };
        let (status, text) = match (trouble, self.script.flavour) {
            (Trouble::Timeout, _) if !self.connected => (CheckStatus::L4Timeout, ""),
            (Trouble::Timeout, Flavour::SslHello) => (CheckStatus::L6Timeout, ""),
            (Trouble::Timeout, _) => (wanted.unwrap_or(CheckStatus::L7Timeout), ""),
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
            Some(
                Step::Send(_)
                | Step::SendText { .. }
                | Step::SendHttp(_)
                | Step::Variable(_)
                | Step::Comment
                | Step::ExpectGood
                | Step::ExpectTls
                | Step::ExpectLine,
            ) => ("send".into(), None),
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

    fn accept(&mut self, socket: Option<&dyn Socket>) -> Next<'a> {
        self.at += 1;
        self.step(socket)
    }

    fn reject(&self, status: CheckStatus, info: String) -> Next<'a> {
        let code = self.code.filter(|_| status == CheckStatus::L7Status);
        Next::End(CheckResult { status, code, info, ..CheckResult::default() })
    }

    fn passed(&self, socket: Option<&dyn Socket>) -> CheckResult {
        let only_connected =
            self.script.steps.iter().all(|step| step.may_precede() || matches!(step, Step::Connect(_)));
        let (status, code, info) = match self.script.flavour {
            Flavour::SslHello => (CheckStatus::L6Ok, None, ""),
            Flavour::Tcp | Flavour::TcpScript if only_connected => (CheckStatus::L4Ok, None, ""),
            Flavour::Tcp | Flavour::TcpScript => (CheckStatus::L7Ok, Some(0), "(tcp-check)"),
            Flavour::Agent => (CheckStatus::Checked, None, ""),
            Flavour::Exchange(dialect) => return self.praised(dialect),
            Flavour::Http => (CheckStatus::L7Ok, self.code, ""),
        };
        let result = CheckResult { status, code, info: info.into(), ..CheckResult::default() };
        match self.script.steps.iter().rfind(|step| !step.may_precede()) {
            Some(Step::Expect(last)) => self.told_well(last, result, socket),
            _ => result,
        }
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
}

/// What is said of a server that closed without a word.
fn empty_at(step: usize) -> String {
    format!("TCPCHK got an empty response at step {step}")
}

#[cfg(test)]
mod tests;
