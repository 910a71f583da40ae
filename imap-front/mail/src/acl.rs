//! Access control lists (RFC 4314): who may do what with a mailbox.

use std::ops::{BitAnd, BitOr, BitOrAssign, Sub};
use std::sync::Arc;

use crate::{Flags, SystemFlag, UserId};

/// A set of rights (RFC 4314 §2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rights(u16);

/// The letter of each right, by its bit.
const LETTERS: &[u8; 11] = b"lrswipkxtea";

impl Rights {
    /// None at all.
    pub const NONE: Self = Self(0);
    /// `l`: LIST and LSUB show the mailbox, and it can be subscribed.
    pub const LOOKUP: Self = Self(1);
    /// `r`: SELECT, STATUS.
    pub const READ: Self = Self(1 << 1);
    /// `s`: change `\Seen`.
    pub const SEEN: Self = Self(1 << 2);
    /// `w`: change other flags than `\Seen` and `\Deleted`.
    pub const WRITE: Self = Self(1 << 3);
    /// `i`: APPEND, COPY into it.
    pub const INSERT: Self = Self(1 << 4);
    /// `p`: send mail to its address.
    pub const POST: Self = Self(1 << 5);
    /// `k`: create mailboxes below it.
    pub const CREATE: Self = Self(1 << 6);
    /// `x`: delete and rename it.
    pub const DELETE: Self = Self(1 << 7);
    /// `t`: change `\Deleted`.
    pub const DELETE_MESSAGES: Self = Self(1 << 8);
    /// `e`: EXPUNGE.
    pub const EXPUNGE: Self = Self(1 << 9);
    /// `a`: read and change its access control list.
    pub const ADMINISTER: Self = Self(1 << 10);
    /// All of them.
    pub const ALL: Self = Self((1 << LETTERS.len()) - 1);
    /// What an owner has in any case.
    pub const OWNERS: Self = Self(Self::LOOKUP.0 | Self::ADMINISTER.0);
    /// Those to hear of a mailbox that one has not selected (RFC 5465 §5).
    pub const SIGHT: Self = Self(Self::LOOKUP.0 | Self::READ.0);
    /// Those to change flags.
    pub const FLAGS: Self = Self(Self::SEEN.0 | Self::WRITE.0 | Self::DELETE_MESSAGES.0);
    /// The virtual right `c` (RFC 4314 §2.1.1).
    const VIRTUAL_C: Self = Self(Self::CREATE.0 | Self::DELETE.0);
    /// The virtual right `d`.
    const VIRTUAL_D: Self = Self(Self::DELETE_MESSAGES.0 | Self::EXPUNGE.0);
    /// Those of which one lets somebody change the mailbox: without any, SELECT is as EXAMINE
    /// (RFC 4314 §5.2).
    const CHANGE: Self = Self(Self::FLAGS.0 | Self::INSERT.0 | Self::EXPUNGE.0);
    /// Those of which one lets somebody know what they may do (RFC 4314 §4 MYRIGHTS).
    const KNOW: Self =
        Self(Self::OWNERS.0 | Self::READ.0 | Self::INSERT.0 | Self::CREATE.0 | Self::DELETE.0);

    /// Those of which one, beside [`Rights::LOOKUP`], lets somebody read metadata (RFC 5464 §3.3).
    pub const ANNOTATIONS: Self =
        Self(Self::READ.0 | Self::SEEN.0 | Self::WRITE.0 | Self::INSERT.0 | Self::POST.0);

    /// Rights from letters; `c` and `d` stand for what they are made of (RFC 4314 §2.1.1).
    ///
    /// # Errors
    /// The first letter that is no right.
    pub fn parse(letters: &[u8]) -> Result<Self, u8> {
        let mut rights = Self::NONE;
        for letter in letters {
            rights |= match letter {
                b'c' => Self::VIRTUAL_C,
                b'd' => Self::VIRTUAL_D,
                _ => match LETTERS.iter().position(|have| have == letter) {
                    Some(bit) => Self(1 << bit),
                    None => return Err(*letter),
                },
            };
        }
        Ok(rights)
    }

    /// The bits, as [`Rights::from_bits`] takes them.
    pub fn bits(self) -> u16 {
        self.0
    }

