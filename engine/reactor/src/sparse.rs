//! Tables by number whose empty parts take no memory.

use std::fmt;

/// Entries a chunk.
const CHUNK: usize = 1024;

/// Small values by number. A value that equals the default takes no memory if its neighbours do
/// not either; nothing ever moves, so growth stalls nobody.
pub struct Sparse<T> {
    chunks: Vec<Option<Box<Chunk<T>>>>,
}

struct Chunk<T> {
    /// Entries that differ from the default.
    count: usize,
    values: [T; CHUNK],
}

impl<T> Default for Sparse<T> {
    fn default() -> Self {
        Self { chunks: Vec::new() }
    }
}

impl<T> fmt::Debug for Sparse<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let there = self.chunks.iter().flatten();
        let count: usize = there.map(|chunk| chunk.count).sum();
        write!(f, "Sparse({count})")
    }
}

impl<T: Copy + Default + PartialEq> Sparse<T> {
    /// The value at a number; the default if none was set.
    pub fn get(&self, number: usize) -> T {
        match self.chunks.get(number / CHUNK) {
            Some(Some(chunk)) => chunk.values[number % CHUNK],
            _ => T::default(),
        }
    }

    /// Sets a value and gives the one before.
    pub fn set(&mut self, number: usize, value: T) -> T {
        let (at, place) = (number / CHUNK, number % CHUNK);
        let is_default = value == T::default();
        if at >= self.chunks.len() {
            if is_default {
                return value;
            }
            self.chunks.resize_with(at + 1, || None);
        }
        let slot = &mut self.chunks[at];
        if slot.is_none() && is_default {
            return value;
        }
        let chunk = slot.get_or_insert_with(|| {
            Box::new(Chunk {
                count: 0,
                values: [T::default(); CHUNK],
            })
        });
        let before = std::mem::replace(&mut chunk.values[place], value);
        chunk.count += usize::from(!is_default);
        chunk.count -= usize::from(before != T::default());
        if chunk.count == 0 {
            *slot = None;
        }
        before
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn agrees_with_a_map_and_gives_chunks_back() {
        let mut rng = crate::Rng::new(7);
        let (mut sparse, mut map) = (Sparse::<u32>::default(), BTreeMap::new());
        for _ in 0..20_000 {
            let number = rng.below(5_000) as usize;
            let value = rng.below(3) as u32;
            let before = map.insert(number, value).unwrap_or_default();
            assert_eq!(sparse.set(number, value), before);
            assert_eq!(sparse.get(number), value);
        }
        for number in 0..6_000 {
            let value = map.get(&number).copied().unwrap_or_default();
            assert_eq!(sparse.get(number), value);
            sparse.set(number, 0);
        }
        assert!(sparse.chunks.iter().all(Option::is_none));
    }
}
