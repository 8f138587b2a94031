//! What a check says and expects: the steps of `option httpchk`, `http-check`, `tcp-check` and their relatives.
//!
//! The settings are here; [`run`] makes a machine over bytes of them.

pub mod run;

use std::net::IpAddr;

use super::CheckStatus;
use crate::rules::effect::Effect;
use crate::sample::Expression;
use crate::sample::text::Text;

/// How a server is checked.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum CheckKind {
    /// A connection that opens is a success.
    #[default]
    Tcp,
    /// `option httpchk`: requests and what their responses must be.
    Http(Vec<HttpStep>),
    /// `option tcp-check`: bytes to send and to expect.
    TcpScript(Vec<TcpStep>),
    /// `option redis-check` and its relatives.
    Exchange(Dialect, Vec<TcpStep>),
    /// `option ssl-hello-chk`: a TLS hello is answered by one.
    SslHello,
    /// `option external-check`: a program tells.
    External(External),
    /// `agent-check`: these bytes (`agent-send`) are sent and a line is read.
    Agent(Vec<u8>),
}

/// Whose protocol an exchange speaks: it says in which words the outcome is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// `option redis-check`
    Redis,
    /// `option mysql-check`
    Mysql,
    /// `option pgsql-check`
    Pgsql,
    /// `option smtpchk`
    Smtp,
    /// `option ldap-check`
    Ldap,
}

/// `option external-check`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct External {
    /// `external-check command`.
    pub command: String,
    /// `external-check path`.
    pub path: Option<String>,
}

/// One `http-check` rule, after `option httpchk` became rules too.
#[derive(Debug, Clone, PartialEq)]
pub enum HttpStep {
    /// Opens the connection.
    Connect(ConnectStep),
    /// Sends a request.
    Send(HttpSend),
    /// Judges the response.
    Expect(Expect),
    /// `set-var`, `set-var-fmt`, `unset-var`.
    Variable(Effect),
    /// `comment`: told where a step that follows fails and has none of its own.
    Comment(String),
}

/// One `tcp-check` rule.
#[derive(Debug, Clone, PartialEq)]
pub enum TcpStep {
    /// Opens the connection.
    Connect(ConnectStep),
    /// Sends bytes.
    Send(Vec<u8>),
    /// `send-lf`: sends a text.
    SendText(Text),
    /// `send-binary-lf`: sends the bytes that a text gives as hexadecimal digits.
    SendDigits(Text),
    /// Judges what was received.
    Expect(Expect),
    /// `set-var`, `set-var-fmt`, `unset-var`.
    Variable(Effect),
    /// `comment`
    Comment(String),
}

/// `connect` of a check script.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ConnectStep {
    /// Instead of the check's address.
    pub address: Option<IpAddr>,
    /// Instead of the check's port.
    pub port: Option<u16>,
    /// The same as an expression; what is no port leaves the check's own.
    pub port_from: Option<Expression>,
    /// A PROXY header is sent first.
    pub send_proxy: bool,
    /// Through the server's `socks4`.
    pub via_socks4: bool,
    /// `default`: as the server's own connections where it is not said otherwise, even to another place.
    pub as_server: bool,
    /// `linger`: the connection is closed rather than broken off.
    pub linger: bool,
    /// No line says it.
    pub implied: bool,
    /// Shown as the step's name in check reports.
    pub comment: Option<String>,
}

impl ConnectStep {
    /// The one that a check begins with where none is written.
    pub fn implied() -> Self {
        Self { as_server: true, implied: true, ..Self::default() }
    }
}

/// The request of an HTTP check.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpSend {
    /// The method, `OPTIONS` without one.
    pub method: String,
    /// The request target, `/` without one.
    pub uri: Text,
    /// The version as written, `HTTP/1.0` without one.
    pub version: String,
    /// Header fields in the order given; one without a value is left out.
    pub headers: Vec<(String, Text)>,
    /// The body; a `content-length` is added when there is one.
    pub body: Option<Text>,
}

impl Default for HttpSend {
    fn default() -> Self {
        Self {
            method: "OPTIONS".into(),
            uri: Text::literal(*b"/"),
            version: "HTTP/1.0".into(),
            headers: Vec::new(),
            body: None,
        }
    }
}

/// `expect` of a check script.
#[derive(Debug, Clone, PartialEq)]
pub struct Expect {
    /// The match must fail (`!`).
    pub negate: bool,
    /// What is looked for.
    pub pattern: ExpectPattern,
    /// Do not judge before so many bytes came.
    pub min_recv: Option<u32>,
    /// Shown as the step's name in check reports.
    pub comment: Option<String>,
    /// What is told, and how it is told.
    pub report: Report,
}

/// What a check reports at an `expect`, where it is not what it says by itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// `ok-status`: of a check that ends well with this step.
    pub ok: Option<CheckStatus>,
    /// `error-status`: of one that ends here.
    pub error: Option<CheckStatus>,
    /// `tout-status`: of one whose time is up here.
    pub timeout: Option<CheckStatus>,
    /// `on-success`: the words for the first.
    pub on_success: Option<Text>,
    /// `on-error`: the words for the second.
    pub on_error: Option<Text>,
    /// `status-code`: the code that is told with it.
    pub code: Option<Expression>,
}

impl Expect {
    /// One that says nothing but what is looked for.
    pub fn new(pattern: ExpectPattern) -> Self {
        Self { negate: false, pattern, min_recv: None, comment: None, report: Report::default() }
    }
}

/// What a check expects.
#[derive(Debug, Clone, PartialEq)]
pub enum ExpectPattern {
    /// `status`: codes and ranges of codes, both ends included.
    Status(Vec<(u16, u16)>),
    /// `rstatus`: a regular expression over the status code.
    StatusRegex(String),
    /// `string` (and `binary`): bytes somewhere in the body, or in what a TCP check received.
    Bytes(Vec<u8>),
    /// `rstring`: a regular expression over the same.
    Regex(String),
    /// `rbinary`: one over its bytes as hexadecimal digits.
    DigitsRegex(String),
    /// `string-lf`: what a text gives, somewhere in the same.
    Text(Text),
    /// `binary-lf`: the bytes that a text gives as hexadecimal digits.
    Digits(Text),
    /// `hdr`, `fhdr`: a header field.
    Header(HeaderPattern),
}

/// A header field that a check expects.
#[derive(Debug, Clone, PartialEq)]
pub struct HeaderPattern {
    /// `fhdr`: values are not split at their commas.
    pub whole: bool,
    /// Its name, whose case does not matter.
    pub name: Wanted,
    /// Its value. `None`: any.
    pub value: Option<Wanted>,
}

/// A text of which something is wanted.
#[derive(Debug, Clone, PartialEq)]
pub enum Wanted {
    /// `-m str`
    Equals(Text),
    /// `-m beg`
    Begins(Text),
    /// `-m end`
    Ends(Text),
    /// `-m sub`
    Contains(Text),
    /// `-m reg`
    Matches(String),
}
