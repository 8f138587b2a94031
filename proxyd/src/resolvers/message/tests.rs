use super::*;
use proptest::prelude::*;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// An answer's header and question, and the records behind it.
fn answer(flags: u16, asked: &str, kind: Kind, counts: [u16; 3], records: &[u8]) -> Vec<u8> {
    let mut bytes = question(7, &name(asked), kind, 512);
    bytes.truncate(bytes.len() - 11);
    bytes[2..4].copy_from_slice(&flags.to_be_bytes());
    for (at, count) in [6, 8, 10].into_iter().zip(counts) {
        bytes[at..at + 2].copy_from_slice(&count.to_be_bytes());
    }
    bytes.extend(records);
    bytes
}

/// A record whose owner is the name at `owner`.
fn record(owner: &[u8], kind: u16, data: &[u8]) -> Vec<u8> {
    let mut bytes = owner.to_vec();
    bytes.extend(kind.to_be_bytes());
    bytes.extend([0, 1, 0, 0, 0, 1]);
    bytes.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
    bytes.extend(data);
    bytes
}

/// A pointer to the question's name.
const ASKED: &[u8] = &[0xc0, 12];
const GOOD: u16 = 0x8180;

#[test]
fn a_question_is_what_haproxy_sends() {
    let bytes = question(0x1234, &name("One.test."), Kind::A, 512);
    let expected = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\x01\x03one\x04test\0\0\x01\0\x01\0\0\x29\x02\0\0\0\0\0\0\0";
    assert_eq!(bytes, expected);
}

#[test]
fn names_that_cannot_be_asked_for_are_none() {
    for text in ["", ".", "a..b", "a b", "ä", &"x".repeat(64), &vec!["x".repeat(63); 4].join("."), "a.\0"] {
        assert_eq!(Name::new(text), None, "{text}");
    }
    assert_eq!(name("_Http._tcp.A-b").as_str(), "_http._tcp.a-b");
}

#[test]
fn addresses_follow_from_the_question() {
    let other = b"\x05other\x04test\0";
    let records = [
        record(ASKED, 1, &[192, 0, 2, 1]),
        record(other, 1, &[192, 0, 2, 66]),
        record(ASKED, 28, &[0; 16]),
        record(ASKED, 16, b"\x03txt"),
        record(ASKED, 1, &[192, 0, 2, 2]),
    ]
    .concat();
    let read = read(&answer(GOOD, "one.test", Kind::A, [5, 0, 0], &records)).unwrap();
    assert!(read.answers(7, &name("one.test"), Kind::A));
    assert!(!read.answers(8, &name("one.test"), Kind::A));
    assert!(!read.answers(7, &name("two.test"), Kind::A));
    assert!(!read.answers(7, &name("one.test"), Kind::Aaaa));
    let expected: Vec<IpAddr> = ["192.0.2.1", "192.0.2.2"].map(|ip| ip.parse().unwrap()).into();
    assert_eq!(read.verdict.unwrap().addresses, expected);
}

#[test]
fn a_name_may_lead_to_another() {
    let alias = record(ASKED, 5, b"\x01b\x04test\0");
    // The alias's own data stands behind header, question and the record's fixed part.
    let at = u8::try_from(12 + 10 + 4 + 12).unwrap();
    let address = record(&[0xc0, at], 1, &[192, 0, 2, 3]);
    let bytes = answer(GOOD, "one.test", Kind::A, [2, 0, 0], &[address, alias.clone()].concat());
    assert!(read(&bytes).is_err(), "a pointer forward");
    let bytes = answer(
        GOOD,
        "one.test",
        Kind::A,
        [2, 0, 0],
        &[alias.clone(), record(b"\x01b\x04test\0", 1, &[192, 0, 2, 3])].concat(),
    );
    assert_eq!(read(&bytes).unwrap().verdict.unwrap().addresses.len(), 1);
    let only = answer(GOOD, "one.test", Kind::A, [1, 0, 0], &alias);
    assert_eq!(read(&only).unwrap().verdict, Err(Failure::Cname));
    let circle = [alias, record(b"\x01b\x04test\0", 5, b"\x03one\x04test\0")].concat();
    let circle = answer(GOOD, "one.test", Kind::A, [2, 0, 0], &circle);
    assert_eq!(read(&circle).unwrap().verdict, Err(Failure::Cname));
}

