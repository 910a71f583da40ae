#![cfg_attr(fuzzing, no_main)]
//! libFuzzer target; its body is `admin_fuzz::targets::users`.

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| admin_fuzz::targets::users(data));

#[cfg(not(fuzzing))]
fn main() {}
