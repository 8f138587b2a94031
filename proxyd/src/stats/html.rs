//! The statistics as a page for people. The page itself is `templates/stats.html`; here its texts are made.

use super::collect::{SectionRows, Snapshot};
use super::page::View;
use super::row::{Cell, Column, Kind, Row};
use crate::proxy::settings::Stats;
use askama::Template;

#[derive(Template)]
#[template(path = "stats.html")]
struct Page<'a> {
    title: String,
    program: &'a str,
    show_version: bool,
    version: &'a str,
    pid: u32,
    node: Option<&'a str>,
    description: Option<&'a str>,
    workers: usize,
    uptime: String,
    max_files: u64,
    maxconn: u64,
    connections: u64,
    dropped_logs: u64,
    uri: &'a str,
    scope: &'a str,
    only_up: bool,
    refreshes: bool,
    /// `stats show-modules`
    modules: bool,
    message: Option<Message>,
    sections: Vec<Section<'a>>,
}

/// What became of an action.
struct Message {
    class: &'static str,
    text: &'static str,
}

struct Section<'a> {
    name: &'a str,
    id: u32,
    description: Option<&'a str>,
    /// Its servers can be chosen and acted on.
    form: bool,
    rows: Vec<Line<'a>>,
}

struct Line<'a> {
    class: String,
    name: &'a str,
    address: Option<String>,
    choosable: bool,
    cells: Vec<Text>,
}

struct Text {
    text: String,
    /// Shown when the pointer rests on it.
    tip: Option<String>,
}

/// The whole page.
pub(super) fn render(settings: &Stats, view: &View<'_>, snapshot: &Snapshot, admin: bool) -> String {
    let process = &snapshot.process;
    let node = settings.show_node.as_deref();
    let page = Page {
        title: node.map_or_else(|| process.program.clone(), |node| format!("{} on {node}", process.program)),
        program: &process.program,
        show_version: settings.show_version,
        version: process.version,
        pid: process.pid,
        node,
        description: settings.show_desc.as_deref(),
        workers: process.workers,
        uptime: uptime(process.uptime.as_secs()),
        max_files: process.max_files,
        maxconn: process.maxconn,
        connections: process.connections,
        dropped_logs: process.dropped_logs,
        uri: &settings.uri,
        scope: view.scope.unwrap_or_default(),
        only_up: view.only_up,
        refreshes: settings.refresh.is_some() && !view.no_refresh,
        modules: settings.show_modules,
        message: view.outcome.map(message),
        sections: snapshot.sections.iter().map(|section| shown(section, admin, settings.show_modules)).collect(),
    };
    // The template writes into a String and calls nothing that fails.
    page.render().unwrap_or_default()
}

fn message(code: &str) -> Message {
    let (class, text) = match code {
        "DONE" => ("active_up", "The action was carried out."),
        "NONE" => ("active_going_down", "Nothing has changed."),
        "PART" => (
            "active_going_down",
            "The action was carried out on some servers only: the others are not known, or not by one name.",
        ),
        "ERRP" => ("active_down", "Nothing was done: the action, the backend or the servers are not known."),
        "EXCD" => ("active_down", "Nothing was done: the form is too long. Choose fewer servers at a time."),
        "DENY" => ("active_down", "Nothing was done: this page does not allow it."),
        _ => ("active_no_check", "The result of the action is not known."),
    };
    Message { class, text }
}

fn shown(section: &SectionRows, admin: bool, modules: bool) -> Section<'_> {
    let form = admin && section.has_servers;
    Section {
        name: &section.name,
        id: section.id,
        description: section.description.as_deref(),
        form,
        rows: section.rows.iter().map(|row| line(row, form, modules)).collect(),
    }
}

fn line(row: &Row, form: bool, modules: bool) -> Line<'_> {
    let name = match row.kind {
        Kind::Frontend => "Frontend",
        Kind::Backend => "Backend",
        Kind::Server | Kind::Listener => row.text(Column::Svname),
    };
    Line {
        class: class(row),
        name,
        address: Some(row.text(Column::Addr).to_owned()).filter(|address| !address.is_empty()),
        choosable: form && row.kind == Kind::Server,
        cells: cells(row).into_iter().chain(modules.then(|| http1(row))).collect(),
    }
}

