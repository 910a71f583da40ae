//! Who is let in where is noted, within limits, and follows the mailboxes.

use mail::reply::AclAnswer;
use mail::request::AclQuestion;
use mail::{Grantee, MailboxName, Refusal, Reply, Request, Rights, RightsMode, UserId};

use super::slice_tests::World;
use super::{apply, ensure_user, keys, read};
use crate::kv::{Kv, Space};

fn named(name: &str) -> MailboxName {
    MailboxName::new(name)
}

fn set(user: UserId, name: &str, who: &str, rights: &str) -> Request {
    Request::SetAcl {
        user,
        name: named(name),
        identifier: who.into(),
        mode: RightsMode::Replace,
        rights: Rights::parse(rights.as_bytes()).expect("rights"),
    }
}

fn create(user: UserId, name: &str) -> Request {
    let name = named(name);
    Request::Create {
        user,
        name,
        special_use: None,
    }
}

fn world() -> (World, UserId) {
    let mut world = World::new(0);
    world.rules.options.namespaces = mail::Namespaces::usual("");
    let (bob, _) = world.commit(|txn, rules| ensure_user(txn, rules, "bob"));
    (world, bob)
}

fn done(world: &mut World, request: Request) {
    let (reply, ..) = world.carry_out(request);
    assert!(!matches!(reply, Reply::Refused(_)), "{reply:?}");
}

fn refusal(world: &mut World, request: Request) -> Refusal {
    match world.carry_out(request).0 {
        Reply::Refused(refusal) => refusal,
        reply => panic!("{reply:?}"),
    }
}

/// All rows of lists and of what is noted of them.
fn rows(world: &World) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut rows = Vec::new();
    let counted = &world.counted;
    counted
        .scan(Space::Acls, &[], &[0xff; 9], false, &mut |key, row| {
            rows.push((key.to_vec(), row.to_vec()));
            std::ops::ControlFlow::Continue(())
        })
        .expect("memory");
    rows
}

#[test]
fn what_is_noted_follows_the_mailboxes() {
    let (mut world, bob) = world();
    let ann = world.user;
    done(&mut world, create(ann, "a/b"));
    done(&mut world, set(ann, "a", "bob", "lrk"));
    done(&mut world, set(ann, "a", "anyone", "l"));
    // Inherited, by somebody else's CREATE.
    done(&mut world, create(bob, "Other Users/ann/a/c"));
    let count = |world: &World, grantee, owner| {
        let row = world
            .counted
            .get(Space::Acls, &keys::grant_count(grantee, owner));
        row.expect("memory").map(|row| row.to_vec())
    };
    let two = Some(keys::number(2));
    assert_eq!(count(&world, Grantee::User(bob), ann), two);
    assert_eq!(count(&world, Grantee::Anyone, ann), two);
    let (from, to) = (named("a"), named("z"));
    let rename = Request::Rename {
        user: ann,
        from,
        to,
    };
    done(&mut world, rename);
    let mine = Request::Acl {
        user: bob,
        name: named("Other Users/ann/z/c"),
        question: AclQuestion::Mine,
    };
    let reply = read(&world.counted, &world.rules, &mine).expect("memory");
    let Some(Reply::Acl(AclAnswer::Mine(rights))) = reply else {
        panic!("{reply:?}");
    };
    assert_eq!(rights.to_string(), "lrkc");
    for name in ["z/c", "z/b", "z"] {
        let name = named(name);
        done(&mut world, Request::Delete { user: ann, name });
    }
    assert_eq!(rows(&world), []);
}

