//! The load balancer as its users meet it: a configuration file, bytes in, bytes out, log lines. The same cases run against
//! haproxy with `SUBJECT=theirs`; where the two are meant to differ, the case says why.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod abstract_names;
mod advisories;
mod authority;
mod balance;
mod bandwidth;
mod body;
mod browser;
mod check_connects;
mod check_formats;
mod checks;
mod content;
mod cookies;
mod differ;
mod early;
mod exporter;
mod features;
mod forwarded;
mod global;
mod halog;
mod health;
mod http;
mod keep_alive;
mod last_server;
mod limits;
mod log_backends;
mod log_forward;
mod log_profiles;
mod log_targets;
mod logs;
mod name_servers;
mod names;
mod namespaces;
mod patterns;
mod preface;
mod programs;
mod published;
mod reload;
mod resolve;
mod retries;
mod rig;
mod rings;
mod rules;
mod runtime;
mod samples;
mod server_content;
mod servers;
mod sessions;
mod sockets;
mod socks4;
mod states;
mod stick;
mod switch;
mod tcp;
