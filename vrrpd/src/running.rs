//! From the configuration's model to what the daemon is told to do: the parts of the model that work today.

use crate::config::model::{
    Authentication, Broadcast, Destination, DynamicInterfaces, Global, Instance, Lifetime, Model, Notify, OldChecksum,
    ScriptId, SyncGroup, Track, VirtualAddress,
};
use crate::daemon::Plan;
use crate::packet::auth::Password;
use crate::vrrp::settings::{self, AddressFlags, Auth, Peer, TrackInterface, TrackScript};
use crate::{notify, router, sync_group, track, vrrp};
use std::collections::BTreeSet;

/// What the daemon runs.
pub fn plan(model: &Model) -> Plan {
    let global = &model.global;
    Plan {
        router: router::Settings {
            instances: model.instances.iter().map(|instance| router_instance(model, instance)).collect(),
            // A script that nobody tracks is not run, and not looked for.
            scripts: used_scripts(model).into_iter().map(|id| script(&model.scripts[id.0])).collect(),
            groups: model.sync_groups.iter().map(|group| router_group(model, group)).collect(),
            log_unknown_vrids: global.log_unknown_vrids,
        },
        script_security: global.scripts.security,
        dynamic_interfaces: global.dynamic_interfaces != DynamicInterfaces::No,
    }
}

/// The scripts that an instance or a group tracks, in the order of the file.
fn used_scripts(model: &Model) -> BTreeSet<ScriptId> {
    let instances = model.instances.iter().map(|instance| &instance.track);
    let groups = model.sync_groups.iter().map(|group| &group.track);
    instances.chain(groups).flat_map(|track| track.scripts.iter().map(|tracked| tracked.target)).collect()
}

fn router_instance(model: &Model, instance: &Instance) -> router::Instance {
    router::Instance { vrrp: vrrp_settings(model, instance), notify: notify_settings(&instance.notify) }
}

fn router_group(model: &Model, group: &SyncGroup) -> router::Group {
    let members = group.members.iter().map(|id| model.instances[id.0].name.clone()).collect();
    router::Group {
        sync: sync_group::Settings { name: group.name.clone(), members },
        notify: notify_settings(&group.notify),
        track_interfaces: track_interfaces(&group.track),
        track_scripts: track_scripts(model, &group.track),
    }
}

fn vrrp_settings(model: &Model, instance: &Instance) -> vrrp::Settings {
    let old_checksum = match &instance.transport.destination {
        Destination::Multicast(_) => false,
        Destination::Unicast(unicast) => unicast.old_checksum == OldChecksum::Always,
    };
    vrrp::Settings {
        name: instance.name.clone(),
        interface: instance.interface.clone(),
        vrid: instance.vrid,
        version: instance.version,
        family: instance.family,
        initial: instance.initial_state,
        priority: instance.priority,
        advert_interval: instance.advert_int,
        auth: match &instance.authentication {
            Some(Authentication::Password(key)) => Auth::Pass(Password::from_octets(*key)),
            // A configuration with the other kinds is refused before it gets here.
            Some(Authentication::Ah(_) | Authentication::Hmac) | None => Auth::None,
        },
        transport: transport(instance),
        addresses: instance.addresses.iter().map(address).collect(),
        excluded: instance.excluded_addresses.iter().map(address).collect(),
        preempt: instance.preempt,
        preempt_delay: instance.preempt_delay,
        startup_delay: model.global.startup_delay,
        down_timer_adverts: instance.down_timer_adverts,
        lower_prio_no_advert: instance.lower_priority_no_advert,
        higher_prio_send_advert: instance.higher_priority_send_advert,
        owner_ignore_adverts: instance.owner_ignore_adverts,
        skip_check_adv_addr: instance.skip_check_advert_addresses,
        v3_checksum_as_v2: instance.transport.checksum_without_pseudo_header,
        old_unicast_checksum: old_checksum,
        dont_track_primary: !instance.track.primary,
        garp: garp(instance, &model.global),
        track_interfaces: track_interfaces(&instance.track),
        track_scripts: track_scripts(model, &instance.track),
        notify_priority_changes: instance.notify.priority_changes,
        notify_deleted: instance.notify.deleted.is_some(),
    }
}

