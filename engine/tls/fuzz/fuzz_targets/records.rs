#![cfg_attr(fuzzing, no_main)]
//! libFuzzer target; its body is `tls_fuzz::targets::records`.

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tls_fuzz::targets::records(data));

#[cfg(not(fuzzing))]
fn main() {}
