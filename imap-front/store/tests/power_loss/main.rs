//! The power fails while the store works, again and again, and now and then a file is damaged as
//! well: nothing that was confirmed is lost, what was under way is there whole or not at all,
//! nothing wrong is served, and damage is said.

#[path = "../common/mod.rs"]
mod common;
mod disk;
mod work;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::Bench;
use common::harm::{self, Chance};
use disk::{Image, Loss};
use mail::InternalDate;
use model::{Limits, Model};
use store::{OpenError, Options};
use work::{Contents, Work, contents};

/// Seeds of a usual run: most of its time is spent waiting for the disk. `ENSIGN_POWER_SEEDS` asks
/// for more.
const SEEDS: u64 = 60;
/// How many are tried at a time.
const AT_ONCE: usize = 4;
/// Failures of a seed, one after the other.
const FAILURES: usize = 3;
/// What is done and confirmed between two failures, at most.
const CONFIRMED_MAX: u64 = 6;

fn now() -> InternalDate {
    InternalDate {
        unix_s: 1_700_000_000,
        zone_min: 0,
    }
}

/// Small memtables in some, so that there are tables and files of bodies.
fn options(seed: u64, accept_loss: bool) -> Options {
    Options {
        write_buffer_bytes: [64 << 10, 1 << 20, 32 << 20][seed as usize % 3],
        disk_free_bytes_min: 0,
        index_messages_min: 2,
        accept_loss,
        now: Arc::new(now),
        ..Options::default()
    }
}

/// What a failure came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// All is there that was confirmed; of the rest nothing.
    Before,
    /// What was under way is there as well.
    After,
    /// Damage, or what can't be told from it: refused, and nothing wrong is left if it is accepted.
    Refused,
    /// Damage, and something can't be read.
    Contained,
}

struct Run {
    seed: u64,
    chance: Chance,
    model: Model,
    number: u64,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut model = Model::new(Limits::default());
        model.set_now(now());
        for (user, name) in work::users() {
            assert_eq!(model.ensure_user(&name), user);
        }
        model.sync();
        Self {
            seed,
            chance: Chance::new(seed),
            model,
            number: 0,
        }
    }

    fn draw(&mut self) -> Work {
        self.number += 1;
        Work::draw(self.number, &mut self.model, &mut self.chance)
    }

    /// Works, and lets the power fail. None is left if the damage was refused.
    fn fail(&mut self, image: Option<&Image>) -> (Outcome, Option<Image>) {
        let folder = tempfile::tempdir().expect("a folder");
        if let Some(image) = image {
            image.write(folder.path());
        }
        let bench = Bench::open(folder.path(), options(self.seed, false));
        if image.is_none() {
            for (user, name) in work::users() {
                assert_eq!(bench.ensure_user(&name), user);
            }
        }
        let oldest = Image::of(folder.path());
        for _ in 0..self.chance.below(CONFIRMED_MAX + 1) {
            let work = self.draw();
            work.ask(&bench);
            work.model(&mut self.model);
        }
        let before = Image::of(folder.path());
        let work = self.draw();
        work.ask(&bench);
        let after = Image::of(folder.path());
        bench.store.close();
        let mut after_model = self.model.clone();
        work.model(&mut after_model);

        let loss = Loss::draw(&mut self.chance);
        let mut left = before.fail(&after, loss, &mut self.chance);
        let is_damaged = self.chance.below(4) == 0;
        if !is_damaged && left != after && self.chance.below(3) == 0 {
            left.with_marker_of(&oldest);
        }
        let what = format!("seed {}: {loss:?} of {work:.60?}", self.seed);
        self.judge(&left, after_model, (loss, is_damaged), &what)
    }

    /// Opens what is left, and compares it with what it may be.
    fn judge(
        &mut self,
        left: &Image,
        mut after: Model,
        (loss, is_damaged): (Loss, bool),
        what: &str,
    ) -> (Outcome, Option<Image>) {
        let folder = tempfile::tempdir().expect("a folder");
        left.write(folder.path());
        let what = match is_damaged {
            true => format!("{what}, {}", harm::damage(folder.path(), &mut self.chance)),
            false => what.to_owned(),
        };
        let (old, _) = contents(|request| self.model.handle(request).0);
        let (new, _) = contents(|request| after.handle(request).0);
        let bench = match Bench::try_open(folder.path(), options(self.seed, false)) {
            Ok(bench) => bench,
            Err(error) => {
                // A commit with a hole is not half of one: that it was not confirmed can't be told.
                let may_be = is_damaged || loss == Loss::Some;
                assert!(may_be, "{what}: {error}");
                self.accept(folder.path(), &error, &[old, new], &what, is_damaged);
                return (Outcome::Refused, None);
            }
        };
        assert_eq!(bench.recovery.loss, None, "{what}");
        let (found, unreadable) = contents(|request| bench.ask(request));
        bench.store.close();
        if unreadable > 0 {
            assert!(is_damaged, "{what}: {unreadable} can't be read");
            let fits = is_within(&found, &old) || is_within(&found, &new);
            assert!(fits, "{what}: something else is served");
            return (Outcome::Contained, None);
        }
        let outcome = match (found == old, found == new) {
            (_, true) => Outcome::After,
            (true, _) => Outcome::Before,
            _ => panic!("{what}: {}", difference(&found, &old)),
        };
        if outcome == Outcome::After {
            self.model = after;
        }
        let image = Image::of(folder.path());
        (outcome, (!is_damaged).then_some(image))
    }

    /// What was refused, once the loss is accepted: without a damage nothing confirmed is missing.
    fn accept(
        &self,
        folder: &std::path::Path,
        error: &OpenError,
        may_be: &[Contents; 2],
        what: &str,
        is_damaged: bool,
    ) {
        assert!(!error.to_string().is_empty());
        let Ok(bench) = Bench::try_open(folder, options(self.seed, true)) else {
            return assert!(is_damaged, "{what}: not even with the loss accepted");
        };
        let (found, unreadable) = contents(|request| bench.ask(request));
        bench.store.close();
        if !is_damaged {
            assert_eq!(unreadable, 0, "{what}");
            let fits = may_be.contains(&found);
            assert!(fits, "{what}: {}", difference(&found, &may_be[0]));
        }
    }
}

