//! What an event costs an idling session: its announcement, its rendering, packing the session away
//! and inflating it again.
#![allow(
    missing_docs,
    reason = "criterion's macros make undocumented functions"
)]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use mail::{Change, Event, Flags, MailboxId, MailboxName, ModSeq, Request, Uid};
use model::Model;
use proto::imap::action::{Action, Parked};
use proto::imap::{Announce, Session, SessionConfig, announce, render};

/// A session in IDLE on an empty INBOX.
fn idling(config: &Arc<SessionConfig>) -> Session {
    let mut model = Model::default();
    let user = model.add_user("fred", "secret");
    let name = MailboxName::inbox();
    model.handle(Request::Create {
        user,
        name,
        special_use: None,
    });
    let mut session = Session::new(config.clone(), true);
    session.handle_input(b"a LOGIN fred secret\r\nb SELECT INBOX\r\nc IDLE\r\n");
    loop {
        match session.poll_action() {
            Some(Action::Request(request)) => session.handle_reply(model.handle(request).0),
            Some(Action::Watch(_)) => session.handle_watching(),
            Some(_) => {}
            None if session.park().is_some() => return session,
            None => session.handle_drained(),
        }
    }
}

fn delivered(prev: u64) -> Event {
    let change = Change::New {
        uid: Uid(4711),
        exists: 4711,
        flags: Arc::new(Flags::default()),
    };
    event(prev, change)
}

fn flagged(prev: u64) -> Event {
    let change = Change::Flags {
        uid: Uid(4711),
        number: 4711,
        flags: Arc::new(Flags::default()),
        modseq: ModSeq(prev + 1),
    };
    event(prev, change)
}

fn event(prev: u64, change: Change) -> Event {
    Event {
        mailbox: MailboxId(1),
        prev: ModSeq(prev),
        seq: ModSeq(prev + 1),
        changes: vec![change],
        deleted: false,
    }
}

fn told(mut parked: Parked, event: &Event) -> Option<Vec<u8>> {
    match announce(&mut parked, event) {
        Announce::Line(key) => Some(render(event, key)),
        Announce::Silent | Announce::Stale => None,
    }
}

fn events(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("event");
    let session = idling(&Arc::new(SessionConfig::default()));
    let plain = session.park().expect("it idles");
    let mut condstore = plain;
    condstore.bits |= Parked::CONDSTORE;
    let head = plain.modseq.0;
    for (name, event) in [("delivered", delivered(head)), ("flags", flagged(head))] {
        group.bench_function(format!("announce/{name}"), |bencher| {
            bencher.iter_batched(
                || plain,
                |mut parked| announce(&mut parked, black_box(&event)),
                BatchSize::SmallInput,
            );
        });
        for (dialect, parked) in [("plain", plain), ("condstore", condstore)] {
            assert!(told(parked, &event).is_some(), "the client is told");
            group.bench_function(format!("render/{name}/{dialect}"), |bencher| {
                bencher.iter(|| told(parked, black_box(&event)));
            });
        }
    }
    group.finish();
}

fn sizes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("session");
    let config = Arc::new(SessionConfig::default());
    let session = idling(&config);
    let parked = session.park().expect("it idles");
    group.bench_function("park", |bencher| bencher.iter(|| session.park()));
    group.bench_function("unpark", |bencher| {
        bencher.iter(|| Session::unpark(black_box(parked), config.clone()));
    });
    group.finish();
}

criterion_group!(benches, events, sizes);
criterion_main!(benches);
