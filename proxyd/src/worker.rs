//! One worker.
pub mod buffers;
pub mod timers;
