//! What subscribers of the event notification service hear of what happens in the store.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use ens::client::{Address, ClientEvent, Connection, Options};
use ens::event_ref::EventRef;

use crate::site::{Server, Site};

/// Nothing takes as long.
const PATIENCE: Duration = Duration::from_secs(30);
/// Long enough for what should not come to come.
const QUIET: Duration = Duration::from_millis(200);

/// A subscriber to everything.
struct Subscriber {
    _connection: Connection,
    news: Receiver<ClientEvent>,
}

/// An event, taken apart.
#[derive(Debug)]
struct Heard {
    key: String,
    params: BTreeMap<String, String>,
    payload: Vec<u8>,
}

impl Subscriber {
    fn of(server: &Server, pattern: &str) -> Self {
        let (sender, news) = channel();
        let on_news = move |_: &Connection, one| drop(sender.send(one));
        let address = Address::new("127.0.0.1", server.ens.port());
        let connection = Connection::open(address, Options::default(), on_news).unwrap();
        connection.subscribe(pattern).unwrap();
        let subscriber = Self {
            _connection: connection,
            news,
        };
        while !matches!(
            subscriber.news.recv_timeout(PATIENCE),
            Ok(ClientEvent::Subscribed(_))
        ) {}
        subscriber
    }

    fn next(&self) -> Heard {
        loop {
            if let ClientEvent::Notified { event, payload, .. } =
                self.news.recv_timeout(PATIENCE).unwrap()
            {
                let event = EventRef::parse(&event).unwrap();
                let params = event.params();
                return Heard {
                    key: event.key().into_owned(),
                    params: params
                        .map(|(name, value)| (name.into_owned(), value.into_owned()))
                        .collect(),
                    payload: payload.to_vec(),
                };
            }
        }
    }

    /// The next event of a type; others before it are passed over.
    fn next_of(&self, kind: &str) -> Heard {
        loop {
            let heard = self.next();
            if heard.get("evtType") == kind {
                return heard;
            }
        }
    }

    fn hears_nothing(&self) {
        let heard = self.news.recv_timeout(QUIET);
        assert_eq!(heard, Err(RecvTimeoutError::Timeout));
    }
}

impl Heard {
    fn get(&self, name: &str) -> &str {
        self.params.get(name).map_or("", String::as_str)
    }

    fn has(&self, expected: &[(&str, &str)]) {
        for (name, value) in expected {
            assert_eq!(self.get(name), *value, "{name} in {self:?}");
        }
    }

    fn has_all(&self, names: &[&str]) {
        for name in names {
            assert!(self.params.contains_key(*name), "{name} in {self:?}");
        }
    }
}

const ALWAYS: [&str; 6] = [
    "evtType",
    "timestamp",
    "hostname",
    "process",
    "pid",
    "mailboxName",
];

#[test]
fn each_type_of_event_is_told_with_its_parameters() {
    let site = Site::new(
        "local.store.notifyplugin.maxheadersize = 9\nlocal.store.notifyplugin.maxbodysize = 3\n\
         local.store.notifyplugin.msgflags = 1\nlocal.store.notifyplugin.msgflags.enable = 1\n",
    );
    let server = site.start();
    let subscriber = Subscriber::of(&server, "enp://127.0.0.1/store/*");
    server.deliver(&["fred"], "Subject: one\r\n\r\nHello");
    let new = subscriber.next();
    assert_eq!(new.key, "enp://127.0.0.1/store/fred");
    new.has_all(&ALWAYS);
    new.has_all(&["uidValidity", "size", "hdrLen"]);
    let expected = [("mailboxName", "fred"), ("numMsgs", "1"), ("imapUid", "1")];
    new.has(&[("evtType", "NewMsg"), ("process", "imapd")]);
    new.has(&expected);
    // Return-Path and Received stand before what was sent.
    assert_eq!(new.payload, b"Return-PaHel");

    let mut talk = server.select("fred");
    let login = subscriber.next();
    login.has_all(&ALWAYS);
    login.has(&[
        ("evtType", "Login"),
        ("userid", "fred"),
        ("client", "127.0.0.1"),
    ]);
    talk.ask("a CREATE Work");
    talk.ask("b COPY 1 Work");
    let update = subscriber.next();
    assert_eq!(update.key, "enp://127.0.0.1/store/fred/Work");
    update.has(&[
        ("evtType", "UpdateMsg"),
        ("mailboxName", "fred/Work"),
        ("imapUid", "1"),
    ]);
    talk.ask("c STORE 1 +FLAGS (\\Seen)");
    let read = subscriber.next_of("ReadMsg");
    read.has(&[("numSeen", "1"), ("numMsgs", "1"), ("userid", "fred")]);
    read.has_all(&["owner", "uidValidity"]);
    let flags = subscriber.next_of("MsgFlags");
    flags.has(&[
        ("oldflags", "     "),
        ("newflags", "   S "),
        ("imapUid", "1"),
    ]);
    talk.ask("d STORE 1 +FLAGS (\\Deleted)");
    subscriber
        .next_of("TrashMsg")
        .has(&[("numDel", "1"), ("numSeenDeleted", "1")]);
    talk.ask("e EXPUNGE");
    let deleted = subscriber.next_of("DeleteMsg");
    deleted.has(&[("imapUid", "1"), ("lastUid", "1"), ("numMsgs", "0")]);
    talk.ask("f LOGOUT");
    subscriber
        .next_of("Logout")
        .has(&[("userid", "fred"), ("mailboxName", "fred")]);
    subscriber.hears_nothing();
}