    /// Rights from bits; those that mean nothing are left out.
    pub fn from_bits(bits: u16) -> Self {
        Self(bits) & Self::ALL
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether all of these are among them.
    pub fn contains(self, other: Self) -> bool {
        self & other == other
    }

    /// Whether one of these is among them.
    pub fn intersects(self, other: Self) -> bool {
        !(self & other).is_empty()
    }

    /// Whether they let somebody change the mailbox or its messages (RFC 4314 §5.2).
    pub fn may_change(self) -> bool {
        self.intersects(Self::CHANGE)
    }

    /// Whether they let somebody ask what they may do (RFC 4314 §4 MYRIGHTS).
    pub fn may_know(self) -> bool {
        self.intersects(Self::KNOW)
    }

    /// The system flags that may be changed, as [`Flags::system_bits`] has them.
    pub fn system_bits(self) -> u8 {
        let of = |flag: SystemFlag| match flag {
            SystemFlag::Seen => Self::SEEN,
            SystemFlag::Deleted => Self::DELETE_MESSAGES,
            _ => Self::WRITE,
        };
        let may = SystemFlag::ALL
            .into_iter()
            .filter(|flag| self.contains(of(*flag)));
        may.fold(0, |bits, flag| bits | flag as u8)
    }

    /// Those of the flags that may be changed.
    pub fn changeable(self, flags: &Flags) -> Flags {
        let keywords = flags
            .keywords()
            .iter()
            .filter(|_| self.contains(Self::WRITE));
        Flags::new(flags.system_bits() & self.system_bits(), keywords.cloned())
    }

    /// `new` flags in the place of `old`, as far as they may be changed.
    pub fn replaced(self, old: &Flags, new: &Flags) -> Flags {
        let mut flags = old.clone();
        flags.subtract(&self.changeable(old));
        flags.union(&self.changeable(new));
        flags
    }
}

/// The letters of RFC 4314, with `c` and `d` if any of what they are made of is there (§2.1.1).
impl std::fmt::Display for Rights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for letter in b"lrswipkxtecda" {
            let is_there = match letter {
                b'c' => self.intersects(Self::VIRTUAL_C),
                b'd' => self.intersects(Self::VIRTUAL_D),
                _ => Self::parse(&[*letter]).is_ok_and(|right| self.contains(right)),
            };
            if is_there {
                write!(f, "{}", char::from(*letter))?;
            }
        }
        Ok(())
    }
}

impl BitOr for Rights {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Rights {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl BitAnd for Rights {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl Sub for Rights {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

/// Who is given rights, or kept from them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grantee {
    /// `anyone`: all users.
    Anyone,
    /// A user.
    User(UserId),
}

/// An entry of an access control list: an identifier and its rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AclEntry {
    /// Who.
    pub grantee: Grantee,
    /// The rights are taken away, whatever else gives them (`-` before the identifier).
    pub negative: bool,
    /// Which.
    pub rights: Rights,
}

/// A mailbox's access control list. Its owner has all rights unless there is an entry of theirs,
/// and never less than [`Rights::OWNERS`]. What others have is what entries give them and no
/// negative entry takes away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acl {
    /// Whose the mailbox is.
    pub owner: UserId,
    /// In the order in which they were made; no identifier is there twice.
    pub entries: Vec<AclEntry>,
}

/// Users to whom something is told; the owner of a mailbox is none of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audience {
    /// Those of whom something is said.
    pub users: Vec<UserId>,
    /// All others too; these but for, in order.
    pub others: Option<Arc<[UserId]>>,
}

impl Audience {
    /// Whether nobody is among them.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && self.others.is_none()
    }
}

/// What SETACL does to an identifier's rights (RFC 4314 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RightsMode {
    /// These replace the others.
    Replace,
    /// `+`
    Add,
    /// `-`
    Remove,
}

impl Acl {
    /// What a user may do.
    pub fn rights_of(&self, user: UserId) -> Rights {
        let applies = |entry: &&AclEntry| match entry.grantee {
            Grantee::Anyone => true,
            Grantee::User(who) => who == user,
        };
        let sum = |negative| {
            let entries = self.entries.iter().filter(|it| it.negative == negative);
            let entries = entries.filter(applies);
            entries.fold(Rights::NONE, |sum, entry| sum | entry.rights)
        };
        if user != self.owner {
            return sum(false) - sum(true);
        }
        let own = self.entry(Grantee::User(user), false);
        let own = own.map_or(Rights::ALL, |_| Rights::NONE);
        ((own | sum(false)) - sum(true)) | Rights::OWNERS
    }

