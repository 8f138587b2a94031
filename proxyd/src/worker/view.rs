//! A worker's side of one generation: how it reaches each backend's servers, and the server connections it keeps.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::Worker;
use crate::balance::dispatcher::Dispatcher;
use crate::clock::{self, Moment};
use crate::generation::Generation;
use crate::ids::BackendId;
use crate::proxy::Backend;
use crate::session::pool::Pool;
use crate::worker::timers::Elapsed;

/// How often idle server connections are looked at.
const PURGE_INTERVAL: Duration = Duration::from_secs(1);

/// One generation as one worker sees it.
#[derive(Debug)]
pub struct View {
    /// What all workers see.
    pub generation: Arc<Generation>,
    backends: Box<[OnceCell<BackendView>]>,
    worker: usize,
}

/// One backend as one worker sees it.
#[derive(Debug)]
pub struct BackendView {
    /// Its number in the generation.
    pub id: BackendId,
    /// What all workers see.
    pub backend: Arc<Backend>,
    /// The way to its servers.
    pub dispatcher: Rc<Dispatcher>,
    /// Idle connections to each server, in the servers' order.
    pub pools: Box<[Rc<Pool>]>,
}

impl BackendView {
    fn new(id: BackendId, backend: &Arc<Backend>, worker: usize) -> Self {
        // Different for each worker and start, so that they do not all begin with the same server.
        let seed = u64::from(clock::date().subsec_nanos()) << 8 | worker as u64;
        Self {
            id,
            backend: Arc::clone(backend),
            dispatcher: Dispatcher::new(Arc::clone(&backend.farm), seed),
            pools: backend.servers.iter().map(|server| Rc::new(Pool::new(server))).collect(),
        }
    }

    /// The same backend in another generation: it goes on where the algorithm was and with the connections to servers that are
    /// reached as before.
    fn after(&self, id: BackendId, backend: &Arc<Backend>, worker: usize) -> Self {
        let mut next = Self::new(id, backend, worker);
        if Arc::ptr_eq(&self.backend.farm, &backend.farm) {
            next.dispatcher = Rc::clone(&self.dispatcher);
        }
        let known: HashMap<_, _> =
            self.backend.servers.iter().map(|known| Arc::as_ptr(&known.traffic)).zip(0..).collect();
        for (server, pool) in backend.servers.iter().zip(&mut next.pools) {
            let before = known.get(&Arc::as_ptr(&server.traffic)).copied();
            let before = before.and_then(|index: usize| self.backend.servers.get(index).zip(self.pools.get(index)));
            if let Some((_, kept)) = before.filter(|(known, _)| known.is_reached_as(server)) {
                *pool = Rc::clone(kept);
            }
        }
        next
    }
}

impl View {
    /// A view without connections.
    pub fn new(generation: Arc<Generation>, worker: usize) -> Self {
        let backends = generation.backends.iter().map(|_| OnceCell::new()).collect();
        Self { generation, backends, worker }
    }

    /// A view of another generation, with the connections of what did not change.
    pub fn after(before: &Self, generation: Arc<Generation>) -> Self {
        let next = Self::new(generation, before.worker);
        let made = before.backends.iter().filter_map(OnceCell::get);
        let made: HashMap<_, _> = made.map(|view| (Arc::as_ptr(&view.backend.section.traffic), view)).collect();
        for (index, backend) in next.generation.backends.iter().enumerate() {
            let before = made.get(&Arc::as_ptr(&backend.section.traffic));
            if let (Some(before), Some(place)) = (before, next.backends.get(index)) {
                let id = BackendId(u32::try_from(index).unwrap_or(u32::MAX));
                place.get_or_init(|| before.after(id, backend, next.worker));
            }
        }
        next
    }

    /// A backend; made when it is first used. `None` for an id of another generation.
    pub fn backend(&self, id: BackendId) -> Option<&BackendView> {
        let backend = self.generation.backend(id)?;
        Some(self.backends.get(id.index())?.get_or_init(|| BackendView::new(id, backend, self.worker)))
    }

    fn pools(&self) -> impl Iterator<Item = &Rc<Pool>> {
        self.backends.iter().filter_map(OnceCell::get).flat_map(|backend| &backend.pools)
    }

    /// Closes connections that were idle for too long or that the server has closed.
    fn purge(&self, worker: &Worker, now: Moment) {
        self.pools().for_each(|pool| pool.purge(worker, now));
    }
}

/// Closes idle server connections when their time has come, for as long as the worker lives.
pub async fn purge_idle(worker: Rc<Worker>) {
    let timer = worker.timers.timer();
    loop {
        timer.set(Some(clock::moment() + PURGE_INTERVAL));
        let Err(Elapsed) = timer.race(std::future::pending::<std::convert::Infallible>()).await;
        // A worker without idle connections wakes up for this; one system call a second.
        let view = Rc::clone(&worker.view.borrow());
        view.purge(&worker, clock::moment());
    }
}
