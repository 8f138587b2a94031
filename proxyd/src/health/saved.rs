//! The states of servers as a file says them (management.txt, `show servers state`), to be read back by the next process.
//!
//! The numbers are haproxy's: files of either program serve the other.

use super::{CheckStatus, Outcome};
use crate::balance::server_state::{AdminState, Running};
use crate::proxy::address::{ServerAddress, ServerPort};
use crate::proxy::{Endpoint, Place};
use crate::resolvers::message::Name;
use std::net::IpAddr;

/// The first line.
pub const VERSION: &str = "1";
/// The second line.
pub const HEADER: &str = "# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight \
                          srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state \
                          srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl \
                          srv_check_port srv_check_addr srv_agent_addr srv_agent_port";

/// `srv_op_state`: down.
pub const STOPPED: u8 = 0;
/// `srv_op_state`: in its slow start.
pub const STARTING: u8 = 1;
/// `srv_op_state`: up.
pub const RUNNING: u8 = 2;
/// `srv_op_state`: up, and wants no new clients.
pub const STOPPING: u8 = 3;
/// A bit of `srv_admin_state`: in maintenance.
pub const MAINT: u8 = 0x01;
/// A bit of `srv_admin_state`: the server that it tracks is in maintenance.
pub const INHERITED_MAINT: u8 = 0x02;
/// A bit of `srv_admin_state`: the server that it tracks drains.
pub const INHERITED_DRAIN: u8 = 0x10;
/// A bit of `srv_admin_state`: because the configuration says so.
pub const CONFIGURED_MAINT: u8 = 0x04;
/// A bit of `srv_admin_state`: draining.
pub const DRAIN: u8 = 0x08;
/// A bit of `srv_admin_state`: in maintenance because it has no address.
pub const UNRESOLVED: u8 = 0x20;
/// A bit of `srv_admin_state`: its name was not the configuration's word, but an administrator's or an SRV record's.
pub const OTHER_NAME: u8 = 0x40;
/// A bit of `srv_check_state`: there is a check.
pub const CONFIGURED: u8 = 0x02;
/// A bit of `srv_check_state`: it is not stopped by an administrator.
pub const ENABLED: u8 = 0x04;
/// A bit of `srv_check_state`: it waits for the end of a maintenance.
pub const PAUSED: u8 = 0x08;
/// A bit of `srv_agent_state`: always there.
pub const AGENT: u8 = 0x10;

/// The statuses in the order of their numbers; `None` for numbers that no check of ours ends with.
const STATUSES: [Option<CheckStatus>; 21] = [
    None,
    Some(CheckStatus::Initializing),
    None,
    Some(CheckStatus::Checked),
    Some(CheckStatus::Analyzed),
    Some(CheckStatus::SocketError),
    Some(CheckStatus::L4Ok),
    Some(CheckStatus::L4Timeout),
    Some(CheckStatus::L4Connection),
    Some(CheckStatus::L6Ok),
    Some(CheckStatus::L6Timeout),
    Some(CheckStatus::L6Response),
    Some(CheckStatus::L7Timeout),
    Some(CheckStatus::L7Response),
    None,
    Some(CheckStatus::L7Ok),
    Some(CheckStatus::L7OkConditionally),
    Some(CheckStatus::L7Status),
    Some(CheckStatus::ProgramError),
    Some(CheckStatus::ProgramTimeout),
    Some(CheckStatus::ProgramOk),
];

/// `srv_check_status`.
pub fn status_number(status: CheckStatus) -> usize {
    STATUSES.iter().position(|known| *known == Some(status)).unwrap_or(0)
}

/// `srv_check_result`.
pub fn result_number(status: CheckStatus) -> u8 {
    match (status, status.outcome()) {
        (CheckStatus::Initializing, _) => 0,
        (_, Outcome::Neutral) => 1,
        (_, Outcome::Failed) => 2,
        (_, Outcome::Passed) => 3,
        (_, Outcome::Conditional) => 4,
    }
}

/// One line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// The backend.
    pub backend: String,
    /// The server.
    pub server: String,
    /// Its weight then.
    pub weight: u32,
    /// The weight that was configured then.
    pub configured_weight: u32,
    /// Since its last change, in seconds.
    pub seconds: u64,
    /// Its address then.
    pub address: Option<IpAddr>,
    /// The name it was found by.
    pub host: Option<String>,
    /// Its port, or what was added to the client's.
    pub port: i32,
    /// The record of the service it served.
    pub srv_record: Option<String>,
    /// Where its check was, as far as that was not where it was itself.
    pub check: Endpoint,
    /// Where its agent was, likewise.
    pub agent: Endpoint,
    operational: u8,
    administrative: u8,
    status: usize,
}

impl Saved {
    /// Where it was in its way up or down: with its state goes the counter that it began that state with.
    pub fn health(&self, rise: u32, fall: u32) -> (Running, u32) {
        match self.operational {
            STARTING => (Running::Up, rise.saturating_sub(1)),
            RUNNING => (Running::Up, (rise + fall).saturating_sub(1)),
            STOPPING => (Running::Stopping, rise),
            _ => (Running::Down, 0),
        }
    }

    /// What the administrator had said of it, where that was not the configuration's word.
    pub fn admin(&self) -> Option<AdminState> {
        if self.administrative & MAINT != 0 && self.administrative & CONFIGURED_MAINT == 0 {
            Some(AdminState::Maint)
        } else if self.administrative & DRAIN != 0 {
            Some(AdminState::Drain)
        } else {
            None
        }
    }

