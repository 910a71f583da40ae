//! What an event costs an idling session: its announcement, its rendering for each kind of client,
//! packing the session away and inflating it again.

use std::hint::black_box;
use std::sync::Arc;

use benches::Case;
use criterion::Throughput;
use mail::{Change, Event, Flags, MailboxId, MailboxName, ModSeq, Request, Uid};
use model::Model;
use proto::imap::action::Action;
use proto::imap::{Announce, Parked, Session, SessionConfig, announce, render, render_many};

/// Events that a slow reader is told in one piece.
const MISSED: u64 = 16;
const ONE: Throughput = Throughput::Elements(1);

/// Kinds of clients that hear of the same event in different bytes.
const DIALECTS: [(&str, u16); 2] = [("plain", 0), ("condstore", Parked::CONDSTORE)];

fn main() {
    let cases = [announced(), rendered(), rendered_many(), sizes()];
    benches::run(cases.into_iter().flatten().collect());
}

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

fn parked(dialect: u16) -> Parked {
    let session = idling(&Arc::new(SessionConfig::default()));
    let mut parked = session.park().expect("it idles");
    parked.bits |= dialect;
    parked.exists = 4710;
    parked
}

type Make = fn() -> Change;

/// What can happen in a mailbox.
const CHANGES: [(&str, Make); 3] = [
    ("delivered", || Change::New {
        uid: Uid(4711),
        exists: 4711,
        flags: Arc::default(),
    }),
    ("flags", || Change::Flags {
        uid: Uid(4711),
        number: 4711,
        flags: Arc::new(Flags::default()),
        modseq: ModSeq(4711),
    }),
    ("expunged", || Change::Expunged {
        uid: Uid(17),
        number: 17,
    }),
];

fn event(prev: ModSeq, change: Change) -> Event {
    Event {
        mailbox: MailboxId(1),
        prev,
        seq: ModSeq(prev.0 + 1),
        changes: vec![change],
        deleted: false,
    }
}

fn announced() -> Vec<Case> {
    let case = |(name, change): (_, Make)| {
        Case::new(format!("announce/{name}"), ONE, move || {
            let row = parked(0);
            let event = event(row.modseq, change());
            move || {
                let mut row = black_box(row);
                announce(&mut row, black_box(&event))
            }
        })
    };
    CHANGES.into_iter().map(case).collect()
}

fn rendered() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, change) in CHANGES {
        for (dialect, bits) in DIALECTS {
            let prepare = move || {
                let mut row = parked(bits);
                let event = event(row.modseq, change());
                let Announce::Line(key) = announce(&mut row, &event) else {
                    panic!("the client is told");
                };
                move || render(black_box(&event), black_box(key))
            };
            cases.push(Case::new(format!("render/{name}/{dialect}"), ONE, prepare));
        }
    }
    cases
}

fn rendered_many() -> Vec<Case> {
    let case = |(dialect, bits)| {
        let name = format!("render_many/{dialect}/{MISSED}");
        Case::new(name, Throughput::Elements(MISSED), move || {
            let row = parked(bits);
            let changes = CHANGES.iter().cycle();
            let events: Vec<Event> = (row.modseq.0..row.modseq.0 + MISSED)
                .zip(changes)
                .map(|(prev, (_, change))| event(ModSeq(prev), change()))
                .collect();
            move || {
                let mut row = black_box(row);
                render_many(&mut row, black_box(&events)).expect("the events follow the row")
            }
        })
    };
    DIALECTS.into_iter().map(case).collect()
}

fn sizes() -> Vec<Case> {
    vec![
        Case::new("session/park", ONE, || {
            let session = idling(&Arc::new(SessionConfig::default()));
            move || black_box(&session).park()
        }),
        Case::new("session/unpark", ONE, || {
            let (parked, config) = (parked(0), Arc::new(SessionConfig::default()));
            move || Session::unpark(black_box(parked), config.clone())
        }),
    ]
}
