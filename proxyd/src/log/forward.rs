//! `log-forward` sections: messages that other hosts send, relayed to `log` lines.

use super::target::Logger;
use crate::proxy::listen::{Bind, ListenAddress};
use std::time::Duration;

/// A section as it is configured, but for where its messages go.
#[derive(Clone, Debug, PartialEq)]
pub struct ForwardSettings {
    /// Its name.
    pub name: String,
    /// `bind`: messages come over connections.
    pub binds: Vec<Bind>,
    /// `dgram-bind`: messages come in datagrams.
    pub datagrams: Vec<DatagramBind>,
    /// `maxconn`: connections at a time.
    pub maxconn: usize,
    /// `timeout client`: how long a connection may be silent. `None`: for ever.
    pub client_timeout: Option<Duration>,
    /// `option dont-parse-log`: messages are text, whatever they begin with.
    pub unparsed: bool,
    /// `option assume-rfc6587-ntf`: over connections, only a line feed ends a message.
    pub lines_only: bool,
}

/// A `dgram-bind` address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatagramBind {
    /// Where datagrams come to.
    pub address: ListenAddress,
    /// `interface`.
    pub interface: Option<String>,
    /// `transparent`.
    pub transparent: bool,
    /// As written, for messages.
    pub text: String,
}

/// A section at work.
#[derive(Debug)]
pub struct Forwarder {
    /// As configured.
    pub settings: ForwardSettings,
    /// Where its messages go.
    pub loggers: Vec<Logger>,
}
