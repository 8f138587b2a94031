//! Sequences and mappings recorded from haproxy 2.6 and 3.5, and what must hold for any servers and weights.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use super::dispatcher::{Choice, Dispatcher, Wanted};
use super::farm::{Farm, FarmSettings};
use super::hash::{Affinity, Function, HashKey, HashType, Method};
use super::key::{RequestKey, hash};
use super::server_state::{ServerSettings, ServerState};
use super::{Algorithm, KeySource};
use crate::proxy::place::Place;

fn farm_with(algorithm: Algorithm, hash_type: HashType, weights: &[u32]) -> Rc<Dispatcher> {
    let servers = weights.iter().zip(1..).map(|(&weight, id)| {
        let name = format!("s{id}");
        Arc::new(ServerState::new(ServerSettings { id, name, weight, ..ServerSettings::default() }))
    });
    let settings = FarmSettings { algorithm, hash_type, ..FarmSettings::default() };
    Dispatcher::new(Farm::new(settings, servers.collect()), 7)
}

fn farm(algorithm: Algorithm, weights: &[u32]) -> Rc<Dispatcher> {
    farm_with(algorithm, HashType::default(), weights)
}

fn choose(dispatcher: &Rc<Dispatcher>, wanted: &Wanted) -> String {
    match dispatcher.choose(wanted) {
        Choice::Slot(slot) => slot.server().unwrap().name().to_owned(),
        other => format!("{other:?}"),
    }
}

fn sequence(dispatcher: &Rc<Dispatcher>, count: usize) -> String {
    (0..count).map(|_| choose(dispatcher, &Wanted::default())).collect::<Vec<_>>().join(" ")
}

struct Key<'a> {
    address: Option<IpAddr>,
    text: &'a str,
}

impl RequestKey for Key<'_> {
    fn source(&self) -> Option<IpAddr> {
        self.address
    }

    fn target(&self) -> Option<&[u8]> {
        Some(self.text.as_bytes())
    }

    fn header(&self, _name: &str) -> Option<&[u8]> {
        Some(self.text.as_bytes())
    }

    fn expression(&self) -> Option<std::borrow::Cow<'_, [u8]>> {
        match self.address {
            Some(IpAddr::V4(address)) => Some(address.octets().to_vec().into()),
            Some(IpAddr::V6(address)) => Some(address.octets().to_vec().into()),
            None => Some(self.text.split('?').next().unwrap().as_bytes().into()),
        }
    }
}

/// `src5_map_sdbm_av` and the like: source, servers of weight 1, method, function, avalanche.
fn vector_settings(name: &str) -> (Algorithm, HashType, Vec<u32>) {
    let uri = |len| KeySource::Uri { len, depth: None, whole: false, path_only: false };
    let mut hash_type = HashType::default();
    let words: Vec<&str> = name.split('_').collect();
    let source = match words[0] {
        "src5" | "src" => KeySource::Source,
        "uri5" => uri((words[1] == "len4").then_some(4)),
        "hdr5" => KeySource::Header { name: "host".into(), domain_only: false },
        "par5" => KeySource::UrlParam { name: "u".into(), check_post: false },
        "hash5" => KeySource::Expression,
        other => panic!("unknown vector {other}"),
    };
    for word in &words[1..] {
        match *word {
            "map" => hash_type.method = Method::MapBased,
            "con" => hash_type.method = Method::Consistent,
            "sdbm" => hash_type.function = Function::Sdbm,
            "djb2" => hash_type.function = Function::Djb2,
            "wt6" => hash_type.function = Function::Wt6,
            "crc32" => hash_type.function = Function::Crc32,
            "av" => hash_type.avalanche = true,
            "W123" | "def" | "len4" | "path" | "src" => {}
            other => panic!("unknown word {other} in {name}"),
        }
    }
    let weights = if name == "src_W123" { vec![1, 2, 3] } else { vec![1; 5] };
    (Algorithm::Hash(source), hash_type, weights)
}

#[test]
fn recorded_mappings_of_keys() {
    let mut checked = 0;
    for row in include_str!("../../tests/vectors/balance.tsv").lines() {
        let columns: Vec<&str> = row.split('\t').collect();
        if !columns[2].contains('=') {
            continue;
        }
        let (algorithm, hash_type, weights) = vector_settings(columns[0]);
        let dispatcher = farm_with(algorithm, hash_type, &weights);
        for pair in columns[2].split(' ') {
            let (key, expected) = pair.rsplit_once('=').unwrap();
            let address = columns[0].contains("src").then(|| key.parse().unwrap());
            let parameter = format!("/x?u={key}");
            let text = if columns[0] == "par5" { &parameter } else { key };
            let hash = hash(dispatcher.farm().settings(), &Key { address, text });
            assert!(hash.is_some(), "{}: {key} has no hash", columns[0]);
            let chosen = choose(&dispatcher, &Wanted { hash, ..Wanted::default() });
            assert_eq!(chosen, expected, "{}: {key}", columns[0]);
            checked += 1;
        }
    }
    assert!(checked == 785, "only {checked} pairs were read");
}

