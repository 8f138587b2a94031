//! The words of an instance that have one value or are switches.

use super::super::Lowering;
use super::super::model::{InitialState, OldChecksum, Version};
use super::super::value::address_and_prefix;
use super::{Draft, GarpDraft};
use shared_config::diagnostic::Diagnostic;
use shared_config::keepalived::ast::Statement;
use shared_config::words::Word;
use std::time::Duration;

/// The greatest delay of gratuitous ARPs in seconds.
const GARP_SECONDS_MAX: i64 = 4294;

impl Lowering<'_> {
    /// Words that need no value; false if it is none of them.
    pub(super) fn switch_setting(&mut self, statement: &Statement, draft: &mut Draft<'_>) -> bool {
        let name = draft.name.as_str();
        let keyword = statement.name();
        let invalid = |value: &str| format!("({name}) invalid {keyword} {value} specified");
        match keyword {
            "dont_track_primary" => draft.track.primary = false,
            "promote_secondaries" => draft.promote_secondaries = true,
            "track_src_ip" => draft.track_source = true,
            "native_ipv6" => draft.native_ipv6 = Some(statement.span),
            "no_virtual_ipaddress" => draft.no_addresses = true,
            "use_vmac_addr" => draft.vmac_addresses = true,
            "vmac_xmit_base" => draft.vmac_xmit_base = Some(statement.span),
            "accept" => draft.accept = Some(true),
            "no_accept" => draft.accept = Some(false),
            "preempt" => draft.preempt = Some((true, statement.span)),
            "nopreempt" => draft.preempt = Some((false, statement.span)),
            "skip_check_adv_addr" => draft.skip_check = self.switch(statement, invalid).or(draft.skip_check),
            "strict_mode" => draft.strict = self.switch(statement, invalid).or(draft.strict),
            "lower_prio_no_advert" => {
                draft.lower_priority_no_advert = self.switch(statement, invalid).or(draft.lower_priority_no_advert);
            }
            "higher_prio_send_advert" => {
                draft.higher_priority_send_advert =
                    self.switch(statement, invalid).or(draft.higher_priority_send_advert);
            }
            "owner_ignore_adverts" => {
                draft.owner_ignore_adverts = self.switch(statement, invalid).or(draft.owner_ignore_adverts);
            }
            "v3_checksum_as_v2" => draft.checksum_as_v2 = self.switch(statement, invalid).or(draft.checksum_as_v2),
            "smtp_alert" => {
                let complaint = |value: &str| format!("Invalid vrrp_instance smtp_alert parameter {value}");
                draft.notify.smtp_alert = self.switch(statement, complaint).or(draft.notify.smtp_alert);
            }
            "notify_priority_changes" => {
                let complaint =
                    |value: &str| format!("({name}) Invalid value '{value}' for notify_priority_changes specified");
                draft.notify.priority_changes = self.switch(statement, complaint).or(draft.notify.priority_changes);
            }
            "unicast_fault_no_peer" => {
                draft.unicast.fault_no_peer = true;
            }
            "check_unicast_src" => {
                draft.unicast.asked.get_or_insert(statement.span);
                draft.unicast.check_source = Some(true);
            }
            "old_unicast_checksum" => self.old_checksum(statement, draft),
            "linkbeat_use_polling" => {
                let message = format!(
                    "({name}) 'linkbeat_use_polling' in vrrp instance deprecated - use linkbeat_interfaces block"
                );
                self.warn("deprecated", statement.span, message);
            }
            "timer_expired_backup" | "thread_timer_expired" => {
                let best = statement.argument(1).map_or(Some(254), |word| {
                    self.integer(word, 1..=255, &format!("({name}) {keyword} '{}' invalid - ignoring", word.text))
                });
                draft.timer_expired_backup = best.and_then(|n| u8::try_from(n).ok());
            }
            "garp_extra_if" | "vmac_garp_intvl" => self.garp_extra(statement, &format!("({name}): "), &mut draft.garp),
            "kernel_rx_buf_size" => self.receive_buffer(statement, draft),
            _ => return false,
        }
        true
    }

    fn receive_buffer(&mut self, statement: &Statement, draft: &mut Draft<'_>) {
        let consequence = format!("({}) invalid kernel_rx_buf_size specified", draft.name.text);
        let Some(word) = statement.argument(1) else {
            self.warn("missing-value", statement.span, consequence);
            return;
        };
        let size = self.integer(word, 0..=i64::from(u32::MAX), &consequence);
        draft.receive_buffer = size.and_then(|n| u32::try_from(n).ok());
    }

    fn old_checksum(&mut self, statement: &Statement, draft: &mut Draft<'_>) {
        let name = draft.name.as_str();
        draft.unicast.asked.get_or_insert(statement.span);
        draft.unicast.old_checksum = match statement.argument(1) {
            None => Some(OldChecksum::Always),
            Some(word) if word.as_str() == "never" => Some(OldChecksum::Never),
            Some(word) => {
                let message = format!("({name}) Unknown old_unicast_chksum mode {} - ignoring", word.text);
                self.warn("unknown-option", word.span, message);
                draft.unicast.old_checksum
            }
        };
    }

    /// Words with a value that the keyword table requires.
    pub(super) fn value_setting<'a>(&mut self, statement: &'a Statement, draft: &mut Draft<'a>) {
        let Some(word) = statement.argument(1) else { return };
        let name = draft.name.as_str();
        let text = word.as_str();
        match statement.name() {
            "state" => self.state(word, draft),
            "virtual_router_id" => {
                let consequence = format!("({name}): VRID '{text}' not valid - must be between 1 & 255");
                draft.vrid = self.byte(word, 1, &consequence).or(draft.vrid);
            }
            "priority" => {
                let consequence = format!("({name}) Priority not valid! must be between 1 & 255. Using default 100");
                draft.priority = Some(self.byte(word, 1, &consequence).unwrap_or(100));
            }
            "version" => {
                let consequence = format!("({name}): Version must be either 2 or 3");
                match self.integer(word, 2..=3, &consequence) {
                    Some(2) => draft.version = Some(Version::V2),
                    Some(_) => draft.version = Some(Version::V3),
                    None => {}
                }
            }
            "advert_int" => {
                let consequence = format!("({name}) Advert interval ({text}) not valid! Must be > 0 - ignoring");
                let interval = self.seconds(word, 10_000..=255_000_000, &consequence);
                draft.advert_int = interval.map(|interval| (interval, word.span)).or(draft.advert_int);
            }
            "preempt_delay" => {
                let consequence = format!("({name}) Preempt_delay not valid! must be between 0-1000");
                let delay = self.seconds(word, 0..=1_000_000_000, &consequence);
                draft.preempt_delay = Some((delay.unwrap_or_default(), statement.span));
            }
            "unicast_src_ip" | "mcast_src_ip" => self.source_address(statement, word, draft),
            "mcast_dst_ip" => match text.parse::<std::net::IpAddr>() {
                Ok(address) if address.is_multicast() => draft.multicast = Some(address),
                Ok(_) | Err(_) => {
                    let message = format!("({name}) malformed mcast dest address {text}. Skipping...");
                    self.warn("invalid-address", word.span, message);
                }
            },
            "unicast_ttl" => {
                let consequence = format!("({name}): TTL '{text}' not valid - must be between 0 & 255");
                draft.unicast.ttl = self.byte(word, 0, &consequence).or(draft.unicast.ttl);
            }
            "down_timer_adverts" => {
                let consequence = format!("({name}): Invalid down_timer_adverts [1:100] '{text}'");
                let adverts = self.integer(word, 1..=100, &consequence).and_then(|n| u8::try_from(n).ok());
                draft.down_timer_adverts = adverts.or(draft.down_timer_adverts);
            }
            "debug" => {
                let consequence = format!("({name}) Debug value '{text}' not valid; must be between 0-4");
                draft.debug = self.integer(word, 0..=4, &consequence).and_then(|n| u8::try_from(n).ok()).unwrap_or(0);
            }
            "vrf" => draft.vrf = Some(text.to_owned()),
            "lvs_sync_daemon_interface" => {
                let message = format!("({name}) Specifying lvs_sync_daemon_interface against a vrrp is deprecated.");
                self.report(
                    Diagnostic::warning("deprecated", statement.span, message)
                        .label("        Please use global lvs_sync_daemon"),
                );
                draft.lvs_sync = true;
            }
            _ => self.garp_setting(statement, &format!("({name}): "), "", &mut draft.garp),
        }
    }

    fn byte(&mut self, word: &Word, least: i64, consequence: &str) -> Option<u8> {
        self.integer(word, least..=255, consequence).and_then(|n| u8::try_from(n).ok())
    }

    /// The first valid MASTER stays, whatever comes after.
    fn state(&mut self, word: &Word, draft: &mut Draft<'_>) {
        let name = draft.name.as_str();
        let state = match word.as_str() {
            "MASTER" => InitialState::Master,
            "BACKUP" => InitialState::Backup,
            other => {
                let message = format!("({name}) unknown state '{other}', defaulting to BACKUP");
                self.report(
                    Diagnostic::warning("unknown-option", word.span, message)
                        .help("write MASTER or BACKUP in capitals"),
                );
                InitialState::Backup
            }
        };
        if draft.state != Some(InitialState::Master) {
            draft.state = Some(state);
        }
    }

    fn source_address(&mut self, statement: &Statement, word: &Word, draft: &mut Draft<'_>) {
        let name = draft.name.as_str();
        if statement.name() == "unicast_src_ip" {
            draft.unicast.asked.get_or_insert(statement.span);
        }
        // A prefix length is accepted and means nothing.
        let Some((address, _)) = address_and_prefix(word.as_str()) else {
            let message =
                format!("Configuration error: VRRP instance[{name}] malformed src address[{}]. Skipping...", word.text);
            self.warn("invalid-address", word.span, message);
            return;
        };
        if !draft.accept_family(address) {
            let message = format!(
                "Configuration error: VRRP instance[{name}] and src address[{}] MUST be of the same family !!! Skipping...",
                word.text
            );
            self.warn("address-family", word.span, message);
            return;
        }
        draft.source = Some(address);
    }

    /// The `garp_*` words of an instance, or with `vrrp_` in front those of `global_defs`.
    pub(in crate::config) fn garp_setting(
        &mut self,
        statement: &Statement,
        owner: &str,
        prefix: &str,
        garp: &mut GarpDraft,
    ) {
        let (keyword, Some(word)) = (statement.name(), statement.argument(1)) else { return };
        let text = word.as_str();
        let invalid = format!("{owner}{keyword} '{text}' invalid - ignoring");
        let seconds = |n: i64| Duration::from_secs(n.unsigned_abs());
        let count = |n: i64| u8::try_from(n).unwrap_or(u8::MAX);
        // Counts may be any number for keepalived; more rounds than fit a byte are as good as that many.
        let counts = 0..=i64::from(u32::MAX);
        match keyword.strip_prefix(prefix).unwrap_or(keyword) {
            "garp_master_delay" => {
                garp.master_delay =
                    self.integer(word, 0..=GARP_SECONDS_MAX, &invalid).map(seconds).or(garp.master_delay);
            }
            "garp_master_repeat" => {
                garp.master_repeat =
                    self.integer(word, counts, &invalid).map(|n| count(n).max(1)).or(garp.master_repeat);
            }
            "garp_master_refresh" => {
                let invalid = format!("{owner}Invalid {keyword} '{text}' - ignoring");
                garp.refresh = self.integer(word, counts, &invalid).map(seconds).or(garp.refresh);
            }
            "garp_master_refresh_repeat" => {
                garp.refresh_repeat =
                    self.integer(word, counts, &invalid).map(|n| count(n).max(1)).or(garp.refresh_repeat);
            }
            "garp_lower_prio_delay" => {
                garp.lower_delay = self.integer(word, 0..=GARP_SECONDS_MAX, &invalid).map(seconds).or(garp.lower_delay);
            }
            "garp_lower_prio_repeat" => {
                let invalid = format!("{owner}Invalid {keyword} '{text}'");
                garp.lower_repeat = self.integer(word, counts, &invalid).map(count).or(garp.lower_repeat);
            }
            _ => {}
        }
    }

    /// `garp_extra_if [all] SECONDS` and its old name.
    pub(in crate::config) fn garp_extra(&mut self, statement: &Statement, owner: &str, garp: &mut GarpDraft) {
        let keyword = statement.name();
        if keyword.ends_with("vmac_garp_intvl") {
            let new = if keyword.starts_with("vrrp_") { "vrrp_garp_extra_if" } else { "garp_extra_if" };
            let message = format!("Keyword \"{keyword}\" is deprecated - please use \"{new}\"");
            self.warn("deprecated", statement.span, message);
        }
        let all = statement.argument(1).is_some_and(|word| word.as_str() == "all");
        let Some(word) = statement.argument(if all { 2 } else { 1 }) else {
            let message = format!("{owner}{keyword} specified without time - ignoring");
            self.warn("missing-value", statement.span, message);
            return;
        };
        let consequence = format!("{owner}{keyword} '{}' invalid - ignoring", word.text);
        let least = i64::from(keyword.starts_with("vrrp_"));
        if let Some(seconds) = self.integer(word, least..=86_400, &consequence) {
            garp.extra = Some((Duration::from_secs(seconds.unsigned_abs()), all));
        }
    }
}
