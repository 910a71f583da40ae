#![cfg_attr(fuzzing, no_main)]
//! libFuzzer target; its body is `store_fuzz::targets::commit_marker`.

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| store_fuzz::targets::commit_marker(data));

#[cfg(not(fuzzing))]
fn main() {}
