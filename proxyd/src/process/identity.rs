//! Who the process is: its pidfile, its root directory, its user, its place in the foreground or background, and the
//! processes it takes over from.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::sys::prctl;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{
    Gid, Pid, Uid, chdir, chroot, dup2_stderr, dup2_stdin, dup2_stdout, geteuid, getgid, getuid, setgid, setgroups,
    setsid, setuid,
};

use crate::sys;

/// Opens the pidfile while its directory can still be reached and written.
pub(super) fn open_pidfile(path: &Path) -> Result<File, String> {
    let opened = OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(path);
    opened.map_err(|_| format!("Cannot create pidfile {}", path.display()))
}

/// Writes the one line of a pidfile.
pub(super) fn write_pid(mut file: File, pid: u32) -> Result<(), String> {
    writeln!(file, "{pid}").map_err(|error| format!("Cannot write the pidfile: {error}."))
}

/// Tells the processes that are replaced to leave: now that everything is open here, no connection is refused.
pub(super) fn signal_old(processes: &[i32], terminate: bool) {
    let signal = if terminate { Signal::SIGTERM } else { Signal::SIGUSR1 };
    send(processes, signal);
}

/// Sends a signal to each; one that is gone already is no error.
pub(super) fn send(processes: &[i32], signal: Signal) {
    for &process in processes {
        let _ = kill(Pid::from_raw(process), signal);
    }
}

/// `chroot`.
pub(super) fn change_root(directory: Option<&Path>) -> Result<(), String> {
    let Some(directory) = directory else { return Ok(()) };
    let failed = |_| format!("Cannot chroot({}).", directory.display());
    chroot(directory).and_then(|()| chdir("/")).map_err(failed)
}

/// `user` and `group`: the group first, while that is still allowed. What the process is already needs no right.
pub(super) fn become_user(uid: Option<u32>, gid: Option<u32>) -> Result<(), String> {
    if let Some(gid) = gid.map(Gid::from_raw) {
        // The starter's other groups are given up with its group.
        let groups = if geteuid().is_root() { setgroups(&[]) } else { Ok(()) };
        if gid != getgid() {
            groups.and_then(|()| setgid(gid)).map_err(|_| format!("Cannot set gid {gid}."))?;
        }
    }
    if let Some(uid) = uid.map(Uid::from_raw).filter(|&uid| uid != getuid()) {
        setuid(uid).map_err(|_| format!("Cannot set uid {uid}."))?;
    }
    Ok(())
}

/// `setcap`: what the calling thread and those it begins may do stays permitted when the process becomes another user.
pub(super) fn hold_privileges(kept: &[u8]) -> Result<(), String> {
    if kept.is_empty() {
        return Ok(());
    }
    prctl::set_keepcaps(true).map_err(|error| format!("Cannot keep privileges: {}.", error.desc()))
}

/// Gives up all privileges but those of `setcap`, where the process is not root's. Each thread has its own.
pub(super) fn settle_privileges(kept: &[u8]) -> Result<(), String> {
    if kept.is_empty() || geteuid().is_root() {
        return Ok(());
    }
    sys::keep_capabilities(kept).map_err(|error| format!("Cannot have the privileges of 'setcap': {error}."))
}

/// `set-dumpable`: as far as limits and the change of the user would keep a crash from leaving its memory in a file.
pub(super) fn make_dumpable() {
    for limit in [Resource::RLIMIT_CORE, Resource::RLIMIT_FSIZE] {
        // What cannot be had is what there is.
        if setrlimit(limit, RLIM_INFINITY, RLIM_INFINITY).is_err()
            && let Ok((_, hard)) = getrlimit(limit)
        {
            let _ = setrlimit(limit, hard, hard);
        }
    }
    let _ = prctl::set_dumpable(true);
}

/// Programs that are run from here on get no other rights than the process has.
pub(super) fn forbid_other_rights() {
    // A system that does not know it gives them.
    let _ = prctl::set_no_new_privs();
}

/// Opens what a process in the background has for standard streams; inside a chroot there may be none.
pub(super) fn open_null() -> Result<File, String> {
    let opened = OpenOptions::new().read(true).write(true).open("/dev/null");
    opened.map_err(|error| format!("Cannot open /dev/null: {error}."))
}

/// Goes on as a child in a session of its own. The parent writes the child's pid and ends with 0, so that whoever started
/// it finds the pidfile complete.
pub(super) fn go_to_background(null: &File, pidfile: Option<File>) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("Cannot fork: {error}.");
    if let Some(child) = sys::fork().map_err(failed)? {
        let written = pidfile.map_or(Ok(()), |file| write_pid(file, child));
        sys::exit_now(i32::from(written.is_err()));
    }
    // It fails only for a process that leads a session already.
    let _ = setsid();
    let redirected = dup2_stdin(null.as_fd()).and(dup2_stdout(null.as_fd())).and(dup2_stderr(null.as_fd()));
    redirected.map_err(|error| failed(error.into()))
}
