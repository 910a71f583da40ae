//! Pure cases: work without a system call, whose time criterion measures and whose instructions
//! callgrind counts.

use std::hint::black_box;

use criterion::{Criterion, Throughput};

/// Rounds before those that are counted, so that lazily made things and free lists are there.
const ROUNDS_BEFORE: u32 = 16;

type Round = Box<dyn FnMut()>;

/// One thing to measure.
pub struct Case {
    name: String,
    work: Throughput,
    slow: bool,
    prepare: Box<dyn Fn() -> Round>,
}

impl Case {
    /// A case `group/case` or `group/case/size`, whose round does that much work. What `prepare`
    /// does is not measured; it is called once, and only if the case is wanted.
    pub fn new<T, R: FnMut() -> T + 'static>(
        name: impl Into<String>,
        work: Throughput,
        prepare: impl Fn() -> R + 'static,
    ) -> Self {
        let prepare = move || -> Round {
            let mut round = prepare();
            Box::new(move || drop(black_box(round())))
        };
        Self {
            name: name.into(),
            work,
            slow: false,
            prepare: Box::new(prepare),
        }
    }

    /// A round takes many milliseconds: ten samples must do.
    pub fn slow(self) -> Self {
        Self { slow: true, ..self }
    }

    fn split(&self) -> (&str, &str) {
        self.name.split_once('/').expect("names are group/case")
    }
}

/// The `main` of a bench of pure cases. `--cases` lists them; `--count NAME ROUNDS` runs one, its
/// rounds in a function that callgrind finds by its name, for `cargo xtask instructions`; all else
/// is criterion's.
pub fn run(cases: Vec<Case>) {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--cases"] => cases.iter().for_each(|case| println!("{}", case.name)),
        ["--count", name, rounds] => {
            let case = cases.iter().find(|case| case.name == name);
            let mut round = (case.expect("one of --cases").prepare)();
            (0..ROUNDS_BEFORE).for_each(|_| round());
            counted_rounds(&mut round, rounds.parse().expect("a number of rounds"));
        }
        _ => {
            let mut criterion = Criterion::default().configure_from_args();
            measure(&mut criterion, &cases);
            criterion.final_summary();
        }
    }
}

/// What callgrind counts: it is told this function's name.
#[inline(never)]
fn counted_rounds(round: &mut dyn FnMut(), rounds: u32) {
    for _ in 0..rounds {
        round();
    }
}

fn measure(criterion: &mut Criterion, cases: &[Case]) {
    for cases in cases.chunk_by(|a, b| a.split().0 == b.split().0) {
        let mut group = criterion.benchmark_group(cases[0].split().0);
        for case in cases {
            group.throughput(case.work.clone());
            group.sample_size(if case.slow { 10 } else { 100 });
            let mut round = None;
            group.bench_function(case.split().1, |bencher| {
                let round = round.get_or_insert_with(|| (case.prepare)());
                bencher.iter(round);
            });
        }
        group.finish();
    }
}
