//! ESEARCH (RFC 7377): one search in many mailboxes, of which only those that have it are told.
//!
//! Mailboxes are searched one after the other, each as it is when its turn comes: whether its user
//! may read it, and what is in it, the store says then. The selected one is searched as by UID
//! SEARCH if it is asked for as that; else it is one of the others, and the view is left alone.

use std::collections::BTreeSet;

use mail::reply::Status;
use mail::search::{Key, Program};
use mail::set::SetNumber;
use mail::watched::{Filter, Where};
use mail::{
    Events, MailboxId, MailboxName, ModSeq, Refusal, Reply, Request, Rights, Scope, SequenceSet,
    Uid, UidValidity,
};

use super::contexts::updates;
use super::message_limit::Cut;
use super::uid_only::{UID_REQUIRED, has_numbers};
use super::{Session, Step, Stream, Work};
use crate::imap::ast::{Esearch, SearchReturn, SearchSource};
use crate::imap::encode;

/// Mailboxes that one command may search.
const MAILBOXES_MAX: usize = 5000;

/// An ESEARCH under way.
pub(super) struct Multisearch {
    pub(super) tag: Box<str>,
    pub(super) returns: Vec<SearchReturn>,
    pub(super) key: Key,
    stage: Stage,
    /// The selected mailbox is asked for.
    selected: bool,
    /// Which others are.
    scope: Option<Scope>,
    /// Those that are yet to be searched.
    names: BTreeSet<MailboxName>,
    /// Those that were.
    searched: BTreeSet<MailboxId>,
    /// The key asks for mod-sequences.
    modseq: bool,
    /// Messages that can't be read.
    pub(super) unreadable: usize,
    /// The result was to be saved, and is.
    pub(super) saved: bool,
    /// Of the selected mailbox there was more.
    pub(super) cut: Option<Cut>,
}

/// What is asked.
enum Stage {
    /// Which mailboxes are meant.
    Scope,
    /// What the selected mailbox is called.
    Selected,
    /// What is in a mailbox.
    Status(MailboxName),
    /// Which messages are.
    View(Place),
    /// Which are found.
    Search(Place),
}

/// A mailbox that is searched.
struct Place {
    name: MailboxName,
    mailbox: MailboxId,
    uid_validity: UidValidity,
}

impl Multisearch {
    /// Bytes that it keeps.
    pub(super) fn bytes(&self) -> usize {
        let name = |name: &MailboxName| 2 * size_of::<MailboxName>() + name.as_str().len();
        let scope = self.scope.as_ref().map_or(0, Scope::bytes);
        let searched = self.searched.len() * size_of::<MailboxId>();
        scope + searched + self.names.iter().map(name).sum::<usize>()
    }
}

impl Session {
    pub(super) fn esearch(&mut self, tag: Box<str>, esearch: Esearch) {
        let Esearch {
            sources,
            returns,
            key,
        } = esearch;
        let is_selected = |it: &SearchSource| *it == SearchSource::Selected;
        let selected = sources.is_empty() || sources.iter().any(is_selected);
        let alone = sources.iter().all(is_selected);
        let follows = updates(Some(&returns)).is_some();
        if (selected || follows) && self.selected.is_none() {
            return self.done(&tag, "BAD Select a mailbox first");
        }
        // RFC 7377 §2.2
        if returns.contains(&SearchReturn::Save) && !alone {
            return self.done(&tag, "BAD SAVE is for the selected mailbox alone");
        }
        if self.uid_only && has_numbers(&key) {
            return self.done(&tag, &format!("BAD {UID_REQUIRED}"));
        }
        let scope = scope(&sources);
        let names = sources.into_iter().filter_map(|source| match source {
            SearchSource::Mailboxes(names) => Some(names),
            _ => None,
        });
        let mut modseq = false;
        walk(&key, &mut |key| modseq |= matches!(key, Key::ModSeq(_)));
        if modseq {
            self.enable_condstore();
        }
        if follows && !selected {
            self.refuse_updates(&tag, "The selected mailbox is not searched");
        }
        self.esearch_on(Box::new(Multisearch {
            tag,
            returns,
            key,
            stage: Stage::Scope,
            selected,
            scope,
            names: names.flatten().collect(),
            searched: BTreeSet::new(),
            modseq,
            unreadable: 0,
            saved: true,
            cut: None,
        }));
    }

