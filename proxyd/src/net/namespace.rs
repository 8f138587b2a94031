//! Network namespaces: sockets that belong to another one than the process (`namespace`).
//!
//! A thread enters the namespace for as long as it takes to make a socket, which stays where it was made. That needs the right
//! to change namespaces (`CAP_SYS_ADMIN`).

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use nix::sched::{CloneFlags, setns};

/// Where `ip netns add` keeps the namespaces of a host.
const DIRECTORY: &str = "/var/run/netns";

/// Those that were opened, by name: they can be entered when their directory is out of reach (`chroot`), and are the same for
/// as long as the process lives. Asked when a socket is made in one of them, never for a request.
static OPEN: RwLock<BTreeMap<String, Arc<File>>> = RwLock::new(BTreeMap::new());

/// Opens a namespace for later.
pub fn open(name: &str) -> io::Result<()> {
    find(name).map(drop)
}

fn find(name: &str) -> io::Result<Arc<File>> {
    if let Some(known) = OPEN.read().unwrap_or_else(PoisonError::into_inner).get(name) {
        return Ok(Arc::clone(known));
    }
    let file = Arc::new(File::open(Path::new(DIRECTORY).join(name))?);
    OPEN.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), Arc::clone(&file));
    Ok(file)
}

/// Makes something in a namespace, or where the process lives.
pub fn within<T>(name: Option<&str>, make: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let Some(name) = name else { return make() };
    let (there, home) = (find(name)?, File::open("/proc/thread-self/ns/net")?);
    setns(&there, CloneFlags::CLONE_NEWNET)?;
    let made = make();
    if let Err(error) = setns(&home, CloneFlags::CLONE_NEWNET) {
        // Whatever this thread opens from now on would be in the wrong place.
        tracing::error!("cannot leave the network namespace '{name}': {error}; proxyd ends here");
        std::process::abort();
    }
    made
}
