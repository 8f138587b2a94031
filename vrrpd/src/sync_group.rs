//! `vrrp_sync_group`: instances that are all master or all not.
//!
//! A group prefers to be backup: it becomes master only when no member hears a master that it has to follow. So two
//! nodes whose members have contrary priorities come to rest, and a link that only some members have lost moves
//! nothing. [`next`] says which member has to be told what, one after the other, until all are in line.

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
    /// Told that another member is in fault.
    pub held: bool,
    /// Backup, and its master-down interval is over.
    pub ready: bool,
    /// Backup, and hears a master.
    pub following: bool,
}

/// The member that set the group in motion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leader {
    /// Its place.
    pub place: usize,
    /// It was master until now and is not any more.
    pub gave_up: bool,
}

/// What the group as a whole is, when its members are in line.
pub fn phase(members: &[Member]) -> Phase {
    let any = |phase| members.iter().any(|member| member.phase == phase);
    if any(Phase::Fault) {
        Phase::Fault
    } else if any(Phase::Master) {
        Phase::Master
    } else if any(Phase::Backup) {
        Phase::Backup
    } else {
        Phase::Init
    }
}

/// The next member that is not in line, and what it has to do. The leader comes before the others.
pub fn next(members: &[Member], leader: Leader) -> Option<(usize, Sync)> {
    let faults = |place: usize| members.iter().enumerate().any(|(other, member)| other != place && member.faulty);
    let told = members.iter().enumerate().find(|(place, member)| member.held != faults(*place));
    if let Some((place, member)) = told {
        return Some((place, if member.held { Sync::Clear } else { Sync::Fault }));
    }
    if members.iter().any(|member| member.phase == Phase::Fault) {
        return None;
    }
    if leader.gave_up || members.iter().any(|member| member.following) {
        let master = members.iter().position(|member| member.phase == Phase::Master)?;
        return Some((master, Sync::Backup));
    }
    if members.iter().any(|member| member.phase != Phase::Master && !member.ready) {
        return None;
    }
    let ready = |place: &usize| members.get(*place).is_some_and(|member| member.ready);
    let place = Some(leader.place).filter(ready).or_else(|| (0..members.len()).find(ready))?;
    Some((place, Sync::Master))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Phase::{Backup, Fault, Init, Master};

    const LEADER: Leader = Leader { place: 0, gave_up: false };
    const LOSER: Leader = Leader { place: 0, gave_up: true };

    /// The words: init, waiting, following, ready, master, fault (its own), held.
    fn member(word: &str) -> Member {
        let phase = match word {
            "init" => Init,
            "waiting" | "following" | "ready" => Backup,
            "master" => Master,
            _ => Fault,
        };
        let is = |other| word == other;
        Member { phase, faulty: is("fault"), held: is("held"), ready: is("ready"), following: is("following") }
    }

    fn members(words: &str) -> Vec<Member> {
        words.split_whitespace().map(member).collect()
    }

    #[test]
    fn each_case_has_one_next_step() {
        for (words, leader, expected) in [
            // all have to be ready
            ("ready waiting", LEADER, None),
            ("ready following", LEADER, None),
            ("ready init", LEADER, None),
            ("ready ready", LEADER, Some((0, Sync::Master))),
            ("ready ready", Leader { place: 1, gave_up: false }, Some((1, Sync::Master))),
            ("master ready", LEADER, Some((1, Sync::Master))),
            ("master master", LEADER, None),
            // one gives up, all do
            ("waiting master master", LOSER, Some((1, Sync::Backup))),
            ("following master", LOSER, Some((1, Sync::Backup))),
            ("following waiting", LOSER, None),
            // a member that a reload added does not pull the others down, unless somebody else has its addresses
            ("waiting master", LEADER, None),
            ("following master", LEADER, Some((1, Sync::Backup))),
            // fault holds all, and is over for all
            ("fault master", LOSER, Some((1, Sync::Fault))),
            ("fault waiting", LEADER, Some((1, Sync::Fault))),
            ("fault held", LEADER, None),
            ("waiting held", LEADER, Some((1, Sync::Clear))),
            ("fault fault", LEADER, Some((0, Sync::Fault))),
        ] {
            assert_eq!(next(&members(words), leader), expected, "{words} {leader:?}");
        }
    }

    #[test]
    fn a_group_is_what_its_members_are() {
        for (words, expected) in [
            ("master master", Master),
            ("waiting ready", Backup),
            ("fault held", Fault),
            ("init init", Init),
            ("init waiting", Backup),
            ("master waiting", Master),
        ] {
            assert_eq!(phase(&members(words)), expected, "{words}");
        }
    }
}
