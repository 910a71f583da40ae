#![cfg_attr(fuzzing, no_main)]
//! libFuzzer target; its body is `ens_fuzz::targets::frame`.

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| ens_fuzz::targets::frame(data));

#[cfg(not(fuzzing))]
fn main() {}
