//! From another IMAP server.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::error::Error;
use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use admin::Base;
use archive::elsewhere::{Message, message_id};
use archive::remote::{Fetched, Listed, Opened, Remote, RemoteError, What};
use mail::Uid;

use super::putting::{Done, Putting, Theirs};
use super::tls::{Reach, Stream};
use super::{Connection, ImportError, Source, User};
use crate::arguments::imsimport::{FromImap, MasterStyle};
use crate::tools::known_account;

/// Messages that are fetched at a time, and their bytes, if one alone is not larger.
const FETCHED_MAX: usize = 200;
const FETCHED_BYTES_MAX: u64 = 8 << 20;
/// Bytes of messages that are held at a time, unless they were announced to be more.
const HELD_BYTES_MAX: u64 = 32 << 20;
/// The longest message that is fetched, in bytes.
const MESSAGE_BYTES_MAX: u64 = 200 << 20;
/// Messages of a mailbox that are known at a time.
const MESSAGES_MAX: usize = 4_000_000;
/// Why a message is missing that the other server said to have.
const NOT_GIVEN: &str = "the other server does not give it";
/// Messages whose Message-IDs are asked for at a time.
const ASKED_MAX: usize = 500;
/// Bytes of a question about what is there, about: one has 64 KiB at most.
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
        let subscribed: HashSet<Vec<u8>> = remote
            .subscribed()?
            .into_iter()
            .map(|listed| listed.raw)
            .collect();
        for listed in remote.list()? {
            let Some(name) = namespaces.own(&listed) else {
                continue;
            };
            if !listed.selectable {
                continue;
            }
            let is_subscribed = subscribed.contains(&listed.raw);
            let place = (&listed, name.clone());
            let done = mailbox(&mut remote, account, connection, place, is_subscribed);
            told(Done::or_not(&name, done)?);
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
    let mut putting = Putting::begin(connection, account, &theirs)?;
    let filled = fill(remote, &opened, &mut putting);
    putting.finish(filled, is_subscribed, listed.special_use.as_deref())
}

/// A message there: its UID, its size, and its Message-ID if that was asked for.
type There = (Uid, u64, Option<String>);

