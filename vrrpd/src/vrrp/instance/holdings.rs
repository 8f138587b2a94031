//! What a master holds: addresses, routes, rules and the filter in front of them. They come and go together, and what somebody
//! else takes away is put back.

use super::Instance;
use crate::route::{Route, Rule};
use crate::vrrp::event::{Level, Output, Outputs};
use crate::vrrp::garp;
use crate::vrrp::settings::Settings;
use crate::vrrp::state::Phase;
use std::net::IpAddr;

impl Instance {
    /// Whether packets to the addresses are dropped while this node holds them.
    pub(super) fn filters(settings: &Settings) -> bool {
        !settings.accept && !settings.is_owner() && settings.all_addresses().next().is_some()
    }

    pub(super) fn take_holdings(&self, out: &mut Outputs) {
        let Settings { addresses, excluded, routes, rules, .. } = &self.settings;
        if Self::filters(&self.settings) {
            self.log(Level::Detail, "setting firewall drop rule", out);
            out.push(Output::Filter(true));
        }
        for (line, vips) in [("setting VIPs.", addresses), ("setting E-VIPs.", excluded)] {
            if !vips.is_empty() {
                self.log(Level::Detail, line, out);
            }
            out.extend(vips.iter().cloned().map(Output::AddAddress));
        }
        if !routes.is_empty() {
            self.log(Level::Detail, "setting Virtual Routes", out);
            out.extend(routes.iter().cloned().map(Output::AddRoute));
        }
        if !rules.is_empty() {
            self.log(Level::Detail, "setting Virtual Rules", out);
            out.extend(rules.iter().cloned().map(Output::AddRule));
        }
    }

    pub(super) fn drop_holdings(&self, out: &mut Outputs) {
        let Settings { addresses, excluded, routes, rules, .. } = &self.settings;
        if !rules.is_empty() {
            self.log(Level::Detail, "removing Virtual Rules", out);
            out.extend(rules.iter().cloned().map(Output::RemoveRule));
        }
        if !routes.is_empty() {
            self.log(Level::Detail, "removing Virtual Routes", out);
            out.extend(routes.iter().cloned().map(Output::RemoveRoute));
        }
        for (line, vips) in [("removing VIPs.", addresses), ("removing E-VIPs.", excluded)] {
            if !vips.is_empty() {
                self.log(Level::Detail, line, out);
            }
            out.extend(vips.iter().cloned().map(Output::RemoveAddress));
        }
        if Self::filters(&self.settings) {
            self.log(Level::Detail, "removing firewall drop rule", out);
            out.push(Output::Filter(false));
        }
    }

    /// An address that somebody else removed belongs here as long as we are master.
    pub(super) fn put_back(&self, address: IpAddr, out: &mut Outputs) {
        if self.phase() != Phase::Master {
            return;
        }
        let vanished = self.settings.all_addresses().filter(|vip| vip.address == address && !vip.flags.no_track);
        for vip in vanished {
            let device = self.settings.device_of(vip).unwrap_or_default();
            let line = format!("Netlink reflector reports IP {address} removed from {device}, putting it back");
            out.push(Output::Log(Level::Warning, format!("({}) {line}", self.settings.name)));
            out.push(Output::AddAddress(vip.clone()));
            if !self.is_listening() {
                garp::announce(&self.settings, vip, true, out);
            }
        }
    }

    pub(super) fn put_route_back(&self, route: &Route, out: &mut Outputs) {
        if self.phase() == Phase::Master && route.track && self.settings.routes.contains(route) {
            self.log(Level::Warning, &format!("virtual route {route} was removed, putting it back"), out);
            out.push(Output::AddRoute(route.clone()));
        }
    }

    pub(super) fn put_rule_back(&self, rule: &Rule, out: &mut Outputs) {
        if self.phase() == Phase::Master && rule.track && self.settings.rules.contains(rule) {
            self.log(Level::Warning, &format!("virtual rule {rule} was removed, putting it back"), out);
            out.push(Output::AddRule(rule.clone()));
        }
    }

    /// New settings of a master: only what differs is touched.
    pub(super) fn reload_holdings(&self, old: &Settings, out: &mut Outputs) {
        self.reload_routes(old, out);
        let new = &self.settings;
        let kept: Vec<_> = new.all_addresses().map(|vip| (new.device_of(vip), vip)).collect();
        for vip in old.all_addresses().filter(|vip| !kept.contains(&(old.device_of(vip), vip))) {
            let device = old.device_of(vip).unwrap_or_default();
            let (address, prefix) = (vip.address, vip.prefix);
            let line = format!("({}) ip address {address}/{prefix} dev {device}, no longer exist", new.name);
            out.push(Output::Log(Level::Info, line));
            out.push(Output::RemoveAddress(vip.clone()));
        }
        let known: Vec<_> = old.all_addresses().map(|vip| (old.device_of(vip), vip)).collect();
        for vip in new.all_addresses().filter(|vip| !known.contains(&(new.device_of(vip), vip))) {
            out.push(Output::AddAddress(vip.clone()));
            for round in 0..new.garp.repeat {
                garp::announce(new, vip, round == 0, out);
            }
        }
    }

    fn reload_routes(&self, old: &Settings, out: &mut Outputs) {
        let new = &self.settings;
        let lost = |line: String| Output::Log(Level::Info, format!("({}) {line}, no longer exist", new.name));
        for rule in old.rules.iter().filter(|rule| !new.rules.contains(rule)) {
            out.extend([lost(format!("rule {rule}")), Output::RemoveRule(rule.clone())]);
        }
        for route in old.routes.iter().filter(|route| !new.routes.contains(route)) {
            out.extend([lost(format!("route {route}")), Output::RemoveRoute(route.clone())]);
        }
        out.extend(new.routes.iter().filter(|route| !old.routes.contains(route)).cloned().map(Output::AddRoute));
        out.extend(new.rules.iter().filter(|rule| !old.rules.contains(rule)).cloned().map(Output::AddRule));
    }
}
