//! From the text of haproxy.cfg to the [`Model`].
//!
//! [`load`] reads the files, has them parsed, and lowers section by section; nothing stops at the first problem. Statements
//! become drafts ([`draft`]), since a section is complete only at its end and names only at the file's end; [`resolve`]
//! turns the drafts into the model; [`review`] says what haproxy warns about once everything is known.
//!
//! | file | what |
//! |---|---|
//! | `global`, `proxy`, `userlist`, `ring`, `log_backend`, `log_forward`, `log_profile`, `sections` | the kinds of sections |
//! | `settings`, `frontend`, `option`, `stats`, `log`, `cookie`, `balance`, `check`, `bind`, `server`, `source` | statements of the proxies |
//! | `legacy` | words of 1.4 to 2.5 |
//! | `rules` | ACLs, conditions, rules |
//! | `support` | what the keyword table says does not work yet |

mod address;
mod balance;
mod bind;
mod check;
mod check_rule;
mod cookie;
mod default_path;
mod draft;
mod files;
mod forwarded;
mod frontend;
mod global;
mod guid;
mod healthcheck;
mod keep_alive;
mod legacy;
mod line;
mod log;
mod log_backend;
mod log_forward;
mod log_profile;
pub mod model;
mod mux;
mod number;
mod option;
mod process;
mod proxy;
mod resolve;
pub mod resolvers;
mod review;
mod ring;
pub mod rules;
mod sections;
mod send_proxy;
mod server;
mod server_param;
mod settings;
mod source;
pub mod state_file;
mod stats;
mod stick;
mod support;
mod threads;
mod track;
mod tune;
mod userlist;
mod users;
mod value;

use address::Resolver;
use draft::{CheckDraft, DefaultRules, Section};
use model::{Global, Model, Userlist};
use proxy::{DefaultsList, Tools};
use resolve::{Drafts, Overrides};
pub use rules::{Names, runtime_variable};
use sections::Others;
use shared_config::diagnostic::{Diagnostic, Diagnostics, Place, Severity};
use shared_config::haproxy::ast::{self, Statement};
use shared_config::haproxy::env::Env;
use shared_config::haproxy::keyword::SectionKind;
use shared_config::haproxy::load::{self, Input};
use shared_config::haproxy::predicate::Facts;
use shared_config::haproxy::{self};
use shared_config::source::{Sources, Span};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

/// What to read, and what the command line adds.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Files and directories, in order.
    pub paths: Vec<PathBuf>,
    /// The environment that `"$NAME"` and `.if` see.
    pub env: Env,
    /// What `.if` asks about the program.
    pub facts: Facts,
    /// `-dr`: a server whose name cannot be resolved is no error.
    pub ignore_unresolved: bool,
    /// `-N`: the `maxconn` of frontends that have none.
    pub proxy_maxconn: Option<u32>,
    /// `-L`: wins over `localpeer`.
    pub peer_name: Option<String>,
}

/// What came of it.
#[derive(Debug)]
pub struct Loaded {
    /// What was understood. Not to be run where the diagnostics have errors or what is unsupported.
    pub model: Model,
    /// All problems, in the order in which they were found.
    pub diagnostics: Diagnostics,
    /// The texts the diagnostics point into.
    pub sources: Sources,
    /// `zero-warning`: warnings are as bad as errors.
    pub zero_warning: bool,
}

impl Loaded {
    /// Whether a start must be refused: errors, or words that do not work yet.
    pub fn is_refused(&self) -> bool {
        self.diagnostics.worst() >= Some(Severity::Unsupported)
    }
}

/// Reads, parses and lowers.
pub fn load(request: Request) -> Loaded {
    let (inputs, diagnostics) = load::load(&request.paths);
    lower(inputs, request, diagnostics)
}

/// The same for texts that have been read already.
pub fn lower(inputs: Vec<Input>, request: Request, mut diagnostics: Diagnostics) -> Loaded {
    let haproxy::Parsed { sources, file, env, diagnostics: found } =
        haproxy::parse(inputs, request.env, &request.facts);
    diagnostics.extend(found);
    let mut lowering = Lowering::new(&file, &sources, &env, diagnostics);
    lowering.global.localpeer.clone_from(&request.peer_name);
    for section in &file.sections {
        lowering.section(section);
    }
    if request.peer_name.is_some() {
        lowering.global.localpeer = request.peer_name;
    }
    let overrides = Overrides { ignore_unresolved: request.ignore_unresolved, proxy_maxconn: request.proxy_maxconn };
    let (mut model, diagnostics, zero_warning) = lowering.finish(overrides, &env);
    model.global.environment = env.iter().map(|(name, value)| (name.to_owned(), Some(value.to_owned()))).collect();
    Loaded { model, diagnostics, sources, zero_warning }
}

