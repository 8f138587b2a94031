//! Rules: conditions and what is done when they hold.
//!
//! A section's [`Rules`] are compiled once. They look at a [`Context`](crate::sample::Context), change the message's head
//! in place, and answer with a [`Verdict`]: what the data path has to do now. They read no clock and touch no socket.
//!
//! - [`acl`] tests, ACLs and conditions
//! - [`effect`] what is kept for later, in every rule set
//! - [`headers_bin`] fields from one sample
//! - [`http`] `http-request`, `http-response`, `http-after-response`
//! - [`normalize`] `normalize-uri`
//! - [`redirect`] where a redirect leads
//! - [`resolve`] names that name servers are asked about
//! - [`switch`] `use_backend`, many rules in one look-up
//! - [`stick`] persistence by stick tables
//! - [`tcp`] `tcp-request`, `tcp-response`

pub mod acl;
pub mod bandwidth;
pub mod effect;
pub mod forwarded;
pub mod headers_bin;
pub mod http;
pub mod lines;
pub mod normalize;
pub mod redirect;
pub mod resolve;
pub mod stick;
pub mod switch;
pub mod tcp;

use crate::http::Head;
use crate::ids::{BackendId, ProfileId, ServerIndex};
use crate::proxy::settings::ErrorAnswer;
use crate::sample::text::Text;
use crate::sample::transaction::{Transaction, Written};
use crate::sample::{Context, Stream};
use acl::{Acl, Condition};
use http::{HttpAction, Outcome, Reply};
use redirect::Redirect;
use resolve::Question;
use std::sync::Arc;
use std::time::Duration;
use stick::Stick;
use switch::Switch;
use tcp::{TcpAction, TcpVerdict};

/// Something to do, and when. Without a condition: always.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule<A> {
    /// When.
    pub condition: Option<Condition>,
    /// What.
    pub action: A,
    /// Where it is written; known only where somebody asks for it (`last_rule_file` and so on).
    pub written: Option<Arc<Written>>,
}

impl<A> Rule<A> {
    fn holds(&self, acls: &[Acl], context: &Context<'_>) -> bool {
        self.condition.as_ref().is_none_or(|condition| condition.holds(acls, context))
    }

    /// Notes that it had the last word.
    fn decided(&self, stream: &Stream<'_>) {
        if let (Some(written), Some(transaction)) = (&self.written, stream.transaction) {
            transaction.rare().last_rule.replace(Some(Arc::clone(written)));
        }
    }

    /// Notes what became of it.
    fn judged(&self, stream: &Stream<'_>, verdict: &Verdict) {
        match verdict {
            Verdict::Log(_) => {}
            verdict if verdict.goes_on() => self.waits(stream),
            _ => self.decided(stream),
        }
    }

    /// Notes that it waits for something.
    fn waits(&self, stream: &Stream<'_>) {
        if let (Some(written), Some(transaction)) = (&self.written, stream.transaction) {
            transaction.rare().waiting_rule.replace(Some(Arc::clone(written)));
        }
    }

    /// The same where bytes may be missing: `None` if it cannot be told before more have come.
    fn judge(&self, acls: &[Acl], context: &Context<'_>) -> Option<bool> {
        self.condition.as_ref().map_or(Some(true), |condition| condition.judge(acls, context))
    }
}

/// What the data path does with a message after a set of rules.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It goes on.
    Continue,
    /// Refused by an administrator's rule: answered with this (403 and log state `PR` unless the rule says otherwise).
    Deny(Answer),
    /// As `Deny`, but only after `timeout tarpit` (log state `PT`).
    Tarpit(Answer),
    /// Answered here, as a redirect or a demand for a password is (log state `LR`).
    Reply(Answer),
    /// The connection is closed without an answer.
    Reject,
    /// The connection is forgotten without telling the client.
    SilentDrop(Silence),
    /// The rules go on once more of the message's body has come.
    WaitForBody(Wait),
    /// `use-service`: answered here, by a service of proxyd's own (log state `LR`).
    Serve(Service),
    /// The rules go on once name servers have answered, or have failed to.
    Resolve(Question),
    /// The rules go on after so long.
    Pause(Duration),
    /// `do-log`: the rules go on once a line was logged, by this profile where there is one.
    Log(Option<ProfileId>),
}

impl Verdict {
    /// Whether the rules go on after it.
    fn goes_on(&self) -> bool {
        matches!(self, Self::WaitForBody(_) | Self::Resolve(_) | Self::Pause(_) | Self::Log(_))
    }
}

