//! The files that this process and the programs it starts can reach: Landlock.
//!
//! It writes below `data/`, `log/` and `run/`, where its sockets and its log file are configured to
//! be, and to `/dev/null`; it reads its programs, configuration and plug-ins, and what every
//! program reads of its system. Everything else of the host is closed to it, whoever its user is.

use std::path::{Path, PathBuf};

use admin::{Base, Config};
use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus,
};

/// What is asked of the kernel: files, links between folders, truncation, device control. An older
/// one restricts what it knows.
const WANTED: ABI = ABI::V5;
/// What programs read of their system: libraries, names, time zones, their own limits.
const SYSTEM: [&str; 9] = [
    "/bin", "/dev", "/etc", "/lib", "/lib64", "/proc", "/run", "/sys", "/usr",
];
/// Where what nobody reads goes.
const NULL: &str = "/dev/null";
/// The options that name files which are written.
const WRITTEN: [&str; 3] = ["ens.socket", "logfile.imap.file", "service.lmtp.socket"];

/// How far the kernel goes along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confinement {
    /// Every restriction holds.
    Whole,
    /// Those that this kernel knows.
    Partial,
    /// None: this kernel has no Landlock, or it was not enabled when it started.
    None,
}

/// Why it can't be done.
#[derive(Debug, thiserror::Error)]
#[error("Landlock: {0}; service.landlock 0 does without")]
pub struct ConfinementError(#[from] RulesetError);

/// Closes the host's files to this thread and to those that it starts from now on. There is no way
/// back. Folders that don't exist yet can't be named: they must be made before.
///
/// # Errors
/// If the kernel knows Landlock and refuses.
pub fn confine(base: &Base, config: &Config) -> Result<Confinement, ConfinementError> {
    let all = AccessFs::from_all(WANTED);
    let read = AccessFs::from_read(WANTED);
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(all)?
        .create()?;
    for path in [base.data(), base.log(), base.run()]
        .into_iter()
        .chain(written(base, config))
    {
        rules = allow(rules, &path, all)?;
    }
    for path in read_only(base, config) {
        rules = allow(rules, &path, read)?;
    }
    rules = allow(rules, Path::new(NULL), AccessFs::from_file(WANTED))?;
    Ok(match rules.restrict_self()?.ruleset {
        RulesetStatus::FullyEnforced => Confinement::Whole,
        RulesetStatus::PartiallyEnforced => Confinement::Partial,
        RulesetStatus::NotEnforced => Confinement::None,
    })
}

/// The folders of files that options name.
fn written(base: &Base, config: &Config) -> impl Iterator<Item = PathBuf> {
    let paths = WRITTEN.into_iter().filter_map(|name| config.path(name));
    let paths: Vec<PathBuf> = paths.map(|path| base.root().join(path)).collect();
    paths
        .into_iter()
        .filter_map(|path| path.parent().map(Path::to_owned))
}

fn read_only(base: &Base, config: &Config) -> impl Iterator<Item = PathBuf> {
    let own = ["config", "lib", "sbin"].map(|name| base.root().join(name));
    let plug_ins = config.plug_ins();
    let of_plug_ins = plug_ins.into_iter().filter_map(|plug_in| {
        let path = base.root().join(plug_in.library);
        path.parent().map(Path::to_owned)
    });
    let program = std::env::current_exe().ok();
    let of_program = program.and_then(|it| it.parent().map(Path::to_owned));
    let system = SYSTEM.into_iter().map(PathBuf::from);
    let paths: Vec<PathBuf> = own
        .into_iter()
        .chain(of_plug_ins)
        .chain(of_program)
        .chain(system)
        .collect();
    paths.into_iter()
}

/// What is not there needs no rule.
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::ErrorKind;
    use std::process::Command;

    use super::*;

    /// Tries to leave the base directory from within a confined thread.
    #[test]
    fn nothing_outside_of_the_base_directory_is_reached() {
        let folder = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        let base = Base::new(folder.path());
        for name in ["config", "data", "log", "run", "lib", "sbin"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        fs::write(base.msg_conf(), "logfile.imap.file = log/imap\n").unwrap();
        let secret = outside.path().join("secret");
        fs::write(&secret, "secret").unwrap();
        let config = Config::load(&base).unwrap();
        let attempts = move || {
            let confinement = confine(&base, &config).unwrap();
            let kind = |result: std::io::Result<()>| result.err().map(|error| error.kind());
            let moved = base.data().join("moved");
            let allowed = [
                fs::write(base.data().join("mail"), ""),
                fs::write(base.run().join("statistics"), ""),
                fs::rename(base.data().join("mail"), &moved),
                fs::read(base.msg_conf()).map(drop),
                fs::read("/etc/passwd").map(drop),
                fs::write(NULL, "nothing"),
            ];
            let denied = [
                fs::read(&secret).map(drop),
                fs::write(&secret, ""),
                fs::read_dir(outside.path()).map(drop),
                fs::write(outside.path().join("new"), ""),
                fs::hard_link(&moved, outside.path().join("link")),
                fs::rename(&moved, outside.path().join("away")),
                fs::write(base.msg_conf(), "service.user = root"),
                fs::remove_file(base.msg_conf()),
                fs::write(base.root().join("lib/imapd"), ""),
                fs::read_dir("/root").map(drop),
                // A program that it starts can do no more.
                Command::new("cat")
                    .arg(&secret)
                    .output()
                    .and_then(|output| match output.status.success() {
                        true => Ok(()),
                        false => Err(ErrorKind::PermissionDenied.into()),
                    }),
            ];
            (confinement, allowed.map(kind), denied.map(kind))
        };
        let confined = std::thread::Builder::new().spawn(attempts).unwrap();
        let (confinement, allowed, denied) = confined.join().unwrap();
        if confinement == Confinement::None {
            return;
        }
        assert!(allowed.iter().all(Option::is_none), "{allowed:?}");
        for (number, kind) in denied.iter().enumerate() {
            let expected = match number {
                // From one folder's rules to another's: EXDEV.
                4 | 5 => [
                    Some(ErrorKind::CrossesDevices),
                    Some(ErrorKind::PermissionDenied),
                ],
                _ => [Some(ErrorKind::PermissionDenied); 2],
            };
            assert!(expected.contains(kind), "{number}: {kind:?}");
        }
    }
}
