//! Choosing a server: the algorithms, the queues, the persistence.
//!
//! Everything here decides and nothing here does: no socket, no clock, no runtime.
//!
//! - [`server_state`]: what all workers know of one server (atomics); [`farm`]: of one backend.
//! - [`dispatcher`]: a worker's own way to a backend; the only thing the data path calls to get a server.
//! - One file per algorithm, each with the same verbs: `set` a server's weight, `pick` a server with a free slot.
//! - [`queue`]: those who wait when no slot is free.
//! - [`key`] and [`hash`]: what of a request is hashed, and how; [`persist`]: cookies and redispatch.

pub mod dispatcher;
pub mod farm;
mod first;
pub mod hash;
pub mod key;
mod leastconn;
mod map;
pub mod persist;
pub mod queue;
mod random;
mod ring;
mod roundrobin;
pub mod server_state;
pub mod sync;
#[cfg(test)]
mod tests;

use farm::Farm;

/// How a backend spreads its requests: the word after `balance`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Algorithm {
    /// Weighted fair round robin; weights may change at run time.
    #[default]
    RoundRobin,
    /// Round robin over a fixed map of the configured weights.
    StaticRr,
    /// The least loaded server for its weight.
    LeastConn,
    /// The first server, by id, that has a free connection slot.
    First,
    /// The best of several random draws.
    Random {
        /// How many servers are drawn before the least loaded of them is taken.
        draws: u32,
    },
    /// A key of the request decides.
    Hash(KeySource),
}

/// Where the key of a hashing algorithm comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// `source`: the client's address.
    Source,
    /// `uri`: the request target up to its query.
    Uri {
        /// Bytes of the target that count; none means all.
        len: Option<u32>,
        /// Directories of the target that count; none means all.
        depth: Option<u32>,
        /// The query counts too.
        whole: bool,
        /// Scheme and authority of an absolute target do not count.
        path_only: bool,
    },
    /// `url_param NAME`: the value of a query parameter, or of a POST form's field.
    UrlParam {
        /// The parameter's name.
        name: String,
        /// Also look into the body of a POST.
        check_post: bool,
    },
    /// `hdr(NAME)`: the value of a header field.
    Header {
        /// The field's name.
        name: String,
        /// Only the domain's main label counts (`use_domain_only`).
        domain_only: bool,
    },
    /// `rdp-cookie(NAME)`: the cookie of a Remote Desktop connection request.
    RdpCookie {
        /// The cookie's name, `mstshash` when the configuration gives none.
        name: String,
    },
    /// `hash EXPR`: the result of a sample expression, which the backend owns and evaluates.
    Expression,
}

impl Algorithm {
    /// The word after `balance`, without arguments.
    pub fn name(&self) -> &'static str {
        match self {
            Self::RoundRobin => "roundrobin",
            Self::StaticRr => "static-rr",
            Self::LeastConn => "leastconn",
            Self::First => "first",
            Self::Random { .. } => "random",
            Self::Hash(KeySource::Source) => "source",
            Self::Hash(KeySource::Uri { .. }) => "uri",
            Self::Hash(KeySource::UrlParam { .. }) => "url_param",
            Self::Hash(KeySource::Header { .. }) => "hdr",
            Self::Hash(KeySource::RdpCookie { .. }) => "rdp-cookie",
            Self::Hash(KeySource::Expression) => "hash",
        }
    }

    /// Whether the request's key decides, so that an immediate retry elsewhere would break the mapping.
    pub fn is_hash(&self) -> bool {
        matches!(self, Self::Hash(_))
    }
}

/// What an algorithm is told of a request.
#[derive(Debug, Clone, Copy, Default)]
struct Request {
    hash: Option<u32>,
    avoid: Option<usize>,
}

/// What an algorithm came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Picked {
    /// A slot of this server was taken.
    Taken(usize),
    /// It must be this server, and it is full.
    Full(usize),
    /// There are servers, but no free slot.
    AllFull,
    /// There is no server.
    Nobody,
}

