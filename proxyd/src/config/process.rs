//! Rights and limits of the process: `setcap`, `set-dumpable`, `insecure-setuid-wanted`, `fd-hard-limit`, `tune.renice.…`.

use super::line::{Line, code};
use super::model::Global;

/// The privileges that `setcap` can keep, with their numbers (capabilities(7)).
const CAPABILITIES: [(&str, u8); 5] =
    [("cap_bpf", 39), ("cap_net_admin", 12), ("cap_net_bind_service", 10), ("cap_net_raw", 13), ("cap_sys_admin", 21)];

/// One of these statements.
pub(super) fn statement(line: &mut Line<'_, '_>, global: &mut Global) {
    match line.name {
        "setcap" => capabilities(line, global),
        "set-dumpable" => {
            global.dumpable = !line.negated;
            line.end();
        }
        "insecure-setuid-wanted" => {
            global.setuid_programs = !line.negated;
            line.end();
        }
        "busy-polling" => {
            global.busy_polling = !line.negated;
            line.end();
        }
        "tune.renice.startup" => global.nice_startup = nice(line).or(global.nice_startup),
        "tune.renice.runtime" => global.nice_runtime = nice(line).or(global.nice_runtime),
        _ => {
            global.fd_hard_limit = line.positive("'fd-hard-limit' expects an integer argument.");
            line.end();
        }
    }
}

/// A nice value as of nice(2).
fn nice(line: &mut Line<'_, '_>) -> Option<i8> {
    let message = format!("'{}' expects a number from -20 to 19.", line.name);
    let word = line.expect(&*message)?;
    line.end();
    let number = word.text.parse::<i8>().ok().filter(|number| (-20..=19).contains(number));
    if number.is_none() {
        line.error(code::BAD_VALUE, word.span, message);
    }
    number
}

fn capabilities(line: &mut Line<'_, '_>, global: &mut Global) {
    let known = || CAPABILITIES.map(|(name, _)| name).join(", ");
    let Some(word) = line.expect(format!("'setcap' expects a list of privileges: {}.", known())) else { return };
    line.end();
    for name in word.text.split(',') {
        let Some((_, number)) = CAPABILITIES.iter().find(|(known, _)| *known == name) else {
            let message = format!("'setcap' : unsupported capability '{name}', supported are {}.", known());
            return line.error(code::UNKNOWN_NAME, word.span, message);
        };
        global.capabilities.push(*number);
    }
}