/// Who answers in the place of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// `prometheus-exporter`: the statistics as metrics.
    PrometheusExporter,
}

/// How `silent-drop` keeps the end of a connection from the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Silence {
    /// Nothing is sent, where the system allows that; else the reset gets no further than the first router.
    Unsaid,
    /// `rst-ttl`: a reset is sent that passes so many routers.
    Reset(u8),
}

impl Silence {
    /// Through so many routers a reset passes, if one is sent.
    pub fn reset(self) -> Option<u8> {
        match self {
            Self::Unsaid => None,
            Self::Reset(ttl) => Some(ttl),
        }
    }
}

/// `wait-for-body`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// For how long at most.
    pub time: Duration,
    /// `at-least`, in bytes. 0: all of it.
    pub at_least: u64,
}

/// An answer made by a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Fields besides `content-length`, `content-type` and what the connection needs. Names in lower case.
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
    /// What follows the head.
    pub body: Body,
}

/// The body of an [`Answer`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// The section's error page for the status, or the built-in one.
    ErrorPage,
    /// A whole answer that was read from a file, with its own status and fields.
    File(Arc<ErrorAnswer>),
    /// That of a redirect: none.
    Redirect,
    /// Exactly these bytes, possibly none.
    Bytes {
        /// `content-type`, where there is one.
        content_type: Option<Vec<u8>>,
        /// The bytes.
        bytes: Vec<u8>,
    },
}

impl Answer {
    /// The error page of a status.
    pub fn error(status: u16) -> Self {
        Self { status, fields: Vec::new(), body: Body::ErrorPage }
    }

    /// No body at all.
    pub fn empty(status: u16) -> Self {
        Self { status, fields: Vec::new(), body: Body::Bytes { content_type: None, bytes: Vec::new() } }
    }
}

/// The server that a `use-server` rule names.
#[derive(Clone, Debug, PartialEq)]
pub enum ServerName {
    /// Known when the configuration was read.
    Fixed(ServerIndex),
    /// Made for each request: `%[…]`. Where no server has that name, the rule says nothing, and no other is looked at.
    Dynamic(Text),
}

/// All rules of one section.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Rules {
    /// What the conditions name; [`Condition`] holds numbers into this list.
    pub acls: Vec<Acl>,
    /// `tcp-request connection`
    pub tcp_request_connection: Vec<Rule<TcpAction>>,
    /// `tcp-request session`
    pub tcp_request_session: Vec<Rule<TcpAction>>,
    /// `tcp-request content`
    pub tcp_request_content: Vec<Rule<TcpAction>>,
    /// `tcp-response content`
    pub tcp_response_content: Vec<Rule<TcpAction>>,
    /// `http-request`, and what older words say the same way.
    pub http_request: Vec<Rule<HttpAction>>,
    /// `redirect`: after all of `http-request`, even where that ended with `allow`.
    pub redirects: Vec<Rule<Redirect>>,
    /// `http-response`
    pub http_response: Vec<Rule<HttpAction>>,
    /// `http-after-response`
    pub http_after_response: Vec<Rule<HttpAction>>,
    /// `http-error`: what a status is answered with.
    pub http_errors: Vec<(u16, Reply)>,
    /// `use_backend`
    pub use_backend: Switch,
    /// `use-server`
    pub use_server: Vec<Rule<ServerName>>,
    /// The lengths of what `capture` actions keep of requests, each a place after those the frontend declares.
    pub request_captures: Vec<usize>,
    /// The same of responses.
    pub response_captures: Vec<usize>,
    /// `monitor fail`
    pub monitor_fail: Vec<Condition>,
    /// `stats http-request`: who may see the statistics page.
    pub stats_http_request: Vec<Rule<HttpAction>>,
    /// `stats admin`
    pub stats_admin: Vec<Condition>,
    /// `force-be-switch`: backends that are disabled or not published are chosen all the same.
    pub force_be_switch: Vec<Condition>,
    /// `force-persist`: a cookie counts even when its server is down.
    pub force_persist: Vec<Condition>,
    /// `ignore-persist`: a cookie does not count.
    pub ignore_persist: Vec<Condition>,
    /// `stick match`, `stick store-request` and `stick on`, in their order.
    pub stick_request: Vec<Rule<Stick>>,
    /// `stick store-response`
    pub stick_response: Vec<Rule<Stick>>,
}

