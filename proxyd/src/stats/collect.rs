//! Reads the counters of a generation into rows: what the statistics show at one moment.

use super::row::{Column, Kind, Row};
use super::{Count, Event, Timing, Traffic};
use crate::balance::server_state::{AdminState, Report, ServerState, WEIGHT_SCALE};
use crate::generation::Generation;
use crate::health::{CheckResult, CheckStatus, Observe};
use crate::proxy::frontend::AcceptState;
use crate::proxy::settings::Mode;
use crate::proxy::{Backend, Frontend, Section, Server};
use std::time::Duration;

/// The rows of one section, in the order in which they are shown.
#[derive(Debug, Clone)]
pub struct SectionRows {
    /// The section's name.
    pub name: String,
    /// Its `iid`.
    pub id: u32,
    /// `description`.
    pub description: Option<String>,
    /// Frontend, listeners, servers, backend.
    pub rows: Vec<Row>,
    /// Whether it has servers that an administrator could act on.
    pub has_servers: bool,
}

/// What the statistics say about the process.
#[derive(Debug, Clone)]
pub struct ProcessStats {
    /// The name it was started under.
    pub program: String,
    /// Its version.
    pub version: &'static str,
    /// The process.
    pub pid: u32,
    /// Since its start.
    pub uptime: Duration,
    /// Threads that serve.
    pub workers: usize,
    /// `maxconn`.
    pub maxconn: u64,
    /// What that may be at most.
    pub hard_maxconn: u64,
    /// `maxconnrate` and `maxsessrate`; 0: no limit.
    pub rate_limits: (u64, u64),
    /// File descriptors it may have.
    pub max_files: u64,
    /// Connections of clients now.
    pub connections: u64,
    /// Log lines that could not be sent.
    pub dropped_logs: u64,
    /// `node`.
    pub node: String,
    /// `description`.
    pub description: Option<String>,
}

/// Everything the statistics show.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The process.
    pub process: ProcessStats,
    /// Its sections, in the order of their ids.
    pub sections: Vec<SectionRows>,
}

impl Snapshot {
    /// All rows in order.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.sections.iter().flat_map(|section| &section.rows)
    }
}

/// The rows of all sections that run.
pub fn sections(generation: &Generation, now_ms: u64, legends: bool) -> Vec<SectionRows> {
    let reader = Reader { now_ms, legends };
    let mut sections: Vec<SectionRows> = Vec::new();
    let of = |section: &Section, has_servers| SectionRows {
        name: section.name.to_string(),
        id: section.id,
        description: section.description.clone(),
        rows: Vec::new(),
        has_servers,
    };
    for frontend in generation.frontends.iter().filter(|frontend| !frontend.section.disabled) {
        let mut shown = of(&frontend.section, false);
        reader.frontend(frontend, &mut shown.rows);
        if let Some(backend) = frontend.listen.and_then(|id| generation.backend(id)) {
            shown.has_servers = !backend.servers.is_empty();
            reader.backend(backend, &mut shown.rows);
        }
        sections.push(shown);
    }
    for backend in generation.backends.iter().filter(|backend| backend.listen.is_none() && !backend.section.disabled) {
        let mut shown = of(&backend.section, !backend.servers.is_empty());
        reader.backend(backend, &mut shown.rows);
        sections.push(shown);
    }
    sections.sort_by_key(|section| section.id);
    sections
}

/// One reading of the counters.
#[derive(Debug)]
pub(super) struct Reader {
    now_ms: u64,
    /// Addresses, cookies and algorithms are shown too (`stats show-legends`).
    legends: bool,
}

impl Reader {
    /// Reads figures only.
    pub(super) fn new(now_ms: u64) -> Self {
        Self { now_ms, legends: false }
    }

