//! The fuzz bodies over their seeds and corpora, and reproducible mutations of these.

#[path = "../fuzz/src/lib.rs"]
#[allow(dead_code, unused_imports, reason = "each test uses a part")]
mod fuzz;

use fuzz::{inputs, targets};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz");

fn run(name: &str, target: fn(&[u8])) {
    inputs::run(FOLDER, name, target);
}

#[test]
fn imap_command() {
    run("imap_command", targets::imap_command);
}

#[test]
fn mutf7() {
    run("mutf7", targets::mutf7);
}

#[test]
fn sequence_set() {
    run("sequence_set", targets::sequence_set);
}

#[test]
fn mime() {
    run("mime", targets::mime);
}

#[test]
fn lmtp() {
    run("lmtp", targets::lmtp);
}

#[test]
fn session() {
    run("session", targets::session);
}

#[test]
fn proxy() {
    run("proxy", targets::proxy);
}

#[test]
fn search() {
    run("search", targets::search);
}

/// Seeds are what their folder says: valid input, so that mutations start from the interesting
/// side.
#[test]
fn command_seeds_are_valid() {
    for seed in inputs::seeds(FOLDER, "imap_command") {
        let parsed = proto::imap::parse::parse_command(&seed);
        assert!(parsed.is_ok(), "{}: {parsed:?}", seed.escape_ascii());
    }
}
