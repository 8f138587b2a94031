//! The file of `keepalived --signum=JSON`: keepalived's names in keepalived's order, as exporters of it read them.

use crate::router::Router;
use crate::vrrp::settings::{Auth, VirtualAddress};
use crate::vrrp::state::State;
use crate::vrrp::{Instance, Phase};
use std::fmt::{self, Display, Formatter, Write};
use std::time::{Duration, Instant};

/// The text.
pub struct Json<'a> {
    /// What is dumped.
    pub router: &'a Router,
    /// The monotonic time of the dump.
    pub now: Instant,
    /// The same moment since 1970.
    pub since_epoch: Duration,
}

impl Display for Json<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_char('[')?;
        for (place, instance) in self.router.instances().enumerate() {
            if place > 0 {
                f.write_char(',')?;
            }
            f.write_str("{\"data\":{")?;
            self.data(f, instance)?;
            f.write_str("},\"stats\":{")?;
            statistics(f, instance)?;
            f.write_str("}}")?;
        }
        f.write_str("]\n")
    }
}

impl Json<'_> {
    fn data(&self, f: &mut Formatter<'_>, instance: &Instance) -> fmt::Result {
        let settings = instance.settings();
        let garp = &settings.garp;
        let master = match instance.state() {
            State::Backup { master, .. } => *master,
            State::Init | State::Master | State::Fault => None,
        };
        let own = settings.advert_interval;
        let state = number(instance.phase());
        let transition = instance
            .changed_at()
            .map_or(Duration::ZERO, |at| self.since_epoch.saturating_sub(self.now.saturating_duration_since(at)));
        write!(f, "\"iname\":{}", Text(&settings.name))?;
        write!(f, ",\"dont_track_primary\":{}", u8::from(settings.dont_track_primary))?;
        write!(f, ",\"skip_check_adv_addr\":{}", u8::from(settings.skip_check_adv_addr))?;
        write!(f, ",\"strict_mode\":0,\"vmac_ifname\":\"\"")?;
        write!(f, ",\"ifp_ifname\":{}", Text(settings.interface.as_deref().unwrap_or_default()))?;
        write!(f, ",\"master_priority\":{}", master.map_or(0, |heard| heard.priority))?;
        write!(f, ",\"last_transition\":{:.6}", transition.as_secs_f64())?;
        write!(f, ",\"garp_delay\":{}", garp.delay.as_secs())?;
        write!(f, ",\"garp_refresh\":{}", garp.refresh.as_secs())?;
        write!(f, ",\"garp_rep\":{}", garp.repeat)?;
        write!(f, ",\"garp_refresh_rep\":{}", garp.refresh_repeat)?;
        write!(f, ",\"garp_lower_prio_delay\":{}", garp.lower_prio_delay.as_secs())?;
        write!(f, ",\"garp_lower_prio_rep\":{}", garp.lower_prio_repeat)?;
        write!(f, ",\"lower_prio_no_advert\":{}", u8::from(settings.lower_prio_no_advert))?;
        write!(f, ",\"higher_prio_send_advert\":{}", u8::from(settings.higher_prio_send_advert))?;
        write!(f, ",\"vrid\":{}", settings.vrid)?;
        write!(f, ",\"base_priority\":{}", settings.priority)?;
        write!(f, ",\"effective_priority\":{}", instance.effective_priority())?;
        write!(f, ",\"vipset\":{}", instance.phase() == Phase::Master)?;
        write!(f, ",\"promote_secondaries\":false,\"adver_int\":{}", own.as_secs_f64())?;
        write!(f, ",\"master_adver_int\":{}", master.map_or(own, |heard| heard.interval).as_secs_f64())?;
        write!(f, ",\"accept\":1,\"nopreempt\":{}", !settings.preempt)?;
        write!(f, ",\"preempt_delay\":{}", settings.preempt_delay.as_secs_f64())?;
        write!(f, ",\"state\":{state},\"wantstate\":{state}")?;
        write!(f, ",\"version\":{},\"smtp_alert\":false", settings.version.number())?;
        write!(f, ",\"notify_deleted\":{}", settings.notify_deleted)?;
        let addresses = |vips: &[VirtualAddress]| vips.iter().map(|vip| described(instance, vip)).collect::<Vec<_>>();
        list(f, "vips", &addresses(&settings.addresses))?;
        if !settings.excluded.is_empty() {
            list(f, "evips", &addresses(&settings.excluded))?;
        }
        let scripts: Vec<String> = settings.track.scripts.iter().map(|track| self.command(&track.name)).collect();
        if !scripts.is_empty() {
            list(f, "track_script", &scripts)?;
        }
        match settings.auth {
            Auth::None => Ok(()),
            Auth::Pass(_) => f.write_str(",\"auth_type\":1,\"auth_data\":\"********\""),
        }
    }

    fn command(&self, script: &str) -> String {
        let known = self.router.scripts().find(|known| known.settings().name == script);
        known.map_or_else(|| script.to_owned(), |known| known.settings().command.to_string())
    }
}

