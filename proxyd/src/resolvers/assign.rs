//! Which server gets what of an answer.

use std::net::IpAddr;

use super::Choice;
use super::message::{Kind, Name, Service};

/// A server that is found by a name, as far as choosing its address goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its address now.
    pub current: Option<IpAddr>,
    /// How it chooses.
    pub choice: Choice,
    /// Servers of one group, a backend, do not share an address.
    pub group: usize,
}

/// The address of each server; `None` where none is left for it. A server keeps the one it has unless another one is preferred.
pub fn addresses(known: &[IpAddr], clients: &[Client]) -> Vec<Option<IpAddr>> {
    let mut chosen: Vec<Option<IpAddr>> = clients.iter().map(|client| client.current).collect();
    for (rank, client) in clients.iter().enumerate() {
        let taken = |ip: IpAddr| {
            let mut others = clients.iter().zip(&chosen).enumerate();
            others.any(|(other, (them, theirs))| {
                other != rank && !them.choice.shares && them.group == client.group && *theirs == Some(ip)
            })
        };
        let score = |ip: IpAddr| {
            let family = match client.choice.prefer {
                Kind::A => ip.is_ipv4(),
                Kind::Aaaa | Kind::Srv => ip.is_ipv6(),
            };
            let near = client.choice.networks.iter().any(|network| network.contains(ip));
            [(family, 4), (near, 2), (client.current == Some(ip), 1)].iter().filter(|(is, _)| *is).map(|(_, n)| n).sum()
        };
        let mut best: Option<(u8, IpAddr)> = None;
        for &ip in known {
            let score = score(ip);
            if best.is_none_or(|(highest, _)| score > highest) && (client.choice.shares || !taken(ip)) {
                best = Some((score, ip));
            }
        }
        if let Some(place) = chosen.get_mut(rank) {
            *place = best.map(|(_, ip)| ip);
        }
    }
    chosen
}

/// A server that serves a host of a service: the host and the port it has now, if it has any.
pub type Slot = Option<(Name, u16)>;

/// What each server of a service is to serve. Who serves a host that is still there goes on; hosts that are new go to servers
/// that were free before, then to those that have just become so.
pub fn services(known: &[Service], slots: &[Slot]) -> Vec<Option<Service>> {
    let serves = |slot: &Slot, service: &Service| {
        slot.as_ref().is_some_and(|(host, port)| *host == service.host && *port == service.port)
    };
    let mut left: Vec<&Service> = known.iter().collect();
    let mut chosen: Vec<Option<Service>> = Vec::with_capacity(slots.len());
    for slot in slots {
        let at = left.iter().position(|service| serves(slot, service));
        chosen.push(at.map(|at| left.remove(at).clone()));
    }
    let mut left = left.into_iter();
    for was_free in [true, false] {
        for (slot, place) in slots.iter().zip(&mut chosen) {
            if slot.is_none() == was_free && place.is_none() {
                *place = left.next().cloned();
            }
        }
    }
    chosen
}

/// The weight that a record's share means: 65536 shares on 256 weights, and nothing only for nothing.
pub fn weight(share: u16) -> u32 {
    u32::from(share).div_ceil(256)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ips(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn client(current: Option<&str>, choice: &Choice) -> Client {
        Client { current: current.map(|ip| ip.parse().unwrap()), choice: choice.clone(), group: 0 }
    }

    fn shown(chosen: Vec<Option<IpAddr>>) -> Vec<String> {
        chosen.into_iter().map(|ip| ip.map_or_else(|| "-".to_owned(), |ip| ip.to_string())).collect()
    }

    #[test]
    fn servers_of_one_name_have_addresses_of_their_own() {
        let four = Choice { prefer: Kind::A, ..Choice::default() };
        let shares = Choice { shares: true, ..four.clone() };
        let near = Choice {
            networks: vec![super::super::Network { address: "10.2.0.0".parse().unwrap(), bits: 16 }],
            ..four.clone()
        };
        let known = ips(&["10.1.0.1", "10.2.0.1"]);
        for (clients, expected) in [
            (vec![client(None, &four), client(None, &four), client(None, &four)], vec!["10.1.0.1", "10.2.0.1", "-"]),
            (vec![client(None, &four), client(Some("10.1.0.1"), &four)], vec!["10.2.0.1", "10.1.0.1"]),
            (vec![client(Some("10.9.0.1"), &four), client(Some("10.9.0.2"), &four)], vec!["10.1.0.1", "10.2.0.1"]),
            (vec![client(None, &shares), client(None, &shares)], vec!["10.1.0.1", "10.1.0.1"]),
            (vec![client(Some("10.1.0.1"), &shares), client(None, &four)], vec!["10.1.0.1", "10.1.0.1"]),
            (vec![client(Some("10.1.0.1"), &near)], vec!["10.2.0.1"]),
            (vec![client(Some("10.2.0.1"), &four)], vec!["10.2.0.1"]),
        ] {
            assert_eq!(shown(addresses(&known, &clients)), expected, "{clients:?}");
        }
        let apart = [client(None, &four), Client { group: 1, ..client(None, &four) }];
        assert_eq!(shown(addresses(&known, &apart)), ["10.1.0.1", "10.1.0.1"]);
    }

    #[test]
    fn a_service_keeps_its_servers_and_new_hosts_go_to_free_ones() {
        let service = |host: &str, port| Service { host: Name::new(host).unwrap(), port, weight: 1 };
        let slot = |host: &str, port| Some((Name::new(host).unwrap(), port));
        let known = [service("a.x", 1), service("b.x", 2)];
        let names = |slots: &[Slot]| -> Vec<String> {
            let chosen = services(&known, slots).into_iter();
            chosen.map(|service| service.map_or_else(|| "-".to_owned(), |service| service.host.to_string())).collect()
        };
        assert_eq!(names(&[None, None, None]), ["a.x", "b.x", "-"]);
        assert_eq!(names(&[slot("b.x", 2), None]), ["b.x", "a.x"]);
        assert_eq!(names(&[slot("a.x", 9), slot("b.x", 2), None]), ["-", "b.x", "a.x"]);
        assert_eq!(names(&[slot("a.x", 9), slot("b.x", 2)]), ["a.x", "b.x"]);
        assert_eq!(names(&[slot("c.x", 1)]), ["a.x"]);
    }

    #[test]
    fn weights_are_haproxys() {
        let weights = [0, 1, 10, 256, 300, 512, 600, 1000, 65_535].map(weight);
        assert_eq!(weights, [0, 1, 1, 1, 2, 2, 3, 4, 256]);
    }
}
