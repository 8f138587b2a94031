//! The statistics as Prometheus reads them (`use-service prometheus-exporter`): the metrics of haproxy 2.6, made of the rows
//! that the page and the CSV show.
//!
//! The format wants all lines of a metric together, so each object is shown once for every metric. A [`Scrape`] reads an object's
//! row once, keeps its figures, and then writes piece by piece: neither the whole text nor a moment in which thousands of
//! servers are read at once is ever needed. What is kept is some 500 bytes for each object.
//!
//! Unlike haproxy 2.6, names are escaped in labels as the format demands.

use super::collect::{ProcessStats, Reader};
use super::row::{Cell, Column, Row};
use crate::generation::Generation;
use metrics::{CLASSES, METRICS, Metric, Only, Source};
use process::Facts;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

mod metrics;
mod process;
mod query;

pub use query::Query;

/// The type of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Counter,
    Gauge,
}

/// What metrics are about, in the order in which they are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    Global,
    Frontend,
    Listener,
    Backend,
    Server,
    StickTable,
}

impl Scope {
    const ALL: [Self; 6] =
        [Self::Global, Self::Frontend, Self::Listener, Self::Backend, Self::Server, Self::StickTable];

    /// Its name in `?scope=`, and its letter in the table of metrics.
    fn name(self) -> (&'static str, char) {
        match self {
            Self::Global => ("global", 'G'),
            Self::Frontend => ("frontend", 'F'),
            Self::Listener => ("listener", 'L'),
            Self::Backend => ("backend", 'B'),
            Self::Server => ("server", 'S'),
            Self::StickTable => ("sticktable", 'T'),
        }
    }

    fn states(self) -> &'static [&'static str] {
        match self {
            Self::Frontend | Self::Backend => &SERVER_STATES[..2],
            Self::Listener => &["WAITING", "OPEN", "FULL"],
            Self::Server => &SERVER_STATES,
            Self::Global | Self::StickTable => &[],
        }
    }
}

/// The states of a server. Frontends and backends have the first two.
const SERVER_STATES: [&str; 5] = ["DOWN", "UP", "MAINT", "DRAIN", "NOLB"];

/// The results of checks.
const CHECK_STATES: [&str; 16] = [
    "HANA", "SOCKERR", "L4OK", "L4TOUT", "L4CON", "L6OK", "L6TOUT", "L6RSP", "L7TOUT", "L7RSP", "L7OK", "L7OKC",
    "L7STS", "PROCERR", "PROCTOUT", "PROCOK",
];

/// Objects that are read before others get a turn.
const READ_AT_ONCE: usize = 128;

/// What a column held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Figure(i64);

impl Figure {
    /// Nothing, which is shown as `NaN`.
    const NONE: Self = Self(i64::MIN);

    fn of(cell: &Cell) -> Self {
        match *cell {
            Cell::Number(value) => Self(i64::try_from(value).unwrap_or(i64::MAX)),
            Cell::Signed(value) => Self(value),
            Cell::Empty | Cell::Text(_) => Self::NONE,
        }
    }

    fn write(self, out: &mut String, source: Source) {
        // Writing to a String cannot fail, here and below.
        let _ = match (self, source) {
            (Self::NONE, _) => write!(out, "NaN"),
            (Self(value), Source::Milliseconds(_)) => write!(out, "{}.{:03}000", value / 1000, value % 1000),
            (Self(value), _) => write!(out, "{value}"),
        };
    }
}

/// Servers of a backend by state and by their last check.
#[derive(Debug, Clone, Default)]
struct Census {
    states: [u64; SERVER_STATES.len()],
    checks: [u64; CHECK_STATES.len()],
}

/// An object, as far as its metrics show it.
#[derive(Debug)]
struct Object {
    /// Its names as labels.
    labels: Box<str>,
    /// In the order of the passes over objects of its kind.
    figures: Box<[Figure]>,
    state: usize,
    /// `None`: not checked.
    check: Option<usize>,
    http: bool,
    /// Of a backend with servers.
    census: Option<Box<Census>>,
}

/// One going through all objects of a kind.
#[derive(Debug, Clone, Copy)]
struct Pass {
    metric: &'static Metric,
    /// The class of responses.
    class: Option<&'static str>,
    column: Option<Column>,
}

