//! A session packed away.

use mail::{Change, Event, MailboxId, ModSeq, Rights, Uid, UserId};

use super::language::Language;
use super::name_form::NameForm;

/// A session packed away. Small and `Copy`: a million of these are kept.
///
/// `Idle`: in IDLE, in sync with the mailbox at `modseq`. `Quiet`: not in IDLE, quiet; the client
/// is sent nothing until it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parked {
    /// Who is logged in.
    pub user: UserId,
    /// The selected mailbox; `MailboxId(0)` if none.
    pub mailbox: MailboxId,
    /// The client has been sent everything up to here.
    pub modseq: ModSeq,
    /// Messages in the client's view.
    pub exists: u32,
    /// Messages with this UID or a higher one are `\Recent` in this session.
    pub recent_from: Uid,
    /// How many they are.
    pub recent: u32,
    /// When the client last said something: seconds on the host's clock, which sets it.
    pub heard_s: u32,
    /// Bit set of the constants below: read-only, CONDSTORE enabled, ….
    pub bits: u16,
    /// Bit set of [`Parked::IDLING`], [`Parked::UID_ONLY`], [`Parked::UTF8`] and
    /// [`Parked::CLEARTEXT`].
    pub modes: u8,
    /// The language that the client has asked for.
    pub language: Language,
    /// The tag of the IDLE command, and NULs behind it; a longer tag keeps a session active.
    /// Outside of IDLE, what is withheld: see `Parked::withhold`.
    pub tag: [u8; 12],
}

const _: () = assert!(size_of::<Parked>() == 56);

impl Parked {
    /// What NOTIFY has asked for is kept beside the session.
    pub const BESIDE: u16 = 1;
    /// The mailbox was opened with EXAMINE.
    pub const READ_ONLY: u16 = 2;
    /// The client knows of mod-sequences (RFC 7162 §3.1).
    pub const CONDSTORE: u16 = 4;
    /// A mailbox is selected.
    pub const SELECTED: u16 = 8;
    /// The mailbox is being watched.
    pub const WATCHING: u16 = 16;
    /// The client speaks IMAP4rev2 (RFC 9051).
    pub const REV2: u16 = 32;
    /// The client is told of UIDs that have vanished (RFC 7162 §3.2.3).
    pub const QRESYNC: u16 = 64;
    /// NOTIFY has it told nothing of the selected mailbox.
    pub const MUTE: u16 = 128;
    /// NOTIFY has it told of the selected mailbox, in IDLE or not.
    pub const NOTIFIED: u16 = 256;
    /// With items of new messages, which the session fetches.
    pub const FETCHES: u16 = 512;
    /// Without changes of flags.
    pub const FLAGLESS: u16 = 1024;
    /// Without expunges, outside of IDLE.
    pub const DELAYED: u16 = 2048;
    /// Of the modes: in IDLE.
    pub const IDLING: u8 = 1;
    /// Of the modes: messages are told by their UIDs and never by numbers (RFC 9586).
    pub const UID_ONLY: u8 = 2;
    /// Of the modes: names and searches are in UTF-8 (RFC 9755).
    pub const UTF8: u8 = 4;
    /// Of the modes: passwords in clear text are allowed on this connection.
    pub const CLEARTEXT: u8 = 8;
    /// All modes that there are.
    pub(super) const MODES: u8 = Self::IDLING | Self::UID_ONLY | Self::UTF8 | Self::CLEARTEXT;

    /// The first of four bits: each says that the user has one of [`Parked::RIGHTS`].
    const FIRST_RIGHT: u16 = 1 << 12;
    /// The rights that a session goes by while its mailbox is selected, besides that to read it.
    const RIGHTS: [Rights; 4] = [
        Rights::SEEN,
        Rights::WRITE,
        Rights::DELETE_MESSAGES,
        Rights::EXPUNGE,
    ];

    /// The tag of the IDLE command.
    pub(super) fn tag(&self) -> &[u8] {
        let end = self.tag.iter().position(|&b| b == 0);
        &self.tag[..end.unwrap_or(self.tag.len())]
    }

    /// Up to when the client has heard of all, and how many messages are gone of which it has not
    /// heard, if there are any.
    pub(super) fn withheld(&self) -> Option<(ModSeq, u32)> {
        let (after, count) = self.tag.split_at(8);
        let after = after
            .iter()
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        let count = count
            .iter()
            .fold(0, |sum, byte| sum << 8 | u32::from(*byte));
        (!self.idles() && count > 0).then_some((ModSeq(after), count))
    }

    /// Notes that; only outside of IDLE.
    pub(super) fn set_withheld(&mut self, after: ModSeq, count: u32) {
        self.tag[..8].copy_from_slice(&after.0.to_be_bytes());
        self.tag[8..].copy_from_slice(&count.to_be_bytes());
    }

