//! `include` and its variants: which files, in which order, and how missing ones are taken.

use super::files::{self, Matches};
use super::text::Queue;
use super::{Frame, INCLUDE_DEPTH_MAX, INCLUDES_MAX, Preprocessor};
use crate::diagnostic::Diagnostic;
use crate::source::{SourceId, Sources, Span};
use crate::words::Word;
use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A file that is being read.
pub(super) struct OpenFile {
    pub(super) source: SourceId,
    /// Relative names in it are relative to this.
    pub(super) directory: PathBuf,
    /// `include_check` as it was before; a file cannot change it for the one that includes it.
    pub(super) check_before: Check,
    identity: PathBuf,
    next_line: u32,
}

impl OpenFile {
    pub(super) fn next_line(&mut self, sources: &Sources) -> Option<Range<usize>> {
        let source = sources.get(self.source);
        if self.next_line as usize > source.line_count() {
            return None;
        }
        let range = source.line_range(self.next_line)?;
        self.next_line += 1;
        Some(range)
    }
}

/// What is an error about an include; nothing at first (`include_check`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Check {
    readable: bool,
    matching: bool,
    wildcard: bool,
    brace: bool,
}

impl Check {
    const ALL: Check = Check { readable: true, matching: true, wildcard: true, brace: true };

    fn with(self, other: Check) -> Check {
        Check {
            readable: self.readable || other.readable,
            matching: self.matching || other.matching,
            wildcard: self.wildcard || other.wildcard,
            brace: self.brace || other.brace,
        }
    }

    fn set(&mut self, name: &str, on: bool) -> bool {
        match name {
            "readable" => self.readable = on,
            "match" => self.matching = on,
            "wildcard_match" => self.wildcard = on,
            "brace_match" => self.brace = on,
            _ => return false,
        }
        true
    }
}

/// What a variant of the keyword checks on top.
fn variant(keyword: &str) -> Option<Check> {
    let none = Check::default();
    Some(match keyword {
        "include" => none,
        "includer" => Check { readable: true, ..none },
        "includem" => Check { matching: true, ..none },
        "includew" => Check { wildcard: true, ..none },
        "includeb" => Check { brace: true, ..none },
        "includea" => Check::ALL,
        _ => return None,
    })
}

impl Preprocessor<'_, '_> {
    /// Takes an include line and puts its files on the stack; false if the line is none.
    pub(super) fn include(&mut self, queue: &mut Queue) -> bool {
        let head = queue.peek("includea".len() + 1);
        let Some((keyword, _)) = head.split_once(super::text::is_blank) else { return false };
        let Some(check) = variant(keyword) else { return false };
        let line = queue.take_line();
        let Some(span) = line.span() else { return true };
        let pattern = line.text.split_at(keyword.len()).1.trim_ascii();
        let pattern = pattern.strip_prefix('"').and_then(|p| p.strip_suffix('"')).unwrap_or(pattern);
        if pattern.is_empty() {
            self.report(
                Diagnostic::warning("unknown-keyword", span, format!("Unknown keyword '{keyword}'"))
                    .label("the name of a file is missing"),
            );
            return true;
        }
        let check = self.check.with(check);
        let directory = self.directory();
        let found = files::find(self.environment.files, &directory, pattern);
        self.report_missing(&found, check, pattern, span);
        self.frames.push(Frame::Include(VecDeque::from(found.paths), span, check));
        true
    }

    /// `include_check` within `global_defs`, which changes how later includes are taken.
    pub fn include_check(&mut self, options: &[Word]) {
        let mut check = if options.is_empty() { Check::ALL } else { self.check };
        if options.first().is_some_and(|word| !word.as_str().starts_with(['+', '-'])) {
            check = Check::default();
        }
        let mut on = true;
        for word in options {
            let mut name = word.as_str();
            if let Some(rest) = name.strip_prefix('-') {
                (on, name) = (false, rest);
            } else if let Some(rest) = name.strip_prefix('+') {
                (on, name) = (true, rest);
            }
            if !name.is_empty() && !check.set(name, on) {
                let message = format!("Unknown include_check type '{name}' - ignoring");
                let help = "the types are readable, match, wildcard_match and brace_match";
                self.report(Diagnostic::warning("unknown-option", word.span, message).help(help));
            }
        }
        self.check = check;
    }

    fn report_missing(&mut self, found: &Matches, check: Check, pattern: &str, span: Span) {
        let nowhere = found.paths.is_empty() && (!found.wildcard || found.no_directory);
        let (message, required) = if nowhere {
            (format!("Config files missing '{pattern}'."), check.matching || check.wildcard)
        } else if found.paths.is_empty() && check.wildcard {
            (format!("No config files matched '{pattern}'."), true)
        } else if found.braces && found.missing > 0 && check.brace {
            (format!("Some config files missing: \"{pattern}\"."), true)
        } else {
            return;
        };
        self.report_include(message, required, span);
    }

    /// A problem with an include: an error where the file asks for that, else a warning.
    fn report_include(&mut self, message: String, required: bool, span: Span) {
        self.report(if required {
            Diagnostic::error("include-required", span, message)
        } else {
            Diagnostic::warning("include-missing", span, message)
                .help("`includea` instead of `include` makes this an error")
        });
    }

    /// Opens the first of the files that the include on top of the stack still has.
    pub(super) fn open_next_include(&mut self) {
        let Some(Frame::Include(paths, span, check)) = self.frames.last_mut() else { return };
        let (span, check) = (*span, *check);
        let Some(path) = paths.pop_front() else {
            self.frames.pop();
            return;
        };
        let identity = self.environment.files.identity(&path);
        let open = self.open_files();
        let depth = open.len();
        if open.iter().any(|file| file.identity == identity) {
            let message = format!("Configuration file '{}' includes itself - skipping", path.display());
            self.report(Diagnostic::error("include-loop", span, message).label("this file is being read already"));
            return;
        }
        if depth >= INCLUDE_DEPTH_MAX || self.included >= INCLUDES_MAX {
            let message = format!(
                "Configuration file '{}': more than {INCLUDE_DEPTH_MAX} includes within each other or {INCLUDES_MAX} in all",
                path.display()
            );
            self.report(Diagnostic::error("include-limit", span, message));
            return;
        }
        self.included += 1;
        match self.environment.files.read(&path) {
            Ok(bytes) => {
                let source = self.sources.add(&path, &bytes);
                self.origins.included_from.insert(source, span);
                self.push_file(source, &path);
            }
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
                let message = format!("Configuration file '{}/' is a directory - skipping", path.display());
                self.report_include(message, check.readable, span);
            }
            Err(error) => {
                let message = format!("Configuration file '{}' open problem ({error}) - skipping", path.display());
                self.report_include(message, check != Check::default(), span);
            }
        }
    }

    pub(super) fn push_file(&mut self, source: SourceId, path: &Path) {
        let identity = self.environment.files.identity(path);
        let directory = identity.parent().unwrap_or(Path::new("/")).to_owned();
        self.frames.push(Frame::File(OpenFile { source, directory, check_before: self.check, identity, next_line: 1 }));
    }

    /// The directory of the file that is being read.
    pub(super) fn directory(&self) -> PathBuf {
        self.open_files().last().map_or_else(PathBuf::new, |file| file.directory.clone())
    }

    fn open_files(&self) -> Vec<&OpenFile> {
        let files = self.frames.iter().filter_map(|frame| match frame {
            Frame::File(file) => Some(file),
            Frame::Include(..) | Frame::Queue(_) | Frame::Repeat(_) => None,
        });
        files.collect()
    }
}
