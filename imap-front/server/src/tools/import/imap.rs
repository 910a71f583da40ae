//! From another IMAP server.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use admin::Base;
use archive::elsewhere::{Message, message_id};
use archive::remote::{Fetched, Listed, Remote, What};
use mail::Uid;

use super::putting::{Done, Putting, Theirs};
use super::tls::{Reach, Stream};
use super::{Connection, ImportError, Source, User};
use crate::arguments::imsimport::{FromImap, MasterStyle};
use crate::tools::known_account;

/// Messages that are fetched at a time, and their bytes, if one alone is not larger.
const FETCHED_MAX: usize = 200;
const FETCHED_BYTES_MAX: u64 = 8 << 20;
/// Bytes of a question about what is there, about.
const ASKED_BYTES_MAX: usize = 32 << 10;
/// The longest Message-ID that is compared.
const ID_BYTES_MAX: usize = 2000;

/// The users that are meant: those of a list, or all of `config/users`.
pub(super) fn users(base: &Base, from: &FromImap) -> Result<Vec<User>, Box<dyn Error>> {
    let reach = Arc::new(Reach::new(from)?);
    let master = match (&from.master, &from.master_password) {
        (Some(name), Some(path)) => Some((name.clone(), first_line(path)?)),
        (Some(_), None) => return Err("--master-password FILE is missing".into()),
        (None, _) => None,
    };
    let login = |theirs: &str, password: Option<&str>| match (&master, password) {
        (Some((name, password)), _) => Ok(match from.master_style {
            MasterStyle::Authzid => Login {
                user: theirs.to_owned(),
                password: password.clone(),
                authority: Some(name.clone()),
            },
            MasterStyle::Star => Login {
                user: format!("{theirs}*{name}"),
                password: password.clone(),
                authority: None,
            },
        }),
        (None, Some(password)) => Ok(Login {
            user: theirs.to_owned(),
            password: password.to_owned(),
            authority: None,
        }),
        (None, None) => Err(format!("the password of {theirs} is missing")),
    };
    let mut wanted = vec![];
    match &from.list {
        Some(path) => {
            let text = fs::read_to_string(path);
            let text = text.map_err(|error| format!("{}: {error}", path.display()))?;
            for line in text
                .lines()
                .filter(|it| !it.is_empty() && !it.starts_with('#'))
            {
                let mut parts = line.splitn(3, '\t');
                let name = parts.next().unwrap_or_default();
                let theirs = parts.next().filter(|it| !it.is_empty()).unwrap_or(name);
                wanted.push((name.to_owned(), login(theirs, parts.next())?));
            }
        }
        None if master.is_some() => {
            let mut names = vec![];
            admin::users::list(&base.users(), |name, _, _| {
                names.push(name.to_owned());
                Ok(())
            })?;
            for name in names {
                let login = login(&name, None)?;
                wanted.push((name, login));
            }
        }
        None => return Err("who is meant is missing: --master NAME or --list FILE".into()),
    }
    wanted
        .into_iter()
        .map(|(name, login)| {
            Ok(User {
                account: known_account(base, &name)?,
                name,
                source: Box::new(Imap {
                    reach: reach.clone(),
                    login,
                }),
            })
        })
        .collect()
}

