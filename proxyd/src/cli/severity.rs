//! What kind of answer a command got, where `severity-output` asks for it.

use super::help;
use crate::proxy::settings::SeverityOutput;

/// Kinds of answers, by syslog's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Something is wrong with the command.
    Error,
    /// Something was changed that one should know of.
    Warning,
    /// Something is told.
    Info,
}

impl Kind {
    const fn number(self) -> &'static str {
        match self {
            Self::Error => "3",
            Self::Warning => "4",
            Self::Info => "6",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Error => "err",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

/// An answer and its kind.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Said {
    /// `None`: what was asked for, which has none.
    pub(super) kind: Option<Kind>,
    /// The text.
    pub(super) text: String,
}

impl Said {
    /// What was asked for, or a complaint.
    pub(super) fn of(words: &[&str], answer: Result<String, String>) -> Self {
        match answer {
            Ok(text) => Self { kind: kind(words, &text), text },
            // That one is gone is an answer.
            Err(text) if words.starts_with(&["show", "sess"]) => Self { kind: None, text },
            Err(text) => Self { kind: Some(Kind::Error), text },
        }
    }

    /// That there is no such command.
    pub(super) fn unknown(command: &str) -> Self {
        let help = help::list(&[]);
        let text = format!("Unknown command: '{command}'. The following commands are valid at this level:\n{help}");
        Self { kind: Some(Kind::Info), text }
    }

    /// As it is sent: with its kind in front where that is wanted, and an empty line at the end.
    pub(super) fn written(&self, severity: SeverityOutput) -> String {
        let mut out = String::with_capacity(self.text.len() + 12);
        if let Some(kind) = self.kind {
            match severity {
                SeverityOutput::Default => {}
                SeverityOutput::Number => out.extend(["[", kind.number(), "]: "]),
                SeverityOutput::Text => out.extend(["[", kind.name(), "]: "]),
            }
        }
        out.push_str(&self.text);
        out.push('\n');
        out
    }
}

/// The few answers that tell something besides what was asked for.
fn kind(words: &[&str], text: &str) -> Option<Kind> {
    match words {
        _ if text.trim().is_empty() => None,
        ["help" | "publish" | "unpublish", ..] | ["show", "cli", "level", ..] => Some(Kind::Info),
        ["set", "server", _, "addr" | "fqdn" | "check-addr" | "check-port" | "agent-addr" | "agent-port", ..] => {
            Some(Kind::Warning)
        }
        _ => None,
    }
}

/// `set severity-output`
pub(super) fn set(words: &[&str], severity: &mut SeverityOutput) -> Result<String, String> {
    let named = words.first().and_then(|word| SeverityOutput::named(word));
    *severity = named.ok_or("one of 'none', 'number', 'string' is a required argument\n")?;
    Ok(String::new())
}
