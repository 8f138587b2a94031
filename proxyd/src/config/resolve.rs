//! From drafts to the model: names become ids, what was not said gets its default.

use super::balance;
use super::check;
use super::cookie;
use super::draft::{CheckDraft, ExternalCheck, Flag, LogEntry, Section, Settings, StatsDraft};
use super::global::Extra;
use super::guid;
use super::line::code;
use super::model::{
    Agent, Backend, Check, ConnectionMode, Frontend, Global, HttpReuse, LogTarget, Mode, Model, Proxy, ProxyKind,
    Server, ServerAddress, ServerPort, Splice, Timeouts, Userlist,
};
use super::number::number;
use super::proxy::Tools;
use super::resolvers;
use super::rules::Names;
use super::sections::Others;
use super::send_proxy;
use super::server::{self, ServerDraft};
use super::state_file::LastAddresses;
use super::stats;
use super::track;
use super::{forwarded, log_backend, log_profile, ring};
use crate::balance::Algorithm;
use crate::health::Pace;
use crate::ids::{BackendId, FrontendId};
use crate::rules::Rules;
use shared_config::diagnostic::{Diagnostic, Diagnostics, Place};
use shared_config::haproxy::keyword::SectionKind;
use shared_config::source::{Sources, Span};
use shared_config::suggest;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

mod binds;
mod format;
mod ids;
mod protocols;

/// The time between two checks where no `inter` is given.
const INTER_DEFAULT: Duration = Duration::from_secs(2);
/// Connection attempts after the first where no `retries` is given.
const RETRIES_DEFAULT: u32 = 3;

/// Everything that was read.
pub(super) struct Drafts<'a> {
    pub global: Global,
    pub extra: Extra,
    pub sections: Vec<(Section, Rules)>,
    pub userlists: Vec<Userlist>,
    pub others: Others,
    pub names: &'a Names,
    pub tables: Vec<crate::stick::Settings>,
}

/// What surrounds the completion of one section.
struct Completion<'a> {
    global: &'a Global,
    extra: &'a Extra,
    others: &'a Others,
    resolvers: Vec<crate::resolvers::Settings>,
    last: LastAddresses,
    names: &'a Names,
    sources: &'a Sources,
    tools: &'a mut Tools,
    ignore_unresolved: bool,
    proxy_maxconn: Option<u32>,
    /// The log formats that have been looked at: an inherited one is wrong once, however many sections have it.
    formats: HashSet<Span>,
    out: &'a mut Diagnostics,
}

/// What the command line adds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Overrides {
    /// `-dr`
    pub ignore_unresolved: bool,
    /// `-N`
    pub proxy_maxconn: Option<u32>,
}

/// Builds the model.
pub(super) fn complete(
    drafts: Drafts<'_>,
    overrides: Overrides,
    sources: &Sources,
    tools: &mut Tools,
    out: &mut Diagnostics,
) -> Model {
    let Drafts { mut global, extra, sections, userlists, others, names, tables } = drafts;
    global.tune.maxrewrite = global.tune.maxrewrite.min(global.tune.bufsize / 2);
    // Where there is a `stats socket`, it has the first number.
    let first = if global.stats_sockets.is_empty() { 1 } else { 2 };
    let ids = ids::of_proxies(&sections, first, sources, out);
    guid::unique(&sections, sources, out);
    let positions = Positions::of(&sections);
    let mut frontends = Vec::new();
    let mut backends = Vec::new();
    let mut completion = Completion {
        global: &global,
        extra: &extra,
        resolvers: others.resolvers.clone(),
        last: LastAddresses::default(),
        others: &others,
        names,
        sources,
        tools,
        ignore_unresolved: overrides.ignore_unresolved,
        proxy_maxconn: overrides.proxy_maxconn,
        formats: HashSet::new(),
        out,
    };
    for (index, ((section, rules), &id)) in sections.iter().zip(&ids).enumerate() {
        let proxy = completion.proxy(section, id, rules);
        let halves = positions.halves(index);
        if let Some(own) = halves.frontend {
            frontends.push(completion.frontend(section, proxy.clone(), halves.backend, &sections, &positions, own));
        }
        if halves.backend.is_some() {
            backends.push(completion.backend(section, proxy, halves.frontend));
        }
    }
    let resolvers = completion.resolvers;
    track::tracking(&sections, &mut backends, names, out);
    let log_forwards = others.forwards.iter().map(|draft| draft.complete(&global, names, out)).collect();
    let rings = ring::complete(&others.rings, &tools.rings, sources);
    log_backend::unknown(&tools.log_backends, &backends, out);
    log_profile::unknown(&tools.profiles, names, out);
    let profiles = log_profile::complete(&others.profiles, names, out);
    let mut pattern_files: Vec<_> = names.files.borrow().values().cloned().collect();
    pattern_files.sort_by_key(|file| file.number);
    let model = Model {
        global,
        frontends,
        backends,
        userlists,
        tables,
        resolvers,
        rings,
        log_forwards,
        profiles,
        pattern_files,
        written_patterns: names.placed_patterns(sources),
    };
    ring::missing(&model, out);
    model
}

