//! The first part of SIGUSR1's text: `global_defs`.

use crate::config::model::{DynamicInterfaces, Model};
use std::fmt::{self, Formatter};
use std::time::Duration;

fn switch(on: bool) -> &'static str {
    if on { "true" } else { "false" }
}

fn able(on: bool) -> &'static str {
    if on { "enabled" } else { "disabled" }
}

pub(super) fn write(f: &mut Formatter<'_>, model: &Model) -> fmt::Result {
    let global = &model.global;
    let process = &global.process;
    writeln!(f, " Network namespace = {}", process.net_namespace.as_deref().unwrap_or("(default)"))?;
    writeln!(f, " Network namespace ipvs = {}", process.net_namespace_ipvs.as_deref().unwrap_or("(main namespace)"))?;
    if let Some(instance) = &process.instance_name {
        writeln!(f, " Instance name = {instance}")?;
    }
    if process.data_use_instance {
        writeln!(f, " Use instance name in data dumps")?;
    }
    writeln!(f, " Router ID = {}", global.router_id)?;
    mail(f, model)?;
    match &global.reload.check_config {
        None => writeln!(f, " No test config before reload")?,
        Some(log) => writeln!(f, " Test config before reload, log to {}", log.display())?,
    }
    if let Some(path) = &global.reload.time_file {
        writeln!(f, " Reload time file = {}{}", path.display(), if global.reload.repeat { " (repeat)" } else { "" })?;
    }
    if let Some(path) = &global.reload.file {
        writeln!(f, " Reload file = {}", path.display())?;
    }
    writeln!(f, " Dynamic interfaces = {}", switch(global.dynamic_interfaces != DynamicInterfaces::No))?;
    writeln!(f, " Default interface = {}", global.default_interface.as_deref().unwrap_or("eth0"))?;
    writeln!(f, " Disable local IGMP = {}", if global.disable_local_igmp { "yes" } else { "no" })?;
    for (name, fifo) in [("", &global.fifos.all), ("VRRP ", &global.fifos.vrrp), ("LVS ", &global.fifos.lvs)] {
        let Some(fifo) = fifo else { continue };
        writeln!(f, " {name}notify fifo = {}, uid:gid {}:{}", fifo.path.display(), fifo.user.uid, fifo.user.gid)?;
        if let Some(script) = &fifo.script {
            writeln!(f, " {name}notify fifo script = {}", super::network::command(script))?;
        }
    }
    writeln!(f, " FIFO write vrrp states on reload = {}", switch(global.fifos.write_states_on_reload))?;
    writeln!(f, " VRRP notify priority changes = {}", switch(global.notify_priority_changes))?;
    writeln!(f, " VRRP IPv4 mcast group = {}", global.mcast_group4)?;
    writeln!(f, " VRRP IPv6 mcast group = {}", global.mcast_group6)?;
    writeln!(f, " Gratuitous ARP interval = {}", seconds(global.garp_interval))?;
    writeln!(f, " Gratuitous NA interval = {}", seconds(global.gna_interval))?;
    if !global.startup_delay.is_zero() {
        writeln!(f, " VRRP startup delay = {}", seconds(global.startup_delay))?;
    }
    if global.log_unknown_vrids {
        writeln!(f, " Log unknown VRIDs = true")?;
    }
    process_lines(f, model)?;
    let security = able(global.scripts.security);
    writeln!(f, " Script security {security}")?;
    writeln!(f, " Default script uid:gid {}:{}", global.scripts.user.uid, global.scripts.user.gid)?;
    writeln!(f, " umask = 0{:o}", global.scripts.umask)
}

fn mail(f: &mut Formatter<'_>, model: &Model) -> fmt::Result {
    let smtp = &model.global.smtp;
    if let Some((server, port)) = &smtp.server {
        writeln!(f, " Smtp server = {server}\n Smtp server port = {port}")?;
    }
    writeln!(f, " Smtp HELO name = {}", smtp.helo_name)?;
    writeln!(f, " Smtp server connection timeout = {}", smtp.connect_timeout.as_secs())?;
    writeln!(f, " Email notification from = {}", smtp.from)?;
    if !smtp.to.is_empty() {
        writeln!(f, " Email notification to:")?;
    }
    smtp.to.iter().try_for_each(|to| writeln!(f, "   {to}"))
}

fn process_lines(f: &mut Formatter<'_>, model: &Model) -> fmt::Result {
    let process = &model.global.process;
    let snmp = &model.global.snmp;
    writeln!(f, " VRRP process priority = {}", process.nice.unwrap_or(0))?;
    writeln!(f, " VRRP don't swap = {}", switch(process.no_swap))?;
    writeln!(f, " VRRP realtime priority = {}", process.realtime_priority.unwrap_or(0))?;
    writeln!(f, " VRRP realtime limit = {}", process.realtime_limit.unwrap_or(10_000))?;
    writeln!(f, " SNMP vrrp {}\n SNMP checker {}", able(snmp.vrrp), able(snmp.checker))?;
    writeln!(f, " SNMP RFCv2 {}\n SNMP RFCv3 {}", able(snmp.rfc_v2), able(snmp.rfc_v3))?;
    writeln!(f, " SNMP traps {}\n DBus {}", able(snmp.traps), able(snmp.dbus))
}

/// With six decimals.
fn seconds(duration: Duration) -> String {
    format!("{:.6}", duration.as_secs_f64())
}
