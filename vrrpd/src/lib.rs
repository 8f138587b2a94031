//! vrrpd: a VRRP speaker that reads an unchanged keepalived.conf.
//!
//! # The life of an advert
//!
//! The master's Adver timer runs out. [`run::Daemon`] tells the [`router::Router`] that time has passed, the router tells
//! the [`vrrp::Instance`] whose deadline it was, and that pushes [`vrrp::Output::Advertise`]: a message built by
//! [`packet::vrrp2`] or [`packet::vrrp3`]. Nothing has been sent yet. [`io::Io::perform`] is the one place that sends: a raw
//! socket takes the message with an IP header of ours.
//!
//! On the other host the kernel hands the packet to the socket of that interface, [`io::vrrp_socket`] takes
//! the IP header off ([`packet::ip`]), and [`run`] gives the rest to its router as [`router::Input::Packet`]. The
//! router finds the instance by interface, virtual router id and family. [`vrrp::receive`] judges the message: TTL,
//! version, authentication, interval, length, checksum, in keepalived's order and with its words. What passes is compared by
//! [`vrrp::election`]; for a backup that means its master is alive, and the `Master_Down` timer starts anew.
//!
//! When no advert comes, that timer runs out in the same way. The instance becomes master: it pushes an advert, the
//! addresses to be added, the gratuitous ARP and the notification, in this order, and `perform` does them in this order.
//! A packet, a timer, a failed check, a link that goes down, a reload: each is a fact that goes in at [`router::Router::handle`],
//! and each consequence comes out of it as an instruction. So the same router runs in the daemon and, on a virtual clock,
//! in the simulation of `tests/`.
//!
//! # Rooms
//!
//! | layer | modules |
//! |---|---|
//! | process | `args`, [`daemon`], [`run`], [`log`], [`systemd`], [`dump`], [`status`] |
//! | drive | [`io`], with everything unsafe in [`sys`] |
//! | decide | [`router`], [`vrrp`], [`sync_group`], [`track`], [`notify`], [`command`], [`packet`], [`route`]: std only, time is an argument |
//! | model | [`config`], which turns the text into the settings of the deciding modules |
//!
//! [`clock`] is the only reader of the time, [`limits`] names what may grow how far.

pub mod args;
pub mod clock;
pub mod command;
pub mod config;
pub mod daemon;
pub mod dump;
pub mod io;
pub mod limits;
pub mod log;
pub mod notify;
pub mod packet;
pub mod route;
pub mod router;
pub mod run;
pub mod running;
mod start;
pub mod status;
pub mod sync_group;
pub mod sys;
pub mod systemd;
pub mod track;
pub mod vrrp;

pub use start::main;
