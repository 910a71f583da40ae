#![cfg_attr(fuzzing, no_main)]
//! libFuzzer target; its body is `admin_fuzz::targets::msg_conf`.

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| admin_fuzz::targets::msg_conf(data));

#[cfg(not(fuzzing))]
fn main() {}
