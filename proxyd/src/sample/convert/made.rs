//! Converters that make something new out of a sample, or need more than the sample.

use super::condition::{Debug, When};
use super::hash::{Algorithm, Hash};
use super::number::Grouping;
use super::table::{self, Wanted};
use super::time::Unit;
use super::{
    Replacement, base64_decode, encode, fix, forwarded, json, jwe, jwt, language, mqtt, packet, protobuf, text, time,
};
use crate::ids::TableId;
use crate::sample::context::Context;
use crate::sample::fetch::{Figure, Side};
use crate::sample::pattern_file::PatternFile;
use crate::sample::value::{Value, leading_int};
use crate::sample::variable::{Name, Target};
use std::borrow::Cow;
use std::sync::Arc;

/// What is made of a sample.
#[derive(Clone, Debug, PartialEq)]
pub enum Made {
    /// `concat`: a text, the value of a variable, a text.
    Concat(Box<[u8]>, Option<Name>, Box<[u8]>),
    /// `add_item`: as `concat`, but the first text only between two others.
    AddItem(Box<[u8]>, Option<Name>, Box<[u8]>),
    /// `strcmp`
    Compare(Name),
    /// `secure_memcmp`
    SameAs(Name),
    /// `crc32`, `djb2`, `xxh64` and so on; `true`: spread over all 32 bits.
    Hash(Hash, bool),
    /// `digest`, `sha1`, `sha2`
    Digest(Algorithm),
    /// `hmac`
    Authenticate(Algorithm, Key),
    /// `ub64enc`
    UrlBase64,
    /// `ub64dec`
    UrlBase64Decode,
    /// `reverse`
    Reverse,
    /// `reverse_dom`
    ReverseDomain,
    /// `param`
    Param(Box<[u8]>, Box<[u8]>),
    /// `url_enc`
    UrlEncode,
    /// `http_date`: seconds to add, and what is counted.
    HttpDate(i64, Unit),
    /// `utime`, `ltime` and their kin.
    Time {
        /// As for strftime(3).
        format: Box<[u8]>,
        /// Seconds to add.
        offset: i64,
        /// What is counted.
        unit: Unit,
        /// In local time.
        local: bool,
    },
    /// `json`
    Json(json::Input),
    /// `json_query`; `true`: the value is made an integer.
    JsonQuery(Box<[json::Step]>, bool),
    /// `jwt_header_query`, `jwt_payload_query`
    TokenPart(jwt::Part, Option<jwt::Query>),
    /// `jwt_verify`: the algorithm, the key.
    VerifyToken(jwt::Verifier),
    /// `jwt_decrypt_secret`, `jwt_decrypt_jwk`, `jwt_decrypt_cert`
    DecryptToken(Box<jwe::Decrypter>),
    /// `aes_gcm_dec` and its kin.
    Aes(Box<super::cipher::Aes>),
    /// `date`: the number of seconds that an HTTP date means.
    ReadDate,
    /// `mqtt_is_valid`
    MqttValid,
    /// `mqtt_field_value`
    MqttField(mqtt::Packet, mqtt::Field),
    /// `fix_is_valid`
    FixValid,
    /// `fix_tag_value`
    FixTag(u32),
    /// `rfc7239_is_valid`
    ForwardedValid,
    /// `rfc7239_field`
    ForwardedField(forwarded::Parameter),
    /// `rfc7239_n2nn`
    NodeName,
    /// `rfc7239_n2np`
    NodePort,
    /// `rfc7239_nn`
    WriteNodeName,
    /// `rfc7239_np`
    WriteNodePort,
    /// `eth.…`, `ip.…`, `tcp.…`
    Packet(packet::Part),
    /// `protobuf`
    Protobuf(protobuf::Field),
    /// `ungrpc`
    Ungrpc(protobuf::Field),
    /// `when`
    When(Box<When>),
    /// `debug`
    Debug(Box<Debug>),
    /// `base2`
    Bits,
    /// `language`: those wanted, and what it is without any of them.
    Language(Box<[Box<[u8]>]>, Option<Box<[u8]>>),
    /// `htonl`
    NetworkOrder,
    /// `be2dec`, `be2hex`, `le2dec`
    Groups(Grouping),
    /// `set-var`
    SetVariable(Target),
    /// `unset-var`
    UnsetVariable(Name),
    /// `has_ctl`
    HasControl,
    /// `cut_crlf`
    CutLine,
    /// `capture-req`, `capture-res`
    Capture(Side, usize),
    /// `nbsrv`: of the backend of that name.
    ServersUp,
    /// `srv_queue`, of `backend/server`.
    ServerQueue,
    /// `srv_is_up`, of `backend/server`.
    ServerUp,
    /// `fe_exists`
    FrontendExists,
    /// `map` and its kin.
    Map {
        /// Where it is looked up.
        file: Arc<PatternFile>,
        /// How.
        number: usize,
        /// What comes of it.
        output: Output,
        /// What comes where nothing is found.
        default: Option<Value<'static>>,
    },
    /// `in_table`, `table_…`
    Table(TableId, Wanted),
}

