//! `global_defs` and the words of the root level that belong to it. All blocks are read before anything else, since
//! what they set are the defaults of instances wherever they stand.

mod checks;
mod mail;
mod root;

use super::instance::GarpDraft;
use super::model::{
    DynamicInterfaces, Fifo, Fifos, Firewall, Global, OneShotScript, ProcessSettings, Reload, ScriptPolicy, Smtp, Snmp,
    User, Version,
};
use super::{Lowering, host};
use crate::notify::mail::Security;
use shared_config::diagnostic::Diagnostic;
use shared_config::keepalived::ast::Statement;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

/// The part that is a model of its own, and the defaults of instances.
pub(super) struct Globals {
    pub(super) model: Global,
    /// Who runs scripts that name nobody; `None` where keepalived refuses to run them.
    pub(super) script_user: Option<User>,
    pub(super) version: Version,
    pub(super) garp: GarpDraft,
    pub(super) min_garp: bool,
    pub(super) down_timer_adverts: u8,
    pub(super) smtp_alert: bool,
    pub(super) strict: bool,
    pub(super) skip_check: bool,
    pub(super) check_unicast_src: bool,
    pub(super) lower_priority_no_advert: bool,
    pub(super) higher_priority_send_advert: bool,
    pub(super) owner_ignore_adverts: bool,
    pub(super) checksum_as_v2: bool,
}

