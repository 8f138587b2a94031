//! What rules do besides changing the message or ending it: they keep values, captures and settings for later.

use crate::sample::fetch::Side;
use crate::sample::pattern_file::PatternFile;
use crate::sample::text::Text;
use crate::sample::transaction::{Captured, LogLevel};
use crate::sample::variable::{Name, Target};
use crate::sample::{Context, Expression, Value};
use std::borrow::Cow;
use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// An action that is the same in all rule sets.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// `set-var`
    SetVariable(Target, Expression),
    /// `set-var-fmt`
    SetVariableText(Target, Text),
    /// `unset-var`
    UnsetVariable(Name),
    /// `capture`
    Capture {
        /// Whether the log shows it with what the request or with what the response brought.
        side: Side,
        /// Its number among those.
        slot: usize,
        /// What is captured.
        expression: Expression,
    },
    /// `set-log-level`
    LogLevel(LogLevel),
    /// `set-mark`, of packets to the client.
    Mark(u32),
    /// `set-tos`, of packets to the client.
    Tos(u8),
    /// `set-src`, `set-dst`
    Address(End, Expression),
    /// `set-src-port`, `set-dst-port`
    Port(End, Expression),
    /// `set-timeout`
    Timeout(Timeout, Limit),
    /// `add-acl`, `set-map` and so on.
    Patterns {
        /// Which file.
        file: Arc<PatternFile>,
        /// What is done.
        change: Change,
        /// The pattern, or the key.
        key: Text,
        /// What a map gives for it.
        value: Option<Text>,
    },
    /// What only tells something to the system that this program does not have to be told, as `set-nice`.
    Nothing,
}

/// An end of the client's connection.
pub use crate::sample::fetch::End;

/// What `set-timeout` sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Timeout {
    /// `client`
    Client,
    /// `server`
    Server,
    /// `tunnel`
    Tunnel,
}

/// What is done with the patterns of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// `add-acl`
    Add,
    /// `del-acl`, `del-map`
    Remove,
    /// `set-map`
    Set,
}

/// A time that a rule sets.
#[derive(Clone, Debug, PartialEq)]
pub enum Limit {
    /// As written.
    Fixed(Duration),
    /// In milliseconds.
    Sample(Expression),
}

impl Effect {
    /// Does it. False: there was no sample to do it with, so nothing was done.
    pub fn perform(&self, context: &Context<'_>) -> bool {
        let stream = context.stream;
        match self {
            // A sample that is not there leaves the variable as it was.
            Self::SetVariable(target, expression) => {
                let Some(value) = expression.value(context) else { return false };
                stream.set_variable_if(target, value.into_owned());
            }
            Self::SetVariableText(target, text) => {
                let mut bytes = Vec::new();
                text.write_raw(context, &mut bytes);
                stream.set_variable_if(target, Value::Str(Cow::Owned(bytes)));
            }
            Self::UnsetVariable(name) => stream.unset_variable(name),
            Self::Capture { side, slot, expression } => {
                let (Some(transaction), Some(value)) = (stream.transaction, expression.value(context)) else {
                    return false;
                };
                let list = match side {
                    Side::Request => &transaction.captured_request,
                    Side::Response => &transaction.captured_response,
                };
                if let Some(place) = list.borrow_mut().get_mut(*slot) {
                    place.keep(&value.into_written());
                }
            }
            Self::Patterns { file, change, key, value } => {
                let written = |text: &Text| {
                    let mut bytes = Vec::new();
                    text.write(context, &mut bytes);
                    bytes
                };
                let key = written(key);
                // A key that its users cannot read is not taken, and nothing else can be done about it here.
                let _ = match change {
                    Change::Add => file.add(&key, b""),
                    Change::Set => file.set(&key, &value.as_ref().map(written).unwrap_or_default()),
                    Change::Remove => {
                        file.remove(&key);
                        Ok(())
                    }
                };
            }
            Self::LogLevel(_)
            | Self::Mark(_)
            | Self::Tos(_)
            | Self::Address(..)
            | Self::Port(..)
            | Self::Timeout(..)
            | Self::Nothing => self.note(context),
        }
        true
    }

    /// Notes it for the data path.
    fn note(&self, context: &Context<'_>) {
        let Some(transaction) = context.stream.transaction else { return };
        match self {
            Self::LogLevel(level) => transaction.log_level.set(Some(*level)),
            Self::Mark(mark) => transaction.mark.set(Some(*mark)),
            Self::Tos(tos) => transaction.tos.set(Some(*tos)),
            Self::Address(end, expression) => {
                if let Some(ip) = expression.value(context).and_then(|value| value.to_ip()) {
                    let port = known(context, *end).map_or(0, |address| address.port());
                    place(context, *end).inspect(|place| place.set(Some(SocketAddr::new(ip, port))));
                }
            }
            Self::Port(end, expression) => {
                let port = expression.value(context).and_then(|value| u16::try_from(value.to_int()?).ok());
                if let Some(port) = port {
                    let ip = known(context, *end).map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| address.ip());
                    place(context, *end).inspect(|place| place.set(Some(SocketAddr::new(ip, port))));
                }
            }
            Self::Timeout(which, limit) => {
                let limit = match limit {
                    Limit::Fixed(limit) => Some(*limit),
                    Limit::Sample(expression) => expression
                        .value(context)
                        .and_then(|value| u64::try_from(value.to_int()?).ok())
                        .map(Duration::from_millis),
                };
                let place = match which {
                    Timeout::Client => &transaction.client_timeout,
                    Timeout::Server => &transaction.server_timeout,
                    Timeout::Tunnel => &transaction.tunnel_timeout,
                };
                if limit.is_some() {
                    place.set(limit);
                }
            }
            Self::SetVariable(..)
            | Self::SetVariableText(..)
            | Self::UnsetVariable(_)
            | Self::Capture { .. }
            | Self::Patterns { .. }
            | Self::Nothing => {}
        }
    }
}

/// The address as rules see it now.
fn known(context: &Context<'_>, end: End) -> Option<SocketAddr> {
    let stream = context.stream;
    let own = match end {
        End::Source => stream.source,
        End::Destination => stream.destination,
    };
    place(context, end).and_then(Cell::get).or(own)
}

fn place<'a>(context: &Context<'a>, end: End) -> Option<&'a Cell<Option<SocketAddr>>> {
    let transaction = context.stream.transaction?;
    Some(match end {
        End::Source => &transaction.source,
        End::Destination => &transaction.destination,
    })
}

/// A place for a `capture` action, beyond those that the frontend declares.
pub fn slots(limits: &[usize]) -> impl Iterator<Item = Captured> + '_ {
    limits.iter().map(|&limit| Captured::empty(limit))
}
