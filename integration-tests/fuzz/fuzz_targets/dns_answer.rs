//! Any bytes as what a name server says: cut into messages, as a stream would be, read, and followed by one name over its tries.

#![no_main]

use libfuzzer_sys::fuzz_target;
use proxyd::resolvers::frames::Frames;
use proxyd::resolvers::lookup::{Lookup, Step};
use proxyd::resolvers::message::{Kind, Name, read};
use proxyd::resolvers::{Nameserver, NameserverAddress, Settings};

fuzz_target!(|bytes: &[u8]| {
    let mut frames = Frames::default();
    frames.add(bytes);
    let cut: usize = std::iter::from_fn(|| frames.next_message()).map(|message| message.len() + 2).sum();
    assert!(cut <= bytes.len());
    let Ok(answer) = read(bytes) else { return };
    // What an answer tells is bounded by what it holds: an address takes 12 bytes at least.
    if let Ok(told) = &answer.verdict {
        assert!(told.addresses.len() + told.services.len() + told.hosts.len() <= bytes.len() / 12);
    }
    let nameserver = Nameserver { name: "ns".into(), address: NameserverAddress::Tcp(([127, 0, 0, 1], 53).into()) };
    let settings = Settings { nameservers: vec![nameserver], ..Settings::new("dns") };
    let Some(name) = Name::new("one.test") else { return };
    let mut lookup = Lookup::new(name, false, Kind::A, true, 0);
    assert_eq!(lookup.tick(0, &settings, answer.id), Step::Ask { id: answer.id, kind: Kind::A });
    match lookup.answered(1, &settings, 0, answer.verdict) {
        Step::Answered(0) | Step::Ask { .. } => {}
        step => unreachable!("{step:?}"),
    }
});
