//! Sleep, its end, and buffers that are out.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use reactor::uring::{Options, Uring};
use reactor::{Completion, Reactor};

use crate::host::{Host, SECOND_NS, both, options};

/// Sleeps as a shard does, until `seen` has something new or 10 s have passed.
fn rest(reactor: &mut Uring, completions: &mut Vec<Completion>, news: impl Fn() -> bool) {
    let waker = reactor.waker();
    waker.announce_sleep();
    let limit = reactor.now_ns() + 10 * SECOND_NS;
    let until = if news() { 0 } else { limit };
    reactor.turn(Some(until), completions);
    assert!(reactor.now_ns() < limit, "a wake was lost");
}

#[test]
fn wakes_are_not_lost() {
    const WAKES: u64 = 100_000;
    for (rings, spin_ns) in [(1, 0), (3, 0), (1, 20_000)] {
        let mut host = Host::with(Options {
            spin_ns,
            ..options(rings, 16)
        });
        let waker = host.reactor.waker();
        let count = Arc::new(AtomicU64::new(0));
        let seen = count.clone();
        let other = std::thread::spawn(move || {
            for _ in 0..WAKES {
                count.fetch_add(1, Ordering::SeqCst);
                waker.wake();
            }
        });
        let mut last = 0;
        while last < WAKES {
            rest(&mut host.reactor, &mut host.completions, || {
                seen.load(Ordering::SeqCst) > last
            });
            last = seen.load(Ordering::SeqCst);
        }
        other.join().expect("woke");
    }
}

#[test]
fn two_reactors_wake_each_other_in_turns() {
    const HOPS: u64 = 4_000;
    for (rings, spin_ns) in [(1, 0), (3, 0), (1, 50_000)] {
        let ball = Arc::new(AtomicU64::new(0));
        let (to_main, from_main) = std::sync::mpsc::channel();
        let (to_other, from_other) = std::sync::mpsc::channel();
        let play =
            move |ball: Arc<AtomicU64>, odd: u64, meet: &dyn Fn(&Uring) -> reactor::Waker| {
                let mut host = Host::with(Options {
                    spin_ns,
                    ..options(rings, 16)
                });
                let peer = meet(&host.reactor);
                loop {
                    let mine = || {
                        let hop = ball.load(Ordering::SeqCst);
                        hop % 2 == odd || hop >= HOPS
                    };
                    if mine() {
                        let hop = ball.fetch_add(1, Ordering::SeqCst);
                        peer.wake();
                        if hop >= HOPS {
                            break;
                        }
                    }
                    rest(&mut host.reactor, &mut host.completions, mine);
                }
            };
        let theirs = ball.clone();
        let other = std::thread::spawn(move || {
            play(theirs, 1, &|reactor| {
                to_main.send(reactor.waker()).expect("main is there");
                from_other.recv().expect("main is there")
            });
        });
        play(ball, 0, &|reactor| {
            to_other.send(reactor.waker()).expect("the other is there");
            from_main.recv().expect("the other is there")
        });
        other.join().expect("played");
    }
}

/// What this thread has run on a processor so far.
fn cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux has it");
    let first = text.split(' ').next().expect("three numbers");
    first.parse().expect("a number")
}

#[test]
fn every_ring_wakes_the_sleeper() {
    const ROUNDS: u32 = 2_000;
    both(|rings| {
        let mut host = Host::new(rings, 4);
        // Connections on all rings; the last of them plays.
        let mut peers: Vec<_> = (0..rings * 4).map(|_| host.accept()).collect();
        let (mut client, conn) = peers.pop().expect("many");
        assert_eq!(conn.0 >> 24, rings as u32 - 1, "on the last ring");
        let player = std::thread::spawn(move || {
            for round in 0..ROUNDS {
                client.write_all(&round.to_le_bytes()).expect("open");
                let mut echo = [0; 4];
                client.read_exact(&mut echo).expect("nobody slept on");
                assert_eq!(echo, round.to_le_bytes());
            }
        });
        for round in 0..ROUNDS {
            assert_eq!(host.receive(conn, 4), round.to_le_bytes());
            host.reactor
                .send(conn, Bytes::copy_from_slice(&round.to_le_bytes()));
        }
        host.flush();
        player.join().expect("played");
    });
}

#[test]
fn sleeps_until_its_deadline() {
    both(|rings| {
        let mut host = Host::new(rings, 16);
        host.flush();
        let until = host.reactor.now_ns() + SECOND_NS / 50;
        host.reactor.turn(Some(until), &mut host.completions);
        assert!(host.reactor.now_ns() >= until, "nothing happened before");
        assert!(host.completions.is_empty());
    });
}

#[test]
fn what_waits_for_a_buffer_neither_spins_nor_is_forgotten() {
    both(|rings| {
        let mut host = Host::with(Options {
            receive_buffers: 1,
            receive_buffer_bytes: 16,
            ..options(rings, 64)
        });
        let mut peers: Vec<_> = (0..40).map(|_| host.accept()).collect();
        for (client, _) in &mut peers {
            client.write_all(&[7; 100]).expect("open");
        }
        let mut held = host.until(|_, completion| match completion {
            Completion::Received { data, .. } => Some(data),
            _ => None,
        });
        // While the only buffer is out, a turn sleeps.
        let before = cpu_ns();
        host.pass(SECOND_NS / 10);
        assert!(host.completions.is_empty(), "{:?}", host.completions);
        let spent = cpu_ns() - before;
        assert!(
            spent < SECOND_NS / 20,
            "{spent} ns in {} ns",
            SECOND_NS / 10
        );
        let mut total = held.len();
        while total < 40 * 100 {
            drop(held);
            held = host.until(|_, completion| match completion {
                Completion::Received { data, .. } => Some(data),
                other => panic!("{other:?}"),
            });
            assert!(held.iter().all(|byte| *byte == 7));
            total += held.len();
        }
        assert_eq!(total, 40 * 100);
    });
}
