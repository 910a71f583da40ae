//! The files that this process and the programs it starts can reach: Landlock.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd,
    Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};

use super::Confinement;

/// What is asked of the kernel: files, links between folders, truncation, TCP, device control, and
/// whom signals reach. An older one restricts what it knows.
const WANTED: ABI = ABI::V6;
/// Where what nobody reads goes.
const NULL: &str = "/dev/null";

/// What stays within reach. What is not there when it is asked for is left out.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    /// Folders in which everything may be done.
    pub written: Vec<PathBuf>,
    /// Files and folders that are read, and whose programs may be started.
    pub read: Vec<PathBuf>,
    /// Whether TCP ports may be taken, and connections begun.
    pub network: bool,
}

/// Why it can't be done.
#[derive(Debug, thiserror::Error)]
#[error("Landlock: {0}")]
pub struct FilesError(#[from] RulesetError);

/// Closes everything else to this thread and to those that it starts from now on, and has them
/// signal nobody but each other and what they start. There is no way back. Sockets and files that
/// are open stay so.
///
/// # Errors
/// If the kernel knows Landlock and refuses.
pub fn confine(reach: &Reach) -> Result<Confinement, FilesError> {
    let all = AccessFs::from_all(WANTED);
    let read = AccessFs::from_read(WANTED);
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(all)?
        .scope(Scope::Signal)?;
    if !reach.network {
        ruleset = ruleset.handle_access(AccessNet::from_all(WANTED))?;
    }
    let mut rules = ruleset.create()?;
    for path in &reach.written {
        rules = allow(rules, path, all)?;
    }
    for path in &reach.read {
        rules = allow(rules, path, read)?;
    }
    rules = allow(rules, Path::new(NULL), AccessFs::from_file(WANTED))?;
    Ok(match rules.restrict_self()?.ruleset {
        RulesetStatus::FullyEnforced => Confinement::Whole,
        RulesetStatus::PartiallyEnforced => Confinement::Partial,
        RulesetStatus::NotEnforced => Confinement::None,
    })
}

fn allow(
    rules: RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    match PathFd::new(path) {
        Ok(file) => rules.add_rule(PathBeneath::new(file, access)),
        Err(_) => Ok(rules),
    }
}
