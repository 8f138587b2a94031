//! Actions on HTTP messages.

use super::effect::{Effect, Limit};
use super::headers_bin::{BinaryFields, Fields};
use super::lines::Lines;
use super::normalize::Normalizer;
use super::redirect::Redirect;
use super::resolve::Resolve;
use super::{Answer, Body, Service, Silence, Verdict, Wait, line_safe};
use crate::http::{Head, target};
use crate::ids::ProfileId;
use crate::proxy::settings::ErrorAnswer;
use crate::sample::convert::Replacement;
use crate::sample::regex::Regex;
use crate::sample::text::Text;
use crate::sample::transaction::{FirstLine, Transaction};
use crate::sample::{Context, Patterns, Stream, Value};
use crate::stick::tracked;
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

/// The message a rule changes, and the other one where there is one.
pub(super) enum Messages<'m> {
    /// The request.
    Request(&'m mut Head),
    /// The response, with the request it answers.
    Response(Option<&'m Head>, &'m mut Head),
}

/// The fields that say where a message ends, or that its connection does.
const FRAMING_FIELDS: [&[u8]; 3] = [b"connection", b"content-length", b"transfer-encoding"];

/// What became of a rule whose condition held.
pub(super) enum Outcome {
    /// The next rule is looked at.
    Next,
    /// No further rule of the set is.
    Allow,
    /// The message goes no further.
    End(Verdict),
}

/// An action of `http-request`, `http-response` or `http-after-response`.
#[derive(Clone, Debug, PartialEq)]
pub enum HttpAction {
    /// `allow`
    Allow,
    /// `deny`
    Deny(Reply),
    /// `tarpit`
    Tarpit(Reply),
    /// `return`
    Return(Reply),
    /// `reject`
    Reject,
    /// `silent-drop`
    SilentDrop(Silence),
    /// `auth`: asks for a password. `None`: the realm is the section's name.
    Auth(Text),
    /// `redirect`
    Redirect(Redirect),
    /// `add-header`
    AddHeader(Box<[u8]>, Text),
    /// `set-header`
    SetHeader(Box<[u8]>, Text),
    /// `del-header` with a name.
    DeleteHeader(Box<[u8]>),
    /// `del-header` with `-m`: all headers whose name matches.
    DeleteHeaders(Patterns),
    /// `add-headers-bin` and its kin.
    BinaryFields(Box<BinaryFields>),
    /// `early-hint`
    EarlyHint {
        /// The field's name.
        name: Box<[u8]>,
        /// Its value.
        text: Text,
        /// It belongs to the same message as the hint of the rule before.
        joined: bool,
    },
    /// `replace-header`, `replace-value`
    ReplaceHeader {
        /// Which headers.
        name: Box<[u8]>,
        /// What is replaced.
        regex: Regex,
        /// What it is replaced by.
        replacement: Substitute,
        /// `replace-value`: each element of a comma-separated value by itself.
        elements: bool,
    },
    /// `reqrep`, `rspdel` and their kin.
    Lines(Box<Lines>),
    /// `replace-path`, `replace-pathq`, `replace-uri`
    ReplaceTarget {
        /// Which part.
        part: TargetPart,
        /// What is replaced.
        regex: Regex,
        /// What it is replaced by.
        replacement: Substitute,
    },
    /// `set-path`, `set-pathq`, `set-query`, `set-uri`
    SetTarget(TargetPart, Text),
    /// `normalize-uri`
    NormalizeUri(Normalizer),
    /// `set-method`
    SetMethod(Text),
    /// `set-status`
    SetStatus(u16, Option<Box<[u8]>>),
    /// `wait-for-body`
    WaitForBody(Wait),
    /// `do-resolve`
    Resolve(Resolve),
    /// `use-service`
    Service(Service),
    /// `pause`
    Pause(Limit),
    /// `do-log`, by the profile it names.
    Log(Option<ProfileId>),
    /// What is kept for later.
    Effect(Effect),
}

/// What stands in place of a match.
#[derive(Clone, Debug, PartialEq)]
pub enum Substitute {
    /// Known when the configuration was read.
    Fixed(Replacement),
    /// With samples in it.
    Made(Text),
}

