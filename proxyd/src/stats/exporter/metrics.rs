//! The metrics of frontends, listeners, backends and servers: their names, types and help texts as haproxy 2.6 gives them, and
//! the columns of the statistics that they are read from.

use super::super::row::Column::{
    self, Act, Bck, Bin, Bout, CacheHits, CacheLookups, CheckCode, CheckDuration, Chkdown, Chkfail, CliAbrt, CompByp,
    CompIn, CompOut, CompRsp, ConnRateMax, ConnTot, Connect, Ctime, CtimeMax, Dcon, Downtime, Dreq, Dresp, Dses, Econ,
    Eint, Ereq, Eresp, Hrsp1xx, Hrsp2xx, Hrsp3xx, Hrsp4xx, Hrsp5xx, HrspOther, IdleConnCur, Intercepted, Lastchg,
    Lastsess, Lbtot, NeedConnEst, Qcur, Qlimit, Qmax, Qtime, QtimeMax, RateLim, RateMax, ReqRateMax, ReqTot, Reuse,
    Rtime, RtimeMax, SafeConnCur, Scur, Slim, Smax, SrcIlim, SrvAbrt, SrvIcur, Stot, Throttle, Ttime, TtimeMax,
    UsedConnCur, Uweight, Weight, Wredis, Wretr, Wrew,
};
use super::Type::{self, Counter, Gauge};
use Only::{Always, Checked, Http};
use Source::{Check, Milliseconds, Responses, ServersByCheck, ServersByState, State, Value};

/// What a metric is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// A column as it is.
    Value(Column),
    /// A column of milliseconds, in seconds.
    Milliseconds(Column),
    /// The counts of responses, one line for each class.
    Responses,
    /// One line for each state, 1 for that in force.
    State,
    /// The same of the last check's result.
    Check,
    /// How many servers of a backend are in each state.
    ServersByState,
    /// The same of their last check's result.
    ServersByCheck,
}

/// Which objects have a metric, of those it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Only {
    /// All.
    Always,
    /// Those of `mode http`.
    Http,
    /// Servers with checks.
    Checked,
}

/// One metric of objects.
#[derive(Debug, Clone, Copy)]
pub(super) struct Metric {
    /// After `haproxy_frontend_` and so on.
    pub name: &'static str,
    /// Its type.
    pub kind: Type,
    /// The kinds of objects that have it: their letters, in the places of `FLBS`.
    kinds: &'static str,
    /// Which of them.
    pub only: Only,
    /// What it shows.
    pub source: Source,
    /// Its help text.
    pub help: &'static str,
}

impl Metric {
    /// Whether objects with a letter have it.
    pub(super) fn is_for(&self, letter: char) -> bool {
        self.kinds.contains(letter)
    }
}

const fn metric(
    name: &'static str,
    kind: Type,
    kinds: &'static str,
    only: Only,
    source: Source,
    help: &'static str,
) -> Metric {
    Metric { name, kind, kinds, only, source, help }
}

