//! How many rows a slice touches: no more, however large the mailbox is.

use std::cell::Cell;

use bytes::Bytes;
use mail::request::{CopyHow, FlagChange, StoreMode};
use mail::{
    Body, Flags, InView, MailboxId, MailboxName, ModSeq, Reply, Request, SystemFlag, Uid, UserId,
};

use super::{Operation, Rules, Step, apply, choosing, ensure_user, numbering, tables};
use crate::index_cache::IndexCache;
use crate::kv::{Changes, Kv, Memory, Space, Transaction, Visit};
use crate::{Error, Options};

/// Rows that a slice may touch for each of its messages.
const ROWS_A_MESSAGE: usize = 12;
/// And besides.
const ROWS: usize = 64;

/// Rows in memory that count how many are read.
pub(super) struct Counted {
    pub rows: Memory,
    pub indexes: IndexCache,
    pub read: Cell<usize>,
    /// Of these, messages' rows.
    pub messages: Cell<usize>,
}

impl Counted {
    fn count(&self, space: Space) {
        self.read.set(self.read.get() + 1);
        if space == Space::Messages {
            self.messages.set(self.messages.get() + 1);
        }
    }

    fn commit(&mut self, changes: Changes) {
        self.indexes.committed(&changes);
        self.rows.apply(changes);
    }

    /// A commit that readers see already; the indexes are told of it later.
    pub fn commit_unnoted(&mut self, changes: &Changes) {
        self.rows.apply(changes.clone());
    }
}

impl Kv for Counted {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, Error> {
        self.count(space);
        self.rows.get(space, key)
    }

    fn scan(
        &self,
        space: Space,
        from: &[u8],
        to: &[u8],
        reverse: bool,
        visit: Visit<'_>,
    ) -> Result<(), Error> {
        self.rows.scan(space, from, to, reverse, &mut |key, value| {
            self.count(space);
            visit(key, value)
        })
    }

    fn indexes(&self) -> Option<&IndexCache> {
        Some(&self.indexes)
    }
}

pub(super) struct World {
    pub counted: Counted,
    pub rules: Rules,
    pub user: UserId,
    pub inbox: MailboxId,
    messages: u32,
}

fn named(name: &str) -> MailboxName {
    MailboxName::new(name)
}

impl World {
    pub fn new(messages: u32) -> Self {
        let rules = Rules::new(Options::default());
        let mut counted = Counted {
            rows: Memory::default(),
            indexes: IndexCache::new(16 << 20, None),
            read: Cell::new(0),
            messages: Cell::new(0),
        };
        let mut txn = Transaction::new(&counted);
        let user = ensure_user(&mut txn, &rules, "ann").expect("memory");
        let body = Body::Inline(Bytes::from_static(b"Subject: x\r\n\r\n"));
        for _ in 0..messages {
            let append = Request::Append {
                user,
                name: MailboxName::inbox(),
                flags: Flags::default(),
                date: None,
                body: body.clone(),
            };
            apply(&mut txn, &rules, append).expect("memory");
        }
        let inbox = tables::named_mailbox(&txn, user, &MailboxName::inbox());
        let (inbox, _) = inbox.expect("memory").expect("made with the user");
        let changes = txn.into_changes();
        counted.commit(changes);
        Self {
            counted,
            rules,
            user,
            inbox,
            messages,
        }
    }

    /// Has the index of INBOX in memory.
    pub fn warm(&self) {
        let Some(shared) = self.counted.indexes.build(self.inbox) else {
            return;
        };
        let mut build = shared.lock().expect("no panic");
        let built = numbering::build_some(&self.counted, &shared, &mut build, usize::MAX);
        assert!(built.expect("memory"));
    }