/// What has been lowered so far.
struct Lowering<'a> {
    sources: &'a Sources,
    out: Diagnostics,
    tools: Tools,
    global: Global,
    extra: global::Extra,
    defaults: DefaultsList,
    proxies: Vec<Proxy<'a>>,
    userlists: Vec<Userlist>,
    others: Others,
    names: Names,
    tables: Vec<crate::stick::Settings>,
    /// The checks of `defaults` sections, by name and mode.
    inherited_checks: Vec<(String, model::Mode, CheckDraft)>,
    place: default_path::Place,
}

/// A proxy section and the statements that are rules, which are lowered once all names are known.
struct Proxy<'a> {
    section: Section,
    rules: Vec<&'a Statement>,
}

impl<'a> Lowering<'a> {
    fn new(file: &'a ast::File, sources: &'a Sources, env: &Env, mut out: Diagnostics) -> Self {
        let names = names(file, sources, &mut out);
        let bufsize = Global::default().tune.bufsize;
        Self {
            sources,
            out,
            tools: Tools { resolver: Resolver::new(env.clone()), bufsize, ..Tools::default() },
            global: Global { notes_course: rules::tells_course(file), ..Global::default() },
            extra: global::Extra::default(),
            defaults: DefaultsList::default(),
            proxies: Vec::new(),
            userlists: Vec::new(),
            others: Others::default(),
            names,
            tables: Vec::new(),
            inherited_checks: Vec::new(),
            place: default_path::Place::default(),
        }
    }

    fn section(&mut self, ast: &'a ast::Section) {
        let Some(kind) = SectionKind::from_name(ast.kind()) else { return };
        self.place.enter(&self.extra.default_path, ast.head.span, self.sources, &mut self.out);
        match kind {
            SectionKind::Global => self.global_section(ast),
            SectionKind::Userlist => self.userlist(ast),
            SectionKind::LogForward => log_forward::lower(ast, &mut self.others, &mut self.tools, &mut self.out),
            SectionKind::LogProfile => log_profile::lower(ast, &mut self.others, &mut self.tools, &mut self.out),
            SectionKind::Healthcheck => {
                healthcheck::lower(ast, &mut self.others, &mut self.tools, &mut self.out);
            }
            SectionKind::Ring => ring::lower(ast, &mut self.others, &mut self.tools, &mut self.out),
            kind if kind.is_proxy() => self.proxy(ast, kind),
            kind => sections::lower(ast, kind, &mut self.others, &mut self.tools, &mut self.out),
        }
    }

    fn global_section(&mut self, ast: &ast::Section) {
        if let Some(word) = ast.name() {
            let message = format!("'global' cannot handle unexpected argument '{}'.", word.text);
            self.out.push(Diagnostic::error(line::code::EXTRA_ARGUMENT, word.span, message));
        }
        for statement in &ast.statements {
            global::statement(statement, &mut self.global, &mut self.extra, &mut self.tools, &mut self.out);
            self.place.enter(&self.extra.default_path, ast.head.span, self.sources, &mut self.out);
        }
        self.tools.bufsize = self.global.tune.bufsize;
    }

    fn userlist(&mut self, ast: &ast::Section) {
        if let Some(list) = userlist::lower(ast, &mut self.out) {
            if self.userlists.iter().any(|other| other.name == list.name) {
                let message = format!("ignoring duplicated userlist '{}'.", list.name);
                let warning = Diagnostic::warning(line::code::DUPLICATE, ast.head.span, message);
                self.out.push(warning.place(Place::ParsingLine));
            } else {
                self.userlists.push(list);
            }
        }
    }

    fn proxy(&mut self, ast: &'a ast::Section, kind: SectionKind) {
        let mut section = proxy::open(ast, kind, &mut self.defaults, &mut self.tools, self.sources, &mut self.out);
        let mut rules = Vec::new();
        for statement in &ast.statements {
            if proxy::statement(statement, &mut section, &mut self.tools, &mut self.out) == proxy::Taken::Rule {
                rules.push(statement);
            }
        }
        if kind == SectionKind::Defaults {
            let statements = rules.into_iter().cloned().collect();
            section.settings.rules = Arc::new(DefaultRules { statements, head: Some(section.head) });
            self.inherited_checks.push((section.name.clone(), section.mode(), section.settings.check.clone()));
            return self.defaults.add(section);
        }
        let Some(name) = ast.name() else { return };
        legacy::nameless_listen(&mut section, name, &mut self.tools, &mut self.out);
        self.proxies.push(Proxy { section, rules });
    }

