//! Tools that read the store as a whole, or fill it: `imsbackup`, `imsrestore`, `imsimport`,
//! `imexpire`, `imquotacheck`. They ask the running server, over `run/control`; if none runs they
//! open the store, or have it opened by the service user, and ask in the same way.

pub mod backup;
pub mod expire;
pub mod import;
pub mod keeper;
pub mod quotacheck;
mod report;
pub mod restore;

use std::error::Error;
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread::JoinHandle;

use admin::service_user::ServiceUser;
use admin::tools::ask::{AskError, Asker, Part};
use admin::{Base, Config, Users};
use archive::backup::record::Record;
use bytes::{Buf, Bytes};
use serde_json::Value;

use crate::admin_socket::{Keeper, serve_alone};
use keeper::KeeperProcess;

/// Who is asked.
pub struct Connection {
    asker: Option<Asker>,
    alone: Option<Alone>,
}

/// The store without a server; it is closed with the last connection.
enum Alone {
    /// This program has opened it, and a thread serves the connection.
    Here(Arc<Keeper>, JoinHandle<io::Result<()>>),
    /// Another process has: the service user's.
    There(Arc<KeeperProcess>),
}

impl Connection {
    /// Connects to the running server of a base directory; opens the store if there is none.
    ///
    /// # Errors
    /// If neither can be done.
    pub fn open(base: &Base) -> Result<Self, Box<dyn Error>> {
        match Asker::of(base) {
            Ok(asker) => Ok(Self {
                asker: Some(asker),
                alone: None,
            }),
            Err(AskError::NoServer(_)) => Self::open_store(base),
            Err(error) => Err(error.into()),
        }
    }

    fn open_store(base: &Base) -> Result<Self, Box<dyn Error>> {
        let config = Config::load(base)?;
        match ServiceUser::of(&config)? {
            Some(_) => Self::to(Arc::new(KeeperProcess::start()?)),
            None => Self::served(Arc::new(keeper::open(base, &config)?)),
        }
    }

    /// A connection to a store that this program has opened.
    fn served(keeper: Arc<Keeper>) -> Result<Self, Box<dyn Error>> {
        let (ours, theirs) = UnixStream::pair()?;
        let own = keeper.clone();
        let thread = std::thread::Builder::new()
            .name("admin".into())
            .spawn(move || serve_alone(theirs, &own))?;
        Ok(Self {
            asker: Some(Asker::on(ours)?),
            alone: Some(Alone::Here(keeper, thread)),
        })
    }

    /// A connection to a store that another process has opened.
    fn to(process: Arc<KeeperProcess>) -> Result<Self, Box<dyn Error>> {
        Ok(Self {
            asker: Some(Asker::on(process.connect()?)?),
            alone: Some(Alone::There(process)),
        })
    }

    /// Whether no server runs: the store is open for this tool alone.
    pub fn is_alone(&self) -> bool {
        self.alone.is_some()
    }

    /// Another connection to whom this one asks.
    ///
    /// # Errors
    /// If there can be none.
    pub fn another(&self, base: &Base) -> Result<Self, Box<dyn Error>> {
        match &self.alone {
            Some(Alone::Here(keeper, _)) => Self::served(keeper.clone()),
            Some(Alone::There(process)) => Self::to(process.clone()),
            None => Ok(Self {
                asker: Some(Asker::of(base)?),
                alone: None,
            }),
        }
    }

    /// Asks, and calls `each` with every line of the answer, and every record.
    ///
    /// # Errors
    /// What is refused, or if the connection breaks, or what `each` gives.
    pub fn ask(
        &mut self,
        question: &Value,
        bytes: &[u8],
        mut each: impl FnMut(Told<'_>) -> io::Result<()>,
    ) -> Result<u64, AskError> {
        let asker = self
            .asker
            .as_mut()
            .expect("it is there until it is dropped");
        asker.ask_for_bytes(question, bytes, |part| match part {
            Part::Line(line) => each(Told::Line(line)),
            Part::Bytes(bytes) => {
                let mut rest = Bytes::copy_from_slice(bytes);
                while !rest.is_empty() {
                    each(Told::Record(next_record(&mut rest)?))?;
                }
                Ok(())
            }
        })
    }

    /// Asks for one line.
    ///
    /// # Errors
    /// As [`Connection::ask`].
    pub fn ask_line(&mut self, question: &Value, bytes: &[u8]) -> Result<Value, AskError> {
        let mut found = Value::Null;
        self.ask(question, bytes, |told| {
            if let Told::Line(line) = told {
                found = line.clone();
            }
            Ok(())
        })?;
        Ok(found)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Without a connection there are no more questions.
        drop(self.asker.take());
        if let Some(Alone::Here(keeper, thread)) = self.alone.take() {
            let _ = thread.join();
            drop(keeper);
        }
    }
}

/// A part of an answer.
pub enum Told<'a> {
    /// A line.
    Line(&'a Value),
    /// A record.
    Record(Record),
}

/// The first of some records.
fn next_record(rest: &mut Bytes) -> io::Result<Record> {
    let wrong = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
    let short = || wrong("the server sent a part of a record".into());
    if rest.len() < 5 {
        return Err(short());
    }
    let length = rest.get_u32_le() as usize;
    let kind = rest.get_u8();
    if rest.len() < length {
        return Err(short());
    }
    let payload = rest.split_to(length);
    Record::decode(kind, payload).map_err(|error| wrong(format!("the server's record: {error}")))
}

/// A record as it is sent.
fn append_record(record: &Record, to: &mut Vec<u8>) {
    let payload = record.encode();
    to.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    to.push(record.kind());
    to.extend_from_slice(&payload);
}

/// The account of who logs in with a name: mail that is put there can be read.
fn known_account(base: &Base, name: &str) -> Result<String, Box<dyn Error>> {
    let found = Users::open(base.users())?.find(name)?;
    match found {
        Some(user) => Ok(user.account.into()),
        None => Err(format!("there is no user {name:?}: msguser add makes one").into()),
    }
}

/// The account of who logs in with a name; or the name itself, if it is one that the store may have
/// of somebody who is gone.
fn account(base: &Base, name: &str) -> Result<String, Box<dyn Error>> {
    meant(base, name).map(|(account, _)| account)
}

/// The same, and whether somebody logs in with that name.
fn meant(base: &Base, name: &str) -> Result<(String, bool), Box<dyn Error>> {
    let users = Users::open(base.users())?;
    Ok(match users.find(name)? {
        Some(user) => (user.account.into(), true),
        None => (name.to_owned(), false),
    })
}
