//! What of messages FETCH asks for.

/// FETCH data items (RFC 3501 §6.4.5, RFC 7162 §3.1.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchItem {
    /// `BODY` without a section: BODYSTRUCTURE without extension data.
    Body,
    /// `BODYSTRUCTURE`
    BodyStructure,
    /// `ENVELOPE`
    Envelope,
    /// `FLAGS`
    Flags,
    /// `INTERNALDATE`
    InternalDate,
    /// `UID`
    Uid,
    /// `EMAILID` (RFC 8474 §5.1)
    EmailId,
    /// `THREADID` (RFC 8474 §5.2)
    ThreadId,
    /// `SAVEDATE` (RFC 8514 §4.2)
    SaveDate,
    /// `PREVIEW` (RFC 8970 §3), lazily or not: it always is there.
    Preview,
    /// `MODSEQ`
    ModSeq,
    /// `RFC822.SIZE`
    Rfc822Size,
    /// `RFC822`: as `BODY[]` under its old name.
    Rfc822,
    /// `RFC822.HEADER`: as `BODY.PEEK[HEADER]` under its old name.
    Rfc822Header,
    /// `RFC822.TEXT`: as `BODY[TEXT]` under its old name.
    Rfc822Text,
    /// `XSENDER`: who submitted the message, as far as that is known for certain.
    Sender,
    /// An item of RFC 1730 that is a section under another name: `RFC822.TEXT.PEEK`, or what
    /// PARTIAL asks for.
    Obsolete {
        /// The item's name in the response.
        name: Box<str>,
        /// Part numbers and what of the part.
        section: Section,
        /// Whether `\Seen` stays as it is.
        peek: bool,
        /// First byte and count.
        partial: Option<(u32, u32)>,
    },
    /// `BODY[section]<partial>`
    Section {
        /// Part numbers and what of the part.
        section: Section,
        /// `BODY.PEEK`
        peek: bool,
        /// First byte and count.
        partial: Option<(u32, u32)>,
    },
    /// `BINARY[part]<partial>`: a part without its transfer encoding (RFC 3516 §4.2).
    Binary {
        /// Which.
        part: PartNumbers,
        /// `BINARY.PEEK`
        peek: bool,
        /// First octet and count.
        partial: Option<(u32, u32)>,
    },
    /// `BINARY.SIZE[part]`
    BinarySize(PartNumbers),
}

/// A part of a message, by its numbers; the message itself without any (RFC 3516 §7
/// `section-binary`).
pub type PartNumbers = Vec<u32>;

/// A section specification (RFC 3501 §6.4.5).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Section {
    /// Part numbers, none for the message itself.
    pub part: Vec<u32>,
    /// What of it.
    pub text: SectionText,
}

/// What of a part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SectionText {
    /// All of it: `BODY[]`, `BODY[1.2]`.
    #[default]
    Whole,
    /// `HEADER`
    Header,
    /// `HEADER.FIELDS (…)`: names as the client wrote them.
    HeaderFields(Vec<Box<str>>),
    /// `HEADER.FIELDS.NOT (…)`
    HeaderFieldsNot(Vec<Box<str>>),
    /// `TEXT`
    Text,
    /// `MIME`, with part numbers only.
    Mime,
}
