//! Giving up what a process was given for taking its ports, and what it never needs: files
//! ([`files`], Landlock) and system calls ([`calls`], seccomp).

use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set, set_capabilities, set_no_new_privs,
};

pub mod calls;
pub mod files;

/// How far the kernel goes along with a restriction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confinement {
    /// All of it holds.
    Whole,
    /// What this kernel knows of it.
    Partial,
    /// Nothing: this kernel doesn't have it, or it was not enabled when it started.
    None,
}

/// Gives up every capability of this thread and of those that it starts from now on, and the right
/// to gain any by running a program (`no_new_privs`). For root, who may do all the same, only the
/// latter. To be called once ports are bound and while the process has one thread.
///
/// # Errors
/// If the kernel refuses.
pub fn give_up() -> std::io::Result<()> {
    set_no_new_privs(true)?;
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    clear_ambient_capability_set()?;
    let none = CapabilitySet::empty();
    let sets = CapabilitySets {
        effective: none,
        permitted: none,
        inheritable: none,
    };
    Ok(set_capabilities(None, sets)?)
}
