//! Rules of haproxy 1.x on whole lines of a head: `reqrep`, `rspdel` and their kin.
//!
//! A line is the request line, the status line, or a field as `Name: value`. Heads keep names in lower case, so a field is looked at in
//! two ways: with the capitals that names usually have, and without any.

use super::http::{HttpAction, Outcome, replace_field, replace_target};
use super::line_safe;
use crate::http::Head;
use crate::http::header::trim;
use crate::sample::Context;
use crate::sample::convert::Replacement;
use crate::sample::regex::Regex;

/// A rule on lines.
#[derive(Clone, Debug, PartialEq)]
pub struct Lines {
    /// Which lines.
    pub regex: Regex,
    /// `reqpass` before it: which lines it does not look at.
    pub passed: Box<[Regex]>,
    /// What to do.
    pub then: Then,
}

/// What a rule does with a line that matches.
#[derive(Clone, Debug, PartialEq)]
pub enum Then {
    /// Takes out the field.
    Delete,
    /// Writes this in its place: a line, or several.
    Replace(Replacement),
    /// Does this with the message, once.
    Act(Box<HttpAction>),
}

impl Lines {
    /// Whether any line matches.
    fn matches(&self, head: &Head) -> bool {
        self.has(&[first_line(head)]) || head.fields().any(|(name, value)| self.has(&field_lines(name, value)))
    }

    /// What it does with the message besides changing it; `None` if it changes it.
    pub(super) fn act(&self, context: &Context<'_>) -> Option<Outcome> {
        let Then::Act(action) = &self.then else { return None };
        match context.response.or(context.request) {
            Some(head) if self.matches(head) => action.ends(context),
            _ => Some(Outcome::Next),
        }
    }

    fn has(&self, forms: &[Vec<u8>]) -> bool {
        forms.iter().any(|line| self.regex.is_match(line)) && !self.is_passed(forms)
    }

    fn is_passed(&self, forms: &[Vec<u8>]) -> bool {
        self.passed.iter().any(|passed| forms.iter().any(|line| passed.is_match(line)))
    }

    /// The lines that stand in a line's place; `None` if it stays.
    fn replaced(&self, replacement: &Replacement, forms: &[Vec<u8>]) -> Option<Vec<Vec<u8>>> {
        let (line, groups) = forms.iter().find_map(|line| Some((line, self.regex.groups(line, 0)?)))?;
        if self.is_passed(forms) {
            return None;
        }
        let mut text = Vec::new();
        replacement.write(line, &groups, &mut text);
        Some(text.split(|&byte| byte == b'\n').map(|line| line_safe(trim(line).to_vec())).collect())
    }

    /// Changes the lines.
    pub(super) fn apply(&self, head: &mut Head) {
        match &self.then {
            Then::Delete => head.retain(|name, value| !self.has(&field_lines(name, value))),
            Then::Replace(replacement) => self.replace(replacement, head),
            Then::Act(_) => {}
        }
    }

    fn replace(&self, replacement: &Replacement, head: &mut Head) {
        let fields = head.fields().enumerate();
        let fields: Vec<_> = fields
            .filter_map(|(index, (name, value))| Some((index, self.replaced(replacement, &field_lines(name, value))?)))
            .collect();
        let first = self.replaced(replacement, &[first_line(head)]);
        let mut added = Vec::new();
        let mut gone = Vec::new();
        for (index, lines) in fields {
            let mut lines = lines.into_iter();
            let field = lines.next().and_then(|line| field(&line));
            let stays = field.as_ref().is_some_and(|(name, value)| replace_field(head, index, name, value));
            if !stays {
                gone.push(index);
                added.extend(field);
            }
            added.extend(lines.filter_map(|line| self::field(&line)));
        }
        let mut index = 0;
        head.retain(|_, _| {
            index += 1;
            !gone.contains(&(index - 1))
        });
        if let Some(lines) = first {
            let mut lines = lines.into_iter();
            if let Some(line) = lines.next() {
                set_first_line(head, &line);
            }
            added.extend(lines.filter_map(|line| field(&line)));
        }
        for (name, value) in added {
            head.append(&name, &value);
        }
    }
}

/// A field of a line; `None` if it is none.
fn field(line: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    let name = line.get(..colon)?.to_ascii_lowercase();
    let is_name = !name.is_empty() && name.iter().all(|&byte| crate::http::header::is_token(byte));
    is_name.then(|| (name, trim(line.get(colon + 1..).unwrap_or_default()).to_vec()))
}

