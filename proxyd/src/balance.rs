//! Choosing a server: the algorithms, the queues, the persistence.
//!
//! Everything here decides and nothing here does: no socket, no clock, no runtime.

pub mod hash;
pub mod persist;
pub mod server_state;

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
    /// Whether the request's key decides, so that an immediate retry elsewhere would break the mapping.
    pub fn is_hash(&self) -> bool {
        matches!(self, Self::Hash(_))
    }
}
