use super::*;
use crate::resolvers::{Nameserver, NameserverAddress};

fn settings(servers: usize) -> Settings {
    let nameserver = |rank| Nameserver {
        name: format!("ns{rank}"),
        address: NameserverAddress::Udp("127.0.0.1:53".parse().unwrap()),
    };
    Settings {
        nameservers: (0..servers).map(nameserver).collect(),
        retry: Duration::from_millis(300),
        hold: Hold { nx: Duration::from_secs(2), timeout: Some(Duration::from_secs(3)), ..Hold::default() },
        ..Settings::new("dns")
    }
}

fn lookup(known: bool) -> Lookup {
    Lookup::new(Name::new("one.test").unwrap(), false, Kind::A, known, 0)
}

fn records(ips: &[&str]) -> Records {
    Records { addresses: ips.iter().map(|ip| ip.parse().unwrap()).collect(), ..Records::default() }
}

fn held(lookup: &Lookup) -> Vec<String> {
    lookup.addresses().map(|ip| ip.to_string()).collect()
}

#[test]
fn the_first_good_answer_counts_and_the_question_comes_again() {
    let (settings, mut lookup) = (settings(2), lookup(false));
    assert_eq!(lookup.tick(0, &settings, 1), Step::Ask { id: 1, kind: Kind::A });
    assert_eq!(lookup.answered(5, &settings, 0, Err(Failure::Nx)), Step::Nothing);
    assert_eq!(lookup.silent().collect::<Vec<_>>(), [1]);
    assert_eq!(lookup.answered(6, &settings, 1, Ok(records(&["192.0.2.1"]))), Step::Answered(1));
    assert_eq!(lookup.answered(7, &settings, 0, Ok(records(&["192.0.2.9"]))), Step::Nothing, "nobody asked");
    assert_eq!((held(&lookup), lookup.due()), (vec!["192.0.2.1".to_owned()], 1006));
    assert_eq!(lookup.tick(1005, &settings, 3), Step::Nothing);
    assert_eq!(lookup.tick(1006, &settings, 3), Step::Ask { id: 3, kind: Kind::A });
}

#[test]
fn the_other_family_is_asked_for_in_the_same_try() {
    let (settings, mut lookup) = (settings(1), lookup(false));
    lookup.tick(0, &settings, 1);
    assert_eq!(lookup.answered(1, &settings, 0, Err(Failure::Empty)), Step::Ask { id: 1, kind: Kind::Aaaa });
    assert_eq!(lookup.due(), 300);
    assert_eq!(lookup.answered(2, &settings, 0, Err(Failure::Empty)), Step::Nothing);
    assert_eq!(lookup.tick(300, &settings, 4), Step::Ask { id: 1, kind: Kind::A });
    assert_eq!(lookup.answered(301, &settings, 0, Err(Failure::Empty)), Step::Ask { id: 1, kind: Kind::Aaaa });
    assert_eq!(lookup.answered(302, &settings, 0, Ok(records(&["2001:db8::1"]))), Step::Answered(0));
}

/// Three tries, in both families, and then what was known holds for as long as it is told to.
#[test]
fn a_name_that_is_gone_takes_its_addresses_when_the_hold_is_over() {
    let (settings, mut lookup) = (settings(1), lookup(false));
    lookup.tick(0, &settings, 1);
    lookup.answered(0, &settings, 0, Ok(records(&["192.0.2.1"])));
    let mut steps = Vec::new();
    let mut now = 0;
    while now < 10_000 && !steps.contains(&Step::Gone("DNS NX status")) {
        now = lookup.due();
        let mut step = lookup.tick(now, &settings, 1);
        while let Step::Ask { .. } = step {
            steps.push(step);
            step = lookup.answered(now, &settings, 0, Err(Failure::Nx));
        }
        if step != Step::Nothing {
            steps.push(step);
            assert_eq!(held(&lookup).is_empty(), step != Step::Failed);
        }
    }
    let asked = |kind| Step::Ask { id: 1, kind };
    let round = [asked(Kind::A), asked(Kind::Aaaa)].repeat(3);
    assert_eq!(steps, [round.clone(), vec![Step::Failed], round, vec![Step::Gone("DNS NX status")]].concat());
    assert!((2_000..4_000).contains(&now), "{now}");
}

#[test]
fn silence_takes_an_address_only_where_the_file_says_when() {
    for (timeout, expected) in [(Some(Duration::from_secs(3)), true), (None, false)] {
        let mut settings = settings(1);
        settings.hold.timeout = timeout;
        let mut lookup = lookup(true);
        let mut gone = false;
        for _ in 0..1_000 {
            let now = lookup.due();
            gone |= lookup.tick(now, &settings, 1) == Step::Gone("DNS timeout status");
        }
        assert_eq!(gone, expected);
    }
}

#[test]
fn an_address_that_is_told_no_more_holds_for_a_while() {
    let mut settings = settings(1);
    settings.hold.obsolete = Duration::from_secs(5);
    let mut lookup = lookup(false);
    let mut ask = |at: u64, ips: &[&str]| {
        lookup.tick(at, &settings, 1);
        lookup.answered(at, &settings, 0, Ok(records(ips)));
        held(&lookup)
    };
    assert_eq!(ask(0, &["192.0.2.1", "192.0.2.2"]), ["192.0.2.1", "192.0.2.2"]);
    assert_eq!(ask(2_000, &["192.0.2.2", "192.0.2.3"]), ["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
    assert_eq!(ask(5_000, &["192.0.2.3"]), ["192.0.2.2", "192.0.2.3"]);
    assert_eq!(ask(7_000, &["192.0.2.3"]), ["192.0.2.3"]);
}

/// An answer that takes longer than a try is one all the same: the question that is repeated has the number it had.
#[test]
fn a_slow_answer_counts() {
    let (settings, mut lookup) = (settings(1), lookup(false));
    assert_eq!(lookup.tick(0, &settings, 1), Step::Ask { id: 1, kind: Kind::A });
    assert_eq!(lookup.tick(300, &settings, 2), Step::Ask { id: 1, kind: Kind::A });
    assert_eq!(lookup.asked(), Some((1, Kind::A)));
    assert_eq!(lookup.answered(500, &settings, 0, Ok(records(&["192.0.2.1"]))), Step::Answered(0));
    assert_eq!(lookup.tick(1500, &settings, 3), Step::Ask { id: 3, kind: Kind::A });
}

/// Rules take an answer that is not older than they allow, and have the question asked at once where it is.
#[test]
fn rules_take_what_is_fresh_and_hasten_what_is_not() {
    let (settings, mut lookup) = (settings(1), lookup(true));
    assert_eq!(lookup.fresh(0, 1000).count(), 0, "an address that nobody has told");
    lookup.tick(0, &settings, 1);
    lookup.answered(5, &settings, 0, Ok(records(&["192.0.2.1"])));
    assert_eq!((lookup.fresh(1005, 1000).count(), lookup.fresh(1006, 1000).count()), (1, 0));
    lookup.hasten(600);
    assert_eq!(lookup.due(), 600);
    assert_eq!(lookup.tick(600, &settings, 2), Step::Ask { id: 2, kind: Kind::A });
    lookup.hasten(601);
    assert_eq!(lookup.due(), 900, "it is being asked");
}