fn transport(instance: &Instance) -> settings::Transport {
    let source = instance.transport.source;
    match &instance.transport.destination {
        Destination::Multicast(group) => settings::Transport::Multicast { group: *group, source },
        Destination::Unicast(unicast) => settings::Transport::Unicast {
            source,
            peers: unicast
                .peers
                .iter()
                .map(|peer| Peer {
                    address: peer.address,
                    min_ttl: (peer.min_ttl > 0).then_some(peer.min_ttl),
                    max_ttl: (peer.max_ttl < 255).then_some(peer.max_ttl),
                })
                .collect(),
            ttl: unicast.ttl,
            check_source: unicast.check_source,
        },
    }
}

fn garp(instance: &Instance, global: &Global) -> settings::Garp {
    let own = &instance.garp;
    settings::Garp {
        repeat: own.master_repeat.into(),
        delay: own.master_delay,
        refresh: own.refresh,
        refresh_repeat: own.refresh_repeat.into(),
        lower_prio_repeat: own.lower_priority_repeat.into(),
        lower_prio_delay: own.lower_priority_delay,
        interval: global.garp_interval,
        gna_interval: global.gna_interval,
    }
}

fn address(address: &VirtualAddress) -> settings::VirtualAddress {
    settings::VirtualAddress {
        address: address.address,
        prefix: address.prefix_length,
        device: address.interface.clone(),
        broadcast: match address.broadcast {
            Broadcast::None => settings::Broadcast::None,
            Broadcast::HostOnes => settings::Broadcast::Ones,
            Broadcast::HostZeros => settings::Broadcast::Zeros,
            Broadcast::Address(address) => settings::Broadcast::Address(address),
        },
        scope: (address.scope != 0).then_some(address.scope),
        label: address.label.clone(),
        peer: address.peer,
        flags: AddressFlags {
            home: address.home,
            dad: address.dad,
            mngtmpaddr: address.manage_temp_address,
            noprefixroute: address.no_prefix_route,
            autojoin: address.autojoin,
            no_track: !address.track,
        },
        preferred_lifetime: address.preferred_lifetime.map(|lifetime| match lifetime {
            Lifetime::Forever => u32::MAX,
            Lifetime::Seconds(seconds) => seconds,
        }),
    }
}

fn track_interfaces(track: &Track) -> Vec<TrackInterface> {
    let tracked = track.interfaces.iter();
    tracked
        .map(|tracked| TrackInterface {
            interface: tracked.target.clone(),
            weight: weight(tracked.weight),
            reverse: tracked.reverse,
        })
        .collect()
}

fn track_scripts(model: &Model, track: &Track) -> Vec<TrackScript> {
    let tracked = track.scripts.iter();
    tracked
        .map(|tracked| TrackScript {
            script: model.scripts[tracked.target.0].name.clone(),
            weight: weight(tracked.weight),
            reverse: tracked.reverse,
        })
        .collect()
}

/// Weights were checked to be within ±254.
fn weight(weight: i32) -> i16 {
    i16::try_from(weight).unwrap_or(0)
}

fn script(script: &crate::config::model::Script) -> track::script::Settings {
    track::script::Settings {
        name: script.name.clone(),
        command: script.command.clone(),
        interval: script.interval,
        timeout: script.timeout,
        weight: weight(script.weight),
        reverse: script.reverse,
        rise: script.rise,
        fall: script.fall,
        init_fail: script.init_fail,
    }
}

fn notify_settings(notify: &Notify) -> notify::Settings {
    notify::Settings {
        master: notify.master.clone(),
        backup: notify.backup.clone(),
        fault: notify.fault.clone(),
        stop: notify.stop.clone(),
        deleted: notify.deleted.clone().flatten(),
        master_rx_lower_pri: notify.master_rx_lower_priority.clone(),
        any: notify.any.clone(),
    }
}
