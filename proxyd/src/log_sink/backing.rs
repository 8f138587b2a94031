//! `backing-file` of rings: the messages as lines, written when the process ends or the ring does.
//!
//! haproxy keeps the ring's memory itself in the file, for its developers; here it is text for whoever looks for what happened
//! last. A file that is there at the start is kept as `.bak`, as there.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::log::ring::{Ring, Start};

/// The files of the rings that have one. They are opened where the starter's user and file system are, and written long after.
#[derive(Debug, Default)]
pub struct Backing {
    files: Vec<(Arc<Ring>, File)>,
}

impl Backing {
    /// Opens the files of these rings; a ring that has its file in `running` is left out.
    pub fn open(rings: &[Arc<Ring>], running: &[Arc<Ring>]) -> Result<Self, String> {
        let mut files = Vec::new();
        for ring in rings.iter().filter(|ring| !running.iter().any(|known| Arc::ptr_eq(known, ring))) {
            let Some(path) = &ring.settings().backing_file else { continue };
            let file = create(path).map_err(|error| {
                let (path, name) = (path.display(), &ring.settings().name);
                format!("cannot open backing-file '{path}' for ring '{name}': {error}.")
            })?;
            files.push((Arc::clone(ring), file));
        }
        Ok(Self { files })
    }

    /// Takes the files of a new configuration's rings; those of rings that it does not have are written.
    pub fn succeed(&mut self, mut next: Self, rings: &[Arc<Ring>]) {
        let known = std::mem::take(&mut self.files);
        for (ring, file) in known {
            if rings.iter().any(|kept| Arc::ptr_eq(kept, &ring)) {
                self.files.push((ring, file));
            } else {
                write(&ring, &file);
            }
        }
        self.files.append(&mut next.files);
    }
}

impl Drop for Backing {
    fn drop(&mut self) {
        self.files.iter().for_each(|(ring, file)| write(ring, file));
    }
}

/// A new file in place of the one that is there, which gets another name; that this fails is no reason not to begin.
fn create(path: &Path) -> io::Result<File> {
    if path.metadata().is_ok_and(|file| file.len() > 0) {
        let mut kept = path.as_os_str().to_owned();
        kept.push(".bak");
        let _ = std::fs::rename(path, PathBuf::from(kept));
    }
    OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(path)
}

fn write(ring: &Arc<Ring>, file: &File) {
    let (mut reader, mut message) = (ring.reader(Start::Oldest, false), Vec::new());
    let mut out = io::BufWriter::new(file);
    while reader.next(&mut message) {
        message.push(b'\n');
        if let Err(error) = out.write_all(&message) {
            tracing::warn!(%error, ring = ring.settings().name, "cannot write the backing file");
            return;
        }
    }
    if let Err(error) = out.flush() {
        tracing::warn!(%error, ring = ring.settings().name, "cannot write the backing file");
    }
}
