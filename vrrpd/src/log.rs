//! The daemon's log: to syslog as keepalived writes it, or to the console.
//!
//! Lines carry keepalived's identifiers, `Keepalived_vrrp` for what the virtual routers do and `Keepalived` for the
//! life of the process ([`PROCESS`]), so that filters on them go on working.

use crate::clock;
use crate::limits::LOG_LINE_MAX;
use crate::sys;
use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::os::unix::net::UnixDatagram;
use std::sync::Mutex;
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

/// Where lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The standard error stream, with a time stamp.
    Console,
    /// The local syslog.
    Syslog {
        /// Number of the facility.
        facility: u8,
    },
}

/// Sets the log up, once. `detail` writes the lines of `-D`.
pub fn init(destination: Destination, detail: bool) {
    let lines = Lines { destination, detail, syslog: Mutex::new(None) };
    // A second call, in a test, keeps the first log.
    let _first = tracing_subscriber::registry().with(lines).try_init();
}

struct Lines {
    destination: Destination,
    detail: bool,
    syslog: Mutex<Option<UnixDatagram>>,
}

impl<S: Subscriber> Layer<S> for Lines {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        // Only our own lines: the libraries underneath have their own idea of what is worth a line.
        let ours = metadata.target() == PROCESS || metadata.target().starts_with(env!("CARGO_CRATE_NAME"));
        let most = if self.detail { Level::DEBUG } else { Level::INFO };
        ours && *metadata.level() <= most
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        let name = if event.metadata().target() == PROCESS { PROCESS } else { VRRP };
        match self.destination {
            Destination::Console => {
                let time = sys::format_time(clock::since_epoch(), c"%a %b %e %H:%M:%S %Y");
                // Nobody to tell when the console is gone.
                let _written = writeln!(std::io::stderr().lock(), "{time}: {}", text.0);
            }
            Destination::Syslog { facility } => {
                let time = sys::format_time(clock::since_epoch(), c"%b %e %H:%M:%S");
                let priority = facility << 3 | severity(*event.metadata().level());
                let pid = std::process::id();
                let mut line = format!("<{priority}>{time} {name}[{pid}]: {}", text.0);
                line.truncate(line.floor_char_boundary(LOG_LINE_MAX));
                self.send(&line);
            }
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
