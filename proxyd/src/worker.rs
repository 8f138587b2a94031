//! One worker: a thread, its runtime, and everything its connections need.
//!
//! Nothing here is shared with other workers but the generation in force, counters and servers' slots. So the path of a
//! request takes no lock, and what belongs to a connection is `Rc` and `Cell`. A worker is told what to do by [`Command`]s;
//! it ends when it was told to drain and its last connection is gone, or at once when it was told to stop.

pub mod buffers;
pub mod kept;
pub mod pipes;
pub mod starts;
pub mod survey;
pub mod timers;
pub mod view;

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use socket2::Socket;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::{JoinHandle, spawn_local, yield_now};
use tokio::time::sleep;

use crate::clock::{Moment, Wall};
use crate::generation::{Generation, Handle, Reader};
use crate::health::observe::Evidence;
use crate::http::Head;
use crate::limits::{COMMANDS_WAITING, HEADS_KEPT};
use crate::log_sink::{LogSettings, LogSink};
use crate::name_service::Asked;
use crate::net::accept::{self, Waiting};
use crate::net::listen;
use crate::proxy::frontend::{AcceptState, Limit};
use crate::proxy::listen::ListenAddress;
use crate::proxy::settings::CloseSpread;
use crate::proxy::{Backend, Frontend, Listener};
use crate::rules::effect::Effect;
use crate::session;
use crate::session::pool::{self, Pools};
use crate::session::report::Report;
use crate::stats::admin::Action;
use crate::stats::clear::{self, Totals};
use crate::stats::collect::ProcessStats;
use crate::stats::{Clear, WorkerIndex};
use buffers::Buffers;
use kept::Kept;
use pipes::{PipeLimits, Pipes};
use starts::Starts;
use survey::{Question, Survey};
use timers::Timers;
use view::View;

/// What a worker is made of.
#[derive(Debug)]
pub struct Settings {
    /// Its place in all counters.
    pub index: WorkerIndex,
    /// The generation in force.
    pub handle: Handle,
    /// When the process started: the zero of milliseconds in statistics.
    pub started: Instant,
    /// For its log.
    pub log: LogSettings,
    /// Shared by all workers: where listeners wait at a limit.
    pub waiting: Arc<Waiting>,
    /// Shared by all workers: how many pipes there may be.
    pub pipes: Arc<PipeLimits>,
    /// What the statistics page asks of the process.
    pub process: Arc<dyn Process>,
    /// What it listens on from the beginning.
    pub listening: Vec<Listening>,
    /// `cpu-map`: the processors it may run on; none: all.
    pub processors: Vec<u16>,
    /// `busy-polling`: it never sleeps.
    pub busy: bool,
}

/// What the statistics page shows of the process, and what it may do to servers.
pub trait Process: Send + Sync + std::fmt::Debug {
    /// The process's own figures.
    fn stats(&self, generation: &Generation) -> ProcessStats;
    /// Acts on a server of a backend, given by its place there; false if it cannot.
    fn act(&self, backend: &Arc<Backend>, server: usize, action: Action) -> bool;
    /// A frontend is to accept from now on, or not to.
    fn accept(&self, frontend: &Arc<Frontend>, state: AcceptState);
    /// Traffic has told too often in a row that something is wrong with a server, given likewise.
    fn observed(&self, backend: &Arc<Backend>, server: usize, last: Evidence);
    /// A rule asks name servers.
    fn resolve(&self, asked: Asked);
    /// What sets a variable, from the words of `set var`, or what is wrong with them.
    fn variable(&self, generation: &Generation, words: &[&str]) -> Result<Effect, String>;
}

/// A socket to accept on.
#[derive(Debug)]
pub struct Listening {
    /// For whom.
    pub frontend: Arc<Frontend>,
    /// Through which `bind` line.
    pub listener: Arc<Listener>,
    /// This worker's socket, listening, not blocking.
    pub socket: Socket,
}

