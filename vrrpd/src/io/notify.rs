//! Runs notify scripts. Those of one instance or group run one after another, so that a slow MASTER script cannot be
//! overtaken by the BACKUP script that follows it; different subjects do not wait for each other.

use super::script;
use crate::command::Command;
use crate::limits::NOTIFY_QUEUE_MAX;
use crate::track::script::Outcome;
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// The queues, one for each subject that ever notified.
#[derive(Debug, Default)]
pub struct Notifier(HashMap<String, Queue>);

#[derive(Debug)]
struct Queue {
    commands: mpsc::Sender<Command>,
    worker: JoinHandle<()>,
}

impl Notifier {
    /// Queues commands behind the earlier ones of the same subject.
    pub fn notify(&mut self, subject: &str, commands: Vec<Command>) {
        let queue = self.0.entry(subject.to_owned()).or_insert_with(Queue::new);
        for command in commands {
            if let Err(error) = queue.commands.try_send(command) {
                let command = match error {
                    mpsc::error::TrySendError::Full(command) | mpsc::error::TrySendError::Closed(command) => command,
                };
                tracing::warn!("({subject}) notify script dropped, {NOTIFY_QUEUE_MAX} are waiting: {command}");
            }
        }
    }

    /// Lets the queues run empty, but not for longer than `limit`.
    pub async fn finish(self, limit: Duration) {
        let all = async {
            for (_, queue) in self.0 {
                drop(queue.commands);
                // A worker that panicked has nothing left to wait for.
                let _ended = queue.worker.await;
            }
        };
        if tokio::time::timeout(limit, all).await.is_err() {
            tracing::warn!("notify scripts are still running after {limit:?}, they are left alone");
        }
    }
}

impl Queue {
    fn new() -> Self {
        let (commands, mut waiting) = mpsc::channel::<Command>(NOTIFY_QUEUE_MAX);
        let worker = tokio::spawn(async move {
            while let Some(command) = waiting.recv().await {
                run(&command).await;
            }
        });
        Self { commands, worker }
    }
}

async fn run(command: &Command) {
    let outcome = match script::start(command) {
        Ok(running) => running.outcome().await,
        Err(error) => Outcome::CannotRun(error.to_string()),
    };
    match outcome {
        Outcome::Exited(0) => {}
        Outcome::Exited(status) => tracing::info!("notify script exited with status {status}: {command}"),
        Outcome::Signalled(signal) => tracing::warn!("notify script was ended by signal {signal}: {command}"),
        Outcome::CannotRun(reason) => tracing::warn!("notify script cannot be run: {command}: {reason}"),
    }
}
