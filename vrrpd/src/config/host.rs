//! What a configuration may ask about the host: names of users, groups, interfaces, and of the host itself.

use super::model::User;

/// The host as the lowering sees it; tests have one of their own.
pub trait Host {
    /// The host's name.
    fn name(&self) -> String;
    /// A user by name or number, with the user's group.
    fn user(&self, name: &str) -> Option<User>;
    /// A group by name or number.
    fn group(&self, name: &str) -> Option<u32>;
    /// Whether there is such a network interface now.
    fn has_interface(&self, name: &str) -> bool;
    /// The largest packet of an interface, in octets; `None` where that is not known.
    fn mtu(&self, name: &str) -> Option<usize>;
    /// The number of a routing table, protocol or scope by its name in `/etc/iproute2`.
    fn routing_name(&self, kind: RoutingNames, name: &str) -> Option<u32>;
    /// A random number in a range, for `${_RANDOM}`.
    fn random(&mut self, range: std::ops::RangeInclusive<u32>) -> u32;
}

/// The name spaces of iproute2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoutingNames {
    /// `rt_tables`
    Tables,
    /// `rt_protos`
    Protocols,
    /// `rt_scopes`
    Scopes,
    /// `rt_dsfield`
    TypesOfService,
    /// `rt_realms`
    Realms,
    /// `group`
    Groups,
    /// `/etc/protocols`, which is not iproute2's, and has the name first.
    IpProtocols,
}

/// The host that the program runs on.
#[derive(Debug)]
pub struct ThisHost {
    seed: u64,
}

impl ThisHost {
    /// `seed` is what random numbers begin with.
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }
}

/// The user that runs scripts where none is named, if it exists.
pub(super) const SCRIPT_USER: &str = "keepalived_script";

impl Host for ThisHost {
    fn name(&self) -> String {
        let name = nix::sys::utsname::uname().map(|names| names.nodename().to_string_lossy().into_owned());
        name.unwrap_or_default()
    }

    fn user(&self, name: &str) -> Option<User> {
        let by_name = nix::unistd::User::from_name(name).ok().flatten();
        let user = by_name.or_else(|| {
            let uid = name.parse().ok()?;
            nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid)).ok().flatten()
        })?;
        Some(User { uid: user.uid.as_raw(), gid: user.gid.as_raw() })
    }

    fn group(&self, name: &str) -> Option<u32> {
        let by_name = nix::unistd::Group::from_name(name).ok().flatten();
        by_name.map(|group| group.gid.as_raw()).or_else(|| name.parse().ok())
    }

    fn has_interface(&self, name: &str) -> bool {
        // Interfaces are directories here, also in a network namespace of its own; a name with a slash is none.
        !name.contains('/') && nix::net::if_::if_nametoindex(name).is_ok()
    }

    fn mtu(&self, name: &str) -> Option<usize> {
        // As above; unlike /sys, this is that of the process's own namespace.
        let path = format!("/proc/sys/net/ipv6/conf/{name}/mtu");
        std::fs::read_to_string(path).ok().filter(|_| !name.contains('/'))?.trim().parse().ok()
    }

    fn routing_name(&self, kind: RoutingNames, name: &str) -> Option<u32> {
        let file = match kind {
            RoutingNames::Tables => "rt_tables",
            RoutingNames::Protocols => "rt_protos",
            RoutingNames::Scopes => "rt_scopes",
            RoutingNames::TypesOfService => "rt_dsfield",
            RoutingNames::Realms => "rt_realms",
            RoutingNames::Groups => "group",
            RoutingNames::IpProtocols => return ip_protocol(name),
        };
        let directories = ["/etc/iproute2", "/usr/share/iproute2", "/usr/lib/iproute2"];
        directories.iter().find_map(|directory| {
            let text = std::fs::read_to_string(format!("{directory}/{file}")).ok()?;
            text.lines().find_map(|line| {
                let mut words = line.split_whitespace();
                let number = words.next().filter(|number| !number.starts_with('#'))?;
                (words.next() == Some(name)).then_some(())?;
                number.strip_prefix("0x").map_or_else(|| number.parse().ok(), |hex| u32::from_str_radix(hex, 16).ok())
            })
        })
    }

    /// A xorshift: chosen once per reload, for spreading loads, not for secrets.
    fn random(&mut self, range: std::ops::RangeInclusive<u32>) -> u32 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        let width = u64::from(*range.end() - *range.start()) + 1;
        let offset = u32::try_from((self.seed >> 11) % width).unwrap_or(0);
        *range.start() + offset
    }
}

/// A number of `/etc/protocols`, or one of the three that are there without the file.
fn ip_protocol(name: &str) -> Option<u32> {
    let name = name.to_ascii_lowercase();
    let listed = std::fs::read_to_string("/etc/protocols").ok().and_then(|text| {
        text.lines().find_map(|line| {
            let mut words = line.split('#').next()?.split_whitespace();
            (words.next() == Some(name.as_str())).then_some(())?;
            words.next()?.parse().ok()
        })
    });
    listed.or(match name.as_str() {
        "icmp" => Some(1),
        "tcp" => Some(6),
        "udp" => Some(17),
        _ => None,
    })
}
