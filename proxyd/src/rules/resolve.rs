//! `do-resolve`: what a message says is a name, of which name servers are asked for an address while the message waits.

use crate::resolvers::message::{self, Kind};
use crate::sample::variable::Name;
use crate::sample::{Context, Expression, Stream, Value};
use std::net::IpAddr;
use std::sync::Arc;

/// `do-resolve(VARIABLE,RESOLVERS[,FAMILY]) EXPRESSION`
#[derive(Clone, Debug, PartialEq)]
pub struct Resolve {
    /// Where the address is kept; nowhere under a name that no variable has.
    pub variable: Option<Name>,
    /// The `resolvers` section that is asked, by its name: a message may have begun with an older configuration.
    pub section: Arc<str>,
    /// The family that is asked for first: addresses of version 6, unless the rule says otherwise.
    pub prefer: Kind,
    /// The name.
    pub expression: Expression,
}

/// What name servers are to be asked before the rules go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Where the answer is kept.
    pub variable: Option<Name>,
    /// The section that is asked.
    pub section: Arc<str>,
    /// The name.
    pub name: message::Name,
    /// The family that is asked for first.
    pub prefer: Kind,
}

impl Resolve {
    /// The question. `None` where there is no sample, or none that is a name: nobody has an answer to it, and the rules go on.
    pub(super) fn question(&self, context: &Context<'_>) -> Option<Question> {
        let value = self.expression.value(context)?.into_text();
        let name = message::Name::new(std::str::from_utf8(&value).ok()?)?;
        Some(Question {
            variable: self.variable.clone(),
            section: Arc::clone(&self.section),
            name,
            prefer: self.prefer,
        })
    }
}

impl Question {
    /// Keeps the answer. Without one the variable stays as it is.
    pub fn answered(&self, ip: Option<IpAddr>, stream: &Stream<'_>) {
        if let (Some(variable), Some(ip)) = (&self.variable, ip) {
            stream.set_variable(variable, Value::Ip(ip));
        }
    }
}
