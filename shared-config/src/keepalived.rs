//! The language of keepalived.conf (keepalived.conf(5), "CONFIGURATION PARSER").

pub mod ast;
