//! `vrrp_sync_group`: instances that are all master or all not.

/// One `vrrp_sync_group`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Name of the group.
    pub name: String,
    /// Names of its members.
    pub members: Vec<String>,
}
