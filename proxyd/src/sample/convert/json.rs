//! `json`, which makes a text part of a JSON string, and `json_query`, which finds a value in a JSON text.

use super::super::value::{Value, leading_int};
use std::borrow::Cow;

/// What `json` takes the bytes for, and what it does with those that are not that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// One character a byte.
    Ascii,
    /// UTF-8; nothing comes of anything else.
    Utf8,
    /// UTF-8; bytes that are not are left out.
    Utf8Skip,
}

/// The text between the quotes of a JSON string.
pub(super) fn escape(bytes: &[u8], input: Input) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len() + 8);
    if input == Input::Ascii {
        for &byte in bytes {
            push(char::from(byte), &mut out);
        }
        return Some(out);
    }
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            push(c, &mut out);
        }
        if input == Input::Utf8 && !chunk.invalid().is_empty() {
            return None;
        }
    }
    Some(out)
}

fn push(c: char, out: &mut Vec<u8>) {
    let short = match c {
        '"' | '\\' | '/' => Some(c),
        '\u{8}' => Some('b'),
        '\u{c}' => Some('f'),
        '\n' => Some('n'),
        '\r' => Some('r'),
        '\t' => Some('t'),
        _ => None,
    };
    let mut units = [0; 2];
    match (short, c) {
        (Some(short), _) => out.extend(format!("\\{short}").bytes()),
        (None, ' '..='~') => out.extend([u8::try_from(u32::from(c)).unwrap_or(b'?')]),
        (None, _) => c.encode_utf16(&mut units).iter().for_each(|unit| out.extend(format!("\\u{unit:04x}").bytes())),
    }
}

/// A step of a path: `.name` or `[number]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A member of an object.
    Member(String),
    /// An element of an array.
    Element(usize),
    /// What is written is no path: it leads nowhere, as with haproxy.
    Nowhere,
}

/// Reads `$.a.b[1]`.
pub fn path(text: &str) -> Option<Vec<Step>> {
    let mut rest = text.strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('[') {
            let (inside, after) = after.split_once(']')?;
            let quoted = inside.strip_prefix('\'').and_then(|inside| inside.strip_suffix('\''));
            steps.push(match quoted {
                Some(name) => Step::Member(name.to_owned()),
                None => Step::Element(inside.parse().ok()?),
            });
            rest = after;
        } else {
            let after = rest.strip_prefix('.')?;
            let end = after.find(['.', '[']).unwrap_or(after.len());
            steps.push(Step::Member(after.get(..end).filter(|name| !name.is_empty())?.to_owned()));
            rest = &after[end..];
        }
    }
    Some(steps)
}

/// Arrays and objects within one another; beyond this the text is refused.
const DEPTH_MAX: usize = 64;

/// The value at the end of a path: a text, a number as it is written, a boolean; `integer`: of a number, what stands before its point. Objects
/// and `null` give none; an array of JSON Web Tokens and the like is given as it is written, from haproxy 3.0 on.
pub(super) fn query<'a>(text: &[u8], path: &[Step], integer: bool) -> Option<Value<'a>> {
    let mut reader = Reader { text, at: 0 };
    for step in path {
        reader.blanks();
        match step {
            Step::Member(name) => reader.member(name)?,
            Step::Element(index) => reader.element(*index)?,
            Step::Nowhere => return None,
        }
    }
    reader.blanks();
    Some(match reader.peek()? {
        b'"' => Value::Str(Cow::Owned(reader.string()?)),
        b't' if reader.word("true") => Value::Bool(true),
        b'f' if reader.word("false") => Value::Bool(false),
        b'-' | b'0'..=b'9' => {
            let number = reader.number()?;
            match std::str::from_utf8(number).ok()?.parse::<i64>() {
                Ok(number) if integer => Value::Int(number),
                // Digits alone are a number too large.
                Err(_) if integer && number.iter().all(|byte| matches!(byte, b'-' | b'0'..=b'9')) => return None,
                Err(_) if integer => Value::Int(leading_int(number)),
                _ => Value::Str(Cow::Owned(number.to_vec())),
            }
        }
        _ => return None,
    })
}

/// Whether the object has a member of that name, whatever its value.
pub(super) fn has(text: &[u8], name: &str) -> bool {
    Reader { text, at: 0 }.member(name).is_some()
}

struct Reader<'t> {
    text: &'t [u8],
    at: usize,
}

