//! The converters that make something new, from their arguments.

use super::super::arguments::{Arguments, Problem, problem};
use super::super::effect::{condition, variable_name};
use super::message;
use crate::balance::hash::Function;
use crate::sample::convert::hash::{Algorithm, Hash};
use crate::sample::convert::number::{Form, Grouping};
use crate::sample::convert::time::Unit;
use crate::sample::convert::{Key, Made, base64_decode};
use crate::sample::convert::{json, jwt};
use crate::sample::fetch::Side;
use crate::sample::variable::{Name, Target};
use shared_config::words::Word;

/// The converter of that name; `None` where it is none of these, or does not work in this form.
pub(super) fn lower(name: &str, arguments: &Arguments<'_>) -> Result<Option<Made>, Problem> {
    let bytes = |index| arguments.bytes(index).unwrap_or_default();
    let integer = |index| arguments.integer(index);
    Ok(Some(match name {
        "concat" => Made::Concat(bytes(0), optional_variable(arguments, 1)?, bytes(2)),
        "add_item" => Made::AddItem(bytes(0), optional_variable(arguments, 1)?, bytes(2)),
        "strcmp" => Made::Compare(variable(arguments, 0)?),
        "secure_memcmp" => Made::SameAs(variable(arguments, 0)?),
        "sha1" => Made::Digest(Algorithm::Sha1),
        "sha2" => Made::Digest(sha2(arguments)?),
        "digest" => Made::Digest(algorithm(arguments)?),
        "hmac" => Made::Authenticate(algorithm(arguments)?, key(arguments)?),
        "ub64enc" => Made::UrlBase64,
        "ub64dec" => Made::UrlBase64Decode,
        "reverse" => Made::Reverse,
        "reverse_dom" => Made::ReverseDomain,
        "param" => {
            let delimiters = arguments.bytes(1).filter(|bytes| !bytes.is_empty());
            Made::Param(bytes(0), delimiters.unwrap_or_else(|| b"&".as_slice().into()))
        }
        "url_enc" => match arguments.word(0).map_or("query", |word| word.as_str()) {
            "query" => Made::UrlEncode,
            _ => return Err(problem("Unexpected encode type. Allowed value is 'query'", arguments.span())),
        },
        "http_date" => Made::HttpDate(integer(0).unwrap_or(0), unit(arguments)?),
        "utime" | "ltime" | "ms_utime" | "ms_ltime" | "us_utime" | "us_ltime" => Made::Time {
            format: bytes(0),
            offset: integer(1).unwrap_or(0),
            unit: match name.split_once('_') {
                Some(("ms", _)) => Unit::Milliseconds,
                Some(("us", _)) => Unit::Microseconds,
                _ => Unit::Seconds,
            },
            local: name.ends_with("ltime"),
        },
        "json" => match arguments.word(0).map_or("", |word| word.as_str()) {
            "" | "ascii" => Made::Json(json::Input::Ascii),
            "utf8" | "utf8p" => Made::Json(json::Input::Utf8),
            "utf8s" | "utf8ps" => Made::Json(json::Input::Utf8Skip),
            _ => {
                let message = "unexpected input code type. Allowed value are 'ascii', 'utf8', 'utf8s', 'utf8p' and \
                               'utf8ps'";
                return Err(problem(message, arguments.span()));
            }
        },
        "json_query" => json_query(arguments)?,
        "language" => {
            let list = bytes(0);
            Made::Language(list.split(|&byte| byte == b';').map(Into::into).collect(), arguments.bytes(1))
        }
        "htonl" => Made::NetworkOrder,
        "be2dec" => grouping(arguments, Form::BigDecimal)?,
        "le2dec" => grouping(arguments, Form::LittleDecimal)?,
        "be2hex" => grouping(arguments, Form::Hexadecimal)?,
        "set-var" => Made::SetVariable(target(arguments)?),
        "unset-var" => Made::UnsetVariable(variable(arguments, 0)?),
        "has_ctl" => Made::HasControl,
        "cut_crlf" => Made::CutLine,
        "capture-req" => Made::Capture(Side::Request, slot(arguments)?),
        "capture-res" => Made::Capture(Side::Response, slot(arguments)?),
        "nbsrv" => Made::ServersUp,
        "srv_queue" => Made::ServerQueue,
        "fe_exists" => Made::FrontendExists,
        name => match message::lower(name, arguments)? {
            Some(made) => made,
            None => return Ok(hash(name, arguments)),
        },
    }))
}

