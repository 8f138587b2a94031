//! The files of SIGUSR1, SIGUSR2 and the JSON signal: what the router knows, in the words that exporters of keepalived
//! read.

pub mod json;

use crate::router::Router;
use crate::track::Health;
use crate::track::script::Script;
use crate::vrrp::settings::{Auth, Transport, VirtualAddress};
use crate::vrrp::{Instance, Phase};
use std::fmt::{self, Display, Formatter};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Where SIGUSR1 writes.
pub const DATA_FILE: &str = "/tmp/keepalived.data";
/// Where SIGUSR2 writes.
pub const STATS_FILE: &str = "/tmp/keepalived.stats";

/// Where the JSON signal writes.
pub const JSON_FILE: &str = "/tmp/keepalived.json";

/// Writes a dump for its owner only, and never through a link that somebody else put there.
pub fn write(path: &Path, text: &dyn Display) -> io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC);
    write!(options.open(path)?, "{text}")
}

/// The text of SIGUSR1.
pub struct Data<'a>(pub &'a Router);

/// The text of SIGUSR2.
pub struct Statistics<'a>(pub &'a Router);

impl Display for Data<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "------< VRRP Topology >------")?;
        for instance in self.0.instances() {
            write_instance(f, instance)?;
        }
        writeln!(f, "------< VRRP Scripts >------")?;
        for script in self.0.scripts() {
            write_script(f, script)?;
        }
        Ok(())
    }
}

fn write_instance(f: &mut Formatter<'_>, instance: &Instance) -> fmt::Result {
    let settings = instance.settings();
    writeln!(f, " VRRP Instance = {}", settings.name)?;
    writeln!(f, "   VRRP Version = {}", settings.version.number())?;
    writeln!(f, "   State = {}", instance.phase().word())?;
    writeln!(f, "   Interface = {}", settings.interface.as_deref().unwrap_or("(none)"))?;
    match &settings.transport {
        Transport::Multicast { group, .. } => writeln!(f, "   Multicast address {group}")?,
        Transport::Unicast { peers, .. } => {
            writeln!(f, "   Unicast peers = {}", peers.len())?;
            for peer in peers {
                writeln!(f, "     {}", peer.address)?;
            }
        }
    }
    writeln!(f, "   Gratuitous ARP delay = {}", settings.garp.delay.as_secs())?;
    writeln!(f, "   Gratuitous ARP repeat = {}", settings.garp.repeat)?;
    writeln!(f, "   Gratuitous ARP refresh = {}", settings.garp.refresh.as_secs())?;
    writeln!(f, "   Gratuitous ARP refresh repeat = {}", settings.garp.refresh_repeat)?;
    writeln!(f, "   Gratuitous ARP lower priority delay = {}", settings.garp.lower_prio_delay.as_secs())?;
    writeln!(f, "   Gratuitous ARP lower priority repeat = {}", settings.garp.lower_prio_repeat)?;
    writeln!(f, "   Down timer adverts = {}", settings.down_timer_adverts)?;
    writeln!(f, "   Virtual Router ID = {}", settings.vrid)?;
    writeln!(f, "   Priority = {}", settings.priority)?;
    writeln!(f, "   Effective priority = {}", instance.effective_priority())?;
    writeln!(f, "   Advert interval = {} sec", settings.advert_interval.as_secs_f64())?;
    writeln!(f, "   Preempt = {}", if settings.preempt { "enabled" } else { "disabled" })?;
    match settings.auth {
        Auth::None => {}
        Auth::Pass(_) => writeln!(f, "   Authentication type = SIMPLE_PASSWORD\n   Password = ********")?,
    }
    writeln!(f, "   Virtual IP ({}):", settings.addresses.len())?;
    for vip in &settings.addresses {
        write_address(f, instance, vip)?;
    }
    if !settings.excluded.is_empty() {
        writeln!(f, "   Virtual IP Excluded ({}):", settings.excluded.len())?;
        for vip in &settings.excluded {
            write_address(f, instance, vip)?;
        }
    }
    for track in &settings.track.scripts {
        writeln!(f, "   Tracked script = {} weight {}", track.name, track.weight)?;
    }
    Ok(())
}

fn write_address(f: &mut Formatter<'_>, instance: &Instance, vip: &VirtualAddress) -> fmt::Result {
    let device = instance.settings().device_of(vip).unwrap_or("(none)");
    let set = if instance.phase() == Phase::Master { " set" } else { "" };
    writeln!(f, "     {}/{} dev {device}{set}", vip.address, vip.prefix)
}

fn write_script(f: &mut Formatter<'_>, script: &Script) -> fmt::Result {
    let settings = script.settings();
    let status = match script.health() {
        Health::Unknown => "INIT",
        Health::Up => "GOOD",
        Health::Down => "BAD",
    };
    writeln!(f, " VRRP Script = {}", settings.name)?;
    writeln!(f, "   Command = '{}'", settings.command)?;
    writeln!(f, "   Interval = {} sec", settings.interval.as_secs_f64())?;
    writeln!(f, "   Timeout = {} sec", settings.timeout.as_secs_f64())?;
    writeln!(f, "   Weight = {}", settings.weight)?;
    writeln!(f, "   Rise = {}", settings.rise)?;
    writeln!(f, "   Fall = {}", settings.fall)?;
    writeln!(f, "   Status = {status}")?;
    writeln!(f, "   State = {}", if script.is_running() { "running" } else { "idle" })
}

impl Display for Statistics<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for instance in self.0.instances() {
            let counters = instance.counters();
            writeln!(f, "VRRP Instance: {}", instance.settings().name)?;
            writeln!(f, "  Advertisements:\n    Received: {}", counters.adverts_received)?;
            writeln!(f, "    Sent: {}", counters.adverts_sent)?;
            writeln!(f, "  Became master: {}", counters.became_master)?;
            writeln!(f, "  Released master: {}", counters.released_master)?;
            writeln!(f, "  Packet Errors:\n    Length: {}", counters.packet_errors)?;
            writeln!(f, "    TTL: {}", counters.ttl_errors)?;
            writeln!(f, "    Invalid Type: {}", counters.type_errors)?;
            writeln!(f, "    Advertisement Interval: {}", counters.interval_errors)?;
            writeln!(f, "    Address List: {}", counters.address_list_errors)?;
            writeln!(f, "  Authentication Errors:\n    Invalid Type: {}", counters.auth_type_errors)?;
            writeln!(f, "    Type Mismatch: {}", counters.auth_mismatches)?;
            writeln!(f, "    Failure: {}", counters.auth_failures)?;
            writeln!(f, "  Priority Zero:\n    Received: {}", counters.priority_zero_received)?;
            writeln!(f, "    Sent: {}", counters.priority_zero_sent)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::auth::Password;
    use crate::{notify, router, vrrp};

    #[test]
    fn a_dump_names_the_state_and_hides_the_password() {
        let mut vrrp = vrrp::Settings::new("VI_1", "eth0", 51);
        vrrp.auth = Auth::Pass(Password::new("s3cret"));
        let instance = router::Instance { vrrp, notify: notify::Settings::default() };
        let router = Router::new(router::Settings { instances: vec![instance], ..router::Settings::default() });
        let text = Data(&router).to_string();
        assert!(text.contains(" VRRP Instance = VI_1\n") && text.contains("   State = INIT\n"));
        assert!(!text.contains("s3cret"));
        assert!(Statistics(&router).to_string().contains("  Became master: 0\n"));
    }
}
