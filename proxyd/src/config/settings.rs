//! The statements of the proxies that set one value: mode, timeouts, limits, logs, error files, retries.

use super::draft::{EmailAlert, LogEntry, Section, Settings};
use super::line::{Line, code};
use super::model::{ErrorAnswer, ErrorFile, HttpReuse, Mode, RetryOn, ServerStateFrom};
use super::proxy::{Tools, at};
use super::value::{self, TimeProblem, Unit};
use super::{files, guid, keep_alive, log, stick};
use shared_config::diagnostic::{Diagnostic, Place};
use shared_config::haproxy::ast::Statement;
use std::sync::Arc;

/// The statuses that `errorfile` may replace.
const ERROR_STATUSES: [u16; 18] =
    [200, 400, 401, 403, 404, 405, 407, 408, 410, 413, 414, 421, 422, 425, 429, 431, 500, 501];
/// The ones above them.
const ERROR_STATUSES_5XX: [u16; 3] = [502, 503, 504];

/// Everything that has no file of its own.
pub(super) fn statement(line: &mut Line<'_, '_>, section: &mut Section, tools: &mut Tools) {
    let settings = &mut section.settings;
    match line.name {
        "mode" => mode(line, settings, tools),
        "maxconn" => {
            settings.maxconn = line.positive("'maxconn' expects an integer argument.");
            line.end();
        }
        "backlog" => {
            settings.backlog = line.positive("'backlog' expects an integer argument.");
            line.end();
        }
        "fullconn" => {
            settings.fullconn = line.positive("'fullconn' expects an integer argument.");
            line.end();
        }
        "retries" => {
            let missing = "'retries' expects an integer argument (dispatch counts for one).";
            settings.retries = line.integer(missing).map(|n| u32::try_from(n).unwrap_or(0));
            line.end();
        }
        "log" => logs(line, section, tools),
        "log-tag" => {
            let missing = "'log-tag' expects a tag for use in syslog.";
            settings.log_tag = line.expect(missing).map(|word| word.text.to_string()).or(settings.log_tag.take());
        }
        "be-unpublished" => {
            settings.be_unpublished = true;
            line.end();
        }
        "disabled" => {
            settings.disabled = true;
            line.end();
        }
        "enabled" => {
            settings.disabled = false;
            line.end();
        }
        "errorfile" => error_file(line, settings, tools.bufsize),
        "errorfiles" => error_section(line, settings),
        "http-error" => http_error(line, settings),
        "errorloc" | "errorloc302" | "errorloc303" => error_location(line, settings),
        "http-reuse" => http_reuse(line, settings),
        "retry-on" => retry_on(line, settings),
        _ => rest(line, section, tools),
    }
}

