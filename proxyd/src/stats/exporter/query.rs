//! What the exporter is asked for in the query of its target.

use super::Scope;

/// What is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query {
    scopes: [bool; Scope::ALL.len()],
    /// `no-maint`: servers in maintenance are left out.
    pub(super) no_maintenance: bool,
}

impl Query {
    /// Reads the target of a request: `?scope=NAME` as often as wanted (`*`: all, empty: none so far) and `no-maint`.
    /// What else there is means nothing. `None`: there is no such scope, or it is badly encoded.
    pub fn parse(target: &[u8]) -> Option<Self> {
        let mut query = Self { scopes: [true; Scope::ALL.len()], no_maintenance: false };
        let mut chosen = false;
        let target = target.split(|&byte| byte == b'#').next().unwrap_or_default();
        let words =
            target.iter().position(|&byte| byte == b'?').and_then(|at| target.get(at + 1..)).unwrap_or_default();
        for word in words.split(|&byte| byte == b'&') {
            let word = decoded(word)?;
            let (name, value) = match word.iter().position(|&byte| byte == b'=') {
                Some(at) => (word.get(..at)?, word.get(at + 1..)),
                None => (&*word, None),
            };
            match (name, value) {
                (b"scope", None) => return None,
                (b"scope", Some(b"")) => query.scopes = [false; Scope::ALL.len()],
                (b"scope", Some(b"*")) => query.scopes = [true; Scope::ALL.len()],
                (b"scope", Some(name)) => {
                    if !chosen {
                        query.scopes = [false; Scope::ALL.len()];
                    }
                    let scope = Scope::ALL.iter().position(|scope| scope.name().0.as_bytes() == name)?;
                    *query.scopes.get_mut(scope)? = true;
                }
                (b"no-maint", _) => query.no_maintenance = true,
                _ => continue,
            }
            chosen |= name == b"scope";
        }
        Some(query)
    }

    pub(super) fn shows(self, scope: Scope) -> bool {
        self.scopes.get(scope as usize).is_some_and(|shown| *shown)
    }
}

/// Without `%XX`; `None` where that is no byte.
fn decoded(word: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(word.len());
    let mut rest = word.iter();
    while let Some(&byte) = rest.next() {
        if byte == b'%' {
            let digit = |digit: Option<&u8>| char::from(*digit?).to_digit(16);
            let (high, low) = (digit(rest.next())?, digit(rest.next())?);
            out.push(u8::try_from(high << 4 | low).ok()?);
        } else {
            out.push(byte);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_chosen() {
        let all = "global frontend listener backend server sticktable";
        for (target, expected) in [
            ("/m", Some(all)),
            ("/m?", Some(all)),
            ("/m?x=1&extra-counters", Some(all)),
            ("/m?scope=*&scope=server", Some(all)),
            ("/m?scope=", Some("")),
            ("/m?scope=frontend&scope=", Some("")),
            ("/m?scope=&scope=server", Some("server")),
            ("/m?scope=server&scope=frontend", Some("frontend server")),
            ("/m?no-maint&&scope=%67lobal", Some("global")),
            ("/m?scope=sticktable#scope=x", Some("sticktable")),
            ("/m?scope", None),
            ("/m?scope=GLOBAL", None),
            ("/m?scope=global=1", None),
            ("/m?scope=server;no-maint", None),
            ("/m?scope=server&scope=bogus", None),
            ("/m?x=%zz", None),
            ("/m?scope=%", None),
        ] {
            let shown = Query::parse(target.as_bytes()).map(|query| {
                let shown = Scope::ALL.iter().filter(|scope| query.shows(**scope)).map(|scope| scope.name().0);
                shown.collect::<Vec<_>>().join(" ")
            });
            assert_eq!(shown.as_deref(), expected, "{target}");
        }
    }

    #[test]
    fn maintenance_is_left_out_where_asked() {
        for (target, expected) in [("/m", false), ("/m?no-maint", true), ("/m?no-maint=0", true), ("/m?no-main", false)]
        {
            assert_eq!(Query::parse(target.as_bytes()).map(|query| query.no_maintenance), Some(expected), "{target}");
        }
    }
}