    fn finish(mut self, overrides: Overrides, env: &Env) -> (Model, Diagnostics, bool) {
        review::review(
            self.proxies.iter().map(|proxy| review::Subject { section: &proxy.section, rules: &proxy.rules }),
            &self.global,
            &self.extra,
            &self.others,
            &mut self.out,
        );
        self.complete_names(env);
        for statement in self
            .proxies
            .iter()
            .flat_map(|proxy| proxy.section.settings.rules.statements.iter().chain(proxy.rules.iter().copied()))
        {
            self.names.changed_files.extend(rules::changed_file(statement));
        }
        let mut seen = HashSet::new();
        self.inherited_checks(&mut seen);
        self.named_checks(&mut seen);
        let mut sections = Vec::with_capacity(self.proxies.len());
        let (mut frontends, mut backends) = (0, 0);
        for Proxy { mut section, rules } in std::mem::take(&mut self.proxies) {
            self.place.enter(&self.extra.default_path, section.head, self.sources, &mut self.out);
            let name = section.name.clone();
            let facts = rules::Section {
                kind: section.kind,
                name: &name,
                mode: section.mode(),
                frontend: section.is_frontend().then_some(crate::ids::FrontendId(frontends)),
                backend: section.is_backend().then_some(crate::ids::BackendId(backends)),
                request_captures: section.capture_request.len(),
                response_captures: section.capture_response.len(),
            };
            frontends += u32::from(section.is_frontend());
            backends += u32::from(section.is_backend());
            let inherited = Arc::clone(&section.settings.rules);
            let mut rules = rules::lower(&facts, &inherited.statements, rules, &self.names, &mut self.out);
            for (status, statement) in &section.settings.http_errors {
                let reply = rules::http_error(&facts, *status, statement, &self.names, &mut self.out);
                rules.http_errors.extend(reply.map(|reply| (*status, reply)));
            }
            if !rules.acls.is_empty() {
                let mut known = self.names.acls.borrow_mut();
                known.insert((section.kind, section.name.clone()), rules.acls.clone());
            }
            self.checks(&mut section.settings.check, facts, &mut seen);
            sections.push((section, rules));
        }
        let sticks = sections.iter().flat_map(|(_, rules)| rules.stick_request.iter().chain(&rules.stick_response));
        for rule in sticks {
            if let Some(table) = self.tables.get_mut(rule.action.table.index()) {
                table.store_server();
            }
        }
        let variables = std::mem::take(&mut self.extra.variables);
        let effects = variables.iter().filter_map(|one| rules::process_variable(one, &self.names, &mut self.out));
        self.global.variables = effects.collect();
        let zero_warning = self.extra.zero_warning;
        let drafts = Drafts {
            global: self.global,
            extra: self.extra,
            sections,
            userlists: self.userlists,
            others: self.others,
            names: &self.names,
            tables: self.tables,
        };
        let model = resolve::complete(drafts, overrides, self.sources, &mut self.tools, &mut self.out);
        (model, self.out, zero_warning)
    }
}

