//! Traffic logs: what happened, the formats it is told in, and the frame of a syslog line.

pub mod target;
