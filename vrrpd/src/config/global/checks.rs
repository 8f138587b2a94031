//! What keepalived checks about words of `global_defs` that have one number or one switch, as a table.

use super::super::Lowering;
use super::super::model::{Global, ReceiveBuffers};
use shared_config::keepalived::ast::Statement;
use std::time::Duration;

/// Ranges and messages; `{}` is what was written.
struct Number {
    keyword: &'static str,
    least: i64,
    most: i64,
    /// Said of a wrong number.
    wrong: &'static str,
    /// Said when nothing follows; empty where the keyword table already requires a value.
    missing: &'static str,
}

const fn number(keyword: &'static str, least: i64, most: i64, wrong: &'static str, missing: &'static str) -> Number {
    Number { keyword, least, most, wrong, missing }
}

const U32: i64 = u32::MAX as i64;
const I32: i64 = i32::MAX as i64;

const NUMBERS: &[Number] = &[
    number("smtp_connect_timeout", 0, 4294, "smtp_connect_timeout '{}' must be in [0, 4294] - ignoring", ""),
    number(
        "startup_script_timeout",
        1,
        1000,
        "startup_script_timeout '{}' must be in [1, 1000] - ignoring",
        "startup_script_timeout requires value",
    ),
    number(
        "shutdown_script_timeout",
        1,
        1000,
        "shutdown_script_timeout '{}' must be in [1, 1000] - ignoring",
        "shutdown_script_timeout requires value",
    ),
    number("max_auto_priority", -1, 99, "max_auto_priority '{}' must be in [0, 99] (or -1 to disable) - ignoring", ""),
    number(
        "min_auto_priority_delay",
        1,
        10_000_000,
        "min_auto_priority_delay '{}' must be in [1, 10000000] - ignoring",
        "min_auto_priority_delay requires delay time",
    ),
    number("nftables_priority", -I32, I32, "invalid nftables chain priority '{}'", ""),
    number("nftables_ipvs_priority", -I32, I32, "invalid ipvs nftables chain priority '{}'", ""),
    number("nftables_ipvs_start_fwmark", 1, U32, "invalid ipvs nftables start_fwmark priority '{}'", ""),
    number("vrrp_priority", -20, 19, "Invalid vrrp process priority specified", "No vrrp process priority specified"),
    number(
        "checker_priority",
        -20,
        19,
        "Invalid checker process priority specified",
        "No checker process priority specified",
    ),
    number("bfd_priority", -20, 19, "Invalid bfd process priority specified", "No bfd process priority specified"),
    number("vrrp_rlimit_rttime", 1, U32, "Invalid vrrp real-time limit - {}", ""),
    number("vrrp_rlimit_rtime", 1, U32, "Invalid vrrp real-time limit - {}", ""),
    number("checker_rlimit_rttime", 1, U32, "Invalid checker real-time limit - {}", ""),
    number("checker_rlimit_rtime", 1, U32, "Invalid checker real-time limit - {}", ""),
    number("bfd_rlimit_rttime", 1, U32, "Invalid bfd real-time limit - {}", ""),
    number("bfd_rlimit_rtime", 1, U32, "Invalid bfd real-time limit - {}", ""),
    number(
        "vrrp_netlink_cmd_rcv_bufs",
        0,
        U32,
        "vrrp_netlink_cmd_rcv_bufs size ({}) invalid",
        "vrrp_netlink_cmd_rcv_bufs size missing",
    ),
    number(
        "vrrp_netlink_monitor_rcv_bufs",
        0,
        U32,
        "vrrp_netlink_monitor_rcv_bufs size ({}) invalid",
        "vrrp_netlink_monitor_rcv_bufs size missing",
    ),
    number(
        "process_monitor_rcv_bufs",
        0,
        U32,
        "process_monitor_rcv_bufs size ({}) invalid",
        "process_monitor_rcv_bufs size missing",
    ),
    number(
        "lvs_netlink_cmd_rcv_bufs",
        0,
        U32,
        "lvs_netlink_cmd_rcv_bufs size ({}) invalid",
        "lvs_netlink_cmd_rcv_bufs size missing",
    ),
    number(
        "lvs_netlink_monitor_rcv_bufs",
        0,
        U32,
        "lvs_netlink_monitor_rcv_bufs size ({}) invalid",
        "lvs_netlink_monitor_rcv_bufs size missing",
    ),
    number("vrrp_rx_bufs_multiplier", 1, U32, "Invalid vrrp_rx_bufs_multiplier {}", "Invalid vrrp_rx_bufs_multiplier"),
    number("random_seed", 0, U32, "random_seed {} invalid", ""),
    number("json_version", 1, 2, "json_version '{}' must be 1 or 2 - ignoring", ""),
];

