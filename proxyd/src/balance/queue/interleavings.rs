//! Every interleaving of a few requests on one server, on a model of the steps that take and give slots.
//!
//! The model repeats what `Farm::try_take`, `Farm::release`, `Queues::join` and `Stay::quit` do to the two counters and
//! the queue, one memory access a step. All accesses are sequentially consistent in the code, so that interleavings
//! are all there is. It shows that no request waits forever and no limit is broken, and that leaving out either of the
//! two second looks would lose a wake-up.

use std::collections::BTreeSet;

/// Where a request stands; every variant is one step that may be delayed as long as the scheduler likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum At {
    /// Looks whether others wait.
    Look,
    /// Tries to take a slot.
    Take,
    /// Waits for the lock, to join.
    Lock,
    /// Joins, holding the lock.
    Join,
    /// Counts itself.
    Count,
    /// Looks for a slot once more, if the queue was empty.
    LookAgain(bool),
    /// Waits to be granted a slot, or gives up.
    Waiting,
    /// Waits for the lock, to leave.
    LockToLeave,
    /// Leaves, holding the lock.
    Leave,
    /// Has a slot and will give it back.
    Holding,
    /// Gave it back and looks for those who wait.
    LookForWaiters,
    /// Waits for the lock, to hand slots over.
    LockToServe,
    /// Hands slots over, holding the lock.
    Serve,
    Done,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct World {
    requests: Vec<At>,
    may_give_up: Vec<bool>,
    granted: Vec<bool>,
    queue: Vec<usize>,
    served: u8,
    waiting: u8,
    locked: bool,
}

/// What is left out, to see that the model notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Omit {
    Nothing,
    LookAgain,
    LookForWaiters,
}

impl World {
    fn new(requests: usize, quitters: usize) -> Self {
        Self {
            requests: vec![At::Look; requests],
            may_give_up: (0..requests).map(|request| request < quitters).collect(),
            granted: vec![false; requests],
            queue: Vec::new(),
            served: 0,
            waiting: 0,
            locked: false,
        }
    }

    /// What the world may become by one step of this request; nothing if it is blocked or done.
    fn steps(&self, request: usize, limit: u8, omit: Omit) -> Vec<World> {
        let mut next = self.clone();
        let become_now = |mut world: World, at: At| {
            world.requests[request] = at;
            vec![world]
        };
        match self.requests[request] {
            At::Look => become_now(next, if self.waiting > 0 { At::Lock } else { At::Take }),
            At::Take if self.served < limit => {
                next.served += 1;
                become_now(next, At::Holding)
            }
            At::Take => become_now(next, At::Lock),
            At::Lock | At::LockToLeave | At::LockToServe if self.locked => Vec::new(),
            At::Lock => become_now(next.lock(), At::Join),
            At::Join => {
                next.queue.push(request);
                become_now(next, At::Count)
            }
            At::Count => {
                next.waiting += 1;
                become_now(next, At::LookAgain(self.queue.len() == 1))
            }
            At::LookAgain(was_empty) => {
                if was_empty && omit != Omit::LookAgain {
                    next.grant(limit);
                }
                next.locked = false;
                become_now(next, At::Waiting)
            }
            At::Waiting => {
                let mut worlds = Vec::new();
                if self.granted[request] {
                    worlds.extend(become_now(next.clone(), At::Holding));
                }
                if self.may_give_up[request] {
                    worlds.extend(become_now(next, At::LockToLeave));
                }
                worlds
            }
            At::LockToLeave => become_now(next.lock(), At::Leave),
            At::Leave => {
                next.locked = false;
                if self.queue.contains(&request) {
                    next.queue.retain(|&other| other != request);
                    next.waiting -= 1;
                    become_now(next, At::Done)
                } else {
                    become_now(next, At::Holding)
                }
            }
            At::Holding => {
                next.served -= 1;
                become_now(next, if omit == Omit::LookForWaiters { At::Done } else { At::LookForWaiters })
            }
            At::LookForWaiters => become_now(next, if self.waiting > 0 { At::LockToServe } else { At::Done }),
            At::LockToServe => become_now(next.lock(), At::Serve),
            At::Serve => {
                next.grant(limit);
                next.locked = false;
                become_now(next, At::Done)
            }
            At::Done => Vec::new(),
        }
    }

    fn lock(mut self) -> Self {
        self.locked = true;
        self
    }

    /// Others may take slots between two of these, but not push: the order of the queue is what the lock protects.
    fn grant(&mut self, limit: u8) {
        while !self.queue.is_empty() && self.served < limit {
            let request = self.queue.remove(0);
            self.served += 1;
            self.waiting -= 1;
            self.granted[request] = true;
        }
    }
}

/// Explores everything; the error is a world in which nothing can happen any more though somebody still waits.
fn explore(requests: usize, quitters: usize, limit: u8, omit: Omit) -> Result<usize, World> {
    let mut seen = BTreeSet::new();
    let mut open = vec![World::new(requests, quitters)];
    while let Some(world) = open.pop() {
        if !seen.insert(world.clone()) {
            continue;
        }
        assert!(world.served <= limit, "{world:?}");
        let next: Vec<World> = (0..requests).flat_map(|request| world.steps(request, limit, omit)).collect();
        let finished = world.requests.iter().all(|at| *at == At::Done);
        if finished {
            assert_eq!((world.served, world.waiting, world.queue.len()), (0, 0, 0), "{world:?}");
        } else if next.is_empty() {
            return Err(world);
        }
        open.extend(next);
    }
    Ok(seen.len())
}

#[test]
fn nobody_waits_forever_in_any_interleaving() {
    for (requests, quitters, limit) in [(2, 0, 1), (3, 0, 1), (3, 0, 2), (3, 3, 1), (4, 0, 1), (4, 0, 2), (4, 2, 1)] {
        let worlds = explore(requests, quitters, limit, Omit::Nothing);
        assert!(worlds.is_ok_and(|worlds| worlds > 50), "{requests} {quitters} {limit}");
    }
}

#[test]
fn both_second_looks_are_needed() {
    assert!(explore(2, 0, 1, Omit::LookAgain).is_err());
    assert!(explore(2, 0, 1, Omit::LookForWaiters).is_err());
}
