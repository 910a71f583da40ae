#![cfg_attr(fuzzing, no_main)]
//! libFuzzer target; its body is `proto_fuzz::targets::session`.

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| proto_fuzz::targets::session(data));

#[cfg(not(fuzzing))]
fn main() {}
