//! The user that the services run as: `service.user`.
//!
//! Whoever starts the services as root gives them less than root has: they become this user, with
//! no capability but that of taking ports below 1024 (which they give up once they have them), and
//! nothing that they start can gain any (`no_new_privs`). `data/`, `log/` and `run/` are the
//! user's; `config/` stays root's, and the user's group may read it: what chooses the user and the
//! plug-ins can't be changed by somebody who has taken over a service.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown};
use std::path::Path;

use nix::unistd::{Gid, Uid, User, getresgid, getresuid, initgroups, setresgid, setresuid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capability_is_in_bounding_set,
    configure_capability_in_ambient_set, remove_capability_from_bounding_set, set_capabilities,
    set_keep_capabilities, set_no_new_privs,
};

use crate::{Base, Config};

/// The value of `service.user` with which nothing is given up.
const ROOT: &str = "root";
/// Bits of a mode that `config/` and what lies in it don't have: its group may read.
const CONFIG_OTHERS: u32 = 0o027;

/// Why the services can't run as the user that is configured.
#[derive(Debug, thiserror::Error)]
pub enum ServiceUserError {
    /// There is none of that name.
    #[error(
        "service.user: there is no user {0} on this host; make one \
         (useradd --system --no-create-home --shell /usr/sbin/nologin {0}), \
         or set service.user to one that there is"
    )]
    Unknown(String),
    /// It can't enter the base directory.
    #[error(
        "service.user: {name} can't use {path}: {cause}; let others enter the folders that lead \
         there (chmod o+x), or set service.user to another user"
    )]
    Unreachable {
        /// The user.
        name: String,
        /// What it can't use.
        path: String,
        /// Why.
        cause: io::Error,
    },
    /// The system refused something.
    #[error("service.user {name}: {what}: {cause}")]
    System {
        /// The user.
        name: String,
        /// What was tried.
        what: String,
        /// Why it failed.
        cause: io::Error,
    },
}

/// A user of this host that is not root.
#[derive(Clone, Debug)]
pub struct ServiceUser {
    name: String,
    uid: Uid,
    gid: Gid,
}

impl ServiceUser {
    /// Whom a service is to become. None if this process isn't root's, or the option says `root`:
    /// then the services run as who starts them.
    ///
    /// # Errors
    /// If there is no such user.
    pub fn of(config: &Config) -> Result<Option<Self>, ServiceUserError> {
        let name = config.value("service.user");
        if !Uid::effective().is_root() || name == ROOT {
            return Ok(None);
        }
        Self::named(name).map(|user| Some(user).filter(|user| !user.uid.is_root()))
    }

    /// What a program of an installation does first: if root runs it, it takes over the base
    /// directory for the user that is configured, and becomes that user. To be called while the
    /// process has one thread.
    ///
    /// # Errors
    /// If that can't be done: the program must end then.
    pub fn assume(base: &Base, config: &Config) -> Result<(), ServiceUserError> {
        let Some(user) = Self::of(config)? else {
            return Ok(());
        };
        user.take_over(base)?;
        user.become_it()
    }

    /// The user of that name.
    ///
    /// # Errors
    /// If there is none.
    pub fn named(name: &str) -> Result<Self, ServiceUserError> {
        let found = User::from_name(name).map_err(|cause| ServiceUserError::System {
            name: name.into(),
            what: "can't look it up".into(),
            cause: cause.into(),
        })?;
        let user = found.ok_or_else(|| ServiceUserError::Unknown(name.into()))?;
        Ok(Self {
            name: user.name,
            uid: user.uid,
            gid: user.gid,
        })
    }

    /// Gives a base directory that has been root's to this user: `data/`, `log/` and `run/` with
    /// all that is in them, and `config/` to its group for reading. A folder that isn't root's any
    /// more is left as it is: what is in it may be somebody else's doing.
    ///
    /// # Errors
    /// If an owner or mode can't be changed.
    pub fn take_over(&self, base: &Base) -> Result<(), ServiceUserError> {
        for folder in [base.data(), base.log(), base.run()] {
            if owner(&folder).is_some_and(|uid| uid == 0) {
                self.give(&folder)?;
            }
        }
        self.let_read_config(base)
    }

    /// Gives `config/` to this user's group for reading. At each start and refresh: an editor may
    /// have written a file anew.
    ///
    /// # Errors
    /// If an owner or mode can't be changed.
    pub fn let_read_config(&self, base: &Base) -> Result<(), ServiceUserError> {
        let config = base.msg_conf();
        let config = config.parent().unwrap_or(base.root());
        if owner(config).is_some_and(|uid| uid == 0) {
            self.let_read(config)?;
        }
        Ok(())
    }

