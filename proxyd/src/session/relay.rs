//! A response on its way to the client, with the rest of the request still going the other way; or a tunnel, where both
//! directions go on until both have ended.
//!
//! A server may answer before it has read the request. What the client is still sending goes to the server all the same, or
//! nowhere if that has closed: a client that is cut off within its request may lose the answer that it was sent.

use std::task::{Context, Poll};
use std::time::Duration;

use super::report::{Report, Stage};
use super::stream::{Counted, Done, Exchange};
use super::transfer::{Broken, Silence, Transfer, poll_silence, poll_transfer};
use super::{Session, finish};
use crate::clock::{self, Moment};
use crate::http::h1::Body;
use crate::proxy::Section;
use crate::rules::bandwidth::Direction;
use crate::termination::{Cause, End, Phase};

/// How often `option contstats` counts the bytes of one response or tunnel.
const COUNTED_EVERY: Duration = Duration::from_secs(5);

/// Relays until the response is complete, or for [`Body::Tunnel`] until both sides have ended.
pub async fn run(exchange: &mut Exchange<'_>, body: Body) -> Result<Done, End> {
    let mut relay = Relay::new(exchange, body);
    let result = std::future::poll_fn(|context| relay.poll(context, exchange)).await;
    exchange.account.bytes_out += relay.download.counted();
    if relay.polled {
        // It took time.
        exchange.tick();
    }
    result
}

struct Relay {
    download: Transfer,
    downloaded: bool,
    uploaded: bool,
    /// The server takes no more of the request.
    deaf: bool,
    tunnel: bool,
    /// The client finds the answer's end by that of its connection.
    ends_with_connection: bool,
    client: Silence,
    server: Silence,
    polled: bool,
}

#[derive(Clone, Copy)]
enum Side {
    Client,
    Server,
    /// A direction that was slowed down goes on.
    Time,
}

impl Relay {
    fn new(exchange: &mut Exchange<'_>, body: Body) -> Self {
        let tunnel = body == Body::Tunnel;
        if tunnel {
            exchange.upload.become_tunnel();
            if let Some(meters) = exchange.transaction.take_meters(Direction::In) {
                exchange.upload.limit(meters);
            }
            exchange.upload.may_splice = exchange.may_splice(|splice| splice.request);
        }
        let limit = exchange.transaction.tunnel_timeout.get();
        let limit = limit.or_else(|| exchange.timeout(|section| section.timeouts.tunnel)).filter(|_| tunnel);
        let mut download = Transfer::new(body);
        if exchange.session.frontend.section.adjust_case_for_client {
            download.adjust_trailers(&exchange.session.view.generation.global.case_adjustment);
        }
        if exchange.session.frontend.section.drops_response_trailers {
            download.drop_trailers();
        }
        download.may_splice = exchange.may_splice(|splice| splice.response);
        if let Some(meters) = exchange.transaction.take_meters(Direction::Out) {
            download.limit(meters);
        }
        let now = exchange.account.now;
        if exchange.session.frontend.section.contstats {
            exchange.account.counted = Some(Box::new(Counted { bytes: (0, 0), next: now + COUNTED_EVERY }));
        }
        let unsent = exchange.server.as_ref().is_some_and(|server| !server.conn.output.is_empty());
        Self {
            download,
            downloaded: false,
            uploaded: exchange.upload.is_done() && !unsent,
            deaf: false,
            tunnel,
            ends_with_connection: body == Body::UntilClose,
            client: Silence::new(limit.or(exchange.client_timeout()), now),
            server: Silence::new(limit.or(exchange.server_timeout()), now),
            polled: false,
        }
    }

