//! What rules refer to elsewhere in the configuration, by name.

use crate::ids::{BackendId, FrontendId, ProfileId, ServerIndex, TableId, UserlistId};
use crate::proxy::settings::ErrorFile;
use crate::rules::acl::Acl;
use crate::sample::convert::jwe::Allowed;
use crate::sample::pattern_file::{PatternFile, WrittenPatterns};
use crate::sample::transaction::Written;
use crate::stick::table::Settings;
use crate::stick::tracked::COUNTERS_DEFAULT;
use crate::stick::{DataType, KeyType};
use shared_config::haproxy::ast;
use shared_config::haproxy::keyword::{SampleType, SectionKind};
use shared_config::source::{Sources, Span};
use shared_config::words::Word;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// The names of all sections, collected before rules are lowered.
#[derive(Debug, Default)]
pub struct Names {
    /// `frontend` and `listen`.
    pub frontends: HashMap<String, FrontendId>,
    /// `backend` and `listen`.
    pub backends: HashMap<String, BackendId>,
    /// `userlist`.
    pub userlists: HashMap<String, UserlistId>,
    /// `log-profile`.
    pub profiles: HashMap<String, ProfileId>,
    /// Servers, by backend and name.
    pub servers: HashMap<(String, String), (BackendId, ServerIndex)>,
    /// Stick tables by the proxy's name, and those of `peers` sections as `peers/table`.
    pub tables: HashMap<String, KnownTable>,
    /// `tune.stick-counters`: how many counters a connection or a request can have.
    pub stick_counters: Option<u8>,
    /// `jwt.decrypt_alg_list`, `jwt.decrypt_enc_list`
    pub tokens: Allowed,
    /// `tune.bufsize`
    pub bufsize: u32,
    /// `expose-experimental-directives`
    pub experimental: bool,
    /// Files of patterns that rules change: they are not compiled for good.
    pub changed_files: HashSet<String>,
    /// There is a runtime socket, where operators may change every file.
    pub files_change: bool,
    /// Where each rule's action is written, where some sample tells of it: file and line by the place of its word.
    pub places: HashMap<Span, Arc<Written>>,
    /// Where `debug` can write: `ring` sections, the ring that is always there, standard output and error.
    pub sinks: HashSet<String>,
    /// The ACLs of each section whose rules are known by now, for the formats of its lines.
    pub acls: RefCell<HashMap<(SectionKind, String), Vec<Acl>>>,
    /// Files of patterns that can change, read so far.
    pub files: RefCell<HashMap<String, Arc<PatternFile>>>,
    /// Where there is a runtime socket: the patterns in the configuration itself, by what is tested. Their place is not looked up.
    pub written_patterns: RefCell<BTreeMap<Span, WrittenPatterns>>,
    /// `resolvers` sections, and the one that is there without being written.
    pub resolvers: HashSet<String>,
    /// `http-errors` sections, whose answers rules give.
    pub http_errors: HashMap<String, Vec<Arc<ErrorFile>>>,
    /// The environment, for `env(…)`.
    pub environment: HashMap<String, String>,
    /// The host's name, for `hostname`.
    pub hostname: String,
}

impl Names {
    /// The next number of a file, or of patterns in the configuration.
    pub(super) fn next_patterns(&self) -> usize {
        self.files.borrow().len() + self.written_patterns.borrow().len()
    }

    /// The patterns in the configuration with the place of each.
    pub fn placed_patterns(&self, sources: &Sources) -> Vec<WrittenPatterns> {
        let placed = |(span, written): (&Span, &WrittenPatterns)| {
            let file = sources.get(span.source).path().display().to_string();
            WrittenPatterns { place: (file.into(), sources.position(*span).line), ..written.clone() }
        };
        self.written_patterns.borrow().iter().map(placed).collect()
    }
}

/// The samples that tell where a rule is written.
const TELL_PLACES: [&str; 3] = ["last_rule_", "last_entity", "waiting_entity"];

/// The samples that tell what is noted for them alone while a request is served.
const TELL_COURSE: [&str; 2] = ["req.bytes_out", "cpu_calls"];

/// Whether any sample of the file tells what is not noted for anything else.
pub fn tells_course(file: &ast::File) -> bool {
    asks(file, &TELL_COURSE)
}

/// Whether any word of the file has one of these samples in it.
fn asks(file: &ast::File, samples: &[&str]) -> bool {
    let statements = || file.sections.iter().flat_map(|section| &section.statements);
    let tells = |word: &Word| samples.iter().any(|sample| word.text.contains(sample));
    statements().any(|statement| statement.words.iter().any(tells))
}

/// Where the rules' actions are written, if any sample of the file tells of it.
pub fn places(file: &ast::File, sources: &Sources) -> HashMap<Span, Arc<Written>> {
    if !asks(file, &TELL_PLACES) {
        return HashMap::new();
    }
    let statements = || file.sections.iter().flat_map(|section| &section.statements);
    let is_rule = |statement: &&ast::Statement| {
        let sets = ["http-request", "http-response", "http-after-response", "tcp-request", "tcp-response"];
        statement.keyword().is_some_and(|keyword| sets.contains(&keyword.as_str()))
    };
    let place = |word: &Word| {
        let file = sources.get(word.span.source).path().display().to_string().into();
        (word.span, Arc::new(Written { file, line: sources.position(word.span).line }))
    };
    // The action is the second word, or the third where the set has a name of two.
    statements().filter(is_rule).flat_map(|statement| statement.words.iter().skip(1).take(2).map(place)).collect()
}

/// What rules need to know of a stick table.
#[derive(Clone, Copy, Debug)]
pub struct KnownTable {
    /// Its number.
    pub id: TableId,
    /// The type of its keys.
    pub kind: KeyType,
    /// It stores `bytes_in_rate` and `bytes_out_rate`.
    pub byte_rates: (bool, bool),
}

impl KnownTable {
    /// What is known of a table with these settings.
    pub fn new(id: TableId, settings: &Settings) -> Self {
        let stores = |kind| settings.columns.iter().any(|column| column.kind == kind);
        Self { id, kind: settings.kind, byte_rates: (stores(DataType::BytesInRate), stores(DataType::BytesOutRate)) }
    }

    /// Whether samples of a type can be its keys.
    pub(super) fn takes(self, sample: SampleType) -> bool {
        sample.casts_to(match self.kind {
            KeyType::Ip => SampleType::Ipv4,
            KeyType::Ipv6 => SampleType::Ipv6,
            KeyType::Integer => SampleType::Sint,
            KeyType::Text(_) => SampleType::Str,
            KeyType::Bytes(_) => SampleType::Bin,
        })
    }
}

impl Names {
    /// Where a rule is written, if anybody wants to know.
    pub(super) fn written(&self, action: Span) -> Option<Arc<Written>> {
        self.places.get(&action).cloned()
    }

    /// The number of the last counter.
    pub(super) fn last_counter(&self) -> Option<u8> {
        self.stick_counters.unwrap_or(COUNTERS_DEFAULT).checked_sub(1)
    }

    /// A server of a backend.
    pub(super) fn server(&self, backend: &str, server: &str) -> Option<(BackendId, ServerIndex)> {
        self.servers.get(&(backend.to_owned(), server.to_owned())).copied()
    }

    /// The names of a backend's servers.
    pub(super) fn servers_of<'a>(&'a self, backend: &'a str) -> impl Iterator<Item = &'a String> {
        self.servers.keys().filter(move |(of, _)| of == backend).map(|(_, server)| server)
    }
}
