//! Who may do what: the durable store and the model, which decide it apart, agree, and so does a
//! store that was killed and opened again.

mod common;

use std::sync::Arc;

use common::{Bench, body, copy_all, figures};
use mail::list::Query;
use mail::request::{AclQuestion, CopyHow, FlagChange, StoreMode, Target};
use mail::watched::{Filter, Where};
use mail::{
    Body, Events, Flags, MailboxId, MailboxName, ModSeq, Namespaces, Reply, Request, Rights,
    RightsMode, Scope, Uid, UserId,
};
use model::{Limits, Model};
use proptest::prelude::*;
use store::Options;

const USERS: [&str; 3] = ["ann", "bob", "public"];
const NAMES: [&str; 6] = ["INBOX", "a", "a/b", "a/b/c", "x", "INBOX/sub"];
const WHO: [&str; 7] = [
    "ann", "bob", "public", "anyone", "-ann", "-anyone", "nobody",
];

/// One step, its choices still as numbers.
#[derive(Clone, Debug)]
struct Step {
    kind: u8,
    user: usize,
    of: usize,
    name: usize,
    other: usize,
    who: usize,
    bits: u16,
    on: bool,
}

prop_compose! {
    fn step()(
        kind in 0u8..32,
        user in 0usize..3,
        of in 0usize..5,
        name in 0usize..NAMES.len(),
        other in 0usize..NAMES.len(),
        who in 0usize..WHO.len(),
        bits in any::<u16>(),
        on in any::<bool>(),
    ) -> Step {
        Step { kind, user, of, name, other, who, bits, on }
    }
}

impl Step {
    /// A name as the user has it: of their own, of another, or a shared one.
    fn named(&self, name: &str) -> MailboxName {
        MailboxName::new(&match self.of {
            0 | 1 => name.to_owned(),
            2 => format!("Other Users/ann/{name}"),
            3 => format!("Other Users/bob/{name}"),
            _ => format!("Shared Folders/{name}"),
        })
    }

    fn rights(&self) -> Rights {
        // Most of the time many.
        Rights::from_bits(self.bits | self.bits.rotate_left(7))
    }

    fn request(&self, user: UserId, number: u64) -> Request {
        let name = self.named(NAMES[self.name]);
        let flags = Flags::new(self.bits as u8, self.on.then(|| "Word".into()));
        match self.kind {
            0..10 => Request::SetAcl {
                user,
                name,
                identifier: WHO[self.who].into(),
                mode: [RightsMode::Replace, RightsMode::Add, RightsMode::Remove]
                    [usize::from(self.kind) % 3],
                rights: self.rights(),
            },
            10..15 => Request::Create {
                user,
                name,
                special_use: None,
            },
            15 => Request::Delete { user, name },
            16 => Request::Close {
                user,
                mailbox: MailboxId(u64::from(self.bits) % 6 + 1),
            },
            17 | 18 => Request::Rename {
                user,
                from: name,
                to: self.named(NAMES[self.other]),
            },
            19..21 => Request::Subscribe {
                user,
                name,
                on: self.on,
            },
            21..25 => Request::Append {
                user,
                name,
                flags,
                date: None,
                body: Body::Inline(body(number, 40)),
            },
            25..28 => Request::Copy {
                mailbox: MailboxId(u64::from(self.bits) % 6 + 1),
                messages: (1..4).map(Uid).collect(),
                user,
                to: name,
                how: if self.on {
                    CopyHow::Move
                } else {
                    CopyHow::Copy
                },
                since: ModSeq(1),
            },
            28 => {
                let picks = [self.bits, self.bits >> 4, self.bits >> 8];
                let value = body(number, usize::from(self.bits % 40));
                figures::set_metadata(user, Some(name), &picks[..1 + self.of % 3], value, self.on)
            }
            29 => Request::Store {
                mailbox: MailboxId(u64::from(self.bits) % 6 + 1),
                ranges: (1..4).map(Uid).collect(),
                change: FlagChange {
                    mode: StoreMode::ReplaceSome(self.rights()),
                    flags,
                    unchanged_since: None,
                },
                since: ModSeq(1),
            },
            _ => Request::Deliver {
                targets: vec![Target {
                    user: USERS[self.user].into(),
                    folder: MailboxName::new(NAMES[self.name]),
                }],
                body: Body::Inline(body(number, 40)),
                submitter: None,
            },
        }
    }

    /// Mailboxes that a session may watch.
    fn watched(&self, user: UserId) -> Request {
        let name = self.named(NAMES[self.name]);
        let (first, second) = match self.kind % 4 {
            0 => (
                Where::Personal,
                Where::Mailboxes([name].into_iter().collect()),
            ),
            1 => (
                Where::Subscribed,
                Where::Subtree([name].into_iter().collect()),
            ),
            2 => (
                Where::Subtree([MailboxName::new("Other Users")].into_iter().collect()),
                Where::Personal,
            ),
            _ => (Where::Personal, Where::Personal),
        };
        let filter = |mailboxes, bits| Filter {
            mailboxes,
            events: Events::from_bits(bits),
        };
        let bits = self.bits.to_le_bytes();
        let filters = [filter(first, bits[0]), filter(second, bits[1])].into();
        let only = self.bits.is_multiple_of(5);
        Request::Watched {
            user,
            scope: Scope { filters }.into(),
            only: (1..4).map(MailboxId).filter(|_| only).collect(),
            needs: if self.kind.is_multiple_of(3) {
                Rights::READ
            } else {
                Rights::SIGHT
            },
            max: usize::from(self.kind),
        }
    }

