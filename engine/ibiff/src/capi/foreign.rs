//! What comes from C.
#![allow(unsafe_code, reason = "it reads foreign memory")]

use std::ffi::{CStr, c_char, c_int, c_uint, c_ulonglong, c_void};
use std::sync::Arc;

use super::client::Lagged;

/// A pointer that only its owner, the C program, looks into.
#[derive(Clone, Copy)]
pub(super) struct Opaque(pub *mut c_void);

// SAFETY: it is never followed here, only given back; the headers say that callbacks may come from
// another thread.
unsafe impl Send for Opaque {}
// SAFETY: as above.
unsafe impl Sync for Opaque {}

impl Opaque {
    /// The pointer; a method, so that closures take the whole.
    pub fn get(self) -> *mut c_void {
        self.0
    }
}

/// `publisher_cb_t`, `subscriber_cb_t`
pub(super) type Callback = extern "C" fn(*mut c_void, c_int, *mut c_void);

/// `subscriber_lagged_cb_t`, `ens_lagged_cb_t`
pub(super) type OnLagged = extern "C" fn(*mut c_void, c_ulonglong);

/// A callback for events that were not sent.
pub(super) fn lagged(call: Option<OnLagged>, argument: Opaque) -> Option<Lagged> {
    call.map(|call| Arc::new(move |events| call(argument.get(), events)) as Lagged)
}

/// A text; none if it is NULL or no UTF-8.
///
/// # Safety
/// The pointer is NULL, or to a text with a NUL at its end that stays for `'a`.
pub(super) unsafe fn text<'a>(pointer: *const c_char) -> Option<&'a str> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(pointer) }.to_str().ok()
}

/// Bytes; none if the pointer is NULL.
///
/// # Safety
/// The pointer is NULL, or to `size` bytes that stay for `'a`.
pub(super) unsafe fn bytes<'a>(pointer: *const c_void, size: usize) -> &'a [u8] {
    if pointer.is_null() || size == 0 {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(pointer.cast::<u8>(), size) }
}

/// Bytes, counted as the older functions count.
///
/// # Safety
/// As for [`bytes`].
pub(super) unsafe fn data<'a>(pointer: *const c_char, size: c_uint) -> &'a [u8] {
    // SAFETY: the caller's promise.
    unsafe { bytes(pointer.cast(), size as usize) }
}

/// A payload for a callback: with a NUL behind it, or NULL if it is empty.
pub(super) fn with_payload<T>(payload: &[u8], call: impl FnOnce(*mut c_char) -> T) -> T {
    if payload.is_empty() {
        return call(std::ptr::null_mut());
    }
    let mut copy = Vec::with_capacity(payload.len() + 1);
    copy.extend_from_slice(payload);
    copy.push(0);
    call(copy.as_mut_ptr().cast())
}