#[test]
fn a_list_is_bounded_and_so_is_what_one_is_given() {
    let (mut world, _) = world();
    let ann = world.user;
    world.rules.options.acl_entries_max = 2;
    world.rules.options.grants_max = 20;
    for name in ["a", "b", "c"] {
        done(&mut world, create(ann, name));
    }
    done(&mut world, set(ann, "a", "bob", "l"));
    done(&mut world, set(ann, "a", "-bob", "r"));
    let limit = refusal(&mut world, set(ann, "a", "anyone", "l"));
    assert!(matches!(limit, Refusal::Limit(_)), "{limit:?}");
    done(&mut world, set(ann, "b", "bob", "l"));
    // A tenth of what LIST looks at may come from one owner.
    let before = rows(&world);
    let limit = refusal(&mut world, set(ann, "c", "bob", "l"));
    assert!(matches!(limit, Refusal::Limit(_)), "{limit:?}");
    assert_eq!(rows(&world), before, "nothing of it stays");
    // Nobody is refused a mailbox for that, nor others what one owner has no more of.
    done(&mut world, create(ann, "a/x"));
    let (eve, _) = world.commit(|txn, rules| ensure_user(txn, rules, "eve"));
    done(&mut world, set(eve, "INBOX", "bob", "l"));
    for name in ["a/x", "b"] {
        done(&mut world, set(ann, name, "bob", ""));
    }
    done(&mut world, set(ann, "c", "bob", "l"));
}

#[test]
fn anyone_is_given_nothing_where_that_is_not_allowed() {
    let (mut world, _) = world();
    let ann = world.user;
    done(&mut world, set(ann, "INBOX", "anyone", "lr"));
    world.rules.options.anyone = false;
    let add = |who: &str, mode, rights: &str| Request::SetAcl {
        user: ann,
        name: MailboxName::inbox(),
        identifier: who.into(),
        mode,
        rights: Rights::parse(rights.as_bytes()).expect("rights"),
    };
    for who in ["anyone", "Anyone", "ANYONE"] {
        for mode in [RightsMode::Add, RightsMode::Replace] {
            let refused = refusal(&mut world, add(who, mode, "s"));
            assert!(matches!(refused, Refusal::Cannot(_)), "{refused:?}");
        }
    }
    done(&mut world, add("anyone", RightsMode::Remove, "r"));
    done(&mut world, add("-anyone", RightsMode::Add, "s"));
    done(&mut world, add("anyone", RightsMode::Replace, ""));
    let refused = refusal(&mut world, add("nobody", RightsMode::Add, "s"));
    assert!(matches!(refused, Refusal::Cannot(_)), "{refused:?}");
}

/// Whose list is the longest costs no more than its entries.
#[test]
fn a_slice_of_a_rename_touches_a_row_more_for_each_list() {
    let (mut world, _) = world();
    let ann = world.user;
    let names = world.rules.options.slice_messages;
    done(&mut world, create(ann, "a"));
    done(&mut world, set(ann, "a", "anyone", "l"));
    for number in 0..2 * names {
        let request = create(ann, &format!("a/{number:04}"));
        done(&mut world, request);
    }
    let (from, to) = (named("a"), named("b"));
    let (reply, commits, most) = world.carry_out(Request::Rename {
        user: ann,
        from,
        to,
    });
    assert!(matches!(reply, Reply::Done), "{reply:?}");
    assert!(
        commits > 3 && most < names * 20,
        "{commits} commits, {most} rows"
    );
    let (reply, _) = world.commit(|txn, rules| {
        let name = named("b/0000");
        apply(txn, rules, Request::Delete { user: ann, name })
    });
    assert!(reply.reply.is_some());
}

/// Who the users are: `bob` had the account `bob#1` before he was deleted and came again.
struct Known;

impl crate::Directory for Known {
    fn account(&self, name: &str) -> Option<Box<str>> {
        match name {
            "ann" | "new" => Some(name.into()),
            "bob" => Some("bob#2".into()),
            _ => None,
        }
    }

    fn name(&self, account: &str) -> Box<str> {
        account.split('#').next().unwrap_or_default().into()
    }
}