fn first_line(path: &Path) -> Result<String, Box<dyn Error>> {
    let text = fs::read_to_string(path);
    let text = text.map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// As whom to log in there.
struct Login {
    user: String,
    password: String,
    authority: Option<String>,
}

struct Imap {
    reach: Arc<Reach>,
    login: Login,
}

impl Source for Imap {
    fn import(
        &self,
        account: &str,
        connection: &mut Connection,
        told: &mut dyn FnMut(Done),
    ) -> Result<(), ImportError> {
        let mut remote = self.reach.connect()?;
        let Login {
            user,
            password,
            authority,
        } = &self.login;
        remote.log_in(user, password, authority.as_deref())?;
        let namespaces = remote.namespaces()?;
        let subscribed = remote.subscribed()?;
        for listed in remote.list()? {
            let Some(name) = namespaces.own(&listed) else {
                continue;
            };
            if !listed.selectable {
                continue;
            }
            let is_subscribed = subscribed.iter().any(|it| it.raw == listed.raw);
            let done = mailbox(
                &mut remote,
                account,
                connection,
                (&listed, name),
                is_subscribed,
            )?;
            told(done);
        }
        remote.log_out();
        Ok(())
    }
}

fn mailbox(
    remote: &mut Remote<Stream>,
    account: &str,
    connection: &mut Connection,
    (listed, name): (&Listed, String),
    is_subscribed: bool,
) -> Result<Done, ImportError> {
    let opened = remote.examine(&listed.raw)?;
    let theirs = Theirs {
        name,
        uid_validity: opened.uid_validity,
        uid_next: opened.uid_next.unwrap_or(Uid(1)),
        keywords: vec![],
    };
    let has_uids = opened.uid_validity.is_some();
    let mut putting = Putting::begin(connection, account, &theirs)?;
    let what = if putting.is_new {
        What::Sizes
    } else {
        What::Ids
    };
    let mut there = vec![];
    if opened.exists > 0 {
        remote.fetch("1:*", what, |fetched| {
            let id = fetched.bytes.as_deref().and_then(message_id);
            there.push((
                fetched.uid,
                fetched.size,
                id.filter(|it| it.len() <= ID_BYTES_MAX),
            ));
            Ok(())
        })?;
    }
    there.sort_unstable_by_key(|(uid, ..)| *uid);
    there.dedup_by_key(|(uid, ..)| *uid);
    if !putting.is_new {
        let missing = missing(&mut putting, &there)?;
        there.retain(|(uid, ..)| missing.binary_search(uid).is_ok());
    }
    let mut rest = &there[..];
    while !rest.is_empty() {
        let (some, after) = rest.split_at(piece(rest));
        rest = after;
        let mut found: Vec<Fetched> = vec![];
        remote.fetch(&set(some), What::Messages, |fetched| {
            // One that only tells of new flags has no bytes.
            if fetched.bytes.is_some() {
                found.push(fetched);
            }
            Ok(())
        })?;
        found.sort_by_key(|it| it.uid);
        for fetched in found {
            putting.message(Message {
                uid: Some(fetched.uid).filter(|_| has_uids),
                flags: fetched.flags,
                date: fetched.date,
                bytes: fetched.bytes.unwrap_or_default(),
            })?;
        }
    }
    putting.finish(is_subscribed, listed.special_use.as_deref())
}

/// Which messages are not there yet; ascending.
fn missing(
    putting: &mut Putting<'_>,
    there: &[(Uid, u64, Option<String>)],
) -> Result<Vec<Uid>, ImportError> {
    let mut found = vec![];
    let mut from = 0;
    let mut bytes = 0;
    for (at, (.., id)) in there.iter().enumerate() {
        bytes += 40 + id.as_ref().map_or(0, String::len);
        if bytes > ASKED_BYTES_MAX {
            found.extend(putting.missing(&there[from..=at])?);
            (from, bytes) = (at + 1, 0);
        }
    }
    if from < there.len() {
        found.extend(putting.missing(&there[from..])?);
    }
    found.sort_unstable();
    Ok(found)
}

/// How many of some messages are fetched next.
fn piece(rest: &[(Uid, u64, Option<String>)]) -> usize {
    let mut bytes = 0;
    let fits = |(_, size, _): &&(Uid, u64, Option<String>)| {
        bytes += size;
        bytes <= FETCHED_BYTES_MAX
    };
    rest.iter()
        .take(FETCHED_MAX)
        .take_while(fits)
        .count()
        .max(1)
}

/// UIDs as a set, with ranges where they follow each other.
fn set(some: &[(Uid, u64, Option<String>)]) -> String {
    let mut ranges: Vec<(u32, u32)> = vec![];
    for (uid, ..) in some {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == uid.0 => *last = uid.0,
            _ => ranges.push((uid.0, uid.0)),
        }
    }
    let range = |(first, last): &(u32, u32)| match first == last {
        true => first.to_string(),
        false => format!("{first}:{last}"),
    };
    ranges.iter().map(range).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_fetched_some_at_a_time() {
        let of = |uids: &[u32], size| -> Vec<(Uid, u64, Option<String>)> {
            uids.iter().map(|uid| (Uid(*uid), size, None)).collect()
        };
        assert_eq!(set(&of(&[1, 2, 3, 7, 9, 10], 1)), "1:3,7,9:10");
        assert_eq!(piece(&of(&[1, 2, 3], 3 << 20)), 2);
        assert_eq!(piece(&of(&[1, 2, 3], 90 << 20)), 1);
        assert_eq!(piece(&of(&(1..500).collect::<Vec<_>>(), 1)), FETCHED_MAX);
    }
}
