//! `userlist`: users, their passwords and groups.

use super::line::code;
use super::model::{Password, User, Userlist};
use shared_config::diagnostic::{Diagnostic, Diagnostics, Place};
use shared_config::haproxy::ast::Section;
use shared_config::source::Span;
use shared_config::suggest;
use shared_config::words::{Word, Words};
use std::collections::HashMap;

/// Groups named on `user` lines, and users named on `group` lines, until all are known.
#[derive(Default)]
struct Membership {
    /// By user: group and where it was named.
    groups: Vec<(usize, String, Span)>,
    /// By group: user and where it was named.
    users: Vec<(String, String, Span)>,
}

/// Lowers a section. `None` where it has no name.
pub(super) fn lower(ast: &Section, out: &mut Diagnostics) -> Option<Userlist> {
    let mut words = ast.head.words();
    let _keyword = words.next();
    let Some(name) = words.next() else {
        problem(out, code::MISSING_ARGUMENT, words.here(), "'userlist' expects <name> as arguments.");
        return None;
    };
    let mut list = Userlist { name: name.text.to_string(), users: Vec::new(), groups: Vec::new() };
    let mut members = Membership::default();
    let mut known = HashMap::new();
    for statement in &ast.statements {
        let mut words = statement.words();
        let Some(first) = words.next() else { continue };
        match &*first.text {
            "user" => user(words, &mut list, &mut members, &mut known, out),
            "group" => group(words, &mut list, &mut members, out),
            other => {
                let mut diagnostic = Diagnostic::error(
                    code::UNKNOWN_KEYWORD,
                    first.span,
                    format!("unknown keyword '{other}' in 'users' section"),
                );
                if let Some(nearest) = suggest::nearest(other, ["user", "group"]) {
                    diagnostic = diagnostic.help(format!("write `{nearest}`"));
                }
                out.push(diagnostic.place(Place::ParsingLine));
            }
        }
    }
    join(&mut list, members, &known, out);
    Some(list)
}

fn problem(out: &mut Diagnostics, kind: &'static str, at: Span, message: impl Into<String>) {
    out.push(Diagnostic::error(kind, at, message).place(Place::ParsingLine));
}

fn user(
    mut words: Words<'_>,
    list: &mut Userlist,
    members: &mut Membership,
    known: &mut HashMap<String, usize>,
    out: &mut Diagnostics,
) {
    let Some(name) = words.next() else {
        return problem(out, code::MISSING_ARGUMENT, words.here(), "'user' expects <name> as arguments.");
    };
    if known.contains_key(&*name.text) {
        let message = format!("ignoring duplicated user '{}' in userlist '{}'.", name.text, list.name);
        return out.push(Diagnostic::warning(code::DUPLICATE, name.span, message).place(Place::ParsingLine));
    }
    let index = list.users.len();
    let mut password = None;
    while let Some(option) = words.next() {
        match &*option.text {
            "password" => password = words.next().map(|word| Password::Crypt(word.text.to_string())),
            "insecure-password" => password = words.next().map(|word| Password::Clear(word.text.to_string())),
            "groups" => {
                for (group, span) in names(words.next()) {
                    members.groups.push((index, group, span));
                }
            }
            _ => {
                let message = "'user' only supports 'password', 'insecure-password' and 'groups' options.";
                return problem(out, code::UNKNOWN_NAME, option.span, message);
            }
        }
    }
    known.insert(name.text.to_string(), index);
    list.users.push(User { name: name.text.to_string(), password, groups: Vec::new() });
}

fn group(mut words: Words<'_>, list: &mut Userlist, members: &mut Membership, out: &mut Diagnostics) {
    let Some(name) = words.next() else {
        return problem(out, code::MISSING_ARGUMENT, words.here(), "'group' expects <name> as arguments.");
    };
    if list.groups.iter().any(|group| *group == *name.text) {
        let message = format!("ignoring duplicated group '{}' in userlist '{}'.", name.text, list.name);
        return out.push(Diagnostic::warning(code::DUPLICATE, name.span, message).place(Place::ParsingLine));
    }
    while let Some(option) = words.next() {
        if &*option.text != "users" {
            return problem(out, code::UNKNOWN_NAME, option.span, "'group' only supports 'users' option.");
        }
        for (user, span) in names(words.next()) {
            members.users.push((name.text.to_string(), user, span));
        }
    }
    list.groups.push(name.text.to_string());
}

/// A comma-separated list, each name with its place.
fn names(word: Option<&Word>) -> Vec<(String, Span)> {
    let Some(word) = word else { return Vec::new() };
    let mut start = 0;
    let mut found = Vec::new();
    for name in word.text.split(',') {
        if !name.is_empty() {
            found.push((name.to_owned(), word.span_of(start..start + name.len())));
        }
        start += name.len() + 1;
    }
    found
}

fn join(list: &mut Userlist, members: Membership, known: &HashMap<String, usize>, out: &mut Diagnostics) {
    let index_of = |list: &Userlist, group: &str| {
        list.groups.iter().position(|known| known == group).and_then(|index| u32::try_from(index).ok())
    };
    for (user, group, span) in members.groups {
        if let Some(group) = index_of(list, &group) {
            list.users[user].groups.push(group);
        } else {
            let message = format!(
                "userlist '{}': no such group '{group}' specified in user '{}'",
                list.name, list.users[user].name
            );
            out.push(Diagnostic::error(code::UNKNOWN_NAME, span, message).whole_file());
        }
    }
    for (group, user, span) in members.users {
        if let (Some(group), Some(&user)) = (index_of(list, &group), known.get(&user)) {
            list.users[user].groups.push(group);
        } else {
            let message = format!("userlist '{}': no such user '{user}' specified in group '{group}'", list.name);
            out.push(Diagnostic::error(code::UNKNOWN_NAME, span, message).whole_file());
        }
    }
    for user in &mut list.users {
        user.groups.sort_unstable();
        user.groups.dedup();
    }
}
