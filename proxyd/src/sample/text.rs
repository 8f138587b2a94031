//! Text with samples in it, as the arguments of rules have it: `https://%[hdr(host)]%[pathq]`.

use super::context::Context;
use super::fetch::End;
use super::transaction::{Captured, Transaction};
use super::{Expression, Value};
use crate::http::Head;
use crate::log::date::{Date, Second};
use crate::log::format::{Alias, Flags, Process, Program, write_one};
use crate::log::{Record, RequestLine, Responder};
use std::cell::RefCell;

/// A piece of such a text.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// Written as it is.
    Literal(Box<[u8]>),
    /// `%[…]`: the sample; nothing where there is none.
    Sample(Expression),
    /// `%ci` and the like, of those that [`in_rules`] takes.
    Alias(Alias, Flags),
    /// `%{+json}…`, `%{+cbor}…`: one item that is encoded, or all named ones as an object.
    Encoded(Box<Program<Expression>>),
}

/// Whether a variable of log-formats has a value while an exchange is under way.
pub fn in_rules(alias: Alias) -> bool {
    matches!(
        alias,
        Alias::AcceptDate
            | Alias::AcceptMillis
            | Alias::BackendName
            | Alias::ClientIp
            | Alias::ClientPort
            | Alias::FrontendIp
            | Alias::FrontendName
            | Alias::FrontendNameTransport
            | Alias::FrontendPort
            | Alias::GmtDate
            | Alias::Hostname
            | Alias::LocalDate
            | Alias::Method
            | Alias::Path
            | Alias::PathOnly
            | Alias::Pid
            | Alias::Query
            | Alias::Request
            | Alias::RequestCounter
            | Alias::RequestHeaderList
            | Alias::RequestHeaders
            | Alias::ResponseHeaderList
            | Alias::ResponseHeaders
            | Alias::ServerName
            | Alias::Status
            | Alias::Timestamp
            | Alias::UniqueId
            | Alias::Uri
            | Alias::Version
    )
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

    /// The same with samples as they are up to a NUL, for what is no message.
    pub fn write_raw(&self, context: &Context<'_>, out: &mut Vec<u8>) {
        self.write_with(context, out, |value, out| {
            let end = value.iter().position(|&byte| byte == 0).unwrap_or(value.len());
            out.extend_from_slice(value.get(..end).unwrap_or_default());
        });
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
                Piece::Alias(alias, flags) => {
                    as_logged(
                        context,
                        |shown| shown == *alias,
                        |record, process| {
                            write_one(*alias, *flags, out, record, process);
                        },
                    );
                }
                Piece::Encoded(program) => {
                    let mut encoded = Vec::new();
                    as_logged(
                        context,
                        |shown| program.shows(&[shown]),
                        |record, process| {
                            let value = |expression: &Expression| expression.value(context).map(Value::into_owned);
                            program.write(&mut encoded, record, process, value);
                        },
                    );
                    push(&encoded, out);
                }
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

/// What the log would tell, had the exchange ended here; `shows` says of which variables.
fn as_logged(context: &Context<'_>, shows: impl Fn(Alias) -> bool, write: impl FnOnce(&Record<'_>, Process<'_>)) {
    let stream = context.stream;
    let live = stream.live;
    let offset = || live.utc_offset(i64::try_from(stream.accepted.as_secs()).unwrap_or(i64::MAX));
    let any = |aliases: &[Alias]| aliases.iter().any(|alias| shows(*alias));
    let dated = any(&[Alias::AcceptDate, Alias::GmtDate, Alias::LocalDate]);
    let accepted = Date { since_epoch: stream.accepted, utc_offset: if dated { offset() } else { 0 } };
    let version = context.request.map(Head::protocol);
    let first = stream.transaction.and_then(Transaction::first_line);
    let request = context.request.map(|request| {
        let method = first.map_or_else(|| request.method(), |first| &first.method);
        let target = first.map_or_else(|| request.target(), |first| &first.target);
        RequestLine::new(method, target, version.unwrap_or_default(), live.kept_of_request_line())
    });
    let captured = |of: fn(&Transaction) -> &RefCell<Vec<Captured>>| -> Vec<Option<Vec<u8>>> {
        let places = stream.transaction.map(|transaction| of(transaction).borrow());
        places.map(|places| places.iter().map(|place| place.text.clone()).collect()).unwrap_or_default()
    };
    let (mut of_request, mut of_response) = (Vec::new(), Vec::new());
    if any(&[Alias::RequestHeaders, Alias::RequestHeaderList]) {
        of_request = captured(|transaction| &transaction.captured_request);
    }
    if any(&[Alias::ResponseHeaders, Alias::ResponseHeaderList]) {
        of_response = captured(|transaction| &transaction.captured_response);
    }
    let of_request: Vec<Option<&[u8]>> = of_request.iter().map(Option::as_deref).collect();
    let of_response: Vec<Option<&[u8]>> = of_response.iter().map(Option::as_deref).collect();
    let record = Record {
        backend: stream.backend.map(|(_, name)| name),
        server: stream.server.map_or(Responder::Nobody, |(_, name)| Responder::Server(name)),
        client: stream.end(End::Source),
        destination: stream.end(End::Destination),
        status: context.response.map(Head::status),
        request,
        captured_request: &of_request,
        captured_response: &of_response,
        // It shows an id that somebody has asked for; only the sample `unique-id` makes one.
        unique_id: stream.transaction.and_then(Transaction::made_id),
        request_counter: stream.number,
        ..Record::begun(stream.frontend.1, accepted)
    };
    let (hostname, pid) = live.host();
    let now = if shows(Alias::AcceptDate) { Second::of(accepted) } else { Second::default() };
    write(&record, Process { hostname, pid, now: &now });
}
