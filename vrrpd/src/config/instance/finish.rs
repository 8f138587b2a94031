//! An instance with its defaults, after the whole file was read: what its words mean together.

use super::super::model::{
    Authentication, Destination, Family, Garp, InitialState, Instance, Notify, OldChecksum, Transport, Unicast, Version,
};
use super::super::{Lowering, global::Globals};
use super::{AuthKind, Draft};
use shared_config::diagnostic::Diagnostic;
use shared_config::words::Word;
use std::net::IpAddr;
use std::time::Duration;

/// The longest interval of version 3: 12 bits of hundredths of a second.
const ADVERT_V3_MAX: Duration = Duration::from_millis(40_950);
/// The priority of the address owner.
const OWNER: u8 = 255;
/// What an advert can count.
const ADDRESSES_MAX: usize = 255;
/// The largest packet of an interface that does not say otherwise.
const USUAL_MTU: usize = 1500;
/// What version 3 counts in.
const CENTISECOND_MICROS: u64 = 10_000;

impl Lowering<'_> {
    /// The instance; `None`, with an error, where keepalived would not start with it.
    pub(in crate::config) fn finish_instance(&mut self, mut draft: Draft<'_>, globals: &Globals) -> Option<Instance> {
        let name = draft.name.as_str().to_owned();
        let strict = draft.strict.unwrap_or(globals.strict);
        let Some(vrid) = draft.vrid else {
            self.refuse(&draft, "missing-vrid", format!("({name}) the virtual router id must be set"));
            return None;
        };
        if draft.interface.is_none() && !draft.all_addresses_have_devices() {
            self.refuse(&draft, "missing-interface", format!("({name}) Unknown interface!"));
            return None;
        }
        let family = self.finish_family(&draft);
        let version = match (draft.version, family) {
            (Some(version), _) => version,
            (None, Family::Inet6) => Version::V3,
            (None, Family::Inet) => globals.version,
        };
        // Without a priority, `state MASTER` means the owner.
        let priority = draft.priority.unwrap_or(if draft.state == Some(InitialState::Master) { OWNER } else { 100 });
        let authentication = self.finish_authentication(&mut draft, version, strict);
        self.finish_state(&mut draft, priority, strict);
        self.finish_addresses(&mut draft, family, version, strict);
        let advert_int = self.finish_advert_int(&draft, version);
        let preempt = draft.preempt.is_none_or(|(preempt, _)| preempt);
        let transport = self.finish_transport(&mut draft, family, version, strict, globals);
        let initial_state = match draft.state {
            None if priority == OWNER => InitialState::Master,
            state => state.unwrap_or(InitialState::Backup),
        };
        self.finish_trackers(&mut draft, priority);
        self.finish_vmac(&mut draft);
        let (lower_no_advert, higher_send) = (draft.lower_priority_no_advert, draft.higher_priority_send_advert);
        Some(Instance {
            family,
            version,
            initial_state,
            interface: draft.interface.map(|word| word.as_str().to_owned()),
            vrid,
            priority,
            advert_int,
            down_timer_adverts: draft.down_timer_adverts.unwrap_or(globals.down_timer_adverts),
            preempt,
            preempt_delay: draft.preempt_delay.map_or(Duration::ZERO, |(delay, _)| delay),
            authentication,
            addresses: exact(draft.addresses),
            excluded_addresses: exact(draft.excluded),
            routes: draft.routes,
            rules: draft.rules,
            promote_secondaries: draft.promote_secondaries,
            transport,
            track: draft.track,
            notify: Some(draft.notify.finish(globals)).filter(|notify| notify != Notify::NOBODY).map(Box::new),
            garp: finish_garp(&draft.garp, strict, globals),
            vmac: draft.vmac.map(Box::new),
            vmac_addresses: draft.vmac_addresses,
            vrf: draft.vrf,
            accept: draft.accept.unwrap_or(!strict || priority == OWNER),
            strict,
            skip_check_advert_addresses: draft.skip_check.unwrap_or(globals.skip_check),
            lower_priority_no_advert: strict || lower_no_advert.unwrap_or(globals.lower_priority_no_advert),
            higher_priority_send_advert: !strict && higher_send.unwrap_or(globals.higher_priority_send_advert),
            owner_ignore_adverts: draft.owner_ignore_adverts.unwrap_or(globals.owner_ignore_adverts),
            timer_expired_backup: draft.timer_expired_backup,
            receive_buffer: draft.receive_buffer,
            debug: draft.debug,
            sync_group: draft.sync_group,
            lvs_sync: draft.lvs_sync,
            name,
        })
    }

    /// What does not fit an advert is not advertised. keepalived counts the Ethernet header in, and so do we: a peer that
    /// advertises another number of addresses may be refused.
    fn finish_addresses(&mut self, draft: &mut Draft<'_>, family: Family, version: Version, strict: bool) {
        let name = draft.name.as_str();
        if draft.addresses.is_empty() && !draft.no_addresses {
            let needed = if strict || version == Version::V3 { "required" } else { "sensible" };
            self.whole(draft, "no-address", format!("({name}) No VIP specified; at least one is {needed}"));
        }
        let mtu = draft.interface.and_then(|name| self.host.mtu(name.as_str())).unwrap_or(USUAL_MTU);
        let (headers, size) = match (family, version) {
            (Family::Inet, Version::V2) => (14 + 20 + 8 + 8, 4),
            (Family::Inet, Version::V3) => (14 + 20 + 8, 4),
            (Family::Inet6, _) => (14 + 40 + 8, 16),
        };
        let most = (mtu.saturating_sub(headers) / size).min(ADDRESSES_MAX);
        let count = draft.addresses.len();
        if count > most {
            let mut moved = draft.addresses.split_off(most);
            moved.append(&mut draft.excluded);
            draft.excluded = moved;
            let message = format!(
                "({name}) Number of VIPs ({count}) exceeds maximum/space available in packet (max {most} addresses) - excess \
                 moved to eVIPs"
            );
            self.whole(draft, "limit", message);
        }
    }

    /// What keepalived says after reading, about an instance.
    fn whole(&mut self, draft: &Draft<'_>, code: &'static str, message: impl Into<String>) {
        self.warn_whole(code, draft.head.span, message);
    }

    /// The same, and then it does not start.
    fn refuse(&mut self, draft: &Draft<'_>, code: &'static str, message: String) {
        // Where a statement lacks its parameter, the missing value was reported already.
        if self.diagnostics.iter().any(|d| d.code == "missing-parameter") {
            return;
        }
        self.report(
            Diagnostic::error(code, draft.head.span, message)
                .label("keepalived does not start with this instance")
                .whole_file(),
        );
    }

    fn finish_family(&mut self, draft: &Draft<'_>) -> Family {
        match (draft.family, draft.native_ipv6) {
            (Some(Family::Inet), Some(span)) => {
                let message = format!("({}) Cannot specify native_ipv6 with IPv4 addresses", draft.name.text);
                self.warn_whole("address-family", span, message);
                Family::Inet
            }
            (Some(family), _) => family,
            (None, Some(_)) => Family::Inet6,
            (None, None) => Family::Inet,
        }
    }

    fn finish_authentication(
        &mut self,
        draft: &mut Draft<'_>,
        version: Version,
        strict: bool,
    ) -> Option<Authentication> {
        let name = draft.name.as_str();
        if let Some(span) = draft.auth.hmac {
            self.unsupported_authentication(name, "auth_hmac", span);
            return Some(Authentication::Hmac);
        }
        let (kind, span) = draft.auth.kind?;
        if version == Version::V3 {
            let message = format!("({name}) VRRP version 3 does not support authentication. Ignoring.");
            self.warn_whole("authentication", span, message);
            return None;
        }
        if strict {
            let message = format!("({name}) Strict mode does not support authentication. Ignoring.");
            self.warn_whole("authentication", span, message);
            return None;
        }
        let Some(password) = draft.auth.password else {
            let message = format!("({name}) Authentication specified but no password given. Ignoring");
            self.report(
                Diagnostic::warning("authentication", span, message)
                    .whole_file()
                    .help("auth_pass needs a line of its own"),
            );
            return None;
        };
        let mut key = [0; 8];
        let bytes = shared_config::source::encode(password.as_str());
        for (to, from) in key.iter_mut().zip(bytes) {
            *to = from;
        }
        match kind {
            AuthKind::Password => Some(Authentication::Password(key)),
            AuthKind::Ah => {
                if draft.state == Some(InitialState::Master) {
                    let message =
                        format!("({name}) Initial state master is incompatible with AH authentication - clearing");
                    self.warn_whole("authentication", span, message);
                    draft.state = Some(InitialState::Backup);
                }
                self.unsupported_authentication(name, "auth_type AH", span);
                Some(Authentication::Ah(key))
            }
        }
    }

    /// The instance is kept, and kept out of the election: others of the file are not concerned.
    fn unsupported_authentication(&mut self, name: &str, kind: &str, span: shared_config::source::Span) {
        let message = format!("({name}) `{kind}` is not supported yet: without it this node would not hear its peers");
        self.report(
            Diagnostic::warning("unsupported-authentication", span, message)
                .label("this instance stays in FAULT state")
                .help("use auth_type PASS or none on all nodes, or stay with keepalived for now"),
        );
    }

    /// `state MASTER` does not go with waiting.
    fn finish_state(&mut self, draft: &mut Draft<'_>, priority: u8, strict: bool) {
        let name = draft.name.as_str();
        let master = draft.state == Some(InitialState::Master);
        if strict && master && priority != OWNER {
            let message = format!("({name}) State MASTER must match being address owner");
            self.warn_whole("strict", draft.head.span, message);
            draft.state = Some(InitialState::Backup);
        }
        let master = draft.state == Some(InitialState::Master);
        if master && let Some((false, span)) = draft.preempt {
            let message = format!("({name}) Warning - nopreempt will not work with initial state MASTER - clearing");
            self.report(
                Diagnostic::warning("preempt", span, message)
                    .whole_file()
                    .help("write `state BACKUP` on all nodes; the priority decides"),
            );
            draft.preempt = None;
        }
        let Some((delay, span)) = draft.preempt_delay else { return };
        if delay.is_zero() {
            return;
        }
        let message = if master {
            format!("({name}) Warning - preempt delay will not work with initial state MASTER - clearing")
        } else if strict {
            format!("({name}) preempt_delay is incompatible with strict mode - resetting")
        } else if matches!(draft.preempt, Some((false, _))) {
            format!("({name}) preempt_delay is incompatible with nopreempt mode - resetting")
        } else {
            return;
        };
        self.warn_whole("preempt", span, message);
        draft.preempt_delay = None;
    }

    fn finish_advert_int(&mut self, draft: &Draft<'_>, version: Version) -> Duration {
        let name = draft.name.as_str();
        let Some((interval, span)) = draft.advert_int else { return Duration::from_secs(1) };
        let micros = u64::try_from(interval.as_micros()).unwrap_or(u64::MAX);
        let seconds = |n: u64| format!("{}.{:06}", n / 1_000_000, n % 1_000_000);
        match version {
            Version::V2 => {
                if micros % 1_000_000 == 0 {
                    return interval;
                }
                let message =
                    format!("({name}) VRRPv2 advertisement interval {}s must be an integer. rounding", seconds(micros));
                self.warn_whole("advert-interval", span, message);
                Duration::from_secs(((micros + 500_000) / 1_000_000).max(1))
            }
            Version::V3 if interval > ADVERT_V3_MAX => {
                let shown = format!("{}.{:02}", micros / 1_000_000, micros % 1_000_000 / CENTISECOND_MICROS);
                let message = format!(
                    "({name}) VRRPv3 advertisement interval {shown}s is out of range. Must be less than 40.96s. Setting to 40.95s"
                );
                self.warn_whole("advert-interval", span, message);
                ADVERT_V3_MAX
            }
            Version::V3 => {
                if micros % CENTISECOND_MICROS == 0 {
                    return interval;
                }
                let message = format!(
                    "({name}) VRRPv3 advertisement interval {}s must be in units of 10ms - rounding",
                    seconds(micros)
                );
                self.warn_whole("advert-interval", span, message);
                let rounded = (micros + CENTISECOND_MICROS / 2) / CENTISECOND_MICROS * CENTISECOND_MICROS;
                Duration::from_micros(rounded.max(CENTISECOND_MICROS)).min(ADVERT_V3_MAX)
            }
        }
    }

    fn finish_transport(
        &mut self,
        draft: &mut Draft<'_>,
        family: Family,
        version: Version,
        strict: bool,
        globals: &Globals,
    ) -> Transport {
        let name = draft.name.as_str();
        let group = draft.multicast.filter(|group| group.is_ipv6() == (family == Family::Inet6));
        let group = group.unwrap_or(match family {
            Family::Inet => IpAddr::V4(globals.model.mcast_group4),
            Family::Inet6 => IpAddr::V6(globals.model.mcast_group6),
        });
        let mut peers = std::mem::take(&mut draft.unicast.peers);
        if strict && !peers.is_empty() {
            let message = format!("({name}) Strict mode does not support unicast peers. Ignoring.");
            self.warn_whole("strict", draft.head.span, message);
            peers.clear();
        }
        let fault = draft.unicast.fault_no_peer;
        let destination = if !peers.is_empty() || (fault && draft.unicast.asked.is_some()) {
            let ttl = draft.unicast.ttl.unwrap_or(match family {
                Family::Inet => 255,
                // What the kernel sends with, which keepalived does not change.
                Family::Inet6 => 64,
            });
            Destination::Unicast(Unicast {
                peers,
                fault_no_peer: fault,
                check_source: draft.unicast.check_source.unwrap_or(globals.check_unicast_src),
                ttl,
                old_checksum: draft.unicast.old_checksum.unwrap_or(OldChecksum::Auto),
            })
        } else {
            if let Some(asked) = draft.unicast.asked {
                let message = format!(
                    "({name}) A unicast keyword has been specified without any unicast peers. Defaulting to multicast. This usage is deprecated - please update your configuration."
                );
                self.warn_whole("no-peer", asked, message);
            }
            Destination::Multicast(group)
        };
        Transport {
            source: draft.source,
            track_source: draft.track_source,
            destination,
            checksum_without_pseudo_header: version == Version::V3
                && draft.checksum_as_v2.unwrap_or(globals.checksum_as_v2),
        }
    }

    /// Trackers that cannot do anything for this instance.
    fn finish_trackers(&mut self, draft: &mut Draft<'_>, priority: u8) {
        let name = draft.name.as_str();
        let own = draft.interface.map(Word::as_str);
        let own_listed = draft.track.interfaces.iter().any(|tracked| Some(tracked.target.as_str()) == own);
        if own_listed && draft.vmac.is_none() {
            let message = format!("({name}) Ignoring track_interface {} since own interface", own.unwrap_or_default());
            self.whole(draft, "track-own-interface", message);
            draft.track.interfaces.retain(|tracked| Some(tracked.target.as_str()) != own);
        }
        if priority == OWNER {
            let dropped: Vec<_> = draft.track.scripts.extract_if(.., |tracked| tracked.weight != 0).collect();
            for tracked in dropped {
                let script = &self.script_names[tracked.target.0];
                let message = format!("({name}) ignoring tracked script {script} with weights due to address_owner");
                self.whole(draft, "track-weight", message);
            }
            let weighted = draft.track.interfaces.extract_if(.., |tracked| tracked.weight != 0);
            let mut lines: Vec<String> = weighted
                .map(|tracked| format!("({name}) ignoring {} tracked interface due to address owner", tracked.target))
                .collect();
            for tracked in draft.track.files.iter_mut().filter(|tracked| tracked.weight != 0) {
                tracked.weight = 0;
                let file = &self.file_names[tracked.target.0];
                lines.push(format!(
                    "({name}) ignoring weight from tracked file {file} due to address_owner. specify weight 0"
                ));
            }
            for line in lines {
                self.whole(draft, "track-weight", line);
            }
        }
    }

    fn finish_vmac(&mut self, draft: &mut Draft<'_>) {
        let name = draft.name.as_str();
        match (&mut draft.vmac, draft.vmac_xmit_base) {
            (Some(vmac), base) => vmac.xmit_base = base.is_some(),
            (None, Some(span)) => {
                let message = format!("({name}) vmac_xmit_base is only valid with a vmac");
                self.warn_whole("vmac", span, message);
            }
            (None, None) => {}
        }
    }
}

