//! `vrrp_sync_group`: instances that are all master or all not.
//!
//! A reducer without memory: given which member changed and what the others are, it says what the others have to do.

use crate::vrrp::Phase;
use crate::vrrp::event::Sync;

/// One `vrrp_sync_group`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Name of the group.
    pub name: String,
    /// Names of its members.
    pub members: Vec<String>,
}

/// A member as the group sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its state.
    pub phase: Phase,
    /// In fault for a reason of its own.
    pub faulty: bool,
}

/// What the group as a whole is.
pub fn phase(members: &[Member]) -> Phase {
    let all = |phase| members.iter().all(|member| member.phase == phase);
    if members.iter().any(|member| member.phase == Phase::Fault) {
        Phase::Fault
    } else if all(Phase::Master) {
        Phase::Master
    } else if all(Phase::Init) {
        Phase::Init
    } else {
        Phase::Backup
    }
}

/// What member `index` has to do after member `changed` entered its present state; `None` when it is in line already.
pub fn follow(members: &[Member], changed: usize, index: usize) -> Option<Sync> {
    if changed == index {
        return None;
    }
    let (leader, member) = (members.get(changed)?, members.get(index)?);
    match (leader.phase, member.phase) {
        (Phase::Fault, Phase::Master | Phase::Backup | Phase::Init) => Some(Sync::Fault),
        (Phase::Backup | Phase::Init, Phase::Master) => Some(Sync::Backup),
        (Phase::Master, Phase::Backup) => Some(Sync::Master),
        (Phase::Backup | Phase::Init, Phase::Backup | Phase::Init | Phase::Fault)
        | (Phase::Master, Phase::Master | Phase::Init | Phase::Fault)
        | (Phase::Fault, Phase::Fault) => None,
    }
}

/// Whether member `index` is kept in fault by the others.
pub fn faulted_by_others(members: &[Member], index: usize) -> bool {
    members.iter().enumerate().any(|(other, member)| other != index && member.faulty)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(phase: Phase) -> Member {
        Member { phase, faulty: phase == Phase::Fault }
    }

    #[test]
    fn the_others_follow() {
        use Phase::{Backup, Fault, Master};
        for (leader, other, expected) in [
            (Master, Backup, Some(Sync::Master)),
            (Master, Fault, None),
            (Backup, Master, Some(Sync::Backup)),
            (Backup, Backup, None),
            (Fault, Master, Some(Sync::Fault)),
            (Fault, Backup, Some(Sync::Fault)),
            (Fault, Fault, None),
        ] {
            assert_eq!(follow(&[member(leader), member(other)], 0, 1), expected, "{leader:?} {other:?}");
        }
    }

    #[test]
    fn a_group_is_what_all_its_members_are() {
        use Phase::{Backup, Fault, Init, Master};
        for (phases, expected) in [
            ([Master, Master], Master),
            ([Master, Backup], Backup),
            ([Fault, Backup], Fault),
            ([Init, Init], Init),
            ([Init, Backup], Backup),
        ] {
            assert_eq!(phase(&phases.map(member)), expected);
        }
        assert!(faulted_by_others(&[member(Fault), member(Backup)], 1));
        assert!(!faulted_by_others(&[member(Fault), member(Backup)], 0));
    }
}
