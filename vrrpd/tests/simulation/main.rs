//! The daemon's router on a virtual clock and a virtual wire.
//!
//! - `network`: the hosts, the wire and the clock;
//! - `election`: scripts with transcripts that an operator can read, in `tests/election`;
//! - `lives`: random lives of small networks, and what must hold in all of them (properties S1 to S9);
//! - `rules`: what must hold in particular situations; `packets`: any bytes; `mistakes`: files that do not fit (S10).
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod election;
mod lives;
mod mistakes;
mod network;
mod packets;
mod rules;