impl Draft<'_> {
    /// Whether every address names its device, so that unicast can do without an interface.
    fn all_addresses_have_devices(&self) -> bool {
        !self.unicast.peers.is_empty()
            && self.addresses.iter().chain(&self.excluded).all(|address| address.interface.is_some())
    }
}

/// Without room for more: there can be thousands of these.
fn exact<T>(mut list: Vec<T>) -> Vec<T> {
    list.shrink_to_fit();
    list
}

/// The instance's own words, else those of `global_defs`, else keepalived's defaults.
fn finish_garp(own: &super::GarpDraft, strict: bool, globals: &Globals) -> Garp {
    let global = &globals.garp;
    let least = globals.min_garp;
    let master_delay = own.master_delay.or(global.master_delay);
    let master_repeat = own.master_repeat.or(global.master_repeat);
    let master_delay = master_delay.unwrap_or(Duration::from_secs(if least { 0 } else { 5 }));
    let master_repeat = master_repeat.unwrap_or(if least || strict { 1 } else { 5 });
    let extra = own.extra.or(global.extra).unwrap_or_default();
    Garp {
        master_repeat,
        master_delay,
        refresh: own.refresh.or(global.refresh).unwrap_or_default(),
        refresh_repeat: own.refresh_repeat.or(global.refresh_repeat).unwrap_or(1),
        lower_priority_repeat: own.lower_repeat.or(global.lower_repeat).unwrap_or(master_repeat),
        lower_priority_delay: own.lower_delay.or(global.lower_delay).unwrap_or(master_delay),
        extra_interfaces: extra.0,
        extra_all: extra.1,
    }
}