/// What a worker is told.
#[derive(Debug)]
pub enum Command {
    /// Another generation is in force: accept on these sockets too, and no longer on those it does not know.
    Reload(Vec<Listening>),
    /// A frontend's [`Accepting`](crate::proxy::frontend::Accepting) or a limit has changed; who asks for it is told when it is
    /// in force.
    Update(Option<oneshot::Sender<()>>),
    /// Ask the sessions; who asks waits for the answer before the next question is put.
    Ask(Question, oneshot::Sender<Vec<Report>>),
    /// Forget what was counted; the answer is what was forgotten.
    Clear(Clear, oneshot::Sender<Totals>),
    /// Accept nothing more, close what is idle, end when the last connection has ended.
    Drain,
    /// End at once.
    Stop,
}

/// Sockets that one wait of the loop reports: enough that answers are found behind many requests, of which only some begin.
const EVENTS_PER_TURN: usize = 512;
/// Tasks that run before the loop looks at its sockets again.
const TASKS_PER_TURN: u32 = 128;

/// Connections end in so many steps, with `close-spread-time`.
const TURNS: u16 = 1_000;
/// From one connection's turn to the next one's; it has no divisor in common with [`TURNS`], so that every turn is taken.
const TURN_STEP: u16 = 617;
/// How often a worker that drains looks whose turn it is.
const BETWEEN_TURNS: Duration = Duration::from_millis(50);

/// The other threads' end of a worker.
#[derive(Debug)]
pub struct WorkerHandle {
    /// What to do.
    pub commands: mpsc::Sender<Command>,
    /// Ends with the worker.
    pub thread: thread::JoinHandle<()>,
}

/// Starts a worker on a thread of its own.
pub fn spawn(settings: Settings) -> io::Result<WorkerHandle> {
    let (commands, received) = mpsc::channel(COMMANDS_WAITING);
    let name = format!("worker-{}", settings.index + 1);
    let tune = &settings.handle.load().global.tune;
    let events = tune.maxpollevents.and_then(|number| usize::try_from(number).ok()).unwrap_or(EVENTS_PER_TURN);
    let tasks = tune.runqueue_depth.unwrap_or(TASKS_PER_TURN);
    let runtime_ready = move || {
        let options = LocalOptions::default();
        let mut runtime = Builder::new_current_thread();
        runtime.max_io_events_per_tick(events).event_interval(tasks);
        stay_on(&settings.processors);
        match runtime.enable_all().on_thread_park(turn_over).build_local(options) {
            Ok(runtime) => runtime.block_on(run(settings, received)),
            Err(error) => tracing::error!(%error, "a worker cannot start"),
        }
    };
    let thread = thread::Builder::new().name(name).spawn(runtime_ready)?;
    Ok(WorkerHandle { commands, thread })
}

/// Keeps the calling thread on these processors.
fn stay_on(processors: &[u16]) {
    let mut set = CpuSet::new();
    for &processor in processors {
        // What the set has no room for is no processor of this machine.
        let _ = set.set(processor.into());
    }
    if !processors.is_empty()
        && let Err(error) = sched_setaffinity(Pid::from_raw(0), &set)
    {
        tracing::warn!("'cpu-map' names no processor that this thread could run on: {}", error.desc());
    }
}

/// `busy-polling`: there is always something to do, so that the loop never sleeps. An end of the process needs no haste.
async fn keep_awake(worker: Rc<Worker>) {
    while !worker.draining.get() {
        // The loop never has nothing to do, which is when a turn is over otherwise.
        worker.turn_over();
        yield_now().await;
    }
}

thread_local! {
    /// The worker of this thread, for what the runtime calls when it has nothing to do.
    static CURRENT: RefCell<Option<Rc<Worker>>> = const { RefCell::new(None) };
}

/// Once per turn of the loop: the lines of all requests of the turn leave together, and others may begin in the next.
fn turn_over() {
    CURRENT.with(|current| {
        if let Some(worker) = &*current.borrow() {
            worker.turn_over();
        }
    });
}

