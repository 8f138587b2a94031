//! `slowstart`: a server that comes back gets its weight and its limit little by little.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::{JoinHandle, spawn_local};
use tokio::time::sleep;

use super::Plan;
use crate::balance::farm::Farm;
use crate::balance::server_state::{Running, ServerState};
use crate::clock;
use crate::health::ramp;

/// Steps in which a slow start goes.
const STEPS: u32 = 20;
/// No step is shorter.
const STEP_MIN: Duration = Duration::from_millis(10);

/// The slow start of one server, if one is under way.
#[derive(Debug, Default)]
pub(super) struct Ramp {
    task: Option<JoinHandle<()>>,
}

impl Drop for Ramp {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Ramp {
    fn stop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }

    fn climb(&mut self, farm: Arc<Farm>, index: usize, slowstart: Duration, since: Instant) {
        self.stop();
        self.task = Some(spawn_local(async move {
            let mut percent = 1;
            while percent < 100 {
                sleep((slowstart / STEPS).max(STEP_MIN)).await;
                percent = ramp(clock::now() - since, slowstart);
                farm.set_ramp(index, percent);
            }
        }));
    }

    /// A server that was climbing when its configuration was read again goes on, or is there where it need not climb any more.
    pub(super) fn resume(&mut self, plan: &Plan, server: &ServerState) {
        if server.running() == Running::Down || server.ramp() >= 100 {
            return;
        }
        let (farm, index) = (Arc::clone(&plan.member.farm), plan.member.index);
        match plan.slowstart {
            Some(slowstart) => {
                let since = clock::now().checked_sub(slowstart * server.ramp() / 100).unwrap_or_else(clock::now);
                self.climb(farm, index, slowstart, since);
            }
            None => _ = farm.set_ramp(index, 100),
        }
    }

    /// A server that goes down will begin with next to nothing; one that comes up begins to climb.
    pub(super) fn follow(&mut self, plan: &Plan, before: Running, after: Running) {
        let Some(slowstart) = plan.slowstart.filter(|_| before != after) else { return };
        let (farm, index) = (Arc::clone(&plan.member.farm), plan.member.index);
        match (before, after) {
            (_, Running::Down) => {
                self.stop();
                farm.set_ramp(index, 1);
            }
            (Running::Down, Running::Up | Running::Stopping) => self.climb(farm, index, slowstart, clock::now()),
            (Running::Up | Running::Stopping, Running::Up | Running::Stopping) => {}
        }
    }
}
