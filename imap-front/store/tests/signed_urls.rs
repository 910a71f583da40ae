//! URLs that were signed (RFC 4467): the durable store and the model agree on which hold, and so
//! does a store that was killed and opened again.

mod common;

use std::sync::Arc;

use common::{Bench, body, copy_all};
use mail::signed_url::{KEY_BYTES, UrlAccess};
use mail::{
    AccessKey, Body, Change, Flags, InternalDate, MailboxName, Namespaces, Refusal, Reply, Request,
    Rights, RightsMode, SignedUrl, UrlToSign, UserId,
};
use model::{Limits, Model};
use proptest::prelude::*;
use store::Options;

const USERS: [&str; 3] = ["ann", "bob", "public"];
const NAMES: [&str; 4] = ["INBOX", "a", "a/b", "x"];
const NOW_S: i64 = 1_000_000_000;

/// One step, its choices still as numbers.
#[derive(Clone, Debug)]
struct Step {
    kind: u8,
    user: usize,
    of: usize,
    name: usize,
    other: usize,
    bits: u16,
}

prop_compose! {
    fn step()(
        kind in 0u8..24,
        user in 0usize..3,
        of in 0usize..5,
        name in 0usize..NAMES.len(),
        other in 0usize..NAMES.len(),
        bits in any::<u16>(),
    ) -> Step {
        Step { kind, user, of, name, other, bits }
    }
}

impl Step {
    /// A name as the user has it: of their own, of another, or a shared one.
    fn named(&self, name: &str) -> MailboxName {
        MailboxName::new(&match self.of {
            0..3 => name.to_owned(),
            3 => format!("Other Users/ann/{name}"),
            _ => format!("Shared Folders/{name}"),
        })
    }

    /// A URL of their own most of the time.
    fn url(&self, name: &str, number: u64) -> UrlToSign {
        let owner = match self.bits % 16 {
            0 => "nobody",
            1 => USERS[(self.user + 1) % 3],
            _ => USERS[self.user],
        };
        UrlToSign {
            owner: owner.into(),
            mailbox: self.named(name),
            uid_validity: self.bits.is_multiple_of(8).then_some(u32::from(self.bits)),
            rump: format!("imap://{owner}@host/{number}").as_bytes().into(),
        }
    }

    fn request(&self, user: UserId, number: u64) -> Request {
        let name = self.named(NAMES[self.name]);
        match self.kind {
            0..8 => Request::SignUrls {
                user,
                urls: vec![
                    self.url(NAMES[self.name], number),
                    self.url(NAMES[self.other], number),
                ],
                fresh: Some(AccessKey::new([number as u8; KEY_BYTES])),
            },
            8..10 => Request::ResetKeys {
                user,
                mailbox: Some(name),
            },
            10 => Request::ResetKeys {
                user,
                mailbox: None,
            },
            11..15 => Request::Create {
                user,
                name,
                special_use: None,
            },
            15 | 16 => Request::Delete { user, name },
            17..19 => Request::Rename {
                user,
                from: name,
                to: self.named(NAMES[self.other]),
            },
            19..22 => Request::SetAcl {
                user,
                name: MailboxName::new(NAMES[self.name]),
                identifier: USERS[self.other % 3].into(),
                mode: RightsMode::Replace,
                rights: Rights::from_bits(self.bits),
            },
            _ => Request::Append {
                user,
                name,
                flags: Flags::default(),
                date: None,
                body: Body::Inline(body(number, 40)),
            },
        }
    }
}

struct World {
    folder: tempfile::TempDir,
    options: Options,
    bench: Bench,
    model: Model,
    /// All that were signed.
    signed: Vec<SignedUrl>,
}

impl World {
    fn new() -> Self {
        let namespaces = Namespaces::usual("public");
        let now = InternalDate {
            unix_s: NOW_S,
            zone_min: 0,
        };
        let options = Options {
            namespaces: namespaces.clone(),
            disk_free_bytes_min: 0,
            now: Arc::new(move || now),
            ..Options::default()
        };
        let folder = tempfile::tempdir().expect("a folder");
        let bench = Bench::open(folder.path(), options.clone());
        let mut model = Model::new(Limits::default());
        model.set_namespaces(namespaces);
        for name in USERS {
            assert_eq!(model.add_user(name, "x"), bench.ensure_user(name));
        }
        Self {
            folder,
            options,
            bench,
            model,
            signed: vec![],
        }
    }

