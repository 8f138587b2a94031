//! The language of haproxy.cfg (haproxy configuration manual, section 2).

pub mod ast;
pub mod keyword;
