//! What logs need of the system, opened where the starter's user and file system are.

use crate::generation::Generation;
use crate::log_forward::{self, Section};
use crate::log_sink::backing::Backing;

/// What was opened for a configuration and is not open yet for the one that runs.
#[derive(Debug, Default)]
pub(super) struct Logs {
    /// The files of rings.
    pub(super) backing: Backing,
    /// The `log-forward` sections.
    pub(super) forwards: Vec<Section>,
}

impl Logs {
    /// Opens it; the error says what could not be opened.
    pub(super) fn open(generation: &Generation, running: Option<&Generation>) -> Result<Self, String> {
        let rings = running.map_or(&[][..], |running| &running.rings);
        let forwarders = running.map_or(&[][..], |running| &running.forwarders);
        let forwards = log_forward::open(&generation.forwarders, forwarders)?;
        Ok(Self { backing: Backing::open(&generation.rings, rings)?, forwards })
    }
}
