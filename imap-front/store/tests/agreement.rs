//! The durable store and the model, which share no code, give the same answers and events.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use common::sorting::{arrange, headed};
use common::step::{Step, step};
use common::{Bench, Pending, body, figures, follow};
use mail::SpecialUse;
use mail::list::Query;
use mail::request::{CopyHow, FlagChange, NewMessage, StoreMode, Target, Want};
use mail::search::{DateField, Day, Key, Program};
use mail::{
    Body, EmailId, Event, Flags, InView, InternalDate, MailboxId, MailboxName, ModSeq, Reply,
    Request, SpoolId, SystemFlag, Uid, UserId,
};
use model::{Limits, Model};
use proptest::prelude::*;
use store::{Options, Quota};

const NAMES: [&str; 9] = [
    "inbox",
    "a",
    "a/b",
    "a/b/c",
    "b",
    "b/x",
    "INBOX/sub",
    "bad//name",
    "none",
];
const KEYWORDS: [&str; 6] = ["$Forwarded", "$forwarded", "Junk", "red", "RED", "blue"];
const USERS: [&str; 2] = ["ann", "bob"];

/// Both worlds, and what an observer of all events knows.
struct World {
    folder: tempfile::TempDir,
    options: Options,
    bench: Option<Bench>,
    model: Model,
    /// The UIDs of each mailbox at each mod-sequence, by its events alone.
    views: BTreeMap<MailboxId, Vec<Vec<Uid>>>,
    deleted: BTreeSet<MailboxId>,
    expected: Vec<Arc<Event>>,
    spools: Vec<SpoolId>,
    bodies: u64,
}

fn now() -> InternalDate {
    InternalDate {
        unix_s: 1_700_000_000,
        zone_min: 60,
    }
}

impl World {
    fn new() -> Self {
        let limits = Limits {
            message_bytes_max: 250_000,
            quota_bytes: 900_000,
            quota_messages: 40,
            keywords_max: 3,
            names_max: 8,
            metadata_value_bytes_max: 300,
            metadata_bytes_max: 100_000,
            ..Limits::default()
        };
        let quota = Quota {
            bytes: limits.quota_bytes,
            messages: limits.quota_messages,
        };
        let options = Options {
            message_bytes_max: limits.message_bytes_max,
            quota: Arc::new(move |_| quota),
            keywords_max: limits.keywords_max,
            names_max: limits.names_max,
            metadata_value_bytes_max: limits.metadata_value_bytes_max,
            metadata_bytes_max: limits.metadata_bytes_max,
            inline_bytes_max: limits.inline_bytes_max,
            disk_free_bytes_min: 0,
            index_bytes_max: 2_000,
            index_messages_min: 2,
            read_at_once_messages_max: 2,
            now: Arc::new(now),
            ..Options::default()
        };
        let folder = tempfile::tempdir().expect("a folder");
        let bench = Some(Bench::open(folder.path(), options.clone()));
        let mut model = Model::new(limits);
        model.set_now(now());
        let mut world = Self {
            folder,
            options,
            bench,
            model,
            views: BTreeMap::new(),
            deleted: BTreeSet::new(),
            expected: vec![],
            spools: vec![],
            bodies: 0,
        };
        for name in USERS {
            let user = world.bench().ensure_user(name);
            assert_eq!(world.model.add_user(name, "x"), user);
        }
        world
    }

    fn bench(&self) -> &Bench {
        self.bench.as_ref().expect("open")
    }

    fn reopen(&mut self) {
        self.bench().store.close();
        self.bench = None;
        self.bench = Some(Bench::open(self.folder.path(), self.options.clone()));
        assert_eq!(self.bench().recovery.loss, None);
        self.model.sync();
        self.model.crash();
    }

    fn user(&self, step: &Step) -> UserId {
        self.model.user_id(USERS[step.user]).expect("known")
    }

    fn mailbox(&self, step: &Step) -> MailboxId {
        let known = self.views.len();
        let wanted = step.mailbox % (known + 1);
        self.views
            .keys()
            .nth(wanted)
            .copied()
            .unwrap_or(MailboxId(3))
    }

    fn modseq(&self, mailbox: MailboxId, step: &Step) -> ModSeq {
        let last = self.views.get(&mailbox).map_or(1, Vec::len);
        ModSeq((step.since % last) as u64 + 1)
    }

    /// Some UIDs that are or were there, ascending.
    fn uids(&self, mailbox: MailboxId, step: &Step) -> Vec<Uid> {
        let present = self.views.get(&mailbox).and_then(|views| views.last());
        let present = present.map_or(&[][..], |uids| uids);
        let pick = |&pick: &u16| match present.len() {
            0 => Uid(u32::from(pick) % 5 + 1),
            len => present[usize::from(pick) % len],
        };
        let mut uids: Vec<Uid> = step.picks.iter().map(pick).collect();
        if step.flags.is_multiple_of(16) {
            uids.push(Uid(step.flags.into()));
        }
        uids.sort_unstable();
        uids.dedup();
        uids
    }

