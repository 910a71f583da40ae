//! What an idling client is sent: what an event means for a parked session, and the bytes for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use mail::{Change, Event, Flags, ModSeq, Rights, Uid};

use super::encode::{MECHANISMS, keyword_lines, number_set};
use super::language::Language;
use super::parked::Parked;
use super::view::{FlagsTold, Ids, fetch_flags};

/// All that the bytes of an update depend on besides the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RenderKey {
    /// Of a row's bits, those of [`KNOWN`].
    bits: u16,
    recent: u32,
    /// Only where flags are sent: they carry `\Recent`.
    recent_from: u32,
    /// Only where keywords are sent: the flags that the client may change.
    rights: Rights,
    /// Only where keywords or mechanisms are sent: a text comes with them.
    language: Language,
    /// Only where messages are gone: it is told their UIDs.
    vanished: bool,
    /// It is not told of flags.
    flagless: bool,
    /// Only where flags are sent: it is told UIDs beside them.
    uid: bool,
    /// Only where flags are sent: it is told UIDs in the place of numbers.
    uid_only: bool,
    /// Only where its user has given up a key: it is told how URLs are signed.
    mechanisms: bool,
}

/// What a client knows of, whatever happens: mod-sequences, and IMAP4rev2.
const KNOWN: u16 = Parked::CONDSTORE | Parked::REV2;

/// What an event means for a parked session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Announce {
    /// Nothing.
    Silent,
    /// It is sent the rendering of this key.
    Line(RenderKey),
    /// It missed something and must catch up.
    Stale,
}

/// How an event concerns an idling session; moves it forward.
pub fn announce(parked: &mut Parked, event: &Event) -> Announce {
    if !parked.hears() || event.seq <= parked.modseq {
        return Announce::Silent;
    }
    if event.deleted || event.prev != parked.modseq {
        return Announce::Stale;
    }
    if parked.has(Parked::NOTIFIED) && is_for_session(parked, event) {
        return match parked.withhold(event) {
            true => Announce::Silent,
            false => Announce::Stale,
        };
    }
    match event.changes.first() {
        // What it hears of that, and whether it may stay, is for its session to say.
        Some(Change::Acl(acl)) => {
            if event.changes.len() > 1 || !parked.has_rights(acl.rights_of(parked.user)) {
                return Announce::Stale;
            }
            parked.apply(event);
            return Announce::Silent;
        }
        Some(change @ Change::KeyReset(_)) => return announce_key(parked, event, change),
        _ => {}
    }
    parked.apply(event);
    if event.changes.is_empty() {
        return Announce::Silent;
    }
    let is_flags = |change: &Change| matches!(change, Change::Flags { .. });
    let flagless = parked.has(Parked::FLAGLESS);
    let mut changes = event.changes.iter();
    if flagless && changes.all(is_flags) {
        return Announce::Silent;
    }
    let has_flags = !flagless && event.changes.iter().any(is_flags);
    let recent_from = if has_flags { parked.recent_from.0 } else { 0 };
    let has_keywords = matches!(event.changes[..], [Change::Keywords(_), ..]);
    let is_expunge = |change: &Change| matches!(change, Change::Expunged { .. });
    Announce::Line(RenderKey {
        bits: parked.bits & KNOWN,
        recent: parked.recent,
        recent_from,
        rights: match has_keywords {
            true => parked.flag_rights(),
            false => Rights::NONE,
        },
        language: match has_keywords {
            true => parked.language,
            false => Language::Default,
        },
        vanished: tells_vanished(parked) && event.changes.iter().any(is_expunge),
        flagless,
        uid: has_flags && parked.has(Parked::NOTIFIED),
        uid_only: has_flags && parked.is_uid_only(),
        mechanisms: false,
    })
}

/// Of an event that begins with a key that somebody has given up, which stands alone as a rule.
#[cold]
fn announce_key(parked: &mut Parked, event: &Event, change: &Change) -> Announce {
    if event.changes.len() > 1 {
        return Announce::Stale;
    }
    parked.apply(event);
    if !parked.hears_of_key(change) {
        return Announce::Silent;
    }
    Announce::Line(RenderKey {
        bits: parked.bits & KNOWN,
        recent: parked.recent,
        recent_from: 0,
        rights: Rights::NONE,
        language: parked.language,
        vanished: false,
        flagless: parked.has(Parked::FLAGLESS),
        uid: false,
        uid_only: false,
        mechanisms: true,
    })
}