fn rest(line: &mut Line<'_, '_>, section: &mut Section, tools: &mut Tools) {
    let settings = &mut section.settings;
    match line.name {
        "id" => id(line, section),
        "guid" => {
            let Some(word) = line.expect("'guid' expects a name as argument.") else { return };
            match guid::read(word) {
                Ok(guid) => section.guid = Some(guid),
                Err(problem) => line.error(code::BAD_VALUE, word.span, format!("'guid' : {problem}.")),
            }
            line.end();
        }
        "description" => {
            if line.words.is_empty() {
                let missing = Diagnostic::error(
                    code::MISSING_ARGUMENT,
                    line.words.here(),
                    "'description' expects a string argument.",
                );
                line.out.push(missing.place(Place::ParsingLine));
            } else {
                section.description = Some(line.joined());
            }
        }
        "dynamic-cookie-key" => {
            let missing = "'dynamic-cookie-key' expects <secret_key> as argument.";
            settings.dynamic_cookie_key = line.expect(missing).map(|word| word.text.to_string());
        }
        "tcp-request inspect-delay" | "tcp-response inspect-delay" => {
            let missing = format!("'{}' expects a positive delay in milliseconds", line.name);
            let name = line.name.to_owned();
            if let Some(word) = line.expect(missing) {
                let delay = line.time(word, Unit::Milliseconds, &name);
                if name.starts_with("tcp-response") {
                    settings.response_inspect_delay = delay;
                } else {
                    settings.inspect_delay = delay;
                }
            }
        }
        "http-send-name-header" => {
            let missing = "'http-send-name-header' requires a header string.";
            settings.send_name_header = line.expect(missing).map(|word| word.text.to_string());
        }
        "load-server-state-from-file" => server_state(line, settings),
        "server-state-file-name" => {
            settings.server_state_file = line.words.next().map(|word| word.text.to_string().into());
        }
        "stick-table" => section.stick_tables.extend(stick::table(line, section.name.clone(), tools)),
        "external-check command" => {
            let command = line.words.next().map(|word| word.text.to_string());
            section.settings.external_check.command = command.or(section.settings.external_check.command.take());
        }
        "external-check path" => {
            let at = line.words.statement();
            let path = line.words.next().map(|word| (word.text.to_string(), at));
            section.settings.external_check.path = path.or(section.settings.external_check.path.take());
        }
        "max-keep-alive-queue" | "max-session-srv-conns" => kept_connections(line, settings),
        "clitcpka-cnt" | "clitcpka-idle" | "clitcpka-intvl" | "srvtcpka-cnt" | "srvtcpka-idle" | "srvtcpka-intvl" => {
            keep_alive::statement(line, settings);
        }
        name if name.starts_with("email-alert") => email_alert(line, &mut settings.email_alert),
        "compression algo" | "compression algo-res" | "compression algo-req" => compression(line),
        "filter" => filter(line),
        // What has no effect or does not work yet: the table has said so.
        _ => {
            let _ = tools;
        }
    }
}

fn mode(line: &mut Line<'_, '_>, settings: &mut Settings, tools: &mut Tools) {
    let word = line.words.next();
    let text = word.map_or("", |word| &*word.text);
    let place = word.map_or(line.words.here(), |word| word.span);
    settings.mode = match text {
        "tcp" => Some(Mode::Tcp),
        "http" => Some(Mode::Http),
        "log" => Some(Mode::Log),
        "spop" | "haterm" => {
            tools.support.unsupported(&format!("mode {text}"), place, line.out);
            Some(Mode::Tcp)
        }
        "health" => {
            let message = "'mode health' doesn't exist anymore. Please use 'http-request return status 200' instead.";
            line.out.push(Diagnostic::error(code::LEGACY, place, message).help("a `monitor-uri` answers checks, too"));
            settings.mode
        }
        _ => {
            let diagnostic = Diagnostic::error(code::UNKNOWN_NAME, place, format!("unknown proxy mode '{text}'."));
            line.out.push(diagnostic.help("the modes are `http`, `tcp` and `log`"));
            settings.mode
        }
    };
    line.end();
}

/// `timeout WHAT TIME`
pub(super) fn timeout(line: &mut Line<'_, '_>, settings: &mut Settings) {
    let name = line.name.to_owned();
    timeout_named(line, settings, &name);
}

/// What is said of a time that is too long.
pub(super) fn timer_overflow(text: &str, name: &str) -> String {
    format!("timer overflow in argument '{text}' to '{name}' (maximum value is 2147483647 ms or ~24.8 days)")
}

/// What is said of one that is too short.
pub(super) fn timer_underflow(text: &str, name: &str) -> String {
    format!("timer underflow in argument '{text}' to '{name}' (minimum value is 1 ms)")
}