    /// Whether expunges wait for the client's next command (RFC 5465 §6.1.2).
    pub(super) fn withholds(&self) -> bool {
        self.has(Self::NOTIFIED) && self.has(Self::DELAYED) && !self.idles()
    }

    /// Whether its client is told that the user has given up a key.
    pub(super) fn hears_of_key(&self, change: &Change) -> bool {
        // Not where others may listen (RFC 4467 §8).
        change.may_reset_key_of(self.user) && self.modes & Self::CLEARTEXT != 0
    }

    /// Moves the cursor forward by an event that follows, if all that it says is to be withheld.
    /// The client's numbers stay as they are.
    pub(super) fn withhold(&mut self, event: &Event) -> bool {
        let is_gone = |change: &Change| matches!(change, Change::Expunged { .. });
        if !self.withholds() || event.changes.is_empty() || !event.changes.iter().all(is_gone) {
            return false;
        }
        let (after, count) = self.withheld().unwrap_or((self.modseq, 0));
        self.set_withheld(after, count.saturating_add(event.changes.len() as u32));
        self.modseq = event.seq;
        true
    }

    /// Those of the rights that a session goes by.
    pub(super) fn kept_rights(rights: Rights) -> Rights {
        Self::RIGHTS
            .into_iter()
            .fold(Rights::NONE, |sum, right| sum | (rights & right))
    }

    /// Notes which of the rights that a session goes by the user has.
    pub(super) fn set_rights(&mut self, rights: Rights) {
        for (place, right) in Self::RIGHTS.into_iter().enumerate() {
            let bit = Self::FIRST_RIGHT << place;
            self.bits = (self.bits & !bit) | if rights.contains(right) { bit } else { 0 };
        }
    }

    /// The rights that the user had when the session last heard of it.
    pub(super) fn rights(&self) -> Rights {
        let places = Self::RIGHTS.into_iter().enumerate();
        let has = places.filter(|(place, _)| self.has(Self::FIRST_RIGHT << place));
        has.fold(Rights::READ, |sum, (_, right)| sum | right)
    }

    /// Whether rights are what they were, as far as the session goes by them.
    pub(super) fn has_rights(&self, rights: Rights) -> bool {
        rights.contains(Rights::READ)
            && Self::kept_rights(rights) == Self::kept_rights(self.rights())
    }

    /// The flags that the client may change.
    pub(super) fn flag_rights(&self) -> Rights {
        match self.has(Self::READ_ONLY) {
            true => Rights::NONE,
            false => self.rights() & Rights::FLAGS,
        }
    }

    /// Whether a bit is set.
    pub fn has(&self, bit: u16) -> bool {
        self.bits & bit != 0
    }

    /// Whether the client is in IDLE.
    pub fn idles(&self) -> bool {
        self.has_mode(Self::IDLING)
    }

    /// Whether messages are told by their UIDs and never by numbers.
    pub(super) fn is_uid_only(&self) -> bool {
        self.has_mode(Self::UID_ONLY)
    }

    /// Whether it has a mode.
    pub(super) fn has_mode(&self, mode: u8) -> bool {
        self.modes & mode != 0
    }

    /// How mailbox names are told.
    pub(super) fn name_form(&self) -> NameForm {
        NameForm::of(self.has(Self::REV2), self.has_mode(Self::UTF8))
    }

    /// Whether the client idles with a mailbox.
    pub fn is_idling(&self) -> bool {
        self.idles() && self.has(Self::SELECTED)
    }

    /// Whether the client is to be sent updates.
    pub fn hears(&self) -> bool {
        let has_something_to_hear = self.bits & (Self::SELECTED | Self::MUTE) == Self::SELECTED;
        has_something_to_hear && (self.idles() || self.has(Self::NOTIFIED))
    }

    /// Moves the counts and the cursor forward by an event that follows.
    pub(super) fn apply(&mut self, event: &Event) {
        for change in &event.changes {
            match change {
                Change::Expunged { uid, .. } => {
                    self.exists = self.exists.saturating_sub(1);
                    if *uid >= self.recent_from {
                        self.recent = self.recent.saturating_sub(1);
                    }
                }
                Change::New { exists, .. } => {
                    self.exists = *exists;
                    self.recent += 1;
                }
                Change::NewRun {
                    first,
                    last,
                    exists,
                } => {
                    self.exists = *exists;
                    self.recent += last.0 - first.0 + 1;
                }
                Change::Acl(_)
                | Change::Keywords(_)
                | Change::KeyReset(_)
                | Change::Flags { .. } => {}
            }
        }
        self.modseq = event.seq;
    }
}
