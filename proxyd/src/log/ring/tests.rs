use super::*;
use proptest::prelude::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

fn ring(size: usize) -> Arc<Ring> {
    Arc::new(Ring::new(RingSettings { name: "r".to_owned(), size, max_len: size, ..RingSettings::built_in() }))
}

fn write(ring: &Ring, messages: &[&str]) -> usize {
    ring.append(messages.iter().map(|message| message.as_bytes()))
}

fn rest(reader: &mut Reader) -> Vec<String> {
    let mut message = Vec::new();
    std::iter::from_fn(|| reader.next(&mut message).then(|| String::from_utf8_lossy(&message).into_owned())).collect()
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn every_reader_gets_every_message() {
    let ring = ring(100);
    let mut early = ring.reader(Start::Oldest, true);
    write(&ring, &["one", "", "three"]);
    let (mut late, mut new) = (ring.reader(Start::Oldest, true), ring.reader(Start::Next, false));
    assert_eq!(rest(&mut early), ["one", "", "three"]);
    write(&ring, &["four"]);
    assert_eq!(rest(&mut early), ["four"]);
    assert_eq!(rest(&mut late), ["one", "", "three", "four"]);
    assert_eq!(rest(&mut new), ["four"]);
}

#[test]
fn the_oldest_goes_and_is_counted_once_if_a_server_had_to_get_it() {
    // Room for three messages of four bytes.
    let ring = ring(18);
    write(&ring, &["0000", "1111", "2222", "3333"]);
    assert_eq!(ring.dropped(), 0, "nobody has to get it");
    let mut readers = [ring.reader(Start::Oldest, true), ring.reader(Start::Oldest, true)];
    let mut operator = ring.reader(Start::Oldest, false);
    let mut message = Vec::new();
    assert!(readers[0].next(&mut message) && message == b"1111");
    write(&ring, &["4444", "5555"]);
    assert_eq!(ring.dropped(), 2, "1111 and 2222 for the second");
    assert_eq!(rest(&mut readers[0]), ["3333", "4444", "5555"]);
    assert_eq!(rest(&mut readers[1]), ["3333", "4444", "5555"]);
    write(&ring, &["6666"]);
    assert_eq!(ring.dropped(), 2, "the operator has no claim");
    assert_eq!(rest(&mut operator), ["4444", "5555", "6666"]);
}

#[test]
fn what_is_longer_than_the_ring_is_refused() {
    let ring = ring(10);
    assert_eq!(write(&ring, &["12345678", "123456789", "x"]), 1);
    assert_eq!(ring.dropped(), 1);
    assert_eq!(rest(&mut ring.reader(Start::Oldest, false)), ["x"]);
}

#[test]
fn a_reader_is_woken_once_and_ends_with_the_ring() {
    let ring = ring(100);
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    let context = Context::from_waker(&waker);
    let (mut reader, mut message) = (ring.reader(Start::Oldest, true), Vec::new());
    assert!(reader.poll_next(&context, &mut message).is_pending());
    assert!(reader.poll_next(&context, &mut message).is_pending());
    write(&ring, &["a"]);
    write(&ring, &["b"]);
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
    ring.close();
    assert_eq!(reader.poll_next(&context, &mut message), Poll::Ready(Some(())));
    assert_eq!(reader.poll_next(&context, &mut message), Poll::Ready(Some(())));
    assert_eq!(message, b"b");
    assert_eq!(reader.poll_next(&context, &mut message), Poll::Ready(None));
}

#[test]
fn a_reader_that_is_gone_leaves_nothing_behind() {
    let ring = ring(10);
    drop(ring.reader(Start::Oldest, true));
    write(&ring, &["12345678", "x"]);
    assert_eq!(ring.dropped(), 0);
    assert!(ring.state().readers.is_empty());
}

proptest! {
    /// Whatever is written, the ring holds the newest messages that fit, byte for byte.
    #[test]
    fn the_newest_that_fit_are_there(messages in proptest::collection::vec("[a-z]{0,12}", 0..60), size in 1_usize..80) {
        let ring = ring(size);
        let mut kept: VecDeque<&str> = VecDeque::new();
        for message in &messages {
            write(&ring, &[message]);
            if message.len() + MESSAGE_COST <= size {
                kept.push_back(message);
            }
            while kept.iter().map(|message| message.len() + MESSAGE_COST).sum::<usize>() > size {
                kept.pop_front();
            }
            let there = rest(&mut ring.reader(Start::Oldest, false));
            prop_assert!(there.iter().eq(kept.iter()));
        }
    }
}

#[test]
fn framings() {
    for (framing, expected) in [(Framing::LineFeed, "a message\n"), (Framing::OctetCount, "9 a message")] {
        let mut out = Vec::new();
        framing.write(b"a message", &mut out);
        assert_eq!(out, expected.as_bytes());
    }
}
