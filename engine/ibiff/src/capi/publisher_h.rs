//! `publisher.h` (reference chapter 2.1).
#![allow(unsafe_code, reason = "it is called with foreign memory")]

use std::ffi::{c_char, c_int, c_uint, c_ulong, c_ushort, c_void};
use std::sync::Arc;
use std::time::Duration;

use ens::client::OpenError;

use super::client::{Client, Completer, How, Status, status};
use super::dispatcher::{Dispatcher, Strand};
use super::foreign::{Callback, Opaque, data, text};
use super::pasdisp_h::shared;

/// What `publisher_t` and `subscriber_t` are: a connection, with any number of owners.
pub(super) type Enc = Arc<Client>;

fn status_of(error: &OpenError) -> Status {
    match error {
        OpenError::Connect(..) | OpenError::NotGreeted(..) => status::UNREACHABLE,
        OpenError::Thread(_) => status::FULL,
    }
}

/// Connects in another thread, and calls back.
pub(super) fn open_later(
    name: &'static str,
    dispatcher: Option<Arc<Dispatcher>>,
    (host, port): (Option<&str>, u16),
    done: Option<Callback>,
    argument: Opaque,
) {
    let failed = dispatcher.clone();
    let fail = move |status| {
        let Some(done) = done else { return };
        let call = move || done(argument.get(), status, std::ptr::null_mut());
        match failed {
            Some(dispatcher) => Strand::new(dispatcher).push(Box::new(call)),
            None => call(),
        }
    };
    let Some(host) = host.map(str::to_owned) else {
        return fail(status::INVALID);
    };
    let how = How {
        name,
        host,
        port,
        dispatcher,
        lost: None,
    };
    let no_thread = fail.clone();
    let open = move || match Client::open(how) {
        Ok(client) => {
            let client = Arc::new(client);
            let given = Opaque(Box::into_raw(Box::new(client.clone())).cast());
            if let Some(done) = done {
                client.call(Box::new(move || done(argument.get(), 0, given.get())));
            }
        }
        Err(error) => fail(status_of(&error)),
    };
    let thread = std::thread::Builder::new().name("ens-open".into());
    if thread.spawn(open).is_err() {
        no_thread(status::FULL);
    }
}

/// Connects and waits for it; NULL if that can't be done.
pub(super) fn open_now(
    name: &'static str,
    dispatcher: Option<Arc<Dispatcher>>,
    (host, port): (Option<&str>, u16),
) -> *mut Enc {
    let client = host.and_then(|host| {
        let how = How {
            name,
            host: host.into(),
            port,
            dispatcher,
            lost: None,
        };
        Client::open(how).ok()
    });
    client.map_or(std::ptr::null_mut(), |client| {
        Box::into_raw(Box::new(Arc::new(client)))
    })
}

/// A callback as an answer, with nothing more to tell than a status.
pub(super) fn answer(done: Option<Callback>, argument: Opaque) -> Completer {
    done.map_or(Completer::Nobody, |done| {
        Completer::Call(Box::new(move |status| {
            done(argument.get(), status, std::ptr::null_mut());
        }))
    })
}

/// See the header.
///
/// # Safety
/// `dispatcher` is NULL or a dispatcher, `host` a text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn publisher_new_a(
    dispatcher: *const Dispatcher,
    _worker: *mut c_void,
    host: *const c_char,
    port: c_ushort,
    done: Option<Callback>,
    argument: *mut c_void,
) {
    // SAFETY: the caller's promise.
    let (dispatcher, host) = unsafe { (shared(dispatcher), text(host)) };
    let name = "publisher.h";
    open_later(name, dispatcher, (host, port), done, Opaque(argument));
}

/// See the header.
///
/// # Safety
/// `dispatcher` is NULL or a dispatcher, `host` a text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn publisher_new_s(
    dispatcher: *const Dispatcher,
    _worker: *mut c_void,
    host: *const c_char,
    port: c_ushort,
) -> *mut Enc {
    // SAFETY: the caller's promise.
    let (dispatcher, host) = unsafe { (shared(dispatcher), text(host)) };
    open_now("publisher.h", dispatcher, (host, port))
}

/// See the header.
///
/// # Safety
/// `publisher` is open, `event` a text, `payload` NULL or `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn publish_a(
    publisher: *mut Enc,
    event: *const c_char,
    payload: *const c_char,
    size: c_uint,
    done: Option<Callback>,
    end2end_ack: Option<Callback>,
    argument: *mut c_void,
    timeout: c_ulong,
) {
    // SAFETY: the caller's promise, for all three.
    let (publisher, event) = unsafe { (publisher.as_ref(), text(event)) };
    // SAFETY: as above.
    let payload = unsafe { data(payload, size) };
    let Some(publisher) = publisher else { return };
    let accepted = answer(done, Opaque(argument));
    let acknowledged = answer(end2end_ack, Opaque(argument));
    let patience = (timeout > 0).then(|| Duration::from_millis(timeout));
    // A reference that is no text is none at all.
    let event = event.unwrap_or_default();
    publisher.publish(event, payload, accepted, acknowledged, patience);
}

/// See the header.
///
/// # Safety
/// `publisher` is open, `event` a text, `payload` NULL or `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn publish_s(
    publisher: *mut Enc,
    event: *const c_char,
    payload: *const c_char,
    size: c_uint,
) -> c_int {
    // SAFETY: the caller's promise, for all three.
    let (publisher, event) = unsafe { (publisher.as_ref(), text(event)) };
    let (Some(publisher), Some(event)) = (publisher, event) else {
        return status::INVALID;
    };
    // SAFETY: as above.
    publisher.publish_and_wait(event, unsafe { data(payload, size) })
}

/// See the header.
///
/// # Safety
/// `publisher` is NULL, or open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn publisher_delete(publisher: *mut Enc) {
    if !publisher.is_null() {
        // SAFETY: the caller's promise.
        drop(unsafe { Box::from_raw(publisher) });
    }
}

/// See the header.
///
/// # Safety
/// `publisher` is NULL, or open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn publisher_get_subscriber(publisher: *mut Enc) -> *mut Enc {
    // SAFETY: the caller's promise.
    unsafe { one_more(publisher) }
}

/// One more owner of the same connection.
///
/// # Safety
/// `enc` is NULL, or open.
pub(super) unsafe fn one_more(enc: *mut Enc) -> *mut Enc {
    // SAFETY: the caller's promise.
    let enc = unsafe { enc.as_ref() };
    enc.map_or(std::ptr::null_mut(), |enc| {
        Box::into_raw(Box::new(enc.clone()))
    })
}