/// The same as [`timeout`] under another name, for the words of 1.x.
pub(super) fn timeout_named(line: &mut Line<'_, '_>, settings: &mut Settings, name: &str) {
    let Some(word) = line.expect(format!("'{name}' expects an integer value (in milliseconds)")) else { return };
    let time = match value::time(&word.text, Unit::Milliseconds) {
        Ok(time) => time,
        Err(problem) => {
            let text = &word.text;
            let message = match problem {
                TimeProblem::Unexpected { character, .. } => {
                    format!("unexpected character '{character}' in '{name}'")
                }
                TimeProblem::Overflow => timer_overflow(text, name),
                TimeProblem::Underflow => timer_underflow(text, name),
            };
            return line.bad_time(word, &problem, message, Place::Parsing);
        }
    };
    if let Some(extra) = line.words.next() {
        let message = format!("'{name}' : unexpected extra argument '{}' after value '{}'.", extra.text, word.text);
        return line.error(code::EXTRA_ARGUMENT, extra.span, message);
    }
    let timeouts = &mut settings.timeouts;
    let slot = match name {
        "timeout client" => &mut timeouts.client,
        "timeout client-fin" => &mut timeouts.client_fin,
        "timeout http-request" => &mut timeouts.http_request,
        "timeout http-keep-alive" => &mut timeouts.http_keep_alive,
        "timeout connect" => &mut timeouts.connect,
        "timeout server" => &mut timeouts.server,
        "timeout server-fin" => &mut timeouts.server_fin,
        "timeout tunnel" => &mut timeouts.tunnel,
        "timeout queue" => &mut timeouts.queue,
        "timeout tarpit" => &mut timeouts.tarpit,
        _ => &mut timeouts.check,
    };
    *slot = Some(time).filter(|time| !time.is_zero());
}

fn logs(line: &mut Line<'_, '_>, section: &mut Section, tools: &mut Tools) {
    if line.negated {
        section.settings.logs.clear();
        if let Some(word) = line.words.next() {
            line.error(code::EXTRA_ARGUMENT, word.span, "log : 'no log' does not expect arguments");
        }
        return;
    }
    let is_global = line.words.peek().is_some_and(|word| &*word.text == "global");
    if is_global && line.words.clone().rest().len() == 1 {
        // Inherited and repeated ones are the same targets: each line is sent to them once.
        if !section.settings.logs.contains(&LogEntry::Global) {
            section.settings.logs.push(LogEntry::Global);
        }
        return;
    }
    if let Some(target) = log::target(line, false, tools) {
        section.settings.logs.push(LogEntry::Target(Arc::new(target)));
    }
}

/// `errorfile STATUS FILE`
fn error_file(line: &mut Line<'_, '_>, settings: &mut Settings, bufsize: u32) {
    if let Some(file) = read_error_file(line, bufsize) {
        set_error(settings, file);
    }
}

/// Reads the words of `errorfile`, and the file.
pub(super) fn read_error_file(line: &mut Line<'_, '_>, bufsize: u32) -> Option<ErrorFile> {
    let missing = "errorfile : expects <status_code> and <file> as arguments.";
    let status = line.expect(missing)?;
    let file = line.expect(missing)?;
    let status = error_status(line, status, "errorfile")?;
    match files::answer(&file.text, bufsize) {
        Ok(bytes) => Some(ErrorFile { status, answer: ErrorAnswer::File { path: (&*file.text).into(), bytes } }),
        Err(unusable) => {
            // What cannot be opened is a sentence.
            let period = if unusable.reason.is_some() { "." } else { "" };
            let message = format!("errorfile : {}{period}", unusable.message);
            let diagnostic = Diagnostic::error(code::FILE, file.span, message);
            line.out.push(match unusable.reason {
                Some(reason) => diagnostic.label(reason),
                None => diagnostic,
            });
            None
        }
    }
}

fn error_status(line: &mut Line<'_, '_>, word: &shared_config::words::Word, what: &str) -> Option<u16> {
    let status = word.text.parse().ok().filter(|s| ERROR_STATUSES.contains(s) || ERROR_STATUSES_5XX.contains(s));
    if status.is_none() {
        let all: Vec<String> = ERROR_STATUSES.iter().chain(&ERROR_STATUSES_5XX).map(u16::to_string).collect();
        let message = format!("{what} : status code '{}' not handled.", word.text);
        line.out.push(
            Diagnostic::error(code::BAD_VALUE, word.span, message).help(format!("it is one of {}", all.join(", "))),
        );
    }
    status
}

