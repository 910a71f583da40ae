//! Mail facts: what sessions and the store say to each other.
//!
//! In reading order: [`ids`] (who and where), [`name`] (mailbox names), [`namespace`] (others'
//! among them), [`mailbox`], [`flags`], [`acl`] (who may do what), [`date`], [`set`] (sequence
//! sets), [`event`] (what happened to a mailbox), [`news`] (what is announced), [`watched`] (what
//! of all that a session wants to hear), [`request`] and [`reply`] (the store seam),
//! [`quota`] (what each user may have), [`metadata`], [`signed_url`] (URLAUTH), [`list`] (which
//! names a LIST gives), [`mime`] (a message's structure), `collation` (which texts are equal),
//! [`search`] (search programs and their evaluation), [`sort`] and [`thread`] (the order in which
//! SORT and THREAD give what was found).
//!
//! Invariants: no I/O, no clock, no wire syntax. The protocol machines, the durable store and its
//! in-memory model all depend on this crate and not on each other.

pub mod acl;
mod collation;
pub mod date;
pub mod event;
pub mod flags;
pub mod ids;
pub mod list;
pub mod mailbox;
pub mod metadata;
pub mod mime;
pub mod name;
pub mod namespace;
pub mod news;
pub mod quota;
pub mod reply;
pub mod request;
pub mod search;
pub mod set;
pub mod signed_url;
pub mod sort;
pub mod thread;
pub mod watched;

pub use acl::{Acl, AclEntry, Grantee, Rights, RightsMode};
pub use date::InternalDate;
pub use event::{Change, Event};
pub use flags::{Flags, SystemFlag};
pub use ids::{EmailId, MailboxId, ModSeq, ObjectId, SpoolId, ThreadId, Uid, UidValidity, UserId};
pub use mailbox::{MailboxInfo, SpecialUse};
pub use name::MailboxName;
pub use namespace::Namespaces;
pub use news::{Became, Figures, NameChange, NameChanges, News};
pub use quota::{QuotaLimits, QuotaOf, QuotaRoot};
pub use reply::{Delta, Message, Refusal, Reply};
pub use request::{Body, Request};
pub use set::{InView, SequenceSet, UidRanges, UidSet};
pub use signed_url::{AccessKey, SignedUrl, UrlToSign};
pub use watched::{Events, Scope, Watched, WatchedMailbox};
