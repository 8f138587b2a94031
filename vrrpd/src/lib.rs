//! vrrpd: a VRRP speaker that reads an unchanged keepalived.conf.

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
pub mod router;
pub mod run;
pub mod running;
mod start;
pub mod sync_group;
pub mod sys;
pub mod systemd;
pub mod track;
pub mod vrrp;

pub use start::main;
