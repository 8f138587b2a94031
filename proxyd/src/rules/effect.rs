//! What rules do besides changing the message or ending it: they keep values, captures and settings for later.

use super::bandwidth::Setting;
use crate::ids::TableId;
use crate::sample::fetch::Side;
use crate::sample::pattern_file::PatternFile;
use crate::sample::text::Text;
use crate::sample::transaction::{Captured, LogLevel, Transaction};
use crate::sample::variable::{Name, Target};
use crate::sample::{Context, Expression, Stream, Value};
use crate::stick::ask::{Gpc, Gpt};
use crate::stick::entry::Data;
use crate::stick::{Key, Tracked, tracked};
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
    /// `set-bc-mark`, of packets to the server: a number or a sample.
    ServerMark(Amount),
    /// `set-bc-tos`, of packets to the server.
    ServerTos(Amount),
    /// `disable-l7-retry`
    SendOnce,
    /// `set-src`, `set-dst`
    Address(End, Expression),
    /// `set-src-port`, `set-dst-port`
    Port(End, Expression),
    /// `set-priority-class`
    PriorityClass(Expression),
    /// `set-priority-offset`
    PriorityOffset(Expression),
    /// `set-timeout`
    Timeout(Timeout, Limit),
    /// `set-retries`
    Retries(Amount),
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
    /// `track-sc0` and so on.
    Track {
        /// The counter.
        number: u8,
        /// In which table.
        table: TableId,
        /// Under which key.
        key: Expression,
    },
    /// `sc-inc-gpc0`, `sc-add-gpc` and so on.
    CountUp {
        /// The counter that tracks the entry.
        number: u8,
        /// What is counted up.
        gpc: Gpc,
        /// By how much.
        amount: Amount,
    },
    /// `sc-set-gpt0`, `sc-set-gpt`
    SetTag {
        /// The counter that tracks the entry.
        number: u8,
        /// The tag.
        gpt: Gpt,
        /// Its new value.
        value: Amount,
    },
    /// `set-bandwidth-limit`
    Bandwidth(Box<Setting>),
    /// What only tells something to the system that this program does not have to be told, as `set-nice`.
    Nothing,
}

/// `set-priority-class` goes from minus this to this.
const PRIORITY_CLASS_MAX: i32 = 2_047;
/// `set-priority-offset` likewise, in milliseconds.
const PRIORITY_OFFSET_MAX: i32 = 524_287;

/// `set-retries` sets no more.
pub const RETRIES_MAX: u8 = 100;