/// The sequences of the column that both versions share, or haproxy 2.6's where they differ.
#[test]
fn recorded_sequences() {
    for row in include_str!("../../tests/vectors/balance.tsv").lines() {
        let columns: Vec<&str> = row.split('\t').collect();
        let (algorithm, weights): (_, &[u32]) = match columns[0] {
            "srr3" => (Algorithm::StaticRr, &[1, 1, 1]),
            "srrSeed" => (Algorithm::StaticRr, &[12, 12, 26, 26]),
            "lcW123" => (Algorithm::LeastConn, &[1, 2, 3]),
            "first3" => (Algorithm::First, &[1, 1, 1]),
            "rr_w0" => (Algorithm::RoundRobin, &[0, 1, 1]),
            "default" => (Algorithm::default(), &[1, 1, 1]),
            _ if columns[2].contains('=') => continue,
            other => panic!("unknown vector {other}"),
        };
        let expected = columns[2].trim().replace(',', " ");
        let count = expected.split(' ').count();
        assert_eq!(sequence(&farm(algorithm, weights), count), expected, "{}", columns[0]);
    }
}

/// `hash-preserve-affinity`: a key leaves its server while that one is busy, and comes back.
#[test]
fn keys_of_busy_servers_go_on_round_the_ring() {
    let dispatcher = |affinity| {
        let servers = (1..=3).map(|id| {
            let limits = ServerSettings { maxconn: 1, maxqueue: 1, ..ServerSettings::default() };
            Arc::new(ServerState::new(ServerSettings { id, name: format!("s{id}"), ..limits }))
        });
        let hash_type = HashType { method: Method::Consistent, function: Function::Sdbm, avalanche: true };
        let algorithm = Algorithm::Hash(KeySource::Source);
        let settings = FarmSettings { algorithm, hash_type, affinity, ..FarmSettings::default() };
        Dispatcher::new(Farm::new(settings, servers.collect()), 1)
    };
    let wanted = Wanted { hash: Some(0x1234_5678), ..Wanted::default() };
    let told = |choice: &Choice| match choice {
        Choice::Slot(slot) => format!("{}", slot.index()),
        Choice::Wait(wait) => format!("wait {:?}", wait.place()),
        Choice::QueueFull => "queue full".to_owned(),
        Choice::NoServer => "no server".to_owned(),
    };
    let story = |affinity| {
        let dispatcher = dispatcher(affinity);
        let choices: Vec<Choice> = (0..7).map(|_| dispatcher.choose(&wanted)).collect();
        let story: Vec<String> = choices.iter().map(told).collect();
        drop(choices);
        assert_eq!(told(&dispatcher.choose(&wanted)), story[0], "it comes back");
        story
    };
    let always = story(Affinity::Always);
    let home = &always[0];
    assert_eq!(always[1], format!("wait Server({home})"));
    assert!(always[2..].iter().all(|told| told == "queue full"), "{always:?}");

    let by_limit = story(Affinity::MaxConn);
    let mut visited = by_limit[..3].to_vec();
    visited.sort();
    assert_eq!(visited, ["0", "1", "2"], "{by_limit:?}");
    assert!(by_limit[3].starts_with("wait Server("), "{by_limit:?}");

    // Slot and queue of one server, then those of the next.
    let by_queue = story(Affinity::MaxQueue);
    let place = |nth: usize| by_queue[nth].trim_start_matches("wait Server(").trim_end_matches(')');
    assert!(
        by_queue[0] == *home && place(0) == place(1) && place(2) == place(3) && place(4) == place(5),
        "{by_queue:?}"
    );
    assert_eq!(by_queue[6], "queue full");
}

/// `hash-key`: keyed by addresses, the order of the lines does not matter.
#[test]
fn rings_keyed_by_addresses_agree_whatever_the_order() {
    let owners = |hash_key, ports: [u16; 3]| {
        let servers = ports.iter().zip(1..).map(|(port, id)| {
            let place = Place::at(([192, 0, 2, u8::try_from(port % 100).unwrap()], *port).into());
            Arc::new(ServerState::new(ServerSettings {
                id,
                name: port.to_string(),
                place,
                hash_key,
                ..ServerSettings::default()
            }))
        });
        let hash_type = HashType { method: Method::Consistent, function: Function::Sdbm, avalanche: true };
        let algorithm = Algorithm::Hash(KeySource::Source);
        let settings = FarmSettings { algorithm, hash_type, ..FarmSettings::default() };
        let dispatcher = Dispatcher::new(Farm::new(settings, servers.collect()), 1);
        let key = |nth: u32| Wanted { hash: Some(nth.wrapping_mul(0x9e37_79b9)), ..Wanted::default() };
        (0..300).map(|nth| choose(&dispatcher, &key(nth))).collect::<Vec<_>>()
    };
    for hash_key in [HashKey::Addr, HashKey::AddrPort] {
        let owned = owners(hash_key, [8001, 8002, 8003]);
        assert_eq!(owned, owners(hash_key, [8003, 8001, 8002]));
        for port in ["8001", "8002", "8003"] {
            let share = owned.iter().filter(|owner| *owner == port).count();
            assert!((50..150).contains(&share), "{hash_key:?} {port} {share}");
        }
    }
    assert_ne!(owners(HashKey::Id, [8001, 8002, 8003]), owners(HashKey::Id, [8003, 8001, 8002]));
}

