//! vrrpd: a VRRP speaker that reads an unchanged keepalived.conf.

pub mod config;
