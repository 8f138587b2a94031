//! Answers that rules give: `return`, and what `deny` and `tarpit` take of it.

use super::super::arguments::{Problem, problem};
use super::super::report;
use super::super::{Lowering, is_condition};
use super::{Parsed, RuleAt, header_name};
use crate::rules::http::{Reply, ReplyBody};
use crate::sample::text::Text;
use shared_config::source::encode;
use shared_config::words::{Word, Words};
use std::fs::File;
use std::io::Read as _;

/// The longest file an answer is made of, in bytes: haproxy's is one buffer.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What is read of an answer so far.
#[derive(Default)]
struct Draft {
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
        let draft = self.draft(at, words)?;
        Ok(draft.finish(status, ReplyBody::ErrorPage))
    }

    /// `return`: 200 and nothing unless something is written after it.
    pub(super) fn return_reply(&mut self, at: &RuleAt<'_>, words: &mut Words<'_>) -> Parsed<Reply> {
        let draft = self.draft(at, words)?;
        Ok(draft.finish(200, ReplyBody::None))
    }

    fn draft(&mut self, at: &RuleAt<'_>, words: &mut Words<'_>) -> Result<Draft, Problem> {
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
                "file" => draft.body = Some(Text::literal(file(argument(words, "expects <file> as argument")?)?)),
                "lf-file" => {
                    let path = argument(words, "expects <file> as argument")?;
                    let text = shared_config::source::decode(&file(path)?);
                    draft.set_body(self.argument_text(&Word::plain(text, path.span), at));
                }
                "default-errorfiles" => {
                    words.next();
                    draft.error_page = true;
                }
                "errorfile" | "errorfiles" => {
                    let shown = format!("{} in a rule", word.text);
                    argument(words, "expects a name as argument")?;
                    report::unsupported(self.out, &shown, word.span);
                    draft.incomplete = true;
                }
                // Not one of ours: the caller says what was expected.
                _ => break,
            }
        }
        Ok(draft)
    }
}

impl Draft {
    fn set_body(&mut self, body: Option<Text>) {
        self.incomplete |= body.is_none();
        self.body = body;
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
        Some(Reply { status: self.status.unwrap_or(status), fields: self.fields.into(), body })
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

fn file(path: &Word) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    let read = File::open(path.as_str()).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes));
    match read {
        Ok(length) if length as u64 <= FILE_BYTES_MAX => Ok(bytes),
        Ok(_) => Err(problem(format!("file '{}' exceeds the buffer size", path.text), path.span)),
        Err(error) => {
            let mut failed = problem(format!("error opening file '{}'", path.text), path.span);
            failed.help = Some(error.to_string());
            Err(failed)
        }
    }
}
