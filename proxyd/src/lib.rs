//! proxyd: a load balancer that reads an unchanged haproxy.cfg.

pub mod args;
pub mod balance;
pub mod check;
pub mod clock;
pub mod command;
pub mod config;
pub mod generation;
pub mod health;
pub mod http;
pub mod ids;
pub mod limits;
pub mod log;
pub mod log_sink;
pub mod net;
pub mod process;
pub mod proxy;
pub mod proxy_protocol;
pub mod rules;
pub mod running;
pub mod sample;
pub mod session;
pub mod stats;
pub mod sys;
pub mod termination;
pub mod worker;
