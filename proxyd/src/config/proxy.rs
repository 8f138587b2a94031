//! `defaults`, `frontend`, `backend` and `listen`: opening the section, and which statement goes to whom.

use super::address::Resolver;
use super::draft::{At, DefaultRules, Section, Settings};
use super::line::{Line, code};
use super::option::{self, Negation};
use super::support::Support;
use super::{balance, check, check_rule, cookie, frontend, legacy, ring, rules, server, settings, source, stats};
use shared_config::diagnostic::{Diagnostic, Diagnostics, Place};
use shared_config::haproxy::ast::{self, Statement};
use shared_config::haproxy::keyword::{self, Keyword, SectionKind};
use shared_config::source::{Sources, Span};
use shared_config::suggest;
use shared_config::words::{Word, Words};
use std::collections::HashMap;
use std::sync::Arc;

/// What lowering uses everywhere.
#[derive(Debug, Default)]
pub(super) struct Tools {
    pub resolver: Resolver,
    pub support: Support,
    /// What `log tcp@` lines made.
    pub rings: Vec<ring::Implicit>,
    /// The profiles that `log` lines name.
    pub profiles: Vec<Word>,
    /// The log backends that they name.
    pub log_backends: Vec<Word>,
    /// `tune.bufsize`, as far as it has been read.
    pub bufsize: u32,
}

/// What haproxy says of `no` and `default` in front of other words.
pub(super) const NEGATION: &str = "negation/default currently supported only for options, log, busy-polling, set-dumpable, \
                        strict-limits, insecure-fork-wanted and numa-cpu-mapping.";

/// The `defaults` sections so far.
#[derive(Debug, Default)]
pub(super) struct DefaultsList {
    latest: Option<Arc<Settings>>,
    named: HashMap<String, Vec<(Span, Arc<Settings>)>>,
    /// What kind of section was the first to start from one that has rules, by where that one begins.
    rules_used: HashMap<Span, SectionKind>,
}

impl DefaultsList {
    /// Adds a section that has been read to its end.
    pub(super) fn add(&mut self, section: Section) {
        let settings = Arc::new(section.settings);
        self.latest = Some(Arc::clone(&settings));
        if !section.name.is_empty() {
            self.named.entry(section.name).or_default().push((section.head, settings));
        }
    }

    /// What a section starts from: the defaults it names, or the latest ones.
    fn settings(&self, from: Option<&Word>, what: &str, sources: &Sources, out: &mut Diagnostics) -> Settings {
        let Some(name) = from else {
            return self.latest.as_deref().cloned().unwrap_or_default();
        };
        match self.named.get(&*name.text).map(Vec::as_slice) {
            None | Some([]) => {
                let message = format!("defaults section '{}' not found for {what}.", name.text);
                let mut diagnostic = Diagnostic::error(code::UNKNOWN_NAME, name.span, message);
                if let Some(nearest) = suggest::nearest(&name.text, self.named.keys().map(String::as_str)) {
                    diagnostic = diagnostic.help(format!("did you mean `{nearest}`?"));
                }
                out.push(diagnostic);
                Settings::default()
            }
            Some([(_, settings)]) => Settings::clone(settings),
            Some([(first, _), .., (last, settings)]) => {
                let message = format!(
                    "ambiguous defaults section name '{}' referenced by {what} exists at least at {} and {}.",
                    name.text,
                    place(first, sources),
                    place(last, sources)
                );
                out.push(
                    Diagnostic::error(code::DUPLICATE, name.span, message)
                        .related(*first, "one of them")
                        .related(*last, "another one"),
                );
                Settings::clone(settings)
            }
        }
    }

    /// Looks whether a section of this kind may start from these rules: either frontends or backends may (manual, section 4).
    fn use_rules(
        &mut self,
        rules: &DefaultRules,
        kind: SectionKind,
        head: Span,
        sources: &Sources,
        out: &mut Diagnostics,
    ) {
        let Some(from) = rules.head.filter(|_| rules.has_rules()) else { return };
        let at = place(&from, sources);
        let message = match kind {
            SectionKind::Listen => {
                "a listen section cannot inherit from a defaults section defining TCP/HTTP rules.".to_owned()
            }
            SectionKind::Defaults => format!(
                "a defaults section cannot inherit from a defaults section defining TCP/HTTP rules (defaults section at {at})."
            ),
            kind if *self.rules_used.entry(from).or_insert(kind) != kind => format!(
                "frontends and backends cannot inherit from the same defaults section if it defines TCP/HTTP rules \
                 (defaults section at {at})."
            ),
            _ => return,
        };
        out.push(
            Diagnostic::error(code::WRONG_SECTION, head, message)
                .place(Place::ParsingLine)
                .related(from, "these defaults")
                .help("name other defaults with `from`"),
        );
    }
}

