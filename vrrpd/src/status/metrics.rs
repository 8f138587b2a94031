//! The metrics of Prometheus: under the names of the widely used exporter of keepalived, so that its dashboards go on
//! working, and some of our own, which begin with `vrrpd_`.

use super::Process;
use crate::dump::View;
use crate::track::Health;
use crate::track::Share;
use crate::vrrp::counters::Counters;
use crate::vrrp::{Instance, Phase};
use std::fmt::{self, Display, Formatter};

pub(super) struct Metrics<'a> {
    pub(super) process: &'a Process,
    pub(super) view: &'a View<'a>,
}

/// Where a count is.
type Count = fn(&Counters) -> u64;
/// The text of a value, where an instance has one.
type Value<'f> = &'f dyn Fn(&Instance) -> Option<String>;

/// What instances count: name, what it is, where it is.
const COUNTERS: &[(&str, &str, Count)] = &[
    ("keepalived_advertisements_received_total", "Advertisements received", |c| c.adverts_received),
    ("keepalived_advertisements_sent_total", "Advertisements sent", |c| c.adverts_sent),
    ("keepalived_become_master_total", "Became master", |c| c.became_master),
    ("keepalived_release_master_total", "Released master", |c| c.released_master),
    ("keepalived_packet_length_errors_total", "Packet length errors", |c| c.packet_errors),
    ("keepalived_advertisements_interval_errors_total", "Advertisement interval errors", |c| c.interval_errors),
    ("keepalived_ip_ttl_errors_total", "TTL errors", |c| c.ttl_errors),
    ("keepalived_invalid_type_received_total", "Invalid type errors", |c| c.type_errors),
    ("keepalived_address_list_errors_total", "Address list errors", |c| c.address_list_errors),
    ("keepalived_authentication_invalid_total", "Authentication of an invalid type", |c| c.auth_type_errors),
    ("keepalived_authentication_mismatch_total", "Authentication of another type", |c| c.auth_mismatches),
    ("keepalived_authentication_failure_total", "Authentication failures", |c| c.auth_failures),
    ("keepalived_priority_zero_received_total", "Priority zero received", |c| c.priority_zero_received),
    ("keepalived_priority_zero_sent_total", "Priority zero sent", |c| c.priority_zero_sent),
];

impl Display for Metrics<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        head(f, "keepalived_up", "gauge", "The daemon runs")?;
        writeln!(f, "keepalived_up 1")?;
        for (name, help, of) in COUNTERS {
            head(f, name, "counter", help)?;
            for instance in self.view.router.instances() {
                writeln!(f, "{name}{{{}}} {}", labels(instance), of(instance.counters()))?;
            }
        }
        self.states(f)?;
        self.priorities(f)?;
        self.senders(f)?;
        self.trackers(f)?;
        self.process(f)
    }
}

