//! From the statements of a section about rules to [`Rules`]: ACLs, conditions, expressions, actions.
//!
//! Everything that is known is checked, also what does not work yet: a word that no version of haproxy has is an error in
//! haproxy's wording, a known word that this version cannot do is reported as decided for all words (harmless: a
//! warning, otherwise: a start is refused). [`lower`] takes the statements of one section in their order.
//!
//! - [`names`] what rules refer to elsewhere
//! - [`expression`] fetches and converters; [`fetch`], [`converter`] their arguments
//! - [`acl`] ACLs and their patterns, [`condition`] `if` and `unless`
//! - [`pattern_file`] files of patterns that can change
//! - [`stick`] persistence by stick tables, [`table`] what stick tables are asked and told
//! - [`text`] texts with samples in them
//! - [`effect`] actions that are the same in all rule sets
//! - [`http_action`], [`tcp_action`], [`redirect`] what rules do
//! - [`resolve`] names that rules look up
//! - [`order`] what is said about the order of rules
//! - [`legacy`] `block`, `reqadd` and other words of 1.x

mod acl;
mod arguments;
mod bandwidth;
mod condition;
mod converter;
mod effect;
mod expression;
mod fetch;
mod http_action;
mod legacy;
mod log_format;
mod names;
mod order;
mod pattern_file;
mod redirect;
pub(super) mod regex;
mod report;
mod resolve;
mod stick;
mod table;
mod tcp_action;
mod text;

pub use names::{KnownTable, Names, places, tells_course};
pub use pattern_file::changed_file;

use super::draft;
use crate::ids::{BackendId, FrontendId};
use crate::log::format::Program;
use crate::log::step::Step;
use crate::proxy::settings::Mode;
use crate::rules::ServerName;
use crate::rules::acl::AclIndex;
use crate::rules::bandwidth::Filter;
use crate::rules::effect::Effect;
use crate::rules::http::Reply;
use crate::rules::switch::{BackendName, Switch};
use crate::rules::{Rule, Rules};
use crate::sample;
use crate::sample::regex::Regex;
use acl::Declared;
use order::Order;
use report::code;
use shared_config::diagnostic::{Diagnostic, Diagnostics, Place};
use shared_config::haproxy::ast::Statement;
use shared_config::haproxy::expr;
use shared_config::haproxy::keyword::{FetchPlace, FetchPlaces, SectionKind};
use shared_config::source::{SourceId, Span};
use shared_config::words::{Word, WordBuilder, Words};
use std::collections::HashMap;
use std::sync::Arc;

/// What the rules of a section need to know about it.
#[derive(Clone, Copy)]
pub struct Section<'a> {
    /// The word that opened it.
    pub kind: SectionKind,
    /// Its name.
    pub name: &'a str,
    /// `mode`, all of the section considered.
    pub mode: Mode,
    /// Its accepting half.
    pub frontend: Option<FrontendId>,
    /// Its sending half.
    pub backend: Option<BackendId>,
    /// What it captures of requests by statements of its own; captures of rules are counted from there.
    pub request_captures: usize,
    /// The same of responses.
    pub response_captures: usize,
}

impl<'a> Section<'a> {
    /// Where no proxy is.
    const GLOBAL: Section<'static> = Section {
        kind: SectionKind::Global,
        name: "",
        mode: Mode::Tcp,
        frontend: None,
        backend: None,
        request_captures: 0,
        response_captures: 0,
    };

    /// A section where its number does not matter.
    pub(super) fn unnumbered(section: &'a draft::Section) -> Self {
        Self {
            kind: section.kind,
            name: &section.name,
            mode: section.mode(),
            frontend: None,
            backend: None,
            request_captures: section.capture_request.len(),
            response_captures: section.capture_response.len(),
        }
    }

    /// How haproxy names it in messages: `frontend`, `backend`, and `proxy` for a `listen`.
    fn word(&self) -> &'static str {
        match self.kind {
            SectionKind::Frontend => "frontend",
            SectionKind::Backend => "backend",
            SectionKind::Defaults => "defaults",
            _ => "proxy",
        }
    }

    /// The places of the halves the section has.
    fn places(&self, frontend: FetchPlace, backend: FetchPlace) -> FetchPlaces {
        match self.kind {
            SectionKind::Frontend => FetchPlaces::of(frontend),
            SectionKind::Backend => FetchPlaces::of(backend),
            _ => FetchPlaces::of(frontend).union(FetchPlaces::of(backend)),
        }
    }
}

