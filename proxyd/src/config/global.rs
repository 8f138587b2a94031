//! `global`: several of them are one.

use super::address::Accept;
use super::bind;
use super::default_path::DefaultPath;
use super::line::{Line, code};
use super::log;
use super::model::{CloseSpread, Global, LogHostname, StatsSocket};
use super::option::Negation;
use super::proxy::Tools;
use super::tune::{statuses, stick_counters, tune};
use super::value::{self, TimeProblem, Unit};
use super::{files, process, threads, users};
use crate::http::case::Unfit;
use crate::proxy::listen::{ListenAddress, THREADS_MAX};
use crate::sample::convert::jwe::Allowed;
use shared_config::diagnostic::{Diagnostic, Diagnostics, Place};
use shared_config::haproxy::ast::Statement;
use shared_config::haproxy::keyword::{self, GLOBAL, Keyword, Prefix, SectionKind};
use shared_config::suggest;
use shared_config::value::size;
use shared_config::words::Word;

/// What `global` says that only the lowering of other sections needs.
#[derive(Debug, Default)]
pub(super) struct Extra {
    /// `zero-warning`
    pub zero_warning: bool,
    /// `insecure-fork-wanted`
    pub insecure_fork_wanted: bool,
    /// `ssl-server-verify none`
    pub no_server_verify: bool,
    /// `unix-bind …` for listeners that say nothing themselves.
    pub unix_bind: bind::BindSettings,
    /// `set-var` and `set-var-fmt`, lowered once all names are known.
    pub variables: Vec<Statement>,
    /// `tune.stick-counters`
    pub stick_counters: Option<u8>,
    /// `jwt.decrypt_alg_list`, `jwt.decrypt_enc_list`
    pub tokens: Allowed,
    /// `expose-experimental-directives`
    pub experimental: bool,
    /// `unix-bind prefix`
    pub unix_prefix: String,
    /// `default-path`
    pub default_path: DefaultPath,
}

/// Lowers one statement.
pub(super) fn statement(
    statement: &Statement,
    global: &mut Global,
    extra: &mut Extra,
    tools: &mut Tools,
    out: &mut Diagnostics,
) {
    if matches!(statement.words.first().map(Word::as_str), Some("set-var" | "set-var-fmt")) {
        extra.variables.push(statement.clone());
    }
    let mut words = statement.words();
    let negation = match words.peek().map_or("", |word| &*word.text) {
        "no" => Negation::No,
        "default" => Negation::Default,
        _ => Negation::None,
    };
    let prefix = if negation == Negation::None { None } else { words.next() };
    let Some(first) = words.peek() else { return };
    let rest = words.clone().rest();
    let Some(row) = keyword::find_statement(SectionKind::Global, rest) else {
        return unknown(first, rest.get(1), out);
    };
    if let Some(prefix) = prefix
        && row.prefix == Prefix::Never
    {
        return out.push(
            Diagnostic::error(code::BAD_VALUE, prefix.span, super::proxy::NEGATION)
                .place(Place::ParsingLine)
                .label(format!("`{}` cannot stand in front of `{}`", prefix.text, first.text)),
        );
    }
    let keyword = (0..row.words()).filter_map(|_| words.next()).fold(first.span, |span, word| span.to(word.span));
    let negated = negation != Negation::None;
    let mut line = Line { words, name: row.name, keyword, negated, section: SectionKind::Global, out };
    if row.legacy.is_none() && !negated {
        tools.support.statement(row, row.name, keyword, line.out);
    }
    lower(&mut line, row, global, extra, tools);
}

fn unknown(first: &Word, second: Option<&Word>, out: &mut Diagnostics) {
    if &*first.text == "stats" {
        let (got, at) = second.map_or(("", first.span), |word| (&*word.text, word.span));
        let message = format!("'stats' only supports 'socket', 'maxconn', 'bind-process' and 'timeout' (got '{got}')");
        return out.push(Diagnostic::error(code::UNKNOWN_KEYWORD, at, message));
    }
    let nearest = suggest::nearest(&first.text, GLOBAL.iter().map(|row| row.name));
    let hint = nearest.map_or_else(String::new, |name| format!("; did you mean '{name}' maybe ?"));
    let message = format!("unknown keyword '{}' in 'global' section{hint}", first.text);
    let mut diagnostic = Diagnostic::error(code::UNKNOWN_KEYWORD, first.span, message).label("not known here");
    if let Some(nearest) = nearest {
        diagnostic = diagnostic.help(format!("write `{nearest}`"));
    } else if keyword::PROXY.iter().any(|row| row.name.split(' ').next() == Some(&*first.text)) {
        diagnostic = diagnostic.help("this belongs into a `defaults`, `frontend`, `backend` or `listen` section");
    }
    out.push(diagnostic);
}

