//! What the router wants of the kernel, and what the kernel says: addresses, routes, rules, virtual interfaces, the packet
//! filter, gratuitous ARP.

use super::arp_socket::ArpSocket;
use super::netlink::{Fact, Netlink, Refusal};
use super::nftables::{self, Filtered, Firewall};
use super::vmac::Vmacs;
use super::with_cause;
use crate::packet::Family;
use crate::router::event::Object;
use crate::router::{self, Output};
use crate::vrrp::Settings;
use std::collections::{HashMap, HashSet};
use std::io;
use std::net::IpAddr;

/// The connection to the kernel and what of it is ours.
pub struct Kernel {
    netlink: Netlink,
    arp: ArpSocket,
    vmacs: Vmacs,
    firewall: Option<Firewall>,
    settings: router::Firewall,
    filters: (bool, bool),
    /// What was found while the settings were changed; the next survey tells it.
    found: Vec<Fact>,
}

impl Kernel {
    /// Needs a tokio runtime, `CAP_NET_RAW` and `CAP_NET_ADMIN`.
    pub fn open() -> io::Result<Self> {
        Ok(Self {
            netlink: Netlink::open().map_err(|error| with_cause("cannot connect to the kernel's netlink", &error))?,
            arp: ArpSocket::open()
                .map_err(|error| with_cause("cannot open a packet socket, which needs CAP_NET_RAW", &error))?,
            vmacs: Vmacs::default(),
            firewall: None,
            settings: router::Firewall::default(),
            filters: (false, false),
            found: Vec::new(),
        })
    }

    /// Says what the file wants, before the first survey and after each reload; a survey has to follow.
    pub fn configure(&mut self, settings: &router::Settings) -> io::Result<()> {
        let instances = || settings.instances.iter().map(|instance| &instance.vrrp);
        self.netlink.set_virtuals(virtuals(instances()));
        let routes = instances().any(|vrrp| !vrrp.routes.is_empty() || !vrrp.rules.is_empty());
        let statics = settings.statics.iter().any(|known| !matches!(known.object, Object::Address { .. }));
        self.netlink.hear_routes(routes || statics)?;
        let found = self.netlink.resync()?;
        self.found.extend(found);
        let vmacs: Vec<_> = instances().flat_map(|vrrp| vrrp.vmacs.iter().cloned()).collect();
        self.netlink.set_stacked(vmacs.iter().map(|vmac| vmac.name.clone()).collect());
        let promoting = instances().filter(|vrrp| vrrp.promote_secondaries && vrrp.vmacs.is_empty());
        let promoting = promoting.flat_map(devices).collect();
        self.vmacs.configure(&mut self.netlink, vmacs, promoting);
        self.settings = settings.firewall.clone();
        let filtering = || instances().filter(|vrrp| !vrrp.accept && !vrrp.is_owner());
        let filters = |inet6| filtering().any(|vrrp| vrrp.all_addresses().any(|vip| vip.address.is_ipv6() == inet6));
        self.filters = (filters(false), filters(true));
        Ok(())
    }

    /// Everything the kernel knows, as facts. Makes the virtual interfaces first.
    pub fn survey(&mut self) -> io::Result<Vec<Fact>> {
        let mut facts = std::mem::take(&mut self.found);
        facts.extend(self.netlink.resync()?);
        self.vmacs.keep(&mut self.netlink, &mut facts);
        facts.extend(self.netlink.all_interfaces());
        self.keep_firewall();
        Ok(facts)
    }

    /// Waits for what changes; `None` when reports were lost and a survey is due. Cancel safe.
    pub async fn next(&mut self) -> io::Result<Option<Vec<Fact>>> {
        let Some(mut facts) = self.netlink.next().await? else { return Ok(None) };
        if self.vmacs.wanted().is_empty() || facts.is_empty() {
            return Ok(Some(facts));
        }
        // One that somebody removed is made anew before anybody hears of it.
        if self.vmacs.keep(&mut self.netlink, &mut facts) {
            facts.retain(|fact| !matches!(fact, Fact::Interface(known) if self.vmacs.is_one(&known.name)));
            facts.extend(self.netlink.all_interfaces());
        }
        let (vmacs, netlink) = (&self.vmacs, &self.netlink);
        let made_anew = |name: &String| vmacs.is_one(name) && netlink.link(name).is_some();
        facts.retain(|fact| match fact {
            Fact::Gone(name) | Fact::Renamed { from: name, .. } => !made_anew(name),
            Fact::Interface(_) | Fact::Vanished { .. } | Fact::RouteVanished(_) | Fact::RuleVanished(_) => true,
        });
        self.keep_firewall();
        Ok(Some(facts))
    }

