#![cfg_attr(fuzzing, no_main)]
//! libFuzzer target; its body is `proto_fuzz::targets::proxy`.

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| proto_fuzz::targets::proxy(data));

#[cfg(not(fuzzing))]
fn main() {}