/// `errorfiles SECTION [STATUS…]`
fn error_section(line: &mut Line<'_, '_>, settings: &mut Settings) {
    let Some(name) = line.expect("'errorfiles' : expects <http-errors section> as argument.") else { return };
    let statuses = {
        let words = line.words.rest();
        words.iter().filter_map(|word| error_status(line, word, "errorfiles")).collect()
    };
    settings.error_sections.push(at((name.text.to_string(), statuses), name.span));
}

fn error_location(line: &mut Line<'_, '_>, settings: &mut Settings) {
    let what = line.name;
    let missing = format!("{what} : expects <status_code> and <url> as arguments.");
    let Some(status) = line.expect(missing.clone()) else { return };
    let Some(location) = line.expect(missing) else { return };
    let Some(status) = error_status(line, status, what) else { return };
    let redirect = if what == "errorloc303" { 303 } else { 302 };
    let answer = ErrorAnswer::Redirect { status: redirect, location: location.text.to_string() };
    set_error(settings, ErrorFile { status, answer });
}

/// `http-error status STATUS …`: what is sent is compiled where everything it may name is known.
fn http_error(line: &mut Line<'_, '_>, settings: &mut Settings) {
    let words = line.words.rest();
    let Some(status) = words.iter().position(|word| word.as_str() == "status").and_then(|at| words.get(at + 1)) else {
        let here = line.words.here();
        return line.error(code::MISSING_ARGUMENT, here, "http-error : expects at least a <status> as arguments.");
    };
    let Some(code) = error_status(line, status, "http-error") else { return };
    settings.error_files.retain(|other| other.status != code);
    settings.http_errors.retain(|(other, _)| *other != code);
    settings.http_errors.push((code, Statement { words: words.to_vec(), span: line.keyword }));
}

fn set_error(settings: &mut Settings, file: ErrorFile) {
    settings.http_errors.retain(|(other, _)| *other != file.status);
    settings.error_files.retain(|other| other.status != file.status);
    settings.error_files.push(Arc::new(file));
}

fn http_reuse(line: &mut Line<'_, '_>, settings: &mut Settings) {
    let word = line.words.next();
    let (text, place) = word.map_or(("", line.words.here()), |word| (&*word.text, word.span));
    let reuse = match text {
        "never" => HttpReuse::Never,
        "safe" => HttpReuse::Safe,
        "aggressive" => HttpReuse::Aggressive,
        "always" => HttpReuse::Always,
        _ => {
            let message = "'http-reuse' only supports 'never', 'safe', 'aggressive', 'always'.";
            return line.error(code::UNKNOWN_NAME, place, message);
        }
    };
    settings.http_reuse = Some(reuse);
    line.end();
}

fn retry_on(line: &mut Line<'_, '_>, settings: &mut Settings) {
    let missing = "'retry-on' needs at least one keyword to specify when to retry";
    if line.words.is_empty() {
        line.expect(missing);
        return;
    }
    let nothing = RetryOn { conn_failure: false, ..RetryOn::default() };
    let mut retry = nothing.clone();
    let words = line.words.rest();
    for word in words {
        match &*word.text {
            "none" if words.len() > 1 => {
                line.error(code::CONFLICT, word.span, "'retry-on' 'none' keyworld only usable alone");
            }
            "none" => retry = nothing.clone(),
            "conn-failure" => retry.conn_failure = true,
            "empty-response" => retry.empty_response = true,
            "junk-response" => retry.junk_response = true,
            "response-timeout" => retry.response_timeout = true,
            "0rtt-rejected" => retry.rejected_0rtt = true,
            "all-retryable-errors" => {
                retry = RetryOn {
                    conn_failure: true,
                    empty_response: true,
                    junk_response: true,
                    response_timeout: true,
                    rejected_0rtt: true,
                    statuses: vec![500, 502, 503, 504],
                }
            }
            status => match status.parse() {
                Ok(status @ (401 | 403 | 404 | 408 | 421 | 425 | 429 | 500..=504)) => retry.statuses.push(status),
                _ => line.error(code::UNKNOWN_NAME, word.span, format!("'retry-on': unknown keyword '{status}'")),
            },
        }
    }
    retry.statuses.sort_unstable();
    retry.statuses.dedup();
    settings.retry_on = Some(retry);
}

