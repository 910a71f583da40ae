//! The glossary in ARCHITECTURE.md against the code: its places exist, and names it has replaced
//! stay away.

use std::fs;

use proc_macro2::{TokenStream, TokenTree};

use crate::files;

/// The section whose table has a word, what it is, and where it stands.
const HEADING: &str = "## Glossary";
/// The crates whose folder has another name than they do, and those below a floor's folder.
const FOLDERS: [(&str, &str); 15] = [
    ("counting", "engine/counting"),
    ("reactor", "engine/reactor"),
    ("engine", "engine/core"),
    ("deflate", "engine/deflate"),
    ("tls", "engine/tls"),
    ("ens", "engine/ens"),
    ("ibiff", "engine/ibiff"),
    ("mail", "imap-front/mail"),
    ("proto", "imap-front/proto"),
    ("store", "imap-front/store"),
    ("model", "imap-front/model"),
    ("server", "imap-front/server"),
    ("admin", "imap-front/admin"),
    ("archive", "imap-front/archive"),
    ("monitor", "imap-front/monitor"),
];
/// Parts of names that gave way to the glossary's.
const REPLACED: [&str; 5] = ["lane", "outlet", "desk", "heads", "notice"];

/// Places that the glossary names and that are not there.
pub fn missing_places() -> Vec<String> {
    let text = fs::read_to_string(files::root().join("ARCHITECTURE.md")).unwrap();
    let section = text
        .split_once(HEADING)
        .expect("ARCHITECTURE.md has a glossary")
        .1;
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| "));
    let mut broken = Vec::new();
    let mut count = 0;
    for row in rows.skip(1) {
        let place = row.trim_end_matches('|').rsplit('|').next().unwrap();
        for path in place.split('`').skip(1).step_by(2) {
            count += 1;
            if !path.starts_with('…') && !exists(path) {
                broken.push(format!("{path}, in the row {row}"));
            }
        }
    }
    assert!(count > 20, "the glossary's table is not where it was");
    broken
}

/// Whether each module of a path like `store::writer` has its file; types are not looked for.
fn exists(path: &str) -> bool {
    let mut segments = path.split("::");
    let name = segments.next().unwrap();
    let Some((_, folder)) = FOLDERS.iter().find(|(known, _)| *known == name) else {
        return false;
    };
    let mut at = files::root().join(folder).join("src");
    for segment in segments.take_while(|it| it.starts_with(char::is_lowercase)) {
        at = at.join(segment);
        if !at.is_dir() && !at.with_extension("rs").is_file() {
            return false;
        }
    }
    files::root().join(folder).exists()
}

/// Every name with a part that the glossary has replaced.
pub fn replaced_names() -> Vec<String> {
    let mut broken = Vec::new();
    for file in files::ending(&[".rs"]) {
        let stream: TokenStream = file.text.parse().unwrap();
        look(stream, &mut |name, line| {
            let has = |part: &&str| parts(name).any(|have| have == **part);
            if REPLACED.iter().any(has) {
                broken.push(format!("{}:{line}: {name}", file.path));
            }
        });
    }
    broken
}

/// Calls `see` with each name and its line.
fn look(stream: TokenStream, see: &mut dyn FnMut(&str, usize)) {
    for token in stream {
        match token {
            TokenTree::Group(group) => look(group.stream(), see),
            TokenTree::Ident(name) => see(&name.to_string(), name.span().start().line),
            _ => {}
        }
    }
}

/// The words of a name in either case, in small letters.
fn parts(name: &str) -> impl Iterator<Item = String> {
    let mut parts = vec![String::new()];
    for letter in name.chars() {
        if letter == '_' || letter.is_uppercase() {
            parts.push(String::new());
        }
        if letter != '_' {
            parts.last_mut().unwrap().extend(letter.to_lowercase());
        }
    }
    parts.into_iter().filter(|part| !part.is_empty())
}
