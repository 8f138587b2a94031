//! keepalived's command line (keepalived(8)).

use lexopt::{Arg, Parser, ValueExt};
use std::ffi::OsString;
use std::net::SocketAddr;
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
    /// Ask the running daemon.
    Ask(Question, PathBuf),
}

/// What a running daemon can be asked for through its status socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// `status`: why each instance is in its state.
    Status,
    /// `status --json`
    StatusJson,
    /// `metrics`: the metrics of Prometheus.
    Metrics,
    /// `--reload`: read the configuration anew, and say what became of it.
    Reload,
}

/// Where the status socket is unless `--status-socket` says otherwise, or the daemon shares its host with others.
pub const STATUS_SOCKET: &str = "/run/vrrpd.sock";

/// `--status-socket`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatusSocket {
    /// Not given: where a daemon of this network namespace and instance has it.
    Usual,
    /// `off`
    Off,
    /// Here.
    At(PathBuf),
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
    /// `-e`: a file that is missing or cannot be read is in the way of a start.
    pub all_config: bool,
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
    /// `-R`: a VRRP process that dies is not replaced.
    pub dont_respawn: bool,
    /// `-V`: addresses stay where they are when the daemon stops.
    pub dont_release: bool,
    /// `-G`
    pub no_syslog: bool,
    /// `-g`
    pub log_file: Option<PathBuf>,
    /// `-s`: the network namespace to run in, whatever the file says.
    pub namespace: Option<String>,
    /// `-u`
    pub umask: Option<u16>,
    /// `-m`
    pub core_dump: bool,
    /// `--ignore-sigint`
    pub ignore_interrupt: bool,
    /// `-a`
    pub log_addresses: bool,
    /// `--status-socket`
    pub status_socket: StatusSocket,
    /// `--metrics-address`
    pub metrics_address: Option<SocketAddr>,
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
            all_config: false,
            dont_respawn: false,
            dont_release: false,
            no_syslog: false,
            log_file: None,
            namespace: None,
            umask: None,
            core_dump: false,
            ignore_interrupt: false,
            log_addresses: false,
            status_socket: StatusSocket::Usual,
            metrics_address: None,
            idle: Vec::new(),
        }
    }
}

/// Reads the command line, the program's name first.
pub fn parse(argv: impl IntoIterator<Item = OsString>) -> Result<Request, UsageError> {
    let mut parser = Parser::from_iter(argv);
    let mut args = Args::default();
    let mut question = None;
    let mut json = false;
    let mut subsystems = String::new();
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
            Arg::Long("reload") => question = Some(Question::Reload),
            Arg::Long("json") => json = true,
            Arg::Long("status-socket") => {
                let path = path(&mut parser)?;
                args.status_socket = if path.as_os_str() == "off" { StatusSocket::Off } else { StatusSocket::At(path) };
            }
            Arg::Long("metrics-address") => args.metrics_address = Some(address(&text(&mut parser)?)?),
            Arg::Value(word) => match word.to_string_lossy().as_ref() {
                "status" if question.is_none() => question = Some(Question::Status),
                "metrics" if question.is_none() => question = Some(Question::Metrics),
                "reload" if question.is_none() => question = Some(Question::Reload),
                other => return Err(UsageError(format!("Unexpected argument '{other}'"))),
            },
            Arg::Short(c) => other(&format!("-{c}"), c, &mut parser, &mut args, &mut subsystems)?,
            Arg::Long(name) => {
                let name = name.to_owned();
                let short = long_name(&name).ok_or_else(|| UsageError(format!("Unknown option --{name}")))?;
                other(&format!("--{name}"), short, &mut parser, &mut args, &mut subsystems)?;
            }
        }
    }
    if subsystems.contains('C') && !subsystems.contains('P') {
        let message = "-C asks for the health checks of virtual_server only, which vrrpd does not have";
        return Err(UsageError(message.to_owned()));
    }
    if let Some(question) = question {
        let question = if json && question == Question::Status { Question::StatusJson } else { question };
        return Ok(Request::Ask(question, asked_socket(args)));
    }
    Ok(Request::Run(Box::new(args)))
}

