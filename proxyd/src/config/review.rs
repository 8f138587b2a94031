//! What haproxy warns about once a section is complete: settings that are ignored in the section's mode, missing timeouts,
//! logs without an address.

use super::draft::{CheckOption, FormatDraft, Section, Shown};
use super::global::Extra;
use super::line::code;
use super::model::{Global, Mode, ServerStateFrom};
use super::sections::Others;
use crate::balance::{Algorithm, KeySource};
use shared_config::diagnostic::{Diagnostic, Diagnostics, Place};
use shared_config::haproxy::ast::Statement;
use shared_config::source::Span;
use shared_config::words::Word;

/// A section and the statements in it that are rules.
pub(super) struct Subject<'s> {
    pub section: &'s Section,
    pub rules: &'s [&'s Statement],
}

/// Reviews all proxies.
pub(super) fn review<'s>(
    subjects: impl Iterator<Item = Subject<'s>>,
    global: &Global,
    extra: &Extra,
    others: &Others,
    out: &mut Diagnostics,
) {
    for subject in subjects {
        let section = subject.section;
        listeners(section, out);
        mode(&subject, out);
        logs(section, global, out);
        checks(section, global, extra, out);
        description(section, global, out);
        state(section, global, out);
        email(section, others, out);
        timeouts(section, out);
        review_servers(section, out);
    }
}

fn warn(out: &mut Diagnostics, kind: &'static str, at: Span, message: String) {
    out.push(Diagnostic::warning(kind, at, message).whole_file());
}

fn listeners(section: &Section, out: &mut Diagnostics) {
    if section.is_frontend() && section.binds.is_empty() && !section.settings.disabled {
        let (word, name) = (section.word(), &section.name);
        warn(
            out,
            code::IGNORED,
            section.head,
            format!("{word} '{name}' has no 'bind' directive. Please declare it as a backend if this was intended."),
        );
    }
}

/// What needs requests and responses, in a section that has none.
fn mode(subject: &Subject<'_>, out: &mut Diagnostics) {
    let section = subject.section;
    if section.mode() == Mode::Http {
        return;
    }
    let settings = &section.settings;
    let (word, name) = (section.word(), &section.name);
    let needs = |what: &str| format!("{what} for {word} '{name}' (needs 'mode http').");
    let requires = |what: &str| format!("{what} ignored for {word} '{name}' as it requires HTTP mode.");
    if let Some(at) = settings.cookie.as_ref().filter(|_| section.is_backend()) {
        warn(out, code::IGNORED, at.span, needs("cookie will be ignored"));
    }
    if let Some(at) = settings.monitor_uri.as_ref().filter(|_| section.is_frontend()) {
        warn(out, code::IGNORED, at.span, needs("monitor-uri will be ignored"));
    }
    if let Some(at) = settings.balance.as_ref().filter(|_| section.is_backend())
        && matches!(
            at.value,
            Algorithm::Hash(KeySource::Uri { .. } | KeySource::UrlParam { .. } | KeySource::Header { .. })
        )
    {
        let message =
            format!("Layer 7 hash not possible for {word} '{name}' (needs 'mode http'). Falling back to round robin.");
        warn(out, code::IGNORED, at.span, message);
    }
    let switches =
        |rule: &&Statement| rule.words.iter().map(Word::as_str).take(3).eq(["tcp-request", "content", "switch-mode"]);
    if section.is_frontend() && subject.rules.iter().any(switches) {
        return;
    }
    if let Some(at) = &settings.stats {
        warn(out, code::IGNORED, at.span, requires("'stats' statement"));
    }
    if let Some(at) = &settings.forward_for {
        warn(out, code::IGNORED, at.span, requires("'option forwardfor'"));
    }
    if let Some(at) = &settings.original_to {
        warn(out, code::IGNORED, at.span, requires("'option originalto'"));
    }
    for keyword in ["http-request", "http-response", "http-after-response", "redirect"] {
        let mut found = subject.rules.iter().filter(|rule| rule.keyword().is_some_and(|word| &*word.text == keyword));
        if let Some(rule) = found.next() {
            let message = format!("'{keyword}' rules ignored for {word} '{name}' as they require HTTP mode.");
            warn(out, code::IGNORED, rule.span, message);
        }
    }
}

fn logs(section: &Section, global: &Global, out: &mut Diagnostics) {
    if !section.is_frontend() {
        return;
    }
    let (word, name) = (section.word(), &section.name);
    let Some(format) = &section.settings.log_format else { return };
    if section.mode() != Mode::Http
        && let Some(option) = match format.value {
            FormatDraft::Http | FormatDraft::HttpClf => Some("httplog"),
            FormatDraft::Https => Some("httpslog"),
            FormatDraft::Tcp | FormatDraft::TcpClf | FormatDraft::Custom(_) => None,
        }
    {
        let message = format!(
            "'option {option}' not usable with {word} '{name}' (needs 'mode http'). Falling back to 'option tcplog'."
        );
        out.push(Diagnostic::warning(code::IGNORED, format.span, message));
    }
    let has_target = section.settings.logs.iter().any(|entry| match entry {
        super::draft::LogEntry::Global => !global.logs.is_empty(),
        super::draft::LogEntry::Target(_) => true,
    });
    // An inherited format that nobody can see is no mistake of this section; haproxy warns all the same.
    if !has_target && section.settings.logs.is_empty() {
        let message = format!("log format ignored for {word} '{name}' since it has no log address.");
        warn(out, code::IGNORED, format.span, message);
    }
}