    /// Asks for what comes next.
    pub(super) fn esearch_on(&mut self, mut job: Box<Multisearch>) {
        let user = self.user.unwrap_or_default();
        if let Some(scope) = job.scope.take() {
            job.stage = Stage::Scope;
            let request = Request::Watched {
                user,
                scope: scope.into(),
                only: vec![],
                needs: Rights::SIGHT,
                max: MAILBOXES_MAX,
            };
            return self.ask(request, Step::Esearch(job));
        }
        if job.names.len() > MAILBOXES_MAX {
            return self.refuse_many(&job.tag);
        }
        if std::mem::take(&mut job.selected) {
            job.stage = Stage::Selected;
            let request = self.own_name(self.mailbox());
            return self.ask(request, Step::Esearch(job));
        }
        // The client takes what was found before more is.
        if self.output.is_full() {
            self.work = Work::Streaming(Box::new(Stream::Esearch(job)));
            return;
        }
        match job.names.pop_first() {
            Some(name) => {
                job.stage = Stage::Status(name.clone());
                let request = Request::Status {
                    user,
                    name,
                    deleted_bytes: false,
                };
                self.ask(request, Step::Esearch(job));
            }
            None => {
                let Multisearch {
                    tag,
                    returns,
                    unreadable,
                    saved,
                    cut,
                    ..
                } = *job;
                let how = (unreadable, saved, cut);
                self.end_search(&tag, "ESEARCH", how, Some(&returns));
            }
        }
    }

    fn refuse_many(&mut self, tag: &str) {
        // RFC 7377 §2.4
        let text = format!("NO [LIMIT] A command may search {MAILBOXES_MAX} mailboxes");
        self.done(tag, &text);
    }

    /// The store answered.
    pub(super) fn esearch_came(&mut self, mut job: Box<Multisearch>, reply: Reply) {
        match (std::mem::replace(&mut job.stage, Stage::Scope), reply) {
            (Stage::Scope, Reply::Watched(found)) => {
                if found.too_many {
                    return self.refuse_many(&job.tag);
                }
                job.names
                    .extend(found.mailboxes.into_iter().map(|it| it.name));
                self.esearch_on(job);
            }
            (Stage::Selected, Reply::Watched(mut found)) => match found.mailboxes.pop() {
                Some(selected) => {
                    job.searched.insert(selected.mailbox);
                    let place = (selected.name, selected.figures.uid_validity);
                    self.sync(Step::EsearchSelected(job, place));
                }
                None => self.esearch_on(job),
            },
            (Stage::Status(name), Reply::Status(status)) => self.search_there(job, name, &status),
            (Stage::View(place), Reply::Viewed { uids, .. }) => {
                self.ask_search(job, place, Some(&uids));
            }
            (
                Stage::Search(place),
                Reply::Found {
                    hits,
                    modseqs,
                    unreadable,
                    ..
                },
            ) => {
                job.unreadable += unreadable;
                if !hits.is_empty() {
                    let head = self.esearch_head(&job.tag, &place.name, place.uid_validity);
                    let found = (hits, modseqs.filter(|_| job.modseq));
                    self.say_esearch(head, true, &job.returns, found);
                }
                self.esearch_on(job);
            }
            // It is gone, or was never there for this user.
            (_, Reply::Refused(Refusal::NoMailbox | Refusal::NoPermission)) => {
                self.esearch_on(job);
            }
            (_, Reply::Refused(refusal)) => self.refuse(&job.tag, &refusal),
            _ => self.done(&job.tag, "NO [SERVERBUG] The store gave another answer"),
        }
    }

    /// The view is current: the selected mailbox is searched as by UID SEARCH.
    pub(super) fn esearch_selected(
        &mut self,
        job: Box<Multisearch>,
        place: (MailboxName, UidValidity),
        reply: Reply,
    ) {
        if self.synced(reply) {
            self.send_updates(true);
            self.search_as_part(job, place);
        }
    }

    fn search_there(&mut self, mut job: Box<Multisearch>, name: MailboxName, status: &Status) {
        let mailbox = status.mailbox;
        if !job.searched.insert(mailbox) || status.messages == 0 {
            return self.esearch_on(job);
        }
        let place = Place {
            name,
            mailbox,
            uid_validity: status.uid_validity,
        };
        if !needs_uids(&job.key) {
            return self.ask_search(job, place, None);
        }
        job.stage = Stage::View(place);
        let at = status.highest_modseq;
        self.ask(Request::View { mailbox, at }, Step::Esearch(job));
    }

    fn ask_search(&mut self, mut job: Box<Multisearch>, place: Place, uids: Option<&[Uid]>) {
        let request = Request::Search {
            mailbox: place.mailbox,
            program: Program {
                key: elsewhere(&job.key, uids.unwrap_or_default()),
            },
            // Nothing that happened there is asked for.
            since: ModSeq(i64::MAX as u64),
            // Messages are recent for those who have selected their mailbox.
            recent_from: Uid(u32::MAX),
        };
        job.stage = Stage::Search(place);
        self.ask(request, Step::Esearch(job));
    }

    /// How the answer for one mailbox begins (RFC 7377 §2.1).
    pub(super) fn esearch_head(
        &self,
        tag: &str,
        name: &MailboxName,
        uid_validity: UidValidity,
    ) -> String {
        let mut mailbox = Vec::new();
        encode::mailbox(&mut mailbox, name, self.name_form);
        let mailbox = String::from_utf8_lossy(&mailbox);
        format!("* ESEARCH (TAG \"{tag}\" MAILBOX {mailbox} UIDVALIDITY {uid_validity}) UID")
    }

