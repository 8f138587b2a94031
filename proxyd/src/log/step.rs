//! The places in the life of a connection or request where a line is written.

/// Why a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A connection was accepted.
    Accept,
    /// A request was received.
    Request,
    /// A server was connected to.
    Connect,
    /// A response's head came.
    Response,
    /// All is over.
    Close,
    /// A connection failed before it was one.
    Error,
}

impl Step {
    /// What `%OG` shows (configuration.txt of 3.1, 8.2.6).
    pub fn origin(self) -> &'static str {
        match self {
            Self::Accept => "txn_accept",
            Self::Request => "txn_request",
            Self::Connect => "txn_connect",
            Self::Response => "txn_response",
            Self::Close => "txn_close",
            Self::Error => "sess_error",
        }
    }
}
