//! MQTT: the first packet of a client and of a server, CONNECT and CONNACK of versions 3.1, 3.1.1 and 5.0 (OASIS MQTT 3.1.1 and
//! 5.0, sections 3.1 and 3.2). What haproxy accepts beyond the specification is accepted here: a quality of service
//! without a will, any return code.

use super::super::value::Value;
use std::borrow::Cow;

/// The packets that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet {
    /// A client's first packet.
    Connect,
    /// A server's first packet.
    Connack,
}

/// A field of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// `flags`
    Flags,
    /// `protocol_name`
    ProtocolName,
    /// `protocol_version`
    ProtocolVersion,
    /// `client_identifier`
    ClientIdentifier,
    /// `will_topic`
    WillTopic,
    /// `will_payload`
    WillPayload,
    /// `username`
    Username,
    /// `password`
    Password,
    /// `keepalive`
    Keepalive,
    /// `reason_code`
    ReasonCode,
    /// A property of version 5, by its number.
    Property(u8),
}

impl Packet {
    /// From its name, in any case, or its number.
    pub fn from_name(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "connect" | "1" => Some(Self::Connect),
            "connack" | "2" => Some(Self::Connack),
            _ => None,
        }
    }

    /// A field that this packet may have, from its name or its number.
    pub fn field(self, name: &str) -> Option<Field> {
        if let Ok(number) = name.parse::<u8>() {
            let known = match self {
                Self::Connect => kind(Place::Connect, number).or_else(|| kind(Place::Will, number)),
                Self::Connack => kind(Place::Connack, number),
            };
            return known.map(|_| Field::Property(number));
        }
        Some(match (self, name.to_ascii_lowercase().as_str()) {
            (_, "flags") => Field::Flags,
            (_, "protocol_version") => Field::ProtocolVersion,
            (Self::Connect, "protocol_name") => Field::ProtocolName,
            (Self::Connect, "client_identifier") => Field::ClientIdentifier,
            (Self::Connect, "will_topic") => Field::WillTopic,
            (Self::Connect, "will_payload") => Field::WillPayload,
            (Self::Connect, "username") => Field::Username,
            (Self::Connect, "password") => Field::Password,
            (Self::Connect, "keepalive") => Field::Keepalive,
            (Self::Connack, "reason_code") => Field::ReasonCode,
            _ => return None,
        })
    }
}

/// Whether a number names a packet of MQTT at all.
pub fn is_packet(name: &str) -> bool {
    const NAMES: [&str; 15] = [
        "connect",
        "connack",
        "publish",
        "puback",
        "pubrec",
        "pubrel",
        "pubcomp",
        "subscribe",
        "suback",
        "unsubscribe",
        "unsuback",
        "pingreq",
        "pingresp",
        "disconnect",
        "auth",
    ];
    let by_number = name.parse::<usize>().is_ok_and(|number| (1..=NAMES.len()).contains(&number));
    by_number || NAMES.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// Where properties stand; what may stand there differs.
#[derive(Clone, Copy)]
enum Place {
    Connect,
    Will,
    Connack,
}

/// How a property is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// 0 or 1.
    Flag,
    Short,
    ShortNotZero,
    Long,
    LongNotZero,
    Text,
    TextNotEmpty,
    /// Two texts. It may come more than once.
    Pair,
}

/// MQTT 5.0, table 2-4.
fn kind(place: Place, number: u8) -> Option<Kind> {
    Some(match (place, number) {
        (Place::Will, 1) | (Place::Connect, 23 | 25) | (Place::Connack, 36 | 37 | 40 | 41 | 42) => Kind::Flag,
        (Place::Will, 2 | 24) | (Place::Connect | Place::Connack, 17) => Kind::Long,
        (Place::Will, 3 | 8 | 9) | (Place::Connect, 21 | 22) | (Place::Connack, 21 | 22 | 26 | 28 | 31) => Kind::Text,
        (Place::Connack, 18) => Kind::TextNotEmpty,
        (Place::Connack, 19) | (Place::Connect | Place::Connack, 34) => Kind::Short,
        (Place::Connect | Place::Connack, 33) => Kind::ShortNotZero,
        (Place::Connect | Place::Connack, 39) => Kind::LongNotZero,
        (_, 38) => Kind::Pair,
        _ => return None,
    })
}

/// Why there is no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    /// More bytes may make it one.
    Incomplete,
    Invalid,
}

/// A number or a text.
#[derive(Clone, Copy)]
enum Item<'m> {
    Number(u32),
    Text(&'m [u8]),
}

type Properties<'m> = Vec<(u8, Item<'m>)>;

