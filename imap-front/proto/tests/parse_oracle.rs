//! The command parser beside imap-codec, a strict parser of the same grammar.

#[path = "../../../tests/fuzz/mutate.rs"]
#[allow(dead_code)]
mod mutate;
mod parse_grammar;

use imap_codec::CommandCodec;
use imap_codec::decode::{CommandDecodeError, Decoder};
use imap_codec::encode::Encoder;
use parse_grammar::Grammar;
use proto::imap::ast::{Command, List, Tagged};
use proto::imap::lexer::literal_at_end;
use proto::imap::parse::parse_command;

/// Bytes of the largest message that is made up for APPEND.
const MESSAGE_BYTES_MAX: u64 = 1 << 20;
/// Commands drawn.
const COMMANDS: u64 = 20_000;

/// The command as imap-codec wants it: with its last line end, and for APPEND with a message.
fn complete(command: &[u8]) -> Vec<u8> {
    let mut text = [command, b"\r\n"].concat();
    let is_append = command.split(|&b| b == b' ').nth(1);
    if is_append.is_some_and(|word| word.eq_ignore_ascii_case(b"APPEND"))
        && let Some(literal) = literal_at_end(command)
    {
        text.extend(std::iter::repeat_n(
            b'x',
            literal.size.min(MESSAGE_BYTES_MAX) as usize,
        ));
        text.extend_from_slice(b"\r\n");
    }
    text
}

/// The command as imap-codec writes what it has read; none if it can't read it.
fn rewritten(command: &[u8]) -> Option<Vec<u8>> {
    let text = complete(command);
    let (rest, read) = match CommandCodec::new().decode(&text) {
        Ok(decoded) => decoded,
        Err(
            CommandDecodeError::Failed
            | CommandDecodeError::Incomplete
            | CommandDecodeError::LiteralFound { .. },
        ) => return None,
    };
    if !rest.is_empty() {
        return None;
    }
    let mut written = CommandCodec::new().encode(&read).dump();
    if matches!(
        read.body,
        imap_codec::imap_types::command::CommandBody::Append { .. }
    ) {
        let end = written
            .windows(3)
            .rposition(|w| w == b"}\r\n")
            .expect("a literal");
        written.truncate(end + 1);
    } else {
        written.truncate(written.len() - 2);
    }
    Some(written)
}

/// The command's value. imap-codec writes a reference name `inbox` in capitals: so does this.
fn parsed(command: &[u8]) -> Tagged {
    let mut tagged = match parse_command(command) {
        Ok(tagged) => tagged,
        Err(error) => panic!("{error}: {}", command.escape_ascii()),
    };
    match &mut tagged.command {
        Command::List(List { reference, .. }) | Command::Lsub(List { reference, .. })
            if reference.eq_ignore_ascii_case("INBOX") =>
        {
            *reference = "INBOX".into();
        }
        _ => {}
    }
    tagged
}

#[test]
fn drawn_commands_mean_the_same_to_both() {
    let (mut compared, mut foreign) = (0, 0);
    for seed in 0..COMMANDS {
        let (text, is_foreign) = Grammar::new(seed).command();
        let ours = parsed(&text);
        if is_foreign {
            foreign += 1;
            continue;
        }
        let theirs = rewritten(&text);
        let theirs = theirs.unwrap_or_else(|| panic!("only ours: {}", text.escape_ascii()));
        assert_eq!(parsed(&theirs), ours, "{}", text.escape_ascii());
        compared += 1;
    }
    assert!(
        compared > COMMANDS / 2 && foreign > COMMANDS / 20,
        "{compared} and {foreign}"
    );
}

/// Where this parser is stricter by intention: what it expected instead.
const STRICTER: [&str; 12] = [
    "a date and time such as \"17-Jul-1996 02:44:25 -0700\"",
    "a shorter ID field",
    "- after & in a mailbox name",
    "modified base64 of UTF-16 in a mailbox name",
    "one run of modified base64 where two meet in a mailbox name",
    "printable ASCII outside modified base64 in a mailbox name",
    "a mailbox name in modified UTF-7",
    "CHARSET US-ASCII or UTF-8",
    "\\Answered, \\Flagged, \\Deleted, \\Seen or \\Draft",
    "a header field name",
    "a string in UTF-8",
    "base64",
];

/// Where it is more lenient: eight-bit bytes in quoted strings, and sizes above 2^32.
fn is_lenient(command: &[u8]) -> bool {
    let large = |run: &[u8]| {
        let number = std::str::from_utf8(run)
            .ok()
            .and_then(|run| run.parse::<u64>().ok());
        number.is_some_and(|number| number > u64::from(u32::MAX))
    };
    !command.is_ascii() || command.split(|b| !b.is_ascii_digit()).any(large)
}

#[test]
fn broken_commands_are_broken_to_both() {
    let mut both = [0; 2];
    for seed in 0..COMMANDS {
        let (text, is_foreign) = Grammar::new(seed).command();
        let (other, other_is_foreign) = Grammar::new(seed + COMMANDS).command();
        if is_foreign || other_is_foreign {
            continue;
        }
        let text = mutate::mutated(&text, &other, &mut mutate::Rng(seed));
        if literal_at_end(&text).is_some_and(|literal| literal.size > MESSAGE_BYTES_MAX) {
            continue;
        }
        let shown = text.escape_ascii();
        match (parse_command(&text), rewritten(&text)) {
            (Ok(_), Some(theirs)) if !is_lenient(&text) => {
                assert_eq!(parsed(&theirs), parsed(&text), "{shown}");
                both[0] += 1;
            }
            (Err(_), None) => both[1] += 1,
            (Ok(_), _) => assert!(is_lenient(&text), "only ours: {shown}"),
            // RFC 3501 §9: `nz-number` has no leading 0 and a list of FETCH items is not empty.
            (Err(error), Some(_)) => assert!(
                STRICTER.contains(&error.expected)
                    || ["a sequence set", "a FETCH item"].contains(&error.expected),
                "only theirs: {error}: {shown}"
            ),
        }
    }
    assert!(both.iter().all(|&count| count > 1000), "{both:?}");
}
