//! From the model of a configuration to the objects that run.
//!
//! [`build`] makes one [`Generation`]. Given the generation that runs now, it hands on what did not change: the counters of
//! every frontend, backend, listener and server that is still there by name, the state of servers whose line is the same,
//! and whole farms, with their queues, where none of their servers changed.

pub mod checks;
pub mod names;

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::balance::farm::{Farm, FarmSettings};
use crate::balance::server_state::{AdminState, ServerSettings, ServerState};
use crate::config::model::{self, LogFormat, Mode, Model};
use crate::generation::{Generation, Global, System, live};
use crate::health::{Observation, OnMarkedDown, OnMarkedUp};
use crate::ids::BackendId;
use crate::log::backend::LogBackend;
use crate::log::format::{Alias, Program};
use crate::log::forward::Forwarder;
use crate::log::profile::Profile;
use crate::log::ring::{Ring, RingSettings};
use crate::log::target::{LogAddress, LogTarget, Logger};
use crate::net::namespace;
use crate::proxy::address::ServerAddress;
use crate::proxy::frontend::Limit;
use crate::proxy::logging::{Due, Logging, Shows};
use crate::proxy::place::Ports;
use crate::proxy::settings::OddNames;
use crate::proxy::{Backend, Endpoint, Frontend, Listener, Location, Place, Published, Section, Server};
use crate::rules::Rule;
use crate::rules::switch::BackendName;
use crate::sample::Expression;
use crate::stats::Traffic;
use crate::stick::{self, Table};

/// What the process, rather than the configuration, decides about a generation.
#[derive(Debug, Clone)]
pub struct Facts {
    /// How many workers there are.
    pub workers: usize,
    /// `thread-groups`
    pub groups: usize,
    /// The name the program was started under: the `log-tag` where none is configured.
    pub program: String,
    /// The host's name.
    pub hostname: String,
    /// `maxconn` where none is configured: what the limit of file descriptors allows.
    pub maxconn: u64,
}

/// Builds the objects of a model; `previous` is the generation that runs now.
pub fn build(model: &Model, facts: &Facts, previous: Option<&Generation>) -> Generation {
    let frontends = previous.into_iter().flat_map(|previous| &previous.frontends);
    let backends = previous.into_iter().flat_map(|previous| &previous.backends);
    let backends: HashMap<_, _> = backends.map(|backend| (backend.name(), &**backend)).collect();
    for name in model.namespaces() {
        // One that cannot be opened is told of by whoever needs it.
        let _ = namespace::open(name);
    }
    let rings = rings(model, previous);
    let builder = Builder {
        log_backends: log_backends(model, &rings, &backends),
        model,
        facts,
        previous,
        rings,
        longest_line: model.loggers().map(|target| target.max_len).max().unwrap_or_default(),
        frontends: frontends.map(|frontend| (frontend.name(), &**frontend)).collect(),
        backends,
    };
    let maxconn = model.global.maxconn.map_or(facts.maxconn, u64::from);
    let frontends: Vec<_> =
        model.frontends.iter().map(|frontend| Arc::new(builder.frontend(frontend, maxconn))).collect();
    let fullconn = |id| default_fullconn(model, &frontends, id);
    let backends = model.backends.iter().enumerate().map(|(index, backend)| {
        let id = BackendId(u32::try_from(index).unwrap_or(u32::MAX));
        let fullconn = backend.fullconn.unwrap_or_else(|| fullconn(id));
        Arc::new(builder.backend(backend, fullconn))
    });
    Generation {
        backends: backends.collect(),
        userlists: model.userlists.clone(),
        tables: model.tables.iter().map(|table| builder.table(table)).collect(),
        rings: builder.rings.clone(),
        forwarders: model.log_forwards.iter().map(|section| Arc::new(builder.forwarder(section))).collect(),
        profiles: model.profiles.clone(),
        pattern_files: model.pattern_files.clone(),
        written_patterns: model.written_patterns.clone(),
        startup_logs: String::new(),
        global: builder.global(maxconn),
        frontends,
    }
}

