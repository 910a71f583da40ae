//! How many files the process may have open, and how many of them the store may.
//!
//! Connections lie in the rings' own tables, so they take none of these: what is left to run out is
//! bounded by the store's tables.

use std::fmt;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Fewer than these are no limit to work under.
const FILES_MIN: u64 = 256;
/// More are of no use, and the kernel allocates tables by this number.
const FILES_MAX: u64 = 1 << 20;
/// Files of tables that the store keeps open, at least and at most.
const TABLES: (u64, u64) = (64, 900);

/// The process may have too few files open.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this process may have {0} files open, and needs {FILES_MIN} or more; raise the hard limit \
     (ulimit -Hn, or LimitNOFILE= of the unit)"
)]
pub struct TooFewFiles(u64);

/// How many files may be open, and how many of them are for the store's tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptors {
    /// The soft limit as it was.
    before: u64,
    /// All files.
    limit: u64,
    /// Files of tables that the store keeps open.
    pub tables: usize,
}

impl Descriptors {
    /// Raises the process's soft limit to the hard one, and gives the store its part.
    ///
    /// # Errors
    /// If there are too few to work with.
    pub fn raise() -> Result<Self, TooFewFiles> {
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
        Self::divide(before, limit)
    }

    fn divide(before: u64, limit: u64) -> Result<Self, TooFewFiles> {
        if limit < FILES_MIN {
            return Err(TooFewFiles(limit));
        }
        Ok(Self {
            before,
            limit,
            tables: (limit / 4).clamp(TABLES.0, TABLES.1) as usize,
        })
    }
}

impl fmt::Display for Descriptors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} files may be open", self.limit)?;
        if self.limit != self.before {
            write!(f, " (raised from {})", self.before)?;
        }
        write!(f, ", of which {} are for the store's tables", self.tables)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_has_its_part_under_every_limit() {
        for limit in [256, 257, 1024, 4096, 1 << 20] {
            let parts = Descriptors::divide(100, limit).expect("enough");
            assert!((64..=900).contains(&parts.tables), "{parts:?}");
            assert!((parts.tables as u64) <= limit / 4, "{parts:?}");
        }
        let parts = Descriptors::divide(1024, 4096).expect("enough");
        assert_eq!(
            parts.to_string(),
            "4096 files may be open (raised from 1024), of which 900 are for the store's tables"
        );
    }

    #[test]
    fn too_few_are_refused_with_what_to_do() {
        let error = Descriptors::divide(100, 100).expect_err("too few");
        assert!(error.to_string().contains("LimitNOFILE"), "{error}");
    }

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let parts = Descriptors::raise().expect("enough");
        let limits = getrlimit(Resource::Nofile);
        let hard = limits.maximum.unwrap_or(u64::MAX).min(FILES_MAX);
        assert!(limits.current.unwrap_or(u64::MAX) >= hard, "{parts:?}");
    }
}
