//! haproxy's command line (management manual, section 3).
//!
//! haproxy looks at the first letters of an option only and takes every value from the next argument; scripts rely on
//! that, so no general parser fits. What haproxy refuses is refused; what it takes without a meaning here is taken.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// How many processes `-sf` or `-st` may name.
const PIDS_MAX: usize = 4096;

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Args {
    /// The last part of the path the program was called by: `proxyd` or `haproxy`.
    pub program: String,
    /// `-f` and what follows `--`: files and directories, in order.
    pub files: Vec<PathBuf>,
    /// What to do instead of running.
    pub task: Task,
    /// `-V`: say what is found to be right, too. Undone by a later `-q`.
    pub verbose: bool,
    /// `-q`: say nothing that is not an error. Undone by a later `-V`.
    pub quiet: bool,
    /// `-D`: go to the background.
    pub daemon: bool,
    /// `-d`: stay in the foreground and talk.
    pub debug: bool,
    /// `-db`: stay in the foreground.
    pub foreground: bool,
    /// `-W`, `-Ws`.
    pub master: Master,
    /// `-S`: where the master's commands are served, each with its parameters after commas.
    pub master_sockets: Vec<String>,
    /// `-p`: wins over `pidfile`.
    pub pidfile: Option<PathBuf>,
    /// `-n`: wins over `maxconn` of the global section. Zero: not set.
    pub maxconn: u32,
    /// `-N`: the `maxconn` of frontends that have none. Zero: not set.
    pub proxy_maxconn: u32,
    /// `-m`: megabytes of memory. Zero: no limit.
    pub memory_megabytes: u64,
    /// `-L`: wins over `localpeer`.
    pub peer_name: Option<String>,
    /// `-C`: enter this directory before any file is read.
    pub directory: Option<PathBuf>,
    /// `-dK`: print the keywords of these classes.
    pub keyword_classes: Option<String>,
    /// `-dW`: a warning is as bad as an error.
    pub warnings_are_fatal: bool,
    /// `-dD`: also say what could be written better.
    pub diagnostic: bool,
    /// `-dS`: bulk never passes through the kernel alone.
    pub no_splice: bool,
    /// `-dR`: as `noreuseport`.
    pub no_reuse_port: bool,
    /// `-dr`: a server whose name cannot be resolved is no error.
    pub ignore_unresolved: bool,
    /// `-dV`: servers' certificates are not verified.
    pub no_verify: bool,
    /// `-dC`: print the configuration as it was understood.
    pub dump_configuration: bool,
    /// `-dM…help`: explain the options of memory debugging.
    pub memory_help: bool,
    /// `-sf` and `-st`: the processes to take over from.
    pub old_processes: OldProcesses,
    /// `-x`: the runtime socket to get listening sockets from.
    pub inherit_from: Option<PathBuf>,
    /// `--diagnostics`: how problems are printed. `None`: by where they are printed to.
    pub rendering: Option<Rendering>,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Task {
    /// Serve.
    #[default]
    Run,
    /// `-c`: check the configuration.
    Check,
    /// `-cc`: evaluate a condition.
    Condition(String),
    /// `-v`.
    Version,
    /// `-vv`.
    Build,
}

/// `-W` and `-Ws`. There are no separate processes here, but signals, statuses and notifications follow the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Master {
    /// Neither.
    #[default]
    No,
    /// `-W`.
    Worker,
    /// `-Ws`: tells systemd.
    Notify,
}

/// Processes to be told to leave once everything is bound.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum OldProcesses {
    /// None.
    #[default]
    None,
    /// `-sf`: they finish what they have.
    Finish(Vec<u32>),
    /// `-st`: they stop at once.
    Terminate(Vec<u32>),
}

/// How problems are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rendering {
    /// With the line and a caret; the default on a terminal.
    Human,
    /// haproxy's own lines; the default elsewhere.
    Haproxy,
    /// One JSON object per line.
    Json,
}

/// Why a command line is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The usage text says it all.
    Usage,
    /// One line.
    Message(String),
}

/// The name the program was called by.
pub fn program_name(argv0: Option<&OsString>) -> String {
    argv0
        .and_then(|path| Path::new(path).file_name())
        .map_or_else(|| env!("CARGO_PKG_NAME").to_owned(), |name| name.to_string_lossy().into_owned())
}

