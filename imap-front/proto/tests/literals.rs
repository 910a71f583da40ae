//! The octets of a non-synchronizing literal are never run as commands, whatever surrounds them
//! (RFC 7888 §3).

#[allow(dead_code, reason = "each test uses a part")]
mod host;

use host::World;
use proptest::prelude::*;

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
