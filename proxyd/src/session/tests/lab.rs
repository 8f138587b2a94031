//! A worker in front of scripted servers, on loopback, without a configuration file.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use crate::balance::farm::{Farm, FarmSettings};
use crate::balance::server_state::{ServerSettings, ServerState};
use crate::generation::{Generation, Global, Handle};
use crate::health::observe::Evidence;
use crate::ids::BackendId;
use crate::limits::PIPE_SIZE;
use crate::log::format::Program;
use crate::log::target::Logger;
use crate::log_sink::LogSettings;
use crate::name_service::Asked;
use crate::proxy::frontend::{AcceptState, Limit};
use crate::proxy::listen::{Bind, ListenAddress};
use crate::proxy::logging::{Due, Logging, Shows};
use crate::proxy::settings::{ConnectionMode, ForwardFor, HttpReuse, Mode, OddNames, RetryOn, Splice, Timeouts, Tune};
use crate::proxy::{Backend, Frontend, Listener, Published, Section, Server};
use crate::proxy::{Endpoint, Location, Place};
use crate::rules::Rules;
use crate::stats::Traffic;
use crate::stats::admin::Action;
use crate::stats::collect::ProcessStats;
use crate::worker::pipes::PipeLimits;
use crate::worker::{self, Command, Listening, Process, WorkerHandle};
use crate::{clock, net};

/// What a test may want otherwise than usual.
pub(super) struct Plan {
    pub(super) mode: Mode,
    pub(super) timeouts: Timeouts,
    pub(super) servers: Vec<SocketAddr>,
    pub(super) maxconn: u32,
    pub(super) forward_for: bool,
    pub(super) abortonclose: bool,
    pub(super) http_reuse: HttpReuse,
    pub(super) connection_mode: ConnectionMode,
    pub(super) retries: u32,
    pub(super) redispatch: Option<i32>,
    pub(super) logs: Vec<Logger>,
    pub(super) pipes: usize,
    pub(super) splice: Splice,
}

impl Plan {
    pub(super) fn http(servers: &[SocketAddr]) -> Self {
        let second = Some(Duration::from_secs(1));
        Self {
            mode: Mode::Http,
            timeouts: Timeouts {
                client: second,
                server: second,
                connect: second,
                queue: Some(Duration::from_millis(300)),
                ..Timeouts::default()
            },
            servers: servers.to_vec(),
            maxconn: 0,
            forward_for: true,
            abortonclose: true,
            http_reuse: HttpReuse::Safe,
            connection_mode: ConnectionMode::KeepAlive,
            retries: 1,
            redispatch: None,
            logs: Vec::new(),
            pipes: 16,
            splice: Splice::default(),
        }
    }

    pub(super) fn tcp(servers: &[SocketAddr]) -> Self {
        Self { mode: Mode::Tcp, ..Self::http(servers) }
    }

    fn section(&self, name: &str) -> Section {
        let header = || ForwardFor { except: None, header: "X-Forwarded-For".to_owned(), if_none: false };
        Section {
            name: name.into(),
            id: 1,
            forced_id: false,
            mode: self.mode,
            disabled: false,
            timeouts: self.timeouts.clone(),
            forward_for: self.forward_for.then(header),
            original_to: None,
            connection_mode: self.connection_mode,
            splice: self.splice,
            http_buffer_request: false,
            inspect_delay: None,
            response_inspect_delay: None,
            contstats: false,
            independent_streams: false,
            odd_names: OddNames::Preserve,
            adjust_case_for_client: false,
            adjust_case_for_server: false,
            drops_request_trailers: false,
            drops_response_trailers: false,
            error_files: Vec::new(),
            rules: Rules::default(),
            stats: None,
            looks_at_requests: false,
            description: None,
            log_tag: "proxyd".into(),
            logs: self.logs.clone().into(),
            traffic: Arc::new(Traffic::new(1)),
            bad_messages: Arc::default(),
        }
    }

    fn frontend(&self, bind: Bind) -> Frontend {
        let listener = Listener::new(bind, Arc::new(Traffic::new(1)));
        Frontend {
            section: self.section("front"),
            listeners: vec![Arc::new(listener)],
            listen: None,
            default_backend: Some(BackendId(0)),
            maxconn: Limit::new(1_000),
            max_session_srv_conns: 5,
            rate_limit_sessions: None,
            logging: Logging {
                line: if self.mode == Mode::Http { Program::http() } else { Program::tcp() },
                structured: None,
                error: None,
                due: Due::End,
                steps: None,
                dontlognull: false,
                dontlog_normal: false,
                separate_errors: false,
                asap: false,
                shows: Shows::default(),
                lines: None,
            },
            http_ignore_probes: false,
            idle_close_on_response: false,
            socket_stats: false,
            tcp_keep_alive: None,
            nolinger: false,
            accept_unsafe_requests: false,
            monitor_uri: Some("/alive".to_owned()),
            monitor_net: None,
            capture_request: Vec::new(),
            capture_response: Vec::new(),
            capture_cookie: None,
            unique_id_format: None,
            unique_id_header: None,
            grace: Duration::ZERO,
            accepting: Arc::default(),
        }
    }

