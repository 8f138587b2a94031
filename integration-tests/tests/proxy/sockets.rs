//! What `global` and sections say about sockets: how many wait to be accepted, and how many files there may be.

use super::rig::{BOUND, Rig, answering, free_address, talk};
use integration_tests::subject::Subject;
use integration_tests::wait;
use socket2::{Domain, Socket, Type};
use std::io::Write;
use std::process::{Command, Stdio};

const CONFIG: &str = "
global
    GLOBAL
defaults
    mode http
    timeout client 2s
    timeout server 2s
    timeout connect 1s
    DEFAULTS
frontend fe
    bind {front} BIND
    FRONTEND
";

/// Words of `global`, `defaults`, the frontend and `bind`, and the backlog that the kernel knows.
const BACKLOGS: &[([&str; 4], &str)] = &[
    (["", "backlog 77", "", ""], "77"),
    (["", "", "backlog 77", ""], "77"),
    (["", "", "backlog 77", "backlog 88"], "88"),
    (["", "", "backlog 77", "maxconn 99"], "77"),
    (["", "", "", "maxconn 99"], "99"),
    (["", "", "maxconn 55", ""], "55"),
    (["", "maxconn 55", "", ""], "55"),
    (["", "", "maxconn 55", "maxconn 99"], "99"),
    (["", "maxconn 55", "backlog 77", "maxconn 99"], "77"),
    (["maxconn 44", "", "", ""], "44"),
    (["maxconn 44", "", "maxconn 55", ""], "55"),
    (["maxconn 44", "", "backlog 0", ""], "44"),
];

#[test]
fn listeners_have_the_backlog_that_is_said() {
    for (number, ([global, defaults, frontend, bind], expected)) in BACKLOGS.iter().enumerate() {
        let config = CONFIG
            .replace("GLOBAL", global)
            .replace("DEFAULTS", defaults)
            .replace("FRONTEND", frontend)
            .replace("BIND", bind);
        let rig = Rig::start(&format!("backlog-{number}"), &config, Vec::new());
        let filter = format!("sport = :{}", rig.front.port());
        let output = Command::new("ss").args(["-Hltn", &filter]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let found: Vec<_> = text.lines().filter_map(|line| line.split_ascii_whitespace().nth(2)).collect();
        assert!(!found.is_empty() && found.iter().all(|backlog| backlog == expected), "{global}, {frontend}: {text}");
    }
}

#[test]
fn nobody_else_listens_where_that_is_said() {
    for (global, shares) in [("nbthread 2", true), ("nbthread 2\n    noreuseport", false)] {
        let front = "http-request return status 200";
        let config = CONFIG.replace("GLOBAL", global).replace("FRONTEND", front).replace("DEFAULTS", "");
        let rig = Rig::start(&format!("share-{shares}"), &config.replace("BIND", ""), Vec::new());
        // All of its threads still serve.
        for _ in 0..8 {
            let (answer, _) = talk(&rig, b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", false, BOUND);
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        }
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_reuse_address(true).unwrap();
        socket.set_reuse_port(true).unwrap();
        let bound = socket.bind(&rig.front.into()).and_then(|()| socket.listen(1));
        assert_eq!(bound.is_ok(), shares, "{global}: {bound:?}");
    }
}

/// Words of `global` and whether the proxy starts where 1,000 files are all there may be.
const LIMITS: &[(&str, bool)] = &[
    ("strict-limits\n    maxconn 5000", false),
    ("no strict-limits\n    maxconn 5000", true),
    ("ulimit-n 5000", false),
    ("strict-limits\n    ulimit-n 5000", false),
    ("no strict-limits\n    ulimit-n 5000", true),
];

#[test]
fn limits_that_cannot_be_had_end_the_start() {
    let file = std::env::temp_dir().join(format!("proxy-limits-{}.cfg", std::process::id()));
    for (global, starts) in LIMITS {
        let text = CONFIG.replace("GLOBAL", global).replace("{front}", &free_address().to_string());
        let text = text.replace("BIND", "").replace("DEFAULTS", "").replace("FRONTEND", "");
        std::fs::write(&file, text).unwrap();
        let said = file.with_extension("said");
        let mut child = Command::new("setpriv")
            .args(["--bounding-set=-sys_resource", "--inh-caps=-sys_resource", "sh", "-c"])
            .arg("ulimit -n 1000; exec \"$0\" -db -f \"$1\"")
            .arg(Subject::from_env().proxy().unwrap())
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&said).unwrap())
            .spawn()
            .unwrap();
        let told = || std::fs::read_to_string(&said).unwrap().contains("Cannot raise FD limit to").then_some(());
        wait::until("the limit is told of", BOUND, told).unwrap();
        if *starts {
            let text = std::fs::read_to_string(&said).unwrap();
            assert!(text.contains("[WARNING]"), "{global}: {text}");
            child.kill().unwrap();
            child.wait().unwrap();
        } else {
            assert_eq!(child.wait().unwrap().code(), Some(1), "{global}");
        }
    }
    std::fs::remove_file(file.with_extension("said")).unwrap();
    std::fs::remove_file(file).unwrap();
}

/// `http-err-codes` and `http-fail-codes` of haproxy 3.x, and what the statuses 404, 410, 500, 501 and 503 then count as.
const STATUSES: &[(&str, &str)] = &[
    ("", "http_err_cnt=2 http_fail_cnt=2"),
    ("http-err-codes 400-499 -404", "http_err_cnt=1 http_fail_cnt=2"),
    ("http-err-codes -400-405,410", "http_err_cnt=0 http_fail_cnt=2"),
    ("http-err-codes +500-503", "http_err_cnt=5 http_fail_cnt=2"),
    ("http-err-codes 410 +501", "http_err_cnt=2 http_fail_cnt=2"),
    ("http-fail-codes 501\n    http-err-codes 499", "http_err_cnt=0 http_fail_cnt=1"),
    ("http-fail-codes +501,404 -503", "http_err_cnt=2 http_fail_cnt=3"),
];

#[test]
fn statuses_count_as_is_said() {
    if Subject::from_env() == Subject::Theirs {
        return;
    }
    let front = "http-request track-sc0 src table counts\n    default_backend b";
    for (number, (global, expected)) in STATUSES.iter().enumerate() {
        let config = CONFIG.replace("GLOBAL", &format!("stats socket {{runtime}} level admin\n    {global}"));
        let mut config = config.replace("FRONTEND", front).replace("BIND", "").replace("DEFAULTS", "");
        config += "backend counts\n    stick-table type ip size 10 store http_err_cnt,http_fail_cnt\n";
        config += "backend b\n    server s {server}\n";
        let (mut errors, mut failures) = (0, 0);
        for status in [404, 410, 500, 501, 503] {
            let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
            let rig = Rig::start(&format!("statuses-{number}-{status}"), &config, answering(answer.as_bytes()));
            let mut client = rig.connect();
            write!(client, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").unwrap();
            let (answer, _) = super::rig::read_all(&mut client, BOUND);
            assert!(answer.contains(&status.to_string()), "{answer}");
            let table = rig.command("show table counts");
            let number = |name: &str| {
                let found = table.split_ascii_whitespace().find_map(|word| word.strip_prefix(name));
                found.map_or(0, |number| number.parse::<u32>().unwrap())
            };
            errors += number("http_err_cnt=");
            failures += number("http_fail_cnt=");
        }
        assert_eq!(format!("http_err_cnt={errors} http_fail_cnt={failures}"), *expected, "{global}");
    }
}
