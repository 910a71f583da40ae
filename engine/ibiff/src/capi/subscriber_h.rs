//! `subscriber.h` (reference chapter 2.1).
#![allow(unsafe_code, reason = "it is called with foreign memory")]

use std::ffi::{CString, c_char, c_int, c_ulong, c_ushort, c_void};
use std::sync::Arc;
use std::time::Duration;

use super::client::{Completer, Notify, SubscriptionHandle, status};
use super::dispatcher::Dispatcher;
use super::foreign::{Callback, OnLagged, Opaque, lagged, text, with_payload};
use super::pasdisp_h::shared;
use super::publisher_h::{Enc, one_more, open_later, open_now};

/// `subscriber_notify_cb_t`
type OnEvent = extern "C" fn(*mut c_void, *mut c_char, *mut c_char, c_int);
/// The same, of a handler that says whether it has worked on the event: 0, or why not.
type OnEventWithResult = extern "C" fn(*mut c_void, *mut c_char, *mut c_char, c_int) -> c_int;

/// See the header.
///
/// # Safety
/// `dispatcher` is NULL or a dispatcher, `host` a text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subscriber_new_a(
    dispatcher: *const Dispatcher,
    _worker: *mut c_void,
    host: *const c_char,
    port: c_ushort,
    done: Option<Callback>,
    argument: *mut c_void,
) {
    // SAFETY: the caller's promise.
    let (dispatcher, host) = unsafe { (shared(dispatcher), text(host)) };
    let name = "subscriber.h";
    open_later(name, dispatcher, (host, port), done, Opaque(argument));
}

/// See the header.
///
/// # Safety
/// `dispatcher` is NULL or a dispatcher, `host` a text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subscriber_new_s(
    dispatcher: *const Dispatcher,
    host: *const c_char,
    port: c_ushort,
) -> *mut Enc {
    // SAFETY: the caller's promise.
    let (dispatcher, host) = unsafe { (shared(dispatcher), text(host)) };
    open_now("subscriber.h", dispatcher, (host, port))
}

/// See the header.
///
/// # Safety
/// `subscriber` is open, `event` a text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subscribe_a(
    subscriber: *mut Enc,
    event: *const c_char,
    on_event: Option<OnEvent>,
    rock: *mut c_void,
    done: Option<Callback>,
    argument: *mut c_void,
) {
    let rock = Opaque(rock);
    let notify = on_event.map(|on_event| {
        handler(move |event, data, length| {
            on_event(rock.get(), event, data, length);
            true
        })
    });
    // SAFETY: the caller's promise.
    unsafe { subscribe(subscriber, event, notify, done, argument) };
}

/// The form of [`subscribe_a`] for handlers that return an `int`. See the header.
///
/// # Safety
/// `subscriber` is open, `event` a text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subscribe_with_result_a(
    subscriber: *mut Enc,
    event: *const c_char,
    on_event: Option<OnEventWithResult>,
    rock: *mut c_void,
    done: Option<Callback>,
    argument: *mut c_void,
) {
    let rock = Opaque(rock);
    let notify = on_event.map(|on_event| {
        handler(move |event, data, length| on_event(rock.get(), event, data, length) == 0)
    });
    // SAFETY: the caller's promise.
    unsafe { subscribe(subscriber, event, notify, done, argument) };
}

/// A handler of C's, given an event's reference and payload as C has them; it says whether it has
/// worked on the event.
fn handler(
    call: impl Fn(*mut c_char, *mut c_char, c_int) -> bool + Send + Sync + 'static,
) -> Notify {
    Arc::new(move |event: CString, payload: &[u8]| {
        let mut event = event.into_bytes_with_nul();
        let length = payload.len() as c_int;
        with_payload(payload, |data| {
            call(event.as_mut_ptr().cast(), data, length)
        })
    })
}

/// # Safety
/// `subscriber` is NULL or open, `event` NULL or a text.
unsafe fn subscribe(
    subscriber: *mut Enc,
    event: *const c_char,
    notify: Option<Notify>,
    done: Option<Callback>,
    argument: *mut c_void,
) {
    // SAFETY: the caller's promise.
    let (subscriber, event) = unsafe { (subscriber.as_ref(), text(event)) };
    let Some(subscriber) = subscriber else { return };
    let argument = Opaque(argument);
    let established = |handle: &Arc<SubscriptionHandle>| {
        // The client keeps it until it is unsubscribed.
        let handle = Opaque(Arc::as_ptr(handle).cast_mut().cast());
        done.map_or(Completer::Nobody, |done| {
            Completer::Call(Box::new(move |status| {
                let handle = match status {
                    0 => handle.get(),
                    _ => std::ptr::null_mut(),
                };
                done(argument.get(), status, handle);
            }))
        })
    };
    let subscribed = event
        .zip(notify)
        .and_then(|(event, notify)| subscriber.subscribe(event, notify, established));
    if let (None, Some(done)) = (subscribed, done) {
        let call = move || done(argument.get(), status::INVALID, std::ptr::null_mut());
        subscriber.call(Box::new(call));
    }
}

/// See the header.
///
/// # Safety
/// `subscriber` is open, and `subscription` one of its own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unsubscribe_a(
    subscriber: *mut Enc,
    subscription: *mut SubscriptionHandle,
    done: Option<Callback>,
    argument: *mut c_void,
) {
    // SAFETY: the caller's promise.
    let (subscriber, handle) = unsafe { (subscriber.as_ref(), subscription.as_ref()) };
    let (Some(subscriber), Some(handle)) = (subscriber, handle) else {
        return;
    };
    let argument = Opaque(argument);
    let cancelled = move |status| {
        if let Some(done) = done {
            done(argument.get(), status, std::ptr::null_mut());
        }
    };
    subscriber.unsubscribe(handle, Box::new(cancelled));
}

/// See the header.
///
/// # Safety
/// `subscriber` is NULL, or open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subscriber_delete(subscriber: *mut Enc) {
    if !subscriber.is_null() {
        // SAFETY: the caller's promise.
        drop(unsafe { Box::from_raw(subscriber) });
    }
}

/// See the header.
///
/// # Safety
/// `subscriber` is NULL, or open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subscriber_get_publisher(subscriber: *mut Enc) -> *mut Enc {
    // SAFETY: the caller's promise.
    unsafe { one_more(subscriber) }
}

/// See the header.
///
/// # Safety
/// `subscriber` is NULL, or open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subscriber_keepalive(subscriber: *mut Enc, every: c_ulong) {
    // SAFETY: the caller's promise.
    if let (Some(subscriber), 1..) = (unsafe { subscriber.as_ref() }, every) {
        subscriber.keep_alive(Duration::from_millis(every));
    }
}

/// See the header.
///
/// # Safety
/// `subscriber` is NULL, or open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subscriber_set_scope(subscriber: *mut Enc, scope: c_int) -> c_int {
    // SAFETY: the caller's promise.
    let subscriber = unsafe { subscriber.as_ref() };
    match subscriber.is_some_and(|subscriber| subscriber.set_scope(scope)) {
        true => 0,
        false => status::INVALID,
    }
}

/// See the header.
///
/// # Safety
/// `subscriber` is NULL, or open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subscriber_on_lagged(
    subscriber: *mut Enc,
    call: Option<OnLagged>,
    argument: *mut c_void,
) {
    // SAFETY: the caller's promise.
    if let Some(subscriber) = unsafe { subscriber.as_ref() } {
        subscriber.on_lagged(lagged(call, Opaque(argument)));
    }
}