fn lower(line: &mut Line<'_, '_>, row: &'static Keyword, global: &mut Global, extra: &mut Extra, tools: &mut Tools) {
    match row.name {
        "daemon" => flag(line, &mut global.daemon),
        "quiet" => flag(line, &mut global.quiet),
        "nosplice" => {
            global.splice = line.negated;
            line.end();
        }
        "noreuseport" => flag(line, &mut global.no_reuse_port),
        "expose-experimental-directives" => flag(line, &mut extra.experimental),
        "h1-accept-payload-with-any-method" => flag(line, &mut global.tune.any_payload),
        "h1-do-not-close-on-insecure-transfer-encoding" => flag(line, &mut global.tune.keep_ambiguous),
        "pp2-never-send-local" => flag(line, &mut global.never_send_local),
        "harden.reject-privileged-ports.tcp" => {
            let choice = line.words.next().map(Word::as_str);
            match choice {
                Some("on") => global.tune.reject_privileged_ports = true,
                Some("off") => global.tune.reject_privileged_ports = false,
                _ => {
                    let at = line.words.here();
                    line.error(code::BAD_VALUE, at, format!("'{}' expects either 'on' or 'off'.", row.name));
                }
            }
            line.end();
        }
        "default-path" => default_path(line, extra),
        "h1-case-adjust" | "h1-case-adjust-file" => case_adjustment(line, global),
        "zero-warning" => flag(line, &mut extra.zero_warning),
        "insecure-fork-wanted" => flag(line, &mut extra.insecure_fork_wanted),
        "external-check" => flag(line, &mut global.external_check),
        "debug" | "master-worker" | "nbproc" => legacy(line, row, global, tools),
        "user" | "uid" | "group" | "gid" => identity(line, global),
        "log" => logs(line, global, tools),
        "stats socket" => stats_socket(line, global, tools),
        "stats timeout" | "stats maxconn" | "stats bind-process" => stats(line, global),
        "nbthread" => threads::count(line, global),
        "thread-groups" => threads::groups(line, global),
        "cpu-map" => threads::cpu_map(line, global),
        "setcap"
        | "set-dumpable"
        | "insecure-setuid-wanted"
        | "busy-polling"
        | "fd-hard-limit"
        | "tune.renice.startup"
        | "tune.renice.runtime" => process::statement(line, global),
        "hard-stop-after" | "grace" | "close-spread-time" | "mworker-max-reloads" => times(line, global),
        "unix-bind" => unix_bind(line, extra, tools),
        "tune.cli.max-payload-size" => payload(line, global),
        "tune.stick-counters" => stick_counters(line, extra),
        "jwt.decrypt_alg_list" | "jwt.decrypt_enc_list" => tokens(line, row, &mut extra.tokens),
        "strict-limits" => {
            global.strict_limits = Some(!line.negated);
            line.end();
        }
        "http-err-codes" | "http-fail-codes" => statuses(line, global),
        "ssl-server-verify" => extra.no_server_verify = line.take("none").is_some(),
        _ => values(line, row, global),
    }
}

/// `h1-case-adjust FROM TO`, or such pairs in a file.
fn case_adjustment(line: &mut Line<'_, '_>, global: &mut Global) {
    if line.name == "h1-case-adjust-file" {
        let Some(file) = line.expect("'h1-case-adjust-file' expects a file as argument.") else { return };
        line.end();
        return case_adjustment_file(line, file, global);
    }
    let missing = "'h1-case-adjust' expects <from> and <to> as argument.";
    let (Some(from), Some(to)) = (line.expect(missing), line.words.next()) else {
        let here = line.words.here();
        return line.error(code::MISSING_ARGUMENT, here, missing);
    };
    line.end();
    if let Err(unfit) = global.case_adjustment.add(from.text.as_bytes(), to.text.as_bytes()) {
        line.error(code::BAD_VALUE, to.span, unfit_name(unfit, &from.text));
    }
}

/// haproxy's words, its slip of the pen included.
fn unfit_name(unfit: Unfit, from: &str) -> String {
    match unfit {
        Unfit::Different => "<from> and <to> must not differ execpt the case".to_owned(),
        Unfit::Known => format!("duplicate entry '{from}'"),
    }
}

