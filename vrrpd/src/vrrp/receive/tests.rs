use super::*;
use crate::packet::auth::Password;
use crate::vrrp::settings::{Peer, VirtualAddress};

const SOURCE: [u8; 4] = [10, 99, 0, 1];

fn settings() -> Settings {
    let mut settings = Settings::new("VI_1", "eth0", 51);
    settings.addresses = vec![VirtualAddress::new(IpAddr::from([10, 99, 0, 50]), 24)];
    settings
}

fn message() -> Vec<u8> {
    let addresses = [IpAddr::from([10, 99, 0, 50])];
    vrrp2::Repr { vrid: 51, priority: 200, interval: 1, password: None, addresses: &addresses }.emit()
}

fn datagram(message: &[u8]) -> Datagram<'_> {
    Datagram {
        source: IpAddr::from(SOURCE),
        destination: IpAddr::from([224, 0, 0, 18]),
        ttl: 255,
        header_len: 20,
        message,
    }
}

fn judged(settings: &Settings, message: &[u8]) -> String {
    match check(settings, &datagram(message), None) {
        Ok((advert, None)) => format!("priority {} every {:?}", advert.priority, advert.interval),
        Ok((_, Some(mismatch))) => format!("accepted: {mismatch}"),
        Err(rejected) => rejected.to_string(),
    }
}

/// One octet of a good advert changed: keepalived's message for it.
#[test]
fn each_broken_octet_has_its_message() {
    assert_eq!(judged(&settings(), &message()), "priority 200 every 1s");
    for (octet, value, expected) in [
        (0, 0x31, "wrong version. Received 3 and expect 2"),
        (0, 0x22, "Invalid packet type. 2 and expect 1"),
        (3, 2, "vrrp packet too short, length 40 and expect 44"),
        (3, 0, "vrrp packet too long, length 40 and expect 36"),
        (4, 9, "Invalid auth type: 9"),
        (4, 1, "received a 1 auth, expecting 0!"),
        (5, 2, "advertisement interval mismatch mine=1 sec rcv'd=2 sec"),
        (5, 0, "advertisement interval mismatch mine=1 sec rcv'd=0 sec"),
        (7, 0, "Invalid VRRPv2 checksum"),
    ] {
        let mut message = message();
        message[octet] = value;
        assert_eq!(judged(&settings(), &message), expected, "octet {octet} = {value:#x}");
    }
    assert_eq!(judged(&settings(), &message()[..12]), "vrrp packet too short, length 32 and expect 40");
    assert_eq!(judged(&settings(), &message()[..3]), "IPv4 VRRP packet too short - 23 bytes");
}

#[test]
fn passwords_are_compared_whole() {
    let mut settings = settings();
    settings.auth = Auth::Pass(Password::new("1111"));
    assert_eq!(judged(&settings, &message()), "received a 0 auth, expecting 1!");
    for (password, expected) in [("1111", "priority 7 every 1s"), ("111", "received an invalid passwd!")] {
        let addresses = [IpAddr::from([10, 99, 0, 50])];
        let password = Some(Password::new(password));
        let message = vrrp2::Repr { vrid: 51, priority: 7, interval: 1, password, addresses: &addresses }.emit();
        assert_eq!(judged(&settings, &message), expected);
        // a packet that claims a password and ends before it
        assert_eq!(judged(&settings, &message[..16]), "vrrp packet too short, length 36 and expect 40");
    }
}

#[test]
fn another_address_list_is_reported_and_accepted() {
    let mut settings = settings();
    settings.addresses.push(VirtualAddress::new(IpAddr::from([10, 99, 0, 51]), 24));
    assert_eq!(judged(&settings, &message()), "accepted: expected 2 VIPs but received 1");
    settings.addresses.remove(0);
    let expected = "accepted: ip address associated with VRID 51 not present in advert from 10.99.0.1: 10.99.0.51";
    assert_eq!(judged(&settings, &message()), expected);
    settings.skip_check_adv_addr = true;
    assert!(matches!(check(&settings, &datagram(&message()), Some(IpAddr::from(SOURCE))), Ok((_, None))));
}

#[test]
fn version_3_takes_either_checksum_and_no_interval_of_zero() {
    let mut settings = settings();
    settings.version = Version::V3;
    let addresses = [IpAddr::from([10, 99, 0, 50])];
    let ends = Some((IpAddr::from(SOURCE), IpAddr::from([224, 0, 0, 18])));
    for (interval, covered, expected) in [
        (500, ends, "priority 9 every 500ms"),
        (500, None, "priority 9 every 500ms"),
        (500, Some((IpAddr::from(SOURCE), IpAddr::from([9, 9, 9, 9]))), "Invalid VRRPv3 checksum"),
        (0, ends, "advertisement interval 0 received, which no master may use"),
    ] {
        let interval = Duration::from_millis(interval);
        let message = vrrp3::Repr { vrid: 51, priority: 9, interval, addresses: &addresses }.emit(covered);
        assert_eq!(judged(&settings, &message), expected);
    }
}

#[test]
fn transport_and_ttl() {
    let message = message();
    let multicast = datagram(&message);
    let unicast = Datagram { destination: IpAddr::from([10, 99, 0, 2]), ttl: 64, ..multicast };
    let far = Datagram { ttl: 254, ..multicast };
    let unicast_settings = |address: [u8; 4], check_source, min_ttl| {
        let peers = vec![Peer { address: IpAddr::from(address), min_ttl, max_ttl: None }];
        Settings { transport: Transport::Unicast { source: None, peers, ttl: 255, check_source }, ..settings() }
    };
    let other = [10, 99, 0, 3];
    for (settings, datagram, expected) in [
        (settings(), far, "invalid TTL/HL. Received 254 and expect 255"),
        (settings(), Datagram { ttl: 255, ..unicast }, "Expected multicast packet but received unicast packet"),
        (unicast_settings(SOURCE, true, None), unicast, "ok"),
        (unicast_settings(other, false, None), unicast, "ok"),
        (unicast_settings(other, true, None), unicast, "unicast source address 10.99.0.1 not a unicast peer"),
        (unicast_settings(other, false, Some(1)), unicast, "unicast source address 10.99.0.1 not a unicast peer"),
        (unicast_settings(SOURCE, false, Some(255)), unicast, "TTL/HL 64 not in range 255 - 255"),
        (unicast_settings(SOURCE, false, None), multicast, "Expected unicast packet but received multicast packet"),
    ] {
        let verdict = check(&settings, &datagram, None).map_or_else(|e| e.to_string(), |_| "ok".to_owned());
        assert_eq!(verdict, expected);
    }
}
