//! Messages of the kernel's process connector (`linux/cn_proc.h`), in the byte order of this host.
//!
//! A datagram holds netlink messages; each holds a connector message; each of those one event.

/// The multicast group, and the index, of process events.
pub const GROUP: u32 = 1;
/// The value that goes with the index.
const VALUE: u32 = 1;
/// Bytes of `struct nlmsghdr`.
const NETLINK_HEADER: usize = 16;
/// Bytes of `struct cn_msg`.
const CONNECTOR_HEADER: usize = 20;
/// Bytes of `struct proc_event` before the part that differs.
const EVENT_HEADER: usize = 16;
const NLMSG_DONE: u16 = 3;

const WHAT_NONE: u32 = 0;
const WHAT_FORK: u32 = 0x1;
const WHAT_EXEC: u32 = 0x2;
const WHAT_COMM: u32 = 0x200;
const WHAT_EXIT: u32 = 0x8000_0000;

/// What a process did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The kernel's answer to [`subscribe`]: zero, or an error number.
    Subscribed(u32),
    /// It is new, or became another program, or has another name.
    Changed(u32),
    /// It ended.
    Ended(u32),
}

/// The message that asks for events.
pub fn subscribe() -> Vec<u8> {
    const LISTEN: u32 = 1;
    let length = NETLINK_HEADER + CONNECTOR_HEADER + size_of::<u32>();
    let mut message = Vec::with_capacity(length);
    message.extend(u32::try_from(length).unwrap_or_default().to_ne_bytes());
    message.extend(NLMSG_DONE.to_ne_bytes());
    // No flags, no sequence, from the kernel's port.
    message.extend([0; 10]);
    for word in [GROUP, VALUE, 0, 0] {
        message.extend(word.to_ne_bytes());
    }
    message.extend(4_u16.to_ne_bytes());
    message.extend([0; 2]);
    message.extend(LISTEN.to_ne_bytes());
    message
}

/// The events of a datagram. What is not understood is passed over.
pub fn parse(mut datagram: &[u8]) -> Vec<Event> {
    let mut events = Vec::new();
    while let Some(length) = word(datagram, 0).and_then(|length| usize::try_from(length).ok()) {
        let Some(message) = datagram.get(NETLINK_HEADER..length) else { break };
        events.extend(event(message));
        let aligned = length.next_multiple_of(4);
        datagram = datagram.get(aligned..).unwrap_or_default();
    }
    events
}

fn event(message: &[u8]) -> Option<Event> {
    if (word(message, 0)?, word(message, 4)?) != (GROUP, VALUE) {
        return None;
    }
    let message = message.get(CONNECTOR_HEADER..)?;
    let what = word(message, 0)?;
    let data = message.get(EVENT_HEADER..)?;
    // Threads have events of their own; a process is the thread whose number is that of its group.
    let process = |thread: usize, group: usize| {
        let (thread, group) = (word(data, thread)?, word(data, group)?);
        (thread == group).then_some(group)
    };
    match what {
        WHAT_NONE => word(data, 0).map(Event::Subscribed),
        // Parent and its group, child and its group.
        WHAT_FORK => process(8, 12).map(Event::Changed),
        WHAT_EXEC | WHAT_COMM => process(0, 4).map(Event::Changed),
        WHAT_EXIT => process(0, 4).map(Event::Ended),
        _ => None,
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_ne_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(what: u32, data: &[u32]) -> Vec<u8> {
        let mut body = Vec::new();
        for word in [GROUP, VALUE, 7, 0] {
            body.extend(word.to_ne_bytes());
        }
        body.extend(40_u16.to_ne_bytes());
        body.extend([0; 2]);
        for word in [what, 0, 0, 0] {
            body.extend(word.to_ne_bytes());
        }
        for word in data {
            body.extend(word.to_ne_bytes());
        }
        let mut message = u32::try_from(NETLINK_HEADER + body.len()).unwrap().to_ne_bytes().to_vec();
        message.extend([0; 12]);
        message.extend(body);
        message
    }

    #[test]
    fn events_of_processes_are_found_and_those_of_threads_are_not() {
        let mut datagram = message(WHAT_FORK, &[1, 1, 77, 77]);
        datagram.extend(message(WHAT_FORK, &[1, 1, 78, 77]));
        datagram.extend(message(WHAT_EXEC, &[77, 77]));
        datagram.extend(message(WHAT_COMM, &[77, 77, 0, 0, 0, 0]));
        datagram.extend(message(WHAT_EXIT, &[78, 77, 0, 17]));
        datagram.extend(message(WHAT_EXIT, &[77, 77, 0, 17]));
        datagram.extend(message(WHAT_NONE, &[13]));
        datagram.extend(message(0x4, &[77, 77, 0, 0]));
        let changed = Event::Changed(77);
        assert_eq!(parse(&datagram), [changed, changed, changed, Event::Ended(77), Event::Subscribed(13)]);
    }

    #[test]
    fn the_subscription_is_one_whole_message() {
        let message = subscribe();
        assert_eq!(message.len(), 40);
        assert_eq!(word(&message, 0), Some(40));
        assert_eq!(word(&message, 36), Some(1));
    }

    proptest! {
        #[test]
        fn no_datagram_is_a_problem(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _events = parse(&bytes);
        }
    }
}
