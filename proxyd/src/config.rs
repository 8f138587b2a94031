//! From the text of haproxy.cfg to the [`Model`](model::Model).

pub mod model;
pub mod rules;
