//! A step of a test that draws many.

use proptest::prelude::*;

use super::sorting::Picks;

/// One step, its choices still as numbers to be taken modulo what there is.
#[derive(Clone, Debug)]
pub struct Step {
    pub kind: u8,
    pub user: usize,
    pub name: usize,
    pub other: usize,
    pub mailbox: usize,
    pub since: usize,
    pub picks: Vec<u16>,
    pub flags: u16,
    pub size: usize,
    pub on: bool,
}

impl From<&Step> for Picks {
    fn from(step: &Step) -> Self {
        Self {
            name: step.name,
            other: step.other,
            size: step.size,
            on: step.on,
        }
    }
}

prop_compose! {
    /// Any step.
    pub fn step()(
        kind in 0u8..64,
        user in 0usize..2,
        name in 0usize..9,
        other in 0usize..9,
        mailbox in any::<usize>(),
        since in any::<usize>(),
        picks in prop::collection::vec(any::<u16>(), 0..5),
        flags in any::<u16>(),
        size in prop_oneof![8 => 0usize..400, 1 => 60_000usize..260_000],
        on in any::<bool>(),
    ) -> Step {
        Step { kind, user, name, other, mailbox, since, picks, flags, size, on }
    }
}
