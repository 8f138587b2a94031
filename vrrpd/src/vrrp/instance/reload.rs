//! New settings for a running instance: only what differs is touched.

use super::Instance;
use crate::vrrp::event::{Level, Output, Outputs};
use crate::vrrp::garp;
use crate::vrrp::settings::{Settings, VirtualAddress};
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
            self.reload_addresses(&old, out);
            // After a stall nothing leaves before it is known who is master.
            if !self.is_listening() {
                if old.advert_interval != self.settings.advert_interval {
                    self.timers.set(Timer::Advert, now);
                }
                if old.garp.refresh != self.settings.garp.refresh {
                    self.set_refresh(now);
                }
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

    fn reload_addresses(&mut self, old: &Settings, out: &mut Outputs) {
        let kept: Vec<&VirtualAddress> = self.settings.all_addresses().collect();
        for vip in old.all_addresses().filter(|vip| !kept.contains(vip)) {
            let device = old.device_of(vip).unwrap_or_default();
            let (name, VirtualAddress { address, prefix, .. }) = (&self.settings.name, vip);
            let line = format!("({name}) ip address {address}/{prefix} dev {device}, no longer exist");
            out.push(Output::Log(Level::Info, line));
            out.push(Output::RemoveAddress(vip.clone()));
        }
        let known: Vec<&VirtualAddress> = old.all_addresses().collect();
        for vip in self.settings.all_addresses().filter(|vip| !known.contains(vip)) {
            out.push(Output::AddAddress(vip.clone()));
            for round in 0..self.settings.garp.repeat {
                garp::announce(&self.settings, vip, round == 0, out);
            }
        }
    }
}
