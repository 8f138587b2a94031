//! The metrics of the process, named and described as haproxy 2.6 does. What exists there and not here shows 0 where there is
//! truly none of it (TLS, compression, peers), and `NaN` where it is not known.

use super::super::Event;
use super::super::clear::{self, Totals};
use super::super::collect::ProcessStats;
use super::Type::{self, Counter, Gauge};
use crate::generation::Generation;
use crate::proxy::frontend::AcceptState;
use std::time::Duration;

/// What the metrics of the process are made of.
#[derive(Debug)]
pub(super) struct Facts {
    /// The process's own figures.
    pub process: ProcessStats,
    totals: Totals,
    connection_rate: u64,
    session_rate: u64,
    stopping: bool,
    listeners: u64,
    /// Seconds since 1970.
    started: u64,
}

impl Facts {
    /// Reads the counters. `date` is the time since 1970.
    pub(super) fn read(process: ProcessStats, generation: &Generation, now_ms: u64, date: Duration) -> Self {
        let rate = |event| generation.frontends.iter().map(|it| it.section.traffic.rate(event, now_ms)).sum();
        let listeners: usize = generation.frontends.iter().map(|frontend| frontend.listeners.len()).sum();
        Self {
            totals: clear::totals(generation),
            connection_rate: rate(Event::Connection),
            session_rate: rate(Event::Session),
            stopping: generation.frontends.iter().any(|it| it.accepting.get() == AcceptState::Stopped),
            listeners: listeners as u64,
            started: date.saturating_sub(process.uptime).as_secs(),
            process,
        }
    }
}

/// One metric of the process.
pub(super) struct ProcessMetric {
    /// After `haproxy_process_`.
    pub name: &'static str,
    /// Its type.
    pub kind: Type,
    /// Its value; `None` where it is not known.
    pub value: fn(&Facts) -> Option<u64>,
    /// Its help text.
    pub help: &'static str,
}

const fn process(
    name: &'static str,
    kind: Type,
    value: fn(&Facts) -> Option<u64>,
    help: &'static str,
) -> ProcessMetric {
    ProcessMetric { name, kind, value, help }
}

