#![cfg_attr(fuzzing, no_main)]
//! libFuzzer target; its body is `admin_fuzz::targets::password`.

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| admin_fuzz::targets::password(data));

#[cfg(not(fuzzing))]
fn main() {}