#[test]
fn round_robin_of_unequal_weights() {
    let three = farm(Algorithm::RoundRobin, &[1, 2, 3]);
    assert_eq!(sequence(&three, 6), "s3 s2 s3 s1 s3 s2");
    let seed = farm(Algorithm::RoundRobin, &[12, 12, 26, 26]);
    assert_eq!(sequence(&seed, 8), "s3 s4 s3 s4 s1 s3 s4 s2");
}

/// What each server got of one client's first requests to haproxy 2.6: a period is no multiple of the weights, so in the long run
/// the lighter servers have 0.2 % less than their share.
#[test]
fn round_robin_drifts_as_haproxys_does() {
    let seed = farm(Algorithm::RoundRobin, &[12, 12, 26, 26]);
    let mut counts = [0; 4];
    let mut asked = 0;
    for (requests, expected) in
        [(1_000, [158, 157, 343, 342]), (5_000, [788, 787, 1_713, 1_712]), (20_000, [3_152, 3_152, 6_848, 6_848])]
    {
        for name in sequence(&seed, requests - asked).split(' ') {
            let at: usize = name.trim_start_matches('s').parse().unwrap();
            counts[at - 1] += 1;
        }
        asked = requests;
        assert_eq!(counts, expected, "{requests}");
    }
}

/// Connections to haproxy 2.6 opened (`+`) and closed (`-`) one after the other, with the server that each one got.
#[test]
fn recorded_histories_of_connections() {
    let mut histories = 0;
    for row in include_str!("../../tests/vectors/sequences.tsv").lines() {
        let [algorithm, weights, limits, steps] = row.split('\t').collect::<Vec<_>>()[..] else { panic!("{row}") };
        let algorithm = match algorithm {
            "roundrobin" => Algorithm::RoundRobin,
            "static-rr" => Algorithm::StaticRr,
            "leastconn" => Algorithm::LeastConn,
            "first" => Algorithm::First,
            other => panic!("{other}"),
        };
        let numbers = |column: &str| column.split(' ').map(|number| number.parse().unwrap()).collect::<Vec<u32>>();
        let servers = numbers(weights).into_iter().zip(numbers(limits)).zip(1..).map(|((weight, maxconn), id)| {
            let settings = ServerSettings { id, name: id.to_string(), weight, maxconn, ..ServerSettings::default() };
            Arc::new(ServerState::new(settings))
        });
        let settings = FarmSettings { algorithm, ..FarmSettings::default() };
        let dispatcher = Dispatcher::new(Farm::new(settings, servers.collect()), 1);
        let mut slots = Vec::new();
        for (number, step) in steps.split(' ').enumerate() {
            let server: usize = step[1..].parse().unwrap();
            if step.starts_with('-') {
                let held = slots.iter().position(|slot: &super::dispatcher::Slot| slot.index() + 1 == server);
                drop(slots.swap_remove(held.unwrap()));
                continue;
            }
            match dispatcher.choose(&Wanted::default()) {
                Choice::Slot(slot) if slot.index() + 1 == server => slots.push(slot),
                other => panic!("step {number} of {row}: {other:?}"),
            }
        }
        histories += 1;
    }
    assert_eq!(histories, 159);
}

