//! Where a server is, as it may change while the process runs: by an administrator, or by an answer of a name server.
//!
//! A [`Location`] outlives a generation with the state of its server. Workers read it when they connect, without a lock.

use super::address::{ServerAddress, ServerPort};
use arc_swap::{ArcSwap, Guard};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its address.
    pub address: ServerAddress,
    /// Its port.
    pub port: ServerPort,
    /// The name it was found by.
    pub host: Option<Arc<str>>,
}

impl Default for Place {
    /// Nowhere.
    fn default() -> Self {
        Self { address: ServerAddress::Unresolved, port: ServerPort::Fixed(0), host: None }
    }
}

impl Place {
    /// At a fixed address.
    pub fn at(address: SocketAddr) -> Self {
        Self { address: ServerAddress::Ip(address.ip()), port: ServerPort::Fixed(address.port()), host: None }
    }

    /// Address and port, where there is an address; the port is 0 where it is the client's.
    pub fn socket(&self) -> Option<SocketAddr> {
        match (&self.address, self.port) {
            (ServerAddress::Ip(ip), ServerPort::Fixed(port)) => Some(SocketAddr::new(*ip, port)),
            (ServerAddress::Ip(ip), ServerPort::Mapped(_)) => Some(SocketAddr::new(*ip, 0)),
            (
                ServerAddress::Destination
                | ServerAddress::Unix(_)
                | ServerAddress::Abstract(_)
                | ServerAddress::Unresolved,
                _,
            ) => None,
        }
    }

    /// The address, where it is one of IP.
    pub fn ip(&self) -> Option<IpAddr> {
        self.socket().map(|socket| socket.ip())
    }
}

/// The place of a server now.
#[derive(Debug, Default)]
pub struct Location {
    place: ArcSwap<Place>,
    moves: AtomicU32,
}

impl Location {
    /// Begins at a place.
    pub fn new(place: Place) -> Self {
        Self { place: ArcSwap::from_pointee(place), moves: AtomicU32::new(0) }
    }

    /// Where it is now.
    pub fn get(&self) -> Guard<Arc<Place>> {
        self.place.load()
    }

    /// How often its address or port changed: a connection made before the last change leads elsewhere.
    pub fn moves(&self) -> u32 {
        self.moves.load(Ordering::Relaxed)
    }

    /// Moves it.
    pub(crate) fn set(&self, place: Place) {
        let before = self.place.swap(Arc::new(place));
        let now = self.place.load();
        if before.address != now.address || before.port != now.port {
            self.moves.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Where a check or an agent is, as far as that is not where its server is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// The address; the server's own without one.
    pub address: Option<IpAddr>,
    /// The port; the server's own without one.
    pub port: Option<u16>,
}

/// Ports to connect from, taken in turn.
#[derive(Debug)]
pub struct Ports {
    low: u16,
    high: u16,
    turn: AtomicU32,
}

impl Ports {
    /// From the one to the other, both included.
    pub fn new(low: u16, high: u16) -> Self {
        Self { low, high: high.max(low), turn: AtomicU32::new(0) }
    }

    /// All of them once, beginning with the one whose turn it is.
    pub fn round(&self) -> impl Iterator<Item = u16> {
        let count = u32::from(self.high - self.low) + 1;
        let first = self.turn.fetch_add(1, Ordering::Relaxed) % count;
        (0..count).filter_map(move |step| self.low.checked_add(u16::try_from((first + step) % count).ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_another_address_or_port_is_a_move() {
        let place = Place::at("127.0.0.1:80".parse().unwrap());
        let location = Location::new(place.clone());
        location.set(Place { host: Some("a.example".into()), ..place.clone() });
        assert_eq!(location.moves(), 0);
        assert_eq!(location.get().host.as_deref(), Some("a.example"));
        location.set(Place { port: ServerPort::Fixed(81), ..place.clone() });
        location.set(Place { address: ServerAddress::Unresolved, ..place });
        assert_eq!(location.moves(), 2);
        assert_eq!(location.get().socket(), None);
    }

    #[test]
    fn ports_take_turns() {
        let ports = Ports::new(65_534, 65_535);
        assert_eq!(ports.round().collect::<Vec<_>>(), [65_534, 65_535]);
        assert_eq!(ports.round().collect::<Vec<_>>(), [65_535, 65_534]);
        assert_eq!(Ports::new(7, 7).round().collect::<Vec<_>>(), [7]);
    }

    #[test]
    fn a_mapped_port_is_the_clients() {
        let place = Place { port: ServerPort::Mapped(7), ..Place::at("[::1]:80".parse().unwrap()) };
        assert_eq!(place.socket(), Some("[::1]:0".parse().unwrap()));
    }
}