/// Whether its client hears of expunges by UIDs (RFC 7162 §3.2.10, RFC 9586 §3.4).
fn tells_vanished(parked: &Parked) -> bool {
    parked.has(Parked::QRESYNC) || parked.is_uid_only()
}

/// Whether NOTIFY has the session itself tell of an event.
fn is_for_session(parked: &Parked, event: &Event) -> bool {
    // Numbers are its view's, once messages are gone of which the client has not heard.
    let needs_view = parked.withheld().is_some();
    event.changes.iter().any(|change| match change {
        Change::New { .. } | Change::NewRun { .. } => needs_view || parked.has(Parked::FETCHES),
        Change::Expunged { .. } => parked.withholds(),
        Change::Flags { .. } => needs_view && !parked.has(Parked::FLAGLESS),
        Change::Acl(_) | Change::Keywords(_) | Change::KeyReset(_) => false,
    })
}

/// The UID below which a parked session's client knows all messages after an event that it is told:
/// they are not recent for others (RFC 3501 §2.3.2). None if there are no new ones, or the client
/// may not change the mailbox.
pub fn claim(parked: &Parked, event: &Event) -> Option<Uid> {
    if parked.has(Parked::READ_ONLY) {
        return None;
    }
    let newest = |change: &Change| match change {
        Change::New { uid, .. } => Some(*uid),
        Change::NewRun { last, .. } => Some(*last),
        _ => None,
    };
    let newest = event.changes.iter().rev().find_map(newest)?;
    Some(Uid(newest.0.saturating_add(1)))
}

/// The untagged responses for an event.
pub fn render(event: &Event, key: RenderKey) -> Vec<u8> {
    let rev2 = key.bits & Parked::REV2 != 0;
    let mut out = Vec::with_capacity(64);
    let mut newest = None;
    let mut vanished = Vec::new();
    for change in &event.changes {
        match change {
            Change::Keywords(keywords) => {
                push_keywords(&mut out, keywords, (key.rights, key.language));
            }
            Change::KeyReset(_) if key.mechanisms => push_mechanisms(&mut out, key.language),
            Change::Expunged { uid, .. } if key.vanished => vanished.push(uid.0),
            Change::Expunged { number, .. } => {
                out.extend_from_slice(format!("* {number} EXPUNGE\r\n").as_bytes());
            }
            Change::New { exists, .. } | Change::NewRun { exists, .. } => {
                newest = Some(*exists);
            }
            Change::Acl(_) | Change::KeyReset(_) | Change::Flags { .. } => {}
        }
    }
    push_vanished(&mut out, vanished);
    if let Some(exists) = newest {
        push_exists(&mut out, exists, (!rev2).then_some(key.recent));
    }
    if key.flagless {
        return out;
    }
    for change in &event.changes {
        if let Change::Flags {
            uid,
            number,
            flags,
            modseq,
        } = change
        {
            let recent = !rev2 && uid.0 >= key.recent_from;
            let told = FlagsTold {
                condstore: key.bits & Parked::CONDSTORE != 0,
                uid: key.uid || rev2,
                uid_only: key.uid_only,
                recent: !rev2,
            };
            let ids = Ids::of((*uid, *modseq), told);
            fetch_flags(&mut out, *number, flags, recent, ids);
        }
    }
    out
}

/// The updates of several events in one piece, each message's last flags once; moves the session
/// forward. `None` if the events don't follow it, or are its session's to tell: then it stays.
pub fn render_many<'a>(
    parked: &mut Parked,
    events: impl IntoIterator<Item = &'a Event>,
) -> Option<Vec<u8>> {
    let mut moved = *parked;
    let out = render_all(&mut moved, events)?;
    *parked = moved;
    Some(out)
}

