//! `default-path`: from which folder relative names of files are looked up while the configuration is read.

use super::line::code;
use shared_config::diagnostic::{Diagnostic, Diagnostics};
use shared_config::source::{Sources, Span};
use std::io;
use std::path::{Path, PathBuf};

/// What `default-path` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum DefaultPath {
    /// The folder that the process was started in.
    #[default]
    Current,
    /// That of the file in which the name stands.
    Config,
    /// The one above it.
    Parent,
    /// This one.
    Origin(PathBuf),
}

/// Goes to the folder that names in a section are looked up from, and back when it is dropped.
#[derive(Debug, Default)]
pub(super) struct Place {
    started_in: Option<PathBuf>,
    now: PathBuf,
}

impl Place {
    /// For the section that begins at `head`.
    pub(super) fn enter(&mut self, path: &DefaultPath, head: Span, sources: &Sources, out: &mut Diagnostics) {
        if *path == DefaultPath::Current && self.started_in.is_none() {
            return;
        }
        if let Err(error) = self.go(path, sources.get(head.source).path()) {
            let reason = super::files::reason(&error);
            let message = format!("'default-path': the directory cannot be entered : {reason}.");
            out.push(Diagnostic::error(code::FILE, head, message));
        }
    }

    fn go(&mut self, path: &DefaultPath, file: &Path) -> io::Result<()> {
        let started_in = if let Some(started_in) = &self.started_in {
            started_in.clone()
        } else {
            let started_in = std::env::current_dir()?;
            // A reload reads beside traffic, on a thread of its own: only that one is to move.
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_FS)?;
            self.started_in.insert(started_in).clone()
        };
        let folder = file.parent().unwrap_or(Path::new(""));
        let wanted = match path {
            DefaultPath::Current => started_in,
            DefaultPath::Config => started_in.join(folder),
            DefaultPath::Parent => started_in.join(folder).join(".."),
            DefaultPath::Origin(folder) => started_in.join(folder),
        };
        if wanted != self.now {
            std::env::set_current_dir(&wanted)?;
            self.now = wanted;
        }
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(started_in) = &self.started_in {
            // It was there when this began; should it be gone, there is nothing to go back to.
            let _ = std::env::set_current_dir(started_in);
        }
    }
}