/// The class of a row, by which it is coloured.
fn class(row: &Row) -> String {
    let status = row.text(Column::Status);
    match row.kind {
        Kind::Frontend => "frontend".into(),
        Kind::Listener => "socket".into(),
        Kind::Backend if status == "DOWN" => "backend_down".into(),
        Kind::Backend => "backend".into(),
        Kind::Server if status.starts_with("MAINT") => "maintain".into(),
        Kind::Server => {
            let role = if row.number(Column::Bck) == 1 { "backup" } else { "active" };
            let state = match status.split_once(' ') {
                _ if status == "no check" => "no_check",
                Some(("UP", _)) => "going_down",
                Some(("DOWN", _)) => "going_up",
                _ if status.starts_with("UP") => "up",
                _ if status.starts_with("DRAIN") || status.starts_with("NOLB") => "draining",
                _ => "down",
            };
            format!("{role}_{state}")
        }
    }
}

/// The cells of a row, in the order of the headings.
fn cells(row: &Row) -> Vec<Text> {
    let number = |column| Text { text: number(row.get(column)), tip: None };
    let backend_side = matches!(row.kind, Kind::Backend | Kind::Server);
    let limit = |column| match row.get(column) {
        Cell::Empty | Cell::Number(0) if backend_side => Text { text: "-".into(), tip: None },
        cell => Text { text: self::number(cell), tip: None },
    };
    let last = match row.get(Column::Lastsess) {
        Cell::Signed(seconds) if *seconds >= 0 => duration(u64::try_from(*seconds).unwrap_or(0)),
        Cell::Signed(_) => "?".into(),
        Cell::Empty | Cell::Number(_) | Cell::Text(_) => String::new(),
    };
    let text = |text: String| Text { text, tip: None };
    vec![
        number(Column::Qcur),
        number(Column::Qmax),
        limit(Column::Qlimit),
        number(Column::Rate),
        number(Column::RateMax),
        number(Column::RateLim),
        number(Column::Scur),
        number(Column::Smax),
        limit(Column::Slim),
        Text { text: self::number(row.get(Column::Stot)), tip: Some(totals(row)) },
        number(Column::Lbtot),
        text(last),
        number(Column::Bin),
        number(Column::Bout),
        number(Column::Dreq),
        number(Column::Dresp),
        number(Column::Ereq),
        number(Column::Econ),
        Text { text: self::number(row.get(Column::Eresp)), tip: aborts(row) },
        number(Column::Wretr),
        number(Column::Wredis),
        text(status(row)),
        last_check(row),
        text(weight(row)),
        text(role(row, Column::Act)),
        text(role(row, Column::Bck)),
        number(Column::Chkfail),
        number(Column::Chkdown),
        text(match row.get(Column::Downtime) {
            Cell::Number(seconds) => duration(*seconds),
            Cell::Empty | Cell::Signed(_) | Cell::Text(_) => String::new(),
        }),
        text(match row.get(Column::Throttle) {
            Cell::Number(percent) => format!("{percent} %"),
            Cell::Empty | Cell::Signed(_) | Cell::Text(_) => {
                if row.kind == Kind::Server {
                    "-".into()
                } else {
                    String::new()
                }
            }
        }),
    ]
}

/// What the one module there is has counted of a frontend or a backend: HTTP/1.
fn http1(row: &Row) -> Text {
    let columns = match row.kind {
        _ if row.text(Column::Mode) != "http" => return Text { text: String::new(), tip: None },
        Kind::Frontend => [Column::Scur, Column::ConnTot, Column::ReqTot, Column::Bin, Column::Bout],
        // Of a backend the connections are those to its servers, which send what goes out to clients.
        Kind::Backend => [Column::Scur, Column::Connect, Column::Stot, Column::Bout, Column::Bin],
        Kind::Server | Kind::Listener => return Text { text: String::new(), tip: None },
    };
    let labels = [
        "Count of currently open streams",
        "Total number of connections",
        "Total number of streams",
        "Total number of bytes received",
        "Total number of bytes sent",
    ];
    let lines = labels.iter().zip(columns).map(|(label, column)| format!("{label}: {}", row.number(column)));
    Text { text: "h1".into(), tip: Some(lines.collect::<Vec<_>>().join("\n")) }
}