/// In the order in which they are shown.
#[rustfmt::skip]
pub(super) const METRICS: [ProcessMetric; 60] = [
    process("nbthread", Gauge, |p| Some(p.process.workers as u64), "Number of started threads (global.nbthread)"),
    process("nbproc", Gauge, |_| Some(1), "Number of started worker processes (historical, always 1)"),
    process("relative_process_id", Gauge, |_| Some(1), "Relative worker process number (1)"),
    process("uptime_seconds", Gauge, |p| Some(p.process.uptime.as_secs()), "How long ago this worker process was started (seconds)"),
    process("pool_failures_total", Counter, |_| None, "Number of failed pool allocations since this worker was started"),
    process("max_fds", Gauge, |p| Some(p.process.max_files), "Hard limit on the number of per-process file descriptors"),
    process("max_sockets", Gauge, |p| Some(p.process.max_files), "Hard limit on the number of per-process sockets"),
    process("max_connections", Gauge, |p| Some(p.process.maxconn), "Hard limit on the number of per-process connections (configured or imposed by Ulimit-n)"),
    process("hard_max_connections", Gauge, |p| Some(p.process.hard_maxconn), "Hard limit on the number of per-process connections (imposed by Memmax_MB or Ulimit-n)"),
    process("current_connections", Gauge, |p| Some(p.process.connections), "Current number of connections on this worker process"),
    process("connections_total", Counter, |p| Some(p.totals.connections), "Total number of connections on this worker process since started"),
    process("requests_total", Counter, |p| Some(p.totals.requests), "Total number of requests on this worker process since started"),
    process("max_ssl_connections", Gauge, |_| Some(0), "Hard limit on the number of per-process SSL endpoints (front+back), 0=unlimited"),
    process("current_ssl_connections", Gauge, |_| Some(0), "Current number of SSL endpoints on this worker process (front+back)"),
    process("ssl_connections_total", Counter, |_| Some(0), "Total number of SSL endpoints on this worker process since started (front+back)"),
    process("max_pipes", Gauge, |_| None, "Hard limit on the number of pipes for splicing, 0=unlimited"),
    process("pipes_used_total", Counter, |_| None, "Current number of pipes in use in this worker process"),
    process("pipes_free_total", Counter, |_| None, "Current number of allocated and available pipes in this worker process"),
    process("current_connection_rate", Gauge, |p| Some(p.connection_rate), "Number of front connections created on this worker process over the last second"),
    process("limit_connection_rate", Gauge, |p| Some(p.process.rate_limits.0), "Hard limit for ConnRate (global.maxconnrate)"),
    process("max_connection_rate", Gauge, |_| None, "Highest ConnRate reached on this worker process since started (in connections per second)"),
    process("current_session_rate", Gauge, |p| Some(p.session_rate), "Number of sessions created on this worker process over the last second"),
    process("limit_session_rate", Gauge, |p| Some(p.process.rate_limits.1), "Hard limit for SessRate (global.maxsessrate)"),
    process("max_session_rate", Gauge, |_| None, "Highest SessRate reached on this worker process since started (in sessions per second)"),
    process("current_ssl_rate", Gauge, |_| Some(0), "Number of SSL connections created on this worker process over the last second"),
    process("limit_ssl_rate", Gauge, |_| Some(0), "Hard limit for SslRate (global.maxsslrate)"),
    process("max_ssl_rate", Gauge, |_| Some(0), "Highest SslRate reached on this worker process since started (in connections per second)"),
    process("current_frontend_ssl_key_rate", Gauge, |_| Some(0), "Number of SSL keys created on frontends in this worker process over the last second"),
    process("max_frontend_ssl_key_rate", Gauge, |_| Some(0), "Highest SslFrontendKeyRate reached on this worker process since started (in SSL keys per second)"),
    process("frontend_ssl_reuse", Gauge, |_| Some(0), "Percent of frontend SSL connections which did not require a new key"),
    process("current_backend_ssl_key_rate", Gauge, |_| Some(0), "Number of SSL keys created on backends in this worker process over the last second"),
    process("max_backend_ssl_key_rate", Gauge, |_| Some(0), "Highest SslBackendKeyRate reached on this worker process since started (in SSL keys per second)"),
    process("ssl_cache_lookups_total", Counter, |_| Some(0), "Total number of SSL session ID lookups in the SSL session cache on this worker since started"),
    process("ssl_cache_misses_total", Counter, |_| Some(0), "Total number of SSL session ID lookups that didn't find a session in the SSL session cache on this worker since started"),
    process("http_comp_bytes_in_total", Counter, |_| Some(0), "Number of bytes submitted to the HTTP compressor in this worker process over the last second"),
    process("http_comp_bytes_out_total", Counter, |_| Some(0), "Number of bytes emitted by the HTTP compressor in this worker process over the last second"),
    process("limit_http_comp", Gauge, |_| Some(0), "Limit of CompressBpsOut beyond which HTTP compression is automatically disabled"),
    process("current_zlib_memory", Gauge, |_| None, "Amount of memory currently used by HTTP compression on the current worker process (in bytes)"),
    process("max_zlib_memory", Gauge, |_| None, "Limit on the amount of memory used by HTTP compression above which it is automatically disabled (in bytes, see global.maxzlibmem)"),
    process("current_tasks", Gauge, |_| None, "Total number of tasks in the current worker process (active + sleeping)"),
    process("current_run_queue", Gauge, |_| None, "Total number of active tasks+tasklets in the current worker process"),
    process("idle_time_percent", Gauge, |_| None, "Percentage of last second spent waiting in the current worker thread"),
    process("stopping", Gauge, |p| Some(p.stopping.into()), "1 if the worker process is currently stopping, otherwise zero"),
    process("jobs", Gauge, |p| Some(p.listeners + p.process.connections), "Current number of active jobs on the current worker process (frontend connections, master connections, listeners)"),
    process("unstoppable_jobs", Gauge, |_| Some(0), "Current number of unstoppable jobs on the current worker process (master connections)"),
    process("listeners", Gauge, |p| Some(p.listeners), "Current number of active listeners on the current worker process"),
    process("active_peers", Gauge, |_| Some(0), "Current number of verified active peers connections on the current worker process"),
    process("connected_peers", Gauge, |_| Some(0), "Current number of peers having passed the connection step on the current worker process"),
    process("dropped_logs_total", Counter, |p| Some(p.process.dropped_logs), "Total number of dropped logs for current worker process since started"),
    process("busy_polling_enabled", Gauge, |_| Some(0), "1 if busy-polling is currently in use on the worker process, otherwise zero (config.busy-polling)"),
    process("failed_resolutions", Counter, |_| None, "Total number of failed DNS resolutions in current worker process since started"),
    process("bytes_out_total", Counter, |p| Some(p.totals.bytes_out), "Total number of bytes emitted by current worker process since started"),
    process("spliced_bytes_out_total", Counter, |_| None, "Total number of bytes emitted by current worker process through a kernel pipe since started"),
    process("bytes_out_rate", Gauge, |_| None, "Number of bytes emitted by current worker process over the last second"),
    process("recv_logs_total", Counter, |_| None, "Total number of log messages received by log-forwarding listeners on this worker process since started"),
    process("build_info", Gauge, |_| Some(1), "Build info"),
    process("max_memory_bytes", Gauge, |_| Some(0), "Worker process's hard limit on memory usage in byes (-m on command line)"),
    process("pool_allocated_bytes", Gauge, |_| None, "Amount of memory allocated in pools (in bytes)"),
    process("pool_used_bytes", Gauge, |_| None, "Amount of pool memory currently used (in bytes)"),
    process("start_time_seconds", Gauge, |p| Some(p.started), "Start time in seconds"),
];