    /// Ranges about some UIDs, and some of those that are gone as withheld.
    fn in_view(&self, mailbox: MailboxId, step: &Step, uids: &[Uid]) -> InView {
        if step.size.is_multiple_of(3) {
            return uids.iter().copied().collect();
        }
        let known = self.views.get(&mailbox).map_or(&[][..], |views| &views[..]);
        let last = known.iter().flatten().max().copied().unwrap_or(Uid(1));
        let (Some(low), Some(high)) = (uids.first(), uids.last()) else {
            return InView::default();
        };
        let middle = Uid(low.0 + (high.0 - low.0) / 2);
        let ranges = match step.size % 3 {
            1 => vec![(*low, (*high).max(last))],
            _ => vec![
                (*low, middle),
                (Uid(middle.0 + 2), Uid(middle.0 + 2).max(*high)),
            ],
        };
        let is_withheld = |uid: &Uid| step.flags >> (uid.0 % 16) & 1 != 0;
        InView {
            count: step.size as u32 % 5 + 60 * u32::from(!step.size.is_multiple_of(2)),
            ranges: ranges.into_iter().collect(),
            withheld: Arc::new((1..=last.0).map(Uid).filter(is_withheld).collect()),
        }
    }

    fn flags(step: &Step) -> Flags {
        let keywords = KEYWORDS.iter().enumerate();
        let set = keywords.filter(|(place, _)| step.flags >> (6 + place) & 3 == 3);
        Flags::new(step.flags as u8, set.map(|(_, word)| Arc::from(*word)))
    }

    fn how(step: &Step) -> CopyHow {
        match (step.on, step.size % 2) {
            (true, _) => CopyHow::Move,
            (false, 0) => CopyHow::Copy,
            (false, _) => CopyHow::Whole,
        }
    }

    fn body(&mut self, step: &Step) -> Body {
        self.bodies += 1;
        if step.on
            && let Some(spool) = self.spools.pop()
        {
            return Body::Spooled(spool);
        }
        Body::Inline(headed(self.bodies, step.into()))
    }

    fn flag_change(step: &Step, since: ModSeq) -> FlagChange {
        FlagChange {
            mode: [StoreMode::Add, StoreMode::Remove, StoreMode::Replace][step.size % 3],
            flags: Self::flags(step),
            unchanged_since: step.on.then_some(since),
        }
    }

    fn change(&mut self, step: &Step) -> Request {
        let user = self.user(step);
        let name = MailboxName::new(NAMES[step.name]);
        let mailbox = self.mailbox(step);
        let since = self.modseq(mailbox, step);
        let uids = self.uids(mailbox, step);
        match step.kind {
            0..4 => {
                let special_use = step.on.then_some(SpecialUse::Sent);
                Request::Create {
                    user,
                    name,
                    special_use,
                }
            }
            4..6 => Request::Delete { user, name },
            6..9 => Request::Rename {
                user,
                from: name,
                to: MailboxName::new(NAMES[step.other]),
            },
            9 => figures::set_quota(user, USERS[step.user], (step.size, step.flags, step.on)),
            10 if step.size.is_multiple_of(2) => {
                let name = (step.other != 0).then_some(name);
                figures::set_metadata(user, name, &step.picks, body(3, step.size), step.on)
            }
            10 => Request::Subscribe {
                user,
                name,
                on: step.on,
            },
            11..18 => Request::Store {
                mailbox,
                ranges: self.in_view(mailbox, step, &uids).ranges,
                change: Self::flag_change(step, since),
                since,
            },
            18..22 => {
                let within = step.on.then(|| {
                    let near = |uid: &Uid| (uid.0..=uid.0 + step.size as u32 % 3).map(Uid);
                    let uids: BTreeSet<Uid> = uids.iter().flat_map(near).collect();
                    uids.into_iter().collect()
                });
                Request::Expunge {
                    mailbox,
                    within,
                    since,
                }
            }
            22..27 => Request::Copy {
                mailbox,
                messages: self.in_view(mailbox, step, &uids),
                user,
                to: name,
                how: Self::how(step),
                since,
            },
            27..30 => {
                let spool = step.on.then(|| self.spools.pop()).flatten();
                Request::Spool {
                    spool,
                    chunk: body(self.bodies, step.size),
                }
            }
            30 => Request::Discard {
                spool: self.spools.pop().unwrap_or(SpoolId(77)),
            },
            34 if step.on => {
                let (flags, body) = (Self::flags(step), self.body(step));
                let old = (mailbox, Uid(step.size as u32 % 7), since);
                figures::replace((user, name), old, (flags, body))
            }
            31..34 if step.on => self.append_all(user, name, step),
            31..40 => self.append(user, name, step),
            _ => {
                let targets = step.picks.iter().map(|&pick| Target {
                    user: ["ann", "bob", "eve"][usize::from(pick) % 3].into(),
                    folder: MailboxName::new(NAMES[usize::from(pick >> 2) % 9]),
                });
                Request::Deliver {
                    targets: targets.collect(),
                    body: self.body(step),
                    submitter: step.on.then(|| "ann@example.org".into()),
                }
            }
        }
    }

