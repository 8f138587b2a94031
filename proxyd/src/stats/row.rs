//! One line of the statistics: what each column of an object holds. All views are made of rows.

use std::borrow::Cow;

/// The columns, in the order of the CSV (management.txt 9.1). Their numbers are part of the interface: scripts use them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
#[expect(missing_docs, reason = "management.txt 9.1 describes each under its name")]
pub enum Column {
    Pxname,
    Svname,
    Qcur,
    Qmax,
    Scur,
    Smax,
    Slim,
    Stot,
    Bin,
    Bout,
    Dreq,
    Dresp,
    Ereq,
    Econ,
    Eresp,
    Wretr,
    Wredis,
    Status,
    Weight,
    Act,
    Bck,
    Chkfail,
    Chkdown,
    Lastchg,
    Downtime,
    Qlimit,
    Pid,
    Iid,
    Sid,
    Throttle,
    Lbtot,
    Tracked,
    Type,
    Rate,
    RateLim,
    RateMax,
    CheckStatus,
    CheckCode,
    CheckDuration,
    Hrsp1xx,
    Hrsp2xx,
    Hrsp3xx,
    Hrsp4xx,
    Hrsp5xx,
    HrspOther,
    Hanafail,
    ReqRate,
    ReqRateMax,
    ReqTot,
    CliAbrt,
    SrvAbrt,
    CompIn,
    CompOut,
    CompByp,
    CompRsp,
    Lastsess,
    LastChk,
    LastAgt,
    Qtime,
    Ctime,
    Rtime,
    Ttime,
    AgentStatus,
    AgentCode,
    AgentDuration,
    CheckDesc,
    AgentDesc,
    CheckRise,
    CheckFall,
    CheckHealth,
    AgentRise,
    AgentFall,
    AgentHealth,
    Addr,
    Cookie,
    Mode,
    Algo,
    ConnRate,
    ConnRateMax,
    ConnTot,
    Intercepted,
    Dcon,
    Dses,
    Wrew,
    Connect,
    Reuse,
    CacheLookups,
    CacheHits,
    SrvIcur,
    SrcIlim,
    QtimeMax,
    CtimeMax,
    RtimeMax,
    TtimeMax,
    Eint,
    IdleConnCur,
    SafeConnCur,
    UsedConnCur,
    NeedConnEst,
    Uweight,
    AggServerStatus,
    AggServerCheckStatus,
    AggCheckStatus,
}

/// Names of the columns as printed.
pub const NAMES: [&str; 103] = [
    "pxname",
    "svname",
    "qcur",
    "qmax",
    "scur",
    "smax",
    "slim",
    "stot",
    "bin",
    "bout",
    "dreq",
    "dresp",
    "ereq",
    "econ",
    "eresp",
    "wretr",
    "wredis",
    "status",
    "weight",
    "act",
    "bck",
    "chkfail",
    "chkdown",
    "lastchg",
    "downtime",
    "qlimit",
    "pid",
    "iid",
    "sid",
    "throttle",
    "lbtot",
    "tracked",
    "type",
    "rate",
    "rate_lim",
    "rate_max",
    "check_status",
    "check_code",
    "check_duration",
    "hrsp_1xx",
    "hrsp_2xx",
    "hrsp_3xx",
    "hrsp_4xx",
    "hrsp_5xx",
    "hrsp_other",
    "hanafail",
    "req_rate",
    "req_rate_max",
    "req_tot",
    "cli_abrt",
    "srv_abrt",
    "comp_in",
    "comp_out",
    "comp_byp",
    "comp_rsp",
    "lastsess",
    "last_chk",
    "last_agt",
    "qtime",
    "ctime",
    "rtime",
    "ttime",
    "agent_status",
    "agent_code",
    "agent_duration",
    "check_desc",
    "agent_desc",
    "check_rise",
    "check_fall",
    "check_health",
    "agent_rise",
    "agent_fall",
    "agent_health",
    "addr",
    "cookie",
    "mode",
    "algo",
    "conn_rate",
    "conn_rate_max",
    "conn_tot",
    "intercepted",
    "dcon",
    "dses",
    "wrew",
    "connect",
    "reuse",
    "cache_lookups",
    "cache_hits",
    "srv_icur",
    "src_ilim",
    "qtime_max",
    "ctime_max",
    "rtime_max",
    "ttime_max",
    "eint",
    "idle_conn_cur",
    "safe_conn_cur",
    "used_conn_cur",
    "need_conn_est",
    "uweight",
    "agg_server_status",
    "agg_server_check_status",
    "agg_check_status",
];

