//! Persistence by stick tables on an exchange: where the tables send a client, and what they learn of where it went.

use super::policy;
use super::stream::Exchange;
use crate::ids::TableId;
use crate::proxy::Server;
use crate::sample::Live as _;
use crate::stick::table::ServerKey;
use crate::stick::{DataType, Key, Table};
use crate::worker::view::BackendView;
use std::sync::Arc;

/// Evaluates the `stick` rules on the request, once; the server that the tables name, if it can take the client.
pub fn read(exchange: &mut Exchange<'_>, view: &BackendView) -> Option<usize> {
    let rules = &view.backend.section.rules;
    if rules.stick_request.is_empty() {
        return None;
    }
    if exchange.stuck.is_none() {
        let mut stores = std::mem::take(&mut exchange.to_store);
        let stuck = policy::with_request(exchange, view, |context| {
            let forced = rules.any(&rules.force_persist, context);
            rules.stick_request(context, &mut stores, |table, key| found(exchange, view, forced, table, key))
        });
        exchange.to_store = stores;
        exchange.stuck = Some(stuck);
    }
    exchange.stuck.flatten()
}

/// The server of an entry. One that is down counts only with `option persist` or `force-persist`.
fn found(exchange: &Exchange<'_>, view: &BackendView, forced: bool, table: TableId, key: &Key) -> Option<usize> {
    let table = exchange.session.view.generation.table(table)?;
    let now_ms = exchange.session.worker.milliseconds(exchange.account.now);
    let entry = table.lookup(key, now_ms)?;
    entry.touch(now_ms);
    let data = entry.data(table.layout());
    let (name, id) = (data.server_key(), data.read(DataType::ServerId, 0, now_ms));
    drop(data);
    let servers = &view.backend.servers;
    let named =
        name.and_then(|name| servers.iter().position(|server| server_key(server, table).as_ref() == Some(&*name)));
    let numbered = || servers.iter().position(|server| id == Some(server.id.into()));
    let server = named.or_else(numbered)?;
    let farm = &view.backend.farm;
    let usable = forced || farm.settings().persist || farm.servers().get(server)?.reachable();
    usable.then_some(server)
}

/// Stores where the client went, once a server has answered or, in `mode tcp`, has been connected to.
pub fn store(exchange: &mut Exchange<'_>) {
    let Some((view, index)) = exchange.backend.zip(exchange.server_index) else { return };
    let rules = &view.backend.section.rules;
    if exchange.to_store.is_empty() && rules.stick_response.is_empty() {
        return;
    }
    let mut stores = std::mem::take(&mut exchange.to_store);
    if !rules.stick_response.is_empty() {
        policy::with_response(exchange, view, |context| rules.stick_response(context, &mut stores));
    }
    let Some(server) = view.backend.servers.get(index).filter(|server| !server.non_stick) else { return };
    let now_ms = exchange.session.worker.milliseconds(exchange.account.now);
    for (table, key) in stores.iter() {
        let Some(table) = exchange.session.view.generation.table(*table) else { continue };
        // A full table that lets nothing go learns nothing.
        let Some(entry) = table.obtain(key, now_ms) else { continue };
        let mut data = entry.data(table.layout());
        data.set(DataType::ServerId, 0, server.id.into(), now_ms);
        data.set_server_key(server_key(server, table).map(Arc::new));
    }
}

/// How a table names a server.
fn server_key(server: &Server, table: &Table) -> Option<String> {
    match table.settings().server_key {
        ServerKey::Name => Some(server.name.to_string()),
        ServerKey::Address => server.location.get().socket().map(|socket| socket.to_string()),
    }
}
