//! `static_routes` and `static_rules`: a route or rule, and whom its loss concerns.

use super::InstanceId;
use crate::route::{Route, Rule};

/// A route of `static_routes`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticRoute {
    /// The route.
    pub route: Route,
    /// Instances that become faulty when it is lost (`track_group`).
    pub track: Vec<InstanceId>,
}

/// A rule of `static_rules`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticRule {
    /// The rule.
    pub rule: Rule,
    /// Instances that become faulty when it is lost (`track_group`).
    pub track: Vec<InstanceId>,
}
