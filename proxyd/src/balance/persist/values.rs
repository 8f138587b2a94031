//! Which server each value of the persistence cookie means.

use std::collections::HashMap;
use std::sync::Arc;

use super::dynamic;
use crate::balance::server_state::ServerState;

/// How values are computed for servers that have none of their own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Computed {
    /// `cookie … dynamic`, or an administrator's word.
    pub enabled: bool,
    /// `dynamic-cookie-key`.
    pub key: Option<String>,
}

/// The values of all servers of a farm.
#[derive(Debug, Default)]
pub struct Values {
    of: Vec<Option<String>>,
    by_value: HashMap<Vec<u8>, Vec<usize>>,
}

impl Values {
    /// The values as they are now: those of the lines, and where there is none the computed ones.
    pub fn new(servers: &[Arc<ServerState>], computed: &Computed) -> Self {
        let mut values = Self::default();
        for (index, server) in servers.iter().enumerate() {
            let value = server.settings().cookie.clone().or_else(|| {
                let key = computed.key.as_deref().filter(|_| computed.enabled)?;
                Some(dynamic::value(key, server.location().get().socket()?))
            });
            if let Some(value) = &value {
                values.by_value.entry(value.clone().into_bytes()).or_default().push(index);
            }
            values.of.push(value);
        }
        values
    }

    /// The value that means a server, by its rank.
    pub fn of(&self, index: usize) -> Option<&str> {
        self.of.get(index)?.as_deref()
    }

    /// The servers that a value means, in the order of their lines.
    pub fn servers(&self, value: &[u8]) -> &[usize] {
        self.by_value.get(value).map_or(&[], Vec::as_slice)
    }
}
