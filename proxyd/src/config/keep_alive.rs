//! `clitcpka-…` and `srvtcpka-…`: how the system finds out whether a silent peer still exists.

use super::draft::Settings;
use super::line::Line;
use super::settings::{strict_integer, timer_overflow, timer_underflow};
use super::value::{self, TimeProblem, Unit};
use shared_config::diagnostic::Place;
use std::time::Duration;

/// One of the words. What follows its value is passed over, as by haproxy.
pub(super) fn statement(line: &mut Line<'_, '_>, settings: &mut Settings) {
    let name = line.name.to_owned();
    let Some((side, what)) = name.split_once('-') else { return };
    let Some(word) = line.expect(format!("'{name}' expects an integer value")) else { return };
    let number = |line: &mut Line<'_, '_>| strict_integer(line, word, &name).and_then(|n| u32::try_from(n).ok());
    let keep_alive = if side == "clitcpka" { &mut settings.client_keep_alive } else { &mut settings.server_keep_alive };
    match what {
        "cnt" => keep_alive.count = number(line).filter(|&count| count > 0),
        "idle" => keep_alive.idle = time(line, word, &name),
        _ => keep_alive.interval = time(line, word, &name),
    }
}

/// A time in seconds, of which the system knows no parts; none is what the system has.
fn time(line: &mut Line<'_, '_>, word: &shared_config::words::Word, name: &str) -> Option<Duration> {
    let problem = match value::time(&word.text, Unit::Seconds) {
        Ok(time) => return Some(Duration::from_secs(time.as_secs())).filter(|time| !time.is_zero()),
        Err(problem) => problem,
    };
    let text = &word.text;
    let message = match problem {
        TimeProblem::Unexpected { character, .. } => {
            format!("unexpected character '{character}' in argument to <{name}>.")
        }
        TimeProblem::Overflow => timer_overflow(text, name),
        TimeProblem::Underflow => timer_underflow(text, name),
    };
    line.bad_time(word, &problem, message, Place::Parsing);
    None
}