/// What stands in a packet; what it does not have is zero or empty.
#[derive(Default)]
struct Message<'m> {
    flags: u8,
    version: u8,
    name: &'m [u8],
    reason: u8,
    keepalive: u16,
    identifier: &'m [u8],
    has_will: bool,
    will_topic: &'m [u8],
    will_payload: &'m [u8],
    username: &'m [u8],
    password: &'m [u8],
    properties: Properties<'m>,
    will_properties: Properties<'m>,
}

/// Bytes not yet read. Where they are too few, the packet is invalid: its length was known before.
struct Rest<'m>(&'m [u8]);

impl<'m> Rest<'m> {
    fn bytes(&mut self, count: usize) -> Result<&'m [u8], Flaw> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Flaw::Invalid)?;
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self, bytes: usize) -> Result<u32, Flaw> {
        Ok(self.bytes(bytes)?.iter().fold(0, |number, &byte| number << 8 | u32::from(byte)))
    }

    fn byte(&mut self) -> Result<u8, Flaw> {
        Ok(self.bytes(1)?.first().copied().unwrap_or_default())
    }

    fn short(&mut self) -> Result<u16, Flaw> {
        Ok(u16::try_from(self.number(2)?).unwrap_or_default())
    }

    fn text(&mut self) -> Result<&'m [u8], Flaw> {
        let length = self.short()?;
        self.bytes(length.into())
    }

    /// A length in up to four groups of seven bits, the lowest first.
    fn length(&mut self) -> Result<usize, Flaw> {
        let mut length = 0;
        for shift in [0, 7, 14, 21] {
            let byte = self.byte()?;
            length |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(length);
            }
        }
        Err(Flaw::Invalid)
    }

    fn properties(&mut self, place: Place) -> Result<Properties<'m>, Flaw> {
        let length = self.length()?;
        let mut rest = Self(self.bytes(length)?);
        let mut found = Properties::new();
        while !rest.0.is_empty() {
            let number = rest.byte()?;
            let kind = kind(place, number).ok_or(Flaw::Invalid)?;
            let item = match kind {
                Kind::Flag => Item::Number(rest.number(1)?),
                Kind::Short | Kind::ShortNotZero => Item::Number(rest.number(2)?),
                Kind::Long | Kind::LongNotZero => Item::Number(rest.number(4)?),
                Kind::Text | Kind::TextNotEmpty => Item::Text(rest.text()?),
                Kind::Pair => {
                    rest.text()?;
                    rest.text()?;
                    continue;
                }
            };
            let bad = match (kind, item) {
                (Kind::Flag, Item::Number(value)) => value > 1,
                (Kind::ShortNotZero | Kind::LongNotZero, Item::Number(value)) => value == 0,
                (Kind::TextNotEmpty, Item::Text(text)) => text.is_empty(),
                _ => false,
            };
            if bad || found.iter().any(|(known, _)| *known == number) {
                return Err(Flaw::Invalid);
            }
            found.push((number, item));
        }
        Ok(found)
    }
}

const WILL: u8 = 0x04;
const WILL_QOS: u8 = 0x18;
const PASSWORD: u8 = 0x40;
const USERNAME: u8 = 0x80;

fn read(bytes: &[u8]) -> Result<(Packet, Message<'_>), Flaw> {
    let mut rest = Rest(bytes);
    let first = rest.byte().map_err(|_| Flaw::Incomplete)?;
    if rest.0.is_empty() {
        return Err(Flaw::Incomplete);
    }
    let packet = match first {
        0x10 => Packet::Connect,
        0x20 => Packet::Connack,
        _ => return Err(Flaw::Invalid),
    };
    let length = rest.length()?;
    let mut body = Rest(rest.bytes(length).map_err(|_| Flaw::Incomplete)?);
    let message = match packet {
        Packet::Connect => connect(&mut body)?,
        Packet::Connack => connack(&mut body)?,
    };
    if body.0.is_empty() { Ok((packet, message)) } else { Err(Flaw::Invalid) }
}

fn connect<'m>(body: &mut Rest<'m>) -> Result<Message<'m>, Flaw> {
    let mut message = Message { name: body.text()?, ..Message::default() };
    message.version = body.byte()?;
    message.flags = body.byte()?;
    let known = matches!(message.name, b"MQTT" | b"MQIsdp") && (3..=5).contains(&message.version);
    let reserved = message.flags & 1 != 0;
    message.has_will = message.flags & WILL != 0;
    let no_qos = !message.has_will && message.flags & WILL_QOS == WILL_QOS;
    if !known || reserved || no_qos {
        return Err(Flaw::Invalid);
    }
    message.keepalive = body.short()?;
    if message.version == 5 {
        message.properties = body.properties(Place::Connect)?;
        let text = |wanted| matches!(property(&message.properties, wanted), Some(Item::Text(text)) if !text.is_empty());
        if text(AUTHENTICATION_DATA) && !text(AUTHENTICATION_METHOD) {
            return Err(Flaw::Invalid);
        }
    }
    message.identifier = body.text()?;
    if message.has_will {
        if message.version == 5 {
            message.will_properties = body.properties(Place::Will)?;
        }
        message.will_topic = body.text()?;
        message.will_payload = body.text()?;
    }
    if message.flags & USERNAME != 0 {
        message.username = body.text()?;
    }
    if message.flags & PASSWORD != 0 {
        message.password = body.text()?;
    }
    Ok(message)
}

