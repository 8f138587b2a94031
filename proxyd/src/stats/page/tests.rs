use super::*;
use crate::proxy::settings::Credential;
use crate::stats::collect::{ProcessStats, SectionRows};
use crate::stats::row::{Column, Kind, Row};
use std::time::Duration;

fn settings() -> Stats {
    Stats {
        uri: "/st".into(),
        realm: "My Realm".into(),
        auth: vec![Credential { user: "a".into(), password: "b".into() }],
        refresh: Some(Duration::from_secs(30)),
        show_version: false,
        show_legends: false,
        show_modules: false,
        show_node: None,
        show_desc: None,
        scope: Vec::new(),
    }
}

const GET: PageRequest<'static> = PageRequest {
    method: b"GET",
    target: b"/st",
    host: Some(b"lb:8080"),
    authorization: Some(b"Basic YTpi"),
    origin: None,
    referer: None,
    body: Some(b""),
    client: None,
    section: "st",
    admin: true,
};

fn server(name: &str, status: &'static str) -> Row {
    let mut row = Row::new(Kind::Server, "be", name);
    row.set(Column::Status, status);
    row.set(Column::Stot, 1_234_567_u64);
    row.set(Column::Lastchg, 993_u64);
    row.set(Column::CheckStatus, "L7OK");
    row.set(Column::CheckCode, 200_u64);
    row.set(Column::CheckDuration, 1_u64);
    row.set(Column::Lastsess, -1_i64);
    row
}

fn snapshot() -> Snapshot {
    let process = ProcessStats {
        program: "haproxy".into(),
        version: "1.2.3",
        pid: 4711,
        uptime: Duration::from_secs(90_061),
        workers: 2,
        maxconn: 2000,
        hard_maxconn: 2000,
        rate_limits: (0, 0),
        max_files: 4033,
        connections: 1,
        dropped_logs: 0,
        node: "lb1".into(),
        description: None,
    };
    let frontend = SectionRows {
        name: "fe".into(),
        id: 2,
        description: None,
        rows: vec![Row::new(Kind::Frontend, "fe", "FRONTEND")],
        has_servers: false,
    };
    let rows = vec![
        server("s1", "UP"),
        server("s<2>", "DOWN 1/2"),
        server("s3", "MAINT"),
        server("s4", "UP 1/3"),
        Row::new(Kind::Backend, "be", "BACKEND"),
    ];
    let backend = SectionRows { name: "be".into(), id: 3, description: None, rows, has_servers: true };
    Snapshot { process, sections: vec![frontend, backend] }
}

fn answer(settings: &Stats, request: &PageRequest<'_>) -> Answer {
    match reply(settings, request, |_| snapshot()) {
        Reply::Answer(answer) => answer,
        other => panic!("{other:?}"),
    }
}

fn body(target: &str) -> String {
    String::from_utf8(answer(&settings(), &PageRequest { target: target.as_bytes(), ..GET }).body).unwrap()
}

/// The names in a CSV, one per line.
fn names(csv: &str) -> Vec<String> {
    csv.lines().skip(1).map(|line| line.split(',').take(2).collect::<Vec<_>>().join("/")).collect()
}

#[test]
fn the_page_begins_with_its_uri() {
    for (method, target, expected) in [
        ("GET", "/st", true),
        ("HEAD", "/st", true),
        ("POST", "/st", true),
        ("PUT", "/st", false),
        ("GET", "/stx", true),
        ("GET", "/st;csv", true),
        ("GET", "/s", false),
    ] {
        assert_eq!(is_for_page(&settings(), method.as_bytes(), target.as_bytes()), expected, "{method} {target}");
    }
}

#[test]
fn only_those_with_a_password_get_in() {
    for (authorization, admitted) in [
        (None, false),
        (Some("Basic YTpi"), true),
        (Some("basic  YTpi "), true),
        (Some("Basic YTp4"), false),
        (Some("Basic YTpiYg=="), false),
        (Some("Basic YQ=="), false),
        (Some("Basic !"), false),
        (Some("Bearer YTpi"), false),
        (Some("B\u{e9}"), false),
        (Some(""), false),
    ] {
        let request = PageRequest { authorization: authorization.map(str::as_bytes), ..GET };
        let refused = matches!(reply(&settings(), &request, |_| snapshot()), Reply::Unauthorized);
        assert_eq!(!refused, admitted, "{authorization:?}");
    }
    let open = Stats { auth: Vec::new(), ..settings() };
    assert_eq!(answer(&open, &PageRequest { authorization: None, ..GET }).status, 200);
}

