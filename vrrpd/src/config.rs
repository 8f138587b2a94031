//! A keepalived.conf from its files to the [`model`].
//!
//! [`load`] reads the language into a tree (`shared_config::keepalived`), then each block is lowered by the module of
//! its name in the order of the file, since keepalived knows a script or a file only after it was defined;
//! `resolve` joins names that may be used before they are defined, and `review` says what is not applied.
//!
//! Severities here: an error is what keepalived does not start with, a warning is what it says and runs with.

mod bfd;
mod command;
mod global;
mod host;
mod instance;
pub mod model;
mod resolve;
mod review;
mod route;
mod rule;
mod script;
mod static_;
mod sync_group;
mod track;
mod value;
mod virtual_address;
mod virtual_server;

pub use host::{Host, RoutingNames, ThisHost};

use model::Model;
use shared_config::diagnostic::{Diagnostic, Diagnostics, Severity};
use shared_config::keepalived::ast::{File, Statement};
use shared_config::keepalived::preprocess::{Disk, Environment, Files, Limits, Origins, Remembered};
use shared_config::source::{SourceId, Sources, encode};
use std::collections::HashMap;
use std::io;
use std::path::Path;

/// Where the configuration is unless `-f` says otherwise.
pub const DEFAULT_FILE: &str = "/etc/keepalived/keepalived.conf";

/// Exit status of a configuration with anything to complain about.
pub const EXIT_COMPLAINTS: u8 = 5;
/// Exit status without a configuration.
pub const EXIT_NO_CONFIG: u8 = 6;
/// Exit status of a daemon that does not start with this configuration, and of a check that cannot read all of it.
pub const EXIT_CONFIG: u8 = 2;

/// What came of a configuration.
#[derive(Debug)]
pub struct Loaded {
    /// `None` where keepalived would not start.
    pub model: Option<Model>,
    /// Everything there is to say, in the order of finding.
    pub diagnostics: Diagnostics,
}

impl Loaded {
    /// The exit status of `-t`, by keepalived's rules. It judges the language: what this program does not apply does
    /// not count, nor does a plain `include` of nothing.
    pub fn check_status(&self) -> u8 {
        let mut status = 0;
        for diagnostic in self.diagnostics.iter() {
            match (diagnostic.severity, diagnostic.code) {
                (_, "missing-parameter" | "expansion-limit" | "line-too-long" | "include-loop" | "include-limit") => {
                    return EXIT_CONFIG;
                }
                (_, "definition-loop") => return EXIT_CONFIG,
                (_, "no-config" | "include-required") => status = status.max(EXIT_NO_CONFIG),
                (_, "no-effect" | "include-missing" | "unsupported-authentication")
                | (Severity::Diag | Severity::Notice | Severity::Unsupported, _) => {}
                (Severity::Warning | Severity::Error, _) => status = status.max(EXIT_COMPLAINTS),
            }
        }
        status
    }

    /// Whether a daemon may run this: keepalived would, and nothing that matters is left out.
    pub fn may_start(&self) -> bool {
        self.model.is_some() && self.diagnostics.worst().is_none_or(|worst| worst < Severity::Unsupported)
    }

    /// Whether a file is missing or cannot be read; `-e` does not start then.
    pub fn is_incomplete(&self) -> bool {
        let codes = ["no-config", "include-required", "include-missing"];
        self.diagnostics.iter().any(|diagnostic| codes.contains(&diagnostic.code))
    }

    /// The exit status of a daemon that does not start because of this.
    pub fn start_status(&self) -> u8 {
        if self.diagnostics.iter().any(|d| d.code == "no-config" || d.code == "include-required") {
            EXIT_NO_CONFIG
        } else {
            EXIT_CONFIG
        }
    }
}

/// Reads a configuration file and everything it includes.
pub fn load(path: &Path, config_id: &str, host: &mut dyn Host, sources: &mut Sources) -> Loaded {
    match Disk.read(path) {
        Ok(bytes) => {
            let root = sources.add(path, &bytes);
            load_text(root, &Disk, config_id, host, sources)
        }
        Err(error) => {
            let mut diagnostics = Diagnostics::new();
            let path = path.display();
            let message = match error.kind() {
                io::ErrorKind::NotFound => format!("Config files missing '{path}'."),
                io::ErrorKind::IsADirectory => format!("Configuration file '{path}/' is a directory - skipping"),
                _ => format!("Configuration file '{path}' open problem ({error}) - skipping"),
            };
            diagnostics.push(Diagnostic::error("no-config", None, message));
            Loaded { model: None, diagnostics }
        }
    }
}