/// Which model entries a section becomes.
#[derive(Clone, Copy, Debug, Default)]
struct Halves {
    frontend: Option<FrontendId>,
    backend: Option<BackendId>,
}

/// The model entries of all sections, and the sections of all backends.
struct Positions {
    halves: Vec<Halves>,
    backend_sections: Vec<usize>,
}

impl Positions {
    fn of(sections: &[(Section, Rules)]) -> Self {
        let mut halves = Vec::with_capacity(sections.len());
        let mut backend_sections = Vec::new();
        let mut frontends = 0;
        for (index, (section, _)) in sections.iter().enumerate() {
            let mut half = Halves::default();
            if section.is_frontend() {
                half.frontend = Some(FrontendId(frontends));
                frontends += 1;
            }
            if section.is_backend() {
                half.backend = Some(BackendId(u32::try_from(backend_sections.len()).unwrap_or(u32::MAX)));
                backend_sections.push(index);
            }
            halves.push(half);
        }
        Self { halves, backend_sections }
    }

    fn halves(&self, section: usize) -> Halves {
        self.halves.get(section).copied().unwrap_or_default()
    }
}

/// `file:line`, as haproxy names places within messages.
pub(super) fn place(sources: &Sources, span: Span) -> String {
    let (file, line) = file_and_line(sources, span);
    format!("{file}:{line}")
}

/// The file and the line of a place.
pub(super) fn file_and_line(sources: &Sources, span: Span) -> (String, u32) {
    (sources.get(span.source).path().display().to_string(), sources.position(span).line)
}

impl<'a> Completion<'a> {
    fn error(&mut self, kind: &'static str, at: Span, message: String) {
        self.out.push(Diagnostic::error(kind, at, message).whole_file());
    }

    fn proxy(&mut self, section: &Section, id: u32, rules: &Rules) -> Proxy {
        let settings = &section.settings;
        Proxy {
            name: section.name.clone(),
            id,
            forced_id: section.id.is_some(),
            kind: match section.kind {
                SectionKind::Frontend => ProxyKind::Frontend,
                SectionKind::Backend => ProxyKind::Backend,
                _ => ProxyKind::Listen,
            },
            mode: section.mode(),
            disabled: settings.disabled,
            description: section.description.clone(),
            timeouts: timeouts(settings, section.kind),
            logs: self.logs(settings),
            log_tag: settings.log_tag.clone(),
            connection_mode: settings.connection_mode.unwrap_or(ConnectionMode::KeepAlive),
            forward_for: settings.forward_for.as_ref().map(|at| at.value.clone()),
            original_to: settings.original_to.as_ref().map(|at| at.value.clone()),
            splice: splice(settings),
            odd_names: settings.odd_names,
            http_buffer_request: settings.flags.get(Flag::HttpBufferRequest, false),
            contstats: settings.flags.get(Flag::ContStats, false),
            independent_streams: settings.flags.get(Flag::IndependentStreams, false),
            adjust_case_for_client: settings.flags.get(Flag::AdjustCaseForClient, false),
            adjust_case_for_server: settings.flags.get(Flag::AdjustCaseForServer, false),
            drops_request_trailers: settings.flags.get(Flag::DropRequestTrailers, false),
            drops_response_trailers: settings.flags.get(Flag::DropResponseTrailers, false),
            error_files: self.error_files(section),
            stats: self.stats(section, rules),
            inspect_delay: settings.inspect_delay,
            response_inspect_delay: settings.response_inspect_delay,
            rules: rules.clone(),
            grace: settings.grace,
        }
    }

