//! Frames: what one datagram of any netlink protocol is made of.
//!
//! The bytes come from the kernel, and are read as if they came from a stranger: a length that lies ends the reading.

use std::fmt;

/// Octets of `nlmsghdr`.
pub const HEADER: usize = 16;
/// `NLMSG_ERROR`: an error, or with 0 an acknowledgement.
const KIND_ERROR: u16 = 2;
/// `NLMSG_DONE`
const KIND_DONE: u16 = 3;
/// `NLM_F_CAPPED`: of the request that failed only the header is repeated.
const FLAG_CAPPED: u16 = 0x100;
/// `NLM_F_ACK_TLVS`: the kernel says more than a number.
const FLAG_TLVS: u16 = 0x200;
/// `NLMSGERR_ATTR_MSG`
const ATTRIBUTE_TEXT: u16 = 1;
/// The bits of an attribute's type that are not flags.
const ATTRIBUTE_MASK: u16 = 0x3fff;

/// One message with its header's fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Type of the message.
    pub kind: u16,
    /// `NLM_F_…`
    pub flags: u16,
    /// Number of the request it answers.
    pub sequence: u32,
    /// Port of the socket whose request caused it.
    pub port: u32,
    /// Header and payload.
    pub whole: &'a [u8],
}

/// Why the kernel did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// `errno`, positive.
    pub errno: i32,
    /// What the kernel says beyond that; empty when it says nothing.
    pub text: String,
}

/// What a frame means for the request that it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A part of the answer.
    Part,
    /// The request is done.
    Done,
    /// The request failed.
    Refused(Refusal),
}

/// The frames of a datagram; it ends at the first that is not whole.
pub fn frames(datagram: &[u8]) -> Frames<'_> {
    Frames { rest: datagram }
}

/// See [`frames`].
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Frames<'a> {
    type Item = Frame<'a>;

    fn next(&mut self) -> Option<Frame<'a>> {
        let length = usize::try_from(u32_at(self.rest, 0)?).ok().filter(|&length| length >= HEADER)?;
        let whole = self.rest.get(..length)?;
        let frame = Frame {
            kind: u16_at(whole, 4)?,
            flags: u16_at(whole, 6)?,
            sequence: u32_at(whole, 8)?,
            port: u32_at(whole, 12)?,
            whole,
        };
        self.rest = self.rest.get(align(length)..).unwrap_or_default();
        Some(frame)
    }
}

impl Frame<'_> {
    /// What it means for a request.
    pub fn answer(&self) -> Answer {
        match self.kind {
            KIND_DONE => Answer::Done,
            KIND_ERROR => match i32_at(self.whole, HEADER) {
                Some(0) => Answer::Done,
                Some(number) => Answer::Refused(Refusal { errno: number.saturating_neg(), text: self.text() }),
                None => Answer::Refused(Refusal { errno: libc::EBADMSG, text: String::new() }),
            },
            _ => Answer::Part,
        }
    }

    /// The kernel's own words about an error.
    fn text(&self) -> String {
        if self.flags & FLAG_TLVS == 0 {
            return String::new();
        }
        let request = HEADER + 4;
        let repeated = if self.flags & FLAG_CAPPED == 0 {
            u32_at(self.whole, request).and_then(|length| usize::try_from(length).ok()).unwrap_or(HEADER)
        } else {
            HEADER
        };
        let start = request.saturating_add(align(repeated));
        let found = attributes(self.whole.get(start..).unwrap_or_default())
            .find(|(kind, _)| *kind == ATTRIBUTE_TEXT)
            .map(|(_, value)| String::from_utf8_lossy(value).trim_end_matches('\0').to_owned());
        found.unwrap_or_default()
    }
}

/// The attributes in a payload, as (type, value).
pub fn attributes(payload: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = payload;
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(rest, 0)?);
        let value = rest.get(4..length)?;
        let kind = u16_at(rest, 2)? & ATTRIBUTE_MASK;
        rest = rest.get(align(length)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// The next multiple of four.
pub fn align(length: usize) -> usize {
    length.saturating_add(3) & !3
}

/// An attribute to be sent, with what fills it up.
pub fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(align(bytes.len()), 0);
    bytes
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn i32_at(bytes: &[u8], at: usize) -> Option<i32> {
    Some(i32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

impl Refusal {
    /// An error of the socket rather than of the kernel's other side.
    pub fn of(error: &std::io::Error) -> Self {
        Self { errno: error.raw_os_error().unwrap_or(libc::EIO), text: String::new() }
    }

    /// No interface of this name.
    pub fn no_device(name: &str) -> Self {
        Self { errno: libc::ENODEV, text: format!("no interface {name}") }
    }
}

/// The system's words, then the kernel's, then what can be done about it.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = nix::errno::Errno::from_raw(self.errno).desc();
        f.write_str(name)?;
        if !self.text.is_empty() {
            write!(f, ": {}", self.text)?;
        }
        let remedy = match self.errno {
            libc::EPERM | libc::EACCES => "run as root, or with CAP_NET_ADMIN in the network namespace",
            libc::ENETUNREACH | libc::EHOSTUNREACH => {
                "the gateway has to be reachable on an interface that is up; onlink says that it is"
            }
            libc::EOPNOTSUPP | libc::EPFNOSUPPORT | libc::EPROTONOSUPPORT => {
                "the kernel was built without it, or its module is not loaded"
            }
            libc::ENOBUFS | libc::ENOMEM => "the kernel is short of memory",
            _ => return Ok(()),
        };
        write!(f, " ({remedy})")
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame of a type with a payload.
    fn frame(kind: u16, flags: u16, payload: &[u8]) -> Vec<u8> {
        let mut bytes = u32::try_from(HEADER + payload.len()).unwrap().to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend([7, 0, 0, 0, 9, 0, 0, 0]);
        bytes.extend(payload);
        bytes.resize(align(bytes.len()), 0);
        bytes
    }

    #[test]
    fn frames_follow_each_other_and_end_at_a_lie() {
        let mut bytes = frame(16, 0, b"abcde");
        bytes.extend(frame(17, 2, b""));
        let kinds: Vec<u16> = frames(&bytes).map(|frame| frame.kind).collect();
        assert_eq!(kinds, [16, 17]);
        bytes.extend([200, 0, 0, 0]);
        assert_eq!(frames(&bytes).count(), 2);
        assert_eq!(frames(&[3, 0, 0, 0, 1, 1, 1, 1]).count(), 0);
    }

    #[test]
    fn errors_say_what_the_kernel_says() {
        let mut payload = (-17_i32).to_ne_bytes().to_vec();
        payload.extend([0; HEADER]);
        payload.extend([10, 0, 1, 0]);
        payload.extend(b"there\0");
        let bytes = frame(KIND_ERROR, FLAG_CAPPED | FLAG_TLVS, &payload);
        let answer = frames(&bytes).next().unwrap().answer();
        assert_eq!(answer, Answer::Refused(Refusal { errno: libc::EEXIST, text: "there".to_owned() }));
        let acknowledged = frame(KIND_ERROR, 0, &[0; 4]);
        assert_eq!(frames(&acknowledged).next().unwrap().answer(), Answer::Done);
        let cut = frame(KIND_ERROR, FLAG_TLVS, &[1]);
        assert!(matches!(frames(&cut).next().unwrap().answer(), Answer::Refused(_)));
    }
}
