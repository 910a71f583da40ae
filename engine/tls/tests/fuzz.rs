//! The fuzz bodies over seeds, every truncation of these, what campaigns found, and reproducible
//! mutations.

#[allow(
    dead_code,
    clippy::unwrap_used,
    reason = "it belongs to other tests too"
)]
#[path = "support/peer.rs"]
mod peer;
#[path = "../fuzz/src/targets.rs"]
mod targets;

/// Mutations of each seed.
const ROUNDS: u64 = 1000;

/// What is in a folder of inputs.
fn inputs(of: &str, target: &str) -> Vec<Vec<u8>> {
    let folder = format!("{}/fuzz/{of}/{target}", env!("CARGO_MANIFEST_DIR"));
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.expect("a readable folder").path());
    let mut paths: Vec<_> = paths.collect();
    paths.sort();
    let read = |path| std::fs::read(path).expect("a readable input");
    paths.into_iter().map(read).collect()
}

/// Runs one target; what it panics at is printed.
fn run(name: &str, target: fn(&[u8])) {
    let check = |input: &[u8]| {
        let outcome = std::panic::catch_unwind(|| target(input));
        assert!(outcome.is_ok(), "{name}: b\"{}\"", input.escape_ascii());
    };
    let seeds = inputs("seeds", name);
    assert!(!seeds.is_empty(), "{name} has no seeds");
    for seed in &seeds {
        (0..=seed.len()).for_each(|end| check(&seed[..end]));
    }
    inputs("corpus", name).iter().for_each(|input| check(input));
    let mut rng = fastrand::Rng::with_seed(7);
    for seed in &seeds {
        for _ in 0..ROUNDS {
            let mut bytes = seed.clone();
            for _ in 0..rng.u32(1..5) {
                let at = rng.usize(0..=bytes.len());
                let end = (at + rng.usize(0..8)).min(bytes.len());
                match rng.u32(0..4) {
                    0 if at < bytes.len() => bytes[at] = rng.u8(..),
                    1 => drop(bytes.drain(at..end)),
                    2 => {
                        let other = rng.choice(&seeds).expect("there are seeds");
                        let from = rng.usize(0..=other.len());
                        bytes.splice(at..end, other[from..].iter().copied());
                    }
                    _ => bytes.truncate(at),
                }
            }
            check(&bytes);
        }
    }
}

#[test]
fn records() {
    run("records", targets::records);
}

#[test]
fn raw() {
    run("raw", targets::raw);
}
