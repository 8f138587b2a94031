//! `static_ipaddress`, `static_routes`, `static_rules`: there while the daemon runs, whoever is master.

use super::event::Object;
use super::{Output, Outputs, Router};
use crate::vrrp::Level;
use std::fmt;
use std::net::IpAddr;
use std::time::Instant;

/// A static object and whom its loss concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Static {
    /// What it is.
    pub object: Object,
    /// Names of the instances of its `track_group`.
    pub track: Vec<String>,
}

/// A static object of a running router.
#[derive(Clone, Debug)]
pub(super) struct RunningStatic {
    pub(super) settings: Static,
    /// It could not be put where it belongs, or has not been yet.
    missing: bool,
}

impl RunningStatic {
    pub(super) fn new(settings: Static) -> Self {
        Self { settings, missing: false }
    }
}

impl Router {
    /// Whether a static object that the instance tracks is missing.
    pub(super) fn misses_static(&self, instance: &str) -> bool {
        self.statics.iter().any(|object| object.missing && object.settings.track.iter().any(|name| name == instance))
    }

    pub(super) fn add_statics(&self, out: &mut Outputs) {
        out.extend(self.statics.iter().map(|known| Output::AddStatic(known.settings.object.clone())));
    }

    pub(super) fn remove_statics(&self, out: &mut Outputs) {
        // Rules and routes first: an address takes its routes along, and the rest would be missed.
        out.extend(self.statics.iter().rev().map(|known| Output::RemoveStatic(known.settings.object.clone())));
    }

    /// Missing ones may find their place now that an interface has changed.
    pub(super) fn retry_statics(&self, out: &mut Outputs) {
        let missing = self.statics.iter().filter(|known| known.missing);
        out.extend(missing.map(|known| Output::AddStatic(known.settings.object.clone())));
    }

    pub(super) fn static_state(&mut self, now: Instant, object: &Object, present: bool, out: &mut Outputs) {
        let Some(known) = self.statics.iter_mut().find(|known| known.settings.object == *object) else { return };
        if known.missing == present {
            known.missing = !present;
            self.refresh_all(now, out);
        }
    }

    pub(super) fn restore_static_address(&self, interface: &str, lost: IpAddr, out: &mut Outputs) {
        self.restore(out, |object| {
            matches!(object, Object::Address { device, address } if device == interface && address.address == lost)
        });
    }

    /// Puts back what matches, with keepalived's words about it.
    pub(super) fn restore(&self, out: &mut Outputs, matches: impl Fn(&Object) -> bool) {
        for known in self.statics.iter().filter(|known| matches(&known.settings.object)) {
            let object = &known.settings.object;
            out.push(Output::Log(Level::Info, format!("Restoring deleted static {object}")));
            out.push(Output::AddStatic(object.clone()));
        }
    }

    pub(super) fn reload_statics(&mut self, settings: Vec<Static>, out: &mut Outputs) {
        let old = std::mem::take(&mut self.statics);
        for known in old.iter().rev() {
            if !settings.iter().any(|kept| kept.object == known.settings.object) {
                out.push(Output::RemoveStatic(known.settings.object.clone()));
            }
        }
        for new in settings {
            let known = old.iter().find(|known| known.settings.object == new.object);
            if known.is_none() {
                out.push(Output::AddStatic(new.object.clone()));
            }
            self.statics.push(RunningStatic { settings: new, missing: known.is_some_and(|known| known.missing) });
        }
    }
}

/// Kind and words, as after `Restoring deleted static`.
impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address { device, address } => {
                write!(f, "address {}/{} dev {device}", address.address, address.prefix)?;
                if let Some(label) = &address.label {
                    write!(f, " label {label}")?;
                }
                Ok(())
            }
            Self::Route(route) => write!(f, "route {route}"),
            Self::Rule(rule) => write!(f, "rule {rule}"),
        }
    }
}