/// In the order in which they are shown.
#[rustfmt::skip]
pub(super) const METRICS: [Metric; 70] = [
    metric("current_queue", Gauge, "..BS", Always, Value(Qcur), "Number of current queued connections"),
    metric("max_queue", Gauge, "..BS", Always, Value(Qmax), "Highest value of queued connections encountered since process started"),
    metric("current_sessions", Gauge, "FLBS", Always, Value(Scur), "Number of current sessions on the frontend, backend or server"),
    metric("max_sessions", Gauge, "FLBS", Always, Value(Smax), "Highest value of current sessions encountered since process started"),
    metric("limit_sessions", Gauge, "FLBS", Always, Value(Slim), "Frontend/listener/server's maxconn, backend's fullconn"),
    metric("sessions_total", Counter, "FLBS", Always, Value(Stot), "Total number of sessions since process started"),
    metric("bytes_in_total", Counter, "FLBS", Always, Value(Bin), "Total number of request bytes since process started"),
    metric("bytes_out_total", Counter, "FLBS", Always, Value(Bout), "Total number of response bytes since process started"),
    metric("requests_denied_total", Counter, "FLB.", Always, Value(Dreq), "Total number of denied requests since process started"),
    metric("responses_denied_total", Counter, "FLBS", Always, Value(Dresp), "Total number of denied responses since process started"),
    metric("request_errors_total", Counter, "FL..", Always, Value(Ereq), "Total number of invalid requests since process started"),
    metric("connection_errors_total", Counter, "..BS", Always, Value(Econ), "Total number of failed connections to server since the worker process started"),
    metric("response_errors_total", Counter, "..BS", Always, Value(Eresp), "Total number of invalid responses since the worker process started"),
    metric("retry_warnings_total", Counter, "..BS", Always, Value(Wretr), "Total number of server connection retries since the worker process started"),
    metric("redispatch_warnings_total", Counter, "..BS", Always, Value(Wredis), "Total number of server redispatches due to connection failures since the worker process started"),
    metric("status", Gauge, "FLBS", Always, State, "Current status of the service, per state label value."),
    metric("limit_session_rate", Gauge, "F...", Always, Value(RateLim), "Limit on the number of sessions accepted in a second (frontend only, 'rate-limit sessions' setting)"),
    metric("weight", Gauge, "..BS", Always, Value(Weight), "Server's effective weight, or sum of active servers' effective weights for a backend"),
    metric("active_servers", Gauge, "..B.", Always, Value(Act), "Total number of active UP servers with a non-zero weight"),
    metric("check_failures_total", Counter, "...S", Always, Value(Chkfail), "Total number of failed individual health checks per server/backend, since the worker process started"),
    metric("backup_servers", Gauge, "..B.", Always, Value(Bck), "Total number of backup UP servers with a non-zero weight"),
    metric("check_up_down_total", Counter, "..BS", Always, Value(Chkdown), "Total number of failed checks causing UP to DOWN server transitions, per server/backend, since the worker process started"),
    metric("check_last_change_seconds", Gauge, "..BS", Always, Value(Lastchg), "How long ago the last server state changed, in seconds"),
    metric("downtime_seconds_total", Counter, "..BS", Always, Value(Downtime), "Total time spent in DOWN state, for server or backend"),
    metric("queue_limit", Gauge, "...S", Always, Value(Qlimit), "Limit on the number of connections in queue, for servers only (maxqueue argument)"),
    metric("current_throttle", Gauge, "...S", Always, Value(Throttle), "Throttling ratio applied to a server's maxconn and weight during the slowstart period (0 to 100%)"),
    metric("loadbalanced_total", Counter, "..BS", Always, Value(Lbtot), "Total number of requests routed by load balancing since the worker process started (ignores queue pop and stickiness)"),
    metric("max_session_rate", Gauge, "F.BS", Always, Value(RateMax), "Highest value of sessions per second observed since the worker process started"),
    metric("check_status", Gauge, "...S", Checked, Check, "Status of last health check, per state label value."),
    metric("check_code", Gauge, "...S", Checked, Value(CheckCode), "layer5-7 code, if available of the last health check."),
    metric("check_duration_seconds", Gauge, "...S", Checked, Milliseconds(CheckDuration), "Total duration of the latest server health check, in seconds."),
    metric("http_responses_total", Counter, "F.BS", Http, Responses, "Total number of HTTP responses with status 100-199 returned by this object since the worker process started"),
    metric("http_requests_rate_max", Gauge, "F...", Http, Value(ReqRateMax), "Highest value of http requests observed since the worker process started"),
    metric("http_requests_total", Counter, "F.B.", Http, Value(ReqTot), "Total number of HTTP requests processed by this object since the worker process started"),
    metric("client_aborts_total", Counter, "..BS", Always, Value(CliAbrt), "Total number of requests or connections aborted by the client since the worker process started"),
    metric("server_aborts_total", Counter, "..BS", Always, Value(SrvAbrt), "Total number of requests or connections aborted by the server since the worker process started"),
    metric("http_comp_bytes_in_total", Counter, "F.B.", Http, Value(CompIn), "Total number of bytes submitted to the HTTP compressor for this object since the worker process started"),
    metric("http_comp_bytes_out_total", Counter, "F.B.", Http, Value(CompOut), "Total number of bytes emitted by the HTTP compressor for this object since the worker process started"),
    metric("http_comp_bytes_bypassed_total", Counter, "F.B.", Http, Value(CompByp), "Total number of bytes that bypassed HTTP compression for this object since the worker process started (CPU/memory/bandwidth limitation)"),
    metric("http_comp_responses_total", Counter, "F.B.", Http, Value(CompRsp), "Total number of HTTP responses that were compressed for this object since the worker process started"),
    metric("connections_rate_max", Gauge, "F...", Always, Value(ConnRateMax), "Highest value of connections per second observed since the worker process started"),
    metric("last_session_seconds", Gauge, "..BS", Always, Value(Lastsess), "How long ago some traffic was seen on this object on this worker process, in seconds"),
    metric("connections_total", Counter, "F...", Always, Value(ConnTot), "Total number of new connections accepted on this frontend since the worker process started"),
    metric("queue_time_average_seconds", Gauge, "..BS", Always, Milliseconds(Qtime), "Avg. queue time for last 1024 successful connections."),
    metric("intercepted_requests_total", Counter, "F...", Http, Value(Intercepted), "Total number of HTTP requests intercepted on the frontend (redirects/stats/services) since the worker process started"),
    metric("connect_time_average_seconds", Gauge, "..BS", Always, Milliseconds(Ctime), "Avg. connect time for last 1024 successful connections."),
    metric("denied_connections_total", Counter, "FL..", Always, Value(Dcon), "Total number of incoming connections blocked on a listener/frontend by a tcp-request connection rule since the worker process started"),
    metric("response_time_average_seconds", Gauge, "..BS", Always, Milliseconds(Rtime), "Avg. response time for last 1024 successful connections."),
    metric("denied_sessions_total", Counter, "FL..", Always, Value(Dses), "Total number of incoming sessions blocked on a listener/frontend by a tcp-request connection rule since the worker process started"),
    metric("total_time_average_seconds", Gauge, "..BS", Always, Milliseconds(Ttime), "Avg. total time for last 1024 successful connections."),
    metric("failed_header_rewriting_total", Counter, "FLBS", Always, Value(Wrew), "Total number of failed HTTP header rewrites since the worker process started"),
    metric("connection_attempts_total", Counter, "..BS", Always, Value(Connect), "Total number of outgoing connection attempts on this backend/server since the worker process started"),
    metric("connection_reuses_total", Counter, "..BS", Always, Value(Reuse), "Total number of reused connection on this backend/server since the worker process started"),
    metric("http_cache_lookups_total", Counter, "F.B.", Http, Value(CacheLookups), "Total number of HTTP requests looked up in the cache on this frontend/backend since the worker process started"),
    metric("idle_connections_current", Gauge, "...S", Always, Value(SrvIcur), "Current number of idle connections available for reuse on this server"),
    metric("http_cache_hits_total", Counter, "F.B.", Http, Value(CacheHits), "Total number of HTTP requests not found in the cache on this frontend/backend since the worker process started"),
    metric("idle_connections_limit", Gauge, "...S", Always, Value(SrcIlim), "Limit on the number of available idle connections on this server (server 'pool_max_conn' directive)"),
    metric("max_queue_time_seconds", Gauge, "..BS", Always, Milliseconds(QtimeMax), "Maximum observed time spent in the queue"),
    metric("max_connect_time_seconds", Gauge, "..BS", Always, Milliseconds(CtimeMax), "Maximum observed time spent waiting for a connection to complete"),
    metric("max_response_time_seconds", Gauge, "..BS", Always, Milliseconds(RtimeMax), "Maximum observed time spent waiting for a server response"),
    metric("max_total_time_seconds", Gauge, "..BS", Always, Milliseconds(TtimeMax), "Maximum observed total request+response time (request+queue+connect+response+processing)"),
    metric("internal_errors_total", Counter, "FLBS", Always, Value(Eint), "Total number of internal errors since process started"),
    metric("unsafe_idle_connections_current", Gauge, "...S", Always, Value(IdleConnCur), "Current number of unsafe idle connections"),
    metric("safe_idle_connections_current", Gauge, "...S", Always, Value(SafeConnCur), "Current number of safe idle connections"),
    metric("used_connections_current", Gauge, "...S", Always, Value(UsedConnCur), "Current number of connections in use"),
    metric("need_connections_current", Gauge, "...S", Always, Value(NeedConnEst), "Estimated needed number of connections"),
    metric("uweight", Gauge, "..BS", Always, Value(Uweight), "Server's user weight, or sum of active servers' user weights for a backend"),
    metric("agg_server_status", Gauge, "..B.", Always, ServersByState, "Backend's aggregated gauge of servers' status"),
    metric("agg_server_check_status", Gauge, "..B.", Always, ServersByState, "Backend's aggregated gauge of servers' state check status"),
    metric("agg_check_status", Gauge, "..B.", Always, ServersByCheck, "Backend's aggregated gauge of servers' state check status"),
];

/// The classes of responses and their columns.
pub(super) const CLASSES: [(&str, Column); 6] =
    [("1xx", Hrsp1xx), ("2xx", Hrsp2xx), ("3xx", Hrsp3xx), ("4xx", Hrsp4xx), ("5xx", Hrsp5xx), ("other", HrspOther)];
