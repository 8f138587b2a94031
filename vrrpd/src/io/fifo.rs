//! The named pipes of `notify_fifo` and `vrrp_notify_fifo`, and the scripts that read them. Nobody waits for a reader:
//! what a full pipe cannot take is lost, and said.

use super::script::{self, Running};
use crate::command::{Command, Form};
use crate::notify::Fifo;
use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::{Gid, Pid, Uid, fchown, mkfifo};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Readable and writable by its owner only.
const PIPE_MODE: Mode = Mode::S_IRUSR.union(Mode::S_IWUSR);

/// All pipes.
#[derive(Debug, Default)]
pub struct Fifos(Vec<Open>);

/// One of them.
#[derive(Debug)]
struct Open {
    settings: Fifo,
    pipe: Option<File>,
    /// Made by us, so it is ours to remove.
    made: bool,
    script: Option<Script>,
    lost: u64,
}

/// A reader that we started.
#[derive(Debug)]
struct Script {
    group: Option<Pid>,
    ended: Arc<AtomicBool>,
}

impl Fifos {
    /// Opens and closes pipes until they are these. One that stays keeps what is in it, and its reader.
    pub fn set(&mut self, wanted: &[Fifo]) {
        let mut old = std::mem::take(&mut self.0);
        for settings in wanted {
            let same = old.iter().position(|open| &open.settings == settings && open.pipe.is_some());
            let mut open = same.map_or_else(|| Open::new(settings.clone()), |place| old.swap_remove(place));
            open.start_script();
            self.0.push(open);
        }
        for mut open in old {
            // The same path may be in use by a new one already.
            open.made &= wanted.iter().all(|settings| settings.path != open.settings.path);
            open.close();
        }
    }

    /// Writes a line to each.
    pub fn write(&mut self, line: &str) {
        for open in &mut self.0 {
            open.write(line);
        }
    }

    /// Ends the readers and removes the pipes.
    pub fn close(&mut self) {
        for mut open in self.0.drain(..) {
            open.close();
        }
    }
}

impl Open {
    fn new(settings: Fifo) -> Self {
        let (pipe, made) = match open(&settings) {
            Ok((pipe, made)) => (Some(pipe), made),
            Err(error) => {
                let path = settings.path.display();
                tracing::error!(
                    "Unable to open {}notify fifo {path} - nobody is told by it: {error}",
                    settings.kind.prefix()
                );
                (None, false)
            }
        };
        Self { settings, pipe, made, script: None, lost: 0 }
    }

    fn start_script(&mut self) {
        let Some(command) = &self.settings.script else { return };
        let running = self.script.as_ref().is_some_and(|script| !script.ended.load(Ordering::Acquire));
        if running || self.pipe.is_none() {
            return;
        }
        let command = with_path(command, &self.settings.path);
        match script::start(&command) {
            Ok(running) => {
                let ended = Arc::new(AtomicBool::new(false));
                self.script = Some(Script { group: running.group(), ended: Arc::clone(&ended) });
                let prefix = self.settings.kind.prefix();
                tokio::spawn(report_end(running, ended, prefix));
            }
            Err(error) => tracing::error!("notify fifo script cannot be run: {command}: {error}"),
        }
    }

    fn write(&mut self, line: &str) {
        let Some(pipe) = &mut self.pipe else { return };
        let path = self.settings.path.display();
        // A line is shorter than what a pipe takes as a whole or not at all.
        match pipe.write_all(line.as_bytes()) {
            Ok(()) => {
                if self.lost > 0 {
                    tracing::warn!("notify fifo {path} is read again, {} lines were lost", self.lost);
                }
                self.lost = 0;
            }
            Err(error) => {
                if self.lost == 0 {
                    let why = match error.kind() {
                        ErrorKind::WouldBlock => "it is full, and nobody reads it".to_owned(),
                        _ => error.to_string(),
                    };
                    tracing::error!("notify fifo {path} loses lines: {why}");
                }
                self.lost += 1;
            }
        }
    }