/// Everything of a worker that its connections share.
#[derive(Debug)]
pub struct Worker {
    /// Its place in all counters.
    pub index: WorkerIndex,
    /// Its timer wheel.
    pub timers: Timers,
    /// Its memory for bytes in flight.
    pub buffers: Buffers,
    /// Its pipes for bytes that pass through the kernel.
    pub pipes: Pipes,
    /// Its memory for exchanges.
    pub futures: Kept,
    /// Which requests begin in a turn of its loop.
    pub starts: Starts,
    /// The connections to servers that it has put aside.
    pub pools: Pools,
    /// Its log.
    pub log: LogSink,
    /// The process, for the statistics page.
    pub process: Arc<dyn Process>,
    /// Each where it is, so that none is copied when it is taken and given back.
    #[expect(clippy::vec_box, reason = "the box is what is kept")]
    heads: RefCell<Vec<Box<Head>>>,
    reader: RefCell<Reader>,
    view: RefCell<Rc<View>>,
    started: Moment,
    wall: Wall,
    draining: Cell<bool>,
    /// While it drains, connections whose turn is before this are to end.
    turns: Cell<u16>,
    /// The turn of the next connection.
    next_turn: Cell<u16>,
    connections: Cell<usize>,
    /// How many workers there are.
    workers: u64,
    /// Exchanges that began here.
    exchanges: Cell<u64>,
    /// Told when the last connection ends.
    empty: Notify,
}

impl Worker {
    fn new(settings: &Settings, now: Moment) -> Self {
        let mut reader = settings.handle.reader();
        let view = Rc::new(View::new(Arc::clone(reader.current()), settings.index));
        let workers = view.generation.global.workers as u64;
        Self {
            index: settings.index,
            timers: Timers::new(now),
            buffers: Buffers::new(view.generation.global.tune.bufsize as usize),
            pipes: Pipes::new(Arc::clone(&settings.pipes)),
            futures: Kept::default(),
            starts: Starts::default(),
            pools: Pools::default(),
            log: LogSink::new(settings.log.clone()),
            process: Arc::clone(&settings.process),
            heads: RefCell::default(),
            reader: RefCell::new(reader),
            view: RefCell::new(view),
            started: settings.started.into(),
            wall: Wall::default(),
            draining: Cell::new(false),
            turns: Cell::new(0),
            next_turn: Cell::new(0),
            connections: Cell::new(0),
            workers,
            exchanges: Cell::new(0),
            empty: Notify::new(),
        }
    }

    fn turn_over(&self) {
        self.log.flush();
        self.starts.turn_over();
    }

    /// This worker's side of the generation in force.
    pub fn view(&self) -> Rc<View> {
        let mut reader = self.reader.borrow_mut();
        let generation = reader.current();
        let mut view = self.view.borrow_mut();
        if !Arc::ptr_eq(generation, &view.generation) {
            *view = Rc::new(View::after(&view, Arc::clone(generation)));
        }
        Rc::clone(&view)
    }

    /// The number of an exchange that begins now. Each worker has every `workers`-th number, so that none is shared; with one worker
    /// they are haproxy's.
    pub fn next_exchange(&self) -> u64 {
        let before = self.exchanges.get();
        self.exchanges.set(before + 1);
        before * self.workers + self.index as u64
    }

    /// Milliseconds since the process started.
    pub fn milliseconds(&self, now: Moment) -> u64 {
        now.milliseconds_since(self.started)
    }

    /// The date of a moment, as the time since 1970.
    pub fn date(&self, at: Moment) -> Duration {
        self.wall.date(at)
    }

    /// A head to read into.
    pub fn head(&self) -> Box<Head> {
        self.heads.borrow_mut().pop().unwrap_or_default()
    }

    /// Gives heads back.
    pub fn give_heads(&self, given: [Box<Head>; 2]) {
        let mut heads = self.heads.borrow_mut();
        for mut head in given {
            if heads.len() < HEADS_KEPT {
                head.clear();
                heads.push(head);
            }
        }
    }

