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

/// What follows the head, as it is written.
enum Payload<'a> {
    /// `default-errorfiles`
    Page,
    /// `errorfile`
    File(Arc<ErrorAnswer>),
    /// `errorfiles`: from the section of that name, by status.
    Section(&'a Word),
    /// `string`, `file`
    Literal(Vec<u8>),
    /// `lf-string`, `lf-file`; none: something in it does not work yet.
    Format(Option<Text>),
}

/// What is read of an answer so far.
#[derive(Default)]
struct Draft<'a> {
    status: Option<u16>,
    fields: Vec<(Box<[u8]>, Text)>,
    content_type: Option<Box<[u8]>>,
    /// With the word that it was given by.
    payload: Option<(&'static str, Payload<'a>)>,
    /// Something in it does not work yet.
    incomplete: bool,
}

/// The words that say what follows the head; an answer takes one of them.
const PAYLOADS: [&str; 7] = ["default-errorfiles", "errorfile", "errorfiles", "file", "lf-file", "lf-string", "string"];
/// Fields that are written for what follows the head, whatever `hdr` says.
const IGNORED_FIELDS: [&str; 3] = ["content-length", "content-type", "transfer-encoding"];

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
        let mut draft = self.draft(at, words)?;
        let status = draft.status.unwrap_or(status);
        let is_plain = draft.fields.is_empty() && draft.content_type.is_none();
        let body = match draft.payload.take() {
            None if is_plain && default == ReplyBody::ErrorPage => paged(status, "default-errorfiles", at)?,
            None => {
                self.warn_content_type(&draft, "because neither errorfile nor payload defined", at);
                if is_plain { default } else { ReplyBody::None }
            }
            Some((word, Payload::Page)) => {
                self.ignore_head(&mut draft, at);
                paged(status, word, at)?
            }
            Some((_, Payload::File(file))) => {
                self.ignore_head(&mut draft, at);
                ReplyBody::File(file)
            }
            Some((word, Payload::Section(name))) => {
                paged(status, word, at)?;
                self.ignore_head(&mut draft, at);
                self.error_file_of(name, status).map_or(ReplyBody::None, ReplyBody::File)
            }
            Some((_, Payload::Literal(bytes))) if bytes.is_empty() => {
                self.warn_content_type(&draft, "when used with an empty payload", at);
                ReplyBody::None
            }
            Some((_, Payload::Literal(bytes))) => {
                let missing = "a content type must be defined when non-empty payload is configured";
                text_body(Some(Text::literal(bytes)), status, &mut draft, missing, at)?
            }
            Some((_, Payload::Format(text))) => {
                let missing = "a content type must be defined with a log-format payload";
                text_body(text, status, &mut draft, missing, at)?
            }
        };
        Ok((!draft.incomplete).then(|| Reply { status, fields: draft.fields.into(), body }))
    }

    /// A whole answer has its own fields.
    fn ignore_head(&mut self, draft: &mut Draft<'_>, at: &RuleAt<'_>) {
        let why = "when used with an erorrfile";
        if draft.content_type.is_some() {
            self.warn_content_type(draft, why, at);
        } else if !draft.fields.is_empty() {
            self.warn_ignored("hdr parameters", &format!("ignored by the http reply {why}"), at.word);
        }
        draft.fields.clear();
    }

    fn warn_content_type(&mut self, draft: &Draft<'_>, why: &str, at: &RuleAt<'_>) {
        if let Some(name) = &draft.content_type {
            let what = format!("content-type '{}'", String::from_utf8_lossy(name));
            self.warn_ignored(&what, &format!("ignored by the http reply {why}"), at.word);
        }
    }

    fn warn_ignored(&mut self, what: &str, ignored: &str, at: &Word) {
        let message = format!("{what} {ignored}.");
        self.out.push(Diagnostic::warning(code::IGNORED, at.span, message).place(Place::Parsing));
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
                    self.reply_field(&mut draft, at, words)?;
                }
                name => {
                    // Not one of ours: the caller says what was expected.
                    let Some(name) = PAYLOADS.into_iter().find(|known| *known == name) else { break };
                    if let Some((first, _)) = draft.payload {
                        let message = format!("unexpected '{name}' argument, '{first}' already defined");
                        return Err(problem(message, word.span));
                    }
                    draft.payload = Some((name, self.reply_payload(name, at, words)?));
                }
            }
        }
        Ok(draft)
    }

    /// `hdr NAME FORMAT`
    fn reply_field(&mut self, draft: &mut Draft<'_>, at: &RuleAt<'_>, words: &mut Words<'_>) -> Result<(), Problem> {
        let (Some(name), Some(value)) = (words.next(), words.next()) else {
            return Err(problem("'hdr' expects <name> and <value> as arguments", words.here()));
        };
        if IGNORED_FIELDS.iter().any(|ignored| name.text.eq_ignore_ascii_case(ignored)) {
            self.warn_ignored(&format!("header '{}'", name.text), "always ignored by the http reply", at.word);
            return Ok(());
        }
        match self.argument_text(value, at) {
            Some(text) => draft.fields.push((header_name(name), text)),
            None => draft.incomplete = true,
        }
        Ok(())
    }

    fn reply_payload<'a>(
        &mut self,
        name: &str,
        at: &RuleAt<'_>,
        words: &mut Words<'a>,
    ) -> Result<Payload<'a>, Problem> {
        Ok(match name {
            "string" => Payload::Literal(encode(&argument(words, "expects <str> as argument")?.text)),
            "lf-string" => {
                let format = argument(words, "expects <fmt> as argument")?;
                Payload::Format(self.argument_text(format, at))
            }
            "file" => {
                let path = argument(words, "expects <file> as argument")?;
                Payload::Literal(usable(path, files::body(&path.text, self.names.bufsize))?)
            }
            "lf-file" => {
                let path = argument(words, "expects <file> as argument")?;
                let text = shared_config::source::decode(&usable(path, files::body(&path.text, self.names.bufsize))?);
                Payload::Format(self.argument_text(&Word::plain(text, path.span), at))
            }
            "errorfile" => {
                let path = argument(words, "expects <fmt> as argument")?;
                let bytes = usable(path, files::answer(&path.text, self.names.bufsize))?;
                Payload::File(ErrorAnswer::File { path: path.as_str().into(), bytes }.into())
            }
            "errorfiles" => Payload::Section(argument(words, "expects <name> as argument")?),
            _ => {
                words.next();
                Payload::Page
            }
        })
    }
}

/// The error page of a status, which must have one.
fn paged(status: u16, word: &str, at: &RuleAt<'_>) -> Result<ReplyBody, Problem> {
    if crate::http::status::has_page(status) {
        return Ok(ReplyBody::ErrorPage);
    }
    let message = format!("status code '{status}' not handled by default with '{word}' argument");
    Err(problem(message, at.word.span))
}

/// What is written itself.
fn text_body(
    text: Option<Text>,
    status: u16,
    draft: &mut Draft<'_>,
    missing: &str,
    at: &RuleAt<'_>,
) -> Result<ReplyBody, Problem> {
    if matches!(status, 204 | 304) {
        return Err(problem(format!("No body expected for {status} responses"), at.word.span));
    }
    let Some(content_type) = draft.content_type.take() else { return Err(problem(missing, at.word.span)) };
    draft.incomplete |= text.is_none();
    Ok(ReplyBody::Text { content_type, text: text.unwrap_or_default() })
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
