//! proxyd: a load balancer that reads an unchanged haproxy.cfg.
//!
//! # The life of a request
//!
//! [`net::accept`] takes a connection while the frontend and the process have room, and [`session`] serves it on the worker
//! that took it. [`session::stream::run`] tells what happens to one request, top to bottom: it is received
//! ([`http::h1`]), the frontend's rules judge it ([`rules`] over [`sample`]s), a backend is chosen, the backend's rules
//! judge it; then a server is found by cookie or by [`balance`], a place on it is taken or waited for, a connection is
//! made or reused, the request is forwarded, the response received, judged and relayed. What goes wrong on the way is a
//! [`termination::End`], which knows its two letters, its status and whether another attempt is allowed.
//! [`session::finish`] is reached exactly once: it counts ([`stats`]) and writes the line ([`log`], [`log_sink`]).
//!
//! The configuration in force is one value, the [`generation`]; [`running`] builds it from the model of [`config`].
//! Health checks ([`check`], decided by [`health`]) and signals ([`process`]) run beside the workers.

pub mod args;
pub mod balance;
pub mod check;
pub mod cli;
pub mod clock;
pub mod command;
pub mod config;
pub mod generation;
pub mod health;
pub mod http;
pub mod ids;
pub mod limits;
pub mod log;
pub mod log_forward;
pub mod log_sink;
pub mod name_service;
pub mod net;
pub mod process;
pub mod proxy;
pub mod proxy_protocol;
pub mod resolvers;
pub mod rules;
pub mod running;
pub mod sample;
pub mod session;
pub mod stats;
pub mod stick;
pub mod sys;
pub mod termination;
pub mod worker;