/// A place as messages name it.
fn place(span: &Span, sources: &Sources) -> String {
    format!("{}:{}", sources.get(span.source).path().display(), sources.position(*span).line)
}

/// Opens a section from its first line.
pub(super) fn open(
    ast: &ast::Section,
    kind: SectionKind,
    defaults: &mut DefaultsList,
    tools: &mut Tools,
    sources: &Sources,
    out: &mut Diagnostics,
) -> Section {
    let mut words = ast.head.words();
    let _keyword = words.next();
    let name = if kind == SectionKind::Defaults && words.peek().is_some_and(|word| &*word.text == "from") {
        None
    } else {
        words.next()
    };
    let text = name.map_or("", |word| &*word.text);
    if name.is_none() && kind != SectionKind::Defaults {
        let message = format!("'{}' expects an <id> argument", kind.name());
        out.push(Diagnostic::error(code::MISSING_ARGUMENT, words.here(), message).label("the name is missing here"));
    }
    if let Some(name) = name {
        check_name(name, kind, out);
    }
    let mut addresses: Option<&Word> = None;
    if let Some(word) = words.peek().filter(|word| &*word.text != "from") {
        let _address = words.next();
        if kind == SectionKind::Defaults {
            let message = format!("'defaults' does not take a second name, '{}' is ignored.", word.text);
            out.push(Diagnostic::warning(code::IGNORED, word.span, message));
        } else {
            addresses = Some(word);
        }
    }
    let from = Words::take(&mut words, "from").and_then(|_| words.next());
    let what = format!("{} '{text}'", kind.name());
    // A `defaults` section starts anew, unless it names another one.
    let settings = if kind == SectionKind::Defaults && from.is_none() {
        Settings::default()
    } else {
        defaults.settings(from, &what, sources, out)
    };
    defaults.use_rules(&settings.rules, kind, ast.head.span, sources, out);
    let mut section = Section::new(kind, text, ast.head.span, settings);
    if let Some(word) = addresses {
        legacy::section_address(word, &mut section, tools, out);
    } else if let Some(word) = words.next() {
        let message = format!("'{}' cannot handle unexpected argument '{}'.", kind.name(), word.text);
        out.push(Diagnostic::error(code::EXTRA_ARGUMENT, word.span, message));
    }
    section
}

fn check_name(name: &Word, kind: SectionKind, out: &mut Diagnostics) {
    let wrong = name.text.char_indices().find(|(_, c)| !(c.is_ascii_alphanumeric() || ".:_-".contains(*c)));
    if let Some((at, character)) = wrong {
        let message = format!("character '{character}' is not permitted in '{}' name '{}'.", kind.name(), name.text);
        out.push(
            Diagnostic::error(code::BAD_VALUE, name.span_of(at..at + character.len_utf8()), message)
                .help("a name is made of letters, digits, `.`, `:`, `_` and `-`"),
        );
    }
}

/// What became of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It was lowered or refused.
    Here,
    /// It may stand where it stands, and is for `rules` to lower.
    Rule,
}

