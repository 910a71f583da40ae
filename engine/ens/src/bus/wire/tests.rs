use proptest::prelude::*;

use super::*;

fn bytes(most: usize) -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..most).prop_map(Bytes::from)
}

fn crossing() -> impl Strategy<Value = Crossing> {
    let link = prop::option::of((prop::collection::vec(any::<u8>(), 1..20), any::<[u8; 16]>()));
    let link = link.prop_map(|link| link.map(|(link, token)| (Bytes::from(link), token)));
    ("[a-zé/:?]{0,20}", bytes(30), link).prop_map(|(event, payload, link)| Crossing {
        event: event.into(),
        payload,
        link,
    })
}

fn said() -> impl Strategy<Value = Said> {
    let batch = (
        0..BUCKETS,
        1..NUMBERS_MAX,
        prop::collection::vec(crossing(), 1..5),
    )
        .prop_map(|(bucket, first, events)| Said::Batch {
            bucket,
            first,
            events,
        });
    let buckets = prop::collection::vec((0..BUCKETS, 0..NUMBERS_MAX), 0..5);
    let numbers = || prop::collection::vec(any::<(u64, u64)>(), 0..4);
    let digest = (any::<(u64, u64, bool)>(), numbers(), numbers(), buckets).prop_map(
        |((number, pools, bye), sent, taken, buckets)| Said::Digest {
            number,
            pools,
            bye,
            sent,
            taken,
            buckets,
        },
    );
    let list = prop::collection::vec((bytes(9), any::<u32>()), 0..4);
    let pools =
        (any::<(u64, u16, u16)>(), list).prop_map(|((version, part, parts), pools)| Said::Pools {
            version,
            part,
            parts,
            pools,
        });
    let pooled = (any::<(u64, u64, u64, u8)>(), bytes(9), crossing()).prop_map(
        |((home, before, number, hops), pattern, event)| Said::Pooled {
            home,
            before,
            number,
            hops,
            pattern,
            event,
        },
    );
    let ack = any::<(u64, Token)>().prop_map(|(request, token)| Said::Ack { request, token });
    prop_oneof![
        batch,
        digest,
        any::<Option<u64>>().prop_map(|origin| Said::Who { origin }),
        pools,
        pooled,
        ack,
        any::<u64>().prop_map(|request| Said::Acked { request }),
    ]
}

proptest! {
    #[test]
    fn what_is_said_is_heard(said in said(), numbers in any::<(u64, u64, u64)>()) {
        let (origin, age_ns, order) = numbers;
        let header = Header { origin, age_ns, order };
        prop_assert_eq!(Said::decode(said.encode(header)), Some((header, said)));
    }

    #[test]
    fn no_bytes_make_it_panic(said in said(), at in any::<prop::sample::Index>(), byte: u8) {
        let header = Header { origin: 1, age_ns: 2, order: 3 };
        let whole = said.encode(header);
        let mut changed = whole.to_vec();
        changed[at.index(whole.len())] ^= byte;
        let _ = Said::decode(changed.into());
        let _ = Said::decode(whole.slice(..at.index(whole.len())));
    }
}

#[test]
fn an_event_takes_the_bytes_that_are_counted_for_it() {
    let event = |link| Crossing {
        event: "enp://h/x".into(),
        payload: "payload".into(),
        link,
    };
    for event in [event(None), event(Some(("link".into(), [7; 16])))] {
        let mut out = BytesMut::new();
        event.encode(&mut out);
        assert_eq!(out.len(), event.wire_bytes());
    }
}
