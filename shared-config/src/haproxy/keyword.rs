//! Every word of haproxy.cfg this program knows: haproxy 2.6 to 3.5 and the legacy words of 1.4 to 2.5, one row per word.
//!
//! The rows are plain constants in the files below, one per family, sorted by name so that a look-up is a binary search. They are read by
//! the lowering (what may stand where, what to say about a word that does nothing yet), by the suggestions, by `-dK` and
//! by the compatibility page. What a word *means* is not here.
//!
//! | file | rows |
//! |---|---|
//! | `global.rs`, `proxy.rs`, `section.rs` | statements of `global`, of the proxies, of the other sections |
//! | `option.rs` | names after `option` |
//! | `param.rs` | parameters of `bind` and `server` lines |
//! | `action.rs` | actions of the rule sets |
//! | `fetch.rs`, `converter.rs`, `acl.rs` (their shape: `sample.rs`) | sample fetches, converters, ACL derivatives |
//! | `misc.rs` | filters, services, commands of the runtime socket |

mod acl;
mod action;
mod converter;
mod fetch;
mod global;
mod misc;
mod option;
mod param;
mod proxy;
mod sample;
mod section;

pub use crate::keyword::{Arity, Support};
pub use acl::{ACL_DERIVATIVES, AclDerivative};
pub use action::{ACTIONS, Action, Ruleset, Rulesets};
pub use converter::CONVERTERS;
pub use fetch::FETCHES;
pub use global::GLOBAL;
pub use misc::{CLI_COMMANDS, CliCommand, CliMode, FILTERS, Named, SERVICES};
pub use option::OPTIONS;
pub use param::{BIND_PARAMS, Param, SERVER_PARAMS};
pub use proxy::PROXY;
pub use sample::{Arg, ArgKind, ConverterRow, FetchPlace, FetchPlaces, FetchRow, SampleType};
pub use section::SECTION;

/// A kind of section, by the word that opens it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the variants are the words of the manual")]
#[repr(u8)]
pub enum SectionKind {
    Global,
    Defaults,
    Frontend,
    Listen,
    Backend,
    Acme,
    Cache,
    CrtList,
    CrtStore,
    FcgiApp,
    Healthcheck,
    HttpErrors,
    LogForward,
    LogProfile,
    Mailers,
    Peers,
    Program,
    Resolvers,
    Ring,
    Traces,
    Userlist,
}

impl SectionKind {
    /// All kinds, in the order `-dK` prints them. `crt-list` is not a section but the language of a file of its own.
    pub const ALL: [Self; 21] = [
        Self::Global,
        Self::Defaults,
        Self::Frontend,
        Self::Listen,
        Self::Backend,
        Self::Acme,
        Self::Cache,
        Self::CrtList,
        Self::CrtStore,
        Self::FcgiApp,
        Self::Healthcheck,
        Self::HttpErrors,
        Self::LogForward,
        Self::LogProfile,
        Self::Mailers,
        Self::Peers,
        Self::Program,
        Self::Resolvers,
        Self::Ring,
        Self::Traces,
        Self::Userlist,
    ];

    /// The word that opens the section.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Defaults => "defaults",
            Self::Frontend => "frontend",
            Self::Listen => "listen",
            Self::Backend => "backend",
            Self::Acme => "acme",
            Self::Cache => "cache",
            Self::CrtList => "crt-list",
            Self::CrtStore => "crt-store",
            Self::FcgiApp => "fcgi-app",
            Self::Healthcheck => "healthcheck",
            Self::HttpErrors => "http-errors",
            Self::LogForward => "log-forward",
            Self::LogProfile => "log-profile",
            Self::Mailers => "mailers",
            Self::Peers => "peers",
            Self::Program => "program",
            Self::Resolvers => "resolvers",
            Self::Ring => "ring",
            Self::Traces => "traces",
            Self::Userlist => "userlist",
        }
    }

    /// The kind a word opens; `crt-list` opens none.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name && *kind != Self::CrtList)
    }

    /// `defaults`, `frontend`, `listen`, `backend`: the sections that share one table.
    pub const fn is_proxy(self) -> bool {
        matches!(self, Self::Defaults | Self::Frontend | Self::Listen | Self::Backend)
    }
}

