//! Virtual interfaces (`use_vmac`): macvlans that are made, adopted, kept and removed.
//!
//! What was found before the first change is put back at the end. An interface that an earlier run left and that is as it
//! should be is adopted with everything on it.

use super::netlink::{Fact, Macvlan, Netlink, Refusal};
use crate::packet::Family;
use crate::vrrp::settings::{VirtualAddress, Vmac};
use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

/// `scope link`
const SCOPE_LINK: u8 = 253;
/// Prefix length of link-local addresses.
const LINK_LOCAL_PREFIX: u8 = 64;

/// The virtual interfaces of this daemon.
#[derive(Debug, Default)]
pub struct Vmacs {
    wanted: Vec<Vmac>,
    /// Interfaces of other people on which addresses must not take others along.
    promoting: Vec<String>,
    /// Settings of the kernel before they were changed, by file.
    saved: BTreeMap<PathBuf, String>,
    /// Interfaces that could not be made, so that it is said once.
    failing: Vec<String>,
}

impl Vmacs {
    /// Says what is to be there. What is not wanted any more is removed; [`Vmacs::keep`] makes what is new.
    pub fn configure(&mut self, netlink: &mut Netlink, wanted: Vec<Vmac>, promoting: Vec<String>) {
        let old = std::mem::replace(&mut self.wanted, wanted);
        for vmac in old.iter().filter(|vmac| !self.wanted.contains(vmac)) {
            remove(netlink, vmac);
        }
        self.promoting = promoting;
        self.failing.clear();
        for name in self.promoting.clone() {
            self.set("ipv4", &name, "promote_secondaries", "1");
        }
    }

    /// Whether an interface is one of them.
    pub fn is_one(&self, name: &str) -> bool {
        self.wanted.iter().any(|vmac| vmac.name == name)
    }

    /// What is to be there.
    pub fn wanted(&self) -> &[Vmac] {
        &self.wanted
    }

    /// Makes what is missing, and puts the right source address on it. True when something was made; what else was found
    /// then is added to the facts.
    pub fn keep(&mut self, netlink: &mut Netlink, facts: &mut Vec<Fact>) -> bool {
        let mut made = false;
        for vmac in self.wanted.clone() {
            if netlink.link(&vmac.base).is_none() {
                continue;
            }
            match self.ensure(netlink, &vmac, facts) {
                Ok(fresh) => {
                    made |= fresh;
                    self.failing.retain(|name| *name != vmac.name);
                }
                // The interface below is just going; that has a line of its own.
                Err(error) if error.errno == libc::ENODEV => {}
                Err(error) if !self.failing.contains(&vmac.name) => {
                    self.failing.push(vmac.name.clone());
                    tracing::error!(
                        "({}): cannot make VMAC interface {} on {}: {error}",
                        vmac.instance,
                        vmac.name,
                        vmac.base
                    );
                }
                Err(_) => {}
            }
        }
        made
    }

    fn ensure(&mut self, netlink: &mut Netlink, vmac: &Vmac, facts: &mut Vec<Fact>) -> Result<bool, Refusal> {
        let base = netlink.link(&vmac.base).map(|link| link.index);
        let known = netlink.link(&vmac.name).cloned();
        match known {
            Some(link) if link.macvlan && link.base == base && link.mac == vmac.mac => {
                match if link.up { Ok(()) } else { netlink.set_up(&vmac.name).map_err(|refusal| taken(refusal, vmac)) }
                {
                    Ok(()) => {
                        keep_source(netlink, vmac);
                        return Ok(!link.up);
                    }
                    // One that is removed is reported as down first.
                    Err(refusal) if refusal.errno == libc::ENODEV => {}
                    Err(refusal) => return Err(refusal),
                }
            }
            Some(link) if !link.macvlan => {
                let text = format!("{} exists and is not a macvlan; name another one after use_vmac", vmac.name);
                return Err(Refusal { errno: libc::EEXIST, text });
            }
            Some(_) => netlink.remove_link(&vmac.name)?,
            None => {}
        }
        let macvlan = Macvlan { name: vmac.name.clone(), base: vmac.base.clone(), mac: vmac.mac, group: vmac.group };
        netlink.add_macvlan(&macvlan)?;
        facts.extend(netlink.resync().map_err(|error| Refusal::of(&error))?);
        self.tune(vmac);
        netlink.set_up(&vmac.name).map_err(|refusal| taken(refusal, vmac))?;
        keep_source(netlink, vmac);
        tracing::info!("({}): Success creating VMAC interface {}", vmac.instance, vmac.name);
        Ok(true)
    }

