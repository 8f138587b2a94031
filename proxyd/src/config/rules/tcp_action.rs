//! `tcp-request` and `tcp-response`.

use super::arguments::Problem;
use super::http_action::{self, RuleAt};
use super::report::{self, code};
use super::{Lowering, is_condition};
use crate::rules::Rule;
use crate::rules::tcp::{Preface, TcpAction};
use shared_config::diagnostic::Diagnostic;
use shared_config::haproxy::keyword::{ACTIONS, Action, FetchPlace, FetchPlaces, Ruleset, Support, find_action};
use shared_config::suggest::nearest;
use shared_config::words::{Word, Words};

impl Lowering<'_> {
    /// A rule of one of the TCP rule sets.
    pub(super) fn tcp_rule(&mut self, keyword: &Word, words: &mut Words<'_>) {
        let Some(layer) = words.next() else {
            let message = format!("missing argument for '{}' in proxy '{}'", keyword.text, self.section.name);
            return self.error(code::MISSING_ARGUMENT, words.here(), message);
        };
        let content = |request| {
            if request {
                self.section.places(FetchPlace::FrontendTcpRequestContent, FetchPlace::BackendTcpRequestContent)
            } else {
                self.section.places(FetchPlace::FrontendTcpResponseContent, FetchPlace::BackendTcpResponseContent)
            }
        };
        let (ruleset, places) = match (keyword.as_str(), layer.as_str()) {
            ("tcp-request", "connection") => {
                (Ruleset::TcpRequestConnection, FetchPlaces::of(FetchPlace::FrontendTcpRequestConnection))
            }
            ("tcp-request", "session") => {
                (Ruleset::TcpRequestSession, FetchPlaces::of(FetchPlace::FrontendTcpRequestSession))
            }
            ("tcp-request", "content") => (Ruleset::TcpRequestContent, content(true)),
            ("tcp-response", "content") => (Ruleset::TcpResponseContent, content(false)),
            (name, other) => {
                let expected = match name {
                    "tcp-request" => "'inspect-delay', 'connection', or 'content'",
                    _ => "'inspect-delay' or 'content'",
                };
                let message = format!("'{name}' expects {expected} in proxy '{}' (got '{other}')", self.section.name);
                let known = nearest(other, ["inspect-delay", "connection", "session", "content"]);
                let error = Diagnostic::error(code::UNKNOWN_KEYWORD, layer.span, message);
                return self.out.push(report::with_help(error, known.map(|known| format!("did you mean `{known}`?"))));
            }
        };
        let Some(rule) = self.tcp_rule_of(ruleset, places, words) else { return };
        match ruleset {
            Ruleset::TcpRequestConnection => self.rules.tcp_request_connection.push(rule),
            Ruleset::TcpRequestSession => self.rules.tcp_request_session.push(rule),
            Ruleset::TcpRequestContent => self.rules.tcp_request_content.push(rule),
            _ => self.rules.tcp_response_content.push(rule),
        }
    }

    fn tcp_rule_of(&mut self, ruleset: Ruleset, places: FetchPlaces, words: &mut Words<'_>) -> Option<Rule<TcpAction>> {
        let word = words.next();
        let text = word.map_or("", |word| word.as_str());
        let Some((word, row)) = word.and_then(|word| Some((word, find_action(ruleset, text)?))) else {
            let at = word.map_or(words.here(), |word| word.span);
            if text.starts_with("lua.") {
                report::unsupported(self.out, &format!("{} {text}", ruleset.name()), at);
                return None;
            }
            self.unknown_tcp_action(ruleset, text, at);
            return None;
        };
        let name = format!("{} {}", ruleset.name(), word.text);
        let before =
            format!("error detected in {} '{}' while parsing '{name}' rule : ", self.section.word(), self.section.name);
        let at = RuleAt { before, places, realm: crate::sample::text::Text::default(), word };
        let action = match self.tcp_action(row, ruleset, &at, words) {
            Ok(action) => action,
            Err(problem) => {
                self.out.push(report::sentence(problem).into_diagnostic(code::BAD_VALUE, &at.before));
                return None;
            }
        };
        if let Some(extra) = words.peek().filter(|word| !is_condition(word)) {
            let message = format!(
                "'{name}' only accepts 'if' or 'unless', in proxy '{}' (got '{}')",
                self.section.name, extra.text
            );
            self.error(code::EXTRA_ARGUMENT, extra.span, message);
            return None;
        }
        let before = format!(
            "error detected in {} '{}' while parsing '{}' condition : ",
            self.section.word(),
            self.section.name,
            words_of(ruleset)
        );
        let within = (ruleset == Ruleset::TcpRequestConnection).then_some("tcp-request connection");
        let condition = self.condition(words, &before, places, within);
        Some(Rule { condition: condition.ok()?, action: action?, written: self.names.written(word.span) })
    }

    /// The action and its arguments; `None` where it does not work yet, which has been reported.
    fn tcp_action(
        &mut self,
        row: &Action,
        ruleset: Ruleset,
        at: &RuleAt<'_>,
        words: &mut Words<'_>,
    ) -> Result<Option<TcpAction>, Problem> {
        if row.support != Support::Works {
            http_action::check_shape(row, words)?;
            report::support(self.out, row.support, &format!("{} {}", ruleset.name(), row.pattern()), at.word.span);
            return Ok(None);
        }
        if row.name == "do-resolve" {
            return Ok(self.resolve(at, words)?.map(TcpAction::Resolve));
        }
        if let Some(effect) = self.effect(row.name, at, words) {
            return Ok(effect?.map(TcpAction::Effect));
        }
        match row.name {
            "do-log" => Ok(self.do_log(words)?.map(TcpAction::Log)),
            "expect-proxy" => Ok(self.expect(at, Preface::Proxy, words)),
            "expect-netscaler-cip" => Ok(self.expect(at, Preface::NetScaler, words)),
            // There is none for connections yet; which one it would be has been told.
            "use-service" => self.service(ruleset, words).map(|_| None),
            "switch-mode" => Ok(self.switch_mode(words)),
            name => tcp_action(name, words),
        }
    }

    /// `switch-mode http [proto h1]`
    fn switch_mode(&mut self, words: &mut Words<'_>) -> Option<TcpAction> {
        let wrong = if self.section.frontend.is_none() {
            let name = self.section.name;
            Some(format!("'tcp-request switch-mode' not allowed because backend '{name}' has no frontend capability"))
        } else {
            match words.next().map(Word::as_str) {
                Some("http") => None,
                Some(other) => Some(format!("'tcp-request switch-mode' expects a valid mode (got '{other}').")),
                None => Some("'tcp-request switch-mode' expects a mode as argument.".to_owned()),
            }
        };
        let at = words.here();
        let proto = wrong.is_none().then(|| words.take("proto")).flatten().map(|_| words.next().map(Word::as_str));
        let wrong = wrong.or_else(|| match proto? {
            None => Some("'tcp-request switch-mode': 'proto' expects a protocol as argument.".to_owned()),
            Some("h1" | "h2") => None,
            Some(other) => Some(format!(
                "'tcp-request switch-mode': 'proto' expects a valid MUX protocol, if specified (got '{other}')"
            )),
        });
        if let Some(message) = wrong {
            self.error(code::BAD_VALUE, at, message);
            let _rest = words.rest();
            return None;
        }
        if proto == Some(Some("h2")) {
            report::unsupported(self.out, "tcp-request content switch-mode http proto h2", at);
            return None;
        }
        Some(TcpAction::SwitchToHttp)
    }

    /// `expect-proxy layer4`
    fn expect(&mut self, at: &RuleAt<'_>, preface: Preface, words: &mut Words<'_>) -> Option<TcpAction> {
        let layer = words.next();
        if layer.is_some_and(|layer| layer.as_str() == "layer4") {
            return Some(TcpAction::Expect(preface));
        }
        let (text, span) = layer.map_or(("", words.here()), |layer| (layer.as_str(), layer.span));
        let message = format!(
            "'tcp-request connection {}' only supports 'layer4' in proxy '{}' (got '{text}')",
            at.word.text, self.section.name
        );
        self.error(code::BAD_VALUE, span, message);
        let _rest = words.rest();
        None
    }

    fn unknown_tcp_action(&mut self, ruleset: Ruleset, text: &str, at: shared_config::source::Span) {
        let rows = || ACTIONS.iter().filter(|row| row.rulesets.contains(ruleset));
        let known: Vec<String> = rows()
            .map(|row| if row.parenthesis { format!("'{}(*)'", row.name) } else { format!("'{}'", row.pattern()) })
            .collect();
        let message = format!(
            "'{}' expects {} in proxy '{}' (got '{text}').",
            ruleset.name(),
            known.join(", "),
            self.section.name
        );
        let help = nearest(text, rows().map(|row| row.name)).map(|known| format!("did you mean `{known}`?"));
        let error = Diagnostic::error(code::UNKNOWN_KEYWORD, at, message).label("no such action");
        self.out.push(report::with_help(error, help));
    }
}

fn tcp_action(name: &str, words: &mut Words<'_>) -> Result<Option<TcpAction>, Problem> {
    Ok(Some(match name {
        "accept" => TcpAction::Accept,
        "reject" => TcpAction::Reject,
        "close" => TcpAction::Close,
        "silent-drop" => TcpAction::SilentDrop(http_action::silent_drop(words)?),
        _ => return Ok(None),
    }))
}

fn words_of(ruleset: Ruleset) -> &'static str {
    match ruleset {
        Ruleset::TcpResponseContent => "tcp-response",
        _ => "tcp-request",
    }
}
