#![cfg_attr(fuzzing, no_main)]
//! libFuzzer target; its body is `monitor_fuzz::targets::http_access`.

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| monitor_fuzz::targets::http_access(data));

#[cfg(not(fuzzing))]
fn main() {}
