//! From the moment at which a server's checks go wrong to the last request that it gets.

use crate::load::{self, Client};
use crate::side::{Programs, Side};
use anyhow::Result;
use integration_tests::{clock, wait};
use std::io::{Write as _, stdout};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

const ROUNDS: usize = 9;
/// Two servers, a check each 100 ms, three bad ones in a row.
const CONFIG: &str = "
global
    stats socket {runtime} level admin
    spread-checks 0
defaults
    mode http
    timeout connect 1s
    timeout client 10s
    timeout server 10s
listen l
    bind {front}
    option httpchk GET /check
    balance roundrobin
    server s1 {one} check inter 100 fall 3 rise 1
    server s2 {two} check inter 100 fall 3 rise 1
";

pub(crate) fn run(programs: &Programs) -> Result<()> {
    let mut found = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        let times = programs.each(|_, program| once(program))?;
        for (all, time) in found.iter_mut().zip(times) {
            all.push(time);
        }
    }
    writeln!(
        stdout().lock(),
        "milliseconds from the death to the last request, {ROUNDS} rounds (check each 100 ms, fall 3)\n"
    )?;
    writeln!(stdout().lock(), "| | least | median | most |\n|---|---|---|---|")?;
    let mut medians = Vec::new();
    for ((name, _), mut times) in programs.both.iter().zip(found) {
        times.sort();
        let tell = |time: Duration| format!("{:.1}", time.as_secs_f64() * 1000.0);
        writeln!(
            stdout().lock(),
            "| {name} | {} | {} | {} |",
            tell(times[0]),
            tell(times[ROUNDS / 2]),
            tell(times[ROUNDS - 1])
        )?;
        medians.push(times[ROUNDS / 2]);
    }
    // A check may begin anywhere in its interval: that is all by which they may differ.
    anyhow::ensure!(medians[0].abs_diff(medians[1]) <= Duration::from_millis(100), "more than an interval apart");
    Ok(())
}

fn once(program: &PathBuf) -> Result<Duration> {
    let (dead, last) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let start = clock::now();
    let (is_dead, noted) = (Arc::clone(&dead), Arc::clone(&last));
    let one = load::serve(move |target| {
        let now = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        if target != "/check" {
            noted.fetch_max(now, Ordering::SeqCst);
        }
        let bad = target == "/check" && is_dead.load(Ordering::SeqCst);
        load::response(if bad { "503 No" } else { "200 OK" }, "1")
    })?;
    let two = load::serve(|_| load::response("200 OK", "2"))?;
    let side = Side::start(program, &CONFIG.replace("{one}", &one.to_string()).replace("{two}", &two.to_string()))?;
    let status = |wanted: &str| {
        let rows = side.statistics().ok()?;
        let row = rows.iter().find(|row| row.get("svname").is_some_and(|name| name == "s1"))?;
        (row.get("status")? == wanted).then_some(())
    };
    let mut client = Client::connect(side.front)?;
    // Both are settled, and traffic goes to both.
    wait::until("s1 is up", crate::side::BOUND, || {
        client.ask("/", "").ok()?;
        let checked = side.statistics().ok()?.iter().any(|row| row.get("check_code").is_some_and(|code| code == "200"));
        (checked && last.load(Ordering::SeqCst) > 0).then_some(())
    })?;
    wait::pause(Duration::from_millis(250));
    dead.store(true, Ordering::SeqCst);
    let death = u64::try_from(start.elapsed().as_nanos())?;
    wait::until("s1 is down", crate::side::BOUND, || {
        for _ in 0..20 {
            client.ask("/", "").ok()?;
        }
        status("DOWN")
    })?;
    Ok(Duration::from_nanos(last.load(Ordering::SeqCst).saturating_sub(death)))
}