    /// One commit: gives what `work` gives, and how many rows it read and changed.
    pub fn commit<T>(
        &mut self,
        work: impl FnOnce(&mut Transaction<'_>, &Rules) -> Result<T, Error>,
    ) -> (T, usize) {
        self.counted.read.set(0);
        let mut txn = Transaction::new(&self.counted);
        txn.begin();
        let done = work(&mut txn, &self.rules).expect("memory");
        let changes = txn.into_changes();
        let touched = self.counted.read.get() + changes.len();
        self.counted.commit(changes);
        (done, touched)
    }

    /// Carries a request out, slice by slice. Gives the last answer, how many commits it took, and
    /// the most rows that one of them touched.
    pub fn carry_out(&mut self, request: Request) -> (Reply, usize, usize) {
        let (applied, mut most) = self.commit(|txn, rules| apply(txn, rules, request));
        let mut reply = applied.reply;
        let mut next: Option<Operation> = applied.then;
        let mut commits = 1;
        while let Some(mut operation) = next.take() {
            let (step, touched) = self.commit(|txn, rules| operation.go_on(txn, rules));
            (commits, most) = (commits + 1, most.max(touched));
            match step {
                Step::More(_) => next = Some(operation),
                Step::Waits => panic!("nobody else builds an index here"),
                Step::Done(done, _, then) => {
                    reply = reply.or(Some(*done));
                    next = then;
                }
            }
        }
        (reply.expect("an answer"), commits, most)
    }

    fn all(&self) -> Vec<Uid> {
        (1..=self.messages).map(Uid).collect()
    }

    pub fn store(&self, flag: SystemFlag) -> Request {
        let mut flags = Flags::default();
        flags.insert(flag);
        Request::Store {
            mailbox: self.inbox,
            ranges: self.all().into_iter().collect(),
            change: FlagChange {
                mode: StoreMode::Add,
                flags,
                unchanged_since: None,
            },
            since: ModSeq(1),
        }
    }

    fn copy(&self, to: &str, how: CopyHow) -> Request {
        Request::Copy {
            mailbox: self.inbox,
            messages: self.all().into_iter().collect(),
            user: self.user,
            to: named(to),
            how,
            since: ModSeq(1),
        }
    }

    fn create(&mut self, name: &str) {
        let create = Request::Create {
            user: self.user,
            name: named(name),
            special_use: None,
        };
        let (reply, ..) = self.carry_out(create);
        assert!(matches!(reply, Reply::Created(_)), "{reply:?}");
    }
}

#[test]
fn a_slice_touches_no_more_rows_of_a_large_mailbox_than_of_a_small_one() {
    let bound = Options::default().slice_messages * ROWS_A_MESSAGE + ROWS;
    for messages in [1_000, 20_000] {
        let mut world = World::new(messages);
        world.create("copy");
        world.create("moved");
        world.warm();
        let expunge = Request::Expunge {
            mailbox: world.inbox,
            within: Some([(Uid(1), Uid(messages / 2))].into_iter().collect()),
            since: ModSeq(1),
        };
        let delete = Request::Delete {
            user: world.user,
            name: named("copy"),
        };
        let requests = [
            ("STORE", world.store(SystemFlag::Flagged)),
            ("COPY", world.copy("copy", CopyHow::Copy)),
            ("STORE", world.store(SystemFlag::Deleted)),
            ("EXPUNGE", expunge),
            ("MOVE", world.copy("moved", CopyHow::Move)),
            ("DELETE", delete),
        ];
        for (name, request) in requests {
            let (reply, commits, most) = world.carry_out(request);
            assert!(!matches!(reply, Reply::Refused(_)), "{name}: {reply:?}");
            let slices_min = messages as usize / 2 / Options::default().slice_messages;
            assert!(commits >= slices_min, "{name}: {commits} commits");
            assert!(
                most <= bound,
                "{name} of {messages}: {most} rows in a slice"
            );
        }
    }
}

#[test]
fn an_index_is_built_in_slices_of_as_many_rows() {
    for messages in [5_000, 20_000] {
        let mut world = World::new(messages);
        let (reply, _, most) = world.carry_out(world.store(SystemFlag::Seen));
        assert!(matches!(reply, Reply::Stored { .. }), "{reply:?}");
        assert!(most <= super::operation::BUILD_ROWS + ROWS, "{most} rows");
    }
}

#[test]
fn names_are_moved_in_slices() {
    let bound = Options::default().slice_messages * ROWS_A_MESSAGE + ROWS;
    for names in [300, 3_000] {
        let mut world = World::new(0);
        for number in 0..names {
            world.create(&format!("a/{number}"));
        }
        let rename = Request::Rename {
            user: world.user,
            from: named("a"),
            to: named("b"),
        };
        let (reply, commits, most) = world.carry_out(rename);
        assert!(matches!(reply, Reply::Done), "{reply:?}");
        assert!(commits >= 2 * names / Options::default().slice_messages);
        assert!(most <= bound, "{names} names: {most} rows in a slice");
    }
}

impl World {
    /// Expunges every second message up to a UID.
    pub fn expunge_odd(&mut self, to: u32) {
        let mut delete = self.store(SystemFlag::Deleted);
        if let Request::Store { ranges, .. } = &mut delete {
            *ranges = (1..=to).step_by(2).map(Uid).collect();
        }
        self.carry_out(delete);
        let (reply, ..) = self.carry_out(Request::Expunge {
            mailbox: self.inbox,
            within: None,
            since: ModSeq(1),
        });
        assert!(matches!(reply, Reply::Synced(_)), "{reply:?}");
    }