/// The longest file of names, in bytes.
const CASE_FILE_MAX: u64 = 1 << 20;

fn case_adjustment_file(line: &mut Line<'_, '_>, file: &Word, global: &mut Global) {
    let name = format!("h1-headers-case-adjust-file '{}'", file.text);
    let mut wrong = |message: String| line.out.push(Diagnostic::error(code::FILE, file.span, message).whole_file());
    let Ok(bytes) = files::read(&file.text, CASE_FILE_MAX) else {
        return wrong(format!("{name}: failed to open file."));
    };
    for (index, text) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let mut words = text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let number = index + 1;
        match (words.next(), words.next(), words.next()) {
            (None | Some([b'#', ..]), ..) => {}
            (Some(from), Some(to), None) => {
                if let Err(unfit) = global.case_adjustment.add(from, to) {
                    let what = unfit_name(unfit, &String::from_utf8_lossy(from));
                    return wrong(format!("{name} : {what} at line {number}."));
                }
            }
            (Some(_), ..) => return wrong(format!("{name} : <from> and <to> are expected at line {number}.")),
        }
    }
}

fn flag(line: &mut Line<'_, '_>, target: &mut bool) {
    *target = !line.negated;
    line.end();
}

fn legacy(line: &mut Line<'_, '_>, row: &Keyword, global: &mut Global, tools: &mut Tools) {
    match row.name {
        "master-worker" => {
            let message =
                "support for 'master-worker' was removed in version 3.5. Use -W or -Ws in the startup script instead.";
            line.out.push(
                Diagnostic::warning(code::LEGACY, line.keyword, message)
                    .label("works, but haproxy 3.5 refuses it")
                    .help("start with `-W` or `-Ws`"),
            );
            global.master_worker = true;
        }
        "nbproc" => {
            let message = "nbproc is not supported any more since HAProxy 2.5. Threads will automatically be used on \
                           multi-processor machines if available.";
            let Some(word) = line.expect("'nbproc' expects an integer argument.") else { return };
            let number = line.lenient(word);
            // One process is what there is; several are as many threads, unless the threads are named.
            if number > 1 && global.nbthread.is_none() {
                global.nbthread = u16::try_from(number.min(THREADS_MAX.into())).ok();
            }
            if number != 1 {
                line.out.push(
                    Diagnostic::warning(code::LEGACY, line.keyword, message)
                        .label("taken as a number of threads")
                        .help("write `nbthread`"),
                );
            }
        }
        _ => {
            let message = format!("'{}' in 'global' section is not known any more, it has no effect.", row.name);
            line.out.push(
                Diagnostic::warning(code::LEGACY, line.keyword, message)
                    .label("without effect")
                    .help(format!("use {}", row.legacy.unwrap_or_default())),
            );
        }
    }
    let _ = tools;
}

fn identity(line: &mut Line<'_, '_>, global: &mut Global) {
    let word = line.words.next();
    let (text, at) = word.map_or(("", line.words.here()), |word| (&*word.text, word.span));
    let (what, id) = match line.name {
        "user" => ("user", users::uid(text)),
        "group" => ("group", users::gid(text)),
        name => {
            let id = text.parse().ok();
            if id.is_none() {
                let kind = if name == "uid" { "user" } else { "group" };
                let message = format!(
                    " {name}: string '{text}' is not a number.\n   | You might want to use the '{kind}' parameter to use \
                     a system {kind} name."
                );
                line.warn(code::BAD_VALUE, at, message);
            }
            match name {
                "uid" => global.uid = id.or(global.uid),
                _ => global.gid = id.or(global.gid),
            }
            return;
        }
    };
    if id.is_none() {
        let message = format!("cannot find {what} id for '{text}' (0:Success)");
        line.out.push(
            Diagnostic::error(code::UNKNOWN_NAME, at, message)
                .label(format!("no such {what} on this system"))
                .help(format!("create it: `{what}add --system {}`", if text.is_empty() { "NAME" } else { text })),
        );
    }
    match what {
        "user" => global.uid = id.or(global.uid),
        _ => global.gid = id.or(global.gid),
    }
    line.end();
}

fn logs(line: &mut Line<'_, '_>, global: &mut Global, tools: &mut Tools) {
    if line.negated {
        global.logs.clear();
        return;
    }
    if let Some(word) = line.words.peek().filter(|word| &*word.text == "global") {
        return line.error(code::BAD_VALUE, word.span, "log : 'global' is not supported for a global syslog server");
    }
    global.logs.extend(log::target(line, true, tools));
}

