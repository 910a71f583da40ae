//! How commands ended, by name: counted by the sessions of one shard, read from anywhere.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::ast::Command;

/// What a command is called; one that is given by UID is called as without. EXAMINE is SELECT, and
/// DELETEACL is SETACL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum CommandName {
    /// APPEND
    Append,
    /// AUTHENTICATE
    Authenticate,
    /// CANCELUPDATE
    CancelUpdate,
    /// CAPABILITY
    Capability,
    /// CHECK
    Check,
    /// CLOSE
    Close,
    /// COMPRESS
    Compress,
    /// COPY
    Copy,
    /// CREATE
    Create,
    /// DELETE
    Delete,
    /// ENABLE
    Enable,
    /// ESEARCH
    Esearch,
    /// EXPUNGE
    Expunge,
    /// FETCH
    Fetch,
    /// FIND
    Find,
    /// GENURLAUTH
    GenUrlAuth,
    /// GETACL
    GetAcl,
    /// GETANNOTATION
    GetAnnotation,
    /// GETMETADATA
    GetMetadata,
    /// GETQUOTA
    GetQuota,
    /// GETQUOTAROOT
    GetQuotaRoot,
    /// ID
    Id,
    /// IDLE
    Idle,
    /// LANGUAGE
    Language,
    /// LIST
    List,
    /// LISTRIGHTS
    ListRights,
    /// LOGIN
    Login,
    /// LOGOUT
    Logout,
    /// LSUB
    Lsub,
    /// XMAILBOXINFO
    MailboxInfo,
    /// MOVE
    Move,
    /// MYRIGHTS
    MyRights,
    /// NAMESPACE
    Namespace,
    /// NETSCAPE
    Netscape,
    /// NOOP
    Noop,
    /// NOTIFY
    Notify,
    /// RENAME
    Rename,
    /// REPLACE
    Replace,
    /// RESETKEY
    ResetKey,
    /// SEARCH
    Search,
    /// SELECT
    Select,
    /// XSERVERINFO
    ServerInfo,
    /// SETACL
    SetAcl,
    /// SETANNOTATION
    SetAnnotation,
    /// SETMETADATA
    SetMetadata,
    /// SETQUOTA
    SetQuota,
    /// SORT
    Sort,
    /// STARTTLS
    StartTls,
    /// STATUS
    Status,
    /// STORE
    Store,
    /// SUBSCRIBE
    Subscribe,
    /// THREAD
    Thread,
    /// UNAUTHENTICATE
    Unauthenticate,
    /// Nothing that is known, or not written as it should be.
    Unknown,
    /// UNSELECT
    Unselect,
    /// UNSUBSCRIBE
    Unsubscribe,
    /// URLFETCH
    UrlFetch,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Outcome {
    /// It was done.
    Ok,
    /// It was refused.
    No,
    /// It was wrong, or came at the wrong time.
    Bad,
}

const NAMES: [(CommandName, &str); COUNT] = [
    (CommandName::Append, "append"),
    (CommandName::Authenticate, "authenticate"),
    (CommandName::CancelUpdate, "cancelupdate"),
    (CommandName::Capability, "capability"),
    (CommandName::Check, "check"),
    (CommandName::Close, "close"),
    (CommandName::Compress, "compress"),
    (CommandName::Copy, "copy"),
    (CommandName::Create, "create"),
    (CommandName::Delete, "delete"),
    (CommandName::Enable, "enable"),
    (CommandName::Esearch, "esearch"),
    (CommandName::Expunge, "expunge"),
    (CommandName::Fetch, "fetch"),
    (CommandName::Find, "find"),
    (CommandName::GenUrlAuth, "genurlauth"),
    (CommandName::GetAcl, "getacl"),
    (CommandName::GetAnnotation, "getannotation"),
    (CommandName::GetMetadata, "getmetadata"),
    (CommandName::GetQuota, "getquota"),
    (CommandName::GetQuotaRoot, "getquotaroot"),
    (CommandName::Id, "id"),
    (CommandName::Idle, "idle"),
    (CommandName::Language, "language"),
    (CommandName::List, "list"),
    (CommandName::ListRights, "listrights"),
    (CommandName::Login, "login"),
    (CommandName::Logout, "logout"),
    (CommandName::Lsub, "lsub"),
    (CommandName::MailboxInfo, "xmailboxinfo"),
    (CommandName::Move, "move"),
    (CommandName::MyRights, "myrights"),
    (CommandName::Namespace, "namespace"),
    (CommandName::Netscape, "netscape"),
    (CommandName::Noop, "noop"),
    (CommandName::Notify, "notify"),
    (CommandName::Rename, "rename"),
    (CommandName::Replace, "replace"),
    (CommandName::ResetKey, "resetkey"),
    (CommandName::Search, "search"),
    (CommandName::Select, "select"),
    (CommandName::ServerInfo, "xserverinfo"),
    (CommandName::SetAcl, "setacl"),
    (CommandName::SetAnnotation, "setannotation"),
    (CommandName::SetMetadata, "setmetadata"),
    (CommandName::SetQuota, "setquota"),
    (CommandName::Sort, "sort"),
    (CommandName::StartTls, "starttls"),
    (CommandName::Status, "status"),
    (CommandName::Store, "store"),
    (CommandName::Subscribe, "subscribe"),
    (CommandName::Thread, "thread"),
    (CommandName::Unauthenticate, "unauthenticate"),
    (CommandName::Unknown, "unknown"),
    (CommandName::Unselect, "unselect"),
    (CommandName::Unsubscribe, "unsubscribe"),
    (CommandName::UrlFetch, "urlfetch"),
];
const COUNT: usize = CommandName::UrlFetch as usize + 1;
const OUTCOMES: [(Outcome, &str); 3] = [
    (Outcome::Ok, "ok"),
    (Outcome::No, "no"),
    (Outcome::Bad, "bad"),
];

