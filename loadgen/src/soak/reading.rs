//! What a server says, read by imap-codec: a strict parser of somebody else's.

use imap_codec::decode::{Decoder, GreetingDecodeError, ResponseDecodeError};
use imap_codec::imap_types::core::NString;
use imap_codec::imap_types::fetch::MessageDataItem;
use imap_codec::imap_types::flag::{Flag, FlagFetch};
use imap_codec::imap_types::response::{
    Bye, Code, Data, Greeting, GreetingKind, Response, Status as Reply, StatusBody, StatusKind,
};
use imap_codec::imap_types::status::StatusDataItem;
use imap_codec::{GreetingCodec, ResponseCodec};

use super::command::id_of;
use super::faults::{Kind, Wrong};
use super::view::{ANSWERED, DELETED, DRAFT, FLAGGED, FLAGS, KEYWORD, SEEN};

/// Longest response; a server that sends longer ones to these commands is at fault.
const RESPONSE_BYTES_MAX: usize = 256 * 1024;

/// What `* STATUS` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// `MESSAGES`
    pub messages: Option<u32>,
    /// `UNSEEN`
    pub unseen: Option<u32>,
    /// `UIDNEXT`
    pub uid_next: Option<u32>,
    /// `UIDVALIDITY`
    pub uid_validity: Option<u32>,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandResult {
    /// `OK`
    Ok,
    /// `NO [EXPUNGEISSUED]`: what it asked for is gone (RFC 2180 §4.1).
    Gone,
    /// `NO` or `BAD`.
    Refused,
}

/// One response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// The greeting, and whether the server is at service.
    Greeting(bool),
    /// `* n EXISTS`
    Exists(u32),
    /// `* n EXPUNGE`
    Expunge(u32),
    /// `* n FETCH`
    Fetch {
        /// Its number.
        number: u32,
        /// `UID`
        uid: Option<u32>,
        /// `FLAGS`
        flags: Option<u8>,
        /// The number in its Message-ID; 0 if it has none of ours.
        id: Option<u64>,
    },
    /// `* SEARCH`
    Search(Vec<u32>),
    /// `* STATUS`
    Status(Status),
    /// `* OK [UIDVALIDITY n]`
    UidValidity(u32),
    /// `* OK [UIDNEXT n]`
    UidNext(u32),
    /// `+`
    Continue,
    /// A tagged reply.
    Tagged {
        /// The number of the tag `tN`; 0 for another tag.
        tag: u32,
        /// How.
        answer: CommandResult,
        /// `[APPENDUID validity uid]`
        appended: Option<(u32, u32)>,
        /// The line, for the reader of a fault.
        text: String,
    },
    /// `* BYE`, with what follows.
    Bye(String),
    /// What says nothing about mailboxes.
    Other,
}

/// Reads the first response of `input`; gives how long it is. None if it is not complete.
///
/// # Errors
/// If it is no response, or too long.
pub fn read(input: &[u8], greeting: bool) -> Result<Option<(usize, Said)>, Wrong> {
    let read = if greeting {
        match GreetingCodec::new().decode(input) {
            Ok((rest, greeting)) => Ok((rest, greeted(&greeting))),
            Err(GreetingDecodeError::Incomplete) => Err(true),
            Err(GreetingDecodeError::Failed) => Err(false),
        }
    } else {
        match ResponseCodec::new().decode(input) {
            Ok((rest, response)) => Ok((rest, said(response))),
            Err(ResponseDecodeError::Incomplete | ResponseDecodeError::LiteralFound { .. }) => {
                Err(true)
            }
            Err(_) => Err(false),
        }
    };
    match read {
        Ok((rest, said)) => Ok(Some((input.len() - rest.len(), said))),
        Err(true) if input.len() <= RESPONSE_BYTES_MAX => Ok(None),
        Err(_) => {
            let line = input.split(|&b| b == b'\r').next().unwrap_or(input);
            let line = &line[..line.len().min(200)];
            let text = format!("no response of IMAP: {}", line.escape_ascii());
            Err(Wrong::new(Kind::Syntax, text))
        }
    }
}