    /// keepalived's settings: the virtual address is answered for on its own interface only, and from there with its own
    /// hardware address.
    fn tune(&mut self, vmac: &Vmac) {
        // Gone with the interface, so nothing is saved.
        let own = |family, key, value| {
            if let Err(error) = std::fs::write(file(family, &vmac.name, key), value) {
                complain(&file(family, &vmac.name, key), &error);
            }
        };
        // No address of its own: the source of adverts is the interface below.
        own("ipv6", "addr_gen_mode", "1");
        match vmac.family {
            Family::Inet => {
                own("ipv4", "arp_ignore", "1");
                own("ipv4", "accept_local", "1");
                own("ipv4", "rp_filter", "0");
                own("ipv4", "promote_secondaries", "1");
                own("ipv6", "disable_ipv6", "1");
                self.set("ipv4", &vmac.base, "arp_ignore", "1");
                self.set("ipv4", &vmac.base, "arp_filter", "1");
            }
            Family::Inet6 => own("ipv6", "disable_ipv6", "0"),
        }
    }

    /// Sets a value and remembers what it was.
    fn set(&mut self, family: &str, interface: &str, key: &str, value: &str) {
        let path = file(family, interface, key);
        let before = std::fs::read_to_string(&path).map(|text| text.trim().to_owned());
        match before {
            Ok(before) if before == value => {}
            Ok(before) => match std::fs::write(&path, value) {
                Ok(()) => {
                    self.saved.entry(path).or_insert(before);
                }
                Err(error) => complain(&path, &error),
            },
            Err(error) => complain(&path, &error),
        }
    }

    /// Removes all of them, and puts back what was changed.
    pub fn remove_all(&mut self, netlink: &mut Netlink) {
        for vmac in std::mem::take(&mut self.wanted) {
            remove(netlink, &vmac);
        }
        for (path, value) in std::mem::take(&mut self.saved) {
            match std::fs::write(&path, value) {
                // Gone with its interface.
                Err(error) if error.kind() != io::ErrorKind::NotFound => complain(&path, &error),
                Ok(()) | Err(_) => {}
            }
        }
    }
}

/// The kernel's words, and what to do about them, when another interface has the hardware address.
fn taken(refusal: Refusal, vmac: &Vmac) -> Refusal {
    match refusal.errno {
        libc::EADDRINUSE => {
            let text = format!("another interface on {} has its hardware address; remove that one", vmac.base);
            Refusal { text, ..refusal }
        }
        _ => refusal,
    }
}

/// Adverts over IPv6 leave with the link-local address of the interface below, which has to be here too.
fn keep_source(netlink: &mut Netlink, vmac: &Vmac) {
    if vmac.family == Family::Inet {
        return;
    }
    let Some(source) = netlink.addresses(&vmac.base).find(is_link_local) else { return };
    if netlink.has_address(&vmac.name, source) {
        return;
    }
    let mut address = VirtualAddress::new(source, LINK_LOCAL_PREFIX);
    address.scope = Some(SCOPE_LINK);
    // Deprecated: nothing but adverts is to leave from it.
    address.preferred_lifetime = Some(0);
    if let Err(error) = netlink.add(&vmac.name, &address) {
        tracing::error!("({}): cannot add address {source} to {}: {error}", vmac.instance, vmac.name);
    }
}

fn is_link_local(address: &IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local())
}

fn remove(netlink: &mut Netlink, vmac: &Vmac) {
    match netlink.remove_link(&vmac.name) {
        Ok(()) => tracing::info!("({}) Success removing VMAC interface {}", vmac.instance, vmac.name),
        Err(refusal) if refusal.errno == libc::ENODEV => {}
        Err(error) => tracing::error!("({}): cannot remove VMAC interface {}: {error}", vmac.instance, vmac.name),
    }
}

fn file(family: &str, interface: &str, key: &str) -> PathBuf {
    PathBuf::from(format!("/proc/sys/net/{family}/conf/{interface}/{key}"))
}

fn complain(path: &std::path::Path, error: &io::Error) {
    tracing::warn!(
        "cannot set {}: {error}; virtual addresses may be answered for with the wrong MAC address",
        path.display()
    );
}
