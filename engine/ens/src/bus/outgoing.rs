//! What this origin publishes: numbered in each bucket, and joined to batches.

use bytes::{Bytes, BytesMut};

use super::bucket::BUCKETS;
use super::mutant::{Mutant, planted};
use super::wire::{BATCH_BYTES, Crossing, Header, close_batch};

/// A batch with this many bytes or more is sent.
const FULL_BYTES: usize = 32 * 1024;
/// A batch with so many events is.
const FULL_EVENTS: u16 = 1000;

/// Numbers that were given, and the batch that is being filled.
pub(super) struct Outgoing {
    /// The last number in each bucket; the first is 1.
    last: Box<[u64]>,
    open: Option<Open>,
    /// Batches to be sent.
    ready: Vec<(u16, Bytes)>,
    /// Largest message that the bus takes, in bytes.
    most: usize,
    /// Events that were larger.
    too_large: u64,
}

struct Open {
    bucket: u16,
    count: u16,
    bytes: BytesMut,
}

impl Outgoing {
    pub fn new() -> Self {
        Self {
            last: vec![0; BUCKETS.into()].into(),
            open: None,
            ready: Vec::new(),
            most: usize::MAX,
            too_large: 0,
        }
    }

    /// Largest message from now on.
    pub fn set_most(&mut self, most: usize) {
        self.most = most;
    }

    pub fn too_large(&self) -> u64 {
        self.too_large
    }

    /// Adds an event to the batch. Only events that follow each other are joined: a publisher's
    /// events keep their order over all buckets.
    pub fn add(&mut self, header: impl FnOnce() -> Header, bucket: u16, event: &Crossing) {
        let bytes = event.wire_bytes();
        if BATCH_BYTES + bytes > self.most {
            self.too_large += 1;
            return self.skip(bucket, 1);
        }
        let fits = |open: &Open| open.bucket == bucket && open.bytes.len() + bytes <= self.most;
        if !self.open.as_ref().is_some_and(fits) {
            self.close();
        }
        let last = &mut self.last[usize::from(bucket)];
        *last += 1;
        let open = self.open.get_or_insert_with(|| {
            let mut bytes = BytesMut::with_capacity(BATCH_BYTES + bytes);
            header().open_batch(bucket, *last, &mut bytes);
            Open {
                bucket,
                count: 0,
                bytes,
            }
        });
        event.encode(&mut open.bytes);
        open.count += 1;
        if open.bytes.len() >= FULL_BYTES || open.count >= FULL_EVENTS {
            self.close();
        }
    }

    /// Gives numbers to events that are not sent: whoever would have heard them misses them.
    pub fn skip(&mut self, bucket: u16, events: u64) {
        // Numbers in a batch follow each other.
        if self.open.as_ref().is_some_and(|open| open.bucket == bucket) {
            self.close();
        }
        if !planted(Mutant::NumberOnlySent) {
            self.last[usize::from(bucket)] += events;
        }
    }

    fn close(&mut self) {
        if let Some(Open {
            bucket,
            count,
            mut bytes,
        }) = self.open.take()
        {
            close_batch(&mut bytes, count);
            self.ready.push((bucket, bytes.freeze()));
        }
    }

    /// All batches, in order.
    pub fn flush(&mut self) -> Vec<(u16, Bytes)> {
        self.close();
        std::mem::take(&mut self.ready)
    }

    /// How far it is, for buckets in which anything was published.
    pub fn digest(&self) -> Vec<(u16, u64)> {
        let numbers = (0..BUCKETS).zip(self.last.iter().copied());
        numbers.filter(|(_, last)| *last > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::wire::Said;
    use super::*;

    fn event(number: usize, bytes: usize) -> Crossing {
        Crossing {
            event: format!("enp://h/{number}").into(),
            payload: vec![b'x'; bytes].into(),
            link: None,
        }
    }

    proptest! {
        #[test]
        fn batches_hold_all_events_in_order_with_their_numbers(
            steps in prop::collection::vec((0..3u16, 0..2000usize, 0..8u8), 0..60),
        ) {
            const MOST: usize = 1500;
            let mut outgoing = Outgoing::new();
            outgoing.set_most(MOST);
            let (mut given, mut numbers, mut large) = (vec![], [0u64; 3], 0);
            for (number, (bucket, bytes, what)) in steps.into_iter().enumerate() {
                let last = &mut numbers[usize::from(bucket)];
                if what == 0 {
                    *last += 2;
                    outgoing.skip(bucket, 2);
                    continue;
                }
                *last += 1;
                let event = event(number, bytes);
                let header = Header { origin: 1, age_ns: 2, order: number as u64 };
                outgoing.add(|| header, bucket, &event);
                if BATCH_BYTES + event.wire_bytes() <= MOST {
                    given.push((bucket, *last, event));
                } else {
                    large += 1;
                }
            }
            let mut sent = vec![];
            for (subject, bytes) in outgoing.flush() {
                prop_assert!(bytes.len() <= MOST);
                let Some((_, Said::Batch { bucket, first, events })) = Said::decode(bytes) else {
                    panic!("no batch");
                };
                prop_assert_eq!(subject, bucket);
                sent.extend((first..).zip(events).map(|(number, event)| (bucket, number, event)));
            }
            prop_assert_eq!(sent, given);
            prop_assert_eq!(outgoing.too_large(), large);
            for (bucket, number) in outgoing.digest() {
                prop_assert_eq!(number, numbers[usize::from(bucket)]);
            }
            prop_assert!(outgoing.flush().is_empty());
        }
    }

    #[test]
    fn a_thousand_events_of_one_bucket_are_few_messages() {
        let mut outgoing = Outgoing::new();
        let header = || Header {
            origin: 1,
            age_ns: 0,
            order: 0,
        };
        (0..1000).for_each(|number| outgoing.add(header, 7, &event(number, 200)));
        let batches = outgoing.flush();
        assert!((7..=8).contains(&batches.len()), "{}", batches.len());
        assert_eq!(outgoing.digest(), [(7, 1000)]);
    }
}
