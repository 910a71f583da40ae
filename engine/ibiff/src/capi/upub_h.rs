//! `upub.h` (reference chapter 2.1): publishing without ever hearing whether it worked.
#![allow(unsafe_code, reason = "it is called with foreign memory")]

use std::ffi::{c_char, c_int, c_uint, c_ushort, c_void};
use std::sync::Mutex;
use std::time::Duration;

use ens::client::{Address, Connection, Options};

use super::foreign::{bytes, text};

/// How long what was published may take to leave at the end.
const DRAIN_WITHIN: Duration = Duration::from_secs(5);

/// What `upub_t` is.
pub struct UnreliablePublisher {
    address: Address,
    /// Made at the first event.
    connection: Mutex<Option<Connection>>,
}

impl UnreliablePublisher {
    fn publish(&self, event: &str, payload: &[u8]) {
        let held = "no one panics while holding it";
        let mut connection = self.connection.lock().expect(held);
        if connection.is_none() {
            let options = Options {
                name: "upub.h".into(),
                reconnect: true,
                patient: true,
                ..Options::default()
            };
            // It has no way to tell.
            *connection = Connection::open(self.address.clone(), options, |_, _| {}).ok();
        }
        if let Some(connection) = connection.as_ref().filter(|it| it.is_up()) {
            let _ = connection.publish(event, payload, b"", false);
        }
    }
}

/// See the header.
///
/// # Safety
/// `host` is a text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn upub_init(
    _gdc: *mut c_void,
    host: *const c_char,
    port: c_ushort,
    _workers: c_int,
) -> *mut UnreliablePublisher {
    // SAFETY: the caller's promise.
    let Some(host) = (unsafe { text(host) }) else {
        return std::ptr::null_mut();
    };
    Box::into_raw(Box::new(UnreliablePublisher {
        address: Address::new(host, port),
        connection: Mutex::new(None),
    }))
}

/// See the header.
///
/// # Safety
/// `upub` is from [`upub_init`], `event` a text, `payload` NULL or `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn upub_publish(
    upub: *mut UnreliablePublisher,
    event: *const c_char,
    payload: *mut c_void,
    size: c_uint,
    delete_payload: Option<extern "C" fn(*mut c_void)>,
) {
    // SAFETY: the caller's promise, for all three.
    if let (Some(upub), Some(event)) = unsafe { (upub.as_ref(), text(event)) } {
        // SAFETY: as above.
        upub.publish(event, unsafe { bytes(payload, size as usize) });
    }
    if let (Some(delete), false) = (delete_payload, payload.is_null()) {
        delete(payload);
    }
}

/// See the header.
///
/// # Safety
/// `upub` is NULL, or from [`upub_init`] and not shut down.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn upub_shutdown(upub: *mut UnreliablePublisher) {
    if upub.is_null() {
        return;
    }
    // SAFETY: the caller's promise.
    let upub = unsafe { Box::from_raw(upub) };
    let connection = upub.connection.lock();
    if let Some(connection) = connection.as_ref().ok().and_then(|it| it.as_ref()) {
        connection.drain(DRAIN_WITHIN);
    }
}
