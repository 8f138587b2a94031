//! `vrrp_instance`: what its block says, word by word. What only holds together at the end (defaults from
//! `global_defs`, conflicts between words) is decided in `instance/finish.rs`.

mod finish;
mod notify;
mod settings;

pub(super) use notify::NotifyDraft;

use super::model::{
    Family, InitialState, InstanceId, OldChecksum, Peer, Route, Rule, SyncGroupId, Track, VirtualAddress, Vmac,
    VmacKind,
};
use super::value::address_and_prefix;
use super::{Lowering, global::Globals};
use shared_config::diagnostic::Diagnostic;
use shared_config::keepalived::ast::Statement;
use shared_config::source::Span;
use shared_config::words::Word;
use std::net::IpAddr;
use std::time::Duration;

/// The interface that every host has, and that leads to no other host.
const LOOPBACK: &str = "lo";

/// An instance as far as its own block tells.
pub(super) struct Draft<'a> {
    pub(super) name: &'a Word,
    pub(super) head: &'a Statement,
    pub(super) family: Option<Family>,
    version: Option<super::model::Version>,
    state: Option<InitialState>,
    pub(super) interface: Option<&'a Word>,
    pub(super) vrid: Option<u8>,
    pub(super) priority: Option<u8>,
    advert_int: Option<(Duration, Span)>,
    auth: AuthDraft<'a>,
    addresses: Vec<VirtualAddress>,
    excluded: Vec<VirtualAddress>,
    no_addresses: bool,
    routes: Vec<Route>,
    rules: Vec<Rule>,
    promote_secondaries: bool,
    preempt: Option<(bool, Span)>,
    preempt_delay: Option<(Duration, Span)>,
    unicast: UnicastDraft,
    source: Option<IpAddr>,
    track_source: bool,
    multicast: Option<IpAddr>,
    native_ipv6: Option<Span>,
    pub(super) track: Track,
    notify: NotifyDraft,
    garp: GarpDraft,
    vmac: Option<Vmac>,
    vmac_xmit_base: Option<Span>,
    vmac_addresses: bool,
    vrf: Option<String>,
    accept: Option<bool>,
    strict: Option<bool>,
    skip_check: Option<bool>,
    lower_priority_no_advert: Option<bool>,
    higher_priority_send_advert: Option<bool>,
    owner_ignore_adverts: Option<bool>,
    checksum_as_v2: Option<bool>,
    down_timer_adverts: Option<u8>,
    timer_expired_backup: Option<u8>,
    receive_buffer: Option<u32>,
    debug: u8,
    lvs_sync: bool,
    pub(super) sync_group: Option<SyncGroupId>,
}

/// `authentication`
#[derive(Default)]
struct AuthDraft<'a> {
    kind: Option<(AuthKind, Span)>,
    /// `auth_hmac`
    hmac: Option<Span>,
    password: Option<&'a Word>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum AuthKind {
    Password,
    Ah,
}

/// What makes an instance a unicast one.
#[derive(Default)]
struct UnicastDraft {
    /// The first word that asks for unicast.
    asked: Option<Span>,
    peers: Vec<Peer>,
    fault_no_peer: bool,
    check_source: Option<bool>,
    ttl: Option<u8>,
    old_checksum: Option<OldChecksum>,
}

/// The `garp_*` words.
#[derive(Default)]
pub(super) struct GarpDraft {
    pub(super) master_delay: Option<Duration>,
    pub(super) master_repeat: Option<u8>,
    pub(super) refresh: Option<Duration>,
    pub(super) refresh_repeat: Option<u8>,
    pub(super) lower_delay: Option<Duration>,
    pub(super) lower_repeat: Option<u8>,
    pub(super) extra: Option<(Duration, bool)>,
}

impl<'a> Draft<'a> {
    fn new(name: &'a Word, head: &'a Statement) -> Self {
        Self {
            name,
            head,
            family: None,
            version: None,
            state: None,
            interface: None,
            vrid: None,
            priority: None,
            advert_int: None,
            auth: AuthDraft::default(),
            addresses: Vec::new(),
            excluded: Vec::new(),
            no_addresses: false,
            routes: Vec::new(),
            rules: Vec::new(),
            promote_secondaries: false,
            preempt: None,
            preempt_delay: None,
            unicast: UnicastDraft::default(),
            source: None,
            track_source: false,
            multicast: None,
            native_ipv6: None,
            track: Track { primary: true, ..Track::default() },
            notify: NotifyDraft::default(),
            garp: GarpDraft::default(),
            vmac: None,
            vmac_xmit_base: None,
            vmac_addresses: false,
            vrf: None,
            accept: None,
            strict: None,
            skip_check: None,
            lower_priority_no_advert: None,
            higher_priority_send_advert: None,
            owner_ignore_adverts: None,
            checksum_as_v2: None,
            down_timer_adverts: None,
            timer_expired_backup: None,
            receive_buffer: None,
            debug: 0,
            lvs_sync: false,
            sync_group: None,
        }
    }

