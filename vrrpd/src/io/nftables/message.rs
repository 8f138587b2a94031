//! Messages of `nf_tables`, as bytes. Numbers are those of `linux/netfilter/nf_tables.h`, in network byte order.

use crate::io::netlink::frame::attribute;
use crate::io::netlink::socket::{ACKNOWLEDGE, APPEND, CREATE, message};

/// `NFNL_SUBSYS_NFTABLES`
const SUBSYSTEM: u16 = 10;
/// `NLA_F_NESTED`
const NESTED: u16 = 0x8000;
/// `NFNL_MSG_BATCH_BEGIN` and `…_END`
const BATCH_BEGIN: u16 = 16;
const BATCH_END: u16 = 17;
/// `NFTA_LIST_ELEM`
const LIST_ELEMENT: u16 = 1;
/// Elements that one message carries: an attribute holds no more than 64 KiB.
const ELEMENTS_MAX: usize = 500;

/// What a message does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    NewTable = 0,
    DelTable = 2,
    NewChain = 3,
    NewRule = 6,
    NewSet = 9,
    NewElement = 12,
    DelElement = 14,
}

/// `NFPROTO_IPV4` and `NFPROTO_IPV6`
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Table {
    Inet = 2,
    Inet6 = 10,
}

/// The types that `nft` shows keys as; two make a concatenation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyType {
    Inet = 7,
    Inet6 = 8,
    InterfaceIndex = 20,
    Icmp6 = 29,
    Inet6AndIndex = 8 * 64 + 20,
    Inet6AndName = 8 * 64 + 41,
}

impl KeyType {
    pub(super) fn length(self) -> u32 {
        match self {
            Self::Inet | Self::InterfaceIndex => 4,
            Self::Inet6 => 16,
            Self::Icmp6 => 1,
            Self::Inet6AndIndex => 20,
            Self::Inet6AndName => 32,
        }
    }
}

/// A set, or with values a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Set {
    pub(super) name: &'static str,
    pub(super) key: KeyType,
    /// Values are interface indices.
    pub(super) map: bool,
    /// Its elements do not change.
    pub(super) constant: bool,
}

/// The first and the last message of a transaction.
pub(super) fn bracket(end: bool) -> Vec<u8> {
    message(if end { BATCH_END } else { BATCH_BEGIN }, 0, &[0, 0, 0, 10])
}

fn verb(verb: Verb, table: Table, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![table as u8, 0, 0, 0];
    bytes.extend(payload);
    let create = match verb {
        // Without the second a rule would become the first of its chain.
        Verb::NewRule => CREATE | APPEND,
        Verb::NewTable | Verb::NewChain | Verb::NewSet | Verb::NewElement => CREATE,
        Verb::DelTable | Verb::DelElement => 0,
    };
    message(SUBSYSTEM << 8 | verb as u16, ACKNOWLEDGE | create, &bytes)
}

fn nested(kind: u16, parts: &[Vec<u8>]) -> Vec<u8> {
    attribute(kind | NESTED, &parts.concat())
}

fn text(kind: u16, value: &str) -> Vec<u8> {
    attribute(kind, &[value.as_bytes(), &[0]].concat())
}

fn number(kind: u16, value: u32) -> Vec<u8> {
    attribute(kind, &value.to_be_bytes())
}

/// Makes or removes a table.
pub(super) fn table(delete: bool, table: Table, name: &str) -> Vec<u8> {
    verb(if delete { Verb::DelTable } else { Verb::NewTable }, table, &text(1, name))
}

/// A chain; with a hook (`NF_INET_LOCAL_IN` 1, `NF_INET_LOCAL_OUT` 3) and priority the kernel calls it.
pub(super) fn chain(table: Table, table_name: &str, name: &str, hook: Option<(u32, i32)>) -> Vec<u8> {
    let mut parts = vec![text(1, table_name), text(3, name)];
    if let Some((hook, priority)) = hook {
        parts.push(nested(4, &[number(1, hook), attribute(2, &priority.to_be_bytes())]));
        parts.push(number(5, ACCEPT));
        parts.push(text(7, "filter"));
    }
    verb(Verb::NewChain, table, &parts.concat())
}

