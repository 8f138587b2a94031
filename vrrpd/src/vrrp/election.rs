//! Who wins: pure functions over one advert and what we are.

use super::receive::Advert;
use std::net::IpAddr;

/// What we bring to the comparison.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// Effective priority.
    pub priority: u8,
    /// Address that our adverts leave from.
    pub source: Option<IpAddr>,
}

/// What an advert means to a master.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForMaster {
    /// Its sender gives up (priority 0): say at once that we are here.
    Resigned,
    /// Its sender is better: yield.
    Better,
    /// Its sender is worse: it must learn of us.
    Worse,
    /// As good as we are and sent from our own address: a copied configuration or a loop.
    OurAddress,
}

/// What an advert means to a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForBackup {
    /// Its sender gives up (priority 0): wait only for the skew time.
    Resigned,
    /// Its sender is our master.
    Follow,
    /// Its sender is worse and we may preempt it: it does not hold us back.
    Worse,
}

/// An advert heard by a master. Among equals the higher address wins (RFC 9568 section 6.4.3).
pub fn for_master(mine: Candidate, advert: &Advert) -> ForMaster {
    if advert.priority == 0 {
        return ForMaster::Resigned;
    }
    match advert.priority.cmp(&mine.priority) {
        std::cmp::Ordering::Greater => ForMaster::Better,
        std::cmp::Ordering::Less => ForMaster::Worse,
        std::cmp::Ordering::Equal => match mine.source {
            Some(source) if source == advert.source => ForMaster::OurAddress,
            Some(source) if source > advert.source => ForMaster::Worse,
            Some(_) | None => ForMaster::Better,
        },
    }
}

/// An advert heard by a backup. Among equals nobody preempts.
pub fn for_backup(mine: Candidate, preempt: bool, advert: &Advert) -> ForBackup {
    if advert.priority == 0 {
        ForBackup::Resigned
    } else if advert.priority < mine.priority && preempt {
        ForBackup::Worse
    } else {
        ForBackup::Follow
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn advert(priority: u8, last: u8) -> Advert {
        Advert {
            source: IpAddr::from([10, 0, 0, last]),
            priority,
            interval: Duration::from_secs(1),
            old_checksum: false,
        }
    }

    #[test]
    fn a_master_compares_priority_then_address() {
        let mine = Candidate { priority: 100, source: Some(IpAddr::from([10, 0, 0, 5])) };
        for (priority, last, expected) in [
            (0, 1, ForMaster::Resigned),
            (101, 1, ForMaster::Better),
            (99, 9, ForMaster::Worse),
            (100, 4, ForMaster::Worse),
            (100, 6, ForMaster::Better),
            (100, 5, ForMaster::OurAddress),
        ] {
            assert_eq!(for_master(mine, &advert(priority, last)), expected, "{priority} from .{last}");
        }
    }

    #[test]
    fn a_backup_only_ignores_whom_it_may_preempt() {
        let mine = Candidate { priority: 100, source: Some(IpAddr::from([10, 0, 0, 5])) };
        for (priority, preempt, expected) in [
            (0, true, ForBackup::Resigned),
            (0, false, ForBackup::Resigned),
            (100, true, ForBackup::Follow),
            (101, true, ForBackup::Follow),
            (99, true, ForBackup::Worse),
            (99, false, ForBackup::Follow),
        ] {
            assert_eq!(for_backup(mine, preempt, &advert(priority, 9)), expected, "{priority} preempt {preempt}");
        }
    }
}
