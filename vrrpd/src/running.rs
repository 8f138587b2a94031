//! From the configuration's model to what the daemon is told to do: the parts of the model that work today.

mod kernel;

use crate::config::model::{
    Authentication, Broadcast, Destination, DynamicInterfaces, Fifo, Global, Instance, Lifetime, Model, Notify,
    OldChecksum, ScriptId, SyncGroup, Track, TrackRef, TrackedFile, TrackedProcess, VirtualAddress,
};
use crate::daemon::Plan;
use crate::notify::FifoKind;
use crate::packet::Family;
use crate::packet::auth::Password;
use crate::track::{self, Reference, References, Unwatched};
use crate::vrrp::settings::{self, AddressFlags, Auth, Peer};
use crate::{notify, router, sync_group, vrrp};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// What the daemon runs.
pub fn plan(model: Arc<Model>) -> Plan {
    let global = &model.global;
    let mut router = router::Settings {
        instances: model.instances.iter().map(|instance| router_instance(&model, instance)).collect(),
        // A script that nobody tracks is not run, and not looked for.
        scripts: used_scripts(&model).into_iter().map(|id| script(&model.scripts[id.0])).collect(),
        groups: model.sync_groups.iter().map(|group| router_group(&model, group)).collect(),
        files: model.files.iter().map(file).collect(),
        processes: model.processes.iter().map(process).collect(),
        log_unknown_vrids: global.log_unknown_vrids,
        states_on_reload: global.fifos.write_states_on_reload,
        channels: channels(global),
        ..router::Settings::default()
    };
    kernel::complete(&model, &mut router);
    Plan {
        router,
        script_security: global.scripts.security,
        dynamic_interfaces: global.dynamic_interfaces != DynamicInterfaces::No,
        model,
    }
}

/// The scripts that an instance or a group tracks, in the order of the file.
fn used_scripts(model: &Model) -> BTreeSet<ScriptId> {
    let instances = model.instances.iter().map(|instance| &instance.track);
    let groups = model.sync_groups.iter().map(|group| &group.track);
    instances.chain(groups).flat_map(|track| track.scripts.iter().map(|tracked| tracked.target)).collect()
}

fn router_instance(model: &Model, instance: &Instance) -> router::Instance {
    router::Instance { vrrp: vrrp_settings(model, instance), notify: notify_settings(instance.notify()) }
}

fn router_group(model: &Model, group: &SyncGroup) -> router::Group {
    let members = group.members.iter().map(|id| model.instances[id.0].name.clone()).collect();
    router::Group {
        sync: sync_group::Settings { name: group.name.clone(), members },
        notify: notify_settings(&group.notify),
        track: references(model, &group.track),
    }
}

fn vrrp_settings(model: &Model, instance: &Instance) -> vrrp::Settings {
    let old_checksum = match &instance.transport.destination {
        Destination::Multicast(_) => OldChecksum::Never,
        Destination::Unicast(unicast) => unicast.old_checksum,
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
            Some(Authentication::Ah(_)) => Auth::Unsupported("auth_type AH"),
            Some(Authentication::Hmac) => Auth::Unsupported("auth_hmac"),
            None => Auth::None,
        },
        transport: transport(instance),
        addresses: instance.addresses.iter().map(address).collect(),
        excluded: instance.excluded_addresses.iter().map(address).collect(),
        routes: instance.routes.clone(),
        rules: instance.rules.clone(),
        vmacs: Vec::new(),
        vmac: None,
        xmit_base: false,
        accept: instance.accept,
        promote_secondaries: instance.promote_secondaries,
        track_source: instance.transport.track_source,
        local_source: local_source(instance),
        preempt: instance.preempt,
        preempt_delay: instance.preempt_delay,
        startup_delay: startup_delay(
            model.global.startup_delay,
            model.global.delay_after_boot,
            Duration::from_micros(crate::clock::monotonic_usec()),
        ),
        down_timer_adverts: instance.down_timer_adverts,
        lower_prio_no_advert: instance.lower_priority_no_advert,
        higher_prio_send_advert: instance.higher_priority_send_advert,
        owner_ignore_adverts: instance.owner_ignore_adverts,
        skip_check_adv_addr: instance.skip_check_advert_addresses,
        v3_checksum_as_v2: instance.transport.checksum_without_pseudo_header,
        old_unicast_checksum: match old_checksum {
            OldChecksum::Auto => settings::OldChecksum::Auto,
            OldChecksum::Always => settings::OldChecksum::Always,
            OldChecksum::Never => settings::OldChecksum::Never,
        },
        timer_expired_backup: instance.timer_expired_backup,
        dont_track_primary: !instance.track.primary,
        garp: garp(instance),
        track: references(model, &instance.track),
        notify_priority_changes: instance.notify().priority_changes,
        notify_deleted: instance.notify().deleted.is_some(),
    }
}

