//! Lines of `virtual_ipaddress`, `virtual_ipaddress_excluded` and `static_ipaddress`, in the words of ip-address(8).

use super::model::{Broadcast, Lifetime, VirtualAddress};
use super::value::{address_and_prefix, full_prefix};
use super::{Lowering, RoutingNames};
use shared_config::diagnostic::Diagnostic;
use shared_config::keepalived::ast::Statement;
use shared_config::words::{Word, Words};
use std::net::IpAddr;

/// The longest label the kernel takes (`IFNAMSIZ` less one).
const LABEL_BYTES_MAX: usize = 15;

/// A line, and the track group it names.
pub(super) struct AddressLine<'a> {
    pub(super) address: VirtualAddress,
    pub(super) track_group: Option<&'a Word>,
}

impl Lowering<'_> {
    /// One line; `None` where keepalived leaves it out. Only static addresses may name a track group.
    pub(super) fn address_line<'a>(&mut self, line: &'a Statement, is_static: bool) -> Option<AddressLine<'a>> {
        let mut words = line.words();
        let first = words.next()?;
        let (address, prefix_length) = self.address_with_prefix(first)?;
        let mut address = VirtualAddress {
            address,
            prefix_length,
            interface: None,
            broadcast: Broadcast::None,
            scope: 0,
            label: None,
            peer: None,
            preferred_lifetime: None,
            home: false,
            dad: false,
            manage_temp_address: false,
            no_prefix_route: false,
            autojoin: false,
            track: true,
            vmac: false,
        };
        let mut track_group = None;
        while let Some(option) = words.next() {
            match option.as_str() {
                "dev" | "brd" | "broadcast" | "scope" | "label" | "peer" | "preferred_lft" => {
                    if !self.address_option(first, option, &mut words, &mut address) {
                        return None;
                    }
                }
                "home" => address.home = true,
                "-nodad" => address.dad = true,
                "mngtmpaddr" => address.manage_temp_address = true,
                "noprefixroute" => address.no_prefix_route = true,
                "autojoin" => address.autojoin = true,
                "no_track" if !is_static => address.track = false,
                "track_group" if is_static => track_group = words.next(),
                "use_vmac" if !is_static => address.vmac = true,
                other => {
                    let message = format!("Unknown configuration entry '{other}' for ip address - ignoring");
                    let help = if other.parse::<IpAddr>().is_ok() || address_and_prefix(other).is_some() {
                        "each address needs a line of its own"
                    } else {
                        "the options are those of ip-address(8)"
                    };
                    self.report(Diagnostic::warning("unknown-option", option.span, message).help(help));
                }
            }
        }
        if address.preferred_lifetime.is_none() && address.address.is_ipv6() && address.prefix_length == 128 {
            address.preferred_lifetime = Some(Lifetime::Seconds(0));
        }
        Some(AddressLine { address, track_group })
    }

    fn address_with_prefix(&mut self, word: &Word) -> Option<(IpAddr, u8)> {
        let Some((address, prefix)) = address_and_prefix(word.as_str()) else {
            let message = format!("VRRP parsed invalid IP {}. skipping IP...", word.text);
            self.report(Diagnostic::warning("invalid-address", word.span, message).label("the address is left out"));
            return None;
        };
        let full = full_prefix(address);
        let Some(prefix) = prefix.filter(|prefix| !prefix.is_empty()) else { return Some((address, full)) };
        let length = match super::value::integer(prefix, &(0..=i64::from(full))) {
            Ok(length) => u8::try_from(length).unwrap_or(full),
            Err(problem) => {
                let text = word.as_str();
                let at = text.len() - prefix.len();
                let consequence = format!("Invalid address prefix len {prefix} for address {text} - using {full}");
                let span = word.span_of(at..text.len());
                self.report(Diagnostic::warning("invalid-number", span, problem).label(consequence));
                full
            }
        };
        Some((address, length))
    }

    /// An option with a value. False where the address must be left out.
    fn address_option(
        &mut self,
        first: &Word,
        option: &Word,
        words: &mut Words<'_>,
        address: &mut VirtualAddress,
    ) -> bool {
        let shown = first.as_str();
        let name = option.as_str();
        let Some(value) = words.next() else {
            let name = if name == "broadcast" { "brd" } else { name };
            self.warn("missing-value", option.span, format!("No {name} parameter specified for {shown}"));
            return true;
        };
        let text = value.as_str();
        match name {
            "dev" => {
                if !self.host.has_interface(text) {
                    let message = format!("WARNING - interface {text} for ip address {shown} doesn't exist");
                    self.warn("no-device", value.span, message);
                }
                address.interface = Some(text.to_owned());
            }
            "brd" | "broadcast" => match (text, text.parse()) {
                ("+", _) => address.broadcast = Broadcast::HostOnes,
                ("-", _) => address.broadcast = Broadcast::HostZeros,
                (_, Ok(broadcast)) if address.address.is_ipv4() => address.broadcast = Broadcast::Address(broadcast),
                _ => {
                    let message = format!("VRRP is trying to assign invalid broadcast {text}. skipping VIP...");
                    self.warn("invalid-address", value.span, message);
                    return false;
                }
            },
            "scope" => {
                let scope = self.scope(text);
                if scope.is_none() {
                    let message = format!("Invalid scope '{text}' specified for {shown} - ignoring");
                    self.warn("invalid-scope", value.span, message);
                }
                address.scope = scope.unwrap_or(address.scope);
            }
            "label" if text.len() > LABEL_BYTES_MAX => {
                let message =
                    format!("Address label {text} is longer than maximum length {LABEL_BYTES_MAX} - removing address");
                self.warn("label-too-long", value.span, message);
                return false;
            }
            "label" => address.label = Some(text.to_owned()),
            "peer" => match address_and_prefix(text) {
                Some((peer, None)) => address.peer = Some((peer, address.prefix_length)),
                Some((peer, Some(prefix))) if prefix.parse().is_ok_and(|n: u8| n <= full_prefix(peer)) => {
                    address.peer = Some((peer, prefix.parse().unwrap_or(address.prefix_length)));
                }
                Some(_) | None => {
                    self.invalid_ip(value, format!("Invalid peer address {text}"));
                    return false;
                }
            },
            _ if text == "forever" => address.preferred_lifetime = Some(Lifetime::Forever),
            _ => {
                let range = 0..=i64::from(u32::MAX) - 1;
                if let Some(n) = self.integer(value, range, &format!("preferred_lft {text} is invalid")) {
                    address.preferred_lifetime = Some(Lifetime::Seconds(u32::try_from(n).unwrap_or(0)));
                }
            }
        }
        true
    }

    /// A scope by its name or number.
    pub(super) fn scope(&self, text: &str) -> Option<u8> {
        match text {
            "global" | "universe" => Some(0),
            "site" => Some(200),
            "link" => Some(253),
            "host" => Some(254),
            "nowhere" => Some(255),
            other => {
                other.parse().ok().or_else(|| u8::try_from(self.host.routing_name(RoutingNames::Scopes, other)?).ok())
            }
        }
    }
}
