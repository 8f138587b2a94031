//! Runs many cases at once through both proxies, in one loop over all sockets. A case is over when the proxy has closed the
//! client's connection and the server's connections have nothing more to say; nothing waits for a time.

use crate::case::{Case, Ending, SENTINEL};
use crate::lines::{self, Line};
use crate::origin::Script;
use crate::outcome::{End, Outcome};
use crate::side::{Side, VARIANTS, variant_of};
use anyhow::{Context, Result, ensure};
use integration_tests::clock;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use socket2::{Domain, Socket, Type};
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Longer than any timeout of the proxies, also on a busy machine.
const STUCK_AFTER: Duration = Duration::from_secs(12);
/// Lines that are not there by then do not come: both have closed the client's connection, and a server's timeout has passed.
const LATE: Duration = Duration::from_millis(1_500);
/// The pause between two writes of a client, so that the proxy reads the first alone; each time a difference is looked at
/// again, it is [`SLOWER`] times as long.
const PAUSE: Duration = Duration::from_millis(2);
const SLOWER: u32 = 4;
/// How many events are taken at once.
const EVENTS: usize = 256;

/// A case that has been run at both.
pub(crate) struct Finished<T> {
    pub(crate) case: Rc<Case>,
    pub(crate) tag: T,
    pub(crate) ours: Outcome,
    pub(crate) theirs: Outcome,
    /// What each has logged.
    pub(crate) lines: [Vec<Line>; 2],
}

/// The number of the socket that lines come to.
const LINES: usize = 0xffff;

/// What an event is about.
#[derive(Clone, Copy)]
struct Token {
    place: usize,
    side: usize,
    /// 0: the listener; 1: the client; [`LINES`]: the lines of a side; else connections of the server.
    socket: usize,
    /// Events of a run that is over are no longer of interest.
    turn: u32,
}

impl Token {
    fn pack(self) -> u64 {
        (u64::from(self.turn) << 32) | ((self.place as u64) << 17) | ((self.side as u64) << 16) | self.socket as u64
    }

    fn unpack(packed: u64) -> Self {
        let low = (packed & 0xffff_ffff) as usize;
        Self { place: low >> 17, side: (low >> 16) & 1, socket: low & 0xffff, turn: (packed >> 32) as u32 }
    }
}

/// A connection that the proxy has made to the server.
struct Connection {
    stream: TcpStream,
    script: Script,
    ended: bool,
    shut: bool,
    /// When the next piece of an answer is to be sent.
    due: Instant,
}

/// A case at one of the two.
struct Run {
    client: TcpStream,
    segments: VecDeque<Vec<u8>>,
    /// When the next piece is to be sent.
    due: Instant,
    pause: Duration,
    ending: Ending,
    received: Vec<u8>,
    closed: bool,
    connections: Vec<Connection>,
    answered: usize,
}

/// A case at both.
struct Pair<T> {
    case: Rc<Case>,
    tag: T,
    started: Instant,
    runs: [Option<Run>; 2],
    outcomes: [Option<Outcome>; 2],
    /// When the second of them was there.
    over: Option<Instant>,
    /// The clients' ports, which lines name.
    ports: [u16; 2],
    lines: [Vec<Line>; 2],
}

/// Both proxies, and where cases are run.
pub(crate) struct Engine<T> {
    pub(crate) sides: [Side; 2],
    epoll: Epoll,
    places: Vec<Option<Pair<T>>>,
    turns: Vec<u32>,
    free: Vec<Vec<usize>>,
}

impl<T> Engine<T> {
    /// `sides` are ours and theirs.
    pub(crate) fn new(sides: [Side; 2]) -> Result<Self> {
        let count = sides[0].places.len();
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let mut free = vec![Vec::new(); VARIANTS.len()];
        for place in 0..count {
            free[variant_of(place)].push(place);
            for (side, of) in sides.iter().enumerate() {
                let token = Token { place, side, socket: 0, turn: 0 };
                epoll.add(&of.places[place].server, EpollEvent::new(EpollFlags::EPOLLIN, token.pack()))?;
            }
        }
        for (side, of) in sides.iter().enumerate() {
            let token = Token { place: 0, side, socket: LINES, turn: 0 };
            epoll.add(&of.lines.socket, EpollEvent::new(EpollFlags::EPOLLIN, token.pack()))?;
        }
        Ok(Self { sides, epoll, places: (0..count).map(|_| None).collect(), turns: vec![0; count], free })
    }

    /// Whether a case of this variant can begin now.
    pub(crate) fn has_room(&self, variant: usize) -> bool {
        !self.free[variant].is_empty()
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.places.iter().all(Option::is_none)
    }