/// The passes over objects of a scope.
fn passes(scope: Scope) -> Vec<Pass> {
    let mut passes = Vec::new();
    for metric in METRICS.iter().filter(|metric| metric.is_for(scope.name().1)) {
        match metric.source {
            Source::Value(column) | Source::Milliseconds(column) => {
                passes.push(Pass { metric, class: None, column: Some(column) });
            }
            Source::Responses => {
                let pass = |(class, column)| Pass { metric, class: Some(class), column: Some(column) };
                passes.extend(CLASSES.into_iter().map(pass));
            }
            Source::State | Source::Check | Source::ServersByState | Source::ServersByCheck => {
                passes.push(Pass { metric, class: None, column: None });
            }
        }
    }
    passes
}

/// The objects of one kind and how far they are shown.
#[derive(Debug)]
struct Kind {
    scope: Scope,
    passes: Vec<Pass>,
    objects: Vec<Object>,
    pass: usize,
    object: usize,
    /// The metric whose heading was written last.
    headed: &'static str,
}

impl Kind {
    fn new(scope: Scope) -> Self {
        Self { scope, passes: passes(scope), objects: Vec::new(), pass: 0, object: 0, headed: "" }
    }

    fn add(&mut self, row: &Row, labels: String) {
        let figure = |pass: &Pass| pass.column.map_or(Figure::NONE, |column| Figure::of(row.get(column)));
        self.objects.push(Object {
            labels: labels.into(),
            figures: self.passes.iter().map(figure).collect(),
            state: state(self.scope, row),
            check: check(row),
            http: row.text(Column::Mode) == "http",
            census: None,
        });
    }

    /// Writes until there is so much text. False: everything is written.
    fn write(&mut self, out: &mut String, until: usize) -> bool {
        while let Some(&pass) = self.passes.get(self.pass) {
            while let Some(object) = self.objects.get(self.object) {
                if out.len() >= until {
                    return true;
                }
                let shown = match pass.metric.only {
                    Only::Always => true,
                    Only::Http => object.http,
                    Only::Checked => object.check.is_some(),
                };
                if shown {
                    let before = out.len();
                    if self.headed != pass.metric.name {
                        heading(out, self.scope.name().0, pass.metric.name, pass.metric.kind, pass.metric.help);
                    }
                    if lines(out, self.scope, object, self.pass, pass) {
                        self.headed = pass.metric.name;
                    } else {
                        out.truncate(before);
                    }
                }
                self.object += 1;
            }
            self.object = 0;
            self.pass += 1;
        }
        false
    }
}

/// The lines of one object. False: it has none.
fn lines(out: &mut String, scope: Scope, object: &Object, index: usize, pass: Pass) -> bool {
    let mut line = |label: &str, value: &str, figure: Figure| {
        let _ = write!(out, "haproxy_{}_{}{{{}", scope.name().0, pass.metric.name, object.labels);
        if !label.is_empty() {
            let _ = write!(out, ",{label}=\"{value}\"");
        }
        out.push_str("} ");
        figure.write(out, pass.metric.source);
        out.push('\n');
    };
    let count = |count: u64| Figure::of(&Cell::Number(count));
    let one_of = |index, chosen: Option<usize>| count(u64::from(chosen == Some(index)));
    match pass.metric.source {
        Source::Value(_) | Source::Milliseconds(_) | Source::Responses => {
            let figure = object.figures.get(index).copied().unwrap_or(Figure::NONE);
            // A check that has no code has 0.
            let figure = if pass.metric.only == Only::Checked && figure == Figure::NONE { count(0) } else { figure };
            line(pass.class.map_or("", |_| "code"), pass.class.unwrap_or(""), figure);
        }
        Source::State => {
            let states = scope.states().iter().enumerate();
            states.for_each(|(index, state)| line("state", state, one_of(index, Some(object.state))));
        }
        Source::Check => {
            let states = CHECK_STATES.iter().enumerate();
            states.for_each(|(index, state)| line("state", state, one_of(index, object.check)));
        }
        Source::ServersByState => {
            let Some(census) = &object.census else { return false };
            SERVER_STATES.iter().zip(census.states).for_each(|(state, servers)| line("state", state, count(servers)));
        }
        Source::ServersByCheck => {
            let Some(census) = &object.census else { return false };
            CHECK_STATES.iter().zip(census.checks).for_each(|(state, servers)| line("state", state, count(servers)));
        }
    }
    true
}

