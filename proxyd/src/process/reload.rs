//! The configuration read again while the process serves: SIGUSR2, and SIGHUP to a master.
//!
//! A thread of its own reads, checks, builds and opens new sockets, so that neither requests nor health checks wait for it; the
//! control thread puts the result in force. A configuration that cannot be used changes nothing. What was in force before is
//! taken apart by the same thread, once nobody uses it any more: with thousands of servers that takes milliseconds, too.
//!
//! While it works, the thread leaves the processors to all others, if the system lets it come back from that (`RLIMIT_NICE`, or
//! `CAP_SYS_NICE` in a process that keeps its user); where there is nothing left for it, it is soon made to be scheduled as they
//! are. The thread starts before the process enters its chroot and keeps its own view of the file system, though not the
//! starter's user: the files are where the first start found them, as far as the process's user may read them.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::SigSet;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::identity;
use super::logs::Logs;
use super::sockets::{self, ForWorker};
use crate::check::Plan;
use crate::config::model::{Global, Model};
use crate::generation::{Generation, Handle};
use crate::name_service;
use crate::running::{self, Facts};
use crate::sys::{self, Scheduling};

/// How long a reload may wait for processors that nobody else wants.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// How often it is looked whether a generation that is no longer in force is still used.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Of `RLIMIT_NICE`: what a thread needs to come back from [`Scheduling::Idle`]. It allows nothing that is not allowed anyway.
const NICE_ORDINARY: u64 = 20;

/// The privilege to change how threads are scheduled, as a bit of those that are held (capabilities(7)).
const CAP_SYS_NICE: u64 = 1 << 23;

/// Reads the configuration as the start did, and says what is wrong with it: the model, and what was said; `None` if it cannot be
/// used.
pub type Load = Box<dyn FnMut() -> Option<(Model, String)> + Send>;

/// A configuration that is ready to be put in force.
pub(super) struct Reloaded {
    /// Its objects.
    pub(super) generation: Generation,
    /// Its health checks.
    pub(super) checks: Vec<Plan>,
    /// Whom its servers ask where they are.
    pub(super) names: Vec<name_service::Plan>,
    /// What its logs need that was not open before.
    pub(super) logs: Logs,
    /// Sockets that were not open before, for each worker.
    pub(super) opened: Vec<ForWorker>,
    /// Global settings that changed and hold only after the next start.
    pub(super) later: Vec<&'static str>,
}

/// What came of a reload; the error says why there was none.
pub(super) type Outcome = Result<Box<Reloaded>, String>;

/// What the thread is told.
enum Order {
    /// Read the configuration again.
    Reload,
    /// The process has become its user: keep the privileges of `setcap` alone.
    Settle,
}

/// The control thread's end of the thread that reloads.
pub(super) struct Reader {
    orders: SyncSender<Order>,
    /// The thread, if it may be scheduled behind all others.
    modest: Option<i32>,
    /// What came of each order.
    pub(super) outcomes: Receiver<Outcome>,
}

impl Reader {
    /// Starts the thread; it has its view of the file system when this returns.
    pub(super) fn start(load: Load, handle: Handle, facts: Facts, global: &Global) -> io::Result<Self> {
        // One reload may wait while another is carried out: it will see whatever has been written by then. The other place is for
        // what it is told once.
        let (orders, received) = sync_channel(2);
        let (sender, outcomes) = channel(1);
        let (ready, started) = sync_channel(1);
        // Without it a thread could not be made ordinary again once the process has given up its privileges.
        let modest = may_return() || (global.uid.is_none() && sets_priorities());
        let mut work = Work { load, handle, facts, global: global.clone(), modest, old: Vec::new() };
        thread::Builder::new().name("reload".into()).spawn(move || {
            // Signals are for the control thread.
            let _ = SigSet::all().thread_block();
            // Where the system refuses, files are looked for inside of the chroot.
            let _ = unshare(CloneFlags::CLONE_FS);
            let _ = ready.send(sys::thread_id());
            work.serve(&received, &sender);
        })?;
        let modest = started.recv().ok().filter(|_| modest);
        Ok(Self { orders, modest, outcomes })
    }

    /// Orders a reload.
    pub(super) fn order(&self) {
        self.tell(Order::Reload);
    }

    /// Has it give up the privileges that are not kept, now that the process is its user's.
    pub(super) fn settle(&self) {
        self.tell(Order::Settle);
    }

    fn tell(&self, order: Order) {
        match self.orders.try_send(order) {
            // Where there is no room, one waits that will see what this one would.
            Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
        }
    }

    /// What makes the thread no longer wait for others, if it does.
    pub(super) fn urge(&self) -> impl FnOnce() + use<> {
        let thread = self.modest;
        move || {
            // Where it fails, the reload takes longer.
            let _ = thread.map(|thread| sys::schedule(thread, Scheduling::Ordinary));
        }
    }
}

