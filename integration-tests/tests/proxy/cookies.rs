//! Persistence cookies as clients and servers really send them, and as nobody should: forged, cut, doubled, too long.
//!
//! `cookies.txt` has, for every mode and flag of `cookie`, what clients bring (`> …`), and below it what haproxy 2.6 made of it: the
//! server, the letters of the log, what the server got, what the client got. `BLESS=1 SUBJECT=theirs` asks haproxy anew.

use super::rig::{BOUND, Rig, Step, talk};
use integration_tests::clock;
use integration_tests::subject::Subject;
use std::fmt::Write as _;

const CONFIG: &str = "
global
    log {log} local0
    nbthread 1
defaults
    mode http
    log global
    option httplog
    timeout client 5s
    timeout server 5s
    timeout connect 1s
    balance first
frontend fe
    bind {front}
    default_backend be
backend be
    cookie SRV FLAGS
    server s1 {server} cookie A
    server s2 {server} cookie B
";

/// What stands for a long value.
const LONG: &str = "{long}";

/// A date as cookies have it: units of four seconds in five digits.
fn date(seconds: u64) -> String {
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let units = seconds.div_ceil(4);
    (0..5).rev().map(|place| char::from(digits[usize::try_from(units >> (6 * place) & 63).unwrap()])).collect()
}

/// The text of a case as it is sent.
fn filled(text: &str) -> Vec<u8> {
    let now = clock::since_epoch().as_secs();
    let text = text
        .replace("{recent}", &date(now - 60))
        .replace("{old}", &date(now - 7_200))
        .replace("{soon}", &date(now + 3_600))
        .replace("{far}", &date(now + 200_000))
        .replace(LONG, &"L".repeat(5_000))
        .replace("{tab}", "\t");
    // A byte above ASCII.
    text.chars().map(|character| u8::try_from(character).unwrap()).collect()
}

/// The same without what differs from one run to the next: dates, five digits behind a bar.
fn blurred(text: &str) -> String {
    let mut parts = text.split('|');
    let mut out = parts.next().unwrap_or_default().to_owned();
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || b"+/".contains(&byte);
    for part in parts {
        match part.split_at_checked(5) {
            // Zero is the date of no run.
            Some((date, rest)) if date.bytes().all(is_digit) && date != "AAAAA" => out.extend(["|date", rest]),
            Some(_) | None => out.extend(["|", part]),
        }
    }
    out.replace(&"L".repeat(5_000), LONG).replace('\t', "{tab}")
}

/// The lines of some fields, in their order.
fn fields(head: &str, names: &[&str]) -> String {
    let is_wanted = |line: &&str| names.iter().any(|name| line.to_ascii_lowercase().starts_with(name));
    let value = |line: &str| {
        let (name, value) = line.split_once(':').unwrap_or_default();
        let name = if names.len() > 1 { format!("{}: ", name.to_ascii_lowercase()) } else { String::new() };
        format!("[{name}{}]", value.trim_start())
    };
    let lines: Vec<String> = head.split("\r\n").filter(is_wanted).map(value).collect();
    if lines.is_empty() { "-".to_owned() } else { blurred(&lines.join(" ")) }
}

/// A client's request and what became of it.
fn ask(rig: &Rig, case: &str) -> String {
    let (method, cookies) = match case.strip_prefix("POST ") {
        Some(rest) => ("POST / HTTP/1.1\r\nContent-Length: 0\r\n", rest),
        None => ("GET / HTTP/1.1\r\n", case),
    };
    let mut request = format!("{method}Host: a\r\nConnection: close\r\n").into_bytes();
    for line in cookies.split(" && ").filter(|line| *line != "-") {
        request.extend_from_slice(b"Cookie: ");
        request.extend(filled(line));
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    let (answer, _) = talk(rig, &request, false, BOUND);
    let seen = rig.origin.message();
    let log = rig.log_line();
    let words: Vec<&str> = log.split(' ').collect();
    let (place, letters) = (words.get(1).copied().unwrap_or_default(), words.get(7).copied().unwrap_or_default());
    format!(
        "{} {} server {} client {}",
        place.trim_start_matches("be/"),
        letters.trim_start_matches("--"),
        fields(&seen, &["cookie"]),
        fields(&answer, &["set-cookie", "cache-control"]),
    )
}

/// A section of the file: flags, the fields of the response, and what clients bring.
fn run(section: &str) -> String {
    let mut lines = section.lines();
    let title = lines.next().unwrap_or_default();
    let (flags, response) = title.trim_start_matches("# ").split_once(" ; ").unwrap_or_default();
    let mut answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n".to_vec();
    for field in response.split(" && ").filter(|field| *field != "-") {
        answer.extend(filled(field));
        answer.extend_from_slice(b"\r\n");
    }
    answer.extend_from_slice(b"\r\n");
    let config = CONFIG.replace("FLAGS", flags.trim_start_matches("passive"));
    let rig = Rig::start("cookie", &config, vec![Step::ReadMessage, Step::Write(answer), Step::Close]);
    let mut out = format!("{title}\n");
    for case in lines.filter_map(|line| line.strip_prefix("> ")) {
        let _ = writeln!(out, "> {case}\n  {}", ask(&rig, case));
    }
    out + "\n"
}

#[test]
fn cookies_are_haproxys() {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/proxy/cookies.txt");
    let text = std::fs::read_to_string(golden).unwrap();
    let wanted: Vec<&str> = text.split_inclusive("\n\n").collect();
    let all: Vec<String> = wanted.iter().map(|section| run(section)).collect();
    if std::env::var_os("BLESS").is_some() && Subject::from_env() == Subject::Theirs {
        std::fs::write(golden, all.concat()).unwrap();
        return;
    }
    let mut different = String::new();
    for (got, wanted) in all.iter().zip(wanted) {
        let (mut title, mut case) = ("", "");
        for (got, wanted) in got.lines().zip(wanted.lines()) {
            match got.get(..2) {
                Some("# ") => title = got,
                Some("> ") => case = got,
                _ => {}
            }
            if got != wanted {
                let _ = writeln!(different, "{title}\n{case}\n{got}\nhaproxy:\n{wanted}");
            }
        }
    }
    assert!(different.is_empty(), "{different}");
    assert_eq!(all.concat(), text);
}
