//! What a check says and expects: the steps of `option httpchk`, `http-check`, `tcp-check` and their relatives.
//!
//! The settings are here; [`run`] makes a machine over bytes of them.

pub mod run;

use std::net::IpAddr;

/// How a server is checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpStep {
    /// Opens the connection.
    Connect(ConnectStep),
    /// Sends a request.
    Send(HttpSend),
    /// Judges the response.
    Expect(Expect),
}

/// One `tcp-check` rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TcpStep {
    /// Opens the connection.
    Connect(ConnectStep),
    /// Sends bytes.
    Send(Vec<u8>),
    /// Judges what was received.
    Expect(Expect),
}

/// `connect` of a check script.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConnectStep {
    /// Instead of the check's address.
    pub address: Option<IpAddr>,
    /// Instead of the check's port.
    pub port: Option<u16>,
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpSend {
    /// The method, `OPTIONS` without one.
    pub method: String,
    /// The request target, `/` without one.
    pub uri: String,
    /// The version as written, `HTTP/1.0` without one.
    pub version: String,
    /// Header fields in the order given.
    pub headers: Vec<(String, String)>,
    /// The body; a `content-length` is added when there is one.
    pub body: Vec<u8>,
}

impl Default for HttpSend {
    fn default() -> Self {
        Self {
            method: "OPTIONS".into(),
            uri: "/".into(),
            version: "HTTP/1.0".into(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }
}

/// `expect` of a check script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expect {
    /// The match must fail (`!`).
    pub negate: bool,
    /// What is looked for.
    pub pattern: ExpectPattern,
    /// Do not judge before so many bytes came.
    pub min_recv: Option<u32>,
    /// Shown as the step's name in check reports.
    pub comment: Option<String>,
}

/// What a check expects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExpectPattern {
    /// `status`: codes and ranges of codes, both ends included.
    Status(Vec<(u16, u16)>),
    /// `rstatus`: a regular expression over the status code.
    StatusRegex(String),
    /// `string` (and `binary`): bytes somewhere in the body, or in what a TCP check received.
    Bytes(Vec<u8>),
    /// `rstring` (and `rbinary`): a regular expression over the same.
    Regex(String),
}
