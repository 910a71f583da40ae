//! How much a session that has missed something costs those who wait for the same thread.

use mail::{ModSeq, Reply, Request, SystemFlag, Uid};

use super::slice_tests::World;
use crate::Error;
use crate::kv::AtOnce;

/// A session that has missed much is told so by a thread for what takes long; whom others wait for
/// looks at a few hundred rows to see that.
#[test]
fn what_was_missed_costs_a_thread_that_others_wait_for_a_few_rows() {
    let mut world = World::new(20_000);
    world.warm();
    let since = world.modseq();
    let asks = |world: &World, since: ModSeq| {
        let mailbox = world.inbox;
        [
            Request::Sync { mailbox, since },
            Request::View { mailbox, at: since },
        ]
    };
    world.carry_out(world.store(SystemFlag::Flagged));
    let flagged = world.modseq();
    world.expunge_odd(20_000);
    for request in [asks(&world, since), asks(&world, flagged)].concat() {
        world.counted.read.set(0);
        let told = super::read(&AtOnce(&world.counted), &world.rules, &request);
        assert!(matches!(told, Err(Error::Long)), "{told:?}");
        let rows = world.counted.read.get();
        assert!(rows <= 1_000, "{rows} rows for {request:?}");
        let told = super::read(&world.counted, &world.rules, &request);
        let told = told.expect("memory").expect("it reads");
        assert!(matches!(told, Reply::Synced(_) | Reply::Viewed { .. }));
    }
    let since = world.modseq();
    let mut flag = world.store(SystemFlag::Seen);
    if let Request::Store { ranges, .. } = &mut flag {
        *ranges = (500..=548).step_by(2).map(Uid).collect();
    }
    world.carry_out(flag);
    for request in asks(&world, since) {
        let told = super::read(&AtOnce(&world.counted), &world.rules, &request);
        let told = told.expect("few are told at once").expect("it reads");
        let (Reply::Synced(delta) | Reply::Viewed { delta, .. }) = told else {
            panic!("{told:?}")
        };
        assert_eq!(delta[0].changes.len(), 25);
    }
}
