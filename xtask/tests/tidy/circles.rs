//! Files of a crate that need each other.
//!
//! An edge goes from a file to the file of a module that it names in a `use`, or in a path that
//! begins with `crate`, `super` or `self`. Edges between a module and its parents or children are
//! set aside: they are read together. What is left may hold no circle.

use std::collections::{BTreeMap, BTreeSet};

use syn::visit::{self, Visit};

use crate::files;

type Edges = BTreeMap<String, BTreeSet<String>>;

/// Every circle between files.
pub fn circles() -> Vec<String> {
    let circles = components(&edges()).into_iter();
    circles.map(|circle| circle.join(" <-> ")).collect()
}

/// The files of each file's edges.
fn edges() -> Edges {
    let files = files::rust();
    // Only what is below a `src` belongs to a tree of modules that is known by its paths.
    let modules: BTreeMap<(String, Vec<String>), String> = files
        .iter()
        .filter_map(|(file, _)| Some((module_of(&file.path)?, file.path.clone())))
        .collect();
    let mut edges = Edges::new();
    for (file, parsed) in &files {
        let Some((top, module)) = module_of(&file.path) else {
            continue;
        };
        let mut paths = Paths {
            module: module.clone(),
            found: Vec::new(),
        };
        paths.visit_file(parsed);
        for path in paths.found {
            // The longest start of the path that is a module; the rest is what is taken from it.
            let target = (1..=path.len())
                .rev()
                .find_map(|count| modules.get_key_value(&(top.clone(), path[..count].to_vec())));
            let Some(((_, to), to_file)) = target else {
                continue;
            };
            if !to.starts_with(&module) && !module.starts_with(to) {
                let known = edges.entry(file.path.clone()).or_default();
                known.insert(to_file.clone());
            }
        }
    }
    edges
}

/// The `src` folder of a file and its module there; none outside of one and for programs.
fn module_of(path: &str) -> Option<(String, Vec<String>)> {
    let (top, rest) = path.split_once("/src/")?;
    let stem = rest.strip_suffix(".rs")?;
    let mut module: Vec<String> = stem.split('/').map(str::to_owned).collect();
    if module.first().is_some_and(|first| first == "bin") {
        return None;
    }
    if matches!(
        module.last().map(String::as_str),
        Some("mod" | "lib" | "main")
    ) {
        module.pop();
    }
    Some((top.to_owned(), module))
}

/// The paths within its crate that a file names.
struct Paths {
    module: Vec<String>,
    found: Vec<Vec<String>>,
}

impl Paths {
    /// A path from the crate's top, if it is one within the crate.
    fn absolute(&self, path: &[String]) -> Option<Vec<String>> {
        let mut from = match path.first()?.as_str() {
            "crate" => vec![],
            "self" => self.module.clone(),
            "super" => {
                let mut parent = self.module.clone();
                parent.pop()?;
                parent
            }
            _ => return None,
        };
        for part in &path[1..] {
            if part == "super" {
                from.pop()?;
            } else {
                from.push(part.clone());
            }
        }
        Some(from)
    }

    fn note(&mut self, path: &[String]) {
        let absolute = self.absolute(path);
        self.found.extend(absolute);
    }

    fn tree(&mut self, before: &mut Vec<String>, tree: &syn::UseTree) {
        match tree {
            syn::UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.tree(before, &path.tree);
                before.pop();
            }
            syn::UseTree::Name(name) => {
                before.push(name.ident.to_string());
                self.note(before);
                before.pop();
            }
            syn::UseTree::Rename(name) => {
                before.push(name.ident.to_string());
                self.note(before);
                before.pop();
            }
            syn::UseTree::Glob(_) => self.note(before),
            syn::UseTree::Group(group) => {
                for item in &group.items {
                    self.tree(before, item);
                }
            }
        }
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.tree(&mut Vec::new(), &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let parts: Vec<String> = path
            .segments
            .iter()
            .map(|it| it.ident.to_string())
            .collect();
        self.note(&parts);
        visit::visit_path(self, path);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        // Tests within a file may use whatever they need.
        if item.content.is_some() {
            return;
        }
        visit::visit_item_mod(self, item);
    }
}

/// Groups of files that reach each other, each sorted.
fn components(edges: &Edges) -> Vec<Vec<String>> {
    let reach: BTreeMap<&str, BTreeSet<&str>> = edges
        .keys()
        .map(|from| (from.as_str(), reached(edges, from)))
        .collect();
    let mut found = BTreeSet::new();
    for (from, to) in &reach {
        if !to.contains(from) {
            continue;
        }
        let back = |other: &&&str| reach.get(**other).is_some_and(|back| back.contains(from));
        let mut circle: Vec<String> = to.iter().filter(back).map(|it| (*it).to_owned()).collect();
        circle.sort();
        found.insert(circle);
    }
    found.into_iter().collect()
}

fn reached<'e>(edges: &'e Edges, from: &str) -> BTreeSet<&'e str> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&str> = edges
        .get(from)
        .into_iter()
        .flatten()
        .map(String::as_str)
        .collect();
    while let Some(file) = next.pop() {
        if reached.insert(file) {
            next.extend(edges.get(file).into_iter().flatten().map(String::as_str));
        }
    }
    reached
}
