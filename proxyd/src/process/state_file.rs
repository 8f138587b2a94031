//! `load-server-state-from-file`: at its start a process takes over what the one before it knew of the servers.

use std::path::Path;

use super::voice::Voice;
use crate::check::Plan;
use crate::config::model::{Model, ServerStateFrom};
use crate::config::state_file::{self, Unread};
use crate::generation::Generation;
use crate::health::change::{Subject, restored};
use crate::health::saved::Saved;
use crate::proxy::Backend;

/// Applies the files that the configuration names. One that cannot be read is a warning: the servers start as they would without.
pub(super) fn load(model: &Model, generation: &Generation, checks: &mut [Plan], voice: Voice) {
    let wants_global = |from| model.backends.iter().any(|backend| backend.server_state == from);
    let global = state_file::path(&model.global, None).filter(|_| wants_global(ServerStateFrom::Global));
    let global = global.and_then(|file| read(&file, voice, &Whose::Everybody)).unwrap_or_default();
    for (backend, live) in model.backends.iter().zip(&generation.backends) {
        match backend.server_state {
            ServerStateFrom::None => {}
            ServerStateFrom::Global => apply(live, &global, checks, voice),
            ServerStateFrom::Local => {
                let name = &backend.proxy.name;
                let file = backend.server_state_file.as_deref().unwrap_or(Path::new(""));
                let file = state_file::path(&model.global, Some((file, name)));
                if let Some(saved) = file.and_then(|file| read(&file, voice, &Whose::Backend(name))) {
                    apply(live, &saved, checks, voice);
                }
            }
        }
    }
}

enum Whose<'a> {
    Everybody,
    Backend(&'a str),
}

fn read(path: &Path, voice: Voice, whose: &Whose<'_>) -> Option<Vec<Saved>> {
    let shown = path.display();
    let unread = match state_file::read(path) {
        Ok(saved) => return Some(saved),
        Err(unread) => unread,
    };
    voice.warning(&match (unread, whose) {
        (Unread::Failed(reason), Whose::Everybody) => {
            format!("config : config: Can't open global server state file '{shown}': {reason}")
        }
        (Unread::Failed(reason), Whose::Backend(name)) => {
            format!("config : Proxy '{name}': Can't open server state file '{shown}': {reason}.")
        }
        (Unread::Version, Whose::Everybody) => {
            format!("config : config: Can't get version of the global server state file '{shown}'.")
        }
        (Unread::Version, Whose::Backend(name)) => {
            format!("config : Proxy '{name}': Can't get version of the server state file '{shown}'.")
        }
    });
    None
}

fn apply(backend: &Backend, saved: &[Saved], checks: &mut [Plan], voice: Voice) {
    for (index, state) in backend.farm.servers().iter().enumerate() {
        let mine = |saved: &&Saved| saved.backend == backend.name() && saved.server == state.name();
        // A later line would be of the same server; haproxy takes the first.
        let Some(saved) = saved.iter().find(mine) else { continue };
        if saved.is_of_another_service(state.settings().watched.as_ref()) {
            let (own, name) = (state.settings().watched.as_ref().map_or("", |name| name.as_str()), state.name());
            voice.warning(&format!(
                "config : server-state partially applied for server '{}/{name}', SRV record mismatch between configuration \
                 ('{own}') and state file ('{}) for server '{name}'. Previous state not applied",
                backend.name(),
                saved.srv_record.as_deref().unwrap_or_default(),
            ));
        }
        if let Some(plan) = checks.iter_mut().find(|plan| plan.member.is(&backend.farm, index)) {
            plan.begin_at(saved.check, saved.agent);
        }
        for event in restored(Subject { farm: &backend.farm, index }, saved) {
            voice.warning(&format!("config : {}", event.text));
        }
    }
}
