//! What `global` and `bind` say of threads and their processors, and of the process's limits and rights.

use super::rig::{BOUND, Rig, read_all};
use integration_tests::subject::Subject;
use integration_tests::wait;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

const QUIET: Duration = Duration::from_millis(100);

const CONFIG: &str = "
global
    log {log} local0
    stats socket {runtime} level admin
    nbthread 2
    GLOBAL
defaults
    log global
    option httplog
    mode http
    timeout client 20s
    timeout server 20s
    timeout connect 2s
listen l
    bind {front} thread 2 shards 1 proto h1
    bind 127.0.0.1:OTHER thread 1 thread 1
    http-request return status 200 content-type text/plain lf-string \"on %[thread] of ${HAPROXY_LOCALPEER}\\n\"
    server s {server} proto h1 ws h1 check inter 1h check-proto none
";

/// The value of a field in each thread's status.
fn of_threads(rig: &Rig, field: &str) -> Vec<String> {
    let threads = std::fs::read_dir(format!("/proc/{}/task", rig.pid())).unwrap();
    // A thread may end while its status is read.
    let statuses = threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("status")).ok());
    let value = |status: String| {
        status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(":\t")).map(str::to_owned)
    };
    statuses.filter_map(value).collect()
}

/// Nanoseconds that the process's threads have run.
fn has_run(rig: &Rig) -> u64 {
    let threads = std::fs::read_dir(format!("/proc/{}/task", rig.pid())).unwrap();
    let times = threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok());
    times.filter_map(|time| time.split(' ').next()?.parse::<u64>().ok()).sum()
}

#[test]
fn threads_keep_to_their_listeners_and_processors() {
    let other = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let global = "cpu-map 1/1-2 0\n    fd-hard-limit 500\n    localpeer here\n    tune.maxpollevents 50\n    tune.runqueue-depth 20\n    no set-dumpable";
    let config = CONFIG.replace("GLOBAL", global).replace("OTHER", &other.port().to_string());
    let rig = Rig::start("threads", &config, Vec::new());
    for (address, thread) in [(rig.front, 1), (other, 0), (rig.front, 1), (other, 0)] {
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
        let answer = read_all(&mut client, QUIET).0;
        assert!(answer.ends_with(&format!("on {thread} of here\n")), "{answer}");
    }
    let first = of_threads(&rig, "Cpus_allowed_list").into_iter().filter(|processors| processors == "0").count();
    assert!(first >= 2, "two threads are on the first processor, not {first}");
    assert!(of_threads(&rig, "NoNewPrivs").iter().any(|forbidden| forbidden == "1"));
    let info = rig.command("show info");
    let files = info.lines().find_map(|line| line.strip_prefix("Ulimit-n: ")?.parse::<u32>().ok());
    assert!(files.is_some_and(|files| (400..=500).contains(&files)), "{info}");
}

/// Words of 3.x: what the process keeps of its rights when it becomes its user, and how eager it is: threads that never sleep still write their logs.
#[test]
fn rights_are_kept_where_asked_for() {
    if Subject::from_env() == Subject::Theirs || !nix::unistd::geteuid().is_root() {
        return;
    }
    let global = "uid 65534\n    gid 65534\n    setcap cap_net_bind_service,cap_net_raw\n    insecure-setuid-wanted\n    \
                  tune.renice.runtime 3\n    busy-polling";
    let config = CONFIG.replace("GLOBAL", global).replace("    bind 127.0.0.1:OTHER thread 1 thread 1\n", "");
    let rig = Rig::start("rights", &config, Vec::new());
    let settled = || {
        let rights = ["CapEff", "CapPrm"].map(|kind| of_threads(&rig, kind));
        let same = |kind: &Vec<String>| kind.iter().all(|rights| rights == "0000000000002400");
        (rights.iter().all(same) && of_threads(&rig, "Uid").iter().all(|uid| uid.starts_with("65534"))).then_some(())
    };
    wait::until("every thread has these rights and no others", BOUND, settled).unwrap();
    assert!(of_threads(&rig, "NoNewPrivs").iter().all(|forbidden| forbidden == "0"));
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", rig.pid())).unwrap();
    let mut client = rig.connect();
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    assert!(rig.log_line().contains("GET / HTTP/1.1"));
    // A process that sleeps would run for some thousandths of that.
    let begun = has_run(&rig);
    let busy = || (has_run(&rig) - begun > 50_000_000).then_some(());
    wait::until("threads that wait for nothing run all the same", BOUND, busy).unwrap();
    assert_eq!(stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(16)), Some("3"), "{stat}");
}
