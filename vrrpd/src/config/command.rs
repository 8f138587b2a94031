//! Commands of scripts and notifies: splitting into words, and the user who runs them.

use super::Lowering;
use super::model::{Command, Form, User};
use shared_config::keepalived::ast::Statement;
use shared_config::words::Word;

impl Lowering<'_> {
    /// The command of a statement such as `notify_master COMMAND [USER [GROUP]]`. `None`, with a message, where it
    /// cannot be run; `what` is the thing it is for.
    pub(super) fn command(&mut self, statement: &Statement, default: Option<User>, what: &str) -> Option<Command> {
        let word = statement.argument(1)?;
        let form = self.split_command(word)?;
        let (user, complaint) = if let Some(named) = statement.argument(2) {
            let found = self.user(named, statement.argument(3));
            (found, (named.span, format!("Unable to set uid/gid for {what} '{}'", word.text)))
        } else {
            (default, (word.span, format!("Unable to set default user {} for {what}", super::host::SCRIPT_USER)))
        };
        let Some(user) = user else {
            self.warn("unknown-user", complaint.0, complaint.1);
            return None;
        };
        Some(Command { form, user })
    }

    /// A user with its own group or another one.
    pub(super) fn user(&self, user: &Word, group: Option<&Word>) -> Option<User> {
        let user = self.host.user(user.as_str())?;
        match group {
            Some(group) => Some(User { gid: self.host.group(group.as_str())?, ..user }),
            None => Some(user),
        }
    }

    /// What begins with `</` is for the shell; all else is split into words here.
    pub(super) fn split_command(&mut self, word: &Word) -> Option<Form> {
        let text = word.as_str().trim();
        if text.starts_with("</") {
            return Some(Form::Shell(text.to_owned()));
        }
        match split(text) {
            Ok(words) if words.is_empty() => None,
            Ok(words) => Some(Form::Exec(words)),
            Err(quote) => {
                let message = format!("String '{text}': missing terminating {quote}");
                self.warn("unclosed-quote", word.span, message);
                None
            }
        }
    }
}

/// Splits a command at blanks; quotes of either kind hold a word together, a backslash takes the next character as it
/// is. The error is the quote that is not closed.
fn split(text: &str) -> Result<Vec<String>, char> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('\'' | '"', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            ('\\', _) => word.get_or_insert_default().extend(chars.next()),
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.map_or(Ok(words), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands() {
        for (text, expected) in [
            ("a b  c", Ok(vec!["a", "b", "c"])),
            ("/bin/sh -c 'exit 0'", Ok(vec!["/bin/sh", "-c", "exit 0"])),
            ("a | grep \"x y\" > 'z'", Ok(vec!["a", "|", "grep", "x y", ">", "z"])),
            ("a ''", Ok(vec!["a", ""])),
            ("a\\ b", Ok(vec!["a b"])),
            ("a 'b", Err('\'')),
            ("", Ok(vec![])),
        ] {
            assert_eq!(split(text), expected.map(|words| words.into_iter().map(str::to_owned).collect()), "{text}");
        }
    }
}
