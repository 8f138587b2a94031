//! The runtime socket: counters that are cleared, what commands on stick tables answer, and to whom.

use super::rig::{BOUND, Rig, Step, command, read_all, talk};
use integration_tests::subject::Subject;
use integration_tests::wait;
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

const QUIET: Duration = Duration::from_millis(100);

const COUNTERS: &str = "
global
    stats socket {runtime} level admin
    stats socket {runtime}-operator level operator
    stats socket {runtime}-user level user
    nbthread 2
defaults
    mode http
    timeout client 5s
    timeout server 5s
    timeout connect 1s
    timeout queue 100ms
    option socket-stats
frontend fe
    bind {front}
    http-request deny if { path /deny }
    http-request return status 200 if { path /own }
    use_backend dead if { path /dead }
    use_backend lim if { path /slow }
    default_backend be
backend be
    server s1 {server}
    server s2 {dead} check inter 100
backend dead
    retries 1
    server d1 {dead}
backend lim
    server l1 {server} maxconn 1
";

/// Columns of what there was at most.
const HIGHEST: [&str; 9] =
    ["smax", "qmax", "rate_max", "req_rate_max", "conn_rate_max", "qtime_max", "ctime_max", "rtime_max", "ttime_max"];

/// Columns of what was counted.
const COUNTED: [&str; 32] = [
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
    "chkfail",
    "chkdown",
    "lbtot",
    "hrsp_1xx",
    "hrsp_2xx",
    "hrsp_3xx",
    "hrsp_4xx",
    "hrsp_5xx",
    "hrsp_other",
    "req_tot",
    "cli_abrt",
    "srv_abrt",
    "conn_tot",
    "intercepted",
    "dcon",
    "dses",
    "wrew",
    "connect",
    "reuse",
    "eint",
    "qtime",
    "ttime",
];

/// Columns of what is.
const IS: [&str; 7] = ["scur", "slim", "status", "weight", "act", "bck", "addr"];

/// The statistics by row and column.
type Statistics = BTreeMap<(String, String), String>;

fn statistics(rig: &Rig) -> Statistics {
    let text = rig.command("show stat");
    let mut lines = text.lines().filter(|line| !line.is_empty());
    let columns: Vec<&str> = lines.next().unwrap().trim_start_matches("# ").split(',').collect();
    let rows = lines.flat_map(|line| {
        let values: Vec<&str> = line.split(',').collect();
        let row = format!("{}/{}", values[0], values[1]);
        let cells: Vec<_> = columns
            .iter()
            .zip(&values)
            .map(|(column, value)| ((row.clone(), (*column).to_owned()), (*value).to_owned()))
            .collect();
        cells
    });
    rows.collect()
}

fn of<'s>(statistics: &'s Statistics, columns: &[&str]) -> BTreeMap<&'s (String, String), &'s String> {
    statistics.iter().filter(|((_, column), _)| columns.contains(&column.as_str())).collect()
}

fn is_nothing(value: &str) -> bool {
    value.is_empty() || value == "0"
}

fn number(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap();
    line.parse().unwrap()
}

/// A request whose connection ends with the answer.
fn request(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
}