    /// The statistics page: rules about it turn it on, too.
    fn stats(&mut self, section: &Section, rules: &Rules) -> Option<super::model::Stats> {
        let wanted = !(rules.stats_http_request.is_empty() && rules.stats_admin.is_empty());
        let page = section.settings.stats.as_ref();
        if let Some(page) = page.filter(|page| page.value.asks_password() && !rules.stats_http_request.is_empty()) {
            let (word, name) = (section.word(), &section.name);
            let message =
                format!("{word} '{name}': stats 'auth'/'realm' and 'http-request' can't be used at the same time.");
            self.error(code::CONFLICT, page.span, message);
        }
        let page = page.map(|page| page.value.clone()).or(wanted.then(StatsDraft::default));
        let description = section.description.as_deref().or(self.global.description.as_deref());
        page.filter(|_| section.mode() == Mode::Http)
            .map(|page| stats::complete(&page, self.global.node.as_deref(), description))
    }

    fn logs(&self, settings: &Settings) -> Vec<LogTarget> {
        let mut logs = Vec::with_capacity(settings.logs.len());
        for entry in &settings.logs {
            match entry {
                LogEntry::Global => logs.extend(self.global.logs.iter().cloned()),
                LogEntry::Target(target) => logs.push(LogTarget::clone(target)),
            }
        }
        logs
    }

    fn error_files(&mut self, section: &Section) -> Vec<super::model::ErrorFile> {
        let mut files = Vec::new();
        for from in &section.settings.error_sections {
            let (name, statuses) = &from.value;
            let Some(known) = self.others.http_errors.get(name) else {
                let at = place(self.sources, from.span);
                let (word, proxy) = (section.word(), &section.name);
                let message = format!("{word} '{proxy}': unknown http-errors section '{name}' (at {at}).");
                self.error(code::UNKNOWN_NAME, from.span, message);
                continue;
            };
            let wanted = known.iter().filter(|file| statuses.is_empty() || statuses.contains(&file.status));
            files.extend(wanted.map(|file| super::model::ErrorFile::clone(file)));
        }
        for file in &section.settings.error_files {
            files.retain(|other: &super::model::ErrorFile| other.status != file.status);
            files.push(super::model::ErrorFile::clone(file));
        }
        files
    }

