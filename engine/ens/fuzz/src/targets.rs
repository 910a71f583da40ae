//! What is promised for any bytes whatsoever.

use ens::access::Access;
use ens::bus::{self, Action, Limits, Wanted};
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

/// Whatever comes from the bus, in pieces that say how long they are, a machine goes on, and says
/// nothing that another one does not understand.
pub fn bus(data: &[u8]) {
    const SECOND_NS: u64 = 1_000_000_000;
    let machine = |origin| {
        let mut machine = bus::Machine::new(origin, SECOND_NS, Limits::default());
        machine.want(SECOND_NS, Wanted::all());
        machine.set_members(SECOND_NS, &b"a pool"[..].into(), 1);
        machine.connected(SECOND_NS, 1 << 20);
        machine.take_actions();
        machine
    };
    let (mut hears, mut other) = (machine(1), machine(2));
    let mut rest = data;
    let mut now_ns = SECOND_NS;
    while let Some((length, after)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes(*length)).min(after.len());
        let (message, after) = after.split_at(length);
        rest = after;
        now_ns += SECOND_NS / 4;
        hears.hear(now_ns, vec![message.to_vec().into()]);
        hears.tick(now_ns);
        for action in hears.take_actions() {
            match action {
                Action::Publish { message, .. } => other.hear(now_ns, vec![message]),
                Action::Pooled(pooled) => hears.hand_on(now_ns, pooled),
                Action::Event {
                    number: Some(number),
                    ..
                } => hears.acknowledge(now_ns, number),
                _ => {}
            }
        }
    }
    assert_eq!(other.counts().strange, 0);
}
