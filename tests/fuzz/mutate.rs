//! Reproducible mutations of seeds.

/// A small generator of numbers (SplitMix64): the same seed gives the same numbers everywhere.
pub struct Rng(pub u64);

impl Rng {
    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is above 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

/// Bytes that mean something to one of the grammars.
const TOKENS: [&[u8]; 26] = [
    b" ",
    b"(",
    b")",
    b"\"",
    b"\\",
    b"{3}\r\nabc",
    b"{99}",
    b"{1+}\r\n",
    b"\r\n",
    b"\0",
    b"*",
    b":",
    b",",
    b"&",
    b"-",
    b"NIL",
    b"<",
    b">",
    b"[",
    b"]",
    b"4294967296",
    b"0",
    b"\xc3\xbc",
    b"\xff",
    b"--b",
    b"%",
];

/// `seed` with one to four changes: bytes replaced, removed, doubled, tokens put in, an end cut
/// off, or a piece of `other` put in.
pub fn mutated(seed: &[u8], other: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=rng.below(4) {
        let at = rng.below(bytes.len() + 1);
        let end = (at + rng.below(8)).min(bytes.len());
        match rng.below(7) {
            0 if at < bytes.len() => bytes[at] = rng.next() as u8,
            1 => drop(bytes.drain(at..end)),
            2 => {
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            3 => bytes.truncate(at),
            4 if !other.is_empty() => {
                let from = rng.below(other.len());
                let to = (from + 1 + rng.below(40)).min(other.len());
                bytes.splice(at..end, other[from..to].iter().copied());
            }
            5 if at < bytes.len() => bytes[at] ^= 0x20,
            _ => {
                let token = TOKENS[rng.below(TOKENS.len())];
                bytes.splice(at..at, token.iter().copied());
            }
        }
    }
    bytes
}
