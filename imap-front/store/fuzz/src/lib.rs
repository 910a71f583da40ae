//! Fuzzing: the bodies lie in the store, whose rows are its own.

pub use store::fuzzing as targets;
