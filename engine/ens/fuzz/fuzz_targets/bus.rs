#![cfg_attr(fuzzing, no_main)]
//! libFuzzer target; its body is `ens_fuzz::targets::bus`.

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| ens_fuzz::targets::bus(data));

#[cfg(not(fuzzing))]
fn main() {}