/// An integer between minus `max` and `max`.
fn number(context: &Context<'_>, expression: &Expression, max: i32) -> Option<i32> {
    let number = expression.value(context)?.to_int()?;
    i32::try_from(number.clamp(i64::from(-max), i64::from(max))).ok()
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
    /// `connect`
    Connect,
    /// `queue`
    Queue,
    /// `tarpit`
    Tarpit,
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

/// A number that a rule counts up by or sets.
#[derive(Clone, Debug, PartialEq)]
pub enum Amount {
    /// As written.
    Fixed(u32),
    /// A sample.
    Sample(Expression),
}

impl Amount {
    pub(super) fn number(&self, context: &Context<'_>) -> Option<u64> {
        match self {
            Self::Fixed(number) => Some((*number).into()),
            Self::Sample(expression) => expression.value(context)?.to_int().map(i64::cast_unsigned),
        }
    }
}

impl Timeout {
    /// Where an exchange keeps it.
    fn place(self, transaction: &Transaction) -> &Cell<Option<Duration>> {
        match self {
            Self::Client => &transaction.client_timeout,
            Self::Server => &transaction.server_timeout,
            Self::Tunnel => &transaction.tunnel_timeout,
            Self::Connect => &transaction.rare().connect_timeout,
            Self::Queue => &transaction.rare().queue_timeout,
            Self::Tarpit => &transaction.rare().tarpit_timeout,
        }
    }
}

/// A time that a rule sets.
#[derive(Clone, Debug, PartialEq)]
pub enum Limit {
    /// As written.
    Fixed(Duration),
    /// In milliseconds.
    Sample(Expression),
}

impl Limit {
    /// The time, for what it is set for.
    pub fn time(&self, context: &Context<'_>) -> Option<Duration> {
        match self {
            Self::Fixed(time) => Some(*time),
            Self::Sample(expression) => {
                u64::try_from(expression.value(context)?.to_int()?).ok().map(Duration::from_millis)
            }
        }
    }
}

impl Effect {
    /// Whether it is put off while bytes may come that it needs: only some are, and variables take what there is.
    pub fn waits(&self) -> bool {
        matches!(self, Self::Capture { .. } | Self::Track { .. })
    }

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
            Self::Track { number, table, key } => return track(context, *number, *table, key),
            Self::CountUp { number, gpc, amount } => {
                let Some(amount) = amount.number(context) else { return false };
                change_tracked(stream, *number, |data| {
                    gpc.add(data, amount, stream.now_ms);
                });
            }
            Self::SetTag { number, gpt, value } => {
                let Some(value) = value.number(context) else { return false };
                change_tracked(stream, *number, |data| {
                    gpt.set(data, value, stream.now_ms);
                });
            }
            Self::Address(..) | Self::Port(..) => self.say(context),
            Self::LogLevel(_)
            | Self::Mark(_)
            | Self::Tos(_)
            | Self::ServerMark(_)
            | Self::ServerTos(_)
            | Self::SendOnce
            | Self::PriorityClass(_)
            | Self::PriorityOffset(_)
            | Self::Timeout(..)
            | Self::Retries(_)
            | Self::Bandwidth(_)
            | Self::Nothing => self.note(context),
        }
        true
    }

    /// Says of the connection where it comes from or leads to.
    fn say(&self, context: &Context<'_>) {
        let stream = context.stream;
        match self {
            Self::Address(end, expression) => {
                if let Some(ip) = expression.value(context).and_then(|value| value.to_ip()) {
                    let port = stream.end(*end).map_or(0, |address| address.port());
                    stream.said_of(*end).inspect(|place| place.set(Some(SocketAddr::new(ip, port))));
                }
            }
            Self::Port(end, expression) => {
                let port = expression.value(context).and_then(|value| u16::try_from(value.to_int()?).ok());
                if let Some(port) = port {
                    let ip = stream.end(*end).map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| address.ip());
                    stream.said_of(*end).inspect(|place| place.set(Some(SocketAddr::new(ip, port))));
                }
            }
            _ => {}
        }
    }

    /// Notes it for the data path.
    fn note(&self, context: &Context<'_>) {
        let Some(transaction) = context.stream.transaction else {
            match (self, context.stream.said) {
                (Self::Mark(mark), Some(said)) => said.mark.set(Some(*mark)),
                (Self::Tos(tos), Some(said)) => said.tos.set(Some(*tos)),
                _ => {}
            }
            return;
        };
        match self {
            Self::LogLevel(level) => transaction.log_level.set(Some(*level)),
            Self::Mark(mark) => transaction.mark.set(Some(*mark)),
            Self::Tos(tos) => transaction.tos.set(Some(*tos)),
            Self::ServerMark(mark) => {
                if let Some(mark) = mark.number(context) {
                    transaction.rare().server_mark.set(u32::try_from(mark & 0xffff_ffff).ok());
                }
            }
            Self::ServerTos(tos) => {
                if let Some(tos) = tos.number(context) {
                    transaction.rare().server_tos.set(u8::try_from(tos & 0xff).ok());
                }
            }
            Self::SendOnce => transaction.rare().sent_once.set(true),
            Self::PriorityClass(expression) => {
                if let Some(class) = number(context, expression, PRIORITY_CLASS_MAX) {
                    transaction.priority_class.set(class);
                }
            }
            Self::PriorityOffset(expression) => {
                if let Some(offset) = number(context, expression, PRIORITY_OFFSET_MAX) {
                    transaction.priority_offset.set(offset);
                }
            }
            Self::Retries(retries) => {
                let retries = retries.number(context).and_then(|number| u8::try_from(number).ok());
                if let Some(retries) = retries.filter(|retries| *retries <= RETRIES_MAX) {
                    transaction.retries.set(Some(retries));
                }
            }
            Self::Timeout(which, limit) => {
                if let Some(limit) = limit.time(context) {
                    which.place(transaction).set(Some(limit));
                }
            }
            Self::Bandwidth(setting) => setting.note(context, transaction),
            Self::SetVariable(..)
            | Self::SetVariableText(..)
            | Self::UnsetVariable(_)
            | Self::Capture { .. }
            | Self::Patterns { .. }
            | Self::Track { .. }
            | Self::CountUp { .. }
            | Self::SetTag { .. }
            | Self::Address(..)
            | Self::Port(..)
            | Self::Nothing => {}
        }
    }
}

/// Changes what a counter tracks, whose life begins anew.
fn change_tracked(stream: &Stream<'_>, number: u8, change: impl Fn(&mut Data<'_>)) {
    stream.tracked(number, |tracked| {
        change(&mut tracked.data());
        tracked.entry().touch(stream.now_ms);
    });
}

/// Starts to track an entry, unless the counter tracks one already. False: there is no sample for a key.
fn track(context: &Context<'_>, number: u8, table: TableId, key: &Expression) -> bool {
    let stream = context.stream;
    if stream.tracked(number, |_| ()).is_some() {
        return true;
    }
    let Some(value) = key.value(context) else { return false };
    let Some(table) = stream.live.table(table) else { return true };
    let Some(key) = Key::of(table.settings().kind, &value) else { return true };
    let Some(tracked) = Tracked::begin(table, &key, stream.now_ms) else { return true };
    let Some(transaction) = stream.transaction else {
        stream.counters.start(number, tracked);
        return true;
    };
    if transaction.request_counted.get() {
        tracked.count(&tracked::REQUEST, stream.now_ms);
    }
    if let Some(response) = context.response {
        tracked.count(tracked::of_status(response.status(), stream.live.statuses()), stream.now_ms);
    }
    transaction.counters.start(number, tracked);
    true
}

/// A place for a `capture` action, beyond those that the frontend declares.
pub fn slots(limits: &[usize]) -> impl Iterator<Item = Captured> + '_ {
    limits.iter().map(|&limit| Captured::empty(limit))
}