const AUTHENTICATION_METHOD: u8 = 21;
const AUTHENTICATION_DATA: u8 = 22;

fn connack<'m>(body: &mut Rest<'m>) -> Result<Message<'m>, Flaw> {
    let mut message = Message { flags: body.byte()?, ..Message::default() };
    message.reason = body.byte()?;
    // Only version 5 has something behind the code.
    message.version = if body.0.is_empty() { 4 } else { 5 };
    if message.flags > 1 {
        return Err(Flaw::Invalid);
    }
    if message.version == 5 {
        message.properties = body.properties(Place::Connack)?;
    }
    Ok(message)
}

fn property<'m>(properties: &Properties<'m>, wanted: u8) -> Option<Item<'m>> {
    properties.iter().find(|(number, _)| *number == wanted).map(|(_, item)| *item)
}

impl<'m> Message<'m> {
    /// A field; a number that a packet of version 5 leaves out is 0, a text that is not there or empty is none.
    fn field(&self, packet: Packet, field: Field) -> Option<Item<'m>> {
        let number = |number: u8| Some(Item::Number(number.into()));
        let text = |text: &'m [u8]| Some(Item::Text(text)).filter(|_| !text.is_empty());
        match field {
            Field::Flags => number(self.flags),
            Field::ProtocolVersion => number(self.version),
            Field::ReasonCode => number(self.reason),
            Field::Keepalive => Some(Item::Number(self.keepalive.into())),
            Field::ProtocolName => text(self.name),
            Field::ClientIdentifier => text(self.identifier),
            Field::WillTopic => text(self.will_topic),
            Field::WillPayload => text(self.will_payload),
            Field::Username => text(self.username),
            Field::Password => text(self.password),
            Field::Property(wanted) => {
                let (place, properties) = match packet {
                    Packet::Connack => (Place::Connack, &self.properties),
                    Packet::Connect if kind(Place::Connect, wanted).is_some() => (Place::Connect, &self.properties),
                    Packet::Connect if self.has_will => (Place::Will, &self.will_properties),
                    Packet::Connect => return None,
                };
                if self.version != 5 {
                    return None;
                }
                match (property(properties, wanted), kind(place, wanted)?) {
                    (Some(Item::Text(found)), _) => text(found),
                    (Some(found), _) => Some(found),
                    (None, Kind::Text | Kind::TextNotEmpty | Kind::Pair) => None,
                    (None, Kind::Flag | Kind::Short | Kind::ShortNotZero | Kind::Long | Kind::LongNotZero) => number(0),
                }
            }
        }
    }
}

/// `mqtt_is_valid`; nothing where the packet is not complete.
pub(super) fn is_valid(bytes: &[u8]) -> Option<bool> {
    match read(bytes) {
        Ok(_) => Some(true),
        Err(Flaw::Invalid) => Some(false),
        Err(Flaw::Incomplete) => None,
    }
}

/// `mqtt_field_value`
pub(super) fn field_value(bytes: &[u8], packet: Packet, field: Field) -> Option<Value<'static>> {
    let (_, message) = read(bytes).ok().filter(|(found, _)| *found == packet)?;
    Some(match message.field(packet, field)? {
        Item::Number(number) => Value::Int(number.into()),
        Item::Text(text) => Value::Str(Cow::Owned(text.to_vec())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// CONNECT of version 5 with a property and a will with one.
    const CONNECT: &[u8] =
        b"\x10\x21\x00\x04MQTT\x05\x06\x00\x3c\x05\x11\x00\x00\x00\x0a\x00\x02id\x02\x01\x01\x00\x03w/t\x00\x03bye";

    #[test]
    fn a_packet_that_is_cut_is_not_complete() {
        assert_eq!(is_valid(CONNECT), Some(true));
        for length in 2..CONNECT.len() {
            assert_eq!(is_valid(&CONNECT[..length]), None, "{length}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_odd(start in prop::sample::select(vec![b"".as_slice(), b"\x10", b"\x20", CONNECT]), bytes: Vec<u8>) {
            let bytes = [start, &bytes].concat();
            let value = field_value(&bytes, Packet::Connect, Field::Property(AUTHENTICATION_DATA));
            prop_assert!(value.is_none() || is_valid(&bytes) == Some(true));
        }
    }
}
