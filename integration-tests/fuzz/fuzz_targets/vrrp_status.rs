//! Any bytes as a request to vrrpd's status socket, in two pieces.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vrrpd::status::request::{HEAD_MAX, Head, parse};

fuzz_target!(|bytes: &[u8]| {
    let [cut, head @ ..] = bytes else { return };
    // However it is cut: what is an answer to the beginning is the answer to all of it.
    let first = head.get(..usize::from(*cut)).unwrap_or(head);
    let (first, whole) = (parse(first), parse(head));
    assert!(first == Head::Incomplete || first == whole, "{first:?}, then {whole:?}");
    assert!(head.len() < HEAD_MAX || whole != Head::Incomplete);
});