/// Whether [`lower`] wants the statement that starts with these words.
pub fn takes(words: &[impl AsRef<str>]) -> bool {
    let second = words.get(1).map_or("", AsRef::as_ref);
    match words.first().map_or("", AsRef::as_ref) {
        "acl"
        | "http-request"
        | "http-response"
        | "http-after-response"
        | "use_backend"
        | "use-server"
        | "redirect"
        | "force-persist"
        | "ignore-persist"
        | "block"
        | "stick"
        | "force-be-switch"
        | "filter" => true,
        "tcp-request" | "tcp-response" => second != "inspect-delay",
        "monitor" => second == "fail",
        "stats" => second == "admin" || second == "http-request",
        first => legacy::takes(first),
    }
}

/// Lowers the statements that [`takes`] wants, in their order: those of the `defaults` section, then the section's own. ACLs of
/// the first are for its rules alone.
pub fn lower(
    section: &Section<'_>,
    inherited: &[Statement],
    own: Vec<&Statement>,
    names: &Names,
    out: &mut Diagnostics,
) -> Rules {
    let mut lowering = Lowering::new(section, names, out);
    // Rules name filters that may stand behind them.
    let is_filter = |statement: &Statement| statement.words.first().is_some_and(|word| word.as_str() == "filter");
    for statement in inherited.iter().chain(own.iter().copied()).filter(|statement| is_filter(statement)) {
        let mut words = statement.words();
        let _keyword = words.next();
        lowering.filter(&mut words);
    }
    for statement in inherited {
        lowering.statement(statement);
    }
    lowering.declared.clear();
    for statement in own {
        lowering.statement(statement);
    }
    lowering.finish()
}

/// Compiles the format that a `keyword` such as `log-format` gives. `None` where it is wrong or does not work yet, which has been reported.
pub fn log_format(
    section: &Section<'_>,
    keyword: &str,
    word: &Word,
    names: &Names,
    out: &mut Diagnostics,
) -> Option<Program<sample::Expression>> {
    Lowering::new(section, names, out).with_acls().log_format(keyword, word, FetchPlaces::of(FetchPlace::Logs))
}

/// The same for a step of a `log-profile`: what a rule on HTTP messages logs can show the message.
pub fn profile_format(
    section: &Section<'_>,
    (keyword, step): (&str, Option<Step>),
    word: &Word,
    names: &Names,
    out: &mut Diagnostics,
) -> Option<Program<sample::Expression>> {
    let places = FetchPlaces::of(FetchPlace::Logs);
    let places = match step {
        Some(Step::HttpRequest) => places.union(FetchPlaces::of(FetchPlace::FrontendHttpRequestHeader)),
        Some(Step::HttpResponse | Step::HttpAfterResponse) => {
            places.union(FetchPlaces::of(FetchPlace::FrontendHttpResponseHeader))
        }
        _ => places,
    };
    Lowering::new(section, names, out).with_acls().log_format(keyword, word, places)
}

/// Compiles a `unique-id-format`, likewise.
pub fn unique_id_format(
    section: &Section<'_>,
    word: &Word,
    names: &Names,
    out: &mut Diagnostics,
) -> Option<sample::text::Text> {
    Lowering::new(section, names, out).with_acls().unique_id_format(word)
}

/// Compiles a text that is made when a server is connected to; `before` stands in front of what is wrong. Likewise.
pub fn server_text(
    section: &Section<'_>,
    word: &Word,
    before: &str,
    names: &Names,
    out: &mut Diagnostics,
) -> Option<sample::text::Text> {
    let places = FetchPlaces::of(FetchPlace::ServerSourceSelection);
    Lowering::new(section, names, out).text(word, before, Place::Bare, places)
}

/// Compiles a text of a check, likewise.
pub fn check_text(
    section: &Section<'_>,
    word: &Word,
    before: &str,
    names: &Names,
    out: &mut Diagnostics,
) -> Option<sample::text::Text> {
    Lowering::new(section, names, out).text(word, before, Place::Parsing, FetchPlaces::of(FetchPlace::BackendTcpCheck))
}