    /// No more requests are taken from connections of this frontend than those that have begun.
    pub fn is_closing(&self, frontend: &Frontend, turn: u16) -> bool {
        if self.draining.get() {
            return turn < self.turns.get();
        }
        frontend.accepting.ends_connections()
    }

    /// Asks the sessions; the answer comes when the last one has answered.
    fn ask(&self, question: Question, asker: oneshot::Sender<Vec<Report>>) {
        self.timers.ask(&Rc::new(Survey::new(question, asker)));
    }

    /// Forgets what it has counted.
    fn clear(&self, what: Clear, asker: oneshot::Sender<Totals>) {
        let gone = clear::of_worker(&self.view().generation, self.index, what);
        // An operator who has left needs no answer.
        let _ = asker.send(gone);
    }

    /// Counts a connection for as long as it lives.
    pub fn enter(self: &Rc<Self>) -> Presence {
        self.connections.set(self.connections.get() + 1);
        // Neighbours have turns far from each other.
        let turn = self.next_turn.get();
        self.next_turn.set((turn + TURN_STEP) % TURNS);
        Presence { worker: Rc::clone(self), turn }
    }
}

/// A connection of this worker.
#[derive(Debug)]
pub struct Presence {
    worker: Rc<Worker>,
    turn: u16,
}

impl Presence {
    /// When it is its turn to end, of all [`TURNS`] of a process that closes its connections little by little.
    pub fn turn(&self) -> u16 {
        self.turn
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        let left = self.worker.connections.get() - 1;
        self.worker.connections.set(left);
        if left == 0 {
            self.worker.empty.notify_one();
        }
    }
}

/// A duration in whole milliseconds.
pub fn milliseconds(duration: Duration) -> u64 {
    // Not `as_millis`, which divides 128 bits: this runs several times per request.
    duration.as_secs().saturating_mul(1_000).saturating_add(u64::from(duration.subsec_millis()))
}

/// A socket and the task that accepts on it, if it accepts.
struct Door {
    socket: Socket,
    face: Rc<RefCell<Face>>,
    task: Option<JoinHandle<()>>,
}

impl Door {
    /// Whether the kernel may be told to take nobody for it any more. A unix socket that is told so never listens again, and its
    /// other owners are told for ever that there is something to accept; one that the process was given is not only its own.
    fn can_be_shut(&self) -> bool {
        matches!(self.face.borrow().listener.bind.address, ListenAddress::Tcp(_))
    }
}

/// For whom a door accepts. A reload changes it under the task that accepts.
#[derive(Clone)]
struct Face {
    view: Rc<View>,
    frontend: Arc<Frontend>,
    listener: Arc<Listener>,
    limits: Rc<accept::Limits>,
}

impl Face {
    fn new(view: Rc<View>, frontend: Arc<Frontend>, listener: Arc<Listener>, waiting: &Arc<Waiting>) -> Self {
        let limits = Rc::new(limits(&view, &frontend, &listener, waiting));
        Self { view, frontend, listener, limits }
    }

    /// A limit may have changed.
    fn look_again(&mut self, waiting: &Arc<Waiting>) {
        self.limits = Rc::new(limits(&self.view, &self.frontend, &self.listener, waiting));
    }

    /// The same in another generation; `None` if nobody wants it any more.
    fn of(&self, view: &Rc<View>, waiting: &Arc<Waiting>) -> Option<Self> {
        let same = |frontend: &&Arc<Frontend>| Arc::ptr_eq(&frontend.accepting, &self.frontend.accepting);
        let frontend = view.generation.frontends.iter().find(same).filter(|frontend| !frontend.section.disabled)?;
        let same = |listener: &&Arc<Listener>| listener.bind.same_socket(&self.listener.bind);
        let listener = frontend.listeners.iter().find(same)?;
        Some(Self::new(Rc::clone(view), Arc::clone(frontend), Arc::clone(listener), waiting))
    }
}

