//! Syslog messages in a stream (RFC 6587): each with its length in front, or ended by a line feed. A sender may mix both.

/// The longest message in bytes.
pub const MESSAGE_MAX: usize = 65_536;
/// The digits of its length.
const DIGITS_MAX: usize = 5;

/// Bytes that are neither: the end of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// The messages of one connection. What waits here is at most one message and what came with its end.
#[derive(Debug, Default)]
pub struct Frames {
    /// `option assume-rfc6587-ntf`: line feeds only, whatever a message begins with.
    lines_only: bool,
    bytes: Vec<u8>,
    /// Where the next message begins.
    next: usize,
    /// Up to here no line feed was found.
    searched: usize,
}

impl Frames {
    /// Nothing has come yet.
    pub fn new(lines_only: bool) -> Self {
        Self { lines_only, ..Self::default() }
    }

    /// What has come.
    pub fn add(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.next);
        self.searched -= self.next;
        self.next = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole message, if there is one.
    pub fn next_message(&mut self) -> Result<Option<&[u8]>, Malformed> {
        let rest = &self.bytes[self.next..];
        let frame = match rest.first() {
            None => return Ok(None),
            Some(b'1'..=b'9') if !self.lines_only => counted(rest)?,
            Some(b'<' | b'\n') => self.line()?,
            Some(_) if self.lines_only => self.line()?,
            Some(_) => return Err(Malformed),
        };
        let Some(Frame { start, end, next }) = frame else { return Ok(None) };
        let message = self.next + start..self.next + end;
        self.next += next;
        self.searched = self.next;
        Ok(Some(&self.bytes[message]))
    }

    fn line(&mut self) -> Result<Option<Frame>, Malformed> {
        let from = self.searched.max(self.next);
        let end = self.bytes[from..].iter().position(|&byte| byte == b'\n').map(|at| from + at - self.next);
        match end {
            Some(end) if end <= MESSAGE_MAX => Ok(Some(Frame { start: 0, end, next: end + 1 })),
            None if self.bytes.len() - self.next <= MESSAGE_MAX => {
                self.searched = self.bytes.len();
                Ok(None)
            }
            Some(_) | None => Err(Malformed),
        }
    }
}

/// A message within what waits.
struct Frame {
    start: usize,
    end: usize,
    next: usize,
}

/// `17 ` and 17 bytes.
fn counted(rest: &[u8]) -> Result<Option<Frame>, Malformed> {
    let digits = rest.iter().take(DIGITS_MAX + 1).take_while(|byte| byte.is_ascii_digit()).count();
    let length = rest[..digits].iter().fold(0, |number: usize, digit| number * 10 + usize::from(digit - b'0'));
    match rest.get(digits) {
        _ if digits > DIGITS_MAX || length > MESSAGE_MAX => Err(Malformed),
        None => Ok(None),
        Some(b' ') => {
            let start = digits + 1;
            let end = start + length;
            Ok((end <= rest.len()).then_some(Frame { start, end, next: end }))
        }
        Some(_) => Err(Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Everything that pieces of a stream bring, and whether it went wrong.
    fn all(lines_only: bool, pieces: &[&[u8]]) -> (Vec<String>, bool) {
        let (mut frames, mut messages) = (Frames::new(lines_only), Vec::new());
        for piece in pieces {
            frames.add(piece);
            loop {
                match frames.next_message() {
                    Ok(Some(message)) => messages.push(String::from_utf8_lossy(message).into_owned()),
                    Ok(None) => break,
                    Err(Malformed) => return (messages, true),
                }
            }
        }
        (messages, false)
    }

    #[test]
    fn both_framings_mix() {
        for (input, expected, wrong) in [
            ("<13>one\n<14>two\n", vec!["<13>one", "<14>two"], false),
            ("7 <13>one7 <14>two", vec!["<13>one", "<14>two"], false),
            ("7 <13>one<14>lf\n7 <13>one", vec!["<13>one", "<14>lf", "<13>one"], false),
            ("8 <13>one\n<14>two\n", vec!["<13>one\n", "<14>two"], false),
            ("<13>without an end", vec![], false),
            ("12 <13>one", vec![], false),
            ("\n<13>one\n", vec!["", "<13>one"], false),
            ("text\n<13>next\n", vec![], true),
            ("0 <13>one\n", vec![], true),
            ("12x <13>one\n", vec![], true),
            ("99999999999999999999 <13>one\n", vec![], true),
            ("65537 <13>one\n", vec![], true),
        ] {
            assert_eq!(
                all(false, &[input.as_bytes()]),
                (expected.iter().map(ToString::to_string).collect(), wrong),
                "{input}"
            );
            let bytes: Vec<_> = input.as_bytes().chunks(1).collect();
            assert_eq!(
                all(false, &bytes),
                (expected.iter().map(ToString::to_string).collect(), wrong),
                "{input} by bytes"
            );
        }
        assert_eq!(all(true, &[b"text\n7 <13>o\n"]), (vec!["text".to_owned(), "7 <13>o".to_owned()], false));
    }

    #[test]
    fn a_message_is_not_longer_than_the_longest() {
        let mut line = vec![b'<'];
        line.resize(MESSAGE_MAX, b'x');
        let mut longer = line.clone();
        line.push(b'\n');
        assert_eq!(all(false, &[&line]).0.len(), 1);
        longer.extend_from_slice(b"yy");
        assert_eq!(all(false, &[&longer]), (vec![], true));
    }

    proptest! {
        /// How the network cuts a stream changes nothing, and no bytes are a panic.
        #[test]
        fn pieces_do_not_matter(bytes in proptest::collection::vec(prop_oneof![Just(b'<'), Just(b'\n'), Just(b' '), b'0'..=b'9', any::<u8>()], 0..200), size in 1_usize..50, lines_only: bool) {
            let pieces: Vec<_> = bytes.chunks(size).collect();
            prop_assert_eq!(all(lines_only, &pieces), all(lines_only, &[&bytes]));
        }
    }
}