    /// The entry of an identifier.
    pub fn entry(&self, grantee: Grantee, negative: bool) -> Option<&AclEntry> {
        let is_it = |it: &&AclEntry| (it.grantee, it.negative) == (grantee, negative);
        self.entries.iter().find(is_it)
    }

    /// SETACL; an entry that says nothing is removed.
    pub fn set(&mut self, (grantee, negative): (Grantee, bool), mode: RightsMode, rights: Rights) {
        let is_owner = !negative && grantee == Grantee::User(self.owner);
        let usual = if is_owner { Rights::ALL } else { Rights::NONE };
        let had = self.entry(grantee, negative);
        let had = had.map_or(usual, |entry| entry.rights);
        let mut rights = match mode {
            RightsMode::Replace => rights,
            RightsMode::Add => had | rights,
            RightsMode::Remove => had - rights,
        };
        if is_owner {
            rights |= Rights::OWNERS;
        }
        let is_it = |it: &AclEntry| (it.grantee, it.negative) == (grantee, negative);
        if rights == usual {
            self.entries.retain(|entry| !is_it(entry));
        } else if let Some(entry) = self.entries.iter_mut().find(|entry| is_it(entry)) {
            entry.rights = rights;
        } else {
            self.entries.push(AclEntry {
                grantee,
                negative,
                rights,
            });
        }
    }

    /// Who of others may look the mailbox up by one of two lists, if what they see of it changes
    /// from one to the other.
    pub fn whose_sight_changes(&self, after: &Self) -> Audience {
        self.audience(after, |before, after| {
            (before | after).contains(Rights::LOOKUP)
                && before & Rights::SIGHT != after & Rights::SIGHT
        })
    }

    /// Which others have all of these rights.
    pub fn who_has(&self, rights: Rights) -> Audience {
        self.audience(self, |has, _| has.contains(rights))
    }

    /// Those of others for whom something holds of their rights by two lists.
    fn audience(&self, after: &Self, holds: impl Fn(Rights, Rights) -> bool) -> Audience {
        let hears = |user| holds(self.rights_of(user), after.rights_of(user));
        let named = self.entries.iter().chain(&after.entries);
        let named = named.filter_map(|entry| match entry.grantee {
            Grantee::User(user) => Some(user),
            Grantee::Anyone => None,
        });
        let mut named: Vec<UserId> = named.chain([self.owner]).collect();
        named.sort_unstable();
        named.dedup();
        let others = named.iter().copied().filter(|user| *user != self.owner);
        Audience {
            users: others.filter(|user| hears(*user)).collect(),
            // What somebody has of whom nothing is said.
            others: hears(UserId(0)).then(|| named.into()),
        }
    }

    /// Whom it gives any rights, its owner but for.
    pub fn grantees(&self) -> impl Iterator<Item = Grantee> {
        let gives =
            |entry: &&AclEntry| !entry.negative && entry.grantee != Grantee::User(self.owner);
        self.entries.iter().filter(gives).map(|entry| entry.grantee)
    }
}

/// An identifier as a client writes it, without the dash of a negative one (RFC 4314 §2), and
/// whether it had that.
pub fn split_identifier(identifier: &str) -> (&str, bool) {
    match identifier.strip_prefix('-') {
        Some(rest) => (rest, true),
        None => (identifier, false),
    }
}