/// Compiles an expression of a check, which begins at the next word, likewise.
pub fn check_expression(
    section: &Section<'_>,
    words: &mut Words<'_>,
    before: &str,
    names: &Names,
    out: &mut Diagnostics,
) -> Option<sample::Expression> {
    let mut lowering = Lowering::new(section, names, out);
    let word = words.peek()?;
    let places = FetchPlaces::of(FetchPlace::BackendTcpCheck);
    let at = http_action::RuleAt { before: before.to_owned(), places, realm: sample::text::Text::default(), word };
    match lowering.rule_expression(&at, words) {
        Ok(expression) => expression,
        Err(problem) => {
            lowering.out.push(report::sentence(problem).into_diagnostic(code::BAD_EXPRESSION, before));
            None
        }
    }
}

/// A rule of a check about a variable.
pub struct Variable<'a> {
    /// `tcp-check` or `http-check`.
    pub before: &'a str,
    /// `set-var`, `set-var-fmt` or `unset-var`.
    pub name: &'a str,
    /// The same with what is in its parentheses.
    pub action: &'a Word,
}

/// Compiles a rule of a check about a variable, likewise.
pub fn check_variable(
    section: &Section<'_>,
    rule: &Variable<'_>,
    words: &mut Words<'_>,
    names: &Names,
    out: &mut Diagnostics,
) -> Option<Effect> {
    let mut lowering = Lowering::new(section, names, out);
    let before = format!("'{} {}' : '{}' : ", rule.before, rule.action.text, rule.name);
    let places = FetchPlaces::of(FetchPlace::BackendTcpCheck);
    let at = http_action::RuleAt { before, places, realm: sample::text::Text::default(), word: rule.action };
    match lowering.effect(rule.name, &at, words)? {
        Ok(effect) => effect,
        Err(problem) => {
            lowering.out.push(report::sentence(problem).into_diagnostic(code::BAD_EXPRESSION, &at.before));
            None
        }
    }
}

/// Checks and compiles the expression of `balance hash`. `line` is where the section begins, as haproxy says it. `None` where
/// it is wrong or does not work yet, which has been reported.
pub fn balance_hash(
    section: &Section<'_>,
    word: &Word,
    line: &str,
    names: &Names,
    out: &mut Diagnostics,
) -> Option<sample::Expression> {
    let mut lowering = Lowering::new(section, names, out);
    let before = format!("{} '{}' [{line}]: ", section.word(), section.name);
    let parsed = expr::parse(&mut Words::new(std::slice::from_ref(word), word.span)).and_then(|written| {
        Ok((lowering.expression(&written, &written.fetch.name.text, expression::Voice::Sample)?, written))
    });
    let (lowered, written) = match parsed {
        Ok(parsed) => parsed,
        Err(problem) => {
            let before = format!("{before}failed to parse 'balance hash' expression '{}' in : ", word.text);
            let error = report::sentence(problem).into_diagnostic(code::BAD_EXPRESSION, &before);
            lowering.out.push(error.whole_file());
            return None;
        }
    };
    if !lowered.places.intersects(FetchPlaces::of(FetchPlace::BackendUseServer)) {
        let message = format!(
            "{before}error detected while parsing 'balance hash' expression '{}' which requires information from {}, which \
             is not available here.",
            word.text,
            text::needs(lowered.places)
        );
        lowering.out.push(Diagnostic::error(code::BAD_EXPRESSION, word.span, message).whole_file());
        return None;
    }
    if section.mode == Mode::Http && expression::LAYER_6.contains(&written.fetch.name.as_str()) {
        let message = format!(
            "{before}L6 sample fetch <{}> will be ignored in 'balance hash' expression in HTTP mode.",
            word.text
        );
        lowering.out.push(Diagnostic::warning(code::IGNORED, word.span, message).whole_file());
    }
    lowered.expression
}

