//! The files of SIGUSR1, SIGUSR2 and the JSON signal: what the router knows, in the layout of keepalived, which exporters
//! read.
//!
//! - `data`: the text of SIGUSR1, with `global`, `instance` and `network` for its parts; `statistics`: that of SIGUSR2;
//! - `json`: that of the JSON signal.

pub mod data;
mod global;
mod instance;
pub mod json;
mod network;
pub mod statistics;

use crate::config::model::{self, Model, ProcessSettings};
use crate::router::Router;
use crate::sys;
use std::fmt::Display;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What is shown, and when.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// What the file says.
    pub model: &'a Model,
    /// What became of it.
    pub router: &'a Router,
    /// The monotonic time.
    pub now: Instant,
    /// The same moment since 1970.
    pub since_epoch: Duration,
}

impl View<'_> {
    /// When that was or will be, since 1970.
    fn wall(&self, at: Instant) -> Duration {
        if at > self.now {
            self.since_epoch + at.duration_since(self.now)
        } else {
            self.since_epoch.saturating_sub(self.now.duration_since(at))
        }
    }

    /// As keepalived writes a moment: `1795884249.870604 (Sat Nov 28 16:44:09.870604 2026)`.
    fn moment(&self, at: Instant) -> String {
        let wall = self.wall(at);
        let (seconds, micros) = (wall.as_secs(), wall.subsec_micros());
        let before = sys::format_time(wall, c"%a %b %e %H:%M:%S");
        let after = sys::format_time(wall, c"%Y");
        format!("{seconds}.{micros:06} ({before}.{micros:06} {after})")
    }

    /// What the file says about a running instance.
    fn model_of(&self, name: &str) -> Option<&model::Instance> {
        self.model.instances.iter().find(|instance| instance.name == name)
    }
}

/// Where SIGUSR1 writes: with `data_use_instance` the name of the instance is put before the extension.
pub fn data_file(settings: &ProcessSettings) -> PathBuf {
    let path = &settings.state_dump_file;
    let Some(name) = settings.place().filter(|_| settings.data_use_instance) else {
        return path.clone();
    };
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let extension = path.extension().map(|extension| format!(".{}", extension.to_string_lossy()));
    path.with_file_name(format!("{stem}.{name}{}", extension.unwrap_or_default()))
}

/// Writes a dump for its owner only. It is written beside the file and then takes its place, so that nobody reads half
/// a dump, and nothing is written through a link that somebody else put there.
pub fn write(path: &Path, text: &dyn Display) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}", std::process::id()));
    let beside = PathBuf::from(name);
    match std::fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC);
    let written = options
        .open(&beside)
        .and_then(|mut file| file.write_all(text.to_string().as_bytes()))
        .and_then(|()| std::fs::rename(&beside, path));
    if written.is_err() {
        // What could be written of it is of no use; it may not have been created at all.
        let _gone = std::fs::remove_file(&beside);
    }
    written
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::config::{ThisHost, load_text};
    use shared_config::keepalived::preprocess::Disk;
    use shared_config::source::Sources;
    use std::sync::Arc;

    /// A configuration and its router, not started.
    pub(crate) fn plan(text: &str) -> (Model, Router) {
        let mut sources = Sources::new();
        let root = sources.add(Path::new("test.conf"), text.as_bytes());
        let model = load_text(root, &Disk, "test", &mut ThisHost::new(1), &mut sources).model.unwrap();
        let router = Router::new(crate::running::plan(Arc::new(model.clone())).router);
        (model, router)
    }

    pub(crate) fn example<'a>(model: &'a Model, router: &'a Router) -> View<'a> {
        View { model, router, now: crate::clock::now(), since_epoch: Duration::from_secs(7) }
    }

    #[test]
    fn the_instance_is_in_the_name_of_the_data_file_only() {
        let mut settings = crate::config::model::ProcessSettings::default();
        assert_eq!(data_file(&settings), Path::new("/tmp/keepalived.data"));
        settings.instance_name = Some("inst1".into());
        assert_eq!(data_file(&settings), Path::new("/tmp/keepalived.data"));
        settings.data_use_instance = true;
        assert_eq!(data_file(&settings), Path::new("/tmp/keepalived.inst1.data"));
        settings.net_namespace = Some("blue".into());
        assert_eq!(data_file(&settings), Path::new("/tmp/keepalived.blue_inst1.data"));
    }

    #[test]
    fn a_dump_takes_the_place_of_the_one_before_and_a_link_is_not_followed() {
        let folder = std::env::temp_dir().join(format!("vrrpd-dump-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (target, link) = (folder.join("target"), folder.join("link"));
        std::fs::write(&target, "precious").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        for text in ["one", "two"] {
            write(&link, &text).unwrap();
            assert_eq!(std::fs::read_to_string(&link).unwrap(), text);
        }
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "precious");
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&link).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
        assert!(write(&folder.join("missing/file"), &"text").is_err());
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 2, "nothing is left beside them");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
