//! The converters that read messages of other protocols, from their arguments.

use super::super::arguments::{Arguments, Problem, field_numbers, problem};
use super::super::names::Names;
use super::made::query;
use crate::config::files;
use crate::sample::Converter;
use crate::sample::convert::cipher::{Aes, Bits, Mode};
use crate::sample::convert::signature::PublicKey;
use crate::sample::convert::{Made, base64_decode, fix, forwarded, jwe, jwt, mqtt, packet, protobuf};
use crate::sample::variable::Name;
use shared_config::words::Word;

/// The largest file of a public key, in bytes.
const PEM_BYTES_MAX: u64 = 65_536;

/// The converter of that name; `None` where it is none of these, or does not work in this form.
pub(super) fn lower(name: &str, arguments: &Arguments<'_>) -> Result<Option<Made>, Problem> {
    Ok(Some(match name {
        "jwt_header_query" => Made::TokenPart(jwt::Part::Header, token_query(arguments)?),
        "jwt_payload_query" => Made::TokenPart(jwt::Part::Payload, token_query(arguments)?),
        "jwt_verify" | "jwt_verify_cert" => return verify_token(arguments),
        "mqtt_is_valid" => Made::MqttValid,
        "mqtt_field_value" => return mqtt_field(arguments),
        "fix_is_valid" => Made::FixValid,
        "fix_tag_value" => {
            let name = arguments.word(0).map_or("", |word| word.as_str());
            let unknown = || problem(format!("Unknown FIX tag name '{name}'"), arguments.span());
            Made::FixTag(fix::tag(name).ok_or_else(unknown)?)
        }
        "rfc7239_is_valid" => Made::ForwardedValid,
        "rfc7239_field" => {
            let unknown = || problem("expects 'proto', 'host', 'for' or 'by'", arguments.span());
            Made::ForwardedField(
                forwarded::Parameter::from_name(&arguments.bytes(0).unwrap_or_default()).ok_or_else(unknown)?,
            )
        }
        "rfc7239_n2nn" => Made::NodeName,
        "rfc7239_n2np" => Made::NodePort,
        "rfc7239_nn" => Made::WriteNodeName,
        "rfc7239_np" => Made::WriteNodePort,
        "protobuf" => Made::Protobuf(protobuf_field(arguments)?),
        "ungrpc" => Made::Ungrpc(protobuf_field(arguments)?),
        "base2" => Made::Bits,
        // A fourth parameter of CBC would be additional data, which the mode has no place for.
        "aes_cbc_dec" | "aes_cbc_enc" if arguments.word(3).is_some() => return Ok(None),
        "aes_gcm_dec" | "aes_gcm_enc" | "aes_cbc_dec" | "aes_cbc_enc" => aes(name, arguments)?,
        "date" => Made::ReadDate,
        name => return Ok(packet::Part::named(name, arguments.integer(0).unwrap_or(0)).map(Made::Packet)),
    }))
}

/// The arguments of `protobuf` and `ungrpc`.
fn protobuf_field(arguments: &Arguments<'_>) -> Result<protobuf::Field, Problem> {
    let kind = arguments.word(1).map(|word| {
        let unknown = || problem(format!("Wrong protocol buffer type '{}'.", word.text), word.span);
        protobuf::Kind::from_name(&word.text).ok_or_else(unknown)
    });
    let path = arguments.word(0).and_then(|word| field_numbers(&word.text)).unwrap_or_default();
    Ok(protobuf::Field { path, kind: kind.transpose()? })
}

fn token_query(arguments: &Arguments<'_>) -> Result<Option<jwt::Query>, Problem> {
    arguments.word(0).map(|word| query(&word.text, arguments)).transpose()
}

/// The algorithm or the key of `jwt_verify`: a variable where it is the name of one.
fn token_source(arguments: &Arguments<'_>, index: usize) -> jwt::Source {
    match arguments.word(index).and_then(|word| Name::parse(&word.text)) {
        Some(name) => jwt::Source::Variable(name),
        None => jwt::Source::Text(arguments.bytes(index).unwrap_or_default()),
    }
}

fn verify_token(arguments: &Arguments<'_>) -> Result<Option<Made>, Problem> {
    let algorithm = token_source(arguments, 0);
    if let jwt::Source::Text(name) = &algorithm
        && jwt::Signed::from_name(name).is_none()
    {
        let name = String::from_utf8_lossy(name);
        return Err(problem(format!("unknown JWT algorithm: {name}"), arguments.span()));
    }
    // As with haproxy, a file that is not there or holds no key is no mistake: no token verifies with it.
    let text = arguments.word(1).and_then(|word| files::read(word.as_str(), PEM_BYTES_MAX).ok());
    let public = text.and_then(|text| PublicKey::from_pem(&String::from_utf8_lossy(&text)));
    Ok(Some(Made::VerifyToken(jwt::Verifier { algorithm, key: token_source(arguments, 1), public })))
}