/// A set or map; `id` is any number that no other set of the transaction has.
pub(super) fn set(table: Table, table_name: &str, set: &Set, id: u32) -> Vec<u8> {
    let flags = if set.map { 8 } else { 0 } | if set.constant { 2 } else { 0 };
    let mut parts = vec![
        text(1, table_name),
        text(2, set.name),
        number(3, flags),
        number(4, set.key as u32),
        number(5, set.key.length()),
        number(10, id),
    ];
    // For `nft` only: what it shows as a number of the host's byte order, or as the interface's name.
    let mut user_data = Vec::new();
    if set.key == KeyType::InterfaceIndex {
        user_data.extend(byte_order(KEY_BYTE_ORDER));
    }
    if set.map {
        user_data.extend(byte_order(DATA_BYTE_ORDER));
    }
    if !user_data.is_empty() {
        parts.push(attribute(13, &user_data));
    }
    if set.map {
        parts.push(number(6, KeyType::InterfaceIndex as u32));
        parts.push(number(7, KeyType::InterfaceIndex.length()));
    }
    verb(Verb::NewSet, table, &parts.concat())
}

/// `NFTNL_UDATA_SET_KEYBYTEORDER` and `…_DATABYTEORDER`
const KEY_BYTE_ORDER: u8 = 0;
const DATA_BYTE_ORDER: u8 = 1;

fn byte_order(what: u8) -> Vec<u8> {
    const HOST: u32 = 1;
    let mut bytes = vec![what, 4];
    bytes.extend(HOST.to_ne_bytes());
    bytes
}

/// Adds elements to a set or takes them out, each a key and for maps a value.
pub(super) fn elements(
    delete: bool,
    table: Table,
    table_name: &str,
    set: &str,
    elements: &[(Vec<u8>, Option<Vec<u8>>)],
) -> Vec<Vec<u8>> {
    let element = |(key, value): &(Vec<u8>, Option<Vec<u8>>)| {
        let mut parts = vec![nested(1, &[attribute(1, key)])];
        parts.extend(value.as_ref().map(|value| nested(2, &[attribute(1, value)])));
        nested(LIST_ELEMENT, &parts)
    };
    let chunks = elements.chunks(ELEMENTS_MAX).map(|chunk| {
        let list: Vec<Vec<u8>> = chunk.iter().map(element).collect();
        let parts = [text(1, table_name), text(2, set), nested(3, &list)];
        verb(if delete { Verb::DelElement } else { Verb::NewElement }, table, &parts.concat())
    });
    chunks.collect()
}

/// A rule at the end of a chain.
pub(super) fn rule(table: Table, table_name: &str, chain: &str, expressions: &[Vec<u8>]) -> Vec<u8> {
    let parts = [text(1, table_name), text(2, chain), nested(4, expressions)];
    verb(Verb::NewRule, table, &parts.concat())
}

// ---- expressions

/// `NF_ACCEPT`
const ACCEPT: u32 = 1;
/// `NF_DROP`
const DROP: u32 = 0;
/// `NFT_GOTO`
const GOTO: i32 = -4;
/// `NFT_META_IIF`, `…_OIF`, `…_IIFNAME`, `…_OIFNAME`, `…_L4PROTO`, `…_OIFKIND`
pub(super) const META_IIF: u32 = 4;
pub(super) const META_OIF: u32 = 5;
pub(super) const META_IIFNAME: u32 = 6;
pub(super) const META_OIFNAME: u32 = 7;
pub(super) const META_L4PROTO: u32 = 16;
pub(super) const META_OIFKIND: u32 = 27;
/// `NFT_PAYLOAD_NETWORK_HEADER`, `NFT_PAYLOAD_TRANSPORT_HEADER`
pub(super) const NETWORK: u32 = 1;
pub(super) const TRANSPORT: u32 = 2;

