//! Many threads on one farm: limits hold, everybody is served, nothing hangs.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use crate::balance::dispatcher::{Choice, Dispatcher, Slot, Wait, Waited, Wanted};
use crate::balance::farm::{Farm, FarmSettings};
use crate::balance::server_state::{ServerSettings, ServerState};
use crate::balance::{Algorithm, persist::Redispatch};

struct Unpark {
    thread: Thread,
    woken: AtomicU32,
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.woken.store(1, Ordering::SeqCst);
        self.thread.unpark();
    }
}

/// Longer than any thread waits while the others move.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for a slot; a wake-up that never comes is a failure, not a hang.
fn wait(wait: Wait) -> Waited {
    let unpark = Arc::new(Unpark { thread: thread::current(), woken: AtomicU32::new(0) });
    let waker = Waker::from(Arc::clone(&unpark));
    let mut wait = pin!(wait);
    loop {
        if let Poll::Ready((waited, _)) = wait.as_mut().poll(&mut Context::from_waker(&waker)) {
            return waited;
        }
        // Parking may end for no reason; only a whole quiet period counts as a lost wake-up.
        for slice in 0.. {
            if unpark.woken.swap(0, Ordering::SeqCst) == 1 {
                break;
            }
            assert!(slice < PATIENCE.as_millis() / 10, "a wake-up was lost");
            thread::park_timeout(Duration::from_millis(10));
        }
    }
}

fn get_slot(dispatcher: &std::rc::Rc<Dispatcher>, wanted: &Wanted, impatient: bool) -> Option<Slot> {
    loop {
        match dispatcher.choose(wanted) {
            Choice::Slot(slot) => return Some(slot),
            Choice::Wait(waiting) if impatient => {
                let _ = waiting.give_up();
                return None;
            }
            Choice::Wait(waiting) => match wait(waiting) {
                Waited::Slot(slot) => return Some(slot),
                Waited::ChooseAgain => {}
            },
            Choice::QueueFull | Choice::NoServer => panic!("there are servers and no limits of queues"),
        }
    }
}

#[test]
fn limits_hold_and_everybody_is_served() {
    const THREADS: u64 = 4;
    const ROUNDS: u32 = 4000;
    const LIMIT: u32 = 2;
    for algorithm in [Algorithm::RoundRobin, Algorithm::LeastConn, Algorithm::Random { draws: 2 }] {
        let servers = (1..=2)
            .map(|id| Arc::new(ServerState::new(ServerSettings { id, maxconn: LIMIT, ..ServerSettings::default() })));
        let redispatch = Some(Redispatch { interval: -1 });
        let settings = FarmSettings { algorithm, redispatch, ..FarmSettings::default() };
        let farm = Farm::new(settings, servers.collect());
        let inside: Arc<[AtomicU32]> = (0..2).map(|_| AtomicU32::new(0)).collect();
        let served: u32 = thread::scope(|scope| {
            let workers: Vec<_> = (0..THREADS)
                .map(|worker| {
                    let (farm, inside) = (Arc::clone(&farm), Arc::clone(&inside));
                    scope.spawn(move || work(&farm, &inside, worker, ROUNDS, LIMIT))
                })
                .collect();
            workers.into_iter().map(|worker| worker.join().unwrap()).sum()
        });
        assert!(served > ROUNDS, "{served}");
        assert_eq!(farm.queued_in_total(), 0);
        assert!(farm.servers().iter().all(|server| server.served() == 0 && server.served_max() <= LIMIT));
    }
}

/// One worker: takes slots, holds several at a time now and then, gives up now and then.
fn work(farm: &Arc<Farm>, inside: &[AtomicU32], worker: u64, rounds: u32, limit: u32) -> u32 {
    let dispatcher = Dispatcher::new(Arc::clone(farm), worker);
    let mut served = 0;
    for round in 0..rounds {
        let server = (round % 3 == 0).then_some((round as usize / 3) % 2);
        let wanted = Wanted { server, ..Wanted::default() };
        let Some(slot) = get_slot(&dispatcher, &wanted, round % 7 == 0) else { continue };
        let here = inside[slot.index()].fetch_add(1, Ordering::SeqCst) + 1;
        assert!(here <= limit, "{here} requests at a server that takes {limit}");
        for _ in 0..round % 50 {
            std::hint::spin_loop();
        }
        if round % 5 == 0 {
            thread::yield_now();
        }
        inside[slot.index()].fetch_sub(1, Ordering::SeqCst);
        served += 1;
    }
    served
}
