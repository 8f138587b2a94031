//! `load-server-state-from-file`: at its start a process takes over what the one before it knew of the servers.

use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use super::voice::Voice;
use crate::config::model::{Model, ServerStateFrom};
use crate::generation::Generation;
use crate::health::change::{Subject, restored};
use crate::health::saved::{self, Saved};
use crate::proxy::Backend;

/// Applies the files that the configuration names. One that cannot be read is a warning: the servers start as they would without.
pub(super) fn load(model: &Model, generation: &Generation, voice: Voice) {
    let wants_global = |from| model.backends.iter().any(|backend| backend.server_state == from);
    let global = model.global.server_state_file.as_deref().filter(|_| wants_global(ServerStateFrom::Global));
    let global = global.and_then(|file| read(model, file, voice, &Whose::Everybody)).unwrap_or_default();
    for (backend, live) in model.backends.iter().zip(&generation.backends) {
        match backend.server_state {
            ServerStateFrom::None => {}
            ServerStateFrom::Global => apply(live, &global, voice),
            ServerStateFrom::Local => {
                let name = backend.server_state_file.as_deref().filter(|name| *name != Path::new("use-backend-name"));
                let file = name.unwrap_or_else(|| Path::new(&backend.proxy.name));
                if let Some(saved) = read(model, file, voice, &Whose::Backend(&backend.proxy.name)) {
                    apply(live, &saved, voice);
                }
            }
        }
    }
}

enum Whose<'a> {
    Everybody,
    Backend(&'a str),
}

fn read(model: &Model, file: &Path, voice: Voice, whose: &Whose<'_>) -> Option<Vec<Saved>> {
    let path = model.global.server_state_base.as_ref().map_or_else(|| PathBuf::from(file), |base| base.join(file));
    let shown = path.display();
    let text = match std::fs::read(&path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => {
            let reason = reason(&error);
            voice.warning(&match whose {
                Whose::Everybody => format!("config : config: Can't open global server state file '{shown}': {reason}"),
                Whose::Backend(name) => {
                    format!("config : Proxy '{name}': Can't open server state file '{shown}': {reason}.")
                }
            });
            return None;
        }
    };
    let saved = saved::read(&text);
    if saved.is_none() {
        voice.warning(&match whose {
            Whose::Everybody => {
                format!("config : config: Can't get version of the global server state file '{shown}'.")
            }
            Whose::Backend(name) => {
                format!("config : Proxy '{name}': Can't get version of the server state file '{shown}'.")
            }
        });
    }
    saved
}

fn reason(error: &io::Error) -> String {
    error.raw_os_error().map_or_else(|| error.to_string(), |code| Errno::from_raw(code).desc().to_owned())
}

fn apply(backend: &Backend, saved: &[Saved], voice: Voice) {
    for (index, state) in backend.farm.servers().iter().enumerate() {
        let mine = |saved: &&Saved| saved.backend == backend.name() && saved.server == state.name();
        // A later line would be of the same server; haproxy takes the first.
        let Some(saved) = saved.iter().find(mine) else { continue };
        for event in restored(Subject { farm: &backend.farm, index }, saved) {
            voice.warning(&format!("config : {}", event.text));
        }
    }
}
