//! Lines that only one of the two writes, on purpose, each with its reason.

/// Begins or parts of lines, and why they are not compared.
const CHOSEN: &[(&str, &str)] = &[
    (
        "MAC Address changed from none to",
        "keepalived says it of the loopback device when that goes down for the first time",
    ),
    ("Expected multicast packet but received unicast packet", "keepalived drops these adverts without a word"),
];

pub(crate) fn is_chosen(line: &str) -> bool {
    CHOSEN.iter().any(|(part, _)| line.contains(part))
}