/// `fullconn` where none is configured: a tenth of what the frontends that name the backend let in (configuration.txt,
/// `fullconn`).
fn default_fullconn(model: &Model, frontends: &[Arc<Frontend>], backend: BackendId) -> u32 {
    let fixed = |rule: &Rule<BackendName>| rule.action == BackendName::Fixed(backend);
    let reaches = |frontend: &model::Frontend| {
        frontend.default_backend == Some(backend) || frontend.proxy.rules.use_backend.rules().iter().any(fixed)
    };
    let reaching = model.frontends.iter().zip(frontends).filter(|(frontend, _)| reaches(frontend));
    let sum: u64 = reaching.map(|(_, frontend)| frontend.maxconn.get()).sum();
    u32::try_from(sum.div_ceil(10).max(1)).unwrap_or(u32::MAX)
}

/// The rings of a configuration, the built-in one first; those that run now where their definitions did not change.
fn rings(model: &Model, previous: Option<&Generation>) -> Vec<Arc<Ring>> {
    let ring = |wanted: RingSettings| {
        let mut known = previous.into_iter().flat_map(|previous| &previous.rings);
        let same = known.find(|ring| *ring.settings() == wanted);
        same.map_or_else(|| Arc::new(Ring::new(wanted)), Arc::clone)
    };
    let of_servers = model.backends.iter().filter_map(|backend| backend.log.as_ref()).flat_map(|log| &log.rings);
    let wanted = model.rings.iter().chain(of_servers.flatten()).cloned();
    std::iter::once(RingSettings::built_in()).chain(wanted).map(ring).collect()
}

/// The backends in `mode log`. They come first: other sections log to them.
fn log_backends<'m>(
    model: &'m Model,
    rings: &[Arc<Ring>],
    known: &HashMap<&str, &Backend>,
) -> Vec<(&'m str, Arc<LogBackend>)> {
    let ring = |wanted: &Option<RingSettings>| {
        let wanted = wanted.as_ref()?;
        rings.iter().find(|ring| ring.settings() == wanted).cloned()
    };
    let log_backend = |backend: &'m model::Backend| {
        let log = backend.log.as_ref()?;
        let name = &*backend.proxy.name;
        let farm = farm(backend, backend.fullconn.unwrap_or(1), known.get(name).copied());
        let made = LogBackend::new(farm, log.rings.iter().map(ring).collect(), log.balance.clone());
        Some((name, Arc::new(made)))
    };
    model.backends.iter().filter_map(log_backend).collect()
}

struct Builder<'m> {
    model: &'m Model,
    facts: &'m Facts,
    previous: Option<&'m Generation>,
    rings: Vec<Arc<Ring>>,
    /// The backends in `mode log`, by name.
    log_backends: Vec<(&'m str, Arc<LogBackend>)>,
    /// The greatest `len` of all `log` lines.
    longest_line: u16,
    /// What the previous generation has under each name.
    frontends: HashMap<&'m str, &'m Frontend>,
    backends: HashMap<&'m str, &'m Backend>,
}

