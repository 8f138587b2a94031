//! Variables: values that rules keep under a name, for a process, a connection, an exchange or one half of it.

use super::value::Value;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

/// How long a variable lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// `proc`: as long as the configuration.
    Process,
    /// `sess`: as long as the client's connection.
    Session,
    /// `txn`: for a request and its response.
    Transaction,
    /// `req`: while the request is processed.
    Request,
    /// `res`: while the response is.
    Response,
    /// `check`: for one health check.
    Check,
    /// `psess`, `ptxn`, `preq`, `pres` of a stream's parent: of what no rule of a proxy is part, so none has a value.
    Elsewhere,
}

impl Scope {
    /// Those that rules of a proxy have, in the order that `dump_all_vars` shows them.
    pub const SHOWN: [Self; 5] = [Self::Session, Self::Transaction, Self::Request, Self::Response, Self::Process];

    /// The word before the first dot; none for those elsewhere, which have several.
    pub fn word(self) -> &'static str {
        match self {
            Self::Process => "proc",
            Self::Session => "sess",
            Self::Transaction => "txn",
            Self::Request => "req",
            Self::Response => "res",
            Self::Check => "check",
            Self::Elsewhere => "",
        }
    }
}

/// The name of a variable.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Name {
    /// What stands before the first dot.
    pub scope: Scope,
    /// What follows.
    pub name: Box<str>,
}

impl Name {
    /// From `scope.name`.
    pub fn parse(text: &str) -> Option<Self> {
        let (scope, name) = text.split_once('.')?;
        let scope = match scope {
            "proc" => Scope::Process,
            "sess" => Scope::Session,
            "txn" => Scope::Transaction,
            "req" => Scope::Request,
            "res" => Scope::Response,
            "check" => Scope::Check,
            "psess" | "ptxn" | "preq" | "pres" => Scope::Elsewhere,
            _ => return None,
        };
        let good = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'));
        (good && !name.is_empty()).then(|| Self { scope, name: name.into() })
    }
}

/// What must hold for `set-var` to set its variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Condition {
    /// `ifexists`: it was set before, whether or not it was unset since.
    Exists,
    /// `ifnotexists`
    NotExists,
    /// `ifempty`, of what it would be set to.
    Empty,
    /// `ifnotempty`
    NotEmpty,
    /// `ifset`: it has a value.
    Set,
    /// `ifnotset`
    NotSet,
    /// `ifgt`: its value is greater than what it would be set to.
    Greater,
    /// `iflt`
    Less,
}

impl Condition {
    /// From its word.
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "ifexists" => Self::Exists,
            "ifnotexists" => Self::NotExists,
            "ifempty" => Self::Empty,
            "ifnotempty" => Self::NotEmpty,
            "ifset" => Self::Set,
            "ifnotset" => Self::NotSet,
            "ifgt" => Self::Greater,
            "iflt" => Self::Less,
            _ => return None,
        })
    }

    /// Whether it holds for a variable that `exists` with the value `old` and would become `new`.
    pub fn holds(self, exists: bool, old: Option<&Value<'_>>, new: &Value<'_>) -> bool {
        let empty = match new {
            Value::Str(bytes) | Value::Bin(bytes) => bytes.is_empty(),
            Value::Bool(_) | Value::Int(_) | Value::Ip(_) | Value::Method(_) => false,
        };
        match self {
            Self::Exists => exists,
            Self::NotExists => !exists,
            Self::Empty => empty,
            Self::NotEmpty => !empty,
            Self::Set => old.is_some(),
            Self::NotSet => old.is_none(),
            // As haproxy does, what is no pair of numbers passes.
            Self::Greater | Self::Less => match (old, new) {
                (Some(Value::Int(old)), Value::Int(new)) if self == Self::Greater => old > new,
                (Some(Value::Int(old)), Value::Int(new)) => old < new,
                _ => true,
            },
        }
    }
}

/// A variable to set, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The variable.
    pub name: Name,
    /// All of them must hold.
    pub conditions: Box<[Condition]>,
}

/// The variables of a connection, or those of an exchange. A list: there are few, and none at all takes no memory.
#[derive(Debug, Default)]
pub struct Variables {
    /// Made for the first: most connections and requests have none.
    values: OnceCell<Box<RefCell<Values>>>,
    of: Cell<Half>,
}

/// What variables are of, which says which of them live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Half {
    /// A connection, or an exchange whose request is processed.
    #[default]
    Request,
    /// An exchange whose response is.
    Response,
    /// A health check, which is neither.
    Check,
}

