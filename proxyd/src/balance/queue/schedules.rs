//! A few requests on their threads, in every order in which their accesses to what they share can happen.
//!
//! This runs the code of the admission path itself, not a model of it: its counters and locks ask before every access
//! (`balance::sync`). All accesses that decide something are sequentially consistent, so that orders are all there is.
//! What is shown: no limit is broken, nobody waits forever, nothing is left over; where a case is too big for all orders,
//! in those with a bounded number of interruptions (`PROXYD_QUEUE_INTERRUPTIONS` more than otherwise).

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake as _, Waker};

use crate::balance::dispatcher::{Choice, Dispatcher, Slot, Wait, Waited, Wanted};
use crate::balance::farm::{Farm, FarmSettings};
use crate::balance::persist::Redispatch;
use crate::balance::server_state::{Running, ServerSettings, ServerState};
use crate::balance::sync;
use explore::{Alarm, Explored, Program, Turn, explore};

mod explore;

/// A farm, and who is at its servers as the servers themselves would see it.
struct World {
    farm: Arc<Farm>,
    /// The same servers in the generation after.
    newer: Arc<Farm>,
    inside: Vec<AtomicU32>,
    /// The most that a server may have at a time, in all its life.
    limit: u32,
    /// Rings when a request is through.
    through: Arc<Alarm>,
}

impl World {
    fn new(servers: u32, maxconn: u32, settings: &FarmSettings) -> Self {
        let servers: Vec<_> = (1..=servers)
            .map(|id| {
                let minconn = u32::from(settings.fullconn != 0);
                Arc::new(ServerState::new(ServerSettings { id, maxconn, minconn, ..ServerSettings::default() }))
            })
            .collect();
        let newer = Farm::new(settings.clone(), servers.clone());
        let inside = servers.iter().map(|_| AtomicU32::new(0)).collect();
        Self { farm: Farm::new(settings.clone(), servers), newer, inside, limit: maxconn, through: Arc::default() }
    }

    fn look_at_the_end(&self) {
        for farm in [&self.farm, &self.newer] {
            assert_eq!(farm.queued_in_total(), 0, "somebody is still counted as waiting");
            assert!(farm.servers().iter().all(|server| server.served() == 0 && server.queued() == 0), "{farm:?}");
        }
    }

    /// A request that gets a slot sooner or later, uses it and gives it back.
    fn patient<'a>(&'a self, farm: &'a Arc<Farm>, wanted: Wanted) -> Program<'a> {
        Box::new(move |turn| {
            let presence = farm.enter();
            let slot = get(&Dispatcher::new(Arc::clone(farm), 1), &wanted, turn);
            self.visit(slot, turn);
            drop(presence);
        })
    }

    /// A request that keeps its slot until another one is through.
    fn lasting<'a>(&'a self, farm: &'a Arc<Farm>, wanted: Wanted) -> Program<'a> {
        Box::new(move |turn| {
            let presence = farm.enter();
            let slot = get(&Dispatcher::new(Arc::clone(farm), 1), &wanted, turn);
            turn.sleep(&self.through);
            drop(slot);
            drop(presence);
        })
    }

    /// A request that leaves as soon as it would have to wait.
    fn impatient<'a>(&'a self, farm: &'a Arc<Farm>, wanted: Wanted) -> Program<'a> {
        Box::new(move |turn| match Dispatcher::new(Arc::clone(farm), 1).choose(&wanted) {
            Choice::Slot(slot) => self.visit(slot, turn),
            Choice::Wait(wait) => {
                turn.step();
                let _ = wait.give_up();
            }
            Choice::QueueFull | Choice::NoServer => {}
        })
    }

    fn visit(&self, slot: Slot, turn: &Turn) {
        let here = self.inside[slot.index()].fetch_add(1, Ordering::SeqCst) + 1;
        assert!(here <= self.limit, "{here} requests at a server that takes {}", self.limit);
        turn.step();
        self.inside[slot.index()].fetch_sub(1, Ordering::SeqCst);
        Arc::clone(&self.through).wake();
        drop(slot);
    }
}

fn get(dispatcher: &Rc<Dispatcher>, wanted: &Wanted, turn: &Turn) -> Slot {
    loop {
        match dispatcher.choose(wanted) {
            Choice::Slot(slot) => return slot,
            Choice::Wait(wait) => {
                if let Waited::Slot(slot) = sleep(wait, turn) {
                    return slot;
                }
            }
            Choice::QueueFull | Choice::NoServer => turn.step(),
        }
    }
}

fn sleep(mut wait: Wait, turn: &Turn) -> Waited {
    let alarm = Arc::new(Alarm::default());
    let waker = Waker::from(Arc::clone(&alarm));
    loop {
        match Pin::new(&mut wait).poll(&mut Context::from_waker(&waker)) {
            Poll::Ready((waited, _)) => return waited,
            Poll::Pending => {
                turn.sleep(&alarm);
                alarm.reset();
            }
        }
    }
}

/// So many interruptions, or more where somebody has the time.
fn bound(interruptions: usize) -> usize {
    let more = std::env::var("PROXYD_QUEUE_INTERRUPTIONS").ok().and_then(|more| more.parse().ok());
    interruptions + more.unwrap_or(0)
}

fn must_hold(explored: &Explored, at_least: usize) {
    assert_eq!(explored.failure, None, "after {} runs", explored.runs);
    assert!(explored.runs >= at_least, "only {} orders", explored.runs);
}

