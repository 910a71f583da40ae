//! Operations on many messages that a stop cuts off: what is half done is right as it is.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::{Bench, append, body, fetch_all};
use mail::request::CopyHow;
use mail::{MailboxName, ModSeq, Reply, Request, Uid, UserId};
use store::Options;

const MESSAGES: u32 = 60;

fn bodies(bench: &Bench, user: UserId, name: &str) -> Vec<Vec<u8>> {
    let open = Request::Open {
        user,
        name: MailboxName::new(name),
        read_only: true,
    };
    let Reply::Opened(opened) = bench.ask(open) else {
        panic!("{name} is there");
    };
    let Reply::Fetched { messages, .. } = bench.ask(fetch_all(&opened)) else {
        panic!("{name} can be read");
    };
    let bytes = messages.into_iter().map(|message| message.bytes);
    bytes.map(|bytes| bytes.expect("small").to_vec()).collect()
}

/// RFC 6851 §3.3: a message that is moved is in one of the two mailboxes, however far it came.
#[test]
fn a_move_that_is_cut_off_leaves_each_message_in_one_place() {
    let mut cut = 0;
    for slices in 0..12 {
        let folder = tempfile::tempdir().expect("a folder");
        // The store is closed when so many slices were done.
        let done = Arc::new(AtomicUsize::new(0));
        let (counter, is_reached) = (done.clone(), crossbeam_channel::bounded(1));
        let reached = is_reached.0;
        let timekeeper = move |name: &str, _: Duration| {
            if name == "a slice of a move" && counter.fetch_add(1, Ordering::SeqCst) == slices {
                let _ = reached.try_send(());
            }
        };
        let options = Options {
            slice_messages: 4,
            closing_max: Duration::ZERO,
            disk_free_bytes_min: 0,
            index_messages_min: 2,
            timekeeper: Some(Arc::new(timekeeper)),
            ..Options::default()
        };
        let bench = Bench::open(folder.path(), options.clone());
        let user = bench.ensure_user("ann");
        let sent: Vec<_> = (0..MESSAGES)
            .map(|number| bench.submit(append(user, body(number.into(), 100))))
            .collect();
        sent.into_iter().for_each(|it| drop(it.wait()));
        let target = MailboxName::new("Target");
        bench.ask(Request::Create {
            user,
            name: target.clone(),
            special_use: None,
        });
        let all = bodies(&bench, user, "INBOX");
        let moved = bench.submit(Request::Copy {
            mailbox: mail::MailboxId(1),
            messages: (1..=MESSAGES).map(Uid).collect(),
            user,
            to: target,
            how: CopyHow::Move,
            since: ModSeq(1),
        });
        is_reached.1.recv().expect("so many slices are done");
        bench.store.close();
        let is_cut = matches!(moved.wait(), Reply::Refused(_));
        drop(bench);

        let bench = Bench::open(folder.path(), options);
        assert_eq!(bench.recovery.loss, None);
        let (left, came) = (
            bodies(&bench, user, "INBOX"),
            bodies(&bench, user, "Target"),
        );
        cut += usize::from(is_cut && !left.is_empty() && !came.is_empty());
        let mut found = [left, came].concat();
        found.sort_unstable();
        let mut expected = all;
        expected.sort_unstable();
        assert!(found == expected, "after {slices} slices");
    }
    assert!(cut > 0, "no MOVE was cut off half way");
}