impl Builder<'_> {
    fn global(&self, maxconn: u64) -> Global {
        let global = &self.model.global;
        Global {
            maxconn: Limit::new(maxconn),
            hard_maxconn: maxconn,
            connection_rate: Limit::new(global.tune.connection_rate.unwrap_or(0).into()),
            session_rate: Limit::new(global.tune.session_rate.unwrap_or(0).into()),
            connections: self.previous.map(|previous| Arc::clone(&previous.global.connections)).unwrap_or_default(),
            bad_messages: self.previous.map(|previous| Arc::clone(&previous.global.bad_messages)).unwrap_or_default(),
            accepted: self.traffic(self.previous.map(|previous| &previous.global.accepted)),
            hard_stop_after: global.hard_stop_after,
            close_spread: global.close_spread,
            node: global.node.clone().unwrap_or_else(|| self.facts.hostname.clone()),
            description: global.description.clone(),
            tune: global.tune.clone(),
            notes_course: global.notes_course,
            case_adjustment: Arc::new(global.case_adjustment.clone()),
            variables: live::first_variables(&global.variables, crate::clock::date()),
            system: System {
                hostname: self.facts.hostname.clone(),
                pid: std::process::id(),
                utc_offset: crate::sys::utc_offset,
                is_local,
                is_password: crate::sys::is_password,
                usage: crate::clock::usage,
                show,
            },
            workers: self.facts.workers,
            groups: self.facts.groups,
        }
    }

    /// The table of that name as it is, where nothing about it changed; else an empty one.
    fn table(&self, wanted: &stick::Settings) -> Arc<Table> {
        let mut known = self.previous.into_iter().flat_map(|previous| &previous.tables);
        let same = known.find(|table| table.settings() == wanted);
        same.map_or_else(|| Table::new(wanted.clone()), Arc::clone)
    }

    /// A `log` line at work, with its ring where it names one.
    fn logger(&self, target: &LogTarget) -> Logger {
        let ring = match &target.address {
            LogAddress::Ring(name) => self.rings.iter().find(|ring| ring.settings().name == *name),
            LogAddress::Udp(_)
            | LogAddress::Unix(_)
            | LogAddress::Abstract(_)
            | LogAddress::Fd(_)
            | LogAddress::Backend(_) => None,
        };
        let backend = match &target.address {
            LogAddress::Backend(name) => self.log_backends.iter().find(|(known, _)| known == name),
            _ => None,
        };
        let named = |name: &String| self.model.profiles.iter().find(|profile| profile.name == *name);
        let profile = target.profile.as_ref().and_then(named);
        Logger::new(target.clone(), ring.cloned(), self.longest_line)
            .with_profile(profile.cloned())
            .with_backend(backend.map(|(_, backend)| Arc::clone(backend)))
    }

    fn forwarder(&self, section: &model::LogForward) -> Forwarder {
        let loggers = section.logs.iter().map(|target| self.logger(target)).collect();
        Forwarder { settings: section.settings.clone(), loggers, rules: section.rules.clone() }
    }

    fn traffic(&self, known: Option<&Arc<Traffic>>) -> Arc<Traffic> {
        known.map_or_else(|| Arc::new(Traffic::new(self.facts.workers)), Arc::clone)
    }

    fn section(&self, proxy: &model::Proxy, known: Option<&Section>) -> Section {
        let global = &self.model.global;
        let tag = proxy.log_tag.as_deref().or(global.log_tag.as_deref()).unwrap_or(&self.facts.program);
        Section {
            name: proxy.name.as_str().into(),
            id: proxy.id,
            forced_id: proxy.forced_id,
            mode: proxy.mode,
            disabled: proxy.disabled,
            timeouts: proxy.timeouts.clone(),
            forward_for: proxy.forward_for.clone(),
            original_to: proxy.original_to.clone(),
            connection_mode: proxy.connection_mode,
            splice: proxy.splice,
            odd_names: proxy.odd_names,
            http_buffer_request: proxy.http_buffer_request,
            inspect_delay: proxy.inspect_delay,
            response_inspect_delay: proxy.response_inspect_delay,
            contstats: proxy.contstats,
            independent_streams: proxy.independent_streams,
            adjust_case_for_client: proxy.adjust_case_for_client,
            adjust_case_for_server: proxy.adjust_case_for_server,
            drops_request_trailers: proxy.drops_request_trailers,
            drops_response_trailers: proxy.drops_response_trailers,
            error_files: proxy.error_files.clone(),
            rules: proxy.rules.clone(),
            stats: proxy.stats.clone(),
            looks_at_requests: !proxy.rules.is_empty()
                || proxy.stats.is_some()
                || proxy.http_buffer_request
                || proxy.odd_names != OddNames::Preserve,
            description: proxy.description.clone(),
            log_tag: tag.into(),
            logs: proxy.logs.iter().map(|target| self.logger(target)).collect(),
            traffic: self.traffic(known.map(|section| &section.traffic)),
            bad_messages: known.map(|section| Arc::clone(&section.bad_messages)).unwrap_or_default(),
        }
    }

    fn frontend(&self, frontend: &model::Frontend, maxconn: u64) -> Frontend {
        let known = self.frontends.get(&*frontend.proxy.name).copied();
        Frontend {
            section: self.section(&frontend.proxy, known.map(|known| &known.section)),
            listeners: frontend.binds.iter().map(|bind| Arc::new(self.listener(bind, known))).collect(),
            listen: frontend.listen,
            default_backend: frontend.default_backend,
            maxconn: Limit::new(frontend.maxconn.map_or(maxconn, u64::from)),
            max_session_srv_conns: frontend.max_session_srv_conns,
            rate_limit_sessions: frontend.rate_limit_sessions,
            logging: logging(frontend, &self.model.profiles, known.and_then(|known| known.logging.lines.clone())),
            http_ignore_probes: frontend.http_ignore_probes,
            idle_close_on_response: frontend.idle_close_on_response,
            socket_stats: frontend.socket_stats,
            tcp_keep_alive: frontend.tcp_keep_alive,
            nolinger: frontend.nolinger,
            accept_unsafe_requests: frontend.accept_unsafe_requests,
            monitor_uri: frontend.monitor_uri.clone(),
            monitor_net: frontend.monitor_net,
            capture_request: frontend.capture_request.clone(),
            capture_response: frontend.capture_response.clone(),
            capture_cookie: frontend.capture_cookie.clone(),
            unique_id_format: frontend.unique_id_format.clone(),
            unique_id_header: frontend.unique_id_header.clone(),
            grace: frontend.proxy.grace,
            accepting: known.map(|known| Arc::clone(&known.accepting)).unwrap_or_default(),
        }
    }

    fn listener(&self, bind: &model::Bind, known: Option<&Frontend>) -> Listener {
        let same =
            known.and_then(|frontend| frontend.listeners.iter().find(|listener| listener.bind.address == bind.address));
        Listener::new(bind.clone(), self.traffic(same.map(|listener| &listener.traffic)))
    }

    fn backend(&self, backend: &model::Backend, fullconn: u32) -> Backend {
        let known = self.backends.get(&*backend.proxy.name).copied();
        let servers = known.into_iter().flat_map(|known| &known.servers);
        let servers: HashMap<&str, &Server> = servers.map(|server| (&*server.name, &**server)).collect();
        let logs = self.log_backends.iter().find(|(name, _)| *name == backend.proxy.name);
        let farm = logs.map_or_else(|| farm(backend, fullconn, known), |(_, logs)| Arc::clone(logs.farm()));
        let locations = farm.servers().iter().map(|state| Arc::clone(state.location()));
        let live = backend.servers.iter().zip(locations);
        Backend {
            section: self.section(&backend.proxy, known.map(|known| &known.section)),
            listen: backend.listen,
            servers: live.map(|(server, location)| Arc::new(self.server(server, location, &servers))).collect(),
            farm,
            balance_key: backend.balance_key.clone(),
            rdp_cookie: backend.rdp_cookie.clone(),
            dispatch: backend.dispatch,
            transparent: backend.transparent,
            retries: backend.retries,
            retry_on: backend.retry_on.clone(),
            abortonclose: backend.abortonclose,
            pretend_keep_alive: backend.pretend_keep_alive,
            checkcache: backend.checkcache,
            http_reuse: backend.http_reuse,
            forwarded: backend.forwarded.clone(),
            send_name_header: backend.send_name_header.as_deref().map(str::to_ascii_lowercase),
            tcp_keep_alive: backend.tcp_keep_alive,
            tcp_smart_connect: backend.tcp_smart_connect,
            nolinger: backend.nolinger,
            max_keep_alive_queue: backend.max_keep_alive_queue,
            prefer_last_server: backend.prefer_last_server,
            accept_unsafe_responses: backend.accept_unsafe_responses,
            published: match known.filter(|known| known.published.at_start() == backend.published) {
                Some(known) => Arc::clone(&known.published),
                None => Arc::new(Published::new(backend.published)),
            },
        }
    }

    fn server(&self, server: &model::Server, location: Arc<Location>, known: &HashMap<&str, &Server>) -> Server {
        let same = known.get(&*server.name);
        let mut made = Server {
            name: server.name.as_str().into(),
            id: server.puid,
            forced_id: server.forced_id,
            tracked: server.track.map(|(backend, index)| {
                let backend = self.model.backend(backend);
                let server = backend.servers.get(index.index()).map_or("", |server| &server.name);
                format!("{}/{server}", backend.proxy.name)
            }),
            srv_record: server.resolution.as_ref().filter(|wish| wish.service).map(|wish| wish.name.to_string()),
            check_place: server
                .check
                .as_ref()
                .map_or_else(Endpoint::default, |check| Endpoint { address: check.address, port: check.port }),
            agent_place: match (&server.agent, &server.check) {
                (Some(agent), _) => Endpoint { address: agent.address, port: Some(agent.port) },
                (None, Some(check)) => Endpoint { address: check.address, port: check.port },
                (None, None) => Endpoint::default(),
            },
            location,
            redir: server.redir.clone(),
            send_proxy: server.send_proxy.clone(),
            source: server.source.clone(),
            source_ports: server
                .source
                .as_ref()
                .and_then(|source| source.ports)
                .map(|(low, high)| Ports::new(low, high)),
            non_stick: server.non_stick,
            pool_max_conn: server.pool_max_conn,
            pool_low_conn: server.pool_low_conn,
            pool_purge_delay: server.pool_purge_delay,
            max_reuse: server.max_reuse,
            tcp_user_timeout: server.tcp_user_timeout,
            tcp: server.tcp.clone(),
            tfo: server.tfo,
            socks4: server.socks4,
            namespace: server.namespace.clone(),
            traffic: self.traffic(same.map(|known| &known.traffic)),
            idle: same.map(|known| Arc::clone(&known.idle)).unwrap_or_default(),
            reach: Arc::default(),
        };
        if let Some(known) = same.filter(|known| known.is_reached_as(&made)) {
            made.reach = Arc::clone(&known.reach);
        }
        made
    }
}

