//! Words that may stand only in certain places, or nowhere.

use proc_macro2::{TokenStream, TokenTree};

use crate::files::{self, File};

/// The only places of `unsafe`.
const UNSAFE_PLACES: [&str; 2] = ["engine/reactor/", "engine/ibiff/"];
/// Macros that no finished code calls.
const MACROS: [&str; 3] = ["dbg", "todo", "unimplemented"];
/// Notes to oneself; put together here, so that this file has none.
const NOTES: [&str; 3] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
];
/// Folders that exist on one machine only.
const MACHINE_PATHS: [&str; 4] = ["/work/", "/tmp/", "/root/", "/home/"];

/// Every `unsafe` outside its places, as code or as the attribute that allows it.
pub fn stray_unsafe() -> Vec<String> {
    let mut broken = Vec::new();
    for file in files::ending(&[".rs"]) {
        if UNSAFE_PLACES
            .iter()
            .any(|place| file.path.starts_with(place))
        {
            continue;
        }
        each_token(&file, &mut |tokens, at| {
            if word(&tokens[at]).is_some_and(|word| word == "unsafe") {
                broken.push(place(&file, &tokens[at]));
            }
            let attribute = tokens
                .get(at + 1)
                .map(TokenTree::to_string)
                .unwrap_or_default();
            if word(&tokens[at]).is_some_and(|word| word == "allow" || word == "expect")
                && attribute.contains("unsafe_code")
            {
                broken.push(place(&file, &tokens[at]));
            }
        });
    }
    broken
}

/// Every call of an unfinished macro and every note to oneself.
pub fn left_over() -> Vec<String> {
    let mut broken = Vec::new();
    for file in files::ending(&[".rs"]) {
        each_token(&file, &mut |tokens, at| {
            let called = tokens
                .get(at + 1)
                .is_some_and(|next| next.to_string() == "!");
            if called && word(&tokens[at]).is_some_and(|word| MACROS.contains(&word.as_str())) {
                broken.push(place(&file, &tokens[at]));
            }
        });
    }
    for file in files::ending(&[".rs", ".md", ".toml", ".py", ".cjs", "/run"]) {
        for (number, line) in (1..).zip(file.text.lines()) {
            let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
            if let Some(note) = words.find(|word| NOTES.contains(word)) {
                broken.push(format!("{}:{number}: {note}", file.path));
            }
        }
    }
    broken
}

/// Every path in a document that exists on one machine only.
pub fn machine_paths() -> Vec<String> {
    let mut broken = Vec::new();
    for file in files::ending(&[".md"]) {
        for (number, line) in (1..).zip(file.text.lines()) {
            for path in MACHINE_PATHS.iter().filter(|path| line.contains(*path)) {
                broken.push(format!("{}:{number}: {path}", file.path));
            }
        }
    }
    broken
}

/// Every document that has no title or more than one.
pub fn titles() -> Vec<String> {
    let mut broken = Vec::new();
    for file in files::ending(&[".md"]) {
        let mut in_code = false;
        let mut titles = 0;
        for line in file.text.lines() {
            in_code ^= line.trim_start().starts_with("```");
            titles += u32::from(!in_code && line.starts_with("# "));
        }
        if titles != 1 {
            broken.push(format!("{}: {titles} titles", file.path));
        }
    }
    broken
}

/// Shows each token of a file, with its neighbours, to `look`; comments and strings hold none.
fn each_token(file: &File, look: &mut impl FnMut(&[TokenTree], usize)) {
    let stream: TokenStream = file.text.parse().unwrap_or_else(|cause| {
        panic!("{}: {cause}", file.path);
    });
    walk(stream, look);
}

fn walk(stream: TokenStream, look: &mut impl FnMut(&[TokenTree], usize)) {
    let tokens: Vec<TokenTree> = stream.into_iter().collect();
    for at in 0..tokens.len() {
        look(&tokens, at);
    }
    for token in tokens {
        if let TokenTree::Group(group) = token {
            walk(group.stream(), look);
        }
    }
}

fn word(token: &TokenTree) -> Option<String> {
    match token {
        TokenTree::Ident(ident) => Some(ident.to_string()),
        _ => None,
    }
}

fn place(file: &File, token: &TokenTree) -> String {
    format!("{}:{}: {token}", file.path, token.span().start().line)
}
