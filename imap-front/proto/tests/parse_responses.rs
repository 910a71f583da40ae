//! What sessions say to drawn commands, read by imap-codec.

#[path = "../fuzz/src/lib.rs"]
#[allow(dead_code, unused_imports, reason = "each test uses a part")]
mod fuzz;
mod parse_grammar;
mod strict;

use fuzz::{mutate, targets};
use parse_grammar::Grammar;
use proto::imap::lexer::literal_at_end;
use proto::imap::parse::parse_command;

/// Conversations.
const CONVERSATIONS: u64 = 1000;
/// Commands in each.
const COMMANDS: u64 = 12;

/// A conversation after login: its bytes, and how many commands should be answered.
fn conversation(seed: u64) -> (Vec<u8>, usize) {
    let mut input = b"p LOGIN fred secret\r\nq SELECT INBOX\r\n".to_vec();
    let mut count = 2;
    for number in 0..COMMANDS {
        let (command, _) = Grammar::new(seed * COMMANDS + number).command();
        let word = command.split(|&b| b == b' ').nth(1).expect("a command");
        let is = |name: &[u8]| word.eq_ignore_ascii_case(name);
        if is(b"LOGOUT") || is(b"IDLE") || is(b"AUTHENTICATE") {
            continue;
        }
        input.extend_from_slice(&command);
        if is(b"APPEND") {
            let literal = literal_at_end(&command).expect("a message");
            input.extend_from_slice(b"\r\n");
            input.extend(std::iter::repeat_n(b'x', literal.size as usize));
        }
        input.extend_from_slice(b"\r\n");
        count += 1;
    }
    input.extend_from_slice(b"z LOGOUT\r\n");
    (input, count + 1)
}

fn check(seed: u64) -> usize {
    let (input, commands) = conversation(seed);
    let said = targets::answers(&input);
    let shown = || format!("{}\n\n{}", input.escape_ascii(), said.escape_ascii());
    let tagged = strict::read(&said).unwrap_or_else(|line| panic!("{line}\n\n{}", shown()));
    // A refused APPEND whose client did not wait leaves its message to be taken for a command.
    assert!(tagged >= commands, "{}", shown());
    tagged
}

#[test]
fn responses_are_what_a_strict_client_expects() {
    let tagged: usize = (0..CONVERSATIONS).map(check).sum();
    assert!(tagged > 5000, "{tagged}");
}

#[test]
fn drawn_conversations_are_parsed() {
    // The conversation must not be stuck in one command, or nothing is tested.
    let mut rng = mutate::Rng(1);
    for _ in 0..100 {
        let (command, _) = Grammar::new(rng.next()).command();
        assert!(parse_command(&command).is_ok());
    }
}
