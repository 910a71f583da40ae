//! Fuzzing: [`targets`] are functions of any bytes that panic when the code breaks a promise.

pub mod targets;
