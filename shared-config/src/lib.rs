//! The languages of `haproxy.cfg` and `keepalived.conf`.
//!
//! Text becomes words with spans, words become a located tree. What a tree *means* is for each daemon to say: the
//! typed models are not here, so that neither daemon knows the other.
//!
//! The promise of every parser in this crate: it never stops at the first error, it never panics on any bytes, and
//! every value has a [`Span`](source::Span). A parser returns what it understood together with [`Diagnostics`].
//!
//! [`Diagnostics`]: diagnostic::Diagnostics

pub mod diagnostic;
pub mod haproxy;
pub mod keepalived;
pub mod keyword;
pub mod render;
pub mod source;
pub mod suggest;
pub mod value;
pub mod words;
