//! The fuzz bodies over their seeds and corpora, and reproducible mutations of these.

#[path = "../../../tests/fuzz/inputs.rs"]
#[allow(dead_code, reason = "each test uses a part")]
mod inputs;
#[path = "../fuzz/src/targets.rs"]
mod targets;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz");

#[test]
fn http_request() {
    inputs::run(FOLDER, "http_request", targets::http_request);
}

#[test]
fn http_access() {
    inputs::run(FOLDER, "http_access", targets::http_access);
}