/// What a map gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// The value.
    Text,
    /// The value, as a number.
    Int,
    /// The value, as an address.
    Ip,
    /// The key that was found.
    Key,
    /// The value, with what the key's expression took in place of `\\1` and so on.
    Groups,
}

/// What a map gives for a sample.
fn looked_up(file: &PatternFile, number: usize, output: Output, sample: &Value<'_>) -> Option<Value<'static>> {
    Some(match output {
        Output::Text => Value::Str(Cow::Owned(file.value(number, sample)?)),
        Output::Int => Value::Int(leading_int(&file.value(number, sample)?)),
        Output::Ip => Value::Ip(std::str::from_utf8(&file.value(number, sample)?).ok()?.parse().ok()?),
        Output::Key => Value::Str(Cow::Owned(file.key(number, sample)?)),
        Output::Groups => {
            let text = sample.matched();
            let (value, regex) = file.regex_value(number, &text)?;
            let mut out = Vec::new();
            Replacement::new(&value).write(&text, &regex.groups(&text, 0)?, &mut out);
            Value::Str(Cow::Owned(out))
        }
    })
}

/// The key of a message authentication code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// As written, decoded.
    Bytes(Box<[u8]>),
    /// In base64, in the variable of that name.
    Variable(Name),
}

impl Key {
    fn bytes(&self, context: &Context<'_>) -> Option<Cow<'_, [u8]>> {
        match self {
            Self::Bytes(bytes) => Some(Cow::Borrowed(bytes)),
            Self::Variable(name) => base64_decode(&context.stream.variable(name)?.into_text()).map(Cow::Owned),
        }
    }
}

impl Made {
    /// The sample afterwards; nothing where the sample does not fit the converter.
    #[expect(clippy::too_many_lines, reason = "one arm per converter")]
    pub(super) fn apply<'a>(&'a self, context: &Context<'_>, value: Value<'a>) -> Option<Value<'a>> {
        let stream = context.stream;
        let made = |text: Vec<u8>| Value::Str(Cow::Owned(text));
        Some(match self {
            Self::Table(id, wanted) => table::apply(context, *id, *wanted, &value)?,
            Self::Concat(..) | Self::AddItem(..) => made(self.joined(context, value.into_text().into_owned())),
            Self::Compare(name) => {
                let other = stream.variable(name)?.into_text();
                Value::Int(text::order(&value.into_text(), &other))
            }
            Self::SameAs(name) => {
                let other = stream.variable(name)?.into_bytes();
                Value::Bool(crate::proxy::userlist::same(&value.into_bytes(), &other))
            }
            Self::Hash(hash, avalanche) => Value::Int(hash.number(&value.into_bytes(), *avalanche)),
            Self::Digest(algorithm) => Value::Bin(Cow::Owned(algorithm.digest(&value.into_bytes())?)),
            Self::Authenticate(algorithm, key) => {
                Value::Bin(Cow::Owned(algorithm.authenticate(&key.bytes(context)?, &value.into_bytes())?))
            }
            Self::UrlBase64 => made(encode::url_base64(&value.into_bytes())),
            Self::UrlBase64Decode => Value::Bin(Cow::Owned(encode::url_base64_decode(&value.into_text())?)),
            Self::Reverse => made(value.into_text().iter().rev().copied().collect()),
            Self::ReverseDomain => made(text::reversed_domain(&value.into_text())),
            Self::Param(name, delimiters) => {
                Value::Str(text::part(value.into_text(), |text| text::parameter(text, name, delimiters))?)
            }
            Self::UrlEncode => made(encode::url_encode(&value.into_text())),
            Self::HttpDate(offset, unit) => {
                let (seconds, fraction) = unit.split(value.to_int()?);
                made(time::http_date(seconds.saturating_add(*offset), fraction, *unit).into_bytes())
            }
            Self::Time { format, offset, unit, local } => {
                let (seconds, fraction) = unit.split(value.to_int()?);
                let seconds = seconds.saturating_add(*offset);
                let utc_offset = if *local { stream.live.utc_offset(seconds) } else { 0 };
                made(time::format(format, seconds, utc_offset, fraction, *unit))
            }
            Self::Json(input) => made(json::escape(&value.into_text(), *input)?),
            Self::JsonQuery(path, integer) => json::query(&value.into_text(), path, *integer)?,
            Self::TokenPart(part, query) => jwt::query(&value.into_text(), *part, query.as_ref())?,
            Self::DecryptToken(decrypter) => Value::Bin(Cow::Owned(decrypter.decrypt(context, &value.into_bytes())?)),
            Self::VerifyToken(verifier) => Value::Int(verifier.verify(context, &value.into_text())?),
            Self::Aes(aes) => aes.apply(context, &value.into_bytes())?,
            Self::ReadDate => Value::Int(time::read_http_date(&value.into_text())?),
            Self::MqttValid => Value::Bool(mqtt::is_valid(&value.into_bytes())?),
            Self::MqttField(packet, field) => mqtt::field_value(&value.into_bytes(), *packet, *field)?,
            Self::FixValid => Value::Bool(fix::is_valid(&value.into_bytes())?),
            Self::FixTag(tag) => Value::Bin(text::part(value.into_bytes(), |message| fix::value(message, *tag))?),
            Self::ForwardedValid => Value::Bool(forwarded::is_valid(&value.into_text())),
            Self::ForwardedField(parameter) => forwarded::field(&value.into_text(), *parameter)?,
            Self::NodeName => forwarded::node_name(&value.into_text())?,
            Self::NodePort => forwarded::node_port(&value.into_text())?,
            Self::WriteNodeName => made(forwarded::write_name(&value)?),
            Self::WriteNodePort => made(forwarded::write_port(&value)?),
            Self::Packet(part) => part.of(value.into_bytes())?,
            Self::Protobuf(field) => field.of(value.into_bytes())?,
            Self::Ungrpc(field) => field.of_frames(value.into_bytes())?,
            Self::When(when) => when.holds(context).then_some(value)?,
            Self::Debug(debug) => {
                debug.show(context, &value);
                value
            }
            Self::Bits => made(value.into_bytes().iter().flat_map(|byte| format!("{byte:08b}").into_bytes()).collect()),
            Self::Language(wanted, default) => {
                let text = value.into_text();
                match (language::best(&text, wanted), default) {
                    (Some(best), _) => Value::text(best),
                    (None, Some(default)) => Value::text(default),
                    (None, None) => return None,
                }
            }
            Self::NetworkOrder => {
                let [_, _, _, _, low @ ..] = value.to_int()?.to_be_bytes();
                Value::Bin(Cow::Owned(low.to_vec()))
            }
            Self::Groups(grouping) => made(grouping.write(&value.into_bytes())),
            Self::SetVariable(target) => {
                // A condition that does not hold leaves no sample either.
                stream.set_variable_if(target, value.clone().into_owned()).then_some(value)?
            }
            Self::UnsetVariable(name) => {
                stream.unset_variable(name);
                value
            }
            Self::HasControl => Value::Bool(value.into_bytes().iter().any(|byte| *byte < 32 || *byte == 127)),
            Self::CutLine => Value::Str(text::part(value.into_text(), |text| {
                Some(0..text.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(text.len()))
            })?),
            Self::Capture(side, slot) => {
                let transaction = stream.transaction?;
                let list = match side {
                    Side::Request => &transaction.captured_request,
                    Side::Response => &transaction.captured_response,
                };
                let text = value.into_text();
                list.borrow_mut().get_mut(*slot)?.keep(&text);
                Value::Str(text)
            }
            Self::ServersUp => {
                let backend = stream.live.backend_named(&value.into_text())?;
                Value::count(stream.live.servers_up(backend))
            }
            Self::ServerQueue => {
                let (backend, server) = stream.live.server_named(&value.into_text())?;
                Value::Int(stream.live.figure(Figure::ServerQueue(backend, server), stream)?)
            }
            Self::ServerUp => {
                let (backend, server) = stream.live.server_named(&value.into_text())?;
                Value::Bool(stream.live.server_up(backend, server))
            }
            Self::Map { file, number, output, default } => {
                // What cannot be looked up has no default either.
                file.takes(*number, &value).then_some(())?;
                looked_up(file, *number, *output, &value).or_else(|| default.clone())?
            }
            Self::FrontendExists => Value::Bool(stream.live.has_frontend(&value.into_text())),
        })
    }

    /// `concat` and `add_item`.
    fn joined(&self, context: &Context<'_>, mut text: Vec<u8>) -> Vec<u8> {
        let (Self::Concat(before, name, after) | Self::AddItem(before, name, after)) = self else { return text };
        let value = name.as_ref().and_then(|name| context.stream.variable(name)).map(Value::into_text);
        let between = match self {
            Self::AddItem(..) => !text.is_empty() && (value.is_some() || !after.is_empty()),
            _ => true,
        };
        if between {
            text.extend_from_slice(before);
        }
        text.extend_from_slice(value.as_deref().unwrap_or_default());
        text.extend_from_slice(after);
        text
    }
}
