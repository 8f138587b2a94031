//! `when` lets a sample pass under a condition, and `debug` shows it to who looks for a mistake.

use crate::rules::acl::Test;
use crate::sample::context::Context;
use crate::sample::fetch::course::Course;
use crate::sample::value::Value;

/// A condition of `when`.
#[derive(Clone, Debug, PartialEq)]
pub struct When {
    /// `!`
    pub negated: bool,
    /// What must be so.
    pub fact: Fact,
}

/// What `when` asks of the exchange.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// `error`: something went wrong, as `option dontlog-normal` sees it.
    Error,
    /// `normal`: nothing did.
    Normal,
    /// `forwarded`: it went to a server.
    Forwarded,
    /// `toapplet`: a service of proxyd's own answers.
    Served,
    /// `processed`: one of the two.
    Processed,
    /// `stopping`: the process ends once its connections have.
    Stopping,
    /// `acl`: that one holds.
    Acl(Box<[Test]>),
}

impl Fact {
    /// From its name; `acl` needs more than that.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "error" => Self::Error,
            "normal" => Self::Normal,
            "forwarded" => Self::Forwarded,
            "toapplet" => Self::Served,
            "processed" => Self::Processed,
            "stopping" => Self::Stopping,
            _ => return None,
        })
    }

    fn holds(&self, context: &Context<'_>) -> bool {
        let told = || context.stream.course.map(Course::told);
        match self {
            Self::Error => told().is_some_and(|told| told.failed()),
            Self::Normal => !told().is_some_and(|told| told.failed()),
            Self::Forwarded => told().is_some_and(|told| told.forwarded()),
            Self::Served => told().is_some_and(|told| told.service),
            Self::Processed => told().is_some_and(|told| told.forwarded() || told.service),
            Self::Stopping => context.stream.live.is_stopping(),
            Self::Acl(tests) => tests.iter().any(|test| test.holds(context)),
        }
    }
}

impl When {
    /// Whether the sample passes.
    pub(super) fn holds(&self, context: &Context<'_>) -> bool {
        self.fact.holds(context) != self.negated
    }
}

/// `debug`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Debug {
    /// What tells it from others.
    pub prefix: Box<[u8]>,
    /// `stdout`, `stderr` or the name of a ring.
    pub sink: Box<str>,
}

impl Debug {
    /// Shows a sample: its type, and what there is of it as text, with dots for what cannot be printed.
    pub(super) fn show(&self, context: &Context<'_>, value: &Value<'_>) {
        let mut line = b"[debug] ".to_vec();
        line.extend_from_slice(&self.prefix);
        line.extend_from_slice(b": type=");
        line.extend_from_slice(value.type_name().as_bytes());
        line.extend_from_slice(b" <");
        let text = value.clone().into_text();
        line.extend(text.iter().map(|&byte| if matches!(byte, 0x20..0x7f) { byte } else { b'.' }));
        line.push(b'>');
        context.stream.live.debug(&self.sink, &line, context.stream.now);
    }
}
