//! `show errors`: the last messages of each proxy that were none.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::server::Answer;
use crate::clock;
use crate::generation::Generation;
use crate::log::date::{Date, Second};
use crate::proxy::Section;
use crate::proxy::bad_message::BadMessage;

/// `show errors [IID|PROXY] [request|response]`
pub(super) fn show(generation: &Generation, words: &[&str]) -> Answer {
    let only = words.first().filter(|word| **word != "-1");
    let only = only.map(|word| find(generation, word).ok_or("No such proxy.\n")).transpose()?;
    let (requests, responses) = match words.get(1) {
        Some(&"request") => (true, false),
        Some(&"response") => (false, true),
        _ => (true, true),
    };
    let date = |time| {
        let utc_offset = (generation.global.system.utc_offset)(clock::date().as_secs().cast_signed());
        let (date, mut text) = (Date { since_epoch: time, utc_offset }, Vec::new());
        date.write_millis(&Second::of(date), &mut text);
        String::from_utf8_lossy(&text).into_owned()
    };
    let seen = generation.global.bad_messages.load(Ordering::Relaxed);
    let mut out = format!("Total events captured on [{}] : {seen}\n", date(clock::date()));
    let mut kept: Vec<(u32, Arc<BadMessage>)> = Vec::new();
    for section in sections(generation) {
        let [request, response] = section.bad_messages.last();
        let wanted = request.filter(|_| requests).into_iter().chain(response.filter(|_| responses));
        kept.extend(wanted.map(|message| (section.id, message)));
    }
    kept.retain(|(_, message)| only.is_none_or(|id| message.concerns(id)));
    // Both halves of a `listen` section have its number.
    kept.sort_by_key(|(id, _)| *id);
    for (_, message) in kept {
        message.write(&date(message.came), &mut out);
    }
    Ok(out)
}

fn sections(generation: &Generation) -> impl Iterator<Item = &Section> {
    let frontends = generation.frontends.iter().map(|frontend| &frontend.section);
    frontends.chain(generation.backends.iter().map(|backend| &backend.section))
}

/// The number of the proxy that a word names, or the number itself.
fn find(generation: &Generation, word: &str) -> Option<u32> {
    let named = sections(generation).find(|section| *section.name == *word).map(|section| section.id);
    named.or_else(|| word.parse().ok().filter(|id| *id > 0))
}