/// Whether an address is one of this host's: only then can a socket be bound to it.
fn is_local(ip: std::net::IpAddr) -> bool {
    std::net::UdpSocket::bind((ip, 0)).is_ok()
}

/// A line for who looks for a mistake. Where it cannot be written, nobody looks.
fn show(error: bool, line: &[u8]) {
    let line = [line, b"\n"].concat();
    let _ = if error { std::io::stderr().write_all(&line) } else { std::io::stdout().write_all(&line) };
}

/// What a frontend logs. `lines`: those it had logged before, where it counts them.
fn logging(frontend: &model::Frontend, profiles: &[Arc<Profile>], lines: Option<Arc<AtomicU64>>) -> Logging {
    let line = log_format(&frontend.log_format, frontend.proxy.mode);
    let (structured, error) = (frontend.log_structured.clone(), frontend.error_log_format.clone());
    let programs: Vec<_> = std::iter::once(&line).chain(&structured).chain(&error).collect();
    let due = match frontend.log_format {
        LogFormat::Connect => Due::Beginning,
        _ if frontend.logasap || !programs.iter().any(|program| program.shows_the_end()) => Due::Transfer,
        _ => Due::End,
    };
    // A rule may name any profile.
    let programs: Vec<_> = programs.into_iter().chain(profiles.iter().flat_map(|profile| profile.programs())).collect();
    let shows = Shows::of(&programs);
    let counts = programs.iter().any(|program| program.shows(&[Alias::LogCounter]));
    Logging {
        due,
        dontlognull: frontend.dontlognull,
        dontlog_normal: frontend.dontlog_normal,
        separate_errors: frontend.log_separate_errors,
        steps: frontend.log_steps,
        asap: frontend.logasap && frontend.log_steps.is_none(),
        shows,
        lines: counts.then(|| lines.unwrap_or_default()),
        line,
        structured,
        error,
    }
}

