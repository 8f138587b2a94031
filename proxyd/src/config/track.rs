//! `track`: servers whose state is that of another one.

use super::draft::Section;
use super::line::code;
use super::model::Backend;
use super::rules::Names;
use crate::ids::{BackendId, ServerIndex};
use crate::rules::Rules;
use shared_config::diagnostic::{Diagnostic, Diagnostics, Place};
use std::collections::{HashMap, HashSet};

/// `track`: finds the servers, refuses chains that end nowhere or in a circle.
pub(super) fn tracking(sections: &[(Section, Rules)], backends: &mut [Backend], names: &Names, out: &mut Diagnostics) {
    let drafts: Vec<&Section> = sections.iter().map(|(section, _)| section).filter(|s| s.is_backend()).collect();
    if !drafts.iter().any(|section| section.servers.iter().any(|draft| draft.settings.track.is_some())) {
        return;
    }
    let by_name: Vec<HashMap<&str, usize>> = drafts
        .iter()
        .map(|section| section.servers.iter().enumerate().map(|(i, draft)| (draft.name.as_str(), i)).collect())
        .collect();
    for (own, section) in drafts.iter().enumerate() {
        for (index, draft) in section.servers.iter().enumerate() {
            let Some(track) = &draft.settings.track else { continue };
            match tracked(track, own, &drafts, &by_name, names, (own, index)) {
                Ok((backend, server)) => {
                    let id = BackendId(u32::try_from(backend).unwrap_or(u32::MAX));
                    let server = ServerIndex(u32::try_from(server).unwrap_or(u32::MAX));
                    backends[own].servers[index].track = Some((id, server));
                }
                Err(complaint) => {
                    let message = format!("'server {}/{}' : {complaint}", section.name, draft.name);
                    out.push(Diagnostic::error(code::UNKNOWN_NAME, draft.span, message).place(Place::Bare));
                }
            }
        }
    }
}

fn find_server(
    track: &str,
    own: usize,
    by_name: &[HashMap<&str, usize>],
    names: &Names,
) -> Result<(usize, usize), String> {
    let (backend, server) = match track.split_once('/') {
        Some((proxy, server)) => match names.backends.get(proxy) {
            Some(id) => (id.index(), server),
            None => return Err(format!("unable to find required proxy '{proxy}' for tracking.")),
        },
        None => (own, track),
    };
    let found = by_name.get(backend).and_then(|servers| servers.get(server));
    found
        .map(|&index| (backend, index))
        .ok_or_else(|| format!("unable to find required server '{server}' for tracking."))
}

/// The server a `track` leads to, which need not be checked itself as long as the chain ends at one that is.
fn tracked(
    track: &str,
    own: usize,
    drafts: &[&Section],
    by_name: &[HashMap<&str, usize>],
    names: &Names,
    start: (usize, usize),
) -> Result<(usize, usize), String> {
    let first = find_server(track, own, by_name, names)?;
    let mut seen = HashSet::from([start]);
    let mut at = first;
    loop {
        let section = drafts[at.0];
        let draft = &section.servers[at.1];
        if !seen.insert(at) {
            return Err(format!(
                "unable to track {0}/{1} as it belongs to a tracking chain looping back to {0}/{1}.",
                section.name, draft.name
            ));
        }
        match &draft.settings.track {
            Some(track) => at = find_server(track, at.0, by_name, names)?,
            None if draft.settings.check || draft.settings.agent_check => return Ok(first),
            None => {
                return Err(format!(
                    "unable to use {}/{} for tracking as it does not have any check nor agent enabled.",
                    section.name, draft.name
                ));
            }
        }
    }
}