    fn question(&mut self, step: &Step) -> Request {
        let user = self.user(step);
        let name = MailboxName::new(NAMES[step.name]);
        let mailbox = self.mailbox(step);
        let since = self.modseq(mailbox, step);
        let uids = self.uids(mailbox, step);
        match step.kind % 8 {
            0 => {
                let query = Query {
                    patterns: vec!["*".into()],
                    subscribed: step.on,
                    ..Query::default()
                };
                let (query, after) = (Arc::new(query), None);
                Request::List { user, query, after }
            }
            1 if step.flags.is_multiple_of(3) => {
                figures::quota(user, name, (step.size, step.other, step.on))
            }
            1 if step.flags % 3 == 1 => {
                let name = (step.other != 0).then_some(name);
                figures::metadata(user, name, &step.picks, (step.size, step.on))
            }
            1 => Request::Status {
                user,
                name,
                deleted_bytes: true,
            },
            2 | 3 => Request::Open {
                user,
                name,
                read_only: step.on,
            },
            4 if step.on && step.flags.is_multiple_of(4) => {
                let last = self
                    .views
                    .get(&mailbox)
                    .and_then(|views| views.last()?.last());
                let below = Uid(last.map_or(1, |uid| uid.0 + 1));
                Request::Claim { mailbox, below }
            }
            4 => Request::Sync { mailbox, since },
            5 if step.on => self.changes(mailbox, step, &uids),
            5 => Request::View { mailbox, at: since },
            6 if step.on => {
                let uid = uids.first().copied().unwrap_or(Uid(1));
                let range = step.flags.into()..step.flags as u64 + step.size as u64;
                Request::Read {
                    mailbox,
                    uid,
                    range,
                }
            }
            6 => {
                let want = Want {
                    structure: step.flags & 1 != 0,
                    bytes: step.flags & 2 != 0,
                    header: step.flags & 4 != 0,
                    submitter: true,
                    thread: step.on,
                    preview: step.on,
                };
                Request::Fetch {
                    mailbox,
                    uids,
                    want,
                    budget_bytes: step.size,
                }
            }
            _ => Self::search(mailbox, since, step),
        }
    }

    fn search(mailbox: MailboxId, since: ModSeq, step: &Step) -> Request {
        let keys = [
            Key::Flag(SystemFlag::Seen),
            Key::Keyword("RED".into()),
            Key::Body("aa".into()),
            Key::Recent,
            Key::ModSeq(since),
            Key::Email(EmailId(step.size as u64 % 9)),
            Key::Since(DateField::Saved, Day(step.size as i32)),
        ];
        let key = keys[usize::from(step.flags) % keys.len()].clone();
        let key = if step.on {
            Key::Not(Box::new(key))
        } else {
            key
        };
        let (program, recent_from) = (Program { key }, Uid(step.size as u32 % 9));
        match arrange(step.into()) {
            None => Request::Search {
                mailbox,
                program,
                since,
                recent_from,
            },
            Some(how) => Request::Arrange {
                mailbox,
                program,
                how,
                since,
                recent_from,
            },
        }
    }

    fn append(&mut self, user: UserId, name: MailboxName, step: &Step) -> Request {
        let date = step.size.is_multiple_of(2).then_some(InternalDate {
            unix_s: step.size as i64,
            zone_min: -5,
        });
        Request::Append {
            user,
            name,
            flags: Self::flags(step),
            date,
            body: self.body(step),
        }
    }

    fn append_all(&mut self, user: UserId, name: MailboxName, step: &Step) -> Request {
        let message = |_: &u16| NewMessage {
            flags: Self::flags(step),
            date: None,
            body: self.body(step),
        };
        Request::AppendAll {
            user,
            name,
            messages: step.picks.iter().take(3).map(message).collect(),
        }
    }