    fn poll(&mut self, context: &mut Context<'_>, exchange: &mut Exchange<'_>) -> Poll<Result<Done, End>> {
        exchange.check_shut(self.phase())?;
        let (mut down, mut up) = (false, false);
        if !self.downloaded {
            self.poll_download(context, exchange, &mut down)?;
        }
        if !self.uploaded {
            self.poll_upload(context, exchange, &mut up)?;
        }
        if self.downloaded && self.uploaded {
            return Poll::Ready(Ok(Done));
        }
        if (down || up) && self.polled {
            let now = clock::moment();
            // With independent streams, who is still to send is silent while others send to it.
            let alone = |section: &Section| section.independent_streams;
            if !alone(&exchange.session.frontend.section) || if self.uploaded { down } else { up } {
                self.client.broken(now);
            }
            let backend = exchange.backend.map(|view| &view.backend.section);
            if !backend.is_some_and(alone) || if self.downloaded { up } else { down } {
                self.server.broken(now);
            }
            if let Some(counted) = exchange.account.counted.as_mut().filter(|counted| now >= counted.next) {
                counted.next = now + COUNTED_EVERY;
                let sent = exchange.account.bytes_out + self.download.counted();
                finish::count_bytes(exchange, exchange.account.bytes_in + exchange.upload.moved, sent);
            }
        }
        self.polled = true;
        let to_client = self.download.is_held_up() || !exchange.client.output.is_empty();
        let to_server = exchange.upload.is_held_up()
            || exchange.server.as_ref().is_some_and(|server| !server.conn.output.is_empty());
        let waits = [
            (self.client.deadline().filter(|_| to_client || (!self.uploaded && !to_server)), Side::Client),
            (self.server.deadline().filter(|_| to_server || (!self.downloaded && !to_client)), Side::Server),
        ];
        let tell = || Some(self.report(exchange, [to_client, to_server], &waits));
        let resumes = self.download.resumes().into_iter().chain(exchange.upload.resumes()).min();
        if resumes.is_some() {
            return self.poll_slowed(context, exchange.session, [waits[0], waits[1], (resumes, Side::Time)], tell());
        }
        poll_silence(context, exchange.session, &waits, tell).map(|side| Err(self.late(side)))
    }