    fn frontend(
        &mut self,
        section: &Section,
        proxy: Proxy,
        listen: Option<BackendId>,
        sections: &[(Section, Rules)],
        positions: &Positions,
        own: FrontendId,
    ) -> Frontend {
        let settings = &section.settings;
        let flag = |flag| settings.flags.get(flag, false);
        let default_backend = self.default_backend(section, listen, sections, positions);
        log_backend::refuse_frontend(section, self.out);
        Frontend {
            proxy,
            binds: self.binds(section),
            listen,
            maxconn: settings.maxconn.or(self.proxy_maxconn),
            max_session_srv_conns: settings.max_session_srv_conns.unwrap_or(crate::limits::OWN_CONNECTIONS_MAX),
            rate_limit_sessions: settings.rate_limit_sessions,
            log_format: self.log_format(section, own),
            log_structured: self.log_structured(section, own),
            log_steps: settings.log_steps,
            error_log_format: self.error_log_format(section, own),
            dontlognull: flag(Flag::DontLogNull),
            dontlog_normal: flag(Flag::DontLogNormal),
            log_separate_errors: flag(Flag::LogSeparateErrors),
            logasap: flag(Flag::LogAsap),
            http_ignore_probes: flag(Flag::HttpIgnoreProbes),
            idle_close_on_response: flag(Flag::IdleCloseOnResponse),
            socket_stats: flag(Flag::SocketStats),
            tcp_keep_alive: flag(Flag::ClientKeepAlive).then_some(settings.client_keep_alive),
            nolinger: flag(Flag::NoLinger),
            accept_unsafe_requests: flag(Flag::AcceptUnsafeRequests),
            monitor_uri: settings.monitor_uri.as_ref().map(|at| at.value.clone()),
            monitor_net: settings.monitor_net,
            default_backend,
            capture_request: section.capture_request.clone(),
            capture_response: section.capture_response.clone(),
            capture_cookie: section
                .capture_cookie
                .clone()
                .map(|capture| capture.within(self.global.tune.http_cookielen)),
            unique_id_header: settings.unique_id_header.clone(),
            unique_id_format: self.unique_id_format(section, own),
        }
    }

    fn default_backend(
        &mut self,
        section: &Section,
        listen: Option<BackendId>,
        sections: &[(Section, Rules)],
        positions: &Positions,
    ) -> Option<BackendId> {
        let Some(wanted) = &section.settings.default_backend else { return listen };
        let name = &wanted.value;
        let Some(&id) = self.names.backends.get(name) else {
            let message = format!("Proxy '{}': unable to find required default_backend: '{name}'.", section.name);
            let mut diagnostic =
                Diagnostic::error(code::UNKNOWN_NAME, wanted.span, message).whole_file().label("no such backend");
            let known = self.names.backends.keys().map(String::as_str);
            if let Some(nearest) = suggest::nearest(name, known) {
                diagnostic = diagnostic.help(format!("did you mean `{nearest}`?"));
            }
            self.out.push(diagnostic);
            return None;
        };
        if Some(id) == listen {
            let message = format!("Proxy '{}': loop detected for default_backend: '{name}'.", section.name);
            self.error(code::CONFLICT, wanted.span, message);
            return listen;
        }
        let target = positions.backend_sections.get(id.index()).and_then(|&index| sections.get(index));
        if let Some((target, _)) = target
            && section.mode() != target.mode()
            && section.mode() == Mode::Http
        {
            let message = format!(
                "http frontend '{}' ({}) tries to use incompatible tcp backend '{name}' ({}) as its default backend (see \
                 'mode').",
                section.name,
                place(self.sources, section.head),
                place(self.sources, target.head)
            );
            self.out.push(
                Diagnostic::error(code::CONFLICT, wanted.span, message)
                    .whole_file()
                    .related(target.head, "in another mode"),
            );
        }
        Some(id)
    }

