//! If a plug-in crashes, the process ends with a line that names it and the event.
#![allow(unsafe_code, reason = "it handles signals")]

use std::ffi::{CStr, c_char, c_int};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr::null_mut;
use std::sync::Once;
use std::sync::atomic::{AtomicPtr, Ordering};

/// Signals by which a process crashes.
const CRASHES: [c_int; 5] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGILL,
    libc::SIGFPE,
    libc::SIGABRT,
];

/// Which plug-in is being called, and with what; null while none is. Plug-ins are called by one
/// thread; should there be several, the one that was called last is named.
static PLUG_IN: AtomicPtr<c_char> = AtomicPtr::new(null_mut());
static EVENT: AtomicPtr<c_char> = AtomicPtr::new(null_mut());
static HANDLED: Once = Once::new();

/// A plug-in is being called, until this is dropped.
pub(crate) struct Calling<'a>(PhantomData<&'a CStr>);

impl<'a> Calling<'a> {
    pub fn new(plug_in: &'a CStr, event: &'a CStr) -> Self {
        HANDLED.call_once(handle);
        EVENT.store(event.as_ptr().cast_mut(), Ordering::SeqCst);
        PLUG_IN.store(plug_in.as_ptr().cast_mut(), Ordering::SeqCst);
        Self(PhantomData)
    }
}

impl Drop for Calling<'_> {
    fn drop(&mut self) {
        PLUG_IN.store(null_mut(), Ordering::SeqCst);
        EVENT.store(null_mut(), Ordering::SeqCst);
    }
}

/// Handles the signals of a crash once each: what the handler returns to crashes again, and the
/// process ends as it would have.
fn handle() {
    for signal in CRASHES {
        // SAFETY: zeroes are a valid action with no flags and no blocked signals; the handler only
        // does what a signal handler may, and its type is that of a handler without SA_SIGINFO.
        unsafe {
            let mut action: libc::sigaction = MaybeUninit::zeroed().assume_init();
            action.sa_sigaction = crashed as *const () as usize;
            action.sa_flags = libc::SA_RESETHAND | libc::SA_ONSTACK;
            libc::sigaction(signal, &action, null_mut());
        }
    }
}

/// Only calls what is async-signal-safe (signal-safety(7)): write.
extern "C" fn crashed(_signal: c_int) {
    let plug_in = PLUG_IN.load(Ordering::SeqCst);
    if plug_in.is_null() {
        return;
    }
    for part in [
        c"imapd: the notification plug-in ".as_ptr(),
        plug_in,
        c" crashed when it was told of ".as_ptr(),
        EVENT.load(Ordering::SeqCst),
        c"\n".as_ptr(),
    ] {
        if part.is_null() {
            continue;
        }
        // SAFETY: each is a text that stays until the call that crashed returns, which it does not.
        unsafe { libc::write(libc::STDERR_FILENO, part.cast(), libc::strlen(part)) };
    }
}
