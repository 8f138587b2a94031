//! Connections to servers that one client's connection keeps for itself: with `http-reuse never`, and where a server knows by the
//! connection who the client is (NTLM). Where the client goes on with one of them is told here, too.

use std::cell::Cell;
use std::fmt;
use std::sync::{Arc, Weak};

use super::pool::ServerConn;
use super::stream::Exchange;
use crate::balance::Algorithm;
use crate::http::Head;
use crate::proxy::Server;
use crate::proxy::backend::Reach;
use crate::worker::buffers::Buffers;
use crate::worker::view::BackendView;

/// What a client's connection keeps.
#[derive(Debug, Default)]
struct Own {
    /// In the order in which their servers were first asked.
    kept: Vec<Kept>,
    /// The connection in use is one of them, or is to become one.
    in_use: bool,
    /// A server has asked for credentials that hold for the connection.
    sticks: bool,
}

#[derive(Debug)]
struct Kept {
    /// Keeps the address from being given to another.
    reach: Weak<Reach>,
    /// `None`: it is in use.
    conn: Option<ServerConn>,
}

impl Kept {
    fn is_of(&self, server: &Server) -> bool {
        std::ptr::eq(self.reach.as_ptr(), Arc::as_ptr(&server.reach))
    }
}

impl Own {
    /// Takes the connection to a server, unless it is no longer good.
    fn take(&mut self, server: &Server, buffers: &Buffers) -> Option<ServerConn> {
        self.in_use = false;
        let place = self.kept.iter().position(|kept| kept.is_of(server) && kept.conn.is_some())?;
        let mut conn = self.kept.get_mut(place)?.conn.take()?;
        if conn.moves == server.location.moves() && conn.conn.stream().is_quiet() {
            self.in_use = true;
            return Some(conn);
        }
        conn.conn.release(buffers);
        self.kept.remove(place);
        None
    }

    /// Keeps a connection whose request is complete, unless it is not clean, has carried enough, or `most` others are there.
    fn keep(&mut self, server: &Server, buffers: &Buffers, mut conn: ServerConn, most: u32) {
        self.in_use = false;
        let clean = conn.is_clean(&server.location);
        conn.conn.release(buffers);
        let more = server.max_reuse.is_none_or(|reuse| conn.requests <= reuse);
        let place = self.kept.iter().position(|kept| kept.is_of(server) && kept.conn.is_none());
        if !clean || !more {
            return;
        }
        if let Some(kept) = place.and_then(|place| self.kept.get_mut(place)) {
            kept.conn = Some(conn);
            return;
        }
        self.kept.retain(|kept| kept.conn.is_some());
        if self.kept.len() < usize::try_from(most).unwrap_or(usize::MAX) {
            self.kept.push(Kept { reach: Arc::downgrade(&server.reach), conn: Some(conn) });
        }
    }
}

/// The place for them, a word in every client's connection.
#[derive(Default)]
pub struct OwnPlace(Cell<Option<Box<Own>>>);

impl OwnPlace {
    /// Asks or changes what is there.
    fn with<T>(&self, act: impl FnOnce(&mut Own) -> T) -> Option<T> {
        let mut own = self.0.take()?;
        let told = act(&mut own);
        self.0.set(Some(own));
        Some(told)
    }

    /// The same, also where nothing was kept before.
    fn begin<T>(&self, act: impl FnOnce(&mut Own) -> T) -> T {
        let mut own = self.0.take().unwrap_or_default();
        let told = act(&mut own);
        self.0.set(Some(own));
        told
    }

    /// The connection to a server that is kept, if it is still good.
    pub fn take(&self, server: &Server, buffers: &Buffers) -> Option<ServerConn> {
        self.with(|own| own.take(server, buffers)).flatten()
    }

    /// Keeps a connection, if there is room (`max-session-srv-conns`).
    pub fn keep(&self, server: &Server, buffers: &Buffers, conn: ServerConn, most: u32) {
        self.begin(|own| own.keep(server, buffers, conn, most));
    }

    /// Whether the connection in use is this client's alone. It is asked once, when the exchange is over.
    pub fn claims(&self) -> bool {
        self.with(|own| std::mem::take(&mut own.in_use)).unwrap_or(false)
    }

    /// A server knows the client by the connection in use, which from now on is its own, and which it goes on with.
    pub fn stick(&self) {
        self.begin(|own| (own.in_use, own.sticks) = (true, true));
    }
}

impl fmt::Debug for OwnPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnPlace")
    }
}

/// `option prefer-last-server`, or what a 401 or 407 of NTLM makes of it: the first server that a connection is kept to and that
/// can be asked. Algorithms that always choose the same server have their way.
pub(super) fn preferred(exchange: &Exchange<'_>, view: &BackendView) -> Option<usize> {
    let preferred = exchange.session.own.with(|own| {
        let farm = &view.backend.farm;
        if !(own.sticks || view.backend.prefer_last_server) || matches!(farm.settings().algorithm, Algorithm::Hash(_)) {
            return None;
        }
        let asked = |kept: &Kept| {
            let index = view.backend.servers.iter().position(|server| kept.is_of(server))?;
            let state = farm.servers().get(index)?;
            let most = if own.sticks { None } else { view.backend.max_keep_alive_queue };
            let waits = most.is_none_or(|most| state.queued() < most) || farm.has_room(index);
            (state.eligible() && waits).then_some(index)
        };
        own.kept.iter().filter(|kept| kept.conn.is_some()).find_map(asked)
    });
    preferred.flatten()
}

/// Whether a response asks for credentials that hold for the connection rather than for the request.
pub(super) fn is_about_connection(response: &Head) -> bool {
    let name: &[u8] = match response.status() {
        401 => b"www-authenticate",
        407 => b"proxy-authenticate",
        _ => return false,
    };
    let begins = |scheme: &[u8], with: &[u8]| scheme.get(..4).is_some_and(|begin| begin.eq_ignore_ascii_case(with));
    response
        .values(name)
        .flat_map(|value| value.split(|&byte| byte == b','))
        .map(<[u8]>::trim_ascii_start)
        .any(|scheme| begins(scheme, b"NTLM") || begins(scheme, b"Nego"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes_of_connections_are_told() {
        let cases: [(u16, &[u8], &[u8], bool); 10] = [
            (401, b"www-authenticate", b"NTLM", true),
            (401, b"www-authenticate", b"Basic realm=a, negotiate", true),
            (401, b"www-authenticate", b"NTLMX", true),
            (401, b"www-authenticate", b"Neg", false),
            (401, b"www-authenticate", b"Basic", false),
            (401, b"www-authenticate", b"Kerberos", false),
            (401, b"proxy-authenticate", b"NTLM", false),
            (407, b"proxy-authenticate", b"NTLM", true),
            (407, b"www-authenticate", b"NTLM", false),
            (200, b"www-authenticate", b"NTLM", false),
        ];
        for (status, name, value, expected) in cases {
            let mut response = Head::default();
            response.set_status(status, None);
            response.append(name, value);
            assert_eq!(is_about_connection(&response), expected, "{status} {}", String::from_utf8_lossy(value));
        }
    }
}