impl Metrics<'_> {
    fn states(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (name, help, excluded) in [
            (
                "keepalived_vrrp_state",
                "State of the instance that has this address: 0 INIT 1 BACKUP 2 MASTER 3 FAULT",
                false,
            ),
            ("keepalived_vrrp_excluded_state", "The same for addresses that are not advertised", true),
        ] {
            head(f, name, "gauge", help)?;
            for instance in self.view.router.instances() {
                let settings = instance.settings();
                let state = number(instance.phase());
                for vip in if excluded { &settings.excluded } else { &settings.addresses } {
                    let address = vip.address;
                    writeln!(f, "{name}{{{},ip_address=\"{address}\"}} {state}", labels(instance))?;
                }
            }
        }
        head(f, "keepalived_gratuitous_arp_delay_total", "gauge", "Delay of the second gratuitous ARP in seconds")?;
        for instance in self.view.router.instances() {
            let delay = instance.settings().garp.delay.as_secs();
            writeln!(f, "keepalived_gratuitous_arp_delay_total{{{}}} {delay}", labels(instance))?;
        }
        Ok(())
    }

    fn priorities(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let gauges: [(&str, &str, Value<'_>); 4] = [
            ("vrrpd_priority", "Priority as configured", &|i| Some(i.settings().priority.to_string())),
            ("vrrpd_effective_priority", "Priority after weights", &|i| Some(i.effective_priority().to_string())),
            ("vrrpd_seconds_in_state", "How long the instance has been in its state", &|i| {
                let age = self.view.now.saturating_duration_since(i.changed_at()?);
                Some(format!("{:.3}", age.as_secs_f64()))
            }),
            ("vrrpd_master_without_peer", "1 for a master that has never heard a peer: perhaps both are", &|i| {
                let alone = i.phase() == Phase::Master && i.history().senders().is_empty();
                Some(u8::from(alone).to_string())
            }),
        ];
        for (name, help, of) in gauges {
            head(f, name, "gauge", help)?;
            for instance in self.view.router.instances() {
                if let Some(value) = of(instance) {
                    writeln!(f, "{name}{{{}}} {value}", labels(instance))?;
                }
            }
        }
        Ok(())
    }

    fn senders(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let name = "vrrpd_seconds_since_advert";
        head(f, name, "gauge", "How long ago the last advert of a sender came")?;
        for instance in self.view.router.instances() {
            for sender in instance.history().senders() {
                let age = self.view.now.saturating_duration_since(sender.at).as_secs_f64();
                writeln!(f, "{name}{{{},sender=\"{}\"}} {age:.3}", labels(instance), sender.address)?;
            }
        }
        Ok(())
    }

    fn trackers(&self, f: &mut Formatter<'_>) -> fmt::Result {
        head(f, "keepalived_script_status", "gauge", "Status of a script: 0 BAD 1 GOOD -1 no result yet")?;
        for script in self.view.router.scripts() {
            let status = match script.health() {
                Health::Unknown => -1,
                Health::Up => 1,
                Health::Down => 0,
            };
            writeln!(f, "keepalived_script_status{{name=\"{}\"}} {status}", Label(&script.settings().name))?;
        }
        head(f, "keepalived_script_state", "gauge", "State of a script: 0 idle 1 running")?;
        for script in self.view.router.scripts() {
            let state = u8::from(script.is_running());
            writeln!(f, "keepalived_script_state{{name=\"{}\"}} {state}", Label(&script.settings().name))?;
        }
        let (effect, trouble) = ("vrrpd_tracker_bonus", "vrrpd_tracker_fault");
        head(f, effect, "gauge", "What a tracker adds to the priority of an instance")?;
        self.watched(f, effect, |share| if let Share::Priority(bonus) = share { bonus } else { 0 })?;
        head(f, trouble, "gauge", "1 for a tracker that keeps an instance in FAULT")?;
        self.watched(f, trouble, |share| i32::from(share == Share::Fault))?;
        let name = "vrrpd_tracker_cannot_run";
        head(f, name, "gauge", "1 for a tracker that cannot find out anything")?;
        for (place, instance) in self.view.router.instances().enumerate() {
            for tracker in self.view.router.watched(place) {
                let value = u8::from(tracker.trouble.is_some());
                let (kind, tracker) = (tracker.kind, tracker.name);
                writeln!(f, "{name}{{{},kind=\"{kind}\",name=\"{}\"}} {value}", labels(instance), Label(&tracker))?;
            }
        }
        Ok(())
    }

    fn watched(&self, f: &mut Formatter<'_>, name: &str, of: fn(Share) -> i32) -> fmt::Result {
        for (place, instance) in self.view.router.instances().enumerate() {
            for tracker in self.view.router.watched(place) {
                let (kind, label, value) = (tracker.kind, Label(&tracker.name), of(tracker.share));
                writeln!(f, "{name}{{{},kind=\"{kind}\",name=\"{label}\"}} {value}", labels(instance))?;
            }
        }
        Ok(())
    }

    fn process(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Process { banner, started, configured, reloads, refused, refusal } = self.process;
        head(f, "vrrpd_build_info", "gauge", "Name and version")?;
        writeln!(f, "vrrpd_build_info{{version=\"{}\"}} 1", Label(banner))?;
        for (name, kind, help, value) in [
            ("vrrpd_start_time_seconds", "gauge", "When the VRRP process started", started.as_secs()),
            ("vrrpd_configured_time_seconds", "gauge", "When the running configuration was read", configured.as_secs()),
            ("vrrpd_reloads_total", "counter", "Reloads carried out", *reloads),
            ("vrrpd_reloads_refused_total", "counter", "Reloads refused", *refused),
            ("vrrpd_last_reload_refused", "gauge", "1 when the last reload was", u64::from(!refusal.is_empty())),
        ] {
            head(f, name, kind, help)?;
            writeln!(f, "{name} {value}")?;
        }
        Ok(())
    }
}

