//! Completions of command lines, for the shells that people use.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap_complete::{Shell, generate};

use crate::programs::Program;

/// The shells.
const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Zsh, Shell::Fish];

/// Where each looks for a program's completions, below `share`.
fn place(shell: Shell, program: &str) -> PathBuf {
    match shell {
        Shell::Zsh => format!("zsh/vendor-completions/_{program}"),
        Shell::Fish => format!("fish/vendor_completions.d/{program}.fish"),
        _ => format!("bash-completion/completions/{program}"),
    }
    .into()
}

/// Writes a program's completions below `folder`.
pub fn write(program: &Program, folder: &Path) -> Result<()> {
    for shell in SHELLS {
        let path = folder.join(place(shell, program.command.get_name()));
        let parent = path.parent().context("it lies in a folder")?;
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
        fs::write(&path, text(shell, program))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn text(shell: Shell, program: &Program) -> Vec<u8> {
    let mut command = program.command.clone();
    let name = command.get_name().to_owned();
    let mut text = Vec::new();
    generate(shell, &mut command, name, &mut text);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::programs;

    #[test]
    fn every_long_option_can_be_completed() {
        for program in programs::all() {
            for shell in SHELLS {
                let text = String::from_utf8(text(shell, &program)).unwrap();
                let shown = program
                    .command
                    .get_arguments()
                    .filter(|it| !it.is_hide_set());
                for long in shown.filter_map(clap::Arg::get_long) {
                    let name = program.command.get_name();
                    assert!(text.contains(long), "{shell}: {name} --{long}");
                }
            }
        }
    }
}
