//! 3000 clients at once, three servers of `maxconn 4` that take 10 ms: how long each waits.

use crate::load::{self, Client};
use crate::side::{Programs, Side};
use anyhow::{Context as _, Result};
use integration_tests::{clock, wait};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use std::io::{Write as _, stdout};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const CLIENTS: usize = 3000;
const SERVICE: Duration = Duration::from_millis(10);
const ROUNDS: usize = 3;
/// Nothing takes longer, unless it is broken.
const ANSWER_MS: u16 = 20_000;

/// How long shares of the clients waited, the same where each of them also waits for those before it, and the most requests that a
/// server had at a time.
struct Found {
    shares: [Duration; 4],
    in_order: [Duration; 4],
    most: u32,
}

pub(crate) fn run(programs: &Programs) -> Result<()> {
    writeln!(
        stdout().lock(),
        "{CLIENTS} clients at once, 3 servers of maxconn 4, 10 ms each: seconds until answered (2.5 by arithmetic), and until all \
         who came before were answered, too\n"
    )?;
    writeln!(
        stdout().lock(),
        "| | p50 | p90 | p99 | last | in order: p50 | p90 | p99 | last | most at a server |\n|---|---|---|---|---|---|---|---|---|---|"
    )?;
    let mut best: [Option<Found>; 2] = [None, None];
    for _ in 0..ROUNDS {
        for (best, found) in best.iter_mut().zip(programs.each(|_, program| once(program))?) {
            // A busy machine only ever makes it longer.
            if best.as_ref().is_none_or(|best| found.shares[3] < best.shares[3]) {
                *best = Some(found);
            }
        }
    }
    let best: Vec<Found> = best.into_iter().flatten().collect();
    for ((name, _), Found { shares, in_order, most }) in programs.both.iter().zip(&best) {
        let times = shares.iter().chain(in_order);
        let times: Vec<String> = times.map(|time| format!("{:.3}", time.as_secs_f64())).collect();
        writeln!(stdout().lock(), "| {name} | {} | {most} |", times.join(" | "))?;
        anyhow::ensure!(*most <= 4, "{name} sent more than maxconn");
    }
    if let [ours, theirs] = &best[..] {
        for (ours, theirs) in ours.shares.iter().zip(&theirs.shares) {
            let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
            anyhow::ensure!((0.95..=1.05).contains(&ratio), "{ratio:.3}: more than 5 % apart");
        }
    }
    Ok(())
}

fn once(program: &PathBuf) -> Result<Found> {
    let mut servers = Vec::new();
    let mut counts = Vec::new();
    for id in 1..=3 {
        let (here, most) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        counts.push(Arc::clone(&most));
        let address = load::serve(move |_| {
            most.fetch_max(here.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            wait::pause(SERVICE);
            here.fetch_sub(1, Ordering::SeqCst);
            load::response("200 OK", "x")
        })?;
        servers.push(format!("    server s{id} {address} cookie S{id} maxconn 4"));
    }
    let config = format!(
        "
global
    stats socket {{runtime}} level admin
    maxconn 4000
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout queue 60s
    maxconn 4000
listen l
    bind {{front}}
    balance roundrobin
    cookie SERVERID insert indirect
{}
",
        servers.join("\n")
    );
    let side = Side::start(program, &config)?;
    let mut clients = (0..CLIENTS).map(|_| Client::connect(side.front)).collect::<Result<Vec<_>>>()?;
    let epoll = Epoll::new(EpollCreateFlags::empty())?;
    for (nth, client) in clients.iter().enumerate() {
        epoll.add(client, EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLONESHOT, nth as u64))?;
    }
    let start = clock::now();
    let mut sent = Vec::with_capacity(CLIENTS);
    for client in &mut clients {
        client.send("/", "")?;
        sent.push(start.elapsed());
    }
    // Each answer is taken when it comes: were they taken in turn, each client would also wait for those before it.
    let mut answered = vec![Duration::ZERO; CLIENTS];
    let (mut left, mut events) = (CLIENTS, [EpollEvent::empty(); 64]);
    while left > 0 {
        let count = epoll.wait(&mut events, EpollTimeout::from(ANSWER_MS))?;
        anyhow::ensure!(count > 0, "{left} clients have no answer");
        for event in events.iter().take(count) {
            let nth = usize::try_from(event.data())?;
            let (status, _) = clients.get_mut(nth).context("no client")?.receive()?;
            anyhow::ensure!(status == 200, "{status}");
            answered[nth] = start.elapsed();
            left -= 1;
        }
    }
    let mut shares: Vec<_> =
        answered.iter().zip(&sent).map(|(answered, sent)| answered.saturating_sub(*sent)).collect();
    shares.sort();
    let in_order = answered.iter().scan(Duration::ZERO, |latest, answered| {
        *latest = (*latest).max(*answered);
        Some(*latest)
    });
    let in_order: Vec<_> = in_order.collect();
    let at = |times: &[Duration]| [50, 90, 99, 100].map(|share| times[CLIENTS * share / 100 - 1]);
    let most = counts.iter().map(|count| count.load(Ordering::SeqCst)).max().unwrap_or(0);
    Ok(Found { shares: at(&shares), in_order: at(&in_order), most })
}
