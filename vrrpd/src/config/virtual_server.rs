//! `virtual_server` and its groups: read and checked, not applied. So it suffices to judge what the blocks say in the
//! places where people get it wrong, and to count what is there.

use super::model::VirtualServer;
use super::{Draft, Lowering};
use shared_config::diagnostic::Diagnostic;
use shared_config::keepalived::ast::Statement;
use shared_config::words::Word;
use std::net::IpAddr;

const SCHEDULERS: &[&str] =
    &["rr", "wrr", "lc", "wlc", "lblc", "sh", "mh", "dh", "fo", "ovf", "lblcr", "sed", "nq", "twos"];

const METHODS: &[&str] = &["NAT", "DR", "TUN"];

/// As keepalived writes it in messages.
fn server_name(block: &Statement, first: &Word, second: Option<&Word>) -> String {
    let second = second.map_or("0", |word| word.as_str());
    match first.as_str() {
        "group" => format!("[{second}]:0"),
        "fwmark" => format!("FWM {second}"),
        address => {
            let protocols = block.statements().iter().filter(|statement| statement.name() == "protocol");
            let protocol = protocols.filter_map(|statement| statement.argument(1)).next_back();
            let protocol = protocol.map_or("none".to_owned(), |word| word.as_str().to_ascii_lowercase());
            format!("[{address}]:{protocol}:{second}")
        }
    }
}

