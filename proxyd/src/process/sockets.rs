//! Opens the sockets of all frontends before anything that cannot be undone.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use nix::errno::Errno;
use nix::poll::{PollTimeout, poll};
use nix::sys::signal::Signal;

use socket2::Socket;

use super::identity;
use super::voice::Voice;
use crate::config::model::Model;
use crate::generation::Generation;
use crate::net::listen;
use crate::proxy::settings::RuntimeAccess;
use crate::proxy::{Frontend, Listener};
use crate::worker::Listening;

/// How often sockets that old processes still hold are tried again.
const ATTEMPTS: u32 = 200;
/// Milliseconds between two attempts.
const BETWEEN_ATTEMPTS_MS: u16 = 10;

/// What haproxy says when it gives up for want of an address.
const NOT_ALL_STARTED: &str = "Some protocols failed to start their listeners! Exiting.";

/// What one worker listens on.
pub(super) type ForWorker = Vec<Listening>;

/// Opens everything, for each worker. Where old processes hold an address, they are asked to stop listening; if it stays
/// taken, they are asked to go on, and every address that could not be had is reported.
pub(super) fn open_all(generation: &Generation, old: &[i32], voice: Voice) -> Result<Vec<ForWorker>, String> {
    let mut workers: Vec<ForWorker> = (0..generation.global.workers).map(|_| Vec::new()).collect();
    let groups = generation.global.groups;
    let mut paused = false;
    let mut failed = false;
    for frontend in generation.frontends.iter().filter(|frontend| !frontend.section.disabled) {
        for listener in &frontend.listeners {
            if let Err(error) = open(frontend, listener, old, &mut paused, (&mut workers, groups)) {
                voice.alert(&refused(frontend, listener, &error));
                failed = true;
            }
        }
    }
    if !failed {
        return Ok(workers);
    }
    if paused {
        identity::send(old, Signal::SIGTTIN);
    }
    Err(NOT_ALL_STARTED.into())
}

/// Opens what a generation listens on and the one before it did not; all of it or nothing.
pub(super) fn open_added(before: &Generation, generation: &Generation) -> Result<Vec<ForWorker>, String> {
    let mut workers: Vec<ForWorker> = (0..generation.global.workers).map(|_| Vec::new()).collect();
    let groups = generation.global.groups;
    let known: HashMap<_, _> = before.frontends.iter().map(|known| (Arc::as_ptr(&known.accepting), known)).collect();
    for frontend in generation.frontends.iter().filter(|frontend| !frontend.section.disabled) {
        let known = known.get(&Arc::as_ptr(&frontend.accepting)).filter(|known| !known.section.disabled);
        for listener in &frontend.listeners {
            let same = |open: &Arc<Listener>| open.bind.same_socket(&listener.bind);
            if known.is_some_and(|known| known.listeners.iter().any(same)) {
                continue;
            }
            open(frontend, listener, &[], &mut false, (&mut workers, groups))
                .map_err(|error| refused(frontend, listener, &error))?;
        }
    }
    Ok(workers)
}

/// Opens the sockets of the runtime API. One that another process serves is an error, as it is for traffic.
pub(super) fn open_runtime(model: &Model, voice: Voice) -> Result<Vec<(Socket, RuntimeAccess)>, String> {
    let mut opened = Vec::new();
    for socket in &model.global.stats_sockets {
        match listen::open_control(&socket.address, &socket.owner) {
            Ok(opened_socket) => {
                opened.push((opened_socket, RuntimeAccess { level: socket.level, severity: socket.severity }));
            }
            Err(error) => {
                let reason = words(&error);
                voice.alert(&format!(
                    "Binding for frontend GLOBAL: cannot bind socket ({reason}) for [{}]",
                    socket.address
                ));
                return Err(NOT_ALL_STARTED.into());
            }
        }
    }
    Ok(opened)
}

fn open(
    frontend: &Arc<Frontend>,
    listener: &Arc<Listener>,
    old: &[i32],
    paused: &mut bool,
    (workers, groups): (&mut [ForWorker], usize),
) -> io::Result<()> {
    let count = workers.len();
    let accepts = |worker: &usize| listener.bind.threads.is_none_or(|threads| threads.has(*worker, count, groups));
    let chosen: Vec<usize> = (0..count).filter(accepts).collect();
    if chosen.is_empty() {
        return Err(io::Error::other("there is no thread of those that 'thread' names"));
    }
    let mut opened = listen::open(&listener.bind, chosen.len());
    let taken = |opened: &io::Result<_>| opened.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse);
    let mut attempts = if old.is_empty() { 0 } else { ATTEMPTS };
    while attempts > 0 && taken(&opened) {
        if !std::mem::replace(paused, true) {
            identity::send(old, Signal::SIGTTOU);
        }
        // Nothing tells when another process lets go of an address.
        let _ = poll(&mut [], PollTimeout::from(BETWEEN_ATTEMPTS_MS));
        opened = listen::open(&listener.bind, chosen.len());
        attempts -= 1;
    }
    for (worker, socket) in chosen.into_iter().zip(opened?) {
        let Some(worker) = workers.get_mut(worker) else { continue };
        worker.push(Listening { frontend: Arc::clone(frontend), listener: Arc::clone(listener), socket });
    }
    Ok(())
}

/// The system's words for an error, without its number.
fn words(error: &io::Error) -> String {
    error.raw_os_error().map_or_else(|| error.to_string(), |code| Errno::from_raw(code).desc().to_owned())
}

/// haproxy's words for an address that could not be had.
fn refused(frontend: &Frontend, listener: &Listener, error: &io::Error) -> String {
    let kind = if frontend.listen.is_some() { "proxy" } else { "frontend" };
    let reason = words(error);
    let bind = &listener.bind;
    format!(
        "Binding [{}] for {kind} {}: cannot bind socket ({reason}) for [{}]",
        bind.place,
        frontend.name(),
        bind.address
    )
}
