//! vrrpd: a VRRP speaker that reads an unchanged keepalived.conf.

pub mod clock;
pub mod command;
pub mod config;
pub mod notify;
pub mod packet;
pub mod router;
pub mod sync_group;
pub mod track;
pub mod vrrp;