/// Commands that have ended.
#[derive(Debug)]
pub struct CommandCounts([[AtomicU64; OUTCOMES.len()]; COUNT]);

impl Default for CommandCounts {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Default::default()))
    }
}

impl CommandCounts {
    /// Each name in small letters, each outcome, and how often.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        NAMES.into_iter().flat_map(move |(name, called)| {
            OUTCOMES.into_iter().map(move |(outcome, ended)| {
                let count = self.0[name as usize][outcome as usize].load(Relaxed);
                (called, ended, count)
            })
        })
    }

    pub(super) fn count(&self, name: CommandName, outcome: Outcome) {
        self.0[name as usize][outcome as usize].fetch_add(1, Relaxed);
    }
}

impl Outcome {
    /// How a line ends its command, which is without its tag.
    pub(super) fn of(text: &str) -> Self {
        match text.as_bytes() {
            [b'O', ..] => Self::Ok,
            [b'N', ..] => Self::No,
            _ => Self::Bad,
        }
    }
}

impl CommandName {
    pub(super) fn of(command: &Command) -> Self {
        use Command as C;
        match command {
            C::Append { replaces: None, .. } => Self::Append,
            C::Append { .. } => Self::Replace,
            C::Authenticate { .. } => Self::Authenticate,
            C::CancelUpdate(_) => Self::CancelUpdate,
            C::Capability => Self::Capability,
            C::Check => Self::Check,
            C::Close => Self::Close,
            C::Compress(_) => Self::Compress,
            C::Copy { remove: false, .. } => Self::Copy,
            C::Copy { .. } => Self::Move,
            C::Create { .. } => Self::Create,
            C::Delete(_) => Self::Delete,
            C::Enable(_) => Self::Enable,
            C::Esearch(_) => Self::Esearch,
            C::Expunge(_) => Self::Expunge,
            C::Fetch { .. } => Self::Fetch,
            C::Find { .. } => Self::Find,
            C::GenUrlAuth(_) => Self::GenUrlAuth,
            C::GetAcl(_) => Self::GetAcl,
            C::GetAnnotation { .. } => Self::GetAnnotation,
            C::GetMetadata { .. } => Self::GetMetadata,
            C::GetQuota(_) => Self::GetQuota,
            C::GetQuotaRoot(_) => Self::GetQuotaRoot,
            C::Id(_) => Self::Id,
            C::Idle => Self::Idle,
            C::Language(_) => Self::Language,
            C::List(_) => Self::List,
            C::ListRights { .. } => Self::ListRights,
            C::Login { .. } => Self::Login,
            C::Logout => Self::Logout,
            C::Lsub(_) => Self::Lsub,
            C::MailboxInfo(_) => Self::MailboxInfo,
            C::MyRights(_) => Self::MyRights,
            C::Namespace => Self::Namespace,
            C::Netscape => Self::Netscape,
            C::Noop => Self::Noop,
            C::Notify(_) => Self::Notify,
            C::Rename { .. } => Self::Rename,
            C::ResetKey { .. } => Self::ResetKey,
            C::Search { .. } => Self::Search,
            C::Select { .. } => Self::Select,
            C::ServerInfo(_) => Self::ServerInfo,
            C::SetAcl { .. } => Self::SetAcl,
            C::SetAnnotation { .. } => Self::SetAnnotation,
            C::SetMetadata { .. } => Self::SetMetadata,
            C::SetQuota { .. } => Self::SetQuota,
            C::Sort { .. } => Self::Sort,
            C::StartTls => Self::StartTls,
            C::Status { .. } => Self::Status,
            C::Store { .. } => Self::Store,
            C::Subscribe(_) => Self::Subscribe,
            C::Thread { .. } => Self::Thread,
            C::Unauthenticate => Self::Unauthenticate,
            C::Unselect => Self::Unselect,
            C::Unsubscribe(_) => Self::Unsubscribe,
            C::UrlFetch(_) => Self::UrlFetch,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_has_its_place() {
        for (place, (name, called)) in NAMES.into_iter().enumerate() {
            assert_eq!(name as usize, place);
            assert!(called.bytes().all(|byte| byte.is_ascii_lowercase()));
        }
        let counts = CommandCounts::default();
        counts.count(
            CommandName::of(&Command::Noop),
            Outcome::of("NO [SERVERBUG]"),
        );
        let counted: Vec<_> = counts.all().filter(|(.., count)| *count > 0).collect();
        assert_eq!(counted, [("noop", "no", 1)]);
    }
}
