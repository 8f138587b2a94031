use super::*;
use Subject::{Haproxy, Nginx, Proxyd};

const OPEN: Terms = Terms { rate: None, logged: false, connections: 64 };

/// A good turn: the subject's core is full, the load's has room.
fn turn(subject: Subject, round: usize) -> Turn {
    Turn {
        subject,
        round,
        seconds: 1.0,
        answers: 100_000,
        wrong: 0,
        broken: 0,
        first_error: None,
        cpu_micros: 10.0,
        laps: vec![10.0],
        user_share: 0.4,
        subject_busy: 0.99,
        load_busy: 0.7,
        disturbed: 0.0,
        p50: 600.0,
        p99: 900.0,
        p999: 1000.0,
        lines: 0.0,
        servers: 1,
        reconnects: 0,
        megabytes: 10.0,
    }
}

fn good() -> Vec<Turn> {
    (1..=3).flat_map(|round| [turn(Haproxy, round), turn(Proxyd, round)]).collect()
}

/// What is said of good turns after one of them was changed.
fn after(change: impl Fn(&mut Turn), terms: Terms) -> Vec<String> {
    let mut turns = good();
    change(turns.iter_mut().find(|turn| turn.subject == Proxyd && turn.round == 2).unwrap());
    refusals(&turns, &[Haproxy, Proxyd], 3, terms).iter().map(ToString::to_string).collect()
}

#[test]
fn good_turns_give_ratios() {
    assert_eq!(after(|_| {}, OPEN), Vec::<String>::new());
}

#[test]
fn each_fault_is_named_with_subject_and_round() {
    let example = || Some("status: HTTP/1.1 503 Service Unavailable".to_owned());
    let cases: [(&str, Vec<String>); 6] = [
        (
            "proxyd gave 3 wrong answers in round 2 (status: HTTP/1.1 503 Service Unavailable)",
            after(|turn| (turn.wrong, turn.first_error) = (3, example()), OPEN),
        ),
        ("proxyd broke 1 connections in round 2 (no example)", after(|turn| turn.broken = 1, OPEN)),
        ("proxyd answered nothing in round 2", after(|turn| turn.answers = 0, OPEN)),
        (
            "unequal work: proxyd wrote 1.000 log lines per request in round 2, not 0",
            after(|turn| turn.lines = 1.0, OPEN),
        ),
        ("unequal work: haproxy used 1 servers, proxyd 1000", after(|turn| turn.servers = 1000, OPEN)),
        (
            "the load generator was the bottleneck for proxyd in round 2 (its core 99 % busy, proxyd's 60 %)",
            after(|turn| (turn.load_busy, turn.subject_busy) = (0.99, 0.6), OPEN),
        ),
    ];
    for (expected, found) in cases {
        assert_eq!(found, [expected]);
    }
}

#[test]
fn few_answers_say_nothing_about_servers() {
    let few = |turn: &mut Turn| (turn.servers, turn.answers) = (1000, 9_999);
    assert_eq!(after(few, OPEN), Vec::<String>::new());
}

#[test]
fn a_busy_load_is_named_before_a_missed_rate() {
    let terms = Terms { rate: Some(200_000.0), logged: false, connections: 64 };
    let found = after(|turn| (turn.load_busy, turn.subject_busy) = (0.99, 0.6), terms);
    assert!(found.iter().any(|text| text.contains("the load generator was the bottleneck")), "{found:?}");
}

#[test]
fn a_log_that_is_asked_for_must_be_written() {
    let logged = Terms { rate: None, logged: true, connections: 64 };
    let turns: Vec<Turn> = good().into_iter().map(|turn| Turn { lines: 1.0, ..turn }).collect();
    assert_eq!(refusals(&turns, &[Haproxy, Proxyd], 3, logged), []);
    let lost: Vec<Turn> = turns
        .into_iter()
        .map(|turn| if turn.subject == Proxyd { Turn { lines: 0.93, ..turn } } else { turn })
        .collect();
    assert_eq!(refusals(&lost, &[Haproxy, Proxyd], 3, logged).len(), 3);
}

