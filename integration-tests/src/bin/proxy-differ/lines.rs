//! What a program logs about a case: the lines come to a socket of its side, and are told apart by the frontend and the client's port.

use anyhow::{Context, Result};
use nix::sys::socket::{setsockopt, sockopt};
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

/// What stands between two fields: each of these is written as another byte wherever it comes from a message, except for haproxy's cookies.
const BETWEEN: &str = "\x02\x1f\x02";
/// How much room there is for lines that wait to be read.
const ROOM: usize = 32 << 20;
/// The length of a line at most.
pub(crate) const LENGTH: usize = 32_768;

/// What a line says: its names, and what they are in `log-format`. No time, no port besides the client's, nothing about other
/// connections.
const FIELDS: &[(&str, &str)] = &[
    ("port", "%cp"),
    ("frontend", "%ft"),
    ("server", "%b/%s"),
    ("status", "%ST"),
    ("bytes", "%B"),
    ("uploaded", "%U"),
    ("state", "%tsc"),
    ("retries", "%rc"),
    ("timers", "%Th/%Ti/%TR/%Tq/%Tw/%Tc/%Tr/%Ta/%Td/%Tt/%Tu"),
    ("cookies", "%CC %CS"),
    ("captures", "%hr %hs %hrl %hsl"),
    ("method", "%HM"),
    ("path", "%HP"),
    ("path only", "%HPO"),
    ("query", "%HQ"),
    ("target", "%HU"),
    ("version", "%HV"),
    ("request", "%{+Q}r"),
    ("captured line", "%[capture.req.method] %[capture.req.uri]"),
    ("versions", "%[capture.req.ver] %[capture.res.ver]"),
    ("first", "%[http_first_req]"),
];

/// A field of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Field(usize);

impl Field {
    pub(crate) const SERVER: Self = Self(2);
    pub(crate) const STATUS: Self = Self(3);
    pub(crate) const BYTES: Self = Self(4);
    pub(crate) const UPLOADED: Self = Self(5);
    pub(crate) const STATE: Self = Self(6);
    pub(crate) const RETRIES: Self = Self(7);
    pub(crate) const TIMERS: Self = Self(8);
    pub(crate) const COOKIES: Self = Self(9);
    pub(crate) const CAPTURES: Self = Self(10);
    pub(crate) const VERSIONS: Self = Self(19);

    /// Those that are compared.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (Self::SERVER.0..FIELDS.len()).map(Self)
    }

    pub(crate) fn name(self) -> &'static str {
        FIELDS[self.0].0
    }
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    fields: Vec<String>,
}

impl Line {
    /// A datagram that is one of ours.
    pub(crate) fn parse(datagram: &[u8]) -> Option<Self> {
        let text = datagram.escape_ascii().to_string();
        let between = BETWEEN.as_bytes().escape_ascii().to_string();
        let mut fields: Vec<String> = text.trim_end_matches("\\n").split(&between).map(str::to_owned).collect();
        let timers = fields.get_mut(Field::TIMERS.0)?;
        let signs = timers.split('/').map(|timer| if timer.starts_with('-') { "-1" } else { "+" });
        *timers = signs.collect::<Vec<_>>().join("/");
        (fields.len() == FIELDS.len()).then_some(Self { fields })
    }

    /// The client's port.
    pub(crate) fn port(&self) -> Option<u16> {
        self.fields[0].parse().ok()
    }

    /// The place that the frontend's name tells.
    pub(crate) fn place(&self) -> Option<usize> {
        self.fields[1].strip_prefix('f')?.parse().ok()
    }

    pub(crate) fn get(&self, field: Field) -> &str {
        &self.fields[field.0]
    }

    pub(crate) fn set(&mut self, field: Field, text: &str) {
        text.clone_into(&mut self.fields[field.0]);
    }

    /// Whether it says nothing else, in the fields that are compared.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Field::all().all(|field| self.get(field) == other.get(field))
    }

    pub(crate) fn describe(&self) -> String {
        self.fields[Field::SERVER.0..].join(" | ")
    }
}

/// Whether two sides logged the same.
pub(crate) fn alike(ours: &[Line], theirs: &[Line]) -> bool {
    ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(own, other)| own.is(other))
}

/// In what the first lines that differ do so, as differences of one kind have it in common.
pub(crate) fn kind(ours: &[Line], theirs: &[Line]) -> String {
    let Some((own, other)) = ours.iter().zip(theirs).find(|(own, other)| !own.is(other)) else {
        let next = ours.get(theirs.len()).or_else(|| theirs.get(ours.len()));
        let state = next.map_or("", |line| line.get(Field::STATE));
        return format!("{} lines, {} lines, {state}", ours.len(), theirs.len());
    };
    let mut text = String::new();
    for field in Field::all().filter(|field| own.get(*field) != other.get(*field)) {
        let _ = write!(text, "{} ", field.name());
        if [Field::SERVER, Field::STATUS, Field::STATE, Field::RETRIES, Field::TIMERS].contains(&field) {
            // The backend's name tells the place.
            let [own, other] = [own, other].map(|line| {
                let text = line.get(field);
                if field == Field::SERVER { text.trim_start_matches(|c| c != '/') } else { text }
            });
            let _ = write!(text, "{own} {other} ");
        }
    }
    let _ = write!(text, "({} {})", own.get(Field::STATUS), own.get(Field::STATE));
    text
}

/// Where lines of a side come.
pub(crate) struct Receiver {
    pub(crate) socket: UdpSocket,
}

impl Receiver {
    pub(crate) fn new(address: Ipv4Addr) -> Result<Self> {
        let socket = UdpSocket::bind((address, 0)).context("a socket for lines")?;
        socket.set_nonblocking(true)?;
        // Who may not have as much has what the system allows.
        if setsockopt(&socket, sockopt::RcvBufForce, &ROOM).is_err() {
            setsockopt(&socket, sockopt::RcvBuf, &ROOM)?;
        }
        Ok(Self { socket })
    }

    pub(crate) fn address(&self) -> Result<SocketAddr> {
        Ok(self.socket.local_addr()?)
    }

    /// All that has come.
    pub(crate) fn take(&self) -> Vec<Line> {
        let mut block = vec![0; LENGTH + 1];
        let datagrams = std::iter::from_fn(|| {
            let count = self.socket.recv(&mut block).ok()?;
            Some(Line::parse(&block[..count]))
        });
        datagrams.flatten().collect()
    }
}

/// The words of a `log-format`.
pub(crate) fn format() -> String {
    let formats: Vec<&str> = FIELDS.iter().map(|(_, format)| *format).collect();
    formats.join(BETWEEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_have_their_names() {
        let named = [
            (Field::SERVER, "server"),
            (Field::STATUS, "status"),
            (Field::BYTES, "bytes"),
            (Field::UPLOADED, "uploaded"),
            (Field::STATE, "state"),
            (Field::RETRIES, "retries"),
            (Field::TIMERS, "timers"),
            (Field::COOKIES, "cookies"),
            (Field::CAPTURES, "captures"),
            (Field::VERSIONS, "versions"),
        ];
        for (field, name) in named {
            assert_eq!(field.name(), name);
        }
    }

    #[test]
    fn times_are_only_there_or_not() {
        let words = |timers: &str| {
            let mut words = vec!["1"; FIELDS.len()];
            words[Field::TIMERS.0] = timers;
            Line::parse(words.join(BETWEEN).as_bytes())
        };
        assert_eq!(words("0/-1/12").unwrap().get(Field::TIMERS), "+/-1/+");
        assert_eq!(Line::parse(b"1"), None);
    }
}
