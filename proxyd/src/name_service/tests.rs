//! A name server of this process, on loopback.
