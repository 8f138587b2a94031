//! One HTTP message head, whatever wire it came from.
//!
//! A [`Head`] is a start line and an ordered list of fields. Its text is kept in the form in which HTTP/1 sends it (lower-case
//! names, one `name: value` line each), so that an unedited head leaves with one copy and the rules work on plain
//! byte ranges. HTTP/2 fills the same type from its own frames.
//!
//! - [`h1`] reads heads from bytes and writes them: everything that decides where a message ends
//! - [`chunk`] the chunked transfer coding, validated and re-written canonically
//! - [`header`] characters and lists inside field values
//! - [`status`] reason phrases and haproxy's error pages
//!
//! Standards: RFC 9110 (semantics), RFC 9112 (HTTP/1.1), and haproxy's departures as noted where they are made.

mod blocks;
pub mod case;
pub mod chunk;
pub mod h1;
pub mod header;
pub mod status;
pub mod target;
pub mod varint;

use std::ops::Range;

/// A range of [`Head`]'s text. Heads are bounded by [`crate::limits::HEAD_MAX`], so 32 bits are ample.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Span {
    start: u32,
    end: u32,
}

impl Span {
    fn new(start: usize, length: usize) -> Self {
        let [start, end] = [start, start + length].map(|at| u32::try_from(at).unwrap_or(u32::MAX));
        Self { start, end }
    }

    fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// The version as written in the start line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, PartialOrd, Ord)]
pub struct Version {
    /// The digit before the dot.
    pub major: u8,
    /// The digit after the dot.
    pub minor: u8,
}

impl Version {
    /// HTTP/1.0.
    pub const HTTP_10: Self = Self { major: 1, minor: 0 };
    /// HTTP/1.1.
    pub const HTTP_11: Self = Self { major: 1, minor: 1 };

    /// The version this head is sent with: 1.0 stays, everything later is sent as 1.1.
    #[must_use]
    pub fn sent(self) -> Self {
        if self <= Self::HTTP_10 { Self::HTTP_10 } else { Self::HTTP_11 }
    }

    /// `HTTP/x.y`.
    pub fn text(self) -> &'static [u8; 8] {
        &VERSIONS[usize::from(self.major % 10)][usize::from(self.minor % 10)]
    }
}

static VERSIONS: [[[u8; 8]; 10]; 10] = {
    let mut table = [[*b"HTTP/0.0"; 10]; 10];
    let (mut major, mut digit) = (0, b'0');
    while major < 10 {
        let (mut minor, mut other) = (0, b'0');
        while minor < 10 {
            table[major][minor][5] = digit;
            table[major][minor][7] = other;
            (minor, other) = (minor + 1, other + 1);
        }
        (major, digit) = (major + 1, digit + 1);
    }
    table
};

#[derive(Clone, Copy, Debug)]
struct Field {
    name: Span,
    value: Span,
}

/// A request or response head.
#[derive(Clone, Debug, Default)]
pub struct Head {
    text: Vec<u8>,
    /// Method of a request, unused in a response.
    method: Span,
    /// Target of a request, reason phrase of a response.
    target: Span,
    status: u16,
    version: Version,
    fields: Vec<Field>,
    /// Where the lines of the fields begin in `text`.
    fields_start: u32,
    /// The lines in `text` are no longer exactly the fields in order.
    edited: bool,
    /// How long is what stands in the start line in the place of `HTTP/x.y`, in front of the fields' lines; 0: that does.
    protocol_length: u8,
}

