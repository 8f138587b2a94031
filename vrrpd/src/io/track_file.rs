//! Reads tracked files whenever they change. inotify says when; a file that it cannot see changing (behind a symbolic
//! link, on a network file system) is found by reading it now and then.

use super::Event;
use super::background::Background;
use crate::limits::{FILE_POLL, FIRST_LOOK, TRACK_FILE_MAX};
use crate::sys;
use crate::track::file::{Reading, Settings, parse};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;

/// Mode of a file that `init_file` makes, as keepalived's default umask leaves it.
const FILE_MODE: u32 = 0o600;

/// Watches these files and tells of each reading that differs from the last one.
pub fn watch(files: Vec<Settings>, events: mpsc::Sender<Event>) -> Background {
    Background::start(run(files, events))
}

/// Writes what `init_file` says. Files that exist are overwritten only if `start`, and if the configuration says so.
pub fn initialise<'a>(files: impl Iterator<Item = &'a Settings>, start: bool) {
    for file in files {
        let Some(init) = file.init else { continue };
        if !(start && init.overwrite) && file.path.exists() {
            continue;
        }
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(FILE_MODE).custom_flags(libc::O_NONBLOCK);
        let written =
            options.open(&file.path).and_then(|mut open| open.write_all(format!("{}\n", init.value).as_bytes()));
        if let Err(error) = written {
            tracing::error!("Unable to initialise track file {}: {}: {error}", file.name, file.path.display());
        }
    }
}

/// A first reading of each, for a start that must not be decided without them. A file that cannot be read in time is
/// left to the watcher.
pub async fn first_look(files: Vec<Settings>) -> Vec<Event> {
    let names: Vec<String> = files.iter().map(|file| file.name.clone()).collect();
    let Ok((_, readings)) = tokio::time::timeout(FIRST_LOOK, read_all(files)).await else {
        tracing::error!("tracked files could not be read within {FIRST_LOOK:?}: {}", names.join(", "));
        return Vec::new();
    };
    names.into_iter().zip(readings).map(|(file, reading)| Event::FileRead { file, reading }).collect()
}

/// On a thread of its own, since a network file system may keep it waiting.
async fn read_all(files: Vec<Settings>) -> (Vec<Settings>, Vec<Reading>) {
    let read = tokio::task::spawn_blocking(move || {
        let readings = files.iter().map(|file| read(&file.path)).collect();
        (files, readings)
    });
    read.await.unwrap_or_default()
}

fn read(path: &Path) -> Reading {
    let mut text = Vec::new();
    // A pipe without a writer must not keep us waiting.
    let open = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path);
    match open.and_then(|file| file.take(TRACK_FILE_MAX).read_to_end(&mut text)) {
        Ok(_) => parse(&text),
        Err(error) if error.kind() == ErrorKind::NotFound => Reading::Value(0),
        Err(error) => Reading::Unreadable(error.to_string()),
    }
}

async fn run(mut files: Vec<Settings>, events: mpsc::Sender<Event>) {
    let mut changes = match Changes::open(&files) {
        Ok(changes) => Some(changes),
        Err(error) => {
            tracing::warn!("no inotify ({error}): tracked files are read every {FILE_POLL:?}");
            None
        }
    };
    let mut last: HashMap<String, Reading> = HashMap::new();
    loop {
        let readings;
        (files, readings) = read_all(files).await;
        for (file, reading) in files.iter().zip(readings) {
            if last.get(&file.name) == Some(&reading) {
                continue;
            }
            last.insert(file.name.clone(), reading.clone());
            if events.send(Event::FileRead { file: file.name.clone(), reading }).await.is_err() {
                return;
            }
        }
        let changed = async {
            match &mut changes {
                Some(changes) => changes.wait().await,
                None => std::future::pending().await,
            }
        };
        match tokio::time::timeout(FILE_POLL, changed).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!("inotify has failed ({error}): tracked files are read every {FILE_POLL:?}");
                changes = None;
            }
            // A folder that is new or another one by now is watched from here on.
            Err(_) => changes.iter().for_each(|changes| changes.watch(&files)),
        }
    }
}

