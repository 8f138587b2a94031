//! What rules may ask of the running process.

use super::Generation;
use crate::ids::{BackendId, FrontendId, ServerIndex, TableId, UserlistId};
use crate::log::date::{Date, Second};
use crate::log::syslog::{Level, Message, Priority, Sender};
use crate::proxy::frontend::AcceptState;
use crate::rules::effect::Effect;
use crate::sample::fetch::Figure;
use crate::sample::variable::ProcessVariables;
use crate::sample::variable::Variables;
use crate::sample::variable_limits::VariableLimits;
use crate::sample::{Context, Converter, Stream, Value};
use crate::sample::{Groups, Live};
use crate::stick::tracked::Statuses;
use crate::stick::{Counters, Table};
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

mod figure;

impl Live for Generation {
    fn variable_limits(&self) -> Option<&VariableLimits> {
        self.global.tune.variables.as_deref()
    }

    fn statuses(&self) -> Option<&Statuses> {
        self.global.tune.statuses.as_deref()
    }

    fn backend_named(&self, name: &[u8]) -> Option<BackendId> {
        let index = self.backends.iter().position(|backend| backend.section.name.as_bytes() == name)?;
        Some(BackendId(u32::try_from(index).ok()?))
    }

    fn servers_up(&self, backend: BackendId) -> u64 {
        self.backend(backend).map_or(0, |backend| {
            let usable = backend.farm.usable();
            u64::from(if usable.active > 0 { usable.active } else { usable.backup })
        })
    }

    fn server_up(&self, backend: BackendId, server: ServerIndex) -> bool {
        let state = self.backend(backend).and_then(|backend| backend.farm.servers().get(server.index()));
        state.is_some_and(|state| state.reachable())
    }

    fn server_sessions(&self, backend: BackendId, server: ServerIndex) -> u64 {
        let state = self.backend(backend).and_then(|backend| backend.farm.servers().get(server.index()));
        state.map_or(0, |state| state.served().into())
    }

    fn backend_sessions(&self, backend: BackendId) -> u64 {
        self.backend(backend).map_or(0, |backend| backend.section.traffic.sessions.current())
    }

    fn queued(&self, backend: BackendId) -> u64 {
        self.backend(backend).map_or(0, |backend| backend.farm.queued_in_total().into())
    }

    fn frontend_sessions(&self, frontend: FrontendId) -> u64 {
        self.frontend(frontend).map_or(0, |frontend| frontend.section.traffic.sessions.current())
    }

    fn admitted(&self, userlist: UserlistId, user: &[u8], password: &[u8]) -> Option<Groups> {
        let list = self.userlists.get(userlist.index())?;
        let user = list.admit(user, password, self.global.system.is_password)?;
        Some(Groups(list.groups_of(user).map(str::to_owned).collect()))
    }

    fn server_named(&self, name: &[u8]) -> Option<(BackendId, ServerIndex)> {
        let slash = name.iter().position(|&byte| byte == b'/')?;
        let backend = self.backend_named(&name[..slash])?;
        Some((backend, self.server_of(backend, &name[slash + 1..])?))
    }

    fn server_of(&self, backend: BackendId, name: &[u8]) -> Option<ServerIndex> {
        let servers = &self.backend(backend)?.servers;
        let index = servers.iter().position(|server| server.name.as_bytes() == name)?;
        Some(ServerIndex(u32::try_from(index).ok()?))
    }

    fn has_frontend(&self, name: &[u8]) -> bool {
        self.frontends.iter().any(|frontend| frontend.name().as_bytes() == name)
    }

    fn figure(&self, figure: Figure, stream: &Stream<'_>) -> Option<i64> {
        figure::of(self, figure, stream)
    }

    fn default_backend(&self, frontend: FrontendId) -> Option<&str> {
        let backend = self.backend(self.frontend(frontend)?.default_backend?)?;
        Some(&backend.section.name)
    }

