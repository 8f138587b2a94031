//! Frontends, backends and servers as the running process knows them.

pub mod address;
pub mod listen;
pub mod settings;
