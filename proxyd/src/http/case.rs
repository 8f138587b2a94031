//! `h1-case-adjust`: names of fields for peers that insist on some upper case, against the standard (RFC 9110, section 5.1).

use std::collections::HashMap;

/// Names in lower case, and how they are to be written.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct CaseAdjustment(HashMap<Box<[u8]>, Box<[u8]>>);

/// Why a name was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// The two differ in more than the case.
    Different,
    /// There is a form of this name already.
    Known,
}

impl CaseAdjustment {
    /// One more name.
    pub fn add(&mut self, from: &[u8], to: &[u8]) -> Result<(), Unfit> {
        if !from.eq_ignore_ascii_case(to) {
            return Err(Unfit::Different);
        }
        let from: Box<[u8]> = from.to_ascii_lowercase().into();
        if self.0.contains_key(&from) {
            return Err(Unfit::Known);
        }
        self.0.insert(from, to.into());
        Ok(())
    }

    /// Rewrites the names in a head as it goes over the wire, its start line included.
    pub fn adjust(&self, head: &mut [u8]) {
        if let Some(end) = head.iter().position(|byte| *byte == b'\n') {
            self.adjust_fields(&mut head[end + 1..]);
        }
    }

    /// The same for field lines alone, such as trailers.
    pub fn adjust_fields(&self, lines: &mut [u8]) {
        for line in lines.split_mut(|byte| *byte == b'\n') {
            let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
            let name = &mut line[..colon];
            if let Some(wanted) = self.0.get(&*name) {
                name.copy_from_slice(wanted);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_as_wanted() {
        let mut names = CaseAdjustment::default();
        assert_eq!(names.add(b"host", b"Host"), Ok(()));
        assert_eq!(names.add(b"X-B", b"x-B"), Ok(()));
        assert_eq!(names.add(b"HOST", b"host"), Err(Unfit::Known));
        assert_eq!(names.add(b"a", b"b"), Err(Unfit::Different));
        let mut head = b"GET host: HTTP/1.1\r\nhost: host\r\nx-b: y\r\nx-c: z\r\n\r\nhost: body".to_vec();
        names.adjust(&mut head[..46]);
        assert_eq!(head, b"GET host: HTTP/1.1\r\nHost: host\r\nx-B: y\r\nx-c: z\r\n\r\nhost: body");
        let mut trailers = b"x-b: y\r\n\r\n".to_vec();
        names.adjust_fields(&mut trailers);
        assert_eq!(trailers, b"x-B: y\r\n\r\n");
    }
}
