//! Sorting in steps: whoever has much to sort holds up nobody for long.

/// Entries that are sorted in one step, and that are merged in one.
const RUN: usize = 16 << 10;

/// What is to be sorted, by keys that compare byte by byte, and among equals by number.
#[derive(Default)]
pub struct Sorter {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    /// Where merged entries go.
    merged: Vec<Entry>,
    stage: Stage,
}

#[derive(Clone, Copy)]
struct Entry {
    /// The key's first bytes, zeros behind its end.
    head: u64,
    number: u32,
    /// Where the rest of the key is.
    at: u32,
    len: u32,
}

enum Stage {
    /// Runs are sorted up to here.
    Runs(usize),
    /// Runs of this width become runs of twice as much: two that begin at `start`, from which
    /// entries up to `left` and `right` were taken.
    Merge {
        width: usize,
        start: usize,
        left: usize,
        right: usize,
    },
    Done,
}

impl Default for Stage {
    fn default() -> Self {
        Self::Runs(0)
    }
}

impl Sorter {
    /// Adds something: its number, and what appends its key.
    pub fn push(&mut self, number: u32, key: impl FnOnce(&mut Vec<u8>)) {
        let from = self.bytes.len();
        key(&mut self.bytes);
        let key = &self.bytes[from..];
        let mut head = [0; 8];
        let taken = key.len().min(8);
        head[..taken].copy_from_slice(&key[..taken]);
        self.entries.push(Entry {
            head: u64::from_be_bytes(head),
            number,
            at: from as u32,
            len: key.len() as u32,
        });
        // A key that is all in the head is not looked at again.
        if key.len() == 8 {
            self.bytes.truncate(from);
        }
    }

    /// What it takes in memory, in bytes, now or at the most later.
    pub fn bytes(&self) -> usize {
        let entries = self.entries.capacity() + self.entries.len();
        self.bytes.capacity() + entries * size_of::<Entry>()
    }

    /// Does a step. True if all is sorted.
    pub fn step(&mut self) -> bool {
        let count = self.entries.len();
        let bytes = &self.bytes;
        match &mut self.stage {
            Stage::Runs(at) => {
                let end = count.min(*at + RUN);
                self.entries[*at..end].sort_unstable_by(|one, other| one.cmp(other, bytes));
                *at = end;
                if end == count {
                    self.stage = Stage::merge(RUN, count);
                }
            }
            Stage::Merge {
                width,
                start,
                left,
                right,
            } => {
                let (middle, end) = (count.min(*start + *width), count.min(*start + 2 * *width));
                for _ in 0..RUN {
                    let from_left = *left < middle
                        && (*right == end
                            || self.entries[*left]
                                .cmp(&self.entries[*right], bytes)
                                .is_lt());
                    let from = if from_left { &mut *left } else { &mut *right };
                    if !from_left && *from == end {
                        break;
                    }
                    self.merged.push(self.entries[*from]);
                    *from += 1;
                }
                if *left == middle && *right == end {
                    (*start, *left) = (end, end);
                    *right = count.min(end + *width);
                    if end == count {
                        let width = 2 * *width;
                        self.entries = std::mem::take(&mut self.merged);
                        self.stage = Stage::merge(width, count);
                    }
                }
            }
            Stage::Done => {}
        }
        matches!(self.stage, Stage::Done)
    }

    /// The numbers in their order, once all is sorted.
    pub fn into_order(self) -> impl Iterator<Item = u32> {
        self.entries.into_iter().map(|entry| entry.number)
    }

    /// The numbers at some places of their order, each with its key if that is longer than eight
    /// bytes.
    pub fn at(&self, places: std::ops::Range<usize>) -> impl Iterator<Item = (u32, &[u8])> {
        self.entries[places].iter().map(|entry| {
            let key = match entry.len {
                0..=8 => &[][..],
                _ => &self.bytes[entry.range()],
            };
            (entry.number, key)
        })
    }
}

impl Stage {
    fn merge(width: usize, count: usize) -> Self {
        match width >= count {
            true => Self::Done,
            false => Self::Merge {
                width,
                start: 0,
                left: 0,
                right: width,
            },
        }
    }
}

impl Entry {
    fn range(&self) -> std::ops::Range<usize> {
        self.at as usize..(self.at + self.len) as usize
    }

    fn cmp(&self, other: &Self, bytes: &[u8]) -> std::cmp::Ordering {
        let rest = |entry: &Self| match entry.len {
            0..=8 => &[][..],
            _ => &bytes[entry.range()][8..],
        };
        (self.head.cmp(&other.head))
            .then_with(|| rest(self).cmp(rest(other)))
            .then_with(|| self.number.cmp(&other.number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(keys: &[Vec<u8>]) -> (Vec<u32>, usize) {
        let mut sorter = Sorter::default();
        for (number, key) in (0..).zip(keys) {
            sorter.push(number, |to| to.extend(key));
        }
        let mut steps = 1;
        while !sorter.step() {
            steps += 1;
        }
        (sorter.into_order().collect(), steps)
    }

    #[test]
    fn any_number_of_entries_is_sorted_in_steps() {
        let mut seed = 1_u64;
        let mut random = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            seed >> 33
        };
        for count in [0, 1, 2, RUN - 1, RUN, RUN + 1, 2 * RUN, 5 * RUN + 7] {
            for long in [false, true] {
                let keys: Vec<Vec<u8>> = (0..count)
                    .map(|_| {
                        let number = random() % 5000;
                        match long {
                            false => number.to_be_bytes().to_vec(),
                            true => format!("subject {number}\0").into_bytes(),
                        }
                    })
                    .collect();
                let mut expected: Vec<u32> = (0..count as u32).collect();
                expected.sort_by_key(|&n| (&keys[n as usize], n));
                let (order, steps) = sorted(&keys);
                assert!(order == expected, "{count}");
                assert!(steps <= 4 * count / RUN + 8, "{count} in {steps} steps");
            }
        }
    }
}