    /// The time of the reading.
    pub(super) fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// The row of a frontend and those of its listeners.
    pub(super) fn frontend(&self, frontend: &Frontend, rows: &mut Vec<Row>) {
        let (section, traffic) = (&frontend.section, &*frontend.section.traffic);
        let mut row = self.row(Kind::Frontend, section, "FRONTEND", traffic);
        Self::sessions(&mut row, traffic, frontend.maxconn.get());
        row.set_all([
            (Column::Dreq, traffic.total(Count::DeniedRequests)),
            (Column::Ereq, traffic.total(Count::RequestErrors)),
            (Column::Sid, 0),
            (Column::RateLim, frontend.rate_limit_sessions.unwrap_or(0).into()),
            (Column::ReqRate, traffic.rate(Event::Request, self.now_ms)),
            (Column::ReqRateMax, traffic.highest_rate(Event::Request)),
            (Column::ReqTot, traffic.total(Count::Requests)),
            (Column::ConnRate, traffic.rate(Event::Connection, self.now_ms)),
            (Column::ConnRateMax, traffic.highest_rate(Event::Connection)),
            (Column::ConnTot, traffic.total(Count::Connections)),
            (Column::Dcon, traffic.total(Count::DeniedConnections)),
            (Column::Dses, traffic.total(Count::DeniedSessions)),
        ]);
        no_compression(&mut row, section.mode);
        if section.mode == Mode::Http {
            row.set(Column::Intercepted, traffic.total(Count::Intercepted));
        }
        let status = match frontend.accepting.get() {
            AcceptState::Open => "OPEN",
            AcceptState::Paused => "PAUSED",
            AcceptState::Stopped => "STOP",
        };
        row.set(Column::Status, status);
        rows.push(row);
        if frontend.socket_stats {
            rows.extend(frontend.listeners.iter().map(|listener| {
                let mut row = self.row(Kind::Listener, section, listener.name(), &listener.traffic);
                Self::sessions(&mut row, &listener.traffic, 0);
                row.set_all([
                    (Column::Slim, listener.bind.maxconn.unwrap_or(0).into()),
                    (Column::Dreq, listener.traffic.total(Count::DeniedRequests)),
                    (Column::Ereq, listener.traffic.total(Count::RequestErrors)),
                    (Column::Dcon, listener.traffic.total(Count::DeniedConnections)),
                    (Column::Dses, listener.traffic.total(Count::DeniedSessions)),
                ]);
                row.set(Column::Sid, listener.bind.id);
                row.set(Column::Status, status);
                if self.legends {
                    row.set(Column::Addr, listener.bind.text.clone());
                }
                row
            }));
        }
    }

    fn backend(&self, backend: &Backend, rows: &mut Vec<Row>) {
        rows.extend((0..).map_while(|index| self.server_row(backend, index)));
        rows.push(self.backend_row(backend));
    }

    /// The row of one of a backend's servers.
    pub(super) fn server_row(&self, backend: &Backend, index: usize) -> Option<Row> {
        Some(self.server(backend, index, backend.servers.get(index)?, backend.farm.servers().get(index)?))
    }

    /// The row of a backend itself.
    pub(super) fn backend_row(&self, backend: &Backend) -> Row {
        let (section, traffic) = (&backend.section, &*backend.section.traffic);
        let mut row = self.row(Kind::Backend, section, "BACKEND", traffic);
        Self::sessions(&mut row, traffic, backend.farm.settings().fullconn.into());
        self.towards_servers(&mut row, traffic, section.mode);
        no_compression(&mut row, section.mode);
        let usable = backend.farm.usable();
        let states = backend.farm.servers();
        // Backup servers count only while no other server is left.
        let backups_serve = usable.active == 0;
        let weight = |weigh: fn(&ServerState) -> u32| -> u64 {
            let serving = states.iter().filter(|state| state.eligible() && state.settings().backup == backups_serve);
            serving.map(|state| u64::from(weigh(state))).sum()
        };
        let up = states.is_empty() || usable.active + usable.backup > 0;
        self.changes(&mut row, &backend.farm.report(), up, !states.is_empty());
        row.set(Column::Chkdown, backend.farm.report().downs);
        row.set_all([
            (Column::Dreq, traffic.total(Count::DeniedRequests)),
            (Column::Qcur, backend.farm.queued().into()),
            (Column::Qmax, backend.farm.queued_max().into()),
            (Column::Sid, 0),
            (Column::Weight, weight(shown_weight)),
            (Column::Uweight, weight(ServerState::weight)),
            (Column::Act, usable.active.into()),
            (Column::Bck, usable.backup.into()),
            (Column::AggServerStatus, 0),
            (Column::AggServerCheckStatus, 0),
            (Column::AggCheckStatus, 0),
        ]);
        row.set(Column::Status, if up { "UP" } else { "DOWN" });
        if section.mode == Mode::Http {
            row.set(Column::ReqTot, traffic.total(Count::Requests));
        }
        if self.legends {
            row.set(Column::Cookie, backend.farm.settings().cookie.as_ref().map(|cookie| cookie.name.clone()));
            row.set(Column::Algo, backend.farm.settings().algorithm.name());
        }
        row
    }