#[test]
fn a_user_may_be_over_quota_and_under_it_again() {
    let site = Site::new("store.defaultmessagequota = 1\n");
    let server = site.start();
    let subscriber = Subscriber::of(&server, "enp://127.0.0.1/store/fred");
    server.deliver(&["fred"], "one");
    subscriber.next_of("NewMsg");
    assert!(!server.deliver(&["fred"], "two")[0].starts_with("250"));
    let over = subscriber.next_of("OverQuota");
    over.has(&[
        ("msgquota", "1"),
        ("numMsgs", "1"),
        ("diskquota", "-1"),
        ("userid", "fred"),
    ]);
    over.has_all(&["diskquotaused", "quotaRoot"]);
    let mut talk = server.select("fred");
    talk.ask("a STORE 1 +FLAGS (\\Deleted)");
    talk.ask("b EXPUNGE");
    subscriber
        .next_of("UnderQuota")
        .has(&[("msgquota", "1"), ("numMsgs", "0")]);
}

#[test]
fn later_releases_events_stand_behind_their_switches() {
    let switches: String = ["changeflag", "copymsg", "expungemsg", "createmailbox"]
        .iter()
        .chain(&["deletemailbox", "renamemailbox"])
        .map(|name| format!("local.store.notifyplugin.{name}.enable = 1\n"))
        .collect();
    let site = Site::new(&format!(
        "{switches}local.store.notifyplugin.loguser.enable = 0\n"
    ));
    let server = site.start();
    let subscriber = Subscriber::of(&server, "enp://127.0.0.1/store/*");
    let mut talk = server.select("fred");
    talk.ask("a CREATE Work");
    let created = subscriber.next();
    created.has(&[("evtType", "CreateMailbox"), ("mailboxName", "fred/Work")]);
    server.deliver(&["fred"], "Subject: x\r\n\r\ny");
    subscriber.next_of("NewMsg");
    talk.ask("b COPY 1 Work");
    subscriber
        .next_of("Copy")
        .has(&[("mailboxName", "fred/Work")]);
    talk.ask("c STORE 1 +FLAGS (\\Flagged)");
    subscriber.next_of("ChangeFlag").has(&[("value", "1")]);
    talk.ask("d STORE 1 +FLAGS (\\Deleted)");
    subscriber.next_of("DeleteMsg");
    talk.ask("e EXPUNGE");
    subscriber.next_of("ExpungeMsg").has(&[("imapUid", "1")]);
    talk.ask("f RENAME Work Play");
    let renamed = subscriber.next_of("RenameMailbox");
    renamed.has(&[
        ("mailboxName", "fred/Play"),
        ("oldMailboxName", "fred/Work"),
    ]);
    talk.ask("m CREATE a/b/c");
    for made in ["fred/a", "fred/a/b", "fred/a/b/c"] {
        subscriber
            .next_of("CreateMailbox")
            .has(&[("mailboxName", made)]);
    }
    talk.ask("n RENAME a z");
    for [before, now] in [
        ["fred/a", "fred/z"],
        ["fred/a/b", "fred/z/b"],
        ["fred/a/b/c", "fred/z/b/c"],
    ] {
        subscriber
            .next_of("RenameMailbox")
            .has(&[("mailboxName", now), ("oldMailboxName", before)]);
    }
    talk.ask("o RENAME INBOX old");
    subscriber
        .next_of("CreateMailbox")
        .has(&[("mailboxName", "fred/old")]);
    talk.ask("g DELETE Play");
    subscriber
        .next_of("DeleteMailbox")
        .has(&[("mailboxName", "fred/Play")]);
}