fn checks(section: &Section, global: &Global, extra: &Extra, out: &mut Diagnostics) {
    let (word, name) = (section.word(), &section.name);
    let kind = &section.settings.check.kind;
    for (rules, wanted, rule, option) in [
        (section.http_check_rules, CheckOption::Http, "http-check", "httpchk"),
        (section.tcp_check_rules, CheckOption::Tcp, "tcp-check", "tcp-check"),
    ] {
        if let Some(at) = rules.filter(|_| *kind != wanted) {
            let message =
                format!("{word} '{name}' uses {rule} rules without 'option {option}', so the rules are ignored.");
            warn(out, code::IGNORED, at, message);
        }
    }
    let external = &section.settings.external_check;
    if *kind == CheckOption::External {
        let at = external.option.unwrap_or(section.head);
        let mut error = |message: String| out.push(Diagnostic::error(code::MISSING_ARGUMENT, at, message).whole_file());
        if !global.external_check {
            error(format!("Proxy '{name}' : 'option external-check' unable to find required 'global.external-check'."));
        }
        if external.command.is_none() {
            let command = "external-check command";
            error(format!("Proxy '{name}' : 'option external-check' unable to find required '{command}'."));
        }
        if !extra.insecure_fork_wanted {
            let message = format!(
                "Proxy '{name}' : 'insecure-fork-wanted' not enabled in the global section, 'option external-check' will \
                 likely fail."
            );
            warn(out, code::RISKY, at, message);
        }
    } else if let Some((_, at)) = external.path {
        let message =
            format!("'external-check path' will be ignored for {word} '{name}' (requires 'option external-check').");
        warn(out, code::IGNORED, at, message);
    }
}

/// `stats show-desc` needs a text from somewhere.
fn description(section: &Section, global: &Global, out: &mut Diagnostics) {
    if let Some(stats) = &section.settings.stats
        && matches!(stats.value.show_desc, Shown::Default)
        && section.description.is_none()
        && global.description.is_none()
    {
        let message = "'show-desc' requires a parameter or 'desc' to be set in the global section.";
        out.push(Diagnostic::warning(code::IGNORED, stats.span, message).place(Place::ParsingLine));
    }
}

fn state(section: &Section, global: &Global, out: &mut Diagnostics) {
    if section.is_backend()
        && section.settings.server_state == ServerStateFrom::Global
        && global.server_state_file.is_none()
    {
        let message = format!(
            "backend '{}' configured to load server state file from global section 'server-state-file' directive. \
             Unfortunately, 'server-state-file' is not set!",
            section.name
        );
        warn(out, code::IGNORED, section.head, message);
    }
}

fn email(section: &Section, others: &Others, out: &mut Diagnostics) {
    let alert = &section.settings.email_alert;
    if !alert.any {
        return;
    }
    let (word, name) = (section.word(), &section.name);
    match &alert.mailers {
        Some(mailers) if alert.from && alert.to => {
            if !others.mailers.contains_key(&mailers.value) {
                let message = format!("'email-alert' : unable to find mailers '{}'.", mailers.value);
                out.push(Diagnostic::error(code::UNKNOWN_NAME, mailers.span, message).whole_file());
            }
        }
        Some(_) | None => {
            let message = format!(
                "'email-alert' will be ignored for {word} '{name}' (the presence any of 'email-alert from', 'email-alert \
                 level' 'email-alert mailers', 'email-alert myhostname', or 'email-alert to' requires each of \
                 'email-alert from', 'email-alert mailers' and 'email-alert to' to be present)."
            );
            warn(out, code::IGNORED, section.head, message);
        }
    }
}

fn timeouts(section: &Section, out: &mut Diagnostics) {
    let timeouts = &section.settings.timeouts;
    let accepts = section.is_frontend() && !section.binds.is_empty();
    let sends = section.is_backend()
        && section.mode() != Mode::Log
        && (!section.servers.is_empty() || section.dispatch.is_some());
    if (accepts && timeouts.client.is_none()) || (sends && (timeouts.connect.is_none() || timeouts.server.is_none())) {
        out.push(missing_timeouts(section.word(), &section.name, section.head));
    }
}

/// What is said of a section without the timeouts that it should have.
pub(super) fn missing_timeouts(word: &str, name: &str, head: Span) -> Diagnostic {
    let message = format!(
        "missing timeouts for {word} '{name}'.\n   | While not properly invalid, you will certainly encounter various \
         problems\n   | with such a configuration. To fix this, please ensure that all following\n   | timeouts are set \
         to a non-zero value: 'client', 'connect', 'server'."
    );
    Diagnostic::warning(code::RISKY, head, message).whole_file()
}

fn review_servers(section: &Section, out: &mut Diagnostics) {
    let retry = section.settings.retry_on.clone().unwrap_or_default();
    let safe = retry.conn_failure && retry.empty_response && retry.response_timeout;
    for draft in section.servers.iter().filter(|draft| draft.settings.tfo && !safe) {
        let message = format!(
            "'server {}/{}' : server has tfo activated, the backend should be configured with at least 'conn-failure', \
             'empty-response' and 'response-timeout' or we wouldn't be able to retry the connection on failure.",
            section.name, draft.name
        );
        out.push(Diagnostic::warning(code::RISKY, draft.span, message).place(Place::Bare));
    }
}