/// What a column of a row holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Cell {
    /// The column does not apply to this kind of object.
    #[default]
    Empty,
    /// A count, a limit or a gauge.
    Number(u64),
    /// Numbers that may be negative: `lastsess` is -1 before the first session.
    Signed(i64),
    /// A name or a state.
    Text(Cow<'static, str>),
}

impl From<u64> for Cell {
    fn from(value: u64) -> Self {
        Self::Number(value)
    }
}

impl From<u32> for Cell {
    fn from(value: u32) -> Self {
        Self::Number(value.into())
    }
}

impl From<i64> for Cell {
    fn from(value: i64) -> Self {
        Self::Signed(value)
    }
}

impl From<&'static str> for Cell {
    fn from(value: &'static str) -> Self {
        Self::Text(Cow::Borrowed(value))
    }
}

impl From<String> for Cell {
    fn from(value: String) -> Self {
        Self::Text(Cow::Owned(value))
    }
}

impl<T: Into<Self>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Empty, Into::into)
    }
}

/// What a row describes; the number is that of column `type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A frontend, or the frontend half of a `listen`.
    Frontend = 0,
    /// A backend, or the backend half of a `listen`.
    Backend = 1,
    /// A server.
    Server = 2,
    /// One `bind` address, shown with `option socket-stats`.
    Listener = 3,
}

/// The statistics of one object at one moment.
#[derive(Debug, Clone)]
pub struct Row {
    /// What the row describes.
    pub kind: Kind,
    cells: [Cell; NAMES.len()],
}

impl Row {
    /// An object and its two names; everything else is still empty.
    pub fn new(kind: Kind, proxy: &str, service: &str) -> Self {
        let mut row = Self { kind, cells: [const { Cell::Empty }; NAMES.len()] };
        row.set(Column::Pxname, proxy.to_owned());
        row.set(Column::Svname, service.to_owned());
        row.set(Column::Type, kind as u64);
        row
    }

    /// Fills a column.
    pub fn set(&mut self, column: Column, value: impl Into<Cell>) {
        self.cells[column as usize] = value.into();
    }

    /// Fills several columns with counts.
    pub fn set_all<const N: usize>(&mut self, values: [(Column, u64); N]) {
        for (column, value) in values {
            self.set(column, value);
        }
    }

    /// What a column holds.
    pub fn get(&self, column: Column) -> &Cell {
        &self.cells[column as usize]
    }

    /// A column as a number; 0 where it is none.
    pub fn number(&self, column: Column) -> u64 {
        match *self.get(column) {
            Cell::Number(value) => value,
            Cell::Signed(value) => u64::try_from(value).unwrap_or(0),
            Cell::Empty | Cell::Text(_) => 0,
        }
    }

    /// A column as a text; empty where it is none.
    pub fn text(&self, column: Column) -> &str {
        match self.get(column) {
            Cell::Text(text) => text,
            Cell::Empty | Cell::Number(_) | Cell::Signed(_) => "",
        }
    }

    /// All columns in order.
    pub fn cells(&self) -> &[Cell] {
        &self.cells
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_have_the_numbers_of_the_manual() {
        for (column, number, name) in [
            (Column::Pxname, 0, "pxname"),
            (Column::Status, 17, "status"),
            (Column::Type, 32, "type"),
            (Column::CheckStatus, 36, "check_status"),
            (Column::Ttime, 61, "ttime"),
            (Column::Algo, 76, "algo"),
            (Column::Uweight, 99, "uweight"),
            (Column::AggCheckStatus, 102, "agg_check_status"),
        ] {
            assert_eq!(column as usize, number);
            assert_eq!(NAMES[number], name);
        }
    }
}
