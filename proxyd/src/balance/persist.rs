//! Cookie persistence and redispatch: which server a returning client goes to, and what is written back.

use std::time::Duration;

/// The `cookie` line of a backend.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CookieSettings {
    /// The cookie's name.
    pub name: String,
    /// What is done to the cookie on its way to the client.
    pub mode: CookieMode,
    /// The server never sees the inserted cookie, and the client is not sent one it already has.
    pub indirect: bool,
    /// A response that carries a new cookie is marked as private when a cache could keep it.
    pub nocache: bool,
    /// Only responses to POST get the cookie.
    pub postonly: bool,
    /// A cookie of this name set by the server itself is left alone.
    pub preserve: bool,
    /// The attribute `HttpOnly` is added.
    pub httponly: bool,
    /// The attribute `Secure` is added.
    pub secure: bool,
    /// Values are computed from the server's address instead of its `cookie` word.
    pub dynamic: bool,
    /// The `domain` attributes, in the order given.
    pub domains: Vec<String>,
    /// Further attributes (`attr`), in the order given.
    pub attributes: Vec<String>,
    /// A cookie unused for longer is ignored.
    pub max_idle: Option<Duration>,
    /// A cookie first set longer ago is ignored.
    pub max_life: Option<Duration>,
}

/// What is done to a persistence cookie on its way to the client.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CookieMode {
    /// The client's cookie is read, nothing is ever written.
    #[default]
    Passive,
    /// A cookie of our own is added.
    Insert,
    /// The server's cookie gets the server's value and a tilde in front.
    Prefix,
    /// The value of the server's cookie is replaced.
    Rewrite,
}

/// `option redispatch [N]`: after which failed connection attempts another server may be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Redispatch {
    /// Positive: at every N-th retry. Negative: counted from the last one, which is -1. Zero: never.
    pub interval: i32,
}