impl<'t> Reader<'t> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        self.blanks();
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn word(&mut self, word: &str) -> bool {
        let there = self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word.as_bytes()));
        self.at += if there { word.len() } else { 0 };
        there
    }

    fn number(&mut self) -> Option<&'t [u8]> {
        let rest = self.text.get(self.at..)?;
        let end = rest
            .iter()
            .position(|byte| !matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9'))
            .unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).filter(|number| !number.is_empty())
    }

    /// A string with its escapes resolved.
    fn string(&mut self) -> Option<Vec<u8>> {
        self.take(b'"')?;
        let mut out = Vec::new();
        loop {
            let byte = self.peek()?;
            self.at += 1;
            match byte {
                b'"' => return Some(out),
                b'\\' => {
                    let escaped = self.peek()?;
                    self.at += 1;
                    match escaped {
                        b'b' => out.push(8),
                        b'f' => out.push(12),
                        b'n' => out.push(b'\n'),
                        b'r' => out.push(b'\r'),
                        b't' => out.push(b'\t'),
                        b'u' => out.extend(self.unicode()?.to_string().bytes()),
                        other => out.push(other),
                    }
                }
                other => out.push(other),
            }
        }
    }

    fn unit(&mut self) -> Option<u16> {
        let digits = std::str::from_utf8(self.text.get(self.at..self.at + 4)?).ok()?;
        self.at += 4;
        u16::from_str_radix(digits, 16).ok()
    }

    fn unicode(&mut self) -> Option<char> {
        let first = self.unit()?;
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first.into());
        }
        if !self.word("\\u") {
            return None;
        }
        let second = self.unit()?;
        char::decode_utf16([first, second]).next()?.ok()
    }

    /// Goes to the value of a member of the object that begins here.
    fn member(&mut self, wanted: &str) -> Option<()> {
        self.take(b'{')?;
        loop {
            self.blanks();
            let name = self.string()?;
            self.take(b':')?;
            self.blanks();
            if name == wanted.as_bytes() {
                return Some(());
            }
            self.skip(0)?;
            self.take(b',')?;
        }
    }

    /// Goes to an element of the array that begins here.
    fn element(&mut self, index: usize) -> Option<()> {
        self.take(b'[')?;
        for _ in 0..index {
            self.skip(0)?;
            self.take(b',')?;
        }
        self.blanks();
        (self.peek()? != b']').then_some(())
    }

    /// Passes over one value.
    fn skip(&mut self, depth: usize) -> Option<()> {
        if depth > DEPTH_MAX {
            return None;
        }
        self.blanks();
        match self.peek()? {
            b'"' => self.string().map(|_| ()),
            open @ (b'{' | b'[') => {
                let close = if open == b'{' { b'}' } else { b']' };
                self.at += 1;
                self.blanks();
                if self.take(close).is_some() {
                    return Some(());
                }
                loop {
                    if open == b'{' {
                        self.blanks();
                        self.string()?;
                        self.take(b':')?;
                    }
                    self.skip(depth + 1)?;
                    if self.take(close).is_some() {
                        return Some(());
                    }
                    self.take(b',')?;
                }
            }
            b't' => self.word("true").then_some(()),
            b'f' => self.word("false").then_some(()),
            b'n' => self.word("null").then_some(()),
            _ => self.number().map(|_| ()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let member = |name: &str| Step::Member(name.to_owned());
        assert_eq!(path("$"), Some(Vec::new()));
        assert_eq!(path("$.a.b[1]"), Some(vec![member("a"), member("b"), Step::Element(1)]));
        assert_eq!(path("$['x y'][0]"), Some(vec![member("x y"), Step::Element(0)]));
        for bad in ["a", "$.", "$a", "$[", "$[x]", "$.a["] {
            assert_eq!(path(bad), None, "{bad}");
        }
    }

    #[test]
    fn texts_that_are_no_json() {
        let path = path("$.a.b").unwrap();
        let deep = "[".repeat(100_000);
        for text in
            ["", "{", "{\"a\"", "{\"a\":{\"b\"", "{\"a\":1}", "{\"b\":\"", "{\"x\":\"\\u12", "{\"x\":[1,", &deep]
        {
            assert_eq!(query(text.as_bytes(), &path, false), None, "{text}");
        }
        assert_eq!(query(format!("{{\"x\":{deep}").as_bytes(), &path, false), None);
        let surrogates = br#"{"a":{"b":"\ud83d\ude00\n"}}"#;
        assert_eq!(query(surrogates, &path, false), Some(Value::text("\u{1f600}\n".as_bytes())));
    }
}
