//! S8: no packet makes a timer due at once, and none is the end of a router. The fuzz target `vrrp_packet` does the same
//! with more patience.

use crate::lives::Shape;
use proptest::prelude::*;
use std::net::IpAddr;
use std::time::Duration;
use vrrpd::packet::{Datagram, Version};
use vrrpd::router::interface::Interface;
use vrrpd::router::{Input, Router};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Any bytes, to a backup and to a master: no panic, and no deadline in the past that would spin the loop.
    #[test]
    fn s8_any_packet_is_survived(
        packets in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..64), any::<u8>(), any::<bool>()), 1..20),
        version3 in any::<bool>(),
        wait in 0_u64..8000,
    ) {
        let shape = Shape {
            version: if version3 { Version::V3 } else { Version::V2 },
            interval: Duration::from_secs(1),
            preempt: true,
            priorities: vec![100],
            grouped: false,
            check: None,
        };
        let mut router = Router::new(shape.settings(0));
        let start = vrrpd::clock::now();
        let mut out = Vec::new();
        let interface =
            Interface { name: "eth0".to_owned(), index: 2, running: true, addresses: vec![IpAddr::from([10, 0, 0, 1])] };
        router.handle(start, Input::Interface(interface), &mut out);
        router.handle(start, Input::Start, &mut out);
        let mut now = start;
        for (mut message, last, aligned) in packets {
            // Most random bytes are for nobody: make half of them ours.
            if aligned && message.len() >= 8 {
                message[0] = if version3 { 0x31 } else { 0x21 };
                message[1] = 51;
            }
            now += Duration::from_millis(wait);
            while router.next_deadline().is_some_and(|due| due <= now) {
                let due = router.next_deadline();
                router.handle(now, Input::Time, &mut out);
                prop_assert!(router.next_deadline() > due, "the timer does not advance");
            }
            let source = IpAddr::from([10, 0, 0, last]);
            let destination = IpAddr::from([224, 0, 0, 18]);
            let datagram = Datagram { source, destination, ttl: 255, header_len: 20, message: &message };
            router.handle(now, Input::Packet { interface: 2, datagram }, &mut out);
            prop_assert!(router.next_deadline().is_none_or(|due| due > now), "a packet made a timer due at once");
        }
    }
}
