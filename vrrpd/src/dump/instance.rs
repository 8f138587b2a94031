//! One instance in SIGUSR1's text.

use super::{View, network};
use crate::config::model;
use crate::notify::Settings as Notify;
use crate::packet::{Family, Version};
use crate::vrrp::settings::{Auth, Settings, Transport};
use crate::vrrp::timer::master_down_interval;
use crate::vrrp::{Instance, Phase};
use std::fmt::{self, Formatter};

pub(super) fn write(f: &mut Formatter<'_>, view: &View<'_>, instance: &Instance) -> fmt::Result {
    let settings = instance.settings();
    let model = view.model_of(&settings.name);
    writeln!(f, " VRRP Instance = {}", settings.name)?;
    writeln!(f, "   VRRP Version = {}", settings.version.number())?;
    let mut groups = view.router.groups();
    if let Some((group, _)) = groups.find(|(group, _)| group.sync.members.contains(&settings.name)) {
        writeln!(f, "   Sync group = {}", group.sync.name)?;
    }
    if settings.family == Family::Inet6 {
        writeln!(f, "   Using Native IPv6")?;
    }
    state(f, view, instance)?;
    transport(f, view, instance)?;
    timing(f, settings)?;
    priority(f, instance, model)?;
    match settings.auth {
        Auth::None if settings.version == Version::V2 => writeln!(f, "   Authentication type = none")?,
        Auth::None => {}
        Auth::Unsupported(kind) => writeln!(f, "   Authentication type = {kind}, not supported")?,
        Auth::Pass(_) => writeln!(f, "   Authentication type = SIMPLE_PASSWORD\n   Password = ********")?,
    }
    if let Some(model) = model {
        addresses(f, settings, model, instance.phase() == Phase::Master)?;
        peers(f, model)?;
        tracked(f, view, model)?;
        writeln!(f, "   Using smtp notification = {}", if model.notify().smtp_alert { "yes" } else { "no" })?;
    }
    writeln!(f, "   Notify deleted = {}", if settings.notify_deleted { "Deleted" } else { "Fault" })?;
    if let Some(settings) = view.router.notify_settings(&settings.name) {
        notify(f, settings)?;
    }
    writeln!(f, "   Notify priority changes = {}", settings.notify_priority_changes)
}

fn state(f: &mut Formatter<'_>, view: &View<'_>, instance: &Instance) -> fmt::Result {
    let settings = instance.settings();
    let (word, faults) = (instance.phase().word(), instance.faults());
    writeln!(f, "   State = {word}")?;
    match settings.transport {
        Transport::Unicast { .. } => writeln!(f, "   Flags:\n     Using unicast")?,
        Transport::Multicast { .. } => writeln!(f, "   Flags: none")?,
    }
    writeln!(f, "   Wantstate = {word}")?;
    writeln!(f, "   Number of config faults = 0")?;
    let number = [faults.link, faults.source, faults.tracker].into_iter().filter(|fault| *fault).count();
    writeln!(f, "   Number of interface and track script faults = {number}")?;
    writeln!(f, "   Number of track scripts init = {}", u8::from(instance.tracked().waiting))?;
    if let Some(at) = instance.changed_at() {
        writeln!(f, "   Last transition = {}", view.moment(at))?;
    }
    match instance.next_deadline() {
        Some(at) => writeln!(f, "   Read timeout = {}", view.moment(at))?,
        None => writeln!(f, "   Read timeout = DISABLED")?,
    }
    let interval = settings.advert_interval;
    let (version, adverts) = (settings.version, settings.down_timer_adverts);
    let down = master_down_interval(version, instance.effective_priority(), interval, adverts);
    writeln!(f, "   Master down timer = {} usecs", down.as_micros())
}

fn transport(f: &mut Formatter<'_>, view: &View<'_>, instance: &Instance) -> fmt::Result {
    let settings = instance.settings();
    writeln!(f, "   Interface = {}", settings.interface.as_deref().unwrap_or("(none)"))?;
    if settings.dont_track_primary {
        writeln!(f, "   VRRP interface tracking disabled")?;
    }
    if settings.skip_check_adv_addr {
        writeln!(f, "   Skip checking advert IP addresses")?;
    }
    if let Some(source) = instance.source() {
        let configured = if settings.source().is_some() { " (from configuration)" } else { "" };
        writeln!(f, "   Using src_ip = {source}{configured}")?;
    }
    match &settings.transport {
        Transport::Multicast { group, .. } if group.is_ipv6() => {
            let index = settings.interface.as_deref().and_then(|name| view.router.interfaces().index_of(name));
            writeln!(f, "   Multicast address {group}, ifindex {}", index.unwrap_or(0))
        }
        Transport::Multicast { group, .. } => writeln!(f, "   Multicast address {group}"),
        Transport::Unicast { .. } => Ok(()),
    }
}

fn timing(f: &mut Formatter<'_>, settings: &Settings) -> fmt::Result {
    let garp = &settings.garp;
    writeln!(f, "   Gratuitous ARP delay = {}", garp.delay.as_secs())?;
    writeln!(f, "   Gratuitous ARP repeat = {}", garp.repeat)?;
    writeln!(f, "   Gratuitous ARP refresh = {}", garp.refresh.as_secs())?;
    writeln!(f, "   Gratuitous ARP refresh repeat = {}", garp.refresh_repeat)?;
    writeln!(f, "   Gratuitous ARP lower priority delay = {}", garp.lower_prio_delay.as_secs())?;
    writeln!(f, "   Gratuitous ARP lower priority repeat = {}", garp.lower_prio_repeat)?;
    writeln!(f, "   Down timer adverts = {}", settings.down_timer_adverts)?;
    writeln!(f, "   Send advert after receive lower priority advert = {}", !settings.lower_prio_no_advert)?;
    writeln!(f, "   Send advert after receive higher priority advert = {}", settings.higher_prio_send_advert)
}

