//! Seeded chance: the same seed gives the same numbers on every machine.

/// Purposes that draw from streams of their own, so that more draws for one don't shift another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Splits, delays, resets.
    Network,
    /// Which shard runs next, stalls.
    Schedule,
    /// What clients do.
    Workload,
    /// The store model.
    Disk,
    /// A shard's own.
    Shard(u16),
}

/// xoshiro256++ (Blackman and Vigna), seeded through SplitMix64. Not for secrets.
#[derive(Clone, Debug)]
pub struct Rng {
    state: [u64; 4],
}

impl Rng {
    /// A generator for a seed.
    pub fn new(seed: u64) -> Self {
        let mut mix = seed;
        let mut next = || {
            mix = mix.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = mix;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^ (z >> 31)
        };
        Self {
            state: [next(), next(), next(), next()],
        }
    }

    /// An independent generator for one purpose of a seeded run.
    pub fn stream(seed: u64, stream: Stream) -> Self {
        let salt = match stream {
            Stream::Network => 1,
            Stream::Schedule => 2,
            Stream::Workload => 3,
            Stream::Disk => 4,
            Stream::Shard(number) => 0x100 + u64::from(number),
        };
        Self::new(seed ^ u64::wrapping_mul(salt, 0xD6E8_FEB8_6659_FD93))
    }

    /// The next 64 bits.
    pub fn u64(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let result = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let shifted = b << 17;
        let (c, d) = (c ^ a, d ^ b);
        self.state = [a ^ d, b ^ c, c ^ shifted, d.rotate_left(45)];
        result
    }

    /// A number below `bound`, which must not be 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "no number lies below 0");
        // The bias of a 128-bit multiply is below 2^-64 * bound: nothing for simulations.
        ((u128::from(self.u64()) * u128::from(bound)) >> 64) as u64
    }

    /// True in `numerator` of `denominator` cases.
    pub fn chance(&mut self, numerator: u64, denominator: u64) -> bool {
        self.below(denominator) < numerator
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_repeat_and_streams_differ() {
        let draw = |mut rng: Rng| (0..8).map(|_| rng.u64()).collect::<Vec<_>>();
        assert_eq!(draw(Rng::new(7)), draw(Rng::new(7)));
        assert_ne!(draw(Rng::new(7)), draw(Rng::new(8)));
        assert_ne!(
            draw(Rng::stream(7, Stream::Network)),
            draw(Rng::stream(7, Stream::Schedule))
        );
    }

    #[test]
    fn below_stays_below_and_reaches_all() {
        let mut rng = Rng::new(1);
        let mut seen = [false; 5];
        for _ in 0..1000 {
            seen[rng.below(5) as usize] = true;
        }
        assert_eq!(seen, [true; 5]);
    }
}
