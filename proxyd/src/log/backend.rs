//! Log backends (`mode log`): which of several servers gets a line (configuration.txt of 3.4, `mode` and `balance`).

use super::ring::Ring;
use super::target::LogAddress;
use crate::balance::farm::Farm;
use crate::balance::hash::HashType;
use crate::generation::live;
use crate::proxy::address::{ServerAddress, ServerPort};
use crate::sample::Converter;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Where syslog servers listen.
pub const SYSLOG_PORT: u16 = 514;

/// `balance` of a log backend. Weights do not count.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum LogBalance {
    /// `roundrobin`: they take turns.
    #[default]
    RoundRobin,
    /// `random`
    Random,
    /// `sticky`: one for as long as it is there; who comes back is the last in the row.
    Sticky,
    /// `log-hash`: by a part of the message.
    Hash {
        /// `hash-type`
        hash_type: HashType,
        /// What makes the key of the message.
        converters: Box<[Converter]>,
    },
}

/// A log backend at work.
#[derive(Debug)]
pub struct LogBackend {
    farm: Arc<Farm>,
    /// Of each server, the ring that ships to it. `None`: it gets datagrams.
    rings: Vec<Option<Arc<Ring>>>,
    balance: LogBalance,
    /// Whose turn it is.
    turn: AtomicUsize,
    /// `sticky`: the servers that are there, the one that gets the lines first.
    row: Mutex<Vec<usize>>,
}

/// How a line gets to a server.
#[derive(Clone, Debug)]
pub enum Way {
    /// Over the connection that empties this ring.
    Ring(Arc<Ring>),
    /// In a datagram.
    Datagram(LogAddress),
}

impl LogBackend {
    /// These servers, each with its ring where it has one.
    pub fn new(farm: Arc<Farm>, rings: Vec<Option<Arc<Ring>>>, balance: LogBalance) -> Self {
        Self { farm, rings, balance, turn: AtomicUsize::new(0), row: Mutex::default() }
    }

    /// The servers.
    pub fn farm(&self) -> &Arc<Farm> {
        &self.farm
    }

    /// Where a message goes now. `None`: no server is there.
    pub fn way(&self, message: &[u8], now: Duration) -> Option<Way> {
        let index = self.choose(message, now)?;
        if let Some(ring) = self.rings.get(index).and_then(Option::as_ref) {
            return Some(Way::Ring(Arc::clone(ring)));
        }
        let place = self.farm.servers().get(index)?.location().get();
        let port = match place.port {
            ServerPort::Fixed(port) => port,
            ServerPort::Mapped(_) => SYSLOG_PORT,
        };
        Some(Way::Datagram(match &place.address {
            ServerAddress::Ip(ip) => LogAddress::Udp(SocketAddr::new(*ip, port)),
            ServerAddress::Unix(path) => LogAddress::Unix(path.clone()),
            ServerAddress::Abstract(name) => LogAddress::Abstract(name.clone()),
            ServerAddress::Destination | ServerAddress::Unresolved => return None,
        }))
    }

    /// The servers that are there, by their numbers. Backups are when their turn has come.
    fn there(&self) -> impl Iterator<Item = usize> {
        self.farm.servers().iter().enumerate().filter(|(_, server)| server.eligible()).map(|(index, _)| index)
    }

    fn choose(&self, message: &[u8], now: Duration) -> Option<usize> {
        let count = self.there().count();
        if count == 0 {
            return None;
        }
        let number = match &self.balance {
            LogBalance::Sticky => return self.first_in_the_row(),
            LogBalance::RoundRobin => self.turn.fetch_add(1, Ordering::Relaxed),
            LogBalance::Random => live::random() as usize,
            LogBalance::Hash { hash_type, converters } => {
                let key = live::converted(converters, message, now);
                // A message that has no key goes to the first one.
                key.map_or(0, |key| hash_type.hash(&key) as usize)
            }
        };
        self.there().nth(number % count)
    }

    fn first_in_the_row(&self) -> Option<usize> {
        // Nothing in here panics between two changes that belong together.
        let mut row = self.row.lock().unwrap_or_else(PoisonError::into_inner);
        row.retain(|&index| self.farm.servers().get(index).is_some_and(|server| server.eligible()));
        for index in self.there() {
            if !row.contains(&index) {
                row.push(index);
            }
        }
        row.first().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::farm::FarmSettings;
    use crate::balance::server_state::{AdminState, ServerSettings, ServerState};
    use crate::proxy::Place;

    fn backend(balance: LogBalance) -> LogBackend {
        let server = |port: u16| {
            let place = Place::at(([127, 0, 0, 1], port).into());
            Arc::new(ServerState::new(ServerSettings { place, name: port.to_string(), ..ServerSettings::default() }))
        };
        let farm = Farm::new(FarmSettings::default(), [1, 2, 3].map(server).to_vec());
        LogBackend::new(farm, vec![None, None, None], balance)
    }

    fn ports(backend: &LogBackend, messages: [&str; 4]) -> Vec<u16> {
        let port = |message: &str| match backend.way(message.as_bytes(), Duration::ZERO) {
            Some(Way::Datagram(LogAddress::Udp(address))) => address.port(),
            other => panic!("{other:?}"),
        };
        messages.into_iter().map(port).collect()
    }

    #[test]
    fn servers_take_turns() {
        let backend = backend(LogBalance::RoundRobin);
        assert_eq!(ports(&backend, [""; 4]), [1, 2, 3, 1]);
        backend.farm.set_admin(0, AdminState::Maint);
        assert_eq!(ports(&backend, [""; 4]), [2, 3, 2, 3]);
    }

    #[test]
    fn who_comes_back_is_the_last_in_the_row() {
        let backend = backend(LogBalance::Sticky);
        assert_eq!(ports(&backend, [""; 4]), [1; 4]);
        backend.farm.set_admin(0, AdminState::Maint);
        assert_eq!(ports(&backend, [""; 4]), [2; 4]);
        backend.farm.set_admin(0, AdminState::Ready);
        assert_eq!(ports(&backend, [""; 4]), [2; 4]);
        backend.farm.set_admin(1, AdminState::Maint);
        assert_eq!(ports(&backend, [""; 4]), [3; 4]);
    }

    #[test]
    fn the_same_key_leads_to_the_same_server() {
        let balance = LogBalance::Hash { hash_type: HashType::default(), converters: Box::default() };
        let backend = backend(balance);
        let first = ports(&backend, ["a", "b", "c", "d"]);
        assert_eq!(first, ports(&backend, ["a", "b", "c", "d"]));
        // sdbm of one byte is the byte.
        assert_eq!(first, [98, 99, 100, 101].map(|byte: u16| (byte - 1) % 3 + 1));
        for index in 0..3 {
            backend.farm.set_admin(index, AdminState::Maint);
        }
        assert!(backend.way(b"a", Duration::ZERO).is_none());
    }
}