fn priority(f: &mut Formatter<'_>, instance: &Instance, model: Option<&model::Instance>) -> fmt::Result {
    let settings = instance.settings();
    writeln!(f, "   Virtual Router ID = {}", settings.vrid)?;
    writeln!(f, "   Priority = {}", settings.priority)?;
    writeln!(f, "   Effective priority = {}", instance.effective_priority())?;
    let total = i32::from(settings.priority).saturating_add(instance.tracked().bonus);
    writeln!(f, "   Total priority = {}", if settings.is_owner() { settings.priority.into() } else { total })?;
    match settings.version {
        Version::V2 => writeln!(f, "   Advert interval = {} sec", settings.advert_interval.as_secs())?,
        Version::V3 => writeln!(f, "   Advert interval = {} milli-sec", settings.advert_interval.as_millis())?,
    }
    let able = |on: bool| if on { "enabled" } else { "disabled" };
    writeln!(f, "   Accept = {}", able(model.is_none_or(|model| model.accept)))?;
    writeln!(f, "   Preempt = {}", able(settings.preempt))?;
    if !settings.preempt_delay.is_zero() {
        writeln!(f, "   Preempt delay = {} secs", settings.preempt_delay.as_secs_f64())?;
    }
    writeln!(f, "   Promote_secondaries = {}", able(model.is_some_and(|model| model.promote_secondaries)))
}

fn addresses(f: &mut Formatter<'_>, settings: &Settings, model: &model::Instance, set: bool) -> fmt::Result {
    let device = settings.interface.as_deref().unwrap_or("(none)");
    writeln!(f, "   Virtual IP ({}):", model.addresses.len())?;
    for vip in &model.addresses {
        writeln!(f, "     {}", network::address(vip, device, set))?;
    }
    if !model.excluded_addresses.is_empty() {
        writeln!(f, "   Virtual IP Excluded :")?;
    }
    for vip in &model.excluded_addresses {
        writeln!(f, "     {}", network::address(vip, device, set))?;
    }
    list(f, "Virtual Routes", model.routes.iter().map(network::route))?;
    list(f, "Virtual Rules", model.rules.iter().map(network::rule))
}

fn list(f: &mut Formatter<'_>, title: &str, lines: impl Iterator<Item = String>) -> fmt::Result {
    for (place, line) in lines.enumerate() {
        if place == 0 {
            writeln!(f, "   {title} :")?;
        }
        writeln!(f, "     {line}")?;
    }
    Ok(())
}

fn peers(f: &mut Formatter<'_>, model: &model::Instance) -> fmt::Result {
    let model::Destination::Unicast(unicast) = &model.transport.destination else { return Ok(()) };
    writeln!(f, "   Unicast TTL = {}", unicast.ttl)?;
    writeln!(f, "   Check unicast src : {}", if unicast.check_source { "yes" } else { "no" })?;
    let line = |peer: &model::Peer| format!("{} min_ttl {} max_ttl {}", peer.address, peer.min_ttl, peer.max_ttl);
    list(f, "Unicast Peer", unicast.peers.iter().map(line))?;
    let old = match unicast.old_checksum {
        model::OldChecksum::Auto => "no",
        model::OldChecksum::Always => "yes",
        model::OldChecksum::Never => "never",
    };
    writeln!(f, "   Unicast checksum compatibility = {old}")
}

fn tracked(f: &mut Formatter<'_>, view: &View<'_>, model: &model::Instance) -> fmt::Result {
    let (track, all) = (&model.track, view.model);
    let weight = |weight: i32, reverse: bool| format!("weight {weight}{}", if reverse { " reverse" } else { "" });
    let line = |name: &str, comma: &str, (w, r): (i32, bool)| format!("{name}{comma} {}", weight(w, r));
    list(f, "Tracked interfaces", track.interfaces.iter().map(|t| line(&t.target, "", (t.weight, t.reverse))))?;
    let scripts = track.scripts.iter().filter_map(|t| Some((&all.scripts.get(t.target.0)?.name, t)));
    list(f, "Tracked scripts", scripts.map(|(name, t)| line(name, "", (t.weight, t.reverse))))?;
    let files = track.files.iter().filter_map(|t| Some((&all.files.get(t.target.0)?.name, t)));
    list(f, "Tracked files", files.map(|(name, t)| line(name, ",", (t.weight, t.reverse))))?;
    let processes = track.processes.iter().filter_map(|t| Some((&all.processes.get(t.target.0)?.name, t)));
    list(f, "Tracked processes", processes.map(|(name, t)| line(name, ",", (t.weight, t.reverse))))
}

/// The notify scripts of an instance or a group.
pub(super) fn notify(f: &mut Formatter<'_>, notify: &Notify) -> fmt::Result {
    for (name, command) in [
        ("Backup", &notify.backup),
        ("Master", &notify.master),
        ("Fault", &notify.fault),
        ("Stop", &notify.stop),
        ("Generic", &notify.any),
        ("Master rx lower pri", &notify.master_rx_lower_pri),
    ] {
        let Some(command) = command else { continue };
        let (uid, gid) = (command.user.uid, command.user.gid);
        writeln!(f, "   {name} state transition script = {}, uid:gid {uid}:{gid}", network::command(command))?;
    }
    Ok(())
}
