//! User and group names of the system, by whatever the C library looks in.

use nix::unistd::{Group, User};

/// The number of a user.
pub(super) fn uid(name: &str) -> Option<u32> {
    User::from_name(name).ok()?.map(|user| user.uid.as_raw())
}

/// The number of a group.
pub(super) fn gid(name: &str) -> Option<u32> {
    Group::from_name(name).ok()?.map(|group| group.gid.as_raw())
}
