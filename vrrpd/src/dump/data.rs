//! The text of SIGUSR1.

use super::{View, global, instance, network};
use crate::config::model::{Track, TrackRef};
use crate::track::Health;
use crate::track::script::Script;
use std::fmt::{self, Display, Formatter};

/// The text of SIGUSR1.
#[derive(Debug)]
pub struct Data<'a>(pub &'a View<'a>);

impl Display for Data<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let view = self.0;
        writeln!(f, "------< Global definitions >------")?;
        global::write(f, view.model)?;
        statics(f, view)?;
        if view.router.instances().next().is_some() {
            writeln!(f, "------< VRRP Topology >------")?;
        }
        for machine in view.router.instances() {
            instance::write(f, view, machine)?;
        }
        groups(f, view)?;
        if view.router.scripts().next().is_some() {
            writeln!(f, "------< VRRP Scripts >------")?;
        }
        for known in view.router.scripts() {
            script(f, view, known)?;
        }
        files(f, view)?;
        processes(f, view)?;
        interfaces(f, view)
    }
}

fn files(f: &mut Formatter<'_>, view: &View<'_>) -> fmt::Result {
    for (place, file) in view.router.files().enumerate() {
        if place == 0 {
            writeln!(f, "------< VRRP Track files >------")?;
        }
        let settings = file.settings();
        let model = view.model.files.iter().find(|known| known.name == settings.name);
        writeln!(f, " Track file = {}\n   File = {}", settings.name, settings.path.display())?;
        writeln!(f, "   Status = {}\n   Weight = {}", file.value(), model.map_or(0, |known| known.weight))?;
        if let Some(trouble) = file.trouble() {
            writeln!(f, "   Cannot be read: {trouble}")?;
        }
    }
    Ok(())
}

fn processes(f: &mut Formatter<'_>, view: &View<'_>) -> fmt::Result {
    for (place, process) in view.router.processes().enumerate() {
        if place == 0 {
            writeln!(f, "------< VRRP Track processes >------")?;
        }
        let name = &process.settings().name;
        writeln!(f, " VRRP Track process = {name}")?;
        let Some(model) = view.model.processes.iter().find(|known| known.name == *name) else { continue };
        writeln!(f, "   Process = {}\n   Min processes = {}", model.process.join(" "), model.quorum)?;
        if let Some(most) = model.quorum_max {
            writeln!(f, "   Max processes = {most}")?;
        }
        writeln!(f, "   Current processes = {}", process.count().unwrap_or(0))?;
        writeln!(f, "   Have quorum = {}", process.health() == Health::Up)?;
        writeln!(f, "   Weight = {}", model.weight)?;
        writeln!(f, "   Terminate delay = {:.6}s", model.terminate_delay.as_secs_f64())?;
        writeln!(f, "   Fork delay = {:.6}s", model.fork_delay.as_secs_f64())?;
        writeln!(f, "   Full command = {}", model.full_command)?;
    }
    Ok(())
}

fn statics(f: &mut Formatter<'_>, view: &View<'_>) -> fmt::Result {
    let model = view.model;
    let device = model.global.default_interface.as_deref().unwrap_or("eth0");
    let addresses = model.static_addresses.iter();
    let addresses = addresses.map(|entry| format!("     {}", network::address(&entry.address, device, true)));
    section(f, "Static Addresses", addresses)?;
    let routes = model.static_routes.iter().map(|entry| format!("     {}", network::route(&entry.route)));
    section(f, "Static Routes", routes)?;
    section(f, "Static Rules", model.static_rules.iter().map(|entry| format!("     {}", network::rule(&entry.rule))))
}

fn section(f: &mut Formatter<'_>, title: &str, lines: impl Iterator<Item = String>) -> fmt::Result {
    for (place, line) in lines.enumerate() {
        if place == 0 {
            writeln!(f, "------< {title} >------")?;
        }
        writeln!(f, "{line}")?;
    }
    Ok(())
}