    fn is_stopping(&self) -> bool {
        self.frontends.iter().all(|frontend| frontend.accepting.get() == AcceptState::Stopped)
    }

    fn is_local(&self, ip: IpAddr) -> bool {
        (self.global.system.is_local)(ip)
    }

    fn utc_offset(&self, seconds: i64) -> i32 {
        (self.global.system.utc_offset)(seconds)
    }

    fn kept_of_request_line(&self) -> usize {
        self.global.tune.http_logurilen.into()
    }

    fn table(&self, table: TableId) -> Option<&Arc<Table>> {
        self.tables.get(table.index())
    }

    fn variables(&self) -> &ProcessVariables {
        &self.global.variables
    }

    fn unique_id(&self, context: &Context<'_>) -> Option<Vec<u8>> {
        let format = self.frontend(context.stream.frontend.0)?.unique_id_format.as_ref()?;
        let mut id = Vec::new();
        format.write_raw(context, &mut id);
        Some(id)
    }

    fn host(&self) -> (&str, u32) {
        (&self.global.system.hostname, self.global.system.pid)
    }

    fn random(&self) -> u32 {
        random()
    }

    fn debug(&self, sink: &str, line: &[u8], now: Duration) {
        let system = &self.global.system;
        if let "stdout" | "stderr" = sink {
            return (system.show)(sink == "stderr", line);
        }
        let Some(ring) = self.rings.iter().find(|ring| ring.settings().name == sink) else { return };
        let date = Date { since_epoch: now, utc_offset: (system.utc_offset)(now.as_secs().cast_signed()) };
        let sender = Sender { hostname: None, tag: "-", pid: system.pid, now: &Second::of(date) };
        let priority = Priority { facility: 0, level: Level::Debug as u8 };
        let mut framed = Vec::new();
        ring.frame(&mut framed, priority, date, sender, Message { structured: b"", text: line });
        ring.append(std::iter::once(&*framed));
    }
}

/// A number that nobody can foretell.
pub fn random() -> u32 {
    // Each state has keys of its own, so hashing nothing with it is a random number.
    let [a, b, c, d, ..] = RandomState::new().hash_one(0).to_ne_bytes();
    u32::from_ne_bytes([a, b, c, d])
}

/// Before the process runs there is nothing to ask for but the variables set so far.
struct Beginning(ProcessVariables);

impl Live for Beginning {
    fn variables(&self) -> &ProcessVariables {
        &self.0
    }

    fn random(&self) -> u32 {
        random()
    }
}

/// The variables that `global` gives the process.
pub fn first_variables(effects: &[Effect], now: Duration) -> ProcessVariables {
    let beginning = Beginning(ProcessVariables::default());
    let (variables, counters) = (Variables::default(), Counters::default());
    let stream = Stream { now, accepted: now, ..Stream::outside(&variables, &counters, &beginning) };
    for effect in effects {
        effect.perform(&Context { request: None, response: None, stream: &stream });
    }
    beginning.0
}

impl Generation {
    /// Does something that belongs to no connection.
    pub fn perform(&self, effect: &Effect, now: Duration) {
        let (variables, counters) = (Variables::default(), Counters::default());
        let stream = Stream { now, accepted: now, ..Stream::outside(&variables, &counters, self) };
        effect.perform(&Context { request: None, response: None, stream: &stream });
    }
}

/// What converters make of a text that belongs to no connection.
pub fn converted(converters: &[Converter], text: &[u8], now: Duration) -> Option<Vec<u8>> {
    let beginning = Beginning(ProcessVariables::default());
    let (variables, counters) = (Variables::default(), Counters::default());
    let stream = Stream { now, accepted: now, ..Stream::outside(&variables, &counters, &beginning) };
    let context = Context { request: None, response: None, stream: &stream };
    let value = converters.iter().try_fold(Value::text(text), |value, converter| converter.apply(&context, value))?;
    Some(value.into_text().into_owned())
}
