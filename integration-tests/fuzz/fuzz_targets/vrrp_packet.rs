//! Any bytes as IP packets on the wire of a router with instances of every kind: the header of a raw socket, the search
//! for the instance, validation, election. The router's time goes on, so that its timers and states are in the game.
//!
//! The first octet chooses the instance. What follows is a row of packets, each with two octets in front: what is done to
//! it, and how much time passes before it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::net::IpAddr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use vrrpd::notify;
use vrrpd::packet::auth::Password;
use vrrpd::packet::checksum::Sum;
use vrrpd::packet::{Datagram, Family, Version, ip};
use vrrpd::router::interface::Interface;
use vrrpd::router::{Input, Instance, Outputs, Router, Settings};
use vrrpd::sync_group;
use vrrpd::track::References;
use vrrpd::vrrp::Settings as Vrrp;
use vrrpd::vrrp::settings::{Auth, GROUP_INET, GROUP_INET6, Peer, Transport, VirtualAddress};

const ETH0: u32 = 2;
/// Most octets of one packet: beyond the longest that could be legal.
const PACKET_MAX: usize = 64;
/// A packet can provoke so many outputs of one instance and not more: adverts and the announcement of its address.
const OUTPUTS_MAX: usize = 200;

fn vrrp(name: &str, vrid: u8, version: Version, family: Family) -> Vrrp {
    let mut vrrp = Vrrp::new(name, "eth0", vrid);
    vrrp.version = version;
    vrrp.family = family;
    vrrp.addresses = match family {
        Family::Inet => vec![VirtualAddress::new(IpAddr::from([10, 0, 0, 99]), 24)],
        Family::Inet6 => vec![VirtualAddress::new("fe80::99".parse().expect("an address"), 64)],
    };
    if family == Family::Inet6 {
        vrrp.transport = Transport::Multicast { group: IpAddr::V6(GROUP_INET6), source: None };
    }
    vrrp
}

fn kinds() -> Vec<Settings> {
    let peers = vec![Peer { address: IpAddr::from([10, 0, 0, 2]), min_ttl: Some(64), max_ttl: None }];
    let unicast = Transport::Unicast { source: None, peers, ttl: 255, check_source: true };
    let pass = Auth::Pass(Password::new("1111"));
    let kinds = vec![
        vec![vrrp("v2", 1, Version::V2, Family::Inet)],
        vec![Vrrp { auth: pass, preempt: false, ..vrrp("pass", 2, Version::V2, Family::Inet) }],
        vec![vrrp("v3", 3, Version::V3, Family::Inet)],
        vec![Vrrp { preempt_delay: Duration::from_secs(3), ..vrrp("six", 4, Version::V3, Family::Inet6) }],
        vec![Vrrp { transport: unicast, ..vrrp("unicast", 5, Version::V3, Family::Inet) }],
        vec![Vrrp { priority: 255, ..vrrp("owner", 6, Version::V2, Family::Inet) }],
        vec![vrrp("g1", 7, Version::V2, Family::Inet), vrrp("g2", 8, Version::V3, Family::Inet)],
    ];
    kinds.into_iter().map(settings).collect()
}

fn settings(vrrps: Vec<Vrrp>) -> Settings {
    let members: Vec<String> = vrrps.iter().map(|vrrp| vrrp.name.clone()).collect();
    let instance = |vrrp| Instance { vrrp, notify: notify::Settings::default() };
    let instances: Vec<Instance> = vrrps.into_iter().map(instance).collect();
    let group = vrrpd::router::Group {
        sync: sync_group::Settings { name: "G".to_owned(), members },
        notify: notify::Settings::default(),
        track: References::default(),
    };
    let groups = if instances.len() > 1 { vec![group] } else { Vec::new() };
    Settings { instances, groups, log_unknown_vrids: true, ..Settings::default() }
}

