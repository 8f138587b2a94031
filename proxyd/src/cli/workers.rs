//! What commands ask of the workers: they answer one question at a time, each for itself.

use std::cell::Cell;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::timeout;

use crate::generation::Generation;
use crate::session::report::Report;
use crate::stats::Clear;
use crate::stats::clear::{self, Totals};
use crate::worker::survey::Question;
use crate::worker::{Command, WorkerHandle};

/// The way to all workers.
#[derive(Debug)]
pub struct Workers {
    commands: Vec<mpsc::Sender<Command>>,
    /// Whoever asks has it.
    turn: Mutex<()>,
    patience: Duration,
    cleared: Cell<Totals>,
}

impl Workers {
    /// The way to these workers; none is waited for longer than `patience`.
    pub fn new(workers: &[WorkerHandle], patience: Duration) -> Self {
        let commands = workers.iter().map(|worker| worker.commands.clone()).collect();
        Self { commands, turn: Mutex::default(), patience, cleared: Cell::default() }
    }

    /// What the sessions of all workers answer, in the order in which they began.
    pub(super) async fn ask(&self, question: Question) -> Vec<Report> {
        let answers = self.tell(|asker| Command::Ask(question, asker)).await;
        let mut reports: Vec<Report> = answers.into_iter().flatten().collect();
        reports.sort_by_key(|report| report.number);
        reports
    }

    /// Forgets what was counted.
    pub(super) async fn clear(&self, generation: &Generation, what: Clear) {
        let gone = self.tell(|asker| Command::Clear(what, asker)).await;
        self.cleared.set(gone.into_iter().fold(self.cleared.get(), std::ops::Add::add));
        clear::shared(generation, what);
    }

    /// Lets all workers look at what has changed; when it resolves, that is in force.
    pub(super) async fn update(&self) {
        self.tell(|asker| Command::Update(Some(asker))).await;
    }

    /// What frontends had counted when that was forgotten.
    pub(super) fn cleared(&self) -> Totals {
        self.cleared.get()
    }

    async fn tell<T>(&self, command: impl Fn(oneshot::Sender<T>) -> Command) -> Vec<T> {
        let _turn = self.turn.lock().await;
        let mut replies = Vec::new();
        for worker in &self.commands {
            let (asker, reply) = oneshot::channel();
            // A worker that has ended has nothing to say; one that is stuck does not keep the operator waiting for ever.
            if let Ok(Ok(())) = timeout(self.patience, worker.send(command(asker))).await {
                replies.push(reply);
            }
        }
        let mut answers = Vec::new();
        for reply in replies {
            if let Ok(Ok(answer)) = timeout(self.patience, reply).await {
                answers.push(answer);
            }
        }
        answers
    }
}