/// Reads a configuration as it was when these sources were read, whatever became of its files.
pub fn load_again(before: &Sources, config_id: &str, host: &mut dyn Host, sources: &mut Sources) -> Option<Loaded> {
    let first = before.iter().next()?;
    let root = sources.add(first.path(), &encode(first.text()));
    Some(load_text(root, &Remembered(before), config_id, host, sources))
}

/// Reads a configuration that is among the sources already.
pub fn load_text(
    root: SourceId,
    files: &dyn Files,
    config_id: &str,
    host: &mut dyn Host,
    sources: &mut Sources,
) -> Loaded {
    let mut diagnostics = Diagnostics::new();
    let parsed = {
        let mut random = |range| host.random(range);
        let variable = |name: &str| std::env::var(name).ok();
        let mut environment =
            Environment { config_id, files, random: &mut random, variable: &variable, limits: Limits::default() };
        shared_config::keepalived::parse(sources, root, &mut environment, &mut diagnostics)
    };
    let mut lowering = Lowering {
        host,
        origins: &parsed.origins,
        diagnostics: &mut diagnostics,
        script_names: Vec::new(),
        file_names: Vec::new(),
        rules_without_preference: 0,
    };
    let model = lowering.file(&parsed.file);
    let usable = !diagnostics.has_errors();
    Loaded { model: Some(model).filter(|_| usable), diagnostics }
}

/// What all parts of the lowering share.
struct Lowering<'a> {
    host: &'a dyn Host,
    origins: &'a Origins,
    diagnostics: &'a mut Diagnostics,
    /// Names of the scripts, by id, once all are known.
    script_names: Vec<String>,
    /// The same for tracked files.
    file_names: Vec<String>,
    /// Rules without a preference so far; keepalived counts down.
    rules_without_preference: u32,
}

/// What has been read so far.
#[derive(Default)]
struct Draft<'a> {
    instances: Vec<instance::Draft<'a>>,
    /// The instances by name.
    instance_ids: HashMap<Box<str>, model::InstanceId>,
    sync_groups: Vec<sync_group::Draft<'a>>,
    /// The groups' names, and where they stand.
    group_names: HashMap<Box<str>, shared_config::source::Span>,
    track_groups: Vec<static_::TrackGroup<'a>>,
    static_lines: static_::StaticLines<'a>,
    trackers: track::Trackers,
    /// Where each script was defined.
    scripts: Vec<shared_config::source::Span>,
    garp_groups: Vec<model::GarpGroup>,
    interface_delays: Vec<model::InterfaceDelay>,
    virtual_servers: Vec<model::VirtualServer>,
}

impl Lowering<'_> {
    /// Lowers the whole tree.
    fn file(&mut self, file: &File) -> Model {
        let mut draft = Draft::default();
        let blocks = file.statements.iter().filter(|statement| statement.name() == "global_defs");
        let global = self.global(&blocks.collect::<Vec<_>>(), &file.statements);
        for statement in &file.statements {
            self.root(statement, &global, &mut draft);
        }
        self.review(file);
        self.resolve(draft, global)
    }

    fn root<'a>(&mut self, statement: &'a Statement, global: &global::Globals, draft: &mut Draft<'a>) {
        match statement.name() {
            "vrrp_instance" => self.instance(statement, global, draft),
            "vrrp_sync_group" => self.sync_group(statement, global, draft),
            "vrrp_script" => self.script(statement, global, draft),
            "track_file" | "vrrp_track_file" => self.track_file(statement, draft),
            "vrrp_track_process" => self.track_process(statement, draft),
            "bfd_instance" => self.bfd(statement, draft),
            "track_group" => self.track_group(statement, draft),
            "garp_group" => self.garp_group(statement, draft),
            "interface_up_down_delays" => self.interface_delays(statement, draft),
            "linkbeat_interfaces" => self.linkbeat(statement),
            "static_ipaddress" | "static_routes" | "static_rules" => {
                self.static_block(statement, &mut draft.static_lines);
            }
            "virtual_server" => self.virtual_server(statement, draft),
            "virtual_server_group" => self.virtual_server_group(statement),
            // `global_defs` and the root words that belong to it were read first; `SSL` is for checkers.
            _ => {}
        }
    }

    /// The name of a block: exactly one word after the keyword.
    fn block_name<'s>(&mut self, statement: &'s Statement, complaint: &str) -> Option<&'s shared_config::words::Word> {
        if let [_, name] = statement.words.as_slice() {
            return Some(name);
        }
        self.report(
            Diagnostic::warning("missing-name", statement.span, complaint)
                .label("the block is not used")
                .help("write one name between the keyword and `{`; quote it if it has blanks"),
        );
        None
    }
}

/// Where keepalived notices that something is missing in a block: its end.
fn block_end(block: &Statement) -> shared_config::source::Span {
    block.block.as_ref().and_then(|block| block.close).unwrap_or(block.span)
}
