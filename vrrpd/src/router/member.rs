//! One running instance: the machine, and its instructions with devices and commands filled in.

use super::{Instance, Output, Outputs};
use crate::vrrp::event::{Link, Tracked};
use crate::vrrp::{self, settings::VirtualAddress};
use crate::{notify, sync_group};
use std::time::Instant;

/// A running instance.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) machine: vrrp::Instance,
    /// Beside it, since most of thousands tell nobody.
    notify: Option<Box<notify::Settings>>,
    pub(super) link: Link,
    pub(super) tracked: Tracked,
}

impl Member {
    pub(super) fn new(instance: Instance) -> Self {
        let machine = vrrp::Instance::new(instance.vrrp);
        let link = Link { up: false, source: None };
        Self { machine, notify: boxed(instance.notify), link, tracked: Tracked::default() }
    }

    /// Who is told of its events.
    pub(super) fn notify(&self) -> &notify::Settings {
        self.notify.as_deref().unwrap_or(notify::Settings::NOBODY)
    }

    /// Gives the machine a fact; whether its state changed.
    pub(super) fn give(&mut self, now: Instant, input: vrrp::Input<'_>, out: &mut Outputs) -> bool {
        let mut instructions = vrrp::Outputs::new();
        self.machine.handle(now, input, &mut instructions);
        self.translate(self.machine.settings(), instructions, out)
    }

    pub(super) fn reload(&mut self, now: Instant, instance: Instance, out: &mut Outputs) {
        let old = self.machine.settings().clone();
        self.notify = boxed(instance.notify);
        let mut instructions = vrrp::Outputs::new();
        self.machine.reload(now, instance.vrrp, &mut instructions);
        self.translate(&old, instructions, out);
    }

    /// As its group sees it.
    pub(super) fn for_group(&self) -> sync_group::Member {
        let machine = &self.machine;
        sync_group::Member {
            phase: machine.phase(),
            faulty: machine.faults().own(),
            held: machine.faults().group,
            ready: machine.is_ready(),
            following: machine.is_following(),
        }
    }

    fn translate(&self, settings: &vrrp::Settings, instructions: vrrp::Outputs, out: &mut Outputs) -> bool {
        let mut changed = false;
        for instruction in instructions {
            let device = |vip: &VirtualAddress| settings.device_of(vip).map(str::to_owned);
            match instruction {
                vrrp::Output::Advertise(advertisement) => {
                    out.push(Output::Advertise {
                        interface: settings.advertise_on().map(str::to_owned),
                        advertisement,
                    });
                }
                vrrp::Output::AddAddress(address) => {
                    let Some(device) = device(&address) else { continue };
                    out.push(Output::AddAddress { device, address });
                }
                vrrp::Output::RemoveAddress(address) => {
                    let Some(device) = device(&address) else { continue };
                    out.push(Output::RemoveAddress { device, address });
                }
                vrrp::Output::AddRoute(route) => out.push(Output::AddRoute(route)),
                vrrp::Output::RemoveRoute(route) => out.push(Output::RemoveRoute(route)),
                vrrp::Output::AddRule(rule) => out.push(Output::AddRule(rule)),
                vrrp::Output::RemoveRule(rule) => out.push(Output::RemoveRule(rule)),
                vrrp::Output::Filter(drop) => {
                    let addresses = settings.all_addresses().filter_map(|vip| Some((device(vip)?, vip.address)));
                    out.push(Output::Filter { drop, addresses: addresses.collect() });
                }
                vrrp::Output::Announce(address) => {
                    let Some(device) = device(&address) else { continue };
                    out.push(Output::Announce { device, address: address.address });
                }
                vrrp::Output::Notify(event, priority) => {
                    let notice = self.notify().notice(event, notify::Subject::Instance, &settings.name, priority);
                    out.push(Output::Notify(notice));
                }
                vrrp::Output::Changed(phase) => {
                    changed = true;
                    out.push(Output::Changed { instance: settings.name.clone(), phase });
                }
                vrrp::Output::Log(level, line) => out.push(Output::Log(level, line)),
            }
        }
        changed
    }
}

fn boxed(notify: notify::Settings) -> Option<Box<notify::Settings>> {
    (notify != *notify::Settings::NOBODY).then(|| Box::new(notify))
}