/// Whether each message that is found is one that there is.
fn is_within(found: &Contents, known: &Contents) -> bool {
    found.iter().all(|(name, messages)| {
        let known = known.get(name);
        let is_known = |(uid, seen)| known.and_then(|known| known.get(uid)) == Some(seen);
        messages.iter().all(is_known)
    })
}

/// What differs, without the messages themselves.
fn difference(found: &Contents, known: &Contents) -> String {
    let brief = |contents: &Contents| {
        let mut brief = Vec::new();
        for ((user, name), messages) in contents {
            let messages = messages.iter();
            let messages: Vec<String> = messages
                .map(|(uid, (flags, size, _))| format!("{uid}:{size}{:?}", flags.system_bits()))
                .collect();
            brief.push(format!("{user:?} {name} {messages:?}"));
        }
        brief.join("; ")
    };
    format!("found {}, not {}", brief(found), brief(known))
}

fn seeds() -> u64 {
    let seeds = std::env::var("ENSIGN_POWER_SEEDS");
    seeds.map_or(SEEDS, |seeds| seeds.parse().expect("a number"))
}

fn run(seed: u64, counts: &mut BTreeMap<Outcome, u64>) {
    let mut run = Run::new(seed);
    let mut image: Option<Image> = None;
    for _ in 0..FAILURES {
        let (outcome, left) = run.fail(image.as_ref());
        *counts.entry(outcome).or_default() += 1;
        if left.is_none() {
            return;
        }
        image = left;
    }
}

#[test]
fn what_was_confirmed_is_there_after_each_failure() {
    let mut counts = BTreeMap::new();
    let only = std::env::var("ENSIGN_POWER_SEED").ok();
    match only.map(|seed| seed.parse().expect("a number")) {
        Some(seed) => run(seed, &mut counts),
        None => std::thread::scope(|scope| {
            let seeds = seeds();
            let share = move |first: u64| {
                let mut counts = BTreeMap::new();
                (first..seeds)
                    .step_by(AT_ONCE)
                    .for_each(|seed| run(seed, &mut counts));
                counts
            };
            let shares = (0..AT_ONCE as u64).map(|first| scope.spawn(move || share(first)));
            for share in shares.collect::<Vec<_>>() {
                for (outcome, count) in share.join().expect("a seed failed: its number is above") {
                    *counts.entry(outcome).or_default() += count;
                }
            }
        }),
    }
    println!("{counts:?}");
}
