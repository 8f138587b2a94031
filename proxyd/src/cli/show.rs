//! `show info` and `show stat`.

use crate::generation::Generation;
use crate::proxy::frontend::AcceptState;
use crate::stats::clear::{self, Totals};
use crate::stats::collect::{self, ProcessStats};
use crate::stats::row::{Column, Row};
use crate::stats::{Event, csv};
use std::fmt::Write as _;

/// The process in lines of `Name: value`, under haproxy's names. Fields of what does not exist here (TLS, pipes, memory
/// pools) are left out rather than made up. What `clear counters all` has made frontends forget counts here.
pub(super) fn info(
    out: &mut String,
    process: &ProcessStats,
    generation: &Generation,
    (cleared, now_ms): (Totals, u64),
) {
    let frontends = || generation.frontends.iter().map(|frontend| &*frontend.section.traffic);
    let totals = clear::totals(generation) + cleared;
    let rate = |event| frontends().map(|traffic| traffic.rate(event, now_ms)).sum::<u64>();
    let uptime = process.uptime.as_secs();
    let stopping = generation.frontends.iter().any(|frontend| frontend.accepting.get() == AcceptState::Stopped);
    let listeners: usize = generation.frontends.iter().map(|frontend| frontend.listeners.len()).sum();
    let (days, hours, minutes, seconds) = (uptime / 86_400, uptime / 3_600 % 24, uptime / 60 % 60, uptime % 60);
    let fields: [(&str, String); 23] = [
        ("Name", process.program.clone()),
        ("Version", process.version.to_owned()),
        ("Nbthread", process.workers.to_string()),
        ("Nbproc", "1".to_owned()),
        ("Process_num", "1".to_owned()),
        ("Pid", process.pid.to_string()),
        ("Uptime", format!("{days}d {hours}h{minutes:02}m{seconds:02}s")),
        ("Uptime_sec", uptime.to_string()),
        ("Ulimit-n", process.max_files.to_string()),
        ("Maxsock", process.max_files.to_string()),
        ("Maxconn", process.maxconn.to_string()),
        ("Hard_maxconn", process.hard_maxconn.to_string()),
        ("CurrConns", process.connections.to_string()),
        ("CumConns", totals.connections.to_string()),
        ("CumReq", totals.requests.to_string()),
        ("ConnRate", rate(Event::Connection).to_string()),
        ("ConnRateLimit", process.rate_limits.0.to_string()),
        ("SessRate", rate(Event::Session).to_string()),
        ("SessRateLimit", process.rate_limits.1.to_string()),
        ("node", process.node.clone()),
        ("Stopping", u8::from(stopping).to_string()),
        ("Listeners", listeners.to_string()),
        ("DroppedLogs", process.dropped_logs.to_string()),
    ];
    for (name, value) in fields {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{name}: {value}");
    }
    let _ = writeln!(out, "TotalBytesOut: {}", totals.bytes_out);
    let _ = writeln!(out, "Build info: {}", process.version);
    if let Some(description) = &process.description {
        let _ = writeln!(out, "description: {description}");
    }
}

/// The CSV of all rows, or of those that `IID|NAME TYPE SID` names: TYPE is a sum of 1 (frontends), 2 (backends),
/// 4 (servers), and -1 stands for all.
pub(super) fn stat(out: &mut String, filter: &[&str], generation: &Generation, now_ms: u64) {
    let sections = collect::sections(generation, now_ms, true);
    let wanted = |row: &&Row| match filter {
        [proxy, kind, sid, ..] => {
            let named =
                *proxy == "-1" || row.text(Column::Pxname) == *proxy || row.number(Column::Iid).to_string() == *proxy;
            let kinds = kind.parse::<i64>().unwrap_or(0);
            let of_kind = kinds < 0 || kinds & (1 << (row.kind as i64)) != 0;
            named && of_kind && (*sid == "-1" || row.number(Column::Sid).to_string() == *sid)
        }
        [] | [_] | [_, _] => true,
    };
    out.push_str(&csv::render(sections.iter().flat_map(|section| &section.rows).filter(wanted)));
}