    fn questions(&self, user: UserId) -> Vec<Request> {
        let acl = |question| Request::Acl {
            user,
            name: self.named(NAMES[self.name]),
            question,
        };
        let list = |pattern: &str| Request::List {
            user,
            query: Arc::new(Query {
                patterns: vec![pattern.into()],
                lsub: self.on && self.kind.is_multiple_of(2),
                subscribed: self.kind.is_multiple_of(3),
                ..Query::default()
            }),
            after: None,
        };
        let name = self.named(NAMES[self.name]);
        vec![
            acl(AclQuestion::Entries),
            acl(AclQuestion::Mine),
            acl(AclQuestion::Grantable(WHO[self.who].into())),
            list(["*", "%", "Other Users/%", "Shared Folders/*", "%/%/%"][self.of]),
            Request::Status {
                user,
                name: name.clone(),
                deleted_bytes: self.on,
            },
            figures::quota(user, name.clone(), (0, 0, false)),
            figures::metadata(user, Some(name.clone()), &[0, 1], (self.name, false)),
            Request::Open {
                user,
                name,
                read_only: self.on,
            },
            Request::View {
                mailbox: MailboxId(u64::from(self.bits) % 6 + 1),
                at: ModSeq(1),
            },
            self.watched(user),
        ]
    }
}

struct World {
    folder: tempfile::TempDir,
    options: Options,
    bench: Option<Bench>,
    model: Model,
}

impl World {
    fn new() -> Self {
        let limits = Limits {
            acl_entries_max: 3,
            ..Limits::default()
        };
        let namespaces = Namespaces::usual("public");
        let now = Arc::new(|| mail::InternalDate {
            unix_s: 1_000_000_000,
            zone_min: 0,
        });
        let options = Options {
            acl_entries_max: limits.acl_entries_max,
            namespaces: namespaces.clone(),
            disk_free_bytes_min: 0,
            index_messages_min: 2,
            read_at_once_messages_max: 2,
            watchers: Arc::new(1.into()),
            now,
            ..Options::default()
        };
        let folder = tempfile::tempdir().expect("a folder");
        let bench = Some(Bench::open(folder.path(), options.clone()));
        let mut model = Model::new(limits);
        model.set_namespaces(namespaces);
        for name in USERS {
            let user = bench.as_ref().expect("open").ensure_user(name);
            assert_eq!(model.add_user(name, "x"), user);
        }
        // Of the users' INBOXes.
        bench.as_ref().expect("open").news();
        Self {
            folder,
            options,
            bench,
            model,
        }
    }

    fn bench(&self) -> &Bench {
        self.bench.as_ref().expect("open")
    }

    fn reopen(&mut self) {
        self.bench().store.close();
        self.bench = None;
        let found = store::reconstruct::run(self.folder.path(), &self.options, false);
        assert_eq!(
            found.expect("opens").findings,
            [],
            "rows agree with each other"
        );
        self.bench = Some(Bench::open(self.folder.path(), self.options.clone()));
    }

    fn agree(&mut self, request: Request) {
        let reply = self.bench().ask(request.clone());
        let (expected, events) = self.model.handle(request.clone());
        self.model.sync();
        assert_eq!(format!("{reply:?}"), format!("{expected:?}"), "{request:?}");
        let expected = self.model.news(events);
        assert_eq!(self.bench().news(), expected, "{request:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 8,
        max_shrink_iters: 300,
        failure_persistence: None,
        ..Default::default()
    })]

    #[test]
    fn store_and_model_agree_who_may_do_what(
        steps in prop::collection::vec(step(), 1..60),
        reopen_every in 20usize..50,
    ) {
        let mut world = World::new();
        for (number, step) in (1..).zip(&steps) {
            let user = world.model.user_id(USERS[step.user]).expect("known");
            world.agree(step.request(user, number));
            for question in step.questions(user) {
                world.agree(question);
            }
            if (number as usize).is_multiple_of(reopen_every) {
                world.reopen();
            }
        }
        world.reopen();
    }
}

/// RFC 4314 §4 CREATE, RENAME, DELETE: a list is inherited, moves along and goes with its mailbox,
/// and all of that survives a kill.
#[test]
fn lists_survive_a_kill() {
    let mut world = World::new();
    let [ann, bob] = ["ann", "bob"].map(|name| world.model.user_id(name).expect("known"));
    let name = MailboxName::new;
    let set = Request::SetAcl {
        user: ann,
        name: name("a"),
        identifier: "bob".into(),
        mode: RightsMode::Replace,
        rights: Rights::parse(b"lrk").expect("rights"),
    };
    let create = |user, text: &str| Request::Create {
        user,
        name: name(text),
        special_use: None,
    };
    world.agree(create(ann, "a"));
    world.agree(set);
    world.agree(create(bob, "Other Users/ann/a/of bob"));
    world.agree(Request::Rename {
        user: ann,
        from: name("a"),
        to: name("z"),
    });
    // Not closed: what was answered is there.
    let folder = world.folder.path();
    let copy = tempfile::tempdir().expect("a folder");
    copy_all(folder, copy.path());
    let bench = Bench::open(copy.path(), world.options.clone());
    let mine = Request::Acl {
        user: bob,
        name: name("Other Users/ann/z/of bob"),
        question: AclQuestion::Mine,
    };
    let (expected, _) = world.model.handle(mine.clone());
    assert!(matches!(expected, Reply::Acl(_)), "{expected:?}");
    assert_eq!(format!("{:?}", bench.ask(mine)), format!("{expected:?}"));
}