impl Rules {
    /// Whether there is nothing to evaluate on a request, so that the data path need not build a context.
    pub fn is_empty(&self) -> bool {
        let Self {
            acls: _,
            tcp_request_connection,
            tcp_request_session,
            tcp_request_content,
            tcp_response_content,
            http_request,
            redirects,
            http_response,
            http_after_response,
            http_errors: _,
            use_backend,
            use_server,
            request_captures: _,
            response_captures: _,
            monitor_fail,
            stats_http_request,
            stats_admin,
            force_be_switch,
            force_persist,
            ignore_persist,
            stick_request,
            stick_response,
        } = self;
        let tcp = [tcp_request_connection, tcp_request_session, tcp_request_content, tcp_response_content];
        let http = [http_request, http_response, http_after_response, stats_http_request];
        let conditions = [monitor_fail, stats_admin, force_be_switch, force_persist, ignore_persist];
        tcp.iter().all(|list| list.is_empty())
            && http.iter().all(|list| list.is_empty())
            && conditions.iter().all(|list| list.is_empty())
            && redirects.is_empty()
            && use_backend.is_empty()
            && use_server.is_empty()
            && stick_request.is_empty()
            && stick_response.is_empty()
    }

    /// `http-request`, then `redirect`. The request's head is changed in place. `at` is the rule to go on with after a wait.
    pub fn http_request(&self, request: &mut Head, stream: &Stream<'_>, at: &mut usize) -> Verdict {
        let verdict = self.on_request(&self.http_request, request, stream, at);
        if verdict != Verdict::Continue {
            return verdict;
        }
        let context = Context { request: Some(&*request), response: None, stream };
        let redirect = self.redirects.iter().find(|rule| rule.holds(&self.acls, &context));
        match redirect.and_then(|rule| rule.action.answer(&context)) {
            Some(answer) => Verdict::Reply(answer),
            None => Verdict::Continue,
        }
    }

    /// `stats http-request`: whether the statistics page may be shown. `at` likewise.
    pub fn stats_http_request(&self, request: &mut Head, stream: &Stream<'_>, at: &mut usize) -> Verdict {
        self.on_request(&self.stats_http_request, request, stream, at)
    }

    fn on_request(
        &self,
        rules: &[Rule<HttpAction>],
        request: &mut Head,
        stream: &Stream<'_>,
        at: &mut usize,
    ) -> Verdict {
        resumed(stream);
        for rule in rules.iter().skip(*at) {
            *at += 1;
            let context = Context { request: Some(&*request), response: None, stream };
            if !rule.holds(&self.acls, &context) {
                continue;
            }
            match rule.action.perform(http::Messages::Request(&mut *request), stream) {
                Outcome::Next => {}
                Outcome::Allow => {
                    rule.decided(stream);
                    break;
                }
                Outcome::End(verdict) => {
                    rule.judged(stream, &verdict);
                    return verdict;
                }
            }
        }
        Verdict::Continue
    }

    /// `http-response`. The response's head is changed in place. `at` is the rule to go on with after a wait.
    pub fn http_response(
        &self,
        request: Option<&Head>,
        response: &mut Head,
        stream: &Stream<'_>,
        at: &mut usize,
    ) -> Verdict {
        self.on_response(&self.http_response, request, response, stream, at)
    }

    /// `http-after-response`: for every response, also those made here. It can only change the head, and log. `at` is the rule
    /// to go on with after that.
    pub fn http_after_response(
        &self,
        request: Option<&Head>,
        response: &mut Head,
        stream: &Stream<'_>,
        at: &mut usize,
    ) -> Verdict {
        self.on_response(&self.http_after_response, request, response, stream, at)
    }

    fn on_response(
        &self,
        rules: &[Rule<HttpAction>],
        request: Option<&Head>,
        response: &mut Head,
        stream: &Stream<'_>,
        at: &mut usize,
    ) -> Verdict {
        resumed(stream);
        for rule in rules.iter().skip(*at) {
            *at += 1;
            let context = Context { request, response: Some(&*response), stream };
            if !rule.holds(&self.acls, &context) {
                continue;
            }
            match rule.action.perform(http::Messages::Response(request, &mut *response), stream) {
                Outcome::Next => {}
                Outcome::Allow => {
                    rule.decided(stream);
                    break;
                }
                Outcome::End(verdict) => {
                    rule.judged(stream, &verdict);
                    // The answer in its place has a status of its own.
                    if let Some(transaction) = stream.transaction.filter(|_| !verdict.goes_on()) {
                        transaction.rare().server_status.get_or_init(|| response.status());
                    }
                    return verdict;
                }
            }
        }
        Verdict::Continue
    }

