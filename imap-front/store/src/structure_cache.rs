//! The structures of messages that were asked for lately, so that a message is read and parsed
//! once, not at each FETCH. A body never changes, and its number is never another's while the
//! database is open. One that was opened again after a failure may lack bodies that were seen
//! before, and give their numbers to others: a body is known by its generation, too.

use std::sync::Arc;

use bytes::Bytes;
use mail::mime::Structure;
use quick_cache::Weighter;

use crate::Error;
use crate::bounded_cache::{BoundedCache, bounded_cache};

/// Memory for structures, in bytes.
const BYTES_MAX: u64 = 32 << 20;
/// What an entry takes besides its structure.
const ENTRY_BYTES: usize = 64;
/// A guess, for the size of tables.
const ENTRIES: usize = 4096;

/// The generation of the database ([`crate::kv::Kv::generation`]), and a body's number.
pub(crate) type BodyOf = (u64, u64);

/// A bounded cache.
pub(crate) struct StructureCache {
    cache: BoundedCache<BodyOf, Kept, Bytewise>,
}

#[derive(Clone)]
struct Kept {
    structure: Arc<Structure>,
    bytes: usize,
}

#[derive(Clone)]
struct Bytewise;

impl Weighter<BodyOf, Kept> for Bytewise {
    fn weight(&self, _body: &BodyOf, kept: &Kept) -> u64 {
        kept.bytes as u64
    }
}

impl StructureCache {
    pub fn new() -> Self {
        Self::with_bytes(BYTES_MAX)
    }

    fn with_bytes(bytes_max: u64) -> Self {
        Self {
            cache: bounded_cache(ENTRIES, bytes_max, Bytewise),
        }
    }

    /// What all of them take, in bytes.
    pub fn bytes(&self) -> u64 {
        self.cache.weight()
    }

    /// The structure of a body. `read` gives the body if it must be parsed; whoever wants the same
    /// structure meanwhile waits for it.
    ///
    /// # Errors
    /// Those of `read`; then nothing is kept.
    pub fn get(
        &self,
        body: BodyOf,
        read: impl FnOnce() -> Result<Bytes, Error>,
    ) -> Result<Arc<Structure>, Error> {
        let kept = self.cache.get_or_insert_with(&body, || {
            let structure = Structure::parse(&read()?);
            let bytes = structure.memory_bytes() + ENTRY_BYTES;
            Ok::<Kept, Error>(Kept {
                structure: Arc::new(structure),
                bytes,
            })
        })?;
        Ok(kept.structure)
    }

    /// The structure of a body, if it is here.
    pub fn known(&self, body: BodyOf) -> Option<Arc<Structure>> {
        self.cache.get(&body).map(|kept| kept.structure)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    const MESSAGE: &[u8] = b"Subject: one\r\n\r\nbody\r\n";

    #[test]
    fn a_message_is_read_once() {
        let structures = StructureCache::new();
        let reads = Cell::new(0);
        let read = || {
            reads.set(reads.get() + 1);
            Ok(Bytes::from_static(MESSAGE))
        };
        for _ in 0..3 {
            let structure = structures.get((0, 7), read).expect("it reads");
            assert_eq!(structure.envelope.subject.as_deref(), Some(&b"one"[..]));
        }
        assert_eq!(reads.get(), 1);
        assert!(structures.known((0, 7)).is_some() && structures.known((0, 8)).is_none());
        structures.get((0, 8), read).expect("it reads");
        assert_eq!(reads.get(), 2);
        // After the database was opened again it may be another's number.
        assert!(structures.known((1, 7)).is_none());
    }

    #[test]
    fn the_same_work_at_the_same_time_is_done_once() {
        let structures = StructureCache::new();
        let (reads, barrier) = (AtomicU32::new(0), Barrier::new(8));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    barrier.wait();
                    let read = || {
                        reads.fetch_add(1, Ordering::Relaxed);
                        Ok(Bytes::from_static(MESSAGE))
                    };
                    structures.get((0, 7), read).expect("it reads");
                });
            }
        });
        assert_eq!(reads.into_inner(), 1);
    }

    #[test]
    fn what_can_not_be_read_is_asked_for_again() {
        let structures = StructureCache::new();
        let damaged = || {
            Err(Error::Damaged {
                space: "bodies",
                what: "missing",
            })
        };
        assert!(structures.get((0, 7), damaged).is_err());
        assert!(
            structures
                .get((0, 7), || Ok(Bytes::from_static(MESSAGE)))
                .is_ok()
        );
        assert!(structures.get((0, 7), damaged).is_ok());
    }

    #[test]
    fn memory_is_bounded() {
        let bytes_max = 64 * 1024;
        let structures = StructureCache::with_bytes(bytes_max);
        for body in 0..10_000 {
            let read = || Ok(Bytes::from_static(MESSAGE));
            structures.get((0, body), read).expect("it reads");
        }
        assert!(structures.cache.weight() <= bytes_max);
        assert!(structures.cache.len() > 10);
    }
}