#[test]
fn counters_are_cleared_over_all_threads() {
    let script = vec![
        Step::ReadMessage,
        Step::Write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok".to_vec()),
        Step::Close,
    ];
    let rig = Rig::start("counters", COUNTERS, script);
    let is_down = || (statistics(&rig)[&("be/s2".into(), "status".into())] == "DOWN").then_some(());
    wait::until("the server is down", BOUND, is_down).unwrap();
    for _ in 0..16 {
        assert!(talk(&rig, request("/").as_bytes(), false, BOUND).0.starts_with("HTTP/1.1 200 "));
    }
    for (path, status) in [("/deny", "403"), ("/own", "200"), ("/dead", "503")] {
        let (answer, _) = talk(&rig, request(path).as_bytes(), false, BOUND);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
    }
    let mut held = rig.connect();
    held.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert!(read_all(&mut held, QUIET).0.starts_with("HTTP/1.1 200 "));
    // Rates are of the last second: they would begin anew with it.
    let user = format!("{}-user", rig.runtime().display());
    assert_eq!(command(user.as_ref(), "show startup-logs"), "Permission denied\n\n");
    let quiet = || {
        let now = statistics(&rig);
        let rates = ["rate", "req_rate", "conn_rate"];
        of(&now, &rates).values().all(|value| is_nothing(value)).then_some(now)
    };
    let before = wait::until("no more requests", BOUND, quiet).unwrap();
    let front = |statistics: &Statistics, column: &str| statistics[&("fe/FRONTEND".into(), column.into())].clone();
    for column in ["smax", "rate_max", "req_rate_max", "conn_rate_max", "hrsp_2xx", "hrsp_4xx", "hrsp_5xx", "dreq"] {
        assert!(!is_nothing(&front(&before, column)), "{column}");
    }
    assert_eq!(front(&before, "stot"), "20");
    let cumulated = number(&rig.command("show info"), "CumReq");

    assert_eq!(rig.command("clear counters"), "\n");
    let after = statistics(&rig);
    for (cell, value) in of(&after, &HIGHEST) {
        assert!(is_nothing(value), "{cell:?}: {value}");
    }
    assert_eq!(of(&after, &COUNTED), of(&before, &COUNTED));
    assert_eq!(of(&after, &IS), of(&before, &IS));

    assert_eq!(rig.command("clear counters all"), "\n");
    let after = statistics(&rig);
    for (cell, value) in of(&after, &HIGHEST).into_iter().chain(of(&after, &COUNTED)) {
        assert!(is_nothing(value), "{cell:?}: {value}");
    }
    for (cell, value) in of(&after, &["lastsess"]) {
        assert!(value.is_empty() || value == "-1", "{cell:?}: {value}");
    }
    assert_eq!(of(&after, &IS), of(&before, &IS), "what is there stays");
    assert_eq!(front(&after, "scur"), "1");
    assert!(number(&rig.command("show info"), "CumReq") >= cumulated, "the process counts on");

    assert!(talk(&rig, request("/").as_bytes(), false, BOUND).0.starts_with("HTTP/1.1 200 "));
    let counted = || (front(&statistics(&rig), "req_tot") == "1").then_some(());
    wait::until("it counts anew", BOUND, counted).unwrap();
    assert_eq!(front(&statistics(&rig), "smax"), "2");
}

/// A socket of a level.
fn as_level(rig: &Rig, level: &str, line: &str) -> String {
    let path = rig.runtime();
    let path = if level == "admin" { path } else { path.with_file_name(format!("runtime-{level}")) };
    command(&path, line)
}

#[test]
fn levels_are_held() {
    let rig = Rig::start("levels", COUNTERS, vec![Step::ReadToEnd]);
    let (ok, denied, no_id) = ("\n", "Permission denied\n\n", "Session pointer expected (use 'show sess').\n\n");
    for (line, user, operator, admin) in [
        ("clear counters", denied, ok, ok),
        ("clear counters x", denied, ok, ok),
        ("clear counters all", denied, denied, ok),
        ("clear counters all x", denied, denied, ok),
        ("show sess 0x7fffffffffffff00", denied, "Session not found.\n\n", "Session not found.\n\n"),
        ("shutdown session", denied, denied, no_id),
        ("shutdown session 0", denied, denied, no_id),
    ] {
        assert_eq!(as_level(&rig, "user", line), user, "{line}");
        assert_eq!(as_level(&rig, "operator", line), operator, "{line}");
        assert_eq!(as_level(&rig, "admin", line), admin, "{line}");
    }
    assert!(as_level(&rig, "user", "show sess all").starts_with("Permission denied\n"));
}

/// Whatever comes on the socket, others are answered, and the one who sent it is let go.
#[test]
fn nonsense_harms_nobody() {
    let rig = Rig::start("nonsense", COUNTERS, vec![Step::ReadToEnd]);
    let long = "x".repeat(40_000);
    let many = "show sess;".repeat(1_000);
    for line in [
        "",
        ";",
        ";;;; ;",
        "\\",
        "\\;\\\\\\",
        "\0\0\0",
        "show sess \0",
        "clear counters \0all",
        "shutdown session \u{202e}",
        "show sess all all all all all all all all all all all all all all all all all all all all all all all all",
        &many,
        &many[..many.len() - 3],
        &long,
        &format!("show sess {long}"),
        &format!("shutdown session 0x{long}"),
        &format!("clear counters {long}"),
    ] {
        if Subject::from_env() == Subject::Theirs && (line.ends_with('\\') || line.len() > 16_384) {
            // Haproxy may wait for the rest of either until its timeout.
            continue;
        }
        let mut socket = UnixStream::connect(rig.runtime()).unwrap();
        socket.set_read_timeout(Some(BOUND)).unwrap();
        // It may be refused before it is written.
        let _ = socket.write_all(line.as_bytes()).and_then(|()| socket.write_all(b"\n"));
        let mut answer = Vec::new();
        let end = socket.read_to_end(&mut answer);
        let in_time = |error: &std::io::Error| !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
        let end = end.map_or_else(|error| in_time(&error).then_some(()).ok_or(error), |_| Ok(()));
        assert!(end.is_ok(), "{line:.40}: {end:?}");
        assert!(rig.command("show info").contains("\nPid: "), "{line:.40}");
    }
    // Half a line, and gone.
    UnixStream::connect(rig.runtime()).unwrap().write_all(b"show se").unwrap();
    assert!(rig.command("show info").contains("\nPid: "));
}

