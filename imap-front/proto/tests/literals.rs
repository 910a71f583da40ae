//! The octets of a non-synchronizing literal are never run as commands, whatever surrounds them
//! (RFC 7888 §3).

#[allow(dead_code, reason = "each test uses a part")]
mod host;

use host::World;
use proptest::prelude::*;
use proto::imap::SessionConfig;

/// What may stand before a literal: commands that take one, that take none, and none at all.
fn before() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "x APPEND INBOX ",
        "x APPEND INBOX (\\Seen) ",
        "x APPEND INBOX \"01-Feb-1994 12:00:00 +0100\" ",
        "x APPEND Nowhere ",
        "x APPEND ",
        "x LOGIN ",
        "x LOGIN fred ",
        "x SELECT ",
        "x SEARCH TEXT ",
        "x AUTHENTICATE PLAIN ",
        "x AUTHENTICATE PLAIN",
        "x IDLE",
        "x UID FETCH 1 BODY[HEADER.FIELDS (",
        "x LIST \"\" \"",
        "x NOOP",
        "",
        " ",
        "DONE ",
        "AGZyZWQAc2VjcmV0",
    ]);
    let words = prop_oneof![3 => known.prop_map(str::to_owned), 1 => "[ -~]{0,40}"];
    // Long enough to be refused for its length, now and then.
    prop_oneof![8 => words, 1 => (900..1100usize).prop_map(|n| format!("x X {}", "y".repeat(n)))]
}

/// Octets that would be a command if they were run, and zeros before a literal's size.
fn command() -> impl Strategy<Value = Vec<u8>> {
    let octets = prop::sample::select(vec![
        "smuggled CREATE smuggled\r\n",
        "smuggled LOGOUT\r\n",
        "\r\nsmuggled CREATE smuggled\r\n",
        "DONE\r\nsmuggled CREATE smuggled\r\n",
        "*\r\nsmuggled CREATE smuggled\r\n",
        "smuggled LOGIN fred secret\r\nsmuggled CREATE smuggled\r\n",
        "x {5+}\r\nsmuggled CREATE smuggled\r\n",
    ]);
    // Some literals are larger than any that is taken.
    let octets = (octets, prop_oneof![3 => Just(1), 1 => Just(90usize)]);
    let literal = (before(), octets, 0..30usize).prop_map(|(before, (octets, times), zeros)| {
        let octets = octets.repeat(times);
        let size = octets.len();
        format!("{before}{{{}{size}+}}\r\n{octets}", "0".repeat(zeros)).into_bytes()
    });
    let rest = prop::sample::select(vec!["", " ", " x", ")", "\""]);
    (prop::collection::vec(literal, 1..4), rest)
        .prop_map(|(literals, rest)| [literals.concat(), rest.into(), b"\r\n".to_vec()].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]
    #[test]
    fn no_octet_of_a_literal_is_run(
        commands in prop::collection::vec(command(), 1..5),
        logged_in in any::<bool>(),
        pieces in prop::collection::vec(1..200usize, 1..20),
    ) {
        let mut world = World::new();
        if logged_in {
            world.input(false, b"l LOGIN fred secret\r\n");
        }
        let bytes = commands.concat();
        let mut rest = &bytes[..];
        for len in pieces.iter().cycle() {
            let (piece, after) = rest.split_at((*len).min(rest.len()));
            world.input(false, piece);
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        // An IDLE or AUTHENTICATE may have begun: it is ended first.
        world.input(false, b"DONE\r\nend NOOP\r\n");
        let said = String::from_utf8_lossy(&world.said()).into_owned();
        prop_assert!(!said.contains("smuggled OK") && !said.contains("\r\nsmuggled "), "{said}");
        prop_assert!(
            world.client.closed || said.contains("end "),
            "the commands after the literals are run: {said}"
        );
        world.other("LIST \"\" *");
        let listed = String::from_utf8_lossy(&world.other.said).into_owned();
        prop_assert!(!listed.contains("smuggled"), "{listed}");
    }
}

/// LITERAL- (RFC 7888 §5): what does not wait may have 4,096 bytes; one that is larger is dropped
/// with its command, and the next command is done.
#[test]
fn with_literal_minus_long_literals_wait() {
    let mut world = World::with_config(SessionConfig {
        literal_minus: true,
        ..SessionConfig::default()
    });
    let mut said = |text: &[u8]| {
        world.input(false, text);
        String::from_utf8_lossy(&world.said()).into_owned()
    };
    let greeted = said(b"c CAPABILITY\r\n");
    assert!(
        greeted.contains(" LITERAL- ") && !greeted.contains("LITERAL+"),
        "{greeted}"
    );
    assert!(said(b"l LOGIN {4+}\r\nfred {6+}\r\nsecret\r\n").starts_with("l OK"));
    let refused = " BAD [TOOBIG] A literal of more than 4096 bytes has to wait for its \
                   continuation request\r\n";
    let octets = |count: usize| "x NOOP\r\n".repeat(count / 8 + 1)[..count].to_owned();
    for (command, rest) in [
        ("a APPEND INBOX", ""),
        ("a SELECT", ""),
        ("a LIST \"\"", " x"),
    ] {
        for size in [4097, 9000] {
            let text = format!(
                "{command} {{{size}+}}\r\n{}{rest}\r\nn NOOP\r\n",
                octets(size)
            );
            let expected = format!("a{refused}n OK NOOP completed\r\n");
            assert_eq!(said(text.as_bytes()), expected, "{command} {size}");
        }
    }
    // In the second message of an APPEND, and as a literal8.
    let two = format!("{{3+}}\r\na\r\n {{4097+}}\r\n{}", octets(4097));
    for literals in [two, format!("~{{4097+}}\r\n{}", octets(4097))] {
        let text = format!("a APPEND INBOX {literals}\r\nn NOOP\r\n");
        let expected = format!("a{refused}n OK NOOP completed\r\n");
        assert_eq!(said(text.as_bytes()), expected);
    }
    // At the limit it is a matter of the other limits, and so is one that waits.
    let text = format!("a APPEND INBOX {{4096+}}\r\n{}\r\n", octets(4096));
    assert_eq!(
        said(text.as_bytes()),
        "a NO [TOOBIG] A message may have 2000 bytes\r\n"
    );
    assert_eq!(
        said(b"a APPEND INBOX {1500}\r\n"),
        "+ Ready for the message\r\n"
    );
    let text = format!("{}\r\n", octets(1500));
    assert!(said(text.as_bytes()).contains("a OK [APPENDUID "));
}