/// Lowers one statement of a proxy section, unless it is a rule.
pub(super) fn statement(
    statement: &Statement,
    section: &mut Section,
    tools: &mut Tools,
    out: &mut Diagnostics,
) -> Taken {
    let mut words = statement.words();
    let negation = match words.peek().map_or("", |word| &*word.text) {
        "no" => Negation::No,
        "default" => Negation::Default,
        _ => Negation::None,
    };
    let prefix = if negation == Negation::None { None } else { words.next() };
    let Some(first) = words.peek() else { return Taken::Here };
    if &*first.text == "option" {
        let _option = words.next();
        let mut line = line(words, "option", first.span, section.kind, negation, out);
        option::option(&mut line, negation, section, tools);
        return Taken::Here;
    }
    if let Some(prefix) = prefix
        && !(negation == Negation::No && &*first.text == "log")
    {
        out.push(
            Diagnostic::error(code::BAD_VALUE, prefix.span, NEGATION)
                .place(Place::ParsingLine)
                .label(format!("`{}` cannot stand in front of `{}`", prefix.text, first.text)),
        );
        return Taken::Here;
    }
    let rest = words.clone().rest();
    let Some(row) = find(section.kind, rest) else {
        unknown(first, words, section, out);
        return Taken::Here;
    };
    if !allowed(row, first, section, out) {
        return Taken::Here;
    }
    let keyword = (0..row.words()).filter_map(|_| words.next()).fold(first.span, |span, word| span.to(word.span));
    let is_legacy = row.legacy.is_some();
    if !is_legacy {
        tools.support.statement(row, row.name, keyword, out);
    }
    if rules::takes(rest) {
        return Taken::Rule;
    }
    let mut line = line(words, row.name, keyword, section.kind, negation, out);
    if row.name == "persist rdp-cookie" {
        let method = rest.get(1).map_or("", Word::as_str);
        balance::persist_rdp_cookie(&mut line, method, &mut section.settings);
    } else if is_legacy {
        legacy::statement(&mut line, row, section, tools);
    } else {
        dispatch(&mut line, row, section, tools);
    }
    Taken::Here
}

/// A statement's cursor.
pub(super) fn line<'a, 'd>(
    words: Words<'a>,
    name: &'a str,
    keyword: Span,
    section: SectionKind,
    negation: Negation,
    out: &'d mut Diagnostics,
) -> Line<'a, 'd> {
    Line { words, name, keyword, negated: negation == Negation::No, section, out }
}

/// The row of a statement, wherever it may stand.
fn find(kind: SectionKind, words: &[Word]) -> Option<&'static Keyword> {
    keyword::find_statement(kind, words).or_else(|| {
        [SectionKind::Listen, SectionKind::Frontend, SectionKind::Backend, SectionKind::Defaults]
            .into_iter()
            .find_map(|kind| keyword::find_statement(kind, words))
    })
}

/// Whether the statement may stand in this section; says so where not.
fn allowed(row: &Keyword, first: &Word, section: &Section, out: &mut Diagnostics) -> bool {
    let in_anonymous = section.kind == SectionKind::Defaults && section.name.is_empty() && row.named_defaults_only;
    // haproxy takes these everywhere without a word.
    let anywhere = matches!(row.name, "unique-id-header" | "unique-id-format" | "persist rdp-cookie")
        || row.name.starts_with("external-check");
    if (row.sections.contains(section.kind) || anywhere) && !in_anonymous {
        return true;
    }
    let name = row.name;
    let at = first.span;
    let only_warns = !matches!(name, "server" | "default-server" | "server-template" | "retry-on")
        && !name.starts_with("tcp-re")
        && !name.starts_with("declare");
    if section.kind == SectionKind::Defaults || !only_warns {
        let message = match section.kind {
            SectionKind::Defaults if in_anonymous && name.starts_with("tcp-") => {
                format!("{name} is not allowed in anonymous 'defaults' sections")
            }
            SectionKind::Defaults if in_anonymous => format!("'{name}' not allowed in anonymous 'defaults' section."),
            SectionKind::Defaults => not_in_defaults(name),
            _ if name == "retry-on" => format!("'{name}' only available in backend or listen section"),
            _ if name.starts_with("declare") => "'declare' only available in frontend or listen section".to_owned(),
            _ if name.starts_with("tcp-response") => {
                format!("{name} is only allowed in 'backend' sections or 'defaults' section with a name")
            }
            SectionKind::Backend => format!("{name} is not allowed because backend {} is not a frontend", section.name),
            _ => {
                format!("'{name}' not allowed because {} '{}' has no backend capability.", section.word(), section.name)
            }
        };
        let diagnostic = Diagnostic::error(code::WRONG_SECTION, at, message).label("not here");
        let is_server = matches!(name, "server" | "default-server" | "server-template");
        let by_reader = matches!(name, "id" | "description" | "stats admin" | "stats http-request");
        out.push(diagnostic.place(match (is_server, by_reader) {
            (true, _) => Place::Bare,
            (false, true) => Place::ParsingLine,
            (false, false) => Place::Parsing,
        }));
        return false;
    }
    let lacks = if section.kind == SectionKind::Backend { "frontend" } else { "backend" };
    let (word, name_of) = (section.word(), &section.name);
    let hint = match name {
        "maxconn" => " Maybe you want 'fullconn' instead ?",
        "fullconn" => " Maybe you want 'maxconn' instead ?",
        _ => "",
    };
    let message = match name {
        "log-format" | "log-format-sd" | "error-log-format" => {
            format!("backend '{name_of}' : '{name}' directive is ignored in backends.")
        }
        _ if name.starts_with("timeout ") => {
            format!("'{name}' will be ignored because {word} '{name_of}' has no {lacks} capability")
        }
        "rate-limit sessions"
        | "max-keep-alive-queue"
        | "clitcpka-cnt"
        | "clitcpka-idle"
        | "clitcpka-intvl"
        | "srvtcpka-cnt"
        | "srvtcpka-idle"
        | "srvtcpka-intvl" => {
            format!("{name} will be ignored because {word} '{name_of}' has no {lacks} capability")
        }
        _ => format!("'{}' ignored because {word} '{name_of}' has no {lacks} capability.{hint}", first.text),
    };
    out.push(Diagnostic::warning(code::WRONG_SECTION, at, message).label("means nothing here"));
    false
}