#[test]
fn services_and_what_is_told_along() {
    let data = [&[0, 1, 0, 20, 0x1f, 0x90][..], b"\x01H\x04test\0"].concat();
    let records = [record(ASKED, 33, &data), record(b"\x01h\x04TEST\0", 1, &[192, 0, 2, 9])].concat();
    let bytes = answer(GOOD, "_a._tcp.test", Kind::Srv, [1, 0, 1], &records);
    let records = read(&bytes).unwrap().verdict.unwrap();
    assert_eq!(records.services, [Service { host: name("h.test"), port: 8080, weight: 20 }]);
    assert_eq!(records.hosts, [(name("h.test"), "192.0.2.9".parse().unwrap())]);
}

#[test]
fn failures() {
    for (flags, expected) in [
        (0x8183, Failure::Nx),
        (0x8185, Failure::Refused),
        (0x8182, Failure::Other(2)),
        (0x8380, Failure::Truncated),
        (GOOD, Failure::Empty),
    ] {
        assert_eq!(read(&answer(flags, "one.test", Kind::A, [0; 3], b"")).unwrap().verdict, Err(expected));
    }
}

#[test]
fn forged_answers_are_named() {
    let address = record(ASKED, 1, &[192, 0, 2, 1]);
    let with = |count, records: &[u8]| answer(GOOD, "one.test", Kind::A, [count, 0, 0], records);
    let mut two_questions = with(1, &address);
    two_questions[5] = 2;
    let long = [[&[63][..], &[b'x'; 63]].concat(), vec![0xc0, 12]].concat();
    let mut loops = with(1, &record(&[0xc0, 26], 1, &[192, 0, 2, 1]));
    for (bytes, expected) in [
        (Vec::new(), Malformed::Cut),
        (question(7, &name("one.test"), Kind::A, 512), Malformed::NotAnAnswer),
        (two_questions, Malformed::Questions),
        (with(2, &address), Malformed::Cut),
        (with(1, &record(&[0xc0, 200], 1, &[192, 0, 2, 1])), Malformed::Pointer),
        (with(1, &record(&[0x80], 1, &[192, 0, 2, 1])), Malformed::Label),
        (with(1, &record(ASKED, 1, &[192, 0, 2])), Malformed::RecordLength),
        (with(1, &record(ASKED, 33, &[0, 1, 0, 1, 0, 80, 0, 0])), Malformed::RecordLength),
        (with(513, &address), Malformed::Records),
        (with(1, &[long[..64].repeat(4), vec![0]].concat()), Malformed::LongName),
        (std::mem::take(&mut loops), Malformed::Pointer),
    ] {
        assert_eq!(read(&bytes), Err(expected), "{bytes:?}");
    }
}

proptest! {
    #[test]
    fn no_bytes_do_harm(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = read(&bytes);
    }

    /// An answer with some bytes changed is an answer or named, and what it tells is bounded by what it holds.
    #[test]
    fn no_change_of_an_answer_does_harm(changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6)) {
        let records = [
            record(ASKED, 5, b"\x01b\xc0\x0c"),
            record(b"\x01b\xc0\x0c", 1, &[192, 0, 2, 1]),
            record(ASKED, 33, b"\0\x01\0\x01\0\x50\x01h\xc0\x0c"),
        ].concat();
        let mut bytes = answer(GOOD, "one.test", Kind::A, [2, 0, 1], &records);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(Answer { verdict: Ok(told), .. }) = read(&bytes) {
            prop_assert!(told.addresses.len() + told.services.len() + told.hosts.len() <= 3);
        }
    }

    #[test]
    fn a_question_is_read_back(labels in proptest::collection::vec("[a-z0-9_-]{1,20}", 1..6), id: u16) {
        let asked = name(&labels.join("."));
        let mut bytes = question(id, &asked, Kind::Aaaa, 512);
        bytes[2] = 0x81;
        bytes[11] = 0;
        let answer = read(&bytes).unwrap();
        prop_assert!(answer.answers(id, &asked, Kind::Aaaa));
    }
}
