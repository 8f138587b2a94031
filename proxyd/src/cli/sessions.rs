//! `show sess` and `shutdown session`.
//!
//! The lines are haproxy's, field by field. What only means something inside haproxy (flags, analysers, the states of its stream
//! connectors) is given as haproxy shows it for a stream that waits for the same, and an address of its memory is the session's
//! own number. Only exchanges are listed, as haproxy lists only streams: a connection between two requests, or before the first one
//! is complete, is none.

use std::fmt::{self, Display, Write as _};
use std::net::SocketAddr;
use std::time::Duration;

use super::Settings;
use crate::proxy::Section;
use crate::proxy::settings::Mode;
use crate::session::report::{Direction, Report, Stage};
use crate::worker::survey::Question;

/// A number that means all sessions, where haproxy reads it as an address.
const ALL: u64 = u64::MAX;

/// `show sess [all | ID]`.
pub(super) async fn show(settings: &Settings, what: Option<&str>) -> Result<String, String> {
    let (question, full) = match what.map(|word| if word == "all" { ALL } else { address(word) }) {
        None | Some(0) => (Question::All, false),
        Some(ALL) => (Question::All, true),
        Some(id) => (Question::One(number(id)), true),
    };
    let reports = settings.workers.ask(question).await;
    if reports.is_empty() && question != Question::All {
        return Err("Session not found.\n".to_owned());
    }
    let mut out = String::new();
    for report in &reports {
        // A String takes everything.
        let _ = if full { write!(out, "{}", Full(report)) } else { writeln!(out, "{}", Line(report)) };
    }
    Ok(out)
}

/// `shutdown session ID`.
pub(super) async fn shutdown(settings: &Settings, id: Option<&str>) -> Result<String, String> {
    let id = id.map_or(0, address);
    if id == 0 {
        return Err("Session pointer expected (use 'show sess').\n".to_owned());
    }
    if settings.workers.ask(Question::End(number(id))).await.is_empty() {
        return Err("No such session (use 'show sess').\n".to_owned());
    }
    Ok(String::new())
}

/// What C reads an address from: `0x` and hexadecimal digits, `0` and octal ones, or decimal ones, up to what is no digit. Too
/// large a number is the largest.
fn address(word: &str) -> u64 {
    let (negative, rest) = match word.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, word.strip_prefix('+').unwrap_or(word)),
    };
    let hexadecimal = rest.strip_prefix("0x").or_else(|| rest.strip_prefix("0X"));
    let (digits, radix) = match hexadecimal {
        Some(digits) => (digits, 16),
        None if rest.starts_with('0') => (rest, 8),
        None => (rest, 10),
    };
    let digits = digits.chars().map_while(|digit| digit.to_digit(radix));
    let value =
        digits.into_iter().try_fold(0_u64, |value, digit| value.checked_mul(radix.into())?.checked_add(digit.into()));
    match value {
        None => u64::MAX,
        Some(value) if negative => value.wrapping_neg(),
        Some(value) => value,
    }
}

/// How a session is named: its number, which begins with 0 where an address must not.
fn id(number: u64) -> u64 {
    number.wrapping_add(1)
}

fn number(id: u64) -> u64 {
    id.wrapping_sub(1)
}