fn expression(name: &str, parts: &[Vec<u8>]) -> Vec<u8> {
    nested(LIST_ELEMENT, &[text(1, name), nested(2, parts)])
}

/// Octets of a header into a register.
pub(super) fn payload(base: u32, offset: u32, length: u32, register: u32) -> Vec<u8> {
    expression("payload", &[number(1, register), number(2, base), number(3, offset), number(4, length)])
}

/// What is known beside the packet into a register.
pub(super) fn meta(key: u32, register: u32) -> Vec<u8> {
    expression("meta", &[number(1, register), number(2, key)])
}

/// Goes on only when the register holds this.
pub(super) fn equals(register: u32, value: &[u8]) -> Vec<u8> {
    expression("cmp", &[number(1, register), number(2, 0), nested(3, &[attribute(1, value)])])
}

/// Keeps some bits of a register.
pub(super) fn mask(register: u32, bits: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bits.len()).unwrap_or_default();
    let zeros = vec![0; bits.len()];
    let parts = [
        number(1, register),
        number(2, register),
        number(3, length),
        nested(4, &[attribute(1, bits)]),
        nested(5, &[attribute(1, &zeros)]),
    ];
    expression("bitwise", &parts)
}

/// Goes on only when the register's content is in the set; a map's value goes into the second register.
pub(super) fn lookup(set: &str, register: u32, value_into: Option<u32>) -> Vec<u8> {
    let mut parts = vec![text(1, set), number(2, register)];
    parts.extend(value_into.map(|register| number(3, register)));
    expression("lookup", &parts)
}

/// Sends a copy to the address of one register through the interface of the other.
pub(super) fn duplicate(address: u32, device: u32) -> Vec<u8> {
    expression("dup", &[number(1, address), number(2, device)])
}

/// Counts packets and octets.
pub(super) fn counter() -> Vec<u8> {
    expression("counter", &[])
}

/// How a rule ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Accept,
    Drop,
    Goto(&'static str),
}

/// The end of a rule.
pub(super) fn verdict(verdict: Verdict) -> Vec<u8> {
    let parts = match verdict {
        Verdict::Accept => vec![number(1, ACCEPT)],
        Verdict::Drop => vec![number(1, DROP)],
        Verdict::Goto(chain) => vec![attribute(1, &GOTO.to_be_bytes()), text(2, chain)],
    };
    expression("immediate", &[number(1, 0), nested(2, &[nested(2, &parts)])])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::netlink::frame::{HEADER, attributes, frames};

    #[test]
    fn a_set_element_reads_back() {
        let element = (vec![10, 0, 0, 9], None);
        let built = elements(false, Table::Inet, "keepalived", "vips", &[element]);
        let [message] = built.as_slice() else { panic!("{built:?}") };
        let frame = frames(message).next().unwrap();
        assert_eq!(frame.kind, 0x0a0c);
        assert_eq!(frame.whole[HEADER], 2, "the family");
        let found: Vec<(u16, &[u8])> = attributes(&frame.whole[HEADER + 4..]).collect();
        assert_eq!((found[0], found[1]), ((1, b"keepalived\0".as_slice()), (2, b"vips\0".as_slice())));
        let mut value = found[2].1;
        // The list, its element, its key, the value.
        for _ in 0..3 {
            value = attributes(value).next().unwrap().1;
        }
        assert_eq!(value, [10, 0, 0, 9]);
    }

    #[test]
    fn many_elements_are_several_messages() {
        let many: Vec<_> = (0..=ELEMENTS_MAX).map(|_| (vec![0; 4], None)).collect();
        assert_eq!(elements(true, Table::Inet6, "keepalived", "vips", &many).len(), 2);
        assert!(elements(true, Table::Inet6, "keepalived", "vips", &[]).is_empty());
    }
}
