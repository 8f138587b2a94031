//! `use-service prometheus-exporter`: an answer that is made while it is sent, as much at a time as fits into a buffer.

use super::service::{self, Answer};
use super::stream::Exchange;
use super::{finish, policy};
use crate::http::{Head, Version, status};
use crate::log;
use crate::stats::exporter::{Query, Scrape};
use crate::termination::{Cause, End, Phase};

/// Begins the answer to a request: its head, which `http-response` rules see, and what makes its body.
pub(super) async fn answer(exchange: &mut Exchange<'_>) -> End {
    let mut answer = match Query::parse(exchange.request.target()) {
        Some(query) => begin(exchange, query),
        None => service::error_answer(exchange, 400),
    };
    service::serves(exchange, log::Service::Metrics);
    let code = answer.head.status();
    *exchange.response = std::mem::take(&mut answer.head);
    if let Err(end) = policy::on_service_response(exchange).await {
        return end;
    }
    answer.head = std::mem::take(&mut exchange.response);
    exchange.answer = Some(Box::new(answer));
    End::new(Cause::Local, Phase::Request, Some(code))
}

fn begin(exchange: &Exchange<'_>, query: Query) -> Answer {
    let (worker, generation) = (&exchange.session.worker, &exchange.session.view.generation);
    let now = exchange.account.now;
    let process = worker.process.stats(generation);
    let scrape = Scrape::new(query, generation, process, worker.milliseconds(now), worker.date(now));
    let mut head = Head::default();
    head.start_response(Version::HTTP_11, 200, status::reason(200).as_bytes());
    head.append(b"cache-control", b"no-cache");
    head.append(b"content-type", b"text/plain; version=0.0.4");
    // haproxy 2.6 sends chunks to clients of HTTP/1.0 too, who do not know them.
    if exchange.request.version().sent() != Version::HTTP_10 {
        head.append(b"transfer-encoding", b"chunked");
    }
    Answer { head, body: Vec::new(), scrape: Some(Box::new(scrape)) }
}

/// Sends the body, and the end of it. Other connections get their turn after each piece.
pub(super) async fn send(exchange: &mut Exchange<'_>, mut scrape: Box<Scrape>) {
    let session = exchange.session;
    // A rule may have taken the field away, and with it the client's way to tell chunks.
    let chunked = exchange.response.value(b"transfer-encoding").is_some();
    exchange.keep_alive &= chunked;
    let room = session.worker.buffers.size();
    let mut piece = String::new();
    loop {
        let more = scrape.advance(&mut piece, room);
        if !piece.is_empty() {
            let out = exchange.client.output.space(&session.worker.buffers);
            if chunked {
                out.extend_from_slice(format!("{:x}\r\n{piece}\r\n", piece.len()).as_bytes());
            } else {
                out.extend_from_slice(piece.as_bytes());
            }
            exchange.account.bytes_out += piece.len() as u64;
            piece.clear();
        }
        if !more {
            break;
        }
        if finish::flush(exchange).await.is_err() {
            exchange.keep_alive = false;
            return;
        }
        tokio::task::yield_now().await;
    }
    if chunked {
        exchange.client.output.space(&session.worker.buffers).extend_from_slice(b"0\r\n\r\n");
    }
}
