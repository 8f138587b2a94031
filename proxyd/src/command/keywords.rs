//! `-dK`: all words this program knows, printed from the tables that it reads configurations with. A word that does
//! nothing yet, or that a start refuses, is marked.

use super::{EXIT_FAILURE, console};
use shared_config::haproxy::keyword::{
    ACL_DERIVATIVES, ACTIONS, Arg, BIND_PARAMS, CLI_COMMANDS, CONVERTERS, FETCHES, FILTERS, FetchPlace, Keyword,
    OPTIONS, Param, Ruleset, SERVER_PARAMS, SERVICES, SectionKind, Support, statements,
};
use std::fmt::Write as _;
use std::process::ExitCode;

/// Its name, what `-dKhelp` says of it, and what writes it.
type Class = (&'static str, &'static str, fn(&mut String));

/// The classes, in the order of `all`.
const CLASSES: [Class; 7] = [
    ("acl", "ACL keywords", acls),
    ("cfg", "configuration keywords", configuration),
    ("cli", "CLI keywords", commands),
    ("cnv", "sample converter keywords", converters),
    ("flt", "filter names", filters),
    ("smp", "sample fetch functions", fetches),
    ("svc", "service names", services),
];

/// Prints the classes of a list with commas.
pub fn print(classes: &str) -> ExitCode {
    let mut text = String::new();
    for class in classes.split(',') {
        match (class, CLASSES.iter().find(|(name, ..)| *name == class)) {
            ("all", _) => CLASSES.iter().for_each(|(_, _, write)| write(&mut text)),
            ("help", _) => help(&mut text),
            (_, Some((_, _, write))) => write(&mut text),
            (_, None) => {
                console::alert(&format!("-dK: '{class}' is not a class of keywords, see -dKhelp"));
                return ExitCode::from(EXIT_FAILURE);
            }
        }
    }
    console::out(&text);
    ExitCode::SUCCESS
}

/// One line; writing to a String cannot fail.
fn line(text: &mut String, words: std::fmt::Arguments<'_>) {
    let _ = writeln!(text, "{words}");
}

fn mark(support: Support) -> &'static str {
    match support {
        Support::Works => "",
        Support::NoEffect => " # no effect yet",
        Support::Unsupported => " # refused at start",
    }
}

fn help(text: &mut String) {
    line(text, format_args!("# List of supported keyword classes:\nall: list all keywords"));
    for (name, what, _) in &CLASSES {
        line(text, format_args!("{name}: {what}"));
    }
}

fn acls(text: &mut String) {
    line(text, format_args!("# List of registered ACL keywords:"));
    for row in ACL_DERIVATIVES {
        line(text, format_args!("{} = {} -m {}", row.name, row.fetch, row.method));
    }
}

fn configuration(text: &mut String) {
    line(text, format_args!("# List of registered configuration keywords:"));
    for kind in SectionKind::ALL {
        line(text, format_args!("{}", kind.name()));
        for row in statements(kind).iter().filter(|row| row.sections.contains(kind)) {
            line(text, format_args!("\t{}", statement(row)));
        }
        if kind.is_proxy() {
            for row in OPTIONS.iter().filter(|row| row.sections.contains(kind)) {
                line(text, format_args!("\toption {}", statement(row)));
            }
            for action in ACTIONS {
                for set in Ruleset::ALL.into_iter().filter(|set| action.rulesets.contains(*set)) {
                    line(text, format_args!("\t{} {}{}", set.name(), action.pattern(), mark(action.support)));
                }
            }
        }
        if matches!(kind, SectionKind::Frontend | SectionKind::Listen) {
            params(text, "bind <addr>", BIND_PARAMS);
        }
        if matches!(kind, SectionKind::Backend | SectionKind::Listen) {
            params(text, "server <name> <addr>", SERVER_PARAMS);
        }
    }
}

fn statement(row: &Keyword) -> String {
    let old = if row.legacy.is_some() { " # legacy" } else { "" };
    format!("{}{old}{}", row.name, mark(row.support))
}

fn params(text: &mut String, line_of: &str, rows: &[Param]) {
    for row in rows {
        let tls = if row.ssl { "ssl " } else { "" };
        let arguments = if row.arity.min > 0 { format!(" +{}", row.arity.min) } else { String::new() };
        line(text, format_args!("\t{line_of} {tls}{}{arguments}{}", row.name, mark(row.support)));
    }
}

fn commands(text: &mut String) {
    line(text, format_args!("# List of registered CLI keywords:"));
    for row in CLI_COMMANDS {
        let master = if row.master { " [MASTER]" } else { "" };
        let worker = if row.worker { " [WORKER]" } else { "" };
        line(text, format_args!("{}{master}{worker}{}", row.name, mark(row.support)));
    }
}

fn converters(text: &mut String) {
    line(text, format_args!("# List of registered sample converter functions:"));
    for row in CONVERTERS {
        let (input, output) = (row.input.name(), row.output.name());
        let arguments = arguments(row.args);
        line(text, format_args!("{}{arguments}: {input} => {output}{}", row.name, mark(row.support)));
    }
}

fn filters(text: &mut String) {
    line(text, format_args!("# List of registered filter names:"));
    for row in FILTERS {
        line(text, format_args!("{} [{}]{}", row.name, row.family, mark(row.support)));
    }
}

fn fetches(text: &mut String) {
    line(text, format_args!("# List of registered sample fetch functions:"));
    for (index, place) in FetchPlace::ALL.into_iter().enumerate() {
        line(text, format_args!("# column {:>2}: {}", index + 1, place.name()));
    }
    for row in FETCHES {
        let columns = FetchPlace::ALL.map(|place| if row.places.contains(place) { "Y " } else { ". " }).concat();
        let (arguments, output) = (arguments(row.args), row.output.name());
        line(text, format_args!("[ {columns}] {}{arguments}: {output}{}", row.name, mark(row.support)));
    }
}

/// `(string[,integer])`, the optional ones in brackets.
fn arguments(args: &[Arg]) -> String {
    if args.is_empty() {
        return String::new();
    }
    let mut text = String::from("(");
    let optional = args.iter().filter(|arg| !arg.required).count();
    for (index, arg) in args.iter().enumerate() {
        if !arg.required && args[..index].iter().all(|before| before.required) {
            text.push('[');
        }
        if index > 0 {
            text.push(',');
        }
        text.push_str(arg.kind.name());
    }
    if optional > 0 {
        text.push(']');
    }
    text + ")"
}

fn services(text: &mut String) {
    line(text, format_args!("# List of registered service names:"));
    for row in SERVICES {
        line(text, format_args!("{}{}", row.name, mark(row.support)));
    }
}
