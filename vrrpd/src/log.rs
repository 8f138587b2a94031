//! The daemon's log: to syslog as keepalived writes it, to the console beside it, to files.
//!
//! Lines carry keepalived's identifiers, `Keepalived_vrrp` for what the virtual routers do and `Keepalived` for the
//! life of the process ([`PROCESS`]), so that filters on them go on working.

use crate::clock;
use crate::limits::LOG_LINE_MAX;
use crate::sys;
use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// Target of lines about the process itself.
pub const PROCESS: &str = "Keepalived";
const VRRP: &str = "Keepalived_vrrp";
const DEV_LOG: &str = "/dev/log";
/// syslog's number of the daemon facility.
pub const FACILITY_DAEMON: u8 = 3;
/// syslog's number of local0; local1 to local7 follow.
pub const FACILITY_LOCAL0: u8 = 16;

/// Where lines go, and which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// `-l`: to the standard error stream, with a time stamp, besides the others.
    pub console: bool,
    /// To the local syslog, with this number of a facility; `None` with `-G`.
    pub facility: Option<u8>,
    /// `-g`: to a file; lines of the virtual routers go to one of their own, with `_vrrp` in its name.
    pub file: Option<PathBuf>,
    /// `-D`: detailed lines, too.
    pub detail: bool,
}

impl Log {
    /// Whether the console gets lines.
    pub fn is_console(&self) -> bool {
        self.console
    }
}

/// What is appended to the identifiers in a network namespace or of a named instance.
static PLACE: OnceLock<String> = OnceLock::new();

/// Lines carry `_PLACE` at the end of their identifier from now on; once.
pub fn set_place(place: &str) {
    tracing::info!(target: PROCESS, "Changing syslog ident to {PROCESS}_{place}");
    // A second call, in a test, keeps the first place.
    let _first = PLACE.set(format!("_{place}"));
}

/// Sets the log up, once.
pub fn init(log: Log) {
    let files = log.file.as_deref().map(|path| (LogFile::new(path.to_owned()), LogFile::new(of_vrrp(path))));
    let lines = Lines { log, files, syslog: Mutex::new(None) };
    // A second call, in a test, keeps the first log.
    let _first = tracing_subscriber::registry().with(lines).try_init();
}

/// `FILE.log` becomes `FILE_vrrp.log`.
fn of_vrrp(path: &Path) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let extension = path.extension().map(|extension| format!(".{}", extension.to_string_lossy()));
    path.with_file_name(format!("{stem}_vrrp{}", extension.unwrap_or_default()))
}

struct Lines {
    log: Log,
    /// Those of the process, those of the virtual routers.
    files: Option<(LogFile, LogFile)>,
    syslog: Mutex<Option<UnixDatagram>>,
}

/// A file that is opened for each line: it may be renamed away by whoever rotates logs, and lines are rare.
struct LogFile {
    path: PathBuf,
    /// It could not be written; said once until it can.
    failing: Mutex<bool>,
}

impl LogFile {
    fn new(path: PathBuf) -> Self {
        Self { path, failing: Mutex::new(false) }
    }

    fn write(&self, line: &str) {
        let mut options = std::fs::OpenOptions::new();
        options.append(true).create(true).mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC);
        let result = options.open(&self.path).and_then(|mut file| file.write_all(line.as_bytes()));
        let Ok(mut failing) = self.failing.lock() else { return };
        if let Err(error) = &result
            && !*failing
        {
            // Nobody to tell when standard error is gone as well.
            let _told = writeln!(std::io::stderr().lock(), "cannot write log file {}: {error}", self.path.display());
        }
        *failing = result.is_err();
    }
}

impl<S: Subscriber> Layer<S> for Lines {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        // Only our own lines: the libraries underneath have their own idea of what is worth a line.
        let ours = metadata.target() == PROCESS || metadata.target().starts_with(env!("CARGO_CRATE_NAME"));
        let most = if self.log.detail { Level::DEBUG } else { Level::INFO };
        ours && *metadata.level() <= most
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        let of_process = event.metadata().target() == PROCESS;
        if self.log.console || self.files.is_some() {
            let time = sys::format_time(clock::since_epoch(), c"%a %b %e %H:%M:%S %Y");
            let line = format!("{time}: {}\n", text.0);
            if self.log.console {
                // Nobody to tell when the console is gone.
                let _written = std::io::stderr().lock().write_all(line.as_bytes());
            }
            if let Some((process, vrrp)) = &self.files {
                if of_process { process.write(&line) } else { vrrp.write(&line) }
            }
        }
        if let Some(facility) = self.log.facility {
            let name = if of_process { PROCESS } else { VRRP };
            let time = sys::format_time(clock::since_epoch(), c"%b %e %H:%M:%S");
            let priority = facility << 3 | severity(*event.metadata().level());
            let pid = std::process::id();
            let place = PLACE.get().map_or("", String::as_str);
            let mut line = format!("<{priority}>{time} {name}{place}[{pid}]: {}", text.0);
            line.truncate(line.floor_char_boundary(LOG_LINE_MAX));
            self.send(&line);
        }
    }
}

impl Lines {
    /// Connects when needed, and once more when syslog was restarted. A line that cannot be delivered is lost: the
    /// daemon does not wait for its log.
    fn send(&self, line: &str) {
        let Ok(mut socket) = self.syslog.lock() else { return };
        for _ in 0..2 {
            if socket.is_none() {
                *socket = connect();
            }
            let Some(connected) = socket.as_ref() else { return };
            match connected.send(line.as_bytes()) {
                Ok(_) => return,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return,
                Err(_) => *socket = None,
            }
        }
    }
}

fn connect() -> Option<UnixDatagram> {
    let socket = UnixDatagram::unbound().ok()?;
    socket.set_nonblocking(true).ok()?;
    socket.connect(DEV_LOG).ok()?;
    Some(socket)
}

fn severity(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        _ => 6,
    }
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            // Writing to a String cannot fail.
            let _written = write!(self.0, "{value:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_the_virtual_routers_has_its_own_name() {
        assert_eq!(of_vrrp(Path::new("/var/log/k.log")), Path::new("/var/log/k_vrrp.log"));
        assert_eq!(of_vrrp(Path::new("/var/log/k")), Path::new("/var/log/k_vrrp"));
    }
}
