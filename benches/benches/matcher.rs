//! Which subscriptions an event matches, among few and among very many.

use std::hint::black_box;

use benches::Case;
use criterion::Throughput;
use ens::event_ref::{EventRef, Pattern, ReferenceBuilder};
use ens::matcher::Matcher;

/// Subscriptions of a broker.
const SIZES: [usize; 4] = [10, 1_000, 100_000, 1_000_000];
/// The largest while only trying, or counting instructions.
const SIZE_TRIED: usize = 1_000;
const KEY: &str = "enp://127.0.0.1/store";

/// How subscriptions are written.
struct Kind {
    name: &'static str,
    /// The subscription of a user, by number.
    pattern: fn(usize) -> String,
    /// The key of an event of a user.
    key: fn(usize) -> String,
}

const KINDS: [Kind; 4] = [
    Kind {
        name: "exact",
        pattern: |user| format!("{KEY}/user{user}"),
        key: |user| format!("{KEY}/user{user}"),
    },
    Kind {
        name: "params",
        pattern: |user| format!("{KEY}/user{user}?evtType=NewMsg&mailboxName=user{user}"),
        key: |user| format!("{KEY}/user{user}"),
    },
    Kind {
        name: "deep",
        pattern: |user| format!("{KEY}/user{user}/*"),
        key: |user| format!("{KEY}/user{user}/Archive/2026"),
    },
    Kind {
        name: "one_key",
        pattern: |user| format!("{KEY}?evtType=NewMsg&mailboxName=user{user}"),
        key: |_| KEY.to_owned(),
    },
];

fn main() {
    let wanted = |size: &usize| benches::is_measuring() || *size <= SIZE_TRIED;
    let sizes = SIZES.iter().copied().filter(wanted);
    let cases = sizes.flat_map(|size| KINDS.map(|kind| case(kind, size)));
    benches::run(cases.collect());
}

/// An event, with the parameters that the plug-in gives it, that one subscription matches.
fn case(kind: Kind, size: usize) -> Case {
    let name = format!("matcher/{}/{size}", kind.name);
    Case::new(name, Throughput::Elements(1), move || {
        let mut matcher = Matcher::default();
        for user in 0..size {
            let pattern = Pattern::parse(&(kind.pattern)(user)).expect("a pattern");
            matcher.insert(&pattern, user);
        }
        let event = event((kind.key)(size / 2), size / 2);
        let mut matched = Vec::new();
        move || {
            matched.clear();
            let event = EventRef::parse(black_box(&event)).expect("an event");
            matcher.matches(&event, &mut matched);
            assert_eq!(matched, [size / 2]);
        }
    })
}

fn event(key: String, user: usize) -> String {
    ReferenceBuilder::new(&key)
        .param("evtType", "NewMsg")
        .param("timestamp", 1_047_488_403_000_u64)
        .param("hostname", "eman")
        .param("process", "imapd")
        .param("pid", 476)
        .param("mailboxName", format_args!("user{user}"))
        .param("numMsgs", 16)
        .finish()
}
