//! Figures of the running process and of its sections.

use crate::ids::{BackendId, FrontendId, ServerIndex};
use crate::sample::context::Stream;
use crate::sample::value::Value;

/// A figure of the running process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Figure {
    /// `cpu_usage_thr`
    ThreadUsage,
    /// `cpu_usage_proc`, `cpu_usage_grp`
    ProcessUsage,
    /// `nbsrv`; `None`: the backend in use.
    ServersUp(Option<BackendId>),
    /// `be_conn`
    BackendSessions(Option<BackendId>),
    /// `queue`
    Queued(Option<BackendId>),
    /// `fe_conn`
    FrontendSessions(Option<FrontendId>),
    /// `srv_conn`
    ServerSessions(BackendId, ServerIndex),
    /// `fe_id`
    FrontendId,
    /// `be_id`
    BackendId,
    /// `so_id`
    Listener,
    /// `avg_queue`: requests waiting for each server that can take traffic.
    AverageQueue(Option<BackendId>),
    /// `be_conn_free`
    BackendFree(Option<BackendId>),
    /// `connslots`
    Slots(Option<BackendId>),
    /// `be_sess_rate`
    BackendRate(Option<BackendId>),
    /// `fe_sess_rate`
    FrontendRate(Option<FrontendId>),
    /// `fe_req_rate`
    RequestRate(Option<FrontendId>),
    /// `srv_conn_free`
    ServerFree(BackendId, ServerIndex),
    /// `srv_queue`
    ServerQueue(BackendId, ServerIndex),
    /// `srv_weight`: as the algorithm sees it now.
    ServerWeight(BackendId, ServerIndex),
    /// `srv_iweight`: as configured.
    ServerFirstWeight(BackendId, ServerIndex),
    /// `srv_uweight`: as set by somebody.
    ServerUserWeight(BackendId, ServerIndex),
    /// `srv_sess_rate`
    ServerRate(BackendId, ServerIndex),
    /// `dst_conn`: connections of the listener.
    ListenerSessions,
    /// `act_conn`: connections of the process.
    ProcessSessions,
    /// `uptime`: seconds the process runs.
    Uptime,
    /// `fe_client_timeout` and so on, in milliseconds.
    Timeout(Limit),
    /// `be_max_retries`
    Retries,
    /// `cur_max_retries`: as a rule has set them.
    CurrentRetries,
}

/// A configured time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Limit {
    /// `fe_client_timeout`
    Client,
    /// `be_server_timeout`
    Server,
    /// `be_tunnel_timeout`
    Tunnel,
    /// `be_connect_timeout`
    Connect,
    /// `be_queue_timeout`
    Queue,
    /// `be_tarpit_timeout`
    Tarpit,
    /// `cur_client_timeout`: as a rule has set it.
    CurrentClient,
    /// `cur_server_timeout`
    CurrentServer,
    /// `cur_tunnel_timeout`
    CurrentTunnel,
    /// `fe_tarpit_timeout`
    FrontendTarpit,
    /// `cur_tarpit_timeout`: the backend's, once one is chosen.
    CurrentTarpit,
    /// `cur_connect_timeout`
    CurrentConnect,
    /// `cur_queue_timeout`
    CurrentQueue,
}

impl Figure {
    /// The sample.
    pub(super) fn value(self, stream: &Stream<'_>) -> Option<Value<'static>> {
        let backend = |given: Option<BackendId>| given.or(stream.backend.map(|(id, _)| id));
        let live = stream.live;
        let number = match self {
            Self::ServersUp(given) => live.servers_up(backend(given)?),
            Self::BackendSessions(given) => live.backend_sessions(backend(given)?),
            Self::Queued(given) => live.queued(backend(given)?),
            Self::FrontendSessions(given) => live.frontend_sessions(given.unwrap_or(stream.frontend.0)),
            Self::ServerSessions(backend, server) => live.server_sessions(backend, server),
            Self::Listener => stream.listener.into(),
            Self::FrontendId
            | Self::BackendId
            | Self::AverageQueue(_)
            | Self::BackendFree(_)
            | Self::Slots(_)
            | Self::BackendRate(_)
            | Self::FrontendRate(_)
            | Self::RequestRate(_)
            | Self::ServerFree(..)
            | Self::ServerQueue(..)
            | Self::ServerWeight(..)
            | Self::ServerFirstWeight(..)
            | Self::ServerUserWeight(..)
            | Self::ServerRate(..)
            | Self::ListenerSessions
            | Self::ProcessSessions
            | Self::Uptime
            | Self::ThreadUsage
            | Self::ProcessUsage
            | Self::Retries
            | Self::CurrentRetries
            | Self::Timeout(_) => return live.figure(self.resolved(stream)?, stream).map(Value::Int),
        };
        Some(Value::count(number))
    }

    /// The same with the section in use where none was named.
    fn resolved(self, stream: &Stream<'_>) -> Option<Self> {
        let backend = |given: Option<BackendId>| given.or(stream.backend.map(|(id, _)| id)).map(Some);
        let frontend = |given: Option<FrontendId>| Some(given.unwrap_or(stream.frontend.0));
        Some(match self {
            Self::AverageQueue(given) => Self::AverageQueue(backend(given)?),
            Self::BackendFree(given) => Self::BackendFree(backend(given)?),
            Self::Slots(given) => Self::Slots(backend(given)?),
            Self::BackendRate(given) => Self::BackendRate(backend(given)?),
            Self::FrontendRate(given) => Self::FrontendRate(frontend(given)),
            Self::RequestRate(given) => Self::RequestRate(frontend(given)),
            other => other,
        })
    }
}
