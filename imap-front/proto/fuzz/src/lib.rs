//! Fuzzing: [`targets`] are functions of any bytes that panic when the code breaks a promise;
//! [`mutate`] makes such bytes from seeds where libFuzzer is not at hand.

pub mod mutate;
pub mod targets;
