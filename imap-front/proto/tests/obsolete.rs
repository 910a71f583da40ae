//! Part number 0 (RFC 1730 §6.4.5), which no client of IMAP4rev1 reads.

#[allow(dead_code, reason = "each test uses a part")]
mod host;

use host::World;

#[test]
fn part_0_is_the_header_of_the_part_above() {
    let mut world = World::new();
    let inner = "Subject: inner\\r\\n\\r\\nHello\\r\\n";
    let outer = "Subject: outer\\r\\nContent-Type: message/rfc822\\r\\n\\r\\n";
    world.other(&format!("APPEND INBOX <<{outer}{inner}"));
    world.input(false, b"a LOGIN fred secret\r\nb SELECT INBOX\r\n");
    world.said();
    let mut said = |command: &str| {
        world.input(false, format!("c {command}\r\n").as_bytes());
        String::from_utf8(world.said()).expect("ASCII")
    };
    let header = "Subject: outer\r\nContent-Type: message/rfc822\r\n\r\n";
    let expected = format!("* 1 FETCH (BODY[0] {{{}}}\r\n{header})\r\n", header.len());
    assert!(said("FETCH 1 BODY.PEEK[0]").starts_with(&expected));
    let expected = "* 1 FETCH (BODY[1.0] {18}\r\nSubject: inner\r\n\r\n)\r\n";
    let heard = said("FETCH 1 BODY.PEEK[1.0]");
    assert!(heard.starts_with(expected), "{heard}");
    let heard = said("PARTIAL 1 BODY.PEEK[0] 10 5");
    assert!(
        heard.starts_with("* 1 FETCH (BODY[0] {5}\r\nouter)\r\n"),
        "{heard}"
    );
    assert!(said("FETCH 1 BODY.PEEK[0.1]").starts_with("c BAD "));
}
