//! The lab: hosts in namespaces of their own on one Ethernet segment, with our daemons or the ones they replace.
//!
//! A [`Lab`](lab::Lab) is a switch; a [`Host`](host::Host) is a network, process and mount namespace with a cable to it.
//! A test starts daemons on hosts ([`process`]), talks to them from a host's network ([`client`], [`origin`]) and waits
//! for facts ([`wait`]), never for a time. Everything ends with the lab: the kernel kills what a host ran and removes
//! its devices when the host's first process ends.

pub mod capture;
pub mod client;
pub mod clock;
pub mod host;
pub mod lab;
pub mod name_server;
pub mod netns;
pub mod origin;
pub mod pair;
pub mod process;
pub mod sockets;
pub mod speaker;
pub mod subject;
pub mod wait;