/// The same with `hash-balance-factor`: connections from many addresses to a ring whose servers may not exceed their share.
#[test]
fn recorded_histories_of_bounded_loads() {
    let mut choices = 0;
    for row in include_str!("../../tests/vectors/bounded.tsv").lines() {
        let [factor, weights, avalanche, steps] = row.split('\t').collect::<Vec<_>>()[..] else { panic!("{row}") };
        let servers = weights.split(' ').zip(1..).map(|(weight, id)| {
            let weight = weight.parse().unwrap();
            Arc::new(ServerState::new(ServerSettings { id, weight, ..ServerSettings::default() }))
        });
        let settings = FarmSettings {
            algorithm: Algorithm::Hash(KeySource::Source),
            hash_type: HashType { method: Method::Consistent, function: Function::Sdbm, avalanche: avalanche == "1" },
            balance_factor: factor.parse().unwrap(),
            ..FarmSettings::default()
        };
        let dispatcher = Dispatcher::new(Farm::new(settings, servers.collect()), 1);
        let mut slots = Vec::new();
        for step in steps.split(' ') {
            if let Some(server) = step.strip_prefix('-') {
                let server: usize = server.parse().unwrap();
                let held = slots.iter().position(|slot: &super::dispatcher::Slot| slot.index() + 1 == server);
                drop(slots.swap_remove(held.unwrap()));
                continue;
            }
            let (address, server) = step[1..].split_once('=').unwrap();
            let server: usize = server.parse().unwrap();
            let hash = hash(dispatcher.farm().settings(), &Key { address: Some(address.parse().unwrap()), text: "" });
            match dispatcher.choose(&Wanted { hash, ..Wanted::default() }) {
                Choice::Slot(slot) if slot.index() + 1 == server => slots.push(slot),
                other => panic!("{step} of {row}: {other:?}"),
            }
            choices += 1;
        }
    }
    assert_eq!(choices, 457);
}

/// An old example of haproxy's manual: 3000 clients at once, three servers of `maxconn 4` that take 10 ms. The last one waits
/// 3000 / 3 / 4 * 10 ms = 2.5 s for its answer, and nobody is overtaken.
#[test]
fn three_thousand_clients_at_three_servers_of_four() {
    use std::collections::VecDeque;
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    use super::dispatcher::Waited;

    const CLIENTS: usize = 3000;
    const SERVICE_MS: u32 = 10;
    let limits = ServerSettings { maxconn: 4, ..ServerSettings::default() };
    let servers = (1..=3).map(|id| Arc::new(ServerState::new(ServerSettings { id, ..limits.clone() })));
    let dispatcher = Dispatcher::new(Farm::new(FarmSettings::default(), servers.collect()), 1);
    let (mut served, mut waiting) = (Vec::new(), VecDeque::new());
    for client in 0..CLIENTS {
        match dispatcher.choose(&Wanted::default()) {
            Choice::Slot(slot) => served.push((client, slot)),
            Choice::Wait(wait) => waiting.push_back((client, wait)),
            other => panic!("{client}: {other:?}"),
        }
    }
    assert_eq!((served.len(), dispatcher.farm().queued()), (12, 2988));
    let (mut now_ms, mut answered) = (0, Vec::new());
    while !served.is_empty() {
        assert!(dispatcher.farm().servers().iter().all(|server| server.served() <= 4));
        now_ms += SERVICE_MS;
        for (client, slot) in std::mem::take(&mut served) {
            answered.push((client, now_ms));
            drop(slot);
            let Some((next, mut wait)) = waiting.pop_front() else { continue };
            match Pin::new(&mut wait).poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready((Waited::Slot(slot), position)) => {
                    assert_eq!(position.backend as usize, next + 1 - 12, "served before it, and itself");
                    served.push((next, slot));
                }
                other => panic!("{next}: {other:?}"),
            }
        }
    }
    assert_eq!(answered.len(), CLIENTS);
    assert!(answered.iter().map(|(client, _)| *client).eq(0..CLIENTS), "in the order of arrival");
    assert_eq!(answered.last(), Some(&(CLIENTS - 1, 2500)));
    // Half of them have waited for half of the time.
    assert_eq!(answered[CLIENTS / 2 - 1].1, 1250);
}

/// After a reload that changed a farm, requests of both generations share the servers that stayed.
#[test]
fn a_slot_serves_whoever_waits_in_the_farm_before_or_after() {
    use std::future::Future as _;
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    use super::dispatcher::{Choice, Dispatcher, Waited, Wanted};
    use super::server_state::{ServerSettings, ServerState};

    let server = Arc::new(ServerState::new(ServerSettings { maxconn: 1, ..ServerSettings::default() }));
    let older = Farm::new(FarmSettings::default(), vec![Arc::clone(&server)]);
    let newer = Farm::new(FarmSettings::default(), vec![server]);
    newer.succeed(&older);
    for (holder, waiter) in [(&older, &newer), (&newer, &older)] {
        let (holder, waiter) = (Dispatcher::new(Arc::clone(holder), 1), Dispatcher::new(Arc::clone(waiter), 1));
        let Choice::Slot(slot) = holder.choose(&Wanted::default()) else { panic!("the server is free") };
        let Choice::Wait(mut wait) = waiter.choose(&Wanted::default()) else { panic!("the server is full") };
        let mut context = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut wait).poll(&mut context).is_pending());
        drop(slot);
        assert!(matches!(Pin::new(&mut wait).poll(&mut context), Poll::Ready((Waited::Slot(_), _))));
    }
}
