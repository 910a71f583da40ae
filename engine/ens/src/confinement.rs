//! What a program of ours gives up once it serves, and the log's line where that can't be had.
//! Every part can be switched off; what is said names the option that `start-msg` goes by.

use std::path::{Path, PathBuf};

use reactor::rights::Confinement;
use reactor::rights::calls::{self, CallsError, Group};
use reactor::rights::files::{self, FilesError, Reach};

/// Why a program can't give up what it should: the kernel knows how, and refuses.
#[derive(Debug, thiserror::Error)]
pub enum ConfinementError {
    /// Files.
    #[error("{0}; service.landlock 0 does without")]
    Files(#[from] FilesError),
    /// System calls.
    #[error("{0}; service.seccomp 0 does without")]
    Calls(#[from] CallsError),
}

/// The system calls of `enpd`: besides those of every program it reads its certificates again.
const BROKER: [Group; 2] = [Group::Base, Group::Reading];

/// Closes the rest of the host's files to this thread and to those that it starts from now on, if
/// they are to be.
///
/// # Errors
/// If the kernel refuses.
pub fn confine_files(wanted: bool, reach: &Reach) -> Result<(), ConfinementError> {
    const OPEN: &str = "this process can reach all files of its user";
    if !wanted {
        tracing::warn!("service.landlock is off: {OPEN}");
        return Ok(());
    }
    match files::confine(reach)? {
        Confinement::Whole => {}
        Confinement::Partial => {
            tracing::info!("this kernel's Landlock is older; it holds what it knows");
        }
        Confinement::None => tracing::warn!(
            "this kernel has no Landlock, or doesn't enable it (lsm= on its command line): {OPEN}"
        ),
    }
    Ok(())
}

/// Has all threads of this process make the system calls of these groups and no others, if that is
/// wanted.
///
/// # Errors
/// If the kernel refuses.
pub fn confine_calls(wanted: bool, groups: &[Group]) -> Result<(), ConfinementError> {
    const OPEN: &str = "this process can make every system call";
    if !wanted {
        tracing::warn!("service.seccomp is off: {OPEN}");
    } else if calls::allow_only(groups)? != Confinement::Whole {
        tracing::warn!("this kernel has no seccomp with filters: {OPEN}");
    }
    Ok(())
}

/// Says what the rings of this process may do if it is more than they should: if they are not to be
/// restricted, or this kernel can't. To be called before the system calls are confined.
pub fn say_of_rings(restricted: bool) {
    const OPEN: &str = "rings of this process can do all that this kernel's io_uring does";
    if !restricted {
        tracing::warn!("service.restrictrings is off: {OPEN}");
    } else if !reactor::uring::can_restrict() {
        tracing::warn!("this kernel can't restrict io_uring: {OPEN}");
    }
}

/// What `enpd` reaches: the folders of files that it makes (its Unix socket, its answer to whoever
/// refreshes it); and for reading what it shows to others, and what a panic's report is made of.
pub fn reach_of_broker(made: &[&Path], read: Vec<PathBuf>) -> Reach {
    let program = std::env::current_exe().ok();
    let of_program = program
        .as_deref()
        .and_then(Path::parent)
        .map(Path::to_owned);
    let folder = |file: &&Path| match file.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    Reach {
        written: made.iter().map(folder).collect(),
        read: of_program
            .into_iter()
            .chain(read)
            .chain(["/proc/self".into()])
            .collect(),
        network: false,
    }
}

/// What looking up other hosts, and connecting to them, needs besides.
pub fn reach_hosts(reach: &mut Reach) {
    const NAMES: [&str; 5] = ["/etc", "/lib", "/lib64", "/run", "/usr"];
    reach.read.extend(NAMES.map(PathBuf::from));
    reach.network = true;
}

/// A folder of certificates, and those folders to which links lead that lie in it.
pub fn with_targets_of_links(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let targets = entries.filter_map(|entry| std::fs::canonicalize(entry.path()).ok());
    let targets = targets.filter_map(|file| file.parent().map(Path::to_owned));
    let mut folders: Vec<PathBuf> = targets.chain([folder.to_owned()]).collect();
    folders.sort();
    folders.dedup();
    folders
}

/// The system calls of `enpd`, with Unix sockets or without, of which it may give everything to who
/// asks at one or not, and with a file for its answers or without.
pub fn calls_of_broker(sockets: bool, control: bool, answers: bool) -> Vec<Group> {
    let removing = sockets.then_some(Group::Removing);
    let accepting = control.then_some(Group::Accepting);
    let writing = answers.then_some(Group::Writing);
    let wanted = removing.into_iter().chain(accepting).chain(writing);
    BROKER.into_iter().chain(wanted).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::ErrorKind;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn links_are_followed_to_their_folders() {
        let outer = tempfile::tempdir().unwrap();
        let outer = fs::canonicalize(outer.path()).unwrap();
        let [tls, live, archive] = ["tls", "live", "archive"].map(|name| outer.join(name));
        for folder in [&tls, &live, &archive] {
            fs::create_dir(folder).unwrap();
        }
        fs::write(archive.join("chain1.pem"), "").unwrap();
        std::os::unix::fs::symlink("../archive/chain1.pem", live.join("chain.pem")).unwrap();
        std::os::unix::fs::symlink(live.join("chain.pem"), tls.join("default.pem")).unwrap();
        assert_eq!(with_targets_of_links(&tls), [archive, tls]);
        assert_eq!(with_targets_of_links(&live.join("none")).len(), 1);
    }

    /// Tries to leave from within a thread that is confined as `enpd` is.
    #[test]
    fn the_broker_reaches_its_socket_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let (own, other) = (folder.path().join("own"), folder.path().join("other"));
        for folder in [&own, &other] {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join("file"), "text").unwrap();
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let socket = own.join("file");
        let attempts = move || {
            let reach = reach_of_broker(&[&socket], vec![]);
            let confinement = files::confine(&reach).unwrap();
            let removed = fs::remove_file(&socket);
            let denied = [
                fs::read(other.join("file")).map(drop),
                fs::write(other.join("new"), ""),
                fs::remove_file(other.join("file")),
                fs::read("/etc/passwd").map(drop),
                fs::read_dir("/").map(drop),
                fs::read("/proc/1/status").map(drop),
                TcpStream::connect(address).map(drop),
                TcpListener::bind("127.0.0.1:0").map(drop),
            ];
            (confinement, removed, denied)
        };
        let thread = std::thread::Builder::new().spawn(attempts).unwrap();
        let (confinement, removed, denied) = thread.join().unwrap();
        removed.unwrap();
        if confinement != Confinement::Whole {
            return;
        }
        for (number, attempt) in denied.into_iter().enumerate() {
            let kind = attempt.unwrap_err().kind();
            assert_eq!(kind, ErrorKind::PermissionDenied, "{number}");
        }
    }
}
