//! A store in a folder of its own, asked and answered in turn.
#![allow(dead_code, reason = "each test uses a part of it")]

pub mod figures;
pub mod harm;
pub mod sorting;
pub mod step;

use std::path::Path;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use mail::reply::Opened;
use mail::request::Want;
use mail::{Body, Change, Event, Flags, MailboxName, News, Reply, Request, Uid, UserId};
use store::{OpenError, Options, Recovery, Store};

/// A store and what it announced.
pub struct Bench {
    pub store: Store,
    pub recovery: Recovery,
    news: Arc<Mutex<Vec<News>>>,
}

/// An answer that is under way.
pub struct Pending(mpsc::Receiver<Reply>);

impl Pending {
    pub fn wait(self) -> Reply {
        self.0.recv().expect("the writer answers")
    }
}

impl Bench {
    pub fn open(folder: &Path, options: Options) -> Self {
        Self::try_open(folder, options).expect("the store opens")
    }

    pub fn try_open(folder: &Path, options: Options) -> Result<Self, OpenError> {
        let news = Arc::new(Mutex::new(Vec::new()));
        let heard = news.clone();
        let announcer = move |news: Vec<News>| heard.lock().expect("no panic").extend(news);
        let (store, recovery) = Store::open(folder, options, Box::new(announcer))?;
        Ok(Self {
            store,
            recovery,
            news,
        })
    }

    pub fn submit(&self, request: Request) -> Pending {
        let (sender, receiver) = mpsc::channel();
        let completion = Box::new(move |reply| sender.send(reply).expect("the test waits"));
        assert!(
            self.store.write(request, completion).is_ok(),
            "the queue has room"
        );
        Pending(receiver)
    }

    pub fn ask(&self, request: Request) -> Reply {
        if !request.is_write()
            && let Some(reply) = self.store.read(&request)
        {
            return reply;
        }
        self.submit(request).wait()
    }

    pub fn ensure_user(&self, name: &str) -> UserId {
        let (sender, receiver) = mpsc::channel();
        let completion = Box::new(move |reply| sender.send(reply).expect("the test waits"));
        assert!(
            self.store.ensure_user(name, completion).is_ok(),
            "the queue has room"
        );
        match receiver.recv().expect("the writer answers") {
            Reply::Authenticated(user) => user,
            reply => panic!("{reply:?}"),
        }
    }

    /// What was announced since this was last asked.
    pub fn news(&self) -> Vec<News> {
        std::mem::take(&mut self.news.lock().expect("no panic"))
    }

    /// The events of mailboxes among it.
    pub fn announced(&self) -> Vec<Arc<Event>> {
        let news = self.news().into_iter();
        news.filter_map(|it| it.event().cloned()).collect()
    }
}

/// An APPEND to INBOX.
pub fn append(user: UserId, body: impl Into<Bytes>) -> Request {
    Request::Append {
        user,
        name: MailboxName::inbox(),
        flags: Flags::default(),
        date: None,
        body: Body::Inline(body.into()),
    }
}

/// A FETCH of all that an open mailbox holds, bodies included.
pub fn fetch_all(opened: &Opened) -> Request {
    Request::Fetch {
        mailbox: opened.mailbox,
        uids: opened.uids.to_vec(),
        want: Want {
            bytes: true,
            ..Want::default()
        },
        budget_bytes: usize::MAX,
    }
}

/// STATUS of INBOX.
pub fn status(bench: &Bench, user: UserId) -> mail::reply::Status {
    let request = Request::Status {
        user,
        name: MailboxName::inbox(),
        deleted_bytes: true,
    };
    match bench.ask(request) {
        Reply::Status(status) => status,
        reply => panic!("{reply:?}"),
    }
}

/// A body that says which it is, `len` bytes or a little more.
pub fn body(number: u64, len: usize) -> Bytes {
    let mut text = format!("Subject: number {number}\r\n\r\n");
    let mut state = number | 1;
    while text.len() < len {
        // Letters that don't compress to nothing.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        text.push(char::from(b'a' + (state >> 59) as u8 % 26));
    }
    text.into()
}

/// Takes an observer through an event; the numbers in it must be theirs.
pub fn follow(view: &mut Vec<Uid>, event: &Event) {
    for change in &event.changes {
        match change {
            Change::Acl(_) | Change::Keywords(_) | Change::KeyReset(_) => {}
            Change::Expunged { uid, number } => {
                assert_eq!(view.remove(*number as usize - 1), *uid, "{event:?}");
            }
            Change::New { uid, exists, .. } => {
                view.push(*uid);
                assert_eq!(view.len() as u32, *exists, "{event:?}");
            }
            Change::NewRun {
                first,
                last,
                exists,
            } => {
                view.extend((first.0..=last.0).map(Uid));
                assert_eq!(view.len() as u32, *exists, "{event:?}");
            }
            Change::Flags { uid, number, .. } => {
                assert_eq!(view[*number as usize - 1], *uid, "{event:?}");
            }
        }
    }
}

/// What is in a folder, as a kill would leave it.
pub fn copy_all(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("readable") {
        let entry = entry.expect("readable");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("known").is_dir() {
            std::fs::create_dir(&target).expect("made");
            copy_all(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("copied");
        }
    }
}