    pub fn modseq(&self) -> ModSeq {
        let row = tables::mailbox(&self.counted.rows, self.inbox).expect("memory");
        row.expect("there").modseq
    }
}

/// Ranges cost a slice no more than messages, whatever lies in them: nothing, or kept messages that
/// the session was told are gone.
#[test]
fn ranges_without_messages_in_view_are_looked_at_in_slices() {
    let bound = Options::default().slice_messages * ROWS_A_MESSAGE + ROWS;
    let mut world = World::new(10_000);
    world.create("copy");
    world.warm();
    world.expunge_odd(10_000);
    let knows = world.modseq();
    // Another session changes something, so the one that copies is behind.
    world.carry_out(world.store(SystemFlag::Answered));
    let all: InView = InView {
        ranges: [(Uid(1), Uid(10_000))].into_iter().collect(),
        count: 5_000,
        withheld: Default::default(),
    };
    let singles = InView {
        ranges: (1..=5_000)
            .map(|n| (Uid(2 * n - 1), Uid(2 * n - 1)))
            .collect(),
        ..InView::default()
    };
    for (messages, expected) in [(all, 5_000), (singles, 0)] {
        let mut copy = world.copy("copy", CopyHow::Copy);
        if let Request::Copy {
            messages: all,
            since,
            ..
        } = &mut copy
        {
            (*all, *since) = (messages.clone(), knows);
        }
        let (reply, _, most) = world.carry_out(copy);
        let Reply::Copied { from, to, .. } = reply else {
            panic!("{reply:?}")
        };
        assert_eq!((from.len(), to.len()), (expected, expected));
        assert!(most <= bound, "COPY: {most} rows in a slice");
        let mut store = world.store(SystemFlag::Seen);
        if let Request::Store { ranges, .. } = &mut store {
            *ranges = messages.ranges;
        }
        let (reply, _, most) = world.carry_out(store);
        assert!(matches!(reply, Reply::Stored { .. }), "{reply:?}");
        assert!(most <= bound, "STORE: {most} rows in a slice");
    }
}

#[test]
fn slices_of_a_view_are_the_view() {
    let mut world = World::new(60);
    let opened = world.modseq();
    world.expunge_odd(20);
    let knows = world.modseq();
    world.expunge_odd(40);
    let mailbox = tables::mailbox(&world.counted.rows, world.inbox).expect("memory");
    let mailbox = mailbox.expect("there");
    let range = |low, high| (Uid(low), Uid(high));
    let ranges = [
        range(1, 1),
        range(3, 3),
        range(5, 33),
        range(36, 36),
        range(39, 70),
    ];
    let withheld = [5, 7, 8, 19].map(Uid);
    // Since when, and what is in view of what is gone.
    let cases = [
        (opened, (1..=39).step_by(2).collect::<Vec<u32>>()),
        (knows, (21..=39).step_by(2).chain([5, 7, 19]).collect()),
        (mailbox.modseq, vec![5, 7, 19]),
    ];
    for (since, gone) in cases {
        let messages = InView {
            ranges: ranges.into_iter().collect(),
            count: 60,
            withheld: std::sync::Arc::new(withheld.into_iter().collect()),
        };
        let there = (1..=60).filter(|uid| uid % 2 == 0 || *uid > 40);
        let mut expected: Vec<Uid> = there.chain(gone).map(Uid).collect();
        expected.retain(|uid| messages.ranges.contains(*uid));
        expected.sort_unstable();
        for max in 1..70 {
            let (mut found, mut from) = (Vec::new(), Some(Uid(0)));
            while let Some(at) = from {
                let of = (world.inbox, &mailbox);
                let (some, next) =
                    choosing::in_view(&world.counted, of, (&messages, since), at, max)
                        .expect("memory");
                assert!(some.len() <= max);
                assert!(
                    next.is_none_or(|next| next > at),
                    "{max}: {next:?} after {at:?}"
                );
                found.extend(some.into_iter().map(|(uid, ..)| uid));
                from = next;
            }
            assert_eq!(found, expected, "{max} at a time, since {since:?}");
        }
    }
}

/// A client that comes back after a few changes costs a few rows, however large the mailbox is.
#[test]
fn a_client_that_was_away_costs_the_rows_of_what_changed() {
    for messages in [1_000, 30_000] {
        let mut world = World::new(messages);
        world.warm();
        let since = world.modseq();
        world.expunge_odd(100);
        let mut flag = world.store(SystemFlag::Flagged);
        if let Request::Store { ranges, .. } = &mut flag {
            *ranges = (500..550).map(Uid).collect();
        }
        world.carry_out(flag);
        world.counted.read.set(0);
        let all = || [(Uid(1), Uid(u32::MAX))].into_iter().collect();
        let changes = Request::Changes {
            mailbox: world.inbox,
            since,
            upto: world.modseq(),
            known: all(),
            vanished: Some(Uid(0)),
        };
        let reply = super::read(&world.counted, &world.rules, &changes).expect("memory");
        let Some(Reply::Changes { vanished, changed }) = reply else {
            panic!("{reply:?}")
        };
        assert_eq!((vanished.span(), changed.span()), (50, 50));
        let rows = world.counted.read.get();
        assert!(rows <= 200, "{rows} rows in a mailbox of {messages}");
        // One from before all tombstones: the index alone tells what is gone.
        let mut row = tables::mailbox(&world.counted.rows, world.inbox)
            .expect("memory")
            .expect("there");
        row.horizon = row.modseq;
        let inbox = world.inbox;
        world.commit(|txn, _| {
            tables::put_mailbox(txn, inbox, &row);
            Ok(())
        });
        world.warm();
        world.counted.read.set(0);
        let reply = super::read(&world.counted, &world.rules, &changes).expect("memory");
        let Some(Reply::Changes { vanished, .. }) = reply else {
            panic!("{reply:?}")
        };
        assert_eq!(vanished.span(), 50);
        let rows = world.counted.read.get();
        assert!(rows <= 200, "{rows} rows in a mailbox of {messages}");
    }
}

/// The rows that the limit of names goes by, counted.
fn counted_names(world: &World) -> usize {
    let (from, to) = super::keys::names(world.user);
    let mut count = 0;
    let rows = &world.counted.rows;
    rows.scan(Space::Names, &from, &to, false, &mut |_, _| {
        count += 1;
        std::ops::ControlFlow::Continue(())
    })
    .expect("memory");
    count
}

fn account(world: &World) -> crate::rows::Account {
    tables::account(&world.counted.rows, world.user).expect("memory")
}

#[test]
fn a_create_looks_at_no_other_names() {
    let mut world = World::new(0);
    for number in 0..3_000 {
        world.create(&format!("{number}"));
    }
    let create = |name| Request::Create {
        user: UserId(1),
        name: named(name),
        special_use: None,
    };
    let (_, _, most) = world.carry_out(create("x"));
    assert!(most <= 20, "{most} rows");
    // As a version left it that did not count: they are counted once.
    let mut row = account(&world);
    assert_eq!(row.names, Some(3_002));
    row.names = None;
    let user = world.user;
    world.commit(|txn, _| {
        tables::put_account(txn, user, &row);
        Ok(())
    });
    let (_, _, most) = world.carry_out(create("y"));
    assert!(most > 3_000, "{most} rows");
    let (_, _, most) = world.carry_out(create("z"));
    assert!(most <= 20, "{most} rows");
    assert_eq!(account(&world).names, Some(3_004));
    world.rules.options.names_max = 3_005;
    world.create("last");
    let (reply, ..) = world.carry_out(create("more"));
    assert!(matches!(reply, Reply::Refused(_)), "{reply:?}");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(200))]
    #[test]
    fn names_are_counted_as_they_are(
        steps in proptest::collection::vec((0..5, 0..6_usize, 0..6_usize, 1..4_usize), 1..40)
    ) {
        const NAMES: [&str; 6] = ["a", "a/b", "a/b/c", "d", "d/e/f", "INBOX"];
        let mut world = World::new(1);
        for (kind, one, other, slice) in steps {
            world.rules.options.slice_messages = slice;
            let (user, name) = (world.user, named(NAMES[one]));
            let (reply, ..) = world.carry_out(match kind {
                0 => Request::Create { user, name, special_use: None },
                1 => Request::Delete { user, name },
                2 => Request::Rename { user, from: name, to: named(NAMES[other]) },
                _ => Request::Subscribe { user, name, on: kind == 3 },
            });
            let names = account(&world).names;
            proptest::prop_assert_eq!(names, Some(counted_names(&world) as u32), "{:?}", reply);
        }
    }
}

