//! Exchanges recorded from haproxy 2.6: two servers A and B that are up, one server C that is down.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::{
    Attempt, CookieMode, CookieRead, CookieSettings, CookieWrite, Edit, Found, Redispatch, cacheable, may_redispatch,
    read, write,
};
use crate::balance::farm::{Farm, FarmSettings};
use crate::balance::server_state::{AdminState, Running, ServerSettings, ServerState};
use crate::balance::{Algorithm, KeySource};

const NOW: u64 = 1_795_874_253;

fn farm_of(settings: FarmSettings, cookies: &[Option<&str>]) -> Arc<Farm> {
    let servers = cookies.iter().zip(1..).map(|(cookie, id)| {
        let cookie = cookie.map(str::to_owned);
        Arc::new(ServerState::new(ServerSettings { id, name: format!("s{id}"), cookie, ..ServerSettings::default() }))
    });
    Farm::new(settings, servers.collect())
}

fn farm(cookie: CookieSettings) -> Arc<Farm> {
    let farm =
        farm_of(FarmSettings { cookie: Some(cookie), ..FarmSettings::default() }, &[Some("A"), Some("B"), Some("C")]);
    farm.set_running(2, Running::Down);
    farm
}

fn settings(mode: &str) -> CookieSettings {
    let mut settings = CookieSettings { name: "SRV".into(), ..CookieSettings::default() };
    for word in mode.split('-') {
        match word {
            "passive" => settings.mode = CookieMode::Passive,
            "rewrite" => settings.mode = CookieMode::Rewrite,
            "insert" => settings.mode = CookieMode::Insert,
            "prefix" => settings.mode = CookieMode::Prefix,
            "indirect" => settings.indirect = true,
            "preserve" => settings.preserve = true,
            "nocache" => settings.nocache = true,
            "postonly" => settings.postonly = true,
            "attributes" => {
                settings.domains = vec![".a.b".into(), ".c".into()];
                settings.httponly = true;
                settings.secure = true;
                settings.attributes = vec!["SameSite=Lax".into(), "q=1".into()];
            }
            "dated" => {
                settings.indirect = true;
                settings.max_idle = Some(Duration::from_mins(30));
                settings.max_life = Some(Duration::from_hours(8));
            }
            other => panic!("unknown word {other}"),
        }
    }
    settings
}

fn lines(column: &str) -> Vec<Vec<u8>> {
    if column == "-" { Vec::new() } else { column.split('¦').map(|line| line.as_bytes().to_vec()).collect() }
}

fn apply(mut lines: Vec<Vec<u8>>, edits: &[Edit]) -> Vec<Vec<u8>> {
    let mut removed = BTreeSet::new();
    for edit in edits {
        match &edit.value {
            Some(value) => lines[edit.line].clone_from(value),
            None => {
                removed.insert(edit.line);
            }
        }
    }
    lines.into_iter().enumerate().filter(|(line, _)| !removed.contains(line)).map(|(_, value)| value).collect()
}

fn trimmed(lines: &[Vec<u8>]) -> Vec<&[u8]> {
    lines.iter().map(|line| line.trim_ascii()).collect()
}

fn text(lines: &[Vec<u8>]) -> Vec<String> {
    lines.iter().map(|line| String::from_utf8_lossy(line).trim_end().to_owned()).collect()
}

/// The dates of a recorded cookie are not ours.
fn undated(line: &str) -> String {
    let mut parts: Vec<&str> = line.split('|').collect();
    if parts.len() == 3 {
        parts[2] = parts[2].split_once(';').map_or("", |(_, attributes)| attributes);
        parts.remove(1);
    }
    parts.join("|")
}

fn private(headers: &str, write: &CookieWrite) -> bool {
    let lower = headers.to_ascii_lowercase();
    let control = lower.strip_prefix("cache-control: ").map(str::as_bytes);
    let validator = lower.starts_with("etag") || lower.starts_with("last-modified");
    write.private && cacheable(control, lower.starts_with("expires"), validator)
}

