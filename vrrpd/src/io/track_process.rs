//! Counts the processes that trackers look for. The kernel's process connector tells of each that begins or ends; where
//! there is none (another network or process namespace, not allowed) they are looked for every second.

use super::Event;
use super::background::Background;
use crate::limits::{FIRST_LOOK, PROCESS_EVENTS_MAX, PROCESS_POLL};
use crate::sys;
use crate::track::process::{Settings, event};
use nix::sys::socket::{MsgFlags, NetlinkAddr, bind, recv, sendto};
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Counts these processes and tells of each count that differs from the last one.
pub fn watch(processes: Vec<Settings>, events: mpsc::Sender<Event>) -> Background {
    Background::start(run(Table::new(processes), events))
}

/// A first count of each, for a start that must not be decided without it.
pub async fn first_look(processes: Vec<Settings>) -> Vec<Event> {
    let scan = Table::new(processes).on_its_thread(Table::scan);
    let Ok(Some(table)) = tokio::time::timeout(FIRST_LOOK, scan).await else {
        tracing::error!("processes could not be counted within {FIRST_LOOK:?}");
        return Vec::new();
    };
    let counts = table.settings.iter().zip(table.counts());
    counts.map(|(settings, count)| Event::ProcessesCounted { process: settings.name.clone(), count }).collect()
}

/// Which process counts for which tracker.
struct Table {
    settings: Vec<Settings>,
    /// By process number: places in `settings`.
    matching: HashMap<u32, Vec<usize>>,
    /// A tracker wants command lines.
    command_lines: bool,
}

impl Table {
    fn new(settings: Vec<Settings>) -> Self {
        let command_lines = settings.iter().any(Settings::wants_command_line);
        Self { settings, matching: HashMap::new(), command_lines }
    }

    /// Reading a command line may wait for the process it belongs to, so the loop does not do it. `None` only if the
    /// thread has panicked.
    async fn on_its_thread(mut self, act: impl FnOnce(&mut Self) + Send + 'static) -> Option<Self> {
        let acting = tokio::task::spawn_blocking(move || {
            act(&mut self);
            self
        });
        acting.await.ok()
    }

    fn scan(&mut self) {
        self.matching.clear();
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        for pid in entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()) {
            self.look(pid);
        }
    }

    fn look(&mut self, pid: u32) {
        let places = self.places(pid).unwrap_or_default();
        if places.is_empty() {
            self.matching.remove(&pid);
        } else {
            self.matching.insert(pid, places);
        }
    }

    /// The trackers this process counts for. One that has ended and is not yet waited for counts for none.
    fn places(&self, pid: u32) -> Option<Vec<usize>> {
        let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
        let name = name_of_live(&stat)?;
        let line = if self.command_lines { fs::read(format!("/proc/{pid}/cmdline")).ok()? } else { Vec::new() };
        let settings = self.settings.iter().enumerate();
        Some(settings.filter(|(_, settings)| settings.matches(name, &line)).map(|(place, _)| place).collect())
    }

    fn apply(&mut self, events: &[event::Event]) {
        for event in events {
            match event {
                event::Event::Changed(pid) => self.look(*pid),
                event::Event::Ended(pid) => {
                    self.matching.remove(pid);
                }
                event::Event::Subscribed(_) => {}
            }
        }
    }

    fn counts(&self) -> Vec<u32> {
        let mut counts = vec![0_u32; self.settings.len()];
        for place in self.matching.values().flatten() {
            if let Some(count) = counts.get_mut(*place) {
                *count = count.saturating_add(1);
            }
        }
        counts
    }
}

/// The name in a line of `/proc/PID/stat`, unless the process has ended.
fn name_of_live(stat: &[u8]) -> Option<&[u8]> {
    let open = stat.iter().position(|octet| *octet == b'(')?;
    // The name may hold brackets of its own.
    let close = stat.iter().rposition(|octet| *octet == b')')?;
    let ended = matches!(stat.get(close + 2), Some(b'Z' | b'X') | None);
    if ended { None } else { stat.get(open + 1..close) }
}

async fn run(mut table: Table, events: mpsc::Sender<Event>) {
    let mut connector = match Connector::open() {
        Ok(connector) => Some(connector),
        Err(error) => {
            polled(&error);
            None
        }
    };
    let mut told: Vec<Option<u32>> = vec![None; table.settings.len()];
    // Subscribed before the first scan, so that nothing is missed between the two.
    let mut next = Next::Scan;
    loop {
        let acted = match next {
            Next::Scan => table.on_its_thread(Table::scan).await,
            Next::Apply(events) => table.on_its_thread(move |table| table.apply(&events)).await,
        };
        let Some(after) = acted else {
            tracing::error!("processes cannot be counted any more");
            return;
        };
        table = after;
        for (place, count) in table.counts().into_iter().enumerate() {
            let (Some(before), Some(settings)) = (told.get_mut(place), table.settings.get(place)) else { continue };
            if before.replace(count) == Some(count) {
                continue;
            }
            let event = Event::ProcessesCounted { process: settings.name.clone(), count };
            if events.send(event).await.is_err() {
                return;
            }
        }
        next = wait(&mut connector).await;
    }
}

