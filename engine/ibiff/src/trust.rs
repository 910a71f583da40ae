//! Whose code may run in the server: root's and that of the server's own user.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Why a library is not to be run: somebody other than root and this process's user may change it.
/// What can't be looked at is left to the loader, which says why.
pub(crate) fn untrusted(path: &Path) -> Option<String> {
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    for (it, path) in [("it", path), ("its folder", path.parent()?)] {
        let Ok(metadata) = fs::metadata(path) else {
            continue;
        };
        let owner = metadata.uid();
        if owner != 0 && owner != user.as_raw() {
            return Some(format!(
                "{it} belongs to the user with number {owner}, who could change it; \
                 chown it to root"
            ));
        }
        let mode = metadata.mode() & 0o7777;
        let by_group = mode & 0o020 != 0 && ![0, group.as_raw()].contains(&metadata.gid());
        // In a folder with the sticky bit others can't replace it.
        let by_others = mode & 0o002 != 0 && mode & 0o1000 == 0;
        if by_group || by_others {
            return Some(format!(
                "others may change {it} (mode {mode:o}); chmod go-w {}",
                path.display()
            ));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, chown};

    use super::*;

    /// Of no user.
    const STRANGER: u32 = 4_000_001;

    #[test]
    fn only_who_runs_the_server_and_root_may_change_a_plug_in() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plug_in.so");
        fs::write(&path, "").unwrap();
        let mode = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        let refused = || untrusted(&path).unwrap_or_default();
        mode(&path, 0o644);
        assert_eq!(refused(), "");
        mode(&path, 0o646);
        assert!(
            refused().contains("others may change it (mode 646)"),
            "{}",
            refused()
        );
        mode(&path, 0o644);
        mode(folder.path(), 0o757);
        assert!(refused().contains("its folder (mode 757)"), "{}", refused());
        mode(folder.path(), 0o1777);
        assert_eq!(refused(), "", "nobody else can replace it");
        assert_eq!(untrusted(Path::new("/nowhere/plug_in.so")), None);
        // Only root may give files away.
        if chown(&path, Some(STRANGER), None).is_ok() {
            assert!(refused().contains("number 4000001"), "{}", refused());
        }
    }

    #[test]
    fn a_group_that_is_not_ones_own_may_not_change_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plug_in.so");
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o664)).unwrap();
        assert_eq!(untrusted(&path), None, "its group is this process's");
        if chown(&path, None, Some(STRANGER)).is_ok() {
            let reason = untrusted(&path).unwrap();
            assert!(reason.contains("mode 664"), "{reason}");
        }
    }
}