#[test]
fn recorded_exchanges() {
    let mut rows = 0;
    for row in include_str!("../../../tests/vectors/cookies.tsv").lines() {
        let columns: Vec<&str> = row.split('\t').collect();
        let &[mode, method, cookies, set_cookies, headers, server, flags, seen, set, cache_control] = &columns[..]
        else {
            panic!("{row}")
        };
        let settings = settings(mode);
        let farm = farm(settings.clone());
        let request = lines(cookies);
        let request: Vec<Vec<u8>> = trimmed(&request).into_iter().map(<[u8]>::to_vec).collect();
        let read = read(&farm, request.iter().map(Vec::as_slice), NOW, false);
        let chosen = read.server.unwrap_or(0);
        assert_eq!(format!("s{}", chosen + 1), server, "{row}");
        assert_eq!(text(&apply(request, &read.edits)), text(&lines(seen)), "{row}");

        let response = lines(set_cookies);
        let write = write(&farm, &read, chosen, response.iter().map(Vec::as_slice), method == "POST", NOW);
        let mut sent = apply(response, &write.edits);
        sent.extend(write.add.clone());
        let sent: Vec<String> = text(&sent).iter().map(|line| undated(line)).collect();
        let expected: Vec<String> = text(&lines(set)).iter().map(|line| undated(line)).collect();
        assert_eq!(sent, expected, "{row}");
        assert_eq!(private(headers, &write), cache_control.split('¦').any(|line| line == "private"), "{row}");
        let letters: String = [read.found.letter(&settings), write.written.letter(&settings)].iter().collect();
        assert_eq!(letters, flags, "{row}");
        rows += 1;
    }
    assert_eq!(rows, 988);
}

#[test]
fn recorded_dates() {
    // At "awraz": the cookie of the client, and what came of it with maxidle 30m, maxlife 8h, both, none.
    const TABLE: &[(&str, [&str; 4])] = &[
        ("B", ["VU", "VU", "VU", "VN"]),
        ("B|awraw", ["VU", "VU", "VU", "VU"]),
        ("B|awraw|awraw", ["VU", "VU", "VU", "VU"]),
        ("B|awrTi|awrMv", ["EI", "VU", "EI", "VU"]),
        ("B|awrZo|awpcP", ["VU", "OI", "OI", "VU"]),
        ("B|aww6X|awraz", ["EI", "VN", "EI", "VU"]),
        ("B|awweP|awraz", ["VU", "VN", "VN", "VU"]),
        ("B|awraz|aww6X", ["VU", "OI", "OI", "VU"]),
        ("B||awrMv", ["VU", "VN", "VU", "VU"]),
        ("B|awrMv|x", ["EI", "VU", "EI", "VU"]),
        ("B|awraxQ|awrax", ["VU", "VU", "VU", "VU"]),
        ("Z|awrTi|awraz", ["EI", "II", "EI", "II"]),
        ("C|awrax|awrax", ["DI", "DI", "DI", "DI"]),
    ];
    let now = super::decode(b"awraz");
    for (cookie, expected) in TABLE {
        for (limits, expected) in [(true, false), (false, true), (true, true), (false, false)].iter().zip(expected) {
            let settings = CookieSettings {
                max_idle: limits.0.then_some(Duration::from_mins(30)),
                max_life: limits.1.then_some(Duration::from_hours(8)),
                ..settings("insert-indirect")
            };
            let farm = farm(settings.clone());
            let line = format!("SRV={cookie}");
            let read = read(&farm, [line.as_bytes()], now, false);
            let write = write(&farm, &read, read.server.unwrap_or(0), [], false, now);
            let letters: String = [read.found.letter(&settings), write.written.letter(&settings)].iter().collect();
            assert_eq!(&letters, expected, "{cookie} {limits:?}");
        }
    }
}

#[test]
fn a_server_without_a_value_takes_the_cookie_away() {
    let cookie = CookieSettings { secure: true, domains: vec![".x".into()], ..settings("insert-indirect") };
    let farm = farm_of(FarmSettings { cookie: Some(cookie), ..FarmSettings::default() }, &[None, Some("B")]);
    let read = read(&farm, [&b"SRV=Z"[..]], NOW, false);
    let write = write(&farm, &read, 0, [&b"SRV=q"[..]], false, NOW);
    assert_eq!(write.edits, [Edit { line: 0, value: None }]);
    let expected = "SRV=; Expires=Thu, 01-Jan-1970 00:00:01 GMT; path=/; domain=.x; Secure";
    assert_eq!(write.add.as_deref(), Some(expected.as_bytes()));
}

