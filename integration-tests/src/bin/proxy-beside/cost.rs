//! Processor time of a request where there are 1,000 servers and each request makes an entry in a stick table.

use crate::load::{self, Client};
use crate::side::{Programs, Side};
use anyhow::Result;
use std::fmt::Write as _;
use std::io::{Write as _, stdout};
use std::path::PathBuf;
use std::time::Duration;

const SERVERS: usize = 1_000;
const ENTRIES: usize = 200_000;
const CLIENTS: usize = 16;
const ROUNDS: usize = 3;

pub(crate) fn run(programs: &Programs) -> Result<()> {
    writeln!(
        stdout().lock(),
        "microseconds of processor time per request, {SERVERS} servers, {ENTRIES} requests, each with a new key\n"
    )?;
    writeln!(stdout().lock(), "| | | proxyd | haproxy | ratio |\n|---|---|---|---|---|")?;
    for balance in ["roundrobin", "leastconn"] {
        for sticky in [false, true] {
            let mut ratios = Vec::new();
            for _ in 0..ROUNDS {
                let [ours, theirs] = programs.each(|_, program| cost(program, balance, sticky))?;
                ratios.push((ours.as_secs_f64() / theirs.as_secs_f64(), ours, theirs));
            }
            ratios.sort_by(|one, other| one.0.total_cmp(&other.0));
            let (ratio, ours, theirs) = ratios[ROUNDS / 2];
            let micros = |time: Duration| time.as_secs_f64() * 1e6;
            let what = if sticky { "stick on, track-sc0" } else { "plain" };
            writeln!(
                stdout().lock(),
                "| {balance} | {what} | {:.1} | {:.1} | {ratio:.2} |",
                micros(ours),
                micros(theirs)
            )?;
        }
    }
    Ok(())
}

fn cost(program: &PathBuf, balance: &str, sticky: bool) -> Result<Duration> {
    let origin = load::serve(|_| load::response("200 OK", "x"))?;
    let mut config = format!(
        "
global
    stats socket {{runtime}} level admin
    nbthread 1
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
listen l
    bind {{front}}
    http-reuse always
    balance {balance}
"
    );
    if sticky {
        config += "    stick-table type string len 32 size 1m expire 10m store http_req_cnt,http_req_rate(10s)\n";
        config += "    http-request track-sc0 req.hdr(x-key)\n    stick on req.hdr(x-key)\n";
    }
    for id in 0..SERVERS {
        let _ = writeln!(config, "    server s{id} {origin}");
    }
    let side = Side::start(program, &config)?;
    // Connections to all servers stand before it counts.
    ask(&side, "warm", SERVERS * 2)?;
    let before = side.processor_time()?;
    ask(&side, "k", ENTRIES)?;
    let used = side.processor_time()?.saturating_sub(before);
    Ok(used / u32::try_from(ENTRIES)?)
}

fn ask(side: &Side, prefix: &str, requests: usize) -> Result<()> {
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|nth| {
                let front = side.front;
                scope.spawn(move || -> Result<()> {
                    let mut client = Client::connect(front)?;
                    for key in (nth..requests).step_by(CLIENTS) {
                        let (status, _) = client.ask("/", &format!("X-Key: {prefix}{key}\r\n"))?;
                        anyhow::ensure!(status == 200, "{status}");
                    }
                    Ok(())
                })
            })
            .collect();
        clients.into_iter().try_for_each(|client| client.join().unwrap_or_else(|_| anyhow::bail!("a client panicked")))
    })
}
