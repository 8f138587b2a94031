//! The status for programs.

use super::explain::Explanation;
use super::{Process, not_applied};
use crate::dump::View;
use crate::dump::json::Text;
use crate::router::watched::Watched;
use crate::track::Share;
use std::fmt::{self, Display, Formatter};

pub(super) struct Json<'a> {
    pub(super) instances: &'a [Explanation],
    pub(super) process: &'a Process,
    pub(super) view: &'a View<'a>,
}

impl Display for Json<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Process { banner, started, configured, reloads, refused, refusal } = self.process;
        write!(f, "{{\"program\":{},\"started\":{},", Text(banner), started.as_secs())?;
        write!(f, "\"configured\":{},\"reloads\":{reloads},\"reloads_refused\":{refused},", configured.as_secs())?;
        write!(f, "\"last_refusal\":{},", Texts(refusal))?;
        write!(f, "\"not_applied\":{},\"instances\":[", Texts(&not_applied(self.view.model)))?;
        for (place, instance) in self.instances.iter().enumerate() {
            if place > 0 {
                f.write_str(",")?;
            }
            write(f, instance)?;
        }
        f.write_str("],\"groups\":[")?;
        for (place, (group, phase)) in self.view.router.groups().enumerate() {
            let comma = if place > 0 { "," } else { "" };
            let (name, members) = (Text(&group.sync.name), Texts(&group.sync.members));
            write!(f, "{comma}{{\"name\":{name},\"state\":\"{}\",\"members\":{members}}}", phase.word())?;
        }
        f.write_str("]}\n")
    }
}

fn write(f: &mut Formatter<'_>, instance: &Explanation) -> fmt::Result {
    write!(f, "{{\"name\":{},\"state\":\"{}\"", Text(&instance.name), instance.phase.word())?;
    if let Some(since) = instance.since {
        write!(f, ",\"seconds_in_state\":{:.3}", since.as_secs_f64())?;
    }
    write!(f, ",\"where\":{},\"why\":{}", Text(&instance.place), Texts(&instance.reasons))?;
    write!(f, ",\"to_become_master\":{},\"hints\":{}", Texts(&instance.to_become_master), Texts(&instance.hints))?;
    write!(f, ",\"priority\":{}", instance.base_priority)?;
    write!(f, ",\"effective_priority\":{},\"trackers\":[", instance.effective_priority)?;
    for (place, tracker) in instance.watched.iter().enumerate() {
        watched(f, tracker, if place > 0 { "," } else { "" })?;
    }
    f.write_str("],\"heard\":[")?;
    for (place, (sender, age)) in instance.heard.iter().enumerate() {
        let comma = if place > 0 { "," } else { "" };
        write!(f, "{comma}{{\"address\":\"{}\",\"priority\":{},", sender.address, sender.priority)?;
        write!(f, "\"interval\":{},\"adverts\":{},", sender.interval.as_secs_f64(), sender.count)?;
        write!(f, "\"seconds_ago\":{:.3}}}", age.as_secs_f64())?;
    }
    f.write_str("],\"timers\":[")?;
    for (place, (name, left)) in instance.timers.iter().enumerate() {
        let comma = if place > 0 { "," } else { "" };
        write!(f, "{comma}{{\"name\":{},\"seconds_left\":{:.3}}}", Text(name), left.as_secs_f64())?;
    }
    f.write_str("]}")
}

fn watched(f: &mut Formatter<'_>, tracker: &Watched, comma: &str) -> fmt::Result {
    write!(f, "{comma}{{\"kind\":\"{}\",\"name\":{}", tracker.kind, Text(&tracker.name))?;
    write!(f, ",\"weight\":{},\"reverse\":{}", tracker.weight, tracker.reverse)?;
    write!(f, ",\"finding\":{}", Text(&tracker.finding))?;
    match tracker.share {
        Share::Priority(bonus) => write!(f, ",\"effect\":\"priority\",\"bonus\":{bonus}")?,
        Share::Fault => f.write_str(",\"effect\":\"fault\"")?,
        Share::Wait => f.write_str(",\"effect\":\"wait\"")?,
    }
    if let Some(trouble) = &tracker.trouble {
        write!(f, ",\"trouble\":{}", Text(trouble))?;
    }
    f.write_str("}")
}

/// An array of strings.
struct Texts<'a>(&'a [String]);

impl Display for Texts<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (place, text) in self.0.iter().enumerate() {
            write!(f, "{}{}", if place > 0 { "," } else { "" }, Text(text))?;
        }
        f.write_str("]")
    }
}
