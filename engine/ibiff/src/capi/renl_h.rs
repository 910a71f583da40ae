//! Reliable event notification links, of `publisher.h` and `subscriber.h` (reference chapter 1.4).
#![allow(unsafe_code, reason = "it is called with foreign memory")]

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use super::client::{Done, Link, SubscriptionHandle, status};
use super::foreign::{Callback, Opaque, text};
use super::publisher_h::Enc;

/// See the header.
///
/// # Safety
/// `publisher` is open, `name` a text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn renl_create_publisher(
    publisher: *mut Enc,
    name: *const c_char,
    _subscriber: *const c_char,
    done: Option<Callback>,
    argument: *mut c_void,
) {
    // SAFETY: the caller's promise.
    let (publisher, name) = unsafe { (publisher.as_ref(), text(name)) };
    let Some(publisher) = publisher else { return };
    let argument = Opaque(argument);
    let tell = move |status, link: Opaque| {
        if let Some(done) = done {
            done(argument.get(), status, link.get());
        }
    };
    match name.filter(|name| Link::is_name(name.as_bytes())) {
        Some(name) => publisher.link(name.as_bytes(), |link| {
            // The client keeps it until it is cancelled.
            let link = Opaque(Arc::as_ptr(link).cast_mut().cast());
            Box::new(move |status| tell(status, link)) as Done
        }),
        None => publisher.call(Box::new(move || {
            tell(status::INVALID, Opaque(std::ptr::null_mut()));
        })),
    }
}

/// See the header.
///
/// # Safety
/// `link` is NULL, or from [`renl_create_publisher`], not cancelled, and its publisher is open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn renl_cancel_publisher(link: *mut Link) {
    // SAFETY: the caller's promise.
    unsafe { cancel(link) };
}

/// See the header.
///
/// # Safety
/// `subscription` is in force, `name` a text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn renl_create_subscriber(
    subscription: *mut SubscriptionHandle,
    name: *const c_char,
    _publisher: *const c_char,
) -> *mut Link {
    // SAFETY: the caller's promise.
    let (subscription, name) = unsafe { (subscription.as_ref(), text(name)) };
    let link = subscription
        .zip(name.filter(|name| Link::is_name(name.as_bytes())))
        .and_then(|(subscription, name)| subscription.link(name.as_bytes()));
    // The subscription keeps it until it is cancelled.
    link.map_or(std::ptr::null_mut(), |link| Arc::as_ptr(&link).cast_mut())
}

/// See the header.
///
/// # Safety
/// `link` is NULL, or from [`renl_create_subscriber`], not cancelled, and its subscription is in
/// force.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn renl_cancel_subscriber(link: *mut Link) {
    // SAFETY: the caller's promise.
    unsafe { cancel(link) };
}

/// # Safety
/// `link` is NULL, or somebody owns it.
unsafe fn cancel(link: *mut Link) {
    if link.is_null() {
        return;
    }
    // SAFETY: the caller's promise; the count is made up for by the new owner.
    let link = unsafe {
        Arc::increment_strong_count(link);
        Arc::from_raw(link)
    };
    link.cancel();
}