fn hash(name: &str, arguments: &Arguments<'_>) -> Option<Made> {
    let number = arguments.integer(0).unwrap_or(0);
    let function = match name {
        "crc32" => Function::Crc32,
        "djb2" => Function::Djb2,
        "sdbm" => Function::Sdbm,
        "wt6" => Function::Wt6,
        "crc32c" => return Some(Made::Hash(Hash::Crc32c, number != 0)),
        "xxh32" => return Some(Made::Hash(Hash::Xxh32((number & 0xffff_ffff).try_into().unwrap_or(0)), false)),
        "xxh64" => return Some(Made::Hash(Hash::Xxh64(number.cast_unsigned()), false)),
        "xxh3" => return Some(Made::Hash(Hash::Xxh3(number.cast_unsigned()), false)),
        _ => return None,
    };
    Some(Made::Hash(Hash::Balance(function), number != 0))
}

fn variable(arguments: &Arguments<'_>, index: usize) -> Result<Name, Problem> {
    match arguments.word(index) {
        Some(word) => variable_name(&word.text, word),
        None => Err(problem("missing variable name", arguments.span())),
    }
}

/// The variable of `set-var`, and its conditions.
fn target(arguments: &Arguments<'_>) -> Result<Target, Problem> {
    let conditions = (1..).map_while(|index| arguments.word(index)).map(|word| condition(&word.text, word));
    Ok(Target { name: variable(arguments, 0)?, conditions: conditions.collect::<Result<_, _>>()? })
}

fn optional_variable(arguments: &Arguments<'_>, index: usize) -> Result<Option<Name>, Problem> {
    arguments.word(index).map(|word| variable_name(&word.text, word)).transpose()
}

fn slot(arguments: &Arguments<'_>) -> Result<usize, Problem> {
    let slot = arguments.integer(0).and_then(|slot| usize::try_from(slot).ok());
    slot.ok_or_else(|| problem("expects a number from 0 on", arguments.span()))
}

fn sha2(arguments: &Arguments<'_>) -> Result<Algorithm, Problem> {
    Ok(match arguments.integer(0).unwrap_or(256) {
        224 => Algorithm::Sha224,
        256 => Algorithm::Sha256,
        384 => Algorithm::Sha384,
        512 => Algorithm::Sha512,
        other => return Err(problem(format!("Unsupported number of bits: {other}"), arguments.span())),
    })
}

fn algorithm(arguments: &Arguments<'_>) -> Result<Algorithm, Problem> {
    let name = arguments.word(0).map_or("", |word| word.as_str());
    let unknown = || problem("algorithm must be a valid OpenSSL message digest name.", arguments.span());
    Algorithm::from_name(name).ok_or_else(unknown)
}

fn key(arguments: &Arguments<'_>) -> Result<Key, Problem> {
    let Some(word) = arguments.word(1) else { return Err(problem("missing key", arguments.span())) };
    if let Some(name) = Name::parse(&word.text) {
        return Ok(Key::Variable(name));
    }
    match base64_decode(word.text.as_bytes()) {
        Some(key) => Ok(Key::Bytes(key.into())),
        None => Err(problem("failed to parse the key", word.span)),
    }
}

fn unit(arguments: &Arguments<'_>) -> Result<Unit, Problem> {
    let Some(word) = arguments.word(1) else { return Ok(Unit::Seconds) };
    Unit::from_name(&word.text)
        .ok_or_else(|| problem("expects 's', 'ms' or 'us' as unit of the time".to_owned(), word.span))
}

fn json_query(arguments: &Arguments<'_>) -> Result<Made, Problem> {
    let path = arguments.word(0).map_or("", |word| word.as_str());
    if path.is_empty() {
        return Err(problem("json_path must not be empty", arguments.span()));
    }
    let (steps, integer) = query(path, arguments)?;
    Ok(Made::JsonQuery(steps, integer))
}

/// A path, and whether the value is made an integer.
pub(super) fn query(path: &str, arguments: &Arguments<'_>) -> Result<jwt::Query, Problem> {
    let steps = json::path(path).unwrap_or_else(|| vec![json::Step::Nowhere]);
    let integer = match arguments.word(1).map(Word::as_str) {
        None => false,
        Some("int") => true,
        Some(_) => return Err(problem("output_type only supports \"int\" as argument", arguments.span())),
    };
    Ok((steps.into(), integer))
}

fn grouping(arguments: &Arguments<'_>, form: Form) -> Result<Made, Problem> {
    let size = arguments.integer(1).unwrap_or(0);
    let size = match (form, usize::try_from(size)) {
        // Without a separator it does not matter where one would stand.
        (Form::Hexadecimal, _) if arguments.word(0).is_none() => 1,
        (Form::Hexadecimal, Ok(size @ 1..)) | (_, Ok(size @ 1..=8)) => size,
        (Form::Hexadecimal, _) => {
            return Err(problem(format!("chunk_size needs to be positive ({size})"), arguments.span()));
        }
        _ => return Err(problem(format!("chunk_size out of [1..8] range ({size})"), arguments.span())),
    };
    Ok(Made::Groups(Grouping {
        separator: arguments.bytes(0).unwrap_or_default(),
        size,
        truncate: arguments.integer(2).unwrap_or(0) != 0,
        form,
    }))
}
