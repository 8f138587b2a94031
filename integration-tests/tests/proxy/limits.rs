//! Sizes that `tune.…` gives: heads, their fields, what is logged of a request line, captured cookies, chunks, files that are sent.

use super::rig::{Rig, Step, answering, talk};
use integration_tests::subject::Subject;
use std::io::Write;
use std::time::Duration;

const CONFIG: &str = "
global
    log {log} len 65000 local0
    TUNE
defaults
    mode http
    log global
    option dontlognull
    timeout client 2s
    timeout server 2s
    timeout connect 1s
frontend fe
    bind {front}
    LINES
    default_backend be
backend be
    server s {server}
";

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const QUIET: Duration = Duration::from_millis(100);

fn start(name: &str, tune: &str, lines: &str, script: Vec<Step>) -> Rig {
    let lines = lines.replace('\n', "\n    ");
    Rig::start(name, &CONFIG.replace("TUNE", &tune.replace('\n', "\n    ")).replace("LINES", &lines), script)
}

fn theirs() -> bool {
    Subject::from_env() == Subject::Theirs
}

/// The status of what is answered.
fn status(rig: &Rig, request: &str) -> String {
    let (answer, _) = talk(rig, request.as_bytes(), false, QUIET);
    answer.split(' ').nth(1).unwrap_or("nothing").to_owned()
}

/// A message whose head has so many bytes, in one field.
fn long(first_lines: &str, size: usize) -> String {
    let around = first_lines.len() + "x: \r\n\r\n".len();
    format!("{first_lines}x: {}\r\n\r\n", "a".repeat(size - around))
}

fn long_request(size: usize) -> String {
    long("GET / HTTP/1.1\r\nHost: h\r\n", size)
}

/// The words, and the most bytes of a head. haproxy keeps heads in another form, in which they are a little longer.
const HEADS: &[(&str, usize)] = &[
    ("", 15_360),
    ("tune.bufsize 4096", 3_072),
    ("tune.bufsize 65536", 64_512),
    ("tune.bufsize 16385", 15_376),
    ("tune.bufsize 4096\ntune.maxrewrite 0", 4_096),
    ("tune.bufsize 4096\ntune.maxrewrite 3000", 2_048),
    ("tune.maxrewrite 16384", 8_192),
    ("tune.bufsize 1024", 512),
];