/// Checks and compiles an expression of `option forwarded`, likewise.
pub fn forwarded_expression(
    section: &Section<'_>,
    written: &expr::Expression,
    names: &Names,
    out: &mut Diagnostics,
) -> Option<sample::Expression> {
    let mut lowering = Lowering::new(section, names, out);
    let before = "'option forwarded' : ";
    let lowered = match lowering.expression(written, &written.fetch.name.text, expression::Voice::Sample) {
        Ok(lowered) => lowered,
        Err(problem) => {
            lowering.out.push(report::sentence(problem).into_diagnostic(code::BAD_EXPRESSION, before));
            return None;
        }
    };
    if !lowered.places.intersects(FetchPlaces::of(FetchPlace::BackendHttpRequestHeader)) {
        let message = format!(
            "{before}fetch method '{}' extracts information from '{}', none of which is available here.",
            written.fetch.name.text,
            text::needs(lowered.places)
        );
        lowering.out.push(Diagnostic::error(code::BAD_EXPRESSION, written.span, message));
        return None;
    }
    lowered.expression
}

/// Checks and compiles the converters of `balance log-hash`. `None` where they are wrong or do not work yet, which has been reported.
pub fn log_hash(
    section: &Section<'_>,
    word: &Word,
    names: &Names,
    out: &mut Diagnostics,
) -> Option<Box<[sample::Converter]>> {
    // They begin with a text, whichever.
    let mut whole = WordBuilder::new(word.span);
    whole.add("str(message),", word.span);
    whole.add_part(word, 0..word.text.len());
    let whole = whole.finish();
    let mut lowering = Lowering::new(section, names, out);
    let lowered = expr::parse(&mut Words::new(std::slice::from_ref(&whole), word.span))
        .and_then(|written| lowering.expression(&written, &written.fetch.name.text, expression::Voice::Sample));
    match lowered {
        Ok(lowered) => lowered.expression.map(|expression| expression.converters),
        Err(problem) => {
            let before = format!("backend '{}' : balance log-hash : ", section.name);
            lowering.out.push(report::sentence(problem).into_diagnostic(code::BAD_EXPRESSION, &before).whole_file());
            None
        }
    }
}

/// `http-error`: the answer for a status, without the first word. `None` where it is wrong or does not work yet, which has been
/// reported.
pub fn http_error(
    section: &Section<'_>,
    status: u16,
    statement: &Statement,
    names: &Names,
    out: &mut Diagnostics,
) -> Option<Reply> {
    let mut lowering = Lowering::new(section, names, out);
    let word = statement.words.first()?;
    let places = FetchPlaces::of(FetchPlace::FrontendHttpResponseHeader)
        .union(FetchPlaces::of(FetchPlace::FrontendHttpRequestHeader));
    let at =
        http_action::RuleAt { before: "http-error : ".to_owned(), places, realm: sample::text::Text::default(), word };
    match lowering.error_reply(status, &at, &mut statement.words()) {
        Ok(reply) => reply,
        Err(problem) => {
            lowering.out.push(problem.into_diagnostic(code::BAD_VALUE, &at.before));
            None
        }
    }
}

/// `set-var` and `set-var-fmt` of `global`: variables the process begins with.
pub fn process_variable(statement: &Statement, names: &Names, out: &mut Diagnostics) -> Option<Effect> {
    let mut words = statement.words();
    let (keyword, word) = (words.next()?, words.next()?);
    let mut lowering = Lowering::new(&Section::GLOBAL, names, out);
    let places = FetchPlaces::of(FetchPlace::ConfigurationParser);
    match lowering.process_variable(keyword, word, places, &mut words) {
        Ok(effect) => effect,
        Err(problem) => {
            let error = Diagnostic::error(code::BAD_EXPRESSION, problem.span, problem.message);
            out.push(error.place(shared_config::diagnostic::Place::Parsing));
            None
        }
    }
}

/// `set var` of the runtime socket, from its words: a name, and `expr` and an expression, `fmt` and a text, or an expression.
pub fn runtime_variable(words: &[&str], names: &Names) -> Result<Effect, String> {
    let (section, mut out) = (Section::GLOBAL, Diagnostics::default());
    let at = Span::new(SourceId::default(), 0..0);
    let words: Vec<Word> = words.iter().map(|word| Word::plain(*word, at)).collect();
    let places = FetchPlaces::of(FetchPlace::CliParser);
    let mut lowering = Lowering::new(&section, names, &mut out);
    let made = lowering.runtime_variable(&words, places).map_err(|problem| problem.message)?;
    let told = out.iter().map(|one| one.message.clone()).next();
    made.ok_or_else(|| told.unwrap_or_default())
}

