//! One virtual router as a state machine without I/O.
//!
//! Standards: RFC 3768 (version 2), RFC 5798 and RFC 9568 (version 3), the password of RFC 2338. Where keepalived
//! departs from them, users rely on keepalived, and so does its partner in a half-migrated pair; we do the same:
//!
//! - a master answers a lower-priority advert at once, with an advert and gratuitous ARP (only RFC 9568 asks for that);
//! - adverts leave with the interface's own MAC address, the addresses are accepted (RFC: `Accept_Mode` false);
//! - a backup is told of interval and address list differences in words, not by silence; priority 0 also leaves when an
//!   instance goes into FAULT or is removed by a reload;
//! - a version 3 advert over IPv4 carries a checksum with a pseudo header.
//!
//! Three departures are our own: an advert with interval 0 is dropped (RFC 9568 erratum 8301; keepalived becomes master
//! at once), an address list that differs is reported and accepted (keepalived before 2.3.3 drops it and both become
//! master), and a master that was not scheduled for longer than its peers wait listens before it speaks again.
//!
//! - `settings`: what the configuration says; `event`: the whole vocabulary between this machine and its driver;
//! - `state`: the states and the diagram; `instance`: the machine; `timer`: its deadlines and their arithmetic;
//! - `counters`: its statistics; `history`: whom it heard; `bucket`: how much others can make it say;
//! - `receive`: which adverts count, and the messages about those that do not; `election`: who wins; `transmit`: what
//!   is sent; `garp`: when the neighbours are told.

pub mod bucket;
pub mod counters;
pub mod election;
pub mod event;
pub mod garp;
pub mod history;
pub mod instance;
pub mod receive;
pub mod settings;
pub mod state;
pub mod timer;
pub mod transmit;

pub use event::{Input, Level, Output, Outputs};
pub use instance::Instance;
pub use settings::Settings;
pub use state::Phase;