    fn backend(&self) -> Backend {
        let state = |index: usize| {
            let name = format!("s{index}");
            let settings = ServerSettings {
                id: u32::try_from(index).unwrap(),
                name,
                maxconn: self.maxconn,
                ..ServerSettings::default()
            };
            Arc::new(ServerState::new(settings))
        };
        let redispatch = self.redispatch.map(|interval| crate::balance::persist::Redispatch { interval });
        let settings = FarmSettings { name: "back".to_owned(), redispatch, ..FarmSettings::default() };
        Backend {
            section: self.section("back"),
            listen: None,
            servers: self
                .servers
                .iter()
                .enumerate()
                .map(|(index, address)| Arc::new(server(index + 1, *address)))
                .collect(),
            farm: Farm::new(settings, (1..=self.servers.len()).map(state).collect()),
            balance_key: None,
            rdp_cookie: None,
            dispatch: None,
            transparent: false,
            retries: self.retries,
            retry_on: RetryOn::default(),
            abortonclose: self.abortonclose,
            pretend_keep_alive: false,
            checkcache: false,
            http_reuse: self.http_reuse,
            forwarded: None,
            send_name_header: None,
            tcp_keep_alive: None,
            nolinger: false,
            tcp_smart_connect: false,
            max_keep_alive_queue: None,
            prefer_last_server: false,
            accept_unsafe_responses: false,
            published: Arc::new(Published::new(true)),
        }
    }
}

pub(super) fn server(index: usize, address: SocketAddr) -> Server {
    Server {
        name: format!("s{index}").into(),
        id: u32::try_from(index).unwrap(),
        forced_id: false,
        non_stick: false,
        tracked: None,
        srv_record: None,
        check_place: Endpoint::default(),
        agent_place: Endpoint::default(),
        location: Arc::new(Location::new(Place::at(address))),
        redir: None,
        send_proxy: None,
        source: None,
        source_ports: None,
        pool_max_conn: None,
        pool_low_conn: 0,
        pool_purge_delay: Duration::from_secs(5),
        max_reuse: None,
        tcp_user_timeout: None,
        tcp: None,
        tfo: false,
        socks4: None,
        namespace: None,
        traffic: Arc::new(Traffic::new(1)),
        idle: Arc::default(),
        reach: Arc::default(),
    }
}

/// A running worker; told to stop when dropped.
pub(super) struct Lab {
    pub(super) address: SocketAddr,
    pub(super) generation: Arc<Generation>,
    pub(super) pipes: Arc<PipeLimits>,
    pub(super) worker: WorkerHandle,
}

impl Lab {
    /// Starts a worker for a plan, on a port of the system's choice.
    pub(super) fn start(plan: &Plan) -> Self {
        Self::start_at(plan, "127.0.0.1:0".parse().unwrap())
    }

    pub(super) fn start_at(plan: &Plan, address: SocketAddr) -> Self {
        let mut bind = Bind::plain(ListenAddress::Tcp(address), address.to_string());
        (bind.id, bind.place) = (1, "lab:1".into());
        let socket = net::listen::open(&bind, 1).unwrap().pop().unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        let global = Global {
            notes_course: false,
            maxconn: Limit::new(2_000),
            hard_maxconn: 2_000,
            connection_rate: Limit::default(),
            session_rate: Limit::default(),
            connections: Arc::default(),
            accepted: Arc::new(Traffic::new(1)),
            bad_messages: Arc::default(),
            hard_stop_after: None,
            close_spread: None,
            case_adjustment: Arc::default(),
            variables: crate::sample::variable::ProcessVariables::default(),
            system: crate::generation::System::default(),
            node: String::new(),
            description: None,
            tune: Tune::default(),
            workers: 1,
            groups: 1,
        };
        let handle = Handle::new(Generation {
            pattern_files: Vec::new(),
            written_patterns: Vec::new(),
            frontends: vec![Arc::new(plan.frontend(bind))],
            backends: vec![Arc::new(plan.backend())],
            userlists: Vec::new(),
            rings: Vec::new(),
            forwarders: Vec::new(),
            tables: Vec::new(),
            profiles: Vec::new(),
            startup_logs: String::new(),
            global,
        });
        let generation = handle.load();
        let frontend = Arc::clone(&generation.frontends[0]);
        let listener = Arc::clone(&frontend.listeners[0]);
        let pipes = Arc::new(PipeLimits::new(plan.pipes, PIPE_SIZE));
        let settings = worker::Settings {
            index: 0,
            handle,
            started: clock::now(),
            log: LogSettings {
                hostname: "host".into(),
                sent_hostname: None,
                pid: 1,
                dropped: Arc::default(),
                kernel_buffers: crate::proxy::settings::SocketBuffers::default(),
            },
            waiting: Arc::default(),
            pipes: Arc::clone(&pipes),
            process: Arc::new(NoProcess),
            listening: vec![Listening { frontend, listener, socket }],
            processors: Vec::new(),
            busy: false,
        };
        Self { address, generation, pipes, worker: worker::spawn(settings).unwrap() }
    }