#[test]
fn the_fields_are_haproxys() {
    let field =
        |answer: &Answer, name| answer.fields.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
    let page = answer(&settings(), &GET);
    assert_eq!(field(&page, "cache-control").as_deref(), Some("no-cache"));
    assert_eq!(field(&page, "refresh").as_deref(), Some("30"));
    let csv = answer(&settings(), &PageRequest { target: b"/st;csv;norefresh", ..GET });
    assert_eq!(field(&csv, "content-type").as_deref(), Some("text/plain"));
    assert_eq!(field(&csv, "refresh"), None);
}

#[test]
fn a_view_can_be_narrowed() {
    assert_eq!(names(&body("/st;csv")).len(), 6);
    assert_eq!(names(&body("/st?scope=be;csv")), ["be/s1", "be/s<2>", "be/s3", "be/s4", "be/BACKEND"]);
    assert_eq!(names(&body("/st;csv;scope=fe")), ["fe/FRONTEND"]);
    assert_eq!(names(&body("/st?scope=e;norefresh;csv")).len(), 6);
    assert_eq!(names(&body("/st;csv;up")), ["fe/FRONTEND", "be/s1", "be/s4", "be/BACKEND"]);
    assert_eq!(names(&body("/st;csv;no-maint")), ["fe/FRONTEND", "be/s1", "be/s<2>", "be/s4", "be/BACKEND"]);
    let scoped = Stats { scope: vec![".".into()], ..settings() };
    let own = answer(&scoped, &PageRequest { target: b"/st;csv", section: "be", ..GET });
    assert_eq!(names(&String::from_utf8(own.body).unwrap()).len(), 5);
}

#[test]
fn the_page_tells_people_what_the_csv_tells_programs() {
    let page = body("/st;st=DONE");
    for expected in [
        "<h2>Statistics Report for pid 4711</h2>",
        "1d 1h01m01s",
        "1\u{202f}234\u{202f}567",
        "16m33s UP",
        "L7OK/200 in 1ms",
        "class=\"active_up\"",
        "class=\"active_going_up\"",
        "class=\"maintain\"",
        "class=\"active_going_down\"",
        "name=\"b\" value=\"#3\"",
        "href=\"/st;csv;norefresh\"",
        "Remove this message",
    ] {
        assert!(page.contains(expected), "{expected} in\n{page}");
    }
    assert!(!page.contains("s<2>"), "names are escaped");
    assert!(!page.contains("1.2.3"), "the version is hidden unless asked for");
    assert!(!page.contains("Extra modules"), "so are modules");
    let more = answer(&Stats { show_version: true, show_modules: true, ..settings() }, &GET);
    let more = String::from_utf8(more.body).unwrap();
    assert!(more.contains("version 1.2.3") && more.contains("<th>Extra modules</th>"), "{more}");
    let reading = answer(&settings(), &PageRequest { admin: false, ..GET });
    assert!(!String::from_utf8(reading.body).unwrap().contains("method=\"post\""));
}

#[test]
fn forms_need_a_condition_and_the_right_origin() {
    let post = PageRequest { method: b"POST", body: Some(b"s=s1&action=drain&b=be"), ..GET };
    let location = |request: &PageRequest<'_>| match reply(&settings(), request, |_| snapshot()) {
        Reply::Answer(answer) => {
            assert_eq!(answer.status, 303);
            answer.fields.iter().find(|(name, _)| *name == "location").unwrap().1.clone()
        }
        Reply::Administer(_) => "acts".into(),
        Reply::Unauthorized => "asks".into(),
    };
    for (request, expected) in [
        (post, "acts"),
        (PageRequest { admin: false, ..post }, "/st;st=DENY"),
        (PageRequest { authorization: None, ..post }, "asks"),
        (PageRequest { origin: Some(b"http://lb:8080"), ..post }, "acts"),
        (PageRequest { origin: Some(b"https://evil.example"), ..post }, "/st;st=DENY"),
        (PageRequest { origin: Some(b"null"), ..post }, "/st;st=DENY"),
        (PageRequest { referer: Some(b"http://lb:8080/st"), ..post }, "acts"),
        (PageRequest { referer: Some(b"http://evil.example/lb:8080"), ..post }, "/st;st=DENY"),
        (PageRequest { body: None, ..post }, "/st;st=EXCD"),
        (PageRequest { body: Some(b""), ..post }, "/st;st=NONE"),
        (PageRequest { body: Some(b"s=s1&action=xx&b=be"), ..post }, "/st;st=ERRP"),
    ] {
        assert_eq!(location(&request), expected, "{request:?}");
    }
}
