//! The checks that speak a protocol of their own (`option redis-check` and its relatives): when enough has come to judge, and in
//! which words.

use super::super::Dialect;
use super::{ANSWER_MAX, Expectation, Next, Run, Step, empty_at};
use crate::health::{CheckResult, CheckStatus};
use crate::sample::fetch::socket::Socket;

/// Bytes of a server's words that are told.
const TOLD_MAX: usize = 127;
/// Bytes before the content of a `MySQL` packet: its length and its number.
const MYSQL_HEADER: usize = 4;
/// The first byte of a `MySQL` packet that tells of an error.
const MYSQL_ERROR: u8 = 0xff;
/// Where the text begins in an error of `PostgreSQL`: behind its type, its length and the type of its first field.
const PGSQL_TEXT: usize = 6;

impl<'a> Run<'a> {
    /// Judges what a server replied.
    pub(super) fn expect_reply(
        &mut self,
        dialect: Dialect,
        expectation: &Expectation,
        socket: Option<&dyn Socket>,
    ) -> Next<'a> {
        let last = self.closed || self.received.len() >= ANSWER_MAX;
        if self.received.is_empty() && last {
            let status = match dialect {
                Dialect::Redis => CheckStatus::L7Status,
                Dialect::Smtp if !self.is_greeting() => CheckStatus::L7Status,
                Dialect::Smtp | Dialect::Mysql | Dialect::Pgsql | Dialect::Ldap => CheckStatus::L7Response,
            };
            let code = (status == CheckStatus::L7Status).then_some(0);
            // Who has greeted is not without a word.
            let greeted = dialect == Dialect::Mysql
                && matches!(self.script.steps.get(self.at.saturating_sub(1)), Some(Step::Expect(_)));
            let info = if greeted { String::new() } else { empty_at(self.told_step(dialect)) };
            return Next::End(CheckResult { status, code, info, ..CheckResult::default() });
        }
        if dialect == Dialect::Mysql {
            return self.expect_packet(expectation, last, socket);
        }
        let enough = self.received.len() >= expectation.min_recv.unwrap_or(1);
        if !enough && !last {
            return Next::Receive;
        }
        if expectation.found_in(&self.received) {
            return self.accept(socket);
        }
        if expectation.min_recv.is_none() && !last {
            return Next::Receive;
        }
        Next::End(self.blamed(dialect, enough))
    }

    /// A whole packet of `MySQL`; what follows is for the next step.
    fn expect_packet(&mut self, expectation: &Expectation, last: bool, socket: Option<&dyn Socket>) -> Next<'a> {
        let length = match *self.received.as_slice() {
            [low, middle, high, _, ..] => Some(u32::from_le_bytes([low, middle, high, 0]) as usize),
            _ => None,
        };
        let Some(packet) = length.and_then(|length| self.received.get(..MYSQL_HEADER + length)) else {
            return if last { Next::End(self.blamed(Dialect::Mysql, false)) } else { Next::Receive };
        };
        if !expectation.found_in(packet) {
            return Next::End(self.blamed(Dialect::Mysql, true));
        }
        let end = packet.len();
        self.received.drain(..end);
        self.accept(socket)
    }

    /// A mail server has not been spoken to yet.
    fn is_greeting(&self) -> bool {
        self.at == 1
    }

    /// The step's number as haproxy counts it, which has a connection and tests of its own in some of these scripts.
    fn told_step(&self, dialect: Dialect) -> usize {
        match dialect {
            Dialect::Redis | Dialect::Ldap => self.at,
            Dialect::Mysql | Dialect::Pgsql => self.at + 1,
            Dialect::Smtp => self.at + if self.is_greeting() { 1 } else { 2 },
        }
    }

    /// What is said of a server that answered as it should.
    pub(super) fn praised(&self, dialect: Dialect) -> CheckResult {
        let (code, info) = match dialect {
            Dialect::Redis => (0, "Redis server is ok".to_owned()),
            Dialect::Pgsql => (0, "PostgreSQL server is ok".to_owned()),
            Dialect::Mysql | Dialect::Ldap => (0, String::new()),
            Dialect::Smtp => smtp_reply(&self.received),
        };
        CheckResult { status: CheckStatus::L7Ok, code: Some(code), info, ..CheckResult::default() }
    }

    /// What is said of one that answered something else, or not `enough` to be judged.
    fn blamed(&self, dialect: Dialect, enough: bool) -> CheckResult {
        let error = CheckStatus::L7Response;
        let (status, code, info) = match dialect {
            Dialect::Redis => (CheckStatus::L7Status, Some(0), told(&self.received)),
            Dialect::Smtp => {
                let is_reply = matches!(self.received.as_slice(), [a, b, c, b' ' | b'\r' | b'-', ..]
                    if [a, b, c].iter().all(|byte| byte.is_ascii_digit()));
                if is_reply || !self.is_greeting() {
                    let (code, text) = smtp_reply(&self.received);
                    (CheckStatus::L7Status, Some(code), text)
                } else {
                    (error, None, told(&self.received))
                }
            }
            Dialect::Pgsql => match self.received.get(PGSQL_TEXT..) {
                Some(text) if self.received.first() == Some(&b'E') => (error, None, told(text)),
                _ => (CheckStatus::L7Status, Some(0), "PostgreSQL unknown error".to_owned()),
            },
            Dialect::Ldap if enough => (error, None, "Not LDAPv3 protocol".to_owned()),
            Dialect::Mysql if enough => match self.received.as_slice() {
                [_, _, _, _, MYSQL_ERROR, low, high, text @ ..] => {
                    let code = i32::from(u16::from_le_bytes([*low, *high]));
                    (CheckStatus::L7Status, Some(code), told(text))
                }
                _ => (error, None, String::new()),
            },
            Dialect::Ldap | Dialect::Mysql => (error, None, String::new()),
        };
        CheckResult { status, code, info, ..CheckResult::default() }
    }
}

/// Code and text of a mail server's reply.
fn smtp_reply(bytes: &[u8]) -> (i32, String) {
    let line = told(bytes);
    let (code, text) = line.split_at_checked(3).unwrap_or(("", &line));
    (code.parse().unwrap_or(0), text.trim_start_matches([' ', '-']).to_owned())
}

/// What is told of a server's words: the first line, up to a byte that ends texts.
fn told(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n' | 0)).unwrap_or(bytes.len()).min(TOLD_MAX);
    String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned()
}