/// Without a value where it was unset: such a variable still exists.
type Values = Vec<(Name, Option<Value<'static>>)>;

impl Variables {
    /// Those of a health check.
    pub fn of_check() -> Self {
        Self { of: Cell::new(Half::Check), ..Self::default() }
    }

    /// The value, if there is one.
    pub fn get(&self, name: &Name) -> Option<Value<'static>> {
        self.values.get()?.borrow().iter().find(|(known, _)| known == name)?.1.clone()
    }

    /// Those of a scope that have a value, in the order they were first set.
    pub fn each(&self, scope: Scope, look: &mut dyn FnMut(&str, &Value<'static>)) {
        for (name, value) in self.values.get().iter().flat_map(|values| values.borrow().clone()) {
            if let Some(value) = value.filter(|_| name.scope == scope) {
                look(&name.name, &value);
            }
        }
    }

    /// Whether it was ever set.
    pub fn exists(&self, name: &Name) -> bool {
        self.values.get().is_some_and(|values| values.borrow().iter().any(|(known, _)| known == name))
    }

    /// Sets it, unless its half of the exchange is not the one being processed.
    pub fn set(&self, name: &Name, value: Value<'static>) {
        let lives = match name.scope {
            Scope::Request => self.of.get() == Half::Request,
            Scope::Response => self.of.get() == Half::Response,
            Scope::Check => self.of.get() == Half::Check,
            Scope::Process | Scope::Session | Scope::Transaction => true,
            Scope::Elsewhere => false,
        };
        if !lives {
            return;
        }
        let mut values = self.values.get_or_init(Box::default).borrow_mut();
        match values.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = Some(value),
            None => values.push((name.clone(), Some(value))),
        }
    }

    /// Forgets it.
    pub fn unset(&self, name: &Name) {
        let Some(values) = self.values.get() else { return };
        if let Some((_, value)) = values.borrow_mut().iter_mut().find(|(known, _)| known == name) {
            *value = None;
        }
    }

    /// The response has begun: variables of the request are gone.
    pub fn begin_response(&self) {
        self.of.set(Half::Response);
        if let Some(values) = self.values.get() {
            values.borrow_mut().retain(|(name, _)| name.scope != Scope::Request);
        }
    }
}

/// Variables of the process, shared by its workers. Only a request that uses one takes the lock.
#[derive(Debug, Default)]
pub struct ProcessVariables(RwLock<HashMap<Box<str>, Value<'static>>>);

impl ProcessVariables {
    /// With the values that `set-var` in `global` gave.
    pub fn new(values: impl IntoIterator<Item = (Box<str>, Value<'static>)>) -> Self {
        Self(RwLock::new(values.into_iter().collect()))
    }

    /// The value, if there is one.
    pub fn get(&self, name: &str) -> Option<Value<'static>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// All of them, by their names.
    pub fn each(&self, look: &mut dyn FnMut(&str, &Value<'static>)) {
        let values = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut sorted: Vec<_> = values.iter().collect();
        sorted.sort_by_key(|(name, _)| *name);
        for (name, value) in sorted {
            look(name, value);
        }
    }

    /// Sets it.
    pub fn set(&self, name: &str, value: Value<'static>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(name.into(), value);
    }

    /// Forgets it.
    pub fn unset(&self, name: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_a_half_end_with_it() {
        let variables = Variables::default();
        let name = |text| Name::parse(text).unwrap();
        for text in ["txn.a", "req.a", "res.a"] {
            variables.set(&name(text), Value::Int(1));
        }
        assert_eq!(variables.get(&name("res.a")), None);
        assert_eq!(variables.get(&name("req.a")), Some(Value::Int(1)));
        variables.begin_response();
        variables.set(&name("res.a"), Value::Int(2));
        variables.set(&name("req.a"), Value::Int(2));
        assert_eq!(variables.get(&name("req.a")), None);
        assert_eq!(variables.get(&name("res.a")), Some(Value::Int(2)));
        assert_eq!(variables.get(&name("txn.a")), Some(Value::Int(1)));
        variables.unset(&name("txn.a"));
        assert_eq!(variables.get(&name("txn.a")), None);
        variables.set(&name("check.a"), Value::Int(1));
        assert_eq!(variables.get(&name("check.a")), None);
    }

    #[test]
    fn variables_of_a_check() {
        let variables = Variables::of_check();
        let name = Name::parse("check.a").unwrap();
        variables.set(&name, Value::Int(1));
        assert_eq!(variables.get(&name), Some(Value::Int(1)));
    }

    #[test]
    fn names() {
        assert_eq!(Name::parse("txn."), None);
        assert_eq!(Name::parse("txn"), None);
        assert_eq!(Name::parse("foo.x"), None);
        assert_eq!(Name::parse("req.a.b").unwrap().name.as_ref(), "a.b");
    }
}