    /// Asks what its user calls a mailbox that may be read.
    pub(super) fn own_name(&self, mailbox: MailboxId) -> Request {
        let above = |prefix: &str| MailboxName::new(prefix.trim_end_matches('/'));
        let others = self.config.namespaces.prefixes().map(above).collect();
        Request::Watched {
            user: self.user.unwrap_or_default(),
            scope: of([Where::Personal, Where::Subtree(others)]).into(),
            only: vec![mailbox],
            needs: Rights::READ,
            max: 1,
        }
    }
}

/// Which mailboxes are meant other than by their names, and as the selected one; none if none are.
fn scope(sources: &[SearchSource]) -> Option<Scope> {
    let names = |names: &[MailboxName]| names.iter().cloned().collect();
    let scope = of(sources.iter().filter_map(|source| match source {
        SearchSource::Selected | SearchSource::Mailboxes(_) => None,
        SearchSource::Personal => Some(Where::Personal),
        SearchSource::Subscribed => Some(Where::Subscribed),
        SearchSource::Subtree(tops) => Some(Where::Subtree(names(tops))),
        SearchSource::SubtreeOne(tops) => Some(Where::Near(names(tops))),
    }));
    (!scope.filters.is_empty()).then_some(scope)
}

fn of(places: impl IntoIterator<Item = Where>) -> Scope {
    let filter = |mailboxes| Filter {
        mailboxes,
        events: Events::MESSAGES,
    };
    Scope {
        filters: places.into_iter().map(filter).collect(),
    }
}

fn walk(key: &Key, look: &mut impl FnMut(&Key)) {
    match key {
        Key::And(keys) => keys.iter().for_each(|key| walk(key, look)),
        Key::Or(one, other) => {
            walk(one, look);
            walk(other, look);
        }
        Key::Not(key) => walk(key, look),
        key => look(key),
    }
}

/// Whether the key can't be looked for without the UIDs that are there: for numbers of messages,
/// and for the last of them.
fn needs_uids(key: &Key) -> bool {
    let is_last = |it: &SetNumber| *it == SetNumber::Largest;
    let mut needs = false;
    walk(key, &mut |key| {
        needs |= match key {
            Key::Numbers(set) => !set.is_saved(),
            Key::Uids(set) => set
                .0
                .iter()
                .any(|(one, other)| is_last(one) || is_last(other)),
            _ => false,
        };
    });
    needs
}

/// The key for another mailbox than the selected one, in which these messages are. What is saved
/// is of the selected one.
fn elsewhere(key: &Key, uids: &[Uid]) -> Key {
    match key {
        Key::And(keys) => Key::And(keys.iter().map(|key| elsewhere(key, uids)).collect()),
        Key::Or(one, other) => Key::Or(
            Box::new(elsewhere(one, uids)),
            Box::new(elsewhere(other, uids)),
        ),
        Key::Not(key) => Key::Not(Box::new(elsewhere(key, uids))),
        Key::Numbers(set) | Key::Uids(set) if set.is_saved() => Key::UidRanges(vec![]),
        Key::Numbers(set) => Key::UidRanges(of_numbers(set, uids)),
        Key::Uids(set) => {
            let last = uids.last().map_or(u32::MAX, |uid| uid.0);
            Key::UidRanges(set.resolve(last))
        }
        key => key.clone(),
    }
}

/// Numbers beyond the last are those of no message.
fn of_numbers(set: &SequenceSet, uids: &[Uid]) -> Vec<(u32, u32)> {
    let count = uids.len();
    let uid = |number: usize| uids[number - 1].0;
    let ranges = set.resolve(count as u32).into_iter();
    let within = ranges.filter(|(low, _)| (1..=count).contains(&(*low as usize)));
    within
        .map(|(low, high)| (uid(low as usize), uid((high as usize).min(count))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_of_the_mailbox_that_is_searched() {
        let uids = [Uid(3), Uid(7), Uid(8), Uid(20)];
        let key = |set: Vec<(SetNumber, SetNumber)>| Key::Numbers(SequenceSet(set));
        let (last, value) = (SetNumber::Largest, SetNumber::Value);
        let ranges = |key: &Key, uids: &[Uid]| match elsewhere(key, uids) {
            Key::UidRanges(ranges) => ranges,
            other => panic!("{other:?}"),
        };
        assert_eq!(ranges(&key(vec![(value(2), value(3))]), &uids), [(7, 8)]);
        assert_eq!(ranges(&key(vec![(value(2), value(99))]), &uids), [(7, 20)]);
        assert_eq!(ranges(&key(vec![(value(5), value(99))]), &uids), []);
        assert_eq!(ranges(&key(vec![(value(2), last)]), &uids), [(7, 20)]);
        assert_eq!(ranges(&key(vec![(value(1), last)]), &[]), []);
        let from = Key::Uids(SequenceSet(vec![(value(90), last)]));
        assert_eq!(ranges(&from, &uids), [(20, 90)]);
        assert!(needs_uids(&Key::Not(Box::new(from))));
        assert!(!needs_uids(&Key::Uids(SequenceSet(vec![(
            value(1),
            value(9)
        )]))));
    }
}