/// What is to be done to be up to date.
enum Next {
    Scan,
    Apply(Vec<event::Event>),
}

/// Waits for events, or for the time to look again while there are none to be had.
async fn wait(connector: &mut Option<Connector>) -> Next {
    let Some(open) = connector.as_mut() else {
        tokio::time::sleep(PROCESS_POLL).await;
        return Next::Scan;
    };
    match open.next().await {
        Ok(events) => Next::Apply(events),
        // Events were lost.
        Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => Next::Scan,
        Err(error) => {
            polled(&error);
            *connector = None;
            Next::Scan
        }
    }
}

fn polled(error: &io::Error) {
    tracing::warn!(
        "no process events from the kernel ({error}): tracked processes are looked for every {PROCESS_POLL:?}"
    );
}

/// A socket that hears of every process of the host.
struct Connector {
    socket: AsyncFd<Socket>,
    confirmed: bool,
    answer_due: Instant,
}

impl Connector {
    fn open() -> io::Result<Self> {
        let kind = Type::DGRAM.nonblocking().cloexec();
        let protocol = Protocol::from(libc::NETLINK_CONNECTOR);
        let socket = Socket::new(Domain::from(libc::AF_NETLINK), kind, Some(protocol))?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, event::GROUP))?;
        sendto(socket.as_raw_fd(), &event::subscribe(), &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
        Ok(Self {
            socket: sys::watch(socket)?,
            confirmed: false,
            answer_due: Instant::from_std(crate::clock::now()) + PROCESS_POLL,
        })
    }

    /// At least one event. A kernel that does not let us listen says so, or says nothing.
    async fn next(&mut self) -> io::Result<Vec<event::Event>> {
        if self.confirmed {
            return self.events().await;
        }
        let due = self.answer_due;
        let Ok(events) = tokio::time::timeout_at(due, self.events()).await else {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "no answer"));
        };
        let events = events?;
        for event in &events {
            match event {
                event::Event::Subscribed(0) => self.confirmed = true,
                event::Event::Subscribed(error) => {
                    return Err(io::Error::from_raw_os_error(i32::try_from(*error).unwrap_or(libc::EINVAL)));
                }
                event::Event::Changed(_) | event::Event::Ended(_) => {}
            }
        }
        Ok(events)
    }

    /// At least one event. Cancel safe.
    async fn events(&mut self) -> io::Result<Vec<event::Event>> {
        let mut events = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            let mut guard = self.socket.readable().await?;
            while events.len() < PROCESS_EVENTS_MAX {
                match recv(self.socket.get_ref().as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
                    Ok(length) => events.extend(event::parse(buffer.get(..length).unwrap_or_default())),
                    Err(nix::errno::Errno::EAGAIN) => {
                        guard.clear_ready();
                        break;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            if !events.is_empty() {
                return Ok(events);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::track::process::ParamMatch;
    use std::process::{Child, Command, Stdio};
    use std::time::Duration;

    #[test]
    fn the_name_is_between_the_outer_brackets_and_the_ended_have_none() {
        for (stat, expected) in [
            ("14 (sleep) S 1 14", Some("sleep")),
            ("14 (a) b) R 1 14", Some("a) b")),
            ("14 (sleep) Z 1 14", None),
            ("14 (sleep", None),
            ("14 (sleep)", None),
            (") (", None),
            ("", None),
        ] {
            assert_eq!(name_of_live(stat.as_bytes()), expected.map(str::as_bytes), "{stat:?}");
        }
    }

    fn sleeper(seconds: &str) -> Child {
        Command::new("sleep").arg(seconds).stdin(Stdio::null()).spawn().unwrap()
    }

    /// With the connector or without it, whichever this host has.
    #[tokio::test]
    async fn processes_are_counted_as_they_come_and_go() {
        // A parameter that no other process has.
        let seconds = format!("1{}", std::process::id());
        let settings = Settings {
            name: "tp".to_owned(),
            process: vec!["sleep".to_owned(), seconds.clone()],
            param_match: ParamMatch::None,
            full_command: false,
            quorum: 1,
            quorum_max: None,
            fork_delay: Duration::ZERO,
            terminate_delay: Duration::ZERO,
        };
        let mut first = sleeper(&seconds);
        let counted = first_look(vec![settings.clone()]).await;
        assert!(
            matches!(&counted[..], [Event::ProcessesCounted { process, count: 1 }] if process == "tp"),
            "{counted:?}"
        );
        let (sender, mut events) = mpsc::channel(8);
        let _watcher = watch(vec![settings], sender);
        let mut next = async || {
            let event = tokio::time::timeout(Duration::from_secs(20), events.recv()).await.unwrap().unwrap();
            let Event::ProcessesCounted { count, .. } = event else { panic!("{event:?}") };
            count
        };
        assert_eq!(next().await, 1);
        let mut second = sleeper(&seconds);
        assert_eq!(next().await, 2);
        // Killed, and not waited for: it has ended all the same.
        second.kill().unwrap();
        assert_eq!(next().await, 1);
        first.kill().unwrap();
        assert_eq!(next().await, 0);
        first.wait().unwrap();
        second.wait().unwrap();
    }
}