    /// The family of an address if it is the first, or agrees with the first.
    fn accept_family(&mut self, address: IpAddr) -> bool {
        let family = if address.is_ipv4() { Family::Inet } else { Family::Inet6 };
        *self.family.get_or_insert(family) == family
    }
}

impl Lowering<'_> {
    pub(super) fn instance<'a>(&mut self, block: &'a Statement, globals: &Globals, all: &mut super::Draft<'a>) {
        let Some(name) = self.block_name(block, "vrrp_instance must have a name") else { return };
        if let Some(other) = all.instance_ids.get(&name.text) {
            let first = all.instances[other.0].name.span;
            self.report(
                Diagnostic::warning("duplicate", name.span, format!("vrrp instance {} already defined", name.text))
                    .label("this one is not used")
                    .related(first, "the first is here"),
            );
            return;
        }
        let mut draft = Draft::new(name, block);
        for statement in block.statements() {
            self.instance_statement(statement, globals, all, &mut draft);
        }
        all.instance_ids.insert(name.text.clone(), InstanceId(all.instances.len()));
        all.instances.push(draft);
    }

    fn instance_statement<'a>(
        &mut self,
        statement: &'a Statement,
        globals: &Globals,
        all: &super::Draft<'a>,
        draft: &mut Draft<'a>,
    ) {
        let name = draft.name.as_str();
        match statement.name() {
            "virtual_ipaddress" => self.addresses(statement, draft),
            "virtual_ipaddress_excluded" => {
                let lines = statement.statements().iter();
                draft.excluded.extend(lines.filter_map(|line| Some(self.address_line(line, false)?.address)));
            }
            "virtual_routes" => {
                let lines = statement.statements().iter();
                draft.routes.extend(lines.filter_map(|line| Some(self.route_line(line, false)?.item)));
            }
            "virtual_rules" => {
                let lines = statement.statements().iter();
                draft.rules.extend(lines.filter_map(|line| Some(self.rule_line(line, false)?.item)));
            }
            "unicast_peer" => self.unicast_peers(statement, draft),
            "authentication" => self.authentication(statement, draft),
            "auth_hmac" => draft.auth.hmac = Some(statement.span),
            "interface" => draft.interface = self.interface(statement, name),
            "use_vmac" => draft.vmac = Some(self.vmac(statement, VmacKind::Macvlan)),
            "use_ipvlan" => draft.vmac = Some(self.vmac(statement, VmacKind::Ipvlan)),
            _ => {
                let taken = self.track_list(statement, name, &all.trackers, &mut draft.track)
                    || self.notify(statement, name, globals, &mut draft.notify)
                    || self.switch_setting(statement, draft);
                if !taken {
                    self.value_setting(statement, draft);
                }
            }
        }
    }

    /// The interface to speak on.
    fn interface<'a>(&mut self, statement: &'a Statement, instance: &str) -> Option<&'a Word> {
        let word = statement.argument(1)?;
        if word.as_str() == LOOPBACK {
            let message = format!("({instance}) cannot use a loopback interface ({LOOPBACK}) for vrrp - ignoring");
            self.warn("loopback-interface", word.span, message);
            return None;
        }
        if !self.host.has_interface(word.as_str()) {
            let message = format!("WARNING - interface {} for vrrp_instance {instance} doesn't exist", word.text);
            self.warn("no-interface", word.span, message);
        }
        Some(word)
    }

    fn addresses<'a>(&mut self, list: &'a Statement, draft: &mut Draft<'a>) {
        let name = draft.name.as_str();
        for line in list.statements() {
            let Some(address) = self.address_line(line, false).map(|line| line.address) else { continue };
            if !draft.accept_family(address.address) {
                let message = format!("({name}): address family must match VRRP instance [{}] - ignoring", line.name());
                self.report(
                    Diagnostic::warning("address-family", line.span, message)
                        .help("put addresses of the other family into virtual_ipaddress_excluded"),
                );
                continue;
            }
            if draft.addresses.iter().any(|known| known.address == address.address) {
                // keepalived 2.2 adds it twice and advertises it twice; 2.4 says this and leaves it out.
                let message = format!("({name}): VIP duplicates a VIP [{}] - ignoring", line.name());
                self.report(Diagnostic::warning("no-effect", line.span, message).label("listed before"));
                continue;
            }
            draft.addresses.push(address);
        }
    }

    fn unicast_peers<'a>(&mut self, list: &'a Statement, draft: &mut Draft<'a>) {
        let name = draft.name.as_str();
        draft.unicast.asked.get_or_insert(list.span);
        for line in list.statements() {
            let mut words = line.words();
            let Some(first) = words.next() else { continue };
            // A prefix length is accepted and means nothing.
            let Some((address, _)) = address_and_prefix(first.as_str()) else {
                let message = format!(
                    "Configuration error: VRRP instance[{name}] malformed unicast peer address[{}]. Skipping...",
                    first.text
                );
                self.warn("invalid-address", first.span, message);
                continue;
            };
            if !draft.accept_family(address) {
                let message = format!(
                    "Configuration error: VRRP instance[{name}] and unicast peer address[{}] MUST be of the same family !!! Skipping...",
                    first.text
                );
                self.warn("address-family", first.span, message);
                continue;
            }
            let mut peer = Peer { address, min_ttl: 0, max_ttl: 255 };
            while let Some(option) = words.next() {
                let Some(value) = words.next() else {
                    let message = format!("({name}) {} is missing a value", option.text);
                    self.warn("missing-value", option.span, message);
                    break;
                };
                match option.as_str() {
                    text @ ("min_ttl" | "max_ttl") => {
                        let consequence = format!("({name}) unicast {text} {} invalid - ignoring", value.text);
                        let ttl = self.integer(value, 0..=255, &consequence).and_then(|n| u8::try_from(n).ok());
                        let Some(ttl) = ttl else { continue };
                        draft.unicast.check_source = Some(true);
                        *(if text == "min_ttl" { &mut peer.min_ttl } else { &mut peer.max_ttl }) = ttl;
                    }
                    other => {
                        let message = format!("({name}) unknown unicast_peer option {other} - ignoring");
                        self.warn("unknown-option", option.span, message);
                    }
                }
            }
            draft.unicast.peers.push(peer);
        }
    }

    fn authentication<'a>(&mut self, block: &'a Statement, draft: &mut Draft<'a>) {
        let name = draft.name.as_str();
        for statement in block.statements() {
            let Some(word) = statement.argument(1) else { continue };
            match (statement.name(), word.as_str()) {
                ("auth_type", "PASS") => draft.auth.kind = Some((AuthKind::Password, word.span)),
                ("auth_type", "AH") => draft.auth.kind = Some((AuthKind::Ah, word.span)),
                ("auth_type", other) => {
                    let message = format!("({name}) unknown authentication type '{other}'");
                    self.report(
                        Diagnostic::warning("unknown-option", word.span, message)
                            .label("adverts are sent without authentication")
                            .help("write PASS or AH in capitals"),
                    );
                }
                ("auth_pass", text) => {
                    draft.auth.password = Some(word);
                    if text.len() > 8 {
                        let span = word.span_of(8..text.len());
                        self.report(
                            Diagnostic::warning("long-password", span, "Truncating auth_pass to 8 characters")
                                .label("this part is not used"),
                        );
                    }
                }
                _ => {}
            }
        }
    }

    /// `use_vmac [NAME] [MAC] [netlink_notify_msg] [group N]`, `use_ipvlan [NAME] [ADDRESS] [MODE]`
    fn vmac(&mut self, statement: &Statement, kind: VmacKind) -> Vmac {
        let mut vmac = Vmac { kind, name: None, xmit_base: false, netlink_notify: false, mac: None, group: None };
        let mut words = statement.words.iter().skip(1);
        while let Some(word) = words.next() {
            let text = word.as_str();
            if text == "netlink_notify_msg" {
                vmac.netlink_notify = true;
            } else if text == "group" {
                let group =
                    words.next().and_then(|word| self.integer(word, 0..=i64::from(u32::MAX), "Invalid vmac group"));
                vmac.group = group.and_then(|n| u32::try_from(n).ok());
            } else if let Some(mac) = mac_address(text) {
                vmac.mac = Some(mac);
            } else if vmac.name.is_none() && text.parse::<IpAddr>().is_err() {
                vmac.name = Some(text.to_owned());
                if text.len() > 15 {
                    let message = format!("VMAC interface name '{text}' too long or invalid characters - ignoring");
                    self.warn("invalid-name", word.span, message);
                    vmac.name = None;
                }
            }
        }
        vmac
    }
}

/// Six pairs of hexadecimal digits.
fn mac_address(text: &str) -> Option<[u8; 6]> {
    let mut mac = [0; 6];
    let mut parts = text.split(':');
    for byte in &mut mac {
        *byte = parts.next().filter(|part| part.len() <= 2).and_then(|part| u8::from_str_radix(part, 16).ok())?;
    }
    parts.next().is_none().then_some(mac)
}