fn stats_socket(line: &mut Line<'_, '_>, global: &mut Global, tools: &mut Tools) {
    let missing = "'stats socket' in global section expects an address or a path to a UNIX socket";
    let Some(word) = line.expect(missing) else { return };
    let mut addresses = Vec::new();
    if word.text.contains(['/', ':', '@']) {
        addresses = bind::addresses(line, word, "'stats socket' : ", Accept::BIND, &mut tools.resolver);
    } else if word.text.parse::<std::net::IpAddr>().is_ok() {
        let message = format!("'stats socket' : missing port specification in '{}'", word.text);
        line.error(code::BAD_VALUE, word.span, message);
    } else {
        // A file name without a slash is a socket in the directory the program was started in.
        addresses.push(ListenAddress::Unix((&*word.text).into()));
    }
    let settings = bind::params(line, "'stats socket'", &mut tools.support);
    global.stats_sockets.extend(addresses.into_iter().map(|address| StatsSocket {
        address,
        level: settings.level,
        severity: settings.severity,
        owner: settings.owner.clone(),
        expose_fd_listeners: settings.expose_fd_listeners,
    }));
}

fn stats(line: &mut Line<'_, '_>, global: &mut Global) {
    match line.name {
        "stats timeout" => {
            let word = line.words.next();
            let text = word.map_or("", |word| &*word.text);
            match value::time(text, Unit::Milliseconds) {
                Ok(time) if !time.is_zero() => global.stats_timeout = time,
                Ok(_) => {
                    line.error(code::BAD_VALUE, line.words.statement(), "'stats timeout' expects a positive value");
                }
                Err(problem) => stats_timeout_problem(line, word, &problem),
            }
        }
        "stats maxconn" => match line.words.next().map(|word| value::leading_integer(&word.text).0) {
            Some(number) if number > 0 => global.stats_maxconn = u32::try_from(number).unwrap_or(u32::MAX),
            _ => line.error(code::BAD_VALUE, line.words.statement(), "'stats maxconn' expects a positive value"),
        },
        _ => line.warn(code::LEGACY, line.keyword, "'stats bind-process' is not supported anymore."),
    }
}

fn stats_timeout_problem(line: &mut Line<'_, '_>, word: Option<&Word>, problem: &TimeProblem) {
    let Some(word) = word else {
        let here = line.words.here();
        return line.error(code::MISSING_ARGUMENT, here, "'stats timeout' : expects a time");
    };
    let message = match problem {
        TimeProblem::Unexpected { character, .. } => format!("'stats timeout' : unexpected character '{character}'"),
        TimeProblem::Overflow => "timer overflow in argument to 'stats timeout'".to_owned(),
        TimeProblem::Underflow => "timer underflow in argument to 'stats timeout'".to_owned(),
    };
    line.bad_time(word, problem, message, Place::Parsing);
}

fn times(line: &mut Line<'_, '_>, global: &mut Global) {
    if line.name == "mworker-max-reloads" {
        let _ = line.positive("'mworker-max-reloads' expects a number of reloads");
        return;
    }
    let name = line.name.to_owned();
    let Some(word) = line.expect(format!("'{name}' expects <time> as argument.")) else { return };
    if &*name == "close-spread-time" && &*word.text == "infinite" {
        global.close_spread = Some(CloseSpread::Never);
        return;
    }
    let Some(time) = line.time(word, Unit::Milliseconds, &name) else { return };
    match &*name {
        "hard-stop-after" => global.hard_stop_after = Some(time).filter(|time| !time.is_zero()),
        "grace" => global.grace = time,
        "close-spread-time" => global.close_spread = Some(CloseSpread::Over(time)).filter(|_| !time.is_zero()),
        _ => {}
    }
}

/// `default-path current`, `config`, `parent` or `origin FOLDER`.
fn default_path(line: &mut Line<'_, '_>, extra: &mut Extra) {
    let Some(word) = line.words.next() else { return };
    extra.default_path = match word.as_str() {
        "current" => DefaultPath::Current,
        "config" => DefaultPath::Config,
        "parent" => DefaultPath::Parent,
        "origin" => {
            let Some(folder) = line.expect("'default-path origin' expects a directory.") else { return };
            DefaultPath::Origin(folder.as_str().into())
        }
        other => {
            let message = format!(
                "unsupported default-path mode '{other}' for 'default-path', supported modes include 'current', \
                 'config', 'parent', and 'origin'."
            );
            return line.error(code::UNKNOWN_NAME, word.span, message);
        }
    };
    line.end();
}

