//! The router: every instance, group and tracker of this host, as one machine without I/O.

use crate::{notify, sync_group, track, vrrp};

/// Everything the machine is told by the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// `vrrp_instance` blocks in the order of the file.
    pub instances: Vec<Instance>,
    /// `vrrp_script` blocks.
    pub scripts: Vec<track::script::Settings>,
    /// `vrrp_sync_group` blocks.
    pub groups: Vec<Group>,
    /// `log_unknown_vrids`.
    pub log_unknown_vrids: bool,
}

/// An instance and whom it tells about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// The protocol part.
    pub vrrp: vrrp::Settings,
    /// Its notify scripts.
    pub notify: notify::Settings,
}

/// A group and whom it tells about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its members.
    pub sync: sync_group::Settings,
    /// Its notify scripts.
    pub notify: notify::Settings,
    /// Interfaces the whole group follows.
    pub track_interfaces: Vec<vrrp::settings::TrackInterface>,
    /// Scripts the whole group follows.
    pub track_scripts: Vec<vrrp::settings::TrackScript>,
}
