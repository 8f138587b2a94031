//! One virtual router as a state machine (RFC 3768, RFC 5798, RFC 9568 and keepalived's departures from them).

pub mod settings;

pub use settings::Settings;