const TABLES: &str = "
global
    stats socket {runtime} level admin
    stats socket {runtime}-user level user
    nbthread 2
frontend fe
    mode http
    timeout client 5s
    bind {front}
backend ip
    stick-table type ip size 10 expire 60s store gpc0,gpc0_rate(5s),conn_cur
backend ip6
    stick-table type ipv6 size 10 expire 60s store gpc0
backend text
    stick-table type string len 8 size 10 expire 60s store gpt(2),gpc(3),server_id
backend bytes
    stick-table type binary len 8 size 10 expire 60s store gpc0
backend number
    stick-table type integer size 10 expire 60s store gpc0
";

const SHOW: &str = "Optional argument only supports \"data.<store_data_type>\" <operator> <value> and key <key>";
const CLEAR: &str = "Required arguments: <table> \"data.<store_data_type>\" <operator> <value> or <table> key <key>";
const SET: &str = "Required arguments: <table> key <key> [data.<store_data_type> <value>]*";
const ENTRY: &str = "# table: ip, type: ip, size:10, used:1\n0x: key=1.2.3.4 use=0 exp=T gpc0=";

/// Commands in order, and what they answer.
const TABLE_COMMANDS: &[(&str, &str)] = &[
    ("show table nope", "No such table"),
    ("show table ip x", SHOW),
    ("show table ip key", "Key value expected"),
    ("show table number key x", "Invalid key"),
    ("show table ip key 1.2.3.4", ""),
    ("set table ip key 1.2.3.4 data.gpc0 5 data.gpc0_rate 7", ""),
    ("show table ip key 1.2.3.4 x", "{entry}5 gpc0_rate(5000)=7 conn_cur=0"),
    ("show table ip data.gpc0 gt 4", "{entry}5 gpc0_rate(5000)=7 conn_cur=0"),
    ("show table ip data.gpc0 gt 4 data.gpc0_rate gt 7", "# table: ip, type: ip, size:10, used:1"),
    (
        "show table ip data.gpc0",
        "Filter entry #1: Require and operator among \"eq\", \"ne\", \"le\", \"ge\", \"lt\", \"gt\"",
    ),
    (
        "show table ip data.gpc0 xx 1",
        "Filter entry #1: Require and operator among \"eq\", \"ne\", \"le\", \"ge\", \"lt\", \"gt\"",
    ),
    ("show table ip data.gpc0 gt", "Filter entry #1: Require a valid integer value to compare against"),
    ("show table ip data.gpc0 gt 4x", "Filter entry #1: Require a valid integer value to compare against"),
    ("show table ip data.nope gt 4", "Filter entry #1: Unknown data type"),
    ("show table ip data. gt 4", "Filter entry #1: Unknown data type"),
    ("show table ip data.gpc1 gt 4", "Filter entry #1: Data type not stored in this table"),
    ("show table ip data.gpc0 gt 1 key 1.2.3.4", "Filter entry #2: Unknown data type"),
    ("clear table", CLEAR),
    ("clear table nope", "No such table"),
    ("clear table ip x", CLEAR),
    ("clear table ip key", "Key value expected"),
    ("clear table ip key 9.9.9.9", ""),
    (
        "clear table ip data.gpc0",
        "Filter entry #1: Require and operator among \"eq\", \"ne\", \"le\", \"ge\", \"lt\", \"gt\"",
    ),
    ("clear table ip data.nope eq 1", "Filter entry #1: Unknown data type"),
    ("clear table ip data.gpc0 eq 6", ""),
    ("show table ip", "{entry}5 gpc0_rate(5000)=7 conn_cur=0"),
    (
        "clear table bytes key ab",
        "Removing keys from tables of type other than ip, ipv6, string and integer is not supported",
    ),
    ("set table", SET),
    ("set table nope", "No such table"),
    ("set table ip x", SET),
    ("set table ip data.gpc0 5", "content-based lookup is only supported with the \"show\" and \"clear\" actions"),
    ("set table ip key", "Key value expected"),
    ("set table ip key 1.2.3.4 data.gpc0", "Require a valid integer value to store"),
    ("set table ip key 1.2.3.4 data.gpc0 5x", "Require a valid integer value to store"),
    ("set table ip key 1.2.3.4 gpc0 5", "\"data.<type>\" followed by a value expected"),
    ("set table ip key 1.2.3.4 data.gpc1 5", "Data type not stored in this table"),
    ("set table ip key 1.2.3.4 data.nope 5", "Unknown data type"),
    ("set table ip6 key zz", "Invalid key"),
    ("set table number key x", "Invalid key"),
    ("set table number key -5", "Invalid key"),
    ("set table number key 99999999999", "Invalid key"),
    (
        "set table bytes key ab",
        "Inserting keys into tables of type other than ip, ipv6, string and integer is not supported",
    ),
    ("show table ip", "{entry}5 gpc0_rate(5000)=7 conn_cur=0"),
    ("set table ip", ""),
    ("show table ip", "# table: ip, type: ip, size:10, used:0"),
];

