//! What the passing of time does to an instance, and what it does about time that passed without it.

use super::Instance;
use crate::vrrp::event::{Level, Outputs};
use crate::vrrp::state::State;
use crate::vrrp::timer::Timer;
use std::time::{Duration, Instant};

impl Instance {
    pub(super) fn run_timers(&mut self, now: Instant, out: &mut Outputs) {
        while let Some((timer, due)) = self.timers.take_expired(now) {
            match timer {
                Timer::Startup => self.leave_init(now, out),
                Timer::MasterDown => self.master_down(now, due, out),
                Timer::PreemptDelay => {
                    if let State::Backup { master, delay_over } = &mut self.state {
                        *delay_over = true;
                        let master = *master;
                        self.timers.set(Timer::MasterDown, now + self.skew(self.interval_of(master)));
                    }
                }
                Timer::Advert => {
                    self.send(self.effective_priority(), out);
                    // From when it was due: the cadence must not drift with the load of the host.
                    let interval = self.settings.advert_interval;
                    let next = if now.saturating_duration_since(due) < interval { due } else { now };
                    self.timers.set(Timer::Advert, next + interval);
                }
                Timer::GarpSecond => self.announce(now, self.settings.garp.repeat, out),
                Timer::GarpLowerPrio => self.announce(now, self.settings.garp.lower_prio_repeat, out),
                Timer::GarpRefresh => {
                    self.announce(now, self.settings.garp.refresh_repeat, out);
                    self.set_refresh(now);
                }
                Timer::GarpNext => self.announcer.proceed(now, &self.settings, &mut self.timers, out),
            }
        }
    }

    /// Nothing was heard for so long. A timer that is itself late says nothing about the master: while we were not
    /// scheduled its adverts may have come and gone, so it gets its time once more.
    fn master_down(&mut self, now: Instant, due: Instant, out: &mut Outputs) {
        let State::Backup { master, .. } = self.state else { return };
        let late = now.saturating_duration_since(due);
        if late > self.interval_of(master) {
            self.log_late(late, out);
            self.restart_master_down(now);
            return;
        }
        self.log(Level::Detail, "Receive advertisement timeout", out);
        self.become_master(now, out);
    }

    /// A master whose own advert is overdue for so long that a peer must have missed it is no longer the master,
    /// whatever comes next: it listens first. The address owner has nobody to listen to.
    pub(super) fn step_down_after_stall(&mut self, now: Instant, out: &mut Outputs) {
        let State::Master = self.state else { return };
        let Some(due) = self.timers.get(Timer::Advert) else { return };
        let late = now.saturating_duration_since(due);
        let interval = self.settings.advert_interval;
        let missed = interval * u32::from(self.settings.down_timer_adverts.saturating_sub(1).max(1));
        if late <= missed || self.settings.is_owner() {
            return;
        }
        self.log_late(late, out);
        self.log(Level::Info, "Entering BACKUP STATE", out);
        self.remove_addresses(out);
        self.enter_backup(now, None, out);
    }

    fn log_late(&self, late: Duration, out: &mut Outputs) {
        let line = format!("A thread timer expired {:.6} seconds ago", late.as_secs_f64());
        self.log(Level::Warning, &line, out);
    }
}
