//! How an exchange has gone so far: its times, bytes and attempts, which the log shows at its end and rules may ask for
//! before. Where a phase has not ended, its time is -1, as in the log.

use crate::log::{Record, Responder, Timers};
use crate::sample::context::Stream;
use crate::sample::convert::time::Unit;
use crate::sample::value::Value;
use std::borrow::Cow;
use std::time::Duration;

/// Who keeps account of an exchange.
pub trait Course {
    /// What is known by now.
    fn told(&self) -> Told;
}

/// What is known of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// How long its phases took.
    pub timers: Timers,
    /// Bytes of the request.
    pub bytes_in: u64,
    /// Bytes of the response.
    pub bytes_out: u64,
    /// Bytes of the request that were sent to the server.
    pub sent: u64,
    /// How often the exchange went on.
    pub calls: u32,
    /// Attempts at a server after the first.
    pub retries: u32,
    /// It went to another server than chosen at first.
    pub redispatched: bool,
    /// Requests ahead of it in the server's queue, and in the backend's.
    pub queued_behind: (u64, u64),
    /// The two letters of its end.
    pub termination: [u8; 2],
    /// The status that the client was sent.
    pub status: Option<u16>,
    /// A service of proxyd's own answers.
    pub service: bool,
}

impl Told {
    /// Whether something went wrong, as `option dontlog-normal` sees it.
    pub fn failed(&self) -> bool {
        !matches!(self.termination[0], b'-' | b'L')
            || self.retries > 0
            || self.status.is_some_and(|status| status >= 500)
    }

    /// Whether it went to a server.
    pub fn forwarded(&self) -> bool {
        self.timers.connect.is_some() && !self.service
    }
}

impl Course for Record<'_> {
    fn told(&self) -> Told {
        Told {
            timers: self.timers,
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            // Whoever writes the record knows these.
            sent: 0,
            calls: 0,
            retries: self.load.retries,
            redispatched: self.load.redispatched,
            queued_behind: (self.load.server_queue, self.load.backend_queue),
            termination: self.termination,
            status: self.status,
            service: matches!(self.server, Responder::Service(_)),
        }
    }
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CourseFetch {
    /// `req.timer.idle`: `%Ti`
    Idle,
    /// `req.timer.hdr`: `%TR`
    Request,
    /// `req.timer.tq`: `%Tq`
    UntilRequest,
    /// `req.timer.queue`: `%Tw`
    Queue,
    /// `bc.timer.connect`: `%Tc`
    Connect,
    /// `res.timer.hdr`: `%Tr`
    Response,
    /// `res.timer.data`: `%Td`
    Data,
    /// `txn.timer.total`: `%Ta`
    Active,
    /// `txn.timer.user`: `%Tu`
    User,
    /// `fc.timer.handshake`: `%Th`
    Handshake,
    /// `fc.timer.total`: since the connection was accepted.
    Connection,
    /// `bytes_in`, `req.bytes_in`: `%U`
    BytesIn,
    /// `bytes_out`, `res.bytes_in`, `res.bytes_out`: `%B`
    BytesOut,
    /// `req.bytes_out`
    Sent,
    /// `cpu_calls`
    Calls,
    /// `txn.conn_retries`: `%rc`
    Retries,
    /// `txn.redispatched`
    Redispatched,
    /// `txn.sess_term_state`: `%ts`
    Termination,
    /// `bc_srv_queue`: `%sq`
    ServerQueue,
    /// `bc_be_queue`: `%bq`
    BackendQueue,
    /// `request_date`: when the request's first byte came.
    RequestDate(Unit),
}