    fn backend(&mut self, section: &Section, proxy: Proxy, listen: Option<FrontendId>) -> Backend {
        let settings = &section.settings;
        let flag = |flag| settings.flags.get(flag, false);
        let is_http = section.mode() == Mode::Http;
        let algorithm = settings.balance.as_ref().map_or(Algorithm::RoundRobin, |at| at.value.clone());
        let head = place(self.sources, section.head);
        let balance_key = balance::key(section, &algorithm, &head, self.names, self.out);
        let servers = self.servers(section);
        Backend {
            proxy,
            listen,
            log: log_backend::complete(section, &servers, self.names, self.tools, self.out),
            balance: balance::usable(algorithm, is_http),
            balance_key,
            rdp_cookie: settings.rdp_cookie.clone(),
            hash_affinity: settings.hash_affinity,
            hash_type: settings.hash_type.unwrap_or_default(),
            hash_balance_factor: settings.hash_balance_factor,
            servers,
            dispatch: section.dispatch,
            transparent: flag(Flag::Transparent),
            cookie: settings.cookie.as_ref().filter(|_| is_http).map(|at| at.value.clone()),
            dynamic_cookie_key: settings.dynamic_cookie_key.clone(),
            retries: settings.retries.unwrap_or(RETRIES_DEFAULT),
            redispatch: settings.redispatch,
            retry_on: settings.retry_on.clone().unwrap_or_default(),
            fullconn: settings.fullconn,
            health_check: check::complete(&settings.check, &settings.external_check),
            log_health_checks: flag(Flag::LogHealthChecks),
            persist: flag(Flag::Persist),
            abortonclose: settings.flags.get(Flag::AbortOnClose, is_http),
            allbackups: flag(Flag::AllBackups),
            pretend_keep_alive: flag(Flag::PretendKeepAlive),
            checkcache: flag(Flag::CheckCache),
            http_reuse: settings.http_reuse.unwrap_or(HttpReuse::Safe),
            forwarded: forwarded::complete(section, self.names, self.out),
            send_name_header: settings.send_name_header.clone(),
            tcp_keep_alive: flag(Flag::ServerKeepAlive).then_some(settings.server_keep_alive),
            nolinger: flag(Flag::NoLinger),
            tcp_smart_connect: flag(Flag::TcpSmartConnect),
            max_keep_alive_queue: settings.max_keep_alive_queue,
            prefer_last_server: flag(Flag::PreferLastServer),
            accept_unsafe_responses: flag(Flag::AcceptUnsafeResponses),
            published: !settings.be_unpublished,
            server_state: settings.server_state,
            server_state_file: settings.server_state_file.clone(),
        }
    }

    fn servers(&mut self, section: &Section) -> Vec<Server> {
        self.server_names(section);
        let ids = self.server_ids(section);
        let servers: Vec<_> =
            section.servers.iter().zip(ids).map(|(draft, puid)| self.server(section, draft, puid)).collect();
        self.dynamic_cookies(section, &servers);
        servers
    }

    /// Servers at one address cannot be told apart by values that are computed of it.
    fn dynamic_cookies(&mut self, section: &Section, servers: &[Server]) {
        let computed = |(draft, server): (&ServerDraft, &Server)| {
            let computed = cookie::dynamic(section, &server.address, server.port);
            computed.filter(|_| draft.settings.cookie.is_none()).map(|cookie| (cookie, draft.span))
        };
        let cookies: Vec<_> = section.servers.iter().zip(servers).filter_map(computed).collect();
        for (rank, (cookie, span)) in cookies.iter().enumerate() {
            for _ in cookies.iter().take(rank).filter(|(other, _)| other == cookie) {
                let message = format!(
                    "We generated two equal cookies for two different servers.\nPlease change the secret key for '{}'.",
                    section.name
                );
                self.out.push(Diagnostic::warning(code::DUPLICATE, *span, message).whole_file());
            }
        }
    }

    /// Every name once.
    fn server_names(&mut self, section: &Section) {
        let mut first: HashMap<&str, Span> = HashMap::with_capacity(section.servers.len());
        for draft in &section.servers {
            let Some(&other) = first.get(draft.name.as_str()) else {
                first.insert(&draft.name, draft.name_span);
                continue;
            };
            let message = format!(
                "'server {}/{}' : another server named '{}' was already defined at line {}, please use a distinct name.",
                section.name,
                draft.name,
                draft.name,
                self.sources.position(other).line
            );
            self.out.push(
                Diagnostic::error(code::DUPLICATE, draft.name_span, message)
                    .place(Place::Bare)
                    .related(other, "the name was used here first"),
            );
        }
    }

