//! Recent events of a topic: a shard adds them while some reader is behind, and readers take what
//! comes after their cursors.

use std::hint::black_box;
use std::sync::Arc;

use benches::Case;
use criterion::Throughput;
use engine::Limits;
use engine::event::Event;
use engine::tail::Tail;
use engine::topic::TopicId;

/// Events that come one after the other, more than a tail holds.
const EVENTS: u64 = 1024;

fn main() {
    let mut cases = vec![push(), follow()];
    cases.extend([1, 16, 256].map(after));
    benches::run(cases);
}

fn event(seq: u64) -> Arc<Event<()>> {
    Arc::new(Event {
        topic: TopicId(1),
        prev: seq - 1,
        seq,
        born_ns: 0,
        fact: (),
    })
}

fn events_max() -> usize {
    Limits::default().tail_events_max
}

fn full(last: u64) -> Tail<()> {
    let mut tail = Tail::new(0);
    (1..=last).for_each(|seq| tail.push(event(seq), events_max()));
    tail
}

/// Events into a new tail, which soon forgets one for each.
fn push() -> Case {
    let name = format!("tail/push/{EVENTS}");
    Case::new(name, Throughput::Elements(EVENTS), || {
        let events: Vec<_> = (1..=EVENTS).map(event).collect();
        let max = events_max();
        move || {
            let mut tail = Tail::new(0);
            for event in black_box(&events) {
                tail.push(event.clone(), max);
            }
            tail
        }
    })
}

/// An event is made and added, and one reader reads it: a full tail that a reader keeps up with.
fn follow() -> Case {
    Case::new("tail/follow", Throughput::Elements(1), || {
        let (mut tail, max) = (full(EVENTS), events_max());
        let mut head = EVENTS;
        move || {
            tail.push(event(head + 1), max);
            let news = tail.after(head).expect("it keeps up");
            assert_eq!(news.len(), 1);
            head += 1;
        }
    })
}

/// A reader reads the events after its cursor, so many.
fn after(behind: u64) -> Case {
    let name = format!("tail/after/{behind}");
    Case::new(name, Throughput::Elements(behind), move || {
        let mut tail = full(EVENTS);
        move || {
            let news = tail.after(black_box(EVENTS - behind));
            let news = news.expect("the tail reaches back so far");
            news.iter().map(|event| event.seq).sum::<u64>()
        }
    })
}
