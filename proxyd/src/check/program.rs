//! `option external-check`: a program that is run instead of a connection that is made.
//!
//! It is run without a shell, in a process group of its own, with nothing in its environment but what the manual names; when its
//! time is up, or its check is given up, the whole group is killed.

use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::Command;
use tokio::time::timeout;

use crate::health::{CheckResult, CheckStatus};
use crate::proxy::Place;
use crate::proxy::address::{ServerAddress, ServerPort};

/// What is said where there is no address or no port.
const NOT_USED: &str = "NOT_USED";
/// The status of a program that could not be started.
const NOT_STARTED: i32 = 255;
/// The status of a program that a signal ended.
const SIGNALLED: i32 = -1;

/// A program that tells whether a server is well.
#[derive(Debug)]
pub struct Program {
    /// The file to execute.
    pub command: String,
    /// `external-check path`.
    pub path: Option<String>,
    /// Address and port of the first listener, where there is one.
    pub listener: (Option<String>, Option<u16>),
    /// Everything else that the environment tells, but for the connections that the server has.
    pub environment: Vec<(&'static str, String)>,
    /// `timeout check`, instead of the interval.
    pub check_timeout: Option<Duration>,
}

/// Kills a process group when it goes.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It may have ended by itself.
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}

/// Address and port of a server, or the path of its socket.
fn server(place: &Place) -> (String, Option<u16>) {
    let port = match place.port {
        ServerPort::Fixed(port) => Some(port),
        ServerPort::Mapped(_) => None,
    };
    match &place.address {
        ServerAddress::Ip(ip) => (ip.to_string(), port),
        ServerAddress::Unix(path) => (path.display().to_string(), None),
        ServerAddress::Abstract(name) => (name.clone(), None),
        ServerAddress::Destination | ServerAddress::Unresolved => (String::new(), port),
    }
}

/// Runs the program once. How long it took is for the caller to note.
pub(super) async fn run(program: &Program, place: &Place, inter: Duration, connections: u32) -> CheckResult {
    let result = |status, code: i32| CheckResult { status, code: Some(code), ..CheckResult::default() };
    let text = |port: Option<u16>, none: &str| port.map_or_else(|| none.to_owned(), |port| port.to_string());
    let (listener, listener_port) = &program.listener;
    let (server, server_port) = server(place);
    let mut command = Command::new(&program.command);
    command
        .args([listener.as_deref().unwrap_or(NOT_USED), &text(*listener_port, NOT_USED)])
        .args([&server, &text(server_port, NOT_USED)])
        .env_clear()
        .envs(program.environment.iter().map(|(name, value)| (name, value)))
        .env("HAPROXY_PROXY_ADDR", listener.as_deref().unwrap_or_default())
        .env("HAPROXY_PROXY_PORT", text(*listener_port, ""))
        .env("HAPROXY_SERVER_ADDR", &server)
        .env("HAPROXY_SERVER_PORT", text(server_port, ""))
        .env("HAPROXY_SERVER_CURCONN", connections.to_string())
        .envs(program.path.iter().map(|path| ("PATH", path)))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .process_group(0)
        .kill_on_drop(true);
    let Ok(mut child) = command.spawn() else { return result(CheckStatus::ProgramError, NOT_STARTED) };
    let group = Group(child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw));
    let ended = timeout(program.check_timeout.unwrap_or(inter), child.wait()).await;
    drop(group);
    match ended {
        Ok(Ok(status)) if status.success() => result(CheckStatus::ProgramOk, 0),
        Ok(Ok(status)) => result(CheckStatus::ProgramError, status.code().unwrap_or(SIGNALLED)),
        Ok(Err(_)) => result(CheckStatus::ProgramError, SIGNALLED),
        Err(_late) => {
            // The group was killed: there is nothing to wait for but the kernel.
            let _ = child.wait().await;
            result(CheckStatus::ProgramTimeout, 0)
        }
    }
}