/// haproxy's numbers for what a stream is doing.
struct Numbers {
    flags: u32,
    request: (u32, u32),
    response: (u32, u32),
    client: u32,
    server: (u32, &'static str, u32),
}

fn numbers(report: &Report) -> Numbers {
    let http = report.method.is_some();
    let (no_response, ini) = ((0x8000_0000, 0), (0, "INI", 0x1));
    let waiting = if http { (0x4dc0_0000, 0x8000) } else { (0x0080_8000, 0) };
    let (client, server) = if http { (0x280, 0x11) } else { (0x200, 0x1) };
    let of_http = if http { 0xc00 } else { 0 };
    let sent = if report.request_done { (0x49c4_0080, 0x8000) } else { (0x00c4_0080, 0x8000) };
    let ends = if report.request_done { (0x80, 0x11) } else { (0, 0x1) };
    let of = |flags: u32, request, response, client, server| Numbers {
        flags: flags | of_http,
        request,
        response,
        client,
        server,
    };
    match report.stage {
        Stage::Rules => of(0, if http { (0x40_0000, 0x22) } else { (0, 0x22) }, no_response, 0, ini),
        Stage::Body => of(0, (0x40_0000, 0x30), no_response, 0, ini),
        Stage::Tarpit => of(0, (0x4040_0000, 0x200), no_response, 0, ini),
        Stage::Queue => of(0x8, waiting, no_response, client, (2, "QUE", server)),
        Stage::Pause => of(0xa, waiting, no_response, client, (3, "TAR", 0x1)),
        Stage::Connect => of(0x4a, waiting, no_response, client, (5, "CON", server)),
        Stage::Headers => of(0x4a, sent, (0x8040_0000, 0x140_0000), ends.0, (8, "EST", ends.1)),
        Stage::Data => of(0x4a, sent, (0x8004_0000, 0x400_0000), ends.0, (8, "EST", ends.1)),
        Stage::Tunnel => of(0x4a, (0x84_8000, 0), (0x8004_8202, 0), 0, (8, "EST", 0x1)),
        Stage::Answer => of(0, sent, (0x8004_0000, 0), ends.0, ini),
    }
}

/// How long something takes, in its two largest units.
struct Span(Duration);

impl Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        match seconds {
            86_400.. => write!(f, "{}d{}h", seconds / 86_400, seconds / 3_600 % 24),
            3_600.. => write!(f, "{}h{}m", seconds / 3_600, seconds / 60 % 60),
            60.. => write!(f, "{}m{}s", seconds / 60, seconds % 60),
            _ => write!(f, "{seconds}s"),
        }
    }
}

/// What is left of a time, or a word for one that is not limited.
struct Left(Option<Duration>, &'static str);

impl Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(left) => Span(left).fmt(f),
            None => f.write_str(self.1),
        }
    }
}

fn shown(left: Option<Duration>) -> Left {
    Left(left, "")
}

fn or_never(left: Option<Duration>) -> Left {
    Left(left, "<NEVER>")
}

/// An address of a client or its connection; a unix socket's has no name but its listener's number.
struct Address<'a>(&'a Report, Option<SocketAddr>);

impl Display for Address<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            Some(address) => Plain(address).fmt(f),
            None => write!(f, "unix:{}", self.0.listener.bind.id),
        }
    }
}

/// An address without brackets.
struct Plain(SocketAddr);

impl Display for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.0.ip(), self.0.port())
    }
}

fn protocol(address: Option<SocketAddr>) -> &'static str {
    match address {
        Some(SocketAddr::V4(_)) => "tcpv4",
        Some(SocketAddr::V6(_)) => "tcpv6",
        None => "unix_stream",
    }
}

fn mode(section: &Section) -> &'static str {
    match section.mode {
        Mode::Http => "http",
        Mode::Tcp => "tcp",
        Mode::Log => "log",
        Mode::Health => "health",
    }
}

/// One line of `show sess`.
struct Line<'a>(&'a Report);

impl Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (report, numbers) = (self.0, numbers(self.0));
        write!(
            f,
            "{:#x}: proto={} src={} fe={} be={} srv={} ts=00 epoch=0 age={} calls={} rate=0 cpu=0 lat=0",
            id(report.number),
            protocol(report.source),
            Address(report, report.source),
            report.frontend.name(),
            report.backend.as_ref().map_or("<NONE>", |backend| backend.name()),
            report.server.as_ref().map_or("<none>", |server| &*server.name),
            Span(report.age),
            report.waits,
        )?;
        let ways = [("rq", numbers.request, &report.request), ("rp", numbers.response, &report.response)];
        for (name, (flags, analysers), way) in ways {
            write!(
                f,
                " {name}[f={flags:06x}h,i={},an={analysers:02x}h,rx={},wx={},ax={}]",
                way.pending,
                shown(way.read),
                shown(way.write),
                shown(way.analysis),
            )?;
        }
        let (client, server) = report.descriptors;
        let (state, _, flags) = numbers.server;
        write!(
            f,
            " scf=[8,{:x}h,fd={client}] scb=[{state},{flags:x}h,fd={}] exp={} rc={} c_exp={}",
            numbers.client,
            server.unwrap_or(-1),
            shown(report.next()),
            report.retries,
            shown(report.connect),
        )
    }
}

