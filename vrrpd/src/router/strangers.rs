//! Packets that are for none of the instances: said once each, and seldom.

use super::{Output, Outputs};
use crate::packet::{Datagram, Family};
use crate::vrrp::Level;
use crate::vrrp::bucket::Bucket;
use std::collections::HashSet;
use std::time::{Duration, Instant};

/// How many unknown ids are remembered before the list starts anew: all of four interfaces.
const UNKNOWN_MAX: usize = 4 * 255;
/// Lines that strangers may provoke at once.
const LINES_MAX: u32 = 20;
/// After these, one line in this time.
const LINE_PERIOD: Duration = Duration::from_secs(1);

/// What was said about them.
#[derive(Clone, Debug, Default)]
pub(super) struct Strangers {
    /// Unknown ids that were logged, as (interface, VRID).
    unknown: HashSet<(u32, u8)>,
    lines: Bucket,
}

impl Strangers {
    /// A virtual router id that no instance has (`log_unknown_vrids`).
    pub(super) fn report_unknown(&mut self, now: Instant, interface: (u32, &str), vrid: u8, out: &mut Outputs) {
        let (index, name) = interface;
        if self.unknown.contains(&(index, vrid)) || !self.lines.take(now, LINES_MAX, LINE_PERIOD) {
            return;
        }
        if self.unknown.len() >= UNKNOWN_MAX {
            self.unknown.clear();
        }
        self.unknown.insert((index, vrid));
        let line = format!("Unknown VRID({vrid}) received on interface({name}). ignoring...");
        out.push(Output::Log(Level::Info, line));
    }

    /// A message that ends before its virtual router id.
    pub(super) fn report_tiny(&mut self, now: Instant, datagram: &Datagram<'_>, out: &mut Outputs) {
        if self.lines.take(now, LINES_MAX, LINE_PERIOD) {
            let family = Family::of(datagram.source).name();
            let length = datagram.header_len + datagram.message.len();
            let line = format!("{family} VRRP packet too short - {length} bytes");
            out.push(Output::Log(Level::Warning, line));
        }
    }
}