    fn give(&self, path: &Path) -> Result<(), ServiceUserError> {
        // The folder last: until then nobody else can put anything into it.
        if path.is_dir() && !path.is_symlink() {
            for entry in fs::read_dir(path).into_iter().flatten().flatten() {
                self.give(&entry.path())?;
            }
        }
        let (uid, gid) = (self.uid.as_raw(), self.gid.as_raw());
        lchown(path, Some(uid), Some(gid)).map_err(self.refused(path, "give"))
    }

    fn let_read(&self, path: &Path) -> Result<(), ServiceUserError> {
        if path.is_symlink() {
            return Ok(());
        }
        lchown(path, None, Some(self.gid.as_raw())).map_err(self.refused(path, "give"))?;
        let mode = fs::metadata(path)
            .map_err(self.refused(path, "look at"))?
            .mode();
        // Who may read may enter.
        let group = (mode & 0o500) >> 3;
        let mode = fs::Permissions::from_mode((mode & 0o7777 & !CONFIG_OTHERS) | group);
        fs::set_permissions(path, mode).map_err(self.refused(path, "change the mode of"))?;
        if path.is_dir() {
            for entry in fs::read_dir(path).into_iter().flatten().flatten() {
                self.let_read(&entry.path())?;
            }
        }
        Ok(())
    }

    fn refused(
        &self,
        path: &Path,
        what: &'static str,
    ) -> impl FnOnce(io::Error) -> ServiceUserError {
        let (name, path) = (self.name.clone(), path.display().to_string());
        move |cause| ServiceUserError::System {
            name,
            what: format!("can't {what} {path}"),
            cause,
        }
    }

    /// Gives an open file or pipe to the user, who may open it again by its number then.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn give_open(&self, file: impl std::os::fd::AsFd) -> io::Result<()> {
        std::os::unix::fs::fchown(file, Some(self.uid.as_raw()), Some(self.gid.as_raw()))
    }

    /// Makes this process the user's, for good. It and the programs that it becomes may still take
    /// ports below 1024, and nothing else. To be called while the process has one thread.
    ///
    /// # Errors
    /// If the system refuses a step: the process must end then.
    pub fn become_it(&self) -> Result<(), ServiceUserError> {
        let failed = |what: &str| {
            let (name, what) = (self.name.clone(), what.to_owned());
            move |cause: io::Error| ServiceUserError::System { name, what, cause }
        };
        let ports = CapabilitySet::NET_BIND_SERVICE;
        for other in CapabilitySet::all().difference(ports).iter() {
            if capability_is_in_bounding_set(other).unwrap_or(false) {
                remove_capability_from_bounding_set(other)
                    .map_err(|cause| failed("can't limit capabilities")(cause.into()))?;
            }
        }
        let name =
            CString::new(self.name.as_str()).map_err(|cause| failed("its name")(cause.into()))?;
        initgroups(&name, self.gid)
            .map_err(|cause| failed("can't take its groups")(cause.into()))?;
        set_keep_capabilities(true)
            .map_err(|cause| failed("can't keep a capability")(cause.into()))?;
        setresgid(self.gid, self.gid, self.gid)
            .map_err(|cause| failed("can't take its group")(cause.into()))?;
        setresuid(self.uid, self.uid, self.uid)
            .map_err(|cause| failed("can't become it")(cause.into()))?;
        let sets = CapabilitySets {
            effective: ports,
            permitted: ports,
            inheritable: ports,
        };
        set_capabilities(None, sets)
            .and_then(|()| configure_capability_in_ambient_set(ports, true))
            .and_then(|()| set_no_new_privs(true))
            .map_err(|cause| failed("can't limit what it may do")(cause.into()))?;
        let back = self.is_it() && setresuid(self.uid, Uid::from_raw(0), self.uid).is_err();
        let left = io::Error::other("root's rights are still there");
        back.then_some(())
            .ok_or(left)
            .map_err(failed("can't become it"))
    }

    /// Whether this process is the user's, in every respect.
    fn is_it(&self) -> bool {
        let users = getresuid().is_ok_and(|it| [it.real, it.effective, it.saved] == [self.uid; 3]);
        let groups = getresgid().is_ok_and(|it| [it.real, it.effective, it.saved] == [self.gid; 3]);
        users && groups
    }

    /// Whether the user, whom this process is by now, can run a program.
    ///
    /// # Errors
    /// If it can't.
    pub fn reaches(&self, program: &Path) -> Result<(), ServiceUserError> {
        rustix::fs::access(program, rustix::fs::Access::EXEC_OK).map_err(|cause| {
            ServiceUserError::Unreachable {
                name: self.name.clone(),
                path: program.display().to_string(),
                cause: cause.into(),
            }
        })
    }
}

fn owner(path: &Path) -> Option<u32> {
    Some(fs::symlink_metadata(path).ok()?.uid())
}