    /// A new connection to the worker.
    pub(super) fn connect(&self) -> TcpStream {
        let client = TcpStream::connect(self.address).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        client
    }

    /// Everything that comes back for `input` until the connection is closed.
    pub(super) fn whole(&self, input: &[u8]) -> String {
        let mut client = self.connect();
        client.write_all(input).unwrap();
        let mut answer = Vec::new();
        // A reset ends the answer too.
        let _ = client.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = self.worker.commands.try_send(Command::Stop);
    }
}

#[derive(Debug)]
struct NoProcess;

impl Process for NoProcess {
    fn stats(&self, _: &Generation) -> ProcessStats {
        ProcessStats {
            program: "proxyd".to_owned(),
            version: "0",
            pid: 1,
            uptime: Duration::ZERO,
            workers: 1,
            maxconn: 1,
            hard_maxconn: 1,
            rate_limits: (0, 0),
            max_files: 1,
            connections: 0,
            dropped_logs: 0,
            node: String::new(),
            description: None,
        }
    }

    fn accept(&self, _: &Arc<Frontend>, _: AcceptState) {}

    fn observed(&self, _: &Arc<Backend>, _: usize, _: Evidence) {}

    fn resolve(&self, _: Asked) {}

    fn variable(&self, _: &Generation, _: &[&str]) -> Result<crate::rules::effect::Effect, String> {
        Err(String::new())
    }

    fn act(&self, _: &Arc<Backend>, _: usize, _: Action) -> bool {
        false
    }
}

/// A server that answers each connection with a script: wait for a text, then write one.
pub(super) struct Origin {
    pub(super) address: SocketAddr,
    /// What each connection received, when it ended.
    pub(super) received: mpsc::Receiver<String>,
}

/// One step of an [`Origin`].
#[derive(Clone)]
pub(super) enum Step {
    /// Read until what was received since the last step ends with this.
    Read(&'static str),
    /// Write this.
    Write(String),
    /// Close.
    Close,
    /// Wait for the other side to close.
    Wait,
}

impl Origin {
    /// Each connection runs through the script once.
    pub(super) fn start(script: Vec<Step>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, received) = mpsc::sync_channel(64);
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let (script, sender) = (script.clone(), sender.clone());
                std::thread::spawn(move || {
                    let text = play(connection.unwrap(), &script);
                    let _ = sender.try_send(text);
                });
            }
        });
        Self { address, received }
    }

    /// Answers every request that has no body.
    pub(super) fn answering(response: &str) -> Self {
        let turn = [Step::Read("\r\n\r\n"), Step::Write(response.to_owned())];
        Self::start(turn.iter().cloned().cycle().take(40).chain([Step::Wait]).collect())
    }
}

fn play(mut connection: TcpStream, script: &[Step]) -> String {
    connection.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut all = Vec::new();
    let mut block = vec![0; 65_536];
    for step in script {
        match step {
            Step::Read(end) => {
                let mut part = Vec::new();
                while !part.ends_with(end.as_bytes()) {
                    match connection.read(&mut block) {
                        Ok(count @ 1..) => part.extend_from_slice(&block[..count]),
                        Ok(0) | Err(_) => break,
                    }
                }
                all.extend_from_slice(&part);
                if part.is_empty() {
                    break;
                }
            }
            Step::Write(text) => {
                if connection.write_all(text.as_bytes()).is_err() {
                    break;
                }
            }
            Step::Close => break,
            Step::Wait => {
                while let Ok(count @ 1..) = connection.read(&mut block) {
                    all.extend_from_slice(&block[..count]);
                }
            }
        }
    }
    String::from_utf8_lossy(&all).into_owned()
}
