//! `tcp-request` and `tcp-response`.

/// What a rule on a connection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TcpAction {
    /// `accept`: no further rule of the set is looked at.
    Accept,
    /// `reject`: the connection is closed.
    Reject,
    /// `close`, of responses: the server's connection is closed.
    Close,
    /// `silent-drop`: the connection is forgotten without telling the client.
    SilentDrop,
}

/// What the data path does with a connection after a set of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TcpVerdict {
    /// It goes on.
    Continue,
    /// It is closed.
    Reject,
    /// The server's connection is closed.
    Close,
    /// It is forgotten without telling the client.
    SilentDrop,
}

impl TcpAction {
    pub(super) fn verdict(self) -> TcpVerdict {
        match self {
            Self::Accept => TcpVerdict::Continue,
            Self::Reject => TcpVerdict::Reject,
            Self::Close => TcpVerdict::Close,
            Self::SilentDrop => TcpVerdict::SilentDrop,
        }
    }
}
