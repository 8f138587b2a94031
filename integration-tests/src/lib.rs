//! The lab's vocabulary.
