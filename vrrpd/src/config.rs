//! A keepalived.conf from its files to the [`model`].

pub mod model;