/// A base of a version that kept what was expunged in mind for ever.
#[test]
fn expunges_of_an_old_base_are_forgotten_in_slices() {
    let mut world = World::new(10_000);
    world.rules.options.kept_s = 0;
    world.warm();
    world.expunge_odd(10_000);
    let rows = |world: &World, space| {
        let mut rows = Vec::new();
        let all = &world.counted.rows;
        all.scan(space, &[], &[0xff; 40], false, &mut |key, _| {
            rows.push(key.to_vec());
            std::ops::ControlFlow::Continue(())
        })
        .expect("memory");
        rows
    };
    let entries = rows(&world, Space::Departed);
    world.commit(|txn, _| {
        entries
            .iter()
            .for_each(|key| txn.delete(Space::Departed, key));
        Ok(())
    });
    let horizon_s = world.rules.options.horizon_s as i64;
    let work_off = |world: &mut World| {
        let (mut slices, mut most) = (0, 0);
        loop {
            let (is_done, touched) = world.commit(super::keeping::work_off);
            (slices, most) = (slices + 1, most.max(touched));
            if is_done {
                return (slices, most);
            }
        }
    };
    let bound = Options::default().slice_messages * ROWS_A_MESSAGE + ROWS;
    let (slices, most) = work_off(&mut world);
    assert!(
        slices >= 5_000 / 512 && most <= bound,
        "{slices}, {most} rows"
    );
    assert_eq!(rows(&world, Space::Departed).len(), entries.len());
    let row = |world: &World| {
        let row = tables::mailbox(&world.counted.rows, world.inbox).expect("memory");
        row.expect("there")
    };
    assert_eq!(row(&world).horizon, ModSeq(0), "from now on they wait");
    // Once: later ones are not looked through again.
    let (slices, most) = work_off(&mut world);
    assert!(slices == 1 && most <= 8, "{slices}, {most} rows");
    world.rules.now.unix_s += horizon_s;
    let (_, most) = work_off(&mut world);
    assert!(most <= bound, "{most} rows");
    assert_eq!(rows(&world, Space::Expunged), [] as [Vec<u8>; 0]);
    assert_eq!(rows(&world, Space::Departed), [] as [Vec<u8>; 0]);
    assert_eq!(row(&world).horizon, world.modseq());
}