    /// Where the server is that is now at `place`: its port, and for one that goes by a name that the configuration does not know,
    /// an administrator's or an SRV record's, name and address, too. `watched` is the name that name servers are asked about.
    pub fn place(&self, place: &Place, watched: Option<&Name>) -> Place {
        let mut restored = place.clone();
        let port = u16::try_from(self.port).ok().filter(|port| *port > 0);
        let service = watched.filter(|name| name.is_service());
        if let Some(service) = service {
            let same = self.srv_record.as_deref() == Some(service.as_str());
            let host = self.host.as_deref().filter(|_| same).and_then(Name::new);
            if let (Some(host), Some(port), Some(ip)) = (host, port, self.address) {
                restored =
                    Place { address: ServerAddress::Ip(ip), port: ServerPort::Fixed(port), host: Some(host.shared()) };
            }
            return restored;
        }
        if let (ServerPort::Fixed(before), Some(port)) = (place.port, port)
            && before > 0
        {
            restored.port = ServerPort::Fixed(port);
        }
        let renamed = watched.is_some() && self.administrative & OTHER_NAME != 0;
        if let (true, Some(host)) = (renamed, self.host.as_deref().and_then(Name::new)) {
            restored.address = self.address.map_or(ServerAddress::Unresolved, ServerAddress::Ip);
            restored.host = Some(host.shared());
        }
        restored
    }

    /// Whether it served another service.
    pub fn is_of_another_service(&self, watched: Option<&Name>) -> bool {
        let service = watched.filter(|name| name.is_service());
        service.is_some_and(|service| self.srv_record.as_deref().is_some_and(|record| record != service.as_str()))
    }

    /// How its last check had ended, if there was one.
    pub fn status(&self) -> Option<CheckStatus> {
        STATUSES.get(self.status).copied().flatten()
    }
}

/// Reads a file; `None` where it is none of this version. Lines that make no sense are left out.
pub fn read(text: &str) -> Option<Vec<Saved>> {
    let mut lines = text.lines();
    if lines.next()?.trim() != VERSION {
        return None;
    }
    Some(lines.filter(|line| !line.starts_with('#')).filter_map(read_line).collect())
}

fn read_line(line: &str) -> Option<Saved> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let number = |index: usize| words.get(index)?.parse::<u64>().ok();
    let text = |index: usize| words.get(index).filter(|word| **word != "-").map(ToString::to_string);
    let ip = |index: usize| words.get(index).and_then(|word| word.parse().ok());
    let port = |index: usize| u16::try_from(number(index)?).ok().filter(|port| *port > 0);
    let small = |index: usize| u8::try_from(number(index)?).ok();
    let weight = |index: usize| u32::try_from(number(index)?).ok().filter(|&weight| weight <= 256);
    Some(Saved {
        backend: (*words.get(1)?).to_owned(),
        server: (*words.get(3)?).to_owned(),
        operational: small(5).filter(|&state| state <= STOPPING)?,
        administrative: small(6)?,
        weight: weight(7)?,
        configured_weight: weight(8)?,
        seconds: number(9)?,
        status: usize::try_from(number(10)?).ok()?,
        address: ip(4),
        host: text(17),
        port: words.get(18).and_then(|word| word.parse().ok()).unwrap_or(0),
        srv_record: text(19),
        check: Endpoint { address: ip(22), port: port(21) },
        agent: Endpoint { address: ip(23), port: port(24) },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_haproxys_is_read() {
        let text = format!(
            "1\n{HEADER}\n2 be 5 s5 127.0.0.7 3 8 5 10 100 16 4 4 6 0 0 0 - 28103 - 0 0 - - 0\n\nnonsense\n2 be 1 s1 127.0.0.1 0 5 \
             10 10 7 8 2 0 6 0 0 0 - 28101 - 0 0 - - 0\n2 be 1 s1 127.0.0.1 9 0 10 10 7 8 2 0 6 0 0 0 - 28101 - 0 0 - - 0\n"
        );
        let saved = read(&text).unwrap();
        assert_eq!(saved.len(), 2, "{saved:?}");
        assert_eq!((&*saved[0].backend, &*saved[0].server), ("be", "s5"));
        assert_eq!((saved[0].weight, saved[0].configured_weight, saved[0].seconds), (5, 10, 100));
        assert_eq!(saved[0].health(2, 3), (Running::Stopping, 2));
        assert_eq!(
            (saved[0].admin(), saved[0].status()),
            (Some(AdminState::Drain), Some(CheckStatus::L7OkConditionally))
        );
        assert_eq!(saved[1].health(2, 3), (Running::Down, 0));
        assert_eq!((saved[1].admin(), saved[1].status()), (None, Some(CheckStatus::L4Connection)));
        assert_eq!(read("2\n"), None);
        assert_eq!(read(""), None);
    }

    #[test]
    fn numbers_are_haproxys() {
        for (status, number) in [
            (CheckStatus::Initializing, 1),
            (CheckStatus::SocketError, 5),
            (CheckStatus::L4Ok, 6),
            (CheckStatus::L6Response, 11),
            (CheckStatus::L7Timeout, 12),
            (CheckStatus::L7Response, 13),
            (CheckStatus::L7Ok, 15),
            (CheckStatus::L7Status, 17),
            (CheckStatus::ProgramError, 18),
            (CheckStatus::ProgramOk, 20),
        ] {
            assert_eq!(status_number(status), number);
        }
    }
}
