//! What is read of the load balancer.

/// A `virtual_server`, which this daemon reads and checks but does not apply yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualServer {
    /// As keepalived names it in messages.
    pub name: String,
    /// How many of its `real_server`s are valid.
    pub real_servers: usize,
}