/// One section while its rules are lowered.
struct Lowering<'a> {
    section: &'a Section<'a>,
    names: &'a Names,
    out: &'a mut Diagnostics,
    rules: Rules,
    /// The ACLs that can be named, predefined ones once they are used.
    declared: HashMap<String, Declared>,
    use_backend: Vec<Rule<BackendName>>,
    filters: Vec<Arc<Filter>>,
    order: Order,
    /// `reqpass` so far.
    passed_lines: Vec<Regex>,
}

impl<'a> Lowering<'a> {
    fn new(section: &'a Section<'a>, names: &'a Names, out: &'a mut Diagnostics) -> Self {
        Self {
            section,
            names,
            out,
            rules: Rules::default(),
            declared: HashMap::new(),
            use_backend: Vec::new(),
            filters: Vec::new(),
            order: Order::default(),
            passed_lines: Vec::new(),
        }
    }

    /// The same where the ACLs of the section are known already.
    fn with_acls(mut self) -> Self {
        let section = (self.section.kind, self.section.name.to_owned());
        self.rules.acls = self.names.acls.borrow().get(&section).cloned().unwrap_or_default();
        let named = self.rules.acls.iter().enumerate().filter(|(_, acl)| !acl.name.is_empty());
        let declared = named.map(|(index, acl)| {
            let (index, places) = (Some(AclIndex(index)), FetchPlaces::all());
            (acl.name.clone(), Declared { index, places, keyword: String::new() })
        });
        self.declared = declared.collect();
        self
    }
}

