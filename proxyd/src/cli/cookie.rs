//! Commands about cookie values that are computed of servers' addresses.

use super::Settings;
use super::server::Answer;
use crate::generation::Generation;
use crate::health::change;

/// `enable` and `disable dynamic-cookie backend B`, and `set dynamic-cookie-key backend B KEY`: with a key the last.
pub(super) fn change(settings: &Settings, generation: &Generation, words: &[&str], order: &Order) -> Answer {
    let name = words.first().ok_or("A backend name is expected.\n")?;
    let backend = super::find_backend(generation, name).ok_or("No such backend.\n")?;
    let key = words.get(1).filter(|key| !key.is_empty());
    if *order == Order::SetKey && key.is_none() {
        return Err("String value expected.\n".into());
    }
    backend.farm.compute_cookies(|computed| match order {
        Order::Enable(on) => computed.enabled = *on,
        Order::SetKey => computed.key = key.map(ToString::to_string),
    });
    let values = backend.farm.cookie_values();
    let doubled = (0..backend.servers.len()).any(|index| {
        let given = backend.farm.servers().get(index).is_some_and(|state| state.settings().cookie.is_some());
        values.of(index).is_some_and(|value| !given && values.servers(value.as_bytes()).len() > 1)
    });
    if doubled {
        settings.checks.borrow().apply(&backend.farm, 0, |subject, _| change::equal_cookies(subject));
    }
    Ok(String::new())
}

/// What is wanted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Values are computed, or are not.
    Enable(bool),
    /// Another key.
    SetKey,
}
