//! Files of patterns that can change while the process runs: maps, and ACLs that rules add to or take from.

use super::Lowering;
use super::acl::pattern;
use super::arguments::{Arguments, Problem, problem};
use super::http_action::RuleAt;
use crate::rules::effect::{Change, Effect};
use crate::sample::Value;
use crate::sample::convert::Made;
use crate::sample::convert::made::Output;
use crate::sample::pattern::Method;
use crate::sample::pattern_file::{Kind, PatternFile, Use, Values};
use crate::sample::prefix_map::Case;
use shared_config::diagnostic::Place;
use shared_config::haproxy::ast::Statement;
use shared_config::source::encode;
use shared_config::words::{Word, Words};
use std::borrow::Cow;
use std::sync::Arc;

/// The file that a statement changes, if it is a rule that does: `http-request add-acl(FILE) …`.
pub fn changed_file(statement: &Statement) -> Option<String> {
    let (name, file) = statement.words.get(1)?.text.split_once('(')?;
    let changes = matches!(name, "add-acl" | "del-acl" | "set-map" | "del-map");
    changes.then(|| plain_name(file.trim_end_matches(')')).to_owned())
}

/// A file's name without what says how it is opened.
fn plain_name(name: &str) -> &str {
    name.strip_prefix("opt@").or_else(|| name.strip_prefix("file@")).unwrap_or(name)
}

impl Lowering<'_> {
    /// The file of that name, read once for all its users. `map`: its lines have values.
    pub(super) fn pattern_file(&self, word: &Word, path: &str, map: bool) -> Result<Arc<PatternFile>, Problem> {
        let name = plain_name(path);
        let known = self.names.files.borrow().get(name).cloned();
        let file = match known {
            Some(known) => known,
            None => self.new_pattern_file(word, path, map)?,
        };
        file.used_as(if map { Kind::Map } else { Kind::Acl });
        Ok(file)
    }

    fn new_pattern_file(&self, word: &Word, path: &str, map: bool) -> Result<Arc<PatternFile>, Problem> {
        let entry = |line: &String| {
            let (key, value) = if map { line.split_once([' ', '\t']).unwrap_or((line, "")) } else { (&**line, "") };
            (encode(key), encode(value.trim_matches([' ', '\t'])))
        };
        let entries: Vec<(Vec<u8>, Vec<u8>)> = pattern::lines(path, word.span)?.iter().map(entry).collect();
        let lines: Vec<(&[u8], &[u8])> = entries.iter().map(|(key, value)| (&**key, &**value)).collect();
        let (name, number) = (plain_name(path), self.names.next_patterns());
        let file = Arc::new(PatternFile::new(name, number, &lines));
        self.names.files.borrow_mut().insert(name.to_owned(), Arc::clone(&file));
        Ok(file)
    }

    /// A way of looking up in the file; a line whose key does not fit is an error.
    pub(super) fn use_of(file: &PatternFile, how: Use, word: &Word) -> Result<usize, Problem> {
        let (number, bad) = file.add_use(how, pattern::compile_key);
        match bad.first() {
            None => Ok(number),
            Some(line) => {
                let key = file.entries().get(*line).map(|entry| entry.key.clone()).unwrap_or_default();
                let key = String::from_utf8_lossy(&key).into_owned();
                Err(problem(format!("'{key}' is not a valid pattern in file '{}'", file.name), word.span))
            }
        }
    }

    /// `map` and its kin; `None` where it is another converter.
    pub(super) fn map(&self, name: &str, arguments: &Arguments<'_>) -> Result<Option<Made>, Problem> {
        let Some(rest) = name.strip_prefix("map") else { return Ok(None) };
        let mut parts = rest.trim_start_matches('_').split('_');
        let (method, groups) = match parts.next().unwrap_or("") {
            "" | "str" => (Method::Str, false),
            "beg" => (Method::Beg, false),
            "end" => (Method::End, false),
            "sub" => (Method::Sub, false),
            "dir" => (Method::Dir, false),
            "dom" => (Method::Dom, false),
            "reg" => (Method::Reg, false),
            "regm" => (Method::Reg, true),
            "int" => (Method::Int, false),
            "ip" => (Method::Ip, false),
            _ => return Ok(None),
        };
        let output = match parts.next() {
            Some("int") => Output::Int,
            Some("ip") => Output::Ip,
            Some("key") => Output::Key,
            _ if groups => Output::Groups,
            _ => Output::Text,
        };
        let Some(word) = arguments.word(0) else { return Err(problem("missing file name", arguments.span())) };
        let file = self.pattern_file(word, &word.text, true)?;
        let number = Self::use_of(&file, Use { method, case: Case::Exact, values: values(output) }, word)?;
        check_values(&file, output, word)?;
        let default = match (output, arguments.word(1)) {
            (_, None) => None,
            (Output::Int, Some(_)) => arguments.integer(1).map(Value::Int),
            (Output::Ip, Some(word)) => {
                let bad = || problem(format!("Cannot parse default ip '{}'", word.text), word.span);
                Some(Value::Ip(word.text.parse().map_err(|_| bad())?))
            }
            (Output::Text | Output::Key | Output::Groups, Some(_)) => {
                arguments.bytes(1).map(|bytes| Value::Str(Cow::Owned(bytes.into())))
            }
        };
        Ok(Some(Made::Map { file, number, output, default }))
    }

    /// `add-acl(FILE) KEY`, `del-acl(FILE) KEY`, `set-map(FILE) KEY VALUE`, `del-map(FILE) KEY`.
    pub(super) fn change_patterns(
        &mut self,
        change: Change,
        at: &RuleAt<'_>,
        words: &mut Words<'_>,
    ) -> Result<Option<Effect>, Problem> {
        let Some((_, file)) = at.word.text.split_once('(') else {
            return Err(problem("expects a file name between parentheses", at.word.span));
        };
        let is_map = at.word.text.starts_with("set-map") || at.word.text.starts_with("del-map");
        let Some(key) = words.next() else { return Err(problem("expects a key", words.here())) };
        let key = self.text(key, &at.before, Place::Parsing, at.places);
        let value = if change == Change::Set {
            let Some(value) = words.next() else { return Err(problem("expects a key and a value", words.here())) };
            let Some(value) = self.text(value, &at.before, Place::Parsing, at.places) else { return Ok(None) };
            Some(value)
        } else {
            None
        };
        let name = file.trim_end_matches(')');
        // It may be a file that only rules and the runtime API fill, so it need not exist.
        let optional = format!("opt@{}", plain_name(name));
        let file = self.pattern_file(at.word, &optional, is_map)?;
        Ok(key.map(|key| Effect::Patterns { file, change, key, value }))
    }
}

/// What the values of a map must be.
fn values(output: Output) -> Values {
    match output {
        Output::Int => Values::Integer,
        Output::Ip => Values::Address,
        Output::Groups => Values::Groups,
        Output::Text | Output::Key => Values::Text,
    }
}

fn check_values(file: &PatternFile, output: Output, word: &Word) -> Result<(), Problem> {
    let fits = |value: &[u8]| values(output).take(value);
    let entries = file.entries();
    let Some((line, entry)) = entries.iter().enumerate().find(|(_, entry)| !fits(&entry.value)) else { return Ok(()) };
    let value = String::from_utf8_lossy(&entry.value).into_owned();
    let kind = if output == Output::Int { "an integer" } else { "an address" };
    Err(problem(format!("'{value}' is not {kind} at line {} of file '{}'", line + 1, file.name), word.span))
}
