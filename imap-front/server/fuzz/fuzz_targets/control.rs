#![cfg_attr(fuzzing, no_main)]
//! libFuzzer target; its body is `server_fuzz::targets::control`.

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| server_fuzz::targets::control(data));

#[cfg(not(fuzzing))]
fn main() {}