async fn run(settings: Settings, mut commands: mpsc::Receiver<Command>) {
    let worker = Rc::new(Worker::new(&settings, crate::clock::moment()));
    CURRENT.set(Some(Rc::clone(&worker)));
    crate::clock::measure_usage();
    spawn_local(worker.timers.clone().drive());
    spawn_local(pool::purge_idle(Rc::clone(&worker)));
    spawn_local(starts::usher(Rc::clone(&worker)));
    if settings.busy {
        spawn_local(keep_awake(Rc::clone(&worker)));
    }
    let mut doors: Vec<Door> = Vec::new();
    add(&worker, &mut doors, settings.listening, &settings.waiting);
    update(&worker, &mut doors);
    loop {
        let mut done = None;
        // Without anybody who could give commands, the process is ending.
        match commands.recv().await.unwrap_or(Command::Stop) {
            Command::Reload(listening) => {
                reface(&worker, &mut doors, &settings.waiting);
                add(&worker, &mut doors, listening, &settings.waiting);
                settings.waiting.wake();
            }
            Command::Ask(question, asker) => {
                worker.ask(question, asker);
                continue;
            }
            Command::Clear(what, asker) => {
                worker.clear(what, asker);
                continue;
            }
            Command::Update(asker) => {
                for door in &doors {
                    door.face.borrow_mut().look_again(&settings.waiting);
                }
                settings.waiting.wake();
                done = asker;
            }
            Command::Drain => break,
            Command::Stop => return end(&worker),
        }
        update(&worker, &mut doors);
        if let Some(asker) = done {
            // Who does not wait any longer need not know.
            let _ = asker.send(());
        }
    }
    for mut door in doors {
        stop_listening(&worker, &mut door);
    }
    worker.draining.set(true);
    let spread = worker.view().generation.global.close_spread;
    let begun = crate::clock::moment();
    close_next(&worker, spread, begun);
    while worker.connections.get() > 0 {
        tokio::select! {
            () = worker.empty.notified() => {}
            () = sleep(BETWEEN_TURNS), if matches!(spread, Some(CloseSpread::Over(_))) && worker.turns.get() < TURNS => {
                close_next(&worker, spread, begun);
            }
            command = commands.recv() => match command {
                Some(Command::Stop) | None => break,
                Some(Command::Ask(question, asker)) => worker.ask(question, asker),
                Some(Command::Clear(what, asker)) => worker.clear(what, asker),
                Some(Command::Reload(_) | Command::Update(_) | Command::Drain) => {}
            },
        }
    }
    end(&worker);
}

/// Lets those connections end whose turn it is, in a worker that drains since then.
fn close_next(worker: &Worker, spread: Option<CloseSpread>, begun: crate::clock::Moment) {
    let turns = match spread {
        None => TURNS,
        Some(CloseSpread::Never) => 0,
        Some(CloseSpread::Over(time)) => {
            let passed = crate::clock::moment().milliseconds_since(begun);
            let turns = u128::from(passed) * u128::from(TURNS) / time.as_millis().max(1);
            u16::try_from(turns).unwrap_or(TURNS).min(TURNS)
        }
    };
    worker.turns.set(turns);
    worker.timers.wake_all();
}

fn end(worker: &Worker) {
    worker.log.flush();
    CURRENT.set(None);
}

/// Makes doors of sockets.
fn add(worker: &Rc<Worker>, doors: &mut Vec<Door>, listening: Vec<Listening>, waiting: &Arc<Waiting>) {
    let view = worker.view();
    for Listening { frontend, listener, socket } in listening {
        let face = Face::new(Rc::clone(&view), frontend, listener, waiting);
        doors.push(Door { socket, face: Rc::new(RefCell::new(face)), task: None });
    }
}

/// Shows every door its frontend in the generation in force; closes those that it does not have.
fn reface(worker: &Rc<Worker>, doors: &mut Vec<Door>, waiting: &Arc<Waiting>) {
    let view = worker.view();
    for mut door in std::mem::take(doors) {
        let face = door.face.borrow().of(&view, waiting);
        match face {
            Some(face) => {
                door.face.replace(face);
                doors.push(door);
            }
            None => stop_listening(worker, &mut door),
        }
    }
}