/// A set of section kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sections(u32);

impl Sections {
    /// `defaults`, `frontend`, `listen` and `backend`.
    pub const PROXIES: Self =
        Self::of(&[SectionKind::Defaults, SectionKind::Frontend, SectionKind::Listen, SectionKind::Backend]);
    /// All proxies but `defaults`.
    pub const NAMED_PROXIES: Self = Self::of(&[SectionKind::Frontend, SectionKind::Listen, SectionKind::Backend]);
    /// `defaults`, `frontend`, `listen`.
    pub const FRONTENDS: Self = Self::of(&[SectionKind::Defaults, SectionKind::Frontend, SectionKind::Listen]);
    /// `defaults`, `listen`, `backend`.
    pub const BACKENDS: Self = Self::of(&[SectionKind::Defaults, SectionKind::Listen, SectionKind::Backend]);
    /// `frontend`, `listen`.
    pub const NAMED_FRONTENDS: Self = Self::of(&[SectionKind::Frontend, SectionKind::Listen]);
    /// `listen`, `backend`.
    pub const NAMED_BACKENDS: Self = Self::of(&[SectionKind::Listen, SectionKind::Backend]);

    /// The set of these kinds.
    pub const fn of(kinds: &[SectionKind]) -> Self {
        let mut bits = 0;
        let mut i = 0;
        while i < kinds.len() {
            bits |= 1 << kinds[i] as u8;
            i += 1;
        }
        Self(bits)
    }

    /// Whether the kind is one of them.
    pub const fn contains(self, kind: SectionKind) -> bool {
        self.0 & (1 << kind as u8) != 0
    }

    /// The kinds of the set in the order of [`SectionKind::ALL`].
    pub fn iter(self) -> impl Iterator<Item = SectionKind> {
        SectionKind::ALL.into_iter().filter(move |kind| self.contains(*kind))
    }
}

/// Which of the words `no` and `default` may stand before a keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Prefix {
    /// None.
    Never,
    /// `no` only.
    No,
    /// `no` and `default`.
    NoOrDefault,
}

/// A statement of a section: one word, or several as in `timeout connect` and `capture request header`. Also an option,
/// whose row leaves the word `option` out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keyword {
    /// The words, one space between them.
    pub name: &'static str,
    /// Where it may stand.
    pub sections: Sections,
    /// Words after the name. Words beyond the limit are an error only where haproxy counts them; see the lowering.
    pub arity: Arity,
    /// What may stand before it.
    pub prefix: Prefix,
    /// Without a meaning in `mode tcp`.
    pub http_only: bool,
    /// In `defaults`, legal only when the section has a name.
    pub named_defaults_only: bool,
    /// The name is followed by `(…)` without a space, as in `set-var(txn.x)`.
    pub parenthesis: bool,
    /// For a word that current versions refuse: what to write instead, as a phrase that completes "use …".
    pub legacy: Option<&'static str>,
    /// What this version does with it.
    pub support: Support,
}

/// A row without anything special; the methods below add it.
const fn row(name: &'static str, sections: Sections, arity: Arity, support: Support) -> Keyword {
    Keyword {
        name,
        sections,
        arity,
        prefix: Prefix::Never,
        http_only: false,
        named_defaults_only: false,
        parenthesis: false,
        legacy: None,
        support,
    }
}

impl Keyword {
    const fn no(mut self) -> Self {
        self.prefix = Prefix::No;
        self
    }

    const fn no_or_default(mut self) -> Self {
        self.prefix = Prefix::NoOrDefault;
        self
    }

    const fn http(mut self) -> Self {
        self.http_only = true;
        self
    }

    const fn named_defaults(mut self) -> Self {
        self.named_defaults_only = true;
        self
    }

    const fn parenthesis(mut self) -> Self {
        self.parenthesis = true;
        self
    }

    const fn legacy(mut self, instead: &'static str) -> Self {
        self.legacy = Some(instead);
        self
    }

    /// How many words the name has.
    pub fn words(&self) -> usize {
        self.name.split(' ').count()
    }
}

