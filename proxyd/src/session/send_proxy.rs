//! The PROXY header that tells a server who the client is.

use super::policy;
use super::stream::Exchange;
use crate::proxy::address::{ProxyVersion, SendProxy};
use crate::proxy_protocol::{self, Additions, Ends, kind};
use crate::worker::view::BackendView;

/// Bytes of an authority that are passed on at most.
const AUTHORITY_MAX: usize = 255;

/// Writes it.
pub fn write(exchange: &Exchange<'_>, view: &BackendView, send: &SendProxy, out: &mut Vec<u8>) {
    let ends = exchange.source().zip(exchange.seen_destination());
    let ends = ends.map(|(source, destination)| Ends { source, destination });
    match send.version {
        ProxyVersion::V1 => proxy_protocol::write_v1(ends, out),
        ProxyVersion::V2 => proxy_protocol::write_v2(ends, &additions(exchange, view, send), out),
    }
}

/// In haproxy's order. What has no room is left out: the server still learns the rest.
fn additions(exchange: &Exchange<'_>, view: &BackendView, send: &SendProxy) -> Additions {
    let mut additions = Additions::new(send.checksum);
    let received = exchange.session.proxy_header.as_ref().map_or(&[][..], |header| &header.tlvs);
    let authority = proxy_protocol::tlv(received, kind::AUTHORITY).filter(|name| name.len() <= AUTHORITY_MAX);
    if let Some(authority) = authority.filter(|_| send.authority) {
        additions.push(kind::AUTHORITY, authority);
    }
    if send.unique_id {
        additions.push(kind::UNIQUE_ID, &policy::unique_id(exchange).unwrap_or_default());
    }
    for (kind, text) in &send.tlvs {
        let mut value = Vec::new();
        policy::with_request(exchange, view, |context| text.write_raw(context, &mut value));
        additions.push(*kind, &value);
    }
    if send.tls {
        additions.push(kind::SSL, &proxy_protocol::NO_TLS);
    }
    additions
}
