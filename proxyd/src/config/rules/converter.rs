//! The converters that work: from the row of the table and its arguments to what is applied.

use super::arguments::{Arguments, Problem, problem};
use super::names::Names;
use super::regex;

mod made;
mod message;
use crate::sample::Converter;
use crate::sample::convert::{Arithmetic, Made, Operand, Replacement, jwe};
use crate::sample::prefix_map::Case;
use shared_config::haproxy::keyword::ConverterRow;

/// The converter of a row that works. `None` where it does not in this form.
pub(super) fn lower(
    row: &ConverterRow,
    arguments: &Arguments<'_>,
    names: &Names,
) -> Result<Option<Converter>, Problem> {
    let bytes = |index| arguments.bytes(index).unwrap_or_default();
    let integer = |index| arguments.integer(index);
    Ok(Some(match row.name {
        "lower" => Converter::Lower,
        "upper" => Converter::Upper,
        "length" => Converter::Length,
        "ipmask" => Converter::IpMask { v4: arguments.mask4(0).unwrap_or(u32::MAX), v6: arguments.mask6(1) },
        "field" | "word" => return part(row.name, arguments),
        "regsub" => return regsub(arguments),
        "bytes" => return bytes_part(arguments),
        "jwt_decrypt_secret" => message::decrypt_token(arguments, jwe::Written::Secret, names),
        "jwt_decrypt_jwk" => message::decrypt_token(arguments, jwe::Written::Jwk, names),
        "jwt_decrypt_cert" => return message::decrypt_token_with_file(arguments, names),
        "srv_is_up" => Converter::Made(Made::ServerUp),
        "ltrim" => Converter::TrimLeft(bytes(0)),
        "rtrim" => Converter::TrimRight(bytes(0)),
        "url_dec" => Converter::UrlDecode { form: integer(0).unwrap_or(0) != 0 },
        "hex" => Converter::Hex,
        "hex2i" => Converter::HexToInt,
        "base64" => Converter::Base64,
        "b64dec" => Converter::Base64Decode,
        "host_only" => Converter::HostOnly,
        "port_only" => Converter::PortOnly,
        "iif" => Converter::Iif(bytes(0), bytes(1)),
        "neg" => Converter::Negate,
        "cpl" => Converter::Complement,
        "bool" => Converter::Bool,
        "not" => Converter::Not,
        "odd" => Converter::Odd,
        "even" => Converter::Even,
        name => {
            if let Some(made) = made::lower(name, arguments)? {
                return Ok(Some(Converter::Made(made)));
            }
            return arithmetic(name, arguments);
        }
    }))
}

/// A calculation with a number or a variable.
fn arithmetic(name: &str, arguments: &Arguments<'_>) -> Result<Option<Converter>, Problem> {
    let operation = match name {
        "add" => Arithmetic::Add,
        "sub" => Arithmetic::Sub,
        "mul" => Arithmetic::Mul,
        "div" => Arithmetic::Div,
        "mod" => Arithmetic::Mod,
        "and" => Arithmetic::And,
        "or" => Arithmetic::Or,
        "xor" => Arithmetic::Xor,
        _ => return Ok(None),
    };
    let nothing = arguments.word(0).is_none();
    if let Some(number) = arguments.integer(0).or(nothing.then_some(0)) {
        return Ok(Some(Converter::Arithmetic(operation, Operand::Number(number))));
    }
    match arguments.word(0) {
        Some(word) if word.text.contains('.') => {
            let name = super::effect::variable_name(&word.text, word)?;
            Ok(Some(Converter::Arithmetic(operation, Operand::Variable(name))))
        }
        _ => Err(problem("expects an integer or a variable name", arguments.span())),
    }
}

fn part(name: &str, arguments: &Arguments<'_>) -> Result<Option<Converter>, Problem> {
    let index = arguments.integer(0).unwrap_or(0);
    if index == 0 {
        return Err(problem("the index must not be 0", arguments.span()));
    }
    let delimiters = arguments.bytes(1).unwrap_or_default();
    if delimiters.is_empty() {
        return Err(problem("Empty separators list", arguments.span()));
    }
    let count = arguments.integer_or_nothing(2).unwrap_or(1);
    Ok(Some(if name == "field" {
        Converter::Field { index, delimiters, count }
    } else {
        Converter::Word { index, delimiters, count }
    }))
}

fn bytes_part(arguments: &Arguments<'_>) -> Result<Option<Converter>, Problem> {
    let operand = |index: usize| -> Result<Option<Operand>, Problem> {
        if let Some(number) = arguments.integer_or_nothing(index) {
            return Ok(Some(Operand::Number(number)));
        }
        let Some(word) = arguments.word(index) else { return Ok(None) };
        match word.text.parse::<i64>() {
            Ok(number) => Ok(Some(Operand::Number(number))),
            // 3.x takes a variable here.
            Err(_) if word.text.contains('.') => {
                super::effect::variable_name(&word.text, word).map(Operand::Variable).map(Some)
            }
            Err(_) => Err(problem(format!("'{}' is not a number", word.text), word.span)),
        }
    };
    let Some(offset) = operand(0)?.filter(|_| arguments.word(0).is_some()) else {
        return Err(problem("expected type 'integer' at position 1, but got nothing", arguments.span()));
    };
    // Before the first byte there are none, and less than none are all that follow.
    let offset = if matches!(offset, Operand::Number(..0)) { Operand::Number(i64::MAX) } else { offset };
    let length = operand(1)?.filter(|length| !matches!(length, Operand::Number(..0)));
    Ok(Some(Converter::Bytes { offset, length }))
}

fn regsub(arguments: &Arguments<'_>) -> Result<Option<Converter>, Problem> {
    let flags = arguments.word(2).map_or("", |word| word.as_str());
    if let Some(flag) = flags.chars().find(|flag| !matches!(flag, 'g' | 'i')) {
        return Err(problem(format!("'{flag}' is not a flag, the flags are 'g' and 'i'"), arguments.span()));
    }
    let Some(source) = arguments.word(0) else { return Err(problem("missing regular expression", arguments.span())) };
    let case = if flags.contains('i') { Case::Ignored } else { Case::Exact };
    match regex::compile(&source.text, case) {
        Ok(regex) => Ok(Some(Converter::RegSub {
            regex,
            replacement: Replacement::new(&arguments.bytes(1).unwrap_or_default()),
            all: flags.contains('g'),
        })),
        Err(message) => Err(problem(message, source.span)),
    }
}
