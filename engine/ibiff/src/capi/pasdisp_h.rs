//! `pasdisp.h` (reference chapter 2.1): the loop that runs callbacks.
#![allow(unsafe_code, reason = "it is called with foreign memory")]

use std::ffi::c_void;
use std::sync::Arc;

use super::dispatcher::Dispatcher;

/// A dispatcher; NULL if the application brings one of its own. See the header.
#[unsafe(no_mangle)]
pub extern "C" fn pas_dispatcher_new(of_application: *mut c_void) -> *const Dispatcher {
    if of_application.is_null() {
        Arc::into_raw(Dispatcher::new())
    } else {
        std::ptr::null()
    }
}

/// Ends a dispatcher. See the header.
///
/// # Safety
/// `dispatcher` is NULL, or from [`pas_dispatcher_new`] and not deleted.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pas_dispatcher_delete(dispatcher: *const Dispatcher) {
    if !dispatcher.is_null() {
        // SAFETY: the caller's promise.
        unsafe { Arc::from_raw(dispatcher) }.shut_down();
    }
}

/// Runs callbacks until [`pas_shutdown`]. See the header.
///
/// # Safety
/// `dispatcher` is NULL, or from [`pas_dispatcher_new`] and not deleted.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pas_dispatch(dispatcher: *const Dispatcher) {
    // SAFETY: the caller's promise. It may be deleted while this runs, by a callback.
    if let Some(dispatcher) = unsafe { shared(dispatcher) } {
        dispatcher.run();
    }
}

/// Ends [`pas_dispatch`]. See the header.
///
/// # Safety
/// `dispatcher` is NULL, or from [`pas_dispatcher_new`] and not deleted.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pas_shutdown(dispatcher: *const Dispatcher) {
    // SAFETY: the caller's promise.
    if let Some(dispatcher) = unsafe { shared(dispatcher) } {
        dispatcher.shut_down();
    }
}

/// One more owner of a dispatcher; none if it is NULL.
///
/// # Safety
/// As for all functions here.
pub(super) unsafe fn shared(dispatcher: *const Dispatcher) -> Option<Arc<Dispatcher>> {
    if dispatcher.is_null() {
        return None;
    }
    // SAFETY: the caller's promise; the count is made up for by the new owner.
    unsafe {
        Arc::increment_strong_count(dispatcher);
        Some(Arc::from_raw(dispatcher))
    }
}