    fn server_ids(&mut self, section: &Section) -> Vec<u32> {
        let mut taken: HashMap<u32, &ServerDraft> = HashMap::new();
        for draft in &section.servers {
            let Some((id, span)) = draft.id else { continue };
            if let Some(other) = taken.get(&id) {
                let message = format!(
                    "'server {}/{}' : 'id' : custom id {id} already used at {} ('server {}').",
                    section.name,
                    draft.name,
                    place(self.sources, other.span),
                    other.name
                );
                self.out.push(
                    Diagnostic::error(code::DUPLICATE, span, message)
                        .place(Place::Bare)
                        .related(other.span, "used by this one"),
                );
            } else {
                taken.insert(id, draft);
            }
        }
        let given: Vec<_> = section.servers.iter().map(|draft| draft.id.map(|(id, _)| id)).collect();
        number(&given, 1)
    }

    fn server(&mut self, section: &Section, draft: &ServerDraft, puid: u32) -> Server {
        let settings = &draft.settings;
        let last = |name: &str| self.last.of(self.global, section, draft, name);
        let located = server::locate(draft, &mut self.tools.resolver, last);
        let (address, port, host) =
            located.unwrap_or_else(|lost| server::not_found(section, draft, lost, self.ignore_unresolved, self.out));
        self.server_rules(section, draft, &address);
        self.protocols(section, draft);
        let check = settings.check.then(|| self.check(section, draft, &address, port));
        Server {
            name: draft.name.clone(),
            puid,
            forced_id: draft.id.is_some(),
            address,
            port,
            host,
            resolution: resolvers::wish(draft, &mut self.resolvers),
            weight: settings.weight,
            maxconn: settings.maxconn,
            minconn: settings.minconn,
            maxqueue: settings.maxqueue,
            backup: settings.backup,
            non_stick: settings.non_stick,
            disabled: settings.disabled,
            cookie: settings.cookie.clone(),
            redir: settings.redir.clone(),
            check,
            agent: settings.agent_port.or(settings.check_port).filter(|_| settings.agent_check).map(|port| Agent {
                inter: settings.agent_inter.or(settings.inter).unwrap_or(INTER_DEFAULT),
                // `addr` and `port` are for checks and agents alike.
                address: settings.agent_address.or(settings.check_address),
                port,
                send: settings.agent_send.clone(),
            }),
            health_check: self
                .own_check(section, draft)
                .map(|check| Box::new(check::complete(check, &ExternalCheck::default()))),
            track: None,
            send_proxy: send_proxy::compile(section, draft, self.names, self.out),
            socks4: settings.socks4,
            namespace: settings.namespace.clone(),
            source: settings.source.clone().or_else(|| section.settings.source.clone()),
            slowstart: settings.slowstart,
            pool_max_conn: settings.pool_max_conn,
            pool_low_conn: settings.pool_low_conn,
            pool_purge_delay: settings.pool_purge_delay,
            max_reuse: settings.max_reuse,
            on_marked_down: settings.on_marked_down,
            on_marked_up: settings.on_marked_up,
            observe: settings.observe,
            error_limit: settings.error_limit,
            on_error: settings.on_error,
            init_state: settings.init_state,
            hash_key: settings.hash_key,
            tcp_user_timeout: settings.tcp_user_timeout,
            tcp: settings.tcp.shared(),
            tfo: settings.tfo,
            ssl: settings.ssl,
        }
    }

    /// What must go together on a server line.
    fn server_rules(&mut self, section: &Section, draft: &ServerDraft, _address: &ServerAddress) {
        let settings = &draft.settings;
        let prefix = format!("'server {}/{}' : ", section.name, draft.name);
        let verifies = settings.verify_none.map_or(!self.extra.no_server_verify, |none| !none);
        if settings.ssl && verifies && !settings.ca_file {
            let message = format!(
                "{prefix}verify is enabled by default but no CA file specified. If you're running on a LAN where you're \
                 certain to trust the server's certificate, please set an explicit 'verify none' statement on the \
                 'server' line, or use 'ssl-server-verify none' in the global section to disable server-side \
                 verifications by default."
            );
            self.out.push(Diagnostic::error(code::MISSING_ARGUMENT, draft.span, message).place(Place::Bare));
        }
        if settings.agent_check && settings.agent_port.or(settings.check_port).is_none() {
            let message =
                format!("{prefix}server {} does not have agent port. Agent check has been disabled.", draft.name);
            self.out.push(Diagnostic::error(code::MISSING_ARGUMENT, draft.span, message).place(Place::Bare));
        }
        if settings.check && settings.track.is_some() {
            let message = format!("{prefix}unable to enable checks and tracking at the same time!");
            self.out.push(Diagnostic::error(code::CONFLICT, draft.span, message).place(Place::Bare));
        }
        if let Some(name) = &settings.resolvers
            && resolvers::find(&mut self.resolvers, name).is_none()
        {
            let (word, proxy, server) = (section.word(), &section.name, &draft.name);
            let message = format!("{word} '{proxy}', server '{server}': unable to find required resolvers '{name}'");
            self.error(code::UNKNOWN_NAME, draft.span, message);
        }
    }