fn heading(out: &mut String, scope: &str, name: &str, kind: Type, help: &str) {
    let kind = match kind {
        Type::Counter => "counter",
        Type::Gauge => "gauge",
    };
    let _ = write!(out, "# HELP haproxy_{scope}_{name} {help}\n# TYPE haproxy_{scope}_{name} {kind}\n");
}

/// The place of a row's state among those of its scope.
fn state(scope: Scope, row: &Row) -> usize {
    let status = row.text(Column::Status);
    let word = status.split(' ').next().unwrap_or_default();
    let full = || row.number(Column::Slim) != 0 && row.number(Column::Scur) >= row.number(Column::Slim);
    let name = match (scope, word) {
        (Scope::Frontend, "OPEN") | (Scope::Server, "no") => "UP",
        (Scope::Listener, "OPEN") if full() => "FULL",
        (Scope::Listener, "OPEN") => "OPEN",
        (Scope::Listener, _) => "WAITING",
        (Scope::Backend | Scope::Server, word) => word,
        (Scope::Frontend | Scope::Global | Scope::StickTable, _) => "DOWN",
    };
    scope.states().iter().position(|state| *state == name).unwrap_or(0)
}

/// The place of a row's last check among the results. A first check that has not ended is none of them.
fn check(row: &Row) -> Option<usize> {
    let status = row.text(Column::CheckStatus);
    let status = status.strip_prefix("* ").unwrap_or(status);
    if status.is_empty() {
        return None;
    }
    Some(CHECK_STATES.iter().position(|state| *state == status).unwrap_or(CHECK_STATES.len()))
}

/// Names as labels.
fn labels(names: &[(&str, &str)]) -> String {
    let mut out = String::new();
    for (label, name) in names {
        let comma = if out.is_empty() { "" } else { "," };
        let escaped = name.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let _ = write!(out, "{comma}{label}=\"{escaped}\"");
    }
    out
}

/// Where the reading of the counters is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    Frontend(usize),
    /// A backend and one of its servers.
    Backend(usize, usize),
    Done,
}

/// One answer to Prometheus on its way.
#[derive(Debug)]
pub struct Scrape {
    query: Query,
    generation: Arc<Generation>,
    reader: Reader,
    facts: Facts,
    reading: Reading,
    /// What is shown, in this order.
    kinds: [Kind; 4],
    /// Of the backend that is being read.
    census: Census,
    global_written: bool,
    tables_written: bool,
}

impl Scrape {
    /// Begins. `now_ms` is the time of the counters, `date` the time since 1970.
    pub fn new(query: Query, generation: &Arc<Generation>, process: ProcessStats, now_ms: u64, date: Duration) -> Self {
        let objects = [Scope::Frontend, Scope::Listener, Scope::Backend, Scope::Server];
        let reads = objects.iter().any(|scope| query.shows(*scope));
        Self {
            query,
            facts: Facts::read(process, generation, now_ms, date),
            generation: Arc::clone(generation),
            reader: Reader::new(now_ms),
            reading: if reads { Reading::Frontend(0) } else { Reading::Done },
            kinds: objects.map(Kind::new),
            census: Census::default(),
            global_written: false,
            tables_written: false,
        }
    }

    /// Goes on: reads some objects, or writes until `out` has so many bytes. False: everything is written.
    pub fn advance(&mut self, out: &mut String, until: usize) -> bool {
        if self.reading != Reading::Done {
            for _ in 0..READ_AT_ONCE {
                self.read_one();
            }
            return true;
        }
        if !self.global_written {
            self.global_written = true;
            if self.query.shows(Scope::Global) {
                self.write_global(out);
            }
        }
        for kind in &mut self.kinds {
            if self.query.shows(kind.scope) && kind.write(out, until) {
                return true;
            }
        }
        if !self.tables_written && self.query.shows(Scope::StickTable) {
            self.tables_written = true;
            self.write_tables(out);
        }
        false
    }