#[test]
fn a_dead_server_is_passed_over_unless_persistence_insists() {
    let cookie = Some(settings("insert"));
    let shared = [Some("A"), Some("A")];
    let lenient = farm_of(FarmSettings { cookie: cookie.clone(), ..FarmSettings::default() }, &shared);
    lenient.set_running(0, Running::Down);
    let found = read(&lenient, [&b"SRV=A"[..]], NOW, false);
    assert_eq!((found.server, found.found), (Some(1), Found::Valid));

    let strict = farm_of(FarmSettings { cookie, persist: true, ..FarmSettings::default() }, &shared);
    strict.set_running(0, Running::Down);
    let found = read(&strict, [&b"SRV=A"[..]], NOW, false);
    assert_eq!((found.server, found.found), (Some(0), Found::Down));
    // Maintenance is no different.
    strict.set_admin(0, AdminState::Maint);
    assert_eq!(read(&strict, [&b"SRV=A"[..]], NOW, false).server, Some(0));
}

/// Blanks around an equals sign go, as with haproxy; other bytes that look like white space are part of what is not ours.
#[test]
fn only_blanks_go() {
    let farm = farm(settings("insert-indirect"));
    assert!(read(&farm, [&b"\x0c=\x0c; a=\x0bb\x0c"[..]], 0, false).edits.is_empty());
    assert!(read(&farm, [&b"\"a=\"x;SRV=A\""[..]], 0, false).edits.is_empty(), "quotes belong to values");
    let edits = read(&farm, [&b"a = \tb"[..]], 0, false).edits;
    assert_eq!(edits.first().and_then(|edit| edit.value.as_deref()), Some(&b"a=b"[..]));
}

#[test]
fn when_another_server_may_be_tried() {
    let farm = |interval, algorithm| {
        let redispatch = Some(Redispatch { interval });
        farm_of(FarmSettings { algorithm, redispatch, ..FarmSettings::default() }, &[Some("A"), Some("B")])
    };
    let attempt = |retry, directed| Attempt { server: 0, retry, retries: 3, directed, forced: false, sent: false };
    let round_robin = farm(-1, Algorithm::RoundRobin);
    assert!(may_redispatch(&round_robin, &attempt(1, false)));
    assert!(!may_redispatch(&round_robin, &attempt(2, true)));
    assert!(may_redispatch(&round_robin, &attempt(3, true)));
    assert!(!may_redispatch(&round_robin, &Attempt { forced: true, ..attempt(3, true) }));
    let hashed = farm(1, Algorithm::Hash(KeySource::Source));
    assert!(may_redispatch(&hashed, &attempt(1, false)));
    let sent = |directed| Attempt { sent: true, ..attempt(1, directed) };
    assert_eq!([false, true].map(|directed| may_redispatch(&hashed, &sent(directed))), [false, true]);
    let second = farm(2, Algorithm::RoundRobin);
    assert_eq!([1, 2, 3].map(|retry| may_redispatch(&second, &attempt(retry, true))), [false, true, false]);
    round_robin.set_running(0, Running::Down);
    assert!(may_redispatch(&round_robin, &attempt(1, true)));
    let never = farm_of(FarmSettings::default(), &[Some("A"), Some("B")]);
    assert!(!may_redispatch(&never, &attempt(3, false)));
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_survived(bytes: Vec<u8>, mode in 0_usize..4) {
        let farm = farm(settings(["passive", "insert-indirect", "prefix", "insert-dated"][mode]));
        let line = [b"SRV=A; ", &bytes[..], b"; SRV=B"].concat();
        let found: CookieRead = read(&farm, [&bytes[..], &line[..]], NOW, false);
        let _ = write(&farm, &found, 0, [&bytes[..], &line[..]], true, NOW);
    }
}
