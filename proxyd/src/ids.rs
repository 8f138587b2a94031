//! Numbers that stand for names once the configuration is resolved. They index the model's lists.

/// A frontend, or the frontend half of a `listen` section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FrontendId(pub u32);

/// A backend, or the backend half of a `listen` section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackendId(pub u32);

/// A server within its backend, in the order of declaration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerIndex(pub u32);

/// A userlist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserlistId(pub u32);

/// A `log-profile` section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProfileId(pub u32);

/// A stick table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableId(pub u32);

impl FrontendId {
    /// The place in the list of frontends.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl BackendId {
    /// The place in the list of backends.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl ServerIndex {
    /// The place in the backend's list of servers.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl ProfileId {
    /// The place in the list of profiles.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl TableId {
    /// The place in the list of tables.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl UserlistId {
    /// The place in the list of userlists.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}
