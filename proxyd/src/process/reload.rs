//! The configuration read again while the process serves: SIGUSR2, and SIGHUP to a master.
//!
//! A thread of its own reads, checks, builds and opens new sockets, so that neither requests nor health checks wait for it; the
//! control thread puts the result in force. A configuration that cannot be used changes nothing. The thread starts before the
//! process enters its chroot and keeps its own view of the file system, though not the starter's user: the files are where the
//! first start found them, as far as the process's user may read them.

use std::io;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread;

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::SigSet;
use tokio::sync::mpsc::{Receiver, channel};

use super::sockets::{self, ForWorker};
use crate::check::Plan;
use crate::config::model::{Global, Model};
use crate::generation::{Generation, Handle};
use crate::name_service;
use crate::running::{self, Facts};

/// Reads the configuration as the start did, and says what is wrong with it; `None` if it cannot be used.
pub type Load = Box<dyn FnMut() -> Option<Model> + Send>;

/// A configuration that is ready to be put in force.
pub(super) struct Reloaded {
    /// Its objects.
    pub(super) generation: Generation,
    /// Its health checks.
    pub(super) checks: Vec<Plan>,
    /// Whom its servers ask where they are.
    pub(super) names: Vec<name_service::Plan>,
    /// Sockets that were not open before, for each worker.
    pub(super) opened: Vec<ForWorker>,
    /// Global settings that changed and hold only after the next start.
    pub(super) later: Vec<&'static str>,
}

/// What came of a reload; the error says why there was none.
pub(super) type Outcome = Result<Box<Reloaded>, String>;

/// The control thread's end of the thread that reloads.
pub(super) struct Reader {
    orders: SyncSender<()>,
    /// What came of each order.
    pub(super) outcomes: Receiver<Outcome>,
}

impl Reader {
    /// Starts the thread; it has its view of the file system when this returns.
    pub(super) fn start(load: Load, handle: Handle, facts: Facts, global: &Global) -> io::Result<Self> {
        // One order may wait while another is carried out: it will see whatever has been written by then.
        let (orders, received) = sync_channel(1);
        let (sender, outcomes) = channel(1);
        let (ready, started) = sync_channel::<()>(0);
        let mut work = Work { load, handle, facts, global: global.clone() };
        thread::Builder::new().name("reload".into()).spawn(move || {
            // Signals are for the control thread.
            let _ = SigSet::all().thread_block();
            // Where the system refuses, files are looked for inside of the chroot.
            let _ = unshare(CloneFlags::CLONE_FS);
            drop(ready);
            while received.recv().is_ok() && sender.blocking_send(work.reload()).is_ok() {}
        })?;
        // An error is what it waits for: the thread has let go of its end.
        let _ = started.recv();
        Ok(Self { orders, outcomes })
    }

    /// Orders a reload.
    pub(super) fn order(&self) {
        match self.orders.try_send(()) {
            // One that waits already will see what this one would.
            Ok(()) | Err(TrySendError::Full(()) | TrySendError::Disconnected(())) => {}
        }
    }
}

struct Work {
    load: Load,
    handle: Handle,
    facts: Facts,
    /// As the process was started with.
    global: Global,
}

impl Work {
    fn reload(&mut self) -> Outcome {
        let model = (self.load)().ok_or("the configuration cannot be used, see above")?;
        let previous = self.handle.load();
        let generation = running::build(&model, &self.facts, Some(&previous));
        let checks = running::checks::plans(&model, &generation)?;
        let names = running::names::plans(&model, &generation);
        let opened = sockets::open_added(&previous, &generation)?;
        Ok(Box::new(Reloaded { generation, checks, names, opened, later: later(&self.global, &model.global) }))
    }
}

/// What only a start can change.
fn later(running: &Global, wanted: &Global) -> Vec<&'static str> {
    [
        ("nbthread", running.nbthread == wanted.nbthread),
        ("user", running.uid == wanted.uid),
        ("group", running.gid == wanted.gid),
        ("chroot", running.chroot == wanted.chroot),
        ("stats socket", running.stats_sockets == wanted.stats_sockets),
        ("tune.bufsize", running.tune.bufsize == wanted.tune.bufsize),
        ("log-send-hostname", running.log_hostname == wanted.log_hostname),
        ("maxpipes", running.maxpipes == wanted.maxpipes),
        ("nosplice", running.splice == wanted.splice),
    ]
    .into_iter()
    .filter_map(|(name, same)| (!same).then_some(name))
    .collect()
}
