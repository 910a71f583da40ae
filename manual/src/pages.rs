//! Man pages: one of each program, and one of each of its subcommands.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use clap::Command;
use clap_mangen::Man;

use crate::programs::Program;

/// A page of the manual.
struct Page {
    /// Its file's name.
    file: String,
    /// In the language of man pages.
    text: Vec<u8>,
}

/// Writes a program's pages below `folder`.
pub fn write(program: &Program, folder: &Path) -> Result<()> {
    let folder = folder.join(format!("man/man{}", program.section));
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for page in pages(program)? {
        let path = folder.join(page.file);
        fs::write(&path, page.text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn pages(program: &Program) -> Result<Vec<Page>> {
    let mut pages = Vec::new();
    let mut left = vec![program.command.clone()];
    while let Some(command) = left.pop() {
        let shown = |one: &&Command| !one.is_hide_set();
        left.extend(command.get_subcommands().filter(shown).cloned());
        pages.push(page(command, program.section)?);
    }
    Ok(pages)
}

fn page(command: Command, section: u8) -> Result<Page> {
    let name = command.get_display_name().unwrap_or(command.get_name());
    let (file, title) = (format!("{name}.{section}"), name.to_uppercase());
    let release = concat!("Ensign ", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command)
        .title(title)
        .section(section.to_string())
        .source(release)
        .manual("Ensign");
    let mut text = Vec::new();
    man.render(&mut text)
        .with_context(|| format!("cannot write {file}"))?;
    Ok(Page { file, text })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::programs;

    /// The text of each page, by its file's name, with hyphens as they are typed.
    fn texts(program: &Program) -> BTreeMap<String, String> {
        let plain = |text: Vec<u8>| String::from_utf8(text).unwrap().replace("\\-", "-");
        let pages = pages(program).unwrap().into_iter();
        pages.map(|page| (page.file, plain(page.text))).collect()
    }

    /// What of a command is missing in its page and those of its subcommands.
    fn missing(command: &Command, section: u8, texts: &BTreeMap<String, String>) -> Vec<String> {
        let name = command.get_display_name().unwrap_or(command.get_name());
        let Some(text) = texts.get(&format!("{name}.{section}")) else {
            return vec![format!("{name} has no page")];
        };
        let mut missing = Vec::new();
        for argument in command.get_arguments().filter(|it| !it.is_hide_set()) {
            let long = argument.get_long().map(|long| format!("--{long}"));
            let short = argument.get_short().map(|short| format!("-{short}"));
            let is_named = long.is_some() || short.is_some();
            let id = argument.get_id().as_str().to_uppercase();
            let place = argument
                .get_value_names()
                .map_or(id, |names| names[0].to_string());
            let place = (!is_named).then_some(place);
            for word in [long, short, place].into_iter().flatten() {
                if !text.contains(&word) {
                    missing.push(format!("{name}: {word}"));
                }
            }
        }
        for subcommand in command.get_subcommands().filter(|it| !it.is_hide_set()) {
            missing.extend(self::missing(subcommand, section, texts));
        }
        missing
    }

    #[test]
    fn every_option_of_every_program_is_in_its_page() {
        for program in programs::all() {
            let texts = texts(&program);
            let missing = missing(&program.command, program.section, &texts);
            assert!(missing.is_empty(), "{missing:?}");
        }
    }

    #[test]
    fn subcommands_have_pages_and_hidden_ones_none() {
        let all = programs::all();
        let of = |name: &str| {
            let found = all.iter().find(|it| it.command.get_name() == name);
            texts(found.unwrap())
        };
        let msguser = of("msguser");
        assert!(msguser["msguser-import.8"].contains("msguser import"));
        assert!(
            msguser["msguser.8"].contains("msguser-import(8)"),
            "{}",
            msguser["msguser.8"]
        );
        let loadgen = of("loadgen");
        assert!(loadgen.contains_key("loadgen-idle.1"));
        assert!(!loadgen.contains_key("loadgen-sendloop.1"));
        assert!(!loadgen.contains_key("loadgen-help.1"));
    }
}
