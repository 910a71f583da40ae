//! The table of capabilities, and the guide's greeting.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proto::imap::action::Action;
use proto::imap::capabilities::{CAPABILITIES, GUIDE};
use proto::imap::{Session, SessionConfig};

fn below(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path)
}

#[test]
fn each_proof_is_there() {
    for row in CAPABILITIES {
        let path = row.proof.path();
        assert!(below(&path).is_file(), "{}: no {path}", row.word);
    }
}

#[test]
fn the_guides_words_come_first_in_its_order_and_none_comes_twice() {
    let words: Vec<&str> = CAPABILITIES.iter().map(|row| row.word).collect();
    assert_eq!(words.iter().collect::<BTreeSet<_>>().len(), words.len());
    let of_guide = |word: &&str| GUIDE.contains(word);
    let first: Vec<&str> = words.iter().copied().take_while(of_guide).collect();
    let all: Vec<&str> = GUIDE
        .into_iter()
        .filter(|word| words.contains(word))
        .collect();
    assert_eq!(first, all);
}

fn greeting(guide_greeting: bool, (cleartext, starttls): (bool, bool)) -> String {
    let config = SessionConfig {
        guide_greeting,
        ..SessionConfig::default()
    };
    let mut session = Session::with_starttls(Arc::new(config), cleartext, starttls);
    let Some(Action::Send(bytes)) = session.poll_action() else {
        panic!("no greeting");
    };
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What is not built yet is not announced, and the rest stands in the guide's order.
#[test]
fn the_guides_greeting_has_the_guides_words() {
    let is_built = |word: &&str| CAPABILITIES.iter().any(|row| row.word == *word);
    let words: Vec<&str> = GUIDE.into_iter().filter(is_built).collect();
    let line = format!("* OK [CAPABILITY {}] ", words.join(" "));
    let said = greeting(true, (true, true));
    assert!(said.starts_with(&line), "{said}");
    // A client that must not send its password has to know.
    let line = line.replace(" AUTH=PLAIN]", " LOGINDISABLED]");
    let said = greeting(true, (false, true));
    assert!(said.starts_with(&line), "{said}");
    let said = greeting(false, (true, true));
    assert!(
        said.contains(" SASL-IR ") && !said.contains(" X-SUN-"),
        "{said}"
    );
}
