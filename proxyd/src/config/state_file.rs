//! The files of servers' states that `load-server-state-from-file` names: where they are, and what they say.

use super::draft::{Section, Settings};
use super::files;
use super::model::{Global, ServerStateFrom};
use super::server::ServerDraft;
use crate::health::saved::{self, Saved};
use std::collections::HashMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// A file that says nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unread {
    /// It cannot be read; the system's reason.
    Failed(String),
    /// It is none of a version that is known.
    Version,
}

/// The path of a file: the section's own, or the one of all.
pub fn path(global: &Global, own: Option<(&Path, &str)>) -> Option<PathBuf> {
    let file = match own {
        Some((file, name)) if file == Path::new("use-backend-name") || file.as_os_str().is_empty() => Path::new(name),
        Some((file, _)) => file,
        None => global.server_state_file.as_deref()?,
    };
    Some(global.server_state_base.as_ref().map_or_else(|| PathBuf::from(file), |base| base.join(file)))
}

/// What a file says.
///
/// # Errors
/// Why it says nothing.
pub fn read(path: &Path) -> Result<Vec<Saved>, Unread> {
    let bytes = std::fs::read(path).map_err(|error| Unread::Failed(files::reason(&error)))?;
    saved::read(&String::from_utf8_lossy(&bytes)).ok_or(Unread::Version)
}

/// The addresses that servers had before, each file read once. What is wrong with a file is said when the states are applied.
#[derive(Debug, Default)]
pub(super) struct LastAddresses(HashMap<PathBuf, Vec<Saved>>);

impl LastAddresses {
    /// `init-addr last`: where the server was, if it went by the same name.
    pub(super) fn of(&mut self, global: &Global, section: &Section, draft: &ServerDraft, name: &str) -> Option<IpAddr> {
        let settings: &Settings = &section.settings;
        let own = settings.server_state_file.as_deref().unwrap_or(Path::new(""));
        let path = match settings.server_state {
            ServerStateFrom::None => None,
            ServerStateFrom::Global => path(global, None),
            ServerStateFrom::Local => path(global, Some((own, &section.name))),
        }?;
        let known = self.0.entry(path).or_insert_with_key(|path| read(path).unwrap_or_default());
        let saved = known.iter().find(|saved| saved.backend == section.name && saved.server == draft.name)?;
        saved.address.filter(|_| saved.host.as_deref() == Some(name))
    }
}
