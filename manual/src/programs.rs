//! Which programs an installation has.

use clap::Command;

/// Those that everybody may use: section 1 of the manual. The rest is the administrator's.
const FOR_USERS: [&str; 3] = ["apub", "asub", "loadgen"];

/// A program's command line, and the section of its page.
pub struct Program {
    /// What it takes.
    pub command: Command,
    /// 1 for users, 8 for administrators.
    pub section: u8,
}

/// All of them.
pub fn all() -> Vec<Program> {
    let mut commands = admin::arguments::commands();
    commands.extend(server::arguments::commands());
    commands.extend(ens::arguments::commands());
    commands.push(loadgen::arguments::command());
    commands.into_iter().map(described).collect()
}

fn described(command: Command) -> Program {
    let name = command.get_name().to_owned();
    let mut command = command.bin_name(name.clone()).disable_help_subcommand(true);
    // What it inherits and how its subcommands are called is known only then.
    command.build();
    let section = if FOR_USERS.contains(&name.as_str()) {
        1
    } else {
        8
    };
    Program { command, section }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    /// Where the sources of programs are.
    const SOURCES: [&str; 3] = [
        "imap-front/admin/src/bin",
        "imap-front/server/src/bin",
        "engine/ens/src/bin",
    ];

    #[test]
    fn every_program_is_described() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut sources: BTreeSet<String> = ["imapd", "loadgen"].map(str::to_owned).into();
        for folder in SOURCES {
            for file in fs::read_dir(root.join(folder)).unwrap() {
                let path = file.unwrap().path();
                sources.insert(path.file_stem().unwrap().to_str().unwrap().to_owned());
            }
        }
        let names = all().into_iter();
        let described: BTreeSet<String> = names
            .map(|program| program.command.get_name().to_owned())
            .collect();
        assert_eq!(
            described, sources,
            "see the module `arguments` of each crate"
        );
    }
}
