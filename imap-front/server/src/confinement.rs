//! What this process reaches of the host, and the system calls that it makes once it serves.
//!
//! It writes below `data/`, `log/` and `run/`, where its sockets and its log file are configured to
//! be, and to `/dev/null`; it reads its programs, configuration and plug-ins, and what every
//! program reads of its system. Everything else of the host is closed to it, whoever its user is
//! (Landlock). System calls are on a list from the moment on at which all threads and plug-ins are
//! there (seccomp): until then plug-ins are loaded, and each is tried in another process.

use std::path::{Path, PathBuf};

use admin::{Base, Config};
use ens::confinement::{self, ConfinementError};
use reactor::rights::calls::Group;
use reactor::rights::files::Reach;

use crate::broker;

/// What programs read of their system: libraries, names, time zones, their own limits.
const SYSTEM: [&str; 9] = [
    "/bin", "/dev", "/etc", "/lib", "/lib64", "/proc", "/run", "/sys", "/usr",
];
/// The options that name files which are read.
const READ: [&str; 2] = ["oauth.keys", "ssl.clientca"];
/// And of those that are read if the broker is a part of this process.
const READ_BY_BROKER: [&str; 3] = [
    "ens.nats.ca",
    "ens.nats.certificate",
    "ens.nats.credentials",
];
/// The options that name files which are written.
const WRITTEN: [&str; 3] = ["ens.socket", "logfile.imap.file", "service.lmtp.socket"];
/// Besides those of every program: the store's files, the broker of another
/// host, and the administrator's tools.
const CALLS: [Group; 5] = [
    Group::Base,
    Group::Reading,
    Group::Writing,
    Group::Connecting,
    Group::Accepting,
];

/// The plug-in that is ours.
const OWN_PLUG_IN: &str = "libibiff";

/// Closes the rest of the host's files to this thread and to those that it starts from now on, and
/// says if its rings will not be restricted. Folders that don't exist yet can't be named: they must
/// be made before.
///
/// # Errors
/// If the kernel knows Landlock and refuses.
pub fn confine_files(base: &Base, config: &Config) -> Result<(), ConfinementError> {
    confinement::confine_files(config.switch("service.landlock"), &reach(base, config))?;
    confinement::say_of_rings(config.switch("service.restrictrings"));
    Ok(())
}

/// Has all threads make the calls of the list and no others, those of plug-ins included.
///
/// # Errors
/// If the kernel has seccomp and refuses.
pub fn confine_calls(config: &Config) -> Result<(), ConfinementError> {
    let wanted = config.switch("service.seccomp");
    for plug_in in config.plug_ins().into_iter().filter(|_| wanted) {
        let library = Path::new(&plug_in.library);
        if library.file_stem() != Some(OWN_PLUG_IN.as_ref()) {
            tracing::info!(
                "the notification plug-in {} is refused system calls that this server doesn't \
                 make itself; if it needs others, set service.seccomp to no",
                plug_in.library
            );
        }
    }
    confinement::confine_calls(wanted, &CALLS)
}

fn reach(base: &Base, config: &Config) -> Reach {
    let own = [base.data(), base.log(), base.run()];
    Reach {
        written: own.into_iter().chain(written(base, config)).collect(),
        read: read_only(base, config).collect(),
        network: true,
    }
}

/// The folders of files that options name.
fn written(base: &Base, config: &Config) -> impl Iterator<Item = PathBuf> {
    folders(base, config, &WRITTEN)
}

fn folders(base: &Base, config: &Config, options: &[&str]) -> impl Iterator<Item = PathBuf> {
    let paths = options.iter().filter_map(|name| config.path(name));
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
    let of_broker = broker::shards(config).map(|_| folders(base, config, &READ_BY_BROKER));
    let paths: Vec<PathBuf> = own
        .into_iter()
        .chain(of_plug_ins)
        .chain(of_program)
        .chain(folders(base, config, &READ))
        .chain(of_broker.into_iter().flatten())
        .chain(system)
        .collect();
    paths.into_iter()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::ErrorKind;
    use std::process::Command;

    use reactor::rights::{Confinement, files};

    use super::*;

    const NULL: &str = "/dev/null";

    #[test]
    fn whatever_file_an_option_names_is_reached_by_whoever_needs_it() {
        let known = [&READ[..], &READ_BY_BROKER, &WRITTEN].concat();
        for option in admin::config::options() {
            let is_path = matches!(option.kind, admin::config::Kind::Path);
            assert_eq!(is_path, known.contains(&option.name), "{}", option.name);
        }
        let folder = tempfile::tempdir().unwrap();
        let base = Base::new(folder.path());
        fs::create_dir(folder.path().join("config")).unwrap();
        let reads = |options: &str| {
            let named = format!("ens.nats.credentials = /elsewhere/seed\n{options}");
            fs::write(base.msg_conf(), named).unwrap();
            let config = Config::load(&base).unwrap();
            let elsewhere = PathBuf::from("/elsewhere");
            reach(&base, &config).read.contains(&elsewhere)
        };
        assert!(
            reads("ens.embedded = yes\n"),
            "the broker is in this process"
        );
        assert!(!reads(""), "it is in another one");
    }

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
            let confinement = files::confine(&reach(&base, &config)).unwrap();
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
