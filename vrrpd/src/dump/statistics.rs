//! The text of SIGUSR2.

use crate::router::Router;
use std::fmt::{self, Display, Formatter};

/// The text of SIGUSR2.
#[derive(Debug)]
pub struct Statistics<'a>(pub &'a Router);

impl Display for Statistics<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for instance in self.0.instances() {
            let counters = instance.counters();
            writeln!(f, "VRRP Instance: {}", instance.settings().name)?;
            writeln!(f, "  Advertisements:\n    Received: {}", counters.adverts_received)?;
            writeln!(f, "    Sent: {}", counters.adverts_sent)?;
            writeln!(f, "  Became master: {}", counters.became_master)?;
            writeln!(f, "  Released master: {}", counters.released_master)?;
            writeln!(f, "  Packet Errors:\n    Length: {}", counters.packet_errors)?;
            writeln!(f, "    TTL: {}", counters.ttl_errors)?;
            writeln!(f, "    Invalid Type: {}", counters.type_errors)?;
            writeln!(f, "    Advertisement Interval: {}", counters.interval_errors)?;
            writeln!(f, "    Address List: {}", counters.address_list_errors)?;
            writeln!(f, "  Authentication Errors:\n    Invalid Type: {}", counters.auth_type_errors)?;
            writeln!(f, "    Type Mismatch: {}", counters.auth_mismatches)?;
            writeln!(f, "    Failure: {}", counters.auth_failures)?;
            writeln!(f, "  Priority Zero:\n    Received: {}", counters.priority_zero_received)?;
            writeln!(f, "    Sent: {}", counters.priority_zero_sent)?;
        }
        Ok(())
    }
}