/// What inotify says about the folders of the files, and about the files themselves.
struct Changes {
    inotify: Inotify,
    ready: AsyncFd<OwnedFd>,
    names: HashSet<OsString>,
}

impl Changes {
    fn open(files: &[Settings]) -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        let ready = sys::watch_descriptor(inotify.as_fd().try_clone_to_owned()?)?;
        let names = files.iter().filter_map(|file| file.path.file_name().map(OsString::from)).collect();
        let changes = Self { inotify, ready, names };
        changes.watch(files);
        Ok(changes)
    }

    /// A watch that is there already is not doubled, and one that cannot be set is tried again at the next poll.
    fn watch(&self, files: &[Settings]) {
        let in_folder = AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_MOVED_FROM
            | AddWatchFlags::IN_DELETE;
        for file in files {
            let folder = file.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            for (path, flags) in [(folder, in_folder), (&file.path, AddWatchFlags::IN_CLOSE_WRITE)] {
                // What is not there yet is seen in its folder, or at the next poll.
                if let Err(error) = self.inotify.add_watch(path, flags)
                    && error != nix::errno::Errno::ENOENT
                {
                    tracing::debug!("inotify of {}: {error}", path.display());
                }
            }
        }
    }

    /// Waits for a change of one of the files. Cancel safe.
    async fn wait(&mut self) -> io::Result<()> {
        loop {
            let mut guard = self.ready.readable().await?;
            match self.inotify.read_events() {
                // An event without a name is about a file itself.
                Ok(events) => {
                    if events.iter().any(|event| event.name.as_ref().is_none_or(|name| self.names.contains(name))) {
                        return Ok(());
                    }
                }
                Err(nix::errno::Errno::EAGAIN) => guard.clear_ready(),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::track::file::Init;
    use std::fs;
    use std::path::PathBuf;
    use std::time::Duration;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("vrrpd-track-file-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn settings(path: PathBuf) -> Settings {
        Settings { name: "tf".to_owned(), path, init: None }
    }

    #[test]
    fn init_file_makes_or_overwrites() {
        let folder = folder("init");
        let path = folder.join("tf");
        let with = |value, overwrite| Settings { init: Some(Init { value, overwrite }), ..settings(path.clone()) };
        initialise([with(3, false)].iter(), true);
        assert_eq!(fs::read_to_string(&path).unwrap(), "3\n");
        initialise([with(4, false)].iter(), true);
        initialise([with(4, true)].iter(), false);
        assert_eq!(fs::read_to_string(&path).unwrap(), "3\n");
        initialise([with(4, true)].iter(), true);
        assert_eq!(read(&path), Reading::Value(4));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_is_not_a_file_is_no_reason_to_wait() {
        let folder = folder("odd");
        let pipe = folder.join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(read(&pipe), Reading::Value(0));
        assert!(matches!(read(&folder), Reading::Unreadable(_)));
        assert_eq!(read(&folder.join("none")), Reading::Value(0));
        fs::write(folder.join("long"), "1".repeat(1 << 20)).unwrap();
        assert!(matches!(read(&folder.join("long")), Reading::TooLarge(_)));
        fs::remove_dir_all(folder).unwrap();
    }

    #[tokio::test]
    async fn each_change_is_told() {
        let folder = folder("change");
        let path = folder.join("tf");
        let (sender, mut events) = mpsc::channel(8);
        let _watcher = watch(vec![settings(path.clone())], sender);
        let mut next = async || {
            let event = tokio::time::timeout(Duration::from_secs(10), events.recv()).await.unwrap().unwrap();
            let Event::FileRead { reading, .. } = event else { panic!("{event:?}") };
            reading
        };
        assert_eq!(next().await, Reading::Value(0));
        fs::write(&path, "5\n").unwrap();
        assert_eq!(next().await, Reading::Value(5));
        fs::write(folder.join("other"), "6\n").unwrap();
        fs::rename(folder.join("other"), &path).unwrap();
        assert_eq!(next().await, Reading::Value(6));
        fs::remove_file(&path).unwrap();
        assert_eq!(next().await, Reading::Value(0));
        fs::remove_dir_all(folder).unwrap();
    }
}
