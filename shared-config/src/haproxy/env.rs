//! The environment variables a configuration sees. They are a value, so that reading a file changes nothing outside.

use std::collections::BTreeMap;

/// Names and values, as [`crate::source::decode`] gives them where they are not UTF-8.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Env {
    variables: BTreeMap<String, String>,
    /// The command line has named the local peer.
    peer_is_fixed: bool,
}

/// The variable with the name of the local peer.
const LOCAL_PEER: &str = "HAPROXY_LOCALPEER";

impl Env {
    /// What the process was started with, and the variables haproxy sets before it reads its files: `HAPROXY_LOCALPEER`,
    /// `HAPROXY_STARTUP_VERSION`, …
    pub fn new<N: Into<String>, V: Into<String>>(variables: impl IntoIterator<Item = (N, V)>) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self { variables, peer_is_fixed: false }
    }

    /// `localpeer`: the variable `HAPROXY_LOCALPEER`, unless the command line has named the peer.
    pub fn name_peer(&mut self, name: impl Into<String>) {
        if !self.peer_is_fixed {
            self.set(LOCAL_PEER, name);
        }
    }

    /// `-L`: wins over `localpeer`.
    pub fn fix_peer(&mut self, name: impl Into<String>) {
        self.set(LOCAL_PEER, name);
        self.peer_is_fixed = true;
    }

    /// The value of a variable that is set, empty or not.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// All variables, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// `setenv`: sets or replaces.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.variables.insert(name.into(), value.into());
    }

    /// `presetenv`: sets what is not set.
    pub fn preset(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.variables.entry(name.into()).or_insert_with(|| value.into());
    }

    /// `unsetenv`
    pub fn unset(&mut self, name: &str) {
        self.variables.remove(name);
    }

    /// `resetenv`: removes all but these.
    pub fn retain(&mut self, names: &[&str]) {
        self.variables.retain(|name, _| names.contains(&name.as_str()));
    }
}
