#![cfg_attr(fuzzing, no_main)]
//! libFuzzer target; its body is `store_fuzz::targets::saved_index`.

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| store_fuzz::targets::saved_index(data));

#[cfg(not(fuzzing))]
fn main() {}