impl Substitute {
    fn replacement(&self, context: &Context<'_>) -> Cow<'_, Replacement> {
        match self {
            Self::Fixed(replacement) => Cow::Borrowed(replacement),
            Self::Made(text) => {
                let mut bytes = Vec::new();
                text.write(context, &mut bytes);
                Cow::Owned(Replacement::new(&bytes))
            }
        }
    }
}

/// A part of the target that a rule writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TargetPart {
    /// Up to the question mark.
    Path,
    /// With the query string.
    PathQuery,
    /// After the question mark.
    Query,
    /// The whole.
    Uri,
}

/// An answer as a rule describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// `hdr`
    pub fields: Box<[(Box<[u8]>, Text)]>,
    /// What follows the head.
    pub body: ReplyBody,
}

/// The body of a [`Reply`].
#[derive(Clone, Debug, PartialEq)]
pub enum ReplyBody {
    /// The section's error page for the status.
    ErrorPage,
    /// `errorfile`, `errorfiles`: all of the answer.
    File(Arc<ErrorAnswer>),
    /// Nothing.
    None,
    /// `string`, `lf-string`, `file`, `lf-file`
    Text {
        /// `content-type`
        content_type: Box<[u8]>,
        /// What is written.
        text: Text,
    },
}

impl Reply {
    /// The error page of a status.
    pub fn error(status: u16) -> Self {
        Self { status, fields: Box::new([]), body: ReplyBody::ErrorPage }
    }

    /// The answer, for what it is sent for.
    pub fn answer(&self, context: &Context<'_>) -> Answer {
        let written = |text: &Text| {
            let mut bytes = Vec::new();
            text.write(context, &mut bytes);
            bytes
        };
        let fields = self.fields.iter().map(|(name, text)| (name.to_vec(), line_safe(written(text)))).collect();
        let body = match &self.body {
            ReplyBody::ErrorPage if self.fields.is_empty() => Body::ErrorPage,
            ReplyBody::File(file) => Body::File(Arc::clone(file)),
            ReplyBody::ErrorPage | ReplyBody::None => Body::Bytes { content_type: None, bytes: Vec::new() },
            ReplyBody::Text { content_type, text } => {
                let bytes = written(text);
                Body::Bytes { content_type: (!bytes.is_empty()).then(|| content_type.to_vec()), bytes }
            }
        };
        Answer { status: self.status, fields, body }
    }
}

impl HttpAction {
    /// Does it.
    pub(super) fn perform(&self, messages: Messages<'_>, stream: &Stream<'_>) -> Outcome {
        let (request, head) = match messages {
            Messages::Request(head) => (None, head),
            Messages::Response(request, head) => (Some(request), head),
        };
        let context = match request {
            None => Context { request: Some(head), response: None, stream },
            Some(request) => Context { request, response: Some(head), stream },
        };
        if let Some(outcome) = self.ends(&context) {
            return outcome;
        }
        let edit = self.edit(&context);
        if let Some(transaction) = stream.transaction {
            edit.keep_first(transaction, head);
            transaction.framing_edited.set(transaction.framing_edited.get() | self.edits_framing());
        }
        edit.apply(head);
        Outcome::Next
    }