    /// Begins a case; there must be room. `patience`: how often it has been looked at before.
    pub(crate) fn start(&mut self, case: Rc<Case>, tag: T, patience: u32) -> Result<()> {
        let now = clock::now();
        let place = self.free[case.variant].pop().context("no room")?;
        self.turns[place] = self.turns[place].wrapping_add(1).max(1);
        let turn = self.turns[place];
        let mut runs = [None, None];
        let mut ports = [0; 2];
        for (side, run) in runs.iter_mut().enumerate() {
            ensure!(
                self.sides[side].is_running(),
                "{} ended: {}",
                ["proxyd", "haproxy"][side],
                self.sides[side].told()
            );
            let client = connect(self.sides[side].places[place].front)?;
            ports[side] = client.local_addr()?.port();
            let token = Token { place, side, socket: 1, turn };
            self.epoll.add(&client, EpollEvent::new(EpollFlags::EPOLLIN, token.pack()))?;
            let mut segments: VecDeque<Vec<u8>> = case.segments.iter().cloned().collect();
            match (case.ending, segments.back_mut()) {
                (Ending::Sentinel, Some(last)) => last.extend_from_slice(SENTINEL),
                (Ending::Sentinel | Ending::LateSentinel, _) => segments.push_back(SENTINEL.to_vec()),
                (Ending::HalfClose | Ending::Hold, _) => {}
            }
            *run = Some(Run {
                client,
                segments,
                due: now,
                pause: PAUSE * SLOWER.pow(patience),
                ending: case.ending,
                received: Vec::new(),
                closed: false,
                connections: Vec::new(),
                answered: 0,
            });
        }
        let (outcomes, lines) = ([None, None], [Vec::new(), Vec::new()]);
        self.places[place] = Some(Pair { case, tag, started: now, runs, outcomes, over: None, ports, lines });
        Ok(())
    }

    /// Does what can be done now, and returns the cases that came to their end.
    pub(crate) fn turn(&mut self) -> Result<Vec<Finished<T>>> {
        let now = clock::now();
        let mut busy = false;
        for pair in self.places.iter_mut().flatten() {
            for run in pair.runs.iter_mut().flatten() {
                run.send(now);
                let pause = run.pause;
                run.connections.iter_mut().for_each(|connection| connection.write(now, pause));
                busy |= run.owes() || run.connections.iter().any(|connection| !connection.script.output.is_empty());
            }
        }
        let mut events = [EpollEvent::empty(); EVENTS];
        let timeout = EpollTimeout::from(if busy { 1_u8 } else { 20 });
        let count = self.epoll.wait(&mut events, timeout)?;
        for event in &events[..count] {
            self.handle(Token::unpack(event.data()))?;
        }
        let mut finished = Vec::new();
        let now = clock::now();
        for place in 0..self.places.len() {
            self.sweep(place, now);
            if self.places[place].as_mut().is_some_and(|pair| pair.is_over(now)) {
                let Some(pair) = self.places[place].take() else { continue };
                self.free[pair.case.variant].push(place);
                let Pair { case, tag, outcomes: [Some(ours), Some(theirs)], lines, .. } = pair else { continue };
                finished.push(Finished { case, tag, ours, theirs, lines });
            }
        }
        Ok(finished)
    }

    fn handle(&mut self, token: Token) -> Result<()> {
        let Token { place, side, socket, turn } = token;
        match socket {
            0 => return self.accept(place, side),
            LINES => {
                self.read_lines(side);
                return Ok(());
            }
            _ => {}
        }
        if self.turns[place] != turn {
            return Ok(());
        }
        let Some(pair) = &mut self.places[place] else { return Ok(()) };
        let Some(run) = &mut pair.runs[side] else { return Ok(()) };
        if socket == 1 {
            run.closed |= read(&mut run.client, &mut run.received);
        } else {
            run.serve(socket - 2, &pair.case);
        }
        Ok(())
    }

    /// Gives each line that has come to the case that it is about; what one that is over has still logged is of no interest.
    fn read_lines(&mut self, side: usize) {
        for line in self.sides[side].lines.take() {
            let pair = line.place().and_then(|place| self.places.get_mut(place)?.as_mut());
            if let Some(pair) = pair.filter(|pair| line.port() == Some(pair.ports[side])) {
                pair.lines[side].push(line);
            }
        }
    }

