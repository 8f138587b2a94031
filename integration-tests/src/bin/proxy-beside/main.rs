//! proxyd beside haproxy on the server side: where requests go, how long they wait, how fast a sick server is left, what is learned
//! and what it costs. `docs/servers.md` has what it found.
//!
//! `proxy-beside WHAT [PROGRAM]`, with PROGRAM instead of the proxyd that was built beside this one:
//!
//! - `checks`: `MariaDB`, `PostgreSQL`, redis and exim as installed, under every check that fits or does not;
//! - `death`: from the first bad answer to a check to the last request;
//! - `shares [REQUESTS]`: how requests are spread over weighted servers;
//! - `queue`: 3000 clients at once on three servers of `maxconn 4`;
//! - `table`: what a stick table knows after the same trace;
//! - `cost`: processor time of a request with 1,000 servers, each request a new entry of a table.
//!
//! Fails when the two differ by more than they may, and when a program is missing.

mod checks;
mod cost;
mod death;
mod load;
mod queue;
mod shares;
mod side;
mod table;

use anyhow::{Result, bail};
use std::path::PathBuf;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    let program = rest.iter().find(|word| word.contains('/')).map(PathBuf::from);
    let number = rest.iter().find_map(|word| word.parse().ok());
    let programs = side::Programs::find(program)?;
    match what.as_str() {
        "checks" => checks::run(&programs),
        "death" => death::run(&programs),
        "shares" => shares::run(&programs, number.unwrap_or(1_000_000)),
        "queue" => queue::run(&programs),
        "table" => table::run(&programs),
        "cost" => cost::run(&programs),
        other => bail!("`{other}` is none of: checks, death, shares, queue, table, cost"),
    }
}
