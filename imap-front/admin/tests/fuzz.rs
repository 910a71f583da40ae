//! The fuzz bodies over their seeds and corpora, and reproducible mutations of these.

#[path = "../../../tests/fuzz/inputs.rs"]
#[allow(dead_code, reason = "each test uses a part")]
mod inputs;
#[path = "../fuzz/src/targets.rs"]
mod targets;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz");
/// Mutations of what has to be written to a file.
const MUTATIONS: usize = 3_000;

#[test]
fn msg_conf() {
    inputs::run_some(FOLDER, "msg_conf", targets::msg_conf, MUTATIONS);
}

#[test]
fn users() {
    inputs::run_some(FOLDER, "users", targets::users, MUTATIONS);
}

#[test]
fn password() {
    inputs::run(FOLDER, "password", targets::password);
}
