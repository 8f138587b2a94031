//! Samples of a connection as the kernel and its PROXY header know it.

use super::End;
use crate::proxy_protocol;
use crate::sample::context::Stream;
use crate::sample::value::Value;
use std::borrow::Cow;
use std::net::SocketAddr;

/// The addition to a PROXY header about TLS, what its own additions stand behind, and their types (PROXY protocol, 2.2.6).
const SSL: u8 = 0x20;
const SSL_HEAD: usize = 5;
const SSL_PARTS: std::ops::RangeInclusive<u8> = 0x21..=0x25;

/// A connected socket that rules may ask about.
pub trait Socket {
    /// This side's address.
    fn local(&self) -> Option<SocketAddr>;
    /// The other side's.
    fn peer(&self) -> Option<SocketAddr>;
    /// What the kernel has measured (`TCP_INFO`); `None` where it is not TCP.
    fn measured(&self) -> Option<Measured>;
    /// The packet that the connection began with, where its listener keeps it (`tcp-ss`).
    fn saved_syn(&self) -> Option<Vec<u8>>;
    /// The process's number for it.
    fn descriptor(&self) -> i32;
}

/// What the kernel tells of a TCP connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Measured {
    /// Round trip time, in microseconds.
    pub rtt: u32,
    /// Its variance, in microseconds.
    pub rtt_variance: u32,
    /// Segments sent and not acknowledged.
    pub unacked: u32,
    /// Segments acknowledged out of order.
    pub sacked: u32,
    /// Segments that are lost.
    pub lost: u32,
    /// Segments that are sent again.
    pub retransmitted: u32,
    /// Segments up to the highest one acknowledged.
    pub fackets: u32,
    /// How far segments were out of order.
    pub reordering: u32,
}

/// One of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Figure {
    /// `fc_rtt`, in milliseconds or microseconds.
    Rtt(Resolution),
    /// `fc_rttvar`
    RttVariance(Resolution),
    /// `fc_unacked`
    Unacked,
    /// `fc_sacked`
    Sacked,
    /// `fc_lost`
    Lost,
    /// `fc_retrans`
    Retransmitted,
    /// `fc_fackets`
    Fackets,
    /// `fc_reordering`
    Reordering,
}

/// The unit of a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resolution {
    /// `ms`
    Milliseconds,
    /// `us`
    Microseconds,
}

impl Resolution {
    fn of(self, microseconds: u32) -> u32 {
        match self {
            Self::Milliseconds => microseconds.saturating_add(500) / 1_000,
            Self::Microseconds => microseconds,
        }
    }
}

/// Which connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Which {
    /// `fc_…`: the client's.
    Client,
    /// `bc_…`: that to the server.
    Server,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SocketFetch {
    /// Something that the kernel measures.
    Measured(Which, Figure),
    /// `bc_src`, `bc_dst`
    ServerAddress(End),
    /// `bc_src_port`, `bc_dst_port`
    ServerPort(End),
    /// `fc_pp_authority`, `fc_pp_unique_id`, `fc_pp_tlv`: an addition to the PROXY header.
    Tlv(u8),
    /// `fc_err`, `fc_err_str`: what was wrong with the client's connection.
    Error(Told),
    /// `fc_saved_syn`
    SavedSyn,
}

/// How an error is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Told {
    /// As haproxy's number for it; 0: nothing was wrong.
    Number,
    /// In words.
    Words,
    /// As one word; empty: nothing was wrong.
    Name,
}

impl SocketFetch {
    /// The sample.
    pub(super) fn value<'a>(self, stream: &Stream<'a>) -> Option<Value<'a>> {
        let address = |end| match end {
            End::Source => stream.server_socket?.local(),
            End::Destination => stream.server_socket?.peer(),
        };
        match self {
            Self::Measured(which, figure) => Some(Value::Int(figure.of(&stream.socket(which)?.measured()?).into())),
            Self::ServerAddress(end) => address(end).map(|address| Value::Ip(address.ip().to_canonical())),
            Self::ServerPort(end) => address(end).map(|address| Value::Int(address.port().into())),
            Self::Error(Told::Number) => Some(Value::Int(stream.header_error.map_or(0, |error| error.number().into()))),
            Self::Error(Told::Words) => {
                Some(Value::text(stream.header_error.map_or("Success", |error| error.message()).as_bytes()))
            }
            Self::Error(Told::Name) => {
                Some(Value::text(stream.header_error.map_or("", |error| error.name()).as_bytes()))
            }
            Self::SavedSyn => stream.client_socket?.saved_syn().map(|packet| Value::Bin(Cow::Owned(packet))),
            Self::Tlv(kind) => {
                let additions = stream.proxy_header?;
                // What is said about TLS has additions of its own, after whether there was any and whether it was verified.
                let inside = || proxy_protocol::tlv(proxy_protocol::tlv(additions, SSL)?.get(SSL_HEAD..)?, kind);
                let found = proxy_protocol::tlv(additions, kind);
                found.or_else(|| if SSL_PARTS.contains(&kind) { inside() } else { None }).map(Value::text)
            }
        }
    }
}

impl Figure {
    fn of(self, measured: &Measured) -> u32 {
        match self {
            Self::Rtt(resolution) => resolution.of(measured.rtt),
            Self::RttVariance(resolution) => resolution.of(measured.rtt_variance),
            Self::Unacked => measured.unacked,
            Self::Sacked => measured.sacked,
            Self::Lost => measured.lost,
            Self::Retransmitted => measured.retransmitted,
            Self::Fackets => measured.fackets,
            Self::Reordering => measured.reordering,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::context::Nothing;
    use crate::sample::variable::Variables;
    use crate::stick::Counters;

    #[test]
    fn additions_about_tls_stand_in_one_of_their_own() {
        let header = b"\x02\0\x01a\x20\0\x0d\x01\0\0\0\0\x21\0\x01v\x22\0\x01n\x05\0\x01u";
        let (variables, counters, live) = (Variables::default(), Counters::default(), Nothing::default());
        let stream = Stream { proxy_header: Some(header), ..Stream::outside(&variables, &counters, &live) };
        for (kind, expected) in [(2, Some("a")), (0x21, Some("v")), (0x22, Some("n")), (0x23, None), (5, Some("u"))] {
            let value = SocketFetch::Tlv(kind).value(&stream);
            assert_eq!(value, expected.map(|text| Value::text(text.as_bytes())), "{kind}");
        }
    }
}