impl Lowering<'_> {
    fn statement(&mut self, statement: &Statement) {
        let mut words = statement.words();
        let Some(keyword) = words.next() else { return };
        self.warn_order(&statement.words);
        match keyword.as_str() {
            // It has been read before all rules.
            "filter" => {}
            "acl" => self.declare(&mut words),
            "http-request" | "http-response" | "http-after-response" => self.http_rule(keyword, &mut words),
            "tcp-request" | "tcp-response" => self.tcp_rule(keyword, &mut words),
            "use_backend" => self.use_backend(&mut words),
            "use-server" => self.use_server(&mut words),
            "stick" => self.stick(&mut words),
            "redirect" => self.redirect_rule(&mut words),
            "force-be-switch" | "force-persist" | "ignore-persist" | "monitor" | "stats" => {
                self.plain_condition(keyword, &mut words);
            }
            _ => self.legacy(keyword, &mut words),
        }
    }

    fn finish(self) -> Rules {
        let mut rules = self.rules;
        rules.use_backend = Switch::new(self.use_backend, &rules.acls);
        rules
    }

    fn error(&mut self, code: &'static str, at: Span, message: impl Into<String>) {
        self.out.push(Diagnostic::error(code, at, message));
    }

    /// `use_backend NAME [if …]`
    fn use_backend(&mut self, words: &mut Words<'_>) {
        let Some(name) = words.next() else {
            return self.error(code::MISSING_ARGUMENT, words.here(), "'use_backend' expects a backend name.");
        };
        if self.section.kind == SectionKind::Backend {
            let message =
                format!("'use_backend' ignored because backend '{}' has no frontend capability.", self.section.name);
            return self.out.push(Diagnostic::warning(code::IGNORED, name.span, message));
        }
        let places = FetchPlaces::of(FetchPlace::FrontendUseBackend);
        let before = "error detected while parsing switching rule : ";
        if let Some(word) = words.peek()
            && !is_condition(word)
        {
            let message =
                format!("unexpected keyword '{}' after switching rule, only 'if' and 'unless' are allowed.", word.text);
            return self.error(code::EXTRA_ARGUMENT, word.span, message);
        }
        let Ok(condition) = self.condition(words, before, places, None) else { return };
        let Some(action) = self.backend_name(name, places) else { return };
        self.use_backend.push(Rule { written: None, condition, action });
    }

    fn backend_name(&mut self, name: &Word, places: FetchPlaces) -> Option<BackendName> {
        if name.text.contains('%') {
            let prefix = format!("failed to parse use_backend rule '{}' : ", name.text);
            let errors = self.out.count(shared_config::diagnostic::Severity::Error);
            let text = self.text(name, &prefix, Place::ParsingFormat, places);
            let failed = self.out.count(shared_config::diagnostic::Severity::Error) > errors;
            return text.filter(|_| !failed).map(BackendName::Dynamic);
        }
        if let Some(&id) = self.names.backends.get(&*name.text) {
            if self.section.frontend.is_some() && self.section.backend == Some(id) {
                let message = format!("Proxy '{0}': loop detected for use_backend: '{0}'.", self.section.name);
                self.out.push(Diagnostic::error(code::BAD_VALUE, name.span, message).whole_file());
                return None;
            }
            return Some(BackendName::Fixed(id));
        }
        let message = format!("Proxy '{}': unable to find required use_backend: '{}'.", self.section.name, name.text);
        let nearest = report::nearest(&name.text, self.names.backends.keys());
        self.out.push(report::with_help(
            Diagnostic::error(code::UNKNOWN_NAME, name.span, message).whole_file().label("no backend of this name"),
            nearest,
        ));
        None
    }

    /// `use-server NAME if …`
    fn use_server(&mut self, words: &mut Words<'_>) {
        let Some(name) = words.next() else {
            return self.error(code::MISSING_ARGUMENT, words.here(), "'use-server' expects a server name.");
        };
        if !words.peek().is_some_and(is_condition) {
            let at = words.peek().map_or(words.here(), |word| word.span);
            let message = "'use-server' requires either 'if' or 'unless' followed by a condition.";
            return self.error(code::MISSING_ARGUMENT, at, message);
        }
        let before = "error detected while parsing switching rule : ";
        let places = FetchPlaces::of(FetchPlace::BackendUseServer);
        let Ok(condition) = self.condition(words, before, places, None) else { return };
        if name.text.contains('%') {
            let text = self.text(name, "failed to parse use-server rule : ", Place::ParsingFormat, places);
            return self.rules.use_server.extend(text.map(|text| Rule {
                written: None,
                condition,
                action: ServerName::Dynamic(text),
            }));
        }
        if let Some((_, server)) = self.names.server(self.section.name, &name.text) {
            return self.rules.use_server.push(Rule { written: None, condition, action: ServerName::Fixed(server) });
        }
        let message = format!(
            "proxy '{}' : unable to find server '{}' referenced in a 'use-server' rule.",
            self.section.name, name.text
        );
        let nearest = report::nearest(&name.text, self.names.servers_of(self.section.name));
        let error = Diagnostic::error(code::UNKNOWN_NAME, name.span, message).whole_file();
        self.out.push(report::with_help(error.label("no server of this name"), nearest));
    }

    /// The statements that are nothing but a condition.
    fn plain_condition(&mut self, keyword: &Word, words: &mut Words<'_>) {
        let name = match keyword.as_str() {
            "monitor" | "stats" => match words.next() {
                Some(second) => format!("{} {}", keyword.text, second.text),
                None => return,
            },
            other => other.to_owned(),
        };
        if name == "stats http-request" {
            return self.stats_http_request(words);
        }
        if !words.peek().is_some_and(is_condition) {
            let at = words.peek().map_or(words.here(), |word| word.span);
            let message = format!("'{name}' requires either 'if' or 'unless' followed by a condition.");
            return self.error(code::MISSING_ARGUMENT, at, message);
        }
        let places = match name.as_str() {
            "force-persist" | "ignore-persist" => FetchPlaces::of(FetchPlace::BackendHttpRequestHeader)
                .union(FetchPlaces::of(FetchPlace::BackendTcpRequestContent)),
            _ => self.section.places(FetchPlace::FrontendHttpRequestHeader, FetchPlace::BackendHttpRequestHeader),
        };
        let before = match name.as_str() {
            "monitor fail" => "error detected while parsing a 'monitor fail' condition : ".to_owned(),
            "stats admin" => "error detected while parsing a 'stats admin' rule : ".to_owned(),
            _ => format!("error detected while parsing a '{name}' rule : "),
        };
        let Ok(Some(condition)) = self.condition(words, &before, places, None) else { return };
        match name.as_str() {
            "force-be-switch" => self.rules.force_be_switch.push(condition),
            "force-persist" => self.rules.force_persist.push(condition),
            "ignore-persist" => self.rules.ignore_persist.push(condition),
            "monitor fail" => self.rules.monitor_fail.push(condition),
            _ => self.rules.stats_admin.push(condition),
        }
    }
}

/// Whether a condition starts here.
fn is_condition(word: &Word) -> bool {
    matches!(word.as_str(), "if" | "unless")
}

#[cfg(test)]
mod tests;
