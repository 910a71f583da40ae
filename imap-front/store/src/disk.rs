//! Rows in fjall, and the commit counter that makes a lost tail visible.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use fjall::{
    Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, PersistMode, Readable, Snapshot,
};

use crate::kv::{Kv, Space, Visit};
use crate::logic::keys;
use crate::rows::u64_row;
use crate::{Error, Options};

/// The counter's row in [`Space::Meta`]: the number of the commit that wrote it.
const COMMITS: &[u8] = b"commits";
/// Journals are written out to tables before they take more than this.
const JOURNAL_BYTES_MAX: u64 = 256 << 20;

/// The database.
pub(crate) struct Disk {
    database: Database,
    spaces: Vec<Keyspace>,
    folder: PathBuf,
}

impl Disk {
    pub fn open(folder: &Path, options: &Options) -> fjall::Result<Self> {
        let database = Database::builder(folder)
            .cache_size(options.cache_bytes)
            .max_journaling_size(JOURNAL_BYTES_MAX)
            .worker_threads(1)
            .open()?;
        let memtable_bytes = options.write_buffer_bytes / 4;
        let spaces = Space::ALL
            .into_iter()
            .map(|space| {
                database.keyspace(space.name(), || {
                    let separation = (space == Space::Bodies).then(KvSeparationOptions::default);
                    KeyspaceCreateOptions::default()
                        .max_memtable_size(memtable_bytes)
                        .with_kv_separation(separation)
                })
            })
            .collect::<fjall::Result<Vec<_>>>()?;
        Ok(Self {
            database,
            spaces,
            folder: folder.to_owned(),
        })
    }

    fn space(&self, space: Space) -> &Keyspace {
        &self.spaces[space as usize]
    }

    /// A consistent view of what is committed.
    pub fn view(&self) -> View<'_> {
        View {
            disk: self,
            snapshot: self.database.snapshot(),
        }
    }

    /// Commits changes as one atomic, durable batch with the next number of the counter.
    pub fn commit(
        &self,
        changes: BTreeMap<(Space, Vec<u8>), Option<Bytes>>,
        number: u64,
    ) -> fjall::Result<()> {
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncAll));
        for ((space, key), value) in changes {
            match value {
                Some(value) => batch.insert(self.space(space), key, &value[..]),
                None => batch.remove(self.space(space), key),
            }
        }
        batch.insert(self.space(Space::Meta), COMMITS, keys::number(number));
        batch.commit()
    }

    /// The number of the last commit that is there.
    pub fn commits(&self) -> Result<u64, Error> {
        match self.view().get(Space::Meta, COMMITS)? {
            Some(row) => u64_row(&row),
            None => Ok(0),
        }
    }

    /// Free bytes on the disk.
    pub fn free_bytes(&self) -> u64 {
        match rustix::fs::statvfs(&self.folder) {
            Ok(stat) => stat.f_bavail * stat.f_frsize,
            // Not knowing is no reason to refuse mail; a full disk will fail the commit.
            Err(_) => u64::MAX,
        }
    }
}

/// A consistent view.
pub(crate) struct View<'a> {
    disk: &'a Disk,
    snapshot: Snapshot,
}

impl Kv for View<'_> {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, Error> {
        let value = self.snapshot.get(self.disk.space(space), key)?;
        // Copied, so that a small value doesn't keep the block it came from.
        Ok(value.map(|value| Bytes::copy_from_slice(&value)))
    }

    fn scan(
        &self,
        space: Space,
        from: &[u8],
        to: &[u8],
        reverse: bool,
        visit: Visit<'_>,
    ) -> Result<(), Error> {
        if from >= to {
            return Ok(());
        }
        let mut rows = self.snapshot.range(self.disk.space(space), from..to);
        loop {
            let row = if reverse {
                rows.next_back()
            } else {
                rows.next()
            };
            let Some(row) = row else { return Ok(()) };
            let (key, value) = row.into_inner()?;
            if let ControlFlow::Break(()) = visit(&key, &value) {
                return Ok(());
            }
        }
    }
}