    /// `use_backend`: the backend of the first rule that holds, among those that take the request. A name made at run time that
    /// no backend has counts as no rule.
    pub fn choose_backend(&self, context: &Context<'_>, takes: impl Fn(BackendId) -> bool) -> Option<BackendId> {
        self.use_backend.choose(&self.acls, context, takes)
    }

    /// `use-server`: the server of the first rule that holds.
    pub fn choose_server(&self, context: &Context<'_>) -> Option<ServerIndex> {
        match &self.use_server.iter().find(|rule| rule.holds(&self.acls, context))?.action {
            ServerName::Fixed(server) => Some(*server),
            ServerName::Dynamic(text) => {
                let mut name = Vec::new();
                text.write_raw(context, &mut name);
                context.stream.live.server_of(context.stream.backend?.0, &name)
            }
        }
    }

    /// `tcp-request connection`: nothing but addresses is known yet. `at` is the rule to go on with after what is expected was
    /// noted.
    pub fn tcp_request_connection(&self, stream: &Stream<'_>, at: &mut usize) -> TcpVerdict {
        self.tcp(&self.tcp_request_connection, &Context { request: None, response: None, stream }, at)
    }

    /// `tcp-request session`: after the PROXY header and TLS. `at` is the rule to go on with after a line was logged.
    pub fn tcp_request_session(&self, stream: &Stream<'_>, at: &mut usize) -> TcpVerdict {
        self.tcp(&self.tcp_request_session, &Context { request: None, response: None, stream }, at)
    }

    /// `tcp-request content`: in `mode http` with the request's head. `at` is the rule to go on with after a wait.
    pub fn tcp_request_content(&self, context: &Context<'_>, at: &mut usize) -> TcpVerdict {
        self.tcp(&self.tcp_request_content, context, at)
    }

    /// `tcp-response content`: in `mode http` with the response's head, once it is there.
    pub fn tcp_response_content(&self, context: &Context<'_>, at: &mut usize) -> TcpVerdict {
        self.tcp(&self.tcp_response_content, context, at)
    }

    fn tcp(&self, rules: &[Rule<TcpAction>], context: &Context<'_>, at: &mut usize) -> TcpVerdict {
        resumed(context.stream);
        while let Some(rule) = rules.get(*at) {
            match rule.judge(&self.acls, context) {
                None => {
                    rule.waits(context.stream);
                    // With more bytes all rules are asked again, as with haproxy: what they keep is of those bytes then.
                    *at = 0;
                    return TcpVerdict::Wait;
                }
                Some(false) => {}
                Some(true) => {
                    if let Some(verdict) = rule.action.perform(context) {
                        match verdict {
                            TcpVerdict::Wait | TcpVerdict::Resolve(_) | TcpVerdict::Expect(_) => {
                                rule.waits(context.stream);
                            }
                            TcpVerdict::Log(_) => {}
                            _ => rule.decided(context.stream),
                        }
                        // Unlike bytes that have not come, an answer is not waited for twice.
                        *at += usize::from(matches!(
                            verdict,
                            TcpVerdict::Resolve(_) | TcpVerdict::Expect(_) | TcpVerdict::Log(_)
                        ));
                        return verdict;
                    }
                }
            }
            *at += 1;
        }
        TcpVerdict::Continue
    }

    /// Whether one of these conditions of the section holds.
    pub fn any(&self, conditions: &[Condition], context: &Context<'_>) -> bool {
        conditions.iter().any(|condition| condition.holds(&self.acls, context))
    }
}

/// Whoever waited does so no longer.
fn resumed(stream: &Stream<'_>) {
    if let Some(rare) = stream.transaction.and_then(Transaction::known_rare) {
        rare.waiting_rule.take();
    }
}

/// A value never ends its line: what a sample brings along after a CR, LF or NUL would be read as another header.
fn line_safe(mut value: Vec<u8>) -> Vec<u8> {
    for byte in &mut value {
        if matches!(byte, b'\r' | b'\n' | 0) {
            *byte = b' ';
        }
    }
    value
}

#[cfg(test)]
mod tests;