/// keepalived's number of a state.
fn number(phase: Phase) -> u8 {
    match phase {
        Phase::Init => 0,
        Phase::Backup => 1,
        Phase::Master => 2,
        Phase::Fault => 3,
    }
}

fn described(instance: &Instance, vip: &VirtualAddress) -> String {
    let device = instance.settings().device_of(vip).unwrap_or_default();
    let set = if instance.phase() == Phase::Master { " set" } else { "" };
    format!("{}/{} dev {device}{set}", vip.address, vip.prefix)
}

fn list(f: &mut Formatter<'_>, name: &str, items: &[String]) -> fmt::Result {
    write!(f, ",\"{name}\":[")?;
    for (place, item) in items.iter().enumerate() {
        if place > 0 {
            f.write_char(',')?;
        }
        write!(f, "{}", Text(item))?;
    }
    f.write_char(']')
}

fn statistics(f: &mut Formatter<'_>, instance: &Instance) -> fmt::Result {
    let counters = instance.counters();
    for (place, (name, value)) in [
        ("advert_rcvd", counters.adverts_received),
        ("advert_sent", counters.adverts_sent),
        ("become_master", counters.became_master),
        ("release_master", counters.released_master),
        ("packet_len_err", counters.packet_errors),
        ("advert_interval_err", counters.interval_errors),
        ("ip_ttl_err", counters.ttl_errors),
        ("invalid_type_rcvd", counters.type_errors),
        ("addr_list_err", counters.address_list_errors),
        ("invalid_authtype", counters.auth_type_errors),
        ("authtype_mismatch", counters.auth_mismatches),
        ("auth_failure", counters.auth_failures),
        ("pri_zero_rcvd", counters.priority_zero_received),
        ("pri_zero_sent", counters.priority_zero_sent),
    ]
    .into_iter()
    .enumerate()
    {
        let comma = if place == 0 { "" } else { "," };
        write!(f, "{comma}\"{name}\":{value}")?;
    }
    Ok(())
}

/// A string of JSON (RFC 8259 section 7).
struct Text<'a>(&'a str);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for character in self.0.chars() {
            match character {
                '"' | '\\' => write!(f, "\\{character}")?,
                control if control < ' ' => write!(f, "\\u{:04x}", u32::from(control))?,
                other => f.write_char(other)?,
            }
        }
        f.write_char('"')
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{notify, router, vrrp};
    use std::net::IpAddr;

    #[test]
    fn names_and_types_are_those_of_keepalived() {
        let mut vrrp = vrrp::Settings::new("VI \"1\"", "eth0", 51);
        vrrp.addresses = vec![VirtualAddress::new(IpAddr::from([10, 99, 0, 50]), 24)];
        let instance = router::Instance { vrrp, notify: notify::Settings::default() };
        let router = Router::new(router::Settings { instances: vec![instance], ..router::Settings::default() });
        let json = Json { router: &router, now: crate::clock::now(), since_epoch: Duration::from_secs(7) }.to_string();
        assert!(json.starts_with("[{\"data\":{\"iname\":\"VI \\\"1\\\"\",\"dont_track_primary\":0,"), "{json}");
        for part in [
            ",\"adver_int\":1,\"master_adver_int\":1,",
            ",\"state\":0,\"wantstate\":0,\"version\":2,",
            ",\"vips\":[\"10.99.0.50/24 dev eth0\"]},\"stats\":{\"advert_rcvd\":0,",
            ",\"pri_zero_sent\":0}}]\n",
        ] {
            assert!(json.contains(part), "{part}\n{json}");
        }
    }
}
