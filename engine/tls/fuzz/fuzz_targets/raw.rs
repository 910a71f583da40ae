#![cfg_attr(fuzzing, no_main)]
//! libFuzzer target; its body is `tls_fuzz::targets::raw`.

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tls_fuzz::targets::raw(data));

#[cfg(not(fuzzing))]
fn main() {}