    /// The same wait where a direction is slowed down.
    #[cold]
    fn poll_slowed(
        &mut self,
        context: &mut Context<'_>,
        session: &Session,
        waits: [(Option<Moment>, Side); 3],
        told: Option<Report>,
    ) -> Poll<Result<Done, End>> {
        match poll_silence(context, session, &waits, || told) {
            Poll::Ready(Side::Time) => {
                // Nobody was silent: they were not listened to.
                let now = clock::moment();
                self.client.broken(now);
                self.server.broken(now);
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Poll::Ready(side) => Poll::Ready(Err(self.late(side))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn poll_download(
        &mut self,
        context: &mut Context<'_>,
        exchange: &mut Exchange<'_>,
        active: &mut bool,
    ) -> Result<(), End> {
        let Some(server) = &mut exchange.server else {
            self.downloaded = true;
            return Ok(());
        };
        let ends = (&mut server.conn, &mut *exchange.client);
        match poll_transfer(context, &mut self.download, ends, &exchange.session.worker, active) {
            Poll::Pending => {}
            Poll::Ready(Ok(())) => {
                self.downloaded = true;
                if self.ends_with_connection && !exchange.upload.is_done() {
                    let _ = exchange.client.stream().shutdown_write();
                }
                if self.tunnel {
                    // The client may go on sending; if it is gone, the other direction shows it.
                    if self.uploaded && exchange.session.frontend.nolinger {
                        exchange.client.stream().reset_on_close();
                        return Ok(());
                    }
                    let _ = exchange.client.stream().shutdown_write();
                    let limit = exchange.session.frontend.section.timeouts.client_fin;
                    self.client.limit = limit.or(self.client.limit);
                }
            }
            Poll::Ready(Err(Broken::Source)) => return Err(End::new(Cause::ServerAbort, self.phase(), None)),
            Poll::Ready(Err(Broken::Invalid)) => return Err(End::new(Cause::Proxy, self.phase(), None)),
            Poll::Ready(Err(Broken::Sink | Broken::Reset)) => {
                return Err(End::new(Cause::ClientAbort, self.phase(), None));
            }
        }
        Ok(())
    }

    fn poll_upload(
        &mut self,
        context: &mut Context<'_>,
        exchange: &mut Exchange<'_>,
        active: &mut bool,
    ) -> Result<(), End> {
        if self.deaf {
            return self.poll_drain(context, exchange, active);
        }
        let Some(server) = &mut exchange.server else { return Ok(()) };
        let ends = (&mut *exchange.client, &mut server.conn);
        match poll_transfer(context, &mut exchange.upload, ends, &exchange.session.worker, active) {
            Poll::Pending => {}
            Poll::Ready(Ok(())) => {
                self.uploaded = true;
                if self.tunnel && exchange.backend.is_some_and(|view| view.backend.nolinger) {
                    // The connection to the server is not ended but reset, and with it what the server still has to say.
                    self.downloaded = true;
                } else if self.tunnel {
                    let _ = server.conn.stream().shutdown_write();
                    let limit = exchange.backend.and_then(|view| view.backend.section.timeouts.server_fin);
                    self.server.limit = limit.or(self.server.limit);
                }
            }
            Poll::Ready(Err(Broken::Source)) => {
                if self.tunnel {
                    server.conn.stream().reset_on_close();
                }
                return Err(End::new(Cause::ClientAbort, self.phase(), None));
            }
            Poll::Ready(Err(Broken::Invalid)) => return Err(End::new(Cause::Proxy, self.phase(), None)),
            // It has broken off what it had not ended.
            Poll::Ready(Err(Broken::Reset)) if self.tunnel || self.downloaded => {
                server.conn.broken |= self.tunnel;
                return Err(End::new(Cause::ServerAbort, self.phase(), None));
            }
            Poll::Ready(Err(Broken::Sink)) if self.tunnel => {
                server.conn.broken = true;
                return Err(End::new(Cause::ServerAbort, self.phase(), None));
            }
            // A server that answers may stop reading the request: what it answered still counts.
            Poll::Ready(Err(Broken::Sink | Broken::Reset)) => {
                server.conn.output.discard(&exchange.session.worker.buffers);
                if let Some(wire) = &mut exchange.response_wire {
                    wire.keep_alive = false;
                }
                self.deaf = true;
                return self.poll_drain(context, exchange, active);
            }
        }
        Ok(())
    }

    /// Takes the rest of the request that nobody wants any more, so that the client is not cut off while it sends.
    fn poll_drain(
        &mut self,
        context: &mut Context<'_>,
        exchange: &mut Exchange<'_>,
        active: &mut bool,
    ) -> Result<(), End> {
        let buffers = &exchange.session.worker.buffers;
        loop {
            let drained = exchange.upload.drain(&mut exchange.client.input, buffers);
            drained.map_err(|_| End::new(Cause::Proxy, self.phase(), None))?;
            if exchange.upload.is_done() {
                self.uploaded = true;
                return Ok(());
            }
            match exchange.client.poll_fill(context, buffers, true) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(0) | Err(_)) => return Err(End::new(Cause::ClientAbort, self.phase(), None)),
                Poll::Ready(Ok(_)) => *active = true,
            }
        }
    }

    /// A side that is waited for either has to take bytes or to send some.
    fn report(&self, exchange: &Exchange<'_>, held_up: [bool; 2], waits: &[(Option<Moment>, Side); 2]) -> Report {
        let mut report = exchange.report(if self.tunnel { Stage::Tunnel } else { Stage::Data });
        report.response.total += self.download.counted();
        let [client, server] = waits.map(|(deadline, _)| report.left(deadline));
        let places = (&mut report.request, &mut report.response);
        *(if held_up[0] { &mut places.1.write } else { &mut places.0.read }) = client;
        *(if held_up[1] { &mut places.0.write } else { &mut places.1.read }) = server;
        report
    }

    fn phase(&self) -> Phase {
        if self.download.is_done() && self.uploaded { Phase::Last } else { Phase::Data }
    }

    fn late(&self, side: Side) -> End {
        let cause = match side {
            Side::Client => Cause::ClientTimeout,
            Side::Server | Side::Time => Cause::ServerTimeout,
        };
        End::new(cause, self.phase(), None)
    }
}