/// The line a frontend logs.
fn log_format(format: &LogFormat, mode: Mode) -> Program<Expression> {
    let http = mode == Mode::Http;
    match format {
        LogFormat::Connect => Program::connect(http),
        LogFormat::Tcp => Program::tcp(),
        LogFormat::TcpClf => Program::tcp_clf(),
        LogFormat::Http => Program::http(),
        LogFormat::HttpClf => Program::http_clf(),
        LogFormat::Https => Program::https(),
        LogFormat::Custom(program) => program.clone(),
    }
}

/// The servers as the workers share them: those that run now where their lines did not change.
fn farm(backend: &model::Backend, fullconn: u32, known: Option<&Backend>) -> Arc<Farm> {
    let settings = FarmSettings {
        name: backend.proxy.name.clone(),
        algorithm: backend.balance.clone(),
        hash_type: backend.hash_type,
        balance_factor: backend.hash_balance_factor.unwrap_or(0),
        affinity: backend.hash_affinity,
        all_backups: backend.allbackups,
        fullconn,
        cookie: backend.cookie.clone(),
        dynamic_cookie_key: backend.dynamic_cookie_key.clone(),
        redispatch: backend.redispatch,
        persist: backend.persist,
    };
    let running = known.map(|known| &known.farm);
    let states = running.into_iter().flat_map(|farm| farm.servers());
    let states: HashMap<&str, &Arc<ServerState>> = states.map(|state| (state.name(), state)).collect();
    let state = |server: &model::Server| {
        let settings = server_settings(server);
        let known = states.get(&*server.name);
        if let Some(same) = known.filter(|state| settings.is_same(state.settings())) {
            return Arc::clone(same);
        }
        // Where name servers are asked about the same name as before, it begins where that led.
        let known = known.filter(|known| settings.watched.is_some() && known.settings().watched == settings.watched);
        let place = known.map(|known| Place::clone(&known.location().get()));
        Arc::new(ServerState::beginning_at(place.unwrap_or_else(|| settings.place.clone()), settings))
    };
    let servers: Vec<_> = backend.servers.iter().map(state).collect();
    let farm = match running {
        Some(farm) if *farm.settings() == settings && same_servers(farm.servers(), &servers) => Arc::clone(farm),
        Some(farm) => {
            let next = Farm::new(settings, servers);
            next.succeed(farm);
            next
        }
        None => Farm::new(settings, servers),
    };
    look_up_anew(backend, &farm);
    farm
}

