//! Answers that rules give: `return`, and what `deny` and `tarpit` take of it.

use super::super::arguments::{Problem, problem};
use super::super::report::{self, code};
use super::super::{Lowering, is_condition};
use super::{Parsed, RuleAt, header_name};
use crate::config::files;
use crate::proxy::settings::ErrorAnswer;
use crate::rules::http::{Reply, ReplyBody};
use crate::sample::text::Text;
use shared_config::diagnostic::{Diagnostic, Place};
use shared_config::source::encode;
use shared_config::words::{Word, Words};
use std::sync::Arc;

/// Where a whole answer comes from.
enum From<'a> {
    /// `errorfile`
    File(Arc<ErrorAnswer>),
    /// `errorfiles`: from the section of that name, by status.
    Section(&'a Word),
}

/// What is read of an answer so far.
#[derive(Default)]
struct Draft<'a> {
    file: Option<From<'a>>,
    status: Option<u16>,
    fields: Vec<(Box<[u8]>, Text)>,
    content_type: Option<Box<[u8]>>,
    body: Option<Text>,
    error_page: bool,
    /// Something in it does not work yet.
    incomplete: bool,
}

impl Lowering<'_> {
    /// `deny` and `tarpit`: the page of `status` unless something else is written after it.
    pub(super) fn reply(&mut self, status: u16, at: &RuleAt<'_>, words: &mut Words<'_>) -> Parsed<Reply> {
        self.finished(at, words, status, ReplyBody::ErrorPage)
    }

    /// `return`: 200 and nothing unless something is written after it.
    pub(super) fn return_reply(&mut self, at: &RuleAt<'_>, words: &mut Words<'_>) -> Parsed<Reply> {
        self.finished(at, words, 200, ReplyBody::None)
    }

    /// `http-error`: nothing for the status unless something is written after it.
    pub(in crate::config::rules) fn error_reply(
        &mut self,
        status: u16,
        at: &RuleAt<'_>,
        words: &mut Words<'_>,
    ) -> Parsed<Reply> {
        let reply = self.finished(at, words, status, ReplyBody::None)?;
        match words.next() {
            Some(extra) => Err(problem(format!("'{}' is not expected here", extra.text), extra.span)),
            None => Ok(reply),
        }
    }

    fn finished(&mut self, at: &RuleAt<'_>, words: &mut Words<'_>, status: u16, default: ReplyBody) -> Parsed<Reply> {
        let draft = self.draft(at, words)?;
        let status = draft.status.unwrap_or(status);
        draft.check(status, at)?;
        let body = match &draft.file {
            None => return Ok(draft.finish(status, default)),
            Some(From::File(file)) => ReplyBody::File(Arc::clone(file)),
            Some(From::Section(name)) => self.error_file_of(name, status).map_or(ReplyBody::None, ReplyBody::File),
        };
        let ignored = match &draft.content_type {
            Some(name) => Some(format!("content-type '{}'", String::from_utf8_lossy(name))),
            None if draft.fields.is_empty() => None,
            None => Some("hdr parameters".to_owned()),
        };
        if let Some(what) = ignored {
            let message = format!("{what} ignored by the http reply when used with an erorrfile.");
            self.out.push(Diagnostic::warning(code::IGNORED, at.word.span, message).place(Place::Parsing));
        }
        Ok(Some(Reply { status, fields: Box::new([]), body }))
    }

    /// What an `http-errors` section says about a status.
    fn error_file_of(&mut self, name: &Word, status: u16) -> Option<Arc<ErrorAnswer>> {
        let section = self.section.name;
        let Some(known) = self.names.http_errors.get(name.as_str()) else {
            let message =
                format!("Proxy '{section}': unknown http-errors section '{}' referenced by an http reply .", name.text);
            let nearest = report::nearest(&name.text, self.names.http_errors.keys());
            let error = Diagnostic::error(code::UNKNOWN_NAME, name.span, message).whole_file();
            self.out.push(report::with_help(error.label("no section of this name"), nearest));
            return None;
        };
        let found = known.iter().find(|file| file.status == status);
        if found.is_none() {
            let message = format!(
                "Proxy '{section}': status '{status}' referenced by an http reply not declared in http-errors section '{}'.",
                name.text
            );
            self.out.push(Diagnostic::warning(code::UNKNOWN_NAME, name.span, message).whole_file());
        }
        found.map(|file| Arc::new(file.answer.clone()))
    }

    fn draft<'a>(&mut self, at: &RuleAt<'_>, words: &mut Words<'a>) -> Result<Draft<'a>, Problem> {
        let mut draft = Draft::default();
        while let Some(word) = words.peek().filter(|word| !is_condition(word)) {
            match word.as_str() {
                "status" | "deny_status" => {
                    words.next();
                    draft.status = Some(status(words)?);
                }
                "content-type" => {
                    let argument = argument(words, "expects <ctype> as argument")?;
                    draft.content_type = Some(encode(&argument.text).into());
                }
                "hdr" => {
                    words.next();
                    let (Some(name), Some(value)) = (words.next(), words.next()) else {
                        return Err(problem("'hdr' expects <name> and <value> as arguments", words.here()));
                    };
                    match self.argument_text(value, at) {
                        Some(text) => draft.fields.push((header_name(name), text)),
                        None => draft.incomplete = true,
                    }
                }
                "string" => {
                    draft.body = Some(Text::literal(encode(&argument(words, "expects <str> as argument")?.text)));
                }
                "lf-string" => {
                    let format = argument(words, "expects <fmt> as argument")?;
                    draft.set_body(self.argument_text(format, at));
                }
                "file" => {
                    let path = argument(words, "expects <file> as argument")?;
                    draft.body = Some(Text::literal(usable(path, files::body(&path.text, self.names.bufsize))?));
                }
                "lf-file" => {
                    let path = argument(words, "expects <file> as argument")?;
                    let text =
                        shared_config::source::decode(&usable(path, files::body(&path.text, self.names.bufsize))?);
                    draft.set_body(self.argument_text(&Word::plain(text, path.span), at));
                }
                "default-errorfiles" => {
                    words.next();
                    draft.error_page = true;
                }
                "errorfile" => {
                    let path = argument(words, "expects <fmt> as argument")?;
                    let bytes = usable(path, files::answer(&path.text, self.names.bufsize))?;
                    draft.file = Some(From::File(ErrorAnswer::File { path: path.as_str().into(), bytes }.into()));
                }
                "errorfiles" => draft.file = Some(From::Section(argument(words, "expects <name> as argument")?)),
                // Not one of ours: the caller says what was expected.
                _ => break,
            }
        }
        Ok(draft)
    }
}