    /// For the actions after which no further rule is looked at.
    pub(super) fn ends(&self, context: &Context<'_>) -> Option<Outcome> {
        Some(match self {
            Self::Allow => Outcome::Allow,
            Self::Effect(effect) => {
                effect.perform(context);
                Outcome::Next
            }
            Self::Deny(reply) => {
                blame_client(context);
                Outcome::End(Verdict::Deny(reply.answer(context)))
            }
            Self::Tarpit(reply) => {
                blame_client(context);
                Outcome::End(Verdict::Tarpit(reply.answer(context)))
            }
            Self::Return(reply) => Outcome::End(Verdict::Reply(reply.answer(context))),
            Self::Reject => Outcome::End(Verdict::Reject),
            Self::SilentDrop(silence) => Outcome::End(Verdict::SilentDrop(*silence)),
            Self::WaitForBody(wait) => Outcome::End(Verdict::WaitForBody(*wait)),
            Self::Log(profile) => Outcome::End(Verdict::Log(*profile)),
            Self::Service(service) => Outcome::End(Verdict::Serve(*service)),
            Self::Resolve(resolve) => match resolve.question(context) {
                Some(question) => Outcome::End(Verdict::Resolve(question)),
                None => Outcome::Next,
            },
            Self::Pause(limit) => match limit.time(context) {
                Some(time) => Outcome::End(Verdict::Pause(time)),
                None => Outcome::Next,
            },
            Self::EarlyHint { name, text, joined } => {
                hint(context, name, text, *joined);
                Outcome::Next
            }
            Self::Auth(realm) => {
                blame_client(context);
                let mut challenge = b"Basic realm=\"".to_vec();
                realm.write(context, &mut challenge);
                challenge.push(b'"');
                let mut answer = Answer::error(401);
                answer.fields.push((b"www-authenticate".to_vec(), line_safe(challenge)));
                Outcome::End(Verdict::Reply(answer))
            }
            Self::Redirect(redirect) => match redirect.answer(context) {
                Some(answer) => Outcome::End(Verdict::Reply(answer)),
                None => Outcome::Next,
            },
            Self::Lines(lines) => return lines.act(context),
            Self::AddHeader(..)
            | Self::SetHeader(..)
            | Self::DeleteHeader(_)
            | Self::DeleteHeaders(_)
            | Self::BinaryFields(_)
            | Self::ReplaceHeader { .. }
            | Self::ReplaceTarget { .. }
            | Self::SetTarget(..)
            | Self::SetMethod(_)
            | Self::SetStatus(..) => return None,
            Self::NormalizeUri(normalizer) => {
                let broken = context.request.is_some_and(|head| !normalizer.accepts(head.target()));
                if !broken {
                    return None;
                }
                blame_client(context);
                Outcome::End(Verdict::Deny(Answer::error(400)))
            }
        })
    }

    /// Whether it may change what says where a message ends, or that its connection does.
    fn edits_framing(&self) -> bool {
        match self {
            Self::AddHeader(name, _)
            | Self::SetHeader(name, _)
            | Self::DeleteHeader(name)
            | Self::ReplaceHeader { name, .. } => FRAMING_FIELDS.iter().any(|field| **name == **field),
            Self::DeleteHeaders(_) | Self::BinaryFields(_) | Self::Lines(_) => true,
            _ => false,
        }
    }

    /// What changes, worked out while the head can still be looked at.
    fn edit<'a>(&'a self, context: &Context<'_>) -> Edit<'a> {
        let written = |text: &Text| {
            let mut bytes = Vec::new();
            text.write(context, &mut bytes);
            bytes
        };
        match self {
            Self::AddHeader(name, text) => Edit::Add(name, line_safe(written(text))),
            Self::SetHeader(name, text) => Edit::Set(name, line_safe(written(text))),
            Self::DeleteHeader(name) => Edit::Delete(name),
            Self::DeleteHeaders(patterns) => Edit::DeleteMatching(patterns),
            Self::BinaryFields(action) => Edit::Fields(action.fields(context)),
            Self::Lines(lines) => Edit::Lines(lines),
            Self::ReplaceHeader { name, regex, replacement, elements } => {
                Edit::Values(name, regex, replacement.replacement(context), *elements)
            }
            Self::ReplaceTarget { part, regex, replacement } => {
                Edit::Substitute(*part, regex, replacement.replacement(context))
            }
            Self::SetTarget(part, text) => Edit::Target(*part, written(text)),
            Self::NormalizeUri(normalizer) => {
                match context.request.and_then(|head| normalizer.normalized(head.target())) {
                    Some(target) => Edit::WholeTarget(target),
                    None => Edit::None,
                }
            }
            Self::SetMethod(text) => Edit::Method(written(text)),
            Self::SetStatus(status, reason) => Edit::Status(*status, reason.as_deref()),
            Self::Allow
            | Self::Deny(_)
            | Self::Tarpit(_)
            | Self::Return(_)
            | Self::Reject
            | Self::SilentDrop(_)
            | Self::WaitForBody(_)
            | Self::Resolve(_)
            | Self::Service(_)
            | Self::Pause(_)
            | Self::Log(_)
            | Self::EarlyHint { .. }
            | Self::Auth(_)
            | Self::Effect(_)
            | Self::Redirect(_) => Edit::None,
        }
    }
}

/// A request that is refused is an error of the client, in what is tracked. A response that is refused is not.
fn blame_client(context: &Context<'_>) {
    if context.response.is_none() {
        context.stream.count(&tracked::ERROR);
    }
}

