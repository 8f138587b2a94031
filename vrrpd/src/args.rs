//! keepalived's command line (keepalived(8)).

use lexopt::{Arg, Parser, ValueExt};
use std::ffi::OsString;
use std::path::PathBuf;

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Run, or check the configuration.
    Run(Box<Args>),
    /// `-h`
    Help,
    /// `-v`
    Version,
    /// `--signum=NAME`: the number of the signal that asks a running daemon for something.
    Signal(u8),
}

/// Where log lines go (`-l`, `-S`, `-G`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Facility {
    /// The daemon facility.
    Daemon,
    /// The user facility.
    User,
    /// `local0` to `local7`
    Local(u8),
}

/// The options of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Args {
    /// `-f`
    pub config: PathBuf,
    /// `-i`; the short host name when absent.
    pub config_id: Option<String>,
    /// `-t`: only check; the file that the messages go to, or standard error.
    pub test: Option<Option<PathBuf>>,
    /// `-n`: stay in the foreground.
    pub foreground: bool,
    /// `-l`: log to the console.
    pub console: bool,
    /// `-D`
    pub detail: bool,
    /// `-S`
    pub facility: Facility,
    /// `-d`: write the configuration to the log.
    pub dump: bool,
    /// `-p`
    pub pid_file: Option<PathBuf>,
    /// `-r`
    pub vrrp_pid_file: Option<PathBuf>,
    /// Options that are understood and do nothing yet.
    pub idle: Vec<String>,
}

/// A command line that cannot be used; the text is for standard error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

impl Default for Args {
    fn default() -> Self {
        Self {
            config: PathBuf::from(crate::config::DEFAULT_FILE),
            config_id: None,
            test: None,
            foreground: false,
            console: false,
            detail: false,
            facility: Facility::Daemon,
            dump: false,
            pid_file: None,
            vrrp_pid_file: None,
            idle: Vec::new(),
        }
    }
}

/// Reads the command line, the program's name first.
pub fn parse(argv: impl IntoIterator<Item = OsString>) -> Result<Request, UsageError> {
    let mut parser = Parser::from_iter(argv);
    let mut args = Args::default();
    while let Some(argument) = parser.next().map_err(usage)? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(Request::Help),
            Arg::Short('v') | Arg::Long("version") => return Ok(Request::Version),
            Arg::Long("signum") => {
                let name = text(&mut parser)?;
                return signal(&name).map(Request::Signal).ok_or(UsageError(format!("Unknown sigfunc {name}")));
            }
            Arg::Short('f') | Arg::Long("use-file") => args.config = path(&mut parser)?,
            Arg::Short('i') | Arg::Long("config-id") => args.config_id = Some(text(&mut parser)?),
            Arg::Short('t') | Arg::Long("config-test") => args.test = Some(parser.optional_value().map(PathBuf::from)),
            Arg::Short('n') | Arg::Long("dont-fork") => args.foreground = true,
            Arg::Short('l') | Arg::Long("log-console") => args.console = true,
            Arg::Short('D') | Arg::Long("log-detail") => args.detail = true,
            Arg::Short('d') | Arg::Long("dump-conf") => args.dump = true,
            Arg::Short('S') | Arg::Long("log-facility") => args.facility = facility(&text(&mut parser)?)?,
            Arg::Short('p') | Arg::Long("pid") => args.pid_file = Some(path(&mut parser)?),
            Arg::Short('r') | Arg::Long("vrrp_pid") => args.vrrp_pid_file = Some(path(&mut parser)?),
            Arg::Value(word) => {
                return Err(UsageError(format!("Unexpected argument '{}'", word.to_string_lossy())));
            }
            Arg::Short(c) => other(&format!("-{c}"), c, &mut parser, &mut args)?,
            Arg::Long(name) => {
                let name = name.to_owned();
                let short = long_name(&name).ok_or_else(|| UsageError(format!("Unknown option --{name}")))?;
                other(&format!("--{name}"), short, &mut parser, &mut args)?;
            }
        }
    }
    Ok(Request::Run(Box::new(args)))
}

/// The options that do nothing yet, and those that cannot be ignored.
fn other(shown: &str, short: char, parser: &mut Parser, args: &mut Args) -> Result<(), UsageError> {
    match short {
        // One process does what keepalived has several for: there is nothing to leave out.
        'P' | 'B' | 'R' => {}
        'C' | 'I' | 'X' | 'V' | 'a' | 'e' | 'm' | 'x' | 'G' | '+' => args.idle.push(shown.to_owned()),
        'u' | 'c' | 'b' | 'A' | 'M' | 'g' => {
            // keepalived reads its value; so must we.
            text(parser)?;
            args.idle.push(shown.to_owned());
        }
        '0' => {
            parser.optional_value();
            args.idle.push(shown.to_owned());
        }
        's' => {
            let message = format!("{shown} is not supported yet: start it inside the namespace with `ip netns exec`");
            return Err(UsageError(message));
        }
        'T' => return Err(UsageError(format!("{shown} (genhash) is not supported"))),
        _ => return Err(UsageError(format!("Unknown option {shown}"))),
    }
    Ok(())
}

