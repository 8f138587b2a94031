//! What a host did, without what differs from run to run: times, identifications, how often an unchanged advert or line
//! was repeated.

use crate::divergence;
use integration_tests::capture::Frame;
use integration_tests::capture::packet::{Advert, Packet};
use integration_tests::speaker::{Node, Speaker};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Of both hosts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Transcript(pub(crate) [Part; 2]);

/// Of one host.
#[derive(Clone, Debug, Default)]
pub(crate) struct Part {
    speaker: Option<Speaker>,
    /// Lines about virtual routers, groups, trackers and the kernel's reports.
    log: Vec<String>,
    packets: Vec<String>,
    /// What its notify scripts were called with.
    told: Vec<String>,
    /// Addresses of its devices at the end.
    addresses: Vec<String>,
}

impl Transcript {
    /// Gives up the order of lines and notifications.
    pub(crate) fn sort(&mut self) {
        for part in &mut self.0 {
            part.log.sort();
            part.told.sort();
        }
    }

    /// Leaves lines of the log out.
    pub(crate) fn drop_lines(&mut self, text: &str) {
        for part in &mut self.0 {
            part.log.retain(|line| !line.contains(text));
            part.log.dedup();
        }
    }

    /// Of the lines and packets with this text, leaves all but the first out.
    pub(crate) fn keep_first(&mut self, text: &str) {
        for part in &mut self.0 {
            for lines in [&mut part.log, &mut part.packets] {
                let mut seen = false;
                lines.retain(|line| !line.contains(text) || !std::mem::replace(&mut seen, true));
                lines.dedup();
            }
        }
    }
}

impl Part {
    pub(crate) fn look(&mut self, node: &Node) {
        let shown = node.host.sh("ip -o address show scope global; ip -o -6 address show scope link");
        let mut lines: Vec<String> = shown.unwrap_or_default().lines().filter_map(address).collect();
        lines.sort();
        self.addresses = lines;
    }

    pub(crate) fn finish(&mut self, node: &Node, frames: &[Frame]) {
        self.speaker = Some(node.speaker());
        self.log = log(&node.log());
        self.packets = packets(frames);
        self.told = node.told();
    }
}

/// Everything of `ip -o address` but the number of the device, how long the address is valid, and whether the kernel is
/// still looking for another that has it.
fn address(line: &str) -> Option<String> {
    let words = line.split('\\').next()?.split_ascii_whitespace().skip(1);
    let words: Vec<&str> = words.filter(|word| *word != "tentative").collect();
    (words.first() != Some(&"lo")).then(|| words.join(" "))
}

/// The lines that keepalived's users may filter for. What the two say about their own processes differs by nature.
fn log(text: &str) -> Vec<String> {
    const ABOUT: [&str; 7] = ["(", "Sending ", "Netlink re", "VRRP_Script(", "Script `", "VRRP_Group(", "Track "];
    let lines = text.lines().filter_map(|line| {
        // `Sat Nov 28 16:35:19 2026: `
        let (_, line) = line.split_once(": ")?;
        (ABOUT.iter().any(|about| line.starts_with(about)) && !divergence::is_chosen(line)).then(|| line.to_owned())
    });
    let mut lines: Vec<String> = lines.collect();
    // Of several routers each is told on its own.
    if lines.iter().any(|line| line.starts_with("(VI_2)")) {
        lines.sort_by_key(|line| line.split(')').next().filter(|name| name.starts_with("(VI_")).map(str::to_owned));
    }
    lines.dedup();
    lines
}

/// Announcements one by one, adverts as long as they stay the same as one. The identification counts from the start of
/// a router: it is shown where it begins. Of several routers each is told on its own: they take no turns.
fn packets(frames: &[Frame]) -> Vec<String> {
    let mut routers: BTreeMap<String, Vec<&Packet>> = BTreeMap::new();
    let vrids: BTreeSet<u8> = frames.iter().filter_map(|frame| frame.packet.advert().map(Advert::vrid)).collect();
    for Frame { packet, .. } in frames {
        let router = match packet {
            _ if vrids.len() < 2 => String::new(),
            Packet::Advert(advert) => advert.vrid().to_string(),
            Packet::Announcement(announcement) => announcement.address.to_string(),
        };
        routers.entry(router).or_default().push(packet);
    }
    routers.values().flat_map(|packets| sequence(packets)).collect()
}

fn sequence(packets: &[&Packet]) -> Vec<String> {
    let (mut lines, mut last, mut begun) = (Vec::new(), None, BTreeSet::new());
    for packet in packets {
        let mut line = packet.to_string();
        if let Packet::Advert(advert) = packet {
            let again = last.is_some_and(|last| advert.same_but_id(last)) && advert.priority() != 0;
            last = Some(advert);
            if again {
                continue;
            }
            if begun.insert(advert.addresses.1) {
                let _ = write!(line, " id {}", advert.id);
            }
        }
        lines.push(line);
    }
    lines
}

/// What two transcripts differ in, if they do. FRR's part is nobody's measure.
pub(crate) fn difference(expected: &Transcript, played: &Transcript) -> Option<String> {
    let mut text = String::new();
    for (host, (expected, played)) in ["A", "B"].into_iter().zip(expected.0.iter().zip(&played.0)) {
        if expected.speaker == Some(Speaker::Frr) {
            continue;
        }
        let kinds = [
            ("log", &expected.log, &played.log),
            ("packets", &expected.packets, &played.packets),
            ("notifications", &expected.told, &played.told),
            ("addresses", &expected.addresses, &played.addresses),
        ];
        for (kind, expected, played) in kinds {
            if expected != played {
                let _ = write!(text, "-- {kind} of {host} (- keepalived's, + here):\n{}", lines(expected, played));
            }
        }
    }
    (!text.is_empty()).then_some(text)
}

/// Both lists as one, common lines once: the longest common subsequence.
fn lines(expected: &[String], played: &[String]) -> String {
    let mut length = vec![vec![0_usize; played.len() + 1]; expected.len() + 1];
    for (i, left) in expected.iter().enumerate().rev() {
        for (j, right) in played.iter().enumerate().rev() {
            length[i][j] =
                if left == right { length[i + 1][j + 1] + 1 } else { length[i + 1][j].max(length[i][j + 1]) };
        }
    }
    let (mut i, mut j, mut text) = (0, 0, String::new());
    while i < expected.len() || j < played.len() {
        let (sign, line) = if i < expected.len() && j < played.len() && expected[i] == played[j] {
            i += 1;
            j += 1;
            (' ', &played[j - 1])
        } else if j == played.len() || (i < expected.len() && length[i + 1][j] >= length[i][j + 1]) {
            i += 1;
            ('-', &expected[i - 1])
        } else {
            j += 1;
            ('+', &played[j - 1])
        };
        let _ = writeln!(text, "   {sign} {line}");
    }
    text
}