/// The table that holds the statements of a section.
pub const fn statements(section: SectionKind) -> &'static [Keyword] {
    match section {
        SectionKind::Global => GLOBAL,
        SectionKind::Defaults | SectionKind::Frontend | SectionKind::Listen | SectionKind::Backend => PROXY,
        SectionKind::Acme
        | SectionKind::Cache
        | SectionKind::CrtList
        | SectionKind::CrtStore
        | SectionKind::FcgiApp
        | SectionKind::Healthcheck
        | SectionKind::HttpErrors
        | SectionKind::LogForward
        | SectionKind::LogProfile
        | SectionKind::Mailers
        | SectionKind::Peers
        | SectionKind::Program
        | SectionKind::Resolvers
        | SectionKind::Ring
        | SectionKind::Traces
        | SectionKind::Userlist => SECTION,
    }
}

/// The statement that starts with these words in this section: the row with the most words that fit. A last word with
/// parentheses (`set-var(txn.x)`) fits the row without them.
pub fn find_statement(section: SectionKind, words: &[impl AsRef<str>]) -> Option<&'static Keyword> {
    statements_with_first_word(section, words.first()?.as_ref())
        .filter(|row| row.sections.contains(section) && row.fits(words))
        .max_by_key(|row| row.words())
}

/// The statements whose first word this is, whatever their section: to say "not allowed in this section", or which second
/// words there are.
pub fn statements_with_first_word(section: SectionKind, first: &str) -> impl Iterator<Item = &'static Keyword> {
    let rows = statements(section);
    let start = rows.partition_point(|row| first_word(row.name) < first);
    rows[start..].iter().take_while(move |row| first_word(row.name) == first)
}

/// The row of an option of the proxies, by the word after `option`.
pub fn find_option(name: &str) -> Option<&'static Keyword> {
    by_name(OPTIONS, name, |row| row.name)
}

/// The parameter of a `bind` line.
pub fn find_bind_param(name: &str) -> Option<&'static Param> {
    by_name(BIND_PARAMS, name, |row| row.name)
}

/// The parameter of a `server` line.
pub fn find_server_param(name: &str) -> Option<&'static Param> {
    by_name(SERVER_PARAMS, name, |row| row.name)
}

/// The sample fetch of that name.
pub fn find_fetch(name: &str) -> Option<&'static FetchRow> {
    by_name(FETCHES, name, |row| row.name)
}

/// The converter of that name.
pub fn find_converter(name: &str) -> Option<&'static ConverterRow> {
    by_name(CONVERTERS, name, |row| row.name)
}

/// The ACL keyword that is a fetch with a match method: `path_beg`.
pub fn find_acl_derivative(name: &str) -> Option<&'static AclDerivative> {
    by_name(ACL_DERIVATIVES, name, |row| row.name)
}

/// The action of that name in a rule set. The name may go on with parentheses where the row says so, and with a number
/// as in `track-sc1`.
pub fn find_action(ruleset: Ruleset, word: &str) -> Option<&'static Action> {
    let bare = word.split('(').next().unwrap_or(word);
    let rows_of = |name: &str| {
        let start = ACTIONS.partition_point(|row| row.name < name);
        ACTIONS[start..].iter().take_while(move |row| row.name == bare || row.name == "track-sc")
    };
    let name = if bare.starts_with("track-sc") { "track-sc" } else { bare };
    rows_of(name).find(|row| row.rulesets.contains(ruleset) && row.fits(word))
}

fn by_name<T>(rows: &'static [T], name: &str, name_of: impl Fn(&T) -> &'static str) -> Option<&'static T> {
    rows.binary_search_by(|row| name_of(row).cmp(name)).ok().map(|index| &rows[index])
}

fn first_word(name: &'static str) -> &'static str {
    match name.as_bytes().iter().position(|&b| b == b' ') {
        Some(end) => &name[..end],
        None => name,
    }
}

impl Keyword {
    /// Whether a line that starts with these words is this statement.
    fn fits(&self, words: &[impl AsRef<str>]) -> bool {
        let mut words = words.iter();
        let mut names = self.name.split(' ').peekable();
        while let Some(name) = names.next() {
            let Some(word) = words.next() else { return false };
            let word = word.as_ref();
            let same = if self.parenthesis && names.peek().is_none() {
                word.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('('))
            } else {
                word == name
            };
            if !same {
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests;