impl Args {
    /// Reads a command line, the program's path first.
    pub fn parse(argv: impl IntoIterator<Item = OsString>) -> Result<Self, Refusal> {
        let mut argv = argv.into_iter();
        let mut args = Self { program: program_name(argv.next().as_ref()), ..Self::default() };
        let mut rest = Rest { words: argv.collect::<Vec<_>>().into_iter().peekable() };
        while let Some(word) = rest.words.next() {
            let text = word.to_string_lossy().into_owned();
            match text.strip_prefix('-') {
                Some("-") => args.files.extend(rest.words.by_ref().map(PathBuf::from)),
                Some(flag) => args.flag(flag, &mut rest)?,
                None => return Err(Refusal::Usage),
            }
        }
        let needs_file = matches!(args.task, Task::Run | Task::Check) && args.keyword_classes.is_none();
        if needs_file && args.files.is_empty() { Err(Refusal::Usage) } else { Ok(args) }
    }

    /// The options that were given and do nothing yet, with what is missing.
    pub fn without_effect(&self) -> Vec<&'static str> {
        [
            (self.memory_megabytes > 0, "-m: memory is not limited"),
            (!self.master_sockets.is_empty(), "-S: there is no master socket"),
            (self.inherit_from.is_some(), "-x: listening sockets are not taken over, they are bound anew"),
            (self.dump_configuration, "-dC: the configuration is not printed"),
            (self.memory_help, "-dM: there are no options of memory debugging"),
        ]
        .into_iter()
        .filter_map(|(given, text)| given.then_some(text))
        .collect()
    }

    fn flag(&mut self, flag: &str, rest: &mut Rest) -> Result<(), Refusal> {
        match flag {
            "sf" => self.old_processes = OldProcesses::Finish(rest.pids("-sf")?),
            "st" => self.old_processes = OldProcesses::Terminate(rest.pids("-st")?),
            "cc" => self.task = Task::Condition(rest.value()?.to_string_lossy().into_owned()),
            "Ws" => self.master = Master::Notify,
            // Addresses of either family are used as they are found: nothing to change.
            "4" => {}
            _ if flag.starts_with('d') => self.debugging(flag)?,
            _ if flag.starts_with("vv") => self.task = Task::Build,
            _ if flag.starts_with("-diagnostics") => self.rendering = Some(rendering(flag)?),
            _ => self.letter(flag, rest)?,
        }
        Ok(())
    }

    fn letter(&mut self, flag: &str, rest: &mut Rest) -> Result<(), Refusal> {
        let (letter, tail) = flag.split_at(flag.chars().next().map_or(0, char::len_utf8));
        match letter {
            "v" => self.task = Task::Version,
            "V" => (self.verbose, self.quiet) = (true, false),
            "q" => (self.verbose, self.quiet) = (false, true),
            "c" => self.task = Task::Check,
            "D" => self.daemon = true,
            "W" => self.master = Master::Worker,
            // `-f/etc/x`: haproxy drops the file without a word; taking it is what was meant.
            "f" if tail.is_empty() => self.files.push(rest.value()?.into()),
            "f" => self.files.push(tail.into()),
            "p" => self.pidfile = Some(rest.value()?.into()),
            "C" => self.directory = Some(rest.value()?.into()),
            "x" => self.inherit_from = Some(rest.value()?.into()),
            "L" => self.peer_name = Some(rest.value()?.to_string_lossy().into_owned()),
            "S" => self.master_sockets.push(rest.value()?.to_string_lossy().into_owned()),
            "n" => self.maxconn = rest.number()?,
            "N" => self.proxy_maxconn = rest.number()?,
            "m" => self.memory_megabytes = rest.number()?.into(),
            _ => return Err(Refusal::Usage),
        }
        Ok(())
    }

    /// `-d` and everything that begins with it. Letters that only steer haproxy's inner workings are taken silently.
    fn debugging(&mut self, flag: &str) -> Result<(), Refusal> {
        match flag.as_bytes().get(1) {
            None => self.debug = true,
            Some(b'b') => self.foreground = true,
            Some(b'W') => self.warnings_are_fatal = true,
            Some(b'D') => self.diagnostic = true,
            Some(b'r') => self.ignore_unresolved = true,
            Some(b'V') => self.no_verify = true,
            Some(b'S') => self.no_splice = true,
            Some(b'R') => self.no_reuse_port = true,
            Some(b'C') => self.dump_configuration = true,
            Some(b'M') => self.memory_help = flag.ends_with("help"),
            Some(b'K') if flag.len() > 2 => self.keyword_classes = Some(flag[2..].to_owned()),
            Some(b'K') => return Err(Refusal::Usage),
            Some(_) => {}
        }
        Ok(())
    }
}