fn id(line: &mut Line<'_, '_>, section: &mut Section) {
    let Some(word) = line.words.next() else {
        let missing = Diagnostic::error(code::MISSING_ARGUMENT, line.words.here(), "'id' expects an integer argument.");
        return line.out.push(missing.place(Place::ParsingLine));
    };
    let number = value::leading_integer(&word.text).0;
    match u32::try_from(number).ok().filter(|&id| id > 0 && i32::try_from(id).is_ok()) {
        Some(id) => section.id = Some(at(id, word.span)),
        None => line
            .out
            .push(Diagnostic::error(code::BAD_VALUE, word.span, "custom id has to be > 0.").place(Place::ParsingLine)),
    }
}

fn server_state(line: &mut Line<'_, '_>, settings: &mut Settings) {
    let word = line.words.next();
    let (text, place) = word.map_or(("", line.words.here()), |word| (&*word.text, word.span));
    settings.server_state = match text {
        "none" => ServerStateFrom::None,
        "global" => ServerStateFrom::Global,
        "local" => ServerStateFrom::Local,
        _ => {
            let message = format!("'load-server-state-from-file' expects 'global', 'local' or 'none'. Got '{text}'");
            return line.error(code::UNKNOWN_NAME, place, message);
        }
    };
}

/// A number with nothing after it.
pub(super) fn strict_integer(line: &mut Line<'_, '_>, word: &shared_config::words::Word, name: &str) -> Option<i64> {
    let (number, rest) = value::leading_integer(&word.text);
    match rest.chars().next() {
        None => Some(number),
        Some(character) => {
            let message = format!("'{name}' : unexpected character '{character}' in integer value '{}'", word.text);
            line.error(code::BAD_VALUE, word.span, message);
            None
        }
    }
}

/// What becomes of connections to servers that are one client's alone.
fn kept_connections(line: &mut Line<'_, '_>, settings: &mut Settings) {
    if line.name == "max-session-srv-conns" {
        if let Some(word) = line.expect("'max-session-srv-conns' expects a number. Got no argument") {
            settings.max_session_srv_conns = Some(u32::try_from(line.lenient(word)).unwrap_or(0));
        }
    } else if let Some(word) = line.expect("'max-keep-alive-queue' expects expects an integer value (or -1 to disable)")
    {
        let most = strict_integer(line, word, "max-keep-alive-queue");
        settings.max_keep_alive_queue = most.and_then(|most| u32::try_from(most).ok());
    }
}

fn email_alert(line: &mut Line<'_, '_>, alert: &mut EmailAlert) {
    alert.any = true;
    let name = line.name.rsplit(' ').next().unwrap_or_default().to_owned();
    let Some(word) = line.expect("missing argument after 'email-alert'.") else { return };
    match &*name {
        "from" => alert.from = true,
        "to" => alert.to = true,
        "mailers" => alert.mailers = Some(at(word.text.to_string(), word.span)),
        "level" if !log::LEVELS.contains(&&*word.text) => {
            line.error(code::UNKNOWN_NAME, word.span, format!("unknown log level 'level' after '{}'", word.text));
        }
        _ => {}
    }
}

fn compression(line: &mut Line<'_, '_>) {
    for word in line.words.rest() {
        if !["gzip", "deflate", "raw-deflate", "identity"].contains(&&*word.text) {
            let message = format!("'compression' : '{}' is not a supported algorithm.", word.text);
            line.error(code::UNKNOWN_NAME, word.span, message);
        }
    }
}

fn filter(line: &mut Line<'_, '_>) {
    use shared_config::haproxy::keyword::FILTERS;
    let Some(word) = line.expect("'filter' expects a filter name.") else { return };
    if !FILTERS.iter().any(|filter| filter.name == &*word.text) {
        line.error(code::UNKNOWN_NAME, word.span, format!("'filter' : unknown keyword '{}'.", word.text));
    }
}
