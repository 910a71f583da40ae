//! Limits and sizes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mail::{InternalDate, Namespaces};

use crate::Quota;
use crate::callbacks::{Directory, Timekeeper};
use crate::notification::Observer;

/// Options of a [`crate::Store`].
#[derive(Clone)]
pub struct Options {
    /// Largest message in bytes.
    pub message_bytes_max: u64,
    /// The quota of a user, by name.
    pub quota: Arc<dyn Fn(&str) -> Quota + Send + Sync>,
    /// Keywords that one mailbox may have.
    pub keywords_max: usize,
    /// Names that one user may have: mailboxes, and subscriptions to what is not there.
    pub names_max: usize,
    /// Where others' mailboxes lie among a user's names.
    pub namespaces: Namespaces,
    /// Who the users are; if there is nothing, those that the store knows, by the names it has.
    pub directory: Option<Arc<dyn Directory>>,
    /// Whether rights may be given to `anyone`.
    pub anyone: bool,
    /// Entries that a mailbox's access control list may have.
    pub acl_entries_max: usize,
    /// Mailboxes of others that LIST looks at for a user, and as many that all are let into by
    /// `anyone`; a tenth of that an owner may let one of them into.
    pub grants_max: usize,
    /// Bytes of the largest value of an entry of metadata.
    pub metadata_value_bytes_max: u64,
    /// What entries of metadata of one user may take, in bytes, about.
    pub metadata_bytes_max: u64,
    /// How the administrator is reached, a URI; may be empty.
    pub contact: String,
    /// How long what was expunged can still be read by who has it in view, in seconds.
    pub kept_s: u64,
    /// How many bytes of it are kept; with more, what went first is given up before its time.
    pub kept_bytes_max: u64,
    /// How long it is known what was expunged, in seconds.
    pub horizon_s: u64,
    /// Messages up to this size come along with a `Fetch`; larger ones are read in pieces.
    pub inline_bytes_max: u64,
    /// Memory for blocks read from disk, in bytes.
    pub cache_bytes: u64,
    /// Memory for rows not yet in tables, in bytes.
    pub write_buffer_bytes: u64,
    /// Memory for mailboxes' indexes, in bytes.
    pub index_bytes_max: usize,
    /// Mailboxes with fewer messages are looked through instead of keeping their index.
    pub index_messages_min: u32,
    /// Mailboxes with more messages are not looked through by [`crate::Store::read_at_once`].
    pub read_at_once_messages_max: u32,
    /// Messages that one operation may work on before others have their turn.
    pub slice_messages: usize,
    /// How long operations that somebody waits for may go on when the store is closed.
    pub closing_max: Duration,
    /// Files of tables that are kept open; 10 or more.
    pub files_max: usize,
    /// Free bytes on the disk below which nothing is stored.
    pub disk_free_bytes_min: u64,
    /// Operations that may wait for the writer.
    pub queue: usize,
    /// Go on without what is lost, instead of not opening a store that lost something.
    pub accept_loss: bool,
    /// How many sessions watch mailboxes that they have not selected: while there are any, what is
    /// announced has mailboxes' figures.
    pub watchers: Arc<AtomicUsize>,
    /// What a store is marked with that has no mark yet; no other store may have it. It makes the
    /// identifiers by which clients know mailboxes and messages its own (RFC 8474). Without a
    /// mark they begin at 1, as everybody's, and a backup can't be made.
    pub mark: Option<u128>,
    /// Who wants to be told what each write did.
    pub observer: Option<Arc<dyn Observer>>,
    /// Who wants to be told how long each operation took.
    pub timekeeper: Option<Timekeeper>,
    /// What time it is, for messages without a date and for UIDVALIDITY.
    pub now: Arc<dyn Fn() -> InternalDate + Send + Sync>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            message_bytes_max: 50 << 20,
            quota: Arc::new(|_| Quota::default()),
            keywords_max: 64,
            names_max: 10_000,
            namespaces: Namespaces::default(),
            directory: None,
            anyone: true,
            acl_entries_max: 64,
            grants_max: 10_000,
            metadata_value_bytes_max: 16 << 10,
            metadata_bytes_max: 1 << 20,
            contact: String::new(),
            kept_s: 3600,
            kept_bytes_max: 256 << 20,
            horizon_s: 90 * 24 * 3600,
            inline_bytes_max: 64 << 10,
            cache_bytes: 32 << 20,
            write_buffer_bytes: 32 << 20,
            index_bytes_max: 16 << 20,
            index_messages_min: 64,
            read_at_once_messages_max: 4096,
            slice_messages: 128,
            closing_max: Duration::from_secs(10),
            files_max: 900,
            disk_free_bytes_min: 64 << 20,
            queue: 16 << 10,
            accept_loss: false,
            watchers: Arc::default(),
            mark: None,
            observer: None,
            timekeeper: None,
            now: Arc::new(now),
        }
    }
}

impl Options {
    pub(crate) fn is_watched(&self) -> bool {
        self.watchers.load(Ordering::Relaxed) > 0
    }

    /// Whether something fits everywhere, and whether the limits agree with each other.
    ///
    /// # Errors
    /// Which don't, with their values.
    pub fn check(&self) -> Result<(), String> {
        let at_least = [
            ("keywords_max", self.keywords_max, 1),
            ("names_max", self.names_max, 1),
            ("acl_entries_max", self.acl_entries_max, 1),
            ("grants_max", self.grants_max, 10),
            ("slice_messages", self.slice_messages, 1),
            ("queue", self.queue, 1),
            ("files_max", self.files_max, 10),
        ];
        if let Some((name, is, min)) = at_least.iter().find(|(_, is, min)| is < min) {
            return Err(format!("{name} is {is}, and {min} is the least"));
        }
        self.namespaces.check()?;
        if self.horizon_s < self.kept_s {
            return Err(format!(
                "horizon_s of {} is less than kept_s of {}: a message could be read of which \
                 nobody knows that it was expunged",
                self.horizon_s, self.kept_s
            ));
        }
        let scanned_max = self.read_at_once_messages_max;
        if scanned_max < self.index_messages_min {
            return Err(format!(
                "read_at_once_messages_max of {scanned_max} is less than index_messages_min of \
                 {}: mailboxes between them have no index, and nobody may look them through",
                self.index_messages_min
            ));
        }
        Ok(())
    }
}

/// Now, in UTC.
fn now() -> InternalDate {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    InternalDate {
        unix_s: since.as_secs() as i64,
        zone_min: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::Options;

    #[test]
    fn limits_that_contradict_each_other_are_named() {
        assert_eq!(Options::default().check(), Ok(()));
        let refused = |change: fn(&mut Options), said: &str| {
            let mut options = Options::default();
            change(&mut options);
            let found = options.check().expect_err("refused");
            assert!(found.contains(said), "{found}");
        };
        refused(|it| it.slice_messages = 0, "slice_messages is 0");
        refused(|it| it.files_max = 9, "files_max is 9, and 10");
        refused(|it| it.horizon_s = it.kept_s - 1, "horizon_s of 3599");
        refused(|it| it.read_at_once_messages_max = 63, "_max of 63");
    }
}