impl Lowering<'_> {
    pub(super) fn global(&mut self, blocks: &[&Statement], root: &[Statement]) -> Globals {
        let mut globals = self.defaults();
        let mut script_user = None;
        let mut smtp_alert = (None, None);
        for statement in blocks.iter().flat_map(|block| block.statements()) {
            match statement.name() {
                "script_user" => script_user = self.script_user(statement).or(script_user),
                "smtp_alert" => smtp_alert.0 = self.global_switch(statement).or(smtp_alert.0),
                "smtp_alert_vrrp" => smtp_alert.1 = self.global_switch(statement).or(smtp_alert.1),
                _ => self.global_statement(statement, &mut globals),
            }
        }
        self.check_mail(blocks, &mut globals.model.smtp);
        for statement in root {
            self.root_word(statement, &mut globals.model.process);
        }
        let named = self.host.user(host::SCRIPT_USER);
        let security = globals.model.scripts.security;
        globals.script_user = script_user.or(named).or((!security).then_some(User::ROOT));
        globals.model.scripts.user = globals.script_user.unwrap_or(User::ROOT);
        globals.smtp_alert = smtp_alert.1.or(smtp_alert.0).unwrap_or(false);
        globals
    }

    fn script_user(&mut self, statement: &Statement) -> Option<User> {
        let Some(word) = statement.argument(1) else {
            self.warn("missing-value", statement.span, "No script username specified");
            return None;
        };
        let user = self.user(word, statement.argument(2));
        if user.is_none() {
            self.warn("unknown-user", word.span, "Error setting global script uid/gid");
        }
        user
    }

    fn defaults(&self) -> Globals {
        let hostname = self.host.name();
        let smtp = Smtp {
            to: Vec::new(),
            from: format!("root@{hostname}"),
            server: None,
            helo_name: hostname.clone(),
            connect_timeout: Duration::from_secs(30),
            no_faults: false,
            security: Security::None,
            login: None,
        };
        let firewall =
            Firewall { table: "keepalived".to_owned(), priority: -1, counters: false, by_interface_index: false };
        let model = Global {
            router_id: hostname,
            smtp,
            scripts: ScriptPolicy { security: false, user: User::ROOT, umask: 0o177 },
            fifos: Fifos::default(),
            process: ProcessSettings::default(),
            snmp: Snmp::default(),
            default_interface: None,
            mcast_group4: Ipv4Addr::new(224, 0, 0, 18),
            mcast_group6: Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12),
            dynamic_interfaces: DynamicInterfaces::No,
            startup_delay: Duration::ZERO,
            delay_after_boot: Duration::ZERO,
            log_unknown_vrids: false,
            notify_priority_changes: false,
            garp_interval: Duration::ZERO,
            gna_interval: Duration::ZERO,
            startup_script: None,
            shutdown_script: None,
            vmac_prefix: "vrrp".to_owned(),
            vmac_addr_prefix: None,
            disable_local_igmp: false,
            firewall,
            reload: Reload::default(),
        };
        Globals {
            model,
            script_user: None,
            version: Version::V2,
            garp: GarpDraft::default(),
            min_garp: false,
            down_timer_adverts: 3,
            smtp_alert: false,
            strict: false,
            skip_check: false,
            check_unicast_src: false,
            lower_priority_no_advert: false,
            higher_priority_send_advert: false,
            owner_ignore_adverts: false,
            checksum_as_v2: false,
        }
    }

    /// One statement: its values are checked by the table of `checks`, and what the model has is stored.
    fn global_statement(&mut self, statement: &Statement, globals: &mut Globals) {
        if !self.global_flag(statement, globals)
            && !self.global_text(statement, &mut globals.model)
            && !self.global_protocol(statement, globals)
            && !self.global_command(statement, globals)
        {
            self.check_global(statement, &mut globals.model);
        }
    }

    /// Words that are on by being there.
    fn global_flag(&mut self, statement: &Statement, globals: &mut Globals) -> bool {
        let model = &mut globals.model;
        match statement.name() {
            "vrrp_check_unicast_src" => globals.check_unicast_src = true,
            "vrrp_skip_check_adv_addr" => globals.skip_check = true,
            "vrrp_strict" => globals.strict = true,
            "vrrp_owner_ignore_adverts" => globals.owner_ignore_adverts = true,
            "v3_checksum_as_v2" => globals.checksum_as_v2 = true,
            "enable_script_security" => model.scripts.security = true,
            "log_unknown_vrids" => model.log_unknown_vrids = true,
            "no_email_faults" => model.smtp.no_faults = true,
            "disable_local_igmp" => model.disable_local_igmp = true,
            "fifo_write_vrrp_states_on_reload" => model.fifos.write_states_on_reload = true,
            "nftables_counters" => model.firewall.counters = true,
            "nftables_ifindex" => model.firewall.by_interface_index = true,
            "enable_traps" => model.snmp.traps = true,
            "enable_snmp_vrrp" | "enable_snmp_keepalived" => model.snmp.vrrp = true,
            "enable_snmp_checker" => model.snmp.checker = true,
            "enable_snmp_rfcv2" => model.snmp.rfc_v2 = true,
            "enable_snmp_rfcv3" => model.snmp.rfc_v3 = true,
            "enable_snmp_rfc" => (model.snmp.rfc_v2, model.snmp.rfc_v3) = (true, true),
            "enable_dbus" => model.snmp.dbus = true,
            "vrrp_no_swap" => model.process.no_swap = true,
            "reload_repeat" => model.reload.repeat = true,
            "reload_check_config" => {
                let log = statement.argument(1).map_or("/dev/null", |word| word.as_str());
                model.reload.check_config = Some(PathBuf::from(log));
            }
            "process_names" => {
                model.process.process_name = Some("keepalived".to_owned());
                model.process.vrrp_process_name = Some("keepalived_vrrp".to_owned());
            }
            "vrrp_min_garp" => globals.min_garp = self.global_switch(statement).unwrap_or(globals.min_garp),
            "vrrp_lower_prio_no_advert" => {
                globals.lower_priority_no_advert =
                    self.global_switch(statement).unwrap_or(globals.lower_priority_no_advert);
            }
            "vrrp_higher_prio_send_advert" => {
                globals.higher_priority_send_advert =
                    self.global_switch(statement).unwrap_or(globals.higher_priority_send_advert);
            }
            "vrrp_notify_priority_changes" => {
                let current = globals.model.notify_priority_changes;
                globals.model.notify_priority_changes = self.global_switch(statement).unwrap_or(current);
            }
            "data_use_instance" => {
                let current = globals.model.process.data_use_instance;
                globals.model.process.data_use_instance = self.global_switch(statement).unwrap_or(current);
            }
            _ => return false,
        }
        true
    }

    /// Names and paths.
    fn global_text(&mut self, statement: &Statement, model: &mut Global) -> bool {
        let word = statement.argument(1);
        let text = word.map(|word| word.as_str().to_owned());
        let (slot, complaint) = match statement.name() {
            "router_id" => (&mut model.router_id, "routerid name missing - ignoring"),
            "notification_email_from" => (&mut model.smtp.from, "emailfrom missing - ignoring"),
            "smtp_helo_name" => (&mut model.smtp.helo_name, ""),
            "vmac_prefix" => (&mut model.vmac_prefix, ""),
            "nftables" => (&mut model.firewall.table, ""),
            name => {
                let (slot, complaint) = match name {
                    "default_interface" => (&mut model.default_interface, "default_interface requires interface name"),
                    "process_name" => (&mut model.process.process_name, ""),
                    "vrrp_process_name" => (&mut model.process.vrrp_process_name, ""),
                    "vmac_addr_prefix" => (&mut model.vmac_addr_prefix, ""),
                    "snmp_socket" => (&mut model.snmp.socket, "SNMP error : snmp socket name missing"),
                    "reload_time_file" | "reload_file" | "state_dump_file" | "stats_dump_file" | "json_dump_file" => {
                        self.global_path(statement, model);
                        return true;
                    }
                    _ => return false,
                };
                match text {
                    Some(_) => *slot = text,
                    None if complaint.is_empty() => {}
                    None => self.warn("missing-value", statement.span, complaint),
                }
                return true;
            }
        };
        match text {
            Some(text) => *slot = text,
            None if complaint.is_empty() => {}
            None => self.warn("missing-value", statement.span, complaint),
        }
        true
    }

    fn global_path(&mut self, statement: &Statement, model: &mut Global) {
        let path = statement.argument(1).map(|word| PathBuf::from(word.as_str()));
        match (statement.name(), path) {
            ("reload_time_file", None) => self.warn("missing-value", statement.span, "reload_time_file invalid"),
            ("reload_time_file", path) => model.reload.time_file = path,
            ("reload_file", path) => model.reload.file = Some(path.unwrap_or_else(|| "/run/keepalived.reload".into())),
            ("state_dump_file", Some(path)) => model.process.state_dump_file = path,
            ("stats_dump_file", Some(path)) => model.process.stats_dump_file = path,
            ("json_dump_file", Some(path)) => model.process.json_dump_file = path,
            _ => {}
        }
    }

    /// What VRRP itself is told.
    fn global_protocol(&mut self, statement: &Statement, globals: &mut Globals) -> bool {
        let keyword = statement.name();
        if keyword == "dynamic_interfaces" {
            globals.model.dynamic_interfaces = self.dynamic_interfaces(statement);
            return true;
        }
        if matches!(keyword, "vrrp_garp_extra_if" | "vrrp_vmac_garp_intvl") {
            self.garp_extra(statement, "", &mut globals.garp);
            return true;
        }
        let Some(word) = statement.argument(1) else { return false };
        let text = word.as_str();
        let invalid = format!("{keyword} '{text}' is invalid");
        match keyword {
            "vrrp_version" => match self.integer(word, 2..=3, "VRRP Error: Version must be either 2 or 3") {
                Some(2) => globals.version = Version::V2,
                Some(_) => globals.version = Version::V3,
                None => {}
            },
            "vrrp_mcast_group4" => match text.parse::<Ipv4Addr>() {
                Ok(group) if group.is_multicast() => globals.model.mcast_group4 = group,
                Ok(_) | Err(_) => self.bad_group(statement),
            },
            "vrrp_mcast_group6" => match text.parse::<Ipv6Addr>() {
                Ok(group) if group.is_multicast() => globals.model.mcast_group6 = group,
                Ok(_) | Err(_) => self.bad_group(statement),
            },
            "vrrp_garp_interval" => {
                if let Some(interval) = self.seconds(word, 1..=4_294_967_295, &invalid) {
                    globals.model.garp_interval = interval;
                }
            }
            "vrrp_gna_interval" => {
                if let Some(interval) = self.seconds(word, 1..=4_294_967_295, &invalid) {
                    globals.model.gna_interval = interval;
                }
            }
            "vrrp_startup_delay" => {
                if let Some(delay) = self.seconds(word, 1_000..=4_294_967_295, &invalid) {
                    globals.model.startup_delay = delay;
                }
            }
            "vrrp_delay_after_boot" => {
                if let Some(delay) = self.seconds(word, 0..=4_294_967_295, &invalid) {
                    globals.model.delay_after_boot = delay;
                }
            }
            "vrrp_down_timer_adverts" => {
                let invalid = format!("Invalid vrrp_down_timer_adverts [1:100] '{text}'");
                if let Some(n) = self.integer(word, 1..=100, &invalid) {
                    globals.down_timer_adverts = u8::try_from(n).unwrap_or(3);
                }
            }
            _ if keyword.starts_with("vrrp_garp_") => self.garp_setting(statement, "", "vrrp_", &mut globals.garp),
            _ => return false,
        }
        true
    }

    fn bad_group(&mut self, statement: &Statement) {
        let text = statement.argument(1).map_or("", |word| word.as_str());
        let message = format!("Can't parse {} [{text}]. Skipping", statement.name());
        self.report(Diagnostic::warning("invalid-address", statement.span, message).help("write a multicast address"));
    }

    fn dynamic_interfaces(&mut self, statement: &Statement) -> DynamicInterfaces {
        match statement.argument(1) {
            None => DynamicInterfaces::Yes,
            Some(word) if word.as_str() == "allow_if_changes" => DynamicInterfaces::AllowChanges,
            Some(word) => {
                let message = format!("Unknown dynamic_interfaces option '{}'", word.text);
                self.warn("unknown-option", word.span, message);
                DynamicInterfaces::Yes
            }
        }
    }

    /// Scripts, pipes and mail.
    fn global_command(&mut self, statement: &Statement, globals: &mut Globals) -> bool {
        let keyword = statement.name();
        match keyword {
            "startup_script" | "shutdown_script" => {
                if statement.argument(1).is_none() {
                    self.warn("missing-value", statement.span, format!("{} missing", keyword.replace('_', " ")));
                    return true;
                }
                let command = self.command(statement, Some(User::ROOT), keyword);
                let script = command.map(|command| OneShotScript { command, timeout: Duration::from_secs(10) });
                *(if keyword == "startup_script" {
                    &mut globals.model.startup_script
                } else {
                    &mut globals.model.shutdown_script
                }) = script;
            }
            "notify_fifo" | "vrrp_notify_fifo" | "lvs_notify_fifo" => {
                let Some(path) = statement.argument(1) else {
                    self.warn("missing-value", statement.span, format!("No {keyword} name specified"));
                    return true;
                };
                let user = statement.argument(2).and_then(|user| self.user(user, statement.argument(3)));
                let user = user.unwrap_or(User::ROOT);
                let path = PathBuf::from(path.as_str());
                *fifo(&mut globals.model.fifos, keyword) = Some(Fifo { path, user, script: None });
            }
            "notify_fifo_script" | "vrrp_notify_fifo_script" | "lvs_notify_fifo_script" => {
                if statement.argument(1).is_none() {
                    self.warn("missing-value", statement.span, format!("No {keyword} specified"));
                    return true;
                }
                let script = self.command(statement, Some(User::ROOT), keyword);
                let name = keyword.trim_end_matches("_script");
                if let Some(fifo) = fifo(&mut globals.model.fifos, name) {
                    fifo.script = script;
                }
            }
            _ => return self.mail_word(statement, &mut globals.model.smtp),
        }
        true
    }
}

fn fifo<'f>(fifos: &'f mut Fifos, name: &str) -> &'f mut Option<Fifo> {
    match name {
        "vrrp_notify_fifo" => &mut fifos.vrrp,
        "lvs_notify_fifo" => &mut fifos.lvs,
        _ => &mut fifos.all,
    }
}
