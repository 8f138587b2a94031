//! A connection in `mode tcp`: the same story as a request, with fewer steps.

use super::Session;
use super::conn::Conn;
use super::server_content::{self, Opening};
use super::stream::Exchange;
use super::transfer::Transfer;
use super::{capture, finish, logging, policy, relay, stickiness};
use crate::http::h1::Body;
use crate::termination::End;

/// Serves the connection to its end. What only its beginning and its end need is not kept while it lasts.
pub async fn serve(session: &Session, client: &mut Conn) {
    let mut exchange = Exchange::new(session, client, session.since);
    exchange.account.first_byte = Some(session.since);
    exchange.account.received = Some(session.since);
    exchange.upload = Transfer::new(Body::Tunnel);
    let result = match Box::pin(begin(&mut exchange)).await {
        Ok(Opening::Open) => relay::run(&mut exchange, Body::Tunnel).await,
        Ok(Opening::Over(done)) => Ok(done),
        Err(end) => Err(end),
    };
    Box::pin(finish::finish(&mut exchange, result)).await;
}

/// The story, up to where bytes go both ways.
async fn begin(exchange: &mut Exchange<'_>) -> Result<Opening, End> {
    logging::at_the_beginning(exchange);
    capture::request(exchange);
    policy::on_connection(exchange).await?;
    policy::choose_backend(exchange)?;
    policy::on_connection(exchange).await?;
    exchange.get_connection().await?;
    stickiness::store(exchange);
    logging::before_transfer(exchange);
    if exchange.backend.is_none_or(|view| view.backend.section.rules.tcp_response_content.is_empty()) {
        return Ok(Opening::Open);
    }
    server_content::on_tunnel(exchange).await
}