#[test]
fn tables_answer_mistakes_as_haproxy_does() {
    let rig = Rig::start("tables", TABLES, Vec::new());
    let blur = |answer: &str| {
        let lines = answer.lines().map(|line| {
            let words = line.split(' ').map(|word| match word {
                _ if word.starts_with("exp=") => "exp=T",
                _ if word.starts_with("0x") => "0x:",
                _ => word,
            });
            words.collect::<Vec<_>>().join(" ")
        });
        lines.map(|line| line + "\n").collect::<String>()
    };
    for (line, expected) in TABLE_COMMANDS {
        let expected = expected.replace("{entry}", ENTRY);
        let expected = if expected.is_empty() { "\n".to_owned() } else { format!("{expected}\n\n") };
        assert_eq!(blur(&rig.command(line)), expected, "{line}");
    }
    rig.command("set table ip key 1.2.3.4");
    for (line, expected) in [
        (
            "show table ip",
            "# table: ip, type: ip, size:10, used:1\n# contents not dumped due to insufficient privileges\n\n",
        ),
        ("show table ip key", "Key value expected\n\n"),
        ("show table ip key 1.2.3.4", "Permission denied\n\n"),
        ("set table number key x", "Invalid key\n\n"),
        ("clear table ip key 1.2.3.4", "Permission denied\n\n"),
        ("set table ip key 1.2.3.4 data.gpc0 1", "Permission denied\n\n"),
        ("clear table ip", "\n"),
        ("set table ip", "\n"),
    ] {
        assert_eq!(as_level(&rig, "user", line), expected, "{line}");
    }
    assert!(rig.command("show table ip").contains("used:1\n"), "users change nothing");
    // Too long a name or key is one that is not known.
    let long = "x".repeat(8_000);
    assert_eq!(rig.command(&format!("show table {long}")), "No such table\n\n");
    assert_eq!(rig.command(&format!("set table number key {long}")), "Invalid key\n\n");
    assert_eq!(rig.command(&format!("show table ip data.{long} gt 1")), "Filter entry #1: Unknown data type\n\n");
    if Subject::from_env() == Subject::Ours {
        // Haproxy makes a key of each.
        for line in ["set table ip key x", "set table ip key 1.1.1", "show table ip key ::1", "set table number key 5x"]
        {
            assert_eq!(rig.command(line), "Invalid key\n\n", "{line}");
        }
    }
}

/// What was said about the configuration in force, without the numbers of processes and haproxy's lines about itself.
fn startup_logs(rig: &Rig) -> Vec<String> {
    let answer = rig.command("show startup-logs");
    assert!(answer.ends_with("\n\n"), "{answer:?}");
    let lines = answer.lines().filter(|line| !line.starts_with("[NOTICE]") && !line.is_empty());
    let text = |line: &str| line.split_once(") : ").map_or(line, |(_, text)| text).replace(&*rig.file(), "FILE");
    let mut lines: Vec<_> = lines.map(text).collect();
    // haproxy reads rules before it reviews the section.
    lines.sort();
    lines
}

