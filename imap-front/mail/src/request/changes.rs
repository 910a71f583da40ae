//! How messages are changed and copied.

use crate::{Flags, ModSeq, Rights};

/// What STORE does to the flags of a message (RFC 3501 §6.4.6).
#[derive(Clone, Debug)]
pub struct FlagChange {
    /// Add, remove or replace.
    pub mode: StoreMode,
    /// The flags.
    pub flags: Flags,
    /// RFC 7162 §3.1.3 UNCHANGEDSINCE: messages with a higher mod-sequence are left alone.
    pub unchanged_since: Option<ModSeq>,
}

/// How STORE changes flags (RFC 3501 §6.4.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreMode {
    /// `+FLAGS`
    Add,
    /// `-FLAGS`
    Remove,
    /// `FLAGS`
    Replace,
    /// `FLAGS`, by somebody who may change some of them only.
    ReplaceSome(Rights),
}

/// What [`crate::Request::Copy`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyHow {
    /// COPY; messages that are gone and not kept any more are left out (RFC 3501 §6.4.8).
    Copy,
    /// COPY, refused with `NoMessage` if one of the view is not known any more (RFC 2180 §4.4).
    Whole,
    /// MOVE; messages that are gone are left out.
    Move,
}
