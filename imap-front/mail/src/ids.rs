//! Identifiers. Each is a newtype, so that a UID can't be passed where a MODSEQ is meant.

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// A user, as the store numbers them: given at the first login or delivery, never reused.
    UserId(u64)
);
id!(
    /// A mailbox in its store, as long as it exists: survives RENAME, never reused after DELETE.
    /// The engine's topic id is this number.
    MailboxId(u64)
);
id!(
    /// What clients know a mailbox by, on whatever host it is (RFC 8474 §4).
    ObjectId(u64)
);
id!(
    /// Unique identifier of a message in its mailbox, 1..=2^32-1 (RFC 3501 §2.3.1.1).
    Uid(u32)
);
id!(
    /// Unique identifier validity value (RFC 3501 §2.3.1.1).
    UidValidity(u32)
);
id!(
    /// Mod-sequence, 63 bits, per mailbox and gapless here: every committed operation on a mailbox
    /// adds exactly one (RFC 7162 §3.1.1). A new mailbox starts at 1.
    ModSeq(u64)
);
id!(
    /// A message's content: its copies have the same, wherever they are, and no other message ever
    /// has it (RFC 8474 §5.1).
    EmailId(u64)
);
id!(
    /// What messages have in common that answer the same one, or each other (RFC 8474 §5.2): a hash
    /// of the Message-ID that the first of them has.
    ThreadId(u64)
);
id!(
    /// A message body being uploaded in pieces before it is appended or discarded.
    SpoolId(u64)
);