/// How haproxy says that a statement is not for `defaults`.
fn not_in_defaults(name: &str) -> String {
    match name {
        "filter" => "filter is not allowed in a 'default' section.".to_owned(),
        "stick-table" => "'stick-table' is not supported in 'defaults' section.".to_owned(),
        _ if name.starts_with("declare") => "'declare' not available in default section".to_owned(),
        _ => {
            let shown = match name {
                "stats http-request" => "stats",
                "capture request header" => "capture request",
                "capture response header" => "capture response",
                _ if name.starts_with("stick ") => "stick",
                _ => name,
            };
            format!("'{shown}' not allowed in 'defaults' section.")
        }
    }
}

/// A first word that no row has, or one whose second word none has.
fn unknown(first: &Word, mut words: Words<'_>, section: &Section, out: &mut Diagnostics) {
    let second_words = keyword::statements_with_first_word(section.kind, &first.text);
    let seconds: Vec<&str> = second_words.filter_map(|row| row.name.split(' ').nth(1)).collect();
    if !seconds.is_empty() {
        let _first = words.next();
        let mut line = line(words, "", first.span, section.kind, Negation::None, out);
        return unknown_second(&mut line, &first.text, &seconds);
    }
    let nearest = suggest::nearest(
        &first.text,
        keyword::PROXY
            .iter()
            .filter(|row| row.sections.contains(section.kind) && row.legacy.is_none())
            .map(|row| row.name.split(' ').next().unwrap_or(row.name))
            .chain(["option"]),
    );
    let hint = nearest.map_or_else(String::new, |name| format!("; did you mean '{name}' maybe ?"));
    let message = format!("unknown keyword '{}' in '{}' section{hint}", first.text, section.kind.name());
    let mut diagnostic = Diagnostic::error(code::UNKNOWN_KEYWORD, first.span, message).label("not known here");
    if let Some(nearest) = nearest {
        diagnostic = diagnostic.help(format!("write `{nearest}`"));
    } else if keyword::GLOBAL.iter().any(|row| row.name == &*first.text) {
        diagnostic = diagnostic.help("this belongs into the `global` section");
    }
    out.push(diagnostic);
}

