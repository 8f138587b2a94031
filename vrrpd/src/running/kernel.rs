//! What of the model concerns the kernel rather than the protocol: static objects, the pace of announcements, the packet
//! filter, and the names of virtual interfaces.

use super::address;
use crate::config::model::{Global, Instance, InstanceId, Model};
use crate::packet::Family;
use crate::packet::arp::Mac;
use crate::router::event::Object;
use crate::router::settle::Delay;
use crate::router::statics::Static;
use crate::router::{self, pace};
use crate::vrrp::Settings;
use crate::vrrp::settings::Vmac;
use std::collections::{BTreeMap, HashSet};

/// Fills in what the router and its driver need beside the instances.
pub(super) fn complete(model: &Model, settings: &mut router::Settings) {
    let global = &model.global;
    settings.statics = statics(model);
    settings.pace = pace::Settings {
        garp: global.garp_interval,
        gna: global.gna_interval,
        groups: model
            .garp_groups
            .iter()
            .map(|group| pace::Group {
                interfaces: group.interfaces.clone(),
                garp: group.garp_interval,
                gna: group.gna_interval,
            })
            .collect(),
    };
    settings.interface_delays = model
        .interface_delays
        .iter()
        .map(|line| (line.interface.clone(), Delay { down: line.down, up: line.up }))
        .collect::<BTreeMap<_, _>>();
    let firewall = &global.firewall;
    settings.firewall = router::Firewall {
        table: firewall.table.clone(),
        priority: firewall.priority,
        counters: firewall.counters,
        by_interface_index: firewall.by_interface_index,
    };
    let mut names = Names::new(model);
    for (instance, running) in model.instances.iter().zip(&mut settings.instances) {
        vmacs(global, instance, &mut running.vrrp, &mut names);
    }
}

fn statics(model: &Model) -> Vec<Static> {
    let names = |track: &[InstanceId]| track.iter().map(|id| model.instances[id.0].name.clone()).collect();
    let addresses = model.static_addresses.iter().map(|line| Static {
        object: Object::Address {
            // The lowering has put `default_interface` where a line names none.
            device: line.address.interface.clone().unwrap_or_default(),
            address: address(&line.address),
        },
        track: names(&line.track),
    });
    let routes = model
        .static_routes
        .iter()
        .map(|line| Static { object: Object::Route(line.route.clone()), track: names(&line.track) });
    let rules = model
        .static_rules
        .iter()
        .map(|line| Static { object: Object::Rule(line.rule.clone()), track: names(&line.track) });
    addresses.chain(routes).chain(rules).collect()
}

/// Names of virtual interfaces that are taken.
struct Names(HashSet<String>);

impl Names {
    /// The file's own names come first: no generated one may take them.
    fn new(model: &Model) -> Self {
        let named = model.instances.iter().filter_map(|instance| instance.vmac.as_ref()?.name.clone());
        Self(named.collect())
    }

    /// keepalived's: `vrrp.51`, for IPv6 then `vrrp6.51`, then `vrrp1.51` and on.
    fn make(&mut self, prefix: &str, vrid: u8, family: Family) -> String {
        let six = (family == Family::Inet6).then(|| format!("{prefix}6.{vrid}"));
        let counted = (1..).map(|count: u32| format!("{prefix}{count}.{vrid}"));
        let mut candidates = std::iter::once(format!("{prefix}.{vrid}")).chain(six).chain(counted);
        let found = candidates.find(|name| !self.0.contains(name)).unwrap_or_default();
        self.0.insert(found.clone());
        found
    }
}

/// RFC 9568 section 7.3
fn mac(vrid: u8, family: Family) -> Mac {
    let family = match family {
        Family::Inet => 1,
        Family::Inet6 => 2,
    };
    [0, 0, 0x5e, 0, family, vrid]
}

/// The virtual interfaces of an instance, and which of its addresses go there.
fn vmacs(global: &Global, instance: &Instance, settings: &mut Settings, names: &mut Names) {
    let Some(interface) = instance.interface.clone() else { return };
    let (vrid, name) = (instance.vrid, &instance.name);
    if let Some(own) = &instance.vmac {
        let vmac = Vmac {
            instance: name.clone(),
            name: own.name.clone().unwrap_or_else(|| names.make(&global.vmac_prefix, vrid, instance.family)),
            base: interface.clone(),
            mac: own.mac.unwrap_or_else(|| mac(vrid, instance.family)),
            family: instance.family,
            group: own.group,
        };
        settings.vmac = Some(vmac.name.clone());
        settings.xmit_base = own.xmit_base;
        settings.vmacs.push(vmac);
    }
    let listed = instance.addresses.iter().chain(&instance.excluded_addresses);
    let running = settings.addresses.iter_mut().chain(&mut settings.excluded);
    for (line, address) in listed.zip(running) {
        let family = Family::of(address.address);
        let base = address.device.clone().unwrap_or_else(|| interface.clone());
        let elsewhere = base != interface || family != instance.family;
        if !elsewhere && instance.vmac.is_some() {
            // The instance's own, whether the line names the interface or not.
            address.device = None;
        } else if line.vmac || (instance.vmac_addresses && elsewhere) {
            let known = settings.vmacs.iter().find(|vmac| vmac.base == base && vmac.family == family);
            let device = known.map(|vmac| vmac.name.clone());
            let device = device.unwrap_or_else(|| {
                let prefix = global.vmac_addr_prefix.as_ref().unwrap_or(&global.vmac_prefix);
                let made = names.make(prefix, vrid, family);
                let (instance, mac) = (name.clone(), mac(vrid, family));
                settings.vmacs.push(Vmac { instance, name: made.clone(), base, mac, family, group: None });
                made
            });
            address.device = Some(device);
        } else if elsewhere {
            address.device = Some(base);
        }
    }
}
