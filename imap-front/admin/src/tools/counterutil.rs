//! `counterutil`: what the running server has counted.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write;

use clap::Parser;
use serde_json::{Map, Value, json};

use super::ask::Asker;
use super::{EXIT_CODES, printable, verdict};
use crate::Base;

/// The label that tells shards apart.
const SHARD: &str = "shard";

/// Shows every metric of the running server, and what it tells. Those that end in _total begin at 0
/// with each start; docs/metrics.md has all of them.
#[derive(Parser)]
#[command(name = "counterutil", version, after_help = EXIT_CODES)]
pub struct Arguments {
    /// Only metrics whose names or labels contain this, in any case.
    pattern: Option<String>,
    /// Each shard by itself; without it their sum.
    #[arg(short, long)]
    shards: bool,
    /// A line of JSON for each metric.
    #[arg(long)]
    json: bool,
}

/// One that is shown.
struct Shown {
    name: String,
    labels: Map<String, Value>,
    value: Value,
    help: String,
}

/// Shows them.
///
/// # Errors
/// If the server can't be asked.
pub fn run(base: &Base, arguments: &Arguments, out: &mut dyn Write) -> Result<u8, Box<dyn Error>> {
    let mut metrics: Vec<Shown> = vec![];
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let pattern = arguments.pattern.as_deref().unwrap_or("").to_lowercase();
    Asker::of(base)?.ask(&json!({ "ask": "counters" }), |line| {
        let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
        let mut labels = line["labels"].as_object().cloned().unwrap_or_default();
        if !arguments.shards {
            labels.remove(SHARD);
        }
        let (name, value) = (text("name"), line["value"].clone());
        let called = called(&name, &labels);
        if !called.to_lowercase().contains(&pattern) {
            return Ok(());
        }
        let next = metrics.len();
        match *places.entry(called).or_insert(next) {
            at if at < next => metrics[at].value = sum(&metrics[at].value, &value),
            _ => metrics.push(Shown {
                name,
                labels,
                value,
                help: text("help"),
            }),
        }
        Ok(())
    })?;
    for Shown {
        name,
        labels,
        value,
        help,
    } in &metrics
    {
        if arguments.json {
            let line = json!({ "name": name, "labels": labels, "value": value, "help": help });
            writeln!(out, "{line}")?;
        } else {
            let called = called(name, labels);
            writeln!(out, "{called:58} {:>18}  {help}", shown(value))?;
        }
    }
    let nothing = "counterutil: no metric has such a name";
    Ok(verdict(metrics.len() as u64, nothing))
}

/// As `/metrics` has it.
fn called(name: &str, labels: &Map<String, Value>) -> String {
    if labels.is_empty() {
        return name.to_owned();
    }
    let pair = |(name, value): (&String, &Value)| {
        format!(
            "{name}=\"{}\"",
            printable(value.as_str().unwrap_or_default())
        )
    };
    let pairs: Vec<String> = labels.iter().map(pair).collect();
    format!("{name}{{{}}}", pairs.join(","))
}

/// Whole numbers stay whole.
fn sum(one: &Value, other: &Value) -> Value {
    match (one.as_u64(), other.as_u64()) {
        (Some(one), Some(other)) => json!(one + other),
        _ => json!(one.as_f64().unwrap_or_default() + other.as_f64().unwrap_or_default()),
    }
}

fn shown(value: &Value) -> String {
    match (value.as_u64(), value.as_f64()) {
        (Some(count), _) => count.to_string(),
        (None, Some(number)) => format!("{number:.3}"),
        (None, None) => "-".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_added_up() {
        assert_eq!(sum(&json!(1), &json!(2)), json!(3));
        assert_eq!(sum(&json!(1.5), &json!(2)), json!(3.5));
        let labels = json!({ "result": "ok", "scheme": "pass\nword" });
        let labels = labels.as_object().cloned().unwrap_or_default();
        let name = "ensign_authentications_total";
        let expected = "ensign_authentications_total{result=\"ok\",scheme=\"pass\\u{a}word\"}";
        assert_eq!(called(name, &labels), expected);
        assert_eq!(
            (shown(&json!(7)), shown(&json!(0.25))),
            ("7".into(), "0.250".into())
        );
    }
}