/// Held back for so long from now on: after the start of the daemon, or after the boot of the host.
fn startup_delay(after_start: Duration, after_boot: Duration, since_boot: Duration) -> Duration {
    after_start.max(after_boot.saturating_sub(since_boot))
}

/// Whether a socket could not be bound to the source of adverts unless this host has it.
fn local_source(instance: &Instance) -> bool {
    let unicast = matches!(instance.transport.destination, Destination::Unicast(_));
    let family = match instance.family {
        Family::Inet => "ipv4",
        Family::Inet6 => "ipv6",
    };
    unicast && instance.transport.source.is_some() && {
        let allowed = std::fs::read_to_string(format!("/proc/sys/net/{family}/ip_nonlocal_bind"));
        allowed.is_ok_and(|allowed| allowed.trim() == "0")
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

fn garp(instance: &Instance) -> settings::Garp {
    let own = &instance.garp;
    settings::Garp {
        repeat: own.master_repeat.into(),
        delay: own.master_delay,
        refresh: own.refresh,
        refresh_repeat: own.refresh_repeat.into(),
        lower_prio_repeat: own.lower_priority_repeat.into(),
        lower_prio_delay: own.lower_priority_delay,
        extra: own.extra_interfaces,
        extra_all: own.extra_all,
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

fn references(model: &Model, track: &Track) -> References {
    References {
        interfaces: track.interfaces.iter().map(|tracked| reference(tracked, &tracked.target)).collect(),
        scripts: track.scripts.iter().map(|t| reference(t, &model.scripts[t.target.0].name)).collect(),
        files: track.files.iter().map(|t| reference(t, &model.files[t.target.0].name)).collect(),
        processes: track.processes.iter().map(|t| reference(t, &model.processes[t.target.0].name)).collect(),
        unwatched: unwatched(model, track),
    }
}

fn reference<T>(tracked: &TrackRef<T>, name: &str) -> Reference {
    Reference { name: name.to_owned(), weight: weight(tracked.weight), reverse: tracked.reverse }
}

/// What nobody looks at although the file wants it.
fn unwatched(model: &Model, track: &Track) -> Vec<Unwatched> {
    let bfd = track.bfd.iter().map(|tracked| Unwatched {
        what: format!("bfd {}", model.bfd[tracked.target.0].name),
        why: "BFD sessions are not run".to_owned(),
    });
    let undefined = track.undefined.iter().map(|what| Unwatched {
        what: what.clone(),
        why: "it is not defined, or its definition cannot be used".to_owned(),
    });
    bfd.chain(undefined).collect()
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
        mail: notify.smtp_alert,
    }
}

fn file(file: &TrackedFile) -> track::file::Settings {
    let init = file.init.map(|(value, overwrite)| track::file::Init { value, overwrite });
    track::file::Settings { name: file.name.clone(), path: file.path.clone(), init }
}

fn process(process: &TrackedProcess) -> track::process::Settings {
    track::process::Settings {
        name: process.name.clone(),
        process: process.process.clone(),
        param_match: process.param_match,
        full_command: process.full_command,
        quorum: process.quorum,
        quorum_max: process.quorum_max,
        fork_delay: process.fork_delay,
        terminate_delay: process.terminate_delay,
    }
}

fn channels(global: &Global) -> notify::Channels {
    let fifos = [(FifoKind::All, &global.fifos.all), (FifoKind::Vrrp, &global.fifos.vrrp)];
    let fifos = fifos.into_iter().filter_map(|(kind, fifo)| {
        let Fifo { path, user, script } = fifo.as_ref()?;
        Some(notify::Fifo { kind, path: path.clone(), user: *user, script: script.clone() })
    });
    notify::Channels { fifos: fifos.collect(), mail: mail(global) }
}

/// Without a server or anybody to write to there is no mail.
fn mail(global: &Global) -> Option<Arc<notify::mail::Settings>> {
    let smtp = &global.smtp;
    let (host, port) = smtp.server.clone().filter(|_| !smtp.to.is_empty())?;
    Some(Arc::new(notify::mail::Settings {
        host,
        port,
        helo_name: smtp.helo_name.clone(),
        timeout: smtp.connect_timeout,
        from: smtp.from.clone(),
        to: smtp.to.clone(),
        router_id: global.router_id.clone(),
        faults: !smtp.no_faults,
        security: smtp.security.clone(),
        login: smtp.login.clone(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_later_of_both_delays_counts() {
        let seconds = Duration::from_secs;
        for (start, boot, since_boot, expected) in
            [(0, 0, 9, 0), (5, 0, 9, 5), (5, 60, 10, 50), (5, 60, 58, 5), (0, 60, 90, 0)]
        {
            assert_eq!(startup_delay(seconds(start), seconds(boot), seconds(since_boot)), seconds(expected));
        }
    }
}