    fn close(&mut self) {
        self.pipe = None;
        if let Some(Script { group: Some(group), ended }) = self.script.take()
            && !ended.swap(true, Ordering::AcqRel)
        {
            script::signal(group, Signal::SIGTERM);
        }
        if self.made
            && let Err(error) = fs::remove_file(&self.settings.path)
        {
            tracing::warn!("cannot remove notify fifo {}: {error}", self.settings.path.display());
        }
    }
}

async fn report_end(running: Running, ended: Arc<AtomicBool>, prefix: &'static str) {
    // How it ended does not matter.
    let _outcome = running.outcome().await;
    // Unless it was us who ended it.
    if !ended.swap(true, Ordering::AcqRel) {
        tracing::warn!("{prefix}notify fifo script terminated");
    }
}

/// Makes the pipe if there is none, and opens it for both directions, so that it can be opened without a reader. Whether
/// it was made.
fn open(settings: &Fifo) -> io::Result<(File, bool)> {
    let made = match mkfifo(&settings.path, PIPE_MODE) {
        Ok(()) => true,
        Err(Errno::EEXIST) => false,
        Err(error) => return Err(error.into()),
    };
    let pipe = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW | libc::O_CLOEXEC)
        .open(&settings.path)?;
    let found = pipe.metadata()?;
    if !found.file_type().is_fifo() {
        return Err(io::Error::new(ErrorKind::AlreadyExists, "there is something else of this name"));
    }
    // A pipe in a folder that all may write to could be somebody's trap.
    let ours = [Uid::effective().as_raw(), settings.user.uid];
    if !ours.contains(&found.uid()) {
        return Err(io::Error::new(ErrorKind::PermissionDenied, format!("it belongs to user {}", found.uid())));
    }
    if (found.uid(), found.gid()) != (settings.user.uid, settings.user.gid) && Uid::effective().is_root() {
        fchown(&pipe, Some(Uid::from_raw(settings.user.uid)), Some(Gid::from_raw(settings.user.gid)))?;
    }
    Ok((pipe, made))
}

/// The script with the name of the pipe as its last argument.
fn with_path(command: &Command, path: &Path) -> Command {
    let mut command = command.clone();
    let path = path.to_string_lossy().into_owned();
    match &mut command.form {
        Form::Exec(words) => words.push(path),
        Form::Shell(text) => {
            text.push(' ');
            text.push_str(&path);
        }
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::User;
    use crate::notify::FifoKind;
    use std::io::Read;
    use std::path::PathBuf;

    fn fifo(path: PathBuf) -> Fifo {
        let user = User { uid: Uid::effective().as_raw(), gid: Gid::effective().as_raw() };
        Fifo { kind: FifoKind::Vrrp, path, user, script: None }
    }

    fn path(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("vrrpd-fifo-{name}-{}", std::process::id()))
    }

    #[test]
    fn lines_wait_for_a_reader_and_nobody_waits_for_room() {
        let path = path("full");
        let mut fifos = Fifos::default();
        fifos.set(&[fifo(path.clone())]);
        // Far more than a pipe holds.
        let line = "INSTANCE \"VI_1\" MASTER 100\n";
        for _ in 0..100_000 {
            fifos.write(line);
        }
        assert!(fifos.0[0].lost > 0);
        let mut reader = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&path).unwrap();
        let mut text = [0; 27 * 100];
        reader.read_exact(&mut text).unwrap();
        assert_eq!(text, line.repeat(100).as_bytes()[..]);
        // Room for whole pages only: the kernel frees no less.
        let mut page = [0; 8192];
        reader.read_exact(&mut page).unwrap();
        fifos.write(line);
        assert_eq!(fifos.0[0].lost, 0);
        fifos.set(&[fifo(path.clone())]);
        assert!(reader.read(&mut page).unwrap() > 0, "a pipe that stays keeps its lines");
        fifos.close();
        assert!(!path.exists());
    }

    #[test]
    fn what_is_not_a_pipe_of_ours_is_left_alone() {
        let path = path("file");
        fs::write(&path, "precious").unwrap();
        let mut fifos = Fifos::default();
        fifos.set(&[fifo(path.clone())]);
        fifos.write("line\n");
        fifos.close();
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        fs::remove_file(&path).unwrap();
    }
}
