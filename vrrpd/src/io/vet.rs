//! Which of the configured commands this host can run, and may. What cannot run is taken out of the settings, as
//! keepalived does it, and said loudly, since the instance then runs unwatched.

use crate::command::{Command, Form, User};
use crate::notify;
use crate::router;
use crate::track::{References, Unwatched};
use std::collections::HashMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Where bare names are searched when the environment has no PATH.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";
/// Exit code of `-t` for errors in the configuration.
const EXIT_CONFIG: u8 = 5;
/// Exit code of `-t` for scripts that are not secure.
const EXIT_SECURITY: u8 = 6;

/// A line about a command, and what `-t` exits with because of it (0 for a warning).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// The message.
    pub line: String,
    /// Exit code.
    pub exit: u8,
}

/// Why a command is not run.
enum Refusal {
    NotFound,
    Insecure,
}

/// Looks every command up. What cannot run is removed: a tracked script with the references to it, a notify script by
/// itself. `security` is `enable_script_security`.
pub fn vet(settings: &mut router::Settings, security: bool) -> Vec<Remark> {
    let mut remarks = Vec::new();
    let mut insecure_setup = false;
    let mut dropped = HashMap::new();
    settings.scripts.retain_mut(|script| {
        // keepalived counts only what it executes itself, not what it hands to the shell.
        let executed = matches!(script.command.form, Form::Exec(_));
        insecure_setup |= !security && executed && script.command.user == User::ROOT;
        match resolve(&mut script.command, security, &mut remarks) {
            Ok(()) => true,
            Err(refusal) => {
                let (why, reason, exit) = match refusal {
                    Refusal::NotFound => {
                        ("since not found/accessible", "is not there or cannot be executed", EXIT_CONFIG)
                    }
                    Refusal::Insecure => ("due to insecure", "can be changed by others than root", EXIT_SECURITY),
                };
                remarks.push(Remark { line: format!("Disabling track script {} {why}", script.name), exit });
                dropped.insert(script.name.clone(), format!("`{}` {reason}", script.command));
                false
            }
        }
    });
    for instance in &mut settings.instances {
        unwatch(&mut instance.vrrp.track, &dropped);
        insecure_setup |= vet_notify(&mut instance.notify, security, &mut remarks);
    }
    for group in &mut settings.groups {
        unwatch(&mut group.track, &dropped);
        insecure_setup |= vet_notify(&mut group.notify, security, &mut remarks);
    }
    for fifo in &mut settings.channels.fifos {
        insecure_setup |= vet_one(&mut fifo.script, security, &mut remarks);
    }
    if insecure_setup {
        let line = "SECURITY VIOLATION - scripts are being executed but script_security not enabled.".to_owned();
        remarks.push(Remark { line, exit: EXIT_SECURITY });
    }
    remarks
}

/// Moves references to scripts that cannot be run to the list of what is not watched.
fn unwatch(track: &mut References, dropped: &HashMap<String, String>) {
    track.scripts.retain(|reference| match dropped.get(&reference.name) {
        None => true,
        Some(why) => {
            track.unwatched.push(Unwatched { what: format!("script {}", reference.name), why: why.clone() });
            false
        }
    });
}

/// Looks up `startup_script` or `shutdown_script`; the same. `None` if it cannot be run.
pub fn vet_one_shot(command: &Command, security: bool) -> (Option<Command>, Vec<Remark>) {
    let mut remarks = Vec::new();
    let mut slot = Some(command.clone());
    if vet_one(&mut slot, security, &mut remarks) {
        let line = "SECURITY VIOLATION - start/shutdown scripts are being executed but script_security not enabled.";
        remarks.push(Remark { line: line.to_owned(), exit: 0 });
    }
    (slot, remarks)
}

/// Answers whether any of the scripts runs as root without `enable_script_security`.
fn vet_notify(notify: &mut notify::Settings, security: bool, remarks: &mut Vec<Remark>) -> bool {
    let mut insecure_setup = false;
    let slots = [
        &mut notify.master,
        &mut notify.backup,
        &mut notify.fault,
        &mut notify.stop,
        &mut notify.deleted,
        &mut notify.master_rx_lower_pri,
        &mut notify.any,
    ];
    for slot in slots {
        insecure_setup |= vet_one(slot, security, remarks);
    }
    insecure_setup
}

