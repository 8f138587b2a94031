//! What the kernel says about the host's interfaces.

use crate::packet::Family;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// One interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its index.
    pub index: u32,
    /// Up, with a carrier.
    pub running: bool,
    /// Its own addresses, without those that we put there, in the kernel's order.
    pub addresses: Vec<IpAddr>,
}

/// All interfaces by name.
#[derive(Clone, Debug, Default)]
pub struct Interfaces(BTreeMap<String, Interface>);

impl Interface {
    /// The address that adverts of this family leave from: the first one, link-local for IPv6.
    pub fn source(&self, family: Family) -> Option<IpAddr> {
        self.addresses.iter().copied().find(|address| match (family, address) {
            (Family::Inet, IpAddr::V4(_)) => true,
            (Family::Inet6, IpAddr::V6(v6)) => v6.is_unicast_link_local(),
            (Family::Inet, IpAddr::V6(_)) | (Family::Inet6, IpAddr::V4(_)) => false,
        })
    }
}

impl Interfaces {
    /// By name.
    pub fn get(&self, name: &str) -> Option<&Interface> {
        self.0.get(name)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Interface> {
        self.0.values()
    }

    /// The index of a name.
    pub fn index_of(&self, name: &str) -> Option<u32> {
        self.0.get(name).map(|interface| interface.index)
    }

    /// The name of an index.
    pub fn name_of(&self, index: u32) -> Option<&str> {
        self.0.values().find(|interface| interface.index == index).map(|interface| interface.name.as_str())
    }

    /// Adds or replaces one.
    pub fn insert(&mut self, interface: Interface) {
        self.0.insert(interface.name.clone(), interface);
    }

    /// Removes one.
    pub fn remove(&mut self, name: &str) -> Option<Interface> {
        self.0.remove(name)
    }
}
