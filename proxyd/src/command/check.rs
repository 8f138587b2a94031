//! Loading a configuration and saying what is wrong with it.

use super::{EXIT_FAILURE, console, environment, keywords, version};
use crate::args::{Args, Master, Rendering, Task};
use crate::config::model::Model;
use crate::config::{self, Loaded};
use shared_config::diagnostic::{Diagnostic, Severity};
use shared_config::render::{self, Colour};
use shared_config::source::SourceId;
use std::fmt::Write as _;
use std::process::ExitCode;

/// The one kind of warning that is not about the configuration but about this version: `-dW` is not for it.
const NO_EFFECT: &str = "no-effect";

/// `-c`: exit status 0 where haproxy would say so. Words that do not work yet are told, but the language is right.
pub fn run(args: &Args) -> ExitCode {
    let loaded = read(args);
    let say = Say::new(args, &loaded);
    say.diagnostics(&loaded, Severity::Error);
    if let Some(classes) = &args.keyword_classes {
        keywords::print(classes);
    }
    if is_fatal(args, &loaded, Severity::Error) {
        say.fatal(&loaded);
        return ExitCode::from(EXIT_FAILURE);
    }
    if args.verbose {
        if loaded.diagnostics.worst() >= Some(Severity::Warning) {
            console::out("Warnings were found.\n");
        }
        console::out("Configuration file is valid\n");
    }
    ExitCode::SUCCESS
}

/// Loads what is to be served. Everything that is wrong has been said when the status to end with comes back.
pub fn load(args: &Args) -> Result<Read, ExitCode> {
    let loaded = read(args);
    let say = Say::new(args, &loaded);
    say.diagnostics(&loaded, Severity::Unsupported);
    if is_fatal(args, &loaded, Severity::Unsupported) {
        say.fatal(&loaded);
        return Err(ExitCode::from(EXIT_FAILURE));
    }
    let said = loaded.diagnostics.iter().filter(|diagnostic| diagnostic.severity >= Severity::Notice);
    let lines = said.map(|diagnostic| render::haproxy_line(diagnostic, &loaded.sources, std::process::id()) + "\n");
    Ok(Read { startup_logs: lines.collect(), model: loaded.model })
}

/// What is to be served.
pub struct Read {
    /// The configuration.
    pub model: Model,
    /// What is said about it, as lines in haproxy's form.
    pub startup_logs: String,
}

fn read(args: &Args) -> Loaded {
    config::load(config::Request {
        paths: args.files.clone(),
        env: environment(args.peer_name.as_deref(), args.task == Task::Run && args.master != Master::No),
        facts: version::facts(),
        ignore_unresolved: args.ignore_unresolved,
        proxy_maxconn: Some(args.proxy_maxconn).filter(|&n| n > 0),
        peer_name: args.peer_name.clone(),
    })
}

fn is_fatal(args: &Args, loaded: &Loaded, limit: Severity) -> bool {
    let warnings_are_fatal = args.warnings_are_fatal || loaded.zero_warning;
    loaded.diagnostics.worst() >= Some(limit)
        || (warnings_are_fatal
            && loaded.diagnostics.iter().any(|d| d.severity == Severity::Warning && d.code != NO_EFFECT))
}

/// How and how much is said.
struct Say {
    rendering: Rendering,
    colour: Colour,
    /// The least severe problem that is printed; nothing at all with `quiet` in the file.
    least: Option<Severity>,
    warnings_are_fatal: bool,
}

impl Say {
    fn new(args: &Args, loaded: &Loaded) -> Self {
        let terminal = console::is_terminal();
        let rendering = args.rendering.unwrap_or(if terminal { Rendering::Human } else { Rendering::Haproxy });
        let least = if loaded.model.global.quiet && !args.verbose {
            None
        } else if args.quiet {
            Some(Severity::Error)
        } else if args.diagnostic {
            Some(Severity::Diag)
        } else {
            Some(Severity::Notice)
        };
        Self {
            rendering,
            colour: if terminal { Colour::Always } else { Colour::Never },
            least,
            warnings_are_fatal: args.warnings_are_fatal || loaded.zero_warning,
        }
    }

    /// Prints the problems; what is as bad as `refuse` is shown even with `-q`.
    fn diagnostics(&self, loaded: &Loaded, refuse: Severity) {
        let Some(least) = self.least else { return };
        let least = least.min(refuse);
        let mut text = String::new();
        for diagnostic in loaded.diagnostics.iter().filter(|diagnostic| diagnostic.severity >= least) {
            text.push_str(&self.render(diagnostic, loaded));
            text.push('\n');
            if self.rendering == Rendering::Human {
                text.push('\n');
            }
        }
        if loaded.diagnostics.dropped() > 0 {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "… and {} more.", loaded.diagnostics.dropped());
        }
        console::err(&text);
    }

    fn render(&self, diagnostic: &Diagnostic, loaded: &Loaded) -> String {
        match self.rendering {
            Rendering::Human => render::human(diagnostic, &loaded.sources, self.colour),
            Rendering::Haproxy => render::haproxy_line(diagnostic, &loaded.sources, std::process::id()),
            Rendering::Json => render::json(diagnostic, &loaded.sources),
        }
    }

    /// The last lines of a run that ends here.
    fn fatal(&self, loaded: &Loaded) {
        if self.least.is_none() || self.rendering == Rendering::Json {
            return;
        }
        let mut files: Vec<SourceId> = Vec::new();
        let errors = loaded.diagnostics.iter().filter(|d| d.severity == Severity::Error);
        for source in errors.filter_map(|diagnostic| diagnostic.span).map(|span| span.source) {
            if !files.contains(&source) {
                files.push(source);
            }
        }
        for file in &files {
            let path = loaded.sources.get(*file).path().display();
            console::alert(&format!("config : Error(s) found in configuration file : {path}"));
        }
        match loaded.diagnostics.worst() {
            Some(Severity::Error) => console::alert("config : Fatal errors found in configuration."),
            Some(Severity::Unsupported) if !self.warnings_are_fatal => {
                let count = loaded.diagnostics.count(Severity::Unsupported);
                let words = if count == 1 { "1 setting does".to_owned() } else { format!("{count} settings do") };
                console::alert(&format!("config : {words} not work in this version yet, see above. Not starting."));
            }
            _ => console::alert("config : Some warnings were found and 'zero-warning' is set. Aborting."),
        }
    }
}

/// `No such file or directory`, without Rust's `(os error 2)`.
pub fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.find(" (os error").map_or(text.clone(), |end| text[..end].to_owned())
}
