#![cfg_attr(fuzzing, no_main)]
//! libFuzzer target; its body is `monitor_fuzz::targets::http_request`.

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| monitor_fuzz::targets::http_request(data));

#[cfg(not(fuzzing))]
fn main() {}
