use super::*;
use crate::stats::row::Kind as RowKind;

fn server(status: &'static str, check: &str) -> Row {
    let mut row = Row::new(RowKind::Server, "be", "s1");
    row.set(Column::Status, status);
    row.set(Column::Mode, "tcp");
    row.set(Column::Scur, 7_u64);
    row.set(Column::Lastsess, -1_i64);
    row.set(Column::Qtime, 1_234_u64);
    if !check.is_empty() {
        row.set(Column::CheckStatus, check.to_owned());
    }
    row
}

/// All lines of one server.
fn shown(row: &Row) -> String {
    let mut kind = Kind::new(Scope::Server);
    kind.add(row, labels(&[("proxy", "be"), ("server", "s\"\\1")]));
    let mut out = String::new();
    assert!(!kind.write(&mut out, usize::MAX));
    out
}

#[test]
fn figures_have_their_unit_and_what_is_not_known_is_no_number() {
    let text = shown(&server("UP 1/3", ""));
    let labels = r#"{proxy="be",server="s\"\\1"}"#;
    for (name, value) in [
        ("current_sessions", "7"),
        ("last_session_seconds", "-1"),
        ("queue_time_average_seconds", "1.234000"),
        ("limit_sessions", "NaN"),
    ] {
        assert!(text.contains(&format!("\nhaproxy_server_{name}{labels} {value}\n")), "{name}: {text}");
    }
    for absent in ["http_responses", "check_status", "check_code"] {
        assert!(!text.contains(absent), "{absent}");
    }
}

#[test]
fn one_state_is_in_force() {
    for (status, check, state, result) in [
        ("no check", "", "UP", None),
        ("UP 1/3", "L4OK", "UP", Some("L4OK")),
        ("DOWN (agent)", "* L7STS", "DOWN", Some("L7STS")),
        ("MAINT (resolution)", "", "MAINT", None),
        ("NOLB 1/3", "L7OKC", "NOLB", Some("L7OKC")),
        ("DRAIN", "INI", "DRAIN", None),
    ] {
        let text = shown(&server(status, check));
        let in_force = |metric: &str| {
            let lines = text.lines().filter(|line| line.starts_with(&format!("haproxy_server_{metric}{{")));
            let lines: Vec<_> = lines.filter(|line| line.ends_with("} 1")).collect();
            assert!(lines.len() < 2, "{lines:?}");
            lines.first().and_then(|line| line.split("state=\"").nth(1)?.split('"').next()).map(str::to_owned)
        };
        assert_eq!(in_force("status").as_deref(), Some(state), "{status}");
        assert_eq!(in_force("check_status").as_deref(), result, "{status}");
        assert_eq!(text.contains("check_code"), !check.is_empty(), "{status}");
    }
}

#[test]
fn pieces_make_up_the_whole() {
    let mut kind = Kind::new(Scope::Server);
    let mut whole = String::new();
    for number in 0..40 {
        kind.add(&server("UP", "L4OK"), labels(&[("server", &number.to_string())]));
    }
    assert!(!kind.write(&mut whole, usize::MAX));
    (kind.pass, kind.object, kind.headed) = (0, 0, "");
    let (mut pieces, mut all) = (0, String::new());
    loop {
        let mut piece = String::new();
        let more = kind.write(&mut piece, 1_000);
        assert!(piece.len() < 3_500, "an object's lines fit into what is left: {}", piece.len());
        all.push_str(&piece);
        pieces += 1;
        if !more {
            break;
        }
    }
    assert_eq!(all, whole);
    assert!(pieces > 40, "{pieces}");
}

#[test]
fn every_kind_has_as_many_metrics_as_haproxys() {
    let metrics = |scope: Scope| METRICS.iter().filter(|metric| metric.is_for(scope.name().1)).count();
    assert_eq!([Scope::Frontend, Scope::Listener, Scope::Backend, Scope::Server].map(metrics), [28, 14, 50, 49]);
    assert_eq!(process::METRICS.len(), 60);
}
