//! Fetches about what is known of an exchange, from their names.

use super::super::arguments::{Arguments, Problem, problem};
use crate::sample::Fetch;
use crate::sample::fetch::socket::{Told, Which};
use crate::sample::fetch::state::{Dump, Layers, StateFetch};
use crate::sample::variable::Scope;
use shared_config::words::Word;

/// The fetch of that name; `None` where it is none of these.
pub(super) fn lower(name: &str, arguments: &Arguments<'_>) -> Result<Option<Fetch>, Problem> {
    let fetch = match name {
        "last_rule_file" => StateFetch::LastRuleFile,
        "last_rule_line" => StateFetch::LastRuleLine,
        "last_entity" => StateFetch::LastEntity,
        "waiting_entity" => StateFetch::WaitingEntity,
        "server_status" => StateFetch::ServerStatus,
        "dump_all_vars" => StateFetch::Variables(Box::new(dump(arguments)?)),
        "bc_err" => StateFetch::ServerError(Told::Number),
        "bc_err_str" => StateFetch::ServerError(Told::Words),
        "bc_err_name" => StateFetch::ServerError(Told::Name),
        "fs.rst_code" | "bs.rst_code" => return Ok(Some(Fetch::Never)),
        _ => match of_either(name, arguments) {
            Some(fetch) => fetch,
            None => return Ok(None),
        },
    };
    Ok(Some(Fetch::State(fetch)))
}

/// What is asked of the client's connection or of the server's.
fn of_either(name: &str, arguments: &Arguments<'_>) -> Option<StateFetch> {
    let which = match name.as_bytes() {
        [b'f', ..] => Which::Client,
        [b'b', ..] => Which::Server,
        _ => return None,
    };
    Some(match name.get(1..)? {
        "s.aborted" => StateFetch::Aborted(which),
        "s.id" => StateFetch::Number(which),
        "s.debug_str" => StateFetch::Inside(which, Layers::from_bits(arguments.integer(0).unwrap_or(0))),
        "c_nb_streams" | "c_settings_streams_limit" => StateFetch::Streams(which),
        "c_glitches" => StateFetch::Glitches(which),
        _ => return None,
    })
}

/// `dump_all_vars([SCOPE][,PREFIX][,DELIMITER])`
fn dump(arguments: &Arguments<'_>) -> Result<Dump, Problem> {
    let scopes = match arguments.word(0) {
        None => Box::from(&Scope::SHOWN[..]),
        Some(word) => {
            let scope = Scope::SHOWN.into_iter().find(|scope| scope.word() == word.as_str());
            let unknown = || problem("expects 'sess', 'txn', 'req', 'res' or 'proc' as scope", word.span);
            Box::from(&[scope.ok_or_else(unknown)?][..])
        }
    };
    let delimiter = arguments.bytes(2).filter(|delimiter| !delimiter.is_empty());
    Ok(Dump {
        scopes,
        prefix: arguments.word(1).map_or("", Word::as_str).into(),
        delimiter: delimiter.unwrap_or_else(|| b", ".as_slice().into()),
    })
}