impl Head {
    /// Forgets everything but keeps the memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.fields.clear();
        self.method = Span::default();
        self.target = Span::default();
        self.status = 0;
        self.version = Version::default();
        self.fields_start = 0;
        self.edited = false;
        self.protocol_length = 0;
    }

    /// True before anything was read into it.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Starts a request head.
    pub fn start_request(&mut self, method: &[u8], target: &[u8], version: Version) {
        self.clear();
        self.method = self.push(method);
        self.target = self.push(target);
        self.fields_start = self.end();
        self.version = version;
    }

    /// Starts a response head.
    pub fn start_response(&mut self, version: Version, status: u16, reason: &[u8]) {
        self.clear();
        self.target = self.push(reason);
        self.fields_start = self.end();
        self.version = version;
        self.status = status;
    }

    /// The method of a request.
    pub fn method(&self) -> &[u8] {
        &self.text[self.method.range()]
    }

    /// The request target as sent: origin, absolute, authority or asterisk form.
    pub fn target(&self) -> &[u8] {
        &self.text[self.target.range()]
    }

    /// The path of the target without its query string, empty for `*` and the authority form.
    pub fn path(&self) -> &[u8] {
        let path = target::from_path(self.target());
        blocks::position(path, |byte| byte == b'?').map_or(path, |query| &path[..query])
    }

    /// The part of the target after the first `?`.
    pub fn query(&self) -> Option<&[u8]> {
        let target = self.target();
        target.iter().position(|&byte| byte == b'?').map(|at| &target[at + 1..])
    }

    /// The status of a response, 0 in a request.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The reason phrase of a response.
    pub fn reason(&self) -> &[u8] {
        self.target()
    }

    /// The version as received.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The protocol and its version, as received.
    pub fn protocol(&self) -> &[u8] {
        self.other_protocol().unwrap_or(self.version.text())
    }

    /// The protocol and its version that this head is sent with.
    pub fn sent_protocol(&self) -> &[u8] {
        self.other_protocol().filter(|_| self.version < Version::HTTP_11).unwrap_or(self.version.sent().text())
    }

    /// Says that the start line names another protocol; before the first field.
    pub fn set_protocol(&mut self, protocol: &[u8]) {
        self.protocol_length = u8::try_from(protocol.len()).unwrap_or(0);
        self.push(protocol);
        self.fields_start = self.end();
    }

    fn other_protocol(&self) -> Option<&[u8]> {
        let end = self.fields_start as usize;
        let start = end.checked_sub(self.protocol_length.into()).filter(|&start| start < end)?;
        self.text.get(start..end)
    }

    /// How many fields there are.
    pub fn field_count(&self) -> usize {
        self.fields.len()
    }

    /// All fields in order; names are lower-case.
    pub fn fields(&self) -> impl DoubleEndedIterator<Item = (&[u8], &[u8])> + ExactSizeIterator {
        self.fields.iter().map(|field| (&self.text[field.name.range()], &self.text[field.value.range()]))
    }

    /// The values of every field line of this (lower-case) name, in order.
    pub fn values<'a>(&'a self, name: &'a [u8]) -> impl DoubleEndedIterator<Item = &'a [u8]> {
        self.fields().filter(move |(field, _)| *field == name).map(|(_, value)| value)
    }

    /// The value of the first field line of this (lower-case) name.
    pub fn value<'a>(&'a self, name: &'a [u8]) -> Option<&'a [u8]> {
        self.values(name).next()
    }

    /// Appends a field; `name` must already be lower-case.
    pub fn append(&mut self, name: &[u8], value: &[u8]) {
        let name = self.push(name);
        self.text.extend_from_slice(b": ");
        let value = self.push(value);
        self.text.extend_from_slice(b"\r\n");
        self.fields.push(Field { name, value });
    }

    /// Appends a field whose name still has its capitals; `value` writes its value.
    pub(crate) fn append_lower(&mut self, name: &[u8], value: impl FnOnce(&mut Vec<u8>)) {
        let name = self.push(name);
        self.text[name.range()].make_ascii_lowercase();
        self.text.extend_from_slice(b": ");
        let start = self.end();
        value(&mut self.text);
        let value = Span { start, end: self.end() };
        self.text.extend_from_slice(b"\r\n");
        self.fields.push(Field { name, value });
    }

    /// The field appended last, two empty ranges before the first.
    pub(crate) fn last_field(&self) -> (&[u8], &[u8]) {
        self.fields().next_back().unwrap_or_default()
    }

    /// Takes back the field appended last.
    pub(crate) fn pop_field(&mut self) {
        if let Some(field) = self.fields.pop() {
            self.text.truncate(field.name.start as usize);
        }
    }

    /// Removes every field line of this name; says whether there was one.
    pub fn remove(&mut self, name: &[u8]) -> bool {
        let (text, before) = (&self.text, self.fields.len());
        self.fields.retain(|field| &text[field.name.range()] != name);
        let removed = self.fields.len() != before;
        self.edited |= removed;
        removed
    }

    /// Takes out what says where a body ends; how many bytes of names and values.
    pub fn leave_out_framing(&mut self) -> usize {
        let mut left_out = 0;
        self.retain(|name, value| {
            let framing = name == b"content-length" || name == b"transfer-encoding";
            left_out += if framing { name.len() + value.len() } else { 0 };
            !framing
        });
        left_out
    }

    /// Keeps the fields for which `keep(name, value)` holds.
    pub fn retain(&mut self, mut keep: impl FnMut(&[u8], &[u8]) -> bool) {
        let (text, before) = (&self.text, self.fields.len());
        self.fields.retain(|field| keep(&text[field.name.range()], &text[field.value.range()]));
        self.edited |= self.fields.len() != before;
    }

    /// Keeps the first field of a name and removes the others.
    pub(crate) fn keep_first(&mut self, name: &[u8]) {
        let mut kept = false;
        self.retain(|other, _| other != name || !std::mem::replace(&mut kept, true));
    }

    /// Replaces all field lines of this name by one at the end (haproxy's `set-header`).
    pub fn set(&mut self, name: &[u8], value: &[u8]) {
        self.remove(name);
        self.append(name, value);
    }

    /// Rewrites the value of the field at `index` (in the order of [`Head::fields`]); out of range does nothing.
    pub fn set_value(&mut self, index: usize, value: &[u8]) {
        let value = self.push(value);
        if let Some(field) = self.fields.get_mut(index) {
            field.value = value;
        }
        self.edited = true;
    }

    /// Removes the field at `index` (in the order of [`Head::fields`]); out of range does nothing.
    pub fn remove_at(&mut self, index: usize) {
        if index < self.fields.len() {
            self.fields.remove(index);
            self.edited = true;
        }
    }

    /// Replaces the method.
    pub fn set_method(&mut self, method: &[u8]) {
        self.method = self.push(method);
        self.edited = true;
    }

    /// Replaces the request target.
    pub fn set_target(&mut self, target: &[u8]) {
        self.target = self.push(target);
        self.edited = true;
    }

    /// Replaces the status and, where given, the reason phrase.
    pub fn set_status(&mut self, status: u16, reason: Option<&[u8]>) {
        self.status = status;
        let reason = reason.unwrap_or_else(|| status::phrase(status).as_bytes());
        self.target = self.push(reason);
        self.edited = true;
    }

    /// The bytes this head takes on the wire, without the final empty line.
    pub fn wire_len(&self) -> usize {
        let fields: usize =
            self.fields.iter().map(|field| field.name.range().len() + field.value.range().len() + 4).sum();
        self.method.range().len() + self.target.range().len() + b"HTTP/1.1 200 \r\n".len() + fields
    }

    /// Bytes of a response's head as haproxy counts and logs them: its own representation of the start line, names and values
    /// without what separates them, and one for the end. People's dashboards have always shown these numbers.
    pub fn counted_len(&self) -> u64 {
        let status = match self.status {
            ..10 => 1,
            10..100 => 2,
            100.. => 3,
        };
        self.counted_with(status + self.target.range().len())
    }

    /// The same of a request's head, as stick tables count it.
    pub fn counted_request_len(&self) -> u64 {
        self.counted_with(self.method.range().len() + self.target.range().len())
    }

    fn counted_with(&self, start_line: usize) -> u64 {
        const START_LINE: usize = 20;
        let fields: usize = self.fields().map(|(name, value)| name.len() + value.len()).sum();
        (START_LINE + self.protocol().len() + start_line + fields + 1) as u64
    }

    /// Writes the field lines, without the final empty line.
    pub fn write_fields(&self, out: &mut Vec<u8>) {
        if self.edited {
            for (name, value) in self.fields() {
                header::write(out, name, value);
            }
        } else {
            out.extend_from_slice(&self.text[self.fields_start as usize..]);
        }
    }

    fn end(&self) -> u32 {
        u32::try_from(self.text.len()).unwrap_or(u32::MAX)
    }

    fn push(&mut self, bytes: &[u8]) -> Span {
        let start = self.end();
        self.text.extend_from_slice(bytes);
        Span { start, end: self.end() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Head {
        let mut head = Head::default();
        head.start_request(b"GET", b"/a/b?c=d", Version::HTTP_11);
        head.append(b"host", b"h");
        head.append(b"x", b"1");
        head.append(b"x", b"2");
        head
    }

    fn wire(head: &Head) -> String {
        let mut out = Vec::new();
        head.write_fields(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_unedited_head_is_its_text() {
        assert_eq!(wire(&sample()), "host: h\r\nx: 1\r\nx: 2\r\n");
    }

    #[test]
    fn edits_keep_the_order_of_the_rest() {
        let mut head = sample();
        head.set(b"host", b"other");
        assert_eq!(wire(&head), "x: 1\r\nx: 2\r\nhost: other\r\n");
        head.set_value(1, b"3");
        head.append(b"y", b"z");
        head.set_target(b"/e");
        assert_eq!(wire(&head), "x: 1\r\nx: 3\r\nhost: other\r\ny: z\r\n");
        head.remove_at(0);
        head.remove_at(17);
        assert_eq!(head.values(b"x").collect::<Vec<_>>(), [b"3"]);
        assert_eq!((head.target(), head.method()), (&b"/e"[..], &b"GET"[..]));
    }

    /// Lengths as haproxy logged them for the same responses without their bodies.
    #[test]
    fn counted_as_haproxy_does() {
        let mut head = Head::default();
        head.start_response(Version::HTTP_11, 200, b"OK");
        head.append(b"content-length", b"2");
        assert_eq!(head.counted_len() + 2, 51);
        head.append(b"x-foo", b"Bar");
        assert_eq!(head.counted_len() + 2, 59);
        head.start_response(Version::HTTP_11, 302, b"Found");
        for (name, value) in [("cache-control", "no-cache"), ("content-length", "0"), ("location", "/sorry")] {
            head.append(name.as_bytes(), value.as_bytes());
        }
        assert_eq!(head.counted_len(), 87);
    }

    #[test]
    fn paths_of_every_target_form() {
        for (target, path, query) in [
            ("/a/b?c=d?e", "/a/b", Some("c=d?e")),
            ("/", "/", None),
            ("http://h/a?x", "/a", Some("x")),
            ("http://h", "", None),
            ("*", "", None),
            ("h:443", "", None),
        ] {
            let mut head = Head::default();
            head.start_request(b"GET", target.as_bytes(), Version::HTTP_11);
            assert_eq!(head.path(), path.as_bytes(), "{target}");
            assert_eq!(head.query(), query.map(str::as_bytes), "{target}");
        }
    }
}
