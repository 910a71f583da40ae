//! BINARY (RFC 3516) against parts that are decoded as a whole, and NUL wherever it may come.
#![allow(clippy::unwrap_used, reason = "these are tests")]

#[allow(dead_code, reason = "each test uses a part")]
mod host;
#[path = "../../../tests/fuzz/mutate.rs"]
#[allow(dead_code)]
mod mutate;

use std::sync::Arc;

use host::World;
use mutate::Rng;
use proto::imap::SessionConfig;

fn world() -> World {
    let mut world = World::new();
    // Messages may be large; sessions that were there have the old limits.
    world.config = Arc::new(SessionConfig {
        append_bytes_max: 1 << 20,
        ..(*world.config).clone()
    });
    world.client.kept = Some(host::Kept::Active(proto::imap::Session::new(
        world.config.clone(),
        true,
    )));
    world.with(false, |_| {});
    say(&mut world, b"a LOGIN fred secret\r\nb SELECT INBOX\r\n");
    world
}

fn say(world: &mut World, bytes: &[u8]) -> Vec<u8> {
    world.input(false, bytes);
    world.said()
}

fn append(world: &mut World, message: &[u8]) -> Vec<u8> {
    let command = format!("c APPEND INBOX ~{{{}+}}\r\n", message.len());
    say(world, &[command.as_bytes(), message, b"\r\n"].concat())
}

/// The value of the last item of a FETCH of one message, and whether NUL was announced.
fn value(said: &[u8], label: &str) -> (Vec<u8>, bool) {
    let at = said
        .windows(label.len())
        .position(|it| it == label.as_bytes())
        .unwrap();
    let rest = &said[at + label.len() + 1..];
    let (has_nul, rest) = match rest.strip_prefix(b"~") {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let end = rest.iter().position(|&b| b == b'}').unwrap();
    let size: usize = std::str::from_utf8(&rest[1..end]).unwrap().parse().unwrap();
    let literal = rest[end + 3..][..size].to_vec();
    assert!(rest[end + 3 + size..].starts_with(b")\r\nc OK"));
    (literal, has_nul)
}

/// Some octets, with NUL or without.
fn octets(rng: &mut Rng, with_nul: bool) -> Vec<u8> {
    let max = if rng.below(4) == 0 { 300_000 } else { 500 };
    let count = rng.below(max);
    let octet = |rng: &mut Rng| match rng.below(8) {
        0 => b'\n',
        1 => b'\r',
        2 => b'-',
        _ => (rng.below(255) + 1) as u8,
    };
    let mut octets: Vec<u8> = (0..count).map(|_| octet(rng)).collect();
    if with_nul && count > 0 {
        let at = rng.below(count);
        octets[at] = 0;
    }
    octets
}

#[test]
fn what_was_appended_as_binary_comes_back_as_it_was() {
    let mut world = world();
    for seed in 1..=24 {
        let rng = &mut Rng(seed);
        let with_nul = seed % 2 == 0;
        let content = octets(rng, with_nul);
        let message = [
            &b"Content-Type: multipart/mixed; boundary=\"=_x\"\r\n\r\n"[..],
            b"--=_x\r\n\r\ntext\r\n--=_x\r\n",
            b"Content-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n",
            &content,
            b"\r\n--=_x--\r\n",
        ]
        .concat();
        let said = append(&mut world, &message);
        assert!(
            said.ends_with(b"APPEND completed\r\n"),
            "{}",
            said.escape_ascii()
        );
        let size = say(&mut world, b"c FETCH * (BINARY.SIZE[2])\r\n");
        let expected = format!("BINARY.SIZE[2] {})", content.len());
        let size = String::from_utf8(size).unwrap();
        assert!(size.contains(&expected), "{size}, and not {expected}");
        let (all, has_nul) = value(
            &say(&mut world, b"c FETCH * (BINARY.PEEK[2])\r\n"),
            "BINARY[2]",
        );
        assert!(
            all == content && has_nul == content.contains(&0),
            "seed {seed}"
        );
        for _ in 0..4 {
            let (first, count) = (rng.below(content.len() + 10), rng.below(200_000) + 1);
            let fetch = format!("c FETCH * (BINARY.PEEK[2]<{first}.{count}>)\r\n");
            let (part, _) = value(&say(&mut world, fetch.as_bytes()), "BINARY[2]");
            let end = (first + count).min(content.len());
            assert!(
                part == content[first.min(end)..end],
                "seed {seed}, {first}.{count}"
            );
        }
        // Without BINARY it is a message as any other.
        let said = say(&mut world, b"c FETCH * (BODYSTRUCTURE BODY.PEEK[])\r\n");
        assert!(!said.contains(&0));
        let text = String::from_utf8_lossy(&said);
        assert!(
            text.contains("\"IMAGE\" \"PNG\" NIL NIL NIL \"base64\"")
                || text.contains("\"base64\"")
        );
    }
}

#[test]
fn nul_elsewhere_is_refused_and_what_follows_is_not_taken_for_commands() {
    let mut world = world();
    let said = append(&mut world, b"Subject: x\r\n\r\nd LOGOUT\r\n\0 more\r\n");
    let said = String::from_utf8(said).unwrap();
    assert!(
        said.starts_with("c NO [UNKNOWN-CTE] ") && said.lines().count() == 1,
        "{said}"
    );
    // Of several, none is there.
    let several = b"c APPEND INBOX {3+}\r\nabc ~{1+}\r\n\0 {3+}\r\nabc\r\n";
    let said = String::from_utf8(say(&mut world, several)).unwrap();
    assert!(
        said.starts_with("c NO [UNKNOWN-CTE] ") && said.lines().count() == 1,
        "{said}"
    );
    let said = say(&mut world, b"c STATUS INBOX (MESSAGES)\r\n");
    assert!(String::from_utf8(said).unwrap().contains("(MESSAGES 0)"));
    assert_eq!(world.model.uploads(), 0);
}

#[test]
fn nul_that_was_stored_as_it_came_is_announced() {
    let mut world = world();
    // Not a literal8, so nothing is rewritten.
    let message = b"Subject: x\r\n\r\na\0b";
    let command = format!("c APPEND INBOX {{{}+}}\r\n", message.len());
    say(&mut world, &[command.as_bytes(), message, b"\r\n"].concat());
    let (all, has_nul) = value(
        &say(&mut world, b"c FETCH 1 (BINARY.PEEK[])\r\n"),
        "BINARY[]",
    );
    assert!(all == message && has_nul);
    let (part, _) = value(
        &say(&mut world, b"c FETCH 1 (BINARY.PEEK[1])\r\n"),
        "BINARY[1]",
    );
    assert_eq!(part, b"a\0b");
}
