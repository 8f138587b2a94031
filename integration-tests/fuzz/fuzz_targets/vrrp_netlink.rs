//! Any bytes as a datagram of netlink: what the kernel reports about links, addresses, routes and rules, and what it
//! answers to requests.
//!
//! Bytes alone rarely make a frame whose lengths are right. So of every two inputs one is a recipe: frames of the types
//! that are read, with attributes that are whole, nested ones among them. What is read then is held against the frames
//! read one by one.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vrrpd::io::netlink::frame::{Answer, HEADER, align, attribute, attributes, frames};
use vrrpd::io::netlink::report::{self, reports};

/// Types of messages with the octets of their header (`linux/rtnetlink.h`), and those that answer requests.
const KINDS: [(u16, usize); 12] =
    [(16, 16), (17, 16), (20, 8), (21, 8), (24, 12), (25, 12), (32, 12), (33, 12), (2, 4), (2, 20), (3, 4), (99, 0)];
/// Families that stand first in every header: unspecified, IPv4, bridge, IPv6.
const FAMILIES: [u8; 4] = [0, 2, 7, 10];
/// `NLM_F_CAPPED` and `NLM_F_ACK_TLVS`
const FLAGS: [u16; 4] = [0, 0x100, 0x200, 0x300];

/// Reads octets until there are no more, then zeros.
struct Octets<'a>(&'a [u8]);

impl Octets<'_> {
    fn next(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next()).collect()
    }
}

/// Attributes of up to 31 octets, where the next octet says how many there are.
fn some_attributes(octets: &mut Octets<'_>, depth: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..octets.next() % 8 {
        let (kind, form) = (octets.next(), octets.next());
        let value = match form >> 5 {
            0 if depth < 3 => some_attributes(octets, depth + 1),
            1 => octets.take(4),
            2 => octets.take(16),
            _ => octets.take(usize::from(form % 32)),
        };
        bytes.extend(attribute(u16::from(kind % 64), &value));
    }
    bytes
}

fn cook(recipe: &[u8]) -> Vec<u8> {
    let (mut octets, mut datagram) = (Octets(recipe), Vec::new());
    while !octets.0.is_empty() {
        let choice = octets.next();
        let (kind, header) = KINDS[usize::from(choice) % KINDS.len()];
        let mut payload = octets.take(header);
        if let Some(first) = payload.first_mut().filter(|_| kind >= 16) {
            *first = FAMILIES[usize::from(*first) % FAMILIES.len()];
        }
        payload.extend(some_attributes(&mut octets, 0));
        let length = u32::try_from(HEADER + payload.len()).unwrap_or(u32::MAX);
        datagram.extend(length.to_ne_bytes());
        datagram.extend(kind.to_ne_bytes());
        datagram.extend(FLAGS[usize::from(choice >> 6)].to_ne_bytes());
        datagram.extend([0; 8]);
        datagram.extend(payload);
        datagram.resize(align(datagram.len()), 0);
    }
    datagram
}

fn check(datagram: &[u8]) {
    let (mut octets, mut read) = (0, Vec::new());
    for frame in frames(datagram) {
        assert!(frame.whole.len() >= HEADER, "a frame without its header");
        octets = align(octets) + frame.whole.len();
        if let Answer::Refused(refusal) = frame.answer() {
            assert!(!refusal.to_string().is_empty());
        }
        let payload = &frame.whole[HEADER..];
        let carried: usize = attributes(payload).map(|(_, value)| value.len() + 4).sum();
        assert!(carried <= payload.len(), "attributes longer than what they stand in");
        read.extend(report::report(&frame));
    }
    assert!(octets <= datagram.len(), "frames longer than the datagram");
    assert_eq!(reports(datagram), read);
}

fuzz_target!(|bytes: &[u8]| {
    match bytes {
        [first, recipe @ ..] if first % 2 == 0 => check(&cook(recipe)),
        [_, datagram @ ..] => check(datagram),
        [] => {}
    }
});