/// `timeout bogus`: every family of statements has its own words for it.
fn unknown_second(line: &mut Line<'_, '_>, first: &str, seconds: &[&str]) {
    match first {
        "stats" => return stats::unknown(line),
        "http-check" | "tcp-check" => return check::unknown(line, first),
        _ => {}
    }
    let word = line.words.next();
    let (got, at) = word.map_or(("", line.words.here()), |word| (&*word.text, word.span));
    let message = match first {
        "timeout" => format!(
            "'timeout' supports 'client', 'server', 'connect', 'check', 'queue', 'http-keep-alive', 'http-request', \
             'tunnel', 'tarpit', 'client-fin' and 'server-fin' (got '{got}')"
        ),
        "capture" => match got {
            "request" | "response" => format!("'capture {got}' expects 'header' <header_name> 'len' <len>."),
            _ => "'capture' expects 'cookie' or 'request header' or 'response header'.".to_owned(),
        },
        "rate-limit" => format!("'rate-limit' only supports 'sessions' (got '{got}')"),
        "stick" => "'stick' expects 'on', 'match', or 'store'.".to_owned(),
        "monitor" => "'monitor' only supports 'fail'.".to_owned(),
        "compression" => "'compression' expects 'algo', 'type' or 'offload'".to_owned(),
        "persist" if got.is_empty() => "missing persist method.".to_owned(),
        "email-alert" | "external-check" if got.is_empty() => format!("missing argument after '{first}'."),
        "email-alert" | "external-check" => format!("{first}: unknown argument '{got}'."),
        "persist" => "unknown persist method.".to_owned(),
        _ => {
            let list = seconds.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(", ");
            format!("'{first}' expects {list} (got '{got}').")
        }
    };
    let mut diagnostic = Diagnostic::error(code::UNKNOWN_KEYWORD, at, message);
    if let Some(nearest) = suggest::nearest(got, seconds.iter().copied()) {
        diagnostic = diagnostic.help(format!("did you mean `{first} {nearest}`?"));
    }
    line.out.push(diagnostic);
}

/// A statement that stands where it may and works as it always did.
fn dispatch(line: &mut Line<'_, '_>, row: &'static Keyword, section: &mut Section, tools: &mut Tools) {
    let first = line.name.split(' ').next().unwrap_or(line.name);
    match first {
        "server" => {
            let start = section.settings.default_server.as_ref().clone();
            let draft = server::server(line, &section.name, start, &mut tools.resolver, &mut tools.support);
            section.servers.extend(draft);
        }
        "server-template" => {
            let start = section.settings.default_server.as_ref().clone();
            let drafts = server::template(line, &section.name, start, &mut tools.resolver, &mut tools.support);
            section.servers.extend(drafts);
        }
        "default-server" => {
            let target = Arc::make_mut(&mut section.settings.default_server);
            server::default_server(line, target, &mut tools.resolver, &mut tools.support);
        }
        "source" => {
            let found = source::read(line, &mut tools.resolver, &source::Wording::Proxy);
            section.settings.source = found.or(section.settings.source.take());
        }
        "stats" => stats::stats(line, &mut section.settings),
        "timeout" => settings::timeout(line, &mut section.settings),
        "cookie" => cookie::cookie(line, &mut section.settings),
        "balance" => balance::balance(line, &mut section.settings),
        "hash-type" => balance::hash_type(line, &mut section.settings),
        "hash-preserve-affinity" => balance::hash_preserve_affinity(line, &mut section.settings),
        "hash-balance-factor" => balance::hash_balance_factor(line, &mut section.settings),
        "http-check" if check::http_check(line, &mut section.settings.check) => {}
        "http-check" => {
            // A section's own rules stand instead of those it would inherit.
            if section.http_check_rules.is_none() {
                section.settings.check.http_rules.clear();
            }
            section.http_check_rules.get_or_insert(line.words.statement());
            section.settings.check.http_rules.extend(check_rule::written(row, line));
        }
        "tcp-check" => {
            if section.tcp_check_rules.is_none() {
                section.settings.check.tcp_rules.clear();
            }
            section.tcp_check_rules.get_or_insert(line.words.statement());
            section.settings.check.tcp_rules.extend(check_rule::written(row, line));
        }
        "bind" | "capture" | "monitor-uri" | "default_backend" | "rate-limit" | "unique-id-header"
        | "unique-id-format" | "log-format" | "log-format-sd" | "log-steps" | "error-log-format" | "declare" => {
            frontend::statement(line, section, tools);
        }
        _ => settings::statement(line, section, tools),
    }
}

/// A value at a place.
pub(super) fn at<T>(value: T, span: Span) -> At<T> {
    At { value, span }
}
