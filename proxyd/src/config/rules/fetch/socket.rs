//! Fetches about connections and what is noted of exchanges, from their names.

use super::super::arguments::{Arguments, Problem, problem};
use crate::sample::Fetch;
use crate::sample::convert::time::Unit;
use crate::sample::fetch::course::CourseFetch;
use crate::sample::fetch::socket::{Figure, Resolution, SocketFetch, Told, Which};
use crate::sample::fetch::{End, Noted};
use shared_config::words::Word;

/// The types of additions to a PROXY header that have a name of their own (PROXY protocol, 2.2.1 and 2.2.5).
const AUTHORITY: u8 = 0x02;
const UNIQUE_ID: u8 = 0x05;

/// The names that `fc_pp_tlv` takes besides numbers.
const TLV_NAMES: [(&str, u8); 13] = [
    ("ALPN", 0x01),
    ("AUTHORITY", AUTHORITY),
    ("CRC32", 0x03),
    ("CRC32C", 0x03),
    ("NOOP", 0x04),
    ("UNIQUE_ID", UNIQUE_ID),
    ("SSL", 0x20),
    ("SSL_VERSION", 0x21),
    ("SSL_CN", 0x22),
    ("SSL_CIPHER", 0x23),
    ("SSL_SIG_ALG", 0x24),
    ("SSL_KEY_ALG", 0x25),
    ("NETNS", 0x30),
];

/// The fetch of that name; `None` where it is none of these.
pub(super) fn lower(name: &str, arguments: &Arguments<'_>) -> Result<Option<Fetch>, Problem> {
    let unit = || {
        let unit = arguments.word(0).map_or(Some(Unit::Seconds), |word| Unit::from_name(&word.text));
        unit.ok_or_else(|| problem("expects 's', 'ms' or 'us' as unit", arguments.span()))
    };
    let asked = if name == "request_date" { unit()? } else { Unit::Seconds };
    if let Some(course) = CourseFetch::named(name, asked) {
        return Ok(Some(Fetch::Course(course)));
    }
    let noted = match name {
        "prio_class" => Some(Noted::PriorityClass),
        "prio_offset" => Some(Noted::PriorityOffset),
        "txn.id32" => Some(Noted::Number),
        "pid" => Some(Noted::Process),
        "accept_date" => Some(Noted::Accepted(unit()?)),
        _ => None,
    };
    if let Some(noted) = noted {
        return Ok(Some(Fetch::Noted(noted)));
    }
    let fetch = match name {
        "bc_src" => SocketFetch::ServerAddress(End::Source),
        "bc_dst" => SocketFetch::ServerAddress(End::Destination),
        "bc_src_port" => SocketFetch::ServerPort(End::Source),
        "bc_dst_port" => SocketFetch::ServerPort(End::Destination),
        "fc_err" => SocketFetch::Error(Told::Number),
        "fc_err_str" => SocketFetch::Error(Told::Words),
        "fc_err_name" => SocketFetch::Error(Told::Name),
        "fc_saved_syn" => SocketFetch::SavedSyn,
        "fc_pp_authority" => SocketFetch::Tlv(AUTHORITY),
        "fc_pp_unique_id" => SocketFetch::Tlv(UNIQUE_ID),
        "fc_pp_tlv" => SocketFetch::Tlv(kind(arguments)?),
        _ => match measured(name, arguments)? {
            Some(fetch) => fetch,
            None => return Ok(None),
        },
    };
    Ok(Some(Fetch::Socket(fetch)))
}

fn measured(name: &str, arguments: &Arguments<'_>) -> Result<Option<SocketFetch>, Problem> {
    let (which, figure) = match name.split_once('_') {
        Some(("fc", figure)) => (Which::Client, figure),
        Some(("bc", figure)) => (Which::Server, figure),
        _ => return Ok(None),
    };
    let figure = match figure {
        "rtt" => Figure::Rtt(resolution(arguments)?),
        "rttvar" => Figure::RttVariance(resolution(arguments)?),
        "unacked" => Figure::Unacked,
        "sacked" => Figure::Sacked,
        "lost" => Figure::Lost,
        "retrans" => Figure::Retransmitted,
        "fackets" => Figure::Fackets,
        "reordering" => Figure::Reordering,
        _ => return Ok(None),
    };
    Ok(Some(SocketFetch::Measured(which, figure)))
}

fn resolution(arguments: &Arguments<'_>) -> Result<Resolution, Problem> {
    match arguments.word(0).map(Word::as_str) {
        None | Some("ms") => Ok(Resolution::Milliseconds),
        Some("us") => Ok(Resolution::Microseconds),
        Some(_) => Err(problem("unit expects 'ms' or 'us'", arguments.span())),
    }
}

/// A number, in decimal or after `0x`, or a name.
fn kind(arguments: &Arguments<'_>) -> Result<u8, Problem> {
    let text = arguments.word(0).map_or("", |word| word.as_str());
    if let Some((_, kind)) = TLV_NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)) {
        return Ok(*kind);
    }
    let number = match text.strip_prefix("0x") {
        Some(digits) => u8::from_str_radix(digits, 16),
        None => text.parse(),
    };
    number.map_err(|_| problem("TLV must be a number from 0 to 255 or a name", arguments.span()))
}
