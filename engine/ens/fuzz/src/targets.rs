//! What is promised for any bytes whatsoever.

use ens::access::Access;
use ens::client::{ClientEvent, Machine};
use ens::event_ref::{EventRef, Pattern};
use ens::frame::{Scope, decode};

/// A frame is read from its own bytes alone, and written it is the same bytes.
pub fn frame(data: &[u8]) {
    let mut rest = data;
    while let Ok(Some((frame, length))) = decode(rest) {
        assert!(0 < length && length <= rest.len());
        assert_eq!(&frame.to_bytes()[..], &rest[..length]);
        rest = &rest[length..];
    }
}

/// A client hears the same, however the bytes are cut.
pub fn client(data: &[u8]) {
    let heard = |size: usize| -> Vec<ClientEvent> {
        let mut machine = Machine::new("fuzz");
        for pattern in ["enp://s/*", "enp+pool://s/k"] {
            machine.subscribe(pattern).expect("it is a pattern");
        }
        let local = Some(Scope::Local);
        let subscribed = machine.subscribe_to("enp://s/k", local);
        subscribed.expect("it is a pattern");
        let mut news = Vec::new();
        for piece in data.chunks(size) {
            machine.handle_input(piece, &mut news);
            if matches!(news.last(), Some(ClientEvent::Over(_))) {
                break;
            }
        }
        news
    };
    let whole = heard(data.len().max(1));
    // After the end nothing is promised.
    let end = |news: &[ClientEvent]| {
        news.iter()
            .position(|one| matches!(one, ClientEvent::Over(_)))
    };
    let pieces = heard(1);
    let (a, b) = (end(&whole), end(&pieces));
    assert_eq!(
        a.map(|at| &whole[..at]).unwrap_or(&whole),
        b.map(|at| &pieces[..at]).unwrap_or(&pieces)
    );
}

/// An event matches the pattern that is written like it.
pub fn event_ref(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (event, pattern) = (EventRef::parse(text), Pattern::parse(text));
    if let Ok(pattern) = &pattern {
        let other = EventRef::parse("enp://127.0.0.1/store?evtType=NewMsg").expect("a reference");
        // Whatever it says, it says it.
        let _ = pattern.matches(&other);
    }
    if let (Ok(event), Ok(pattern)) = (event, pattern)
        && pattern.pool.is_none()
        && !text.contains("/*")
    {
        assert!(pattern.matches(&event), "{text}");
    }
}

/// Rules are read or refused, with the rule that is wrong; and then each address gets a verdict.
pub fn access(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match Access::parse(text) {
        Ok(access) => {
            for address in ["127.0.0.1", "192.168.0.17", "::1", "::ffff:10.0.0.1"] {
                let verdict = access.verdict(address.parse().expect("an address"));
                assert!(!verdict.because.to_string().is_empty());
            }
        }
        Err(error) => assert!(error.number > 0 && !error.why.is_empty()),
    }
}