    fn accept(&mut self, place: usize, side: usize) -> Result<()> {
        while let Ok((stream, _)) = self.sides[side].places[place].server.accept() {
            let Some(run) = self.places[place].as_mut().and_then(|pair| pair.runs[side].as_mut()) else { continue };
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            let token = Token { place, side, socket: run.connections.len() + 2, turn: self.turns[place] };
            let interest = EpollFlags::EPOLLIN | EpollFlags::EPOLLET;
            self.epoll.add(&stream, EpollEvent::new(interest, token.pack()))?;
            let script = Script::default();
            run.connections.push(Connection { stream, script, ended: false, shut: false, due: clock::now() });
        }
        Ok(())
    }

    /// Ends the runs of a place that are over.
    fn sweep(&mut self, place: usize, now: Instant) {
        for side in 0..2 {
            let Some(pair) = &self.places[place] else { return };
            let Some(run) = &pair.runs[side] else { continue };
            let stuck = now.saturating_duration_since(pair.started) > STUCK_AFTER;
            if !run.closed && !stuck {
                continue;
            }
            // What the proxy connected before it closed is there to be accepted, what it wrote is there to be read.
            let _ = self.accept(place, side);
            let Some(pair) = &mut self.places[place] else { return };
            let case = Rc::clone(&pair.case);
            let Some(run) = &mut pair.runs[side] else { continue };
            for connection in 0..run.connections.len() {
                run.serve(connection, &case);
            }
            let settled = run.connections.iter().all(|one| one.ended || one.script.is_settled());
            if settled || stuck {
                let received: Vec<&[u8]> = run.connections.iter().map(|one| one.script.received.as_slice()).collect();
                let end = if run.closed && settled { End::Closed } else { End::Stuck };
                pair.outcomes[side] = Some(Outcome::new(&run.received, end, &received));
                pair.runs[side] = None;
            }
        }
    }
}

impl<T> Pair<T> {
    /// Whether both runs have come to their end, and all lines are there that may be compared: those of outcomes that differ are not.
    fn is_over(&mut self, now: Instant) -> bool {
        let [Some(ours), Some(theirs)] = &self.outcomes else { return false };
        let over = *self.over.get_or_insert(now);
        let expected = ours.statuses().iter().filter(|&&status| status == 101 || status >= 200).count().max(1);
        let there = self.lines[1].len() >= expected && lines::alike(&self.lines[0], &self.lines[1]);
        there || ours != theirs || now.saturating_duration_since(over) > LATE
    }
}

impl Run {
    /// Whether the client has not done all it has to do.
    fn owes(&self) -> bool {
        !self.segments.is_empty() || self.ending == Ending::HalfClose
    }

    /// Sends the next piece when its time has come.
    fn send(&mut self, now: Instant) {
        if now < self.due || !self.owes() {
            return;
        }
        if let Some(segment) = self.segments.front_mut() {
            match self.client.write(segment) {
                Ok(count) => drop(segment.drain(..count)),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                // The proxy has closed; what it said before is still to be read.
                Err(_) => self.segments.clear(),
            }
            if self.segments.front().is_some_and(Vec::is_empty) {
                self.segments.pop_front();
                self.due = now + self.pause;
            }
        } else {
            let _ = self.client.shutdown(Shutdown::Write);
            self.ending = Ending::Hold;
        }
    }

    fn serve(&mut self, number: usize, case: &Case) {
        let Some(connection) = self.connections.get_mut(number) else { return };
        if connection.ended {
            return;
        }
        connection.ended = read(&mut connection.stream, &mut connection.script.received);
        connection.script.advance(case, &mut self.answered);
        connection.write(clock::now(), self.pause);
    }
}

impl Connection {
    /// Writes the next piece of what is to be written, if its time has come.
    fn write(&mut self, now: Instant, pause: Duration) {
        if now >= self.due
            && let Some(piece) = self.script.output.pop_front()
        {
            // Answers are small beside the socket's buffer: they are written whole, or the proxy is gone.
            let _ = self.stream.write_all(&piece);
            self.due = now + pause;
        }
        if self.script.closes && !self.shut && self.script.output.is_empty() {
            self.shut = true;
            let _ = self.stream.shutdown(Shutdown::Write);
        }
    }
}

/// Reads what is there; true at the end of the connection.
fn read(stream: &mut TcpStream, into: &mut Vec<u8>) -> bool {
    let mut block = [0; 16 << 10];
    loop {
        match stream.read(&mut block) {
            Ok(0) => return true,
            Ok(count) => into.extend_from_slice(&block[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return true,
        }
    }
}

fn connect(front: std::net::SocketAddr) -> Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    // On loopback a connection is there at once, or refused.
    socket.connect(&front.into()).with_context(|| format!("to {front}"))?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    Ok(socket.into())
}