/// `jwt_decrypt_secret` and `jwt_decrypt_jwk`. A key that is none is no mistake: no token is decrypted with it.
pub(super) fn decrypt_token(arguments: &Arguments<'_>, written: jwe::Written, names: &Names) -> Converter {
    let decrypter = jwe::Decrypter::new(token_source(arguments, 0), written, names.tokens);
    Converter::Made(Made::DecryptToken(Box::new(decrypter)))
}

/// `jwt_decrypt_cert`: the key stands in the certificate's file, or in one of that name with `.key` behind it. It does not work
/// with a name in a variable, since files are read while the configuration is.
pub(super) fn decrypt_token_with_file(arguments: &Arguments<'_>, names: &Names) -> Result<Option<Converter>, Problem> {
    let Some(word) = arguments.word(0).filter(|word| Name::parse(&word.text).is_none()) else { return Ok(None) };
    let read = |name: &str| files::read(name, PEM_BYTES_MAX).map(|text| String::from_utf8_lossy(&text).into_owned());
    let unreadable = |why| match why {
        files::Problem::Open(reason) => problem(format!("unable to read '{}': {reason}", word.text), word.span),
        files::Problem::TooLong(size) => {
            problem(format!("'{}' is too large for a certificate ({size} bytes)", word.text), word.span)
        }
    };
    let text = read(word.as_str()).map_err(unreadable)?;
    let beside = || jwe::Key::from_pem(&read(&format!("{}.key", word.text)).ok()?);
    let Some(key) = jwe::Key::from_pem(&text).or_else(beside) else {
        let message = format!("no RSA private key in '{0}' or '{0}.key'", word.text);
        return Err(problem(message, word.span));
    };
    let decrypter = jwe::Decrypter::with(key, names.tokens);
    Ok(Some(Converter::Made(Made::DecryptToken(Box::new(decrypter)))))
}

/// `aes_gcm_dec` and its kin.
fn aes(name: &str, arguments: &Arguments<'_>) -> Result<Made, Problem> {
    let bits = arguments.integer(0).and_then(Bits::from_number);
    let bits = bits.ok_or_else(|| problem("key size must be 128, 192 or 256 (bits).", arguments.span()))?;
    for (index, what) in [(1, "nonce"), (2, "key"), (3, "aead_tag")] {
        let written = |word: &&Word| Name::parse(&word.text).is_none();
        if let Some(word) = arguments.word(index).filter(written)
            && base64_decode(word.text.as_bytes()).is_none()
        {
            let message = format!(
                "failed to parse {what} : argument needs to be base64 encoded, and can either be a string or a variable."
            );
            return Err(problem(message, word.span));
        }
    }
    let optional = |index: usize| arguments.word(index).map(|_| token_source(arguments, index));
    let (mode, additional) = match name {
        "aes_gcm_dec" => (Mode::GcmDecrypt(token_source(arguments, 3)), optional(4)),
        "aes_gcm_enc" => {
            let tag = arguments.word(3).and_then(|word| Name::parse(&word.text));
            let tag = tag.ok_or_else(|| problem("the tag must be put into a variable", arguments.span()))?;
            (Mode::GcmEncrypt(tag), optional(4))
        }
        "aes_cbc_dec" => (Mode::CbcDecrypt, None),
        _ => (Mode::CbcEncrypt, None),
    };
    let (nonce, key) = (token_source(arguments, 1), token_source(arguments, 2));
    Ok(Made::Aes(Box::new(Aes { bits, nonce, key, mode, additional })))
}

fn mqtt_field(arguments: &Arguments<'_>) -> Result<Option<Made>, Problem> {
    let word = |index| arguments.word(index).map_or("", |word| word.as_str());
    let (packet, name) = (word(0), word(1));
    if !mqtt::is_packet(packet) {
        return Err(problem(format!("Unknown MQTT type '{packet}'"), arguments.span()));
    }
    let field = mqtt::Packet::from_name(packet).and_then(|packet| Some(Made::MqttField(packet, packet.field(name)?)));
    let unknown = || format!("Unknown MQTT field name '{name}' for packet type '{packet}'");
    field.map(Some).ok_or_else(|| problem(unknown(), arguments.span()))
}
