//! `bfd_instance`.

use super::model::BfdInstance;
use super::{Draft, Lowering, block_end};
use shared_config::keepalived::ast::Statement;
use shared_config::words::Word;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

/// The greatest interval, in microseconds.
const INTERVAL_MAX: u64 = 4_294_967_000;

impl Lowering<'_> {
    pub(super) fn bfd(&mut self, block: &Statement, draft: &mut Draft<'_>) {
        let Some(name) = self.block_name(block, "bfd_instance must have a name") else { return };
        let name = name.as_str();
        if draft.trackers.bfd.place(name).is_some() {
            self.warn("duplicate", block.span, format!("BFD instance {name} already defined"));
            return;
        }
        let mut neighbor: Option<IpAddr> = None;
        let mut malformed = false;
        let mut bfd = BfdInstance {
            name: name.to_owned(),
            neighbor: IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
            source: None,
            min_rx: Duration::from_millis(10),
            min_tx: Duration::from_millis(10),
            idle_tx: Duration::from_secs(1),
            multiplier: 5,
            passive: false,
            ttl: 255,
            max_hops: None,
            weight: 0,
            reverse: false,
            for_vrrp: true,
            for_checker: true,
        };
        for statement in block.statements() {
            if let ("neighbor_ip" | "neighbour_ip", Some(word)) = (statement.name(), statement.argument(1)) {
                neighbor = word.as_str().parse().ok();
                if neighbor.is_none() {
                    malformed = true;
                    let message = format!(
                        "Configuration error: BFD instance {name} has malformed neighbor address {}, ignoring instance",
                        word.text
                    );
                    self.warn("invalid-address", word.span, message);
                }
            } else {
                self.bfd_setting(name, statement, &mut bfd);
            }
        }
        let Some(neighbor) = neighbor else {
            if !malformed {
                let message =
                    format!("Configuration error: BFD instance {name} has no neighbor address set, disabling instance");
                self.warn("missing-value", block_end(block), message);
            }
            return;
        };
        if let Some(source) = bfd.source
            && source.is_ipv4() != neighbor.is_ipv4()
        {
            let message = format!(
                "Configuration error: BFD instance {name} source address {source} and neighbor address {neighbor} are not of the same family, disabling instance"
            );
            self.warn("address-family", block_end(block), message);
            return;
        }
        draft.trackers.bfd.add(BfdInstance { neighbor, ..bfd });
    }

    fn bfd_setting(&mut self, name: &str, statement: &Statement, bfd: &mut BfdInstance) {
        let keyword = statement.name();
        match keyword {
            "passive" => bfd.passive = true,
            "vrrp" => bfd.for_checker = false,
            "checker" => bfd.for_vrrp = false,
            _ => {}
        }
        let Some(word) = statement.argument(1) else { return };
        match keyword {
            "source_ip" => {
                bfd.source = word.as_str().parse().ok();
                if bfd.source.is_none() {
                    let message = format!(
                        "Configuration error: BFD instance {name} has malformed source address {}, ignoring",
                        word.text
                    );
                    self.warn("invalid-address", word.span, message);
                }
            }
            "min_rx" => self.bfd_interval(name, "min_rx", word, 1, &mut bfd.min_rx),
            "min_tx" => self.bfd_interval(name, "min_tx", word, 1, &mut bfd.min_tx),
            "idle_tx" => self.bfd_interval(name, "idle_tx", word, 1000, &mut bfd.idle_tx),
            "multiplier" => {
                if let Some(n) = self.bfd_number(name, "multiplier value", word, 1..=255) {
                    bfd.multiplier = u8::try_from(n).unwrap_or(bfd.multiplier);
                }
            }
            "ttl" | "hoplimit" => {
                if let Some(n) = self.bfd_number(name, "ttl/hoplimit value", word, 1..=255) {
                    bfd.ttl = u8::try_from(n).unwrap_or(bfd.ttl);
                }
            }
            "max_hops" => {
                let hops = self.bfd_number(name, "max_hops value", word, -1..=255);
                bfd.max_hops = hops.and_then(|n| u8::try_from(n).ok());
            }
            "weight" => {
                if let Some(n) = self.bfd_number(name, "weight value", word, -253..=253) {
                    bfd.weight = i32::try_from(n).unwrap_or(0);
                }
                bfd.reverse = statement.argument(2).is_some_and(|word| word.as_str() == "reverse");
            }
            _ => {}
        }
    }

    /// Milliseconds with three decimals.
    fn bfd_interval(&mut self, name: &str, what: &str, word: &Word, least: u64, interval: &mut Duration) {
        let consequence = format!(
            "Configuration error: BFD instance {name} {what} value {} is not valid (must be in range [{least}-4294967]), ignoring",
            word.text
        );
        // The helper reads millionths of what is written; here that is nanoseconds.
        let range = least * 1_000_000..=INTERVAL_MAX * 1_000;
        if let Some(value) = self.seconds(word, range, &consequence) {
            *interval = value / 1000;
        }
    }

    fn bfd_number(&mut self, name: &str, what: &str, word: &Word, range: RangeInclusive<i64>) -> Option<i64> {
        let consequence = format!(
            "Configuration error: BFD instance {name} {what} {} not valid (must be in range [{}-{}]), ignoring",
            word.text,
            range.start(),
            range.end()
        );
        self.integer(word, range, &consequence)
    }
}
