//! `cargo xtask docs`: the pages of `docs/` that are made from tables in the code.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// A page below the root, and what makes it.
type Page = (&'static str, fn() -> String);

/// All pages that are made.
const PAGES: [Page; 3] = [
    ("docs/capabilities.md", proto::imap::capabilities::page),
    ("docs/metrics.md", monitor::docs::page),
    ("docs/options.md", admin::config::options_page),
];

/// Writes the pages below `root`.
pub fn write(root: &Path) -> Result<()> {
    for (path, text) in PAGES {
        fs::write(root.join(path), text()).with_context(|| format!("cannot write {path}"))?;
        println!("wrote {path}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_as_the_code_says() {
        for (path, text) in PAGES {
            let stands = fs::read_to_string(crate::paths::root().join(path)).unwrap_or_default();
            assert!(
                stands == text(),
                "{path} is not up to date: cargo xtask docs"
            );
        }
    }
}
