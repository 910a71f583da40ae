//! How many files the process may have open, and who may have how many of them.
//!
//! Connections of IMAP and ENP lie in the rings' own tables, so they take none of these. What is
//! left to run out is what LMTP takes, one a connection; its limit is what remains once the store
//! and everything else has its part.

use std::fmt;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Fewer than these are no limit to work under.
const FILES_MIN: u64 = 256;
/// More are of no use, and the kernel allocates tables by this number.
const FILES_MAX: u64 = 1 << 20;
/// Files of tables that the store keeps open, at least and at most.
const TABLES: (u64, u64) = (64, 900);
/// What else the store opens: journals, and tables that are being written.
const STORE_OTHERS: u64 = 64;
/// Log, user directory, listeners, plug-ins' connections, whatever libraries open.
const REST: u64 = 64;
/// Listeners, eventfds and the like, besides the rings.
const REST_A_SHARD: u64 = 8;

/// The process may have too few files open.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this process may have {0} files open, and needs {FILES_MIN} or more; raise the hard limit \
     (ulimit -Hn, or LimitNOFILE= of the unit)"
)]
pub struct TooFewFiles(u64);

/// Who may have how many files open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptors {
    /// The soft limit as it was.
    before: u64,
    /// All files.
    limit: u64,
    /// Files of tables that the store keeps open.
    pub tables: usize,
    /// Kept back for everything but LMTP's connections, the store's tables included.
    kept: u64,
}

impl Descriptors {
    /// Raises the process's soft limit to the hard one, and divides what there is among so many
    /// shards, each with rings for so many connections, and the rest.
    ///
    /// # Errors
    /// If there are too few to work with.
    pub fn raise(shards: u16, connections: usize) -> Result<Self, TooFewFiles> {
        let limits = getrlimit(Resource::Nofile);
        let before = limits.current.unwrap_or(u64::MAX);
        let wanted = limits.maximum.unwrap_or(u64::MAX).min(FILES_MAX);
        if wanted > before {
            let raised = Rlimit {
                current: Some(wanted),
                maximum: limits.maximum,
            };
            if let Err(cause) = setrlimit(Resource::Nofile, raised) {
                tracing::warn!("the limit of open files stays at {before}: {cause}");
            }
        }
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        // The lower the limit, the more rings they need.
        let rings = reactor::uring::Options::for_connections(connections).rings;
        Self::divide(before, limit, u64::from(shards), rings as u64)
    }

    fn divide(before: u64, limit: u64, shards: u64, rings: u64) -> Result<Self, TooFewFiles> {
        if limit < FILES_MIN {
            return Err(TooFewFiles(limit));
        }
        let tables = (limit / 4).clamp(TABLES.0, TABLES.1);
        let rest = REST + shards * (REST_A_SHARD + rings);
        // However many shards there are, something is left for deliveries.
        let kept = (tables + STORE_OTHERS + rest).min(limit - limit / 8);
        Ok(Self {
            before,
            limit,
            tables: tables as usize,
            kept,
        })
    }

    /// How many connections LMTP may have, at most as many as are configured.
    pub fn lmtp_connections(&self, configured: usize) -> usize {
        let left = usize::try_from(self.limit - self.kept).unwrap_or(usize::MAX);
        configured.min(left)
    }
}

impl fmt::Display for Descriptors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} files may be open", self.limit)?;
        if self.limit != self.before {
            write!(f, " (raised from {})", self.before)?;
        }
        write!(f, ", of which {} are kept back for the store", self.kept)?;
        write!(f, " and the rest, {} for LMTP", self.limit - self.kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_has_its_part_under_every_limit() {
        for shards in [1, 2, 64] {
            for limit in [256, 257, 1024, 4096, 1 << 20] {
                let parts = Descriptors::divide(100, limit, shards, 1).expect("enough");
                let lmtp = parts.lmtp_connections(usize::MAX) as u64;
                assert!(lmtp >= 32 && lmtp + parts.kept == limit, "{parts:?}");
                assert!((parts.tables as u64) < parts.kept, "{parts:?}");
            }
        }
        let parts = Descriptors::divide(1024, 4096, 2, 3).expect("enough");
        assert_eq!(parts.lmtp_connections(1000), 1000);
        assert_eq!(
            parts.to_string(),
            "4096 files may be open (raised from 1024), of which 1050 are kept back for the store \
             and the rest, 3046 for LMTP"
        );
    }

    #[test]
    fn too_few_are_refused_with_what_to_do() {
        let error = Descriptors::divide(100, 100, 1, 1).expect_err("too few");
        assert!(error.to_string().contains("LimitNOFILE"), "{error}");
    }

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let parts = Descriptors::raise(2, 1000).expect("enough");
        let limits = getrlimit(Resource::Nofile);
        let hard = limits.maximum.unwrap_or(u64::MAX).min(FILES_MAX);
        assert!(limits.current.unwrap_or(u64::MAX) >= hard, "{parts:?}");
    }
}
