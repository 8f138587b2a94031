//! Messages over a stream: each behind its length in two bytes (RFC 7766, section 8).

/// A question as a stream carries it. `None` where it is too long for that.
pub fn frame(question: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(question.len()).ok()?;
    Some([&length.to_be_bytes(), question].concat())
}

/// The number that a question and its answer share.
pub fn id(message: &[u8]) -> Option<[u8; 2]> {
    message.first_chunk().copied()
}

/// What has come over a stream, cut into messages. It holds one message that is not complete and what came with its last bytes.
#[derive(Debug, Default)]
pub struct Frames(Vec<u8>);

impl Frames {
    /// More bytes have come.
    pub fn add(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// The next message that is complete.
    pub fn next_message(&mut self) -> Option<Vec<u8>> {
        let end = 2 + usize::from(u16::from_be_bytes(self.0.first_chunk().copied()?));
        let message = self.0.get(2..end)?.to_vec();
        self.0.drain(..end);
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_the_same_however_the_bytes_come() {
        let messages: [&[u8]; 4] = [b"one", b"", &[7; 300], b"last"];
        let stream: Vec<u8> = messages.iter().flat_map(|message| frame(message).unwrap()).collect();
        for piece in [1, 2, 3, 5, 300, stream.len()] {
            let mut frames = Frames::default();
            let mut found = Vec::new();
            for bytes in stream.chunks(piece) {
                frames.add(bytes);
                found.extend(std::iter::from_fn(|| frames.next_message()));
            }
            assert_eq!(found, messages, "in pieces of {piece}");
            assert!(frames.0.is_empty());
        }
        assert_eq!(frame(&vec![0; 65_536]), None);
        assert_eq!((id(b"ab..."), id(b"a")), (Some(*b"ab"), None));
    }
}