fn rendering(flag: &str) -> Result<Rendering, Refusal> {
    match flag.strip_prefix("-diagnostics=") {
        Some("human") => Ok(Rendering::Human),
        Some("haproxy") => Ok(Rendering::Haproxy),
        Some("json") => Ok(Rendering::Json),
        _ => Err(Refusal::Message("--diagnostics expects '=human', '=haproxy' or '=json'".into())),
    }
}

/// What is left of the command line.
struct Rest {
    words: std::iter::Peekable<std::vec::IntoIter<OsString>>,
}

impl Rest {
    /// The value of an option. As with haproxy it may begin with a dash.
    fn value(&mut self) -> Result<OsString, Refusal> {
        self.words.next().ok_or(Refusal::Usage)
    }

    /// A number the way C's `atol` reads it: leading digits count, anything else is zero.
    fn number(&mut self) -> Result<u32, Refusal> {
        let value = self.value()?;
        let text = value.to_string_lossy();
        let digits = text.trim_start();
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        Ok(digits[..end].parse().unwrap_or(if end > 0 { u32::MAX } else { 0 }))
    }

    /// Process numbers up to the next option.
    fn pids(&mut self, option: &str) -> Result<Vec<u32>, Refusal> {
        let mut pids = Vec::new();
        while let Some(word) = self.words.next_if(|word| !word.to_string_lossy().starts_with('-')) {
            let text = word.to_string_lossy();
            // `-sf $(pidof haproxy)` in quotes comes as one word; an old process that is gone leaves an empty one.
            for pid in text.split_ascii_whitespace() {
                let pid = pid.parse().ok().filter(|&pid| pid > 0 && i32::try_from(pid).is_ok()).ok_or_else(|| {
                    Refusal::Message(format!("{option} option: some bytes unconsumed in PID list {{{text}}}"))
                })?;
                pids.push(pid);
            }
            if pids.len() > PIDS_MAX {
                return Err(Refusal::Message(format!("{option} option: more than {PIDS_MAX} processes")));
            }
        }
        Ok(pids)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args, Refusal> {
        Args::parse(line.split(' ').map(OsString::from))
    }

    #[test]
    fn what_scripts_use() {
        let args =
            parse("/usr/sbin/haproxy -Ws -f /etc/a.cfg -f /etc/d -p /run/h.pid -sf 12 13 -x /run/s -S /run/m,mode,600")
                .expect("as a unit file has it");
        assert_eq!(args.program, "haproxy");
        assert_eq!(args.files, [PathBuf::from("/etc/a.cfg"), PathBuf::from("/etc/d")]);
        assert_eq!(args.master, Master::Notify);
        assert_eq!(args.old_processes, OldProcesses::Finish(vec![12, 13]));
        assert_eq!(args.inherit_from.as_deref(), Some(Path::new("/run/s")));
        assert_eq!(args.master_sockets, ["/run/m,mode,600"]);
        let args = parse("h -c -q -V -dW -dMno-cache -dI -n 5x -N 7 -m 64 -L a -- x y").expect("all known");
        assert_eq!(args.task, Task::Check);
        assert!(args.verbose && !args.quiet && args.warnings_are_fatal && !args.memory_help && !args.debug);
        assert_eq!((args.maxconn, args.proxy_maxconn, args.memory_megabytes), (5, 7, 64));
        assert_eq!(args.files, [PathBuf::from("x"), PathBuf::from("y")]);
        assert_eq!(args.without_effect(), ["-m: memory is not limited"]);
        assert_eq!(parse("h -cc true").expect("a condition").task, Task::Condition("true".into()));
        assert_eq!(parse("h -vv").expect("no file needed").task, Task::Build);
        assert_eq!(parse("h -dKall").expect("no file needed").keyword_classes.as_deref(), Some("all"));
        assert_eq!(parse("h -fx.cfg -d").expect("glued").files, [PathBuf::from("x.cfg")]);
    }

    #[test]
    fn what_is_refused() {
        for line in ["h", "h -c", "h x.cfg", "h -f", "h -cc", "h -f x -z", "h --version", "h -f x -dK", "h -f x -p"] {
            assert_eq!(parse(line), Err(Refusal::Usage), "{line}");
        }
        let refusal = Err(Refusal::Message("-st option: some bytes unconsumed in PID list {cat}".into()));
        assert_eq!(parse("h -f x -st cat /run/pid"), refusal);
        assert!(matches!(parse("h -f x --diagnostics=xml"), Err(Refusal::Message(_))));
    }
}