/// A message that did not come, and why.
type Omitted = (Uid, &'static str);

/// Takes what the mailbox that is open there has.
fn fill<S: Read + Write>(
    remote: &mut Remote<S>,
    opened: &Opened,
    putting: &mut Putting<'_>,
) -> Result<(), ImportError> {
    let has_uids = opened.uid_validity.is_some();
    let mut there = there(remote, opened, putting)?;
    if !putting.is_new {
        there = missing(remote, putting, &there)?;
    }
    let mut rest = &there[..];
    while let Some((first, _)) = rest.split_first() {
        if first.1 > MESSAGE_BYTES_MAX {
            putting.failed(1, format!("UID {}: it has {} bytes", first.0.0, first.1));
            rest = &rest[1..];
            continue;
        }
        let (some, after) = rest.split_at(piece(rest));
        rest = after;
        let (mut found, omitted) = fetch(remote, some)?;
        for (uid, _, _) in some {
            let Some(fetched) = found.remove(uid) else {
                continue;
            };
            putting.message(Message {
                uid: Some(fetched.uid).filter(|_| has_uids),
                flags: fetched.flags,
                date: fetched.date,
                bytes: fetched.bytes.unwrap_or_default(),
            })?;
        }
        if !omitted.is_empty() {
            name_omitted(remote, &omitted, putting)?;
        }
    }
    Ok(())
}

/// All messages of the mailbox that is open there, by UIDs.
fn there<S: Read + Write>(
    remote: &mut Remote<S>,
    opened: &Opened,
    putting: &mut Putting<'_>,
) -> Result<Vec<There>, ImportError> {
    let mut there: Vec<There> = vec![];
    if opened.exists > 0 {
        remote.fetch("1:*", What::Sizes, |fetched| {
            if there.len() >= MESSAGES_MAX {
                return Err(RemoteError::TooMany("four million messages in a mailbox"));
            }
            there.push((fetched.uid, fetched.size, None));
            Ok(())
        })?;
    }
    there.sort_unstable_by_key(|(uid, ..)| *uid);
    there.dedup_by_key(|(uid, ..)| *uid);
    let known = there.len() as u64 + remote.expunged();
    let unknown = u64::from(opened.exists).saturating_sub(known);
    if unknown > 0 {
        let what = format!("the other server does not tell of {unknown} messages");
        putting.failed(unknown, what);
    }
    Ok(there)
}

/// Fetches some messages. Gives those that came, and what of the others is missing.
fn fetch<S: Read + Write>(
    remote: &mut Remote<S>,
    some: &[There],
) -> Result<(BTreeMap<Uid, Fetched>, Vec<Omitted>), ImportError> {
    let announced: u64 = some.iter().map(|(_, size, _)| size).sum();
    let room = HELD_BYTES_MAX.max(announced.saturating_mul(2)) as usize;
    let (mut found, mut held, mut why) = (BTreeMap::new(), 0, BTreeMap::new());
    remote.fetch(&set(some), What::Messages, |fetched| {
        let asked = some.binary_search_by_key(&fetched.uid, |(uid, ..)| *uid);
        // One that only tells of new flags has no bytes.
        let (Ok(at), Some(bytes)) = (asked, &fetched.bytes) else {
            return Ok(());
        };
        let uid = fetched.uid;
        if bytes.is_empty() && some[at].1 > 0 {
            why.insert(uid, "the other server gives none of its bytes");
        } else if held + bytes.len() > room {
            why.insert(uid, "the other server gives far more than it said");
        } else if let Entry::Vacant(place) = found.entry(uid) {
            held += bytes.len();
            place.insert(fetched);
        }
        Ok(())
    })?;
    let omitted = some.iter().filter(|(uid, ..)| !found.contains_key(uid));
    let omitted = omitted.map(|(uid, ..)| (*uid, why.get(uid).copied().unwrap_or(NOT_GIVEN)));
    let omitted = omitted.collect();
    Ok((found, omitted))
}

/// Names messages that the other server did not give, but for those that went meanwhile.
fn name_omitted<S: Read + Write>(
    remote: &mut Remote<S>,
    omitted: &[Omitted],
    putting: &mut Putting<'_>,
) -> Result<(), ImportError> {
    let asked: Vec<There> = omitted.iter().map(|(uid, _)| (*uid, 0, None)).collect();
    let mut left = BTreeSet::new();
    remote.fetch(&set(&asked), What::Sizes, |fetched| {
        if asked
            .binary_search_by_key(&fetched.uid, |(uid, ..)| *uid)
            .is_ok()
        {
            left.insert(fetched.uid);
        }
        Ok(())
    })?;
    let mut gone = 0;
    for (uid, why) in omitted {
        match left.contains(uid) || gone >= remote.expunged() {
            true => putting.failed(1, format!("UID {}: {why}", uid.0)),
            false => gone += 1,
        }
    }
    if gone > 0 {
        let what = format!("{gone} messages went there while they were being imported");
        putting.complaints.push(what);
    }
    Ok(())
}

/// Which messages are not here yet, by UIDs.
fn missing<S: Read + Write>(
    remote: &mut Remote<S>,
    putting: &mut Putting<'_>,
    there: &[There],
) -> Result<Vec<There>, ImportError> {
    let mut found = vec![];
    for some in there.chunks(ASKED_MAX) {
        let mut asked: Vec<There> = some.to_vec();
        remote.fetch(&set(some), What::Ids, |fetched| {
            if let Ok(at) = some.binary_search_by_key(&fetched.uid, |(uid, ..)| *uid) {
                let id = fetched.bytes.as_deref().and_then(message_id);
                asked[at].2 = id.filter(|it| it.len() <= ID_BYTES_MAX);
            }
            Ok(())
        })?;
        let mut rest = &asked[..];
        while !rest.is_empty() {
            let (now, after) = rest.split_at(question(rest));
            rest = after;
            let mut missing = putting.missing(now)?;
            missing.sort_unstable();
            let lacks = |it: &&There| missing.binary_search(&it.0).is_ok();
            found.extend(
                now.iter()
                    .filter(lacks)
                    .map(|(uid, size, _)| (*uid, *size, None)),
            );
        }
    }
    Ok(found)
}

/// How many of some messages are asked for in one question.
fn question(rest: &[There]) -> usize {
    let mut bytes = 0;
    let fits = |(.., id): &&There| {
        bytes += 40 + id.as_ref().map_or(0, String::len);
        bytes <= ASKED_BYTES_MAX
    };
    rest.iter().take_while(fits).count().max(1)
}

/// How many of some messages are fetched next.
fn piece(rest: &[There]) -> usize {
    let mut bytes = 0_u64;
    let fits = |(_, size, _): &&There| {
        bytes = bytes.saturating_add(*size);
        bytes <= FETCHED_BYTES_MAX
    };
    rest.iter()
        .take(FETCHED_MAX)
        .take_while(fits)
        .count()
        .max(1)
}

/// UIDs as a set, with ranges where they follow each other.
fn set(some: &[There]) -> String {
    let mut ranges: Vec<(u32, u32)> = vec![];
    for (uid, ..) in some {
        match ranges.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(uid.0) => *last = uid.0,
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
        let of = |uids: &[u32], size| -> Vec<There> {
            uids.iter().map(|uid| (Uid(*uid), size, None)).collect()
        };
        assert_eq!(set(&of(&[1, 2, 3, 7, 9, 10], 1)), "1:3,7,9:10");
        assert_eq!(piece(&of(&[1, 2, 3], 3 << 20)), 2);
        assert_eq!(piece(&of(&[1, 2, 3], 90 << 20)), 1);
        assert_eq!(piece(&of(&(1..500).collect::<Vec<_>>(), 1)), FETCHED_MAX);
    }
}