    fn keep_firewall(&mut self) {
        let index = |name: &str| self.netlink.link(name).map(|link| link.index);
        let vmacs = self.vmacs.wanted().iter().filter_map(|vmac| {
            let (index, base) = (index(&vmac.name)?, index(&vmac.base)?);
            Some(nftables::Vmac { index, base, inet6: vmac.family == Family::Inet6 })
        });
        let (filters, filters_inet6) = self.filters;
        let wanted = nftables::Wanted { vmacs: vmacs.collect(), filters, filters_inet6 };
        if wanted == nftables::Wanted::default() && self.firewall.is_none() {
            return;
        }
        if self.firewall.is_none() {
            match Firewall::open(self.settings.clone()) {
                Ok(firewall) => self.firewall = Some(firewall),
                Err(error) => tracing::error!("cannot talk to nftables: {error}; no_accept has no effect"),
            }
        }
        if let Some(firewall) = &mut self.firewall
            && let Err(error) = firewall.configure(&self.settings, wanted)
        {
            tracing::error!("cannot make the nftables table {}: {error}; no_accept has no effect", self.settings.table);
        }
    }

    /// Does one thing for the router; what it cannot do it says. A fact comes back where the router waits for one.
    pub fn perform(&mut self, output: &Output) -> Option<router::Input<'static>> {
        match output {
            Output::AddAddress { device, address } => {
                let done = self.netlink.add(device, address);
                say(done, || format!("cannot add address {} to {device}", address.address));
            }
            Output::RemoveAddress { device, address } => {
                let done = self.netlink.remove(device, address);
                say(done, || format!("cannot remove address {} from {device}", address.address));
            }
            Output::AddRoute(route) => say(self.netlink.add_route(route), || format!("cannot add route {route}")),
            Output::RemoveRoute(route) => {
                say(self.netlink.remove_route(route), || format!("cannot remove route {route}"));
            }
            Output::AddRule(rule) => say(self.netlink.add_rule(rule), || format!("cannot add rule {rule}")),
            Output::RemoveRule(rule) => say(self.netlink.remove_rule(rule), || format!("cannot remove rule {rule}")),
            Output::AddStatic(object) => {
                let done = match object {
                    Object::Address { device, address } => self.netlink.add(device, address),
                    Object::Route(route) => self.netlink.add_route(route),
                    Object::Rule(rule) => self.netlink.add_rule(rule),
                };
                let present = done.is_ok();
                say(done, || format!("cannot add static {object}"));
                return Some(router::Input::Static { object: object.clone(), present });
            }
            Output::RemoveStatic(object) => {
                let done = match object {
                    Object::Address { device, address } => self.netlink.remove(device, address),
                    Object::Route(route) => self.netlink.remove_route(route),
                    Object::Rule(rule) => self.netlink.remove_rule(rule),
                };
                say(done, || format!("cannot remove static {object}"));
            }
            Output::Filter { drop, addresses } => self.filter(*drop, addresses),
            Output::Announce { device, address } => self.announce(device, *address),
            Output::Advertise { .. }
            | Output::Notify { .. }
            | Output::RunScript { .. }
            | Output::TerminateScript(_)
            | Output::KillScript(_)
            | Output::Changed { .. }
            | Output::Log(..) => {}
        }
        None
    }

    fn filter(&mut self, drop: bool, addresses: &[(String, IpAddr)]) {
        let filtered = addresses.iter().map(|(device, address)| Filtered {
            address: *address,
            device: device.clone(),
            index: self.netlink.link(device).map_or(0, |link| link.index),
        });
        let filtered = filtered.collect();
        if let Some(firewall) = &mut self.firewall {
            let what = if drop { "drop" } else { "accept" };
            say(firewall.filter(drop, filtered), || format!("cannot {what} packets to virtual addresses"));
        }
    }

    fn announce(&self, device: &str, address: IpAddr) {
        let what = match address {
            IpAddr::V4(_) => "gratuitous ARP",
            IpAddr::V6(_) => "unsolicited Neighbour Advert",
        };
        tracing::debug!("Sending {what} on {device} for {address}");
        let sent = self.netlink.hardware(device).and_then(|(index, mac)| self.arp.announce(index, mac, address));
        if let Err(error) = sent {
            tracing::warn!("Error sending {what} on {device} for {address}: {error}");
        }
    }

    /// Removes the filters; virtual interfaces as well unless they stay, and then what was changed for them is put back.
    pub fn close(&mut self, vmacs_stay: bool) {
        if !vmacs_stay {
            self.vmacs.remove_all(&mut self.netlink);
        }
        if let Some(firewall) = &mut self.firewall {
            say(firewall.remove(), || "cannot remove the nftables table".to_owned());
        }
    }
}

/// Addresses that are nobody's own, by device.
fn virtuals<'a>(instances: impl Iterator<Item = &'a Settings>) -> HashMap<String, HashSet<IpAddr>> {
    let mut virtuals: HashMap<String, HashSet<IpAddr>> = HashMap::new();
    for instance in instances.filter(|vrrp| !vrrp.is_owner()) {
        for vip in instance.all_addresses() {
            let Some(device) = instance.device_of(vip) else { continue };
            virtuals.entry(device.to_owned()).or_default().insert(vip.address);
        }
    }
    virtuals
}

/// The interfaces that the addresses of an instance are on.
fn devices(settings: &Settings) -> Vec<String> {
    let mut devices: Vec<String> =
        settings.all_addresses().filter_map(|vip| settings.device_of(vip)).map(str::to_owned).collect();
    devices.sort();
    devices.dedup();
    devices
}

fn say<T>(done: Result<T, Refusal>, what: impl FnOnce() -> String) {
    if let Err(error) = done {
        tracing::error!("{}: {error}", what());
    }
}
