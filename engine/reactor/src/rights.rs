//! Giving up what a process was given for taking its ports.

use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set, set_capabilities, set_no_new_privs,
};

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
