//! The converters that read messages of other protocols, from their arguments.

use super::super::arguments::{Arguments, Problem, problem};
use super::made::query;
use crate::sample::convert::{Made, fix, forwarded, jwt, mqtt};
use crate::sample::variable::Name;

/// The converter of that name; `None` where it is none of these, or does not work in this form.
pub(super) fn lower(name: &str, arguments: &Arguments<'_>) -> Result<Option<Made>, Problem> {
    Ok(Some(match name {
        "jwt_header_query" => Made::TokenPart(jwt::Part::Header, token_query(arguments)?),
        "jwt_payload_query" => Made::TokenPart(jwt::Part::Payload, token_query(arguments)?),
        "jwt_verify" => return verify_token(arguments),
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
        "base2" => Made::Bits,
        _ => return Ok(None),
    }))
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

/// Signatures of certificates do not work yet.
fn verify_token(arguments: &Arguments<'_>) -> Result<Option<Made>, Problem> {
    let algorithm = token_source(arguments, 0);
    if let jwt::Source::Text(name) = &algorithm {
        match jwt::Signed::from_name(name) {
            Some(jwt::Signed::Not | jwt::Signed::Secret(_)) => {}
            Some(jwt::Signed::Certificate) => return Ok(None),
            Some(jwt::Signed::Unmanaged) => {
                return Err(problem("RSASSA-PSS JWS signing not managed yet", arguments.span()));
            }
            None => {
                let name = String::from_utf8_lossy(name);
                return Err(problem(format!("unknown JWT algorithm: {name}"), arguments.span()));
            }
        }
    }
    Ok(Some(Made::VerifyToken(algorithm, token_source(arguments, 1))))
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