/// One worker's state of an algorithm.
#[derive(Debug)]
enum Balancer {
    RoundRobin(roundrobin::RoundRobin),
    StaticRr(map::ServerMap),
    LeastConn(leastconn::LeastConn),
    First(first::First),
    Random(random::Random),
    /// Keys index a map; requests without a key walk over it.
    MapBased(map::ServerMap),
    /// Keys belong to points on a ring; requests without a key go round.
    Consistent(ring::Ring, roundrobin::RoundRobin),
}

impl Balancer {
    fn new(farm: &Farm, seed: u64) -> Self {
        let count = farm.servers().len();
        match (&farm.settings().algorithm, farm.settings().hash_type.method) {
            (Algorithm::RoundRobin, _) => Self::RoundRobin(roundrobin::RoundRobin::new(count)),
            (Algorithm::StaticRr, _) => Self::StaticRr(map::ServerMap::new(farm)),
            (Algorithm::LeastConn, _) => Self::LeastConn(leastconn::LeastConn::new(count)),
            (Algorithm::First, _) => Self::First(first::First::new(farm)),
            (Algorithm::Random { draws }, _) => Self::Random(random::Random::new(count, *draws, seed)),
            (Algorithm::Hash(_), hash::Method::MapBased) => Self::MapBased(map::ServerMap::new(farm)),
            (Algorithm::Hash(_), hash::Method::Consistent) => {
                Self::Consistent(ring::Ring::new(count), roundrobin::RoundRobin::new(count))
            }
        }
    }

    /// The server's weight is now this; 0 takes it out.
    fn set(&mut self, index: usize, weight: u32, farm: &Farm) {
        match self {
            Self::RoundRobin(state) => state.set(index, weight),
            Self::StaticRr(state) | Self::MapBased(state) => state.set(index, weight != 0),
            Self::LeastConn(state) => state.set(index, weight, farm),
            Self::First(state) => state.set(index, weight != 0),
            Self::Random(state) => state.set(index, weight),
            Self::Consistent(ring, keyless) => {
                ring.set(index, weight);
                keyless.set(index, weight);
            }
        }
    }

    /// Whether this request has one server to go to, so that it would wait for that one rather than for any.
    fn directs(&self, request: &Request) -> bool {
        match self {
            Self::MapBased(_) | Self::Consistent(..) => request.hash.is_some() && request.avoid.is_none(),
            Self::RoundRobin(_) | Self::StaticRr(_) | Self::LeastConn(_) | Self::First(_) | Self::Random(_) => false,
        }
    }

    fn pick(&mut self, request: &Request, farm: &Farm) -> Picked {
        match (self, request.hash) {
            (Self::RoundRobin(state), _) => state.pick(request, farm),
            (Self::StaticRr(state), _) | (Self::MapBased(state), None) => state.pick_next(request, farm),
            (Self::LeastConn(state), _) => state.pick(request, farm),
            (Self::First(state), _) => state.pick(request, farm),
            (Self::Random(state), _) => state.pick(request, farm),
            (Self::MapBased(state), Some(hash)) => match state.at(hash) {
                Some(index) if request.avoid == Some(index) => state.pick_next(request, farm),
                Some(index) if farm.try_take(index) => Picked::Taken(index),
                Some(index) => Picked::Full(index),
                None => Picked::Nobody,
            },
            (Self::Consistent(ring, _), Some(hash)) => ring.pick(hash, request.avoid, farm),
            (Self::Consistent(_, keyless), None) => keyless.pick(request, farm),
        }
    }

    /// A slot was handed over in a queue.
    fn taken(&mut self, index: usize, farm: &Farm) {
        self.load_changed(index, farm);
    }

    /// A slot was given back.
    fn released(&mut self, index: usize, farm: &Farm) {
        self.load_changed(index, farm);
    }

    fn load_changed(&mut self, index: usize, farm: &Farm) {
        match self {
            Self::LeastConn(state) => state.refresh(index, farm),
            Self::RoundRobin(_)
            | Self::StaticRr(_)
            | Self::First(_)
            | Self::Random(_)
            | Self::MapBased(_)
            | Self::Consistent(..) => {}
        }
    }
}
