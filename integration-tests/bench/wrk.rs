//! A second opinion: the same server behind, but wrk in front instead of the bench's own clients.

use crate::cpu::Cpu;
use crate::load::Load;
use crate::measure::{Configs, Timing};
use crate::subject::{Programs, Proxy, Subject, Under};
use crate::verdict::{middle, sorted};
use crate::workload::{self, Workload};
use anyhow::{Context, Result, bail};
use std::fmt::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

const CONNECTIONS: usize = 64;
const LOOK: Duration = Duration::from_millis(50);
const BOUND: Duration = Duration::from_mins(2);

/// Requests per second and processor microseconds per request of each subject, in rounds.
pub(crate) fn measure(programs: &Programs, load: &mut Load, timing: Timing) -> Result<String> {
    let workload = workload::BASE;
    let configs = Configs::write(programs, &workload)?;
    let subjects = workload.subjects(programs.nginx.is_some());
    let mut found: Vec<(Subject, f64, f64)> = Vec::new();
    for _ in 0..timing.rounds {
        for &subject in &subjects {
            let (rate, cpu) = turn(programs, load, &workload, &configs, subject, timing)?;
            found.push((subject, rate, cpu));
        }
    }
    let mut text = String::from(
        "### wrk: 100 B keep-alive, 64 connections, with wrk instead of the bench's own clients\n\n\
         | | requests/s | CPU us | CPU to haproxy |\n|---|---|---|---|\n",
    );
    let of = |wanted| found.iter().filter(move |(subject, ..)| *subject == wanted);
    for &subject in &subjects {
        let ratios = of(subject).zip(of(Subject::Haproxy)).map(|(ours, theirs)| ours.2 / theirs.2);
        let ratio = middle(&sorted(ratios.collect())).unwrap_or(0.0);
        let rate = middle(&sorted(of(subject).map(|turn| turn.1).collect())).unwrap_or(0.0);
        let cpu = middle(&sorted(of(subject).map(|turn| turn.2).collect())).unwrap_or(0.0);
        let _ = writeln!(text, "| {subject} | {rate:.0} | {cpu:.2} | {ratio:.2} |");
    }
    text.push('\n');
    Ok(text)
}

fn turn(
    programs: &Programs,
    load: &mut Load,
    workload: &Workload,
    configs: &Configs,
    subject: Subject,
    timing: Timing,
) -> Result<(f64, f64)> {
    let proxy = Proxy::start(programs, subject, configs.of(subject), "0", Under::Nothing)?;
    load.begin(Workload { connections: 0, ..*workload }.shape()?)?;
    let before = Cpu::of_process(proxy.pid())?;
    let seconds = timing.length.as_secs().max(1);
    let file = programs.folder.join("wrk.out");
    let mut wrk = Command::new("wrk")
        .args(["-t1", &format!("-c{CONNECTIONS}"), &format!("-d{seconds}s")])
        .arg(format!("http://127.0.0.1:{}/index.html", crate::load::PROXY_PORT))
        .stdin(Stdio::null())
        .stdout(std::fs::File::create(&file)?)
        .spawn()
        .context("wrk (apt-get install wrk)")?;
    let mut waited = Duration::ZERO;
    while wrk.try_wait()?.is_none() {
        load.idle(LOOK)?;
        waited += LOOK;
        if waited > BOUND {
            let _ = wrk.kill();
            let _ = wrk.wait();
            bail!("wrk does not end");
        }
    }
    let cpu = Cpu::of_process(proxy.pid())?.since(before);
    load.end();
    let said = std::fs::read_to_string(&file)?;
    let (requests, rate) = parse(&said).with_context(|| format!("wrk said:\n{said}"))?;
    Ok((rate, cpu.ran.as_secs_f64() * 1e6 / requests))
}

/// Requests in all and per second; none when wrk saw errors.
fn parse(said: &str) -> Option<(f64, f64)> {
    if said.contains("Socket errors") || said.contains("Non-2xx") {
        return None;
    }
    let requests = said.lines().find_map(|line| line.trim().split_once(" requests in ")?.0.parse().ok())?;
    let rate = said.lines().find_map(|line| line.strip_prefix("Requests/sec:")?.trim().parse().ok())?;
    Some((requests, rate))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wrk_says_is_read_and_its_errors_are_no_result() {
        let said = "Running 1s test @ http://127.0.0.1:21080/\n  1 threads and 64 connections\n  91234 requests in 1.00s, \
                    13.1MB read\nRequests/sec:  91000.12\nTransfer/sec:     13.10MB\n";
        assert_eq!(parse(said), Some((91_234.0, 91_000.12)));
        assert_eq!(parse(&format!("{said}  Socket errors: connect 0, read 3, write 0, timeout 0\n")), None);
        assert_eq!(parse(&format!("{said}  Non-2xx or 3xx responses: 3\n")), None);
        assert_eq!(parse(""), None);
    }
}
