//! Asks name servers where servers are, on the control thread and beside all traffic.
//!
//! One task per `resolvers` section, with a way to each name server once somebody asks: a server, or a rule that waits for the
//! answer. What an answer means for a server is decided by [`resolvers`](crate::resolvers) and carried out through
//! [`Checks::apply`], as every other change of a server.

mod outlet;
mod section;

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::sleep_until;

use crate::balance::farm::Farm;
use crate::check::Checks;
use crate::resolvers::message::{Kind, Name};
use crate::resolvers::{Counters, Settings, Wish};
use outlet::Outlet;
use section::Section;

/// Answers that wait to be read.
const ANSWERS_WAITING: usize = 64;
/// How long a name server's socket rests after an error, so that one that goes on does not take all time.
const PAUSE: Duration = Duration::from_millis(100);

/// A server whose address name servers know.
#[derive(Debug)]
pub struct Client {
    /// Its farm.
    pub farm: Arc<Farm>,
    /// Its rank in it.
    pub index: usize,
    /// What it wants of them.
    pub wish: Wish,
}

/// A section and the servers that ask it.
#[derive(Debug)]
pub struct Plan {
    /// The section.
    pub settings: Settings,
    /// Its clients, in the order of the file.
    pub clients: Vec<Client>,
}

/// A rule asks (`do-resolve`). Whoever drops it has no answer.
#[derive(Debug)]
pub struct Asked {
    /// The section that is asked.
    pub section: Arc<str>,
    /// The name.
    pub name: Name,
    /// The family that is asked for first.
    pub prefer: Kind,
    /// Where the address goes, or that there is none.
    pub answer: oneshot::Sender<Option<IpAddr>>,
}

/// Everybody who is asked. Dropping it ends the asking; servers stay where they are.
#[derive(Debug, Default)]
pub struct NameService {
    sections: Vec<Rc<Section>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for NameService {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl NameService {
    /// The sections, and what was counted of their name servers.
    pub fn counters(&self) -> impl Iterator<Item = (&Settings, Vec<Counters>)> {
        self.sections.iter().map(|section| (section.settings(), section.counters()))
    }

    /// Asks for a rule.
    pub fn resolve(&self, asked: Asked) {
        if let Some(section) = self.sections.iter().find(|section| section.settings().name == asked.section) {
            section.resolve(asked);
        }
    }

    /// Ends the asking; what rules have asked and wait for is to be asked again.
    pub fn end(self) -> Vec<Asked> {
        self.sections.iter().flat_map(|section| section.take_waiting()).collect()
    }

    /// Counts anew.
    pub fn clear_counters(&self) {
        self.sections.iter().for_each(|section| section.clear_counters());
    }

    /// Another name for a server; false where nobody is asked about it.
    pub fn rename(&self, farm: &Arc<Farm>, index: usize, name: &Name) -> bool {
        self.sections.iter().any(|section| section.rename(farm, index, name))
    }
}

/// Begins to ask. Must be called on a thread with a local runtime. `epoch` is the start of the process.
pub fn start(plans: Vec<Plan>, epoch: Instant, checks: &Rc<RefCell<Checks>>) -> NameService {
    let mut service = NameService::default();
    for plan in plans {
        let section = Rc::new(Section::new(plan, epoch, Rc::clone(checks)));
        service.tasks.push(spawn_local(keep_asking(Rc::clone(&section))));
        service.sections.push(section);
    }
    service
}

async fn keep_asking(section: Rc<Section>) {
    let (sink, mut answers) = mpsc::channel(ANSWERS_WAITING);
    let mut outlets = Vec::new();
    loop {
        // Where nobody asks, nothing is opened.
        if outlets.is_empty() && section.is_used() {
            let settings = section.settings();
            let largest = usize::from(settings.payload_size);
            let nameservers = settings.nameservers.iter().enumerate();
            outlets = nameservers.map(|(rank, to)| Outlet::open(&to.address, rank, largest, sink.clone())).collect();
        }
        let due = section.epoch() + Duration::from_millis(section.due());
        tokio::select! {
            Some((rank, heard)) = answers.recv() => section.heard(rank, heard, &outlets),
            () = sleep_until(due.into()) => section.tick(&outlets),
            () = section.changed() => {}
        }
    }
}