/// A field as a line, with and without capitals.
fn field_lines(name: &[u8], value: &[u8]) -> [Vec<u8>; 2] {
    let mut begins = true;
    let capital = |&byte: &u8| {
        if std::mem::replace(&mut begins, byte == b'-') { byte.to_ascii_uppercase() } else { byte }
    };
    let capitals: Vec<u8> = name.iter().map(capital).collect();
    [[&capitals, &b": "[..], value].concat(), [name, b": ", value].concat()]
}

fn first_line(head: &Head) -> Vec<u8> {
    let version = head.protocol();
    if head.status() == 0 {
        return [head.method(), b" ", head.target(), b" ", version].concat();
    }
    [version, b" ", head.status().to_string().as_bytes(), b" ", head.reason()].concat()
}

/// Sets what a first line says besides the version; nothing where it is none.
fn set_first_line(head: &mut Head, line: &[u8]) {
    let mut words = line.splitn(3, |&byte| byte == b' ');
    let (Some(first), Some(second)) = (words.next(), words.next()) else { return };
    if head.status() == 0 {
        if !first.is_empty() && first.iter().all(|&byte| crate::http::header::is_token(byte)) && !second.is_empty() {
            head.set_method(first);
            replace_target(head, second);
        }
        return;
    }
    let status = std::str::from_utf8(second).ok().and_then(|text| text.parse::<u16>().ok());
    if let Some(status) = status.filter(|status| (100..=999).contains(status)) {
        head.set_status(status, Some(words.next().unwrap_or_default()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Version;

    fn request() -> Head {
        let mut head = Head::default();
        head.start_request(b"GET", b"/img/a.png", Version::HTTP_11);
        for (name, value) in [("host", "img.a"), ("x-forwarded-for", "1.2.3.4"), ("cookie", "backend=1")] {
            head.append(name.as_bytes(), value.as_bytes());
        }
        head
    }

    fn regex(text: &str) -> Regex {
        Regex::backtracking(text, false).unwrap()
    }

    fn shown(head: &Head) -> String {
        let fields = head.fields().map(|(name, value)| [name, b"=", value].concat());
        let lines: Vec<Vec<u8>> = std::iter::once(first_line(head)).chain(fields).collect();
        String::from_utf8(lines.join(&b"|"[..])).unwrap()
    }

    #[test]
    fn lines_are_changed_whole() {
        const REST: &str = "host=img.a|x-forwarded-for=1.2.3.4|cookie=backend=1";
        for (search, replacement, expected) in [
            ("^Host:", Some("Host: b"), "GET /img/a.png HTTP/1.1|host=b|x-forwarded-for=1.2.3.4|cookie=backend=1"),
            ("^X-Forwarded-For: (.*)", Some("X-Old: \\1"), "|host=img.a|cookie=backend=1|x-old=1.2.3.4"),
            ("^x-forwarded-for:", None, "GET /img/a.png HTTP/1.1|host=img.a|cookie=backend=1"),
            ("^Cookie: backend=", None, "GET /img/a.png HTTP/1.1|host=img.a|x-forwarded-for=1.2.3.4"),
            ("^([^ ]*) /img/(.*)", Some("\\1 /\\2"), "GET /a.png HTTP/1.1|"),
            ("^[^: ]* /img/.*", Some("\\0\nCookie: b=2"), "|cookie=backend=1|cookie=b=2"),
            ("^GET", None, REST),
            ("^nothing", Some("x"), REST),
            ("^Host:", Some("no field"), "GET /img/a.png HTTP/1.1|x-forwarded-for=1.2.3.4|cookie=backend=1"),
        ] {
            let then = replacement.map_or(Then::Delete, |text| Then::Replace(Replacement::new(text.as_bytes())));
            let mut head = request();
            Lines { regex: regex(search), passed: Box::default(), then }.apply(&mut head);
            assert!(shown(&head).contains(expected), "{search}: {}", shown(&head));
        }
    }

    #[test]
    fn a_line_that_was_passed_is_not_looked_at() {
        let lines = |search, passed: &[&str]| Lines {
            regex: regex(search),
            passed: passed.iter().map(|text| regex(text)).collect(),
            then: Then::Act(Box::new(HttpAction::Reject)),
        };
        assert!(lines("img", &[]).matches(&request()));
        assert!(lines("img", &["^[^: ]*:"]).matches(&request()), "the request line is none of those that were passed");
        assert!(!lines("1.2.3", &["^[^: ]*:"]).matches(&request()));
        assert!(!lines("backup", &[]).matches(&request()));
    }
}