/// A count with blanks between groups of three digits.
fn number(cell: &Cell) -> String {
    let digits = match cell {
        Cell::Empty => return String::new(),
        Cell::Text(text) => return text.to_string(),
        Cell::Signed(value) => return value.to_string(),
        Cell::Number(value) => value.to_string(),
    };
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

fn status(row: &Row) -> String {
    let status = row.text(Column::Status);
    match row.get(Column::Lastchg) {
        Cell::Number(since) if status != "no check" => format!("{} {status}", duration(*since)),
        Cell::Empty | Cell::Number(_) | Cell::Signed(_) | Cell::Text(_) => status.to_owned(),
    }
}

/// `L7OK/200 in 1ms`, with the description as a tip.
fn last_check(row: &Row) -> Text {
    let mut text = row.text(Column::CheckStatus).to_owned();
    if let Cell::Number(code) = row.get(Column::CheckCode) {
        text = format!("{text}/{code}");
    }
    if let Cell::Number(took) = row.get(Column::CheckDuration) {
        text = format!("{text} in {took}ms");
    }
    let described = [row.text(Column::CheckDesc), row.text(Column::LastChk)];
    let described: Vec<_> = described.into_iter().filter(|text| !text.is_empty()).collect();
    Text { text, tip: (!described.is_empty()).then(|| described.join(": ")) }
}

fn weight(row: &Row) -> String {
    match (row.get(Column::Weight), row.get(Column::Uweight)) {
        (Cell::Number(effective), Cell::Number(user)) => format!("{effective}/{user}"),
        _ => String::new(),
    }
}

/// `Y` or `-` for a server, a number for a backend.
fn role(row: &Row, column: Column) -> String {
    match (row.kind, row.number(column)) {
        (Kind::Server, 1) => "Y".into(),
        (Kind::Server, _) => "-".into(),
        (Kind::Backend, count) => count.to_string(),
        (Kind::Frontend | Kind::Listener, _) => String::new(),
    }
}

/// What the total of sessions is made of.
fn totals(row: &Row) -> String {
    let mut lines = vec![format!("Cum. sessions: {}", row.number(Column::Stot))];
    let mut add = |label: &str, column| {
        if let Cell::Number(value) = row.get(column) {
            lines.push(format!("{label}: {value}"));
        }
    };
    for (label, column) in [
        ("Cum. connections", Column::ConnTot),
        ("Cum. HTTP requests", Column::ReqTot),
        ("HTTP 1xx responses", Column::Hrsp1xx),
        ("HTTP 2xx responses", Column::Hrsp2xx),
        ("HTTP 3xx responses", Column::Hrsp3xx),
        ("HTTP 4xx responses", Column::Hrsp4xx),
        ("HTTP 5xx responses", Column::Hrsp5xx),
        ("other responses", Column::HrspOther),
        ("Intercepted requests", Column::Intercepted),
        ("New connections", Column::Connect),
        ("Reused connections", Column::Reuse),
        ("Avg queue time, ms", Column::Qtime),
        ("Avg connect time, ms", Column::Ctime),
        ("Avg response time, ms", Column::Rtime),
        ("Avg total time, ms", Column::Ttime),
    ] {
        add(label, column);
    }
    lines.join("\n")
}

fn aborts(row: &Row) -> Option<String> {
    let (Cell::Number(client), Cell::Number(server)) = (row.get(Column::CliAbrt), row.get(Column::SrvAbrt)) else {
        return None;
    };
    Some(format!("Connection resets during transfers: {client} client, {server} server"))
}

/// `4d3h`, `2h5m`, `16m33s`, `7s`: the two largest units.
fn duration(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{}s", seconds % 60),
        (0, ..) => format!("{hours}h{minutes}m"),
        _ => format!("{days}d{hours}h"),
    }
}

/// `0d 0h16m33s`.
fn uptime(seconds: u64) -> String {
    format!("{}d {}h{:02}m{:02}s", seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60)
}