/// Words that must be followed by something, and what is said if not.
const REQUIRED: &[(&str, &str)] = &[
    ("lvs_timeouts", "lvs_timeouts requires at least one option"),
    ("lvs_sync_daemon", "lvs_sync_daemon requires interface"),
    ("dbus_service_name", "dbus_service_name missing - ignoring"),
    ("tmp_config_directory", "tmp_config_directory missing directory name"),
    ("vrrp_cpu_affinity", "No vrrp cpu_id set specified"),
    ("checker_cpu_affinity", "No checker cpu_id set specified"),
    ("bfd_cpu_affinity", "No bfd cpu_id set specified"),
    ("vrrp_rt_priority", "No vrrp process real-time priority specified"),
    ("checker_rt_priority", "No checker process real-time priority specified"),
    ("bfd_rt_priority", "No bfd process real-time priority specified"),
    ("vrrp_rx_bufs_policy", "vrrp_rx_bufs_policy missing"),
];

/// Switches whose complaint does not show what was written.
const TERSE_SWITCHES: &[&str] =
    &["checker_log_all_failures", "vrrp_min_garp", "vrrp_lower_prio_no_advert", "vrrp_higher_prio_send_advert"];

const SWITCHES: &[&str] = &[
    "smtp_alert_checker",
    "checker_log_all_failures",
    "rs_init_notifies",
    "no_checker_emails",
    "vrrp_netlink_cmd_rcv_bufs_force",
    "vrrp_netlink_monitor_rcv_bufs_force",
    "process_monitor_rcv_bufs_force",
    "lvs_netlink_cmd_rcv_bufs_force",
    "lvs_netlink_monitor_rcv_bufs_force",
];

