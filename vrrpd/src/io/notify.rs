//! Tells everybody: runs notify scripts, writes to FIFOs, queues mails.
//!
//! Scripts of one instance or group run one after another, so that a slow MASTER script cannot be overtaken by the BACKUP
//! script that follows it; different subjects do not wait for each other. Nobody here is waited for by the election.

use super::fifo::Fifos;
use super::mail::Mailer;
use super::script;
use crate::command::Command;
use crate::limits::{NOTIFY_QUEUE_MAX, NOTIFY_SLOW};
use crate::notify::{Channels, Notice};
use crate::track::script::Outcome;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// The queues, one for each subject that ever notified, and the channels.
#[derive(Debug, Default)]
pub struct Notifier {
    scripts: HashMap<String, Queue>,
    fifos: Fifos,
    mailer: Mailer,
}

#[derive(Debug)]
struct Queue {
    commands: mpsc::Sender<Command>,
    worker: JoinHandle<()>,
    current: Current,
}

/// The process group of the script that runs.
type Current = Arc<Mutex<Option<Pid>>>;

impl Notifier {
    /// Who is told from now on, besides scripts.
    pub fn set(&mut self, channels: &Channels) {
        // Of subjects that a reload has removed nothing is to be kept.
        self.scripts.retain(|_, queue| queue.is_busy());
        self.fifos.set(&channels.fifos);
        self.mailer.set(channels.mail.clone());
    }

    /// Tells all that a notice is for.
    pub fn tell(&mut self, notice: Notice) {
        self.fifos.write(&notice.fifo_line());
        self.mailer.notify(&notice);
        let Notice { name: subject, commands, .. } = notice;
        if commands.is_empty() {
            return;
        }
        let queue = self.scripts.entry(subject).or_insert_with_key(|subject| Queue::new(subject.clone()));
        for command in commands {
            if let Err(error) = queue.commands.try_send(command) {
                let command = match error {
                    mpsc::error::TrySendError::Full(command) | mpsc::error::TrySendError::Closed(command) => command,
                };
                tracing::error!("notify script dropped, {NOTIFY_QUEUE_MAX} are waiting before it: {command}");
            }
        }
    }

    /// Lets the queues run empty, but not for longer than `limit`. What still runs after half of it is ended, so that
    /// those behind it get their turn.
    pub async fn finish(mut self, limit: Duration) {
        let mut workers = Vec::new();
        let mut running = Vec::new();
        for (_, queue) in self.scripts {
            drop(queue.commands);
            workers.push(queue.worker);
            running.push(queue.current);
        }
        let all = async {
            self.mailer.finish().await;
            for worker in workers {
                // A worker that panicked has nothing left to wait for.
                let _ended = worker.await;
            }
        };
        tokio::pin!(all);
        for patience in [limit / 2, limit / 2] {
            if tokio::time::timeout(patience, &mut all).await.is_ok() {
                break;
            }
            for current in &running {
                if let Some(group) = current.lock().ok().and_then(|group| *group) {
                    tracing::warn!("a notify script (process group {group}) is ended, it holds up the stop");
                    script::signal(group, Signal::SIGTERM);
                }
            }
        }
        self.fifos.close();
    }
}

impl Queue {
    fn new(subject: String) -> Self {
        let (commands, mut waiting) = mpsc::channel::<Command>(NOTIFY_QUEUE_MAX);
        let current = Current::default();
        let slot = Arc::clone(&current);
        let worker = tokio::spawn(async move {
            while let Some(command) = waiting.recv().await {
                let run = run(&command, &slot);
                tokio::pin!(run);
                if tokio::time::timeout(NOTIFY_SLOW, &mut run).await.is_err() {
                    let behind = waiting.len();
                    tracing::warn!(
                        "({subject}) notify script runs for longer than {NOTIFY_SLOW:?}, {behind} wait for it: {command}"
                    );
                    run.await;
                }
            }
        });
        Self { commands, worker, current }
    }

    fn is_busy(&self) -> bool {
        let waiting = self.commands.capacity() < self.commands.max_capacity();
        waiting || self.current.lock().is_ok_and(|group| group.is_some())
    }
}