/// Keeps a field of a response that comes early, `joined` to those before it.
fn hint(context: &Context<'_>, name: &[u8], text: &Text, joined: bool) {
    let Some(transaction) = context.stream.transaction else { return };
    let mut value = Vec::new();
    text.write(context, &mut value);
    let field = (name.to_vec(), line_safe(value));
    let mut hints = transaction.rare().hints.borrow_mut();
    match hints.last_mut().filter(|_| joined) {
        Some(message) => message.push(field),
        None => hints.push(vec![field]),
    }
}

/// A change of a head.
enum Edit<'a> {
    None,
    Add(&'a [u8], Vec<u8>),
    Set(&'a [u8], Vec<u8>),
    Delete(&'a [u8]),
    DeleteMatching(&'a Patterns),
    Fields(Fields<'a>),
    Lines(&'a Lines),
    Values(&'a [u8], &'a Regex, Cow<'a, Replacement>, bool),
    Substitute(TargetPart, &'a Regex, Cow<'a, Replacement>),
    Target(TargetPart, Vec<u8>),
    WholeTarget(Vec<u8>),
    Method(Vec<u8>),
    Status(u16, Option<&'a [u8]>),
}

impl Edit<'_> {
    /// Keeps what others may want to know of what is changed now for the first time.
    fn keep_first(&self, transaction: &Transaction, head: &Head) {
        let first = || FirstLine { method: head.method().to_vec(), target: head.target().to_vec() };
        match self {
            Self::Lines(_) if head.status() != 0 => {
                transaction.rare().server_status.get_or_init(|| head.status());
            }
            Self::Substitute(..) | Self::Target(..) | Self::WholeTarget(_) | Self::Method(_) | Self::Lines(_) => {
                transaction.rare().first_line.get_or_init(first);
            }
            // The target may follow.
            Self::Add(name, _) | Self::Set(name, _) | Self::Values(name, ..)
                if head.status() == 0 && name.eq_ignore_ascii_case(b"host") =>
            {
                transaction.rare().first_line.get_or_init(first);
            }
            Self::Status(..) => {
                transaction.rare().server_status.get_or_init(|| head.status());
            }
            _ => {}
        }
    }

    fn apply(self, head: &mut Head) {
        match self {
            Self::None => {}
            Self::Add(name, value) => {
                head.append(name, &value);
                host_was_set(head, name, &value);
            }
            Self::Set(name, value) => {
                head.set(name, &value);
                host_was_set(head, name, &value);
            }
            Self::Delete(name) => {
                head.remove(name);
            }
            Self::Fields(fields) => fields.apply(head),
            Self::Lines(lines) => lines.apply(head),
            Self::DeleteMatching(patterns) => head.retain(|name, _| !patterns.matches(&Value::text(name))),
            Self::Values(name, regex, replacement, elements) => {
                replace_values(head, name, regex, &replacement, elements);
            }
            Self::Substitute(part, regex, replacement) => {
                let old = match part {
                    TargetPart::Path => head.path().to_vec(),
                    TargetPart::Query => head.query().unwrap_or_default().to_vec(),
                    TargetPart::PathQuery => path_and_query(head),
                    TargetPart::Uri => head.target().to_vec(),
                };
                if let Some(new) = substituted(&old, regex, &replacement) {
                    set_target(head, part, &new);
                    if part == TargetPart::Uri {
                        target_was_set(head);
                    }
                }
            }
            Self::Target(part, value) => {
                set_target(head, part, &value);
                if part == TargetPart::Uri {
                    target_was_set(head);
                }
            }
            Self::WholeTarget(target) => head.set_target(&target),
            Self::Method(method) => {
                // White space in it would break the request line.
                if !method.is_empty() && method.iter().all(|&byte| crate::http::header::is_token(byte)) {
                    head.set_method(&method);
                }
            }
            Self::Status(status, reason) => head.set_status(status, reason),
        }
    }
}

fn path_and_query(head: &Head) -> Vec<u8> {
    let mut text = head.path().to_vec();
    if let Some(query) = head.query() {
        text.push(b'?');
        text.extend_from_slice(query);
    }
    text
}

/// What stands in the text's place if it matches: the replacement alone, wherever in the text the match is.
fn substituted(text: &[u8], regex: &Regex, replacement: &Replacement) -> Option<Vec<u8>> {
    let groups = regex.groups(text, 0)?;
    let mut out = Vec::new();
    replacement.write(text, &groups, &mut out);
    Some(out)
}

fn replace_values(head: &mut Head, name: &[u8], regex: &Regex, replacement: &Replacement, elements: bool) {
    let new = |value: &[u8]| {
        if !elements {
            return substituted(value, regex, replacement);
        }
        // The white space around an element goes with it; what does not match stays as it is.
        let changed = |part: &[u8]| substituted(crate::http::header::trim(part), regex, replacement);
        let (mut quoted, mut escaped) = (false, false);
        let parts = value.split(|&byte| {
            quoted ^= byte == b'"' && !escaped;
            escaped = quoted && byte == b'\\' && !escaped;
            byte == b',' && !quoted
        });
        let parts: Vec<Vec<u8>> = parts.map(|part| changed(part).unwrap_or_else(|| part.to_vec())).collect();
        let joined = parts.join(&b","[..]);
        (joined != value).then_some(joined)
    };
    let changes: Vec<(usize, Vec<u8>)> = head
        .fields()
        .enumerate()
        .filter(|(_, (field, _))| *field == name)
        .filter_map(|(index, (_, value))| Some((index, line_safe(new(value)?))))
        .collect();
    for (index, value) in changes {
        head.set_value(index, &value);
        host_was_set(head, name, &value);
    }
}

/// Writes a target and what goes with it.
pub(super) fn replace_target(head: &mut Head, target: &[u8]) {
    set_target(head, TargetPart::Uri, target);
    target_was_set(head);
}

/// Writes a value in the place of a field's, if the field has that name.
pub(super) fn replace_field(head: &mut Head, index: usize, name: &[u8], value: &[u8]) -> bool {
    let same = head.fields().nth(index).is_some_and(|(known, _)| known == name);
    if same {
        head.set_value(index, value);
        host_was_set(head, name, value);
    }
    same
}

/// Where the host and its port stand in a target that names one besides its path.
fn authority(target: &[u8]) -> Option<Range<usize>> {
    let start = target::authority_start(target)?;
    let rest = target.get(start..)?;
    let length = rest.iter().position(|byte| b"/?#".contains(byte)).unwrap_or(rest.len());
    let user = rest[..length].iter().rposition(|&byte| byte == b'@').map_or(0, |at| at + 1);
    Some(start + user..start + length)
}

/// A target that names a host names the one that a rule has written into `host`, as haproxy's does: servers may look at either.
fn host_was_set(head: &mut Head, name: &[u8], host: &[u8]) {
    if !name.eq_ignore_ascii_case(b"host")
        || head.status() != 0
        || host.is_empty()
        || !host.iter().all(u8::is_ascii_graphic)
    {
        return;
    }
    let target = head.target();
    let place = match authority(target) {
        Some(place) => place,
        None if head.method() == b"CONNECT" => 0..target.len(),
        None => return,
    };
    let new = [&target[..place.start], host, &target[place.end..]].concat();
    head.set_target(&new);
}

/// The other way round: `host`, where there is one, follows a target that a rule has written.
fn target_was_set(head: &mut Head) {
    let Some(place) = authority(head.target()).filter(|_| head.method() != b"CONNECT") else { return };
    let host = head.target()[place].to_vec();
    let index = head.fields().position(|(name, _)| name == b"host");
    if let Some(index) = index {
        head.set_value(index, &host);
    }
}

/// Writes a part of the target and keeps the rest. What cannot stand in a target is percent-encoded, so that the request line
/// stays one.
fn set_target(head: &mut Head, part: TargetPart, value: &[u8]) {
    let mut safe = Vec::with_capacity(value.len());
    for &byte in value {
        if matches!(byte, 0x21..=0x7e | 0x80..) {
            safe.push(byte);
        } else {
            safe.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
    let old = head.target().to_vec();
    let path_start = target::path_start(&old).filter(|&start| start < old.len()).unwrap_or(0);
    let query_start = old.iter().position(|&byte| byte == b'?').unwrap_or(old.len());
    let target = match part {
        TargetPart::Uri => safe,
        TargetPart::PathQuery => [&old[..path_start], &safe].concat(),
        TargetPart::Path => [&old[..path_start], &safe, &old[query_start..]].concat(),
        TargetPart::Query if safe.is_empty() => old[..query_start].to_vec(),
        TargetPart::Query => [&old[..query_start], b"?", &safe].concat(),
    };
    head.set_target(&target);
}
