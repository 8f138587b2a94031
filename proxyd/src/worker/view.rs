//! A worker's side of one generation: how it reaches each backend's servers.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use super::Worker;
use crate::balance::dispatcher::Dispatcher;
use crate::clock;
use crate::generation::Generation;
use crate::ids::BackendId;
use crate::proxy::Backend;
use crate::session::pool::Pool;
use crate::stats::Gauge;
use crate::sys;

/// Bytes at the beginning of [`Counters`](crate::stats::Counters) that a request changes.
const COUNTED_PER_REQUEST: usize = 4 * 64;

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
    pools: Box<[OnceCell<Rc<Pool>>]>,
}

impl BackendView {
    fn new(id: BackendId, backend: &Arc<Backend>, worker: usize) -> Self {
        // Different for each worker and start, so that they do not all begin with the same server.
        let seed = u64::from(clock::date().subsec_nanos()) << 8 | worker as u64;
        Self::with(id, backend, Dispatcher::new(Arc::clone(&backend.farm), seed))
    }

    fn with(id: BackendId, backend: &Arc<Backend>, dispatcher: Rc<Dispatcher>) -> Self {
        let pools = backend.servers.iter().map(|_| OnceCell::new()).collect();
        Self { id, backend: Arc::clone(backend), dispatcher, pools }
    }

    /// The same backend in another generation: it goes on where the algorithm was.
    fn after(&self, id: BackendId, backend: &Arc<Backend>, worker: usize) -> Self {
        if Arc::ptr_eq(&self.backend.farm, &backend.farm) {
            Self::with(id, backend, Rc::clone(&self.dispatcher))
        } else {
            Self::new(id, backend, worker)
        }
    }

    /// Lets the processor fetch what an attempt at this server will need. Among many servers nothing of it is in its caches, and
    /// each piece would be waited for when its turn comes.
    pub fn prefetch(&self, worker: &Worker, server: usize) {
        let pool = self.pools.get(server).and_then(OnceCell::get);
        if let (Some(pool), Some(server)) = (pool, self.backend.servers.get(server)) {
            pool.prefetch();
            sys::prefetch(&server.traffic.sessions, size_of::<Gauge>());
            sys::prefetch(server.traffic.of(worker.index), COUNTED_PER_REQUEST);
        }
    }

    /// The connections that are put aside for one of its servers. Looked for when they are first asked for, so that another
    /// generation of thousands of servers costs no request the time to look for them all.
    pub fn pool(&self, worker: &Worker, server: usize) -> Option<&Rc<Pool>> {
        let place = self.pools.get(server)?;
        if place.get().is_none() {
            let pool = worker.pools.of(self.backend.servers.get(server)?);
            // It is empty, see above.
            let _ = place.set(pool);
        }
        place.get()
    }
}

impl View {
    /// A view without connections.
    pub fn new(generation: Arc<Generation>, worker: usize) -> Self {
        let backends = generation.backends.iter().map(|_| OnceCell::new()).collect();
        Self { generation, backends, worker }
    }

    /// A view of another generation, which goes on with what did not change.
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
}
