//! How many of a number of requests each of several weighted servers gets.

use crate::load::{self, Client};
use crate::side::{Programs, Side};
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::io::{Write as _, stdout};
use std::path::PathBuf;

/// Weights of an old configuration.
const WEIGHTS: [u64; 4] = [12, 12, 26, 26];
const CLIENTS: u64 = 16;

pub(crate) fn run(programs: &Programs, requests: u64) -> Result<()> {
    writeln!(stdout().lock(), "{requests} requests over servers of the weights {WEIGHTS:?}, {CLIENTS} clients\n")?;
    writeln!(stdout().lock(), "| balance | | s1 | s2 | s3 | s4 | largest deviation |\n|---|---|---|---|---|---|---|")?;
    let mut unlike = Vec::new();
    for algorithm in ["roundrobin", "static-rr", "leastconn", "random"] {
        let shares = programs.each(|_, program| spread(program, algorithm, requests))?;
        for ((name, _), counts) in programs.both.iter().zip(&shares) {
            let deviation = WEIGHTS.iter().zip(counts).map(|(weight, count)| {
                let expected = requests * weight / WEIGHTS.iter().sum::<u64>();
                count.abs_diff(expected) * 1_000_000 / requests
            });
            let most = deviation.max().unwrap_or_default();
            writeln!(
                stdout().lock(),
                "| {algorithm} | {name} | {} | {} | {} | {} | {}.{:04} % |",
                counts[0],
                counts[1],
                counts[2],
                counts[3],
                most / 10_000,
                most % 10_000
            )?;
        }
        // Who takes turns takes the same ones, but for the last requests, which come in any order. Turns are not quite the weights:
        // haproxy's periods are no multiples of them.
        if let ("roundrobin" | "static-rr", [ours, theirs]) = (algorithm, &shares[..])
            && ours.iter().zip(theirs).any(|(ours, theirs)| ours.abs_diff(*theirs) > CLIENTS)
        {
            unlike.push(algorithm);
        }
    }
    anyhow::ensure!(unlike.is_empty(), "not as haproxy's: {}", unlike.join(", "));
    Ok(())
}

fn spread(program: &PathBuf, algorithm: &str, requests: u64) -> Result<Vec<u64>> {
    let servers: Vec<String> = WEIGHTS
        .iter()
        .zip(1..)
        .map(|(weight, id)| {
            let address = load::serve(|_| load::response("200 OK", "x"))?;
            Ok(format!("    server s{id} {address} weight {weight}"))
        })
        .collect::<Result<_>>()?;
    let config = format!(
        "
global
    stats socket {{runtime}} level admin
    nbthread 1
defaults
    mode http
    timeout connect 1s
    timeout client 60s
    timeout server 60s
listen l
    bind {{front}}
    balance {algorithm}
{}
",
        servers.join("\n")
    );
    let side = Side::start(program, &config)?;
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|nth| {
                let front = side.front;
                let own = requests / CLIENTS + u64::from(nth < requests % CLIENTS);
                scope.spawn(move || -> Result<()> {
                    let mut client = Client::connect(front)?;
                    for _ in 0..own {
                        let (status, _) = client.ask("/", "")?;
                        anyhow::ensure!(status == 200, "{status}");
                    }
                    Ok(())
                })
            })
            .collect();
        clients.into_iter().try_for_each(|client| client.join().unwrap_or_else(|_| anyhow::bail!("a client panicked")))
    })?;
    let rows = side.statistics()?;
    let mut counts = BTreeMap::new();
    for row in rows.iter().filter(|row| row.get("svname").is_some_and(|name| name.starts_with('s'))) {
        let total: u64 = row.get("stot").context("no stot")?.parse()?;
        counts.insert(row.get("svname").cloned(), total);
    }
    Ok(counts.into_values().collect())
}
