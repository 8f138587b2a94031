//! `-dK`: all words this program knows, printed from the tables that it reads configurations with. A word that does
//! nothing yet, or that a start refuses, is marked.

use super::{EXIT_FAILURE, console};
use shared_config::haproxy::keyword::{
    ACL_DERIVATIVES, ACTIONS, Arg, Arity, BIND_PARAMS, CLI_COMMANDS, CONVERTERS, CliMode, FETCHES, FILTERS, FetchPlace,
    Keyword, OPTIONS, Param, Ruleset, SERVER_PARAMS, SERVICES, SectionKind, Support, statements,
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
        match kind {
            // As in haproxy, what the four kinds of proxies know is listed once.
            SectionKind::Defaults | SectionKind::Frontend | SectionKind::Backend => continue,
            _ => line(text, format_args!("{}", kind.name())),
        }
        for row in statements(kind).iter().filter(|row| kind.is_proxy() || row.sections.contains(kind)) {
            // The words of a crt-list are parameters, like those of a `bind` line.
            let arguments = if kind == SectionKind::CrtList { count(row.arity) } else { String::new() };
            line(text, format_args!("\t{}{arguments}{}", statement(row), end(row)));
        }
        if kind.is_proxy() {
            params(text, "bind <addr>", BIND_PARAMS);
            params(text, "server <name> <addr>", SERVER_PARAMS);
            for row in OPTIONS {
                line(text, format_args!("\toption {} [ {}]{}", row.name, sides(row), end(row)));
            }
            for set in Ruleset::ALL {
                for action in ACTIONS.iter().filter(|action| action.rulesets.contains(set)) {
                    line(text, format_args!("\t{} {}{}", set.name(), action.pattern(), mark(action.support)));
                }
            }
        }
    }
}

/// The words, and a star where parentheses follow.
fn statement(row: &Keyword) -> String {
    let star = if row.parenthesis { "*" } else { "" };
    format!("{}{star}", row.name)
}

/// What is said after the words.
fn end(row: &Keyword) -> String {
    let old = if row.legacy.is_some() { " # legacy" } else { "" };
    format!("{old}{}", mark(row.support))
}

/// Which half of a proxy an option is for, and whether it needs `mode http`.
fn sides(row: &Keyword) -> String {
    let words = [
        ("FE ", row.sections.contains(SectionKind::Frontend)),
        ("BE ", row.sections.contains(SectionKind::Backend)),
        ("HTTP ", row.http_only),
    ];
    words.into_iter().filter(|(_, holds)| *holds).map(|(word, _)| word).collect()
}

/// How many words follow a parameter.
fn count(arity: Arity) -> String {
    match arity.max {
        Some(0) => String::new(),
        Some(most) => format!(" +{most}"),
        None => " +-1".to_owned(),
    }
}

/// Plain ones first, then those that need TLS.
fn params(text: &mut String, line_of: &str, rows: &[Param]) {
    let is_bind = line_of.starts_with("bind");
    let mut sorted: Vec<&Param> = rows.iter().collect();
    sorted.sort_by_key(|row| is_bind && row.ssl);
    for row in sorted {
        let tls = if is_bind && row.ssl && row.name != "ssl" { "ssl " } else { "" };
        let arguments = count(row.arity);
        line(text, format_args!("\t{line_of} {tls}{}{arguments}{}", row.name, mark(row.support)));
    }
}

fn commands(text: &mut String) {
    line(text, format_args!("# List of registered CLI keywords:"));
    for row in CLI_COMMANDS {
        let master = if row.master { "[MASTER] " } else { "" };
        let worker = if row.worker { "[WORKER] " } else { "" };
        let mode = match row.mode {
            CliMode::Normal => "",
            CliMode::Expert => "[EXPERT] ",
            CliMode::Experimental => "[EXPERIM] ",
        };
        let missing = if row.support == Support::Works { "" } else { "# not yet" };
        line(text, format_args!("{} {master}{worker}{mode}{missing}", row.name));
    }
}

fn converters(text: &mut String) {
    line(text, format_args!("# List of registered sample converter functions:"));
    for row in CONVERTERS {
        let (input, output) = (row.input.name(), row.output.name());
        let arguments = arguments(row.args);
        line(text, format_args!("{}{arguments}: {output} => {input}{}", row.name, mark(row.support)));
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
    let columns = FetchPlace::ALL.len();
    // The head is a set of lines that lean over the columns, one for each place.
    for (index, place) in FetchPlace::ALL.into_iter().enumerate() {
        let (indent, left) = (columns + 1 - index, "/ ".repeat(index));
        let right = "-".repeat(columns - index);
        line(text, format_args!("#{}{left}_.{right} {}", " ".repeat(indent), place.name()));
    }
    line(text, format_args!("# {} ", "/ ".repeat(columns)));
    line(text, format_args!("# {}", "| ".repeat(columns)));
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