impl Draft<'_> {
    fn set_body(&mut self, body: Option<Text>) {
        self.incomplete |= body.is_none();
        self.body = body;
    }

    /// What is said has a body that the status and a type allow.
    fn check(&self, status: u16, at: &RuleAt<'_>) -> Result<(), Problem> {
        let text = self.body.as_ref().is_some_and(|body| *body != Text::default());
        let message = match (text && self.file.is_none(), status) {
            (true, 204 | 304) => format!("No body expected for {status} responses"),
            (true, _) if self.content_type.is_none() => {
                "a content type must be defined when non-empty payload is configured".to_owned()
            }
            (true | false, _) => return Ok(()),
        };
        Err(problem(message, at.word.span))
    }

    fn finish(self, status: u16, default: ReplyBody) -> Option<Reply> {
        if self.incomplete {
            return None;
        }
        let body = match self.body {
            Some(text) => ReplyBody::Text {
                content_type: self.content_type.unwrap_or_else(|| b"text/plain".as_slice().into()),
                text,
            },
            None if self.error_page => ReplyBody::ErrorPage,
            None => default,
        };
        Some(Reply { status, fields: self.fields.into(), body })
    }
}

/// The argument of the word the cursor is at.
fn argument<'a>(words: &mut Words<'a>, expects: &str) -> Result<&'a Word, Problem> {
    let name = words.next().map_or("", |word| word.as_str());
    words.next().ok_or_else(|| problem(format!("'{name}' {expects}"), words.here()))
}

fn status(words: &mut Words<'_>) -> Result<u16, Problem> {
    let Some(word) = words.next() else {
        return Err(problem("'status' expects <status_code> as argument", words.here()));
    };
    let number = crate::sample::value::leading_int(word.text.as_bytes());
    match u16::try_from(number) {
        Ok(status @ 200..=599) => Ok(status),
        _ => Err(problem(format!("Unexpected status code '{number}'"), word.span)),
    }
}

fn usable(path: &Word, read: Result<Vec<u8>, files::Unusable>) -> Result<Vec<u8>, Problem> {
    read.map_err(|unusable| Problem { help: unusable.reason, ..problem(unusable.message, path.span) })
}