fn groups(f: &mut Formatter<'_>, view: &View<'_>) -> fmt::Result {
    if view.router.groups().next().is_some() {
        writeln!(f, "------< VRRP Sync groups >------")?;
    }
    for (settings, phase) in view.router.groups() {
        writeln!(f, " VRRP Sync Group = {}, {}", settings.sync.name, phase.word())?;
        writeln!(f, "   VRRP member instances :")?;
        for member in &settings.sync.members {
            writeln!(f, "     {member}")?;
        }
        let model = view.model.sync_groups.iter().find(|group| group.name == settings.sync.name);
        let smtp = if model.is_some_and(|group| group.notify.smtp_alert) { "yes" } else { "no" };
        writeln!(f, "   Using smtp notification = {smtp}")?;
        instance::notify(f, &settings.notify)?;
    }
    Ok(())
}

fn script(f: &mut Formatter<'_>, view: &View<'_>, script: &Script) -> fmt::Result {
    let settings = script.settings();
    let (status, init) = match script.health() {
        Health::Unknown => ("INIT", "unknown"),
        Health::Up => ("GOOD", "unknown"),
        Health::Down => ("BAD", if settings.init_fail { "bad" } else { "unknown" }),
    };
    let reverse = |reverse: bool| if reverse { " reverse" } else { "" };
    let model = view.model.scripts.iter().find(|known| known.name == settings.name);
    let timeout = model.map_or(settings.timeout, |known| known.timeout);
    writeln!(f, " VRRP Script = {}", settings.name)?;
    writeln!(f, "   Command = {}", network::command(&settings.command))?;
    writeln!(f, "   Interval = {} sec", settings.interval.as_secs_f64())?;
    writeln!(f, "   Timeout = {} sec", timeout.as_secs_f64())?;
    writeln!(f, "   Weight = {}{}", settings.weight, reverse(settings.reverse))?;
    writeln!(f, "   Rise = {}\n   Fall = {}", settings.rise, settings.fall)?;
    writeln!(f, "   Insecure = no\n   Init state = {init}")?;
    writeln!(f, "   Status = {status}")?;
    writeln!(f, "   Script uid:gid = {}:{}", settings.command.user.uid, settings.command.user.gid)?;
    writeln!(f, "   VRRP instances :\n   Tracking instances :")?;
    let names = view.model.instances.iter().map(|instance| (&instance.name, &instance.track));
    let names = names.chain(view.model.sync_groups.iter().map(|group| (&group.name, &group.track)));
    for (name, track) in names {
        for reference in refers(track, |id| view.model.scripts.get(id).is_some_and(|s| s.name == settings.name)) {
            writeln!(f, "     {name}, weight {}{}", reference.weight, reverse(reference.reverse))?;
        }
    }
    writeln!(f, "   State = {}", if script.is_running() { "running" } else { "idle" })
}

fn refers(
    track: &Track,
    is_it: impl Fn(usize) -> bool,
) -> impl Iterator<Item = &TrackRef<crate::config::model::ScriptId>> {
    track.scripts.iter().filter(move |reference| is_it(reference.target.0))
}

fn interfaces(f: &mut Formatter<'_>, view: &View<'_>) -> fmt::Result {
    writeln!(f, "------< Interfaces >------")?;
    for interface in view.router.interfaces().iter() {
        writeln!(f, " Name = {}\n   index = {}", interface.name, interface.index)?;
        for (family, is_it) in [("IPv4", true), ("IPv6", false)] {
            let mut found = false;
            for address in interface.addresses.iter().filter(|address| address.is_ipv4() == is_it) {
                found = true;
                writeln!(f, "   {family} address = {address}")?;
            }
            if !found {
                writeln!(f, "   {family} address = (none)")?;
            }
        }
        writeln!(f, "   State = {}", if interface.running { "UP, RUNNING" } else { "not running" })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{example, plan};
    use super::*;

    #[test]
    fn the_password_is_hidden_and_the_state_is_where_exporters_look() {
        let (model, router) = plan(include_str!("../../tests/dump/example.conf"));
        let text = Data(&example(&model, &router)).to_string();
        assert!(!text.contains("s3cret"), "{text}");
        for part in [
            "\n VRRP Instance = VI_1\n",
            "\n   State = INIT\n",
            "\n   Wantstate = INIT\n",
            "\n   Interface = eth0\n",
            "\n   Gratuitous ARP delay = 5\n",
            "\n   Virtual Router ID = 51\n",
            "\n   Virtual IP (2):\n     192.0.2.50/24 dev eth0 scope global\n",
            "\n VRRP Script = chk\n",
            "\n   Status = INIT\n",
            "\n   State = idle\n",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }
}
