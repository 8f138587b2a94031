//! vrrpd on real interfaces, with real packets: two hosts on one switch, played by vrrpd, keepalived and FRR in turn.
//!
//! A [`scenario`] is data. Every cast must give the [`transcript`] that keepalived gives in the same part; where ours
//! differs on purpose, [`divergence`] or the scenario itself says why. `VRRPv3` at 100 ms keeps the scenarios short.

mod checks;
mod conf;
mod craft;
mod divergence;
mod election;
mod forged;
mod interfaces;
mod kernel_state;
mod mail;
mod mistakes;
mod namespace;
mod operator_dump;
mod operator_process;
mod programs;
mod reload;
mod scenario;
mod transcript;
mod wire;