/// A name that no resolvers watch was looked up for this configuration: where it leads elsewhere now, its server moves.
fn look_up_anew(backend: &model::Backend, farm: &Farm) {
    for (index, (server, state)) in backend.servers.iter().zip(farm.servers()).enumerate() {
        let now = state.location().get();
        let moved = now.address != server.address && server.address != ServerAddress::Unresolved;
        if moved && server.host.is_some() && now.host.as_deref() == server.host.as_deref() && !server.is_watched() {
            let place = Place { address: server.address.clone(), ..Place::clone(&now) };
            farm.set_place(index, place);
        }
    }
}

fn same_servers(running: &[Arc<ServerState>], wanted: &[Arc<ServerState>]) -> bool {
    running.len() == wanted.len() && running.iter().zip(wanted).all(|(one, other)| Arc::ptr_eq(one, other))
}

fn server_settings(server: &model::Server) -> ServerSettings {
    let host = server.host.as_deref().map(Arc::from);
    let pace = server.check.as_ref().map(|check| check.pace).unwrap_or_default();
    ServerSettings {
        id: server.puid,
        name: server.name.clone(),
        weight: server.weight.into(),
        backup: server.backup,
        maxconn: server.maxconn.unwrap_or(0),
        minconn: server.minconn.unwrap_or(0),
        maxqueue: server.maxqueue.unwrap_or(0),
        cookie: server.cookie.clone(),
        checked: server.check.is_some() || server.track.is_some(),
        tracks: server.track.is_some(),
        admin: if server.disabled { AdminState::Maint } else { AdminState::Ready },
        watched: server.resolution.as_ref().map(|wish| wish.name.clone()),
        place: Place { address: server.address.clone(), port: server.port, host },
        hash_key: server.hash_key,
        fall: pace.fall,
        rise: pace.rise,
        agent: server.agent.is_some(),
        shut_when_down: server.on_marked_down == OnMarkedDown::ShutdownSessions,
        shut_backups_when_up: server.on_marked_up == OnMarkedUp::ShutdownBackupSessions,
        observation: Observation {
            observe: server.observe,
            error_limit: server.error_limit,
            on_error: server.on_error,
        },
    }
}

#[cfg(test)]
mod tests;
