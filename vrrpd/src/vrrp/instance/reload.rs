//! New settings for a running instance: only what differs is touched.

use super::Instance;
use crate::vrrp::event::Outputs;
use crate::vrrp::settings::Settings;
use crate::vrrp::state::{Phase, State};
use crate::vrrp::timer::Timer;
use std::time::Instant;

impl Instance {
    /// Takes new settings for the same virtual router: a master stays master, and only what differs is touched.
    pub fn reload(&mut self, now: Instant, settings: Settings, out: &mut Outputs) {
        let before = self.effective_priority();
        let old = std::mem::replace(&mut self.settings, settings);
        if self.effective_priority() != before {
            self.log_priority(before, out);
        }
        if self.phase() == Phase::Master {
            self.reload_holdings(&old, out);
            // After a stall nothing leaves before it is known who is master.
            if !self.is_listening() {
                if old.advert_interval != self.settings.advert_interval {
                    self.timers.set(Timer::Advert, now);
                }
                if old.garp.refresh != self.settings.garp.refresh {
                    self.set_refresh(now);
                }
            }
            if old.garp.extra != self.settings.garp.extra {
                self.set_extra(now);
            }
        } else if matches!(self.state, State::Backup { .. })
            && (old.advert_interval != self.settings.advert_interval
                || old.priority != self.settings.priority
                || old.down_timer_adverts != self.settings.down_timer_adverts)
        {
            self.restart_master_down(now);
        }
        // Peers or an authentication that were missing may be there now, or the reverse.
        if self.started {
            self.apply_faults(now, out);
        }
    }
}
