//! The message itself: pieces, limits, its end.

use bytes::BytesMut;
use proptest::prelude::*;

use super::*;

fn in_data() -> (Host, Session) {
    let (mut host, mut session) = (Host::default(), session());
    session.handle_input(b"LHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<ann>\r\nDATA\r\n");
    host.run(&mut session);
    host.said.clear();
    (host, session)
}

#[test]
fn a_message_too_big_is_swallowed_without_memory() {
    let (mut host, mut session) = in_data();
    let line = format!("{}\r\n", "x".repeat(998));
    for _ in 0..1000 {
        session.handle_input(line.as_bytes());
        host.run(&mut session);
        assert!(host.kept.len() <= 300_000);
    }
    assert!(host.kept.is_empty());
    assert_eq!(host.discards, 1);
    session.handle_input(b".\r\nNOOP\r\n");
    host.run(&mut session);
    assert_eq!(
        host.said,
        b"552 5.3.4 The message is too big\r\n250 2.0.0 OK\r\n"
    );
    assert!(host.delivered.is_empty());
    let refused = Undelivered {
        refusal: Refusal::TooBig(200_000),
        return_path: "a@b".into(),
        size: host.refused[0].size,
    };
    assert_eq!(host.refused, [refused]);
    // With its trace headers, and nothing else.
    assert!((1_000_000..1_001_000).contains(&host.refused[0].size));
    session.handle_input(b"MAIL FROM:<a@b> SIZE=200001\r\nMAIL FROM:<a@b> SIZE=200000\r\n");
    host.said.clear();
    host.run(&mut session);
    assert_eq!(
        host.said,
        b"552 5.3.4 The message is too big\r\n250 2.1.0 Sender OK\r\n"
    );
    assert_eq!(host.too_big, 1);
}

#[test]
fn large_messages_come_in_pieces() {
    let (mut host, mut session) = in_data();
    let text = format!("{}\r\n", "y".repeat(98)).repeat(1900);
    session.handle_input(text.as_bytes());
    host.run(&mut session);
    assert!(host.kept.len() >= 2 * CHUNK_BYTES);
    session.handle_input(b".\r\n");
    host.run(&mut session);
    assert!(host.delivered[0].1.ends_with(text.as_bytes()));
}

#[test]
fn a_piece_that_can_not_be_kept_refuses_the_message() {
    let (mut host, mut session) = in_data();
    session.handle_input(&b"z\r\n".repeat(CHUNK_BYTES / 2));
    let mut failed = false;
    while let Some(action) = session.poll_action() {
        if matches!(action, Action::Chunk(_)) {
            session.handle_chunk_failed(Refusal::DiskFull);
            failed = true;
        }
    }
    assert!(failed);
    session.handle_input(b"z\r\n.\r\n");
    host.run(&mut session);
    assert_eq!(
        host.said,
        b"452 4.3.1 The disk is full, try again later\r\n"
    );
    assert!(host.delivered.is_empty());
}

#[test]
fn only_crlf_dot_crlf_ends_a_message() {
    for text in [
        "a\n.\nb",
        "a\r.\rb",
        "a\n.\r\nb",
        "a\r\n.\nb",
        "a\r\n.\rb",
        "\n.\r\n",
    ] {
        let (mut host, mut session) = in_data();
        session.handle_input(text.as_bytes());
        session.handle_input(b"\r\nMAIL FROM:<evil@x>\r\n");
        host.run(&mut session);
        assert!(host.said.is_empty(), "{text:?}");
        session.handle_input(b".\r\n");
        host.run(&mut session);
        assert_eq!(host.delivered.len(), 1, "{text:?}");
        assert!(host.said.starts_with(b"250 "), "{text:?}");
    }
}

