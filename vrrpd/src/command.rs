//! A program to run on the operator's behalf: a check script or a notify script, as keepalived.conf names it.
//!
//! Plain data: the configuration has looked up the user; `io::script` starts the process.

use std::fmt;

/// What to run, and as whom.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Command {
    /// How the words reach a process.
    pub form: Form,
    /// The user it runs as.
    pub user: User,
}

/// The two ways keepalived runs a command.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// `execve` of the words, without a shell: `a && b` runs `a` with the arguments `&&` and `b`.
    Exec(Vec<String>),
    /// A string that begins with `</` is given to `/bin/sh -c`, as a whole.
    Shell(String),
}

/// A user and group by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct User {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

impl User {
    /// The superuser.
    pub const ROOT: User = User { uid: 0, gid: 0 };
}

impl Command {
    /// A command that is executed directly, as the superuser.
    pub fn exec<I: IntoIterator<Item = S>, S: Into<String>>(words: I) -> Self {
        Self { form: Form::Exec(words.into_iter().map(Into::into).collect()), user: User::ROOT }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.form {
            Form::Exec(words) => f.write_str(&words.join(" ")),
            Form::Shell(text) => f.write_str(text),
        }
    }
}
