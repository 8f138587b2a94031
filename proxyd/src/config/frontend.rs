//! The statements that belong to the accepting half of a proxy: listeners, captures, monitoring, the backend.

use super::bind;
use super::draft::{FormatDraft, Section};
use super::line::{Line, code};
use super::model::{CookieCapture, HeaderCapture};
use super::option::set_log_format;
use super::proxy::{Tools, at};
use super::settings::strict_integer;
use crate::log::step::Steps;
use shared_config::diagnostic::Diagnostic;
use shared_config::suggest::nearest;
use shared_config::words::Word;

/// `log-steps STEP,…` or `all`; blanks separate steps, too.
fn log_steps(line: &mut Line<'_, '_>) -> Option<Steps> {
    line.words.peek().map_or_else(|| line.expect("'log-steps' expects steps or 'all'."), Some)?;
    let mut steps = Steps::default();
    for word in line.words.rest() {
        for name in word.text.split(',').filter(|name| !name.is_empty()) {
            if name == "all" {
                steps = Steps::ALL;
            } else if !steps.add(name) {
                let known: Vec<_> = Steps::names().collect();
                let message =
                    format!("'log-steps' : unknown step '{name}'. Known ones are: {}, all.", known.join(", "));
                let error = Diagnostic::error(code::UNKNOWN_NAME, word.span, message);
                let near = nearest(name, known).map(|near| format!("did you mean `{near}`?"));
                line.out.push(near.into_iter().fold(error, Diagnostic::help));
            }
        }
    }
    Some(steps)
}

/// Everything `proxy::dispatch` sends here.
pub(super) fn statement(line: &mut Line<'_, '_>, section: &mut Section, tools: &mut Tools) {
    let settings = &mut section.settings;
    match line.name {
        "bind" => {
            let binds = bind::bind(line, &mut tools.resolver, &mut tools.support);
            section.binds.extend(binds);
        }
        "monitor-uri" => {
            if let Some(word) = line.expect("'monitor-uri' expects an URI.") {
                settings.monitor_uri = Some(at(word.text.to_string(), word.span));
                line.end();
            }
        }
        "default_backend" => {
            if let Some(word) = line.expect("'default_backend' expects a backend name.") {
                settings.default_backend = Some(at(word.text.to_string(), word.span));
                line.end();
            }
        }
        "rate-limit sessions" => {
            let missing = "'rate-limit sessions' expects expects an integer value (in sessions/second)";
            if let Some(word) = line.expect(missing) {
                let number = strict_integer(line, word, "rate-limit sessions").unwrap_or(0);
                settings.rate_limit_sessions = u32::try_from(number).ok().filter(|&rate| rate > 0);
            }
        }
        "unique-id-header" => {
            let missing = "unique-id-header expects an argument.";
            settings.unique_id_header = line.expect(missing).map(|word| word.text.to_string());
        }
        "unique-id-format" => {
            let missing = "unique-id-format expects an argument.";
            settings.unique_id_format = line.expect(missing).cloned();
            only_one(line, "unique-id-format");
        }
        "log-format" => {
            if let Some(word) = format(line) {
                set_log_format(line, FormatDraft::Custom(word), section);
            }
        }
        "log-format-sd" => settings.log_structured = format(line),
        "log-steps" => settings.log_steps = log_steps(line),
        "error-log-format" => settings.error_log_format = format(line),
        "capture request header" | "capture response header" => header_capture(line, section),
        "capture cookie" => cookie_capture(line, section),
        "declare capture" => declared_capture(line, section),
        _ => {}
    }
}

/// A format for the log, in one word.
fn format(line: &mut Line<'_, '_>) -> Option<Word> {
    let word = line.expect(format!("{} expects an argument.", line.name))?;
    let keyword = line.name;
    only_one(line, keyword).then(|| word.clone())
}

/// Whether the format was one word. Whoever forgot to escape the blanks in it is told.
fn only_one(line: &mut Line<'_, '_>, keyword: &str) -> bool {
    let Some(extra) = line.words.next() else { return true };
    let message = format!("{keyword} expects only one argument, don't forget to escape spaces!");
    line.out.push(Diagnostic::error(code::EXTRA_ARGUMENT, extra.span, message).help("or put the format into quotes"));
    false
}

fn header_capture(line: &mut Line<'_, '_>, section: &mut Section) {
    let which = if line.name == "capture request header" { "request" } else { "response" };
    let missing = format!("'capture {which}' expects 'header' <header_name> 'len' <len>.");
    let Some((name, len)) = name_and_len(line, &missing) else { return };
    let capture = HeaderCapture { name: name.text.to_string(), len };
    if which == "request" {
        section.capture_request.push(capture);
    } else {
        section.capture_response.push(capture);
    }
}

/// `declare capture request len LENGTH`: a place that rules fill. No header has no name, so nothing else does.
fn declared_capture(line: &mut Line<'_, '_>, section: &mut Section) {
    let missing = "'declare capture' expects keyword 'len' after request/response.";
    let Some(which) = line.expect("'declare capture' expects 'request' or 'response'.") else { return };
    let Some(word) = line.expect(missing) else { return };
    if &*word.text != "len" {
        return line.error(code::UNKNOWN_KEYWORD, word.span, missing);
    }
    let Some(len) = line.integer(missing) else { return };
    let capture = HeaderCapture { name: String::new(), len: u32::try_from(len).unwrap_or(0) };
    match which.as_str() {
        "request" => section.capture_request.push(capture),
        "response" => section.capture_response.push(capture),
        _ => line.error(code::UNKNOWN_KEYWORD, which.span, "'declare capture' requires 'request' or 'response'."),
    }
}

fn cookie_capture(line: &mut Line<'_, '_>, section: &mut Section) {
    let missing = "'capture' expects 'cookie' <cookie_name> 'len' <len>.";
    let Some((name, len)) = name_and_len(line, missing) else { return };
    section.capture_cookie = Some(CookieCapture { start: (*name.text).to_owned(), len });
}

fn name_and_len<'a>(line: &mut Line<'a, '_>, missing: &str) -> Option<(&'a Word, u32)> {
    let name = line.expect(missing)?;
    let word = line.expect(missing)?;
    if &*word.text != "len" {
        line.error(code::UNKNOWN_KEYWORD, word.span, missing);
        return None;
    }
    let len = line.integer(missing)?;
    Some((name, u32::try_from(len).unwrap_or(0)))
}