impl Lowering<'_> {
    /// Makes steps of the rules of a section's check.
    fn checks(&mut self, check: &mut CheckDraft, section: rules::Section<'_>, seen: &mut HashSet<Span>) {
        let (names, support) = (&self.names, &mut self.tools.support);
        check_rule::lower(check, &mut check_rule::Surroundings { section, names, support, seen, out: &mut self.out });
    }

    /// What is wrong with a check in a `defaults` section is told of there.
    fn inherited_checks(&mut self, seen: &mut HashSet<Span>) {
        for (name, mode, mut check) in std::mem::take(&mut self.inherited_checks) {
            let facts = rules::Section {
                kind: SectionKind::Defaults,
                name: &name,
                mode,
                frontend: None,
                backend: None,
                request_captures: 0,
                response_captures: 0,
            };
            self.checks(&mut check, facts, seen);
        }
    }

    /// `healthcheck` sections.
    fn named_checks(&mut self, seen: &mut HashSet<Span>) {
        for mut draft in std::mem::take(&mut self.others.healthchecks) {
            let name = draft.name.clone();
            let facts = draft.section(&name);
            self.checks(&mut draft.check, facts, seen);
            self.others.healthchecks.push(draft);
        }
    }

    /// What rules refer to and is known only at the end.
    fn complete_names(&mut self, env: &Env) {
        let names = &mut self.names;
        for (index, list) in self.userlists.iter().enumerate() {
            names.userlists.insert(list.name.clone(), crate::ids::UserlistId(number(index)));
        }
        let sections = self.proxies.iter().map(|proxy| &proxy.section);
        for (backend, section) in sections.clone().filter(|section| section.is_backend()).enumerate() {
            for (server, draft) in section.servers.iter().enumerate() {
                let ids = (crate::ids::BackendId(number(backend)), crate::ids::ServerIndex(number(server)));
                names.servers.entry((section.name.clone(), draft.name.clone())).or_insert(ids);
            }
        }
        let tables = sections.flat_map(|section| section.stick_tables.iter().map(move |draft| (section.word(), draft)));
        let tables = tables.chain(self.others.peer_tables.iter().map(|draft| ("peers", draft)));
        self.tables = stick::collect(tables, names, &self.others, self.sources, &mut self.out);
        names.http_errors.clone_from(&self.others.http_errors);
        names.bufsize = self.global.tune.bufsize;
        names.stick_counters = self.extra.stick_counters;
        names.tokens = self.extra.tokens;
        names.files_change = !self.global.stats_sockets.is_empty();
        names.experimental = self.extra.experimental;
        names.environment = env.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        names.hostname = nix::unistd::gethostname().unwrap_or_default().to_string_lossy().into_owned();
    }
}

fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// Gives every named proxy its ids in the order of the file, and reports names that are used twice.
fn names(file: &ast::File, sources: &Sources, out: &mut Diagnostics) -> Names {
    let mut names = Names::default();
    let mut first: HashMap<&str, (SectionKind, &ast::Section)> = HashMap::new();
    let (mut frontends, mut backends) = (0, 0);
    names.resolvers.insert(resolvers::DEFAULT.to_owned());
    names.sinks.extend(["stdout", "stderr", crate::log::ring::BUILT_IN].map(str::to_owned));
    names.places = rules::places(file, sources);
    for section in &file.sections {
        let Some(kind) = SectionKind::from_name(section.kind()) else { continue };
        match (kind, section.name()) {
            (SectionKind::Resolvers, Some(name)) => drop(names.resolvers.insert(name.text.to_string())),
            (SectionKind::Ring, Some(name)) => drop(names.sinks.insert(name.text.to_string())),
            _ => {}
        }
        if let (SectionKind::LogProfile, Some(name)) = (kind, section.name()) {
            let id = crate::ids::ProfileId(number(names.profiles.len()));
            names.profiles.entry(name.text.to_string()).or_insert(id);
        }
        let Some(name) = section.name().filter(|_| kind.is_proxy() && kind != SectionKind::Defaults) else { continue };
        if kind != SectionKind::Backend {
            names.frontends.entry(name.text.to_string()).or_insert(crate::ids::FrontendId(frontends));
            frontends += 1;
        }
        if kind != SectionKind::Frontend {
            names.backends.entry(name.text.to_string()).or_insert(crate::ids::BackendId(backends));
            backends += 1;
        }
        match first.get(&*name.text) {
            Some(&(other_kind, other)) => same_name(kind, section, other_kind, other, sources, out),
            None => drop(first.insert(&name.text, (kind, section))),
        }
    }
    names
}

/// Two sections of one name. A frontend and a backend may share one, as until 3.2; two of a kind may not.
fn same_name(
    kind: SectionKind,
    section: &ast::Section,
    other_kind: SectionKind,
    other: &ast::Section,
    sources: &Sources,
    out: &mut Diagnostics,
) {
    let word = |kind| match kind {
        SectionKind::Frontend => "frontend",
        SectionKind::Backend => "backend",
        _ => "proxy",
    };
    let name = section.name().map_or("", |word| &*word.text);
    let message = format!(
        "Parsing [{}]: {} '{name}' has the same name as {} '{name}' declared at {}.",
        resolve::place(sources, section.head.span),
        word(kind),
        word(other_kind),
        resolve::place(sources, other.head.span)
    );
    let at = section.name().map_or(section.head.span, |word| word.span);
    let diagnostic = if kind == other_kind {
        Diagnostic::error(line::code::DUPLICATE, at, message)
    } else {
        let removed = " This is no longer supported as of 3.3. Please rename one or the other.";
        Diagnostic::warning(line::code::LEGACY, at, message + removed)
            .help("it works here as it did until haproxy 3.2; rename one of them to be clear")
    };
    out.push(diagnostic.whole_file().related(other.head.span, "declared here first"));
}
