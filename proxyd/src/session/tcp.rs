//! A connection in `mode tcp`: the same story as a request, with fewer steps.

use super::Session;
use super::conn::Conn;
use super::server_content::{self, Opening};
use super::stream::{Done, Exchange};
use super::transfer::Transfer;
use std::task::Poll;

use super::{capture, finish, logging, policy, relay, stickiness};
use crate::http::h1::Body;
use crate::termination::{Cause, End, Phase};

/// How far the story got.
enum Begun {
    /// Bytes go both ways from now on.
    Relay,
    /// It is over.
    Over(Done),
    /// What comes are requests.
    Http,
}

/// Serves the connection to its end, or until it is found that it carries requests: then true, and none of them was taken. What
/// only its beginning and its end need is not kept while it lasts.
pub async fn serve(session: &Session, client: &mut Conn) -> bool {
    let mut exchange = Exchange::new(session, client, session.since);
    exchange.account.first_byte = Some(session.since);
    exchange.account.received = Some(session.since);
    exchange.upload = Transfer::new(Body::Tunnel);
    let result = match Box::pin(begin(&mut exchange)).await {
        Ok(Begun::Relay) => Some(relay::run(&mut exchange, Body::Tunnel).await),
        Ok(Begun::Over(done)) => Some(Ok(done)),
        Ok(Begun::Http) => None,
        Err(end) => {
            take_in(&mut exchange).await;
            Some(Err(end))
        }
    };
    let carries_requests = result.is_none();
    if let Some(result) = result {
        Box::pin(finish::finish(&mut exchange, result)).await;
    } else {
        finish::abandon(&mut exchange);
    }
    let Exchange { request, response, .. } = exchange;
    session.worker.give_heads([request, response]);
    carries_requests
}

/// Takes what the client has sent by now, as much as a buffer holds: it counts though nobody gets it, and the close is no reset.
async fn take_in(exchange: &mut Exchange<'_>) {
    let buffers = &exchange.session.worker.buffers;
    std::future::poll_fn(|context| {
        let _ = exchange.client.poll_gone(context, buffers);
        Poll::Ready(())
    })
    .await;
    // Bytes that are no message are never bad ones.
    let _ = exchange.upload.drain(&mut exchange.client.input, buffers);
}

/// The story, up to where bytes go both ways.
async fn begin(exchange: &mut Exchange<'_>) -> Result<Begun, End> {
    logging::at_the_beginning(exchange);
    capture::request(exchange);
    policy::on_connection(exchange).await?;
    if !exchange.switches_to_http {
        policy::choose_backend(exchange)?;
    }
    if exchange.switches_to_http {
        return Ok(Begun::Http);
    }
    policy::on_connection(exchange).await?;
    if exchange.client.broken {
        return Err(End::new(Cause::ClientAbort, Phase::Request, None));
    }
    exchange.get_connection().await?;
    stickiness::store(exchange);
    logging::before_transfer(exchange);
    if exchange.backend.is_none_or(|view| view.backend.section.rules.tcp_response_content.is_empty()) {
        return Ok(Begun::Relay);
    }
    Ok(match server_content::on_tunnel(exchange).await? {
        Opening::Open => Begun::Relay,
        Opening::Over(done) => Begun::Over(done),
    })
}
