//! What may go wrong, and how often.

use crate::pool::BufferPool;
use crate::rng::Rng;

/// How often something happens: so many times in a thousand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ratio(pub u16);

impl Ratio {
    /// Whether it happens this time.
    pub fn draw(self, rng: &mut Rng) -> bool {
        self.0 > 0 && rng.chance(u64::from(self.0), 1000)
    }
}

/// The knobs of a world.
#[derive(Clone, Debug)]
pub struct Options {
    /// Bytes that fit on the way from one end to the other, read buffer included.
    pub link_bytes: usize,
    /// Bytes of a receive buffer.
    pub receive_bytes: usize,
    /// A packet takes at least this long.
    pub latency_ns_min: u64,
    /// And less than this much longer.
    pub latency_ns_spread: u64,
    /// A turn of a shard takes half a microsecond and less than this more.
    pub turn_ns_max: u64,
    /// A send is cut short although there is room.
    pub short_write: Ratio,
    /// A packet is split in two.
    pub split_packet: Ratio,
    /// A read gives only part of what is there.
    pub short_read: Ratio,
    /// A send breaks its connection.
    pub reset: Ratio,
    /// A connect is refused.
    pub refuse: Ratio,
    /// A connection breaks while it is accepted.
    pub fail_accept: Ratio,
    /// A client stops reading for a while.
    pub deaf: Ratio,
    /// For less than this.
    pub deaf_ns_max: u64,
    /// A reactor's owner doesn't get its turn for a while.
    pub stall: Ratio,
    /// For less than this.
    pub stall_ns_max: u64,
}

impl Default for Options {
    /// A world in which nothing goes wrong.
    fn default() -> Self {
        Self {
            link_bytes: 64 * 1024,
            receive_bytes: 4096,
            latency_ns_min: 20_000,
            latency_ns_spread: 20_000,
            turn_ns_max: 2_000,
            short_write: Ratio(0),
            split_packet: Ratio(0),
            short_read: Ratio(0),
            reset: Ratio(0),
            refuse: Ratio(0),
            fail_accept: Ratio(0),
            deaf: Ratio(0),
            deaf_ns_max: 3_000_000_000,
            stall: Ratio(0),
            stall_ns_max: 5_000_000,
        }
    }
}

impl Options {
    /// Knobs drawn from a seed: each fault is off in some runs, rare in some, common in others, so
    /// that all their combinations come up over many seeds.
    pub fn swarm(seed: u64) -> Self {
        let mut rng = Rng::new(seed ^ 0x5EED_0F0B_710E_5000);
        let mut pick = |choices: &[u64]| choices[rng.below(choices.len() as u64) as usize];
        let default = Self::default();
        Self {
            link_bytes: pick(&[48, 300, 2_000, 64 * 1024]) as usize,
            receive_bytes: pick(&[1, 7, 64, 4096]) as usize,
            latency_ns_min: pick(&[0, 20_000, 1_000_000]),
            latency_ns_spread: pick(&[1, 20_000, 3_000_000]),
            turn_ns_max: pick(&[1, 2_000, 50_000]),
            short_write: Ratio(pick(&[0, 10, 300]) as u16),
            split_packet: Ratio(pick(&[0, 50, 500]) as u16),
            short_read: Ratio(pick(&[0, 50, 500]) as u16),
            reset: Ratio(pick(&[0, 0, 2, 10]) as u16),
            refuse: Ratio(pick(&[0, 0, 50]) as u16),
            fail_accept: Ratio(pick(&[0, 0, 50]) as u16),
            deaf: Ratio(pick(&[0, 0, 20, 100]) as u16),
            stall: Ratio(pick(&[0, 1, 20]) as u16),
            ..default
        }
    }

    pub(super) fn pool(&self) -> BufferPool {
        BufferPool::new(16, self.receive_bytes)
    }

    pub(super) fn without_faults(&self) -> Self {
        let none = Self::default();
        Self {
            link_bytes: self.link_bytes,
            receive_bytes: self.receive_bytes,
            latency_ns_min: self.latency_ns_min,
            latency_ns_spread: self.latency_ns_spread,
            turn_ns_max: self.turn_ns_max,
            split_packet: self.split_packet,
            short_read: self.short_read,
            ..none
        }
    }
}