impl Lowering<'_> {
    /// A switch of `global_defs`, with its own words for a wrong one.
    pub(in crate::config) fn global_switch(&mut self, statement: &Statement) -> Option<bool> {
        let keyword = statement.name();
        self.switch(statement, |value| {
            if TERSE_SWITCHES.contains(&keyword) {
                format!("Invalid value for {keyword} specified")
            } else {
                format!("Invalid value '{value}' for global {keyword} specified")
            }
        })
    }

    /// What is left of `global_defs` after the words that have code of their own.
    pub(super) fn check_global(&mut self, statement: &Statement, model: &mut Global) {
        let keyword = statement.name();
        if SWITCHES.contains(&keyword) {
            self.global_switch(statement);
            return;
        }
        let Some(word) = statement.argument(1) else {
            let number = NUMBERS.iter().find(|row| row.keyword == keyword).map(|row| row.missing);
            let required = REQUIRED.iter().find(|(name, _)| *name == keyword).map(|(_, missing)| *missing);
            if let Some(missing) = number.or(required).filter(|missing| !missing.is_empty()) {
                self.warn("missing-value", statement.span, missing);
            } else if keyword == "vrrp_iptables" {
                self.iptables(statement);
            }
            return;
        };
        let text = word.as_str();
        if let Some(row) = NUMBERS.iter().find(|row| row.keyword == keyword) {
            let consequence = row.wrong.replace("{}", text);
            if let Some(value) = self.integer(word, row.least..=row.most, &consequence) {
                store(keyword, value, model);
            }
            return;
        }
        match keyword {
            "vrrp_rt_priority" | "checker_rt_priority" | "bfd_rt_priority" => self.realtime_priority(statement, model),
            "vrrp_cpu_affinity" => {
                let cpus = statement.words[1..].iter().filter_map(|word| {
                    let consequence = format!("Invalid cpu_id:{} specified for vrrp process", word.text);
                    self.integer(word, 0..=i64::from(u16::MAX), &consequence).and_then(|n| u32::try_from(n).ok())
                });
                model.process.cpu_affinity = cpus.collect();
            }
            "vrrp_rx_bufs_policy" => match text {
                "MTU" => model.process.receive_buffers = ReceiveBuffers::Mtu,
                "ADVERT" => model.process.receive_buffers = ReceiveBuffers::Advert,
                _ => {
                    let consequence = format!("Invalid vrrp_rx_bufs_policy {text}");
                    if let Some(n) = self.integer(word, 0..=U32, &consequence) {
                        model.process.receive_buffers = ReceiveBuffers::Bytes(u32::try_from(n).unwrap_or(0));
                    }
                }
            },
            "umask" => self.umask(statement, model),
            "lvs_flush_on_stop" | "lvs_flush_onstop" if text != "VS" => {
                self.warn("unknown-option", word.span, format!("Unknown lvs_flush_on_stop type {text}"));
            }
            "lvs_timeouts" if !matches!(text, "tcp" | "tcpfin" | "udp") => {
                self.warn("missing-value", word.span, "lvs_timeouts requires at least one option");
            }
            "vrrp_iptables" => self.iptables(statement),
            _ => {}
        }
    }

    fn iptables(&mut self, statement: &Statement) {
        let message = "iptables not supported, using nftables instead. Please replace 'vrrp_iptables and 'vrrp_ipsets' with 'nftables' config option";
        self.warn("deprecated", statement.span, message);
    }

    fn realtime_priority(&mut self, statement: &Statement, model: &mut Global) {
        let Some(word) = statement.argument(1) else { return };
        let text = word.as_str();
        let process = statement.name().trim_end_matches("_rt_priority");
        let consequence = format!("{process} process real-time priority '{text}' invalid");
        let Some(n) = self.integer(word, -I32..=I32, &consequence) else { return };
        if n > 99 {
            let message =
                format!("{process} process real-time priority {n} greater than maximum 99 - setting to maximum");
            self.warn("invalid-number", word.span, message);
        } else if n < 1 {
            let message = format!("{process} process real-time priority {n} less than minimum 1 - setting to minimum");
            self.warn("invalid-number", word.span, message);
        }
        if process == "vrrp" {
            model.process.realtime_priority = u8::try_from(n.clamp(1, 99)).ok();
        }
    }

    /// A number as C writes it, or `IRUSR | IWUSR | …`.
    fn umask(&mut self, statement: &Statement, model: &mut Global) {
        let Some(word) = statement.argument(1) else { return };
        if word.as_str().starts_with(|c: char| c.is_ascii_digit()) {
            let value = super::super::value::integer(word.as_str(), &(0..=0o777));
            match value.ok().and_then(|n| u16::try_from(n).ok()) {
                Some(umask) => model.scripts.umask = umask,
                None => self.warn("invalid-number", word.span, format!("invalid umask value {}", word.text)),
            }
            return;
        }
        let mut umask = 0;
        for word in &statement.words[1..] {
            for bit in word.as_str().split('|').filter(|bit| !bit.is_empty()) {
                umask |= match bit {
                    "IRUSR" => 0o400,
                    "IWUSR" => 0o200,
                    "IXUSR" => 0o100,
                    "IRGRP" => 0o040,
                    "IWGRP" => 0o020,
                    "IXGRP" => 0o010,
                    "IROTH" => 0o004,
                    "IWOTH" => 0o002,
                    "IXOTH" => 0o001,
                    other => {
                        self.warn("unknown-option", word.span, format!("Unknown umask bit {other}"));
                        return;
                    }
                };
            }
        }
        model.scripts.umask = umask;
    }
}

fn store(keyword: &str, value: i64, model: &mut Global) {
    let seconds = Duration::from_secs(value.unsigned_abs());
    match keyword {
        "smtp_connect_timeout" => model.smtp.connect_timeout = seconds,
        "startup_script_timeout" => {
            if let Some(script) = &mut model.startup_script {
                script.timeout = seconds;
            }
        }
        "shutdown_script_timeout" => {
            if let Some(script) = &mut model.shutdown_script {
                script.timeout = seconds;
            }
        }
        "nftables_priority" => model.firewall.priority = i32::try_from(value).unwrap_or(-1),
        "vrrp_priority" => model.process.nice = i8::try_from(value).ok(),
        "vrrp_rlimit_rttime" | "vrrp_rlimit_rtime" => model.process.realtime_limit = u64::try_from(value).ok(),
        "vrrp_rx_bufs_multiplier" => model.process.receive_multiplier = u32::try_from(value).unwrap_or(3),
        "json_version" => model.process.json_version = u8::try_from(value).unwrap_or(1),
        _ => {}
    }
}
