//! The actions of the rule sets.

use super::{Arity, Support};
use Ruleset::{
    HttpAfterResponse, HttpRequest, HttpResponse, QuicInitial, TcpRequestConnection, TcpRequestContent,
    TcpRequestSession, TcpResponseContent,
};
use Support::{NoEffect, Unsupported, Works};

/// A list of rules of one kind in a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the variants are the words of the manual")]
#[repr(u8)]
pub enum Ruleset {
    TcpRequestConnection,
    TcpRequestSession,
    TcpRequestContent,
    TcpResponseContent,
    QuicInitial,
    HttpRequest,
    HttpResponse,
    HttpAfterResponse,
}

impl Ruleset {
    /// All of them, in the order `-dK` prints them.
    pub const ALL: [Self; 8] = [
        TcpRequestConnection,
        TcpRequestSession,
        TcpRequestContent,
        TcpResponseContent,
        HttpRequest,
        HttpResponse,
        HttpAfterResponse,
        QuicInitial,
    ];

    /// The words before the action.
    pub const fn name(self) -> &'static str {
        match self {
            TcpRequestConnection => "tcp-request connection",
            TcpRequestSession => "tcp-request session",
            TcpRequestContent => "tcp-request content",
            TcpResponseContent => "tcp-response content",
            QuicInitial => "quic-initial",
            HttpRequest => "http-request",
            HttpResponse => "http-response",
            HttpAfterResponse => "http-after-response",
        }
    }
}

/// A set of rule sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rulesets(u8);

impl Rulesets {
    const fn of(rulesets: &[Ruleset]) -> Self {
        let mut bits = 0;
        let mut i = 0;
        while i < rulesets.len() {
            bits |= 1 << rulesets[i] as u8;
            i += 1;
        }
        Self(bits)
    }

    /// Whether the rule set is one of them.
    pub const fn contains(self, ruleset: Ruleset) -> bool {
        self.0 & (1 << ruleset as u8) != 0
    }
}

/// An action. One name has several rows where its support differs between rule sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Action {
    /// Without the parentheses or the number that may follow; `track-sc` stands for `track-sc0`, `track-sc1` and so on.
    pub name: &'static str,
    /// Where it may stand.
    pub rulesets: Rulesets,
    /// Words between the name and the condition.
    pub arity: Arity,
    /// The name is followed by `(…)`, as in `set-var(txn.x)`.
    pub parenthesis: bool,
    /// What this version does with it.
    pub support: Support,
}

const fn action(name: &'static str, rulesets: &[Ruleset], arity: Arity, support: Support) -> Action {
    Action { name, rulesets: Rulesets::of(rulesets), arity, parenthesis: false, support }
}

impl Action {
    const fn parenthesis(mut self) -> Self {
        self.parenthesis = true;
        self
    }

    /// As haproxy lists it: with `*` where something follows the name directly.
    pub fn pattern(&self) -> String {
        let star = if self.parenthesis || self.name == "track-sc" { "*" } else { "" };
        format!("{}{star}", self.name)
    }

    /// Whether a word is this action: the name, then parentheses or a number where the row has them.
    pub(super) fn fits(&self, word: &str) -> bool {
        let Some(rest) = word.strip_prefix(self.name) else { return false };
        if self.name == "track-sc" {
            return !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit());
        }
        rest.is_empty() || (self.parenthesis && rest.starts_with('('))
    }
}

/// No argument.
const NONE: Arity = Arity::exactly(0);
/// One argument.
const ONE: Arity = Arity::exactly(1);
/// Two arguments.
const TWO: Arity = Arity::exactly(2);