/// Opens and closes doors as their frontends want, and lets connections look at what has changed.
fn update(worker: &Rc<Worker>, doors: &mut Vec<Door>) {
    for mut door in std::mem::take(doors) {
        let state = door.face.borrow().frontend.accepting.get();
        match state {
            AcceptState::Paused if !accept::is_unix(&door.socket) => {
                stop_listening(worker, &mut door);
                doors.push(door);
            }
            // As haproxy, which does not pause unix sockets.
            AcceptState::Open | AcceptState::Paused => {
                door.task = door.task.take().or_else(|| open(worker, &door));
                doors.push(door);
            }
            AcceptState::Stopped => stop_listening(worker, &mut door),
        }
    }
    worker.timers.wake_all();
}

/// Ends the task that accepts, and takes what the kernel has accepted for it: there may be some before there is a task, as the
/// socket listens from its opening on. The kernel stops taking connections for us where it can; another process may take them.
fn stop_listening(worker: &Rc<Worker>, door: &mut Door) {
    if let Some(task) = door.task.take() {
        task.abort();
    }
    let limits = Rc::clone(&door.face.borrow().limits);
    accept::sweep(&door.socket, &limits, begin(worker, &door.face));
    // Shut twice, a socket would hand its end down to all that it accepts when it listens again.
    if door.can_be_shut() && door.socket.is_listener().unwrap_or(false) {
        let _ = door.socket.shutdown(std::net::Shutdown::Read);
    }
}

/// Begins the session of a connection.
fn begin(worker: &Rc<Worker>, face: &Rc<RefCell<Face>>) -> impl FnMut(accept::Accepted) + use<> {
    let (worker, face) = (Rc::clone(worker), Rc::clone(face));
    move |accepted| {
        let presence = worker.enter();
        let Face { view, frontend, listener, .. } = face.borrow().clone();
        let entrance = session::Entrance { view, frontend, listener };
        spawn_local(session::run(Rc::clone(&worker), presence, entrance, accepted));
    }
}

fn limits(view: &View, frontend: &Frontend, listener: &Listener, waiting: &Arc<Waiting>) -> accept::Limits {
    let global = &view.generation.global;
    let tune = &global.tune;
    accept::Limits {
        process: (Arc::clone(&global.connections), global.maxconn.get()),
        traffic: [
            (Arc::clone(&frontend.section.traffic), frontend.maxconn.get()),
            (Arc::clone(&listener.traffic), listener.bind.maxconn.map_or(u64::MAX, u64::from)),
        ],
        rate: frontend.rate_limit_sessions,
        process_rate: [&global.connection_rate, &global.session_rate]
            .map(Limit::get)
            .into_iter()
            .filter(|limit| *limit > 0)
            .min()
            .map(|limit| (Arc::clone(&global.accepted), u32::try_from(limit).unwrap_or(u32::MAX))),
        reject_privileged_ports: tune.reject_privileged_ports,
        in_a_row: tune.maxaccept,
        waiting: Arc::clone(waiting),
    }
}

fn open(worker: &Rc<Worker>, door: &Door) -> Option<JoinHandle<()>> {
    let listener = Arc::clone(&door.face.borrow().listener);
    let bind = &listener.bind;
    let socket = door.socket.try_clone().and_then(|socket| listen::listen(&socket, bind).map(|()| socket));
    let socket = match socket {
        Ok(socket) => socket,
        Err(error) => {
            tracing::error!(%error, bind = bind.text, "cannot listen");
            return None;
        }
    };
    let pace = accept::Pace { started: worker.started, timer: worker.timers.timer(), worker: worker.index };
    let (face, begin) = (Rc::clone(&door.face), begin(worker, &door.face));
    Some(spawn_local(async move {
        let limits = || Rc::clone(&face.borrow().limits);
        if let Err(error) = accept::serve(socket, limits, pace, begin).await {
            tracing::error!(%error, bind = listener.bind.text, "cannot accept");
        }
    }))
}
