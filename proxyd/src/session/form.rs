//! `balance url_param … check_post`: the form of a POST, which must have come before a server is chosen.

use std::borrow::Cow;

use super::body;
use super::stream::Exchange;
use crate::balance::{Algorithm, KeySource};
use crate::termination::End;
use crate::worker::view::BackendView;

/// Whether the backend's algorithm looks into this request's body.
fn is_looked_at(exchange: &Exchange<'_>, view: &BackendView) -> bool {
    match &view.backend.farm.settings().algorithm {
        Algorithm::Hash(KeySource::UrlParam { check_post, .. }) => {
            *check_post
                && exchange.upload.moved == 0
                && exchange.request_wire.is_some()
                && exchange.request.method() == b"POST"
        }
        Algorithm::RoundRobin
        | Algorithm::StaticRr
        | Algorithm::LeastConn
        | Algorithm::First
        | Algorithm::Random { .. }
        | Algorithm::Hash(_) => false,
    }
}

/// What has come of the body, as far as it may be a form.
pub fn received<'e>(exchange: &'e Exchange<'_>, view: &BackendView) -> Option<Cow<'e, [u8]>> {
    is_looked_at(exchange, view).then(|| body::received(exchange).data())
}

/// Waits until the whole body has come, or as much as there is room for.
pub async fn wait(exchange: &mut Exchange<'_>, view: &BackendView) -> Result<(), End> {
    if !is_looked_at(exchange, view) || body::received(exchange).has(0) {
        return Ok(());
    }
    let deadline = body::deadline(exchange);
    let waited = body::wait(exchange, 0, deadline).await;
    exchange.account.received = Some(exchange.account.now);
    waited
}