#[test]
fn inbox_alone_one_key_and_the_standards_names() {
    let site = Site::new(
        "local.store.notifyplugin.noneinbox.enable = 0\n\
         local.store.notifyplugin.enseventkey = enp://127.0.0.1/store\n\
         local.store.notifyplugin.vocabulary = rfc5423\n",
    );
    let server = site.start();
    let subscriber = Subscriber::of(&server, "enp://127.0.0.1/store");
    let mut talk = server.select("fred");
    subscriber.next_of("Login");
    talk.ask("a CREATE Work");
    server.deliver(&["fred+Work"], "Subject: x\r\n\r\ny");
    server.deliver(&["fred"], "Subject: x\r\n\r\ny");
    let new = subscriber.next();
    new.has(&[("evtType", "MessageNew"), ("mailboxName", "fred")]);
    talk.ask("b STORE 1 +FLAGS (\\Seen)");
    subscriber.next_of("MessageRead");
}

/// The example of a plug-in that writes to the log, compiled into a site's folder.
fn log_plugin(site: &Site) -> String {
    let ibiff = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../engine/ibiff");
    let library = site.folder.path().join("log_plugin");
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-I"])
        .arg(ibiff.join("include"))
        .arg("-o")
        .arg(library.with_extension("so"))
        .arg(ibiff.join("examples/log_plugin.c"));
    assert!(cc.status().unwrap().success());
    library.to_str().unwrap().to_owned()
}

#[test]
fn a_plug_in_of_ones_own_has_options_of_its_own_and_is_told_what_they_enable() {
    let mut site = Site::bare("logfile.imap.file = log/imap\n");
    let library = log_plugin(&site);
    site.options += &format!(
        "local.store.notifyplugin = {library}$mine\n\
         local.store.notifyplugin.mine.prefix = heard-\n\
         local.store.notifyplugin.mine.newmsg.enable = 0\n"
    );
    let server = site.start();
    let mut talk = server.select("fred");
    server.deliver(&["fred"], "Subject: x\r\n\r\ny");
    talk.ask("a STORE 1 +FLAGS (\\Seen)");
    talk.ask("b LOGOUT");
    let begun = Instant::now();
    while !site.log().contains("heard-Logout") {
        assert!(begun.elapsed() < PATIENCE, "{}", site.log());
        std::thread::sleep(Duration::from_millis(10));
    }
    let log = site.log();
    assert!(log.contains("heard-ReadMsg in fred"), "{log}");
    assert!(!log.contains("heard-NewMsg"), "{log}");
}

#[test]
fn an_event_that_can_not_be_published_is_lost_with_its_reason() {
    let long = "x".repeat(9000);
    let site = Site::new(&format!(
        "logfile.imap.file = log/imap\n\
         local.store.notifyplugin.enseventkey = enp://127.0.0.1/store/{long}\n"
    ));
    let server = site.start();
    for _ in 0..5 {
        server.deliver(&["fred"], "Subject: x\r\n\r\ny");
    }
    // It is lost for good, so nothing is gained by trying again: each has its line at once.
    let begun = Instant::now();
    let lines = loop {
        let log = site.log();
        let lines = log
            .lines()
            .filter(|line| line.contains("was not published"));
        let lines: Vec<String> = lines.map(Into::into).collect();
        if lines.len() >= 5 {
            break lines;
        }
        assert!(begun.elapsed() < PATIENCE, "{log}");
        std::thread::sleep(Duration::from_millis(10));
    };
    for line in lines {
        assert!(line.contains("at most 8192 bytes"), "{line}");
        // No line shows all of it.
        assert!(line.len() < 600, "{line}");
    }
}
