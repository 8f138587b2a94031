//! What workers may ask of the process for the stats page: its own figures, and to act on servers.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use nix::sys::resource::{Resource, getrlimit};
use tokio::sync::mpsc;

use super::control::{Note, QUESTIONS_WAITING, Request};
use crate::balance::server_state::AdminState;
use crate::clock;
use crate::config::{Names, runtime_variable};
use crate::generation::Generation;
use crate::health::change::{Event, Subject, administered};
use crate::health::observe::Evidence;
use crate::ids::{BackendId, FrontendId};
use crate::log_sink::LogSettings;
use crate::name_service::Asked;
use crate::proxy::Backend;
use crate::proxy::frontend::{AcceptState, Frontend};
use crate::rules::effect::Effect;
use crate::stats::admin::Action;
use crate::stats::collect::ProcessStats;
use crate::worker;

/// The process as its workers see it.
#[derive(Debug)]
pub(super) struct Oversight {
    /// The name it was started under.
    pub(super) program: String,
    /// When it started.
    pub(super) started: Instant,
    /// What all logs share.
    pub(super) log: LogSettings,
    /// To the control thread.
    pub(super) control: mpsc::Sender<Request>,
    /// To whom asks name servers.
    pub(super) names: mpsc::Sender<Asked>,
}

impl Oversight {
    /// And where the questions of rules to name servers come out.
    pub(super) fn new(
        program: &str,
        started: Instant,
        log: &LogSettings,
        control: &mpsc::Sender<Request>,
    ) -> (Arc<Self>, mpsc::Receiver<Asked>) {
        let (names, questions) = mpsc::channel(QUESTIONS_WAITING);
        let (log, control) = (log.clone(), control.clone());
        (Arc::new(Self { program: program.to_owned(), started, log, control, names }), questions)
    }
}

impl worker::Process for Oversight {
    fn stats(&self, generation: &Generation) -> ProcessStats {
        let global = &generation.global;
        ProcessStats {
            program: self.program.clone(),
            version: env!("CARGO_PKG_VERSION"),
            pid: self.log.pid,
            uptime: clock::now().saturating_duration_since(self.started),
            workers: global.workers,
            maxconn: global.maxconn.get(),
            hard_maxconn: global.hard_maxconn,
            rate_limits: (global.connection_rate.get(), global.session_rate.get()),
            max_files: getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(soft, _)| soft),
            connections: global.connections.current(),
            dropped_logs: self.log.dropped.load(Ordering::Relaxed),
            node: global.node.clone(),
            description: global.description.clone(),
        }
    }

    fn act(&self, backend: &Arc<Backend>, server: usize, action: Action) -> bool {
        if server >= backend.servers.len() {
            return false;
        }
        let wanted = match action {
            Action::Ready => AdminState::Ready,
            Action::Drain => AdminState::Drain,
            Action::Maintenance => AdminState::Maint,
        };
        let now_ms = worker::milliseconds(clock::now().saturating_duration_since(self.started));
        let shuts = backend.farm.shuts();
        for Event { level, text } in administered(Subject { farm: &backend.farm, index: server }, wanted, now_ms) {
            // A full queue loses the line, not the action.
            let _ = self.control.try_send(Request::Note(Note { backend: Arc::clone(backend), level, text }));
        }
        if backend.farm.shuts() != shuts {
            let _ = self.control.try_send(Request::Wake);
        }
        let _ = self.control.try_send(Request::Lead(Arc::clone(&backend.farm), server));
        true
    }

    fn accept(&self, frontend: &Arc<Frontend>, state: AcceptState) {
        frontend.accepting.set(state);
        let _ = self.control.try_send(Request::Accept(Arc::clone(frontend)));
    }

    fn observed(&self, backend: &Arc<Backend>, server: usize, last: Evidence) {
        // With a full queue there are other worries; the errors go on being counted.
        let _ = self.control.try_send(Request::Observed(Arc::clone(&backend.farm), server, last));
    }

    fn resolve(&self, asked: Asked) {
        // A full queue is no answer.
        let _ = self.names.try_send(asked);
    }

    fn variable(&self, generation: &Generation, words: &[&str]) -> Result<Effect, String> {
        let numbered =
            |names: Vec<&str>| -> Vec<(String, u32)> { names.into_iter().map(str::to_owned).zip(0..).collect() };
        let frontends = numbered(generation.frontends.iter().map(|frontend| frontend.name()).collect());
        let backends = numbered(generation.backends.iter().map(|backend| backend.name()).collect());
        let names = Names {
            frontends: frontends.into_iter().map(|(name, id)| (name, FrontendId(id))).collect(),
            backends: backends.into_iter().map(|(name, id)| (name, BackendId(id))).collect(),
            ..Names::default()
        };
        runtime_variable(words, &names)
    }
}
