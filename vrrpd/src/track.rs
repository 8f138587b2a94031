//! Trackers: what they observe is turned into a priority bonus or a fault of the instances that refer to them.
//!
//! - `script`: the `vrrp_script` machine: when to run, when to give up, when a result counts (`interval`, `timeout`,
//!   `rise`, `fall`);
//! - `file`: the number in a `track_file`; `process`: the quorum of a `vrrp_track_process`;
//! - this file: how a weight turns up/down into a number, and how numbers are added up and clamped.

pub mod file;
pub mod process;
pub mod script;

/// What an instance or a group watches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct References {
    /// `track_interface`.
    pub interfaces: Vec<Reference>,
    /// `track_script`.
    pub scripts: Vec<Reference>,
    /// `track_file`.
    pub files: Vec<Reference>,
    /// `track_process`.
    pub processes: Vec<Reference>,
    /// What it was told to watch and cannot.
    pub unwatched: Vec<Unwatched>,
}

/// One line of a `track_*` list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// What is watched.
    pub name: String,
    /// Weight of this reference, or that of what it refers to. Zero: failed means FAULT. Otherwise up to ±254.
    pub weight: i16,
    /// `reverse`.
    pub reverse: bool,
}

/// Something that an instance or a group names and that nothing watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unwatched {
    /// Kind and name, such as `script chk`.
    pub what: String,
    /// Why.
    pub why: String,
}

impl Reference {
    /// A reference of weight 0.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), weight: 0, reverse: false }
    }
}

/// Lowest and highest effective priority that weights can lead to: 0 and 255 mean something else on the wire.
const EFFECTIVE_PRIORITY: std::ops::RangeInclusive<i32> = 1..=254;

/// What a tracked object is known to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Nothing known yet.
    Unknown,
    /// Working.
    Up,
    /// Not working.
    Down,
}

/// The share of one reference in an instance's fate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// Adds to the priority.
    Priority(i32),
    /// Keeps the instance in FAULT.
    Fault,
    /// Keeps the instance waiting, silently, for a first result.
    Wait,
}

/// What `health` means for a reference of this weight.
///
/// Weight 0: down is a fault (up, when reversed). Weight above 0: added while up. Weight below 0: its amount taken
/// away while down. `reverse` exchanges up and down.
pub fn share(weight: i16, reverse: bool, health: Health) -> Share {
    let up = match health {
        Health::Unknown if weight == 0 => return Share::Wait,
        Health::Unknown => return Share::Priority(0),
        Health::Up => !reverse,
        Health::Down => reverse,
    };
    match (weight.signum(), up) {
        (0, false) => Share::Fault,
        (1, true) | (-1, false) => Share::Priority(i32::from(weight)),
        _ => Share::Priority(0),
    }
}

/// The priority after weights. The address owner's never changes.
pub fn effective_priority(base: u8, bonus: i32) -> u8 {
    if base == crate::vrrp::settings::PRIORITY_OWNER {
        return base;
    }
    let sum = i32::from(base).saturating_add(bonus).clamp(*EFFECTIVE_PRIORITY.start(), *EFFECTIVE_PRIORITY.end());
    u8::try_from(sum).unwrap_or(base)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_of_the_manual() {
        for (weight, reverse, health, expected) in [
            (0, false, Health::Up, Share::Priority(0)),
            (0, false, Health::Down, Share::Fault),
            (0, true, Health::Up, Share::Fault),
            (0, false, Health::Unknown, Share::Wait),
            (2, false, Health::Up, Share::Priority(2)),
            (2, false, Health::Down, Share::Priority(0)),
            (2, true, Health::Down, Share::Priority(2)),
            (-30, false, Health::Up, Share::Priority(0)),
            (-30, false, Health::Down, Share::Priority(-30)),
            (-30, true, Health::Up, Share::Priority(-30)),
            (-30, false, Health::Unknown, Share::Priority(0)),
        ] {
            assert_eq!(share(weight, reverse, health), expected, "weight {weight} reverse {reverse} {health:?}");
        }
    }

    #[test]
    fn sums_stay_between_1_and_254_and_the_owner_is_untouched() {
        assert_eq!(effective_priority(100, 253), 254);
        assert_eq!(effective_priority(100, -253), 1);
        assert_eq!(effective_priority(100, 2), 102);
        assert_eq!(effective_priority(255, -50), 255);
        assert_eq!(effective_priority(100, i32::MIN), 1);
    }
}
