//! What was made lately of bodies that were asked for, so that a message is read and parsed once,
//! not at each FETCH. A body never changes, and its number is never another's while the database is
//! open. One that was opened again after a failure may lack bodies that were seen before, and give
//! their numbers to others: a body is known by its generation, too.

use std::sync::Arc;

use bytes::Bytes;
use mail::mime::Structure;
use quick_cache::Weighter;

use crate::Error;
use crate::bounded_cache::{BoundedCache, bounded_cache};

/// What an entry takes besides what was made.
const ENTRY_BYTES: usize = 64;
/// A guess, for the size of tables.
const ENTRIES: usize = 4096;

/// The generation of the database ([`crate::kv::Kv::generation`]), and a body's number.
pub(crate) type BodyOf = (u64, u64);

/// What can be made of a body.
pub(crate) trait OfBody: Clone + Send + Sync {
    /// Memory for those that are kept, in bytes.
    const BYTES_MAX: u64;

    /// What it takes in memory, in bytes.
    fn memory_bytes(&self) -> usize;
}

impl OfBody for Arc<Structure> {
    const BYTES_MAX: u64 = 32 << 20;

    fn memory_bytes(&self) -> usize {
        (**self).memory_bytes()
    }
}

/// A message's header; none if it is longer than what is kept ([`mail::mime::header::WHOLE_MAX`]).
#[derive(Clone)]
pub(crate) struct Header(pub Option<Bytes>);

impl OfBody for Header {
    const BYTES_MAX: u64 = 32 << 20;

    fn memory_bytes(&self) -> usize {
        self.0.as_ref().map_or(0, Bytes::len)
    }
}

/// A bounded cache.
pub(crate) struct BodyCache<T: OfBody> {
    cache: BoundedCache<BodyOf, Kept<T>, Bytewise>,
}

#[derive(Clone)]
struct Kept<T> {
    made: T,
    bytes: usize,
}

#[derive(Clone)]
struct Bytewise;

impl<T> Weighter<BodyOf, Kept<T>> for Bytewise {
    fn weight(&self, _body: &BodyOf, kept: &Kept<T>) -> u64 {
        kept.bytes as u64
    }
}

impl<T: OfBody> Default for BodyCache<T> {
    fn default() -> Self {
        Self::with_bytes(T::BYTES_MAX)
    }
}

impl<T: OfBody> BodyCache<T> {
    fn with_bytes(bytes_max: u64) -> Self {
        Self {
            cache: bounded_cache(ENTRIES, bytes_max, Bytewise),
        }
    }

    /// What all of them take, in bytes.
    pub fn bytes(&self) -> u64 {
        self.cache.weight()
    }

    /// What is known of a body. `make` makes it if need be; whoever wants the same meanwhile waits
    /// for it.
    ///
    /// # Errors
    /// Those of `make`; then nothing is kept.
    pub fn get(&self, body: BodyOf, make: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        let kept = self.cache.get_or_insert_with(&body, || {
            let made = make()?;
            let bytes = made.memory_bytes() + ENTRY_BYTES;
            Ok::<_, Error>(Kept { made, bytes })
        })?;
        Ok(kept.made)
    }

    /// What is known of a body, if it is here.
    pub fn known(&self, body: BodyOf) -> Option<T> {
        self.cache.get(&body).map(|kept| kept.made)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    type Structures = BodyCache<Arc<Structure>>;

    const MESSAGE: &[u8] = b"Subject: one\r\n\r\nbody\r\n";

    #[test]
    fn a_message_is_read_once() {
        let structures = Structures::default();
        let reads = Cell::new(0);
        let read = || {
            reads.set(reads.get() + 1);
            Ok(Arc::new(Structure::parse(MESSAGE)))
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
        let structures = Structures::default();
        let (reads, barrier) = (AtomicU32::new(0), Barrier::new(8));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    barrier.wait();
                    let read = || {
                        reads.fetch_add(1, Ordering::Relaxed);
                        Ok(Arc::new(Structure::parse(MESSAGE)))
                    };
                    structures.get((0, 7), read).expect("it reads");
                });
            }
        });
        assert_eq!(reads.into_inner(), 1);
    }

    #[test]
    fn what_can_not_be_read_is_asked_for_again() {
        let structures = Structures::default();
        let damaged = || {
            Err(Error::Damaged {
                space: "bodies",
                what: "missing",
            })
        };
        assert!(structures.get((0, 7), damaged).is_err());
        assert!(
            structures
                .get((0, 7), || Ok(Arc::new(Structure::parse(MESSAGE))))
                .is_ok()
        );
        assert!(structures.get((0, 7), damaged).is_ok());
    }

    #[test]
    fn memory_is_bounded() {
        let bytes_max = 64 * 1024;
        let structures = Structures::with_bytes(bytes_max);
        for body in 0..10_000 {
            let read = || Ok(Arc::new(Structure::parse(MESSAGE)));
            structures.get((0, body), read).expect("it reads");
        }
        assert!(structures.cache.weight() <= bytes_max);
        assert!(structures.cache.len() > 10);
    }
}
