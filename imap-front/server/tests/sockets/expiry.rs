//! Messages that are old go, as if a client had removed them.

use std::fs;

use admin::Base;
use clap::Parser;
use mail::{Body, Flags, MailboxName, Request, Uid};
use server::arguments::imexpire::Arguments;
use server::tools::expire;
use store::put::{Expiring, Put};
use store::{Options, Store};

use crate::backups::{ask, user};
use crate::site::Site;

/// A mailbox that was renamed meanwhile is not the one that the rule is for.
#[test]
fn what_has_another_name_by_now_stays() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path(), Options::default(), Box::new(|_| {})).unwrap();
    let user = user(&store, "fred");
    let [trash, kept] = ["Trash", "Kept"].map(MailboxName::new);
    let special_use = None;
    let create = |name: &MailboxName| Request::Create {
        user,
        name: name.clone(),
        special_use,
    };
    ask(&store, create(&trash));
    for number in 0..300 {
        let text = format!("Subject: {number}\r\n\r\n");
        ask(
            &store,
            Request::Append {
                user,
                name: trash.clone(),
                flags: Flags::default(),
                date: None,
                body: Body::Inline(text.into()),
            },
        );
    }
    let frozen = store.freeze().unwrap();
    let names = frozen.names(user).unwrap();
    let mailbox = names.iter().find(|it| it.name == trash).unwrap();
    let mailbox = mailbox.mailbox.as_ref().unwrap();
    let expire = |name: &MailboxName, uids: std::ops::RangeInclusive<u32>| {
        let (sender, done) = std::sync::mpsc::channel();
        let put = Put::Expire(Box::new(Expiring {
            mailbox: mailbox.id,
            user,
            name: name.clone(),
            uids: uids.map(Uid).collect(),
            unchanged_since: mailbox.modseq,
        }));
        let told = Box::new(move |outcome| drop(sender.send(outcome)));
        assert!(store.put(put, told).is_ok());
        done.recv().unwrap()
    };
    let count = || {
        let there = store.freeze().unwrap().mailbox(mailbox.id).unwrap();
        there.unwrap().messages
    };
    assert!(expire(&kept, 1..=10).is_err());
    assert_eq!(count(), 300);
    assert!(expire(&trash, 1..=200).is_ok());
    assert_eq!(count(), 100);
    let (from, to) = (trash.clone(), kept.clone());
    ask(&store, Request::Rename { user, from, to });
    ask(&store, create(&trash));
    assert!(expire(&trash, 201..=300).is_err(), "another has the name");
    assert_eq!(count(), 100);
    store.close();
}

#[test]
fn what_is_old_goes_and_sessions_are_told() {
    let site = Site::new("");
    let server = site.start();
    let mut fred = server.select("fred");
    fred.ask("a CREATE Trash");
    for (number, flags) in ["", r"\Flagged", r"\Seen"].into_iter().enumerate() {
        for mailbox in ["Trash", "INBOX"] {
            let text = format!("Subject: {number}\r\n\r\nx\r\n");
            let length = text.len();
            fred.say(&format!(
                "b APPEND {mailbox} ({flags}) \"01-Jan-2020 00:00:00 +0000\" {{{length}}}\r\n"
            ));
            fred.line();
            fred.say(&format!("{text}\r\n"));
            fred.until("b");
        }
    }
    fred.ask("c SELECT Trash");
    let base = Base::new(site.folder.path());
    let run = |words: &[&str]| {
        let words = ["imexpire", "--json"].iter().chain(words);
        let arguments = Arguments::try_parse_from(words).unwrap();
        let mut out = vec![];
        let code = expire::run(&base, &arguments, &mut out).map_err(|error| error.to_string())?;
        let last = String::from_utf8(out)
            .unwrap()
            .lines()
            .last()
            .unwrap()
            .to_owned();
        let last: serde_json::Value = serde_json::from_str(&last).unwrap();
        Ok::<_, String>((code, last["messages"].as_u64().unwrap()))
    };
    assert!(
        run(&[]).unwrap_err().contains("config/expire"),
        "there are no rules"
    );
    let rules = base.users().with_file_name("expire");
    fs::write(&rules, "# old\nTrash older=30\n").unwrap();
    assert_eq!(run(&["-u", "mary"]), Ok((0, 0)));
    // Where it is known that they have just come they are not old.
    let known = server.greeting().contains("SAVEDATE")
        || fred.ask("d CAPABILITY").concat().contains("SAVEDATE");
    let expected = if known { 0 } else { 2 };
    assert_eq!(run(&["-n"]), Ok((0, expected)));
    fs::write(
        &rules,
        "Trash larger=1 flag=\\Seen\nTrash larger=1 flag=\\Flagged\n",
    )
    .unwrap();
    assert_eq!(run(&[]), Ok((0, 1)), "what is flagged stays");
    let told = fred.ask("e NOOP").concat();
    assert!(told.contains("* 3 EXPUNGE"), "{told}");
    fs::write(&rules, "Trash larger=1 flagged-too\n").unwrap();
    assert_eq!(run(&[]), Ok((0, 2)));
    let figures = fred.ask("f STATUS INBOX (MESSAGES)").concat();
    assert!(figures.contains("MESSAGES 3"), "{figures}");
    assert!(
        site.log()
            .contains("event=admin result=expire user=\"fred\""),
        "{}",
        site.log()
    );
}