    fn user(&self, place: usize) -> UserId {
        self.model.user_id(USERS[place % 3]).expect("known")
    }

    fn agree(&mut self, request: Request) -> Reply {
        let reply = self.bench.ask(request.clone());
        let (expected, _) = self.model.handle(request.clone());
        self.model.sync();
        assert_eq!(format!("{reply:?}"), format!("{expected:?}"), "{request:?}");
        if let (Request::SignUrls { urls, .. }, Reply::UrlsSigned(tokens)) = (request, &reply) {
            for (place, (url, token)) in urls.into_iter().zip(tokens).enumerate() {
                let kinds = [
                    UrlAccess::Anonymous,
                    UrlAccess::AuthUser,
                    UrlAccess::User("ann".into()),
                    UrlAccess::Submit("bob".into()),
                ];
                self.signed.push(SignedUrl {
                    url,
                    access: kinds[(self.signed.len() + place) % 4].clone(),
                    expires_s: [None, Some(NOW_S), Some(NOW_S - 1)][self.signed.len() % 3],
                    token: *token,
                });
            }
        }
        reply
    }

    /// Every URL that was ever signed, by each user.
    fn try_all(&mut self) -> usize {
        let mut held = 0;
        for number in 0..self.signed.len() {
            for place in 0..3 {
                let reply = self.agree(Request::OpenUrl {
                    user: self.user(place),
                    url: Box::new(self.signed[number].clone()),
                    submits: place == 1,
                });
                held += usize::from(matches!(reply, Reply::UrlOpened(_)));
            }
        }
        held
    }