/// Looks one command up and takes it out if it cannot be run. Answers whether it runs as root without
/// `enable_script_security`.
fn vet_one(slot: &mut Option<Command>, security: bool, remarks: &mut Vec<Remark>) -> bool {
    let Some(command) = slot.as_mut() else { return false };
    let insecure_setup = !security && command.user == User::ROOT;
    let name = program(command).unwrap_or_default().to_owned();
    let line = match resolve(command, security, remarks) {
        Ok(()) => return insecure_setup,
        Err(Refusal::NotFound) => format!("Script {name} cannot be accessed - No such file or directory"),
        Err(Refusal::Insecure) => format!("Unsafe permissions found for script '{name}' - disabling."),
    };
    // keepalived's `-t` says nothing about notify scripts; the line is for the log.
    remarks.push(Remark { line, exit: 0 });
    *slot = None;
    insecure_setup
}

fn program(command: &Command) -> Option<&str> {
    match &command.form {
        Form::Exec(words) => words.first().map(String::as_str),
        Form::Shell(_) => Some("/bin/sh"),
    }
}

/// Finds the program and puts its full path into the command.
fn resolve(command: &mut Command, security: bool, remarks: &mut Vec<Remark>) -> Result<(), Refusal> {
    let user = command.user;
    let name = program(command).ok_or(Refusal::NotFound)?.to_owned();
    let path = if name.contains('/') { PathBuf::from(&name) } else { search(&name).ok_or(Refusal::NotFound)? };
    if !is_executable(&path) {
        return Err(Refusal::NotFound);
    }
    if security && user == User::ROOT && !is_secure(&path) {
        return Err(Refusal::Insecure);
    }
    if !name.contains('/') {
        let full = path.display();
        let line = format!("WARNING - script `{name}` resolved by path search to `{full}`. Please specify full path.");
        remarks.push(Remark { line, exit: 0 });
    }
    if let Form::Exec(words) = &mut command.form
        && let Some(word) = words.first_mut()
    {
        *word = path.to_string_lossy().into_owned();
    }
    Ok(())
}

fn search(name: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_else(|_| DEFAULT_PATH.to_owned());
    path.split(':').map(|folder| Path::new(folder).join(name)).find(|path| is_executable(path))
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// Whether nobody but root can change what is run: the file, and every folder on the way to it.
fn is_secure(path: &Path) -> bool {
    let Ok(path) = path.canonicalize() else { return false };
    path.ancestors().all(|part| {
        part.metadata().is_ok_and(|data| {
            let sticky = data.is_dir() && data.permissions().mode() & 0o1000 != 0;
            data.uid() == 0 && (data.permissions().mode() & 0o022 == 0 || sticky)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::track::Reference;
    use crate::track::script;
    use crate::vrrp;
    use std::time::Duration;

    fn settings(command: Command) -> router::Settings {
        let mut instance = router::Instance {
            vrrp: vrrp::Settings::new("VI_1", "eth0", 51),
            notify: notify::Settings { any: Some(Command::exec(["/nonexistent/x"])), ..notify::Settings::default() },
        };
        instance.vrrp.track.scripts.push(Reference::new("chk"));
        let second = Duration::from_secs(1);
        let script = script::Settings {
            name: "chk".to_owned(),
            command,
            interval: second,
            timeout: second,
            weight: 2,
            reverse: false,
            rise: 1,
            fall: 1,
            init_fail: false,
        };
        router::Settings { instances: vec![instance], scripts: vec![script], ..router::Settings::default() }
    }

    #[test]
    fn what_cannot_run_is_taken_out_and_named() {
        let mut settings = settings(Command::exec(["/nonexistent/pidof", "haproxy"]));
        let remarks = vet(&mut settings, true);
        let lines: Vec<&str> = remarks.iter().map(|remark| remark.line.as_str()).collect();
        let expected = [
            "Disabling track script chk since not found/accessible",
            "Script /nonexistent/x cannot be accessed - No such file or directory",
        ];
        assert_eq!(lines, expected);
        assert!(settings.scripts.is_empty() && settings.instances[0].vrrp.track.scripts.is_empty());
        assert_eq!(settings.instances[0].vrrp.track.unwatched[0].what, "script chk");
        assert_eq!(settings.instances[0].notify.any, None);
    }

    #[test]
    fn bare_names_are_searched() {
        let mut settings = settings(Command::exec(["sh", "-c", "true"]));
        let remarks = vet(&mut settings, true);
        assert!(remarks[0].line.starts_with("WARNING - script `sh` resolved by path search to `/"), "{remarks:?}");
        let Form::Exec(words) = &settings.scripts[0].command.form else { panic!("not a command") };
        assert!(words[0].starts_with('/'));
    }

    #[test]
    fn root_without_script_security_is_a_violation() {
        let mut settings = settings(Command::exec(["/bin/sh"]));
        let remarks = vet(&mut settings, false);
        assert_eq!(remarks.last().map(|remark| remark.exit), Some(EXIT_SECURITY));
    }
}
