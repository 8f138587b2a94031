//! proxyd: a load balancer that reads an unchanged haproxy.cfg.

pub mod balance;
pub mod config;
pub mod generation;
pub mod health;
pub mod ids;
pub mod log;
pub mod proxy;
pub mod stats;