    /// What somebody has missed who was away.
    fn changes(&self, mailbox: MailboxId, step: &Step, uids: &[Uid]) -> Request {
        let last = self.views.get(&mailbox).map_or(1, |views| views.len()) as u64;
        let since = ModSeq(step.size as u64 % (last + 1));
        let upto = match step.flags & 4 {
            0 => ModSeq(last),
            _ => self.modseq(mailbox, step).max(since),
        };
        let uids: BTreeSet<Uid> = uids.iter().copied().collect();
        Request::Changes {
            mailbox,
            since,
            upto,
            known: match step.flags & 1 {
                0 => [(Uid(1), Uid(u32::MAX))].into_iter().collect(),
                _ => uids.into_iter().collect(),
            },
            vanished: (step.flags & 2 == 0).then_some(Uid(0)),
        }
    }

    /// Asks both; the store's answer may still be under way.
    fn begin(&mut self, request: Request) -> (Request, Reply, Pending) {
        let pending = self.bench().submit(request.clone());
        let (reply, events) = self.model.handle(request.clone());
        if let (Reply::Spooled(spool), true) = (&reply, self.spools.len() < 3) {
            self.spools.push(*spool);
        }
        for event in &events {
            self.observe(event);
        }
        self.expected.extend(events);
        (request, reply, pending)
    }

    /// Follows a mailbox by its events alone.
    fn observe(&mut self, event: &Event) {
        let views = self
            .views
            .entry(event.mailbox)
            .or_insert_with(|| vec![vec![]]);
        assert_eq!(
            event.prev.0,
            views.len() as u64,
            "events form a chain: {event:?}"
        );
        assert_eq!(event.seq.0, event.prev.0 + 1);
        let mut view = views.last().expect("begins with one").clone();
        follow(&mut view, event);
        views.push(view);
        if event.deleted {
            self.deleted.insert(event.mailbox);
        }
    }

    /// An observer in sync at `since` who is told the delta knows the mailbox as it is.
    fn check_delta(&self, mailbox: MailboxId, since: ModSeq, delta: &[Arc<Event>]) {
        let Some(views) = self.views.get(&mailbox) else {
            return;
        };
        if self.deleted.contains(&mailbox) {
            return;
        }
        let mut view = views[since.0 as usize - 1].clone();
        let mut at = since;
        for event in delta {
            assert_eq!(event.prev, at);
            follow(&mut view, event);
            at = event.seq;
        }
        assert_eq!(at.0, views.len() as u64);
        assert_eq!(&view, views.last().expect("begins with one"));
    }

    fn check(&self, request: &Request, expected: &Reply, reply: &Reply) {
        // The store may name more than what changed, if nothing that didn't lies there.
        if let (
            Request::Changes { mailbox, .. },
            Reply::Changes { vanished, changed },
            Reply::Changes {
                vanished: gone,
                changed: exactly,
            },
        ) = (request, reply, expected)
            && let Some(there) = self.views.get(mailbox).and_then(|views| views.last())
        {
            let named = there.iter().filter(|uid| changed.contains(**uid));
            let named: Vec<Uid> = named.copied().collect();
            let is_expected = |uid: &&Uid| exactly.contains(**uid);
            let meant: Vec<Uid> = there.iter().filter(is_expected).copied().collect();
            assert_eq!((named, vanished), (meant, gone), "{request:?}");
            return;
        }
        assert_eq!(format!("{reply:?}"), format!("{expected:?}"), "{request:?}");
        match (request, reply) {
            (Request::View { mailbox, at }, Reply::Viewed { uids, delta, .. }) => {
                if let Some(views) = self.views.get(mailbox)
                    && !self.deleted.contains(mailbox)
                {
                    assert_eq!(uids[..], views[at.0 as usize - 1]);
                }
                self.check_delta(*mailbox, *at, delta);
            }
            (Request::Sync { mailbox, since }, Reply::Synced(delta)) => {
                self.check_delta(*mailbox, *since, delta);
            }
            _ => {}
        }
    }

    fn run(&mut self, steps: &[Step]) {
        let mut pending = Vec::new();
        for step in steps {
            let request = self.change(step);
            pending.push(self.begin(request));
        }
        for (request, expected, answer) in pending {
            let reply = answer.wait();
            assert_eq!(format!("{reply:?}"), format!("{expected:?}"), "{request:?}");
        }
        let expected = std::mem::take(&mut self.expected);
        assert_eq!(self.bench().announced(), expected);
        for step in steps {
            let request = self.question(step);
            let reply = self.bench().ask(request.clone());
            let (expected, events) = self.model.handle(request.clone());
            assert!(events.is_empty());
            self.check(&request, &expected, &reply);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 24,
        max_shrink_iters: 300,
        failure_persistence: None,
        ..Default::default()
    })]

    #[test]
    fn store_and_model_agree(
        groups in prop::collection::vec(prop::collection::vec(step(), 1..12), 1..16),
        reopen_every in 2usize..9,
    ) {
        let mut world = World::new();
        for (place, group) in groups.iter().enumerate() {
            world.run(group);
            if place % reopen_every == reopen_every - 1 {
                world.reopen();
            }
        }
    }
}