    fn server(&self, backend: &Backend, index: usize, server: &Server, state: &ServerState) -> Row {
        let section = &backend.section;
        let (traffic, settings) = (&*server.traffic, state.settings());
        let mut row = self.row(Kind::Server, section, &server.name, traffic);
        Self::sessions(&mut row, traffic, 0);
        self.towards_servers(&mut row, traffic, section.mode);
        row.set_all([
            (Column::Qcur, state.queued().into()),
            (Column::Qmax, state.queued_max().into()),
            (Column::Scur, state.served().into()),
            (Column::Smax, state.served_max().into()),
            (Column::Sid, server.id.into()),
            (Column::Weight, shown_weight(state).into()),
            (Column::Uweight, state.weight().into()),
            (Column::Act, u64::from(!settings.backup)),
            (Column::Bck, u64::from(settings.backup)),
            (Column::SrvIcur, server.idle.current()),
            (Column::IdleConnCur, server.idle.current()),
            (Column::SafeConnCur, 0),
            (Column::UsedConnCur, state.served().into()),
            // No connections are kept ahead of their use, so what is in use is what is needed.
            (Column::NeedConnEst, state.served().into()),
        ]);
        row.set(Column::Slim, some(state.maxconn().into()));
        row.set(Column::Qlimit, some(settings.maxqueue.into()));
        row.set(Column::SrcIlim, server.pool_max_conn);
        row.set(
            Column::Status,
            match &server.tracked {
                Some(tracked) if state.admin_by(true) == AdminState::Maint => format!("MAINT (via {tracked})"),
                Some(_) | None => state.status_text(),
            },
        );
        row.set(Column::Tracked, server.tracked.clone());
        row.set(Column::Throttle, (state.ramp() < 100).then_some(u64::from(state.ramp())));
        if section.mode == Mode::Http {
            // A server's requests are those it answered.
            row.set(Column::ReqTot, RESPONSES.into_iter().map(|count| traffic.total(count)).sum::<u64>());
        }
        let checked = state.is_checked() && !settings.tracks;
        self.changes(&mut row, &state.report(), state.reachable(), checked);
        if checked {
            checks(&mut row, state);
        }
        if state.asks_agent() {
            agent(&mut row, state);
        }
        if self.legends {
            row.set(Column::Addr, state.location().get().socket().map(|address| address.to_string()));
            row.set(Column::Cookie, backend.farm.cookie_values().of(index).map(str::to_owned));
        }
        row
    }

    /// When something last went up or down, and for how long it was down in all, where anything watches that.
    fn changes(&self, row: &mut Row, report: &Report, up: bool, watched: bool) {
        let since = self.now_ms.saturating_sub(report.since_ms) / 1000 + report.before.as_secs();
        row.set(Column::Lastchg, since);
        let now_down = if up { 0 } else { since };
        row.set(Column::Downtime, watched.then_some(report.downtime.as_secs() + now_down));
    }

    /// What all kinds of rows show.
    fn row(&self, kind: Kind, section: &Section, service: &str, traffic: &Traffic) -> Row {
        let mut row = Row::new(kind, &section.name, service);
        row.set_all([
            (Column::Stot, traffic.total(Count::Sessions)),
            (Column::Bin, traffic.total(Count::BytesIn)),
            (Column::Bout, traffic.total(Count::BytesOut)),
            (Column::Dresp, traffic.total(Count::DeniedResponses)),
            (Column::Pid, 1),
            (Column::Iid, section.id.into()),
            (Column::Wrew, traffic.total(Count::FailedRewrites)),
            (Column::Eint, traffic.total(Count::InternalErrors)),
            (Column::Rate, traffic.rate(Event::Session, self.now_ms)),
            (Column::RateMax, traffic.highest_rate(Event::Session)),
        ]);
        row.set(
            Column::Mode,
            match section.mode {
                Mode::Tcp => "tcp",
                Mode::Http => "http",
                Mode::Log => "log",
                Mode::Health => "health",
            },
        );
        if section.mode == Mode::Http {
            row.set_all([
                (Column::Hrsp1xx, traffic.total(Count::Responses1xx)),
                (Column::Hrsp2xx, traffic.total(Count::Responses2xx)),
                (Column::Hrsp3xx, traffic.total(Count::Responses3xx)),
                (Column::Hrsp4xx, traffic.total(Count::Responses4xx)),
                (Column::Hrsp5xx, traffic.total(Count::Responses5xx)),
                (Column::HrspOther, traffic.total(Count::ResponsesOther)),
            ]);
        }
        row
    }

    fn sessions(row: &mut Row, traffic: &Traffic, limit: u64) {
        row.set_all([(Column::Scur, traffic.sessions.current()), (Column::Smax, traffic.sessions.highest())]);
        row.set(Column::Slim, some(limit));
    }

