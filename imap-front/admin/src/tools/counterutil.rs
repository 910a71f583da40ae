//! `counterutil`: what the running server has counted.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write;

use clap::Parser;
use serde_json::{Value, json};

use super::ask::Asker;
use super::{EXIT_CODES, verdict};
use crate::Base;

/// Shows every counter of the running server, and what it counts. Counters begin at 0 with each
/// start; some say how many there are now.
#[derive(Parser)]
#[command(name = "counterutil", version, after_help = EXIT_CODES)]
pub struct Arguments {
    /// Only counters whose names contain this, in any case.
    pattern: Option<String>,
    /// Each shard by itself; without it their sum.
    #[arg(short, long)]
    shards: bool,
    /// A line of JSON for each counter.
    #[arg(long)]
    json: bool,
}

/// Shows them.
///
/// # Errors
/// If the server can't be asked.
pub fn run(base: &Base, arguments: &Arguments, out: &mut dyn Write) -> Result<u8, Box<dyn Error>> {
    let mut counters: Vec<(String, String, u64, String)> = vec![];
    let mut places: BTreeMap<(String, String), usize> = BTreeMap::new();
    let pattern = arguments.pattern.as_deref().unwrap_or("").to_lowercase();
    Asker::of(base)?.ask(&json!({ "ask": "counters" }), |line| {
        let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
        let (of, name, help) = (text("of"), text("name"), text("help"));
        let value = line["value"].as_u64().unwrap_or_default();
        if !name.to_lowercase().contains(&pattern) {
            return Ok(());
        }
        let of = match of.starts_with("shard ") && !arguments.shards {
            true => "shards".to_owned(),
            false => of,
        };
        let next = counters.len();
        match *places.entry((of.clone(), name.clone())).or_insert(next) {
            at if at < next => counters[at].2 += value,
            _ => counters.push((of, name, value, help)),
        }
        Ok(())
    })?;
    for (of, name, value, help) in &counters {
        if arguments.json {
            let line: Value = json!({ "of": of, "name": name, "value": value, "help": help });
            writeln!(out, "{line}")?;
        } else {
            writeln!(out, "{of:8} {name:22} {value:>16}  {help}")?;
        }
    }
    let nothing = "counterutil: no counter has such a name";
    Ok(verdict(counters.len() as u64, nothing))
}
