//! Pools under churn: exactly one member gets each event.

use std::collections::HashSet;

use ens::client::ClientEvent;

use crate::talk::Site;

#[test]
fn each_event_goes_to_one_member_of_each_pool() {
    let site = Site::new();
    let publisher = site.client(false);
    let pool = |scheme: &str| -> Vec<_> {
        let join = |_| {
            let client = site.client(false);
            client.subscribe(&format!("{scheme}://h/work"));
            client
        };
        (0..5).map(join).collect()
    };
    let (mut plain, named) = (pool("enp+pool"), pool("enp+pool.a"));
    let watcher = site.client(false);
    watcher.subscribe("enp://h/work");
    let mut published = 0;
    for round in 0..5 {
        for number in 0..40 {
            publisher.publish("enp://h/work", &format!("{round}-{number}"));
            published += 1;
        }
        // All have come before one leaves, and another takes over its share.
        for members in [&plain, &named] {
            let mut seen = HashSet::new();
            while seen.len() < 40 {
                for member in members {
                    if let Ok(ClientEvent::Notified { payload, .. }) = member.news.try_recv() {
                        assert!(seen.insert(payload), "twice");
                    }
                }
            }
            members
                .iter()
                .for_each(|member| assert!(member.news.try_recv().is_err()));
        }
        if plain.len() > 1 {
            plain.pop();
        }
        let joins = site.client(false);
        joins.subscribe("enp+pool://h/work");
        plain.push(joins);
        plain.swap_remove(0);
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    for _ in 0..published {
        watcher.event();
    }
    watcher.nothing();
}