/// Sorted by name.
#[rustfmt::skip]
pub const ACTIONS: &[Action] = &[
    action("accept", &[TcpRequestConnection, TcpRequestSession, TcpRequestContent, TcpResponseContent], NONE, Works),
    action("accept", &[QuicInitial], NONE, Unsupported),
    action("add-acl", &[HttpRequest, HttpResponse], ONE, Works).parenthesis(),
    action("add-header", &[HttpRequest, HttpResponse, HttpAfterResponse], TWO, Works),
    action("add-headers-bin", &[HttpRequest, HttpResponse, HttpAfterResponse], Arity::at_least(1), Works),
    action("allow", &[HttpRequest, HttpResponse, HttpAfterResponse], NONE, Works),
    action("attach-srv", &[TcpRequestSession], Arity::at_least(1), Unsupported),
    action("auth", &[HttpRequest], Arity::at_least(0), Works),
    action("cache-store", &[HttpResponse], ONE, NoEffect),
    action("cache-use", &[HttpRequest], ONE, NoEffect),
    action("capture", &[TcpRequestContent, HttpRequest, HttpResponse, HttpAfterResponse], Arity::at_least(1), Works),
    action("close", &[TcpResponseContent], NONE, Works),
    action("del-acl", &[HttpRequest, HttpResponse, HttpAfterResponse], ONE, Works).parenthesis(),
    action("del-header", &[HttpRequest, HttpResponse, HttpAfterResponse], Arity::at_least(1), Works),
    action("del-headers-bin", &[HttpRequest, HttpResponse, HttpAfterResponse], Arity::at_least(1), Works),
    action("del-map", &[HttpRequest, HttpResponse, HttpAfterResponse], ONE, Works).parenthesis(),
    action("deny", &[HttpRequest, HttpResponse], Arity::at_least(0), Works),
    action("dgram-drop", &[QuicInitial], NONE, Unsupported),
    action("disable-l7-retry", &[HttpRequest], NONE, Works),
    action("do-log", &[TcpRequestConnection, TcpRequestSession, TcpRequestContent, TcpResponseContent, HttpRequest, HttpResponse, HttpAfterResponse], Arity::at_least(0), Works),
    action("do-resolve", &[TcpRequestContent, HttpRequest], Arity::at_least(1), Works).parenthesis(),
    action("early-hint", &[HttpRequest], TWO, Works),
    action("expect-netscaler-cip", &[TcpRequestConnection], ONE, Works),
    action("expect-proxy", &[TcpRequestConnection], ONE, Works),
    action("normalize-uri", &[HttpRequest], Arity::at_least(1), Works),
    action("ot-group", &[TcpRequestContent, TcpResponseContent, HttpRequest, HttpResponse, HttpAfterResponse], TWO, Unsupported),
    action("pause", &[HttpRequest, HttpResponse], Arity::at_least(1), Works),
    action("redirect", &[HttpRequest, HttpResponse], Arity::at_least(2), Works),
    action("reject", &[TcpRequestConnection, TcpRequestSession, TcpRequestContent, TcpResponseContent, HttpRequest], NONE, Works),
    action("reject", &[QuicInitial], NONE, Unsupported),
    action("replace-header", &[HttpRequest, HttpResponse, HttpAfterResponse], Arity::exactly(3), Works),
    action("replace-path", &[HttpRequest], TWO, Works),
    action("replace-pathq", &[HttpRequest], TWO, Works),
    action("replace-uri", &[HttpRequest], TWO, Works),
    action("replace-value", &[HttpRequest, HttpResponse, HttpAfterResponse], Arity::exactly(3), Works),
    action("return", &[HttpRequest, HttpResponse], Arity::at_least(0), Works),
    action("sc-add-gpc", &[TcpRequestConnection, TcpRequestSession, TcpRequestContent, TcpResponseContent, HttpRequest, HttpResponse, HttpAfterResponse], Arity::at_least(1), Works).parenthesis(),
    action("sc-inc-gpc", &[TcpRequestConnection, TcpRequestSession, TcpRequestContent, TcpResponseContent, HttpRequest, HttpResponse, HttpAfterResponse], NONE, Works).parenthesis(),
    action("sc-inc-gpc0", &[TcpRequestConnection, TcpRequestSession, TcpRequestContent, TcpResponseContent, HttpRequest, HttpResponse, HttpAfterResponse], NONE, Works).parenthesis(),
    action("sc-inc-gpc1", &[TcpRequestConnection, TcpRequestSession, TcpRequestContent, TcpResponseContent, HttpRequest, HttpResponse, HttpAfterResponse], NONE, Works).parenthesis(),
    action("sc-set-gpt", &[TcpRequestConnection, TcpRequestSession, TcpRequestContent, TcpResponseContent, HttpRequest, HttpResponse, HttpAfterResponse], Arity::at_least(1), Works).parenthesis(),
    action("sc-set-gpt0", &[TcpRequestConnection, TcpRequestSession, TcpRequestContent, TcpResponseContent, HttpRequest, HttpResponse, HttpAfterResponse], Arity::at_least(1), Works).parenthesis(),
    action("send-retry", &[QuicInitial], NONE, Unsupported),
    action("send-spoe-group", &[TcpRequestContent, TcpResponseContent, HttpRequest, HttpResponse], TWO, Unsupported),
    action("set-bandwidth-limit", &[TcpRequestContent, TcpResponseContent, HttpRequest, HttpResponse], Arity::at_least(1), Works),
    action("set-bc-mark", &[TcpRequestContent, HttpRequest], Arity::at_least(1), Works),
    action("set-bc-tos", &[TcpRequestContent, HttpRequest], Arity::at_least(1), Works),
    action("set-dst", &[TcpRequestConnection, TcpRequestSession, TcpRequestContent, HttpRequest], Arity::at_least(1), Works),
    action("set-dst-port", &[TcpRequestConnection, TcpRequestSession, TcpRequestContent, HttpRequest], Arity::at_least(1), Works),
    action("set-fc-mark", &[TcpRequestConnection, TcpRequestSession, TcpRequestContent, TcpResponseContent, HttpRequest, HttpResponse], Arity::at_least(1), Works),
    action("set-fc-tos", &[TcpRequestConnection, TcpRequestSession, TcpRequestContent, TcpResponseContent, HttpRequest, HttpResponse], Arity::at_least(1), Works),
    action("set-header", &[HttpRequest, HttpResponse, HttpAfterResponse], TWO, Works),
    action("set-headers-bin", &[HttpRequest, HttpResponse, HttpAfterResponse], Arity::at_least(1), Works),
    action("set-log-level", &[TcpRequestContent, TcpResponseContent, HttpRequest, HttpResponse, HttpAfterResponse], ONE, Works),
    action("set-map", &[HttpRequest, HttpResponse, HttpAfterResponse], TWO, Works).parenthesis(),
    action("set-mark", &[TcpRequestConnection, TcpRequestSession, TcpRequestContent, TcpResponseContent, HttpRequest, HttpResponse], Arity::at_least(1), Works),
    action("set-method", &[HttpRequest], ONE, Works),
    action("set-nice", &[TcpRequestContent, TcpResponseContent, HttpRequest, HttpResponse], ONE, NoEffect),
    action("set-path", &[HttpRequest], ONE, Works),
    action("set-pathq", &[HttpRequest], ONE, Works),
    action("set-priority-class", &[TcpRequestContent, HttpRequest], Arity::at_least(1), Works),
    action("set-priority-offset", &[TcpRequestContent, HttpRequest], Arity::at_least(1), Works),
    action("set-query", &[HttpRequest], ONE, Works),
    action("set-retries", &[TcpRequestContent, HttpRequest], Arity::at_least(1), Works),
    action("set-src", &[TcpRequestConnection, TcpRequestSession, TcpRequestContent, HttpRequest], Arity::at_least(1), Works),
    action("set-src-port", &[TcpRequestConnection, TcpRequestSession, TcpRequestContent, HttpRequest], Arity::at_least(1), Works),
    action("set-status", &[HttpResponse, HttpAfterResponse], Arity::at_least(1), Works),
    action("set-timeout", &[HttpRequest, HttpResponse], Arity::at_least(2), Works),
    action("set-tos", &[TcpRequestConnection, TcpRequestSession, TcpRequestContent, TcpResponseContent, HttpRequest, HttpResponse], Arity::at_least(1), Works),
    action("set-uri", &[HttpRequest], ONE, Works),
    action("set-var", &[TcpRequestConnection, TcpRequestSession, TcpRequestContent, TcpResponseContent, HttpRequest, HttpResponse, HttpAfterResponse], Arity::at_least(1), Works).parenthesis(),
    action("set-var-fmt", &[TcpRequestConnection, TcpRequestSession, TcpRequestContent, TcpResponseContent, HttpRequest, HttpResponse, HttpAfterResponse], ONE, Works).parenthesis(),
    action("silent-drop", &[TcpRequestConnection, TcpRequestSession, TcpRequestContent, TcpResponseContent, HttpRequest, HttpResponse], Arity::at_least(0), Works),
    action("strict-mode", &[HttpRequest, HttpResponse, HttpAfterResponse], ONE, Works),
    action("switch-mode", &[TcpRequestContent], Arity::at_least(1), Works),
    action("tarpit", &[HttpRequest], Arity::at_least(0), Works),
    action("track-sc", &[TcpRequestConnection, TcpRequestSession, TcpRequestContent, HttpRequest, HttpResponse], Arity::at_least(1), Works),
    action("unset-var", &[TcpRequestConnection, TcpRequestSession, TcpRequestContent, TcpResponseContent, HttpRequest, HttpResponse, HttpAfterResponse], NONE, Works).parenthesis(),
    action("use-service", &[TcpRequestContent, HttpRequest], ONE, Works),
    action("wait-for-body", &[HttpRequest, HttpResponse], Arity::at_least(2), Works),
    action("wait-for-handshake", &[HttpRequest], NONE, Works),
];