    fn read_one(&mut self) {
        let generation = Arc::clone(&self.generation);
        match self.reading {
            Reading::Frontend(index) => match generation.frontends.get(index) {
                Some(frontend) => {
                    self.reading = Reading::Frontend(index + 1);
                    if !frontend.section.disabled {
                        let mut rows = Vec::new();
                        self.reader.frontend(frontend, &mut rows);
                        self.add_frontend(&rows);
                    }
                }
                None => self.reading = Reading::Backend(0, 0),
            },
            Reading::Backend(index, at) => match generation.backends.get(index) {
                Some(backend) if backend.section.disabled => self.reading = Reading::Backend(index + 1, 0),
                Some(backend) => {
                    if let Some(row) = self.reader.server_row(backend, at) {
                        self.reading = Reading::Backend(index, at + 1);
                        self.add_server(&row);
                    } else {
                        self.reading = Reading::Backend(index + 1, 0);
                        let row = self.reader.backend_row(backend);
                        self.add_backend(&row, at > 0);
                    }
                }
                None => self.reading = Reading::Done,
            },
            Reading::Done => {}
        }
    }

    fn add_frontend(&mut self, rows: &[Row]) {
        let [frontends, listeners, ..] = &mut self.kinds;
        for (index, row) in rows.iter().enumerate() {
            let (proxy, service) = (row.text(Column::Pxname), row.text(Column::Svname));
            match index {
                0 => frontends.add(row, labels(&[("proxy", proxy)])),
                _ => listeners.add(row, labels(&[("proxy", proxy), ("listener", service)])),
            }
        }
    }

    fn add_server(&mut self, row: &Row) {
        let [.., servers] = &mut self.kinds;
        let state = state(Scope::Server, row);
        if let Some(count) = self.census.states.get_mut(state) {
            *count += 1;
        }
        if let Some(count) = check(row).and_then(|check| self.census.checks.get_mut(check)) {
            *count += 1;
        }
        let in_maintenance = SERVER_STATES.get(state) == Some(&"MAINT");
        if self.query.shows(Scope::Server) && !(in_maintenance && self.query.no_maintenance) {
            let (proxy, service) = (row.text(Column::Pxname), row.text(Column::Svname));
            servers.add(row, labels(&[("proxy", proxy), ("server", service)]));
        }
    }

    fn add_backend(&mut self, row: &Row, has_servers: bool) {
        let [_, _, backends, _] = &mut self.kinds;
        backends.add(row, labels(&[("proxy", row.text(Column::Pxname))]));
        let census = std::mem::take(&mut self.census);
        if let Some(backend) = backends.objects.last_mut().filter(|_| has_servers) {
            backend.census = Some(Box::new(census));
        }
    }

    fn write_global(&self, out: &mut String) {
        for metric in &process::METRICS {
            heading(out, "process", metric.name, metric.kind, metric.help);
            let _ = write!(out, "haproxy_process_{}", metric.name);
            if metric.name == "build_info" {
                let _ = write!(out, "{{version=\"{}\"}}", self.facts.process.version);
            }
            let _ = match (metric.value)(&self.facts) {
                Some(value) => writeln!(out, " {value}"),
                None => writeln!(out, " NaN"),
            };
        }
    }

    fn write_tables(&self, out: &mut String) {
        let tables = &self.generation.tables;
        let mut metric = |name, help, value: &dyn Fn(&crate::stick::Table) -> u32| {
            for (index, table) in tables.iter().enumerate() {
                if index == 0 {
                    heading(out, "sticktable", name, Type::Gauge, help);
                }
                let settings = table.settings();
                let labels = labels(&[("name", &settings.name), ("type", settings.kind.name())]);
                let _ = writeln!(out, "haproxy_sticktable_{name}{{{labels}}} {}", value(table));
            }
        };
        metric("size", "Stick table size.", &|table| table.settings().size);
        metric("used", "Number of entries used in this stick table.", &|table| table.used(self.reader.now_ms()));
    }
}

#[cfg(test)]
mod tests;