/// What `show sess all` says about one session.
struct Full<'a>(&'a Report);

impl Display for Full<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (report, numbers) = (self.0, numbers(self.0));
        self.head(f, &numbers)?;
        self.names(f)?;
        self.task(f)?;
        self.ends(f, &numbers)?;
        self.way(f, ("req", numbers.request), &report.request)?;
        self.way(f, ("res", numbers.response), &report.response)
    }
}

impl Full<'_> {
    fn head(&self, f: &mut fmt::Formatter<'_>, numbers: &Numbers) -> fmt::Result {
        let report = self.0;
        let mut date = Vec::new();
        report.since.write_micros(&mut date);
        let pointer = |there: bool| if there { format!("{:#x}", id(report.number)) } else { "(nil)".to_owned() };
        writeln!(
            f,
            "{:#x}: [{}] id={} proto={} source={}",
            id(report.number),
            String::from_utf8_lossy(&date),
            report.number,
            protocol(report.source),
            Address(report, report.source),
        )?;
        writeln!(
            f,
            "  flags={:#x}, conn_retries={}, conn_exp={} conn_et={:#05x} srv_conn={}, pend_pos={} waiting=0 epoch=0",
            numbers.flags,
            report.retries,
            or_never(report.connect),
            if report.stage == Stage::Pause { 0x10 } else { 0 },
            pointer(report.server.is_some()),
            pointer(report.stage == Stage::Queue),
        )
    }

    fn names(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.0;
        let front = &report.frontend.section;
        writeln!(
            f,
            "  frontend={} (id={} mode={}), listener={} (id={}) addr={}",
            front.name,
            front.id,
            mode(front),
            report.listener.bind.name.as_deref().unwrap_or("?"),
            report.listener.bind.id,
            Address(report, report.destination),
        )?;
        let at = |f: &mut fmt::Formatter<'_>, address: Option<SocketAddr>| match address {
            Some(address) => writeln!(f, " addr={}", Plain(address)),
            None => writeln!(f),
        };
        let Some(backend) = &report.backend else {
            return f.write_str("  backend=<NONE> (id=-1 mode=-)\n  server=<NONE> (id=-1)\n");
        };
        write!(f, "  backend={} (id={} mode={})", backend.name(), backend.section.id, mode(&backend.section))?;
        at(f, report.left_from)?;
        let Some(server) = &report.server else { return f.write_str("  server=<none> (id=0)\n") };
        write!(f, "  server={} (id={})", server.name, server.id)?;
        at(f, report.descriptors.1.and(report.target))
    }

    fn task(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.0;
        writeln!(
            f,
            "  task={:#x} (state=0x00 nice=0 calls={} rate=0 exp={} tmask={:#x} age={})",
            id(report.number),
            report.waits,
            or_never(report.next()),
            self.mask(),
            Span(report.age),
        )?;
        let Some(method) = &report.method else { return Ok(()) };
        writeln!(
            f,
            "  txn={:#x} flags=0x0 meth={} status={} req.st={} rsp.st={} req.f=0x00 rsp.f=0x00",
            id(report.number),
            method_number(method),
            report.status.map_or(-1, i32::from),
            if report.request_done { "MSG_DONE" } else { "MSG_DATA" },
            if report.stage == Stage::Data { "MSG_DATA" } else { "MSG_RPBEFORE" },
        )
    }

    /// The threads it may run on: its worker.
    fn mask(&self) -> u64 {
        u32::try_from(self.0.worker).ok().and_then(|worker| 1_u64.checked_shl(worker)).unwrap_or(0)
    }

    fn ends(&self, f: &mut fmt::Formatter<'_>, numbers: &Numbers) -> fmt::Result {
        let (report, id, mask) = (self.0, id(self.0.number), self.mask());
        let mux = if report.method.is_some() { "H1" } else { "PASS" };
        let (client, server) = report.descriptors;
        writeln!(f, "  scf={id:#x} flags={:#010x} state=EST endp=CONN,{id:#x},0x02800001 sub=1", numbers.client)?;
        writeln!(
            f,
            "      co0={id:#x} ctrl={} xprt=RAW mux={mux} data=STRM target=LISTENER:{id:#x}",
            protocol(report.source)
        )?;
        writeln!(f, "      flags=0x00000300 fd={client} fd.state=20 updt=0 fd.tmask={mask:#x}")?;
        let (_, state, flags) = numbers.server;
        let Some(server) = server else {
            return writeln!(f, "  scb={id:#x} flags={flags:#010x} state={state} endp=NONE,(nil),0x00000010 sub=0");
        };
        writeln!(f, "  scb={id:#x} flags={flags:#010x} state={state} endp=CONN,{id:#x},0x02800001 sub=1")?;
        // Without an address it is one of this host.
        let to = protocol(report.target);
        writeln!(f, "      co1={id:#x} ctrl={to} xprt=RAW mux={mux} data=STRM target=SERVER:{id:#x}")?;
        writeln!(f, "      flags=0x00000300 fd={server} fd.state=20 updt=0 fd.tmask={mask:#x}")
    }

    fn way(
        &self,
        f: &mut fmt::Formatter<'_>,
        (name, (flags, analysers)): (&str, (u32, u32)),
        way: &Direction,
    ) -> fmt::Result {
        let id = id(self.0.number);
        let forwards = if self.0.stage == Stage::Tunnel { -1 } else { 0 };
        let total = way.total;
        writeln!(f, "  {name}={id:#x} (f={flags:#08x} an={analysers:#x} pipe=0 tofwd={forwards} total={total})")?;
        let (analysis, read, write) = (or_never(way.analysis), or_never(way.read), or_never(way.write));
        writeln!(f, "      an_exp={analysis} rex={read} wex={write}")?;
        let data = if way.pending + way.output > 0 { format!("{id:#x}") } else { "(nil)".to_owned() };
        let (output, pending) = (way.output, way.pending);
        writeln!(f, "      buf={id:#x} data={data} o={output} p={output} i={pending} size={}", output + pending)?;
        if self.0.method.is_none() {
            return Ok(());
        }
        writeln!(f, "      htx={id:#x} flags=0x0 size=0 data={} used=0 wrap=NO extra=0", output + pending)
    }
}