#[test]
fn long_lines_are_skipped() {
    for before in ["", "NOOP\r\n"] {
        let (mut host, mut session) = (Host::default(), session());
        session.handle_input(before.as_bytes());
        session.handle_input(&vec![b'x'; 3 * LINE_BYTES_MAX]);
        host.run(&mut session);
        session.handle_input(b"x\r\nNOOP\r\n");
        host.run(&mut session);
        let said = String::from_utf8(host.said).unwrap();
        assert!(
            said.ends_with("500 5.5.2 The line is too long\r\n250 2.0.0 OK\r\n"),
            "{said}"
        );
    }
}

#[test]
fn timeout_and_stop() {
    let (mut host, mut session) = in_data();
    session.handle_timeout();
    host.run(&mut session);
    assert!(host.closed && host.said.starts_with(b"421 4.4.2"));
    let (mut host, mut session) = in_data();
    session.handle_input(b"x\r\n.\r\n");
    let mut actions = Vec::new();
    while let Some(action) = session.poll_action() {
        actions.push(action);
    }
    assert!(matches!(actions.last(), Some(Action::Deliver(_))) && session.is_delivering());
    session.handle_stop();
    assert!(
        session.poll_action().is_none(),
        "the delivery is answered first"
    );
    session.handle_delivered(&[Ok(appended())]);
    host.run(&mut session);
    let said = String::from_utf8(host.said).unwrap();
    assert!(
        said.starts_with("250 2.0.0 <ann> delivered\r\n421 4.3.2"),
        "{said}"
    );
    assert!(host.closed && !session.wants_input());
}

fn stuffed(text: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    let mut start = true;
    for (at, byte) in text.iter().enumerate() {
        if start && *byte == b'.' {
            wire.push(b'.');
        }
        wire.push(*byte);
        start = *byte == b'\n' && at > 0 && text[at - 1] == b'\r';
    }
    wire.extend_from_slice(if start { b".\r\n" } else { b"\r\n.\r\n" });
    wire
}

proptest! {
    #[test]
    fn unstuffing_undoes_stuffing(
        text in proptest::collection::vec(proptest::sample::select(&b".\r\na"[..]), 0..60),
        cuts in proptest::collection::vec(1_usize..7, 1..20),
    ) {
        let mut wire = &stuffed(&text)[..];
        let (mut unstuffer, mut output) = (data::Unstuffer::default(), BytesMut::new());
        let mut ended = false;
        let mut cuts = cuts.iter().cycle();
        while !wire.is_empty() {
            prop_assert!(!ended);
            let (piece, rest) = wire.split_at((*cuts.next().unwrap()).min(wire.len()));
            wire = rest;
            let mut input = BytesMut::from(piece);
            ended = unstuffer.run(&mut input, &mut output, usize::MAX);
            prop_assert!(input.is_empty());
        }
        prop_assert!(ended);
        let expected = if text.is_empty() || text.ends_with(b"\r\n") {
            text
        } else {
            [&text[..], b"\r\n"].concat()
        };
        prop_assert_eq!(&output[..], &expected[..]);
    }

    #[test]
    fn any_input_is_answered(
        words in proptest::collection::vec(prop_oneof![
            Just("LHLO x\r\n".to_owned()), Just("MAIL FROM:<a@b>\r\n".to_owned()),
            Just("RCPT TO:<ann>\r\n".to_owned()), Just("DATA\r\n".to_owned()),
            Just("\r\n.\r\n".to_owned()), Just("RSET\r\n".to_owned()), ".{0,20}",
            "[A-Z <>:@\"\\\\.+]{0,20}\r\n",
        ], 0..30),
    ) {
        let (mut host, mut session) = (Host::default(), session());
        for word in words {
            session.handle_input(word.as_bytes());
            host.run(&mut session);
        }
    }

    #[test]
    fn any_line_is_read_or_refused(line in proptest::collection::vec(any::<u8>(), 0..100)) {
        if let Ok(command::Command::Rcpt(argument)) = command::parse(&line) {
            let _ = command::recipient(&argument, true);
        }
    }
}