/// Whether it is `anyone`, in any case of its letters.
pub fn is_anyone(identifier: &str) -> bool {
    identifier.eq_ignore_ascii_case("anyone")
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: UserId = UserId(1);
    const FRED: UserId = UserId(2);

    fn rights(letters: &str) -> Rights {
        Rights::parse(letters.as_bytes()).expect("rights")
    }

    fn acl(entries: &[(Grantee, bool, &str)]) -> Acl {
        let mut acl = Acl {
            owner: OWNER,
            entries: vec![],
        };
        for &(grantee, negative, letters) in entries {
            acl.set((grantee, negative), RightsMode::Replace, rights(letters));
        }
        acl
    }

    #[test]
    fn virtual_rights_stand_for_what_they_are_made_of() {
        assert_eq!(rights("lrswida").to_string(), "lrswiteda");
        assert_eq!(rights("c").to_string(), "kxc");
        assert_eq!(rights("k").to_string(), "kc");
        assert_eq!(rights("e").to_string(), "ed");
        assert_eq!(rights("").to_string(), "");
        assert_eq!(Rights::ALL.to_string(), "lrswipkxtecda");
        assert_eq!(Rights::parse(b"lrQ"), Err(b'Q'));
        assert_eq!(Rights::parse(b"q0"), Err(b'q'));
    }

    #[test]
    fn rights_are_given_and_taken_away() {
        let (anyone, fred) = (Grantee::Anyone, Grantee::User(FRED));
        let acl = acl(&[
            (anyone, false, "lrs"),
            (fred, false, "wi"),
            (fred, true, "rw"),
        ]);
        assert_eq!(acl.rights_of(FRED), rights("lsi"));
        assert_eq!(acl.rights_of(UserId(3)), rights("lrs"));
        assert_eq!(acl.rights_of(OWNER), Rights::ALL);
    }

    #[test]
    fn who_may_not_look_a_mailbox_up_hears_nothing_of_it() {
        let (anyone, fred) = (Grantee::Anyone, Grantee::User(FRED));
        let (none, all) = (acl(&[]), Some([OWNER, FRED].into()));
        // `r` alone shows nobody that it is there.
        let read = acl(&[(fred, false, "r")]);
        assert!(none.whose_sight_changes(&read).is_empty());
        assert!(read.who_has(Rights::LOOKUP).is_empty());
        let seen = acl(&[(fred, false, "lr")]);
        assert_eq!(seen.who_has(Rights::LOOKUP).users, [FRED]);
        assert_eq!(seen.whose_sight_changes(&read).users, [FRED]);
        // Who is kept from it hears nothing of what all others hear.
        let kept = acl(&[(anyone, false, "lr"), (fred, true, "l")]);
        let heard = kept.who_has(Rights::LOOKUP);
        assert_eq!((heard.users, heard.others), (vec![], all.clone()));
        // Who has one right as anyone and the other by name has both.
        let both = acl(&[(anyone, false, "l"), (fred, false, "r")]);
        let heard = both.who_has(Rights::SIGHT);
        assert_eq!((heard.users, heard.others), (vec![FRED], None));
        let heard = kept.whose_sight_changes(&both);
        assert_eq!((heard.users, heard.others), (vec![FRED], all));
    }

    #[test]
    fn an_owner_keeps_the_list() {
        let owner = Grantee::User(OWNER);
        let mut acl = acl(&[(owner, false, ""), (Grantee::Anyone, true, "la")]);
        assert_eq!(acl.rights_of(OWNER), rights("la"));
        assert_eq!(acl.rights_of(FRED), Rights::NONE);
        acl.set((owner, false), RightsMode::Add, rights("r"));
        assert_eq!(acl.rights_of(OWNER), rights("lra"));
        acl.set((owner, false), RightsMode::Replace, Rights::ALL);
        assert_eq!(acl.entries.len(), 1, "as it was without an entry");
        assert_eq!(acl.grantees().count(), 0);
    }

    #[test]
    fn flags_are_replaced_as_far_as_they_may_be() {
        let flags = |bits: &[SystemFlag], words: &[&str]| {
            let bits = bits.iter().fold(0, |bits, flag| bits | *flag as u8);
            Flags::new(bits, words.iter().map(|word| (*word).into()))
        };
        use SystemFlag::{Answered, Deleted, Draft, Seen};
        let old = flags(&[Seen, Deleted, Answered], &["a"]);
        let new = flags(&[Draft], &["b"]);
        assert_eq!(
            rights("s").replaced(&old, &new),
            flags(&[Deleted, Answered], &["a"])
        );
        assert_eq!(
            rights("w").replaced(&old, &new),
            flags(&[Seen, Deleted, Draft], &["b"])
        );
        assert_eq!(rights("swt").replaced(&old, &new), new);
        assert_eq!(rights("r").replaced(&old, &new), old);
        assert_eq!(rights("t").changeable(&old), flags(&[Deleted], &[]));
    }
}