async fn run(command: &Command, current: &Current) {
    let outcome = match script::start(command) {
        Ok(running) => {
            set(current, running.group());
            let outcome = running.outcome().await;
            set(current, None);
            outcome
        }
        Err(error) => Outcome::CannotRun(error.to_string()),
    };
    match outcome {
        Outcome::Exited(0) => {}
        Outcome::Exited(status) => tracing::info!("notify script exited with status {status}: {command}"),
        Outcome::Signalled(signal) => tracing::warn!("notify script was ended by signal {signal}: {command}"),
        Outcome::CannotRun(reason) => tracing::error!("notify script cannot be run: {command}: {reason}"),
    }
}

fn set(current: &Current, group: Option<Pid>) {
    // Nobody panics while holding it.
    if let Ok(mut slot) = current.lock() {
        *slot = group;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use crate::notify::{Event, Settings, Subject};
    use std::fs;

    fn shell(line: String) -> Command {
        let user = crate::command::User {
            uid: nix::unistd::Uid::effective().as_raw(),
            gid: nix::unistd::Gid::effective().as_raw(),
        };
        Command { user, ..Command::exec(["/bin/sh".to_owned(), "-c".to_owned(), line, "told".to_owned()]) }
    }

    #[tokio::test]
    async fn a_slow_script_is_not_overtaken_and_others_do_not_wait() {
        let file = std::env::temp_dir().join(format!("vrrpd-notify-{}", std::process::id()));
        let path = file.display().to_string();
        let slow = Settings {
            master: Some(shell(format!("sleep 0.3; echo master >>{path}"))),
            any: Some(shell(format!("echo $* >>{path}"))),
            ..Settings::default()
        };
        let mut notifier = Notifier::default();
        notifier.tell(slow.notice(Event::Master, Subject::Instance, "VI_1", 100));
        notifier.tell(slow.notice(Event::Backup, Subject::Instance, "VI_1", 90));
        notifier.tell(slow.notice(Event::Backup, Subject::Group, "G", 0));
        notifier.finish(Duration::from_secs(20)).await;
        let told = fs::read_to_string(&file).unwrap();
        let expected = "GROUP G BACKUP 0\nmaster\nINSTANCE VI_1 MASTER 100\nINSTANCE VI_1 BACKUP 90\n";
        assert_eq!(told, expected);
        fs::remove_file(file).unwrap();
    }

    #[tokio::test]
    async fn a_reload_keeps_only_what_is_busy() {
        let settings = |line: &str| Settings { any: Some(shell(line.to_owned())), ..Settings::default() };
        let mut notifier = Notifier::default();
        notifier.tell(settings("sleep 1000").notice(Event::Master, Subject::Instance, "VI_1", 100));
        notifier.tell(settings("exit 0").notice(Event::Master, Subject::Instance, "VI_2", 100));
        while notifier.scripts["VI_2"].is_busy() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        notifier.set(&Channels::default());
        assert!(notifier.scripts.keys().eq(["VI_1"]));
        notifier.finish(Duration::from_millis(10)).await;
    }

    #[tokio::test]
    async fn a_script_that_hangs_does_not_keep_the_stop_script_from_running() {
        let file = std::env::temp_dir().join(format!("vrrpd-notify-stop-{}", std::process::id()));
        let path = file.display().to_string();
        let settings = Settings {
            master: Some(shell("sleep 1000".to_owned())),
            stop: Some(shell(format!("echo stop >>{path}"))),
            ..Settings::default()
        };
        let mut notifier = Notifier::default();
        notifier.tell(settings.notice(Event::Master, Subject::Instance, "VI_1", 100));
        notifier.tell(settings.notice(Event::Stop, Subject::Instance, "VI_1", 100));
        let began = clock::now();
        notifier.finish(Duration::from_secs(6)).await;
        assert!(began.elapsed() < Duration::from_secs(6));
        assert_eq!(fs::read_to_string(&file).unwrap(), "stop\n");
        fs::remove_file(file).unwrap();
    }
}