/// `tune.cli.max-payload-size`
fn payload(line: &mut Line<'_, '_>, global: &mut Global) {
    let message = "'tune.cli.max-payload-size' expects a size.";
    let Some(word) = line.expect(message) else { return };
    let size = size::parse(&word.text).ok().and_then(|size| usize::try_from(size).ok()).filter(|size| *size > 0);
    if size.is_none() {
        line.error(code::BAD_VALUE, word.span, message);
    }
    global.payload_max = size;
    line.end();
}

fn unix_bind(line: &mut Line<'_, '_>, extra: &mut Extra, tools: &mut Tools) {
    if line.take("prefix").is_some() {
        if let Some(word) = line.words.next() {
            extra.unix_prefix = word.text.to_string();
        }
        if line.words.is_empty() {
            return;
        }
    }
    extra.unix_bind = bind::params(line, "'unix-bind'", &mut tools.support);
}

/// Statements with one value.
fn values(line: &mut Line<'_, '_>, row: &'static Keyword, global: &mut Global) {
    let integer = format!("'{}' expects an integer argument.", row.name);
    match row.name {
        "maxconn" => {
            global.maxconn = line.positive(integer);
            line.end();
        }
        "maxpipes" => {
            global.maxpipes = line.positive(integer);
            line.end();
        }
        "maxconnrate" => {
            global.tune.connection_rate = line.positive(integer);
            line.end();
        }
        "maxsessrate" => {
            global.tune.session_rate = line.positive(integer);
            line.end();
        }
        "ulimit-n" => {
            global.ulimit_n = line.positive(integer);
            line.end();
        }
        "chroot" => {
            let missing = "'chroot' expects a directory as an argument.";
            global.chroot = line.expect(missing).map(|word| word.text.to_string().into());
            line.end();
        }
        "pidfile" => {
            let missing = "'pidfile' expects a file name as an argument.";
            global.pidfile = line.expect(missing).map(|word| word.text.to_string().into());
            line.end();
        }
        "log-tag" => {
            let missing = "'log-tag' expects a tag for use in syslog.";
            global.log_tag = line.expect(missing).map(|word| word.text.to_string());
            line.end();
        }
        "log-send-hostname" => {
            let name = line.words.next().map(|word| word.text.to_string());
            global.log_hostname = name.map_or(LogHostname::System, LogHostname::Name);
        }
        "localpeer" => {
            let missing = "'localpeer' expects a name as an argument.";
            global.localpeer = line.expect(missing).map(|word| word.text.to_string());
        }
        "server-state-base" => {
            let missing = "'server-state-base' expects one argument: a directory path.";
            global.server_state_base = line.expect(missing).map(|word| word.text.to_string().into());
        }
        "server-state-file" => {
            let missing = "'server-state-file' expect one argument: a file path.";
            global.server_state_file = line.expect(missing).map(|word| word.text.to_string().into());
        }
        "node" => node(line, global),
        "description" => description(line, global),
        "spread-checks" => spread_checks(line, global),
        "max-spread-checks" => max_spread_checks(line, global),
        name if name.starts_with("tune.") => tune(line, row, global),
        _ => others(line, row),
    }
}

fn node(line: &mut Line<'_, '_>, global: &mut Global) {
    let word = line.words.next();
    let (text, at) = word.map_or(("", line.words.here()), |word| (&*word.text, word.span));
    if text.is_empty() || !text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)) {
        let message = "'node' requires valid node name - non-empty string with digits(0-9), letters(A-Z, a-z), dot(.), \
                       hyphen(-) or underscode(_).";
        return line.out.push(Diagnostic::error(code::BAD_VALUE, at, message).place(Place::ParsingLine));
    }
    global.node = Some(text.to_owned());
}

fn description(line: &mut Line<'_, '_>, global: &mut Global) {
    if line.words.is_empty() {
        let missing =
            Diagnostic::error(code::MISSING_ARGUMENT, line.words.here(), "'description' expects a string argument.");
        return line.out.push(missing.place(Place::ParsingLine));
    }
    global.description = Some(line.joined());
}

fn spread_checks(line: &mut Line<'_, '_>, global: &mut Global) {
    let Some(word) = line.expect("'spread-checks' expects an integer argument (0..50).") else { return };
    match u8::try_from(line.lenient(word)) {
        Ok(number) if number <= 50 => global.spread_checks = number,
        _ => line.out.push(
            Diagnostic::error(code::BAD_VALUE, word.span, "'spread-checks' needs a positive value in range 0..50.")
                .place(Place::ParsingLine),
        ),
    }
}

