//! The process from its start to its end: [`serve`](serve::serve) says in which order.

mod control;
mod descriptors;
mod identity;
mod logs;
mod oversight;
pub mod reload;
pub mod serve;
mod sockets;
mod state_file;
mod systemd;
mod voice;
