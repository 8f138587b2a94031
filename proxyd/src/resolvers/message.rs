//! Messages of name servers (RFC 1035, RFC 2782, RFC 6891): a question written, an answer read.
//!
//! An answer comes from anybody who can send to the port. Nothing of it is believed but records that follow from the question:
//! the name that was asked for, and the names that lead on from it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// Bytes of a label.
const LABEL_MAX: usize = 63;
/// Bytes of a name as text.
const NAME_MAX: usize = 253;
/// Records looked at in each part of an answer.
const RECORDS_MAX: usize = 512;
/// Names that may lead on from the one that was asked for.
const ALIASES_MAX: usize = 8;
/// Bytes of the header.
const HEADER: usize = 12;
const CLASS_INTERNET: u16 = 1;
const TYPE_CNAME: u16 = 5;
const TYPE_OPT: u16 = 41;

/// A name of the domain name system, in lower case and without a final dot.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Arc<str>);

impl Name {
    /// A name that may be asked for. `None` where it is none.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.strip_suffix('.').unwrap_or(text);
        let valid = |label: &str| {
            (1..=LABEL_MAX).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        (text.len() <= NAME_MAX && text.split('.').all(valid)).then(|| Self(text.to_ascii_lowercase().into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the name of a service rather than of a host.
    pub fn is_service(&self) -> bool {
        self.0.starts_with('_')
    }

    /// The text, shared.
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Addresses of version 4.
    A,
    /// Addresses of version 6.
    Aaaa,
    /// Hosts of a service.
    Srv,
}

impl Kind {
    const fn number(self) -> u16 {
        match self {
            Self::A => 1,
            Self::Aaaa => 28,
            Self::Srv => 33,
        }
    }
}

/// A question, and the longest answer that is taken.
pub fn question(id: u16, name: &Name, kind: Kind, payload_size: u16) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + name.0.len() + 17);
    bytes.extend(id.to_be_bytes());
    // Recursion is desired; one question, and one record of EDNS.
    bytes.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
    for label in name.0.split('.') {
        bytes.push(u8::try_from(label.len()).unwrap_or(0));
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes.extend(kind.number().to_be_bytes());
    bytes.extend(CLASS_INTERNET.to_be_bytes());
    bytes.push(0);
    bytes.extend(TYPE_OPT.to_be_bytes());
    bytes.extend(payload_size.to_be_bytes());
    bytes.extend([0; 6]);
    bytes
}

/// Why bytes are no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// It ends too early.
    Cut,
    /// It is a question.
    NotAnAnswer,
    /// It answers another number of questions than one.
    Questions,
    /// A label of a kind that does not exist.
    Label,
    /// A pointer that does not lead back.
    Pointer,
    /// A name that is too long.
    LongName,
    /// Too many records.
    Records,
    /// A record whose length is not that of its kind.
    RecordLength,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cut => "it ends too early",
            Self::NotAnAnswer => "it is no answer",
            Self::Questions => "it does not answer one question",
            Self::Label => "a label is of an unknown kind",
            Self::Pointer => "a compression pointer does not lead back",
            Self::LongName => "a name is too long",
            Self::Records => "there are too many records",
            Self::RecordLength => "a record does not have the length of its kind",
        })
    }
}

/// A host that serves a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The host's name.
    pub host: Name,
    /// Its port.
    pub port: u16,
    /// Its share, as the record has it.
    pub weight: u16,
}

/// Records that answer a question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records {
    /// Addresses, in the order of the answer.
    pub addresses: Vec<IpAddr>,
    /// Hosts of a service, likewise.
    pub services: Vec<Service>,
    /// What else was told: addresses of hosts.
    pub hosts: Vec<(Name, IpAddr)>,
}

/// What an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The name does not exist.
    Nx,
    /// The question was refused.
    Refused,
    /// The answer was cut.
    Truncated,
    /// The name exists, but nothing of this kind.
    Empty,
    /// The name leads to others, and those nowhere.
    Cname,
    /// Another code of failure.
    Other(u8),
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The number of the question.
    pub id: u16,
    /// The question: the name in lower case and the number of the kind.
    question: (String, u16),
    /// What it says.
    pub verdict: Result<Records, Failure>,
}

impl Answer {
    /// Whether it answers this question.
    pub fn answers(&self, id: u16, name: &Name, kind: Kind) -> bool {
        self.id == id && self.question.0 == *name.0 && self.question.1 == kind.number()
    }
}

/// Reads an answer.
pub fn read(bytes: &[u8]) -> Result<Answer, Malformed> {
    let mut reader = Reader { bytes, at: 0 };
    let id = reader.number()?;
    let flags = reader.number()?;
    let [questions, answers, authorities, additional] =
        [reader.number()?, reader.number()?, reader.number()?, reader.number()?];
    if flags & 0x8000 == 0 {
        return Err(Malformed::NotAnAnswer);
    }
    if questions != 1 {
        return Err(Malformed::Questions);
    }
    let question = (reader.name()?, reader.number()?);
    reader.number()?;
    let code = u8::try_from(flags & 0xf).unwrap_or(0);
    let failure = match code {
        0 if flags & 0x200 != 0 => Some(Failure::Truncated),
        0 => None,
        3 => Some(Failure::Nx),
        5 => Some(Failure::Refused),
        code => Some(Failure::Other(code)),
    };
    if let Some(failure) = failure {
        // What a failure says besides does not matter, nor does it where it was cut.
        return Ok(Answer { id, question, verdict: Err(failure) });
    }
    let told = reader.records(answers)?;
    reader.records(authorities)?;
    let additional = reader.records(additional)?;
    let verdict = verdict(&question, told, additional);
    Ok(Answer { id, question, verdict })
}