#[test]
fn heads_fit_into_a_buffer() {
    let (most_of_theirs, too_long) = if theirs() { (87, "400") } else { (0, "431") };
    for (number, (tune, room)) in HEADS.iter().enumerate() {
        let room = room - most_of_theirs;
        let rig = start(&format!("heads-{number}"), tune, "", answering(OK));
        assert_eq!(status(&rig, &long_request(room)), "200", "{tune}");
        assert_eq!(status(&rig, &long_request(room + 1)), too_long, "{tune}");
        for (size, expected) in [(room, "200"), (room + 1, "502")] {
            let answer = long("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", size);
            let rig = start(&format!("answers-{number}-{expected}"), tune, "", answering(answer.as_bytes()));
            assert_eq!(status(&rig, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"), expected, "{tune}, {size}");
        }
    }
}

#[test]
fn heads_have_so_many_fields() {
    for (tune, most) in [("", 100), ("tune.http.maxhdr 10", 9), ("tune.http.maxhdr 300", 299)] {
        let fields = |count: usize| (0..count).map(|number| format!("x{number}: 1\r\n")).collect::<Vec<_>>().concat();
        let rig = start(&format!("fields-{most}"), tune, "", answering(OK));
        for (count, expected) in [(most, "200"), (most + 1, "400")] {
            let request = format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", fields(count - 1));
            assert_eq!(status(&rig, &request), expected, "{tune}, {count} fields");
        }
        for (count, expected) in [(most, "200"), (most + 1, "502")] {
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{}\r\n", fields(count - 1));
            let rig = start(&format!("fields-{most}-{expected}"), tune, "", answering(answer.as_bytes()));
            assert_eq!(status(&rig, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"), expected, "{tune}, {count} fields");
        }
    }
}

/// The words, bytes of a request line, and bytes that are logged of line, target and version.
const LINES: &[(&str, usize, [usize; 3])] = &[
    ("", 1_022, [1_022, 1_009, 8]),
    ("", 1_023, [1_023, 1_010, 8]),
    ("", 1_024, [1_023, 1_011, 7]),
    ("", 3_000, [1_023, 1_019, 8]),
    ("tune.http.logurilen 30", 29, [29, 16, 8]),
    ("tune.http.logurilen 30", 30, [30, 17, 8]),
    ("tune.http.logurilen 30", 31, [30, 18, 7]),
    // The version is lost: HTTP/0.9.
    ("tune.http.logurilen 30", 1_000, [30, 26, 8]),
    ("tune.http.logurilen 5000", 3_000, [3_000, 2_987, 8]),
];

#[test]
fn so_much_of_a_request_line_is_logged() {
    for (number, (tune, size, expected)) in LINES.iter().enumerate() {
        let lines = "log-format \"%r %HU %HV\"";
        let rig = start(&format!("line-{number}"), tune, lines, answering(OK));
        let target = format!("/{}", "u".repeat(size - "GET / HTTP/1.1".len()));
        assert_eq!(status(&rig, &format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n")), "200");
        let line = rig.log_text(true).unwrap();
        let (_, text) = line.split_once('>').unwrap();
        let words: Vec<_> = text.trim().rsplitn(3, ' ').collect();
        assert_eq!([words[2].len(), words[1].len(), words[0].len()], *expected, "{tune}, {size}: {text}");
    }
}

#[test]
fn so_much_of_a_cookie_is_captured() {
    for (tune, length, expected) in [
        ("", 20, 20),
        ("", 200, 63),
        ("tune.http.cookielen 10", 20, 10),
        ("tune.http.cookielen 100", 20, 20),
        ("tune.http.cookielen 100", 200, 100),
    ] {
        let lines = format!("capture cookie SID len {length}\nlog-format %CC");
        let rig = start(&format!("cookie-{expected}-{length}"), tune, &lines, answering(OK));
        let cookie = format!("SID={}", "c".repeat(300));
        assert_eq!(status(&rig, &format!("GET / HTTP/1.1\r\nHost: h\r\nCookie: {cookie}\r\n\r\n")), "200");
        let line = rig.log_text(true).unwrap();
        let (_, text) = line.rsplit_once('>').unwrap();
        assert_eq!(text.trim(), &cookie[..expected], "{tune}, len {length}");
    }
}

/// The word, a number of bytes, what is set, and which of the variables have a value then.
const VARIABLES: &[(&str, &str, &str)] = &[
    ("txn-max-size 70", "txn.a=str(aaaaaaaaaa)", ""),
    ("txn-max-size 90", "txn.a=str(aaaaaaaaaa)", "txn.a"),
    ("txn-max-size 150", "txn.a=int(5) txn.b=int(6) req.c=bool(1)", "txn.a"),
    ("txn-max-size 0", "txn.a=str(aaa)", "txn.a"),
    ("txn-max-size 100", "txn.a=str(aaa) txn.b=str(bbb) req.c=str(ccc) sess.d=str(ddd)", "txn.a sess.d"),
    ("sess-max-size 100", "txn.a=str(aaa) txn.b=str(bbb) req.c=str(ccc) sess.d=str(ddd)", "txn.a"),
    ("reqres-max-size 50", "txn.a=str(aaa) txn.b=str(bbb) req.c=str(ccc) sess.d=str(ddd)", "txn.a txn.b sess.d"),
    // One is changed in its own place.
    ("txn-max-size 100", "txn.a=str(aaa) txn.a=str(bbbb)", "txn.a"),
];

#[test]
fn variables_take_so_much() {
    for (number, (tune, set, expected)) in VARIABLES.iter().enumerate() {
        let rules = set.split(' ').map(|one| {
            let (name, value) = one.split_once('=').unwrap();
            format!("http-request set-var({name}) {value}\n")
        });
        let shown = ["txn.a", "txn.b", "req.c", "sess.d"].map(|name| format!("hdr {name} \"%[var({name})]\""));
        let lines = format!("{}http-request return status 200 {}", rules.collect::<Vec<_>>().concat(), shown.join(" "));
        let rig = start(&format!("variables-{number}"), &format!("tune.vars.{tune}"), &lines, answering(OK));
        let (answer, _) = talk(&rig, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", false, QUIET);
        let fields = answer.lines().filter_map(|line| line.split_once(": "));
        let found = fields.filter(|(name, value)| name.contains('.') && !value.is_empty()).map(|(name, _)| name);
        assert_eq!(found.collect::<Vec<_>>().join(" "), *expected, "{tune}: {set}");
    }
}

/// The words, bytes of a line of a chunk or of the trailers, and the status.
const CHUNKS: &[(&str, usize, &str)] = &[
    ("", 15_000, "200"),
    ("", 17_000, "400"),
    ("tune.bufsize 4096", 3_000, "200"),
    ("tune.bufsize 4096", 5_000, "400"),
    ("tune.bufsize 4096", 17_000, "400"),
    ("tune.bufsize 65536", 17_000, "200"),
    ("tune.bufsize 65536", 60_000, "200"),
    ("tune.bufsize 65536", 70_000, "400"),
];

#[test]
fn chunks_fit_into_a_buffer() {
    for lines in ["", "option http-buffer-request"] {
        for (number, (tune, size, expected)) in CHUNKS.iter().enumerate() {
            let name = format!("chunks-{number}-{}", lines.len());
            let more = "e".repeat(*size);
            for (body, end) in [
                (format!("3;{more}\r\nabc\r\n0\r\n\r\n"), "0\r\n\r\n"),
                (format!("3\r\nabc\r\n0\r\nx: {more}\r\n\r\n"), "e\r\n\r\n"),
            ] {
                let script = vec![Step::ReadUntil(end), Step::Write(OK.to_vec()), Step::Close];
                let rig = start(&name, tune, lines, script);
                let request = format!("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
                let found = status(&rig, &request);
                assert_eq!(found, *expected, "{tune}, {lines}, {size}: {}", &body[..9]);
            }
        }
    }
}

/// The words, bytes of a body, and how many of them rules see.
const BODIES: &[(&str, usize, bool)] = &[
    ("", 14_000, true),
    ("", 17_000, false),
    ("tune.bufsize 4096", 2_500, true),
    ("tune.bufsize 4096", 5_000, false),
    ("tune.bufsize 65536", 60_000, true),
    ("tune.bufsize 65536", 70_000, false),
];

#[test]
fn rules_see_what_a_buffer_holds_of_a_body() {
    for wait in ["option http-buffer-request", "http-request wait-for-body time 2s"] {
        for (number, (tune, size, whole)) in BODIES.iter().enumerate() {
            let lines = format!("{wait}\nhttp-request return status 200 hdr x-length \"%[req.body_len]\"");
            let rig = start(&format!("body-{number}-{}", wait.len()), tune, &lines, answering(OK));
            let mut client = rig.connect();
            write!(client, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {size}\r\n\r\n").unwrap();
            // Nobody reads what does not fit.
            let _ = client.write_all(&vec![b'b'; *size]);
            let (answer, _) = super::rig::read_all(&mut client, QUIET);
            let seen = answer.lines().find_map(|line| line.strip_prefix("x-length: ")).unwrap();
            assert_eq!(seen.parse::<usize>().unwrap() == *size, *whole, "{wait}, {tune}, {size}: {seen}");
        }
    }
}

#[test]
fn files_that_are_sent_fit_into_a_buffer() {
    let folder = std::env::temp_dir().join(format!("proxy-files-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("403.http");
    let body = "b".repeat(30_000);
    std::fs::write(&file, format!("HTTP/1.0 403 No\r\nContent-Length: {}\r\n\r\n{body}", body.len())).unwrap();
    let lines = format!("errorfile 403 {}\nhttp-request deny", file.display());
    let rig = start("files", "tune.bufsize 65536", &lines, answering(OK));
    let (answer, _) = talk(&rig, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", false, QUIET);
    assert!(answer.ends_with(&body), "{}", answer.len());
    std::fs::remove_dir_all(&folder).unwrap();
}
