//! Text with samples in it, as the arguments of rules have it: `https://%[hdr(host)]%[pathq]`.

use super::Expression;
use super::context::Context;
use std::net::SocketAddr;

/// A piece of such a text.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// Written as it is.
    Literal(Box<[u8]>),
    /// `%[…]`: the sample; nothing where there is none.
    Sample(Expression),
    /// `%ci` and the like.
    Variable(Variable),
}

/// A log-format variable that has a value while a request is processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Variable {
    /// `%ci`: the client's address.
    ClientIp,
    /// `%cp`: the client's port.
    ClientPort,
    /// `%fi`: where it connected to.
    FrontendIp,
    /// `%fp`: the port it connected to.
    FrontendPort,
    /// `%f`: the frontend's name.
    FrontendName,
    /// `%b`: the backend's name.
    BackendName,
    /// `%HM`: the method.
    HttpMethod,
    /// `%HU`: the target.
    HttpTarget,
    /// `%HV`: the version.
    HttpVersion,
    /// `%HP`: the path.
    HttpPath,
    /// `%HQ`: the query string with its question mark.
    HttpQuery,
    /// `%Ts`: seconds since 1970.
    Seconds,
}

/// A text.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Text {
    /// In order.
    pub pieces: Box<[Piece]>,
}

impl Text {
    /// A text without samples.
    pub fn literal(text: impl Into<Box<[u8]>>) -> Self {
        Self { pieces: Box::new([Piece::Literal(text.into())]) }
    }

    /// The text, if it has no samples.
    pub fn as_literal(&self) -> Option<&[u8]> {
        match &*self.pieces {
            [] => Some(b""),
            [Piece::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// Writes the text for this moment; control characters of samples, which could end a line, as `%` and two digits.
    pub fn write(&self, context: &Context<'_>, out: &mut Vec<u8>) {
        self.write_with(context, out, push_encoded);
    }

    /// The same with samples as they are, for what is no message.
    pub fn write_raw(&self, context: &Context<'_>, out: &mut Vec<u8>) {
        self.write_with(context, out, |value, out| out.extend_from_slice(value));
    }

    fn write_with(&self, context: &Context<'_>, out: &mut Vec<u8>, push: fn(&[u8], &mut Vec<u8>)) {
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => out.extend_from_slice(text),
                Piece::Sample(expression) => {
                    if let Some(value) = expression.value(context) {
                        push(&value.into_written(), out);
                    }
                }
                Piece::Variable(variable) => variable.write(context, out),
            }
        }
    }
}

/// haproxy's own encoding of samples in messages; like there, a NUL ends the sample.
fn push_encoded(value: &[u8], out: &mut Vec<u8>) {
    let control = |byte: &u8| (*byte < b' ' && *byte != b'\t') || *byte == 0x7f;
    if !value.iter().any(control) {
        return out.extend_from_slice(value);
    }
    for byte in value.iter().take_while(|byte| **byte != 0) {
        if control(byte) {
            out.push(b'%');
            out.extend_from_slice(&super::value::hex(&[*byte]));
        } else {
            out.push(*byte);
        }
    }
}

impl Variable {
    fn write(self, context: &Context<'_>, out: &mut Vec<u8>) {
        let stream = context.stream;
        let ip = |out: &mut Vec<u8>, address: Option<SocketAddr>| {
            let text = address.map_or_else(|| "-".to_owned(), |address| address.ip().to_canonical().to_string());
            out.extend_from_slice(text.as_bytes());
        };
        let number = |out: &mut Vec<u8>, number: u64| out.extend_from_slice(number.to_string().as_bytes());
        let port = |address: Option<SocketAddr>| address.map_or(0, |address| address.port().into());
        match self {
            Self::ClientIp => ip(out, stream.source),
            Self::ClientPort => number(out, port(stream.source)),
            Self::FrontendIp => ip(out, stream.destination),
            Self::FrontendPort => number(out, port(stream.destination)),
            Self::FrontendName => out.extend_from_slice(stream.frontend.1.as_bytes()),
            Self::BackendName => {
                // Before a backend is chosen, haproxy names the frontend here.
                out.extend_from_slice(stream.backend.map_or(stream.frontend.1, |(_, name)| name).as_bytes());
            }
            Self::Seconds => number(out, stream.now.as_secs()),
            Self::HttpMethod | Self::HttpTarget | Self::HttpVersion | Self::HttpPath | Self::HttpQuery => {
                let Some(request) = context.request else { return };
                match self {
                    Self::HttpMethod => out.extend_from_slice(request.method()),
                    Self::HttpTarget => out.extend_from_slice(request.target()),
                    Self::HttpVersion => out.extend_from_slice(&request.version().text()),
                    Self::HttpPath => out.extend_from_slice(request.path()),
                    _ => {
                        if let Some(query) = request.query() {
                            out.push(b'?');
                            out.extend_from_slice(query);
                        }
                    }
                }
            }
        }
    }
}
