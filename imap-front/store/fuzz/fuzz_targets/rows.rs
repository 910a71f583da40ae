#![cfg_attr(fuzzing, no_main)]
//! libFuzzer target; its body is `store_fuzz::targets::rows`.

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| store_fuzz::targets::rows(data));

#[cfg(not(fuzzing))]
fn main() {}
