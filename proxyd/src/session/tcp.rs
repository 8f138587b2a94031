//! A connection in `mode tcp`: the same story as a request, with fewer steps.

use super::Session;
use super::conn::Conn;
use super::stream::{Done, Exchange};
use super::{capture, finish, policy, relay, stickiness};
use crate::http::h1::Body;
use crate::termination::End;

/// Serves the connection to its end.
pub async fn serve(session: &Session, client: &mut Conn) {
    let mut exchange = Exchange::new(session, client, session.since);
    exchange.account.first_byte = Some(session.since);
    exchange.account.received = Some(session.since);
    let result = tunnel(&mut exchange).await;
    finish::finish(&mut exchange, result).await;
}

/// The story.
async fn tunnel(exchange: &mut Exchange<'_>) -> Result<Done, End> {
    capture::request(exchange);
    policy::on_connection(exchange).await?;
    policy::choose_backend(exchange)?;
    policy::on_connection(exchange).await?;
    exchange.get_connection().await?;
    stickiness::store(exchange);
    finish::log_early(exchange);
    relay::run(exchange, Body::Tunnel).await
}