fn render_all<'a>(
    parked: &mut Parked,
    events: impl IntoIterator<Item = &'a Event>,
) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut keywords = None;
    let (mut vanished, mut mechanisms) = (Vec::new(), false);
    let (by_uid, rev2) = (tells_vanished(parked), parked.has(Parked::REV2));
    let mut sent = parked.exists;
    let mut flags: BTreeMap<Uid, (u32, Arc<Flags>, ModSeq)> = BTreeMap::new();
    for event in events {
        if event.seq <= parked.modseq {
            continue;
        }
        if event.deleted || event.prev != parked.modseq {
            return None;
        }
        if parked.has(Parked::NOTIFIED) && is_for_session(parked, event) {
            match parked.withhold(event) {
                true => continue,
                false => return None,
            }
        }
        parked.apply(event);
        for change in &event.changes {
            match change {
                Change::Acl(acl) if parked.has_rights(acl.rights_of(parked.user)) => {}
                Change::Acl(_) => return None,
                Change::Keywords(all) => keywords = Some(all),
                Change::KeyReset(_) => mechanisms |= parked.hears_of_key(change),
                Change::Expunged { uid, number } => {
                    flags.remove(uid);
                    flags
                        .values_mut()
                        .filter(|(have, ..)| *have > *number)
                        .for_each(|(have, ..)| *have -= 1);
                    if *number <= sent {
                        sent -= 1;
                        if by_uid {
                            vanished.push(uid.0);
                            continue;
                        }
                        out.extend_from_slice(format!("* {number} EXPUNGE\r\n").as_bytes());
                    }
                }
                Change::New { .. } | Change::NewRun { .. } => {}
                Change::Flags {
                    uid,
                    number,
                    flags: now,
                    modseq,
                } => {
                    flags.insert(*uid, (*number, now.clone(), *modseq));
                }
            }
        }
    }
    push_vanished(&mut out, vanished);
    if parked.exists > sent {
        push_exists(&mut out, parked.exists, (!rev2).then_some(parked.recent));
    }
    if let Some(keywords) = keywords {
        push_keywords(&mut out, keywords, (parked.flag_rights(), parked.language));
    }
    if mechanisms {
        push_mechanisms(&mut out, parked.language);
    }
    let told = FlagsTold {
        condstore: parked.has(Parked::CONDSTORE),
        uid: parked.has(Parked::NOTIFIED) || rev2,
        uid_only: parked.is_uid_only(),
        recent: !rev2,
    };
    if parked.has(Parked::FLAGLESS) {
        return Some(out);
    }
    for (uid, (number, flags, modseq)) in flags {
        let recent = !rev2 && uid >= parked.recent_from;
        let ids = Ids::of((uid, modseq), told);
        fetch_flags(&mut out, number, &flags, recent, ids);
    }
    Some(out)
}

/// FLAGS and PERMANENTFLAGS of a mailbox that has these keywords.
fn push_keywords(out: &mut Vec<u8>, keywords: &[Arc<str>], (rights, language): (Rights, Language)) {
    let keywords = Flags::new(0, keywords.iter().cloned());
    out.extend_from_slice(keyword_lines(&keywords, rights, language).as_bytes());
}