impl Lowering<'_> {
    pub(super) fn virtual_server(&mut self, block: &Statement, draft: &mut Draft<'_>) {
        let Some(first) = block.argument(1) else {
            let message = "*** Configuration line starting `virtual_server` is missing a parameter after keyword `virtual_server` at word position 2";
            self.report(
                Diagnostic::error("missing-parameter", block.span, message)
                    .label("an address, `fwmark N` or `group NAME` must follow"),
            );
            return;
        };
        let second = block.argument(2);
        if !self.server_address(first, second) {
            return;
        }
        let mut real_servers = 0;
        for statement in block.statements() {
            if statement.name() == "real_server" {
                real_servers += usize::from(self.real_server(statement));
            } else {
                self.server_setting(statement);
            }
        }
        let name = server_name(block, first, second);
        if real_servers == 0 {
            let message = format!("Virtual server {name} has no real servers - ignoring");
            self.warn_whole("no-real-server", block.span, message);
        } else {
            self.server_defaults(block, &name, first.as_str() == "fwmark");
        }
        draft.virtual_servers.push(VirtualServer { name, real_servers });
    }

    /// `fwmark N`, `group NAME` or an address with its port.
    fn server_address(&mut self, first: &Word, second: Option<&Word>) -> bool {
        match (first.as_str(), second) {
            ("group", Some(_)) => true,
            ("fwmark", Some(mark)) => {
                let consequence = format!("Invalid fwmark {} - skipping", mark.text);
                self.integer(mark, 1..=i64::from(u32::MAX), &consequence).is_some()
            }
            _ => self.address_and_port("virtual server IP address/port", first, second),
        }
    }

    /// What keepalived says about words that are not there.
    fn server_defaults(&mut self, block: &Statement, name: &str, is_mark: bool) {
        let find = |names: &[&str]| block.statements().iter().find(|statement| names.contains(&statement.name()));
        if is_mark && let Some(protocol) = find(&["protocol"]) {
            let message =
                format!("Warning: Virtual server {name}: protocol specified for fwmark - protocol will be ignored");
            self.warn_whole("protocol", protocol.span, message);
        }
        if !is_mark && find(&["protocol"]).is_none() {
            let message = format!("Virtual server {name}: no protocol set - defaulting to UDP");
            self.warn_whole("protocol", block.span, message);
        }
        let has = |names: &[&str], known: &[&str]| {
            find(names).and_then(|statement| statement.argument(1)).is_some_and(|word| known.contains(&word.as_str()))
        };
        if !has(&["lb_algo", "lvs_sched"], SCHEDULERS) {
            let message = format!("Virtual server {name}: no scheduler set, setting default 'wlc'");
            self.warn_whole("scheduler", block.span, message);
        }
        if !has(&["lb_kind", "lvs_method"], METHODS) {
            let message = format!("Virtual server {name}: no forwarding method set, setting default NAT");
            self.warn_whole("method", block.span, message);
        }
    }

    /// An address and a port that may be left out. False, with keepalived's message, where they are none.
    fn address_and_port(&mut self, what: &str, address: &Word, port: Option<&Word>) -> bool {
        let port_is_valid = port.is_none_or(|port| port.as_str().parse::<u16>().is_ok());
        if address.as_str().parse::<IpAddr>().is_ok() && port_is_valid {
            return true;
        }
        let shown = port.map_or("", |port| port.as_str());
        let span = if port_is_valid { address.span } else { port.map_or(address.span, |port| port.span) };
        let message = format!("Invalid {what} {}/{shown} - skipping", address.text);
        self.report(Diagnostic::warning("invalid-address", span, message).label("the block is not used"));
        false
    }

    fn server_setting(&mut self, statement: &Statement) {
        let Some(word) = statement.argument(1) else { return };
        let text = word.as_str();
        match statement.name() {
            "lb_algo" | "lvs_sched" if !SCHEDULERS.contains(&text) => {
                self.warn("unknown-option", word.span, format!("Invalid lvs_scheduler '{text}' - ignoring"));
            }
            "lb_kind" | "lvs_method" if !METHODS.contains(&text) => {
                let message = format!("PARSER : unknown [{text}] routing method for virtual server.");
                self.report(
                    Diagnostic::warning("unknown-option", word.span, message).help("write NAT, DR or TUN in capitals"),
                );
            }
            "protocol" if !["TCP", "UDP", "SCTP"].iter().any(|known| known.eq_ignore_ascii_case(text)) => {
                self.warn("unknown-option", word.span, format!("Unknown protocol {text} - ignoring"));
            }
            "persistence_timeout" => {
                self.integer(word, 1..=2_678_400, "persistence_timeout invalid");
            }
            "quorum" => {
                let consequence = format!("Quorum {text} must be in [1, 4294967295]. Setting to 1.");
                self.integer(word, 1..=i64::from(u32::MAX), &consequence);
            }
            "delay_loop" => {
                let consequence = format!("virtual server delay loop '{text}' invalid - ignoring");
                self.seconds(word, 1..=18_446_744_073_709_551_614, &consequence);
            }
            "connect_timeout" => {
                self.seconds(word, 1..=4_294_967_295, &format!("connect_timeout {text} invalid - ignoring"));
            }
            "retry" => {
                self.integer(word, 0..=i64::from(u32::MAX), &format!("retry value {text} invalid - ignoring"));
            }
            _ => {}
        }
    }

    /// True where the real server counts.
    fn real_server(&mut self, block: &Statement) -> bool {
        let Some(address) = block.argument(1) else {
            let message = "*** Configuration line starting `real_server` is missing a parameter after keyword `real_server` at word position 2";
            self.report(Diagnostic::error("missing-parameter", block.span, message).label("an address must follow"));
            return false;
        };
        if !self.address_and_port("real server ip address/port", address, block.argument(2)) {
            return false;
        }
        for statement in block.statements() {
            if statement.block.is_some() {
                self.checker(statement);
            } else {
                self.server_setting(statement);
            }
        }
        true
    }

    fn checker(&mut self, block: &Statement) {
        for statement in block.statements() {
            let word = statement.argument(1);
            match (statement.name(), word) {
                ("nb_get_retry", Some(_)) => {
                    self.warn("deprecated", statement.span, "nb_get_retry is deprecated - please use 'retry'");
                }
                ("connect_ip" | "bindto", Some(word)) if word.as_str().parse::<IpAddr>().is_err() => {
                    let message = format!("Invalid {} address {} - ignoring", statement.name(), word.text);
                    self.warn("invalid-address", word.span, message);
                }
                ("digest", Some(word)) if word.as_str().len() != 32 => {
                    let message = format!(
                        "digest '{}' character length should be 32 rather than {}",
                        word.text,
                        word.as_str().len()
                    );
                    self.warn("invalid-digest", word.span, message);
                }
                ("status_code", Some(word)) if !status_codes(&statement.words[1..]) => {
                    self.warn("invalid-number", word.span, format!("Invalid HTTP_GET status code '{}'", word.text));
                }
                ("url" | "host", _) => self.checker(statement),
                _ => self.server_setting(statement),
            }
        }
    }

    pub(super) fn virtual_server_group(&mut self, block: &Statement) {
        if self.block_name(block, "virtual_server_group must have a name").is_none() {
            return;
        }
        for line in block.statements() {
            let (Some(first), port) = (line.keyword(), line.argument(1)) else { continue };
            if first.as_str() == "fwmark" {
                if let Some(mark) = port {
                    self.integer(mark, 1..=i64::from(u32::MAX), "Invalid virtual server group fwmark - skipping");
                }
                continue;
            }
            // A range is written `10.0.0.1-9`, `10.0.0.1-10.0.0.9` or `10.0.0.0/29`.
            let address = first.as_str().split(['-', '/']).next().unwrap_or_default();
            let port_is_valid = port.is_none_or(|port| port.as_str().parse::<u16>().is_ok());
            if address.parse::<IpAddr>().is_err() || !port_is_valid {
                let shown = port.map_or("", |port| port.as_str());
                let message =
                    format!("Invalid virtual server group IP address {} /port/{shown} - skipping", first.text);
                self.warn("invalid-address", first.span, message);
            }
        }
    }
}

/// Codes and ranges of codes from 100 to 599.
fn status_codes(words: &[Word]) -> bool {
    let code = |text: &str| text.parse().is_ok_and(|code: u16| (100..=599).contains(&code));
    words.iter().all(|word| match word.as_str().split_once('-') {
        Some((from, to)) => code(from) && code(to),
        None => code(word.as_str()),
    })
}