const ANY: Wanted =
    Wanted { hash: None, server: None, avoid: None, priority: super::Priority { class: 0, time_ms: 0 } };
const FIRST: Wanted = Wanted { server: Some(0), ..ANY };
const SECOND: Wanted = Wanted { server: Some(1), ..ANY };

#[test]
fn two_requests_and_one_slot() {
    for (one, other) in [(ANY, ANY), (ANY, FIRST), (FIRST, FIRST)] {
        let explored = explore(
            bound(3),
            || World::new(1, 1, &FarmSettings::default()),
            |world| vec![world.patient(&world.farm, one), world.patient(&world.farm, other)],
            World::look_at_the_end,
        );
        must_hold(&explored, 500);
    }
}

#[test]
fn three_requests_on_one_slot_and_on_two() {
    for (servers, maxconn) in [(1, 1), (1, 2), (2, 1)] {
        let explored = explore(
            bound(2),
            || World::new(servers, maxconn, &FarmSettings::default()),
            |world| [ANY, FIRST, ANY].map(|wanted| world.patient(&world.farm, wanted)).into(),
            World::look_at_the_end,
        );
        must_hold(&explored, 500);
    }
}

#[test]
fn a_request_that_gives_up_passes_on_what_it_was_granted() {
    let explored = explore(
        bound(2),
        || World::new(1, 1, &FarmSettings::default()),
        |world| {
            let farm = &world.farm;
            vec![world.patient(farm, ANY), world.impatient(farm, ANY), world.patient(farm, FIRST)]
        },
        World::look_at_the_end,
    );
    must_hold(&explored, 500);
}

#[test]
fn a_server_that_fails_and_comes_back_loses_nobody() {
    let settings = FarmSettings { redispatch: Some(Redispatch { interval: -1 }), ..FarmSettings::default() };
    let explored = explore(
        bound(2),
        || World::new(2, 1, &settings),
        |world| {
            let farm = &world.farm;
            let flap: Program<'_> = Box::new(move |_| {
                farm.set_running(0, Running::Down);
                farm.set_running(0, Running::Up);
            });
            vec![world.patient(farm, FIRST), world.patient(farm, ANY), flap]
        },
        World::look_at_the_end,
    );
    must_hold(&explored, 500);
}

#[test]
fn a_limit_that_grows_lets_somebody_in_who_waits() {
    let explored = explore(
        bound(3),
        || World { limit: 2, ..World::new(1, 1, &FarmSettings::default()) },
        |world| {
            let farm = &world.farm;
            let order: Program<'_> = Box::new(move |_| {
                farm.set_maxconn(0, 2);
            });
            vec![world.lasting(farm, FIRST), order, world.patient(farm, ANY)]
        },
        |_| {},
    );
    must_hold(&explored, 500);
}

/// One that stays, one that waits, and a third one that stays elsewhere, but whose coming raises the limit for them.
#[test]
fn a_limit_that_depends_on_the_requests_in_the_backend() {
    let explored = explore(
        bound(2),
        || World::new(2, 2, &FarmSettings { fullconn: 3, ..FarmSettings::default() }),
        |world| {
            [world.lasting(&world.farm, FIRST), world.patient(&world.farm, FIRST), world.lasting(&world.farm, SECOND)]
                .into()
        },
        World::look_at_the_end,
    );
    must_hold(&explored, 500);
}

#[test]
fn requests_of_two_generations_share_a_server() {
    let explored = explore(
        bound(3),
        || {
            let world = World::new(1, 1, &FarmSettings::default());
            world.newer.succeed(&world.farm);
            world
        },
        |world| vec![world.patient(&world.farm, ANY), world.patient(&world.newer, ANY)],
        World::look_at_the_end,
    );
    must_hold(&explored, 500);
}

/// Two that look before they wait, but only once: the second look is what makes it right.
#[test]
fn a_lost_wake_up_and_a_broken_limit_are_noticed() {
    struct Broken {
        taken: sync::AtomicU32,
        waiting: sync::Mutex<Vec<Waker>>,
    }
    let prepare = || Broken { taken: sync::AtomicU32::new(0), waiting: sync::Mutex::default() };
    let lost = explore(
        bound(2),
        prepare,
        |broken| {
            let request = || -> Program<'_> {
                Box::new(|turn: &Turn| {
                    while broken.taken.fetch_add(1, Ordering::SeqCst) > 0 {
                        broken.taken.fetch_sub(1, Ordering::SeqCst);
                        let alarm = Arc::new(Alarm::default());
                        broken.waiting.lock().unwrap().push(Arc::clone(&alarm).into());
                        turn.sleep(&alarm);
                    }
                    broken.taken.fetch_sub(1, Ordering::SeqCst);
                    broken.waiting.lock().unwrap().drain(..).for_each(Waker::wake);
                })
            };
            vec![request(), request()]
        },
        |_| {},
    );
    assert!(lost.failure.is_some_and(|failure| failure.starts_with("nothing can happen any more")));
    let broken_limit = explore(
        bound(1),
        prepare,
        |broken| {
            let request = || -> Program<'_> {
                Box::new(|turn: &Turn| {
                    if broken.taken.load(Ordering::SeqCst) == 0 {
                        let before = broken.taken.fetch_add(1, Ordering::SeqCst);
                        if before > 0 {
                            std::panic::resume_unwind(Box::new("two at a time".to_owned()));
                        }
                        turn.step();
                    }
                })
            };
            vec![request(), request()]
        },
        |_| {},
    );
    assert!(broken_limit.failure.is_some_and(|failure| failure.starts_with("two at a time")));
}