#[test]
fn what_was_said_at_the_start_can_be_read_later() {
    let config = "global\n    stats socket {runtime} level operator\n    stats socket {runtime}-user level user\ndefaults\n    mode http\n    timeout client 1s\n    timeout server 1s\n    \
                  timeout connect 1s\nfrontend fe\n    bind {front}\n    http-request deny\n    http-request allow\n    log-format x\n";
    let rig = Rig::start("startup-logs", config, Vec::new());
    let noop = "config : parsing [FILE:12]: previous 'http-request' action is final and has no condition attached, further entries are NOOP.";
    let log = "config : log format ignored for frontend 'fe' since it has no log address.";
    assert_eq!(startup_logs(&rig), [log, noop]);
    let quiet =
        Rig::start("startup-silent", &config.replace("    http-request allow\n    log-format x\n", ""), Vec::new());
    assert_eq!(quiet.command("show startup-logs"), "\n\n");
    if Subject::from_env() == Subject::Ours {
        // haproxy has a new process for a new configuration.
        rig.reload(|text| text.replace("    log-format x\n", ""), |rig| startup_logs(rig).len() == 1);
        assert_eq!(startup_logs(&rig), [noop]);
    }
}

/// `show errors` without dates, ports, sizes of buffers, and the lines about haproxy's own states.
fn shown_errors(rig: &Rig, filter: &str) -> String {
    let answer = rig.command(&format!("show errors {filter}"));
    let blur = |line: &str| -> Option<String> {
        let line = match (line.find('['), line.find(']')) {
            (Some(start), Some(end)) => format!("{}[DATE]{}", &line[..start], &line[end + 1..]),
            _ => line.to_owned(),
        };
        let line = line.split(", src ").next().unwrap_or_default().replace("wraps at 16336", "wraps at 16384");
        (!line.trim_start().starts_with("H1 ")).then_some(line)
    };
    answer.lines().filter_map(blur).flat_map(|line| [line, "\n".to_owned()]).collect()
}

#[test]
fn what_is_no_message_is_kept_for_operators() {
    let config = COUNTERS.replace("    default_backend be\n", "    default_backend lim\n");
    let script =
        vec![Step::ReadMessage, Step::Write(b"HTTP/1.1 2x0 OK\r\n\ta\x1b\\\xff\r\n\r\n".to_vec()), Step::Close];
    let rig = Rig::start("errors", &config, script);
    assert_eq!(shown_errors(&rig, ""), "Total events captured on [DATE] : 0\n\n");
    for request in
        ["GET /a\x01 HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET /foo\0bar HTTP/1.1\r\n\r\n"]
    {
        let (answer, _) = talk(&rig, request.as_bytes(), false, QUIET);
        assert!(answer.starts_with("HTTP/1.1 400 ") || answer.starts_with("HTTP/1.1 502 "), "{answer}");
    }
    let [fe, lim] = ["fe/FRONTEND", "lim/BACKEND"].map(|row| statistics(&rig)[&(row.into(), "iid".into())].clone());
    let request = format!(
        " \n[DATE] frontend fe (#{fe}): invalid request\n  backend <NONE> (#-1), server <NONE> (#-1), event #2\n  buffer starts \
         at 0 (including 0 out), 16359 free,\n  len 25, wraps at 16384, error at position 8\n  \n  00000  GET \
         /foo\\x00bar HTTP/1.1\\r\\n\n  00023  \\r\\n\n"
    );
    let response = format!(
        " \n[DATE] backend lim (#{lim}): invalid response\n  frontend fe (#{fe}), server l1 (#1), event #1\n  buffer starts at 0 \
         (including 0 out), 16358 free,\n  len 26, wraps at 16384, error at position 10\n  \n  00000  HTTP/1.1 2x0 \
         OK\\r\\n\n  00017  \\ta\\e\\\\\\xFF\\r\\n\n  00024  \\r\\n\n"
    );
    let total = "Total events captured on [DATE] : 3\n";
    for (filter, shown) in [
        ("", [&*request, &response].concat()),
        ("-1 request", request.clone()),
        ("lim request", String::new()),
        ("lim", response.clone()),
        (&lim, response.clone()),
        ("fe response", response.clone()),
    ] {
        assert_eq!(shown_errors(&rig, filter), format!("{total}{shown}\n"), "{filter}");
    }
    assert_eq!(rig.command("show errors none"), "No such proxy.\n\n");
    let user = format!("{}-user", rig.runtime().display());
    assert_eq!(command(user.as_ref(), "show errors"), "Permission denied\n\n");
}
