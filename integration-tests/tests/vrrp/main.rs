//! vrrpd on real interfaces, with real packets: two hosts on one switch.
//!
//! `SUBJECT=theirs` runs the tests of [`takeover`] and [`tracking`] on keepalived: both must pass them. Where we differ on
//! purpose (`reload`, `stall`), the test says so and runs ours only. [`interop`] puts one of each on the switch.
//!
//! The bounds are those of the protocol plus what a loaded machine may add; `VRRPv3` at 100 ms keeps the tests short.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod interop;
mod node;
mod reload;
mod stall;
mod takeover;
mod tracking;
