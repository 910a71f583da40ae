//! Fuzzing: [`targets`] are functions of any bytes that panic when the code breaks a promise;
//! [`inputs`] and [`mutate`] make such bytes where libFuzzer is not at hand.

#[path = "../../../../tests/fuzz/inputs.rs"]
pub mod inputs;
pub mod targets;

pub use inputs::mutate;
