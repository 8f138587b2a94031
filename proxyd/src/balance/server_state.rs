//! What all workers know about a server right now: administrative state, health, weight, served requests.

/// What the administrator wants of a server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AdminState {
    /// In service as its health allows.
    #[default]
    Ready,
    /// No new clients; those that persistence sends there still come.
    Drain,
    /// Out of service, checks stopped.
    Maint,
}