fn greeted(greeting: &Greeting<'_>) -> Said {
    Said::Greeting(greeting.kind == GreetingKind::Ok)
}

fn said(response: Response<'_>) -> Said {
    match response {
        Response::CommandContinuationRequest(_) => Said::Continue,
        Response::Data(data) => data_said(data),
        Response::Status(Reply::Bye(Bye { text, .. })) => Said::Bye(text.to_string()),
        Response::Status(Reply::Untagged(StatusBody { code, .. })) => match code {
            Some(Code::UidValidity(number)) => Said::UidValidity(number.get()),
            Some(Code::UidNext(number)) => Said::UidNext(number.get()),
            _ => Said::Other,
        },
        Response::Status(Reply::Tagged(tagged)) => {
            let StatusBody { kind, code, text } = tagged.body;
            let tag = tagged.tag.as_ref().strip_prefix('t');
            let gone = code
                .as_ref()
                .is_some_and(|code| format!("{code:?}").contains("EXPUNGEISSUED"));
            let appended = match &code {
                Some(Code::AppendUid { uid_validity, uid }) => {
                    Some((uid_validity.get(), uid.get()))
                }
                _ => None,
            };
            Said::Tagged {
                tag: tag.and_then(|tag| tag.parse().ok()).unwrap_or(0),
                answer: match kind {
                    StatusKind::Ok => CommandResult::Ok,
                    StatusKind::No if gone => CommandResult::Gone,
                    StatusKind::No | StatusKind::Bad => CommandResult::Refused,
                },
                appended,
                text: format!("{kind:?} {text}"),
            }
        }
    }
}

fn data_said(data: Data<'_>) -> Said {
    match data {
        Data::Exists(count) => Said::Exists(count),
        Data::Expunge(number) => Said::Expunge(number.get()),
        Data::Search(found, _) => Said::Search(found.into_iter().map(u32::from).collect()),
        Data::Status { items, .. } => {
            let mut status = Status::default();
            for item in items.iter() {
                match item {
                    StatusDataItem::Messages(count) => status.messages = Some(*count),
                    StatusDataItem::Unseen(count) => status.unseen = Some(*count),
                    StatusDataItem::UidNext(uid) => status.uid_next = Some(uid.get()),
                    StatusDataItem::UidValidity(uid) => status.uid_validity = Some(uid.get()),
                    _ => {}
                }
            }
            Said::Status(status)
        }
        Data::Fetch { seq, items } => {
            let (mut uid, mut flags, mut id) = (None, None, None);
            for item in items {
                match item {
                    MessageDataItem::Uid(number) => uid = Some(number.get()),
                    MessageDataItem::Flags(list) => flags = Some(bits(&list)),
                    MessageDataItem::BodyExt { data, .. } => id = Some(named(&data)),
                    _ => {}
                }
            }
            Said::Fetch {
                number: seq.get(),
                uid,
                flags,
                id,
            }
        }
        _ => Said::Other,
    }
}

fn bits(list: &[FlagFetch<'_>]) -> u8 {
    let keyword = FLAGS.iter().find(|(flag, _)| *flag == KEYWORD);
    let bit = |flag: &FlagFetch<'_>| match flag {
        FlagFetch::Flag(Flag::Seen) => SEEN,
        FlagFetch::Flag(Flag::Flagged) => FLAGGED,
        FlagFetch::Flag(Flag::Answered) => ANSWERED,
        FlagFetch::Flag(Flag::Draft) => DRAFT,
        FlagFetch::Flag(Flag::Deleted) => DELETED,
        FlagFetch::Flag(flag) if keyword.is_some_and(|(_, name)| flag.to_string() == *name) => {
            KEYWORD
        }
        FlagFetch::Flag(_) | FlagFetch::Recent => 0,
    };
    list.iter().map(bit).fold(0, |all, flag| all | flag)
}

fn named(data: &NString<'_>) -> u64 {
    let header = data.0.as_ref().map(AsRef::as_ref);
    header.and_then(id_of).unwrap_or(0)
}