    /// `healthcheck`: the check of that section.
    fn own_check(&mut self, section: &Section, draft: &ServerDraft) -> Option<&'a CheckDraft> {
        let name = draft.settings.healthcheck.as_ref()?;
        let found = self.others.healthchecks.iter().find(|check| check.name == *name);
        if found.is_none() {
            let (word, proxy, server) = (section.word(), &section.name, &draft.name);
            let message = format!("{word} '{proxy}', server '{server}': unable to find required healthcheck '{name}'");
            self.error(code::UNKNOWN_NAME, draft.span, message);
        }
        found.map(|found| &found.check)
    }

    fn check(&mut self, section: &Section, draft: &ServerDraft, address: &ServerAddress, port: ServerPort) -> Check {
        let settings = &draft.settings;
        let has_ports = !matches!(address, ServerAddress::Unix(_) | ServerAddress::Abstract(_));
        let fixed = matches!(port, ServerPort::Fixed(_));
        let own = settings.healthcheck.as_ref().and_then(|name| {
            let check = self.others.healthchecks.iter().find(|check| check.name == *name)?;
            Some(&check.check)
        });
        let says = own.unwrap_or(&section.settings.check);
        if has_ports && !fixed && settings.check_port.is_none() && !check::names_port(says) {
            let message = format!(
                "{} '{}': server '{}' has neither service port nor check port.",
                section.word(),
                section.name,
                draft.name
            );
            self.out.push(
                Diagnostic::error(code::MISSING_ARGUMENT, draft.address_span, message)
                    .whole_file()
                    .label("no port to check")
                    .help("write a port after the address, or `port N` for the check"),
            );
        }
        let own_place = settings.check_port.is_none() && settings.check_address.is_none();
        Check {
            pace: Pace {
                inter: settings.inter.unwrap_or(INTER_DEFAULT),
                fastinter: settings.fastinter,
                downinter: settings.downinter,
                rise: settings.rise,
                fall: settings.fall,
            },
            address: settings.check_address,
            port: settings.check_port,
            via_socks4: settings.check_via_socks4,
            send_proxy: settings.check_send_proxy || (own_place && settings.send_proxy.is_some()),
            ssl: settings.check_ssl || (own_place && settings.ssl),
        }
    }
}

/// `option splice-request` and `splice-response`; `splice-auto` speaks for both where they do not.
fn splice(settings: &Settings) -> Splice {
    let both = settings.flags.mentioned(Flag::SpliceAuto);
    let one = |flag| match (settings.flags.mentioned(flag), both) {
        (Some(true), _) | (_, Some(true)) => Some(true),
        (own, both) => own.or(both),
    };
    Splice { request: one(Flag::SpliceRequest), response: one(Flag::SpliceResponse) }
}

/// What is unset and falls back to another time. Nothing is connected to by a frontend.
fn timeouts(settings: &Settings, kind: SectionKind) -> Timeouts {
    let set = &settings.timeouts;
    let connect = set.connect.filter(|_| kind != SectionKind::Frontend);
    Timeouts { queue: set.queue.or(set.connect), tarpit: set.tarpit.or(connect), ..set.clone() }
}