impl CourseFetch {
    /// The sample.
    pub(super) fn value<'a>(self, stream: &Stream<'a>) -> Option<Value<'a>> {
        if self == Self::Connection {
            return Some(milliseconds(stream.now.saturating_sub(stream.accepted)));
        }
        let told = stream.course?.told();
        let timers = &told.timers;
        let time = |time: Option<u64>| Value::Int(time.map_or(-1, |time| i64::try_from(time).unwrap_or(i64::MAX)));
        Some(match self {
            Self::Idle => time(Some(timers.idle)),
            Self::Request => time(timers.request),
            Self::UntilRequest => time(timers.until_request()),
            Self::Queue => time(timers.queue),
            Self::Connect => time(timers.connect),
            Self::Response => time(timers.response),
            Self::Data => time(timers.data()),
            Self::Active => time(Some(timers.active())),
            Self::User => time(Some(timers.user())),
            Self::Handshake => time(Some(timers.handshake)),
            Self::Connection => return None,
            Self::BytesIn => Value::count(told.bytes_in),
            Self::BytesOut => Value::count(told.bytes_out),
            Self::Sent => Value::count(told.sent),
            Self::Calls => Value::Int(told.calls.into()),
            Self::Retries => Value::Int(told.retries.into()),
            Self::Redispatched => Value::Bool(told.redispatched),
            Self::Termination => Value::Str(Cow::Owned(told.termination.to_vec())),
            Self::ServerQueue => Value::count(told.queued_behind.0),
            Self::BackendQueue => Value::count(told.queued_behind.1),
            Self::RequestDate(unit) => {
                let ago = Duration::from_millis(timers.total.saturating_sub(timers.idle));
                Value::Int(super::since_1970(stream.now.saturating_sub(ago), unit))
            }
        })
    }

    /// The fetch of that name; `unit` is that of `request_date`.
    pub fn named(name: &str, unit: Unit) -> Option<Self> {
        Some(match name {
            "req.timer.idle" => Self::Idle,
            "req.timer.hdr" => Self::Request,
            "req.timer.tq" => Self::UntilRequest,
            "req.timer.queue" => Self::Queue,
            "bc.timer.connect" => Self::Connect,
            "res.timer.hdr" => Self::Response,
            "res.timer.data" => Self::Data,
            "txn.timer.total" => Self::Active,
            "txn.timer.user" => Self::User,
            "fc.timer.handshake" => Self::Handshake,
            "fc.timer.total" => Self::Connection,
            "bytes_in" | "req.bytes_in" => Self::BytesIn,
            "bytes_out" | "res.bytes_in" | "res.bytes_out" => Self::BytesOut,
            "req.bytes_out" => Self::Sent,
            "cpu_calls" => Self::Calls,
            "txn.conn_retries" => Self::Retries,
            "txn.redispatched" => Self::Redispatched,
            "txn.sess_term_state" => Self::Termination,
            "bc_srv_queue" => Self::ServerQueue,
            "bc_be_queue" => Self::BackendQueue,
            "request_date" => Self::RequestDate(unit),
            _ => return None,
        })
    }
}

fn milliseconds(time: Duration) -> Value<'static> {
    Value::Int(i64::try_from(time.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::context::Nothing;
    use crate::sample::variable::Variables;
    use crate::sample::{Context, Fetch};
    use crate::stick::Counters;

    struct Halfway;

    impl Course for Halfway {
        fn told(&self) -> Told {
            let timers = Timers {
                handshake: 1,
                idle: 20,
                request: Some(300),
                queue: Some(4_000),
                connect: None,
                response: None,
                total: 5_000,
            };
            Told {
                timers,
                bytes_in: 61,
                bytes_out: 0,
                sent: 90,
                calls: 3,
                retries: 2,
                redispatched: true,
                queued_behind: (7, 8),
                termination: *b"--",
                status: None,
                service: false,
            }
        }
    }

    #[test]
    fn phases_are_those_of_the_log() {
        let (variables, counters) = (Variables::default(), Counters::default());
        let live = Nothing::default();
        let stream = Stream {
            course: Some(&Halfway),
            now: Duration::from_secs(1_009),
            accepted: Duration::from_secs(1_000),
            ..Stream::outside(&variables, &counters, &live)
        };
        let context = Context { request: None, response: None, stream: &stream };
        for (name, expected) in [
            ("req.timer.idle", "20"),
            ("req.timer.hdr", "300"),
            ("req.timer.tq", "321"),
            ("req.timer.queue", "4000"),
            ("bc.timer.connect", "-1"),
            ("res.timer.hdr", "-1"),
            ("res.timer.data", "-1"),
            ("txn.timer.total", "4979"),
            ("txn.timer.user", "4980"),
            ("fc.timer.handshake", "1"),
            ("fc.timer.total", "9000"),
            ("bytes_in", "61"),
            ("res.bytes_out", "0"),
            ("req.bytes_out", "90"),
            ("cpu_calls", "3"),
            ("txn.conn_retries", "2"),
            ("txn.redispatched", "1"),
            ("txn.sess_term_state", "--"),
            ("bc_srv_queue", "7"),
            ("bc_be_queue", "8"),
            ("request_date", "1004020"),
        ] {
            let fetch = Fetch::Course(CourseFetch::named(name, Unit::Milliseconds).unwrap());
            let value = fetch.value(&context).map(|value| value.into_text().into_owned());
            assert_eq!(value.as_deref(), Some(expected.as_bytes()), "{name}");
        }
    }
}
