#![cfg_attr(fuzzing, no_main)]
//! libFuzzer target; its body is `store_fuzz::targets::journal`.

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| store_fuzz::targets::journal(data));

#[cfg(not(fuzzing))]
fn main() {}
