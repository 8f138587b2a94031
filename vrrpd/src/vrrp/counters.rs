//! What an instance counts, in the words of keepalived's statistics.

use super::receive::Rejected;

/// What an instance has counted, in the words of keepalived's statistics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Adverts that passed every check.
    pub adverts_received: u64,
    /// Adverts sent, a unicast round counting as one.
    pub adverts_sent: u64,
    /// Times it became master.
    pub became_master: u64,
    /// Times it stopped being master.
    pub released_master: u64,
    /// Too short, too long, or with a wrong checksum.
    pub packet_errors: u64,
    /// Wrong TTL.
    pub ttl_errors: u64,
    /// Not an advertisement, wrong version, or not for this kind of instance.
    pub type_errors: u64,
    /// Interval differs (version 2) or is zero.
    pub interval_errors: u64,
    /// Address list differs.
    pub address_list_errors: u64,
    /// Authentication type that does not exist.
    pub auth_type_errors: u64,
    /// Authentication type other than ours.
    pub auth_mismatches: u64,
    /// Wrong password.
    pub auth_failures: u64,
    /// Adverts of priority 0 received.
    pub priority_zero_received: u64,
    /// Adverts of priority 0 sent.
    pub priority_zero_sent: u64,
}

impl Counters {
    /// Counts an advert that does not count.
    pub fn count(&mut self, rejected: &Rejected) {
        let counter = match rejected {
            Rejected::Tiny { .. } | Rejected::Short { .. } | Rejected::Long { .. } | Rejected::Checksum { .. } => {
                &mut self.packet_errors
            }
            Rejected::Ttl { .. } | Rejected::PeerTtl { .. } => &mut self.ttl_errors,
            Rejected::AuthUnknown { .. } => &mut self.auth_type_errors,
            Rejected::AuthMismatch { .. } => &mut self.auth_mismatches,
            Rejected::Password => &mut self.auth_failures,
            Rejected::Interval { .. } | Rejected::IntervalZero => &mut self.interval_errors,
            Rejected::WrongVersion { .. }
            | Rejected::PacketType { .. }
            | Rejected::NotUnicast
            | Rejected::NotMulticast
            | Rejected::NotAPeer { .. } => &mut self.type_errors,
        };
        *counter += 1;
    }
}
