//! Bytes to commands: the parser, sequence sets, modified UTF-7.
#![allow(
    missing_docs,
    reason = "criterion's macros make undocumented functions"
)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mail::set::{SequenceSet, SetNumber};
use proto::imap::mutf7;
use proto::imap::parse::parse_command;

const COMMANDS: [(&str, &[u8]); 5] = [
    ("idle", b"a7 IDLE"),
    ("login", b"a1 LOGIN load4711 secret"),
    ("select", b"a2 SELECT INBOX"),
    (
        "fetch",
        b"a4 UID FETCH 1:500,777,900:* (UID FLAGS RFC822.SIZE BODY.PEEK[HEADER.FIELDS (FROM TO)])",
    ),
    (
        "search",
        b"a5 UID SEARCH CHARSET UTF-8 OR FROM anna (SINCE 1-Feb-2026 NOT KEYWORD junk) TEXT mail",
    ),
];

fn parse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    for (name, line) in COMMANDS {
        parse_command(line).expect("it is a command");
        group.throughput(Throughput::Bytes(line.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| parse_command(black_box(line)));
        });
    }
    group.finish();
}

fn sets(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("sequence_set");
    for ranges in [1u32, 100, 1000] {
        let number = |n| SetNumber::Value(n);
        let set = SequenceSet(
            (0..ranges)
                .map(|n| (number(3 * n + 1), number(3 * n + 2)))
                .collect(),
        );
        group.throughput(Throughput::Elements(u64::from(ranges)));
        group.bench_function(format!("resolve/{ranges}"), |bencher| {
            bencher.iter(|| black_box(&set).resolve(1_000_000));
        });
    }
    group.finish();
}

fn names(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mutf7");
    let name = "Entwürfe/日本語/Archive 2026";
    let encoded = mutf7::encode(name);
    group.throughput(Throughput::Bytes(encoded.len() as u64));
    group.bench_function("encode", |bencher| {
        bencher.iter(|| mutf7::encode(black_box(name)));
    });
    group.bench_function("decode", |bencher| {
        bencher.iter(|| mutf7::decode(black_box(encoded.as_bytes())));
    });
    group.finish();
}

criterion_group!(benches, parse, sets, names);
criterion_main!(benches);
