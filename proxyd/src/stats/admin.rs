//! The form of the stats page: which servers an administrator chose and what is to happen to them.

use crate::generation::Generation;
use crate::proxy::Backend;
use std::sync::Arc;

/// Servers that one form may name; a page shows no more check boxes than a backend has servers.
const MAX_SERVERS: usize = 4_096;

/// What is to happen to a server. haproxy's other actions (of checks, agents and sessions) do not work yet: they are
/// answered as unknown, and the page does not offer them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// `ready`.
    Ready,
    /// `drain`.
    Drain,
    /// `maint`.
    Maintenance,
}

impl Action {
    /// The action of a name, those of older versions included.
    fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "ready" | "enable" | "start" => Self::Ready,
            "drain" | "stop" => Self::Drain,
            "maint" | "disable" => Self::Maintenance,
            _ => return None,
        })
    }
}

/// What became of a form: the code in the page's `st=` parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All servers were acted on.
    Done,
    /// Nothing was asked for.
    Nothing,
    /// Some of the servers were not known.
    Partial,
    /// The action, the backend or all servers were not known.
    Invalid,
    /// The form was too long.
    TooLong,
    /// The page does not allow changes.
    Denied,
}

impl Outcome {
    /// The code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Done => "DONE",
            Self::Nothing => "NONE",
            Self::Partial => "PART",
            Self::Invalid => "ERRP",
            Self::TooLong => "EXCD",
            Self::Denied => "DENY",
        }
    }
}

/// A form that names something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    backend: String,
    servers: Vec<String>,
    action: Action,
}

impl Form {
    /// Reads `s=SERVER&…&action=ACTION&b=BACKEND`. Without a server or an action there is nothing to do.
    pub fn parse(body: &[u8]) -> Result<Self, Outcome> {
        let (mut backend, mut action, mut servers) = (None, None, Vec::new());
        for pair in body.split(|&byte| byte == b'&').filter(|pair| !pair.is_empty()) {
            let equals = pair.iter().position(|&byte| byte == b'=').ok_or(Outcome::Invalid)?;
            let value = decode(&pair[equals + 1..]);
            match &pair[..equals] {
                b"s" if servers.len() == MAX_SERVERS => return Err(Outcome::TooLong),
                b"s" => servers.push(value),
                b"b" => backend = Some(value),
                b"action" => action = Some(value),
                _ => {}
            }
        }
        let Some(name) = action.filter(|name| !name.is_empty() && !servers.is_empty()) else {
            return Err(Outcome::Nothing);
        };
        let action = Action::from_name(&name).ok_or(Outcome::Invalid)?;
        Ok(Self { backend: backend.ok_or(Outcome::Invalid)?, servers, action })
    }

    /// Acts on each server that the form names; `act` says whether it could.
    pub fn apply(&self, generation: &Generation, mut act: impl FnMut(&Arc<Backend>, usize, Action) -> bool) -> Outcome {
        let Some(backend) = self.find_backend(generation) else { return Outcome::Invalid };
        let (mut done, mut failed) = (false, false);
        for name in &self.servers {
            let mut named = backend.servers.iter().enumerate().filter(|(_, server)| *server.name == **name);
            match (named.next(), named.next()) {
                (Some((index, _)), None) if act(backend, index, self.action) => done = true,
                _ => failed = true,
            }
        }
        match (done, failed) {
            (true, false) => Outcome::Done,
            (true, true) => Outcome::Partial,
            (false, _) => Outcome::Invalid,
        }
    }

    /// By name, or by `#` and its `iid`.
    fn find_backend<'g>(&self, generation: &'g Generation) -> Option<&'g Arc<Backend>> {
        match self.backend.strip_prefix('#').and_then(|id| id.parse::<u32>().ok()) {
            Some(id) => generation.backends.iter().find(|backend| backend.section.id == id),
            None => generation.backends.iter().find(|backend| *backend.section.name == *self.backend),
        }
    }
}

/// Decodes a value of a form; a broken escape stands for itself.
fn decode(text: &[u8]) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, tail)) = rest.split_first() {
        let escape = if first == b'%' { tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok()) } else { None };
        if let Some(byte) = escape.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            out.push(byte);
            rest = &tail[2..];
        } else {
            out.push(if first == b'+' { b' ' } else { first });
            rest = tail;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The codes haproxy 2.6 answered with.
    #[test]
    fn forms_are_read_as_haproxy_reads_them() {
        for (body, expected) in [
            ("s=s1&b=be", Outcome::Nothing),
            ("action=ready&b=be", Outcome::Nothing),
            ("", Outcome::Nothing),
            ("s=s1&action=&b=be", Outcome::Nothing),
            ("s=s1&action=xx&b=be", Outcome::Invalid),
            ("s=s1&action=ready", Outcome::Invalid),
            ("s=s1&nonsense", Outcome::Invalid),
        ] {
            assert_eq!(Form::parse(body.as_bytes()), Err(expected), "{body}");
        }
        let form = Form::parse(b"s=s1&s=a%20b%2&action=drain&b=%233").unwrap();
        let expected = Form { backend: "#3".into(), servers: vec!["s1".into(), "a b%2".into()], action: Action::Drain };
        assert_eq!(form, expected);
    }

    #[test]
    fn a_form_without_end_is_refused() {
        let body = "s=x&".repeat(MAX_SERVERS + 1) + "action=maint&b=be";
        assert_eq!(Form::parse(body.as_bytes()), Err(Outcome::TooLong));
    }
}
