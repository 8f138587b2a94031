//! `tune.vars.…`: how much memory variables may take. It is counted as haproxy counts, by what stands in a variable, and each scope
//! counts for those that outlive it.

use super::context::Stream;
use super::value::Value;
use super::variable::{Name, Scope};

/// Bytes that a variable takes in haproxy beside a text in it.
const VARIABLE_BYTES: u64 = 80;

/// The most bytes of each scope. `None`: any number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct VariableLimits {
    /// `tune.vars.global-max-size`
    pub global: Option<u64>,
    /// `tune.vars.proc-max-size`
    pub process: Option<u64>,
    /// `tune.vars.sess-max-size`
    pub session: Option<u64>,
    /// `tune.vars.txn-max-size`
    pub transaction: Option<u64>,
    /// `tune.vars.reqres-max-size`: of a request or a response.
    pub message: Option<u64>,
    /// `tune.vars.check-max-size`
    pub check: Option<u64>,
}

impl VariableLimits {
    /// Where the limit of that name is kept.
    pub fn named(&mut self, name: &str) -> Option<&mut Option<u64>> {
        Some(match name {
            "tune.vars.global-max-size" => &mut self.global,
            "tune.vars.proc-max-size" => &mut self.process,
            "tune.vars.sess-max-size" => &mut self.session,
            "tune.vars.txn-max-size" => &mut self.transaction,
            "tune.vars.reqres-max-size" => &mut self.message,
            "tune.vars.check-max-size" => &mut self.check,
            _ => return None,
        })
    }

    /// Whether there is room for a variable with that value. Of other connections nothing is counted.
    pub fn allow(&self, stream: &Stream<'_>, name: &Name, value: &Value<'_>) -> bool {
        let mut used = bytes(value);
        // From the shortest life to the longest: what fits into the one counts for the next.
        let scopes: [(&[Scope], Option<u64>); 5] = [
            (&[Scope::Request, Scope::Response], self.message),
            (&[Scope::Transaction], self.transaction),
            (&[Scope::Session], self.session),
            (&[Scope::Process], self.process),
            (&[], self.global),
        ];
        if name.scope == Scope::Check {
            used += taken(stream, Scope::Check, name);
            return self.check.is_none_or(|most| used <= most);
        }
        let begins = scopes.iter().position(|(scopes, _)| scopes.contains(&name.scope)).unwrap_or(scopes.len());
        for (rank, (scopes, most)) in scopes.into_iter().enumerate() {
            used += scopes.iter().map(|&scope| taken(stream, scope, name)).sum::<u64>();
            if rank >= begins && most.is_some_and(|most| used > most) {
                return false;
            }
        }
        true
    }
}

fn bytes(value: &Value<'_>) -> u64 {
    let text = match value {
        Value::Str(text) | Value::Bin(text) | Value::Method(text) => text.len(),
        Value::Bool(_) | Value::Int(_) | Value::Ip(_) => 0,
    };
    VARIABLE_BYTES + text as u64
}

/// What the variables of a scope take, without the one that is about to change.
fn taken(stream: &Stream<'_>, scope: Scope, but: &Name) -> u64 {
    let mut sum = 0;
    stream.each_variable(scope, &mut |name, value| {
        if !(scope == but.scope && *name == *but.name) {
            sum += bytes(value);
        }
    });
    sum
}
