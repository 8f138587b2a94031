//! One worker's way to the servers of one backend: choosing, taking a slot, waiting for one, giving it back.
//!
//! A dispatcher lives on its worker and is never shared; what workers share is the [`Farm`] behind it.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::farm::Farm;
use super::queue::{Outcome, Place, Position, Priority, Stay};
use super::server_state::ServerState;
use super::{Balancer, Picked, Request};

/// What a request wants from a backend.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted {
    /// The hash of its key, for algorithms that use one.
    pub hash: Option<u32>,
    /// The server that persistence or `use-server` demands.
    pub server: Option<usize>,
    /// A server that has just failed it, to be avoided if there is another one.
    pub avoid: Option<usize>,
    /// Its place among those who wait.
    pub priority: Priority,
}

/// Where a request goes.
#[derive(Debug)]
#[must_use]
pub enum Choice {
    /// To this server, now.
    Slot(Slot),
    /// It has to wait.
    Wait(Wait),
    /// The demanded server has as many requests waiting as it may have, and no other may be chosen.
    QueueFull,
    /// There is no server to be had.
    NoServer,
}

/// One worker's view of a backend.
#[derive(Debug)]
pub struct Dispatcher {
    farm: Arc<Farm>,
    balancer: RefCell<Balancer>,
    epoch: Cell<u32>,
}

impl Dispatcher {
    /// A worker's dispatcher; `seed` should differ between workers and between starts.
    pub fn new(farm: Arc<Farm>, seed: u64) -> Rc<Self> {
        let balancer = Balancer::new(&farm, seed);
        // The farm's first epoch is 1, so that the first choice reads all states.
        Rc::new(Self { farm, balancer: RefCell::new(balancer), epoch: Cell::new(0) })
    }

    /// What all workers share.
    pub fn farm(&self) -> &Arc<Farm> {
        &self.farm
    }

    /// Finds a server for a request, or a queue.
    pub fn choose(self: &Rc<Self>, wanted: &Wanted) -> Choice {
        self.synchronize();
        if let Some(index) = wanted.server {
            if self.farm.try_take(index) {
                return Choice::Slot(self.slot(index));
            }
            match self.wait_for_server(index, wanted.priority) {
                Some(wait) => return Choice::Wait(wait),
                None if self.farm.settings().redispatch.is_none() => return Choice::QueueFull,
                None => {}
            }
        }
        // Those who came first are served first: with others waiting there is nothing to be had.
        let request = Request { hash: wanted.hash, avoid: wanted.avoid };
        if self.farm.queued() != 0 && !self.balancer.borrow().directs(&request) {
            return self.wait_for_any(wanted.priority);
        }
        let picked = self.balancer.borrow_mut().pick(&request, &self.farm);
        match picked {
            Picked::Taken(index) => Choice::Slot(self.slot(index)),
            Picked::Full(index) => match self.wait_for_server(index, wanted.priority) {
                Some(wait) => Choice::Wait(wait),
                None => Choice::QueueFull,
            },
            Picked::AllFull => self.wait_for_any(wanted.priority),
            Picked::Nobody => Choice::NoServer,
        }
    }

    fn slot(self: &Rc<Self>, index: usize) -> Slot {
        Slot { dispatcher: Rc::clone(self), index }
    }

    fn wait_for_any(self: &Rc<Self>, priority: Priority) -> Choice {
        let stay = Stay::join(&self.farm, Place::Backend, priority);
        Choice::Wait(Wait { dispatcher: Rc::clone(self), stay })
    }

    fn wait_for_server(self: &Rc<Self>, index: usize, priority: Priority) -> Option<Wait> {
        let server = self.farm.servers().get(index)?;
        let maxqueue = server.settings().maxqueue;
        if maxqueue != 0 && server.queued() >= maxqueue {
            return None;
        }
        let stay = Stay::join(&self.farm, Place::Server(index), priority);
        Some(Wait { dispatcher: Rc::clone(self), stay })
    }

    /// Reads the servers' states anew if any of them changed.
    fn synchronize(&self) {
        let epoch = self.farm.epoch();
        if self.epoch.replace(epoch) != epoch {
            let mut balancer = self.balancer.borrow_mut();
            for (index, server) in self.farm.servers().iter().enumerate() {
                let weight = if server.eligible() { server.effective_weight() } else { 0 };
                balancer.set(index, weight, &self.farm);
            }
        }
    }
}

/// A slot of a server, given back when dropped.
#[derive(Debug)]
#[must_use]
pub struct Slot {
    dispatcher: Rc<Dispatcher>,
    index: usize,
}

impl Slot {
    /// The server's rank in its backend.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The server.
    pub fn server(&self) -> Option<&Arc<ServerState>> {
        self.dispatcher.farm.servers().get(self.index)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.dispatcher.farm.release(self.index);
        self.dispatcher.balancer.borrow_mut().released(self.index, &self.dispatcher.farm);
    }
}

/// A request that waits for a slot. Dropping it leaves the queue.
#[derive(Debug)]
#[must_use]
pub struct Wait {
    dispatcher: Rc<Dispatcher>,
    stay: Stay,
}

/// How waiting ended.
#[derive(Debug)]
#[must_use]
pub enum Waited {
    /// With a slot.
    Slot(Slot),
    /// The server that it waited for went away: choose again.
    ChooseAgain,
}

impl Wait {
    /// What it waits for.
    pub fn place(&self) -> Place {
        self.stay.place()
    }

    /// Its number among all who waited for this backend.
    #[cfg(test)]
    pub(super) fn sequence(&self) -> u64 {
        self.stay.sequence()
    }

    /// Gives up (timeout, client gone) and tells the position for the log.
    pub fn give_up(self) -> Position {
        self.stay.leave()
    }
}

impl Future for Wait {
    type Output = (Waited, Position);

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Poll::Ready((outcome, position)) = Pin::new(&mut self.stay).poll(context) else { return Poll::Pending };
        let waited = match outcome {
            Outcome::Granted(index) => {
                let dispatcher = &self.dispatcher;
                dispatcher.balancer.borrow_mut().taken(index, &dispatcher.farm);
                Waited::Slot(dispatcher.slot(index))
            }
            Outcome::Redistributed => Waited::ChooseAgain,
        };
        Poll::Ready((waited, position))
    }
}
