//! How long files, functions and lines may be.

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::files;

/// Lines of a file.
const FILE_LINES_MAX: usize = 600;
/// Lines of a function, from its signature to its closing brace.
const FUNCTION_LINES_MAX: usize = 90;
/// Characters of a line of Rust.
const LINE_CHARS_MAX: usize = 100;

/// Files, functions and lines beyond the limits.
pub fn too_long() -> Vec<String> {
    let mut broken = Vec::new();
    for (file, parsed) in files::rust() {
        let path = &file.path;
        let lines = file.text.lines().count();
        if lines > FILE_LINES_MAX {
            broken.push(format!("{path}: {lines} lines"));
        }
        for (number, line) in (1..).zip(file.text.lines()) {
            if line.chars().count() > LINE_CHARS_MAX {
                broken.push(format!(
                    "{path}:{number}: {} characters",
                    line.chars().count()
                ));
            }
        }
        let mut functions = Functions {
            path,
            broken: &mut broken,
        };
        functions.visit_file(&parsed);
    }
    broken
}

struct Functions<'a> {
    path: &'a str,
    broken: &'a mut Vec<String>,
}

impl Functions<'_> {
    fn measure(&mut self, name: &syn::Ident, signature: &syn::Signature, body: &syn::Block) {
        let first = signature.span().start().line;
        let lines = body.span().end().line - first + 1;
        if lines > FUNCTION_LINES_MAX {
            self.broken
                .push(format!("{}:{first}: fn {name}, {lines} lines", self.path));
        }
    }
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.measure(&function.sig.ident, &function.sig, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.measure(&function.sig.ident, &function.sig, &function.block);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        if let Some(body) = &function.default {
            self.measure(&function.sig.ident, &function.sig, body);
        }
        visit::visit_trait_item_fn(self, function);
    }
}
