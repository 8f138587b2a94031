//! What `global_defs` and the command line say about the process itself: its name, its priority, its memory.
//!
//! Nothing here is worth not starting for: what the system refuses is a line of the log that says what is missing.

use super::Options;
use crate::config::model::ProcessSettings;
use crate::log::PROCESS;
use crate::sys::{self, Limit};
use nix::sys::stat::{Mode, umask};
use std::ffi::CString;
use std::io;

/// keepalived's default of `vrrp_rlimit_rttime`, in microseconds: a real-time process that does not wait for so long has
/// run wild.
const REALTIME_LIMIT: u64 = 10_000;
/// The longest name a process can have.
const NAME_MAX: usize = 15;

/// What the parent does before it starts anything.
pub(super) fn parent(options: &Options, settings: &ProcessSettings) {
    // Bits above the nine of permissions were refused with the configuration.
    umask(Mode::from_bits_truncate(options.umask.into()));
    if options.core_dump {
        report("set the size limit of core files", sys::set_limit(Limit::Core, libc::RLIM_INFINITY));
    }
    name(settings.process_name.as_deref());
}

/// What the VRRP process does at its start, and again when a reload changed something.
pub(super) fn vrrp(settings: &ProcessSettings, before: Option<&ProcessSettings>) {
    let changed = |of: fn(&ProcessSettings) -> String| before.is_none_or(|before| of(before) != of(settings));
    if changed(|s| format!("{:?}", s.vrrp_process_name)) {
        name(settings.vrrp_process_name.as_deref());
    }
    if changed(|s| format!("{:?}", s.nice)) && (settings.nice.is_some() || before.is_some()) {
        report("set vrrp_priority", sys::set_nice(settings.nice.unwrap_or(0)));
    }
    if changed(|s| format!("{:?}{:?}", s.realtime_priority, s.realtime_limit)) {
        realtime(settings, before);
    }
    if changed(|s| format!("{}", s.no_swap)) && (settings.no_swap || before.is_some()) {
        report("lock the memory (vrrp_no_swap)", sys::lock_memory(settings.no_swap));
    }
    if changed(|s| format!("{:?}", s.cpu_affinity)) && !settings.cpu_affinity.is_empty() {
        report("set vrrp_cpu_affinity", sys::set_affinity(&settings.cpu_affinity));
    }
}

fn realtime(settings: &ProcessSettings, before: Option<&ProcessSettings>) {
    if settings.realtime_priority.is_some() {
        let limit = settings.realtime_limit.unwrap_or(REALTIME_LIMIT);
        report("set vrrp_rlimit_rttime", sys::set_limit(Limit::RealtimeMicroseconds, limit));
        report("set vrrp_rt_priority", sys::set_realtime(settings.realtime_priority));
    } else if before.is_some_and(|before| before.realtime_priority.is_some()) {
        report("give up vrrp_rt_priority", sys::set_realtime(None));
    }
}

fn name(name: Option<&str>) {
    let Some(name) = name else { return };
    let end = name.floor_char_boundary(NAME_MAX);
    let Ok(name) = CString::new(name.get(..end).unwrap_or_default()) else { return };
    report("set the name of the process", nix::sys::prctl::set_name(&name).map_err(io::Error::from));
}

fn report(what: &str, result: io::Result<()>) {
    if let Err(error) = result {
        tracing::warn!(target: PROCESS, "cannot {what}: {error}");
    }
}