/// Routers of each kind that have just been started, made once; every input begins with a copy.
fn started() -> &'static (Vec<Router>, Instant) {
    static STARTED: OnceLock<(Vec<Router>, Instant)> = OnceLock::new();
    STARTED.get_or_init(|| {
        let now = vrrpd::clock::now();
        let addresses = vec![IpAddr::from([10, 0, 0, 1]), "fe80::1".parse().expect("an address")];
        let interface = Interface { name: "eth0".to_owned(), index: ETH0, running: true, addresses };
        let start = |settings| {
            let mut router = Router::new(settings);
            let mut out = Outputs::new();
            router.handle(now, Input::Interface(interface.clone()), &mut out);
            router.handle(now, Input::Start, &mut out);
            router
        };
        (kinds().into_iter().map(start).collect(), now)
    })
}

/// Puts the right checksum into a message, so that what lies behind that check is reached.
fn mend(message: &mut [u8], source: IpAddr, destination: IpAddr) {
    let Some(sum) = message.get_mut(6..8) else { return };
    sum.fill(0);
    let sum = match message.first().map(|first| first >> 4) {
        Some(3) => Sum::new().with_pseudo_header(source, destination, message.len()).with(message),
        _ => Sum::new().with(message),
    };
    message[6..8].copy_from_slice(&sum.finish().to_be_bytes());
}

fuzz_target!(|bytes: &[u8]| {
    let (routers, start) = started();
    let [which, rest @ ..] = bytes else { return };
    let Some(router) = routers.get(usize::from(*which) % routers.len()) else { return };
    let (mut router, mut now, mut rest) = (router.clone(), *start, rest);
    while let [kind, wait, tail @ ..] = rest {
        let length = usize::from(kind >> 2).min(tail.len()).min(PACKET_MAX);
        let (packet, tail) = tail.split_at(length);
        rest = tail;
        // mostly short, sometimes long enough for every timer
        let wait_ms = if *wait < 224 { u64::from(wait % 32) } else { u64::from(wait - 223) * 128 };
        now += Duration::from_millis(wait_ms);
        let mut out = Outputs::new();
        while router.next_deadline().is_some_and(|due| due <= now) {
            let due = router.next_deadline();
            router.handle(now, Input::Time, &mut out);
            assert!(router.next_deadline() > due, "a timer that does not advance");
        }
        out.clear();
        let mut packet = packet.to_vec();
        let ttl = if wait % 16 == 0 { 64 } else { 255 };
        match kind % 4 {
            // as a raw socket gives it, header and all
            0 => {
                if let Ok(packet) = ip::Packet::new(&packet) {
                    let (source, destination) = (packet.source().into(), packet.destination().into());
                    let (ttl, header_len, message) = (packet.ttl(), packet.header_len(), packet.payload());
                    let datagram = Datagram { source, destination, ttl, header_len, message };
                    router.handle(now, Input::Packet { interface: ETH0, datagram }, &mut out);
                }
            }
            1 => {
                let (source, destination) = ("fe80::2".parse().expect("an address"), IpAddr::V6(GROUP_INET6));
                mend(&mut packet, source, destination);
                let datagram = Datagram { source, destination, ttl, header_len: 0, message: &packet };
                router.handle(now, Input::Packet { interface: ETH0, datagram }, &mut out);
            }
            kind => {
                let source = IpAddr::from([10, 0, 0, 2]);
                let destination = if kind == 2 { IpAddr::V4(GROUP_INET) } else { IpAddr::from([10, 0, 0, 1]) };
                mend(&mut packet, source, destination);
                let datagram = Datagram { source, destination, ttl, header_len: 20, message: &packet };
                router.handle(now, Input::Packet { interface: ETH0, datagram }, &mut out);
            }
        }
        assert!(out.len() <= OUTPUTS_MAX, "{} outputs for one packet", out.len());
        assert!(router.next_deadline().is_none_or(|due| due > now), "a packet made a timer due at once");
    }
});
