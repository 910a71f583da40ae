//! How soon parked rows are told. What a turn announces is given to the kernel by the reactor at
//! the beginning of the next one, in order: two looks at the clock, however many rows there are.

use counting::Histogram;

/// Announcements that are counted as told at the same time.
const PIECE: u64 = 256;

/// What was announced and is not with the kernel yet.
#[derive(Default)]
pub(super) struct Told {
    /// When each event became true, and how many rows it is for.
    waiting: Vec<(u64, u64)>,
    rows: u64,
}

impl Told {
    /// An event that became true at that time was announced to so many rows.
    pub fn note(&mut self, born_ns: u64, rows: u64) {
        if rows == 0 || born_ns == 0 {
            return;
        }
        self.rows += rows;
        match self.waiting.last_mut() {
            Some((born, more)) if *born == born_ns => *more += rows,
            _ => self.waiting.push((born_ns, rows)),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// All was given to the kernel between these times.
    pub fn count(&mut self, from_ns: u64, to_ns: u64, histogram: &Histogram) {
        let whole_ns = u128::from(to_ns.saturating_sub(from_ns));
        let mut given = 0;
        for (born_ns, mut left) in self.waiting.drain(..) {
            while left > 0 {
                let piece = left.min(PIECE);
                given += piece;
                left -= piece;
                let part_ns = whole_ns * u128::from(given) / u128::from(self.rows);
                let at_ns = from_ns + part_ns as u64;
                histogram.add(at_ns.saturating_sub(born_ns), piece);
            }
        }
        self.rows = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_is_told_one_after_the_other() {
        let histogram = Histogram::default();
        let mut told = Told::default();
        told.note(0, 5);
        told.note(7, 0);
        assert!(told.is_empty(), "nobody, or nobody knows since when");
        told.note(1_000, 3);
        told.note(1_000, 4 * PIECE - 3);
        assert_eq!(told.waiting, [(1_000, 4 * PIECE)]);
        // A quarter of them within 1 ms, the last after 4 ms.
        told.count(1_000, 4_001_000, &histogram);
        let read = histogram.read();
        assert_eq!(read.count(), 4 * PIECE);
        assert_eq!(read.within(250), Some(1_000_000));
        assert_eq!(read.within(1000), Some(5_000_000));
        assert!(told.is_empty());
        told.note(2_000, 1);
        told.count(1_000, 1_000, &histogram);
        assert_eq!(histogram.read().counts[0], 1, "clocks of two cores");
    }
}