fn head(f: &mut Formatter<'_>, name: &str, kind: &str, help: &str) -> fmt::Result {
    writeln!(f, "# HELP {name} {help}\n# TYPE {name} {kind}")
}

fn labels(instance: &Instance) -> String {
    let settings = instance.settings();
    let interface = settings.interface.as_deref().unwrap_or_default();
    format!("iname=\"{}\",intf=\"{}\",vrid=\"{}\"", Label(&settings.name), Label(interface), settings.vrid)
}

fn number(phase: Phase) -> u8 {
    match phase {
        Phase::Init => 0,
        Phase::Backup => 1,
        Phase::Master => 2,
        Phase::Fault => 3,
    }
}

/// The value of a label, with what must be escaped in one.
struct Label<'a>(&'a str);

impl Display for Label<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '"' | '\\' => write!(f, "\\{character}")?,
                '\n' => f.write_str("\\n")?,
                other => write!(f, "{other}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dump::tests::{example, plan};
    use std::collections::HashSet;
    use std::time::Duration;

    #[test]
    fn every_sample_belongs_to_a_described_metric_and_is_there_once() {
        let (model, router) = plan(include_str!("../../tests/dump/example.conf"));
        let process = Process {
            banner: "vrrpd \"x\"".into(),
            started: Duration::ZERO,
            configured: Duration::ZERO,
            reloads: 1,
            refused: 2,
            refusal: vec!["why".into()],
        };
        let text = Metrics { process: &process, view: &example(&model, &router) }.to_string();
        let (mut described, mut samples) = (HashSet::new(), HashSet::new());
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                assert!(described.insert(rest.split(' ').next().unwrap()), "twice: {line}");
            } else if !line.starts_with('#') {
                let (series, value) = line.rsplit_once(' ').unwrap();
                assert!(value.parse::<f64>().is_ok(), "{line}");
                assert!(described.contains(series.split('{').next().unwrap()), "{line}");
                assert!(samples.insert(series), "twice: {line}");
            }
        }
        for series in [
            "keepalived_vrrp_state{iname=\"VI_1\",intf=\"eth0\",vrid=\"51\",ip_address=\"192.0.2.50\"}",
            "keepalived_vrrp_excluded_state{iname=\"VI_1\",intf=\"eth0\",vrid=\"51\",ip_address=\"2001:db8::50\"}",
            "keepalived_advertisements_sent_total{iname=\"VI_2\",intf=\"eth0\",vrid=\"52\"}",
            "keepalived_script_status{name=\"chk\"}",
            "vrrpd_tracker_bonus{iname=\"VI_1\",intf=\"eth0\",vrid=\"51\",kind=\"script\",name=\"chk\"}",
            "vrrpd_build_info{version=\"vrrpd \\\"x\\\"\"}",
            "vrrpd_last_reload_refused",
        ] {
            assert!(samples.contains(series), "{series}\n{text}");
        }
    }
}
