//! Which crate may depend on which.

use std::collections::BTreeSet;
use std::fs;

use crate::files::root;

/// Each crate, and those of ours that it may depend on; `dev:` in front, for its tests only.
const ALLOWED: [(&str, &[&str]); 20] = [
    ("counting", &[]),
    ("reactor", &[]),
    ("engine", &["counting", "deflate", "reactor", "tls"]),
    ("deflate", &[]),
    ("tls", &[]),
    ("nats", &[]),
    ("ens", &["reactor", "engine", "tls", "nats"]),
    ("ibiff", &["ens", "dev:tls"]),
    ("mail", &[]),
    ("proto", &["mail", "dev:model"]),
    ("store", &["counting", "mail", "dev:model"]),
    ("model", &["mail"]),
    ("monitor", &["counting"]),
    ("admin", &["mail", "monitor"]),
    ("archive", &["mail", "proto"]),
    (
        "server",
        &[
            "counting",
            "monitor",
            "reactor",
            "engine",
            "ens",
            "ibiff",
            "mail",
            "proto",
            "store",
            "admin",
            "archive",
            "tls",
            "dev:model",
        ],
    ),
    (
        "loadgen",
        &[
            "reactor", "engine", "tls", "ens", "mail", "proto", "model", "nats", "server", "admin",
        ],
    ),
    (
        "benches",
        &[
            "reactor", "engine", "tls", "ens", "mail", "proto", "store", "model", "server",
        ],
    ),
    ("manual", &["admin", "server", "ens", "loadgen"]),
    ("xtask", &["admin", "monitor", "proto"]),
];

/// Edges that the table lacks.
pub fn forbidden() -> Vec<String> {
    let ours: BTreeSet<String> = manifests().iter().map(name).collect();
    let mut broken = Vec::new();
    for manifest in manifests() {
        let from = name(&manifest);
        let allowed = ALLOWED
            .iter()
            .find(|(name, _)| *name == from)
            .map_or(&[][..], |(_, a)| *a);
        for (section, mark) in [
            ("dependencies", ""),
            ("build-dependencies", ""),
            ("dev-dependencies", "dev:"),
        ] {
            let Some(table) = manifest.get(section).and_then(toml::Value::as_table) else {
                continue;
            };
            for to in table.keys().filter(|to| ours.contains(*to) && **to != from) {
                let marked = format!("{mark}{to}");
                if !allowed.contains(&to.as_str()) && !allowed.contains(&marked.as_str()) {
                    broken.push(format!("{from} -> {marked}"));
                }
            }
        }
    }
    broken
}

/// Crates that the table lacks, and names in it that are no crate.
pub fn unknown() -> Vec<String> {
    let ours: BTreeSet<String> = manifests().iter().map(name).collect();
    let table: BTreeSet<String> = ALLOWED.iter().map(|(name, _)| (*name).to_owned()).collect();
    ours.symmetric_difference(&table).cloned().collect()
}

/// The folders of all crates of the workspace.
pub fn members() -> Vec<String> {
    let text = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let workspace: toml::Value = toml::from_str(&text).unwrap();
    let members = workspace["workspace"]["members"].as_array().unwrap();
    members
        .iter()
        .map(|member| member.as_str().unwrap().to_owned())
        .collect()
}

fn manifests() -> Vec<toml::Value> {
    let read = |member: String| {
        let text = fs::read_to_string(root().join(member).join("Cargo.toml")).unwrap();
        toml::from_str(&text).unwrap()
    };
    members().into_iter().map(read).collect()
}

fn name(manifest: &toml::Value) -> String {
    manifest["package"]["name"].as_str().unwrap().to_owned()
}