    /// Goes on from what a kill would have left.
    fn kill(&mut self) {
        let copy = tempfile::tempdir().expect("a folder");
        copy_all(self.folder.path(), copy.path());
        self.bench.store.close();
        self.bench = Bench::open(copy.path(), self.options.clone());
        assert_eq!(self.bench.recovery.loss, None);
        self.folder = copy;
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
    fn store_and_model_agree_which_urls_hold(
        steps in prop::collection::vec(step(), 1..50),
        kill_every in 15usize..40,
    ) {
        let mut world = World::new();
        for (number, step) in (1..).zip(&steps) {
            let user = world.user(step.user);
            world.agree(step.request(user, number));
            if (number as usize).is_multiple_of(kill_every) {
                world.kill();
                world.try_all();
            }
        }
        world.try_all();
        let World { folder, options, bench, .. } = world;
        bench.store.close();
        drop(bench);
        let found = store::reconstruct::run(folder.path(), &options, false);
        assert_eq!(found.expect("opens").findings, [], "rows agree with each other");
    }
}

/// What was given out holds after a kill, and what was given up does not.
#[test]
fn keys_survive_a_kill_and_so_do_resets() {
    let mut world = World::new();
    let user = world.user(0);
    let url = |name: &str, number: u8| Request::SignUrls {
        user,
        urls: vec![UrlToSign {
            owner: "ann".into(),
            mailbox: MailboxName::new(name),
            uid_validity: None,
            rump: name.as_bytes().into(),
        }],
        fresh: Some(AccessKey::new([number; KEY_BYTES])),
    };
    let create = Request::Create {
        user,
        name: MailboxName::new("a"),
        special_use: None,
    };
    let forever = |world: &mut World| {
        for url in &mut world.signed {
            (url.access, url.expires_s) = (UrlAccess::Anonymous, None);
        }
    };
    world.agree(create);
    world.agree(url("INBOX", 1));
    world.agree(url("a", 2));
    forever(&mut world);
    assert_eq!(world.try_all(), 6);
    world.kill();
    assert_eq!(world.try_all(), 6);
    // The same key signs on.
    let again = world.agree(url("INBOX", 3));
    assert_eq!(
        format!("{again:?}"),
        format!("UrlsSigned([{:?}])", world.signed[0].token)
    );
    world.signed.pop();
    let mailbox = Some(MailboxName::new("a"));
    world.agree(Request::ResetKeys { user, mailbox });
    world.kill();
    assert_eq!(world.try_all(), 3);
    world.agree(Request::ResetKeys {
        user,
        mailbox: None,
    });
    world.kill();
    assert_eq!(world.try_all(), 0);
    world.agree(url("INBOX", 4));
    world.agree(url("a", 5));
    forever(&mut world);
    world.kill();
    assert_eq!(world.try_all(), 6);
    let name = MailboxName::new("a");
    world.agree(Request::Delete { user, name });
    world.kill();
    assert_eq!(world.try_all(), 3);
}

/// Of several who gave up their keys while a session was away none is forgotten for another.
#[test]
fn who_comes_back_hears_of_resets_by_several() {
    let mut world = World::new();
    let (ann, bob) = (world.user(0), world.user(1));
    let reset = |user, name: &str| Request::ResetKeys {
        user,
        mailbox: Some(MailboxName::new(name)),
    };
    world.agree(Request::Create {
        user: ann,
        name: MailboxName::new("a"),
        special_use: None,
    });
    world.agree(Request::SetAcl {
        user: ann,
        name: MailboxName::new("a"),
        identifier: "bob".into(),
        mode: RightsMode::Replace,
        rights: Rights::LOOKUP | Rights::READ,
    });
    let Reply::Opened(opened) = world.agree(Request::Open {
        user: ann,
        name: MailboxName::new("a"),
        read_only: false,
    }) else {
        panic!("not opened");
    };
    let mut told = |who: &[(UserId, &str)]| {
        who.iter()
            .for_each(|(user, name)| drop(world.agree(reset(*user, name))));
        let since = opened.highest_modseq;
        let mailbox = opened.mailbox;
        match world.agree(Request::Sync { mailbox, since }) {
            Reply::Synced(delta) => delta[0].changes.clone(),
            reply => panic!("{reply:?}"),
        }
    };
    let others = "Other Users/ann/a";
    assert_eq!(told(&[(ann, "a"), (ann, "a")]), [Change::KeyReset(ann)]);
    let changes = told(&[(bob, others)]);
    assert!(changes[0].may_reset_key_of(ann) && changes[0].may_reset_key_of(bob));
    assert_eq!(told(&[(ann, "a")]), changes);
}

/// Who may not, what does not exist and what was forged are refused alike.
#[test]
fn refusals_are_all_the_same() {
    let mut world = World::new();
    let user = world.user(0);
    let url = |owner: &str, name: &str| UrlToSign {
        owner: owner.into(),
        mailbox: MailboxName::new(name),
        uid_validity: None,
        rump: b"rump".as_slice().into(),
    };
    let fresh = Some(AccessKey::new([7; KEY_BYTES]));
    world.agree(Request::SignUrls {
        user,
        urls: vec![url("ann", "INBOX")],
        fresh,
    });
    let token = world.signed[0].token;
    // Also by the key that stands in where there is none.
    let stand_in = AccessKey::new([0; KEY_BYTES]).token(b"rump");
    for (owner, name, access, token) in [
        ("ann", "INBOX", UrlAccess::User("bob".into()), token),
        ("ann", "INBOX", UrlAccess::Anonymous, stand_in),
        ("ann", "none", UrlAccess::Anonymous, token),
        ("ann", "none", UrlAccess::Anonymous, stand_in),
        ("nobody", "INBOX", UrlAccess::Anonymous, stand_in),
        ("bob", "INBOX", UrlAccess::Anonymous, token),
        ("bob", "INBOX", UrlAccess::Anonymous, stand_in),
    ] {
        let reply = world.agree(Request::OpenUrl {
            user,
            url: Box::new(SignedUrl {
                url: url(owner, name),
                access,
                expires_s: None,
                token,
            }),
            submits: false,
        });
        let is_it = matches!(reply, Reply::Refused(Refusal::NoMessage));
        assert!(is_it, "{owner} {name}: {reply:?}");
    }
}