/// Makes sure that a thread which was scheduled behind all others can be made ordinary again; false if the system says no.
fn may_return() -> bool {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NICE) else { return false };
    soft >= NICE_ORDINARY || setrlimit(Resource::RLIMIT_NICE, NICE_ORDINARY, hard.max(NICE_ORDINARY)).is_ok()
}

/// Whether the process is privileged to change how threads are scheduled, which it stays as long as its user does not change.
fn sets_priorities() -> bool {
    let effective = |status: String| {
        let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
        u64::from_str_radix(line.trim(), 16).ok()
    };
    std::fs::read_to_string("/proc/self/status").ok().and_then(effective).is_some_and(|held| held & CAP_SYS_NICE != 0)
}

struct Work {
    load: Load,
    handle: Handle,
    facts: Facts,
    /// As the process was started with.
    global: Global,
    /// It is scheduled behind all others while it works.
    modest: bool,
    /// Generations that are no longer in force, until nobody else has them.
    old: Vec<Arc<Generation>>,
}

impl Work {
    /// Carries out orders until there is nobody to give any.
    fn serve(&mut self, orders: &mpsc::Receiver<Order>, outcomes: &Sender<Outcome>) {
        loop {
            let order = if self.old.is_empty() {
                orders.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                orders.recv_timeout(LOOK_INTERVAL)
            };
            if matches!(order, Ok(Order::Settle)) {
                if let Err(error) = identity::settle_privileges(&self.global.capabilities) {
                    tracing::error!("{error}");
                }
                continue;
            }
            if self.modest {
                // Where it fails, it disturbs others more than it should.
                let _ = sys::schedule(0, Scheduling::Idle);
            }
            match order {
                Ok(_) if outcomes.blocking_send(self.reload()).is_ok() => {}
                Err(RecvTimeoutError::Timeout) => {}
                Ok(_) | Err(RecvTimeoutError::Disconnected) => return,
            }
            // The last one is this one, which takes it apart.
            self.old.retain(|old| Arc::strong_count(old) > 1);
        }
    }

    fn reload(&mut self) -> Outcome {
        let (model, startup_logs) = (self.load)().ok_or("the configuration cannot be used, see above")?;
        let previous = self.handle.load();
        let generation = Generation { startup_logs, ..running::build(&model, &self.facts, Some(&previous)) };
        let checks = running::checks::plans(&model, &generation)?;
        let names = running::names::plans(&model, &generation);
        let opened = sockets::open_added(&previous, &generation)?;
        let logs = Logs::open(&generation, Some(&previous))?;
        if !self.old.iter().any(|old| Arc::ptr_eq(old, &previous)) {
            self.old.push(previous);
        }
        Ok(Box::new(Reloaded { generation, checks, names, logs, opened, later: later(&self.global, &model.global) }))
    }
}

/// What only a start can change.
fn later(running: &Global, wanted: &Global) -> Vec<&'static str> {
    [
        ("nbthread", running.nbthread == wanted.nbthread),
        ("thread-groups", running.thread_groups == wanted.thread_groups),
        ("cpu-map", running.cpu_map == wanted.cpu_map),
        ("busy-polling", running.busy_polling == wanted.busy_polling),
        ("tune.maxpollevents", running.tune.maxpollevents == wanted.tune.maxpollevents),
        ("tune.runqueue-depth", running.tune.runqueue_depth == wanted.tune.runqueue_depth),
        ("fd-hard-limit", running.fd_hard_limit == wanted.fd_hard_limit),
        ("setcap", running.capabilities == wanted.capabilities),
        ("set-dumpable", running.dumpable == wanted.dumpable),
        ("insecure-setuid-wanted", running.setuid_programs == wanted.setuid_programs),
        ("user", running.uid == wanted.uid),
        ("group", running.gid == wanted.gid),
        ("chroot", running.chroot == wanted.chroot),
        ("stats socket", running.stats_sockets == wanted.stats_sockets),
        ("tune.bufsize", running.tune.bufsize == wanted.tune.bufsize),
        ("log-send-hostname", running.log_hostname == wanted.log_hostname),
        ("maxpipes", running.maxpipes == wanted.maxpipes),
        ("nosplice", running.splice == wanted.splice),
        ("noreuseport", running.no_reuse_port == wanted.no_reuse_port),
    ]
    .into_iter()
    .filter_map(|(name, same)| (!same).then_some(name))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_comes_back_where_that_is_said() {
        let thread = thread::spawn(|| {
            sys::schedule(0, Scheduling::Idle).unwrap();
            let returned = sys::schedule(0, Scheduling::Ordinary).is_ok();
            let limit = getrlimit(Resource::RLIMIT_NICE).is_ok_and(|(soft, _)| soft >= NICE_ORDINARY);
            assert_eq!(returned, limit || sets_priorities());
        });
        thread.join().unwrap();
    }
}