#[test]
fn who_is_gone_lends_no_name_and_can_be_taken_out() {
    let (mut world, _) = world();
    let ann = world.user;
    let (old, _) = world.commit(|txn, rules| ensure_user(txn, rules, "bob#1"));
    world.rules.options.directory = Some(std::sync::Arc::new(Known));
    let entries = |world: &World| {
        let ask = Request::Acl {
            user: ann,
            name: MailboxName::inbox(),
            question: AclQuestion::Entries,
        };
        match read(&world.counted, &world.rules, &ask).expect("memory") {
            Some(Reply::Acl(AclAnswer::Entries(entries))) => {
                let shown = entries
                    .iter()
                    .map(|(name, rights)| format!("{name} {rights}"));
                shown.skip(1).collect::<Vec<_>>().join(" ")
            }
            reply => panic!("{reply:?}"),
        }
    };
    // As it was before he was deleted.
    let (set_for, _) = world.commit(|txn, _| {
        let inbox = super::tables::named_mailbox(txn, ann, &MailboxName::inbox())?;
        let (id, mut row) = inbox.expect("made with the user");
        let mut acl = super::access::acl(txn, id, &row)?;
        let before = acl.clone();
        let rights = Rights::LOOKUP | Rights::READ;
        acl.set((Grantee::User(old), false), RightsMode::Replace, rights);
        row.acl_at = row.modseq;
        super::tables::put_mailbox(txn, id, &row);
        super::acl::put(txn, id, &MailboxName::inbox(), (&before, &acl), 9)
    });
    assert_eq!(set_for, Ok(()));
    assert_eq!(entries(&world), "bob#1 lr");
    done(&mut world, set(ann, "INBOX", "bob", "l"));
    assert_eq!(entries(&world), "bob#1 lr bob l");
    done(&mut world, set(ann, "INBOX", "bob#1", ""));
    assert_eq!(entries(&world), "bob l");
    let refused = refusal(&mut world, set(ann, "INBOX", "bob#1", "l"));
    assert!(
        matches!(refused, Refusal::Cannot(_)),
        "no entry of theirs any more"
    );
    // What lets bob#1's mailbox be seen leads to nobody, as he has no name.
    done(&mut world, set(old, "INBOX", "anyone", "lr"));
    let query = mail::list::Query {
        patterns: vec!["*".into()],
        ..Default::default()
    };
    let list = Request::List {
        user: ann,
        query: query.into(),
        after: None,
    };
    let Some(Reply::Listed(piece)) = read(&world.counted, &world.rules, &list).expect("memory")
    else {
        panic!("no listing");
    };
    assert_eq!(piece.entries.len(), 1, "{piece:?}");
    // Nobody is made known to the store for what changes nothing.
    let before = world.counted.rows.clone();
    done(&mut world, set(ann, "INBOX", "new", ""));
    let users = |rows: &crate::kv::Memory| rows.get(Space::Users, b"new").expect("memory");
    assert_eq!((users(&before), users(&world.counted.rows)), (None, None));
    done(&mut world, set(ann, "INBOX", "new", "l"));
    assert!(users(&world.counted.rows).is_some());
}

/// Others decide how much there is to look at, and not how much of it is looked at.
#[test]
fn a_listing_looks_at_so_many_lists_and_passes_over_damaged_ones() {
    let (mut world, bob) = world();
    let ann = world.user;
    for number in 0..60 {
        done(&mut world, create(ann, &format!("a{number}")));
        done(&mut world, set(ann, &format!("a{number}"), "anyone", "l"));
    }
    world.rules.options.grants_max = 20;
    let query = mail::list::Query {
        patterns: vec!["*".into()],
        ..Default::default()
    };
    let list = Request::List {
        user: bob,
        query: query.into(),
        after: None,
    };
    let listed = |world: &World| match read(&world.counted, &world.rules, &list).expect("memory") {
        Some(Reply::Listed(piece)) => piece.entries.len(),
        reply => panic!("{reply:?}"),
    };
    world.counted.read.set(0);
    // INBOX, and the two names above.
    assert_eq!(listed(&world), 3 + 20);
    assert!(
        world.counted.read.get() < 80,
        "{} rows",
        world.counted.read.get()
    );
    let inbox = super::tables::named_mailbox(&world.counted, ann, &named("a0"));
    let (id, _) = inbox.expect("memory").expect("made");
    let damage = |txn: &mut crate::kv::Transaction<'_>, _: &super::Rules| {
        txn.put(Space::Acls, &keys::acl(id), vec![9]);
        Ok(())
    };
    world.commit(damage);
    assert_eq!(listed(&world), 3 + 19);
}