/// What follows from the question.
fn verdict(question: &(String, u16), told: Vec<Record>, additional: Vec<Record>) -> Result<Records, Failure> {
    if told.is_empty() {
        return Err(Failure::Empty);
    }
    let mut name = question.0.clone();
    let mut aliases = 0;
    while let Some(next) = told.iter().find_map(|record| match &record.data {
        Data::Alias(next) if record.owner == name => Some(next),
        Data::Alias(_) | Data::Address(_) | Data::Service(_) | Data::Unknown => None,
    }) {
        aliases += 1;
        if aliases > ALIASES_MAX {
            return Err(Failure::Cname);
        }
        name.clone_from(next);
    }
    let mut records = Records::default();
    for Record { owner, kind, data } in told {
        match data {
            _ if owner != name || kind != question.1 => {}
            Data::Address(ip) => records.addresses.push(ip),
            Data::Service(service) => records.services.extend(service),
            Data::Alias(_) | Data::Unknown => {}
        }
    }
    for Record { owner, data, .. } in additional {
        if let (Data::Address(ip), Some(owner)) = (data, Name::new(&owner)) {
            records.hosts.push((owner, ip));
        }
    }
    match records.addresses.is_empty() && records.services.is_empty() {
        true if aliases > 0 => Err(Failure::Cname),
        true => Err(Failure::Empty),
        false => Ok(records),
    }
}

#[derive(Debug)]
struct Record {
    owner: String,
    kind: u16,
    data: Data,
}

#[derive(Debug)]
enum Data {
    Address(IpAddr),
    /// `None` where its name cannot be asked for.
    Service(Option<Service>),
    Alias(String),
    Unknown,
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn byte(&mut self) -> Result<u8, Malformed> {
        let byte = self.bytes.get(self.at).copied().ok_or(Malformed::Cut)?;
        self.at += 1;
        Ok(byte)
    }

    fn number(&mut self) -> Result<u16, Malformed> {
        Ok(u16::from_be_bytes([self.byte()?, self.byte()?]))
    }

    /// A name in lower case; bytes that no name of a host has are replaced.
    fn name(&mut self) -> Result<String, Malformed> {
        let mut text = String::new();
        // Each pointer must lead further back than everything that was read of this name.
        let mut limit = self.at;
        let mut behind = None;
        loop {
            let length = self.byte()?;
            match length >> 6 {
                0 if length == 0 => break,
                0 => {
                    if !text.is_empty() {
                        text.push('.');
                    }
                    for _ in 0..length {
                        let byte = self.byte()?.to_ascii_lowercase();
                        let plain = byte.is_ascii_graphic() && byte != b'.';
                        text.push(if plain { char::from(byte) } else { '?' });
                    }
                    if text.len() > NAME_MAX {
                        return Err(Malformed::LongName);
                    }
                }
                3 => {
                    let to = usize::from(u16::from_be_bytes([length & 0x3f, self.byte()?]));
                    if to >= limit {
                        return Err(Malformed::Pointer);
                    }
                    behind.get_or_insert(self.at);
                    (self.at, limit) = (to, to);
                }
                _ => return Err(Malformed::Label),
            }
        }
        self.at = behind.unwrap_or(self.at);
        Ok(text)
    }

    fn records(&mut self, count: u16) -> Result<Vec<Record>, Malformed> {
        if usize::from(count) > RECORDS_MAX {
            return Err(Malformed::Records);
        }
        (0..count).map(|_| self.record()).collect()
    }

    fn record(&mut self) -> Result<Record, Malformed> {
        let owner = self.name()?;
        let (kind, class) = (self.number()?, self.number()?);
        self.number()?;
        self.number()?;
        let length = usize::from(self.number()?);
        let end = self.at + length;
        if end > self.bytes.len() {
            return Err(Malformed::Cut);
        }
        let data = if class == CLASS_INTERNET { self.data(kind, length)? } else { Data::Unknown };
        if matches!(data, Data::Unknown) {
            self.at = end;
        }
        if self.at != end {
            return Err(Malformed::RecordLength);
        }
        Ok(Record { owner, kind, data })
    }

    fn data(&mut self, kind: u16, length: usize) -> Result<Data, Malformed> {
        let fixed = |expected| if length == expected { Ok(()) } else { Err(Malformed::RecordLength) };
        Ok(match kind {
            1 => {
                fixed(4)?;
                Data::Address(Ipv4Addr::from(self.array::<4>()?).into())
            }
            28 => {
                fixed(16)?;
                Data::Address(Ipv6Addr::from(self.array::<16>()?).into())
            }
            33 => {
                self.number()?;
                let (weight, port) = (self.number()?, self.number()?);
                let host = Name::new(&self.name()?);
                Data::Service(host.map(|host| Service { host, port, weight }))
            }
            TYPE_CNAME => Data::Alias(self.name()?),
            _ => Data::Unknown,
        })
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let mut array = [0; N];
        for byte in &mut array {
            *byte = self.byte()?;
        }
        Ok(array)
    }
}

#[cfg(test)]
mod tests;