#[test]
fn lines_under_way_when_counting_begins_are_no_difference() {
    let logged = Terms { rate: None, logged: true, connections: 64 };
    let turns = |lines| -> Vec<Turn> { good().into_iter().map(|turn| Turn { lines, answers: 1000, ..turn }).collect() };
    assert_eq!(refusals(&turns(1.06), &[Haproxy, Proxyd], 3, logged), []);
    assert_eq!(refusals(&turns(1.08), &[Haproxy, Proxyd], 3, logged).len(), 6);
}

#[test]
fn a_busy_load_is_no_bottleneck_while_the_subject_is_saturated_too() {
    assert_eq!(after(|turn| (turn.load_busy, turn.subject_busy) = (1.0, 0.97), OPEN), Vec::<String>::new());
}

#[test]
fn a_rate_must_be_kept_unless_the_subject_could_not() {
    let terms = Terms { rate: Some(100_000.0), logged: false, connections: 64 };
    let slow = |busy: f64| after(move |turn| (turn.answers, turn.subject_busy) = (90_000, busy), terms);
    assert_eq!(slow(0.5), ["proxyd got 90000 of 100000 requests/s in round 2, though its core had time left"]);
    assert_eq!(slow(0.99), Vec::<String>::new());
}

#[test]
fn a_missing_round_or_subject_is_no_basis() {
    let mut turns = good();
    turns.pop();
    assert_eq!(refusals(&turns, &[Haproxy, Proxyd], 3, OPEN), [Refusal::Incomplete(Proxyd)]);
    assert_eq!(refusals(&good(), &[Haproxy, Proxyd, Nginx], 3, OPEN), [Refusal::Incomplete(Nginx)]);
}

#[test]
fn only_the_generator_is_cured_by_a_lower_rate() {
    let generator = Refusal::Generator { subject: Proxyd, round: 1, load_busy: 1.0, subject_busy: 0.5 };
    assert!(generator.is_generator());
    assert!(!Refusal::Unequal(String::new()).is_generator());
}

#[test]
fn ratios_pair_the_laps_of_a_round() {
    let mut turns = Vec::new();
    for (round, haproxy, proxyd) in [(1, [10.0, 20.0], [7.0, 12.0]), (2, [20.0, 10.0], [14.0, 6.5])] {
        turns.push(Turn { laps: haproxy.to_vec(), ..turn(Haproxy, round) });
        turns.push(Turn { laps: proxyd.to_vec(), ..turn(Proxyd, round) });
    }
    turns.push(Turn { laps: vec![10.0], ..turn(Haproxy, 3) });
    turns.push(Turn { laps: vec![6.5], ..turn(Proxyd, 3) });
    let found = ratio(&turns, Proxyd, |turn| turn.laps.clone()).unwrap();
    assert!((found.median - 0.65).abs() < 1e-9 && (found.low - 0.65).abs() < 1e-9, "{found:?}");
    assert!((found.high - 0.675).abs() < 1e-9, "{found:?}");
    assert_eq!(ratio(&turns, Nginx, |turn| turn.laps.clone()), None);
    assert!((median(&turns, Haproxy, |turn| turn.cpu_micros).unwrap() - 10.0).abs() < 1e-9);
}

#[test]
fn heads_are_compared_whatever_the_case_and_order_of_names() {
    let reference = b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 127.0.0.1\r\n\r\n";
    assert_eq!(
        heads_differ("request", reference, b"GET / HTTP/1.1\r\nx-forwarded-for: 127.0.0.1\r\nhost: a\r\n\r\n"),
        []
    );
    let missing = heads_differ("request", reference, b"GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(
        missing.first().map(ToString::to_string).as_deref(),
        Some("unequal work: request: haproxy alone has [\"x-forwarded-for: 127.0.0.1\"], proxyd alone []")
    );
    let cookie = |value: &str| format!("HTTP/1.1 200 OK\r\nset-cookie: SRV={value}; path=/\r\n\r\n").into_bytes();
    assert_eq!(heads_differ("answer", &cookie("s1"), &cookie("s2")), []);
    assert_eq!(heads_differ("answer", &cookie("s1"), b"HTTP/1.1 200 OK\r\n\r\n").len(), 1);
}