/// haproxy's number of a method.
fn method_number(method: &[u8]) -> u8 {
    match method {
        b"OPTIONS" => 0,
        b"GET" => 1,
        b"HEAD" => 2,
        b"POST" => 3,
        b"PUT" => 4,
        b"DELETE" => 5,
        b"TRACE" => 6,
        b"CONNECT" => 7,
        _ => 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_c_reads_them() {
        let long = "9".repeat(400);
        for (word, expected) in [
            ("0x1f", 0x1f),
            ("0X1F:", 0x1f),
            ("31", 31),
            ("017", 15),
            ("0", 0),
            ("", 0),
            ("x", 0),
            ("0x", 0),
            ("fff", 0),
            ("-1", u64::MAX),
            ("-2", u64::MAX - 1),
            ("+5", 5),
            (long.as_str(), u64::MAX),
            ("0xffffffffffffffff", u64::MAX),
            ("0x1ffffffffffffffff", u64::MAX),
        ] {
            assert_eq!(address(word), expected, "{word}");
        }
    }

    #[test]
    fn spans_have_their_two_largest_units() {
        for (seconds, expected) in [(0, "0s"), (59, "59s"), (61, "1m1s"), (10_740, "2h59m"), (255_600, "2d23h")] {
            assert_eq!(Span(Duration::from_secs(seconds)).to_string(), expected);
        }
        assert_eq!(shown(None).to_string(), "");
        assert_eq!(or_never(None).to_string(), "<NEVER>");
    }
}