    /// What is counted on the way to servers: rows of backends and servers.
    fn towards_servers(&self, row: &mut Row, traffic: &Traffic, mode: Mode) {
        row.set_all([
            (Column::Econ, traffic.total(Count::ConnectErrors)),
            (Column::Eresp, traffic.total(Count::ResponseErrors)),
            (Column::Wretr, traffic.total(Count::Retries)),
            (Column::Wredis, traffic.total(Count::Redispatches)),
            (Column::Lbtot, traffic.total(Count::Selected)),
            (Column::CliAbrt, traffic.total(Count::ClientAborts)),
            (Column::SrvAbrt, traffic.total(Count::ServerAborts)),
            (Column::Connect, traffic.total(Count::Connects)),
            (Column::Reuse, traffic.total(Count::Reuses)),
            (Column::Qtime, traffic.average(Timing::Queue)),
            (Column::Ctime, traffic.average(Timing::Connect)),
            (Column::Rtime, if mode == Mode::Http { traffic.average(Timing::Response) } else { 0 }),
            (Column::Ttime, traffic.average(Timing::Total)),
            (Column::QtimeMax, traffic.longest(Timing::Queue)),
            (Column::CtimeMax, traffic.longest(Timing::Connect)),
            (Column::RtimeMax, if mode == Mode::Http { traffic.longest(Timing::Response) } else { 0 }),
            (Column::TtimeMax, traffic.longest(Timing::Total)),
        ]);
        let idle = traffic
            .last_session_ms()
            .map(|at| i64::try_from(self.now_ms.saturating_sub(at) / 1000).unwrap_or(i64::MAX));
        row.set(Column::Lastsess, idle.unwrap_or(-1));
    }
}

/// Responses of all classes.
const RESPONSES: [Count; 6] = [
    Count::Responses1xx,
    Count::Responses2xx,
    Count::Responses3xx,
    Count::Responses4xx,
    Count::Responses5xx,
    Count::ResponsesOther,
];

/// What the checks of a server found.
fn checks(row: &mut Row, state: &ServerState) {
    let (settings, report) = (state.settings(), state.report());
    row.set_all([(Column::Chkfail, report.failed_checks), (Column::Chkdown, report.downs)]);
    if settings.observation.observe != Observe::None {
        row.set(Column::Hanafail, report.analyzed);
    }
    if state.admin() == AdminState::Maint {
        return;
    }
    row.set_all([
        (Column::CheckRise, settings.rise.into()),
        (Column::CheckFall, settings.fall.into()),
        (Column::CheckHealth, state.health_counter().into()),
    ]);
    let columns = [Column::CheckStatus, Column::CheckDesc, Column::CheckCode, Column::CheckDuration, Column::LastChk];
    found(row, columns, &report.last, report.checking);
}

/// What the agent of a server said.
fn agent(row: &mut Row, state: &ServerState) {
    let report = state.report();
    // One answer changes its mind.
    row.set_all([
        (Column::AgentRise, 1),
        (Column::AgentFall, 1),
        (Column::AgentHealth, u64::from(!state.agent_down())),
    ]);
    let columns = [Column::AgentStatus, Column::AgentDesc, Column::AgentCode, Column::AgentDuration, Column::LastAgt];
    found(row, columns, &report.last_agent, report.asking);
}

/// What the last check found: its status, what that means, its code, how long it took and what was said. `*` stands for
/// one that is under way.
fn found(row: &mut Row, columns: [Column; 5], last: &CheckResult, running: bool) {
    let [status, description, code, duration, info] = columns;
    row.set(status, format!("{}{}", if running { "* " } else { "" }, last.status.code()));
    row.set(description, last.status.description());
    if last.status != CheckStatus::Initializing {
        row.set(code, last.code.map(|code| u64::from(code.cast_unsigned())));
        row.set(duration, u64::try_from(last.duration.as_millis()).unwrap_or(u64::MAX));
    }
    if !last.info.is_empty() && !running {
        row.set(info, last.info.clone());
    }
}

/// Columns of features that this version does not have and that therefore never happened.
fn no_compression(row: &mut Row, mode: Mode) {
    row.set_all([(Column::CompIn, 0), (Column::CompOut, 0), (Column::CompByp, 0), (Column::CompRsp, 0)]);
    if mode == Mode::Http {
        row.set_all([(Column::CacheLookups, 0), (Column::CacheHits, 0)]);
    }
}

/// A limit, where there is one.
fn some(limit: u64) -> Option<u64> {
    (limit != 0).then_some(limit)
}

/// The weight in force, in the configuration's unit, as haproxy rounds it.
fn shown_weight(state: &ServerState) -> u32 {
    state.effective_weight().div_ceil(WEIGHT_SCALE)
}
