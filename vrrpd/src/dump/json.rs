//! The file of `keepalived --signum=JSON`: keepalived's names in keepalived's order, as exporters of it read them.

use super::{View, network};
use crate::config::model;
use crate::vrrp::settings::{Auth, Settings};
use crate::vrrp::state::State;
use crate::vrrp::{Instance, Phase};
use std::fmt::{self, Display, Formatter, Write};
use std::time::Duration;

/// The text. With `json_version 2` the array of instances has a name.
#[derive(Debug)]
pub struct Json<'a>(pub &'a View<'a>);

impl Display for Json<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let named = self.0.model.global.process.json_version == 2;
        f.write_str(if named { "{\"vrrp\":[" } else { "[" })?;
        for (place, instance) in self.0.router.instances().enumerate() {
            if place > 0 {
                f.write_char(',')?;
            }
            f.write_str("{\"data\":{")?;
            self.data(f, instance)?;
            f.write_str("},\"stats\":{")?;
            statistics(f, instance)?;
            f.write_str("}}")?;
        }
        f.write_str(if named { "]}\n" } else { "]\n" })
    }
}

impl Json<'_> {
    fn data(&self, f: &mut Formatter<'_>, instance: &Instance) -> fmt::Result {
        let settings = instance.settings();
        let model = self.0.model_of(&settings.name);
        let garp = &settings.garp;
        let master = match instance.state() {
            State::Backup { master, .. } => *master,
            State::Init | State::Master | State::Fault => None,
        };
        let own = settings.advert_interval;
        let state = number(instance.phase());
        let transition = instance.changed_at().map_or(Duration::ZERO, |at| self.0.wall(at));
        write!(f, "\"iname\":{}", Text(&settings.name))?;
        write!(f, ",\"dont_track_primary\":{}", u8::from(settings.dont_track_primary))?;
        write!(f, ",\"skip_check_adv_addr\":{}", u8::from(settings.skip_check_adv_addr))?;
        write!(f, ",\"strict_mode\":{}", u8::from(model.is_some_and(|model| model.strict)))?;
        let vmac = model.and_then(|model| model.vmac.as_ref()).and_then(|vmac| vmac.name.as_deref());
        write!(f, ",\"vmac_ifname\":{}", Text(vmac.unwrap_or_default()))?;
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
        write!(f, ",\"promote_secondaries\":{}", model.is_some_and(|model| model.promote_secondaries))?;
        write!(f, ",\"adver_int\":{}", own.as_secs_f64())?;
        write!(f, ",\"master_adver_int\":{}", master.map_or(own, |heard| heard.interval).as_secs_f64())?;
        write!(f, ",\"accept\":{}", u8::from(model.is_none_or(|model| model.accept)))?;
        write!(f, ",\"nopreempt\":{}", !settings.preempt)?;
        write!(f, ",\"preempt_delay\":{}", settings.preempt_delay.as_secs_f64())?;
        write!(f, ",\"state\":{state},\"wantstate\":{state}")?;
        write!(f, ",\"version\":{}", settings.version.number())?;
        write!(f, ",\"smtp_alert\":{}", model.is_some_and(|model| model.notify().smtp_alert))?;
        write!(f, ",\"notify_deleted\":{}", settings.notify_deleted)?;
        self.scripts(f, settings)?;
        if let Some(model) = model {
            lists(f, settings, model, instance.phase() == Phase::Master)?;
        }
        let scripts: Vec<String> = settings.track.scripts.iter().map(|track| self.command(&track.name)).collect();
        if !scripts.is_empty() {
            list(f, "track_script", &scripts)?;
        }
        match settings.auth {
            Auth::None => f.write_str(",\"auth_type\":0"),
            // As on the wire: 2 is the authentication header.
            Auth::Unsupported(_) => f.write_str(",\"auth_type\":2"),
            Auth::Pass(_) => f.write_str(",\"auth_type\":1,\"auth_data\":\"********\""),
        }
    }

    /// The notify scripts.
    fn scripts(&self, f: &mut Formatter<'_>, settings: &Settings) -> fmt::Result {
        let Some(notify) = self.0.router.notify_settings(&settings.name) else { return Ok(()) };
        for (name, command) in [
            ("script_backup", &notify.backup),
            ("script_master", &notify.master),
            ("script_fault", &notify.fault),
            ("script_stop", &notify.stop),
            ("script", &notify.any),
            ("script_master_rx_lower_pri", &notify.master_rx_lower_pri),
        ] {
            if let Some(command) = command {
                write!(f, ",\"{name}\":{}", Text(&network::command(command)))?;
            }
        }
        Ok(())
    }

    fn command(&self, script: &str) -> String {
        let known = self.0.router.scripts().find(|known| known.settings().name == script);
        known.map_or_else(|| script.to_owned(), |known| network::command(&known.settings().command))
    }
}

/// What follows the state: addresses, routes, rules, and what is tracked.
fn lists(f: &mut Formatter<'_>, settings: &Settings, model: &model::Instance, set: bool) -> fmt::Result {
    let device = settings.interface.as_deref().unwrap_or_default();
    let addresses = |vips: &[model::VirtualAddress]| -> Vec<String> {
        vips.iter().map(|vip| network::address(vip, device, set)).collect()
    };
    list(f, "vips", &addresses(&model.addresses))?;
    for (name, items) in [
        ("evips", addresses(&model.excluded_addresses)),
        ("vroutes", model.routes.iter().map(network::route).collect()),
        ("vrules", model.rules.iter().map(network::rule).collect()),
        ("track_ifp", model.track.interfaces.iter().map(|tracked| tracked.target.clone()).collect()),
    ] {
        if !items.is_empty() {
            list(f, name, &items)?;
        }
    }
    Ok(())
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
pub(crate) struct Text<'a>(pub(crate) &'a str);

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
    use super::super::tests::{example, plan};
    use super::*;

    #[test]
    fn names_and_types_are_those_of_keepalived() {
        let (model, router) = plan(include_str!("../../tests/dump/example.conf"));
        let json = Json(&example(&model, &router)).to_string();
        assert!(json.starts_with("[{\"data\":{\"iname\":\"VI_1\",\"dont_track_primary\":0,"), "{json}");
        for part in [
            ",\"adver_int\":1,\"master_adver_int\":1,",
            ",\"state\":0,\"wantstate\":0,\"version\":2,",
            ",\"vips\":[\"192.0.2.50/24 dev eth0 scope global\",",
            ",\"track_ifp\":[\"eth1\"],",
            ",\"auth_type\":1,\"auth_data\":\"********\"},\"stats\":{\"advert_rcvd\":0,",
            ",\"pri_zero_sent\":0}}]\n",
        ] {
            assert!(json.contains(part), "{part}\n{json}");
        }
        let (mut model, router) = plan(include_str!("../../tests/dump/example.conf"));
        model.global.process.json_version = 2;
        let json = Json(&example(&model, &router)).to_string();
        assert!(json.starts_with("{\"vrrp\":[{") && json.ends_with("}]}\n"), "{json}");
    }

    #[test]
    fn any_text_is_a_string() {
        assert_eq!(Text("a\"b\\c\n").to_string(), r#""a\"b\\c\u000a""#);
    }
}