/// How URLs are signed, in the client's language.
fn push_mechanisms(out: &mut Vec<u8>, language: Language) {
    out.extend_from_slice(language.line(MECHANISMS).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// VANISHED with these UIDs, if there are any (RFC 7162 §3.2.10.2).
fn push_vanished(out: &mut Vec<u8>, mut uids: Vec<u32>) {
    if uids.is_empty() {
        return;
    }
    uids.sort_unstable();
    out.extend_from_slice(b"* VANISHED ");
    number_set(out, uids);
    out.extend_from_slice(b"\r\n");
}

/// EXISTS, and RECENT for who hears of it.
fn push_exists(out: &mut Vec<u8>, exists: u32, recent: Option<u32>) {
    let line = match recent {
        Some(recent) => format!("* {exists} EXISTS\r\n* {recent} RECENT\r\n"),
        None => format!("* {exists} EXISTS\r\n"),
    };
    out.extend_from_slice(line.as_bytes());
}

#[cfg(test)]
mod tests {
    use mail::{MailboxId, UserId};

    use super::*;

    fn parked(modseq: u64, exists: u32) -> Parked {
        Parked {
            user: UserId(1),
            mailbox: MailboxId(1),
            modseq: ModSeq(modseq),
            exists,
            recent_from: Uid(100),
            recent: 0,
            heard_s: 0,
            bits: Parked::SELECTED,
            modes: Parked::IDLING,
            language: Language::Default,
            tag: [b'a'; 12],
        }
    }

    fn event(prev: u64, changes: Vec<Change>) -> Event {
        let (prev, seq) = (ModSeq(prev), ModSeq(prev + 1));
        Event {
            mailbox: MailboxId(1),
            prev,
            seq,
            changes,
            deleted: false,
        }
    }

    fn new(uid: u32, exists: u32) -> Change {
        Change::New {
            uid: Uid(uid),
            exists,
            flags: Arc::default(),
        }
    }

    #[test]
    fn an_event_in_order_is_told() {
        let mut row = parked(5, 2);
        let event = event(5, vec![new(100, 3)]);
        let Announce::Line(key) = announce(&mut row, &event) else {
            panic!("not sent")
        };
        assert_eq!(render(&event, key), b"* 3 EXISTS\r\n* 1 RECENT\r\n");
        assert_eq!((row.modseq, row.exists, row.recent), (ModSeq(6), 3, 1));
        assert_eq!(announce(&mut row, &event), Announce::Silent, "sent once");
    }

    #[test]
    fn who_goes_by_uids_is_told_which_have_vanished() {
        let mut row = parked(5, 4);
        row.bits |= Parked::QRESYNC;
        let expunged = |(uid, number)| Change::Expunged {
            uid: Uid(uid),
            number,
        };
        let gone = [(7, 1), (8, 1), (20, 2)].map(expunged);
        let Announce::Line(key) = announce(&mut row, &event(5, gone.to_vec())) else {
            panic!("not sent")
        };
        assert_eq!(
            render(&event(5, gone.to_vec()), key),
            b"* VANISHED 7:8,20\r\n"
        );
        // What says nothing of it is said to all in the same words.
        let (came, mut other) = (event(6, vec![new(100, 2)]), parked(6, 1));
        assert_eq!(announce(&mut row, &came), announce(&mut other, &came));
    }

    #[test]
    fn who_goes_by_uids_alone_hears_no_number() {
        let flags = |uid, number| Change::Flags {
            uid: Uid(uid),
            number,
            flags: Arc::default(),
            modseq: ModSeq(6),
        };
        let changes = vec![expunged(7, 1), flags(20, 3)];
        let mut row = parked(5, 4);
        row.modes |= Parked::UID_ONLY;
        let mut other = row;
        let event = event(5, changes);
        let Announce::Line(key) = announce(&mut row, &event) else {
            panic!("not sent")
        };
        let said = b"* VANISHED 7\r\n* 20 UIDFETCH (FLAGS ())\r\n";
        assert_eq!(render(&event, key), said);
        assert_eq!(
            render_many(&mut other, [&event]).as_deref(),
            Some(&said[..])
        );
        let mut notified = parked(5, 4);
        notified.modes |= Parked::UID_ONLY;
        notified.bits |= Parked::CONDSTORE | Parked::NOTIFIED;
        let said = b"* VANISHED 7\r\n* 20 UIDFETCH (MODSEQ (6) FLAGS ())\r\n";
        assert_eq!(
            render_many(&mut notified, [&event]).as_deref(),
            Some(&said[..])
        );
    }

    #[test]
    fn a_key_is_of_its_user_and_nothing_for_where_others_listen() {
        let said = b"* OK [URLMECH INTERNAL] How URLs are signed\r\n";
        let reset = event(5, vec![Change::KeyReset(UserId(1))]);
        let mut row = parked(5, 4);
        row.modes |= Parked::CLEARTEXT;
        let (mut many, mut other, mut heard) = (row, row, parked(5, 4));
        let Announce::Line(key) = announce(&mut row, &reset) else {
            panic!("not sent")
        };
        assert_eq!(render(&reset, key), said);
        assert_eq!(render_many(&mut many, [&reset]).as_deref(), Some(&said[..]));
        // Several have while it was away.
        let (mut away, several) = (other, event(5, vec![Change::KeyReset(Change::SEVERAL)]));
        assert!(matches!(
            announce(&mut { away }, &several),
            Announce::Line(_)
        ));
        assert_eq!(
            render_many(&mut away, [&several]).as_deref(),
            Some(&said[..])
        );
        other.user = UserId(2);
        for row in [&mut other, &mut heard] {
            let mut many = *row;
            assert_eq!(announce(row, &reset), Announce::Silent);
            assert_eq!(row.modseq, ModSeq(6));
            assert_eq!(render_many(&mut many, [&reset]).as_deref(), Some(&b""[..]));
        }
    }

    #[test]
    fn who_speaks_rev2_hears_of_nothing_recent_and_of_flags_with_uids() {
        let flags = |uid, number| Change::Flags {
            uid: Uid(uid),
            number,
            flags: Arc::default(),
            modseq: ModSeq(6),
        };
        let (mut row, mut old) = (parked(5, 4), parked(5, 4));
        row.bits |= Parked::REV2;
        let mut other = row;
        let event = event(5, vec![new(100, 5), flags(100, 5)]);
        let Announce::Line(key) = announce(&mut row, &event) else {
            panic!("not sent")
        };
        let said = b"* 5 EXISTS\r\n* 5 FETCH (UID 100 FLAGS ())\r\n";
        assert_eq!(render(&event, key), said);
        let said = Some(&said[..]);
        assert_eq!(render_many(&mut other, [&event]).as_deref(), said);
        let Announce::Line(key) = announce(&mut old, &event) else {
            panic!("not sent")
        };
        let said = b"* 5 EXISTS\r\n* 1 RECENT\r\n* 5 FETCH (FLAGS (\\Recent))\r\n";
        assert_eq!(render(&event, key), said);
    }

    fn expunged(uid: u32, number: u32) -> Change {
        Change::Expunged {
            uid: Uid(uid),
            number,
        }
    }

    #[test]
    fn what_is_withheld_wakes_nobody() {
        let mut row = parked(5, 4);
        (row.modes, row.tag) = (0, [0; 12]);
        row.bits |= Parked::NOTIFIED | Parked::DELAYED;
        let gone = event(5, vec![expunged(7, 1), expunged(8, 1)]);
        assert_eq!(announce(&mut row, &gone), Announce::Silent);
        let more = event(6, vec![expunged(9, 1)]);
        assert_eq!(render_many(&mut row, [&more]).as_deref(), Some(&b""[..]));
        assert_eq!((row.modseq, row.exists), (ModSeq(7), 4));
        assert_eq!(row.withheld(), Some((ModSeq(5), 3)));
        let new = event(7, vec![new(10, 2)]);
        assert_eq!(announce(&mut row, &new), Announce::Stale);
        assert_eq!(row.modseq, ModSeq(7));
        // In IDLE nothing is withheld.
        let mut row = parked(5, 4);
        row.bits |= Parked::NOTIFIED | Parked::DELAYED;
        assert!(matches!(announce(&mut row, &gone), Announce::Line(_)));
    }

    #[test]
    fn who_can_not_be_told_all_is_told_nothing() {
        let mut row = parked(5, 2);
        let events = [event(5, vec![new(100, 3)]), event(7, vec![new(101, 4)])];
        assert_eq!(render_many(&mut row, &events), None);
        assert_eq!(row, parked(5, 2));
    }

    #[test]
    fn a_gap_is_stale() {
        let mut row = parked(5, 2);
        assert_eq!(
            announce(&mut row, &event(6, vec![new(100, 4)])),
            Announce::Stale
        );
        assert_eq!(row, parked(5, 2));
    }

    #[test]
    fn many_events_are_told_at_once() {
        let mut row = parked(5, 2);
        let expunged = |uid, number| Change::Expunged {
            uid: Uid(uid),
            number,
        };
        let events = [
            event(5, vec![new(100, 3)]),
            event(6, vec![expunged(1, 1)]),
            event(7, vec![new(101, 3)]),
            event(8, vec![expunged(100, 2)]),
        ];
        let bytes = render_many(&mut row, &events).expect("in order");
        let text = String::from_utf8(bytes).expect("ASCII");
        assert_eq!(text, "* 1 EXPUNGE\r\n* 2 EXISTS\r\n* 1 RECENT\r\n");
        let mut row = parked(5, 2);
        row.bits |= Parked::QRESYNC;
        let bytes = render_many(&mut row, &events).expect("in order");
        let text = String::from_utf8(bytes).expect("ASCII");
        assert_eq!(text, "* VANISHED 1\r\n* 2 EXISTS\r\n* 1 RECENT\r\n");
        assert_eq!((row.exists, row.recent), (2, 1));
        assert_eq!(
            render_many(&mut row, &events[..0]).as_deref(),
            Some(&b""[..])
        );
    }
}