/// The short form of a long option without code of its own; `+` without and `0` with an optional value have none.
fn long_name(name: &str) -> Option<char> {
    Some(match name {
        "vrrp" => 'P',
        "check" => 'C',
        "no_bfd" => 'B',
        "no-syslog" => 'G',
        "umask" => 'u',
        "release-vips" => 'X',
        "dont-release-vrrp" => 'V',
        "dont-release-ipvs" => 'I',
        "dont-respawn" => 'R',
        "genhash" => 'T',
        "checkers_pid" => 'c',
        "bfd_pid" => 'b',
        "address-monitoring" => 'a',
        "snmp" => 'x',
        "snmp-agent-socket" => 'A',
        "namespace" => 's',
        "core-dump" => 'm',
        "core-dump-pattern" => 'M',
        "all-config" => 'e',
        "log-file" => 'g',
        "all" | "flush-log-file" | "no-mem-check" | "ignore-sigint" => '+',
        "perf" | "debug" => '0',
        _ => return None,
    })
}

fn text(parser: &mut Parser) -> Result<String, UsageError> {
    parser.value().and_then(ValueExt::string).map_err(usage)
}

fn path(parser: &mut Parser) -> Result<PathBuf, UsageError> {
    parser.value().map(PathBuf::from).map_err(usage)
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that `map_err` wants")]
fn usage(error: lexopt::Error) -> UsageError {
    UsageError(error.to_string())
}

fn facility(text: &str) -> Result<Facility, UsageError> {
    let number = text.strip_prefix("local").unwrap_or(text);
    match (text, number.parse()) {
        ("daemon", _) => Ok(Facility::Daemon),
        ("user", _) => Ok(Facility::User),
        (_, Ok(n @ 0..=7)) => Ok(Facility::Local(n)),
        _ => Err(UsageError(format!("Invalid log facility '{text}'"))),
    }
}

/// The signals as keepalived numbers them; the last two are real-time signals of Linux.
fn signal(name: &str) -> Option<u8> {
    Some(match name {
        "STOP" => 15,
        "RELOAD" => 1,
        "DATA" => 10,
        "STATS" => 12,
        "STATS_CLEAR" => 63,
        "JSON" => 36,
        _ => return None,
    })
}

/// The text of `-h`.
pub fn help(program: &str) -> String {
    format!(
        "\
Usage: {program} [OPTION...]
  -f, --use-file=FILE          read this configuration (default {config})
  -t, --config-test[=FILE]     check the configuration and exit; messages go to FILE or standard error
  -i, --config-id=ID           what `@ID` lines are compared with (default: the host's short name)
  -n, --dont-fork              stay in the foreground
  -l, --log-console            log to the console
  -D, --log-detail             log more
  -S, --log-facility=NAME      syslog facility: 0 to 7, local0 to local7, user or daemon (default)
  -d, --dump-conf              write the configuration as understood to standard error
  -p, --pid=FILE               pid file of the daemon
  -r, --vrrp_pid=FILE          pid file of the VRRP part
      --signum=NAME            print the signal for STOP, RELOAD, DATA, STATS, STATS_CLEAR or JSON
  -v, --version                print the version
  -h, --help                   print this text
Understood, without effect yet: -C -I -X -V -a -e -m -x -G -u -c -b -A -M -g --all --flush-log-file --no-mem-check
      --ignore-sigint --perf --debug. Without need, since there is one process: -P -B -R. Not supported: -s -T.
",
        config = crate::config::DEFAULT_FILE
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Request, String> {
        let words = std::iter::once("vrrpd").chain(line.split_whitespace()).map(OsString::from);
        parse(words).map_err(|error| error.to_string())
    }

    fn run(change: impl FnOnce(&mut Args)) -> Request {
        let mut args = Args::default();
        change(&mut args);
        Request::Run(Box::new(args))
    }

    #[test]
    fn command_lines() {
        let idle = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        for (line, expected) in [
            ("", Ok(run(|_| {}))),
            ("-nl", Ok(run(|args| (args.foreground, args.console) = (true, true)))),
            ("--dont-fork --log-console -D", Ok(run(|a| (a.foreground, a.console, a.detail) = (true, true, true)))),
            ("-f /x", Ok(run(|args| args.config = "/x".into()))),
            ("--use-file=/x", Ok(run(|args| args.config = "/x".into()))),
            ("-t", Ok(run(|args| args.test = Some(None)))),
            ("-t -f /x", Ok(run(|args| (args.test, args.config) = (Some(None), "/x".into())))),
            ("--config-test=/log", Ok(run(|args| args.test = Some(Some("/log".into()))))),
            ("-t=/log", Ok(run(|args| args.test = Some(Some("/log".into()))))),
            ("-i main", Ok(run(|args| args.config_id = Some("main".into())))),
            ("-S 3", Ok(run(|args| args.facility = Facility::Local(3)))),
            ("-S local7", Ok(run(|args| args.facility = Facility::Local(7)))),
            ("-S user", Ok(run(|args| args.facility = Facility::User))),
            ("-S 8", Err("Invalid log facility '8'".into())),
            ("-p /a -r /b", Ok(run(|a| (a.pid_file, a.vrrp_pid_file) = (Some("/a".into()), Some("/b".into()))))),
            ("-P -B -R", Ok(run(|_| {}))),
            ("-x -c /c --all --perf", Ok(run(|args| args.idle = idle(&["-x", "-c", "--all", "--perf"])))),
            ("--signum=RELOAD", Ok(Request::Signal(1))),
            ("--signum=FOO", Err("Unknown sigfunc FOO".into())),
            ("-v", Ok(Request::Version)),
            ("--help", Ok(Request::Help)),
            ("--nosuch", Err("Unknown option --nosuch".into())),
            ("-Q", Err("Unknown option -Q".into())),
            ("extra", Err("Unexpected argument 'extra'".into())),
        ] {
            assert_eq!(read(line), expected, "{line}");
        }
        assert!(read("-f").is_err());
        assert!(read("-s blue").is_err());
    }
}