/// What tokens may be encrypted with.
fn tokens(line: &mut Line<'_, '_>, row: &'static Keyword, allowed: &mut Allowed) {
    let Some(word) = line.expect(format!("'{}' expects a list of algorithms.", row.name)) else { return };
    let set = if row.name == "jwt.decrypt_alg_list" { Allowed::set_management } else { Allowed::set_encryption };
    if let Err(unknown) = set(allowed, &word.text) {
        let message = format!("'{}': unknown algorithm '{unknown}'.", row.name);
        line.error(code::UNKNOWN_NAME, word.span, message);
    }
}

/// What has no effect yet or does not work: the table has said so; what haproxy refuses is refused.
pub(super) fn others(line: &mut Line<'_, '_>, row: &'static Keyword) {
    match row.name {
        "profiling.tasks" => {
            if let Some(word) = line.words.next()
                && !["on", "auto", "off"].contains(&&*word.text)
            {
                let message =
                    format!("'profiling.tasks' expects either 'on', 'auto', or 'off' but got '{}'.", word.text);
                line.error(code::UNKNOWN_NAME, word.span, message);
            }
        }
        "set-var" | "set-var-fmt" if line.words.clone().rest().len() < 2 => {
            let message = format!(
                "'{}' requires a process-wide variable name ('proc.<name>') and a sample expression.",
                row.name
            );
            line.error(code::MISSING_ARGUMENT, line.words.here(), message);
        }
        "lua-load"
        | "lua-load-per-thread"
        | "ca-base"
        | "crt-base"
        | "key-base"
        | "ssl-dh-param-file"
        | "issuers-chain-path" => files_and_directories(line, row),
        _ if row.arity.min > 0 && line.words.is_empty() => {
            line.expect(format!("'{}' expects an argument.", row.name));
        }
        _ => {}
    }
}

/// Statements that name a file or a directory which has to be there.
fn files_and_directories(line: &mut Line<'_, '_>, row: &'static Keyword) {
    match row.name {
        "lua-load" | "lua-load-per-thread" => {
            if let Some(word) = line.expect(format!("'{}' expects a file name as parameter.", row.name))
                && let Err(error) = std::fs::metadata(&*word.text)
            {
                let reason = files::reason(&error);
                let message = format!("error in Lua file '{0}': cannot open {0}: {reason}", word.text);
                line.error(code::FILE, word.span, message);
            }
        }
        "ca-base" | "crt-base" | "key-base" => {
            let missing = format!("global statement '{}' expects a directory path as an argument.", row.name);
            line.expect(missing);
        }
        "ssl-dh-param-file" => {
            if let Some(word) = line.words.next()
                && std::fs::metadata(&*word.text).is_err()
            {
                let message = format!("'ssl-dh-param-file': unable to load DH parameters from file <{}>.", word.text);
                line.error(code::FILE, word.span, message);
            }
        }
        "issuers-chain-path" => {
            let message = "global statement 'issuers-chain-path' expects a directory path as an argument.";
            if let Some(word) = line.expect(message)
                && !std::path::Path::new(&*word.text).is_dir()
            {
                line.error(code::FILE, word.span, message);
            }
        }
        _ => {}
    }
}

fn max_spread_checks(line: &mut Line<'_, '_>, global: &mut Global) {
    let Some(word) = line.expect("'max-spread-checks' expects an integer argument (0..50).") else { return };
    let message = |problem: &TimeProblem| match problem {
        TimeProblem::Unexpected { character, .. } => {
            format!("unsupported character '{character}' in 'max-spread-checks' (wants an integer delay).")
        }
        TimeProblem::Overflow => format!(
            "timer overflow in argument <{}> to <max-spread-checks>, maximum value is 2147483647 ms (~24.8 days).",
            word.text
        ),
        TimeProblem::Underflow => format!(
            "timer underflow in argument <{}> to <max-spread-checks>, minimum non-null value is 1 ms.",
            word.text
        ),
    };
    match value::time(&word.text, Unit::Milliseconds) {
        // Nothing is as good as the default.
        Ok(time) => global.max_spread_checks = Some(time).filter(|time| !time.is_zero()),
        Err(problem) => line.bad_time(word, &problem, message(&problem), Place::ParsingLine),
    }
}
