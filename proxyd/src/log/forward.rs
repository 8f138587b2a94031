//! `log-forward` sections: messages that other hosts send, relayed to `log` lines.

use super::target::Logger;
use crate::proxy::listen::{Bind, ListenAddress};
use crate::proxy::settings::SocketBuffers;
use crate::rules::Rules;
use std::net::IpAddr;
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
    /// `option host`: which host a message is of.
    pub host: HostStrategy,
}

/// `option host`: what the host of a relayed message is, in the formats that have one (configuration.txt of 3.4, 12.6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HostStrategy {
    /// `keep`: the one it names, if it names any. So it is without the option, as in haproxy 2.6.
    #[default]
    Keep,
    /// `fill`: the sender's address where it names none.
    Fill,
    /// `replace`: the sender's address.
    Replace,
    /// `append`: the one it names, a comma and the sender's address.
    Append,
}

impl HostStrategy {
    /// The host of a message that names this one, or none. `None`: it stays as it is. A sender without an address changes nothing.
    pub fn host(self, named: &[u8], sender: Option<IpAddr>) -> Option<Vec<u8>> {
        let sender = sender?.to_canonical().to_string().into_bytes();
        match self {
            Self::Keep => None,
            Self::Fill if !named.is_empty() => None,
            Self::Append if !named.is_empty() => Some([named, b",", &sender].concat()),
            Self::Fill | Self::Replace | Self::Append => Some(sender),
        }
    }
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
    /// What the kernel holds of them.
    pub kernel_buffers: SocketBuffers,
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
    /// `tcp-request connection` and `tcp-request session`: whose connections it takes.
    pub rules: Rules,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        let sender = Some(IpAddr::from([192, 0, 2, 1]));
        for (strategy, named, expected) in [
            (HostStrategy::Keep, "", None),
            (HostStrategy::Keep, "h", None),
            (HostStrategy::Fill, "", Some("192.0.2.1")),
            (HostStrategy::Fill, "h", None),
            (HostStrategy::Replace, "h", Some("192.0.2.1")),
            (HostStrategy::Append, "", Some("192.0.2.1")),
            (HostStrategy::Append, "h", Some("h,192.0.2.1")),
        ] {
            let expected = expected.map(|host| host.as_bytes().to_vec());
            assert_eq!(strategy.host(named.as_bytes(), sender), expected, "{strategy:?} {named}");
            assert_eq!(strategy.host(named.as_bytes(), None), None);
        }
    }
}
