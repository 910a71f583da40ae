//! `ens.h` (reference chapter 2.3).
#![allow(unsafe_code, reason = "it is called with foreign memory")]

use std::ffi::{CString, c_char, c_int, c_void};
use std::sync::Arc;

use super::client::{Client, Completer, How, Notify, SubscriptionHandle, status};
use super::foreign::{OnLagged, Opaque, bytes, lagged, text, with_payload};

type Lost = extern "C" fn(*mut c_void);
type Destructor = extern "C" fn(*mut c_void);
type OnEvent = extern "C" fn(*mut c_void, *mut c_char, *mut c_char, usize);

/// Connects; NULL if that can't be done. See the header.
///
/// # Safety
/// `host` is NULL or a text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ens_open(
    host: *const c_char,
    port: c_int,
    lost: Option<Lost>,
    argument: *mut c_void,
) -> *mut Client {
    // SAFETY: the caller's promise.
    let (Some(host), Ok(port)) = (unsafe { text(host) }, u16::try_from(port)) else {
        return std::ptr::null_mut();
    };
    let argument = Opaque(argument);
    let client = Client::open(How {
        name: "ens.h",
        host: host.into(),
        port,
        dispatcher: None,
        lost: lost.map(|lost| Box::new(move || lost(argument.get())) as _),
    });
    client.map_or(std::ptr::null_mut(), |client| {
        Box::into_raw(Box::new(client))
    })
}

/// Closes a connection. See the header.
///
/// # Safety
/// `client` is NULL, or from [`ens_open`] and not closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ens_close(client: *mut Client) {
    if !client.is_null() {
        // SAFETY: the caller's promise.
        drop(unsafe { Box::from_raw(client) });
    }
}

/// Publishes. See the header.
///
/// # Safety
/// `client` is open, `event` a text, `body` NULL or `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ens_publish(
    client: *mut Client,
    event: *const c_char,
    body: *mut c_char,
    size: usize,
    destructor: Option<Destructor>,
) {
    // SAFETY: the caller's promise, for all three.
    let (client, event) = unsafe { (client.as_ref(), text(event)) };
    if let (Some(client), Some(event)) = (client, event) {
        // SAFETY: as above.
        let payload = unsafe { bytes(body.cast(), size) };
        client.publish(event, payload, Completer::Nobody, Completer::Nobody, None);
    }
    if let (Some(destructor), false) = (destructor, body.is_null()) {
        destructor(body.cast());
    }
}

/// Subscribes; NULL if that can't be done. See the header.
///
/// # Safety
/// `client` is open, `event` a text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ens_subscribe(
    client: *mut Client,
    event: *const c_char,
    on_event: Option<OnEvent>,
    rock: *mut c_void,
) -> *mut SubscriptionHandle {
    // SAFETY: the caller's promise.
    let (client, event) = unsafe { (client.as_ref(), text(event)) };
    let (Some(client), Some(event), Some(on_event)) = (client, event, on_event) else {
        return std::ptr::null_mut();
    };
    let rock = Opaque(rock);
    let notify: Notify = Arc::new(move |event: CString, payload| {
        let mut event = event.into_bytes_with_nul();
        with_payload(payload, |data| {
            on_event(rock.get(), event.as_mut_ptr().cast(), data, payload.len());
        });
        true
    });
    let handle = client.subscribe_and_wait(event, notify);
    // The client keeps it until it is unsubscribed.
    handle.map_or(std::ptr::null_mut(), |handle| {
        Arc::as_ptr(&handle).cast_mut()
    })
}

/// Unsubscribes. See the header.
///
/// # Safety
/// `client` is open, and `subscription` one of its own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ens_unsubscribe(
    client: *mut Client,
    subscription: *mut SubscriptionHandle,
) {
    // SAFETY: the caller's promise.
    if let (Some(client), Some(subscription)) = unsafe { (client.as_ref(), subscription.as_ref()) }
    {
        client.forget(subscription);
    }
}

/// Whose events later subscriptions want. See the header.
///
/// # Safety
/// `client` is NULL, or open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ens_set_scope(client: *mut Client, scope: c_int) -> c_int {
    // SAFETY: the caller's promise.
    let client = unsafe { client.as_ref() };
    match client.is_some_and(|client| client.set_scope(scope)) {
        true => 0,
        false => status::INVALID,
    }
}

/// Who is told that events were not sent. See the header.
///
/// # Safety
/// `client` is NULL, or open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ens_on_lagged(
    client: *mut Client,
    call: Option<OnLagged>,
    argument: *mut c_void,
) {
    // SAFETY: the caller's promise.
    if let Some(client) = unsafe { client.as_ref() } {
        client.on_lagged(lagged(call, Opaque(argument)));
    }
}
