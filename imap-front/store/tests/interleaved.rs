//! Operations that go on in slices, at random beside others, leave what they would have left one
//! after the other.

mod common;

use std::collections::BTreeMap;

use common::{Bench, Pending, body, fetch_all};
use mail::request::{CopyHow, FlagChange, StoreMode};
use mail::{Flags, MailboxName, Message, Reply, Request, SystemFlag, Uid, UserId};
use proptest::prelude::*;
use store::Options;

const NAMES: [&str; 4] = ["INBOX", "a", "b", "c"];
const FLAGS: [SystemFlag; 3] = [SystemFlag::Seen, SystemFlag::Flagged, SystemFlag::Deleted];

/// What a mailbox holds: the number of a message's body and its flags, sorted.
type Contents = Vec<(u64, u8)>;

/// Of a round, its choices as numbers: a large operation, its mailboxes, and deliveries before and
/// after it was asked for.
type Round = (u8, usize, usize, usize, Vec<usize>, bool);

fn options() -> Options {
    Options {
        slice_messages: 3,
        disk_free_bytes_min: 0,
        index_messages_min: 2,
        read_at_once_messages_max: 2,
        index_bytes_max: 4_000,
        ..Options::default()
    }
}

struct World {
    folder: tempfile::TempDir,
    bench: Option<Bench>,
    user: UserId,
    model: BTreeMap<&'static str, Contents>,
    numbers: u64,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let bench = Bench::open(folder.path(), options());
        let user = bench.ensure_user("ann");
        for name in &NAMES[1..] {
            let create = Request::Create {
                user,
                name: MailboxName::new(name),
                special_use: None,
            };
            assert!(matches!(bench.ask(create), Reply::Created(_)));
        }
        Self {
            folder,
            bench: Some(bench),
            user,
            model: NAMES.map(|name| (name, vec![])).into(),
            numbers: 0,
        }
    }

    fn bench(&self) -> &Bench {
        self.bench.as_ref().expect("open")
    }

    fn deliver(&mut self, name: &'static str) -> Pending {
        self.numbers += 1;
        let contents = self.model.get_mut(name).expect("one of them");
        contents.push((self.numbers, 0));
        self.bench().submit(Request::Append {
            user: self.user,
            name: MailboxName::new(name),
            flags: Flags::default(),
            date: None,
            body: mail::Body::Inline(body(self.numbers, 40)),
        })
    }

    fn opened(&self, name: &str) -> mail::reply::Opened {
        let open = Request::Open {
            user: self.user,
            name: MailboxName::new(name),
            read_only: true,
        };
        match self.bench().ask(open) {
            Reply::Opened(opened) => opened,
            reply => panic!("{reply:?}"),
        }
    }

    /// Asks for a large operation; what it works on is what is there now.
    fn large(&mut self, kind: u8, from: &'static str, to: &'static str, flag: usize) -> Pending {
        let opened = self.opened(from);
        let (mailbox, since) = (opened.mailbox, opened.highest_modseq);
        let uids: Vec<Uid> = opened.uids.to_vec();
        let before = self.model[from].clone();
        let contents = |world: &mut Self, name, contents| {
            world.model.insert(name, contents);
        };
        let request = match kind % 4 {
            0 | 1 => {
                let mut flags = Flags::default();
                flags.insert(FLAGS[flag % FLAGS.len()]);
                let bits = flags.system_bits();
                let is_add = kind.is_multiple_of(4);
                let change = |old: u8| if is_add { old | bits } else { old & !bits };
                let after = before.iter().map(|(number, old)| (*number, change(*old)));
                contents(self, from, after.collect());
                let mode = if is_add {
                    StoreMode::Add
                } else {
                    StoreMode::Remove
                };
                let unchanged_since = None;
                Request::Store {
                    mailbox,
                    ranges: uids.into_iter().collect(),
                    change: FlagChange {
                        mode,
                        flags,
                        unchanged_since,
                    },
                    since,
                }
            }
            2 => {
                let mut deleted = Flags::default();
                deleted.insert(SystemFlag::Deleted);
                let bits = deleted.system_bits();
                let after = before.into_iter().filter(|(_, flags)| flags & bits == 0);
                contents(self, from, after.collect());
                Request::Expunge {
                    mailbox,
                    within: None,
                    since,
                }
            }
            _ => {
                let remove = flag.is_multiple_of(2);
                if remove {
                    contents(self, from, vec![]);
                }
                let target = self.model.get_mut(to).expect("one of them");
                target.extend(before);
                let (user, to) = (self.user, MailboxName::new(to));
                Request::Copy {
                    mailbox,
                    messages: uids.into_iter().collect(),
                    user,
                    to,
                    how: if remove { CopyHow::Move } else { CopyHow::Copy },
                    since,
                }
            }
        };
        self.bench().submit(request)
    }

    /// A round: nobody is waited for before all have asked.
    fn round(&mut self, (kind, from, to, flag, deliveries, reopens): &Round) {
        let (from, to) = (NAMES[from % 4], NAMES[to % 4]);
        let mut pending = Vec::new();
        for name in deliveries {
            pending.push(self.deliver(NAMES[name % 4]));
        }
        // What was delivered is there before the operation begins.
        pending.drain(..).for_each(answered);
        pending.push(self.large(*kind, from, to, *flag));
        for name in deliveries.iter().rev() {
            pending.push(self.deliver(NAMES[(name + 1) % 4]));
        }
        pending.drain(..).for_each(answered);
        if *reopens {
            self.bench().store.close();
            self.bench = None;
            self.bench = Some(Bench::open(self.folder.path(), options()));
        }
        for name in NAMES {
            let mut expected = self.model[name].clone();
            expected.sort_unstable();
            assert_eq!(self.contents(name), expected, "{name}");
        }
    }

    fn contents(&self, name: &str) -> Contents {
        let opened = self.opened(name);
        let Reply::Fetched { messages, .. } = self.bench().ask(fetch_all(&opened)) else {
            panic!("not fetched")
        };
        let mut contents: Contents = messages.iter().map(content).collect();
        contents.sort_unstable();
        contents
    }
}

fn answered(pending: Pending) {
    let reply = pending.wait();
    assert!(!matches!(reply, Reply::Refused(_)), "{reply:?}");
}

fn content(message: &Message) -> (u64, u8) {
    let bytes = message.bytes.as_ref().expect("small");
    let text = std::str::from_utf8(bytes).expect("letters");
    let number = text.strip_prefix("Subject: number ").expect("ours");
    let end = number.find('\r').expect("a line");
    let number = number[..end].parse().expect("a number");
    (number, message.flags.system_bits())
}

fn round() -> impl Strategy<Value = Round> {
    let deliveries = prop::collection::vec(0_usize..4, 0..14);
    (
        any::<u8>(),
        0_usize..4,
        0_usize..4,
        0_usize..6,
        deliveries,
        prop::bool::weighted(0.1),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn slices_beside_others_end_as_one_after_the_other(
        rounds in prop::collection::vec(round(), 1..14),
    ) {
        let mut world = World::new();
        rounds.iter().for_each(|round| world.round(round));
        world.bench().store.close();
    }
}