/// The socket of the daemon that is asked: `-s` says in which network namespace it runs.
fn asked_socket(args: Args) -> PathBuf {
    match (args.status_socket, args.namespace) {
        (StatusSocket::At(path), _) => path,
        (StatusSocket::Usual | StatusSocket::Off, Some(namespace)) => {
            PathBuf::from(format!("{}/{namespace}/vrrpd.sock", crate::daemon::namespace::RUN_FOLDER))
        }
        (StatusSocket::Usual | StatusSocket::Off, None) => STATUS_SOCKET.into(),
    }
}

/// Options without a value that need no words of their own, those that do nothing, and those that cannot be ignored.
fn other(
    shown: &str,
    short: char,
    parser: &mut Parser,
    args: &mut Args,
    subsystems: &mut String,
) -> Result<(), UsageError> {
    match short {
        // The health checks and BFD are not there, so there is nothing to leave out and nothing to run besides VRRP.
        'P' | 'C' => subsystems.push(short),
        // Addresses are released anyway when a signal stops the daemon: that is `-X`.
        'B' | 'I' | 'X' | '+' => {}
        'R' => args.dont_respawn = true,
        'V' => args.dont_release = true,
        'G' => args.no_syslog = true,
        'a' => args.log_addresses = true,
        'e' => args.all_config = true,
        'm' => args.core_dump = true,
        '1' => args.ignore_interrupt = true,
        'g' => args.log_file = Some(path(parser)?),
        'u' => args.umask = Some(umask(&text(parser)?)?),
        // The pid files of processes that do not exist.
        'c' | 'b' => drop(text(parser)?),
        'x' => args.idle.push(shown.to_owned()),
        'A' => {
            // keepalived reads its value; so must we.
            text(parser)?;
            args.idle.push(shown.to_owned());
        }
        'M' => {
            args.core_dump = true;
            // The pattern is the whole host's; it is the administrator's to set.
            parser.optional_value();
            args.idle.push(shown.to_owned());
        }
        '0' => {
            parser.optional_value();
            args.idle.push(shown.to_owned());
        }
        's' => args.namespace = Some(text(parser)?),
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
        // Every line is written at once, and there is only one kind of memory.
        "all" | "flush-log-file" | "no-mem-check" => '+',
        "ignore-sigint" => '1',
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

/// `ADDRESS:PORT`, or a port of the loopback address.
fn address(text: &str) -> Result<SocketAddr, UsageError> {
    let port = text.parse().map(|port: u16| SocketAddr::from(([127, 0, 0, 1], port)));
    port.or_else(|_| text.parse())
        .map_err(|_| UsageError(format!("Invalid address '{text}': write ADDRESS:PORT or PORT")))
}

/// A number as C writes it.
fn umask(text: &str) -> Result<u16, UsageError> {
    let value = match text.strip_prefix("0x") {
        Some(hexadecimal) => u16::from_str_radix(hexadecimal, 16),
        None if text.starts_with('0') => u16::from_str_radix(text, 8),
        None => text.parse(),
    };
    value.ok().filter(|&umask| umask <= 0o777).ok_or_else(|| UsageError(format!("Invalid umask option '{text}'")))
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
Usage: {program} [OPTION...]                     run, or check with -t
       {program} status [--json]                 say why each instance of the running daemon is in its state
       {program} metrics                         print the metrics of the running daemon for Prometheus
       {program} reload                          reload the running daemon; status 1 and the reason if it refuses
  -f, --use-file=FILE          read this configuration (default {config})
  -t, --config-test[=FILE]     check the configuration and exit; messages go to FILE or standard error
  -i, --config-id=ID           what `@ID` lines are compared with (default: the host's short name)
  -n, --dont-fork              stay in the foreground
  -l, --log-console            log to the console, too
  -D, --log-detail             log more
  -g, --log-file=FILE          log to FILE, too, and what concerns VRRP to FILE with `_vrrp` in its name
  -G, --no-syslog              do not log to syslog
  -a, --address-monitoring     log every address that comes or goes
  -S, --log-facility=NAME      syslog facility: 0 to 7, local0 to local7, user or daemon (default)
  -d, --dump-conf              write the configuration as understood to the log
  -e, --all-config             do not start when a configuration file is missing or cannot be read
  -p, --pid=FILE               pid file of the parent process
  -r, --vrrp_pid=FILE          pid file of the VRRP process
  -R, --dont-respawn           do not start the VRRP process again when it dies
  -s, --namespace=NAME         run in this network namespace, whatever the file says; with `status` and the like: ask
                               the daemon that runs there
  -V, --dont-release-vrrp      leave addresses where they are at the end
  -u, --umask=NUMBER           umask of files and scripts
  -m, --core-dump              allow core files of any size
      --ignore-sigint          SIGINT does not stop the daemon
      --status-socket=PATH     where `status`, `metrics` and `reload` are answered (default {socket}); `off` for nowhere
      --metrics-address=ADDR   also serve /metrics and /status over HTTP at ADDRESS:PORT, or at a PORT of 127.0.0.1
      --signum=NAME            print the signal for STOP, RELOAD, DATA, STATS, STATS_CLEAR or JSON
  -v, --version                print the version
  -h, --help                   print this text
Understood, without effect: -x -A --perf --debug; -M as -m. Without need, since only VRRP is run: -P -B -I -X -c -b --all
      --flush-log-file --no-mem-check. Not supported: -C without -P, -T.
",
        config = crate::config::DEFAULT_FILE,
        socket = STATUS_SOCKET,
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
            ("-P -B -X -I", Ok(run(|_| {}))),
            ("-PC", Ok(run(|_| {}))),
            ("-C", Err("-C asks for the health checks of virtual_server only, which vrrpd does not have".into())),
            (
                "-RVGaem",
                Ok(run(|a| {
                    (a.dont_respawn, a.dont_release, a.no_syslog) = (true, true, true);
                    (a.log_addresses, a.all_config, a.core_dump) = (true, true, true);
                })),
            ),
            ("-g /l --flush-log-file -u 022", Ok(run(|a| (a.log_file, a.umask) = (Some("/l".into()), Some(0o22))))),
            ("-u 9", Ok(run(|args| args.umask = Some(9)))),
            ("-u 0888", Err("Invalid umask option '0888'".into())),
            ("--ignore-sigint", Ok(run(|args| args.ignore_interrupt = true))),
            ("-x -c /c --all --perf", Ok(run(|args| args.idle = idle(&["-x", "--perf"])))),
            ("--status-socket=off", Ok(run(|args| args.status_socket = StatusSocket::Off))),
            ("-s blue", Ok(run(|args| args.namespace = Some("blue".into())))),
            ("--namespace=blue", Ok(run(|args| args.namespace = Some("blue".into())))),
            ("status -s blue", Ok(Request::Ask(Question::Status, "/run/keepalived/blue/vrrpd.sock".into()))),
            ("--metrics-address 9650", Ok(run(|a| a.metrics_address = Some(([127, 0, 0, 1], 9650).into())))),
            ("--metrics-address=[::]:9", Ok(run(|a| a.metrics_address = "[::]:9".parse().ok()))),
            ("--metrics-address=x", Err("Invalid address 'x': write ADDRESS:PORT or PORT".into())),
            ("status", Ok(Request::Ask(Question::Status, STATUS_SOCKET.into()))),
            ("status --json --status-socket=/s", Ok(Request::Ask(Question::StatusJson, "/s".into()))),
            ("metrics", Ok(Request::Ask(Question::Metrics, STATUS_SOCKET.into()))),
            ("reload", Ok(Request::Ask(Question::Reload, STATUS_SOCKET.into()))),
            ("--reload", Ok(Request::Ask(Question::Reload, STATUS_SOCKET.into()))),
            ("status reload", Err("Unexpected argument 'reload'".into())),
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
        assert!(read("-s").is_err());
    }
}
