//! Frames: the vectors of the specification, and what a stranger may send.

use proptest::prelude::*;

use super::*;

/// What the first frames of the vectors mean, those that greet and ask.
fn asked() -> Vec<Frame<'static>> {
    vec![
        Frame::Hello {
            version: 1,
            name: "asub",
        },
        Frame::Welcome {
            version: 1,
            payload_max: 1 << 20,
            keepalive_s: 120,
            scope: None,
            name: "enpd",
        },
        Frame::Welcome {
            version: 3,
            payload_max: 1 << 20,
            keepalive_s: 120,
            scope: Some(Scope::Local),
            name: "enpd",
        },
        Frame::Publish {
            id: 7,
            link: b"",
            event: "enp://127.0.0.1/store",
            payload: b"hi",
        },
        Frame::Publish {
            id: 8,
            link: b"L1",
            event: "enp://h/x?a=b",
            payload: b"",
        },
        Frame::Accepted { id: 7 },
        Frame::Acknowledged { id: 8 },
        Frame::Subscribe {
            id: 1,
            scope: None,
            pattern: "enp://127.0.0.1/store",
        },
        Frame::Subscribe {
            id: 2,
            scope: Some(Scope::Local),
            pattern: "enp://127.0.0.1/store",
        },
        Frame::Subscribed { id: 1 },
        Frame::Unsubscribe { id: 1 },
        Frame::Unsubscribed { id: 1 },
    ]
}

/// What the others mean.
fn told() -> Vec<Frame<'static>> {
    let receipt = *b"0123456789abcdef";
    vec![
        Frame::Notify {
            subscription: 0,
            away: false,
            receipt: None,
            event: "enp://h/x",
            payload: b"hi",
        },
        Frame::Notify {
            subscription: 0,
            away: true,
            receipt: None,
            event: "enp://h/x",
            payload: b"hi",
        },
        Frame::Notify {
            subscription: 3,
            away: false,
            receipt: Some((receipt, b"L1")),
            event: "enp://h/x",
            payload: b"",
        },
        Frame::Ack { receipt },
        Frame::Lagged { events: 5 },
        Frame::Missed,
        Frame::Ping { token: 9 },
        Frame::Pong { token: 9 },
        Frame::Error {
            code: 5,
            id: 7,
            text: "no event reference",
        },
        Frame::Bye { text: "stopping" },
    ]
}

/// The vectors of `docs/ENP.md`: hexadecimal, and what they mean.
fn vectors() -> Vec<(Vec<u8>, Frame<'static>)> {
    let meanings = [asked(), told()].concat();
    let document = include_str!("../../docs/ENP.md");
    let hex = document
        .lines()
        .filter_map(|line| line.strip_prefix("    hex "));
    let bytes = hex.map(|line| {
        let digits: Vec<u8> = line.bytes().filter(u8::is_ascii_hexdigit).collect();
        let byte = |pair: &[u8]| {
            let pair = std::str::from_utf8(pair).expect("ASCII");
            u8::from_str_radix(pair, 16).expect("two digits")
        };
        digits.chunks(2).map(byte).collect::<Vec<u8>>()
    });
    let bytes: Vec<Vec<u8>> = bytes.collect();
    if std::env::var_os("ENP_VECTORS").is_some() {
        for meaning in &meanings {
            let bytes = meaning.to_bytes();
            let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            println!("    hex {}", hex.join(" "));
        }
    }
    assert_eq!(bytes.len(), meanings.len(), "the document has them all");
    bytes.into_iter().zip(meanings).collect()
}

#[test]
fn the_documents_vectors_hold() {
    for (bytes, meaning) in vectors() {
        assert_eq!(meaning.to_bytes(), bytes, "{meaning:?}");
        assert_eq!(decode(&bytes), Ok(Some((meaning, bytes.len()))));
        for cut in 0..bytes.len() {
            assert_eq!(decode(&bytes[..cut]), Ok(None));
        }
    }
}

#[test]
fn what_a_broker_of_version_2_hears_of_a_scope_is_no_pattern() {
    for scope in [Scope::Local, Scope::Site] {
        let pattern = format!("{}enp://h/x", char::from(scope as u8));
        assert!(crate::event_ref::Pattern::parse(&pattern).is_err());
        assert_eq!(scope.to_string().parse(), Ok(scope));
    }
    assert!("Site".parse::<Scope>().is_err());
    // A scope that nobody knows is a part of the pattern, which is none.
    let frame = Frame::Subscribe {
        id: 1,
        scope: None,
        pattern: "\u{3}enp://h/x",
    };
    let bytes = frame.to_bytes();
    assert_eq!(decode(&bytes), Ok(Some((frame, bytes.len()))));
}

#[test]
fn lengths_that_lie_are_refused() {
    let huge = [0xFF, 0xFF, 0xFF, 0xFF, PING];
    assert_eq!(decode(&huge), Err((FrameError::TooLarge, 0)));
    for (bytes, error) in [
        (&[0, 0, 0, 0][..], FrameError::Malformed),
        (&[0, 0, 0, 1, 99], FrameError::UnknownKind(99)),
        (&[0, 0, 0, 2, PING, 0], FrameError::Malformed),
        (&[0, 0, 0, 6, PING, 0, 0, 0, 0, 0], FrameError::Malformed),
        (
            &[0, 0, 0, 8, PUBLISH, 0, 0, 0, 1, 0, 0, 9],
            FrameError::Malformed,
        ),
        (&[0, 0, 0, 3, BYE, 0xC3, 0x28], FrameError::Malformed),
    ] {
        assert_eq!(decode(bytes), Err((error, bytes.len())));
    }
}

proptest! {
    #[test]
    fn any_bytes_are_a_frame_or_not(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        // The first bytes of a length are 0 in frames of this size.
        let mut framed = (bytes.len() as u32).to_be_bytes().to_vec();
        framed.extend(&bytes);
        for bytes in [&bytes, &framed] {
            if let Ok(Some((frame, taken))) = decode(bytes) {
                prop_assert_eq!(&frame.to_bytes()[..], &bytes[..taken]);
            }
        }
    }

    #[test]
    fn what_is_written_is_read(
        id: u32,
        link in prop::collection::vec(any::<u8>(), 0..9),
        event in ".{0,99}",
        payload: Vec<u8>,
    ) {
        let receipt = (!link.is_empty()).then_some(([7; 16], &link[..]));
        for frame in [
            Frame::Publish { id, link: &link, event: &event, payload: &payload },
            Frame::Notify {
                subscription: id,
                away: id % 2 == 1,
                receipt,
                event: &event,
                payload: &payload,
            },
        ] {
            let bytes = frame.to_bytes();
            prop_assert_eq!(decode(&bytes), Ok(Some((frame, bytes.len()))));
        }
    }
}
