//! What the passing of time does to an instance, and what it does about time that passed without it.

use super::Instance;
use crate::vrrp::event::{Level, Outputs};
use crate::vrrp::garp;
use crate::vrrp::state::State;
use crate::vrrp::timer::{Timer, skew_time};
use std::time::{Duration, Instant};

/// Best priority that another node can have, of whom nothing else is known.
const PRIORITY_BEST: u8 = 254;

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
                // Stalled again while listening: whoever sent meanwhile may not have been heard.
                Timer::Listen if now.saturating_duration_since(due) > self.settings.advert_interval => {
                    self.timers.set(Timer::Listen, now + self.listening_time());
                }
                Timer::Listen => self.go_on_as_master(now, out),
                Timer::GarpSecond => self.announce(self.settings.garp.repeat, out),
                Timer::GarpLowerPrio => self.announce(self.settings.garp.lower_prio_repeat, out),
                Timer::GarpRefresh => {
                    self.announce(self.settings.garp.refresh_repeat, out);
                    self.set_refresh(now);
                }
                Timer::GarpExtra => {
                    garp::announce_extra(&self.settings, out);
                    self.set_extra(now);
                }
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
        if !self.grouped {
            self.become_master(now, out);
        }
    }

    /// A master whose own advert is overdue for so long that a peer may have missed three of them does not know whether
    /// it still is the master. It keeps the addresses, so that nothing is lost where nobody took over, but says nothing
    /// and listens: whoever took over is heard within one interval (see [`Instance::heard_while_listening`]), and what
    /// arrived during the stall is looked at first, since packets are taken before timers. The address owner has nobody
    /// to listen to: the addresses are its own.
    pub(super) fn notice_stall(&mut self, now: Instant, out: &mut Outputs) {
        let State::Master = self.state else { return };
        let Some(due) = self.timers.get(Timer::Advert) else { return };
        let late = now.saturating_duration_since(due);
        if late <= self.tolerated_lateness() {
            return;
        }
        self.log_late(late, out);
        if self.settings.is_owner() {
            // Somebody may have told the neighbours otherwise meanwhile.
            self.go_on_as_master(now, out);
        } else if self.settings.timer_expired_backup.is_some() && !self.settings.preempt {
            self.log(Level::Info, "Entering BACKUP STATE", out);
            self.drop_holdings(out);
            self.enter_backup(now, None, out);
        } else {
            self.timers.clear_all();
            self.timers.set(Timer::Listen, now + self.listening_time());
        }
    }

    /// How late an advert may be before a peer can have taken over: it waits for so many intervals, of which one is
    /// regular, and then for its skew.
    fn tolerated_lateness(&self) -> Duration {
        let interval = self.settings.advert_interval;
        let peer = self.settings.timer_expired_backup.unwrap_or(PRIORITY_BEST);
        interval * u32::from(self.settings.down_timer_adverts.saturating_sub(1).max(1))
            + skew_time(self.settings.version, peer, interval)
    }

    /// One interval, in which every master is heard, and a quarter for the way.
    fn listening_time(&self) -> Duration {
        self.settings.advert_interval * 5 / 4
    }

    /// Nobody took over during a stall, or nobody who may.
    fn go_on_as_master(&mut self, now: Instant, out: &mut Outputs) {
        self.log(Level::Info, "nobody else became master meanwhile, going on as MASTER", out);
        self.advertise(now, out);
        self.announce_mastership(now, out);
    }

    fn log_late(&self, late: Duration, out: &mut Outputs) {
        let line = format!("A thread timer expired {:.6} seconds ago", late.as_secs_f64());
        self.log(Level::Warning, &line, out);
    }
}
